"""A part: some candidates' facts as columns, sorted by candidate, exam, time and position.

Candidates are sorted by code point and those of one part all come before those
of the next, so that parts, folded one by one, give a sorted table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc

from projections.fold.facts import (
    AuthorizationRows,
    CertificationRows,
    GrantRows,
    SittingRows,
)

Ints: TypeAlias = npt.NDArray[Any]


class Part(NamedTuple):
    """Columns of some candidates; instants in microseconds, positions of the ledger.

    A group is one candidate and exam: rows group_lo[g] to group_hi[g] of
    `sittings`. A candidate's groups, certifications, grants and authorizations are the runs
    that its offsets give: offset[c] to offset[c + 1].
    """

    candidates: pa.Array
    group_offset: Ints
    group_candidate: Ints
    group_exam: Ints
    group_lo: Ints
    group_hi: Ints
    sittings: SittingRows
    certification_offset: Ints
    certifications: CertificationRows
    grant_offset: Ints
    grants: GrantRows
    authorization_offset: Ints
    authorizations: AuthorizationRows


INT8: np.dtype[Any] = np.dtype(np.int8)
INT32: np.dtype[Any] = np.dtype(np.int32)
INT64: np.dtype[Any] = np.dtype(np.int64)

# One specialisation of the compiled fold serves every part: so the types are fixed here.
Types: TypeAlias = Mapping[str, np.dtype[Any]]

_SITTINGS: Types = {
    "kind": INT8,
    "time": INT64,
    "position": INT64,
    "annulled": INT64,
    "key": INT32,
    "flag": INT8,
    "until": INT64,
}
_CERTIFICATIONS: Types = {
    "kind": INT8,
    "time": INT64,
    "position": INT64,
    "annulled": INT64,
    "certification": INT32,
    "until": INT64,
    "exam_lo": INT64,
    "exam_hi": INT64,
    "exam": INT32,
}
_GRANTS: Types = {
    "kind": INT8,
    "time": INT64,
    "position": INT64,
    "annulled": INT64,
    "exam": INT32,
    "key": INT32,
    "waives": INT8,
    "until": INT64,
}
_AUTHORIZATIONS: Types = {
    "kind": INT8,
    "time": INT64,
    "position": INT64,
    "annulled": INT64,
    "exam": INT32,
    "first": INT32,
    "sittings": INT32,
    "until": INT64,
}
_OWN: Types = {
    "group_offset": INT64,
    "group_candidate": INT32,
    "group_exam": INT32,
    "group_lo": INT64,
    "group_hi": INT64,
    "certification_offset": INT64,
    "grant_offset": INT64,
    "authorization_offset": INT64,
}
TYPES: Types = {
    **_OWN,
    **{f"sittings.{name}": kind for name, kind in _SITTINGS.items()},
    **{f"certifications.{name}": kind for name, kind in _CERTIFICATIONS.items()},
    **{f"grants.{name}": kind for name, kind in _GRANTS.items()},
    **{f"authorizations.{name}": kind for name, kind in _AUTHORIZATIONS.items()},
}
"""The columns of a part by name, each with its type."""


def part_of(candidates: pa.Array, columns: Mapping[str, Ints]) -> Part:
    """Make a part of its columns, cast to their types and closed to writing."""
    closed = {name: _closed(columns[name], kind) for name, kind in TYPES.items()}

    def of(prefix: str, names: Types) -> list[Any]:
        return [closed[f"{prefix}.{name}"] for name in names]

    return Part(
        candidates=candidates,
        **{name: closed[name] for name in _OWN},
        sittings=SittingRows(*of("sittings", _SITTINGS)),
        certifications=CertificationRows(*of("certifications", _CERTIFICATIONS)),
        grants=GrantRows(*of("grants", _GRANTS)),
        authorizations=AuthorizationRows(*of("authorizations", _AUTHORIZATIONS)),
    )


def columns_of(part: Part) -> dict[str, Ints]:
    """Return a part's columns by name: the inverse of `part_of`."""
    named = {name: getattr(part, name) for name in _OWN}
    for prefix, rows in (
        ("sittings", part.sittings),
        ("certifications", part.certifications),
        ("grants", part.grants),
        ("authorizations", part.authorizations),
    ):
        named |= {f"{prefix}.{name}": column for name, column in rows._asdict().items()}
    return named


def _closed(column: Ints, kind: np.dtype[Any]) -> Ints:
    column = np.ascontiguousarray(column, dtype=kind)
    if column.flags.writeable:
        column = column.view()
        column.flags.writeable = False
    return column


def write_part(part: Part, path: Path) -> None:
    """Write a part as an Arrow IPC file: one record, each column a list."""
    with path.open("wb") as file:
        _write(part, file)


