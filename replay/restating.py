"""What has become of an output since: the same question on the latest knowledge."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from ledger.events import Recorded
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.checking import event_line, key_of
from replay.outputs import Output, compute, rows_of, write
from replay.receipts import Receipt
from replay.row_diff import Row, compare_rows, shortened
from replay.snapshot import Snapshot

_SAT = ("Exam", "Beta", "Result", "Cert")
"""A certification that lapses begins a new series, and so decides what is a retake."""
_OF = {
    "retakes": _SAT,
    "volumes": _SAT,
    "sittings": _SAT,
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


def restated(snapshot: Snapshot, before: Output) -> Restated:
    """Compare an output with the same one on the latest knowledge."""
    head = snapshot.ledger.head()
    receipt = before.settled
    moment = Moment(receipt.as_of or 0, head.recorded_at, head.position)
    after = compute(
        snapshot.at(moment), "table" if receipt.of == "events" else receipt.of, receipt.name,
        receipt.parameters, program=receipt.program,
    )  # fmt: skip
    if after.settled.sha256 == receipt.sha256:
        return Restated([], [])
    found = compare_rows(
        rows_in(after), rows_in(before), key_of(before),
        here="restated", there="as it was", most=None,
    )  # fmt: skip
    events = [event_line(row) for row in since(snapshot.ledger, receipt, head.position, found.rows)]
    return Restated(shortened(found.sentences), shortened(events))


def rows_in(output: Output) -> list[Row]:
    """Return an output's rows as texts, the header first."""
    receipt = output.receipt.model_copy(update={"form": "jsonl"})
    with tempfile.TemporaryFile() as file:
        write(output._replace(receipt=receipt), file)
        return list(rows_of(file, "jsonl"))


def since(
    ledger: Ledger, receipt: Receipt, upto: int, rows: Iterable[Mapping[str, str]]
) -> Iterator[Recorded]:
    """Yield the events recorded since that bear on rows which differ, by position.

    An annulment bears on what it annuls. Catalogue and policy events may bear on any.
    """
    rows = list(rows)
    if receipt.of == "audit":
        yield from _about_the_same(ledger, receipt, upto, rows)
        return
    by: dict[str, set[str]] = {
        name: {row[name] for row in rows if name in row}
        for name in ("candidate", "exam", "certification")
    }
    kinds = _OF.get(receipt.name)
    for row in ledger.read(receipt.position, upto):
        about = row if row.annuls is None else ledger.event(row.annuls) or row
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


def _about_the_same(
    ledger: Ledger, receipt: Receipt, upto: int, rows: Iterable[Mapping[str, str]]
) -> Iterator[Recorded]:
    """Yield the events recorded since of those whom an audit's rows are about."""
    asked = receipt.parameters.audit
    subjects = {row.get("subject", row.get("candidate")) for row in rows}
    subjects.add(None if asked is None else asked.candidate)
    yield from (row for row in ledger.read(receipt.position, upto) if row.subject in subjects)
