"""What an event changes in a standing: the answer without knowing it, and with it."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import NamedTuple

from ledger.events import Recorded
from projections.catalogue import Catalogue
from projections.fold.certifications import AFTER_EXPIRY
from projections.fold.facts import NEVER, NONE, OUTCOMES, Question, room
from projections.fold.grants import waiver_at
from projections.fold.rules import ELIGIBLE, STATUSES, waivable
from projections.fold.sittings import add_row, comes_before, gather, slot_of
from projections.fold.verdict import (
    Judged,
    blocked_at,
    judged_at,
    last_start,
    reasons_in,
    setting_at,
    verdict_at,
)
from projections.fold.walk import AT_THE_START, walk_on
from projections.history import CERTIFICATION_KINDS, SITTING_KINDS, History, history_of
from projections.standing import instant_or_null
from retake_policies.rules import rules_at


class Seen(NamedTuple):
    """What an auditor looks at in a standing; null where there is none."""

    status: str
    reasons: str | None
    """The codes of all that blocks, in order, with a blank between."""
    waived: str | None
    eligible_from: int | None
    sittings_in_series: int
    period_ends_at: int | None
    outcome: str | None
    """Of the sitting that the event is about; of the last one where it is about none."""


class Change(NamedTuple):
    """What one event does to the standing for one exam."""

    exam: str
    before: Seen
    after: Seen


class CandidateRecord:
    """One candidate's events, up to a position, to be asked what each changed."""

    def __init__(self, rows: Sequence[Recorded], catalogue: Catalogue) -> None:
        """Read all that is recorded of a candidate, by position, and of the catalogue, by then."""
        self.rows = {row.position: row for row in rows}
        self._times = sorted(row.occurred_at for row in rows)
        self._catalogue = catalogue
        self._history = history_of(rows, catalogue)
        self._replays: dict[str, Replay] = {}

    def about(self, row: Recorded) -> Recorded:
        """Return the event that an event is about: of an annulment what it annuls."""
        return row if row.annuls is None else self.rows[row.annuls]

    def exams(self, row: Recorded) -> list[str]:
        """Return the exams whose standings an event may change.

        A certification may cover any exam that the candidate has to do with.
        """
        about = self.about(row)
        if about.type not in CERTIFICATION_KINDS:
            return [] if about.exam is None else [about.exam]
        known = (each.exam for each in self.rows.values() if each.position <= row.position)
        return sorted({exam for exam in known if exam is not None})

    def change(self, row: Recorded, exam: str, as_of: int) -> Change:
        """Compare the standing known just before an event with the one known with it.

        Quick if the events are asked about by position.
        """
        if exam not in self._replays:
            self._replays[exam] = Replay(exam, self._history, self._catalogue)
        replay, sitting = self._replays[exam], self._sitting(row)
        before = replay.at(as_of, row.position - 1, sitting)
        return Change(exam, before, replay.at(as_of, row.position, sitting))

    def first_change(self, row: Recorded, exam: str, until: int) -> int | None:
        """Return the first instant before `until` at which an event changes the standing.

        From when what it is about was true. Between one instant and the next at which either
        standing may differ from itself, neither does.
        """
        t, sitting = self.about(row).occurred_at, self._sitting(row)
        without, within = (Replay(exam, self._history, self._catalogue) for _ in range(2))
        while t < until:
            before = without.at(t, row.position - 1, sitting)
            if before != within.at(t, row.position, sitting):
                return t
            t = min(without.horizon, within.horizon, self._next_event(t))
        return None

    def _sitting(self, row: Recorded) -> str | None:
        about = self.about(row)
        return about.key if about.type in SITTING_KINDS else None

    def _next_event(self, t: int) -> int:
        at = bisect_right(self._times, t)
        return self._times[at] if at < len(self._times) else NEVER


