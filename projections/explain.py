"""Put a verdict in words: each reason with its sentence, its clause, and the events that cause it.

Nothing here works out an end, a use or a wait: the fold did, and `Judged` tells how.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from ledger.events import Recorded
from projections.answers import Cause, Reason
from projections.catalogue import Catalogue, in_time
from projections.fold import caps, rules
from projections.fold.catalogue import Dates, latest_milestone
from projections.fold.certifications import running_row
from projections.fold.facts import (
    NEVER,
    NONE,
    PENDING,
    RETIRED_AT,
    WENT_LIVE,
    WITHDRAWN,
    Question,
    Sittings,
)
from projections.fold.grants import holds, is_active
from projections.fold.passes import wait_begins
from projections.fold.verdict import Judged, last_start, reasons_in
from projections.history import History, Line
from projections.sentences import Show, span, times
from retake_policies import wording
from retake_policies.durations import say_duration
from retake_policies.rules import Rules
from retake_policies.schema import Policy


class Context(NamedTuple):
    """A verdict, how it was reached, and the events behind its numbers."""

    exam: str
    t: int
    """The instant judged, microseconds UTC."""
    q: Question
    judged: Judged
    sittings: Sittings
    n: int
    history: History
    catalogue: Catalogue
    show: Show
    judge: Callable[[int], Judged]
    """Judges the same at another instant, as_of or later; it writes the ordinals of `sittings`."""

    @property
    def policy(self) -> Policy:
        """The policy version the verdict was made with."""
        return self.catalogue.published[self.judged.setting.version].policy

    @property
    def rules(self) -> Rules:
        """The same as integers."""
        return self.catalogue.published[self.judged.setting.version].rules

    @property
    def dates(self) -> Dates:
        """The exam's dates by the definition that holds."""
        return self.judged.setting.dates

    @property
    def entry(self) -> Recorded:
        """The event that defines the exam."""
        return self.catalogue.definition_events[self.judged.setting.definition]

    def at(self, s: int) -> str:
        """Write when a sitting began."""
        return self.show(self.sittings.start[s])

    def opened(self, s: int) -> Line:
        """Return the event that opened a sitting: its attempt, else its first result."""
        return self.history.sitting_events[self.sittings.opened_by[s]]

    def until(self, status: int) -> int:
        """Return until when a reason holds."""
        return self.judged.verdict.blocks[status]

    def reason(
        self, status: int, clause: str | None, text: str, because: Iterable[Line],
        expected: tuple[int, ...] | None = None,
    ) -> Reason:  # fmt: skip
        """Make a reason that holds; an open end is null, events are named by their keys."""
        until = self.until(status)
        return Reason.trusted(
            code=rules.STATUSES[status],
            until=None if until == NEVER else until,
            clause=clause,
            text=text,
            because=causes(because),
            expected=expected,
        )


def causes(rows: Iterable[Line]) -> tuple[Cause, ...]:
    """Name events by their idempotency keys."""
    return tuple([Cause.trusted(source=row.source, id=row.id) for row in rows])


def reasons_of(c: Context) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """Return the reasons that block and those that an exception waives, in order of precedence."""
    verdict = c.judged.verdict
    blocking, waived = reasons_in(verdict)
    return (
        tuple([EXPLAIN[status](c) for status in blocking]),
        tuple(
            [
                under_grant(c, EXPLAIN[status](c), verdict.waived & rules.WAIVED_BY[status])
                for status in waived
            ]
        ),
    )


def unknown_exam(c: Context) -> Reason:
    """Explain that the exam, or the policy its entry names, is not in the catalogue."""
    if c.judged.setting.definition < 0:
        text = f"{c.exam} was not in the catalogue at that time."
        return c.reason(rules.UNKNOWN_EXAM, None, text, ())
    policy = str(c.entry.payload()["policy"])
    unreadable = [
        problem
        for (row, problem), annulled in zip(
            c.catalogue.unreadable, c.catalogue.unreadable_annulled, strict=True
        )
        if row.subject == policy and row.position <= c.q.known < annulled
    ]
    why = "which had not been published at that time."
    if unreadable:
        why = f"whose published text cannot be read: {unreadable[-1]}"
    text = f"{c.exam} follows the policy {policy}, {why}"
    return c.reason(rules.UNKNOWN_EXAM, None, text, (c.entry,))


def dated_by(c: Context, kind: int) -> Recorded:
    """Return the event that a date of the exam comes from: its milestone, else its entry."""
    row = latest_milestone(c.catalogue.milestones, c.q.exam, kind, c.q.known)
    return c.catalogue.milestone_events[row] if row >= 0 else c.entry


def retired(c: Context) -> Reason:
    """Explain `retired` by the event that gives the date."""
    text = f"{c.exam} was retired on {c.show(c.dates.retires_at)} and cannot be taken any more."
    return c.reason(rules.RETIRED, "exam.retires_at", text, (dated_by(c, RETIRED_AT),))


