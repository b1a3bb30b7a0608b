"""A store that keeps its rows in a list: the second implementation of `ledger.store.interface`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from ledger.events import Recorded, Row
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten, ExceptionRequested
from ledger.problems import ReadOnly
from ledger.store.interface import PAGE, Found, Head, Store
from ledger.store.locks import Opened, Waiting
from ledger.store.scans import (
    CORRECTIONS,
    DESCRIBED,
    EXCEPTIONS,
    FACTS,
    RECORDED,
    SELECTED,
    Annulments,
    Clock,
    Selection,
)


class MemoryStore:
    """Rows in a list; a transaction is a copy of its end that is added when it commits."""

    keeps_extensions = True
    works_elsewhere = False

    def __init__(self, *, read_only: bool = False) -> None:
        self.read_only = read_only
        self.waiting = Waiting()
        self.address = Path("memory.ledger")
        self.opened = Opened(self.address)
        self._kept: list[Recorded] = []
        self._about: dict[str, str] = {}
        self._lock = RLock()

    @property
    def _rows(self) -> list[Recorded]:
        self.opened.check()
        return self._kept

    @contextmanager
    def writing(self) -> Iterator[MemoryWriting]:
        if self.read_only:
            raise ReadOnly("opened for reading: nothing was written")
        with self._lock:
            writing = MemoryWriting(list(self._rows), dict(self._about))
            yield writing
            self._kept, self._about = writing.rows, writing.remembered

    def append_new(self, rows: Sequence[Row], now: int) -> int | None:
        return None

    def head(self) -> Head:
        return _head(self._rows)

    def position_at(self, known_at: int) -> int:
        return sum(row.recorded_at <= known_at for row in self._rows)

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        rows = (row for row in self._within(0, upto) if row.stream == stream)
        return [row for row in rows if exam is None or row.exam in (None, exam)]

    def outlines(self, stream: str, upto: int) -> list[Recorded]:
        return self.stream(stream, upto=upto)

    def last(self, stream: str, upto: int) -> Head:
        return _head(self.stream(stream, upto=upto))

    def page(
        self, after: int, upto: int | None = None, *, topics: Sequence[str] = (), limit: int = PAGE
    ) -> list[Recorded]:
        rows = self._within(after, upto)
        return [row for row in rows if not topics or row.topic in topics][:limit]

    def at(self, positions: Sequence[int]) -> list[Recorded]:
        return [row for row in self._rows if row.position in set(positions)]

    def kinds(self, kinds: Sequence[str], after: int, upto: int | None) -> list[Recorded]:
        return [row for row in self._within(after, upto) if _kind(row) in kinds]

    def find(self, source: str, id: str) -> Recorded | None:
        return _find(self._rows, source, id)

    def keys_at(self, positions: Sequence[int]) -> dict[int, str | None]:
        return {row.position: row.key for row in self.at(positions)}

    def sources(self, most: int) -> list[str]:
        return sorted({row.source for row in self._rows})[:most]

    def of_several_sources(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        sources: dict[tuple[str, str, str], set[str]] = {}
        for row in self._rows:
            if row.key in keys and row.key is not None and row.exam is not None:
                sources.setdefault((row.stream, row.exam, row.key), set()).add(row.source)
        return sorted({each[:2] for each, found in sources.items() if len(found) > 1})

    def of_topics(self, keys: Sequence[str], topics: Sequence[str]) -> list[tuple[str, str]]:
        return sorted(
            {
                (row.stream, row.exam)
                for row in self._rows
                if row.key in keys and row.exam is not None and row.topic in topics
            }
        )

    def subjects(self, kind: str, after: str) -> list[tuple[str, int]]:
        first: dict[str, int] = {}
        for row in self._rows:
            if _kind(row) == kind and row.subject > after:
                first.setdefault(row.subject, row.position)
        return sorted(first.items())[:PAGE]

    def is_forgotten(self, stream: str) -> bool:
        return stream in self.forgotten()

    def forgotten(self) -> list[str]:
        return [row.stream for row in self._rows if row.type == CandidateForgotten.type]

    def search(self, text: str, limit: int) -> list[Found]:
        people = {row.subject for row in self._rows if _kind(row) == "candidate"}
        found = [Found(each, "candidate", each) for each in sorted(people) if each.startswith(text)]
        keyed = {
            (row.key, row.subject, row.type.startswith("Exception"))
            for row in self._rows
            if row.key and row.key.startswith(text) and not row.type.startswith("Cert")
        }
        for key, candidate, is_request in sorted(keyed):
            found.append(Found(candidate, "request_id" if is_request else "registration_id", key))
        return found[:limit]

    def about(self, name: str) -> str | None:
        return self._about.get(name)

    def watch(self) -> MemoryWatch:
        return MemoryWatch(self)

    def check(self) -> None:
        pass

    def upgrade(self) -> bool:
        return False

    def scans(self) -> MemoryScans:
        return MemoryScans(self)

    def close(self) -> None:
        self.opened.close()

    def _within(self, after: int, upto: int | None) -> list[Recorded]:
        return [
            r for r in self._rows if r.position > after and (upto is None or r.position <= upto)
        ]


class MemoryWriting:
    """The rows and names as they will be."""

    keeps_extensions = True

    def __init__(self, rows: list[Recorded], remembered: dict[str, str]) -> None:
        self.rows = rows
        self.remembered = remembered
        self.position, self.recorded_at = _head(rows)

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        inserted = 0
        for instant, row in zip(recorded_at, rows, strict=False):
            if self.find(row.source, row.id) is not None:
                break
            self.insert_one(instant, row)
            inserted += 1
        return inserted

    def insert_one(self, recorded_at: int, row: Row) -> int:
        self.position += 1
        self.rows.append(Recorded(self.position, recorded_at, *row))
        return self.position

    def find(self, source: str, id: str) -> Recorded | None:
        return _find(self.rows, source, id)

    def annulments(self, stream: str) -> dict[int, int]:
        found: dict[int, int] = {}
        for row in self.rows:
            if row.stream == stream and row.annuls is not None:
                found.setdefault(row.annuls, row.position)
        return found

    def is_forgotten(self, stream: str) -> bool:
        rows = (row for row in self.rows if row.stream == stream)
        return any(row.type == CandidateForgotten.type for row in rows)

    def about(self, name: str) -> str | None:
        return self.remembered.get(name)

    def remember(self, name: str, value: str) -> None:
        self.remembered[name] = value


class MemoryWatch:
    """Looks at the head."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seen: Head | None = None

    def changed(self) -> bool:
        before, self._seen = self._seen, self._store.head()
        return before != self._seen

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        pass


