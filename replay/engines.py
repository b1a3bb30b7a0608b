"""Everybody by an engine that speaks Spark's protocol: asked part by part, and put together.

The engine is asked for parts by number; its workers open them (`replay.partwise`). Folding is
cheap, and rows that come back through the engine dominate: so workers write files, and what comes
back is a receipt of each. A part that has none is asked for again, whatever became of the worker.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
import socket
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import pyarrow as pa
from pydantic import ValidationError
from pyspark.errors import PySparkException
from pyspark.sql.connect.client.retries import DefaultPolicy
from pyspark.sql.connect.session import SparkSession

from ledger.instants import format_instant
from ledger.problems import LedgerProblem, shown
from projections.catalogue import Catalogue, catalogue_of
from replay.columns.published import Place, Published
from replay.partwise import (
    COUNTED,
    RECEIPTS,
    CatalogueColumns,
    Errand,
    Form,
    Of,
    PartReceipt,
    Plan,
    answer,
    release,
)
from replay.population import SCHEMA, Scope
from replay.snapshot import Snapshot
from replay.violations import SCHEMA as VIOLATIONS
from replay.violations import UNREGISTERED, with_registrations
from replay.what_if import STANDINGS as CHANGED_STANDINGS
from replay.what_if import UNREGISTERED as UNREGISTERED_SITTINGS
from replay.what_if import (
    Compared,
    Counted,
    Draft,
    compared,
    drafted_events,
    exams_under,
)

RECEIPT: Final = "_receipt.json"
"""The receipt of the whole, beside the files: written last, when all of them are there."""
_REPLY: Final = "part long, payload binary, problem string"
_PORT: Final = 15002
"""Spark Connect's own."""
_REACH: Final = 5
"""Seconds to wait for a server that does not answer: the client would try for ever."""
_ATTEMPTS: Final = 3
"""How often in a row it may fail without a part being answered."""
_OURS: Final = re.compile(
    rf"(standings|violations)-\d{{6}}\.(csv|parquet)|{re.escape(RECEIPT)}|{RECEIPTS}"
)
_DRAFT: Final = re.compile(
    r"\.((standings|violations)-\d{6}\.(csv|parquet)(\.json)?|_receipt\.json)\.[0-9a-f]{8}"
)
_MODULE: Final = re.compile(r"No module named '?([\w.]+)")


class EngineProblem(LedgerProblem):
    """The engine cannot be reached, or cannot answer; str() is one sentence."""


class Answered(NamedTuple):
    """What lies in a folder once every part is answered."""

    rows: int
    files: int


class SparkEngine:
    """A server of Spark's protocol: Apache Spark 4, Sail."""

    def __init__(self, url: str, tasks: int) -> None:
        """Take the URL of a server, ``sc://host:port``, and how many parts it is to answer at once.

        Nothing is sent yet. Raises EngineProblem for another URL.
        """
        parts = urlsplit(url)
        try:
            port = parts.port or _PORT
        except ValueError:
            port = 0
        if parts.scheme != "sc" or not parts.hostname or not port:
            raise EngineProblem(f"{shown(url)} names no engine: accepted is sc://host:port")
        self.url = url
        self._at = (parts.hostname, port)
        self._tasks = tasks

    @contextmanager
    def session(self) -> Iterator[SparkSession]:
        """Open a session; raises EngineProblem at once where nobody answers."""
        try:
            socket.create_connection(self._at, timeout=_REACH).close()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EngineProblem(f"no engine answers at {self.url}: {reason}") from None
        # Whatever it logs or warns of is raised as well, or is its own affair.
        logging.getLogger("pyspark").setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), ExitStack() as stack:
            warnings.simplefilter("ignore")
            try:
                session = SparkSession.builder.remote(self.url).create()
                stack.callback(_close, session)
                session.client.set_retry_policies([DefaultPolicy(max_retries=3, max_backoff=1000)])
                session.conf.set("spark.sql.session.timeZone", "UTC")
                yield session
            except Exception as error:
                raise EngineProblem(self._sentence(error)) from error

    def _sentence(self, error: Exception) -> str:
        text = str(error)
        if isinstance(error, PySparkException) and (missing := _MODULE.search(text)):
            return (
                f"the workers of {self.url} have no module {missing[1]}: install this release of "
                "attempt-ledger, with its extra everyone, where they run"
            )
        line = next((line for line in text.splitlines() if line.strip()), type(error).__name__)
        return f"the engine at {self.url} failed: {line.strip()}"

    def run(self, errand: Errand) -> pa.Table:
        """Have an errand's parts answered; return the replies, those of a part in order.

        No more partitions than are to be answered at once: an engine that begins all of them
        together has that many parts in memory. Raises EngineProblem.
        """
        count = len(errand.wanted)
        with self.session() as session:
            frame = session.range(0, count, 1, min(count, self._tasks))
            replies = frame.mapInArrow(partial(answer, errand.written()), _REPLY).toArrow()
        for problem in replies["problem"].drop_null().to_pylist():
            raise EngineProblem(problem)
        return replies