def not_open(c: Context) -> Reason:
    """Explain `not-open` by the earlier of the known dates."""
    until, start = (
        c.until(rules.NOT_OPEN),
        f"{c.exam} is not open yet: it",
    )
    if until == c.dates.live_at:
        text = f"{start} goes live on {c.show(until)}."
        return c.reason(rules.NOT_OPEN, "exam.live_at", text, (dated_by(c, WENT_LIVE),))
    text = f"{start} opens for beta on {c.show(until)}."
    return c.reason(rules.NOT_OPEN, "exam.beta_opens_at", text, (c.entry,))


def not_authorized(c: Context) -> Reason:
    """Explain `not-authorized` by the last that was said of the exam's authorizations."""
    last = c.judged.authorized.last
    text = f"{c.exam} may be taken only with an authorization"
    if last < 0:
        return c.reason(
            rules.NOT_AUTHORIZED, wording.AUTHORIZATION_REQUIRED, f"{text}; you have none.", ()
        )
    event, rows = c.history.authorization_events[last], c.history.facts.authorizations
    if rows.kind[last] == WITHDRAWN:
        text += f"; yours, {event.key}, was withdrawn on {c.show(event.occurred_at)}."
    elif c.judged.authorized.used:
        served = rows.sittings[last] or c.rules.authorization_sittings
        sittings = "one sitting, which" if served == 1 else f"{served} sittings, which"
        text += f"; yours, {event.key}, was for {sittings} you have taken."
    else:
        text += f"; yours, {event.key}, ended on {c.show(rows.until[last])}."
    return c.reason(rules.NOT_AUTHORIZED, wording.AUTHORIZATION_REQUIRED, text, (event,))


def passed(c: Context) -> Reason:
    """Explain `passed` by each pass that stands, and the certification that ends last.

    Under `after` by the one pass that is free last.
    """
    cover, passing, until = c.judged.cover, c.policy.pass_, c.until(rules.PASS_STANDS)
    stands = [c.judged.walked.passed]
    if passing.retake != "after":
        by, sittings, t = c.rules, c.sittings, c.t
        stands = [s for s in range(c.n) if rules.pass_stands(by, sittings, s, cover, t)]
    because = [c.history.sitting_events[c.sittings.outcome_row[s]] for s in stands]
    text = f"You passed {c.exam} on {c.show(because[-1].occurred_at)}"
    mine = ""
    if cover.running_until != NONE:
        row = running_row(c.history.facts, c.q, c.t, cover.running_until)
        because.append(earned := c.history.certification_events[row])
        mine = f"your certification {earned.key}"
    clause = wording.PASS_RETAKE
    if passing.after:
        clause = wording.PASS_AFTER
        text += f"; a passed exam cannot be taken again for {say_duration(passing.after)}"
        text += f", until {c.show(until)}." if until != NEVER else "."
    elif passing.retake == "never":
        text += "; an exam that was passed cannot be taken again."
    elif cover.running_until == NONE:
        text += (
            "; it can be taken again only after a certification it counts toward has been earned "
            "and has expired."
        )
    elif cover.running_until == NEVER:
        text += f", and {mine} does not expire, so it cannot be taken again."
    else:
        before = f"{mine} expires, on {c.show(cover.running_until)}"
        if passing.before_expiry and until != cover.running_until:
            clause = wording.PASS_BEFORE_EXPIRY
            length = say_duration(passing.before_expiry)
            before = f"{c.show(until)}, which is {length} before {before}"
        text += f"; it cannot be taken again before {before}."
    return c.reason(rules.PASS_STANDS, clause, text, because)


def expected(c: Context) -> tuple[int, ...]:
    """Return when a pending beta result is usually there; empty while that is not known."""
    usual = rules.results_expected(c.rules, c.dates)
    return () if NEVER in usual else usual


def pending_beta(c: Context, s: int) -> str:
    """Return that a beta result is pending and when it usually comes; never that it failed."""
    text = f"You took {c.exam} in beta on {c.at(s)}; the result is pending"
    usual, live_at = c.policy.beta.results_after_live, c.dates.live_at
    if usual is not None:
        text += f", usually {span(*usual)} after the exam goes live"
    if live_at == NEVER:
        return f"{text}. The live date is not known yet."
    if between := expected(c):
        return f"{text}: expected between {' and '.join(map(c.show, between))}."
    return f"{text}. The exam {'went' if live_at <= c.t else 'goes'} live on {c.show(live_at)}."


def beta_taken(c: Context) -> Reason:
    """Explain `beta-taken` by the beta sittings."""
    betas = [s for s in range(c.n) if c.sittings.beta[s] == 1]
    allowed = c.policy.beta.sittings
    text = f"{c.exam} is in beta and may be taken only {times(allowed)} in that time."
    if allowed == 0:
        text = (
            f"{c.exam} is in beta, and no beta sittings are offered; it can be taken once it is "
            "live."
        )
    else:
        pending = [s for s in betas if c.sittings.outcome[s] == PENDING]
        text += f" {pending_beta(c, pending[-1])}" if pending else ""
    return c.reason(rules.BETA_TAKEN, wording.BETA_SITTINGS, text, map(c.opened, betas))


