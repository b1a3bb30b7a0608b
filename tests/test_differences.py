"""What differs between two moments: whose standing, and through what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

from example_ledger import Ledgers, bound, dicts, facts, head_of, ledger_of, row_of
from plain_values import When, at
from random_ledger import PLACES, random_ledger, seeded_worlds
from scenarios import (
    annulled,
    attempted,
    authorized,
    beta,
    certification,
    earned,
    exam,
    expired,
    failed,
    granted,
    passed,
    policy,
    rejected,
    requested,
    rescored,
    result,
    unauthorized,
    went_live,
)

from ledger.events import Recorded
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.diff import CHANGED
from replay.population import SCHEMA, Scope
from replay.snapshot import Snapshot

DAY = 86_400_000_000


class Between:
    """Two moments of a story, and what is said to differ between them."""

    def __init__(self, everyone: Snapshot, before: Moment, after: Moment) -> None:
        self._everyone = everyone
        self._moments = before, after

    def rows(self, **scope: Any) -> list[dict[str, Any]]:
        """Return every difference."""
        before, after = (self._everyone.at(moment) for moment in self._moments)
        return dicts(before.diff(after, Scope(**scope)))

    def then(self, *rows: dict[str, Any], **scope: Any) -> None:
        """Compare the differences with what is said of them, in order."""
        found = self.rows(**scope)
        assert [
            {key: [e["id"] for e in row[key]] if key == "events" else row[key] for key in said}
            for row, said in zip(found, rows, strict=False)
        ] == list(rows)
        assert len(found) == len(rows)


def between(
    everyone: Snapshot,
    as_of: When,
    to_as_of: When | None = None,
    *,
    known: int = 0,
    to_known: int = 0,
) -> Between:
    """Ask about two moments; `known` and `to_known` count back from the last event."""
    head = head_of(everyone)
    until = as_of if to_as_of is None else to_as_of
    return Between(
        everyone, Moment(at(as_of), None, head - known), Moment(at(until), None, head - to_known)
    )


def turned(before: str | None, after: str | None, cause: str, *events: str, **more: Any) -> Any:
    """Return what a row holds."""
    return {"from_status": before, "to_status": after, "cause": cause, "events": [*events], **more}


X = exam("X")
FIRST = failed("X", on="2021-04-01T09:00Z", reg="R-1")
SOON = failed("X", on="2021-04-03T09:00Z", reg="R-2")


# --- causes ----------------------------------------------------------------------------------


def test_where_nothing_happened_nothing_differs(crowd: Ledgers) -> None:
    """A day on which no standing changes is an empty table."""
    between(crowd.told(X, FIRST), "2021-05-01", "2021-06-01").then()


def test_a_wait_that_ended_is_the_clock(crowd: Ledgers) -> None:
    """No event made the difference: time did, at the very instant."""
    everyone = crowd.told(X, FIRST)
    between(everyone, "2021-04-02T08:59:59Z", "2021-04-02T09:00Z").then(
        turned(
            "waiting", "eligible", "clock",
            candidate="C-1", exam="X",
            from_eligible_from=at("2021-04-02T09:00Z"), to_eligible_from=None,
        )
    )  # fmt: skip
    between(everyone, "2021-04-02T08:00Z", "2021-04-02T08:59:59Z").then()


def test_a_date_that_came_is_the_clock(crowd: Ledgers) -> None:
    """An exam that went live as announced: the entry was known and held all the time."""
    planned = exam("B", beta_opens="2021-07-01", live="2021-10-01")
    sat = beta("B", on="2021-07-02", reg="R-1")
    between(crowd.told(planned, sat), "2021-09-30", "2021-10-01").then(
        turned("beta-taken", "result-pending", "clock")
    )


def test_a_sitting_and_its_result_are_named(crowd: Ledgers) -> None:
    """Both became visible between the two."""
    between(crowd.told(X, FIRST, SOON), "2021-04-03", "2021-04-04").then(
        turned(
            "eligible", "waiting", "events", "R-2/attempted", "R-2/result",
            from_sittings_in_series=1, to_sittings_in_series=2,
            from_last_sitting_at=at("2021-04-01T09:00Z"),
            to_last_sitting_at=at("2021-04-03T09:00Z"),
        )
    )  # fmt: skip


def test_a_late_result_is_named(crowd: Ledgers) -> None:
    """The same day, as known before and after."""
    start = attempted("X", on="2021-04-01T09:00Z", reg="R-1")
    late = result("X", reg="R-1", on="2021-04-01T10:00Z", passed=True).recorded("2021-04-05")
    between(crowd.told(X, start, late), "2021-04-02", known=1).then(
        turned("result-pending", "passed", "events", "R-1/result",
               from_last_outcome="pending", to_last_outcome="passed")
    )  # fmt: skip


def test_a_rescore_is_named(crowd: Ledgers) -> None:
    """True from its own time."""
    planned = exam("B", beta_opens="2021-07-01", live="2021-10-01")
    sat = beta("B", on="2021-07-02", reg="R-1")
    told = crowd.told(planned, sat, rescored("B", reg="R-1", on="2021-10-08", passed=False))
    between(told, "2021-10-07", "2021-10-09").then(
        turned("result-pending", "eligible", "events", "R-1/rescored", to_last_outcome="failed")
    )


def test_an_annulled_fact_is_named(crowd: Ledgers) -> None:
    """It was visible before the annulment was known, and is not any more."""
    everyone = crowd.told(X, FIRST, SOON, annulled("R-2/result", on="2021-04-10"))
    between(everyone, "2021-04-04", known=1).then(
        turned("waiting", "result-pending", "events", "R-2/result")
    )
    # On the axis of time an annulment acts not at all.
    between(everyone, "2021-04-09", "2021-04-11").then()


def test_a_standing_that_appears_or_goes_is_null_on_one_side(crowd: Ledgers) -> None:
    """Before the first sitting there is no row, nor after it was annulled."""
    start = attempted("X", on="2021-04-01T09:00Z", reg="R-1")
    everyone = crowd.told(X, start, annulled("R-1/attempted", on="2021-05-01"))
    nothing = {name: None for name in CHANGED.names if name.startswith("from_")}
    between(everyone, "2021-04-01", "2021-04-02", known=1, to_known=1).then(
        {**nothing, **turned(None, "result-pending", "events", "R-1/attempted")}
    )
    gone = {name: None for name in CHANGED.names if name.startswith("to_")}
    between(everyone, "2021-04-02", known=1).then(
        {**gone, **turned("result-pending", None, "events", "R-1/attempted")}
    )


def test_a_grant_is_named(crowd: Ledgers) -> None:
    """What was asked for and refused bears on nothing, and is not."""
    everyone = crowd.told(
        X, FIRST,
        requested("X", on="2021-04-01T10:00Z", reg="R-1"),
        rejected("X", on="2021-04-01T11:00Z"),
        granted("X", on="2021-04-01T12:00Z"),
    )  # fmt: skip
    between(everyone, "2021-04-01T09:30Z", "2021-04-01T12:00Z").then(
        turned("waiting", "eligible", "events", "X-1/granted")
    )
    between(everyone, "2021-04-01T09:30Z", "2021-04-01T11:30Z").then()


def test_an_authorization_is_named(crowd: Ledgers) -> None:
    """Made or withdrawn; that of another exam is not, nor is it the clock that lets one sit."""
    told = crowd.told(
        policy(OURS.format("2020-01-01", "PT0S") + "[authorization]\nrequired = true\n"),
        exam("X", policy="ours"), exam("Y", policy="ours"), FIRST,
        authorized("X", on="2021-04-02", id="A-1"),
        authorized("Y", on="2021-04-02", id="A-2"),
        unauthorized("X", on="2021-04-05", id="A-1"),
    )  # fmt: skip
    between(told, "2021-04-01T10:00Z", "2021-04-03").then(
        turned("not-authorized", "eligible", "events", "A-1/granted", exam="X")
    )
    between(told, "2021-04-04", "2021-04-05").then(
        turned("eligible", "not-authorized", "events", "A-1/revoked", exam="X")
    )


def test_what_happened_at_another_exam_is_not_named(crowd: Ledgers) -> None:
    """The wait of the one ended; the other's sitting is no part of that."""
    other = failed("Y", on="2021-04-02T08:00Z", reg="R-9")
    everyone = crowd.told(X, exam("Y"), FIRST, other)
    between(everyone, "2021-04-02T07:00Z", "2021-04-02T09:00Z").then(
        turned("waiting", "eligible", "clock", exam="X"),
        turned(None, "waiting", "events", "R-9/attempted", "R-9/result", exam="Y"),
    )


