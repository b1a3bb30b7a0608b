"""Put back around a verdict's numbers the events that caused them, clause by clause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ledger.events import Recorded
from projections import sentences
from projections.answers import Cause, Reason
from projections.catalogue import Catalogue
from projections.fold import rules as reasons
from projections.fold.calendar import on_from, same_time_after, year_around
from projections.fold.catalogue import Dates, exam_dates, exam_definition, phase
from projections.fold.certifications import NOTHING_HELD, Cover, cover_at, free_again
from projections.fold.facts import (
    IN_BETA,
    NEVER,
    NONE,
    PASSED,
    PENDING,
    RETIRED_AT,
    WAIVES_CAP,
    WAIVES_WAIT,
    WENT_LIVE,
    Question,
    Sittings,
)
from projections.fold.grants import active
from projections.fold.rules import (
    BETA_TAKEN,
    CAP_REACHED,
    NOT_OPEN,
    PASS_STANDS,
    RESULT_PENDING,
    RETIRED,
    STATUSES,
    UNKNOWN_EXAM,
    WAITING,
)
from projections.fold.verdict import Verdict
from projections.fold.walk import CALENDAR_YEAR, FOR_LIFE, ROLLING
from projections.history import History
from projections.sentences import Show
from retake_policies import wording as clauses
from retake_policies.rules import Rules
from retake_policies.schema import Policy


class Scene(NamedTuple):
    """A verdict and everything it was reached with."""

    exam: str
    t: int
    """The instant judged, microseconds UTC."""
    q: Question
    verdict: Verdict
    sittings: Sittings
    n: int
    history: History
    catalogue: Catalogue
    show: Show

    @property
    def policy(self) -> Policy:
        """The policy version the verdict was made with."""
        return self.catalogue.published[self.verdict.version].policy

    @property
    def rules(self) -> Rules:
        """The same as integers."""
        return self.catalogue.published[self.verdict.version].rules

    @property
    def dates(self) -> Dates:
        """The exam's dates by the definition that holds."""
        facts = self.history.facts
        return exam_dates(
            facts.exams, facts.milestones, self.q.exam, self.verdict.definition, self.q.known
        )

    def opened(self, s: int) -> Recorded:
        """Return the event that opened a sitting: its attempt, else its first result."""
        return self.history.sitting_events[self.sittings.opened_by[s]]

    def decided(self, s: int) -> Recorded:
        """Return the event that holds a sitting's outcome."""
        return self.history.sitting_events[self.sittings.outcome_row[s]]

    def counted(self) -> list[int]:
        """Return the counted sittings, in order."""
        return [s for s in range(self.n) if self.sittings.ordinal[s] > 0]


def causes(rows: Iterable[Recorded]) -> tuple[Cause, ...]:
    """Name events by their idempotency keys."""
    return tuple(Cause(source=row.source, id=row.id) for row in rows)


def reason(
    status: int,
    until: int,
    clause: str | None,
    text: str,
    because: Iterable[Recorded],
    expected: tuple[int, ...] | None = None,
) -> Reason:
    """Make one reason; an open end is null."""
    return Reason(
        code=STATUSES[status],
        until=None if until == NEVER else until,
        clause=clause,
        text=text,
        because=causes(because),
        expected=expected,
    )


def reasons_of(scene: Scene) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """Return the reasons that block and those that an exception waives, in order of precedence."""
    v = scene.verdict
    if v.status == UNKNOWN_EXAM:
        return (unknown_exam(scene),), ()
    blocking: list[Reason] = []
    waived: list[Reason] = []
    if v.retired != NONE:
        blocking.append(retired(scene))
    if v.not_open != NONE:
        blocking.append(not_open(scene))
    if v.passed != NONE:
        blocking.append(passed(scene))
    if v.beta_taken != NONE:
        blocking.append(beta_taken(scene))
    if v.result_pending != NONE:
        blocking.append(result_pending(scene))
    for until, bit, explain in (
        (v.cap_reached, WAIVES_CAP, cap_reached),
        (v.waiting, WAIVES_WAIT, waiting),
    ):
        if until != NONE and v.waived & bit:
            waived.append(under_grant(scene, explain(scene), bit))
        elif until != NONE:
            blocking.append(explain(scene))
    return tuple(blocking), tuple(waived)


