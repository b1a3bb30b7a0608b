"""The exceptions desk at a real ledger: what it looks up, records, and says."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import SetClock, a_ledger
from plain_values import When, at, text
from scenarios import (
    SHIPPED,
    Line,
    annulled,
    attempted,
    exam,
    failed,
    forgotten,
    fresh,
    granted,
    policy,
    requested,
    result,
)

from ledger.events import Recorded
from ledger.facts import event_of
from ledger.ledger import Ledger
from ledger.models import ExceptionGranted, ExceptionRejected, ExceptionRequested
from ledger.outcomes import Appended
from ledger.problems import KeyFileProblem, MalformedFact
from projections.exception_rules import DeskProblem
from projections.exceptions import STATES, State
from projections.standing import Moment
from replay.desk import SOURCE, Desk, Reference, WrongCall, event_id
from replay.snapshot import Snapshot

WHO = "C-1"
AZ = "AZ-104"
NOW = at("2021-06-01")

LETTER = {
    "candidate_id": WHO,
    "exam_number": AZ,
    "vue_case_number": "0815",
    "first_name": "Robin",
    "last_name": "Sample",
    "email": "robin.sample@example.org",
    "description": "The lab stopped answering.",
}
"""What a complete request holds besides the sitting and the reason."""


@pytest.fixture
def clock() -> SetClock:
    return SetClock(NOW)


@pytest.fixture
def ledger(tmp_path: Path, clock: SetClock) -> Iterator[Ledger]:
    """A ledger in which C-1 failed AZ-104 twice and waits until 16 May."""
    with a_ledger(tmp_path, clock=clock) as ledger:
        tell(
            ledger,
            *SHIPPED,
            exam(AZ),
            exam("MO-200", policy="mos"),
            failed(AZ, on="2021-05-01T09:00Z", reg="R-1"),
            failed(AZ, on="2021-05-02T09:00Z", reg="R-2"),
        )
        yield ledger


@pytest.fixture
def desk(ledger: Ledger) -> Desk:
    return Desk(ledger)


def tell(ledger: Ledger, *lines: Line) -> None:
    """Record a story's lines, each in a transaction, under ids that are not taken yet."""
    for line in lines:
        taken = {fact.id: row for fact in line.facts if (row := ledger.find(fact.source, fact.id))}
        facts = [fact._replace(id=fresh(fact.id, taken)) for fact in line.facts]
        assert {type(outcome) for outcome in ledger.append(facts)} == {Appended}


def asked(request: str = "X-1", **changes: Any) -> ExceptionRequested:
    """Make a complete request for R-2, but for these fields."""
    fields = {"exam": AZ, "registration_id": "R-2", "reason": "lab-crash", **LETTER, **changes}
    return ExceptionRequested(request_id=request, **fields)


def matter(request: str = "X-1", *, time: When | None = None, **more: Any) -> Reference:
    """Name a request of C-1, decided on 1 June unless said."""
    more = {"now": NOW, **more}
    return Reference(WHO, request, time=None if time is None else at(time), **more)


def recorded(ledger: Ledger, after: int) -> list[tuple[Any, ...]]:
    """Return what was recorded after a position: id, subject, time, actor and event."""
    return [
        (row.id, row.subject, text(row.occurred_at), row.actor, event_of(row))
        for row in ledger.read(after)
        if row.source == SOURCE
    ]


def nothing_was_recorded(ledger: Ledger, head: tuple[int, int]) -> None:
    """Compare the head with what it was."""
    assert ledger.head() == head


# --- asking ----------------------------------------------------------------------------------