def _close(session: SparkSession) -> None:
    with suppress(Exception):  # the server is gone: there is nothing left to close
        session.stop()


# -- the question


def plan_of(
    snapshot: Snapshot,
    published: Published,
    scope: Scope,
    statuses: Sequence[str] = (),
    form: Form = "parquet",
    of: Of = "standings",
) -> Plan:
    """Make the plan of everybody's standing at a snapshot, or of violations.

    By columns that were built, which reach its position.
    """
    catalogue = _numbered(snapshot, published)
    exams = {scope.exam} if isinstance(scope.exam, str) else scope.exam
    return Plan(
        of=of,
        as_of=snapshot.as_of,
        position=snapshot.position,
        exams=None if exams is None else tuple(sorted(exams)),
        candidates=None if scope.candidates is None else tuple(sorted(scope.candidates)),
        statuses=tuple(sorted(statuses)),
        parts=published.parts,
        clock=published.clock,
        exam_names=published.exams,
        certifications=published.certifications,
        catalogue=_written(catalogue),
        drafted=None,
        touched=(),
        since=None,
        form=form,
    )


def _numbered(snapshot: Snapshot, published: Published) -> Catalogue:
    """Return the catalogue, numbered as the columns are."""
    return catalogue_of(snapshot.entries, published.exams, published.certifications)


def _written(catalogue: Catalogue) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return what the fold reads of a catalogue, as a plan has it."""
    tables = CatalogueColumns(
        catalogue.definitions, catalogue.milestones, catalogue.defined, catalogue.versions,
        catalogue.rules,
    )  # fmt: skip
    return {
        name: {column: tuple(numbers) for column, numbers in table.items()}
        for name, table in tables.written().items()
    }


def errand_of(
    snapshot: Snapshot, plan: Plan, columns: Place, into: Place | None, wanted: Sequence[int]
) -> Errand:
    """Make one call's errand: some parts of a plan, and where everything lies."""
    cache = snapshot.engine.cache
    return Errand(
        plan=plan,
        columns=columns.reached,
        into=None if into is None else into.reached,
        wanted=tuple(wanted),
        cache=None if cache is None else str(cache),
        small=snapshot.engine.small,
    )


def collect(engine: SparkEngine, snapshot: Snapshot, plan: Plan, columns: Place) -> pa.Table:
    """Return the rows of all parts, through the engine: everybody's standing, or violations.

    A table of `replay.population.SCHEMA` or `replay.violations.SCHEMA`. Raises EngineProblem.
    """
    rows = _counted(engine, snapshot, plan, columns).rows
    return with_registrations(snapshot, rows, VIOLATIONS) if plan.of == "violations" else rows


def compare(
    engine: SparkEngine,
    snapshot: Snapshot,
    plan: Plan,
    published: Published,
    columns: Place,
    drafts: Sequence[Draft],
    since: int | None,
) -> Compared:
    """Return what drafts would have done, as `replay.what_if.what_if` does.

    `plan` is that of everybody's standing now. Raises EngineProblem.
    """
    drafted = snapshot.supposing(drafted_events(drafts))
    catalogue = _numbered(drafted, published)
    under = {
        "drafted": _written(catalogue),
        "touched": tuple(exams_under(catalogue, drafts)),
        "since": since,
    }
    sittings, standings = (
        _counted(engine, snapshot, plan.model_copy(update={"of": of, **under}), columns)
        for of in ("changed-sittings", "changed-standings")
    )
    return compared(snapshot, drafted, drafts, sittings, standings)


_ROWS: Final[Mapping[Of, pa.Schema]] = {
    "standings": SCHEMA,
    "violations": UNREGISTERED,
    "changed-sittings": UNREGISTERED_SITTINGS,
    "changed-standings": CHANGED_STANDINGS,
}
"""The rows that workers compute for a question, with what columns keep."""


