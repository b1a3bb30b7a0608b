"""The standing of one candidate for one exam at one moment after another, each from the last."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Final, NamedTuple

from projections.answers import Sitting
from projections.catalogue import Catalogue
from projections.fold.ahead import (
    MOST,
    count_alike,
    forget,
    room_ahead,
    walked_ahead,
)
from projections.fold.covers import edition, learned_from
from projections.fold.eligible_from import first_eligible
from projections.fold.facts import (
    NEVER,
    NONE,
    NOT_BY_SITTING,
    OUTCOMES,
    PENDING,
    Question,
    Sittings,
    room,
)
from projections.fold.rules import (
    STATUSES,
    waivable,
)
from projections.fold.sittings import add_row, begin, outcome_of
from projections.fold.verdict import (
    Judged,
    Setting,
    blocked_at,
    judged_at,
    last_start,
    reasons_in,
    setting_at,
    verdict_at,
)
from projections.fold.walk import AT_THE_START, Walked, walk_on
from projections.history import History
from projections.standing import instant_or_null
from replay.audit.carried import Coming, Grants
from retake_policies.rules import Rules, rules_at

STRIDE: Final = 8
"""Where the walk stands is noted after so many sittings."""


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


class Playback:
    """The standing of one candidate for one exam at one moment after another.

    A moment that comes after the one before, as in a history, costs what is new in it: a fact
    changes its own sitting, or its own request, and the walk goes on from there. One that comes
    before is begun anew.
    """

    def __init__(self, exam: str, history: History, catalogue: Catalogue) -> None:
        """Stand before the first event."""
        self.horizon = NEVER
        """The first instant after the moment at which the standing may differ from itself."""
        self.setting: Setting
        """What catalogue and policies say at the moment."""
        self._history, self._facts, self._rows = history, history.facts, history.sittings
        number = catalogue.exams.get(exam, -1)
        self._q = Question(
            number, NONE, NONE,
            0, len(history.certification_events), 0, len(history.grant_events),
            0, len(history.authorization_events),
        )  # fmt: skip
        rows, (lo, hi) = self._rows, history.runs.get(exam, (0, 0))
        self._keys = {history.sitting_events[i].key: rows.key[i] for i in range(lo, hi)}
        """The number of each registration."""
        self._coming = Coming(rows, range(lo, hi))
        self._grants = Grants(self._facts, number)
        self._walked_by = -1, 0
        """What the walk depends on besides the candidate's facts: the rules, and definitions."""
        self._kept = room_ahead(len(catalogue.published))
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget all that was visible."""
        self._coming.begin_anew()
        self._grants.begin_anew()
        self._own: dict[int, tuple[list[int], Sittings]] = {}
        """Of each registration its visible rows, and the sitting that they make, alone."""
        self._order: list[int] = []
        """The row that opened each sitting: their order."""
        self._sittings = room(0, self._q.authorizations_hi, self._q.certifications_hi)
        self._columns = [
            column
            for name, column in self._sittings._asdict().items()
            if name not in NOT_BY_SITTING
        ]
        self._walks = [AT_THE_START]
        """Where the walk stands before each `STRIDE`th sitting, as far as it has come."""
        self._walked = 0
        """Over how many sittings it went."""
        forget(self._kept)

    def at(self, as_of: int, position: int, sitting: str | None) -> Seen:
        """Return what is seen at a moment, with the outcome of a sitting, else of the last one."""
        return self.seen(self.stand(as_of, position), sitting)

    def stand(self, as_of: int, position: int) -> Judged:
        """Go to a moment and judge there; see `verdict_at`."""
        before, self._q = self._q, self._q._replace(as_of=as_of, known=position)
        if as_of < before.as_of or position < before.known:
            self._begin_anew()
        self._go_on()
        judged = self._judge(as_of)
        self.horizon, self.setting = judged.horizon, judged.setting
        return judged

    def seen(self, judged: Judged, sitting: str | None) -> Seen:
        """Return what is seen of where it stands, with the outcome of a sitting or the last one."""
        verdict = judged.verdict
        blocking, waived = reasons_in(verdict)
        s = len(self._order) - 1 if sitting is None else self._place(sitting)
        return Seen(
            status=STATUSES[verdict.status],
            reasons=" ".join(STATUSES[status] for status in blocking) or None,
            waived=" ".join(STATUSES[status] for status in waived) or None,
            eligible_from=instant_or_null(first_eligible(judged, self._judge)),
            sittings_in_series=verdict.in_series,
            period_ends_at=instant_or_null(verdict.period_end),
            outcome=None if s < 0 else OUTCOMES[self._sittings.outcome[s]],
        )

    def made_of(self, registration: str | None) -> tuple[int, ...] | None:
        """Return all that a sitting's visible rows come to, for now and for rows after them.

        None where none of them is visible.
        """
        mine, own = self._own.get(self._keys.get(registration, -1), ([], alone()))
        if not mine:
            return None
        opened_by, result = own.opened_by[0], own.result_row[0]
        return (
            own.start[0], own.end[0], own.beta[0], own.outcome[0],
            -1 if opened_by < 0 else self._rows.kind[opened_by],
            -1 if result < 0 else outcome_of(self._rows.kind[result], self._rows.flag[result]),
        )  # fmt: skip

    def sitting(self, registration: str) -> Sitting | None:
        """Return a sitting that is visible where it stands, by its registration."""
        s = self._place(registration)
        return None if s < 0 else self._described(s)

    def used(self, since: int, until: int) -> Sitting | None:
        """Return the sitting that used a grant made at `since`, where it stands; see `used_by`."""
        out, n = self._sittings, len(self._order)
        s = bisect_left(out.start, since)
        while s < n and out.ordinal[s] == 0:
            s += 1
        return self._described(s) if s < n and out.start[s] < until else None

    def _described(self, s: int) -> Sitting:
        out, events = self._sittings, self._history.sitting_events
        outcome = out.outcome[s]
        return Sitting.trusted(
            registration_id=events[out.opened_by[s]].key or "",
            started_at=out.start[s],
            delivery="beta" if out.beta[s] else "live",
            outcome=OUTCOMES[outcome],
            outcome_at=None if outcome == PENDING else events[out.outcome_row[s]].occurred_at,
            ordinal=out.ordinal[s] or None,
            counted=out.ordinal[s] > 0,
        )

    def _place(self, registration: str) -> int:
        """Return which of the sittings a registration is, -1 for none."""
        _, own = self._own.get(self._keys.get(registration, -1), ([], None))
        return -1 if own is None or not is_there(own) else bisect_left(self._order, ordered(own))

    def _go_on(self) -> None:
        """Take in what is newly visible, and take out what is newly annulled."""
        fresh, gone = self._coming.between(self._q)
        for i in gone:
            self._change(i, visible=False)
        for i in fresh:
            self._change(i, visible=True)
        self._grants.go_on(self._q)
        # A certification bears on the walk of sittings after it was earned, renewed or expired.
        first = learned_from(self._facts, self._q, self._sittings.covers)
        self._walk_from(bisect_left(self._sittings.start, first))

    def _change(self, i: int, *, visible: bool) -> None:
        """Make the sitting of a row anew, with the row or without it."""
        rows, key = self._rows, self._rows.key[i]
        mine, own = self._own.setdefault(key, ([], alone()))
        before = ordered(own) if is_there(own) else None
        if visible and (not mine or i > mine[-1]):
            mine.append(i)
            add_row(rows, i, 0, own)  # a later row only adds to what is there
        else:
            if visible:
                insort(mine, i)
            else:
                mine.remove(i)
            own = alone()
            self._own[key] = mine, own
            for j in mine:
                add_row(rows, j, 0, own)
        self._put(before, own)

    def _put(self, before: int | None, own: Sittings) -> None:
        """Put a sitting into its place among all, from the one that it had."""
        after = ordered(own) if is_there(own) else None
        if before != after and before is not None:
            s = bisect_left(self._order, before)
            del self._order[s]
            self._move_from(s)
            for column in self._columns:
                del column[s]
        if after is None:
            return
        s = bisect_left(self._order, after)
        self._walk_from(s)
        if before != after:
            self._order.insert(s, after)
            self._move_from(s)
            for column in self._columns:
                column.insert(s, 0)
        ordinal = self._sittings.ordinal[s]
        for column, (value, *_) in zip(self._columns, own, strict=False):
            column[s] = value
        self._sittings.ordinal[s] = ordinal  # as the walk gave it; what it gives now is compared

    def _move_from(self, s: int) -> None:
        """Let the sittings from one on stand elsewhere, and be walked and served again."""
        self._walk_from(s)
        recounted = self._sittings.served.recounted
        recounted[0] = min(recounted[0], s)

    def _walk_from(self, s: int) -> None:
        """Let the walk of a sitting, and of those after it, be done again."""
        del self._walks[s // STRIDE + 1 :]
        self._walked = min(self._walked, s)
        if s < self._kept.of[MOST]:
            forget(self._kept)

    def _judge(self, t: int) -> Judged:
        """Judge as `verdict_at` does, from where the walk was."""
        facts, q, sittings = self._facts, self._q, self._sittings
        n = len(self._order)
        setting = setting_at(facts, q, t)
        if setting.version < 0:
            return verdict_at(facts, q, sittings, n, t)
        rules = rules_at(facts.rules, setting.version)
        number, main = facts.versions.alike[setting.version], self._walked_by[0]
        by = number, edition(facts, q, rules, sittings.covers, t)
        comes = t > q.as_of and self._walked == n and number != main
        if comes and main >= 0 and count_alike(facts, number, main):
            walked = walked_ahead(facts, q, rules, sittings, self._kept, *by, n, t)
        else:
            walked = self._walk(rules, by, t)
        blocked = blocked_at(facts, q, rules, sittings, n, t, setting, walked)
        since = last_start(sittings, walked)
        waiver = self._grants.waiver_at(t, since, waivable(blocked.blocks))
        return judged_at(rules, t, setting, walked, blocked, waiver)

    def _walk(self, rules: Rules, by: tuple[int, int], t: int) -> Walked:
        """Walk all sittings, from where the walk was if it was by the same."""
        walks, n = self._walks, len(self._order)
        if by != self._walked_by:
            self._walked_by = by
            del walks[1:]
        s = (len(walks) - 1) * STRIDE
        walked = walks[-1]
        while s < n:
            end = min(s + STRIDE, n)
            walked = walk_on(self._facts, self._q, rules, self._sittings, s, end, t, walked)
            if end == s + STRIDE:
                walks.append(walked)
            s = end
        self._walked = n
        return walked


def alone() -> Sittings:
    """Make room for one sitting of which nothing is known yet."""
    own = room(1, 0, 0)
    begin(0, own)
    return own


def is_there(own: Sittings) -> bool:
    """Return whether there is a sitting: a revoked result alone makes none."""
    return own.opened_by[0] >= 0


def ordered(own: Sittings) -> int:
    """Return what a sitting is ordered by among all: the row that opened it."""
    return own.opened_by[0]