PACKED: Final = "lz4"
"""How files are packed that workers read."""


def part_bytes(part: Part) -> pa.Buffer:
    """Return it as a file too, but packed: half as much to store, to fetch and to sum up."""
    sink = pa.BufferOutputStream()
    _write(part, sink, PACKED)
    return sink.getvalue()


def _write(part: Part, file: Any, compression: str | None = None) -> None:
    columns = columns_of(part)
    lists = [pa.LargeListArray.from_arrays([0, len(part.candidates)], part.candidates)]
    lists += [
        pa.LargeListArray.from_arrays([0, len(columns[name])], pa.array(columns[name]))
        for name in TYPES
    ]
    batch = pa.record_batch(lists, names=["candidates", *TYPES])
    options = ipc.IpcWriteOptions(compression=compression)
    with ipc.new_file(file, batch.schema, options=options) as writer:
        writer.write_batch(batch)


def read_part(path: Path) -> Part:
    """Map a part into memory: nothing is copied, and pages are read as they are touched.

    Raises OSError or pyarrow.ArrowInvalid when the file is not whole.
    """
    with pa.memory_map(os.fsencode(path)) as source:
        return part_in(source, str(path))


def part_in(source: pa.NativeFile, name: str) -> Part:
    """Open a part where its bytes are; nothing is copied, unless it is packed.

    Raises pyarrow.ArrowInvalid.
    """
    batch = ipc.open_file(source).get_batch(0)
    if batch.schema.names != ["candidates", *TYPES]:
        raise pa.ArrowInvalid(f"{name} holds other columns")
    columns = {name: batch.column(name).values.to_numpy(zero_copy_only=True) for name in TYPES}
    return part_of(batch.column("candidates").values, columns)


# -- candidates chosen from parts into a new one: how columns are merged and split

PART_ROWS = 1_000_000
"""About how many sitting rows a part holds: what is sorted in memory at once."""


def choose(sources: Sequence[Part], source: Ints, candidate: Ints) -> Part:
    """Make a part of candidate[i] of sources[source[i]], in that order, which must be sorted."""
    named = [columns_of(part) for part in sources]
    base = {
        prefix: np.cumsum([0, *(len(columns[first]) for columns in named)])
        for prefix, first in (
            ("group", "group_lo"),
            ("sittings", "sittings.kind"),
            ("certification", "certifications.kind"),
            ("grant", "grants.kind"),
            ("authorization", "authorizations.kind"),
            ("exam", "certifications.exam"),
        )
    }

    def runs(prefix: str) -> tuple[Ints, Ints]:
        """Return where each chosen candidate's run begins and ends among all sources' rows."""
        lo, hi = np.empty(len(source), dtype=np.int64), np.empty(len(source), dtype=np.int64)
        for s, columns in enumerate(named):
            mine = source == s
            offset = columns[f"{prefix}_offset"]
            lo[mine] = offset[candidate[mine]] + base[prefix][s]
            hi[mine] = offset[candidate[mine] + 1] + base[prefix][s]
        return lo, hi

    def all_of(name: str, shift: str | None = None) -> Ints:
        columns = [mine[name] + (base[shift][s] if shift else 0) for s, mine in enumerate(named)]
        together: Ints = np.concatenate(columns)
        return together

    columns: dict[str, Ints] = {}
    group_lo, group_hi = runs("group")
    groups = ranges(group_lo, group_hi)
    columns["group_offset"] = offsets(group_hi - group_lo)
    columns["group_candidate"] = np.repeat(np.arange(len(source)), group_hi - group_lo)
    columns["group_exam"] = all_of("group_exam")[groups]
    lo, hi = all_of("group_lo", "sittings")[groups], all_of("group_hi", "sittings")[groups]
    ends = offsets(hi - lo)
    columns["group_lo"], columns["group_hi"] = ends[:-1], ends[1:]
    rows = {"sittings": ranges(lo, hi)}
    for prefix in ("certification", "grant", "authorization"):
        lo, hi = runs(prefix)
        rows[f"{prefix}s"] = ranges(lo, hi)
        columns[f"{prefix}_offset"] = offsets(hi - lo)
    for table, index in rows.items():
        for name in named[0]:
            if name.startswith(f"{table}.") and name not in _EXAMS_OF_CERTIFICATIONS:
                columns[name] = all_of(name)[index]
    chosen = rows["certifications"]
    lo = all_of("certifications.exam_lo", "exam")[chosen]
    hi = all_of("certifications.exam_hi", "exam")[chosen]
    ends = offsets(hi - lo)
    columns["certifications.exam_lo"], columns["certifications.exam_hi"] = ends[:-1], ends[1:]
    columns["certifications.exam"] = all_of("certifications.exam")[ranges(lo, hi)]
    return part_of(_names(sources, source, candidate), columns)