def test_a_request_with_something_wrong_is_recorded_with_its_rejection(
    desk: Desk, ledger: Ledger
) -> None:
    """Both in one transaction, at one time, under ids of their own."""
    head = ledger.head().position
    wrong = asked(email=None, first_name=None, last_name=None, description=None, reason="bad luck")
    request, positions = desk.request(WHO, wrong, now=NOW, time=at("2021-05-03"), actor="agent-7")
    assert positions == (head + 1, head + 2)
    rows = list(ledger.read(head))
    assert len({row.recorded_at for row in rows}) == 1
    rejection = ExceptionRejected(
        request_id="X-1",
        exam=AZ,
        missing=("first_name", "last_name", "email", "description"),
        why="first_name, last_name, email and description are missing; the reason bad luck is not "
        "accepted (accepted are lab-crash, internet-connectivity and equipment-failure).",
    )
    assert recorded(ledger, head) == [
        ("exception/X-1/requested", WHO, "2021-05-03T00:00:00Z", "agent-7", wrong),
        ("exception/X-1/rejected", WHO, "2021-05-03T00:00:00Z", "agent-7", rejection),
    ]
    assert (request.state, request.why) == ("rejected", rejection.why)


def test_a_request_with_nothing_wrong_is_left_open(desk: Desk, ledger: Ledger) -> None:
    """It is recorded alone, now, with what is personal sealed."""
    head = ledger.head().position
    request, positions = desk.request(WHO, asked(), now=NOW)
    assert (request.state, positions) == ("open", (head + 1,))
    (row,) = ledger.read(head)
    assert (row.type, row.occurred_at) == ("ExceptionRequested", NOW)
    assert not any(LETTER[name] in row.data for name in ExceptionRequested.personal)
    assert ledger.vault.reveal(row) == json.loads(asked().to_json())


def test_a_typing_error_is_recorded_by_nobody(desk: Desk, ledger: Ledger) -> None:
    """An unknown candidate or exam, or another's id: no event, and no key for personal data."""
    head = ledger.head()
    for who, letter, problem in (
        ("C-9", asked(), "No candidate 'C-9' in this ledger"),
        (WHO, asked(exam="az-104"), "az-104 is not in the catalogue: did you mean AZ-104?"),
        (WHO, asked(candidate_id="c-1"), "candidate_id says c-1, not C-1"),
    ):
        with pytest.raises(WrongCall, match=re.escape(problem)):
            desk.request(who, letter, now=NOW)
        with pytest.raises(WrongCall, match=re.escape(problem)):
            desk.check(who, letter, now=NOW)
    assert ledger.head() == head
    assert desk.check(WHO, asked(), now=NOW) is None
    assert desk.check(WHO, asked(email=None), now=NOW) == "email is missing."


@pytest.mark.parametrize("time", [None, "2021-05-03"])
def test_the_same_request_again_is_no_other_request(
    desk: Desk, ledger: Ledger, clock: SetClock, time: str | None
) -> None:
    """The answer is given again and nothing is recorded; without a time it means the one it had."""
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    desk.request(WHO, asked("X-2", email=None), now=NOW, time=at("2021-05-03"))
    head = ledger.head()
    clock.now = later = at("2021-07-01")
    when = None if time is None else at(time)
    request, positions = desk.request(WHO, asked(), now=later, time=when, actor="another")
    assert (request.state, request.requested_at, positions) == ("open", at("2021-05-03"), ())
    request, positions = desk.request(WHO, asked("X-2", email=None), now=later, time=when)
    assert (request.state, request.why, positions) == ("rejected", "email is missing.", ())
    nothing_was_recorded(ledger, head)


DIFFERENT: tuple[tuple[str, dict[str, Any], dict[str, Any], str], ...] = (
    (WHO, {"reason": "equipment-failure"}, {},
     "data.reason (old lab-crash, new equipment-failure)"),
    (WHO, {"email": "zebedee@example.org", "vue_case_number": None}, {},
     "data.email (differs), data.vue_case_number (old 0815, new none)"),
    (WHO, {}, {"time": at("2021-05-04")},
     "time (old 2021-05-03T00:00:00Z, new 2021-05-04T00:00:00Z)"),
    (WHO, {"exam": "MO-200"}, {}, "data.exam (old AZ-104, new MO-200)"),
    ("C-2", {}, {}, "subject (old C-1, new C-2)"),
)  # fmt: skip


