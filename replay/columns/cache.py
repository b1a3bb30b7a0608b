"""The snapshot beside a ledger: made, brought up to date, and thrown away when in doubt.

A folder `<ledger>.columns` of immutable part files and one manifest that names
them. The manifest is replaced in one step, so a reader sees the old snapshot or
the new one, and whoever dies in the middle leaves only files that nobody names.
"""

from __future__ import annotations

import fcntl
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from ledger.ledger import Ledger
from ledger.store.scan import scan_touched
from ledger.store.schema import SCHEMA_VERSION
from replay.columns.arrange import Numbers, arrange
from replay.columns.build import Progress, build
from replay.columns.choose import between, merge, split
from replay.columns.part import Part, read_part, write_part

FORMAT = 3
"""Raised whenever what a part file means changes; other formats are rebuilt."""

Say = Callable[[str], None]
"""Told, in a sentence, what a person should know: that a snapshot was damaged and is rebuilt."""

# Beyond this share of the base the delta is folded into it, and the whole store read anew when
# more than this share of it is new.
_COMPACT_AT = 0.1
_REBUILD_AT = 0.2
_SMALL = 100_000


class Entry(BaseModel):
    """A part file: its name, the digest of its bytes, its first candidate, how many rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    digest: str
    first: str
    rows: int


class Manifest(BaseModel):
    """What the snapshot stands for: rebuilt when format, ledger or schema is another.

    `last` is the event at `position`: a ledger put back from a copy and written on has another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    ledger: str
    schema_version: int
    position: int
    last: tuple[int, str, str] | None
    base: tuple[Entry, ...]
    delta: Entry | None
    exams: tuple[str, ...]
    certifications: tuple[str, ...]
    digest: str = ""
    """Of all the rest: one flipped bit could name another exam."""

    def sealed(self) -> Manifest:
        """Return it with its digest."""
        bare = self.model_copy(update={"digest": ""}).model_dump_json()
        digest = xxhash.xxh3_128(bare.encode()).hexdigest()
        return self.model_copy(update={"digest": digest})


class Columns(NamedTuple):
    """Everybody's facts up to a position: base parts, and a delta that replaces candidates."""

    position: int
    base: tuple[Part, ...]
    delta: Part | None
    exams: tuple[str, ...]
    """The exam of each number in the parts."""
    certifications: tuple[str, ...]


class Damaged(Exception):
    """A snapshot that is not what its manifest says; it is rebuilt."""


