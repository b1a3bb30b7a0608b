"""The column cache beside a ledger: made, brought up to date, and thrown away when in doubt.

A folder `<ledger>.columns` of immutable part files and one manifest that names them. The manifest
is replaced in one step, so a reader sees the old cache or the new one, and whoever dies in the
middle leaves only files that nobody names.

It makes answers quick and proves nothing: whatever proves something reads the ledger itself. It is
taken only from a folder of this account's own, and only if its manifest bears the seal of this
account's key and names this very file, so that one that was made by somebody else, or of an edited
copy, is made anew. `check` holds it against the ledger's rows.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import xxhash
from pydantic import BaseModel, ConfigDict, ValidationError

from ledger.ledger import Ledger
from ledger.own_folder import NotOurs, cache_key, own_folder, remove_ours
from ledger.store.schema import SCHEMA_VERSION
from ledger.store.server import Server
from replay.columns.arrange import Numbers, arrange
from replay.columns.build import Columns, build, passing
from replay.columns.folder import FILES, FOREIGN, LOCK, Damaged, folder_of, locked
from replay.columns.part import Part, between, merge, read_part, same_facts, split, write_part
from replay.snapshot import Engine

FORMAT = 5
"""Raised whenever what a part file means changes; other formats are rebuilt."""

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
    """What the cache stands for: rebuilt when format, ledger, file or schema is another.

    `last` is the event at `position`: a ledger put back from a copy and written on has another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    ledger: str
    file: int
    """The inode of the ledger's file: a copy, which may have been edited, has another."""
    schema_version: int
    position: int
    base_position: int
    """Up to which the base holds every fact; the delta has all of whoever has later ones."""
    last: tuple[int, str, str] | None
    base: tuple[Entry, ...]
    delta: Entry | None
    exams: tuple[str, ...]
    certifications: tuple[str, ...]
    seal: str = ""
    """Of all the rest, by the account's key: one flipped bit could name another exam."""

    def sealed(self, key: bytes) -> Manifest:
        """Return it with its seal."""
        bare = self.model_copy(update={"seal": ""}).model_dump_json().encode()
        return self.model_copy(update={"seal": hmac.digest(key, bare, "sha256").hex()})

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every part, the delta last."""
        return (*self.base, *([self.delta] if self.delta else []))


class ColumnCache:
    """The column cache of one ledger. Safe among processes: one refreshes, others wait or read."""

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        """Look after the cache in `<ledger>.columns`; nothing is read yet.

        The account's key lies in the engine's cache folder: without one, no column cache is taken
        or made.
        """
        self._ledger = ledger
        self._engine = engine
        self._folder = folder_of(ledger.path)

    def columns(self, position: int) -> Columns:
        """Return columns of every fact up to `position` at least, refreshing them if they lag.

        Raises LedgerProblem when the ledger, NotOurs or OSError when the folder cannot be used.
        """
        own_folder(self._folder, FILES)
        try:
            manifest = self._manifest()
            if manifest is not None and manifest.position >= position:
                return self._open(manifest)
        except Damaged:
            pass  # or being replaced just now: under the lock it is seen which
        with locked(self._folder):
            return self._refreshed(position)

    def check(self, *, remove: bool = True) -> str | None:
        """Compare every part with the ledger's rows; return what was wrong, and remove it then.

        None where all is as it should be, or no cache is there. Raises as `columns` does.
        """
        if not os.path.lexists(self._folder):
            return None
        own_folder(self._folder, FILES)
        with locked(self._folder):
            problem = self._problem()
            if remove and problem is not None:
                remove_ours(self._folder, FILES, but=frozenset({LOCK}))
            return problem

    def _problem(self) -> str | None:
        try:
            manifest = self._manifest()
            if manifest is None:
                there = (self._folder / "manifest.json").exists()
                return FOREIGN if there else None
            columns = self._open(manifest)
        except Damaged as problem:
            return str(problem)
        exams, certifications = Numbers(columns.exams), Numbers(columns.certifications)
        parts = build(
            self._ledger.scans,
            manifest.base_position,
            exams,
            certifications,
            bounds=[entry.first for entry in manifest.base[1:]],
            workers=self._engine.workers,
            progress=self._engine.progress,
        )
        for entry, kept, part in zip(manifest.base, columns.base, parts, strict=True):
            if not same_facts(kept, part):
                return f"{entry.file} does not hold what the ledger says"
        rows = list(self._ledger.scans.facts_of_touched(manifest.base_position, manifest.position))
        if not rows and columns.delta is None:
            return None
        if rows and columns.delta is not None:
            part = arrange(pa.Table.from_batches(rows), exams, certifications)
            if same_facts(columns.delta, part):
                return None
        return "its newest part does not hold what the ledger says"

    def _refreshed(self, position: int) -> Columns:
        try:
            manifest = self._manifest()
            if manifest is None:
                return self._rebuilt(position)
            columns = self._open(manifest)
        except Damaged as problem:
            what = f"the column cache in {self._folder} is damaged: {problem}"
            self._engine.say(f"{what}; it is rebuilt")
            return self._rebuilt(position)
        if columns.position >= position:
            return columns
        if position - columns.position > max(_SMALL, _REBUILD_AT * columns.position):
            return self._rebuilt(position)
        return self._extended(manifest, columns, position)

    def _rebuilt(self, position: int) -> Columns:
        exams, certifications = Numbers([]), Numbers([])
        parts = build(
            self._ledger.scans,
            position,
            exams,
            certifications,
            workers=self._engine.workers,
            progress=self._engine.progress,
        )
        base = tuple(self._write(part) for part in parts)
        return self._publish(position, position, base, None, exams, certifications)

    def _extended(self, manifest: Manifest, columns: Columns, position: int) -> Columns:
        exams, certifications = Numbers(columns.exams), Numbers(columns.certifications)
        since = manifest.base_position

        def publish(base: Sequence[Entry], since: int, delta: Entry | None) -> Columns:
            return self._publish(position, since, base, delta, exams, certifications)

        batches = list(self._ledger.scans.facts_of_touched(columns.position, position))
        if not batches:  # only the catalogue grew
            return publish(manifest.base, since, manifest.delta)
        new = arrange(pa.Table.from_batches(batches), exams, certifications)
        delta = new if columns.delta is None else merge(columns.delta, new)
        rows = sum(entry.rows for entry in manifest.base)
        if len(delta.sittings.kind) > max(_SMALL, _COMPACT_AT * rows):
            base = tuple(self._compacted(manifest.base, columns.base, delta))
            return publish(base, position, None)
        return publish(manifest.base, since, self._write(delta))

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

        Raises Damaged when its manifest, or a part that it names, is not there to be read; NotOurs.
        """
        if not os.path.lexists(self._folder):
            return None
        own_folder(self._folder, FILES)
        manifest = self._manifest()
        if manifest is None:
            return None
        for entry in manifest.entries:
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
        stands = (manifest.ledger, manifest.file, manifest.schema_version)
        if stands != self._stands_for():
            return None
        beyond = manifest.position > self._ledger.head().position
        if beyond or manifest.last != self._event_at(manifest.position):
            return None
        if not hmac.compare_digest(manifest.sealed(self._key()).seal, manifest.seal):
            raise Damaged("its manifest is not as this account wrote it")
        return manifest

    def _event_at(self, position: int) -> tuple[int, str, str] | None:
        """Return the event at a position from any other: its recorded_at, source and id."""
        row = self._ledger.event(position)
        return None if row is None else (row.recorded_at, row.source, row.id)

    def _stands_for(self) -> tuple[str, int, int]:
        """Return the ledger, its file and its schema."""
        path = self._ledger.path
        inode = 0 if isinstance(path, Server) else path.stat().st_ino
        return self._ledger.about("ledger") or "", inode, SCHEMA_VERSION

    def _key(self) -> bytes:
        if self._engine.cache is None:
            raise NotOurs("this account has no folder for the key that it would be sealed with")
        return cache_key(self._engine.cache)

    def _open(self, manifest: Manifest) -> Columns:
        with ThreadPoolExecutor(self._engine.workers) as pool:
            parts = tuple(pool.map(self._read, manifest.entries))
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
        base_position: int,
        base: Sequence[Entry],
        delta: Entry | None,
        exams: Numbers,
        certifications: Numbers,
    ) -> Columns:
        ledger, file, schema = self._stands_for()
        manifest = Manifest(
            format=FORMAT,
            ledger=ledger,
            file=file,
            schema_version=schema,
            position=position,
            base_position=base_position,
            last=self._event_at(position),
            base=tuple(entry for entry in base if entry.first) or tuple(base[:1]),
            delta=delta,
            exams=tuple(exams.names()),
            certifications=tuple(certifications.names()),
        ).sealed(self._key())
        draft = self._folder / f"{secrets.token_hex(8)}.tmp"
        draft.write_text(manifest.model_dump_json())
        columns = self._open(manifest)
        draft.replace(self._folder / "manifest.json")
        self._sweep(manifest)
        return columns

    def _sweep(self, manifest: Manifest) -> None:
        """Delete what the manifest does not name; who still reads it has it mapped."""
        named = frozenset(entry.file for entry in manifest.entries)
        remove_ours(self._folder, FILES, but=named | {"manifest.json", LOCK})


def columns_of(ledger: Ledger, position: int, engine: Engine) -> Columns:
    """Return columns that reach a position at least, from the cache if the engine keeps one.

    Where the folder beside the ledger cannot be used, they are read anew, which is said.
    """
    if engine.keep_columns:
        try:
            return ColumnCache(ledger, engine).columns(position)
        except (NotOurs, OSError) as problem:
            engine.say(f"no column cache is kept beside the ledger: {problem}")
    return passing(ledger, position, workers=engine.workers, progress=engine.progress)


def digest(path: Path) -> str:
    """Return the digest of a file's bytes, by which damage is noticed (not tampering)."""
    summed = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            summed.update(chunk)
    return summed.hexdigest()
