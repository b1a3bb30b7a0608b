"""Requests for exceptions as text: what was asked, what became of it, and what is waived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attempt_ledger.cli.history_text import ERASED, UNREADABLE
from attempt_ledger.cli.pages import BAD, GOOD, HEAD, QUIET, WAIT, block, labelled, text
from projections.exceptions import Request
from projections.sentences import Show, listed

_STYLES = {"open": WAIT, "rejected": BAD, "granted": GOOD, "revoked": BAD}

Clear = Mapping[str, str | Mapping[str, bool]]
"""Personal fields in clear text, or why one cannot be read; empty unless they were asked for."""


def requests_page(candidate: str, told: Sequence[tuple[Request, Clear]], show: Show) -> Group:
    """Lay out a candidate's requests below the candidate's id."""
    return block(candidate, *(request_lines(request, clear, show) for request, clear in told))


def request_lines(request: Request, clear: Clear, show: Show) -> Table:
    """Lay out one request: its id and exam, its state, and below that everything else."""
    state = Text.assemble(
        (request.state, _STYLES.get(request.state, QUIET)), f" {show(request.changed_at)}"
    )
    lines: list[RenderableType] = [
        Text.assemble(text(request.exam, HEAD), "  ", state),
        labelled(details(request, clear, show)),
    ]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(text(request.request_id, HEAD), Group(*lines))
    return grid


def details(request: Request, clear: Clear, show: Show) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a request, name by name."""
    if request.requested_at is not None:
        yield "asked", show(request.requested_at)
    if request.reason:
        yield "reason", request.reason
    if request.registration_id:
        yield "sitting", request.registration_id
    if request.waives:
        ends = request.valid_until
        until = "" if ends is None else f", until {show(ends)}"
        yield "waives", f"{listed(request.waives)}{until}"
    if request.used_by is not None:
        yield "used by", request.used_by
    if request.why is not None:
        yield "why", request.why
    for name, value in clear.items():
        unread = UNREADABLE if "unreadable" in value else ERASED
        yield name, value if isinstance(value, str) else unread
    for cause in request.events:
        yield "event", f"{cause.source} {cause.id}"
