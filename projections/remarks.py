"""What a reader of a standing sees beside its fields: steps, certifications, corrections, requests.

The standing's fields are a contract that other programs read; pages of text and the console word
these below them. Nothing here works out an end or a use: the fold and the desk's fold did.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from ledger.events import Recorded
from projections.answers import Sitting, Standing
from projections.catalogue import Catalogue
from projections.exceptions import EXCEPTION_TYPES, Request, requests_of
from projections.explain import Context
from projections.fold.certifications import Held, covers, earned_by, last_held, run_end
from projections.fold.facts import NEVER
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.history import SITTING_KINDS, History, Line, history_of
from projections.sentences import Show, listed
from projections.standing import Moment, judged_for, sittings_of


class Remarks(NamedTuple):
    """What there is to say of one standing; each empty where there is nothing."""

    steps: str
    """What must end before the exam may be taken, one after another, if it is more than one."""
    corrected: Mapping[str, str]
    """By registration: the outcome with those that were known before, when and by whom changed."""
    new_series: frozenset[str]
    """The registrations that open a series which is not the first."""
    certifications: Sequence[tuple[str, str]]
    """Those that cover an exam that was passed, where their end frees the pass: id, and words."""
    requests: Sequence[tuple[str, str]]
    """The requests for exceptions of this exam: id, and what became of it, by whom."""
    show: Show
    """How instants of the standing are written."""


def remarks_of(
    standing: Standing, history: History, catalogue: Catalogue, show: Show | None = None
) -> Remarks:
    """Return what there is to say of a standing beside its fields.

    `history` is the candidate's, of the exam at least; `catalogue` must hold all that is known at
    the standing's position. `show` writes instants, as of `standing_of`.
    """
    moment = Moment(standing.as_of, standing.known_at, standing.position)
    c = judged_for(standing.exam, history, catalogue, moment, show)
    requests = _requests(c, standing.candidate, moment)
    return Remarks(
        steps=", then ".join(_step(status, until, c.show) for status, until in _steps(c)),
        corrected=dict(_corrected(c, moment)),
        new_series=frozenset(_new_series(standing.sittings)),
        certifications=tuple(_certifications(c, standing)),
        requests=tuple((each.request_id, request_words(each, c.show)) for each in requests),
        show=c.show,
    )


_STEPS: Final[Mapping[str, str]] = {
    "unknown-exam": "not in the catalogue",
    "not-open": "not open",
    "not-authorized": "no authorization",
    "passed": "the pass",
    "beta-taken": "beta",
    "result-pending": "its result",
    "cap-reached": "the cap",
    "waiting": "the wait",
}
"""What lasts, by status."""
_MOST_STEPS: Final = 50
"""So many changes of a standing are looked at, each at the cost of a verdict."""


def _steps(c: Context) -> list[tuple[str, int]]:
    """Return the statuses up to the first instant of eligibility, each with its end, if several.

    None where the way there is longer than anybody reads.
    """
    found: list[tuple[str, int]] = []
    judged = c.judged
    while judged.verdict.status != ELIGIBLE:
        if len(found) > _MOST_STEPS:
            return []
        status, t = STATUSES[judged.verdict.status], judged.horizon
        found.append((status, t))
        if t == NEVER:
            break
        judged = c.judge(t)
    last = [
        each for each, after in zip_longest(found, found[1:]) if not after or each[0] != after[0]
    ]
    return last if len(last) > 1 else []


def _step(status: str, until: int, show: Show) -> str:
    words = _STEPS.get(status, status)
    return f"{words} until {show(until)}" if until != NEVER else f"{words} without an end"


_MOST_CHANGES: Final = 10
"""So many events that changed an outcome are listed of one sitting, the last ones."""


def _corrected(c: Context, moment: Moment) -> Iterator[tuple[str, str]]:
    """Yield each sitting whose outcome was known otherwise: `failed, corrected on 2022-03-17: …`.

    The same as_of is compared at each position at which a result was recorded or annulled.
    """
    for registration, rows in _several_results(c, moment).items():
        alone = history_of(rows, c.catalogue, c.exam)
        words, last = "", ""
        results = [row for row in rows if row.type != "ExamAttempted"]
        shown = results[
            -_MOST_CHANGES:
        ]  # each costs a fold of the sitting: all would be the square
        said_by = shown[0]
        for row in shown:
            then = moment._replace(position=row.position)
            outcome = next(
                (each.outcome for each in sittings_of(c.exam, alone, c.catalogue, then)), last
            )
            if outcome == last or (outcome == "pending" and row is not shown[-1]):
                continue
            words += f", {_change(row, said_by, outcome, c)}" if words else outcome
            last, said_by = outcome, row
        if words != last:
            more = len(results) - len(shown)
            yield registration, f"of {len(results):,} results the last: {words}" if more else words


def _several_results(c: Context, moment: Moment) -> Mapping[str, Sequence[Recorded]]:
    """Return by registration the events of sittings, by position, that have several results.

    Annulments of them are among the events, and count as results.
    """
    found: dict[str, dict[int, Line]] = {}
    by_position = {row.position: row for row in c.history.rows if row.position <= moment.position}
    for row in by_position.values():
        if row.type in SITTING_KINDS and row.exam == c.exam:
            some = found.setdefault(row.key or "", {})
            some[row.position] = row
            annulment = by_position.get(c.history.annulled.get(row.position, -1))
            if annulment is not None:
                some[annulment.position] = annulment
    several = {key: [some[at] for at in sorted(some)] for key, some in found.items()}
    return {
        key: c.history.whole(rows)
        for key, rows in several.items()
        if sum(row.type != "ExamAttempted" for row in rows) > 1
    }


def _change(row: Recorded, before: Recorded, outcome: str, c: Context) -> str:
    """Return how an event changed an outcome that another said; the date is of its recording."""
    by = f"on {c.show(row.recorded_at)[: len('2022-03-17')]}{by_whom(row.actor)}"
    stands = c.history.annulled.get(before.position, NEVER) > row.position
    if row.source != before.source and stands and row.type not in _CHANGES:
        return f"contradicted by {row.source} {by}: {outcome}"
    return f"{_CHANGES.get(row.type, 'corrected')} {by}: {outcome}"


_CHANGES: Final[Mapping[str, str]] = {
    "BetaRescored": "rescored",
    "ResultRevoked": "withdrawn",
    "EventAnnulled": "annulled",
}
"""How an event of a type changes an outcome; any other corrects it."""


def _new_series(sittings: Sequence[Sitting]) -> Iterator[str]:
    counted = [each for each in sittings if each.counted]
    yield from (each.registration_id for each in counted[1:] if each.ordinal == 1)


def _certifications(c: Context, standing: Standing) -> Iterator[tuple[str, str]]:
    """Yield each certification that covers the exam, by id, where a pass is free at its end."""
    if c.judged.verdict.version < 0 or c.policy.pass_.retake != "after-expiry":
        return
    if all(each.outcome != "passed" for each in standing.sittings):
        return
    facts, i = c.history.facts, c.q.certifications_lo
    while i < c.q.certifications_hi:
        lo, i = i, run_end(facts.certifications, i, c.q.certifications_hi)
        found = last_held(facts.certifications, lo, i, c.t, c.q.known)
        if found.last >= 0 and covers(facts, c.q, lo, i, c.t, c.t):
            yield c.history.certification_events[lo].key or "", _certification_words(c, lo, found)


def _certification_words(c: Context, lo: int, it: Held) -> str:
    rows = c.history.facts.certifications
    first, renewals = earned_by(rows, lo, it.last, c.q.known)
    words = f"earned {c.show(rows.time[first])}"
    if renewals:
        words += f", renewed {c.show(rows.time[it.last])}"
    if it.ends_at == NEVER:
        return f"{words}, does not expire"
    return f"{words}, {'expired' if it.ends_at <= c.t else 'expires'} {c.show(it.ends_at)}"


def _requests(c: Context, candidate: str, moment: Moment) -> Sequence[Request]:
    """Return the requests for exceptions of the exam."""
    rows = [row for row in c.history.rows if row.exam in (c.exam, None)]
    if all(row.type not in EXCEPTION_TYPES for row in rows):
        return ()
    return requests_of(candidate, c.history.whole(rows), c.catalogue, moment)


def request_words(request: Request, show: Show) -> str:
    """Return what became of a request, when and by whom; of an open one, that it is open."""
    at, by = show(request.changed_at), by_whom(request.decided_by)
    sitting = "" if request.registration_id is None else f" for {request.registration_id}"
    ends = "" if request.valid_until is None else f", until {show(request.valid_until)}"
    waives = f"waives {listed(request.waives)}{ends}"
    match request.state:
        case "open":
            words = f"open since {at}{by_whom(request.requested_by)}, to be decided{sitting}"
            return words if request.reason is None else f"{words}: {request.reason}"
        case "granted":
            return f"granted {at}{by}{sitting}: {waives}"
        case "used":
            return f"used by {request.used_by} on {at}, granted{by}{sitting}: {waives}"
        case "expired":
            return f"ran out {at}, granted{by}{sitting}: {waives}"
        case state:
            return f"{state} {at}{by}{sitting}: {request.why}"


def by_whom(actor: str | None) -> str:
    """Return ` by …`, or nothing where no actor is recorded."""
    return "" if actor is None else f" by {actor}"
