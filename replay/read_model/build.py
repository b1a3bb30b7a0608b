"""All views from nothing, in bounded memory, into a file beside: it can go on where it was killed.

Facts are split by candidate into pieces while they are read, as for the snapshot; each piece is
folded and goes in with a note that it is done, in one transaction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.ipc as ipc
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi

from ledger.ledger import Ledger
from ledger.own_folder import remove_folder
from ledger.problems import LedgerProblem, StoreFull
from ledger.store.file import storage_problems
from ledger.store.scans import DESCRIBED
from projections.tables import FACTS, KEPT
from replay.compiled import Kernels
from replay.read_model.fold import Folder, Rows
from replay.read_model.pieces import cuts, lay_aside
from replay.read_model.schema import INDEXES
from replay.read_model.store import OtherReadModel, ReadModel, looked_at, reading_uri, stand_at
from replay.tables.batch import Late

PIECE = 500_000
"""How many facts are folded at once, about."""
_PIECES = re.compile(r"[0-9]+\.arrows")
# Further behind than this, all is built anew: reading everything once is cheaper.
_FAR = 100_000
_FAR_SHARE = 0.2

Progress = Callable[[int], None]
"""Told how many more facts have been read, or folded: each is counted twice."""


class Plan(NamedTuple):
    """What a draft is to become: the ledger and position, where it is cut, how much is done."""

    ledger: str
    position: int
    late: Late
    bounds: tuple[str, ...]
    done: int
    """How many pieces are in; then one more for `facts`, and another when it is complete."""


def far_behind(position: int, head: int) -> bool:
    """Return whether it is cheaper to build anew than to take up what is missing."""
    return head - position > max(_FAR, _FAR_SHARE * position)


def draft_of(path: Path) -> Path:
    """Name the file beside in which views are built."""
    return Path(f"{path}.rebuild")


def build(
    ledger: Ledger,
    draft: Path,
    position: int,
    kernels: Callable[[], Kernels],
    late: Late,
    *,
    say: Callable[[str], None],
    progress: Callable[[int], Any],
) -> None:
    """Fold everything up to a position into views at `draft`, complete and at rest.

    `progress` is called with the number of facts to count, and gives a context that yields a
    Progress. Goes on with a draft that was left by a kill, which may be of an earlier position: the
    caller brings it up to date. Raises LedgerProblem; what is done by then stays for the next time.
    """
    id = ledger.about("ledger") or ""
    plan = _begun(draft, id, late, position)
    if plan is None:
        plan = _begin(ledger, draft, Plan(id, position, late, (), 0))
    elif plan.done:
        say(
            f"going on with {draft}: {min(plan.done, len(plan.bounds) + 1)} of "
            f"{len(plan.bounds) + 1} pieces are done"
        )
    pieces = len(plan.bounds) + 1
    if plan.done <= pieces + 1:
        folder = Folder(kernels(), late)
        folder.learn(ledger.catalogue(0, plan.position))
        if plan.done < pieces:
            _fill(ledger, draft, plan, folder, progress)
        if plan.done <= pieces:
            _describe(ledger, draft, plan)
        _finish(ledger, draft, plan, folder)


def finished(draft: Path) -> None:
    """Take the note of how it was built out of a draft: then it is a file of model."""
    with ReadModel(draft, wal=False) as model, model.writing():
        model.db.execute("DROP TABLE IF EXISTS _plan")


def _begun(draft: Path, ledger: str, late: Late, position: int) -> Plan | None:
    """Read the plan of a draft that may be gone on with; None, and no draft, for any other."""
    try:
        if looked_at(draft):
            with ReadModel(draft, wal=False) as model:
                if model.has("_plan"):
                    (row,) = model.select("SELECT * FROM _plan")
                    plan = Plan(
                        row[0], row[1], Late(row[2], row[3]), tuple(json.loads(row[4])), row[5]
                    )
                    fits = (plan.ledger, plan.late) == (ledger, late)
                    behind = far_behind(plan.position, position)
                    if fits and plan.position <= position and not behind:
                        return plan
    except (OtherReadModel, LedgerProblem, ValueError):
        pass  # a draft is ours by its name, whatever is in it
    remove(draft)
    return None


def remove(path: Path) -> None:
    """Delete a file of views and what SQLite keeps beside it."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    remove_folder(_pieces_of(path), _PIECES)