class Snapshot:
    """The snapshot of one ledger. Safe among processes: one refreshes, the others wait or read."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        workers: int = 2,
        say: Say = lambda sentence: None,
        progress: Progress = lambda facts: None,
    ) -> None:
        """Look after the snapshot in `<ledger>.columns`; nothing is read yet."""
        self._ledger = ledger
        self._folder = Path(f"{ledger.path}.columns")
        self._workers = workers
        self._say = say
        self._progress = progress

    def columns(self, position: int) -> Columns:
        """Return columns of every fact up to `position` at least, refreshing them if they lag.

        Raises LedgerProblem when the ledger, OSError when the folder cannot be used.
        """
        try:
            manifest = self._manifest()
            if manifest is not None and manifest.position >= position:
                return self._open(manifest)
        except Damaged:
            pass  # or being replaced just now: under the lock it is seen which
        with self._locked():
            return self._refreshed(position)

    def _refreshed(self, position: int) -> Columns:
        try:
            manifest = self._manifest()
            if manifest is None:
                return self._rebuilt(position)
            columns = self._open(manifest)
        except Damaged as problem:
            self._damaged(problem)
            return self._rebuilt(position)
        if columns.position >= position:
            return columns
        if position - columns.position > max(_SMALL, _REBUILD_AT * columns.position):
            return self._rebuilt(position)
        return self._extended(manifest, columns, position)

    def _rebuilt(self, position: int) -> Columns:
        exams, certifications = Numbers([]), Numbers([])
        parts = build(
            self._ledger.path,
            position,
            exams,
            certifications,
            workers=self._workers,
            progress=self._progress,
        )
        base = tuple(self._write(part) for part in parts)
        return self._publish(position, base, None, exams, certifications)

    def _extended(self, manifest: Manifest, columns: Columns, position: int) -> Columns:
        exams, certifications = Numbers(columns.exams), Numbers(columns.certifications)
        batches = list(scan_touched(self._ledger.path, columns.position, position))
        if not batches:  # only the catalogue grew
            return self._publish(position, manifest.base, manifest.delta, exams, certifications)
        new = arrange(pa.Table.from_batches(batches), exams, certifications)
        delta = new if columns.delta is None else merge(columns.delta, new)
        rows = sum(entry.rows for entry in manifest.base)
        if len(delta.sittings.kind) > max(_SMALL, _COMPACT_AT * rows):
            base = tuple(self._compacted(manifest.base, columns.base, delta))
            return self._publish(position, base, None, exams, certifications)
        return self._publish(position, manifest.base, self._write(delta), exams, certifications)

    def _compacted(
        self, entries: Sequence[Entry], parts: Sequence[Part], delta: Part
    ) -> Iterator[Entry]:
        """Fold a delta into the base, part by part."""
        firsts = [None, *(entry.first for entry in entries[1:]), None]
        for n, part in enumerate(parts):
            newer = between(delta, firsts[n], firsts[n + 1])
            if len(newer.candidates) == 0:
                yield entries[n]
                continue
            for piece in split(merge(part, newer)):
                yield self._write(piece)

    def reached(self) -> int | None:
        """Return up to which position it is, None if there is none to go on from; reads no part.

        Raises Damaged when its manifest, or a part that it names, is not there to be read.
        """
        manifest = self._manifest()
        if manifest is None:
            return None
        for entry in (*manifest.base, *([manifest.delta] if manifest.delta else [])):
            if not (self._folder / entry.file).is_file():
                raise Damaged(f"{entry.file} is missing")
        return manifest.position

    # -- files

    def _manifest(self) -> Manifest | None:
        """Read the manifest; None when there is none, or it is of another ledger or format."""
        try:
            text = (self._folder / "manifest.json").read_bytes()
        except FileNotFoundError:
            return None
        try:
            raw: dict[str, Any] = json.loads(text)
            if raw["format"] != FORMAT:
                return None
            manifest = Manifest.model_validate_json(text)
        except (ValueError, KeyError, TypeError, ValidationError):
            raise Damaged("its manifest cannot be read") from None
        stands = (manifest.ledger, manifest.schema_version) == (self._id(), SCHEMA_VERSION)
        if not stands or manifest.position > self._ledger.head().position:
            return None
        if manifest.last != self._event_at(manifest.position):
            return None
        if manifest.sealed() != manifest:
            raise Damaged("its manifest is not as it was written")
        return manifest

    def _event_at(self, position: int) -> tuple[int, str, str] | None:
        """Return the event at a position from any other: its recorded_at, source and id."""
        for row in self._ledger.read(position - 1, position):
            return row.recorded_at, row.source, row.id
        return None

    def _id(self) -> str:
        return self._ledger.about("ledger") or ""

    def _open(self, manifest: Manifest) -> Columns:
        entries = [*manifest.base, *([manifest.delta] if manifest.delta else [])]
        with ThreadPoolExecutor(self._workers) as pool:
            parts = tuple(pool.map(self._read, entries))
        return Columns(
            position=manifest.position,
            base=parts[: len(manifest.base)],
            delta=parts[-1] if manifest.delta else None,
            exams=manifest.exams,
            certifications=manifest.certifications,
        )

    def _read(self, entry: Entry) -> Part:
        path = self._folder / entry.file
        try:
            if digest(path) != entry.digest:
                raise Damaged(f"{entry.file} is not as it was written")
            return read_part(path)
        except (OSError, pa.ArrowInvalid) as problem:
            raise Damaged(f"{entry.file} cannot be read ({problem})") from None

    def _write(self, part: Part) -> Entry:
        name = f"{secrets.token_hex(8)}.arrow"
        path = self._folder / name
        write_part(part, path)
        first = part.candidates[0].as_py() if len(part.candidates) else ""
        return Entry(file=name, digest=digest(path), first=first, rows=len(part.sittings.kind))

    def _publish(
        self,
        position: int,
        base: Sequence[Entry],
        delta: Entry | None,
        exams: Numbers,
        certifications: Numbers,
    ) -> Columns:
        manifest = Manifest(
            format=FORMAT,
            ledger=self._id(),
            schema_version=SCHEMA_VERSION,
            position=position,
            last=self._event_at(position),
            base=tuple(entry for entry in base if entry.rows) or tuple(base[:1]),
            delta=delta,
            exams=tuple(exams.names()),
            certifications=tuple(certifications.names()),
        ).sealed()
        draft = self._folder / f"{secrets.token_hex(8)}.tmp"
        draft.write_text(manifest.model_dump_json())
        columns = self._open(manifest)
        draft.replace(self._folder / "manifest.json")
        self._sweep(manifest)
        return columns

    def _sweep(self, manifest: Manifest) -> None:
        """Delete what the manifest does not name; who still reads it has it mapped."""
        named = {entry.file for entry in manifest.base} | {"manifest.json", "lock"}
        if manifest.delta:
            named.add(manifest.delta.file)
        for path in self._folder.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _damaged(self, problem: Damaged) -> None:
        self._say(f"the snapshot in {self._folder} is damaged: {problem}; it is rebuilt")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def digest(path: Path) -> str:
    """Return the digest of a file's bytes, by which damage is noticed (not tampering)."""
    summed = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            summed.update(chunk)
    return summed.hexdigest()


def passing(
    ledger: Ledger,
    position: int,
    *,
    workers: int = 2,
    progress: Progress = lambda facts: None,
) -> Columns:
    """Return columns straight from the ledger, with no snapshot read or left behind."""
    exams, certifications = Numbers([]), Numbers([])
    parts = build(ledger.path, position, exams, certifications, workers=workers, progress=progress)
    return Columns(
        position=position,
        base=tuple(parts),
        delta=None,
        exams=tuple(exams.names()),
        certifications=tuple(certifications.names()),
    )
