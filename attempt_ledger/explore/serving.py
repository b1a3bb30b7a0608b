"""Datasette on the read model: made, and served on a socket. Only here is it imported."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sqlite3
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import uvicorn
from datasette import hookimpl
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm
from markupsafe import Markup

from attempt_ledger.explore.connection import Exploring, bound_memory, connected
from attempt_ledger.explore.questions import QUESTIONS
from attempt_ledger.explore.whole import Whole
from attempt_ledger.listening import NOT_OURS, is_own
from ledger.instants import format_instant
from projections.table import NUMBER, TEXT, TRUTH, WHOLE, Column, Table
from projections.tables import KEPT, OPEN
from replay.read_model.schema import readable_name

DATABASE: Final = "views"
"""The name of the read model in every address: /views/sittings, /views/waiting.json?day=…"""

FACETS: Mapping[str, Sequence[str]] = {
    "exams": ("policy",),
    "policies": ("policy",),
    "certification_exams": ("certification",),
    "sittings": ("exam", "delivery", "outcome", "status"),
    "standings": ("status", "exam", "last_outcome"),
    "exceptions": ("decision", "exam", "reason"),
    "certifications": ("certification",),
    "corrections": ("kind", "type", "exam", "is_status"),
    "problems": ("kind", "exam", "detail"),
}
"""The columns by whose values each table is counted and narrowed down."""

UNITS: Mapping[pa.DataType, str] = {
    TEXT: "text",
    WHOLE: "whole number",
    pa.int32(): "whole number",
    NUMBER: "number",
    TRUTH: "0 or 1",
}
_INSTANT = "instant, UTC; as data microseconds since 1970-01-01T00:00Z"
_READ_AS = "instant, UTC, RFC 3339"
_ABOUT = (
    "What the ledger comes to, as tables: the latest knowledge, up to the position in the table "
    "position. What was known at another time is for the command replay to answer. Nothing here is "
    "personal, and nothing can be changed."
)

SETTINGS = {
    "allow_download": False,  # a file in the middle of being written is no use to anybody
    "default_page_size": 100,
    "facet_time_limit_ms": 500,
    "max_returned_rows": 10_000,
    "num_sql_threads": 2,  # each keeps what its largest statement took
    "sql_time_limit_ms": 5_000,
    "template_debug": False,
    "truncate_cells_html": 200,
}

HEADERS: Final = {
    # Datasette's pages have scripts and styles of their own inside; nothing from elsewhere runs.
    "content-security-policy": "default-src 'none'; script-src 'self' 'unsafe-inline'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What every answer carries, besides what Datasette puts on it."""

_ROWS_FIRST: Final = """
const rows = document.querySelector(".table-wrapper");
for (const below of ["dl.column-descriptions", "div.facet-results", "p.suggested-facets"]) {
  for (const each of document.querySelectorAll(below)) if (rows) rows.after(each);
}
for (const instant of document.querySelectorAll("td span[title]")) {
  instant.style.whiteSpace = "nowrap";
}
"""
"""Runs on the page of a table: its rows are seen without scrolling."""

_INSTANTS = {
    (table.name, column.name) for table in KEPT for column in table.columns if column.is_instant
}


class Cells:
    """A plugin of Datasette's: instants as such in the pages of tables, numbers in JSON and CSV."""

    @staticmethod
    @hookimpl  # type: ignore[untyped-decorator]
    def render_cell(value: Any, column: str, table: str | None, database: str) -> Markup | None:
        """Print an instant, its number where the mouse rests."""
        if (table, column) not in _INSTANTS or database != DATABASE or type(value) is not int:
            return None
        text = "for ever" if value >= OPEN else format_instant(value)
        return Markup('<span title="{}">{}</span>').format(value, text)

    @staticmethod
    @hookimpl  # type: ignore[untyped-decorator]
    def extra_body_script(view_name: str) -> str:
        """Put the rows of a table before what is said of its columns, and its facets."""
        return _ROWS_FIRST if view_name == "table" else ""


