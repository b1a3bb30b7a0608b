"""A part: some candidates' facts as columns, sorted by candidate, exam, time and position.

Candidates are sorted by code point and those of one part all come before those
of the next, so that parts, folded one by one, give a sorted table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc as ipc

from projections.fold.facts import CertificationRows, GrantRows, SittingRows

Ints: TypeAlias = npt.NDArray[Any]


class Part(NamedTuple):
    """Columns of some candidates; instants in microseconds, positions of the ledger.

    A group is one candidate and exam: rows group_lo[g] to group_hi[g] of
    `sittings`. A candidate's groups, certifications and grants are the runs
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
_OWN: Types = {
    "group_offset": INT64,
    "group_candidate": INT32,
    "group_exam": INT32,
    "group_lo": INT64,
    "group_hi": INT64,
    "certification_offset": INT64,
    "grant_offset": INT64,
}
TYPES: Types = {
    **_OWN,
    **{f"sittings.{name}": kind for name, kind in _SITTINGS.items()},
    **{f"certifications.{name}": kind for name, kind in _CERTIFICATIONS.items()},
    **{f"grants.{name}": kind for name, kind in _GRANTS.items()},
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
    )


def columns_of(part: Part) -> dict[str, Ints]:
    """Return a part's columns by name: the inverse of `part_of`."""
    named = {name: getattr(part, name) for name in _OWN}
    for prefix, rows in (
        ("sittings", part.sittings),
        ("certifications", part.certifications),
        ("grants", part.grants),
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
    columns = columns_of(part)
    lists = [pa.LargeListArray.from_arrays([0, len(part.candidates)], part.candidates)]
    lists += [
        pa.LargeListArray.from_arrays([0, len(columns[name])], pa.array(columns[name]))
        for name in TYPES
    ]
    batch = pa.record_batch(lists, names=["candidates", *TYPES])
    with path.open("wb") as file, ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def read_part(path: Path) -> Part:
    """Map a part into memory: nothing is copied, and pages are read as they are touched.

    Raises OSError or pyarrow.ArrowInvalid when the file is not whole.
    """
    with pa.memory_map(str(path)) as source:
        batch = ipc.open_file(source).get_batch(0)
    if batch.schema.names != ["candidates", *TYPES]:
        raise pa.ArrowInvalid(f"{path} holds other columns")
    columns = {name: batch.column(name).values.to_numpy(zero_copy_only=True) for name in TYPES}
    return part_of(batch.column("candidates").values, columns)
