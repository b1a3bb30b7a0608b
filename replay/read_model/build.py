"""A read model from nothing, in bounded memory, into a file beside: it goes on where it was killed.

Facts are split by candidate into pieces while they are read, as for the column cache; each piece is
folded and goes in with a note that it is done, in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi

from ledger.ledger import Ledger
from ledger.own_folder import remove_folder
from ledger.problems import LedgerProblem, StoreFull
from ledger.store.file import storage_problems
from ledger.store.scans import DESCRIBED, RECORDED
from projections.tables import FACTS, KEPT
from replay.columns.build import bounds_of, read_ahead, spread
from replay.interpreted import Kernels, kernels_for
from replay.read_model.fold import Folder, Rows
from replay.read_model.schema import INDEXES
from replay.read_model.state import (
    PIECE_FILES,
    Other,
    is_there,
    pieces_of,
    reading_uri,
    remove,
    stand_at,
)
from replay.read_model.store import ReadModel
from replay.snapshot import Engine
from replay.tables.batch import Late, of_several_sources_in

PIECE = 500_000
"""How many facts are folded at once, about."""
_SAMPLES_A_PIECE = 256
# Further behind than this, all is built anew: reading everything once is cheaper.
_FAR = 100_000
_FAR_SHARE = 0.2

Bar: TypeAlias = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how much of so many is done: called with what and how many, it opens a context that is
called with how many more."""


class Options(NamedTuple):
    """How compiled code is got, and how a person hears what is done."""

    kernels: Callable[[int], Kernels]
    say: Callable[[str], None] = lambda sentence: None
    bar: Bar = lambda what, total: nullcontext(lambda more: None)


def options_of(engine: Engine, bar: Bar) -> Options:
    """Return options by which code is compiled when it comes to it, as an engine says."""
    return Options(lambda events: kernels_for(events, engine), engine.say, bar)


class Plan(NamedTuple):
    """What a draft is to become: the ledger and position, where it is cut, how much is done."""

    ledger: str
    position: int
    late: Late
    bounds: tuple[str, ...]
    done: int
    """How many pieces are in; one more when it is complete."""
    described: bool
    """Whether `facts` is in, which is about every event by itself."""

    @property
    def pieces(self) -> int:
        """How many there are."""
        return len(self.bounds) + 1


def far_behind(position: int, head: int) -> bool:
    """Return whether it is cheaper to build anew than to take up what is missing."""
    return head - position > max(_FAR, _FAR_SHARE * position)


def build(ledger: Ledger, draft: Path, position: int, options: Options, late: Late) -> None:
    """Fold everything up to a position into a read model at `draft`, complete and at rest.

    Goes on with a draft that was left by a kill, which may be of an earlier position: the caller
    brings it up to date. Raises LedgerProblem; what is done by then stays for the next time.
    """
    id = ledger.about("ledger") or ""
    plan = _begun(draft, id, late, position)
    if plan is None:
        plan = _begin(ledger, draft, Plan(id, position, late, (), 0, False))
    elif plan.done:
        done = min(plan.done, plan.pieces)
        options.say(f"going on with {draft}: {done} of {plan.pieces} pieces are done")
    if plan.done <= plan.pieces:
        kernels = options.kernels(plan.position)
        folder = Folder(kernels, late, of_several_sources_in(ledger))
        folder.learn(ledger.catalogue(0, plan.position))
        if plan.done < plan.pieces:
            _fill(ledger, draft, plan, folder, options)
        _finish(ledger, draft, plan, folder)


def finished(draft: Path) -> None:
    """Remove the note of how it was built from a draft: then it is a read model."""
    with ReadModel(draft, wal=False) as model, model.writing():
        model.db.execute("DROP TABLE IF EXISTS _plan")


def _begun(draft: Path, ledger: str, late: Late, position: int) -> Plan | None:
    """Read the plan of a draft that may be gone on with; None, and no draft, for any other."""
    try:
        if is_there(draft):
            with ReadModel(draft, wal=False) as model:
                if model.has("_plan"):
                    ((id, upto, *late_by, bounds, done, described),) = model.select(
                        "SELECT * FROM _plan"
                    )
                    bounds = tuple(json.loads(bounds))
                    plan = Plan(id, upto, Late(*late_by), bounds, done, bool(described))
                    fits = (id, plan.late) == (ledger, late)
                    if fits and upto <= position and not far_behind(upto, position):
                        return plan
    except (Other, LedgerProblem, ValueError):
        pass  # a draft is ours by its name, whatever is in it
    remove(draft)
    return None


