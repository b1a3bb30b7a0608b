"""Columns for workers on other machines: parts in a storage that all of them reach, and a manifest.

Made by `columns build`. The parts are ranges of candidates, named by their digests and never
changed. The manifest names them with those digests and is signed by the ledger's signing key: so
storage that others may write to can at most keep an answer from being computed. It is written
last; whoever dies in the middle leaves the earlier build, and parts that the next one removes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import fs
from pydantic import BaseModel, ConfigDict, ValidationError

from ledger.fields import parse_json
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, shown
from ledger.store.scans import Clock
from ledger.store.server import Address
from ledger.tlog.note import SigningKey
from ledger.tlog.verify_proof import ProofProblem, VerifierKey, open_note
from replay.columns.arrange import Numbers
from replay.columns.build import build
from replay.columns.cache import FORMAT
from replay.columns.part import PACKED, PART_ROWS, Part, part_bytes, part_in
from replay.snapshot import Engine

MANIFEST: Final = "manifest"
_HEADING: Final = "attempt-ledger columns\n"
"""The first line of what is signed: no checkpoint begins so."""
_OURS: Final = re.compile(r"\.?([0-9a-f]{32}\.arrow|manifest)(\.[0-9a-f]{8})?")
_MOST_PARTS: Final = 800
"""Each is a file that is open while the facts are spread over them."""


class NoColumns(LedgerProblem):
    """There are no columns at a URL that would answer the question; str() is one sentence."""


# -- where files lie


class Place(NamedTuple):
    """A folder of this machine, or of some storage."""

    url: str
    files: fs.FileSystem | None
    """None for this machine's, where Arrow knows no name but in UTF-8."""
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine, which other machines reach if they share it."""
        return self.files is None

    @property
    def reached(self) -> str:
        """How a worker names it: by its whole path, or its URL; raises LedgerProblem."""
        named = self.path if self.is_local else self.url
        try:
            named.encode()
        except UnicodeEncodeError:
            raise LedgerProblem(
                f"{self.url} is no name in UTF-8, which an engine's workers need: name another "
                "folder, with --columns or --into"
            ) from None
        return named

    def read(self, name: str, most: int = 16 << 20) -> pa.Buffer:
        """Read a whole file of at most so many bytes; of a longer one, one byte more.

        Others may write to the storage. Raises OSError, FileNotFoundError where there is none.
        """
        path = f"{self.path}/{name}"
        if self.files is None:
            # A pipe in its place would have us wait for whoever writes into it.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
                if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                    raise OSError(errno.EINVAL, "is no file", path)
                return pa.py_buffer(opened.read(most + 1))
        with self.files.open_input_file(path) as file:
            return file.read_buffer(most + 1)

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Open a file that is there whole or not at all, in place of one of its name.

        A local one is written beside its place; object stores show what is whole anyway.
        """
        folder, _, file = f"{self.path}/{name}".rpartition("/")
        if self.files is not None:
            with self.files.open_output_stream(f"{folder}/{file}") as stream:
                yield stream
            return
        os.makedirs(folder, exist_ok=True)
        draft = f"{folder}/.{file}.{secrets.token_hex(4)}"
        try:
            with open(draft, "xb") as stream:
                yield stream
            os.replace(draft, f"{folder}/{file}")
        except BaseException:
            if os.path.lexists(draft):
                os.unlink(draft)
            raise

    def names(self, folder: str = "") -> list[str]:
        """Return what lies in it, or in a folder of it; nothing where it is not there."""
        path = f"{self.path}/{folder}".rstrip("/")
        if self.files is None:
            return sorted(os.listdir(path)) if os.path.isdir(path) else []
        selector = fs.FileSelector(path, allow_not_found=True)
        return sorted(info.base_name for info in self.files.get_file_info(selector))

    def remove(self, name: str) -> None:
        """Remove a file."""
        if self.files is None:
            os.unlink(f"{self.path}/{name}")
        else:
            self.files.delete_file(f"{self.path}/{name}")


