"""The fold, case by case: each sentence of the source texts, each reading, each boundary.

`cases/standing/*.toml` hold the cases. A file may name `policies` (texts; id and effective_from are
put before them) and facts `given` to each of its cases. A case has a `name` that says what is true,
the source sentences it `shows`, the `readings` of the contract it decides, facts, and

- `turns`: at the microsecond before `at` one answer (until then, and changing then, unless said
  otherwise), at the instant and the microsecond after another;
- `asks`: a question (as_of, exam, who; `known` = the first so many lines of the case, or known_at)
  and its answer.

What may be said of an answer is in `said.py`; of facts, in `story.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from plain_reading import Plain, Reading, boundaries, first_after, policies_of
from plain_values import at
from scenarios import CANDIDATE, SHIPPED, Asked, Given, line_of
from scenarios import policy as published

from ledger.models import EVENT_TYPES
from projections.answers import Standing
from projections.fold.rules import STATUSES
from retake_policies.schema import (
    BetaTable,
    Cap,
    ExceptionTable,
    PassTable,
    Policy,
    WaitTable,
)

HERE: Final = Path(__file__).parent
FILES: Final = sorted((HERE / "cases/standing").glob("*.toml"))
SENTENCES: Final[dict[str, list[str]]] = tomllib.loads(
    (HERE / "cases/source_sentences.toml").read_text()
)
READINGS: Final = range(1, 15)
OF_THE_QUESTION: Final = ("exam", "who", "known", "known_at")


class Case(NamedTuple):
    """One case of one file."""

    file: str
    name: str
    told: Mapping[str, Any]
    given: Given


def policy_text(name: str, text: str) -> str:
    """Put id and effective_from before a policy's text where it does not say them."""
    head = "" if "\nid = " in f"\n{text}" else f'id = "{name}"\n'
    if "effective_from = " not in text:
        head += "effective_from = 2000-01-01T00:00:00Z\n"
    return head + text


def cases_of(path: Path) -> Iterator[Case]:
    """Read the cases of a file."""
    file = tomllib.loads(path.read_text())
    texts = {name: policy_text(name, text) for name, text in file.get("policies", {}).items()}
    for told in file["case"]:
        lines = [line_of(with_text(line, texts)) for line in told.get("given", ())]
        before = [line_of(line) for line in file.get("given", ())]
        if not told.get("bare"):
            before = [*SHIPPED, *(published(text) for text in texts.values()), *before]
        yield Case(path.stem, told["name"], told, Given(lines, before=before))


def with_text(line: Mapping[str, Any], texts: Mapping[str, str]) -> Mapping[str, Any]:
    """Put a policy's text where a line publishes it by name."""
    is_published = next(iter(line)) == "policy"
    return {**line, "policy": texts[line["policy"]]} if is_published else line


def questions(case: Case) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (question, answer) of a case, those of its turns before its asks."""
    for turn in case.told.get("turns", ()):
        instant = at(turn["at"])
        of_turn = {key: turn[key] for key in OF_THE_QUESTION if key in turn}
        before, then = said(turn["before"]), said(turn["then"])
        if before["status"] != "eligible" and "reasons" not in before:
            before.setdefault("until", instant)
        before.setdefault("next_change_at", instant)
        for shift, answer in ((-1, before), (0, then), (1, then)):
            yield {**of_turn, "as_of": instant + shift}, answer
    for ask in case.told.get("asks", ()):
        question = {key: ask[key] for key in ("as_of", *OF_THE_QUESTION) if key in ask}
        yield question, {key: value for key, value in ask.items() if key not in question}


def said(answer: str | Mapping[str, Any]) -> dict[str, Any]:
    """Read an answer that may be just its status."""
    return {"status": answer} if isinstance(answer, str) else dict(answer)


def asked(case: Case, question: Mapping[str, Any]) -> Asked:
    """Ask a case's question."""
    when = {"when" if key == "as_of" else key: value for key, value in question.items()}
    return case.given.as_of(**{"exam": case.told.get("exam"), **when})


CASES: Final = [case for path in FILES for case in cases_of(path)]
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}: {case.name}")


@by_name
def test_the_standing_is(case: Case) -> None:
    """Each question of a case is answered as the case says."""
    both = list(questions(case))
    assert both
    for question, answer in both:
        asked(case, question).then(**answer)


