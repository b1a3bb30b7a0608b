"""What has become of an output since: the same question on the latest knowledge, and the causes.

Under each row that differs stand the events recorded since that bear on it. Of a report those are
found in what the row is made of: the rows of its tables that went into it, before and now. An
annulment bears on what it annuls.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import pyarrow as pa

from ledger.events import Recorded
from ledger.instants import Period
from projections.reports.registry import REPORTS
from projections.standing import Moment
from projections.table import NUMBER, TEXT, schema_of
from projections.tables import FACTS, TABLES
from replay.checking import key_of
from replay.formats.csv import list_text
from replay.outputs import Inputs, Output, compute, rows_of, write
from replay.receipts import Receipt
from replay.snapshot import Snapshot

_OWN: Final = ("candidate", "registration_id", "request_id", "certification", "exam")
"""What names, of a row of a table, the facts that it is of."""

Texts = Mapping[str, str]


class Change(NamedTuple):
    """A row that differs, and why."""

    key: Texts
    """What tells it from other rows."""
    before: Texts | None
    """The row as it was; None where there was none."""
    after: Texts | None
    """The row restated; None where there is none any more."""
    causes: Sequence[Recorded]
    """The events recorded since that bear on it, by position."""

    @property
    def figures(self) -> Iterator[tuple[str, str, str]]:
        """Yield each figure that differs: its column, as it was, and restated."""
        before, after = self.before or {}, self.after or {}
        for name in before or after:
            if name not in self.key and before.get(name, "") != after.get(name, ""):
                yield name, before.get(name, ""), after.get(name, "")

    @property
    def sentence(self) -> str:
        """What the row is, and how it differs."""
        named = ", ".join(f"{name} {value}" for name, value in self.key.items())
        if self.before is None or self.after is None:
            return f"{named}: {'a new row' if self.before is None else 'the row is gone'}"
        cells = (
            f"{name} is {was or 'empty'} as it was, {is_now or 'empty'} restated"
            for name, was, is_now in self.figures
        )
        return f"{named}: {'; '.join(cells)}"


def restated(snapshot: Snapshot, before: Output) -> list[Change]:
    """Return which rows of an output are others on the latest knowledge, and why."""
    head = snapshot.ledger.head()
    receipt = before.settled
    moment = Moment(receipt.as_of or 0, head.recorded_at, head.position)
    now = snapshot.at(moment)
    of = "table" if receipt.of == "events" else receipt.of
    after = compute(now, of, receipt.name, receipt.parameters, program=receipt.program)
    if after.settled.sha256 == receipt.sha256:
        return []
    key = key_of(before)
    was, is_now = keyed(rows_in(before), key), keyed(rows_in(after), key)
    since = _Since(snapshot.at(receipt.moment), now, receipt)
    return [
        Change(
            dict(zip(key, each[: len(key)], strict=True)),
            was.get(each),
            is_now.get(each),
            since.causes(dict(zip(key, each, strict=False)), was.get(each), is_now.get(each)),
        )
        for each in {**is_now, **was}
        if was.get(each) != is_now.get(each)
    ]


def rows_in(output: Output) -> Iterator[Texts]:
    """Yield an output's rows as texts."""
    receipt = output.receipt.model_copy(update={"form": "jsonl"})
    with tempfile.TemporaryFile() as file:
        write(output._replace(receipt=receipt), file)
        rows = rows_of(file, "jsonl")
        head = next(rows, ())
        for row in rows:
            yield {n: "" if v == "null" else v for n, v in zip(head, row, strict=True)}


def keyed(rows: Iterable[Texts], key: Sequence[str]) -> dict[tuple[str, ...], Texts]:
    """Map rows by their key, and by which of those with that key each is."""
    found: dict[tuple[str, ...], Texts] = {}
    seen: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        named = tuple(row[name] for name in key)
        found[(*named, str(seen[named]))] = row
        seen[named] += 1
    return found


class _Traced(NamedTuple):
    """The inputs of a report, with whom each row is about."""

    inputs: Inputs

    @property
    def as_of(self) -> int:
        return self.inputs.as_of

    @property
    def period(self) -> Period:
        return self.inputs.period

    def table(self, name: str, *columns: str) -> pa.Table:
        there = set(TABLES[name].names) & {*_OWN}
        own = there if "candidate" in there else set()
        return self.inputs.table(name, *{*columns, *own})


