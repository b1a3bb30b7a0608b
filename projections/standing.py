"""The standing: what the fold says of one candidate and one exam, with every why."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from projections.answers import PolicyUsed, Standing
from projections.catalogue import Catalogue
from projections.explain import Scene, reasons_of
from projections.fold.facts import NEVER, NONE, OUTCOMES, PENDING, Question, room
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.fold.sittings import gather
from projections.fold.verdict import UNKNOWN_VERDICT, Judged, first_eligible, verdict_at
from projections.history import History
from projections.sentences import IN_UTC, Show


class Moment(NamedTuple):
    """The two axes of a question, resolved."""

    as_of: int
    """Valid time, microseconds UTC."""
    known_at: int | None
    """System time, microseconds UTC; None for an empty ledger."""
    position: int
    """The last position that is known."""


Content: TypeAlias = dict[str, Any]
"""All of a standing that can change while nothing new becomes visible, by its field names.

Not yet models: the answer is made of it, nested, by one call, in half the time of making each.
"""


def standing_of(
    candidate: str,
    exam: str,
    history: History,
    catalogue: Catalogue,
    moment: Moment,
    show: Show = IN_UTC,
) -> Standing:
    """Fold one candidate's history for one exam at a moment, and say why.

    `history` may hold more than is visible; `catalogue` must hold all of the
    catalogue known at `moment.position`. `show` writes instants in sentences.
    """
    lo, hi = history.runs.get(exam, (0, 0))
    q = Question(
        catalogue.exams.get(exam, -1),
        moment.as_of,
        moment.position,
        0,
        len(history.certification_events),
        0,
        len(history.grant_events),
    )
    sittings = room(hi - lo)
    n = gather(history.sittings, lo, hi, moment.as_of, moment.position, -1, sittings)
    scene = Scene(exam, moment.as_of, q, UNKNOWN_VERDICT, sittings, n, history, catalogue, show)

    judged = verdict_at(history.facts, q, sittings, n, moment.as_of)
    content = content_of(scene._replace(verdict=judged.verdict))
    eligible_from = first_eligible(history.facts, q, sittings, n, judged)
    return Standing(
        candidate=candidate,
        exam=exam,
        as_of=moment.as_of,
        known_at=moment.known_at,
        position=moment.position,
        eligible=judged.verdict.status == ELIGIBLE,
        eligible_from=instant_or_null(eligible_from),
        next_change_at=instant_or_null(next_change(scene, judged, content)),
        **content,
    )


def instant_or_null(instant: int) -> int | None:
    """Turn the sentinels into null."""
    return None if instant in (NONE, NEVER) else instant


def next_change(scene: Scene, judged: Judged, content: Content) -> int:
    """Return the first instant after as_of at which anything of the standing would differ.

    `eligible_from` need not be compared: it changes only where the status does.
    """
    verdict = judged.verdict
    while judged.horizon != NEVER:
        t = judged.horizon
        judged = verdict_at(scene.history.facts, scene.q, scene.sittings, scene.n, t)
        # Most often the verdict tells; where it does not, another event may still be the cause.
        same = judged.verdict._replace(definition=verdict.definition) == verdict
        if not same or content_of(scene._replace(t=t, verdict=judged.verdict)) != content:
            return t
    return NEVER


def content_of(scene: Scene) -> Content:
    """Turn a verdict into everything of its standing but the instants ahead."""
    verdict = scene.verdict
    blocking, waived = reasons_of(scene)
    return {
        "status": STATUSES[verdict.status],
        "sittings_in_series": verdict.in_series,
        "period_ends_at": instant_or_null(verdict.period_end),
        "policy": policy_used(scene),
        "reasons": blocking,
        "waived": waived,
        "sittings": sittings_said(scene),
    }


def policy_used(scene: Scene) -> PolicyUsed | None:
    """Name the policy version that the verdict was made with."""
    if scene.verdict.version < 0:
        return None
    policy = scene.policy
    return PolicyUsed(
        id=policy.id,
        effective_from=policy.effective_from,
        assumed=scene.verdict.assumed == 1,
        sha256=policy.sha256,
    )


def sittings_said(scene: Scene) -> list[dict[str, Any]]:
    """Describe every sitting, as `Sitting` has it."""
    rows, events = scene.sittings, scene.history.sitting_events
    known = scene.verdict.version >= 0
    said = []
    for s in range(scene.n):
        ordinal = rows.ordinal[s] if known else 0
        outcome = rows.outcome[s]
        said.append(
            {
                "registration_id": events[rows.opened_by[s]].key or "",
                "started_at": rows.start[s],
                "delivery": "beta" if rows.beta[s] else "live",
                "outcome": OUTCOMES[outcome],
                "outcome_at": (
                    None if outcome == PENDING else events[rows.outcome_row[s]].occurred_at
                ),
                "ordinal": ordinal or None,
                "counted": ordinal > 0,
            }
        )
    return said
