"""Sittings taken while not eligible, judged with what was known then and with what is known now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from example_ledger import NOW, Ledgers, bound, dicts, facts, head_of, ledger_of
from plain_values import When, at
from random_ledger import random_ledger, seeded_worlds
from scenarios import (
    Line,
    annulled,
    attempted,
    beta,
    certification,
    earned,
    exam,
    failed,
    granted,
    passed,
    policy,
    renewed,
    result,
    withdrawn,
)

from ledger.ledger import Ledger
from projections.catalogue import catalogue_of
from projections.fold.rules import STATUSES
from projections.history import SITTING_KINDS, history_of
from projections.standing import Moment, standing_of
from replay.population import Scope
from replay.snapshot import Snapshot
from replay.violations import SCHEMA

SECOND = 1_000_000


class Given:
    """A story, and what it says of the sittings that broke a rule."""

    def __init__(self, everyone: Snapshot) -> None:
        self._everyone = everyone

    def violations(
        self, as_of: When = "2030-01-01", *, knowing: int | None = None, exam: str | None = None
    ) -> list[dict[str, Any]]:
        """Look at all sittings up to an instant, as known at the end or after so many events."""
        head = head_of(self._everyone)
        moment = Moment(at(as_of), None, head if knowing is None else knowing)
        return dicts(self._everyone.at(moment).violations(Scope(exam)))

    def then(self, *rows: dict[str, Any], **asked: Any) -> None:
        """Compare the violations with what is said of them, by registration, in order."""
        found = self.violations(**asked)
        wanted = [{"waived_then": False, "waived_now": False, **row} for row in rows]
        assert [{key: row[key] for key in said} for row, said in zip(found, wanted, strict=False)
                ] == wanted  # fmt: skip
        assert len(found) == len(wanted)


def broke(reg: str, then: str | None, now: str, free: str | None = None, **more: Any) -> Any:
    """Say what a row holds; `free` is the instant from which the sitting would have been fine."""
    row = {"registration_id": reg, "status_then": then, "status_now": now, **more}
    return {**row, "eligible_from_now": None if free is None else at(free)}


X = exam("X")
FIRST = failed("X", on="2021-04-01T09:00Z", reg="R-1")


def test_a_sitting_too_early_is_one_and_one_at_the_very_instant_is_not(crowd: Ledgers) -> None:
    """Bounds are inclusive: at the end of the wait the candidate is free."""
    a_second = failed("X", on="2021-04-02T08:59:59Z", reg="R-2")
    Given(crowd.told(X, FIRST, a_second)).then(
        broke("R-2", "waiting", "waiting", "2021-04-02T09:00Z", early_seconds=1.0)
    )
    a_microsecond = failed("X", on="2021-04-02T08:59:59.999999Z", reg="R-2")
    Given(crowd.told(X, FIRST, a_microsecond)).then(
        broke("R-2", "waiting", "waiting", "2021-04-02T09:00Z", early_seconds=1e-6)
    )
    in_time = failed("X", on="2021-04-02T09:00Z", reg="R-2")
    Given(crowd.told(X, FIRST, in_time)).then()


def test_each_is_judged_without_itself(crowd: Ledgers) -> None:
    """Nobody waits for the result of the sitting that is judged, nor after it."""
    Given(crowd.told(X, attempted("X", on="2021-04-01T09:00Z", reg="R-1"))).then()
    Given(crowd.told(X, passed("X", on="2021-04-01T09:00Z", reg="R-1"))).then()


FIVE = [failed("X", on=on, reg=f"R-{n}") for n, on in enumerate(
    ("2021-04-01", "2021-05-01", "2021-06-01", "2021-07-01", "2021-08-01"), 1)]  # fmt: skip


def test_a_sixth_sitting_within_the_period_breaks_the_cap(crowd: Ledgers) -> None:
    """Until the period's end; from then on a new one begins."""
    free = "2022-04-01T00:00:00Z"
    sixth = failed("X", on="2022-03-31T23:59:59Z", reg="R-6")
    Given(crowd.told(X, *FIVE, sixth)).then(
        broke("R-6", "cap-reached", "cap-reached", free, early_seconds=1.0)
    )
    Given(crowd.told(X, *FIVE, failed("X", on=free, reg="R-6"))).then()