class _Since:
    """What was recorded since an output was made."""

    def __init__(self, before: Snapshot, now: Snapshot, receipt: Receipt) -> None:
        self._before, self._now, self._receipt = before, now, receipt

    def causes(self, key: Texts, was: Texts | None, is_now: Texts | None) -> list[Recorded]:
        """Return the events that bear on a row, by position."""
        row = is_now or was or {}
        if self._receipt.of == "audit":
            terms = self._receipt.parameters.audit
            subject = row.get("subject") or row.get("candidate") or (terms and terms.candidate)
            return [event for event in self._events if event.subject == subject]
        parts: Sequence[Mapping[str, Any]] = [row]
        if self._receipt.of == "report":
            parts = self._changed_parts.get(tuple(key.values()), [])
        found: dict[int, Recorded] = {}
        for part in parts:
            for event in self._of_part(part):
                found[event.position] = event
        return [found[position] for position in sorted(found)]

    @cached_property
    def _events(self) -> list[Recorded]:
        """All that was recorded since and is true by as_of, by position."""
        as_of = self._receipt.as_of
        rows = self._now.ledger.read(self._receipt.position, self._now.position)
        return [e for e in rows if as_of is None or e.annuls is not None or e.occurred_at <= as_of]

    @cached_property
    def _by_candidate(self) -> dict[str, list[tuple[Recorded, Recorded]]]:
        """By candidate the events since, each with what it is about: itself or what it annuls."""
        found: dict[str, list[tuple[Recorded, Recorded]]] = {}
        for event in self._events:
            if event.stream.startswith("candidate/"):
                about = event
                if event.annuls is not None:
                    about = self._now.ledger.event(event.annuls) or event
                found.setdefault(event.subject, []).append((event, about))
        return found

    @cached_property
    def _entries(self) -> list[Recorded]:
        """The entries of the catalogue and the policies since."""
        return [e for e in self._events if not e.stream.startswith("candidate/")]

    def _of_part(self, part: Mapping[str, Any]) -> list[Recorded]:
        """Return what bears on a row of a table: its own facts; else what else may."""
        if "position" in part and "registration_id" not in part:  # it is about one event
            at = str(part["position"])
            return [e for e in self._events if at in (str(e.position), str(e.annuls))]
        exam, certification = part.get("exam"), part.get("certification")
        events = self._by_candidate.get(part.get("candidate") or "", [])
        keys = [part[name] for name in _OWN[1:4] if part.get(name)]
        own = [e for e, about in events if keys and about.key == keys[0]]
        own = [e for e in own if e.exam in (None, exam)] if exam else own
        if own:
            return own
        # Not its own: an earlier sitting, a certification, a grant may have moved it.
        wide = [e for e, about in events if exam is None or about.exam in (None, exam)]
        names = {exam, certification, part.get("policy")} - {None}
        return wide or [e for e in self._entries if e.subject in names] or self._entries

    @cached_property
    def _changed_parts(self) -> dict[tuple[str, ...], list[dict[str, Any]]]:
        """By key of a report's rows the rows of tables that differ in what each is made of."""
        before, now = (self._parts(each) for each in (self._before, self._now))
        found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for changed in (before - now, now - before):
            for key, part, _ in changed:
                parts = found.setdefault(key, [])
                if dict(part) not in parts:
                    parts.append(dict(part))
        return found

    def _parts(self, snapshot: Snapshot) -> Counter[Any]:
        """Count a report's input rows: by key, whom they are about, and all they hold."""
        receipt = self._receipt
        report = REPORTS[receipt.name]
        inputs = Inputs(snapshot, receipt.parameters.period, receipt.parameters.exam)
        rows = report.rows(_Traced(inputs)).to_pylist()
        return Counter(
            (
                tuple("" if row[name] is None else str(row[name]) for name in report.key),
                tuple((name, row[name]) for name in _OWN if name in row),
                tuple(sorted((name, str(value)) for name, value in row.items())),
            )
            for row in rows
        )


def causes_table(changes: Iterable[Change], key: Sequence[str]) -> pa.Table:
    """Return a row for each event that bears on a row that differs: all of them.

    A change that no event of its own explains has one row, without an event.
    """
    named = ("position", "type", "subject", "source", "id", "occurred_at", "recorded_at", "actor")
    columns = [column for column in FACTS.columns if column.name in named]
    schema = pa.schema([*((name, TEXT) for name in (*key, "change")), *schema_of(columns)])
    rows = []
    for change in changes:
        what = {**change.key, "change": change.sentence.partition(": ")[2]}
        rows += [
            what | ({} if event is None else {name: getattr(event, name) for name in named})
            for event in change.causes or (None,)
        ]
    return pa.Table.from_pylist(rows, schema=schema)


def figures_table(changes: Iterable[Change], key: Sequence[str]) -> pa.Table:
    """Return a row for each figure of a report that differs: published, restated, and why."""
    names = (*key, "figure", "published", "restated")
    schema = pa.schema([*((n, TEXT) for n in names), ("difference", NUMBER), ("cause", TEXT)])
    rows = [
        {
            **change.key,
            "figure": name,
            "published": was or None,
            "restated": is_now or None,
            "difference": _difference(was, is_now),
            "cause": list_text([{"source": e.source, "id": e.id} for e in change.causes]),
        }
        for change in changes
        for name, was, is_now in change.figures
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _difference(was: str, is_now: str) -> float | None:
    """Return by how much a number is another; None of what is no number on either side.

    >>> _difference("2", "3"), _difference("", "0.5"), _difference("2021-03", "2021-04")
    (1.0, None, None)
    """
    try:
        return round(float(is_now) - float(was), 6)
    except ValueError:
        return None
