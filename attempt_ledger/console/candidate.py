"""The candidate's page: for each exam the answer, a picture, what comes after; and all events."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from attempt_ledger.console.address import Address
from attempt_ledger.console.happenings import Happening, happening
from attempt_ledger.console.knowledge import Knowledge, knowledge_of, thinned
from attempt_ledger.console.picture import Picture, Span, picture_of
from attempt_ledger.console.times import (
    Clock,
    Step,
    distance,
    instant_step,
    position_step,
)
from projections.answers import Sitting, Standing
from projections.catalogue import annulments
from projections.fold.facts import NEVER
from projections.history import History, Line
from projections.remarks import Remarks, remarks_of
from projections.standing import standing_of
from replay.snapshot import Snapshot
from replay.stretches import Stretch, stretches_of

EVENTS: Final = 50
"""So many events a page shows at once."""
CARDS: Final = 12
"""So many exams are drawn; the others are lines that lead to a page of their own."""
DRAWN: Final = 400
"""An exam with more sittings and results than this is answered, not drawn."""
NAMED: Final = 20
"""So many of the events behind an answer are named beside it."""
STEPS: Final = 400
"""So many steps a slider has at most."""


class Slider(NamedTuple):
    """One axis of time: its steps, and where the page is."""

    name: str
    label: str
    steps: Sequence[Step]
    at: int
    """The step that the page is on, from 0."""
    field: str
    before: Step | None
    """One step earlier, None at the first."""
    after: Step | None
    is_now: bool
    now: str
    """What the field shows while the address names no moment on this axis."""


class Card(NamedTuple):
    """One exam."""

    standing: Standing
    remarks: Remarks
    title: str
    headline: str
    when: str
    """The date that the headline names, to be read out; empty without one."""
    beneath: str
    chip: str
    picture: Picture | None
    then: Sequence[str]
    differs: str
    """What is answered for the same instant with all that is known; empty if the same."""
    policy: str
    proofs: Sequence[tuple[str, str, str]]
    """(words, source, id) of events that a reason names, at most NAMED."""
    unnamed: int
    """How many more there are."""


class Page(NamedTuple):
    """All that the template writes."""

    candidate: str
    summary: str
    is_known: bool
    cards: Sequence[Card]
    others: Sequence[Standing]
    as_of: Slider
    known_at: Slider
    looking_back: bool
    knowledge: Knowledge | None
    knowledge_exam: str
    events: Sequence[Happening]
    recorded: int
    """How many events there are."""
    pages: Sequence[int]
    page: int


HEADLINES: Final[Mapping[str, tuple[str, str]]] = {
    "eligible": ("May sit now", ""),
    "waiting": ("Must wait until", "Must wait"),
    "cap-reached": ("No further sitting until", "No further sitting"),
    "passed": ("Passed; may be taken again from", "Passed; cannot be taken again"),
    "beta-taken": ("Beta sitting used; may sit from", "Beta sitting used"),
    "result-pending": ("The result is pending; may sit from", "The result is pending"),
    "not-open": ("Not open yet; may sit from", "Not open yet"),
    "retired": ("Retired; may sit from", "Retired: it cannot be taken any more"),
    "unknown-exam": ("Not in the catalogue until", "Not in the catalogue"),
    "not-authorized": ("Needs an authorization; may sit from", "Needs an authorization"),
}
"""By status: before the date from which the exam may be taken, and without one."""


def page_of(
    snapshot: Snapshot, latest: Snapshot, candidate: str, address: Address, now: int
) -> Page:
    """Make the page of a candidate at a moment.

    `latest` is the same instant with all that is known. Nothing is drawn of an exam with more than
    DRAWN facts, so that ten thousand events do not slow the page.
    """
    clock = address.clock
    history = snapshot.history(candidate)
    # Read and folded once where all that is known is known.
    later = history if snapshot.position == latest.position else latest.history(candidate)
    every = later.rows
    standings = snapshot.standings(candidate, show=clock.show, history=history)
    wanted = address.get("exam")
    if wanted is not None and all(each.exam != wanted for each in standings):
        one = snapshot.standing(candidate, wanted, show=clock.show, history=history)
        standings = (*standings, one)
    ordered = sorted(standings, key=lambda each: (each.exam != wanted, _last(each)))
    lines = {each.exam: _stretches(history, later, snapshot, each.exam) for each in ordered[:CARDS]}
    cards = []
    for each in ordered[:CARDS]:
        present = each
        if later is not history:
            present = latest.standing(candidate, each.exam, show=clock.show, history=later)
        cards.append(_card(snapshot, history, each, present, lines[each.exam], clock))
    as_of, known_at = _sliders(snapshot, latest, every, lines, address, now)
    exam = ordered[0].exam if ordered else ""
    knowledge = None
    if exam and len(every) <= DRAWN:
        learned = [row.position for row in every if row.exam in (exam, None)]
        knowledge = knowledge_of(snapshot, candidate, exam, learned, latest.position)
    annulled = annulments(every)
    by_truth = address.get("order") == "true"
    rows = sorted(every, key=lambda row: (row.occurred_at, row.position)) if by_truth else every
    rows = rows[::-1]
    pages = max((len(rows) + EVENTS - 1) // EVENTS, 1)
    page = min(address.page, pages)
    if (day := address.get("day")) is not None:
        page = _page_of_day(rows, day, clock, by_truth)
    shown = rows[(page - 1) * EVENTS : page * EVENTS]
    return Page(
        candidate=candidate,
        summary=_summary(history, standings, annulled, snapshot, clock),
        is_known=bool(every),
        cards=cards,
        others=ordered[CARDS:],
        as_of=as_of,
        known_at=known_at,
        looking_back=address.get("as_of") is not None or address.get("known_at") is not None,
        knowledge=knowledge,
        knowledge_exam=exam,
        events=[
            happening(row, annulled, snapshot.position, snapshot.as_of)
            for row in later.whole(shown)
        ],
        recorded=len(rows),
        pages=range(1, pages + 1),
        page=page,
    )


def _last(standing: Standing) -> int:
    return -standing.sittings[-1].started_at if standing.sittings else NEVER


def _stretches(
    history: History, later: History, snapshot: Snapshot, exam: str
) -> list[Stretch] | None:
    lo, hi = later.runs.get(exam, (0, 0))  # what was learned later is drawn too
    if hi - lo > DRAWN:
        return None
    return stretches_of(history, snapshot.catalogue, exam, snapshot.position)


def _summary(
    history: History,
    standings: Sequence[Standing],
    annulled: Mapping[int, int],
    snapshot: Snapshot,
    clock: Clock,
) -> str:
    sittings = sum(len(each.sittings) for each in standings)
    words = [_counted(len(standings), "exam"), _counted(sittings, "sitting")]
    if corrected := sum(1 for by in annulled.values() if by <= snapshot.position):
        words.append(_counted(corrected, "correction"))
    if history.rows:
        words.append(f"since {clock.day(min(row.occurred_at for row in history.rows))}")
    return " · ".join(words)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _card(
    snapshot: Snapshot,
    history: History,
    standing: Standing,
    present: Standing,
    stretches: list[Stretch] | None,
    clock: Clock,
) -> Card:
    exam, as_of = standing.exam, standing.as_of
    remarks = remarks_of(standing, history, snapshot.catalogue, clock.show)
    with_date, without = HEADLINES.get(standing.status, ("May sit from", standing.status))
    ahead = standing.eligible_from
    headline = with_date if standing.eligible or ahead is not None else without
    picture = None
    if stretches is not None and standing.sittings:
        known = _every_sitting(history, snapshot, standing)
        learned = [
            each
            for each in present.sittings
            if not any(_same(each, other) for other in standing.sittings)
        ]
        spans = list(_spans(history, exam, snapshot.position))
        picture = picture_of(standing, stretches, known, learned, spans, clock)
    policy = standing.policy
    because = [each for reason in standing.reasons for each in reason.because]
    return Card(
        standing=standing,
        remarks=remarks,
        title=_title(snapshot, exam),
        headline=headline,
        when="" if ahead is None else clock.spoken(ahead),
        beneath=" · ".join(
            [
                *([] if ahead is None else [clock.name, distance(as_of, ahead)]),
                *([remarks.steps] if remarks.steps else []),
            ]
        ),
        chip=standing.status,
        picture=picture,
        then=list(_then(stretches or (), as_of, clock)),
        differs=_differs(standing, present, clock),
        policy="" if policy is None else f"in force since {clock.day(policy.effective_from)}",
        proofs=[(f"{each.source} {each.id}", each.source, each.id) for each in because[:NAMED]],
        unnamed=max(len(because) - NAMED, 0),
    )


def _same(one: Sitting, other: Sitting) -> bool:
    return (one.registration_id, one.started_at, one.outcome) == (
        other.registration_id, other.started_at, other.outcome,
    )  # fmt: skip


def _title(snapshot: Snapshot, exam: str) -> str:
    for row in reversed(snapshot.entries):
        if row.type == "ExamAnnounced" and row.subject == exam:
            return str(row.payload()["title"])
    return ""


def _every_sitting(history: History, snapshot: Snapshot, standing: Standing) -> Sequence[Sitting]:
    """Return every sitting that is known, those too that are not yet true at the moment."""
    later = max((row.occurred_at for row in history.sitting_events), default=0)
    if later <= snapshot.as_of:
        return standing.sittings
    moment = snapshot.moment._replace(as_of=later)
    far = standing_of(
        standing.candidate, standing.exam, history, snapshot.catalogue, moment
    ).sittings
    past = {each.registration_id for each in standing.sittings}
    ahead = [each for each in far if each.registration_id not in past]
    return (*standing.sittings, *ahead)


def _spans(history: History, exam: str, position: int) -> Sequence[Span]:
    """Return the lives of grants and authorizations of an exam, and of certifications."""
    found: dict[tuple[str, str], Span] = {}
    for row in sorted(history.rows, key=lambda row: (row.occurred_at, row.position)):
        if row.position > position or history.annulled.get(row.position, NEVER) <= position:
            continue
        end = NEVER if row.until is None else row.until
        key = row.key or ""
        if row.type in ("CertEarned", "CertRenewed"):
            old = found.get(("certification", key))
            start = row.occurred_at if old is None or old.end <= row.occurred_at else old.start
            found["certification", key] = Span("certification", key, start, end)
        elif row.exam == exam and row.type in ("ExceptionGranted", "AuthorizationGranted"):
            lane = "exception" if row.type == "ExceptionGranted" else "authorization"
            found[lane, key] = Span(lane, key, row.occurred_at, end)
        elif row.type in ("CertExpired", "ExceptionRevoked", "AuthorizationRevoked"):
            lane = {"C": "certification", "E": "exception", "A": "authorization"}[row.type[0]]
            if (old := found.get((lane, key))) is not None and old.end > row.occurred_at:
                found[lane, key] = old._replace(end=row.occurred_at)
    return list(found.values())


def _then(stretches: Sequence[Stretch], as_of: int, clock: Clock) -> Sequence[str]:
    """Return what comes after the answer, on present facts: at most three lines."""
    ahead = [each for each in stretches if each.valid_from > as_of]
    current = next((each.status for each in stretches if each.valid_from <= as_of < each.valid_to),
                   None)  # fmt: skip
    lines = []
    for each in ahead:
        if each.status != current:
            lines.append(f"{each.status} from {clock.spoken(each.valid_from)}")
            current = each.status
    return lines[:3]


def _differs(standing: Standing, present: Standing, clock: Clock) -> str:
    same = (standing.status, standing.eligible_from) == (present.status, present.eligible_from)
    if same:
        return ""
    from_ = "" if present.eligible_from is None else (
        f", eligible from {clock.spoken(present.eligible_from)}"
    )  # fmt: skip
    return f"{present.status}{from_}"


def _sliders(
    snapshot: Snapshot,
    latest: Snapshot,
    every: Sequence[Line],
    lines: Mapping[str, list[Stretch] | None],
    address: Address,
    now: int,
) -> tuple[Slider, Slider]:
    clock, position = address.clock, snapshot.position
    instants = {row.occurred_at for row in every if row.position <= position}
    instants |= {each.valid_from for found in lines.values() for each in found or ()}
    moments = sorted(instants)
    exams = {row.exam for row in every}
    first = every[0].position if every else 0
    entries = [
        row
        for row in latest.entries
        if row.position > first and (row.subject in exams or row.type == "PolicyPublished")
    ]
    rows = sorted({row.position: row for row in (*every, *entries)}.values(), key=_position)
    known = snapshot.moment.known_at
    shown = f"@{position}" + ("" if known is None else f" · {clock.field(known)}")
    positions = [row.position for row in rows]
    return (
        _slider("as_of", "As of", lambda i: instant_step(moments[i], clock), moments,
                snapshot.as_of, clock.field(snapshot.as_of), address),
        _slider("known_at", "Known at",
                lambda i: position_step(positions[i], rows[i].recorded_at, clock), positions,
                position, shown, address),
    )  # fmt: skip


def _position(row: Line) -> int:
    return row.position


def _slider(
    name: str, label: str, step: Callable[[int], Step], values: Sequence[int], at: int, field: str,
    address: Address,
) -> Slider:  # fmt: skip
    """Make one axis: `values` are all its moments, of which its steps may leave some out."""
    steps = [step(i) for i in thinned(range(len(values)), STEPS)]
    exact = bisect_right(values, at) - 1
    lower = exact if exact < 0 or values[exact] < at else exact - 1
    reached = [i for i, each in enumerate(steps) if _value(each, name) <= at]
    return Slider(
        name, label, steps, reached[-1] if reached else 0, field,
        step(lower) if lower >= 0 else None,
        step(exact + 1) if exact + 1 < len(values) else None,
        address.get(name) is None, "now" if name == "as_of" else "all that is known",
    )  # fmt: skip


def _value(step: Step, name: str) -> int:
    return int(step.value[1:]) if name == "known_at" else step.at


def _page_of_day(rows: Sequence[Line], day: str, clock: Clock, by_truth: bool) -> int:
    """Return the page with the last event of a day, or of those before it; the rows fall."""
    for i, row in enumerate(rows):
        at = row.occurred_at if by_truth else row.recorded_at
        if f"{clock.local(at):%Y-%m-%d}" <= day:
            return i // EVENTS + 1
    return max((len(rows) - 1) // EVENTS + 1, 1)
