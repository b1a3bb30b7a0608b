"""A question about everybody, answered part by part: what travels to a worker, and what it does.

A worker has this package, of the same release, and needs nothing else of ours: neither the ledger
nor a policy's text. It opens its part itself, since rows that an engine sends arrive in batches
that cut candidates in two. Whatever it writes has a name that follows from the question alone, so
that a part answered twice is there once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from ledger.instants import format_instant
from ledger.problems import LedgerProblem
from projections.fold.facts import (
    CertificationDefinitions,
    ExamDefinitions,
    Milestones,
    PolicyVersions,
)
from replay.columns.build import Columns
from replay.columns.published import Place, PublishedFile, open_clock, open_part, place_of
from replay.compiled import rules_digest
from replay.formats import About
from replay.formats.rows import write_rows
from replay.interpreted import Kernels, kernels_for
from replay.population import Scope, everybody, with_status
from replay.rows import digest_of
from replay.snapshot import Engine
from replay.violations import violations_in
from replay.what_if import changed_sittings, changed_standings
from retake_policies.rules import RuleBook

Of: TypeAlias = Literal["standings", "violations", "changed-sittings", "changed-standings"]
"""What is asked of everybody; the last two of a draft."""
Form: TypeAlias = Literal["csv", "parquet"]
"""How the files of an answer are written: each can be read by itself, and all of them as one."""

RECEIPTS: Final = "_receipts"
"""The folder of receipts beside the files; engines that read a folder pass over such a name."""

REPLY: Final = pa.schema([("part", pa.int64()), ("payload", pa.binary()), ("problem", pa.string())])
"""What comes back through the engine: a receipt for each part; or a part's rows, as pieces of an
Arrow stream in order; or one sentence about what hinders this worker."""
COUNTED: Final = b"counted"
"""What the metadata of a part's rows name the number by that were looked at."""
_PIECE: Final = 1 << 20
"""Bytes of a piece: engines send what is much larger badly, or not at all."""


class CatalogueColumns(NamedTuple):
    """What the fold reads of a catalogue: integers, a few kilobytes of them."""

    definitions: ExamDefinitions
    milestones: Milestones
    defined: CertificationDefinitions
    versions: PolicyVersions
    rules: RuleBook

    def written(self) -> dict[str, dict[str, list[int]]]:
        """Return its numbers by table and column."""
        return {
            name: {column: list(map(int, numbers)) for column, numbers in table._asdict().items()}
            for name, table in self._asdict().items()
        }

    @classmethod
    def read(cls, written: Mapping[str, Mapping[str, Sequence[int]]]) -> CatalogueColumns:
        """Make it of its numbers again."""

        def table(kind: Any, name: str) -> Any:
            columns = (np.array(numbers, dtype=np.int64) for numbers in written[name].values())
            return kind(**dict(zip(written[name], columns, strict=True)))

        return cls(
            table(ExamDefinitions, "definitions"),
            table(Milestones, "milestones"),
            table(CertificationDefinitions, "defined"),
            table(PolicyVersions, "versions"),
            table(RuleBook, "rules"),
        )


class Plan(BaseModel):
    """A question about everybody: all that an answer to a part depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    of: Of
    as_of: int
    position: int
    exams: tuple[str, ...] | None
    candidates: tuple[str, ...] | None
    statuses: tuple[str, ...]
    parts: tuple[PublishedFile, ...]
    clock: PublishedFile
    exam_names: tuple[str, ...]
    certifications: tuple[str, ...]
    catalogue: dict[str, dict[str, tuple[int, ...]]]
    drafted: dict[str, dict[str, tuple[int, ...]]] | None
    """The catalogue with drafts in it, if any are tried."""
    touched: tuple[int, ...]
    """The exams under a draft, as the columns number them."""
    since: int | None
    form: Form

    @property
    def digest(self) -> str:
        """The SHA-256 of the question, by which its receipts are known."""
        written = f"{release()}\n{self.model_dump_json()}"
        return hashlib.sha256(written.encode()).hexdigest()

    @property
    def moment(self) -> str:
        """Return the options by which the same question is asked again at a later time."""
        return f"--as-of {format_instant(self.as_of)} --known-at @{self.position}"

    def file(self, part: int) -> str:
        """Return the name of the file that a part's answer is written to."""
        return f"{self.of}-{part:06d}.{self.form}"


class Errand(BaseModel):
    """What one call of an engine is to do with a plan: which parts, and where everything lies."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    plan: Plan
    columns: str
    """The URL of the parts."""
    into: str | None
    """The URL of the files to write; None: the rows come back through the engine."""
    wanted: tuple[int, ...]
    """The parts to answer: the engine's numbers are places in it."""
    cache: str | None
    """The folder of compiled code, if workers have it too."""
    small: int

    def written(self) -> bytes:
        """Write it behind a line that says by which release and rules it is to be read."""
        return f"{release()}\n{self.model_dump_json()}".encode()


