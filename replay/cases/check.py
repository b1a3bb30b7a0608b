"""Compare the answers that a policy gives with those that its cases expect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ledger.instants import format_instant
from ledger.problems import MalformedFact
from projections.answers import Standing
from replay.cases.file import NULL, Case, CaseFile, CasesProblem, Expected
from replay.cases.lines import Announced
from replay.stories import Story
from retake_policies.schema import parse_policy

_QUESTION: Final = ("as_of", "exam")


class Difference(NamedTuple):
    """One thing of one answer that is not as expected; instants are RFC 3339 texts."""

    file: str
    case: str
    exam: str
    as_of: str
    answer: str
    expected: str
    found: str


class Checked(NamedTuple):
    """What came of a case file."""

    answers: int
    """How many answers were compared."""
    differences: list[Difference]


class Question(NamedTuple):
    """A question of a case, and the parts of its answer that are compared."""

    exam: str
    as_of: int
    expected: Mapping[str, Any]


def check_cases(file: CaseFile, policy: str, where: str) -> Checked:
    """Ask every question of a case file under a policy (TOML text), `where` it is from.

    Exams follow this policy unless a line of the case announces them with another. Raises
    CasesProblem for a fact that cannot be, PolicyError for a policy with a fault.
    """
    found = list(answers(file, policy, where))
    return Checked(len(found), [each for differences in found for each in differences])


def answers(file: CaseFile, policy: str, where: str) -> Iterator[list[Difference]]:
    """Yield for each question, one after another, what of its answer is not as expected.

    Raises as `check_cases` does.
    """
    tried = parse_policy(policy, where)
    texts: defaultdict[str, list[str]] = defaultdict(list)
    texts[tried.id].append(policy)
    for name, text in file.policies.items():
        texts[parse_policy(text, f"{file.where}: policies.{name}").id].append(text)
    for number, case in enumerate(file.cases, start=1):
        batch = list(questions(file, number, case))
        story = story_of(file, number, case, texts, tried.id, {each.exam for each in batch})
        for question in batch:
            standing = story.standing(question.exam, question.as_of)
            yield list(differing(file.where, case.name, question, standing))


def story_of(
    file: CaseFile,
    number: int,
    case: Case,
    policies: Mapping[str, list[str]],
    tried: str,
    exams: set[str],
) -> Story:
    """Record the facts of a case; raises CasesProblem for one that cannot be."""
    lines = [*file.shared, *case.given]
    announced = {line.of: line for line in lines if isinstance(line, Announced)}
    for exam, line in announced.items():
        if line.policy is not None and line.policy not in policies:
            problem = f"{exam} follows the policy {line.policy}, which is not there"
            known = ", ".join(policies)
            raise CasesProblem(f"{file.where}: case[{number}]: {problem}; write one of {known}.")
    named = {exam for line in lines for exam in line.exams_named} | exams
    follow = dict.fromkeys(sorted(named - announced.keys()), tried)
    try:
        facts = [fact for line in lines for fact in line.facts(tried)]
        return Story(policies, facts, exams=follow)
    except MalformedFact as problem:
        raise CasesProblem(f"{file.where}: case[{number}] ({case.name}): {problem}.") from None


def questions(file: CaseFile, number: int, case: Case) -> Iterator[Question]:
    """Yield the questions of a case, those of its turns before its asks.

    At the microsecond before a turn the first reason ends at the turn, unless said otherwise, and
    if the turn frees the candidate, so does `eligible_from`.
    """
    first = next((exam for line in case.given for exam in line.exams_named), None)
    for turn in case.turns:
        exam = turn.exam or case.exam or first
        before, then = compared(turn.before), compared(turn.then)
        is_blocked = before.get("status") not in (None, "eligible")
        turned = before.get("status") != then.get("status")
        if is_blocked and turned and not {"until", "reasons", "eligible_from"} & {*before}:
            before["until"] = turn.at
            if then.get("status") == "eligible":
                before["eligible_from"] = turn.at
        for shift, expected in ((-1, before), (0, then), (1, then)):
            yield Question(_named(file, number, exam), turn.at + shift, expected)
    for ask in case.asks:
        exam = ask.exam or case.exam or first
        yield Question(_named(file, number, exam), ask.as_of, compared(ask))


def _named(file: CaseFile, number: int, exam: str | None) -> str:
    if exam is None:
        raise CasesProblem(f'{file.where}: case[{number}] names no exam; write exam = "…".')
    return exam


def compared(expected: Expected) -> dict[str, Any]:
    """Return what is compared, by key."""
    return {
        key: getattr(expected, key)
        for key in type(expected).model_fields
        if key in expected.model_fields_set and key not in _QUESTION
    }


def differing(file: str, case: str, question: Question, standing: Standing) -> Iterator[Difference]:
    """Yield what of a standing is not as expected."""
    at = format_instant(question.as_of)
    for key, expected in question.expected.items():
        found = answered(standing, key)
        if key == "says" and expected in (found or ""):
            continue
        if found != expected:
            yield Difference(
                file, case, question.exam, at, key, _text(key, expected), _text(key, found)
            )


def answered(standing: Standing, key: str) -> Any:
    """Return one part of an answer, by its key in a case."""
    if key in ("until", "clause", "says"):
        first = standing.reasons[0] if standing.reasons else None
        return getattr(first, "text" if key == "says" else key, None)
    if key in ("reasons", "waived"):
        return tuple(reason.code for reason in getattr(standing, key))
    if key in ("effective_from", "assumed"):
        return getattr(standing.policy, key, None)
    return getattr(standing, key)


_INSTANTS: Final = frozenset(
    ("until", "eligible_from", "next_change_at", "period_ends_at", "effective_from")
)


def _text(key: str, value: Any) -> str:
    if value is None:
        return NULL
    if key in _INSTANTS:
        return format_instant(value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
