"""Everybody's facts from the store into columns, in bounded memory: split, numbered, sorted."""

from __future__ import annotations

import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from threading import Lock, Thread
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from ledger.ledger import Ledger
from ledger.models import EVENT_TYPES, UPCASTS, upcast
from ledger.store.scans import FACTS, Scans
from projections.fold.facts import NEVER, NONE
from projections.history import AUTHORIZATION_KINDS, CERTIFICATION_KINDS, GRANT_KINDS, SITTING_KINDS
from replay.columns.part import PART_ROWS, Ints, Part, part_of

Progress = Callable[[int], None]
"""Called with how many more facts have been read."""

_SAMPLES_A_PART, _READ_AHEAD = 256, 4
_SORTED_AT_ONCE = 4  # each holds a part in memory, several times over


class Columns(NamedTuple):
    """Everybody's facts up to a position: base parts, and a delta that replaces candidates."""

    position: int
    base: tuple[Part, ...]
    delta: Part | None
    exams: tuple[str, ...]
    """The exam of each number in the parts."""
    certifications: tuple[str, ...]


def passing(
    ledger: Ledger,
    position: int,
    *,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Columns:
    """Return columns straight from the ledger, with no column cache read or left behind."""
    exams, certifications = Numbers([]), Numbers([])
    parts = build(ledger.scans, position, exams, certifications, workers=workers, progress=progress)
    return Columns(
        position=position,
        base=tuple(parts),
        delta=None,
        exams=tuple(exams.names()),
        certifications=tuple(certifications.names()),
    )


def build(
    scans: Scans,
    upto: int,
    exams: Numbers,
    certifications: Numbers,
    *,
    bounds: Sequence[str] | None = None,
    part_rows: int | None = None,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Iterator[Part]:
    """Yield parts of every candidate's facts up to a position, in the order of candidates.

    The facts are first laid aside in a temporary folder, cut at candidates
    `bounds` name, or that a sample says are evenly spread; then each piece is sorted on its own.
    """
    if bounds is None:
        pieces = -(-upto // (part_rows or PART_ROWS))
        bounds = bounds_of(scans.sample(upto, pieces * _SAMPLES_A_PART), pieces)
    with tempfile.TemporaryDirectory(prefix="attempt-ledger-") as folder:
        files = [Path(folder) / f"{piece}.arrows" for piece in range(len(bounds) + 1)]
        spread(read_ahead(scans.facts(0, upto)), bounds, files, progress)
        with ThreadPoolExecutor(workers := min(workers, _SORTED_AT_ONCE)) as pool:
            waiting: deque[Future[Part]] = deque()
            for file in files:
                waiting.append(pool.submit(_arranged, file, exams, certifications))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


def _arranged(file: Path, exams: Numbers, certifications: Numbers) -> Part:
    with file.open("rb") as opened, ipc.open_stream(opened) as stream:
        facts = stream.read_all()
    file.unlink()
    return arrange(facts, exams, certifications)


def bounds_of(names: Sequence[str], pieces: int) -> list[str]:
    """Return the candidates at which to cut a sorted sample into so many pieces, at most."""
    cuts = {names[len(names) * piece // pieces] for piece in range(1, pieces) if names}
    return sorted(cuts)


def spread(
    batches: Iterator[pa.RecordBatch],
    bounds: Sequence[str],
    files: Sequence[Path],
    progress: Progress,
    schema: pa.Schema = FACTS,
) -> None:
    """Write each fact to the file of its piece: file i holds candidates before bounds[i]."""
    with ExitStack() as stack:
        enter = stack.enter_context  # files are opened here: Arrow knows no name but in UTF-8
        writers = [enter(ipc.new_stream(enter(file.open("wb")), schema)) for file in files]
        for batch in batches:
            piece = np.zeros(batch.num_rows, dtype=np.int32)
            for bound in bounds:
                after = pc.greater_equal(batch["candidate"], bound)
                piece += after.to_numpy(zero_copy_only=False)
            order = np.argsort(piece, kind="stable")
            ends = np.searchsorted(piece[order], np.arange(len(files) + 1))
            sorted_batch = batch.take(pa.array(order))
            for n, writer in enumerate(writers):
                if ends[n] < ends[n + 1]:
                    writer.write_batch(sorted_batch.slice(ends[n], ends[n + 1] - ends[n]))
            progress(batch.num_rows)


def read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read in a thread of its own, a few batches ahead of whoever takes them."""
    queue: Queue[pa.RecordBatch | BaseException | None] = Queue(_READ_AHEAD)

    def read() -> None:
        try:
            for batch in batches:
                queue.put(batch)
            queue.put(None)
        except BaseException as problem:
            queue.put(problem)

    thread = Thread(target=read, daemon=True)
    thread.start()
    while (item := queue.get()) is not None:
        if isinstance(item, BaseException):
            raise item
        yield item
    thread.join()


# -- the facts of some candidates as one part


class Numbers:
    """Numbers names as they come, for good: a name keeps its number while the columns grow."""

    def __init__(self, names: Iterable[str]) -> None:
        """Go on from names that have their numbers already."""
        self._numbers = {name: number for number, name in enumerate(names)}
        self._lock = Lock()

    def of(self, names: list[str]) -> Ints:
        """Return the numbers of names, new ones to those not met before."""
        with self._lock:
            return np.array(
                [self._numbers.setdefault(name, len(self._numbers)) for name in names],
                dtype=np.int32,
            )

    def names(self) -> list[str]:
        """Return every name, by its number."""
        return list(self._numbers)


class _PartFacts(NamedTuple):
    """The facts of some candidates, and what is known of each row before it is sorted."""

    facts: pa.Table
    topic: pa.DictionaryArray
    candidate: Ints
    time: Ints
    position: Ints
    annulled: Ints
    exams: Numbers
    certifications: Numbers
    candidates: int

    def kinds(self, kinds: Mapping[str, int]) -> Ints:
        """Return the kind of each row, -1 where its type has none."""
        names = [topic.partition(":")[0] for topic in self.topic.dictionary.to_pylist()]
        by_topic: Ints = np.array([kinds.get(name, -1) for name in names] or [-1], dtype=np.int8)
        return by_topic[_indices(self.topic)]

    def in_time(self, kind: Ints) -> Ints:
        """Return the rows that have a kind, sorted by candidate, time and position."""
        rows = np.flatnonzero(kind >= 0)
        return rows[np.lexsort((self.time[rows], self.candidate[rows]))]

    def together(self, rows: Ints, *of: str) -> Ints:
        """Put rows together that agree in candidate and some columns, else as they are ordered."""
        if not len(rows):
            return rows
        number = self.candidate[rows].astype(np.int64)
        for name in of:
            encoded = _encoded(self.facts[name].take(pa.array(rows)))
            number = number * max(len(encoded.dictionary), 1) + _indices(encoded)
            _, number = np.unique(number, return_inverse=True)  # so that none overflows
        _, first, number = np.unique(number, return_index=True, return_inverse=True)
        return rows[np.argsort(first[number], kind="stable")]

    def offsets(self, candidate: Ints) -> Ints:
        """Return where each candidate's run begins, and after the last where it ends."""
        return np.searchsorted(candidate, np.arange(self.candidates + 1))

    def common(self, kind: Ints, rows: Ints) -> dict[str, Ints]:
        """Return the columns that every kind of row has."""
        return {
            "kind": kind[rows],
            "time": self.time[rows],
            "position": self.position[rows],
            "annulled": self.annulled[rows],
        }


def arrange(facts: pa.Table, exams: Numbers, certifications: Numbers) -> Part:
    """Make a part of all the facts of some candidates, as `ledger.store.scans` gives them."""
    facts = by_position(facts)
    encoded = _encoded(facts["candidate"])
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(max(len(order), 1), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    part = _PartFacts(
        facts=facts,
        topic=_encoded(facts["topic"]),
        candidate=rank[_indices(encoded)],
        time=facts["occurred_at"].to_numpy(),
        position=facts["position"].to_numpy(),
        annulled=_annulled(facts),
        exams=exams,
        certifications=certifications,
        candidates=len(order),
    )
    columns = _sittings(part) | _certifications(part) | _grants(part) | _authorizations(part)
    return part_of(encoded.dictionary.take(pa.array(order)), columns)


def by_position(facts: pa.Table) -> pa.Table:
    """Return facts in the order of their positions, as a scan of the ledger gives them already.

    Every sort after this one keeps that order where times are equal.
    """
    position = facts["position"].to_numpy()
    if (position[1:] > position[:-1]).all():
        return facts
    return facts.take(pa.array(np.argsort(position)))


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    return column.combine_chunks().dictionary_encode()


def _indices(encoded: pa.DictionaryArray) -> Ints:
    numbers: Ints = encoded.indices.to_numpy()
    return numbers


def _or(column: pa.ChunkedArray, missing: int) -> Ints:
    numbers: Ints = pc.fill_null(column, missing).to_numpy()
    return numbers


def _annulled(facts: pa.Table) -> Ints:
    """Return for each row the position of its first annulment, NEVER when there is none."""
    ends: Ints = np.full(facts.num_rows, NEVER, dtype=np.int64)
    annulments = facts.filter(pc.is_valid(facts["annuls"]))
    if annulments.num_rows:
        # Sorted by what they annul, then by their own positions: the first of each is the one.
        target, by = annulments["annuls"].to_numpy(), annulments["position"].to_numpy()
        first = np.lexsort((by, target))
        target, at = np.unique(target[first], return_index=True)
        position = facts["position"].to_numpy()
        row = np.argsort(position, kind="stable")
        found = np.minimum(np.searchsorted(position[row], target), len(row) - 1)
        hit = position[row][found] == target
        ends[row[found[hit]]] = by[first][at[hit]]
    return ends


def _named(prefix: str, columns: Mapping[str, Ints]) -> dict[str, Ints]:
    return {f"{prefix}.{name}": column for name, column in columns.items()}


def _sittings(part: _PartFacts) -> dict[str, Ints]:
    kind = part.kinds(SITTING_KINDS)
    rows = np.flatnonzero(kind >= 0)
    encoded = _encoded(part.facts["exam"].take(pa.array(rows)))
    names = encoded.dictionary.to_pylist()
    by_code: Ints = np.empty(len(names), dtype=np.int32)
    by_code[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    exam = by_code[_indices(encoded)]
    order = np.lexsort((part.time[rows], part.candidate[rows].astype(np.int64) * len(names) + exam))
    number = part.exams.of(names)[_indices(encoded)][order]
    rows, exam = rows[order], exam[order]
    taken = part.facts.select(["key", "flag", "until"]).take(pa.array(rows))

    candidate = part.candidate[rows]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (candidate[1:] != candidate[:-1]) | (exam[1:] != exam[:-1])
    lo = np.flatnonzero(first)
    return _named(
        "sittings",
        part.common(kind, rows)
        | {
            "key": _indices(_encoded(taken["key"])),
            "flag": _or(taken["flag"], 0),
            "until": _or(taken["until"], NONE),
        },
    ) | {
        "group_lo": lo,
        "group_hi": np.append(lo[1:], len(rows)) if len(lo) else lo,
        "group_candidate": candidate[lo],
        "group_exam": number[lo],
        "group_offset": part.offsets(candidate[lo]),
    }


def _certifications(part: _PartFacts) -> dict[str, Ints]:
    kind = part.kinds(CERTIFICATION_KINDS)
    rows = part.together(part.in_time(kind), "key")
    taken = part.facts.take(pa.array(rows))
    encoded = _encoded(taken["key"])
    named = [
        _named_exams(topic, data) if '"exams"' in data else []
        for topic, data in zip(taken["topic"].to_pylist(), taken["data"].to_pylist(), strict=True)
    ]
    ends = np.cumsum([len(codes) for codes in named], dtype=np.int64)
    return _named(
        "certifications",
        part.common(kind, rows)
        | {
            "certification": part.certifications.of(encoded.dictionary.to_pylist())[
                _indices(encoded)
            ],
            "until": _or(taken["until"], NEVER),
            "exam_hi": ends,
            "exam_lo": np.append(0, ends[:-1])[: len(ends)],
            "exam": part.exams.of([code for codes in named for code in codes]),
        },
    ) | {"certification_offset": part.offsets(part.candidate[rows])}


def _named_exams(topic: str, data: str) -> list[str]:
    """Return the exams that a certification's event names itself."""
    type, _, version = topic.partition(":")
    payload: dict[str, Any] = json.loads(data)
    payload = upcast(type, int(version), EVENT_TYPES[type].version, payload, UPCASTS)
    return list(payload.get("exams") or ())


def _grants(part: _PartFacts) -> dict[str, Ints]:
    kind = part.kinds(GRANT_KINDS)
    rows = part.together(part.in_time(kind), "exam", "key")
    taken = part.facts.take(pa.array(rows))
    encoded = _encoded(taken["exam"])
    return _named(
        "grants",
        part.common(kind, rows)
        | {
            "exam": part.exams.of(encoded.dictionary.to_pylist())[_indices(encoded)],
            "key": _indices(_encoded(taken["key"])),
            "waives": _or(taken["flag"], 0),
            "until": _or(taken["until"], NEVER),
        },
    ) | {"grant_offset": part.offsets(part.candidate[rows])}


def _authorizations(part: _PartFacts) -> dict[str, Ints]:
    kind = part.kinds(AUTHORIZATION_KINDS)
    rows = part.in_time(kind)
    taken = part.facts.take(pa.array(rows))
    exam, candidate = _encoded(taken["exam"]), part.candidate[rows]
    # The first row of each candidate, exam and authorization, in the order of time.
    named = np.stack((candidate, _indices(exam), _indices(_encoded(taken["key"]))))
    _, first, of = np.unique(named, axis=1, return_index=True, return_inverse=True)
    offset = part.offsets(candidate)
    return _named(
        "authorizations",
        part.common(kind, rows)
        | {
            "exam": part.exams.of(exam.dictionary.to_pylist())[_indices(exam)],
            "first": first[of.reshape(-1)] - offset[candidate],
            "sittings": _or(taken["flag"], 0),
            "until": _or(taken["until"], NEVER),
        },
    ) | {"authorization_offset": offset}