class MemoryScans:
    """The same rows as Arrow, made one by one."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def facts(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        yield from _batches(FACTS, map(_fact, self._people(after, upto)))

    def facts_of_touched(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        touched = {row.stream for row in self._people(after, upto)}
        rows = [row for row in self._people(0, upto) if row.stream in touched]
        yield from _batches(FACTS, map(_fact, rows))

    def recorded(self, upto: int) -> Iterator[pa.RecordBatch]:
        yield from _batches(RECORDED, map(_recorded, self._people(0, upto)))

    def recorded_of(self, candidates: Sequence[str], upto: int) -> pa.Table:
        rows = [row for row in self._people(0, upto) if row.subject in candidates]
        return recorded(rows)

    def described(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        yield from _batches(DESCRIBED, map(_described, self._store._within(after, upto)))

    def sample(self, upto: int, count: int) -> list[str]:
        step = max(1, upto // max(1, count))
        return sorted(row.subject for row in self._people(0, upto) if row.position % step == 0)

    def clock(self, upto: int) -> Clock:
        rows = self._store._within(0, upto)
        both = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2).T
        return Clock.of(iter([(both[0], both[1])] if rows else []))

    def exceptions(self, upto: int) -> pa.Table:
        rows = self._store._within(0, upto)
        annulled = {row.annuls for row in rows}
        return _table(
            EXCEPTIONS,
            [
                _recorded(row)
                for row in rows
                if row.type.startswith("Exception") and row.position not in annulled
            ],
        )

    def corrections(self, upto: int, late: int) -> pa.Table:
        rows = self._store._within(0, upto)
        return _table(
            CORRECTIONS,
            [
                _correction(row, _of(row, rows))
                for row in rows
                if _kind(row) == "candidate"
                and not row.backfilled
                and (
                    row.annuls is not None
                    or row.recorded_at - row.occurred_at >= late
                    or row.type in ("ResultRevoked", "ExceptionRevoked", "AuthorizationRevoked")
                )
            ],
        )

    def backfilled(self, upto: int) -> int:
        return sum(row.backfilled for row in self._store._within(0, upto))

    def select(
        self, wanted: Selection, *, order: Literal["position", "lag"] = "position"
    ) -> Iterator[pa.RecordBatch]:
        rows = self._store._within(0, wanted.upto)
        chosen = [row for row in rows if _is_wanted(row, rows, wanted)]
        if order == "lag":
            chosen.sort(key=lambda row: (row.occurred_at - row.recorded_at, row.position))
        yield from _batches(SELECTED, (_selected(row, rows) for row in chosen))

    def annulments(self, wanted: Selection, upto: int) -> Annulments:
        rows = self._store._within(wanted.after, upto)
        return Annulments.among(
            [
                (row.annuls, row.position)
                for row in rows
                if row.annuls is not None
                and (wanted.streams is None or row.stream in wanted.streams)
            ]
        )

    def _people(self, after: int, upto: int) -> list[Recorded]:
        return self._store.kinds(("candidate",), after, upto)


class MemoryLedger(Ledger):
    """A ledger over such a store, which lasts as long as it does."""

    def construct_store(self) -> Store:
        """Make an empty one."""
        return MemoryStore(read_only=self._read_only)


def _head(rows: Sequence[Recorded]) -> Head:
    return Head(*rows[-1][:2]) if rows else Head(0, 0)


def _find(rows: Sequence[Recorded], source: str, id: str) -> Recorded | None:
    return next((row for row in rows if (row.source, row.id) == (source, id)), None)


def _kind(row: Recorded) -> str:
    return row.stream.partition("/")[0]


def _plain(row: Recorded) -> dict[str, Any]:
    return {**row._asdict(), "exam": row.exam or "", "key": row.key or "", "actor": row.actor or ""}


def _fact(row: Recorded) -> dict[str, Any]:
    return {
        **_plain(row),
        "candidate": row.subject,
        "data": row.data if row.exam is None else "",
    }


def _recorded(row: Recorded) -> dict[str, Any]:
    fact = {**_fact(row), "backfilled": int(row.backfilled)}
    if row.exam is not None and row.type.startswith("Exception"):
        kept = {
            name: value
            for name, value in json.loads(row.data).items()
            if name not in ExceptionRequested.personal
        }
        fact["data"] = json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
    return fact


def recorded(rows: Iterable[Recorded]) -> pa.Table:
    """Lay out candidates' events as RECORDED."""
    return _table(RECORDED, map(_recorded, rows))