@pytest.mark.parametrize(("who", "changes", "more", "differs"), DIFFERENT, ids=lambda value: "")
def test_a_different_request_under_the_same_id_is_told_what_differs(
    desk: Desk,
    ledger: Ledger,
    who: str,
    changes: dict[str, Any],
    more: dict[str, Any],
    differs: str,
) -> None:
    """Neither it nor a rejection of it is recorded, and no personal value is told."""
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    head = ledger.head()
    with pytest.raises(DeskProblem) as problem:
        desk.request(who, asked(**changes), now=NOW, **more)
    assert str(problem.value) == (
        f"the request X-1 stands at position {head.position} already, with other fields: {differs}"
    )
    nothing_was_recorded(ledger, head)


def test_a_request_that_was_imported_stands_too(desk: Desk, ledger: Ledger) -> None:
    """A request is known by candidate, exam and id, whoever recorded it."""
    tell(ledger, requested(AZ, on="2021-05-03", reg="R-2", **LETTER))
    head = ledger.head()
    assert desk.request(WHO, asked(), now=NOW).positions == ()
    with pytest.raises(DeskProblem, match=r"data\.last_name \(differs\)$"):
        desk.request(WHO, asked(last_name="Zebedee"), now=NOW)
    nothing_was_recorded(ledger, head)


def test_the_id_of_an_annulled_request_is_not_used_again(desk: Desk, ledger: Ledger) -> None:
    """An annulment cannot be undone: the request is made anew, under another id."""
    desk.request(WHO, asked(), now=NOW)
    target = ledger.find(SOURCE, "exception/X-1/requested")
    assert target is not None
    annul(ledger, target)
    with pytest.raises(DeskProblem, match="was annulled: ask anew under another request id"):
        desk.request(WHO, asked(), now=NOW)
    assert desk.request(WHO, asked("X-2"), now=NOW).request.state == "open"


def annul(ledger: Ledger, row: Recorded) -> None:
    """Say that an event was recorded in error."""
    (fact,) = annulled(row.id, on="2021-06-01").facts
    source = fact.event.annuls.model_copy(update={"source": row.source})  # type: ignore[attr-defined]
    (outcome,) = ledger.append(
        [fact._replace(event=fact.event.model_copy(update={"annuls": source}))]
    )
    assert isinstance(outcome, Appended)


def test_a_request_is_judged_by_the_policy_of_its_day(desk: Desk, ledger: Ledger) -> None:
    """A policy that asks for less does so from its first day on."""
    lenient = """
    id = "general"
    effective_from = 2021-05-10T00:00:00Z
    [exception]
    waives = ["wait"]
    reasons = ["lab-crash"]
    """
    tell(ledger, policy(lenient, on="2021-05-10"))
    bare = dict.fromkeys(LETTER)
    before = desk.request(WHO, asked("X-1", **bare), now=NOW, time=at("2021-05-10") - 1)
    after = desk.request(WHO, asked("X-2", **bare), now=NOW, time=at("2021-05-10"))
    assert (before.request.state, after.request.state) == ("rejected", "open")
    assert set(before.request.missing) == set(LETTER)


def test_a_request_is_judged_by_the_sittings_of_its_day_as_known_now(
    desk: Desk, ledger: Ledger
) -> None:
    """A result counts from its own time, whenever it was recorded."""
    tell(ledger, attempted(AZ, on="2021-05-20T09:00Z", reg="R-3"))
    unknown = desk.request(WHO, asked("X-1", registration_id="R-3"), now=NOW)
    assert unknown.request.why == "R-3 is no failed sitting yet: its result is pending."
    tell(ledger, result(AZ, reg="R-3", on="2021-05-21", passed=False))
    late = at("2021-05-21")
    before = desk.request(WHO, asked("X-2", registration_id="R-3"), now=NOW, time=late - 1)
    after = desk.request(WHO, asked("X-3", registration_id="R-3"), now=NOW, time=late)
    assert (before.request.state, after.request.state) == ("rejected", "open")


def test_a_request_for_another_exam_does_not_take_this_ones_sitting(desk: Desk) -> None:
    """A registration is looked for among the sittings of the exam asked for."""
    request = desk.request(WHO, asked(exam="MO-200", exam_number="MO-200"), now=NOW).request
    assert request.why == "R-2 is no sitting of C-1 at MO-200."