GOOD = passed("X", on="2021-04-01T09:00Z", reg="R-1")


def test_a_certification_is_named_where_it_covers_the_exam(crowd: Ledgers) -> None:
    """By the catalogue, or by the event itself; an end that comes by an event is one too."""
    cert = earned("CERT", on="2021-04-02", expires="2022-04-02")
    over = expired("CERT", on="2021-06-01")
    defined = crowd.told(X, certification("CERT", exams=["X"]), GOOD, cert, over)
    between(defined, "2021-04-01T10:00Z", "2021-04-03").then(
        turned("passed", "passed", "events", "CERT/CertEarned", to_eligible_from=at("2022-04-02"))
    )
    between(defined, "2021-05-31", "2021-06-01").then(
        turned("passed", "eligible", "events", "CERT/CertExpired")
    )
    itself = crowd.told(
        X, GOOD, earned("CERT", on="2021-04-02", expires="2022-04-02", exams=["X"]), over
    )
    between(itself, "2021-05-31", "2021-06-01").then(
        turned("passed", "eligible", "events", "CERT/CertExpired")
    )
    between(itself, "2021-06-01", known=1).then(
        turned("passed", "eligible", "events", "CERT/CertExpired")
    )


def test_a_certification_of_other_exams_is_not_named(crowd: Ledgers) -> None:
    """It cannot have made the difference: the clock did."""
    told = crowd.told(
        X, exam("Y"), certification("CERT", exams=["Y"]), FIRST,
        earned("CERT", on="2021-04-02T08:00Z", expires="2022-04-02", exams=["Y"]),
    )  # fmt: skip
    between(told, "2021-04-02", "2021-04-03").then(turned("waiting", "eligible", "clock"))