class ReadModelDatabase(Database):  # type: ignore[misc]
    """The read model as a database of Datasette's: one reading connection a thread, no other."""

    def __init__(self, datasette: Datasette, path: Path, now: Callable[[], int]) -> None:
        super().__init__(datasette, path=str(path), is_mutable=True)
        self._now = now
        self._local = threading.local()

    def connect(self, write: bool = False) -> Exploring:
        """Open a connection that reads; raises LedgerProblem."""
        if write:
            raise sqlite3.OperationalError("the read model is for reading")
        connection = connected(Path(self.path), self._now)
        self._all_file_connections.append(connection)
        return connection

    async def execute(self, *words: Any, **named: Any) -> Any:
        """Run a statement; what is wrong with it goes to whoever sent it, not to standard error."""
        return await super().execute(*words, **{**named, "log_sql_errors": False})

    async def execute_fn(self, fn: Callable[[Exploring], Any]) -> Any:
        """Run a function on this thread's connection, opened anew if the file is another."""

        def in_thread() -> Any:
            stat = os.stat(self.path)
            file = (stat.st_dev, stat.st_ino)
            if getattr(self._local, "file", None) != file:
                self._local.connection = self.connect()
                self._local.file = file
                self.ds._prepare_connection(self._local.connection, self.name)
            try:
                return fn(self._local.connection)
            except (sqlite3.DatabaseError, MemoryError) as error:
                raise self._local.connection.worded(error) from error

        return await asyncio.get_running_loop().run_in_executor(self.ds.executor, in_thread)


class OwnNames:
    """Pass on what was sent to a name that is served, to be read; refuse everything else."""

    def __init__(self, app: Any, names: Collection[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not is_own(scope, self._names):
            await _refuse(send, 421, NOT_OURS)
        elif scope["method"] not in ("GET", "HEAD"):
            await _refuse(send, 405, "Nothing can be changed here: GET and HEAD are answered.")
        else:
            await self._app(scope, receive, lambda message: send(_with_headers(message)))


async def _refuse(send: Any, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send(_with_headers({"type": "http.response.start", "status": status, "headers": headers}))
    await send({"type": "http.response.body", "body": f"{sentence}\n".encode()})


def _with_headers(message: Any) -> Any:
    if message["type"] != "http.response.start":
        return message
    own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    return {**message, "headers": [*message.get("headers", ()), *own]}


def metadata(ledger: str) -> dict[str, Any]:
    """Make Datasette's metadata: titles, units, descriptions, facets and canned queries.

    `ledger` is what the page is to be called by: the name of the ledger's file.
    """
    tables: dict[str, Any] = {"_sqlite_migrations": {"hidden": True}}
    for table in KEPT:
        tables[table.name] = {**_described(table, _INSTANT), "title": _title(table)}
        tables[readable_name(table)] = {
            **_described(table, _READ_AS),
            "title": f"{_title(table)}, readable",
        }
    return {
        "title": f"Attempt ledger: {ledger}",
        "description": _ABOUT,
        "databases": {
            DATABASE: {
                "title": f"Read model of {ledger}",
                "description": _ABOUT,
                "tables": tables,
                "queries": {
                    each.name: {
                        "title": each.title,
                        "description": each.says,
                        "params": list(each.asks),
                        "sql": each.sql.strip(),
                        "hide_sql": True,
                    }
                    for each in QUESTIONS
                },
            }
        },
    }


def _described(table: Table, instant: str) -> dict[str, Any]:
    return {
        "description": table.meaning,
        "columns": {column.name: _says(column, instant) for column in table.columns},
        "facets": list(FACETS.get(table.name, ())),
    }


def _says(column: Column, instant: str) -> str:
    null = f"; empty: {column.null}" if column.null else ""
    unit = instant if column.is_instant else UNITS[column.type]
    return f"{column.meaning} ({unit}{null})"


def _title(table: Table) -> str:
    return table.name.replace("_", " ").capitalize()


def explorer(path: Path, now: Callable[[], int]) -> Datasette:
    """Make a Datasette that shows a read model and nothing else; raises LedgerProblem."""
    connected(path, now).close()
    # What is wrong with a request is its answer; the terminal gets no traceback of it.
    pm.get_plugin("datasette.handle_exception").rich = None
    sqlite3.enable_callback_tracebacks(False)
    if not pm.is_registered(Cells):
        pm.register(Cells)
    datasette = Datasette(metadata=metadata(path.name), settings=SETTINGS)
    datasette.remove_database("_memory")
    datasette.add_database(ReadModelDatabase(datasette, path, now), name=DATABASE)
    return datasette


def serve(datasette: Datasette, listening: socket.socket, names: Collection[str]) -> None:
    """Answer on a socket, to the names that are served, until the process is stopped.

    What is open is closed then. Beside `names` the address itself is served.
    """
    bound_memory()
    app = OwnNames(Whole(datasette.app(), datasette), names)
    config = uvicorn.Config(app, log_level="warning", lifespan="on", proxy_headers=False)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        datasette.executor.shutdown(wait=True)
        gc.collect()  # of errors, which keep the cursors that they came of, and so the file open
        datasette.get_database(DATABASE).close()
