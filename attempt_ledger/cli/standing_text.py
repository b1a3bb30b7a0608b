"""A standing as a page of text: the verdict, why, the sittings, and what it was computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attempt_ledger.cli.pages import (
    BAD,
    GOOD,
    HEAD,
    QUIET,
    WAIT,
    block,
    columns,
    labelled,
    page,
    text,
)
from projections.answers import PolicyUsed, Reason, Sitting, Standing
from projections.catalogue import Catalogue
from projections.sentences import Show
from projections.standing import Moment, overdue_since

_OUTCOME_STYLES = {"passed": "green", "failed": "red", "pending": WAIT, "revoked": "red"}


def one_standing(standing: Standing, catalogue: Catalogue, show: Show) -> Group:
    """Lay out one standing; `catalogue` must hold all that is known at its position."""
    overdue = overdue_since(standing, catalogue)
    return page(
        Group(
            text(f"{standing.candidate}, {standing.exam}", HEAD),
            Text.assemble(verdict(standing), f" {when(standing, show)}".rstrip()),
        ),
        reasons("Why", standing.reasons, standing.policy, show),
        reasons("Waived by an exception", standing.waived, standing.policy, show),
        sittings(standing, overdue, show),
        labelled(footer(standing, show)),
    )


def all_standings(
    candidate: str,
    standings: Sequence[Standing],
    catalogue: Catalogue,
    moment: Moment,
    show: Show,
) -> Group:
    """Lay out a candidate's standings in short: each verdict and its sentences."""
    asked = labelled(moment_lines(moment.as_of, moment.known_at, moment.position, show))
    if not standings:
        nothing = f"{candidate} has no sitting that is visible then; name an exam to ask about it."
        return page(text(nothing), asked)
    return page(
        text(candidate, HEAD),
        *(in_short(each, overdue_since(each, catalogue), show) for each in standings),
        asked,
    )


def in_short(standing: Standing, overdue: int | None, show: Show) -> Group:
    """Return the verdict and its sentences."""
    line = Text.assemble(
        text(standing.exam, HEAD), "  ", verdict(standing), f" {when(standing, show)}".rstrip()
    )
    said = [reason.text for reason in (*standing.reasons, *standing.waived)]
    if overdue is not None and any(is_awaited_beta(each) for each in standing.sittings):
        said.append(f"Taken in beta, result overdue since {show(overdue)}.")
    return Group(line, *(Padding(text(sentence), (0, 0, 0, 2)) for sentence in said))


def verdict(standing: Standing) -> Text:
    """Say eligible or not, and the first reason."""
    if standing.eligible:
        return Text("Eligible, by an exception." if standing.waived else "Eligible.", GOOD)
    return Text(f"Not eligible: {standing.status.replace('-', ' ')}.", BAD)


def when(standing: Standing, show: Show) -> str:
    """Return from when, or that on these facts there is no such day."""
    if standing.eligible:
        return ""
    if standing.eligible_from is None:
        return "On these facts there is no day from which it may be taken."
    return f"Eligible from {show(standing.eligible_from)}."


def reasons(
    heading: str, listed: Sequence[Reason], policy: PolicyUsed | None, show: Show
) -> Group | None:
    """Lay out reasons: the sentence, then where it comes from and what caused it."""
    if not listed:
        return None
    return block(heading, *(reason(each, policy, show) for each in listed))


def reason(reason: Reason, policy: PolicyUsed | None, show: Show) -> Table:
    """Lay out one reason below its sentence."""
    lines: list[RenderableType] = [text(reason.text)]
    details: list[tuple[str, str]] = []
    if reason.until is not None:
        details.append(("until", show(reason.until)))
    if reason.expected is not None:
        details.append(("expected", " to ".join(map(show, reason.expected))))
    if reason.clause is not None:
        details.append(("rule", f"{reason.clause}{_of(policy, reason.clause, show)}"))
    details += [("event", f"{cause.source} {cause.id}") for cause in reason.because]
    if details:
        lines.append(labelled(details))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(reason.code, WAIT), Group(*lines))
    return grid


def _of(policy: PolicyUsed | None, clause: str, show: Show) -> str:
    if policy is None or clause.startswith("exam."):
        return ""
    return f" of {policy.id}, effective from {show(policy.effective_from)}"


def sittings(standing: Standing, overdue: int | None, show: Show) -> Group:
    """Lay out the sittings, each with its ordinal if it is counted."""
    if not standing.sittings:
        return block("Sittings", text("none"))
    rows = [
        (
            "-" if each.ordinal is None else str(each.ordinal),
            show(each.started_at),
            outcome(each, overdue, show),
            each.registration_id,
        )
        for each in standing.sittings
    ]
    return block(
        "Sittings",
        columns(rows, head=("nth", "started", "outcome", "registration"), right=(0,)),
        text(series(standing, show), QUIET),
    )


def outcome(sitting: Sitting, overdue: int | None, show: Show) -> Text:
    """Return how a sitting ended; a beta without a result is pending or overdue, never failed."""
    words = sitting.outcome
    if words == "pending":
        words = "result pending"
        if overdue is not None and is_awaited_beta(sitting):
            words = f"result overdue since {show(overdue)}"
    elif sitting.outcome_at not in (None, sitting.started_at):
        words += f" {show(sitting.outcome_at or 0)}"
    beta = "beta, " if sitting.delivery == "beta" else ""
    return text(f"{beta}{words}", _OUTCOME_STYLES[sitting.outcome])


def is_awaited_beta(sitting: Sitting) -> bool:
    """Return whether it is a beta sitting whose result has not come."""
    return sitting.delivery == "beta" and sitting.outcome == "pending"


def series(standing: Standing, show: Show) -> str:
    """Return how far the series is, and until when its period runs."""
    count = standing.sittings_in_series
    if count == 0:
        return "A sitting now would be the first of a new series."
    ends = standing.period_ends_at
    period = "" if ends is None else f", in the period that ends {show(ends)}"
    return f"{count} in the series{period}."


def footer(standing: Standing, show: Show) -> Iterator[tuple[str, str]]:
    """Yield what comes next, and what the answer was computed from."""
    if standing.next_change_at is not None:
        yield "next change", show(standing.next_change_at)
    yield from moment_lines(standing.as_of, standing.known_at, standing.position, show)
    policy = standing.policy
    if policy is not None:
        assumed = ", assumed before its first day" if policy.assumed else ""
        yield "policy", f"{policy.id}, effective from {show(policy.effective_from)}{assumed}"
        yield "sha256", policy.sha256


def moment_lines(
    as_of: int, known_at: int | None, position: int, show: Show
) -> Iterator[tuple[str, str]]:
    """Yield which moment was asked about."""
    yield "as of", show(as_of)
    known = "before any event" if known_at is None else show(known_at)
    yield "known at", f"{known}, position {position}"