OURS = 'id = "ours"\neffective_from = {}T00:00:00Z\n[wait]\nafter = ["{}"]\n'
OLD = policy(OURS.format("2020-01-01", "P30D"))


def test_a_version_that_came_into_force_is_the_policy(crowd: Ledgers) -> None:
    """It had been published long before; on that day it began to hold."""
    new = policy(OURS.format("2021-04-10", "P7D"), on="2021-01-01")
    told = crowd.told(OLD, new, exam("X", policy="ours"), FIRST)
    between(told, "2021-04-09T23:59:59Z", "2021-04-10").then(
        turned("waiting", "eligible", "policy", "policy/ours", "policy/ours/2")
    )


def test_a_version_published_late_is_the_policy(crowd: Ledgers) -> None:
    """The same day, by the rules known before and after; also where it will hold only later."""
    new = policy(OURS.format("2021-04-01", "P7D"), on="2021-04-12")
    told = crowd.told(OLD, exam("X", policy="ours"), FIRST, new)
    between(told, "2021-04-12", known=1).then(
        turned("waiting", "eligible", "policy", "policy/ours", "policy/ours/2")
    )
    later = policy(OURS.format("2021-04-10", "P7D"), on="2021-04-02")
    told = crowd.told(OLD, exam("X", policy="ours"), FIRST, later)
    between(told, "2021-04-05", known=1).then(
        turned("waiting", "waiting", "policy", "policy/ours/2",
               from_eligible_from=at("2021-05-01T09:00Z"), to_eligible_from=at("2021-04-10"))
    )  # fmt: skip


def test_a_version_of_a_policy_that_the_exam_does_not_follow_is_not_named(crowd: Ledgers) -> None:
    """Other programmes change their rules without touching this one."""
    theirs = policy(OURS.replace("ours", "theirs").format("2021-04-02", "P7D"), on="2021-01-01")
    between(crowd.told(X, theirs, FIRST), "2021-04-01T10:00Z", "2021-04-03").then(
        turned("waiting", "eligible", "clock")
    )


def test_an_exam_moved_to_another_policy_is_the_catalogue(crowd: Ledgers) -> None:
    """From the day of the new entry; older answers stay as they were."""
    moved = exam("X", policy="ours", on="2021-04-02T12:00Z")
    told = crowd.told(OLD, X, FIRST, moved)
    between(told, "2021-04-02T11:59:59Z", "2021-04-02T12:00Z").then(
        turned("eligible", "waiting", "catalogue", "policy/general", "policy/ours", "exam/X",
               "exam/X/2", to_eligible_from=at("2021-05-01T09:00Z"))
    )  # fmt: skip
    between(told, "2021-04-02T10:00Z", known=1).then()


