"""Checking a receipt: everything computed again, and compared with the receipt and the file.

The file is compared with what the ledger says, never with what the receipt says of it: whoever
changes a file can change the receipt beside it too.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.fields import read_object
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.problems import MalformedFact
from projections.tables import TABLES
from replay.formats.xlsx import title_of_workbook
from replay.outputs import (
    PICTURE,
    Output,
    Unknown,
    about,
    compute,
    receipt_of_events,
    rows_of,
    write,
)
from replay.receipts import Receipt, ReceiptProblem
from replay.row_diff import MOST, compare_lines, compare_rows, shortened
from replay.snapshot import Snapshot, recorded_at

_POSITION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
HERE = "by the ledger"
THERE = "in the file"


class Checked(NamedTuple):
    """What a check found: what differs, and what is worth knowing though nothing does."""

    differs: list[str]
    notes: list[str]
    output: Output | None = None
    """What was computed again; None for events, or when nothing could be."""
    events: Sequence[str] = ()
    """The ledger's events of rows that differ, where a row is about one candidate."""


def check(snapshot: Snapshot, path: Path, receipt: Receipt, program: str) -> Checked:
    """Compute again what a file's receipt says, and compare both with it.

    Raises ReceiptProblem for a receipt of something this program does not know, OSError for a file
    that cannot be read.
    """
    ledger = snapshot.ledger
    head = ledger.head()
    if receipt.position > head.position:
        return Checked(
            [
                f"the receipt is of position {receipt.position}, which this ledger has not "
                f"reached: its last is {head.position}"
            ],
            [],
        )
    if receipt.of == "events":
        return events_checked(snapshot, path, receipt, program)
    try:
        output = compute(
            snapshot.at(receipt.moment), receipt.of, receipt.name, receipt.parameters,
            form=receipt.form, basis=receipt.basis, program=receipt.program,
        )  # fmt: skip
    except Unknown as problem:
        raise ReceiptProblem(f"{path} cannot be checked: {problem}") from None
    notes = other_program(receipt, program)
    with path.open("rb") as file:
        if receipt.form.startswith(PICTURE):
            found = picture_checked(file, output, receipt)
        else:
            found = rows_checked(file, output, receipt)
    # After the rows, so that those which are made while they are read are made once.
    differs = [*known_as_said(snapshot, receipt), *told_otherwise(receipt, output.settled)]
    events = islice(of_rows(ledger, receipt, found.rows), MOST)
    return Checked(
        [*differs, *shortened(found.sentences)],
        [*notes, *found.notes],
        output,
        [event_line(event) for event in events],
    )


class Compared(NamedTuple):
    """How a file compares with what was computed again."""

    sentences: list[str]
    """What differs."""
    notes: list[str]
    """What is written otherwise, and is no difference."""
    rows: list[dict[str, str]]
    """The rows that differ."""


SAME = Compared([], [], [])


def known_as_said(snapshot: Snapshot, receipt: Receipt) -> list[str]:
    """Compare what a receipt says of its known_at with its position and its basis."""
    ledger, known_at = snapshot.ledger, receipt.known_at
    if receipt.position == 0 or known_at is None:
        return []
    found = []
    if known_at != recorded_at(ledger, receipt.position):
        position = ledger.position_at(known_at)
        if position != receipt.position:
            found.append(
                f"known_at {format_instant(known_at)} is position {position} of this ledger, and "
                f"the receipt says {receipt.position}"
            )
    end = receipt.parameters.end if receipt.parameters.end is not None else receipt.as_of
    if receipt.basis == "as-published" and known_at != end:
        found.append("the receipt says as published, and its known_at is not the period's end")
    return found


def told_otherwise(receipt: Receipt, again: Receipt) -> list[str]:
    """Compare a receipt with the one that is computed again, member by member."""
    found = []
    if receipt.event != again.event:
        found.append(
            f"position {receipt.position} of this ledger is {_event(again)}, and the receipt says "
            f"{_event(receipt)}: this is another ledger, or its history was rewritten"
        )
    if receipt.policies != again.policies:
        found += policies_apart(receipt, again)
    if receipt.columns != again.columns:
        found.append("the receipt names other columns than are computed")
    if receipt.sha256 != again.sha256:
        found.append(
            f"computed again the rows have another digest: sha256 {again.sha256} "
            f"({again.rows:,} rows), and the receipt says {receipt.sha256} ({receipt.rows:,} rows)"
        )
    elif receipt.rows != again.rows:
        found.append(f"the receipt counts {receipt.rows:,} rows, and there are {again.rows:,}")
    return found