def place_of(url: str) -> Place:
    """Return the place that a URL, or the plain path of a folder, names.

    Whatever Arrow's file systems reach: ``file:``, ``s3:``, ``gs:``, ``abfs:``, ``hdfs:``. Raises
    LedgerProblem.
    """
    if "://" not in url:
        return Place(url, None, os.path.realpath(url))
    if ":" in url.partition("://")[2].partition("/")[0].rpartition("@")[0]:
        raise LedgerProblem(
            "the URL of a folder has a secret in it, which workers and messages would get: leave "
            "it out, and put it in the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    try:
        files, path = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise LedgerProblem(
            f"{shown(url)} names no folder that can be reached ({_first_line(error)}); accepted is "
            "a path, file:///path, or a URL of s3, gs, abfs or hdfs"
        ) from None
    return Place(url, None if isinstance(files, fs.LocalFileSystem) else files, path.rstrip("/"))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


# -- what lies there


class PublishedFile(BaseModel):
    """A file: its name, the SHA-256 of its bytes, how many of them, and of rows, it has."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    sha256: str
    bytes: int
    rows: int
    """Of a part: rows of sittings."""


class Published(BaseModel):
    """What the manifest says: the columns of one ledger up to a position, part by part."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    ledger: str
    position: int
    last: tuple[int, str, str] | None
    """The event at the position (recorded_at, source, id): a ledger put back has another."""
    part_rows: int
    parts: tuple[PublishedFile, ...]
    """In the order of candidates: all of one part come before those of the next."""
    clock: PublishedFile
    """When positions were recorded: one row for each transaction."""
    exams: tuple[str, ...]
    certifications: tuple[str, ...]


def publish(
    ledger: Ledger,
    place: Place,
    key: SigningKey,
    engine: Engine,
    *,
    part_rows: int | None = None,
) -> Published:
    """Build columns of everything in a ledger up to its head, and sign them.

    `part_rows` is about how many sitting rows a part has; None: as many as those that are there, or
    a million. Nothing is done where all that is there already. Raises LedgerProblem, and changes
    nothing, where the folder holds anything else; OSError.
    """
    names = place.names()
    if strange := [name for name in names if not _OURS.fullmatch(name)]:
        raise NoColumns(
            f"{place.url} holds {shown(strange[0])}, which no build of columns made: name another "
            "folder"
        )
    if MANIFEST in names and place.path != os.path.realpath(parts_of(ledger.path)):
        _check_manifest(ledger, place)
    earlier = _earlier(ledger, place, key.verifier) if MANIFEST in names else None
    wanted = part_rows or (earlier.part_rows if earlier else PART_ROWS)
    position = ledger.head().position
    if earlier and (earlier.position, earlier.part_rows) == (position, wanted):
        return earlier
    if position > _MOST_PARTS * wanted:
        raise NoColumns(
            f"that would make more than {_MOST_PARTS:,} parts: give --part-rows "
            f"{-(-position // _MOST_PARTS):,} or more"
        )
    exams, certifications = Numbers([]), Numbers([])
    parts = build(
        ledger.scans,
        position,
        exams,
        certifications,
        part_rows=wanted,
        workers=engine.workers,
        progress=engine.progress,
    )
    written = tuple(
        _put(place, part_bytes(part), len(part.sittings.kind))
        for part in parts
        if len(part.candidates)
    )
    published = Published(
        format=FORMAT,
        ledger=str(ledger.about("ledger")),
        position=position,
        last=_event_at(ledger, position),
        part_rows=wanted,
        parts=written,
        clock=_put_clock(place, ledger.scans.clock(position)),
        exams=tuple(exams.names()),
        certifications=tuple(certifications.names()),
    )
    with place.writing(MANIFEST) as file:
        body = json.dumps(published.model_dump(mode="json"))  # a note has no control characters
        file.write(key.sign(f"{_HEADING}{body}\n"))
    # Those of the build before stay for whoever still reads them.
    kept = {
        each.file for build in (published, earlier) if build for each in (*build.parts, build.clock)
    }
    for name in names:
        if name != MANIFEST and name not in kept:
            place.remove(name)
    return published


def _check_manifest(ledger: Ledger, place: Place) -> None:
    """Raise NoColumns where what would be replaced is no build of this ledger's columns.

    One that was damaged is; what it says is not believed, only whose it says it is.
    """
    heading, _, rest = place.read(MANIFEST).to_pybytes().partition(b"\n")
    if heading + b"\n" != _HEADING.encode():
        raise NoColumns(
            f"{place.url} holds a {MANIFEST}, which no build of columns made: name another folder"
        )
    with suppress(ValueError, AttributeError):
        named = parse_json(rest.partition(b"\n")[0]).get("ledger")
        if named != ledger.about("ledger"):
            raise NoColumns(
                f"{place.url} holds the columns of another ledger: name another folder, or remove "
                "them first"
            )


def _put(place: Place, content: pa.Buffer, rows: int) -> PublishedFile:
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{sha256[:32]}.arrow"
    with place.writing(name) as file:
        file.write(content)
    return PublishedFile(file=name, sha256=sha256, bytes=len(content), rows=rows)


def _put_clock(place: Place, clock: Clock) -> PublishedFile:
    sink = pa.BufferOutputStream()
    table = pa.table(clock._asdict())
    options = pa.ipc.IpcWriteOptions(compression=PACKED)
    with pa.ipc.new_file(sink, table.schema, options=options) as file:
        file.write_table(table)
    return _put(place, sink.getvalue(), table.num_rows)


def _earlier(ledger: Ledger, place: Place, key: VerifierKey) -> Published | None:
    """Return what an earlier build left, None where it is of no use any more."""
    try:
        return published_at(ledger, place, key, 0)
    except NoColumns:
        return None


def published_at(ledger: Ledger, place: Place, key: VerifierKey, position: int) -> Published:
    """Return the columns of a ledger at a place, which reach a position at least.

    Raises NoColumns where there are none, they were signed by another key or changed since, are of
    another ledger or release, or do not reach so far; OSError.
    """
    again = f"build them with `columns build --to {place.url}`"
    try:
        note = place.read(MANIFEST).to_pybytes()
    except FileNotFoundError:
        raise NoColumns(f"there are no columns at {place.url}: {again}") from None
    try:
        text = open_note(note, key, "the manifest")
        heading, _, body = text.partition("\n")
        if f"{heading}\n" != _HEADING:
            raise ProofProblem("it is a signed note of something else")
        published = Published.model_validate_json(body)
    except (ProofProblem, ValidationError) as problem:
        reason = str(problem) if isinstance(problem, ProofProblem) else "its members are others"
        raise NoColumns(f"the columns at {place.url} are not taken: {reason}; {again}") from None
    if published.format != FORMAT:
        raise NoColumns(f"the columns at {place.url} are of another release: {again}")
    if published.ledger != ledger.about("ledger"):
        raise NoColumns(f"the columns at {place.url} are of another ledger: {again}")
    if published.last != _event_at(ledger, published.position):
        raise NoColumns(f"the columns at {place.url} are of what the ledger was before: {again}")
    if published.position < position:
        raise NoColumns(
            f"the columns at {place.url} reach position {published.position:,}, and the question "
            f"{position:,}: {again}"
        )
    return published


def _event_at(ledger: Ledger, position: int) -> tuple[int, str, str] | None:
    row = ledger.event(position)
    return None if row is None else (row.recorded_at, row.source, row.id)


def open_part(place: Place, part: PublishedFile) -> Part:
    """Read a part, all at once: what was summed up is what is folded.

    Raises NoColumns where it is not as it was built; OSError.
    """
    return part_in(_read(place, part), part.file)


def open_clock(place: Place, clock: PublishedFile, position: int) -> Clock:
    """Read when positions were recorded, up to one of them; raises as `open_part` does."""
    table = pa.ipc.open_file(_read(place, clock)).read_all()
    first, recorded_at = (table[name].to_numpy() for name in Clock._fields)
    known = int(np.searchsorted(first, position, side="right"))
    return Clock(first[:known], recorded_at[:known])


def _read(place: Place, published: PublishedFile) -> pa.BufferReader:
    content = place.read(published.file, published.bytes)
    if hashlib.sha256(content).hexdigest() != published.sha256:
        raise NoColumns(f"{published.file} at {place.url} is not as it was built: build them anew")
    return pa.BufferReader(content)


def parts_of(ledger: Address) -> str:
    """Return where the columns of a ledger are built unless somewhere else is named."""
    return f"{os.fspath(ledger)}.parts"