def test_an_exam_that_became_known_is_the_catalogue(crowd: Ledgers) -> None:
    """Announced after the first had sat it."""
    told = crowd.told(FIRST, exam("X", on="2021-01-01").recorded("2021-04-05"))
    between(told, "2021-04-02", known=1).then(
        turned("unknown-exam", "waiting", "catalogue", "policy/general", "exam/X")
    )


def test_an_exam_that_went_live_on_another_day_is_the_catalogue(crowd: Ledgers) -> None:
    """What is heard late replaces the date that was planned."""
    planned = exam("B", beta_opens="2021-07-01", live="2021-10-01")
    sat = beta("B", on="2021-07-02", reg="R-1")
    told = crowd.told(planned, sat, went_live("B", on="2021-09-20").recorded("2021-09-25"))
    between(told, "2021-09-21", known=1).then(
        turned("beta-taken", "result-pending", "catalogue", "exam/B/live")
    )


def test_an_annulled_entry_is_the_catalogue(crowd: Ledgers) -> None:
    """It had been announced in error."""
    told = crowd.told(X, FIRST, annulled("exam/X", subject="X", on="2021-04-02"))
    between(told, "2021-04-03", known=1).then(
        turned("eligible", "unknown-exam", "catalogue", "policy/general", "exam/X")
    )


def test_a_certification_defined_anew_is_the_catalogue(crowd: Ledgers) -> None:
    """The exam was taken out of it: the pass is no longer bound to its end."""
    told = crowd.told(
        X, certification("CERT", exams=["X"]), GOOD,
        earned("CERT", on="2021-04-02", expires="2022-04-02"),
        certification("CERT", exams=["Y"], on="2021-06-01"),
    )  # fmt: skip
    between(told, "2021-07-01", known=1).then(
        turned(
            "passed", "passed", "catalogue", "certification/CERT", "certification/CERT/2",
            from_eligible_from=at("2022-04-02"), to_eligible_from=None,
        )
    )  # fmt: skip
    # As known in the end it was never to be free, on the day before no more than on the day.
    between(told, "2021-05-31", "2021-06-01").then()


def test_facts_come_before_rules_and_rules_before_the_clock(crowd: Ledgers) -> None:
    """Where a fact of the candidate's own is visible at one moment only, that is the cause."""
    new = policy(OURS.format("2021-04-10", "P7D"), on="2021-01-01")
    told = crowd.told(OLD, new, exam("X", policy="ours"), FIRST, failed("X", on="2021-04-12"))
    between(told, "2021-04-09", "2021-04-13").then(
        turned("waiting", "waiting", "events", "R-2021-04-12T00:00:00Z/attempted",
               "R-2021-04-12T00:00:00Z/result")
    )  # fmt: skip


def test_the_two_axes_may_move_together(crowd: Ledgers) -> None:
    """What was known then of that day, and what is known now of another."""
    late = failed("X", on="2021-04-03T09:00Z", reg="R-2").recorded("2021-04-20")
    told = crowd.told(X, FIRST, late)
    between(told, "2021-04-02", "2021-04-04", known=2).then(
        turned("waiting", "waiting", "events", "R-2/attempted", "R-2/result")
    )
    between(told, "2021-04-04", "2021-04-02", to_known=2).then(
        turned("waiting", "waiting", "events", "R-2/attempted", "R-2/result")
    )


def test_only_those_in_the_scope_are_compared(crowd: Ledgers) -> None:
    """Of an exam, of some candidates; sorted by both."""
    told = crowd.told(
        X, exam("Y"), *(failed(code, on="2021-04-01", who=who, reg=f"{who}{code}")
                        for who in ("b", "a") for code in ("Y", "X"))
    )  # fmt: skip
    asked = between(told, "2021-03-31", "2021-04-01")
    named = [{"candidate": who, "exam": code} for who in ("a", "b") for code in ("X", "Y")]
    asked.then(*named)
    asked.then(*(row for row in named if row["exam"] == "X"), exam="X")
    asked.then(*named[:2], candidates=frozenset({"a", "c"}))
    asked.then(exam="Z")