def policies_apart(receipt: Receipt, again: Receipt) -> list[str]:
    """Return which policy versions are known in one of two receipts only."""
    ours, theirs = set(again.policies), set(receipt.policies)
    return [
        f"policy {each.id} from {format_instant(each.effective_from)} (position {each.position}, "
        f"sha256 {each.sha256[:12]}…) is known {where} only"
        for where, some in ((HERE, ours - theirs), ("by the receipt", theirs - ours))
        for each in sorted(some, key=lambda each: (each.id, each.position))
    ] or ["the receipt names the same policies in another order"]


def other_program(receipt: Receipt, program: str) -> list[str]:
    """Return the sentence for a receipt of another program, or of another version; else none."""
    if receipt.program == program:
        return []
    return [f"made by {receipt.program}; checked by {program}"]


def _event(receipt: Receipt) -> str:
    return f"{receipt.event.source} {receipt.event.id}" if receipt.event else "nothing"


def rows_checked(file: BinaryIO, output: Output, receipt: Receipt) -> Compared:
    """Compare the rows in a file with those computed again, in the form it was written in."""
    with tempfile.TemporaryFile() as again:
        write(output._replace(receipt=receipt), again)
        if same_bytes(file, again):
            return SAME
        words: dict[str, Any] = {"here": HERE, "there": THERE}
        with (
            closing(rows_of(again, receipt.form)) as ours,
            closing(rows_of(file, receipt.form, foreign=True)) as theirs,
        ):
            try:
                if receipt.form == "text":
                    return Compared(compare_lines(ours, theirs, **words).sentences, [], [])
                found = compare_rows(ours, theirs, key_of(output), **words)
            except ValueError as error:
                return Compared([f"the file is no {receipt.form}: {error}"], [], [])
    notes = []
    if receipt.form == "xlsx":
        found.sentences.extend(titles_apart(file, output))
    if not found.sentences and receipt.form == "html":
        notes = ["the rows are the same; the page around them is written otherwise here"]
    elif not found.sentences and receipt.form in ("csv", "tsv", "json", "jsonl"):
        notes = ["the rows are the same, and written otherwise: by a spreadsheet, perhaps"]
    return Compared(found.sentences, notes, found.rows)


def titles_apart(file: BinaryIO, output: Output) -> list[str]:
    """Compare what stands above the rows of a workbook; nothing stood there in earlier releases."""
    above = about(output)
    theirs, ours = title_of_workbook(file), [above.title, *above.lines]
    if not theirs or theirs == ours:
        return []
    return [f"above the rows it says {theirs!r} {THERE}, {ours!r} {HERE}"]


def key_of(output: Output) -> tuple[str, ...]:
    """Return the columns that tell one row of an output from another."""
    described = output.report or output.query
    return tuple((described or TABLES[output.receipt.name]).key)


def picture_checked(file: BinaryIO, output: Output, receipt: Receipt) -> Compared:
    """Compare a picture with one drawn again, or with its digest where that comes out otherwise."""
    with tempfile.TemporaryFile() as again:
        write(output, again)
        if same_bytes(file, again):
            return SAME
    file.seek(0)
    summed = hashlib.sha256()
    while chunk := file.read(1 << 20):
        summed.update(chunk)
    if summed.hexdigest() != receipt.file_sha256:
        return Compared(["the picture is not the one that the receipt is of"], [], [])
    note = "the picture is as its receipt says; drawn here it comes out a little otherwise"
    return Compared([], [note], [])


def same_bytes(one: BinaryIO, other: BinaryIO) -> bool:
    """Return whether two files hold the same."""
    one.seek(0)
    other.seek(0)
    while True:
        first, second = one.read(1 << 20), other.read(1 << 20)
        if first != second:
            return False
        if not first:
            return True