def unknown_exam(scene: Scene) -> Reason:
    """Explain that the exam, or the policy its entry names, is not in the catalogue."""
    q, catalogue = scene.q, scene.catalogue
    definition = exam_definition(catalogue.definitions, q.exam, scene.t, q.known)
    if definition < 0:
        return reason(UNKNOWN_EXAM, NEVER, None, sentences.unknown_exam(scene.exam, None, None), ())
    entry = catalogue.definition_events[definition]
    policy = str(entry.payload()["policy"])
    unreadable = [
        str(problem)
        for (row, problem), annulled in zip(
            catalogue.unreadable, catalogue.unreadable_annulled, strict=True
        )
        if row.subject == policy and row.position <= q.known < annulled
    ]
    text = sentences.unknown_exam(scene.exam, policy, unreadable[-1] if unreadable else None)
    return reason(UNKNOWN_EXAM, NEVER, None, text, (entry,))


def dated_by(scene: Scene, kind: int) -> Recorded:
    """Return the event that a date of the exam comes from: its milestone, else its entry."""
    rows, q = scene.catalogue.milestones, scene.q
    for i in reversed(range(rows.lo[q.exam], rows.hi[q.exam])):
        if rows.kind[i] == kind and rows.position[i] <= q.known < rows.annulled[i]:
            return scene.catalogue.milestone_events[i]
    return scene.catalogue.definition_events[scene.verdict.definition]


def retired(scene: Scene) -> Reason:
    """Explain `retired` by the event that gives the date."""
    text = sentences.retired(scene.exam, scene.dates.retires_at, scene.show)
    because = dated_by(scene, RETIRED_AT)
    return reason(RETIRED, NEVER, "exam.retires_at", text, (because,))


def not_open(scene: Scene) -> Reason:
    """Explain `not-open` by the earlier of the known dates."""
    until, dates = scene.verdict.not_open, scene.dates
    live = until == dates.live_at
    text = sentences.not_open(scene.exam, until, live, scene.show)
    entry = scene.catalogue.definition_events[scene.verdict.definition]
    because = dated_by(scene, WENT_LIVE) if live else entry
    clause = "exam.live_at" if live else "exam.beta_opens_at"
    return reason(NOT_OPEN, until, clause, text, (because,))


def cover(scene: Scene) -> Cover:
    """Return the certifications that cover the exam at the instant judged."""
    if scene.policy.pass_.retake != "after-expiry":
        return NOTHING_HELD
    return cover_at(scene.history.facts, scene.q, scene.t, scene.t)


def passed(scene: Scene) -> Reason:
    """Explain `passed` by each pass that stands, and the certification that ends last."""
    held, rules = cover(scene), scene.rules
    standing = [
        s
        for s in range(scene.n)
        if scene.sittings.outcome[s] == PASSED
        and not free_again(scene.sittings.start[s], held, rules.retake)
    ]
    because = [scene.decided(s) for s in standing]
    at = because[-1].occurred_at
    if held.row >= 0:
        because.append(scene.history.certification_events[held.row])
    text = sentences.passed(
        scene.exam, at, scene.policy.pass_.retake, held.running_until, scene.show
    )
    return reason(
        PASS_STANDS, scene.verdict.passed, clauses.PASS_RETAKE, text, because
    )  # fmt: skip


def expected(scene: Scene) -> tuple[int, ...]:
    """Return when a pending beta result is usually there; empty while that is not known."""
    live_at, rules = scene.dates.live_at, scene.rules
    if live_at == NEVER:
        return ()
    return tuple(
        on_from(live_at, unit, amount, rules.zone_from, rules.zone_offset)
        for unit, amount in zip(rules.expected_unit, rules.expected_amount, strict=True)
    )


def pending_beta(scene: Scene, s: int) -> str:
    """Say in plain words that a sitting was taken in beta and its result is pending."""
    return sentences.beta_result(
        scene.exam,
        scene.sittings.start[s],
        scene.policy,
        scene.dates.live_at,
        expected(scene),
        scene.dates.live_at <= scene.t,
        scene.show,
    )


