"""Datasette on the views: made, and served on a socket. Only here is it imported."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm

from attempt_ledger.explore import cells
from attempt_ledger.explore.connection import Exploring, Sources, connected
from attempt_ledger.explore.metadata import DATABASE, metadata

SETTINGS = {
    "allow_download": False,  # a file in the middle of being written is no use to anybody
    "default_page_size": 100,
    "facet_time_limit_ms": 500,
    "max_returned_rows": 10_000,
    "sql_time_limit_ms": 5_000,
    "template_debug": False,
    "truncate_cells_html": 200,
}


class ViewsDatabase(Database):  # type: ignore[misc]
    """The views as a database of Datasette's: one reading connection a thread, and no other."""

    def __init__(self, datasette: Datasette, sources: Sources, now: Callable[[], int]) -> None:
        super().__init__(datasette, path=str(sources.views), is_mutable=True)
        self._sources = sources
        self._now = now
        self._local = threading.local()

    def connect(self, write: bool = False) -> Exploring:
        """Open a connection that reads; raises LedgerProblem."""
        if write:
            raise sqlite3.OperationalError("the views are for reading")
        connection = connected(self._sources, self._now)
        self._all_file_connections.append(connection)
        return connection

    async def execute(self, *words: Any, **named: Any) -> Any:
        """Run a statement; what is wrong with it is said to who asked, not on standard error."""
        return await super().execute(*words, **{**named, "log_sql_errors": False})

    async def execute_fn(self, fn: Callable[[Exploring], Any]) -> Any:
        """Run a function on this thread's connection, opened anew if the file is another."""

        def in_thread() -> Any:
            stat = os.stat(self._sources.views)
            file = (stat.st_dev, stat.st_ino)
            if getattr(self._local, "file", None) != file:
                self._local.connection = self.connect()
                self._local.file = file
                self.ds._prepare_connection(self._local.connection, self.name)
            try:
                return fn(self._local.connection)
            except sqlite3.OperationalError as error:
                raise self._local.connection.said(error) from error

        return await asyncio.get_running_loop().run_in_executor(self.ds.executor, in_thread)


def explorer(sources: Sources, now: Callable[[], int]) -> Datasette:
    """Make a Datasette that shows the views and nothing else; raises LedgerProblem."""
    connected(sources, now).close()
    # What is wrong with a request is its answer; the terminal gets no traceback of it.
    pm.get_plugin("datasette.handle_exception").rich = None
    sqlite3.enable_callback_tracebacks(False)
    if not pm.is_registered(cells):
        pm.register(cells)
    datasette = Datasette(metadata=metadata(sources.views.name), settings=SETTINGS)
    datasette.remove_database("_memory")
    datasette.add_database(ViewsDatabase(datasette, sources, now), name=DATABASE)
    return datasette


def serve(datasette: Datasette, listening: socket.socket) -> None:
    """Answer on a socket until the process is told to end; then close what is open."""
    config = uvicorn.Config(datasette.app(), log_level="warning", lifespan="on")
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        datasette.executor.shutdown(wait=True)
        datasette.get_database(DATABASE).close()