def events_checked(snapshot: Snapshot, path: Path, receipt: Receipt, program: str) -> Checked:
    """Compare an export of events, line by line, with the ledger's."""
    after, ledger = receipt.parameters.after or 0, snapshot.ledger
    again = receipt_of_events(ledger, after, receipt.position, program=program)
    differs = [*known_as_said(snapshot, receipt), *told_otherwise(receipt, again)]
    found: list[str] = []
    with path.open("rb") as file:
        position = after
        for row in ledger.read(after, receipt.position):
            position = row.position
            ours, theirs = to_cloudevent(row), _line(file).decode("utf-8", "replace")
            if theirs != f"{ours}\n":
                found.append(line_apart(position - after, ours, theirs.rstrip("\n")))
        if rest := sum(1 for _ in iter(partial(_line, file), b"")):
            found.append(f"{rest:,} more lines are {THERE} than {HERE}, after position {position}")
    return Checked([*differs, *shortened(found)], other_program(receipt, program))


_LONGEST: Final = 16 << 20
"""Bytes of a line of a foreign file that are looked at."""


def _line(file: BinaryIO) -> bytes:
    """Return the next line; of one that is longer than any event its beginning, as if it ended."""
    line = file.readline(_LONGEST)
    more = line
    while len(more) == _LONGEST and not more.endswith(b"\n"):
        more = file.readline(_LONGEST)
    return line


def line_apart(number: int, ours: str, theirs: str) -> str:
    """Return how a line of events differs from the ledger's event of its place."""
    event: dict[str, Any] = json.loads(ours)
    named = f"{event['source']} {event['id']} (position {int(event['sequence'])})"
    if not theirs:
        return f"line {number}: {named} is missing {THERE}"
    try:
        exported = read_object(theirs)
    except MalformedFact:
        return f"line {number} is no event; {HERE} it is {named}"
    members = sorted(k for k in {*event, *exported} if event.get(k) != exported.get(k))
    if {"source", "id"} & set(members):
        return (
            f"line {number} is {exported.get('source')} {exported.get('id')}; {HERE} it is {named}"
        )
    return f"line {number}, {named}: {', '.join(members) or 'its spelling'} differs"


def event_line(row: Recorded) -> str:
    """Return what an event is, of whom, when it was true and when it was recorded."""
    stream = row.stream.replace("/", " ", 1)
    return (
        f"@{row.position} {row.type} {row.source} {row.id} of {stream}, true "
        f"{format_instant(row.occurred_at)}, recorded {format_instant(row.recorded_at)}"
    )


def of_rows(
    ledger: Ledger, receipt: Receipt, rows: Iterable[Mapping[str, str]]
) -> Iterator[Recorded]:
    """Yield the events that the ledger has of rows about single candidates, as far as visible.

    What a changed file is to be held against. Rows that many candidates' events went into have too
    many to name.
    """
    if receipt.of == "audit":
        yield from _at(ledger, receipt, rows)
        return
    seen: set[int] = set()
    for row in rows:
        for event in ledger.stream(f"candidate/{row.get('candidate', '')}", upto=receipt.position):
            late = event.occurred_at > (receipt.as_of or 0) and event.annuls is None
            if late or event.position in seen or not _is_of(event, row):
                continue
            seen.add(event.position)
            yield event


def _at(ledger: Ledger, receipt: Receipt, rows: Iterable[Mapping[str, str]]) -> Iterator[Recorded]:
    """Yield the events that an audit's rows are about, each once, by position."""
    named = {row.get("position", "") for row in rows}
    positions = {int(text) for text in named if _POSITION.fullmatch(text)}
    found = ledger.at([each for each in positions if each <= receipt.position])
    yield from sorted(found.values())


def _is_of(event: Recorded, row: Mapping[str, str]) -> bool:
    if "position" in row and "registration_id" not in row:
        return row["position"] == str(event.position)
    if "certification" in row:
        return event.key == row["certification"]
    if row.get("exam") != event.exam:
        return False
    key = row.get("request_id", row.get("registration_id"))
    return key is None or event.key == key