def test_what_the_ledger_refuses_leaves_nothing_behind(desk: Desk, ledger: Ledger) -> None:
    """A time in the future, or a forgotten person's data: no request, and no rejection of it."""
    tell(ledger, forgotten(on="2021-05-05"))
    head = ledger.head()
    with pytest.raises(DeskProblem, match=r"'C-1' was forgotten: data\.first_name, "):
        desk.request(WHO, asked(email=None), now=NOW)
    tell(ledger, failed(AZ, on="2021-05-06T09:00Z", who="C-2"))
    head = ledger.head()
    letter = asked(candidate_id="C-2")
    future = at("2021-06-01T00:05:00.001Z")
    with pytest.raises(DeskProblem, match="lies more than 5 minutes after its recording"):
        desk.request("C-2", letter, now=NOW, time=future)
    with pytest.raises(MalformedFact, match="actor is empty"):
        desk.request("C-2", letter, now=NOW, actor="")
    nothing_was_recorded(ledger, head)


# --- deciding --------------------------------------------------------------------------------


def statuses(ledger: Ledger, as_of: str) -> tuple[str, list[str]]:
    """Return the standing of C-1: its status, and what is waived."""
    moment = Moment(at(as_of), None, ledger.head().position)
    standing = Snapshot(ledger, moment).standing(WHO, AZ)
    return standing.status, [reason.code for reason in standing.waived]


def test_a_grant_frees_the_candidate_until_it_is_revoked_or_used(
    desk: Desk, ledger: Ledger
) -> None:
    """What the desk records is what the fold reads, from each instant on."""
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    assert statuses(ledger, "2021-05-05") == ("waiting", [])
    desk.grant(matter(time="2021-05-04"), waives=["wait"], valid_until=at("2021-05-10"))
    assert statuses(ledger, "2021-05-04") == ("eligible", ["waiting"])
    assert statuses(ledger, "2021-05-10") == ("waiting", [])
    desk.revoke(matter(time="2021-05-06"), reason="granted in error")
    assert statuses(ledger, "2021-05-06") == ("waiting", [])
    again = desk.grant(matter(time="2021-05-07"))
    assert statuses(ledger, "2021-05-10") == ("eligible", ["waiting"])
    assert again.request.waives == ("wait", "cap")
    tell(ledger, failed(AZ, on="2021-05-08T09:00Z", reg="R-3"))
    with pytest.raises(DeskProblem, match="X-1 was used by R-3 on 2021-05-08T09:00:00Z"):
        desk.revoke(matter(), reason="granted in error")
    assert [row.id for row in ledger.stream("candidate/C-1") if row.source == SOURCE] == [
        "exception/X-1/requested",
        "exception/X-1/granted",
        "exception/X-1/revoked",
        "exception/X-1/granted/2",
    ]


def test_a_decision_is_recorded_whole(desk: Desk, ledger: Ledger) -> None:
    """With its actor, at the time that was said, else now."""
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    desk.request(WHO, asked("X-2"), now=NOW, time=at("2021-05-03"))
    head = ledger.head().position
    ends = at("2021-06-10")
    desk.grant(matter(time="2021-05-04", actor="agent-7"), waives=["cap"], valid_until=ends)
    desk.reject(matter("X-2"), why="the centre saw no failure")
    grant = ExceptionGranted(request_id="X-1", exam=AZ, waives=("cap",), valid_until=ends)
    rejection = ExceptionRejected(
        request_id="X-2", exam=AZ, missing=(), why="the centre saw no failure"
    )
    assert recorded(ledger, head) == [
        ("exception/X-1/granted", WHO, "2021-05-04T00:00:00Z", "agent-7", grant),
        ("exception/X-2/rejected", WHO, "2021-06-01T00:00:00Z", None, rejection),
    ]


def test_the_same_decision_again_is_no_other_decision(
    desk: Desk, ledger: Ledger, clock: SetClock
) -> None:
    """Nothing is recorded, later and by somebody else; at another time it is another one."""
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    desk.grant(matter(time="2021-05-04"))
    head = ledger.head()
    clock.now = later = at("2021-07-01")
    assert desk.grant(matter(now=later, actor="another")).positions == ()
    assert desk.grant(matter(now=later, time="2021-05-04")).request.state == "granted"
    with pytest.raises(DeskProblem) as problem:
        desk.grant(matter(now=later, time="2021-05-05"))
    assert str(problem.value) == (
        "X-1 was granted on 2021-05-04T00:00:00Z, not on 2021-05-05T00:00:00Z"
    )
    nothing_was_recorded(ledger, head)


