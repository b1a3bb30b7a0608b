"""What the commands that an engine may answer share: its options, and who answers: it, or we."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer

from attempt_ledger.access import Access
from attempt_ledger.cli.context import call_of, cores
from attempt_ledger.cli.everybody import scope_of
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.replacing import check_place
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths, need_verifier_key
from ledger.tlog.note import read_signing_key
from replay.columns.published import (
    NoColumns,
    Place,
    Published,
    parts_of,
    place_of,
    publish,
    published_at,
)
from replay.many import many
from replay.population import Scope, with_status
from replay.snapshot import Engine, Snapshot

if TYPE_CHECKING:
    from replay.partwise import Form, Of
    from replay.what_if import Compared, Draft

EngineURL = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="sc://HOST:PORT",
        help="Have it folded by this engine, which speaks Spark's protocol (extra spark).",
    ),
]
ColumnsURL = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="URL",
        help="With --engine: where `columns build` put what its workers read. Default: the "
        "ledger's own name with .parts, which is built where it is behind.",
    ),
]
IntoURL = Annotated[
    str | None,
    typer.Option(
        "--into",
        metavar="URL",
        help="With --engine: have its workers write the rows here, a file for each part, as "
        "parquet (the default) or csv.",
    ),
]
Tasks = Annotated[
    int | None,
    typer.Option(
        "--tasks",
        metavar="N",
        min=1,
        help="With --engine: how many parts it answers at once. Default: the cores of this "
        "machine.",
    ),
]


class Here:
    """Questions about everybody, answered by this process."""

    def scope(
        self, snapshot: Snapshot, exams: Sequence[str] | None, named: Mapping[str, int] | None
    ) -> Scope:
        """Return the scope that the options name; say what of it is not there."""
        return scope_of(snapshot, exams, named)

    def standings(self, snapshot: Snapshot, scope: Scope, statuses: Sequence[str]) -> pa.Table:
        """Return everybody's standing."""
        table = snapshot.everybody(scope)
        return with_status(table, statuses) if statuses else table

    def violations(self, snapshot: Snapshot, scope: Scope) -> pa.Table:
        """Return the sittings taken while not eligible."""
        return snapshot.violations(scope)

    def what_if(
        self, snapshot: Snapshot, drafts: Sequence[Draft], since: int | None, scope: Scope
    ) -> Compared:
        """Return what drafts would have done."""
        return snapshot.what_if(drafts, since=since, scope=scope)


class OnEngine:
    """The same questions, answered by an engine: which engine, by which columns."""

    def __init__(self, url: str, columns: str | None, tasks: int | None, call: Access) -> None:
        """Take the options of a call; raises LedgerProblem for a URL that is none."""
        self._engine = many("SparkEngine")(url, tasks or cores())
        self._columns = columns
        self._call = call

    def scope(
        self, snapshot: Snapshot, exams: Sequence[str] | None, named: Mapping[str, int] | None
    ) -> Scope:
        """Return the scope that the options name; whether there is any of it is not looked up."""
        return Scope(
            frozenset(exams) if exams else None, None if named is None else frozenset(named)
        )

    def standings(self, snapshot: Snapshot, scope: Scope, statuses: Sequence[str]) -> pa.Table:
        """Return everybody's standing, its rows come through the engine."""
        place, published = self._published(snapshot)
        plan = many("plan_of")(snapshot, published, scope, statuses)
        return many("collect")(self._engine, snapshot, plan, place)

    def violations(self, snapshot: Snapshot, scope: Scope) -> pa.Table:
        """Return the sittings taken while not eligible, by the engine."""
        place, published = self._published(snapshot)
        plan = many("plan_of")(snapshot, published, scope, of="violations")
        return many("collect")(self._engine, snapshot, plan, place)

    def what_if(
        self, snapshot: Snapshot, drafts: Sequence[Draft], since: int | None, scope: Scope
    ) -> Compared:
        """Return what drafts would have done, by the engine."""
        place, published = self._published(snapshot)
        plan = many("plan_of")(snapshot, published, scope)
        compared: Compared = many("compare")(
            self._engine, snapshot, plan, published, place, drafts, since
        )
        return compared

    def write(
        self,
        snapshot: Snapshot,
        scope: Scope,
        statuses: Sequence[str],
        form: Form,
        into: str,
        *,
        of: Of = "standings",
    ) -> None:
        """Have everybody's standing, or violations, written to a folder; say how long it is."""
        folder = place_for(into)
        place, published = self._published(snapshot)
        plan = many("plan_of")(snapshot, published, scope, statuses, form, of)
        answered = many("answer_into")(self._engine, snapshot, plan, place, folder)
        rows = f"{answered.rows:,} row{'' if answered.rows == 1 else 's'}"
        files = f"{answered.files:,} file{'' if answered.files == 1 else 's'}"
        say(f"{into}: {rows} in {files}; receipt in _receipt.json there")

    def _published(self, snapshot: Snapshot) -> tuple[Place, Published]:
        ledger = snapshot.ledger
        place = place_of(self._columns or parts_of(ledger.path))
        try:
            key = need_verifier_key(log_paths(self._call.path, self._call.signing_key))
            return place, published_at(ledger, place, key, snapshot.position)
        except NoColumns:
            if self._columns is not None:
                raise
        return built(self._call, ledger, snapshot.engine, None, None)


def answering(
    context: typer.Context, engine: str | None, columns: str | None, tasks: int | None
) -> Here | OnEngine:
    """Return who answers by the options of a call; raises LedgerProblem for a URL that is none."""
    return Here() if engine is None else OnEngine(engine, columns, tasks, call_of(context))


def check_options(
    engine: str | None,
    columns: str | None,
    into: str | None,
    tasks: int | None,
    *,
    output: Path | None,
    no_column_cache: bool,
) -> None:
    """Refuse options that do not go together; raises CallProblem."""
    needing = {"--columns": columns, "--into": into, "--tasks": tasks}
    for option, value in needing.items():
        if value is not None and engine is None:
            raise CallProblem(f"{option} goes with --engine: name one, as --engine sc://host:port")
    if engine is not None and no_column_cache:
        raise CallProblem("--no-column-cache does not go with --engine, which reads built columns")
    if into is not None and output is not None:
        raise CallProblem("--into does not go with --output: leave one of them out")


def form_into(named: str | None) -> Form:
    """Return the form of the files that workers write; raises CallProblem."""
    if named not in (None, "csv", "parquet"):
        raise CallProblem(f"--format {named}: with --into accepted are parquet and csv")
    return "csv" if named == "csv" else "parquet"


def built(
    call: Access, ledger: Ledger, engine: Engine, to: str | None, part_rows: int | None
) -> tuple[Place, Published]:
    """Build columns where a call says, or beside the ledger; raises LedgerProblem."""
    place = place_of(parts_of(ledger.path)) if to is None else place_for(to)
    key = read_signing_key(log_paths(call.path, call.signing_key).key)
    return place, publish(ledger, place, key, engine, part_rows=part_rows)


def place_for(url: str) -> Place:
    """Return where a URL says to write, which is nothing that has to stay; raises LedgerProblem."""
    place = place_of(url)
    if place.is_local:
        check_place(Path(place.path))
        if Path(place.path).exists() and not Path(place.path).is_dir():
            raise CallProblem(f"{url} is a file: name a folder")
    return place
