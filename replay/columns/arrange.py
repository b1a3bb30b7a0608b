"""The facts of some candidates as one part: numbered, sorted, each kind of them by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.models import EVENT_TYPES
from ledger.upcasts import UPCASTS, upcast
from projections.fold.facts import NEVER, NONE
from projections.history import AUTHORIZATION_KINDS, CERTIFICATION_KINDS, GRANT_KINDS, SITTING_KINDS
from replay.columns.part import Ints, Part, part_of


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
    some = np.flatnonzero(pc.match_substring(taken["data"], '"exams"').to_numpy())
    few = taken.select(["topic", "data"]).take(pa.array(some)).to_pylist()
    named = [_named_exams(**row) for row in few]
    lengths = np.zeros(len(rows), dtype=np.int64)
    lengths[some] = list(map(len, named))
    ends = np.cumsum(lengths)
    return _named(
        "certifications",
        part.common(kind, rows)
        | {
            "certification": part.certifications.of(encoded.dictionary.to_pylist())[
                _indices(encoded)
            ],
            "until": _or(taken["until"], NEVER),
            "exam_hi": ends,
            "exam_lo": ends - lengths,
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