@by_name
def test_the_plain_reading_agrees(case: Case) -> None:
    """The slow reading of the contract, which the laws rely on, gives every case's answers too."""
    for question, _ in questions(case):
        standing = asked(case, question).standing
        who = question.get("who", CANDIDATE)
        reading = Reading(case.given.rows, standing.exam, standing.as_of, standing.position, who)
        instants = boundaries(case.given.rows, standing.exam)
        assert_reads(reading, standing, instants)


def assert_reads(reading: Reading, standing: Standing, instants: list[int]) -> None:
    """Compare a standing with the plain reading of the same facts, at any of the instants too."""
    plain = assert_reads_now(reading, standing)
    first = None
    if plain.status != "eligible":
        first = first_after(
            instants, standing.as_of, lambda t: reading.standing(t).status == "eligible"
        )
    assert standing.eligible_from == first


def assert_reads_now(reading: Reading, standing: Standing) -> Plain:
    """Compare all of a standing but what lies ahead with the plain reading; return that."""
    plain = reading.standing(standing.as_of)
    assert [(r.code, r.until) for r in standing.reasons] == plain.reasons
    assert [(r.code, r.until) for r in standing.waived] == plain.waived
    assert standing.status == plain.status
    assert standing.sittings_in_series == plain.in_series
    assert standing.period_ends_at == plain.period_ends_at
    used = standing.policy
    assert (used and (used.id, used.effective_from, used.assumed)) == plain.policy
    expected = [list(r.expected) for r in standing.reasons if r.expected]
    assert expected == ([plain.expected] if plain.expected else [])
    assert [
        (s.registration_id, s.started_at, s.delivery, s.outcome, s.outcome_at, s.ordinal)
        for s in standing.sittings
    ] == plain.sittings
    return plain


# --- the cases as a whole --------------------------------------------------------------------


def listed(value: str | list[str]) -> list[str]:
    """Read what may be one or several."""
    return [value] if isinstance(value, str) else list(value)


def test_a_case_has_one_sentence_for_a_name() -> None:
    """Names are sentences, and no two cases have the same."""
    names = [case.name for case in CASES]
    assert [name for name in names if names.count(name) > 1] == []
    assert [name for name in names if name.endswith(".") or len(name.split()) < 4] == []


@pytest.mark.parametrize("text", SENTENCES)
def test_every_sentence_of_the_source_texts_is_shown(text: str) -> None:
    """Word for word: a paraphrase shows nothing."""
    shown = {sentence for case in CASES for sentence in listed(case.told.get("shows", []))}
    assert [sentence for sentence in SENTENCES[text] if sentence not in shown] == []


def test_every_reading_is_shown() -> None:
    """Each reading of the source texts has a case that decides it."""
    shown = {reading for case in CASES for reading in case.told.get("readings", ())}
    assert sorted(shown) == list(READINGS)


def test_every_reason_is_shown() -> None:
    """Each status occurs, and each reason is once first and once after another."""
    answers = [answer for case in CASES for _, answer in questions(case)]
    assert {answer["status"] for answer in answers} == set(STATUSES)
    behind = {
        reason if isinstance(reason, str) else reason["code"]
        for answer in answers
        for reason in answer.get("reasons", ())[1:]
    }
    # Nothing precedes `retired`, and `unknown-exam` stands alone.
    assert set(STATUSES) - behind == {"eligible", "unknown-exam", "retired"}


def test_every_event_type_is_told() -> None:
    """No kind of fact goes unseen by the fold."""
    assert {row.type for case in CASES for row in case.given.rows} == set(EVENT_TYPES)


def test_every_policy_key_and_value_is_told() -> None:
    """Each key of each table is set to something else than its default, each choice is made."""
    rows = (row for case in CASES for row in case.given.rows if row.type == "PolicyPublished")
    policies = policies_of({row.data: row for row in rows}.values())
    tables: dict[type, list[Any]] = {
        Policy: policies,
        WaitTable: [policy.wait for policy in policies],
        Cap: [cap for policy in policies for cap in policy.cap],
        PassTable: [policy.pass_ for policy in policies],
        BetaTable: [policy.beta for policy in policies],
        ExceptionTable: [policy.exception for policy in policies],
    }
    for table, held in tables.items():
        for name, field in table.model_fields.items():  # type: ignore[attr-defined]
            values = {repr(getattr(one, name)) for one in held}
            assert values - {repr(field.default)}, f"{table.__name__}.{name}"
            choices = {repr(choice) for choice in getattr(field.annotation, "__args__", ())
                       if isinstance(choice, str)}  # fmt: skip
            assert choices <= values, f"{table.__name__}.{name}"