class PartReceipt(BaseModel):
    """What a worker wrote of a part."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    question: str
    """The digest of the plan."""
    as_of: str
    position: int
    """Its moment, so that whoever comes across it can ask the same question again."""
    part: int
    file: str
    rows: int
    sha256: str
    """Of the rows, as JSON Lines to the letter of spec section 5."""
    file_sha256: str


@cache
def release() -> str:
    """Name this release and its rules: both sides have to have the same."""
    return f"attempt-ledger {version('attempt-ledger')}, rules {rules_digest()}"


# -- at the worker


@dataclass(frozen=True)
class PartAsked:
    """A question bound to the columns of one part: see `replay.bound`."""

    as_of: int
    position: int
    columns: Columns
    catalogue: CatalogueColumns
    kernels: Kernels
    engine: Engine


def answer(written: bytes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Answer the parts whose places an engine sends: what `mapInArrow` calls.

    `written` is an Errand as bytes, of which nothing but the first line is read unless release and
    rules are this worker's own. Yields `REPLY`.
    """
    theirs, _, body = written.partition(b"\n")
    if theirs.decode("utf-8", "replace") != release():
        problem = (
            f"a worker has {release()}, and the question is of {theirs.decode('utf-8', 'replace')}:"
            " install the same release on both sides"
        )
        yield _reply([(-1, None, problem)])
        return
    errand = Errand.model_validate_json(body)
    for batch in batches:
        for place in batch.column(0).to_pylist():
            part = errand.wanted[place]
            try:
                for payload in _payloads(errand, part):
                    yield _reply([(part, payload, None)])
            except (LedgerProblem, OSError) as error:
                yield _reply([(part, None, f"part {part}: {error}")])


def _payloads(errand: Errand, part: int) -> Iterator[bytes]:
    table = part_table(errand, part)
    if errand.into is not None:
        yield write_part_answer(errand.plan, part, table, place_of(errand.into)).encode()
        return
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    content = sink.getvalue()
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE].to_pybytes()


def _reply(rows: Sequence[tuple[int, bytes | None, str | None]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, REPLY, strict=True)]
    return pa.record_batch(arrays, schema=REPLY)


def part_table(errand: Errand, part: int) -> pa.Table:
    """Return the rows of one part; raises LedgerProblem or OSError."""
    plan = errand.plan
    opened = open_part(place_of(errand.columns), plan.parts[part])
    engine = Engine(None if errand.cache is None else Path(errand.cache), 1, small=errand.small)
    bound = PartAsked(
        plan.as_of,
        plan.position,
        Columns(plan.position, (opened,), None, plan.exam_names, plan.certifications),
        CatalogueColumns.read(plan.catalogue),
        kernels_for(plan.position, engine),
        engine,
    )
    scope = Scope(
        None if plan.exams is None else frozenset(plan.exams),
        None if plan.candidates is None else frozenset(plan.candidates),
    )
    if plan.of == "violations":
        clock = open_clock(place_of(errand.columns), plan.clock, plan.position)
        return violations_in(bound, clock, scope)
    if plan.drafted is not None:
        return _changed(plan, bound, scope)
    table = everybody(bound, scope)
    return with_status(table, plan.statuses) if plan.statuses else table


def _changed(plan: Plan, bound: PartAsked, scope: Scope) -> pa.Table:
    """Return what drafts change; of how many is in the table's metadata."""
    drafted = replace(bound, catalogue=CatalogueColumns.read(plan.drafted or {}))
    if plan.of == "changed-sittings":
        found = changed_sittings(bound, drafted, plan.touched, plan.since, scope)
    else:
        found = changed_standings(bound, drafted, plan.touched, scope)
    return found.rows.replace_schema_metadata({COUNTED: str(found.of)})


def write_part_answer(plan: Plan, part: int, table: pa.Table, place: Place) -> str:
    """Write the rows of a part, then its receipt; return the receipt as JSON."""
    content = io.BytesIO()
    write_rows(table, plan.form, content, About(plan.of.capitalize()))
    receipt = PartReceipt(
        question=plan.digest,
        as_of=format_instant(plan.as_of),
        position=plan.position,
        part=part,
        file=plan.file(part),
        rows=table.num_rows,
        sha256=digest_of(table),
        file_sha256=hashlib.sha256(content.getbuffer()).hexdigest(),
    ).model_dump_json()
    with place.writing(plan.file(part)) as file:
        file.write(content.getbuffer())
    with place.writing(f"{RECEIPTS}/{plan.file(part)}.json") as file:
        file.write(receipt.encode())
    return receipt