EARLY = failed("X", on="2021-04-01T20:00Z", reg="R-2")
FREE = "2021-04-02T09:00Z"


def test_an_active_grant_makes_it_no_violation(crowd: Ledgers) -> None:
    """The sitting was allowed; a third one too early is not, for the grant is used."""
    grant = granted("X", on="2021-04-01T12:00Z")
    Given(crowd.told(X, FIRST, grant, EARLY)).then()
    third = failed("X", on="2021-04-02T20:00Z", reg="R-3")
    Given(crowd.told(X, FIRST, grant, EARLY, third)).then(
        broke("R-3", "waiting", "waiting", "2021-04-15T20:00Z")
    )


def test_a_grant_annulled_later_was_valid_then_and_is_not_now(crowd: Ledgers) -> None:
    """Whoever let the candidate in did right by what was known."""
    grant = granted("X", on="2021-04-01T12:00Z")
    undone = annulled("X-1/granted", on="2021-04-03")
    Given(crowd.told(X, FIRST, grant, EARLY, undone)).then(
        broke("R-2", "eligible", "waiting", FREE, early_seconds=13 * 3600.0, waived_then=True)
    )


def test_a_grant_withdrawn_later_stays_valid_for_the_sitting(crowd: Ledgers) -> None:
    """A withdrawal is a fact of its own time: the sitting before it was allowed."""
    grant = granted("X", on="2021-04-01T12:00Z")
    Given(crowd.told(X, FIRST, grant, EARLY, withdrawn("X", on="2021-04-03"))).then()
    before = withdrawn("X", on="2021-04-01T19:00Z")
    Given(crowd.told(X, FIRST, grant, before, EARLY)).then(broke("R-2", "waiting", "waiting", FREE))


def test_a_grant_that_was_recorded_late_covers_it_now(crowd: Ledgers) -> None:
    """Not eligible as known then, eligible as known now: a row that says both."""
    grant = granted("X", on="2021-04-01T12:00Z").recorded("2021-04-05")
    Given(crowd.told(X, FIRST, EARLY, grant)).then(
        broke("R-2", "waiting", "eligible", early_seconds=None, waived_now=True)
    )


def test_a_grant_of_something_else_did_not_cover_it(crowd: Ledgers) -> None:
    """Only a reason that held is waived: the cap was not reached, the wait was not waived."""
    grant = granted("X", on="2021-04-01T12:00Z", waives=["cap"])
    Given(crowd.told(X, FIRST, grant, EARLY)).then(broke("R-2", "waiting", "waiting", FREE))


def test_a_grant_of_one_of_two_reasons_waived_that_one(crowd: Ledgers) -> None:
    """The wait was waived, the cap was not: still a violation, and a grant was there."""
    wait = policy(
        'id = "ours"\neffective_from = 2020-01-01T00:00:00Z\n[wait]\nafter = ["P14D"]\n'
        '[[cap]]\nsittings = 1\nperiod = "P1M"\n'
    )
    grant = granted("X", on="2021-04-01T12:00Z", waives=["wait"])
    Given(crowd.told(wait, exam("X", policy="ours"), FIRST, grant, EARLY)).then(
        broke("R-2", "cap-reached", "cap-reached", "2021-05-01", waived_then=True, waived_now=True)
    )


def test_a_late_result_changes_what_is_known_now(crowd: Ledgers) -> None:
    """Then the first sitting had no result yet; now it is known to have been failed, or passed."""
    start = attempted("X", on="2021-04-01T09:00Z", reg="R-1")
    again = failed("X", on="2021-04-01T20:00Z", reg="R-2")
    fail = result("X", reg="R-1", on="2021-04-01T10:00Z", passed=False).recorded("2021-04-03")
    Given(crowd.told(X, start, again, fail)).then(broke("R-2", "result-pending", "waiting", FREE))
    good = result("X", reg="R-1", on="2021-04-01T10:00Z", passed=True).recorded("2021-04-03")
    Given(crowd.told(X, start, again, good)).then(
        broke("R-2", "result-pending", "passed", early_seconds=None)
    )
    waited = failed("X", on="2021-04-02T09:00Z", reg="R-2")
    Given(crowd.told(X, start, waited, fail)).then(broke("R-2", "result-pending", "eligible"))


