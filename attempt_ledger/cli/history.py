"""`history`: everything recorded of a candidate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from attempt_ledger import clock
from attempt_ledger.cli import pages
from attempt_ledger.cli.clear_text import note_accesses
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import ACTOR, Actor, KnownAt, Output, TokenFile, command
from attempt_ledger.cli.pages import Stack, columns, labelled, page, text
from attempt_ledger.cli.problems import DONE
from attempt_ledger.cli.values import known
from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.models import EVENT_TYPES
from ledger.privacy.vault import ERASED
from projections.catalogue import annulments, in_time
from projections.remarks import by_whom
from projections.sentences import IN_UTC
from projections.standing import Moment
from replay.formats import About
from replay.many import many
from replay.receipts import moment_text
from replay.snapshot import snapshot_at

_SUBJECTS = ("exam", "certification")
_DATE = len("2022-03-17")
_KEYS = ("registration_id", "request_id")


@command(
    "history",
    examples="""
    attempt-ledger history C-1001
    attempt-ledger history C-1001 --known-at 2022-03-12
    attempt-ledger history C-1001 --format json
    attempt-ledger history C-1001 --output history.xlsx
    attempt-ledger --keys /secure/attempts.keys history C-1001 --clear
    """,
)
def history(
    context: typer.Context,
    candidate: Annotated[str, typer.Argument(metavar="CANDIDATE", help="The candidate's id.")],
    known_at: KnownAt = None,
    clear: Annotated[
        bool,
        typer.Option(
            "--clear",
            help="Personal fields in clear text, read with the key file, which is written down "
            "first: see `audit access`. Default: left out.",
        ),
    ] = False,
    actor: Actor = ACTOR,
    tokens: TokenFile = None,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """Show everything recorded of a candidate.

    Annulled events too. Text is a table in the order in which things were true. All other forms
    are in the order in which they were recorded: json and jsonl are CloudEvents, personal fields as
    ciphertext; csv and the like have a row for each event, its data as JSON, personal fields as
    `sealed`. Where those of a forgotten candidate would be shown it says `erased`: {"erased": true}
    in JSON.
    """
    form = form_of(LISTED, format, output)
    now = clock.now()
    call = call_of(context)
    with call.open() as ledger:
        stream = f"candidate/{candidate}"
        moment = snapshot_at(ledger, now, known(known_at), now=now).moment
        events = ledger.stream(stream, upto=moment.position)
        if not events and not ledger.stream(stream):
            raise no_candidate(candidate, ledger)
        forgotten = ledger.is_forgotten(candidate)
        show = clear or (form == "text" and forgotten)
        revealed = {
            event.position: ledger.vault.reveal(event, erased=ERASED) for event in events if show
        }
        if clear and (fields := in_clear(events, revealed)):
            note_accesses(call.path, {candidate: fields}, "history --clear", tokens, actor)

    def objects() -> Iterator[str]:
        for event in events:
            line = to_cloudevent(event)
            yield _with_data(line, revealed[event.position]) if clear else line

    listing = Listing(
        About("Recorded history", (candidate, moment_text(None, moment.known_at, moment.position))),
        lambda: history_page(candidate, events, moment, revealed),
        objects,
        lambda: many("history_rows")(events, annulments(events), revealed, forgotten=forgotten),
        private=clear,
    )
    put_list(listing, form, output)
    return DONE


def in_clear(
    events: Sequence[Recorded], revealed: Mapping[int, Mapping[str, Any]]
) -> tuple[str, ...]:
    """Return the personal fields that are shown in clear text, each once: not those erased."""
    return tuple(
        dict.fromkeys(
            name
            for event in events
            for name, value in revealed[event.position].items()
            if name in EVENT_TYPES[event.type].personal and isinstance(value, str)
        )
    )


def _with_data(line: str, data: object) -> str:
    envelope = json.loads(line)
    envelope["data"] = data
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))


def history_page(
    candidate: str,
    events: Sequence[Recorded],
    moment: Moment,
    revealed: Mapping[int, Mapping[str, Any]],
) -> Stack:
    """Show a candidate's events by (time, position).

    `revealed` has by position the data with personal fields in clear text, where asked for.
    """
    annulled = annulments(events)
    by_position = {event.position: event for event in events}
    rows = [
        (
            str(event.position),
            on_two_lines(event.recorded_at, fine=False),
            on_two_lines(event.occurred_at),
            event_text(
                event,
                revealed.get(event.position) or event.payload(),
                by_position.get(annulled.get(event.position, 0)),
            ),
        )
        for event in in_time(events)
    ]
    table = columns(rows, head=("", "recorded", "true from", "event"), right=(0,), whole=(0, 1, 2))
    known = labelled(list(pages.moment_lines(0, moment.known_at, moment.position, IN_UTC))[1:])
    nothing = text("Nothing was recorded by then.") if not events else None
    return page(text(f"{candidate} (instants in UTC)", pages.HEAD), nothing or table, known)


def on_two_lines(instant: int, *, fine: bool = True) -> str:
    """Write the date above the time of day, to the second unless `fine`."""
    date, _, time = format_instant(instant).rstrip("Z").partition("T")
    return f"{date}\n{time if fine else time[:8]}"


def event_text(event: Recorded, data: Mapping[str, Any], annulment: Recorded | None) -> Stack:
    """Return what an event is, then what its data says, then who recorded it."""
    rest = dict(data)
    head = [event.type, *(str(rest.pop(name)) for name in (*_SUBJECTS, *_KEYS) if name in rest)]
    lines = [text("  ".join(head), pages.BAD if annulment is not None else "")]
    if annulment is not None:
        lines.append(text(f"annulled on {why(annulment)}", pages.BAD))
    words = "; ".join(f"{name} {value}".rstrip() for name, value in details(event.type, rest))
    if words:
        lines.append(text(words))
    actor = "" if event.actor is None else f", by {event.actor}"
    lines.append(text(f"{event.source} {event.id}{actor}", pages.QUIET))
    return Stack(*lines)


def why(annulment: Recorded) -> str:
    """Return when and by whom an event was annulled, at which position, and why."""
    when = f"{format_instant(annulment.recorded_at)[:_DATE]}{by_whom(annulment.actor)}"
    return f"{when}, position {annulment.position}: {annulment.payload()['reason']}"


def details(type: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the fields of the data as words; a personal one that was not revealed is `encrypted`.

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
            unread = pages.UNREADABLE if value.get("unreadable") else "encrypted"
            yield label, pages.ERASED if value.get("erased") else unread
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