def _pieces_of(draft: Path) -> Path:
    """Name the folder in which a build lays its facts aside."""
    return Path(f"{draft}.pieces")


def _begin(ledger: Ledger, draft: Path, plan: Plan) -> Plan:
    pieces = -(-plan.position // PIECE)
    plan = plan._replace(bounds=cuts(ledger, plan.position, pieces))
    with ReadModel(draft, wal=False) as model:
        model.make_tables(stop_before=INDEXES)
        with model.writing():
            model.db.execute(
                "CREATE TABLE _plan (ledger TEXT, position INTEGER, late INTEGER, "
                "very_late INTEGER, bounds TEXT, done INTEGER)"
            )
            model.db.execute(
                "INSERT INTO _plan VALUES (?, ?, ?, ?, ?, 0)",
                (plan.ledger, plan.position, *plan.late, json.dumps(plan.bounds)),
            )
    return plan


def _fill(
    ledger: Ledger, draft: Path, plan: Plan, folder: Folder, progress: Callable[[int], Any]
) -> None:
    """Fold the pieces that are not in yet, the next one while one goes in."""
    bounds = plan.bounds[plan.done :]
    after = plan.bounds[plan.done - 1] if plan.done else None
    pieces = _pieces_of(draft)
    if not remove_folder(pieces, _PIECES):  # of one that was killed
        raise LedgerProblem(f"{pieces} holds what is not ours: it was left as it is; move it away")
    with (
        progress(2 * plan.position) as told,
        storage_problems(pieces),
        ThreadPoolExecutor(1) as pool,
    ):
        pieces.mkdir(mode=0o700)
        files = [pieces / f"{piece}.arrows" for piece in range(len(bounds) + 1)]
        lay_aside(ledger, plan.position, after, bounds, files, told)
        ahead = pool.submit(_folded, files[0], folder, plan.position)
        for n, _ in enumerate(files):
            folded, count = ahead.result()
            if n + 1 < len(files):
                ahead = pool.submit(_folded, files[n + 1], folder, plan.position)
            _ingest(draft, folded, plan.done + n + 1)
            told(count)
    remove_folder(pieces, _PIECES)


def _folded(file: Path, folder: Folder, position: int) -> tuple[Rows, int]:
    with file.open("rb") as opened, ipc.open_stream(opened) as stream:
        facts = stream.read_all()
    file.unlink()
    return folder.fold(facts, position), facts.num_rows


def _ingest(draft: Path, folded: Rows, done: int) -> None:
    """Put a piece's rows in, and the note that they are, in one transaction."""
    with _bulk(draft) as cursor:
        for table in KEPT:
            rows = folded.get(table.name)
            if rows is not None and rows.num_rows:
                cursor.adbc_ingest(table.name, rows, mode="append")
        cursor.execute("UPDATE _plan SET done = ?", (done,))


def _describe(ledger: Ledger, draft: Path, plan: Plan) -> None:
    """Fill `facts`, which is about every event by itself, in one transaction."""
    facts = ledger.scans.described(0, plan.position)
    with _bulk(draft) as cursor:
        reader = pa.RecordBatchReader.from_batches(DESCRIBED, facts)
        cursor.adbc_ingest(FACTS.name, reader, mode="append")
        cursor.execute("UPDATE _plan SET done = ?", (len(plan.bounds) + 2,))


@contextmanager
def _bulk(path: Path) -> Iterator[Any]:
    """Write in bulk: one transaction, rolled back if the body raises."""
    try:
        with dbapi.connect(reading_uri(path)) as connection:
            with connection.cursor() as cursor:
                yield cursor
            connection.commit()
    except Error as error:
        if "full" in str(error).lower():
            raise StoreFull(f"the disk of {path} is full: nothing was written") from None
        said = str(error).splitlines()[0]
        raise LedgerProblem(f"{path} cannot be written: {said}") from None


def _finish(ledger: Ledger, draft: Path, plan: Plan, folder: Folder) -> None:
    """Add what is of the catalogue, the position and the indexes."""
    with ReadModel(draft, wal=False) as model:
        with model.writing():
            model.write_catalogue(folder.fold_catalogue(plan.position))
            model.set_position(stand_at(ledger, plan.position, plan.late))
        model.make_tables()
        with model.writing():
            model.db.execute("UPDATE _plan SET done = ?", (len(plan.bounds) + 3,))