def test_a_decision_does_not_lie_before_what_it_decides(
    desk: Desk, ledger: Ledger, clock: SetClock
) -> None:
    """Not before the request nor before what was decided since; a clock set back is made up for."""
    desk.request(WHO, asked(), now=NOW, time=NOW)
    head = ledger.head()
    with pytest.raises(DeskProblem) as problem:
        desk.grant(matter(time=NOW - 1))
    assert str(problem.value) == (
        "X-1 was last changed on 2021-06-01T00:00:00Z: what is decided after that cannot have the "
        "time 2021-05-31T23:59:59.999999Z"
    )
    nothing_was_recorded(ledger, head)
    assert desk.grant(matter(now=NOW - 1)).request.changed_at == NOW


def test_a_grant_asks_the_policy_of_its_own_day(desk: Desk, ledger: Ledger) -> None:
    """What may be waived is said by the version in force when it is granted."""
    no_cap = """
    id = "general"
    effective_from = 2021-05-10T00:00:00Z
    [exception]
    waives = ["wait"]
    reasons = ["lab-crash"]
    """
    tell(ledger, policy(no_cap, on="2021-05-10"))
    desk.request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    with pytest.raises(DeskProblem, match="does not let cap be waived: accepted is wait"):
        desk.grant(matter(time="2021-05-10"), waives=["cap"])
    before = desk.grant(matter(time=at("2021-05-10") - 1), waives=["cap"])
    assert before.request.waives == ("cap",)


def test_there_is_nothing_to_decide_of_what_was_never_asked(desk: Desk, ledger: Ledger) -> None:
    """An unknown candidate, an unknown request, and one that could be several."""
    tell(
        ledger,
        requested(AZ, on="2021-05-03", reg="R-2", request="X-7"),
        requested("MO-200", on="2021-05-03", reg="R-2", request="X-7"),
    )
    head = ledger.head()
    for told, says in (
        (matter()._replace(candidate="C-9"), "No candidate 'C-9' in this ledger"),
        (matter("X-9"), "C-1 has no request X-9"),
        (matter("X-7", exam="AZ-500"), "C-1 has no request X-7 for AZ-500"),
        (matter("X-7"), "C-1 has requests X-7 for AZ-104 and MO-200: say which exam"),
    ):
        with pytest.raises(WrongCall) as problem:
            desk.grant(told)
        assert str(problem.value) == says
    nothing_was_recorded(ledger, head)
    assert desk.grant(matter("X-7", exam="MO-200")).request.exam == "MO-200"


def test_the_ids_of_two_candidates_requests_of_one_name_do_not_clash(
    desk: Desk, ledger: Ledger
) -> None:
    """Imported requests may share an id: each grant gets an event id of its own."""
    tell(ledger, requested(AZ, on="2021-05-03", reg="R-2"))
    tell(ledger, requested(AZ, on="2021-05-03", reg="R-2", who="C-2"))
    desk.grant(matter())
    told = desk.grant(matter()._replace(candidate="C-2"))
    assert told.request.events[-1].id == "exception/X-1/granted/2"


def test_of_many_who_decide_at_once_one_does(ledger: Ledger, tmp_path: Path) -> None:
    """Grants on different terms and rejections: the first holds, the rest are told so."""
    Desk(ledger).request(WHO, asked(), now=NOW, time=at("2021-05-03"))
    head = ledger.head().position

    def decide(number: int) -> bool:
        with Ledger.open(ledger.path, clock=SetClock(NOW)) as own:
            try:
                if number % 2:
                    Desk(own).reject(matter(), why=f"reason {number}")
                else:
                    Desk(own).grant(matter(), valid_until=NOW + 1 + number)
            except DeskProblem:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(decide, range(8))) == [False] * 7 + [True]
    assert ledger.head().position == head + 1


