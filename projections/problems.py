"""Facts behind an answer that do not fit: none is refused, but a careful reader learns of it."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from operator import attrgetter, lt
from operator import sub as subtract
from typing import Final

from ledger.intake.odd import (
    LATE,
    LATE_RESULT,
    LONG,
    LONG_SITTING,
    RESULT_BEFORE_SITTING,
    SOURCES_DISAGREE,
)
from projections.answers import Problem
from projections.catalogue import Catalogue, in_time, setting_of
from projections.explain import Context, causes
from projections.history import Line
from projections.sentences import listed

UNKNOWN_EXAM: Final = "unknown-exam"
CODES: Final = (
    SOURCES_DISAGREE,
    UNKNOWN_EXAM,
    RESULT_BEFORE_SITTING,
    LONG_SITTING,
    LATE_RESULT,
)
"""In the order in which an answer lists them."""

_NAMED: Final = 5
_RECORDED_AT: Final = attrgetter("recorded_at")
_RESULTS: Final = ("ExamPassed", "ExamFailed", "BetaRescored")
_OUTCOMES: Final = (*_RESULTS, "SittingMissed")


def is_known(c: Context) -> bool:
    """Return whether anything visible is recorded of the candidate, of whatever exam."""
    return c.n > 0 or any(is_visible(c, row) for row in c.history.rows)


def is_visible(c: Context, row: Line) -> bool:
    """Return whether an event of the candidate is visible, and no annulment itself."""
    known = c.q.known
    return (
        row.occurred_at <= c.q.as_of
        and row.position <= known
        and row.annuls is None
        and c.history.annulled.get(row.position, known + 1) > known
    )


def problems_of(c: Context) -> tuple[Problem, ...]:
    """Return what does not fit of the facts that are visible, in the order of CODES."""
    found = list(miscoded(c))
    times, (lo, hi) = c.history.sittings.time, c.history.runs.get(c.exam, (0, 0))
    hi = bisect_right(times, c.q.as_of, lo, hi)
    mine = c.history.sitting_events[lo:hi]
    if is_usual(c, mine, times[lo:hi]):
        return tuple(found)
    events = [row for row in mine if is_visible(c, row)]
    by_key: dict[str | None, list[Line]] = {}
    for row in events:
        by_key.setdefault(row.key, []).append(row)
    found += late(c, events)
    for rows in by_key.values():
        if (texts := disagreement(rows, c.show)) is not None:
            found.append(problem(SOURCES_DISAGREE, *texts))
    for s in range(c.n):
        found += badly_timed(c, s, by_key[c.opened(s).key])
    return tuple(sorted(found, key=lambda each: CODES.index(each.code)))


def is_usual(c: Context, events: Sequence[Line], times: Sequence[int]) -> bool:
    """Return whether a look at the sittings tells that all fit: nearly always.

    None late, none long, and of each one row opened it and, if it has come out, one after that said
    how: no second attempt or result, nor one before the attempt. `events` are those that are true
    by then, with their times.
    """
    sittings, n = c.sittings, c.n
    if n + sum(map(lt, sittings.opened_by[:n], sittings.outcome_row)) < len(events):
        return False
    if any(map(LONG.__lt__, map(subtract, sittings.end[:n], sittings.start))):
        return False
    is_late = any(map(LATE.__lt__, map(subtract, map(_RECORDED_AT, events), times)))
    return not is_late or not late_of(c, events)


def problem(code: str, text: str, because: Iterable[Line]) -> Problem:
    """Make a problem; events are named by their keys."""
    return Problem.trusted(code=code, text=text, because=causes(because))


def miscoded(c: Context) -> Iterator[Problem]:
    """Yield sittings of an exam that nobody announced, whose code is nearly the one asked about."""
    for code in c.history.codes.nearly(c.exam):
        if setting_of(c.catalogue, code, c.q.as_of, c.q.known).definition >= 0:
            continue
        rows = c.history.codes.sittings[code]
        sittings = [row for row in rows if is_visible(c, row)]
        if sittings:
            text = (
                f"There are sittings of {code}, which was not in the catalogue at that time: "
                f"{c.exam} may be meant."
            )
            yield problem(UNKNOWN_EXAM, text, in_time(sittings))


def nearest(code: str, catalogue: Catalogue) -> str | None:
    """Return the code of the catalogue that is most like one that is not in it, if any is."""
    known = {each.casefold(): each for each in sorted(catalogue.exams, reverse=True)}
    found = get_close_matches(code.strip().casefold(), known, n=1, cutoff=0.75)
    return known[found[0]] if found else None


def late_of(c: Context, events: Iterable[Line]) -> list[Line]:
    """Return the events that were recorded long after they were true, but for those moved in."""
    late = [row for row in events if row.recorded_at - row.occurred_at > LATE]
    return [
        row for row, whole in zip(late, c.history.whole(late), strict=True) if not whole.backfilled
    ]


def late(c: Context, events: Sequence[Line]) -> Iterator[Problem]:
    """Yield one problem for all results that were recorded long after they were true."""
    rows = late_of(c, (row for row in events if row.type in _RESULTS))
    if len(rows) == 1:
        text = (
            f"The result of {rows[0].key}, of {c.show(rows[0].occurred_at)}, was recorded on "
            f"{c.show(rows[0].recorded_at)}, more than 30 days later."
        )
        yield problem(LATE_RESULT, text, rows)
    elif rows:
        keys = [f"{row.key}" for row in rows]
        more = [*keys[:_NAMED], f"{len(keys) - _NAMED} more"] if len(keys) > _NAMED else keys
        text = (
            f"The results of {listed(more)} were recorded more than 30 days after they were true."
        )
        yield problem(LATE_RESULT, text, rows)


def disagreement(rows: Sequence[Line], show: Callable[[int], str]) -> tuple[str, list[Line]] | None:
    """Return how sources differ about a sitting, and the events that say so; None if they agree.

    A source says the outcome by its last result or absence, start and delivery by its first
    attempt. `rows` are those of the sitting that are visible, by time and position; `show` writes
    an instant.
    """
    if len({row.source for row in rows}) == 1:
        return None
    last = {row.source: row for row in rows if row.type in _OUTCOMES}
    first = {row.source: row for row in reversed(rows) if row.type == "ExamAttempted"}
    texts: list[str] = []
    because: dict[int, Line] = {}
    for by_source, say in (
        (last, outcome),
        (first, lambda row: f"that it began on {show(row.occurred_at)}"),
        (first, lambda row: "beta" if row.flag else "live"),
    ):
        words = {source: say(row) for source, row in sorted(by_source.items())}
        if len(set(words.values())) > 1:
            texts += [f"{source} says {word}" for source, word in words.items()]
            because |= {row.position: row for row in by_source.values()}
    if not texts:
        return None
    count = len({row.source for row in because.values()})
    many = "Two" if count == 2 else str(count)
    text = f"{many} sources disagree about {rows[0].key}: {', '.join(texts)}."
    return text, [because[n] for n in sorted(because)]


def outcome(result: Line) -> str:
    """Return the outcome that a result, or an absence, states."""
    if result.type == "SittingMissed":
        return "missed"
    if result.type == "BetaRescored":
        return "passed" if result.flag else "failed"
    return "passed" if result.type == "ExamPassed" else "failed"


def badly_timed(c: Context, s: int, rows: Sequence[Line]) -> Iterator[Problem]:
    """Yield what is odd about when a sitting began, ended and had its result."""
    opened, start, end = c.opened(s), c.sittings.start[s], c.sittings.end[s]
    if opened.type != "ExamAttempted":
        return
    early = [row for row in rows if row.occurred_at < start and row.type in _RESULTS]
    if early:
        text = (
            f"The result of {opened.key} is of {c.show(early[0].occurred_at)}, before the sitting "
            f"began on {c.at(s)}."
        )
        yield problem(RESULT_BEFORE_SITTING, text, (*early, opened))
    if end - start > LONG:
        text = f"{opened.key} took more than 7 days: from {c.at(s)} to {c.show(end)}."
        yield problem(LONG_SITTING, text, (opened,))