def test_a_result_true_only_later_leaves_it_pending(crowd: Ledgers) -> None:
    """Both judgements look at the start alone: what came true after it is not seen."""
    start = attempted("X", on="2021-04-01T09:00Z", reg="R-1")
    again = failed("X", on="2021-04-03T09:00Z", reg="R-2")
    fail = result("X", reg="R-1", on="2021-04-04", passed=False)
    Given(crowd.told(X, start, again, fail)).then(
        broke("R-2", "result-pending", "result-pending", early_seconds=None)
    )


def test_where_the_exam_was_not_yet_known_nothing_is_said_of_then(crowd: Ledgers) -> None:
    """Null, and no violation unless it is one by what is known now."""
    late = exam("X", on="2021-01-01").recorded("2021-05-01")
    fine = failed("X", on="2021-04-02T09:00Z", reg="R-2")
    Given(crowd.told(FIRST, fine, late)).then()
    Given(crowd.told(FIRST, EARLY, late)).then(broke("R-2", None, "waiting", FREE))


def test_where_only_its_policy_was_not_yet_known_neither(crowd: Ledgers) -> None:
    """An exam without rules cannot be judged."""
    text = 'id = "ours"\neffective_from = 2020-01-01T00:00:00Z\n[wait]\nafter = ["PT24H"]\n'
    late = policy(text, on="2021-01-01").recorded("2021-05-01")
    Given(crowd.told(exam("X", policy="ours"), FIRST, EARLY, late)).then(
        broke("R-2", None, "waiting", FREE)
    )


def test_a_sitting_of_an_exam_that_nobody_knows_is_one(crowd: Ledgers) -> None:
    """It was taken while not eligible, as far as is known now."""
    Given(crowd.told(FIRST)).then(broke("R-1", None, "unknown-exam"))


def test_the_policy_in_force_at_the_sitting_is_asked(crowd: Ledgers) -> None:
    """A stricter version makes nobody a sinner of last year, nor a milder one forgives."""
    text = 'id = "ours"\neffective_from = {}-01-01T00:00:00Z\n[wait]\nafter = ["{}"]\n'
    rules = policy(text.format(2020, "PT24H")), policy(text.format(2022, "P30D"), on="2021-12-01")
    ours = exam("X", policy="ours")
    old = [failed("X", on="2021-04-01", reg="A-1"), failed("X", on="2021-04-03", reg="A-2")]
    new = [failed("X", on="2022-04-01", reg="B-1"), failed("X", on="2022-04-03", reg="B-2")]
    Given(crowd.told(*rules, ours, *old, *new)).then(
        broke("B-2", "waiting", "waiting", "2022-05-01")
    )


def test_a_version_recorded_late_judges_now_and_not_then(crowd: Ledgers) -> None:
    """In force from January, but nobody could know it in April."""
    text = 'id = "ours"\neffective_from = {}-01-01T00:00:00Z\n[wait]\nafter = ["{}"]\n'
    rules = policy(text.format(2020, "PT24H"))
    late = policy(text.format(2021, "P30D"), on="2021-01-01").recorded("2021-05-01")
    again = failed("X", on="2021-04-10T09:00Z", reg="R-2")
    Given(crowd.told(rules, exam("X", policy="ours"), FIRST, again, late)).then(
        broke("R-2", "eligible", "waiting", "2021-05-01T09:00Z")
    )


B = exam("B", beta_opens="2021-07-01", live="2021-10-01")


def test_betas_are_judged_by_their_own_rules(crowd: Ledgers) -> None:
    """One beta sitting is fine; a second is not, nor one before it opens."""
    one = beta("B", on="2021-07-01", reg="R-1")
    Given(crowd.told(B, one)).then()
    two = beta("B", on="2021-08-01", reg="R-2")
    Given(crowd.told(B, one, two)).then(
        broke("R-2", "beta-taken", "beta-taken", "2021-10-15", early_seconds=75 * 86_400.0)
    )
    before = beta("B", on="2021-06-30T23:59:59Z", reg="R-1")
    Given(crowd.told(B, before)).then(
        broke("R-1", "not-open", "not-open", "2021-07-01", early_seconds=1.0)
    )


