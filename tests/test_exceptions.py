"""What became of a request for an exception: folded from events, at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from plain_values import When, at
from scenarios import (
    CANDIDATE,
    SOURCE,
    Given,
    Line,
    annulled,
    beta,
    exam,
    failed,
    given,
    granted,
    passed,
    policy,
    rejected,
    requested,
    withdrawn,
)

from projections.answers import Cause
from projections.catalogue import policy_at
from projections.exceptions import STATES, Request, requests_of
from projections.fold.facts import WAIVES_CAP, WAIVES_WAIT, Question, room
from projections.fold.grants import waiver_at
from projections.fold.sittings import gather
from projections.fold.verdict import last_start, verdict_at
from projections.standing import Moment

AZ = "AZ-104"
ASKED = (
    exam(AZ),
    exam("AZ-500"),
    failed(AZ, on="2021-05-01T09:00Z", reg="R-1"),
    requested(AZ, on="2021-05-02", reg="R-1"),
)
GRANTED = (*ASKED, granted(AZ, on="2021-05-03", valid_until="2021-06-01"))


def requests(
    story: Given, as_of: When, *, known: int | None = None, who: str = CANDIDATE
) -> tuple[Request, ...]:
    """Fold a candidate's requests as of an instant, as known at a position or by default all."""
    rows = [row for row in story.rows if row.stream == f"candidate/{who}"]
    moment = Moment(at(as_of), None, len(story.rows) if known is None else known)
    return requests_of(who, rows, story.catalogue, moment)


class Case(NamedTuple):
    """One sentence, what is recorded, and the request X-1 as of an instant."""

    says: str
    lines: Sequence[Line]
    as_of: str
    state: str
    said: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default, never changed