# --- listing ---------------------------------------------------------------------------------


def test_everybodys_requests_are_listed_by_candidate(desk: Desk, ledger: Ledger) -> None:
    """Sorted by code point, the oldest first of each, as known at a position."""
    tell(ledger, failed(AZ, on="2021-05-01T09:00Z", who="C-2"))
    tell(ledger, granted(AZ, on="2021-05-03", who="C-30"))
    desk.request("C-2", asked("X-2", candidate_id="C-2"), now=NOW)
    desk.request(WHO, asked("X-5"), now=NOW, time=at("2021-05-20"))
    before = ledger.head().position
    desk.request(WHO, asked("X-4"), now=NOW, time=at("2021-05-10"))
    tell(ledger, failed(AZ, on="2021-05-03T09:00Z", who="C-4"))

    def listed(position: int, who: str | None = None) -> list[tuple[str, str, str]]:
        found = desk.requests(Moment(NOW, None, position), who)
        return [(each.candidate, each.request_id, each.state) for each in found]

    others = [("C-2", "X-2", "rejected"), ("C-30", "X-1", "granted")]
    both = [(WHO, "X-4", "open"), (WHO, "X-5", "open")]
    assert listed(ledger.head().position) == both + others
    assert listed(before) == [*both[1:], *others]
    assert listed(ledger.head().position, WHO) == both
    assert listed(ledger.head().position, "C-4") == []
    assert listed(0) == []


@pytest.mark.parametrize("state", STATES)
def test_requests_of_one_state_are_those_of_all_that_are_in_it(
    desk: Desk, ledger: Ledger, state: State
) -> None:
    """Open ones too, whoever decided in which order: annulled, or before it was asked for."""
    tell(
        ledger,
        *(
            requested(AZ, on="2021-05-02", reg="R", request=f"X-{n}", who=f"C-{n}")
            for n in (3, 4, 5)
        ),
        granted(AZ, on="2021-05-03", request="X-3", who="C-3"),
        granted(AZ, on="2021-05-03", request="X-4", who="C-4", valid_until="2021-05-10"),
        granted(AZ, on="2021-05-01", request="X-6", who="C-6"),
        annulled("X-3/granted", on="2021-05-04", subject="C-3"),
        requested(AZ, on="2021-05-05", reg="R", request="X-6", who="C-6"),
    )
    head = ledger.head().position
    for at_, position in ((NOW, head), (NOW, head - 1), (at("2021-05-02T12:00Z"), head)):
        moment = Moment(at_, None, position)
        every = [each for each in desk.requests(moment) if each.state == state]
        assert list(desk.requests(moment, state=state)) == every


def test_personal_fields_are_told_in_clear_only_when_asked_for(
    desk: Desk, ledger: Ledger, tmp_path: Path
) -> None:
    """With the candidate's key; erased once that is destroyed, and a sentence without the file."""
    request = desk.request(WHO, asked(), now=NOW).request
    personal = {name: LETTER[name] for name in ("first_name", "last_name", "email", "description")}
    assert desk.clear(request) == personal
    tell(ledger, granted(AZ, on="2021-05-03", request="X-2"))
    without = next(desk.requests(Moment(at("2021-05-03"), None, ledger.head().position), WHO))
    assert (without.request_id, desk.clear(without)) == ("X-2", {})

    with sqlite3.connect(ledger.vault.path) as keys:
        keys.execute("UPDATE keys SET key = NULL")
    keys.close()
    assert desk.clear(request) == {name: {"erased": True} for name in personal}
    ledger.vault.path.unlink()
    with pytest.raises(KeyFileProblem, match="is missing"):
        desk.clear(request)


def test_every_event_of_the_desk_has_a_name() -> None:
    """The ids are part of the contract: a repetition is known by them."""
    types = ("ExceptionRequested", "ExceptionRejected", "ExceptionGranted", "ExceptionRevoked")
    assert [event_id("X-1", type) for type in types] == [
        "exception/X-1/requested",
        "exception/X-1/rejected",
        "exception/X-1/granted",
        "exception/X-1/revoked",
    ]