def beta_taken(scene: Scene) -> Reason:
    """Explain `beta-taken` by the beta sittings."""
    betas = [s for s in range(scene.n) if scene.sittings.beta[s] == 1]
    pending = [s for s in betas if scene.sittings.outcome[s] == PENDING]
    text = sentences.beta_taken(
        scene.exam, scene.policy, pending_beta(scene, pending[-1]) if pending else None
    )
    return reason(
        BETA_TAKEN,
        scene.verdict.beta_taken,
        clauses.BETA_SITTINGS,
        text,
        [scene.opened(s) for s in betas],
    )


def result_pending(scene: Scene) -> Reason:
    """Explain `result-pending` by the sittings that still wait for a result.

    A live one is the fold's own rule and names no clause of the policy.
    """
    sittings, until = scene.sittings, scene.verdict.result_pending
    in_beta = phase(scene.dates, scene.t) == IN_BETA
    overdue = reasons.overdue_from(scene.rules, scene.dates) <= scene.t
    pending = [
        s
        for s in range(scene.n)
        if sittings.outcome[s] == PENDING and not (sittings.beta[s] and (in_beta or overdue))
    ]
    betas = [s for s in pending if sittings.beta[s]]
    live = [s for s in pending if not sittings.beta[s]]
    said = [sentences.result_pending(scene.exam, sittings.start[s], scene.show) for s in live]
    said += [pending_beta(scene, s) for s in betas]
    if live:
        clause = None
    elif until == NEVER:
        clause = clauses.BETA_RESULTS_AFTER_LIVE
    else:
        clause = clauses.BETA_OVERDUE_AFTER_LIVE
    return reason(
        RESULT_PENDING,
        until,
        clause,
        " ".join(said),
        [scene.opened(s) for s in pending],
        (expected(scene) or None) if betas else None,
    )


def capped_sittings(scene: Scene) -> Sequence[int]:
    """Return the counted sittings that use up the cap of the verdict."""
    c, rules, sittings = scene.verdict.cap, scene.rules, scene.sittings
    counted = scene.counted()
    anchor = rules.cap_anchor[c]
    if anchor == FOR_LIFE:
        return counted
    if anchor == CALENDAR_YEAR:
        first, _ = year_around(scene.t, rules.zone_from, rules.zone_offset)
        return [s for s in counted if sittings.start[s] >= first]
    if anchor == ROLLING:
        unit, amount = rules.cap_unit[c], rules.cap_amount[c]
        zone = rules.zone_from, rules.zone_offset
        return [
            s for s in counted if same_time_after(sittings.start[s], unit, amount, *zone) > scene.t
        ]
    return counted[-scene.verdict.in_series :]


def cap_reached(scene: Scene) -> Reason:
    """Explain `cap-reached` by the sittings that use the cap which ends last."""
    until, cap = scene.verdict.cap_reached, scene.policy.cap[scene.verdict.cap]
    used = capped_sittings(scene)
    text = sentences.cap_reached(
        scene.exam, cap, len(used), scene.sittings.start[used[0]], until, scene.show
    )
    because = [scene.opened(s) for s in used]
    return reason(CAP_REACHED, until, clauses.cap_clause(scene.verdict.cap), text, because)


def waiting(scene: Scene) -> Reason:
    """Explain `waiting` by the last counted sitting."""
    until, wait = scene.verdict.waiting, scene.policy.wait
    last = scene.counted()[-1]
    ordinal = scene.sittings.ordinal[last]
    at = scene.sittings.end[last] if wait.from_ == "end" else scene.sittings.start[last]
    length = wait.after[reasons.wait_entry(scene.rules, ordinal)]
    text = sentences.waiting(ordinal, at, length, until, scene.show)
    clause = clauses.wait_clause(ordinal, len(wait.after))
    return reason(WAITING, until, clause, text, (scene.opened(last),))


def under_grant(scene: Scene, waived: Reason, bit: int) -> Reason:
    """Add to a waived reason the grants that waive it."""
    rows, q = scene.history.facts.grants, scene.q
    grants = [
        i
        for i in range(q.grants_lo, q.grants_hi)
        if rows.waives[i] & bit
        and active(scene.history.facts, q, i, scene.t, scene.sittings, scene.n)
    ]
    text = sentences.waived(waived.text, max(rows.until[i] for i in grants), scene.show)
    events = [scene.history.grant_events[i] for i in grants]
    return waived.model_copy(update={"text": text, "because": waived.because + causes(events)})