# --- against every candidate asked by itself -------------------------------------------------

SIDE = [name for name in SCHEMA.names if name not in ("candidate", "exam", "eligible")]
NOBODY = (None,) * len(SIDE)


def standings_at(ledger: Ledger, moment: Moment) -> dict[tuple[str, str], tuple[object, ...]]:
    """Return everybody's standing, as a side of a row, by asking one after another."""
    snapshot = Snapshot(ledger, moment)
    return {
        (who, standing.exam): tuple(
            value for name, value in zip(SCHEMA.names, row_of(standing), strict=True)
            if name in SIDE
        )
        for who in ledger.candidates(moment.position)
        for standing in snapshot.standings(who)
    }  # fmt: skip


def seen_at(rows: list[Recorded], moment: Moment) -> set[int]:
    """Return the positions of the events visible at a moment."""
    so_far = [row for row in rows if row.position <= moment.position]
    gone = {row.annuls for row in so_far}
    return {row.position for row in so_far if row.occurred_at <= moment.as_of} - gone


def assert_differs(everyone: Snapshot, before: Moment, after: Moment) -> Counter[str]:
    """Hold the differences against asking everybody twice; count the causes."""
    ledger = everyone.ledger
    old, new = standings_at(ledger, before), standings_at(ledger, after)
    wanted = {
        key: (old.get(key, NOBODY), new.get(key, NOBODY))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    }
    found = dicts(everyone.at(before).diff(everyone.at(after)))
    assert [(row["candidate"], row["exam"]) for row in found] == list(wanted)
    for row, sides in zip(found, wanted.values(), strict=True):
        assert tuple(row[f"from_{name}"] for name in SIDE) == sides[0]
        assert tuple(row[f"to_{name}"] for name in SIDE) == sides[1]
        mine = ledger.stream(f"candidate/{row['candidate']}")
        one = seen_at(mine, before) ^ seen_at(mine, after)
        of_exam = [r.id for r in mine if r.position in one and r.exam == row["exam"]
                   and r.type not in ("ExceptionRequested", "ExceptionRejected")]  # fmt: skip
        named = [event["id"] for event in row["events"]]
        if row["cause"] == "events":
            assert [r.id for r in mine if r.position in one and r.id in named] == named
            assert set(of_exam) <= set(named)
        else:
            assert of_exam == []
            assert bool(named) == (row["cause"] in ("policy", "catalogue"))
    return Counter(row["cause"] for row in found)


def pairs(random: Random, first: int, last: int, head: int) -> Iterator[tuple[Moment, Moment]]:
    """Yield pairs of moments without end: on the axis of time, of knowledge, and on both."""
    for axes in cycle(("time", "knowledge", "both")):
        one, other = sorted(random.randint(first, last) for _ in range(2))
        known, later = sorted(random.randint(head // 4, head) for _ in range(2))
        if axes == "time":
            known = later
        if axes == "knowledge":
            one = other
        yield Moment(one, None, known), Moment(other, None, later)


def test_the_example_differs_as_each_of_its_candidates_does(tmp_path: Path) -> None:
    """At random pairs of moments, on either axis and on both."""
    causes = Counter[str]()
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        everyone = bound(ledger)
        moments = pairs(Random(5), at("2021-02-01"), at("2023-08-01"), head_of(everyone))
        for before, after in islice(moments, 12):
            causes += assert_differs(everyone, before, after)
    assert causes["events"] > 100
    assert causes["clock"] > 30


def test_random_worlds_differ_as_each_of_their_candidates_does(tmp_path: Path) -> None:
    """By rules of every kind; whatever the cause, it is met often."""
    causes = Counter[str]()
    (begins,) = places = PLACES[2:3]
    ledger, _ = random_ledger(tmp_path / "a.ledger", seeded_worlds(80, 3, places), None)
    with ledger:
        everyone = bound(ledger)
        moments = pairs(Random(6), at(begins), at(begins) + 100 * DAY, head_of(everyone))
        for before, after in islice(moments, 12):
            causes += assert_differs(everyone, before, after)
    assert {cause for cause, n in causes.items() if n > 20} == {
        "events", "clock", "policy", "catalogue"
    }, causes  # fmt: skip
