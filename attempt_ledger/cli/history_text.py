"""A candidate's history as a table: when each event was recorded and true, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from attempt_ledger.cli.pages import BAD, HEAD, QUIET, columns, labelled, page, text
from attempt_ledger.cli.standing_text import moment_lines
from ledger.events import EVENT_TYPES, Recorded
from ledger.instants import format_instant
from projections.catalogue import annulments, in_time
from projections.sentences import IN_UTC
from projections.standing import Moment

_SUBJECTS = ("exam", "certification")
_KEYS = ("registration_id", "request_id")
SEALED = "sealed"
ERASED = "erased"
UNREADABLE = "cannot be read: encrypted with another key, or changed"


def history_page(
    candidate: str,
    events: Sequence[Recorded],
    moment: Moment,
    revealed: Mapping[int, Mapping[str, Any]],
) -> Group:
    """Lay out a candidate's events by (time, position).

    `revealed` has by position the data with personal fields in clear text, where asked for.
    """
    annulled = annulments(events)
    by_position = {event.position: event for event in events}
    rows = [
        (
            str(event.position),
            on_two_lines(event.recorded_at, fine=False),
            on_two_lines(event.occurred_at),
            said(
                event,
                revealed.get(event.position) or event.payload(),
                by_position.get(annulled.get(event.position, 0)),
            ),
        )
        for event in in_time(events)
    ]
    table = columns(rows, head=("", "recorded", "true from", "event"), right=(0,), whole=(0, 1, 2))
    known = labelled(list(moment_lines(0, moment.known_at, moment.position, IN_UTC))[1:])
    nothing = text("Nothing was recorded by then.") if not events else None
    return page(text(f"{candidate} (instants in UTC)", HEAD), nothing or table, known)


def on_two_lines(instant: int, *, fine: bool = True) -> str:
    """Write the date above the time of day, to the second unless `fine`."""
    date, _, time = format_instant(instant).rstrip("Z").partition("T")
    return f"{date}\n{time if fine else time[:8]}"


def said(event: Recorded, data: Mapping[str, Any], annulment: Recorded | None) -> Text:
    """Return what an event is, then what its data says, then who recorded it."""
    rest = dict(data)
    head = [event.type, *(str(rest.pop(name)) for name in (*_SUBJECTS, *_KEYS) if name in rest)]
    lines = [text("  ".join(head), BAD if annulment is not None else "")]
    if annulment is not None:
        lines.append(text(f"annulled: {why(annulment)}", BAD))
    words = "; ".join(f"{name} {value}".rstrip() for name, value in details(event.type, rest))
    if words:
        lines.append(text(words))
    actor = "" if event.actor is None else f", by {event.actor}"
    lines.append(text(f"{event.source} {event.id}{actor}", QUIET))
    return Text("\n").join(lines)


def why(annulment: Recorded) -> str:
    """Return who annulled an event, where, and why."""
    actor = "" if annulment.actor is None else f" by {annulment.actor}"
    return f"position {annulment.position}{actor}: {annulment.payload()['reason']}"


def details(type: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of the data as words; a personal one that was not revealed is `sealed`.

    One that nobody can read any more is `erased`; one that the key does not open says so.
    """
    instants = EVENT_TYPES[type].instants
    for name, value in data.items():
        if value is None or value in ([], ""):
            continue
        label = name.replace("_", " ")
        if name == "delivery":
            yield f"{value} sitting", ""
        elif name in EVENT_TYPES[type].personal and isinstance(value, dict):
            unread = UNREADABLE if value.get("unreadable") else SEALED
            yield label, ERASED if value.get("erased") else unread
        elif name in instants:
            yield label, str(value).replace("T", " ").replace("Z", "")
        elif isinstance(value, bool):
            yield label, "yes" if value else "no"
        elif isinstance(value, dict):
            yield label, " ".join(map(str, value.values()))
        elif isinstance(value, list):
            yield label, ", ".join(map(str, value))
        else:
            yield label, str(value)