def _counted(engine: SparkEngine, snapshot: Snapshot, plan: Plan, columns: Place) -> Counted:
    """Return the rows of all parts, and what their metadata count."""
    if not plan.parts:
        return Counted(_ROWS[plan.of].empty_table(), 0)
    every = range(len(plan.parts))
    replies = engine.run(errand_of(snapshot, plan, columns, None, every))
    pieces: dict[int, list[bytes]] = {part: [] for part in every}
    for part, payload in zip(
        replies["part"].to_pylist(), replies["payload"].to_pylist(), strict=True
    ):
        pieces[part].append(payload)
    tables = []
    for part, parts in pieces.items():
        if not parts:
            raise EngineProblem(f"the engine at {engine.url} left part {part} out")
        with pa.ipc.open_stream(io.BytesIO(b"".join(parts))) as stream:
            tables.append(stream.read_all())
    counts = [int((table.schema.metadata or {}).get(COUNTED, 0)) for table in tables]
    return Counted(
        pa.concat_tables(table.replace_schema_metadata(None) for table in tables), sum(counts)
    )


def answer_into(
    engine: SparkEngine, snapshot: Snapshot, plan: Plan, columns: Place, into: Place
) -> Answered:
    """Have every part written to a folder, and its receipt; return what is there then.

    Parts that an earlier call of the same question wrote are not asked for again, unless their
    files have changed since. Where the engine
    fails it is asked again for the parts that have no receipt, as long as it gets further. Raises
    EngineProblem; LedgerProblem, and writes nothing, where the folder holds anything else.
    """
    for receipt in _receipts(plan, into).values():
        if hashlib.sha256(into.read(receipt.file)).hexdigest() != receipt.file_sha256:
            into.remove(f"{RECEIPTS}/{receipt.file}.json")
    done = _receipts(plan, into)
    failed = 0
    while missing := [part for part in range(len(plan.parts)) if part not in done]:
        problem = None
        try:
            engine.run(errand_of(snapshot, plan, columns, into, missing))
        except EngineProblem as error:
            problem = error
        before = len(done)
        done = _receipts(plan, into)
        failed = 0 if len(done) > before else failed + 1
        if problem is not None and failed == _ATTEMPTS:
            raise EngineProblem(
                f"{problem}; {len(done):,} of {len(plan.parts):,} parts are written, and the same "
                f"call with {plan.moment} goes on from there"
            )
        if problem is not None:
            time.sleep(0.5 * failed)
    receipts = [done[part] for part in sorted(done)]
    with into.writing(RECEIPT) as file:
        file.write(_whole(snapshot, plan, receipts).encode())
    for folder in ("", RECEIPTS):
        for name in into.names(folder):
            if _DRAFT.fullmatch(name):  # of a worker that was killed
                into.remove(f"{folder}/{name}".lstrip("/"))
    return Answered(sum(each.rows for each in receipts), len(receipts))


def _receipts(plan: Plan, into: Place) -> dict[int, PartReceipt]:
    """Return the receipts of the parts that are answered; raises LedgerProblem for other files."""
    names = set(into.names())
    for name in sorted(names):
        if not _OURS.fullmatch(name) and not _DRAFT.fullmatch(name):
            raise EngineProblem(
                f"{into.url} holds {shown(name)}, no part of an answer: name another folder"
            )
    found = {}
    for name in into.names(RECEIPTS):
        if _DRAFT.fullmatch(name):
            continue
        try:
            receipt = PartReceipt.model_validate_json(into.read(f"{RECEIPTS}/{name}").to_pybytes())
        except ValidationError:
            raise EngineProblem(
                f"{into.url} holds {RECEIPTS}/{shown(name)}, no receipt: name another folder"
            ) from None
        if receipt.question != plan.digest:
            raise EngineProblem(
                f"{into.url} holds the answer to another question, with --as-of {receipt.as_of} "
                f"--known-at @{receipt.position}: go on with that one, or name another folder"
            )
        if receipt.file in names:
            found[receipt.part] = receipt
    return found


def _whole(snapshot: Snapshot, plan: Plan, receipts: Sequence[PartReceipt]) -> str:
    """Write the receipt of the whole: what was asked, by whom, and the digest of each part."""
    known = snapshot.moment.known_at
    return (
        json.dumps(
            {
                "question": plan.digest,
                "ledger": snapshot.ledger.about("ledger"),
                "position": plan.position,
                "as_of": format_instant(plan.as_of),
                "known_at": None if known is None else format_instant(known),
                "exams": plan.exams,
                "statuses": plan.statuses,
                "program": release(),
                "columns": [f"{field.name}: {field.type}" for field in _ROWS[plan.of]],
                "rows": sum(each.rows for each in receipts),
                "parts": [
                    each.model_dump(exclude={"question", "as_of", "position"}) for each in receipts
                ],
            },
            indent=2,
        )
        + "\n"
    )