def test_a_live_sitting_beside_a_beta_without_a_result_is_one_until_it_is_overdue(
    crowd: Ledgers,
) -> None:
    """The fourteenth day after the exam went live, and its very first instant."""
    one = beta("B", on="2021-07-02", reg="R-1")
    early = failed("B", on="2021-10-14T23:59:59Z", reg="R-2")
    Given(crowd.told(B, one, early)).then(
        broke("R-2", "result-pending", "result-pending", "2021-10-15", early_seconds=1.0)
    )
    Given(crowd.told(B, one, failed("B", on="2021-10-15", reg="R-2"))).then()


def test_after_a_pass_it_is_one_until_the_certification_lapses(crowd: Ledgers) -> None:
    """Without a certification there is no instant to be early for."""
    good = passed("X", on="2021-04-01", reg="R-1")
    again = failed("X", on="2021-06-01", reg="R-2")
    Given(crowd.told(X, good, again)).then(broke("R-2", "passed", "passed", early_seconds=None))
    held = earned("CERT", on="2021-04-02", expires="2021-06-02", exams=["X"])
    Given(crowd.told(X, good, held, again)).then(
        broke("R-2", "passed", "passed", "2021-06-02", early_seconds=86_400.0)
    )


def test_a_definition_that_was_recorded_late_is_known_to_the_sittings_after_it(
    crowd: Ledgers,
) -> None:
    """A certification that never covered the exam frees no pass, from when that is known."""
    found = crowd.told(
        exam("AZ-104"),
        certification("K", exams=["AZ-104"]),
        passed("AZ-104", on="2021-01-01", reg="R-1"),
        earned("K", on="2021-01-02", expires="2021-02-01"),
        passed("AZ-104", on="2021-03-01", reg="R-2"),
        renewed("K", on="2021-03-02", expires="2021-04-01"),
        certification("K", exams=[], on="2000-01-03").recorded("2021-04-15"),
        passed("AZ-104", on="2021-05-01", reg="R-3"),
    ).violations()
    assert [
        (row["registration_id"], row["status_then"], row["status_now"]) for row in dicts(found)
    ] == [
        ("R-2", "eligible", "passed"),
        ("R-3", "passed", "passed"),
    ]


def test_a_retired_exam_has_no_instant_to_be_early_for(crowd: Ledgers) -> None:
    """From the day it retires."""
    gone = exam("X", retires="2021-04-01")
    Given(crowd.told(gone, failed("X", on="2021-04-01", reg="R-1"))).then(
        broke("R-1", "retired", "retired", early_seconds=None)
    )


def test_an_annulled_sitting_is_none_and_makes_none(crowd: Ledgers) -> None:
    """Neither judged, nor waited for; as known before, it was both."""
    everyone = crowd.told(
        X, attempted("X", on="2021-04-01T09:00Z", reg="R-1"), EARLY,
        annulled("R-1/attempted", on="2021-05-01"),
    )  # fmt: skip
    Given(everyone).then(broke("R-2", "result-pending", "eligible"))
    before = head_of(everyone) - 1
    Given(everyone).then(broke("R-2", "result-pending", "result-pending"), knowing=before)
    Given(crowd.told(X, FIRST, EARLY, annulled("R-2/attempted", on="2021-05-01"))).then(
        broke("R-2", "waiting", "waiting", FREE)  # its result is left, and opens the sitting
    )


def test_a_result_without_its_attempt_is_judged_at_its_own_time(crowd: Ledgers) -> None:
    """And `position` is that of the event that opened the sitting."""
    everyone = crowd.told(X, FIRST, result("X", reg="R-2", on="2021-04-01T20:00Z", passed=False))
    Given(everyone).then(
        broke("R-2", "waiting", "waiting", FREE, position=head_of(everyone), started_at=at(
            "2021-04-01T20:00Z"))
    )  # fmt: skip