def _begin(ledger: Ledger, draft: Path, plan: Plan) -> Plan:
    """Make the tables, and cut everybody into pieces as evenly as a sample tells."""
    pieces = -(-plan.position // PIECE)
    sample = ledger.scans.sample(plan.position, pieces * _SAMPLES_A_PIECE)
    plan = plan._replace(bounds=tuple(bounds_of(sample, pieces)))
    with ReadModel(draft, wal=False) as model:
        model.make_tables(stop_before=INDEXES)
        with model.writing():
            model.db.execute(
                "CREATE TABLE _plan (ledger TEXT, position INTEGER, late INTEGER, "
                "very_late INTEGER, bounds TEXT, done INTEGER, described INTEGER)"
            )
            model.db.execute(
                "INSERT INTO _plan VALUES (?, ?, ?, ?, ?, 0, 0)",
                (plan.ledger, plan.position, *plan.late, json.dumps(plan.bounds)),
            )
    return plan


def _fill(ledger: Ledger, draft: Path, plan: Plan, folder: Folder, options: Options) -> None:
    """Fold the pieces that are not in yet, the next one while one goes in.

    Every event is described while they are laid aside: reading takes most of the time of both.
    """
    pieces = pieces_of(draft)
    if not remove_folder(pieces, PIECE_FILES):  # of one that was killed
        raise LedgerProblem(f"{pieces} holds what is not ours: it was left as it is; move it away")
    with (
        options.bar("building", 2 * plan.position) as progress,
        storage_problems(pieces),
        ThreadPoolExecutor(1) as pool,
        _ended() as ended,
    ):
        pieces.mkdir(mode=0o700)
        files = [pieces / f"{piece}.arrows" for piece in range(plan.done, plan.pieces)]
        described = pool.submit(_describe, ledger, draft, plan, ended)
        _lay_aside(ledger, plan, files, progress)
        described.result()
        ahead = pool.submit(_folded, files[0], folder, plan.position)
        for n, _ in enumerate(files):
            folded, count = ahead.result()
            if n + 1 < len(files):
                ahead = pool.submit(_folded, files[n + 1], folder, plan.position)
            _ingest(draft, folded, plan.done + n + 1)
            progress(count)
    remove_folder(pieces, PIECE_FILES)


def _lay_aside(
    ledger: Ledger, plan: Plan, files: list[Path], progress: Callable[[int], None]
) -> None:
    """Write every fact to the file of its piece, as Arrow of RECORDED by position."""
    facts = read_ahead(ledger.scans.recorded(plan.position))
    if plan.done:
        first = plan.bounds[plan.done - 1]
        facts = (batch.filter(pc.greater_equal(batch["candidate"], first)) for batch in facts)
    try:
        spread(facts, plan.bounds[plan.done :], files, progress, RECORDED)
    except OSError as error:
        reason = error.strerror or error
        raise LedgerProblem(f"{files[0].parent} cannot be written: {reason}") from None


def _folded(file: Path, folder: Folder, position: int) -> tuple[Rows, int]:
    with file.open("rb") as opened, ipc.open_stream(opened) as stream:
        facts = stream.read_all()
    file.unlink()
    return folder.fold(facts, position), facts.num_rows


def _ingest(draft: Path, folded: Rows, done: int) -> None:
    """Put a piece's rows in."""
    with _bulk(draft, f"done = {done}") as cursor:
        for table in KEPT:
            rows = folded.get(table.name)
            if rows is not None and rows.num_rows:
                cursor.adbc_ingest(table.name, rows, mode="append")


@contextmanager
def _ended() -> Iterator[Event]:
    """Yield what is set when the body ends, whichever way: nothing goes on beside it after that."""
    ended = Event()
    try:
        yield ended
    finally:
        ended.set()


def _describe(ledger: Ledger, draft: Path, plan: Plan, ended: Event) -> None:
    """Fill `facts`, unless it is."""

    def facts() -> Iterator[pa.RecordBatch]:
        for batch in ledger.scans.described(0, plan.position):
            if ended.is_set():
                raise LedgerProblem("it is not needed any more")
            yield batch

    if not plan.described:
        with _bulk(draft, "described = 1") as cursor:
            reader = pa.RecordBatchReader.from_batches(DESCRIBED, facts())
            cursor.adbc_ingest(FACTS.name, reader, mode="append")


@contextmanager
def _bulk(path: Path, done: str) -> Iterator[Any]:
    """Write in bulk, and what is done by then: one transaction, none if the body raises."""
    try:
        with dbapi.connect(reading_uri(path)) as connection:
            with connection.cursor() as cursor:
                yield cursor
                cursor.execute(f"UPDATE _plan SET {done}")
            connection.commit()
    except Error as error:
        if "full" in str(error).lower():
            raise StoreFull(f"the disk of {path} is full: nothing was written") from None
        message = str(error).splitlines()[0]
        raise LedgerProblem(f"{path} cannot be written: {message}") from None


def _finish(ledger: Ledger, draft: Path, plan: Plan, folder: Folder) -> None:
    """Add what is of the catalogue, the position and the indexes."""
    with ReadModel(draft, wal=False) as model:
        with model.writing():
            model.write_catalogue(folder.fold_catalogue(plan.position))
            model.set_position(stand_at(ledger, plan.position, plan.late))
        model.make_tables()
        with model.writing():
            model.db.execute("UPDATE _plan SET done = ?", (plan.pieces + 1,))
