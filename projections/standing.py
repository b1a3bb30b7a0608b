"""The standing: what the fold says of one candidate and one exam, with every why."""

from functools import cache
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from projections.answers import PolicyUsed, Sitting, Standing
from projections.catalogue import Catalogue, Judge, setting_of
from projections.explain import Context, reasons_of
from projections.fold.eligible_from import first_eligible
from projections.fold.facts import NEVER, NONE, OUTCOMES, PENDING, Question, room
from projections.fold.rules import ELIGIBLE, STATUSES, overdue_from
from projections.fold.sittings import gather
from projections.history import History
from projections.problems import is_known, problems_of
from projections.sentences import Show, shown_beside
from retake_policies.zones import load_zone


class Moment(NamedTuple):
    """The two axes of a question, resolved."""

    as_of: int
    """Valid time, microseconds UTC."""
    known_at: int | None
    """System time, microseconds UTC; None for an empty ledger."""
    position: int
    """The last position that is known."""


Content: TypeAlias = dict[str, Any]
"""All of a standing that can change while nothing new becomes visible, by its field names."""


def standing_of(
    candidate: str,
    exam: str,
    history: History,
    catalogue: Catalogue,
    moment: Moment,
    show: Show | None = None,
) -> Standing:
    """Fold one candidate's history for one exam at a moment, and say why.

    `history` may hold more than is visible; `catalogue` must hold all of the
    catalogue known at `moment.position`. `show` writes instants in sentences; without one they
    are in UTC, with the clock of the policy's zone beside it where it names another.
    """
    c = judged_for(exam, history, catalogue, moment, show)
    content = content_of(c)
    changes = next_change(c, content)
    eligible_from = first_eligible(c.judged, c.judge)
    return Standing.trusted(
        candidate=candidate,
        exam=exam,
        known=is_known(c),
        as_of=moment.as_of,
        known_at=moment.known_at,
        position=moment.position,
        eligible=c.judged.verdict.status == ELIGIBLE,
        status=content.pop("status"),
        eligible_from=instant_or_null(eligible_from),
        next_change_at=instant_or_null(changes),
        **content,
        problems=problems_of(c),
    )


def judged_for(
    exam: str, history: History, catalogue: Catalogue, moment: Moment, show: Show | None = None
) -> Context:
    """Judge one candidate and exam at a moment, with all that goes into the explanation."""
    lo, hi = history.runs.get(exam, (0, 0))
    q = Question(
        catalogue.exams.get(exam, -1),
        moment.as_of,
        moment.position,
        0,
        len(history.certification_events),
        0,
        len(history.grant_events),
        0,
        len(history.authorization_events),
    )
    sittings = room(hi - lo, q.authorizations_hi, q.certifications_hi)
    n = gather(history.sittings, lo, hi, moment.as_of, moment.position, sittings)
    judge = Judge(catalogue, history.facts, q, sittings, n).at
    judged = judge(moment.as_of)
    if show is None:
        version = judged.verdict.version
        zone = "UTC" if version < 0 else catalogue.published[version].policy.wait.zone
        show = shown_with(zone)
    return Context(exam, moment.as_of, q, judged, sittings, n, history, catalogue, show, judge)


@cache
def shown_with(zone: str) -> Show:
    """Return how sentences write instants where a policy names this zone; the zones are few."""
    return shown_beside(load_zone(zone), zone)


def sittings_of(
    exam: str, history: History, catalogue: Catalogue, moment: Moment
) -> tuple[Sitting, ...]:
    """Return a candidate's sittings of an exam visible at a moment, in (start, position) order."""
    return sittings_in(judged_for(exam, history, catalogue, moment))


def instant_or_null(instant: int) -> int | None:
    """Turn the sentinels into null."""
    return None if instant in (NONE, NEVER) else instant


def next_change(c: Context, content: Content) -> int:
    """Return the first instant after as_of at which anything of the standing would differ.

    `eligible_from` need not be compared: it changes only where the status does.
    """
    verdict, judged = c.judged.verdict, c.judged
    while judged.horizon != NEVER:
        t = judged.horizon
        judged = c.judge(t)
        # Most often the verdict tells; where it does not, another event may still be the cause.
        same = judged.verdict._replace(definition=verdict.definition) == verdict
        if not same or content_of(c._replace(t=t, judged=judged)) != content:
            return t
    return NEVER


def content_of(c: Context) -> Content:
    """Turn a verdict into everything of its standing but the instants ahead."""
    verdict = c.judged.verdict
    blocking, waived = reasons_of(c)
    return {
        "status": STATUSES[verdict.status],
        "sittings_in_series": verdict.in_series,
        "period_ends_at": instant_or_null(verdict.period_end),
        "policy": policy_used(c),
        "reasons": blocking,
        "waived": waived,
        "sittings": sittings_in(c),
    }


def policy_used(c: Context) -> PolicyUsed | None:
    """Name the policy version that a verdict was made with."""
    verdict = c.judged.verdict
    if verdict.version < 0:
        return None
    return c.catalogue.published[verdict.version].used[verdict.assumed]


def sittings_in(c: Context) -> tuple[Sitting, ...]:
    """Describe every sitting of a verdict."""
    rows, events, time = c.sittings, c.history.sitting_events, c.history.sittings.time
    ordinals = rows.ordinal if c.judged.verdict.version >= 0 else [0] * c.n
    columns = rows.opened_by, rows.start, rows.beta, rows.outcome, rows.outcome_row, ordinals
    sitting = Sitting.trusted
    return tuple(
        [
            sitting(
                registration_id=events[opened_by].key or "",
                started_at=start,
                delivery="beta" if beta else "live",
                outcome=OUTCOMES[outcome],
                outcome_at=None if outcome == PENDING else time[row],
                ordinal=ordinal or None,
                counted=ordinal > 0,
            )
            for opened_by, start, beta, outcome, row, ordinal in islice(
                zip(*columns, strict=False), c.n
            )
        ]
    )


def overdue_since(standing: Standing, catalogue: Catalogue) -> int | None:
    """Return since when the pending beta results of a standing are overdue; None if they are not.

    "After that it blocks no longer and is reported as overdue" (spec section 7, reading 2), if that
    is past at as_of. Microseconds UTC. `catalogue` must hold all that is known at its position.
    """
    setting = setting_of(catalogue, standing.exam, standing.as_of, standing.position)
    if setting.version < 0:
        return None
    since = overdue_from(catalogue.published[setting.version].rules, setting.dates)
    return since if since <= standing.as_of else None