def test_only_what_is_visible_is_judged(crowd: Ledgers) -> None:
    """Up to as_of, as known then, of the exam asked for."""
    everyone = crowd.told(X, exam("Y"), FIRST, EARLY)
    row = broke("R-2", "waiting", "waiting", FREE)
    Given(everyone).then(as_of="2021-04-01T19:59:59Z")
    Given(everyone).then(row, as_of="2021-04-01T20:00Z")
    Given(everyone).then(knowing=head_of(everyone) - 2)
    Given(everyone).then(exam="Y")
    Given(everyone).then(row, exam="X")


def test_rows_are_sorted_by_candidate_exam_and_start(crowd: Ledgers) -> None:
    """By code point, whatever the order in which they became known."""
    lines: list[Line] = [X, exam("Y")]
    for who in ("c", "Ä", "B", "a"):
        for code in ("Y", "X"):
            lines += [failed(code, on=f"2021-04-01T0{n}:00Z", reg=f"{who}{code}{n}", who=who)
                      for n in (3, 2, 1)]  # fmt: skip
    found = Given(crowd.told(*lines)).violations()
    assert [(row["candidate"], row["exam"], row["registration_id"][-1]) for row in found] == [
        (who, code, n) for who in ("B", "a", "c", "Ä") for code in ("X", "Y") for n in ("2", "3")
    ]


# --- against every sitting judged by itself --------------------------------------------------


def one_by_one(ledger: Ledger, moment: Moment) -> Iterator[tuple[Any, ...]]:
    """Judge each sitting by a standing at its start, of a history in which it is not."""
    snapshot = Snapshot(ledger, moment)
    catalogue = catalogue_of(ledger.catalogue(0, moment.position))
    for candidate in ledger.candidates(moment.position):
        rows = ledger.stream(f"candidate/{candidate}", upto=moment.position)
        for standing in snapshot.standings(candidate):
            for sitting in standing.sittings:
                if sitting.outcome == "missed":
                    continue  # nobody sat: it violates nothing
                key, start = sitting.registration_id, sitting.started_at
                others = history_of(
                    [row for row in rows if row.type not in SITTING_KINDS
                     or (row.exam, row.key) != (standing.exam, key)],
                    catalogue,
                )  # fmt: skip
                known_then = min(ledger.position_at(start), moment.position)
                then, now = (
                    standing_of(candidate, standing.exam, others, catalogue,
                                Moment(start, None, position))
                    for position in (known_then, moment.position)
                )  # fmt: skip
                known = then.status != "unknown-exam"
                if now.eligible and (then.eligible or not known):
                    continue
                free = now.eligible_from
                yield (
                    candidate, standing.exam, key, start,
                    then.status if known else None, now.status, free,
                    None if free is None else (free - start) / SECOND,
                    bool(then.waived), bool(now.waived),
                )  # fmt: skip


COMPARED = [name for name in SCHEMA.names if name != "position"]


@pytest.mark.parametrize("known", [None, 100, 400])
@pytest.mark.parametrize("as_of", [NOW, at("2022-03-01")])
def test_the_example_is_judged_as_each_of_its_sittings_is(
    tmp_path: Path, as_of: int, known: int | None
) -> None:
    """Every sitting of the whole history, twice."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        everyone = bound(ledger)
        moment = Moment(as_of, None, head_of(everyone) if known is None else known)
        table = everyone.at(moment).violations().select(COMPARED)
        wanted = list(one_by_one(ledger, moment))
        assert [tuple(row.values()) for row in dicts(table)] == wanted
        assert wanted


def test_random_worlds_are_judged_as_each_of_their_sittings_is(tmp_path: Path) -> None:
    """Hundreds of violations of every kind, by rules of every kind."""
    ledger, _ = random_ledger(tmp_path / "a.ledger", seeded_worlds(200, 3), None)
    with ledger:
        everyone = bound(ledger)
        every: list[dict[str, Any]] = []
        for position in (head_of(everyone), head_of(everyone) // 2):
            moment = Moment(NOW * 10, None, position)
            found = dicts(everyone.at(moment).violations().select(COMPARED))
            assert [tuple(row.values()) for row in found] == list(one_by_one(ledger, moment))
            every += found
    assert sum(row["status_then"] != row["status_now"] for row in every) > 100
    assert sum(row["waived_now"] for row in every) > 5
    assert sum(row["waived_then"] != row["waived_now"] for row in every) > 0
    assert {row["status_now"] for row in every} == set(STATUSES)