class Replay:
    """The standing of one candidate for one exam at one moment after another.

    A moment that comes after the one before, as in a history, costs what is new in it: sittings are
    added to those that are there, and the walk goes on from where it was. Any other is begun anew.
    """

    def __init__(self, exam: str, history: History, catalogue: Catalogue) -> None:
        """Stand before the first event."""
        self.horizon = NEVER
        """The first instant after the moment at which the standing may differ from itself."""
        self._facts, self._rows = history.facts, history.sittings
        rows, (lo, hi) = self._rows, history.runs.get(exam, (0, 0))
        self._keys = {history.sitting_events[i].key: rows.key[i] for i in range(lo, hi)}
        """The number of each registration."""
        self._coming = sorted(range(lo, hi), key=lambda i: rows.position[i])
        self._ends = sorted({rows.annulled[i] for i in range(lo, hi)} - {NEVER})
        self._run = lo, hi
        self._q = Question(
            catalogue.exams.get(exam, -1), NONE, NONE,
            0, len(history.certification_events), 0, len(history.grant_events),
            0, len(history.authorization_events),
        )  # fmt: skip
        self._sittings, self._n = room(hi - lo, len(history.authorization_events)), 0
        self._known = 0
        """How many rows are known, by position."""
        self._ahead: list[int] = []
        """Those of them that are true only later, by time."""
        self._last = -1
        """The last row that is in the sittings, by time."""
        self._whole = False
        """Whether every registration seen so far is a sitting: what was only revoked is none."""
        self._walks = [AT_THE_START]
        """Where the walk stands before each sitting, as far as it has come."""
        self._walked_by: tuple[object, ...] = ()
        """What the walk depends on besides the sittings."""

    def at(self, as_of: int, position: int, sitting: str | None) -> Seen:
        """Return what is seen at a moment, with the outcome of a sitting, else of the last one."""
        before, self._q = self._q, self._q._replace(as_of=as_of, known=position)
        if as_of < before.as_of or position < before.known or not self._goes_on(before.known):
            self._begin_anew()
        judged = self._judge(as_of)
        verdict, self.horizon = judged.verdict, judged.horizon
        blocking, waived = reasons_in(verdict)
        return Seen(
            status=STATUSES[verdict.status],
            reasons=" ".join(STATUSES[status] for status in blocking) or None,
            waived=" ".join(STATUSES[status] for status in waived) or None,
            eligible_from=instant_or_null(self._first_eligible(judged)),
            sittings_in_series=verdict.in_series,
            period_ends_at=instant_or_null(verdict.period_end),
            outcome=self._outcome(sitting),
        )

    def _goes_on(self, before: int) -> bool:
        """Add what is new; return False where it does not all come after what is there."""
        rows, q = self._rows, self._q
        ended = bisect_right(self._ends, q.known) > bisect_right(self._ends, before)
        if ended or not self._whole:
            return False
        while self._known < len(self._coming) and self._position(self._known) <= q.known:
            insort(self._ahead, self._coming[self._known])
            self._known += 1
        while self._ahead and rows.time[self._ahead[0]] <= q.as_of:
            i = self._ahead.pop(0)
            if q.known < rows.annulled[i] and not self._add(i):
                return False
        return True

    def _position(self, n: int) -> int:
        return self._rows.position[self._coming[n]]

    def _add(self, i: int) -> bool:
        """Add a row to the sittings; return False if they are out of order by it."""
        lo, hi = self._run
        if i < self._last:
            return False
        out, self._last = self._sittings, i
        self._n = add_row(self._rows, i, hi - lo, out, self._n)
        s = out.slot[slot_of(out, self._rows.key[i], hi - lo)]
        del self._walks[s + 1 :]
        return (
            out.opened_by[s] >= 0
            and not (s > 0 and comes_before(out, s, s - 1))
            and not (s + 1 < self._n and comes_before(out, s + 1, s))
        )

    def _begin_anew(self) -> None:
        """Gather all that is visible."""
        rows, q, out, (lo, hi) = self._rows, self._q, self._sittings, self._run
        self._n = gather(rows, lo, hi, q.as_of, q.known, -1, out)
        self._known = bisect_right(self._coming, q.known, key=lambda i: rows.position[i])
        known = self._coming[: self._known]
        self._ahead = sorted(i for i in known if rows.time[i] > q.as_of)
        there = [i for i in known if rows.time[i] <= q.as_of and q.known < rows.annulled[i]]
        self._last = max(there, default=-1)
        self._whole = len({rows.key[i] for i in there}) == self._n
        for h in range(hi - lo):
            out.slot[h] = -1
        for s in range(self._n):
            out.slot[slot_of(out, out.key[s], hi - lo)] = s
        self._walks = [AT_THE_START]

    def _judge(self, t: int) -> Judged:
        """Judge as `verdict_at` does, from where the walk was."""
        facts, q, sittings, n, walks = self._facts, self._q, self._sittings, self._n, self._walks
        setting = setting_at(facts, q, t)
        if setting.version < 0:
            return verdict_at(facts, q, sittings, n, t)
        rules = rules_at(facts.rules, setting.version)
        by = setting.version, *(self._certified(t) if rules.retake == AFTER_EXPIRY else ())
        if by != self._walked_by:
            self._walked_by = by
            del walks[1:]
        for s in range(len(walks) - 1, n):
            walks.append(walk_on(facts, q, rules, sittings, s, s + 1, t, walks[s]))
        blocked = blocked_at(facts, q, rules, sittings, n, t, setting, walks[n])
        since = last_start(sittings, walks[n])
        waiver = waiver_at(facts, q, t, since, waivable(blocked.blocks))
        return judged_at(rules, t, setting, walks[n], blocked, waiver)

    def _certified(self, t: int) -> tuple[object, ...]:
        """Return what a pass's being free again depends on: events and definitions, if visible."""
        certified, defined, known = self._facts.certifications, self._facts.defined, self._q.known
        if not certified.position:
            return ()
        ends = zip(certified.position, certified.annulled, strict=True)
        entries = zip(defined.time, defined.position, defined.annulled, strict=True)
        return (
            [position <= known < annulled for position, annulled in ends],
            [time <= t and position <= known < annulled for time, position, annulled in entries],
        )

    def _first_eligible(self, judged: Judged) -> int:
        """Return what `verdict.first_eligible` does, from where the walk was."""
        t = NONE
        while judged.verdict.status != ELIGIBLE:
            t = judged.soonest
            if t == NEVER:
                break
            judged = self._judge(t)
        return t

    def _outcome(self, sitting: str | None) -> str | None:
        out, (lo, hi), s = self._sittings, self._run, self._n - 1
        if sitting is not None:
            s = out.slot[slot_of(out, self._keys[sitting], hi - lo)] if hi > lo else -1
        return OUTCOMES[out.outcome[s]] if 0 <= s < self._n else None
