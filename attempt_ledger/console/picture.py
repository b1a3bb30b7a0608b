"""One exam of a candidate as a picture: sittings and their outcomes on a band of answers over time.

Only numbers and words are made here; a template draws them. The bands are the fold's own stretches,
so that the picture cannot say anything else than the answer beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from attempt_ledger.console.times import DAY, HOUR, Clock
from projections.answers import Sitting, Standing
from projections.fold.facts import NEVER
from replay.stretches import Stretch

WIDTH: Final = 1160
LEFT: Final = 16
RIGHT: Final = WIDTH - 16
_CLOSE: Final = 58
"""Labels nearer to each other than this many units would overlap."""
_WIDE: Final = 8
"""About how many units a letter of a label takes."""


class Band(NamedTuple):
    """A stretch of one answer, or the life of a grant, an authorization or a certification."""

    x: float
    width: float
    kind: str
    label: str
    """Empty where it would not fit."""
    title: str


class Mark(NamedTuple):
    """A sitting: where it began, and its outcome."""

    x: float
    kind: str
    label: str
    title: str
    later: bool
    """Not known at this moment, or known and not yet true."""
    low: bool
    """Its label stands a line lower, out of the way of the one before; it is empty without room."""


class Tick(NamedTuple):
    """A day on the axis."""

    x: float
    label: str


class Lane(NamedTuple):
    """Bands of one kind below each other: grants, authorizations, certifications."""

    name: str
    bands: Sequence[Band]


class Picture(NamedTuple):
    """What is drawn, in units of a drawing that is WIDTH wide."""

    bands: Sequence[Band]
    cap: Band | None
    marks: Sequence[Mark]
    lanes: Sequence[Lane]
    ticks: Sequence[Tick]
    now: float
    """Where the as-of line stands."""
    now_label: str
    eligible: float | None
    eligible_label: str
    label: str
    """What the picture shows, in a sentence for those who do not see it."""
    height: int


class Span(NamedTuple):
    """From when until when something holds; NEVER for no end."""

    lane: str
    name: str
    start: int
    end: int


def picture_of(
    standing: Standing,
    stretches: Sequence[Stretch],
    known: Sequence[Sitting],
    learned: Sequence[Sitting],
    spans: Sequence[Span],
    clock: Clock,
) -> Picture:
    """Make the picture of a standing.

    `known` are all sittings that are known, true already or not; `learned` those that became known
    only later, or are known otherwise by now.
    """
    lo, hi = _window(standing, known, learned)
    scale = (RIGHT - LEFT) / (hi - lo)

    def x(instant: int) -> float:
        return round(LEFT + (min(max(instant, lo), hi) - lo) * scale, 1)

    def band(start: int, end: int, kind: str, label: str) -> Band:
        width = round(x(end) - x(start), 1)
        until = "without end" if end == NEVER else f"until {clock.brief(end)}"
        fits = width > len(label) * _WIDE
        title = f"{label}: from {clock.brief(start)}, {until}"
        return Band(x(start), width, kind, label if fits else "", title)

    shown = [each for each in _by_status(stretches) if each.valid_to > lo and each.valid_from < hi]
    bands = [band(each.valid_from, each.valid_to, each.status, each.status) for each in shown]
    cap = None
    if standing.period_ends_at is not None and standing.sittings:
        used = standing.sittings_in_series
        label = f"{used} sitting{'' if used == 1 else 's'} in the period"
        start = next(
            (each.started_at for each in standing.sittings if each.ordinal == 1),
            standing.sittings[0].started_at,
        )
        begins = [each.started_at for each in standing.sittings if each.ordinal == 1]
        cap = band(begins[-1] if begins else start, standing.period_ends_at, "period", label)
    lanes = [
        Lane(name, [band(s.start, s.end, name, s.name) for s in spans if s.lane == name])
        for name in dict.fromkeys(span.lane for span in spans)
    ]
    lanes = [Lane(lane.name, [each for each in lane.bands if each.width > 0]) for lane in lanes]
    lanes = [lane for lane in lanes if lane.bands]
    ahead = standing.eligible_from
    return Picture(
        bands=[each for each in bands if each.width > 0],
        cap=cap,
        marks=list(_marks(standing, known, learned, lo, hi, x, clock)),
        lanes=lanes,
        ticks=list(_ticks(lo, hi, x, clock)),
        now=x(standing.as_of),
        now_label=f"as of {clock.day(standing.as_of)}",
        eligible=x(ahead) if ahead is not None and lo <= ahead <= hi else None,
        eligible_label="" if ahead is None else clock.brief(ahead),
        label=f"Sittings of {standing.exam} and answers from {clock.day(lo)} to {clock.day(hi)}",
        height=150 + 26 * len(lanes),
    )


def _by_status(stretches: Sequence[Stretch]) -> Iterable[Stretch]:
    """Join stretches of one status, though something else of the answer changes between them."""
    joined: list[Stretch] = []
    for each in stretches:
        if joined and joined[-1].status == each.status:
            joined[-1] = joined[-1]._replace(valid_to=each.valid_to)
        else:
            joined.append(each)
    return joined


def _window(
    standing: Standing, known: Sequence[Sitting], learned: Sequence[Sitting]
) -> tuple[int, int]:
    """Return what time is shown: the series, or the last sittings, and what lies ahead."""
    as_of = standing.as_of
    starts = [each.started_at for each in (*known, *learned)]
    series = max(standing.sittings_in_series, 1)
    behind = [each.started_at for each in standing.sittings][-max(series, 3) :]
    ahead = [standing.eligible_from, standing.next_change_at]
    near = [each for each in ahead if each is not None and each - as_of < 400 * DAY]
    lo = min([*behind, as_of, *([] if behind else starts)])
    hi = max([*near, as_of, *(each for each in starts if 0 < each - as_of < 200 * DAY)])
    pad = max((hi - lo) // 24, 12 * HOUR)
    return lo - pad, hi + 2 * pad


def _marks(
    standing: Standing,
    known: Sequence[Sitting],
    learned: Sequence[Sitting],
    lo: int,
    hi: int,
    x: object,
    clock: Clock,
) -> Iterable[Mark]:
    assert callable(x)
    last = [-_CLOSE, -_CLOSE]  # where the last label of each line stands
    every = [(each, each.started_at > standing.as_of, "") for each in known]
    every += [(each, True, ", learned later") for each in learned]
    for sitting, later, note in sorted(every, key=lambda each: each[0].started_at):
        if not lo <= sitting.started_at <= hi:
            continue
        at = x(sitting.started_at)
        low = at - last[0] < _CLOSE
        room = at - last[low] >= _CLOSE
        if room:
            last[low] = at
        title = (
            f"{sitting.registration_id}, {clock.brief(sitting.started_at)}: {sitting.outcome}{note}"
        )
        yield Mark(at, sitting.outcome, sitting.outcome if room else "", title, later, low)


_STEPS: Final = (1, 2, 7, 14)
_MOST_TICKS: Final = 9


def _ticks(lo: int, hi: int, x: object, clock: Clock) -> Iterable[Tick]:
    """Yield days on the clock of the page: whole days, weeks, months or years, at most nine."""
    assert callable(x)
    begin, end = clock.local(lo), clock.local(hi)
    days = (hi - lo) / DAY
    midnight = lo - (
        (begin.hour * 3600 + begin.minute * 60 + begin.second) * 1_000_000 + begin.microsecond
    )
    step = next((each for each in _STEPS if days / each <= _MOST_TICKS), 0)
    if step:
        for at in range(midnight + step * DAY, hi, step * DAY):
            day = clock.local(at + 2 * HOUR)  # clear of what daylight saving moves
            yield Tick(x(at), f"{day.day} {day:%b}")
        return
    months = (end.year - begin.year) * 12 + end.month - begin.month
    stride = next(
        (each for each in (1, 2, 3, 6, 12) if months / each <= _MOST_TICKS),
        12 * (months // 12 // _MOST_TICKS + 1),
    )
    for month in range(begin.year * 12 + begin.month, end.year * 12 + end.month, 1):
        if month % stride:
            continue
        first = begin.replace(year=month // 12, month=month % 12 + 1, day=1, hour=0, minute=0,
                              second=0, microsecond=0)  # fmt: skip
        label = f"{first:%b %Y}" if stride >= 6 or first.month == 1 else f"{first:%b}"
        yield Tick(x(int(first.timestamp() * 1_000_000)), label)