CASES = (
    Case("asked and not answered: open", ASKED, "2021-05-02", "open", {"changed_at": "2021-05-02"}),
    Case(
        "what was missing is that of the rejection",
        (*ASKED, rejected(AZ, on="2021-05-02", missing=["email"], why="email is missing.")),
        "2021-05-02",
        "rejected",
        {"missing": ("email",), "why": "email is missing."},
    ),
    Case(
        "before its rejection it was open",
        (*ASKED, rejected(AZ, on="2021-05-04")),
        "2021-05-03T23:59:59.999999Z",
        "open",
    ),
    Case("until the grant it is open", GRANTED, "2021-05-02T23:59:59.999999Z", "open"),
    Case(
        "granted from the grant's own instant",
        GRANTED,
        "2021-05-03",
        "granted",
        {"changed_at": "2021-05-03", "waives": ("wait",), "valid_until": "2021-06-01"},
    ),
    Case("granted until before valid_until", GRANTED, "2021-05-31T23:59:59.999999Z", "granted"),
    Case("expired at valid_until", GRANTED, "2021-06-01", "expired", {"changed_at": "2021-06-01"}),
    Case(
        "a sitting at the grant's own instant uses it",
        (*GRANTED, failed(AZ, on="2021-05-03T00:00Z", reg="R-2")),
        "2021-05-03",
        "used",
        {"used_by": "R-2", "changed_at": "2021-05-03"},
    ),
    Case(
        "a sitting the instant before it does not",
        (*GRANTED, failed(AZ, on="2021-05-02T23:59:59.999999Z", reg="R-2")),
        "2021-05-03",
        "granted",
        {"used_by": None},
    ),
    Case(
        "the first sitting uses it, needed or not, and stays the one",
        (
            *GRANTED,
            passed(AZ, on="2021-05-30T09:00Z", reg="R-2"),
            failed(AZ, on="2021-05-31T09:00Z", reg="R-3"),
        ),
        "2021-07-01",
        "used",
        {"used_by": "R-2", "changed_at": "2021-05-30T09:00Z"},
    ),
    Case(
        "a sitting at valid_until finds it expired",
        (*GRANTED, failed(AZ, on="2021-06-01T00:00Z", reg="R-2")),
        "2021-06-02",
        "expired",
        {"used_by": None, "changed_at": "2021-06-01"},
    ),
    Case(
        "a sitting of another exam leaves it",
        (*GRANTED, failed("AZ-500", on="2021-05-04T09:00Z")),
        "2021-05-05",
        "granted",
    ),
    Case(
        "a sitting of another candidate leaves it",
        (*GRANTED, failed(AZ, on="2021-05-04T09:00Z", who="C-2")),
        "2021-05-05",
        "granted",
    ),
    Case(
        "a beta sitting, which is not counted, leaves it",
        (*GRANTED, beta(AZ, on="2021-05-04T09:00Z")),
        "2021-05-05",
        "granted",
    ),
    Case(
        "revoked from the revocation's own instant",
        (*GRANTED, withdrawn(AZ, on="2021-05-05")),
        "2021-05-05",
        "revoked",
        {"why": "granted in error", "changed_at": "2021-05-05"},
    ),
    Case(
        "revoked it does not expire too",
        (*GRANTED, withdrawn(AZ, on="2021-05-05")),
        "2022-01-01",
        "revoked",
    ),
    Case(
        "granted anew after a revocation: the last holds, on its own terms",
        (
            *GRANTED,
            withdrawn(AZ, on="2021-05-05"),
            granted(AZ, on="2021-05-06", waives=("wait", "cap")),
        ),
        "2022-01-01",
        "granted",
        {"waives": ("wait", "cap"), "valid_until": None, "changed_at": "2021-05-06", "why": None},
    ),
    Case(
        "a sitting between two grants uses the first alone",
        (
            *GRANTED,
            failed(AZ, on="2021-05-04T09:00Z"),
            granted(AZ, on="2021-05-06"),
        ),
        "2021-05-07",
        "granted",
    ),
    Case(
        "a rejection after a grant says nothing, as for the fold",
        (*GRANTED, rejected(AZ, on="2021-05-05")),
        "2021-05-06",
        "granted",
        {"missing": (), "why": None},
    ),
    Case(
        "asked again under the same id after a rejection: open again",
        (*ASKED, rejected(AZ, on="2021-05-03"), requested(AZ, on="2021-05-04", reg="R-9")),
        "2021-05-05",
        "open",
        {"registration_id": "R-9", "requested_at": "2021-05-04", "missing": ()},
    ),
    Case(
        "an annulled grant never was: open again",
        (*GRANTED, annulled("X-1/granted", on="2021-05-10")),
        "2021-05-04",
        "open",
        {"waives": ()},
    ),
    Case(
        "a grant recorded without its request is one all the same",
        (exam(AZ), granted(AZ, on="2021-05-03")),
        "2021-05-03",
        "granted",
        {"requested_at": None, "registration_id": None, "reason": None},
    ),
    Case(
        "of an exam that is not in the catalogue no sitting is counted",
        (granted("NOPE", on="2021-05-03"), failed("NOPE", on="2021-05-04T09:00Z")),
        "2021-05-05",
        "granted",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_a_request_comes_to(case: Case) -> None:
    """Each state begins and ends exactly where the events, or the sittings, say."""
    (request,) = requests(given(*case.lines), case.as_of)
    assert request.state == case.state
    instants = ("changed_at", "requested_at", "valid_until")
    wanted = {
        name: at(value) if name in instants and value is not None else value
        for name, value in case.said.items()
    }
    assert {name: getattr(request, name) for name in wanted} == wanted
    assert Request.model_validate_json(request.model_dump_json()) == request


def test_every_state_has_a_case() -> None:
    """The cases leave no state out."""
    assert {case.state for case in CASES} == set(STATES)


def test_a_whole_request() -> None:
    """Nothing of a request is lost, and nothing personal is told."""
    story = given(*ASKED[:-1], requested(AZ, on="2021-05-02", reg="R-1", email="robin@example.org"))
    (request,) = requests(story, "2021-05-02")
    assert request == Request(
        candidate=CANDIDATE,
        exam=AZ,
        request_id="X-1",
        state="open",
        registration_id="R-1",
        reason="lab-crash",
        requested_at=at("2021-05-02"),
        requested_by=None,
        changed_at=at("2021-05-02"),
        missing=(),
        why=None,
        waives=(),
        valid_until=None,
        used_by=None,
        decided_by=None,
        events=(Cause(source=SOURCE, id="X-1/requested"),),
    )
    assert "robin" not in request.model_dump_json()


def test_what_was_not_recorded_yet_is_not_known() -> None:
    """A grant true on Friday and recorded on Monday is unknown on Sunday."""
    story = given(*GRANTED)
    (before,) = requests(story, "2021-05-10", known=len(story.rows) - 1)
    (after,) = requests(story, "2021-05-10")
    assert (before.state, after.state) == ("open", "granted")


def test_an_annulment_is_known_for_every_as_of_once_it_is_known() -> None:
    """Annulments act on the knowledge axis only."""
    story = given(*ASKED, annulled("X-1/requested", on="2021-08-01"))
    assert [r.state for r in requests(story, "2021-05-02", known=len(story.rows) - 1)] == ["open"]
    assert requests(story, "2021-05-02") == ()


def test_requests_are_apart_by_exam_and_by_id_in_the_order_of_their_first_events() -> None:
    """A request is keyed by (candidate, exam, request_id)."""
    story = given(
        *ASKED,
        requested(AZ, on="2021-05-01", reg="R-1", request="X-2"),
        requested("AZ-500", on="2021-05-03", reg="R-1"),
        granted("AZ-500", on="2021-05-04"),
    )
    found = [(r.exam, r.request_id, r.state) for r in requests(story, "2021-05-05")]
    assert found == [(AZ, "X-2", "open"), (AZ, "X-1", "open"), ("AZ-500", "X-1", "granted")]
    assert requests(story, "2021-05-05", who="C-2") == ()


DAYS = st.integers(1, 12).map(lambda day: f"2021-05-{day:02d}")
TOLD = st.one_of(
    st.builds(failed, st.just(AZ), on=DAYS),
    st.builds(beta, st.just(AZ), on=DAYS),
    st.builds(requested, st.just(AZ), on=DAYS, reg=st.just("R-1")),
    st.builds(rejected, st.just(AZ), on=DAYS),
    st.builds(
        granted,
        st.just(AZ),
        on=DAYS,
        request=st.sampled_from(["X-1", "X-2"]),
        waives=st.sampled_from([("wait",), ("cap",), ("wait", "cap")]),
        valid_until=st.none() | DAYS,
    ),
    st.builds(withdrawn, st.just(AZ), on=DAYS, request=st.sampled_from(["X-1", "X-2"])),
)


@over(st.lists(TOLD, max_size=8), DAYS)
def test_what_is_granted_is_what_the_fold_waives(lines: list[Line], day: str) -> None:
    """The desk's list and the standing never disagree about a grant."""
    story = given(exam(AZ), *lines)
    history = story.history()
    lo, hi = history.runs.get(AZ, (0, 0))
    q = Question(
        story.catalogue.exams[AZ],
        at(day),
        len(story.rows),
        0,
        0,
        0,
        len(history.grant_events),
        0,
        0,
    )
    sittings = room(hi - lo, 0, 0)
    n = gather(history.sittings, lo, hi, q.as_of, q.known, sittings)
    since = last_start(sittings, verdict_at(history.facts, q, sittings, n, q.as_of).walked)
    bits = {"wait": WAIVES_WAIT, "cap": WAIVES_CAP}
    waived, _ = waiver_at(history.facts, q, q.as_of, since, sum(bits.values()))

    told = 0
    for request in requests(story, day):
        for each in request.waives if request.state == "granted" else ():
            told |= bits[each]
    assert told == waived


NEWER = """
id = "general"
effective_from = 2022-01-01T00:00:00Z
"""


def test_the_policy_is_the_one_the_fold_uses() -> None:
    """The desk asks the version in force then, before the first that one, else none."""
    story = given(exam(AZ), exam("NOPE", policy="unpublished"), policy(NEWER, on="2022-01-05"))

    def effective(code: str, as_of: str, known: int | None = None) -> int | None:
        moment = Moment(at(as_of), None, len(story.rows) if known is None else known)
        found = policy_at(story.catalogue, code, moment.as_of, moment.position)
        return found and found.effective_from

    assert effective(AZ, "2021-12-31T23:59:59Z") == at("2021-03-31")
    assert effective(AZ, "2022-01-01") == at("2022-01-01")
    assert effective(AZ, "2022-01-01", known=len(story.rows) - 1) == at("2021-03-31")
    assert effective(AZ, "2020-01-01") == at("2021-03-31")
    assert effective("NOPE", "2022-01-01") is None
    assert effective("never heard of", "2022-01-01") is None
