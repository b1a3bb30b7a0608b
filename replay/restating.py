"""What has become of an output since: the same question on the latest knowledge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from ledger.events import Recorded
from ledger.instants import format_instant
from projections.standing import Moment
from replay.checking import key_of
from replay.everyone import Everyone
from replay.files.forms import rows_of, write
from replay.outputs import Output, compute
from replay.rows_apart import Row, apart, shortened

_OF = {
    "retakes": ("Exam", "Beta", "Result"),
    "volumes": ("Exam", "Beta", "Result"),
    "sittings": ("Exam", "Beta", "Result"),
    "betas": ("Exam", "Beta", "Result"),
    "exceptions": ("Exception",),
    "expiring": ("Cert",),
    "certifications": ("Cert",),
}
"""How the types of candidates' events begin that can bear on each; on others all of them can."""


class Restated(NamedTuple):
    """What differs on the latest knowledge, and the events recorded since that did it."""

    differs: list[str]
    events: list[str]


def restated(everyone: Everyone, before: Output) -> Restated:
    """Compare an output with the same one on the latest knowledge."""
    head = everyone.ledger.head()
    receipt = before.receipt
    moment = Moment(receipt.as_of or 0, head.recorded_at, head.position)
    after = compute(
        everyone, "report" if receipt.of == "report" else "table", receipt.name, moment,
        receipt.parameters, form="jsonl", basis="restated", program=receipt.program,
    )  # fmt: skip
    if after.receipt.sha256 == receipt.sha256:
        return Restated([], [])
    found = apart(
        rows_in(after), rows_in(before), key_of(before), here="restated", there="as it was"
    )
    events = [told(row) for row in since(everyone, before, head.position, found.rows)]
    return Restated(shortened(found.sentences), shortened(events))


def rows_in(output: Output) -> list[Row]:
    """Give an output's rows as texts, the header first."""
    receipt = output.receipt.model_copy(update={"form": "jsonl"})
    with tempfile.TemporaryFile() as file:
        write(output._replace(receipt=receipt), file)
        return list(rows_of(file, "jsonl"))


def since(
    everyone: Everyone, before: Output, upto: int, rows: list[dict[str, str]]
) -> Iterator[Recorded]:
    """Yield the events recorded since that bear on rows which differ, by position.

    An annulment bears on what it annuls. Catalogue and policy events may bear on any.
    """
    receipt = before.receipt
    by: dict[str, set[str]] = {
        name: {row[name] for row in rows if name in row}
        for name in ("candidate", "exam", "certification")
    }
    kinds = _OF.get(receipt.name)
    for row in everyone.ledger.read(receipt.position, upto):
        about = row
        if row.annuls is not None:
            about = next(iter(everyone.ledger.read(row.annuls - 1, row.annuls)))
        if about.occurred_at > (receipt.as_of or 0) and row.annuls is None:
            continue
        if not about.stream.startswith("candidate/"):
            if about.exam is None or not by["exam"] or about.exam in by["exam"]:
                yield row
            continue
        if kinds is not None and not about.type.startswith(kinds):
            continue
        if by["candidate"] and about.subject not in by["candidate"]:
            continue
        certified = about.type.startswith("Cert")
        if about.exam is not None and by["exam"] and about.exam not in by["exam"]:
            continue
        if certified and by["certification"] and about.key not in by["certification"]:
            continue
        yield row


def told(row: Recorded) -> str:
    """Say what an event is, of whom, when it was true and when it was recorded."""
    stream: Any = row.stream.replace("/", " ", 1)
    return (
        f"@{row.position} {row.type} {row.source} {row.id} of {stream}, true "
        f"{format_instant(row.occurred_at)}, recorded {format_instant(row.recorded_at)}"
    )