def result_pending(c: Context) -> Reason:
    """Explain `result-pending` by the sittings that still wait for a result.

    A live one is the fold's own rule and names no clause of the policy.
    """
    phase = c.judged.setting.phase
    until = [rules.awaited_until(c.rules, beta, c.dates, phase) for beta in (0, 1)]
    pending = [
        s
        for s in range(c.n)
        if c.sittings.outcome[s] == PENDING and until[c.sittings.beta[s]] > c.t
    ]
    betas = [s for s in pending if c.sittings.beta[s]]
    live = [s for s in pending if not c.sittings.beta[s]]
    texts = [f"The result of your sitting of {c.exam} on {c.at(s)} has not come yet." for s in live]
    texts += [pending_beta(c, s) for s in betas]
    clause: str | None = wording.BETA_OVERDUE_AFTER_LIVE
    if live:
        clause = None
    elif c.until(rules.RESULT_PENDING) == NEVER:
        clause = wording.BETA_RESULTS_AFTER_LIVE
    usual = (expected(c) or None) if betas else None
    return c.reason(rules.RESULT_PENDING, clause, " ".join(texts), map(c.opened, pending), usual)


def cap_reached(c: Context) -> Reason:
    """Explain `cap-reached` by the sittings that use the cap which ends last."""
    verdict, walked = c.judged.verdict, c.judged.walked
    number, cap = verdict.cap, c.policy.cap[verdict.cap]
    by, sittings, t = c.rules, c.sittings, c.t
    used = [s for s in range(c.n) if caps.uses_cap(by, sittings, s, walked, number, t)]
    text = f"You have taken {c.exam} {times(len(used))}"
    allowed = f"the most allowed is {cap.sittings}"
    until = c.until(rules.CAP_REACHED)
    period = say_duration(cap.period) if cap.period else ""
    if cap.anchor == "last-sitting" and not cap.for_life:
        allowed += f", then none for {period} from the last"
    if until != NEVER:
        allowed += f", until {c.show(until)}"
    if cap.for_life:
        text += " in all" if cap.since is None else ""
    elif cap.anchor == "calendar":
        begins = caps.window_begins(c.rules, number, c.t)
        if cap.periods > 1:  # without a date: those that count are others from each boundary on
            text += f" in this period and the {cap.periods - 1} before it"
        elif begins != NONE:
            text += f" in the period that began on {c.show(begins)}"
    else:
        text += {
            "calendar-year": " this calendar year",
            "rolling": f" within {period}",
            "last-sitting": "",
            "first-sitting": f" in the {period} that began with the sitting of {c.at(used[0])}",
        }[cap.anchor]
    text += f"; {allowed}."
    if cap.since is not None:
        text += f" Sittings before {c.show(cap.since)} are not counted."
    return c.reason(rules.CAP_REACHED, wording.cap_clause(number), text, map(c.opened, used))


def waiting(c: Context) -> Reason:
    """Explain `waiting` by the last counted sitting.

    Not that the exam may be taken then: another reason may stand beside this one.
    """
    walked, wait = c.judged.walked, c.policy.wait
    last = walked.last
    at = c.show(wait_begins(c.rules, c.sittings.start[last], c.sittings.end[last]))
    number = rules.wait_number(c.rules, c.sittings, walked.first, last, walked.ordinal, c.n)
    length = say_duration(wait.after[rules.wait_entry(c.rules, number)])
    near = f" within {say_duration(wait.within)}" if wait.within else ""
    until = c.show(c.until(rules.WAITING))
    text = (
        f"After your {wording.ordinal_word(number)} sitting{near}, on {at}, the wait is {length}, "
        f"until {until}."
    )
    clause = wording.wait_clause(number, len(wait.after))
    return c.reason(rules.WAITING, clause, text, (c.opened(last),))


EXPLAIN: Final[Mapping[int, Callable[[Context], Reason]]] = {
    rules.UNKNOWN_EXAM: unknown_exam,
    rules.RETIRED: retired,
    rules.NOT_OPEN: not_open,
    rules.NOT_AUTHORIZED: not_authorized,
    rules.PASS_STANDS: passed,
    rules.BETA_TAKEN: beta_taken,
    rules.RESULT_PENDING: result_pending,
    rules.CAP_REACHED: cap_reached,
    rules.WAITING: waiting,
}
"""Each reason, and its explanation."""


def under_grant(c: Context, waived: Reason, bit: int) -> Reason:
    """Add to a waived reason the grants that waive it."""
    facts, q, since = c.history.facts, c.q, last_start(c.sittings, c.judged.walked)
    grants = [
        i
        for i in range(q.grants_lo, q.grants_hi)
        if facts.grants.waives[i] & bit and is_active(facts, i, c.t, since) and holds(facts, q, i)
    ]
    events = [c.history.grant_events[row] for row in grants]
    ends = max(facts.grants.until[i] for i in grants)
    before = "" if ends == NEVER else f" before {c.show(ends)}"
    text = f"{waived.text} An exception waives this for one sitting{before}."
    because = waived.because + causes(in_time(events))
    return waived.model_copy(update={"text": text, "because": because})