_EXAMS_OF_CERTIFICATIONS = {
    "certifications.exam_lo",
    "certifications.exam_hi",
    "certifications.exam",
}


def _names(sources: Sequence[Part], source: Ints, candidate: Ints) -> pa.Array:
    before = np.cumsum([0, *(len(part.candidates) for part in sources)])
    together = pa.concat_arrays([part.candidates for part in sources])
    return together.take(pa.array(before[source] + candidate))


def ranges(lo: Ints, hi: Ints) -> Ints:
    """Return lo[0], lo[0] + 1 … hi[0] - 1, lo[1] … : the rows of many runs."""
    length = hi - lo
    start = np.repeat(lo - offsets(length)[:-1], length)
    together: Ints = start + np.arange(len(start))
    return together


def offsets(length: Ints) -> Ints:
    """Return where runs of these lengths begin, laid end to end, and where the last ends."""
    ends: Ints = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    return ends


def merge(old: Part, new: Part) -> Part:
    """Put two parts together; of a candidate in both, the new one's facts are taken."""
    kept = np.flatnonzero(~replaced(old, new))
    source = np.repeat([0, 1], [len(kept), len(new.candidates)])
    candidate = np.concatenate((kept, np.arange(len(new.candidates))))
    order = pc.sort_indices(_names((old, new), source, candidate)).to_numpy()
    return choose((old, new), source[order], candidate[order])


def replaced(old: Part, new: Part) -> Ints:
    """Return of each candidate of `old` whether `new` has it too."""
    found: Ints = pc.is_in(old.candidates, value_set=new.candidates).to_numpy(zero_copy_only=False)
    return found


def same_facts(one: Part, other: Part) -> bool:
    """Return whether two parts are the same, whatever numbers their keys were given."""
    ours, theirs = columns_of(one), columns_of(other)
    if not one.candidates.equals(other.candidates):
        return False
    if any(ours[name].shape != theirs[name].shape for name in ours):
        return False
    runs = {
        "sittings.key": (one.group_lo, one.group_hi),
        "grants.key": (one.grant_offset[:-1], one.grant_offset[1:]),
    }
    for name, column in ours.items():
        if name in runs:
            length = np.subtract(*reversed(runs[name]))
            run = np.repeat(np.arange(len(length)), length)
            if not np.array_equal(_first_of(run, column), _first_of(run, theirs[name])):
                return False
        elif not np.array_equal(column, theirs[name]):
            return False
    return True


def _first_of(run: Ints, key: Ints) -> Ints:
    """Return for each row the first of its run that has the same key."""
    pair = run.astype(np.int64) << 32 | key.astype(np.int64)
    _, first, at = np.unique(pair, return_index=True, return_inverse=True)
    rows: Ints = first[at]
    return rows


def between(part: Part, first: str | None, end: str | None) -> Part:
    """Choose the candidates from `first` on and before `end`; None is no bound."""
    lo = 0 if first is None else _position_of(part.candidates, first)
    hi = len(part.candidates) if end is None else _position_of(part.candidates, end)
    return choose((part,), np.zeros(hi - lo, dtype=np.int64), np.arange(lo, hi))


def _position_of(names: pa.Array, name: str) -> int:
    lo, hi = 0, len(names)
    while lo < hi:
        middle = (lo + hi) // 2
        if names[middle].as_py() < name:
            lo = middle + 1
        else:
            hi = middle
    return lo


def places(names: pa.Array, wanted: pa.Array) -> Ints:
    """Return for each wanted name where it stands, or would stand, among sorted names."""
    return np.array([_position_of(names, name) for name in wanted.to_pylist()], dtype=np.int64)


def split(part: Part) -> Iterator[Part]:
    """Cut a part into parts of about PART_ROWS rows; a candidate is never cut."""
    ends = part.group_hi[np.maximum(part.group_offset[1:] - 1, 0)] if len(part.group_hi) else []
    pieces = max(1, round(len(part.sittings.kind) / PART_ROWS))
    cuts = np.searchsorted(ends, [len(part.sittings.kind) * i // pieces for i in range(1, pieces)])
    bounds = [0, *sorted(set(cuts.tolist())), len(part.candidates)]
    if len(bounds) == 2:
        yield part
        return
    for lo, hi in pairwise(bounds):
        if lo < hi:
            yield choose((part,), np.zeros(hi - lo, dtype=np.int64), np.arange(lo, hi))