def _described(row: Recorded) -> dict[str, Any]:
    return {
        **row._asdict(),
        "type": row.type,
        "subject": row.subject,
        "reason": None if row.annuls is None else json.loads(row.data)["reason"],
    }


def _of(row: Recorded, rows: Sequence[Recorded]) -> Recorded | None:
    return next((other for other in rows if other.position == row.annuls), None)


def _correction(row: Recorded, of: Recorded | None) -> dict[str, Any]:
    about = of or row
    return {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "annuls": row.annuls or 0,
        "candidate": row.subject,
        "topic": about.topic,
        "true_at": about.occurred_at,
        "exam": about.exam or "",
        "key": about.key or "",
    }


def _selected(row: Recorded, rows: Sequence[Recorded]) -> dict[str, Any]:
    of = _of(row, rows)
    return {
        **_plain(row),
        "type": row.type,
        "about": _kind(row),
        "subject": row.subject,
        "exam": row.exam or (of and of.exam) or "",
        "key": row.key or (of and of.key) or "",
        "annuls": row.annuls or 0,
    }


def _is_wanted(row: Recorded, rows: Sequence[Recorded], wanted: Selection) -> bool:
    return (
        row.position > wanted.after
        and (wanted.streams is None or row.stream in wanted.streams)
        and (not wanted.types or row.type in wanted.types)
        and wanted.source in (None, row.source)
        and wanted.actor in (None, row.actor)
        and wanted.exam in (None, _selected(row, rows)["exam"])
        and (wanted.true_from is None or row.occurred_at >= wanted.true_from)
        and (wanted.true_to is None or row.occurred_at < wanted.true_to)
        and (
            wanted.later_than is None
            or (row.recorded_at - row.occurred_at > wanted.later_than and not row.backfilled)
        )
    )


def _table(schema: pa.Schema, rows: Any) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: row[name] for name in schema.names} for row in rows], schema
    )


def _batches(schema: pa.Schema, rows: Any) -> Iterator[pa.RecordBatch]:
    yield from _table(schema, rows).to_batches()
