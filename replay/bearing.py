"""Which events bear on rows that differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger
from replay.receipts import Receipt

_POSITION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
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


def told(row: Recorded) -> str:
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
