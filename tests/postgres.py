"""PostgreSQL servers for tests: one of each version for a whole run, and a schema for each test."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from itertools import count
from pathlib import Path

from drills.cluster import Cluster, programs
from ledger.store.server import Server, read_server

VERSIONS = sorted(programs())
"""Those that are here: 16 and 18 always, of the wheel."""
NEWEST = VERSIONS[-1]
_number = count(1)


def server(version: int = NEWEST) -> Cluster:
    """Return the server of a version, which runs until the tests end; nothing of it is synced."""
    return _server(version)


@cache
def _server(version: int) -> Cluster:
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    folder.chmod(0o755)
    cluster = Cluster(folder, version)
    cluster.make("max_connections = 60\nshared_buffers = 32MB")
    cluster.start()
    atexit.register(_end, cluster)
    cluster("createdb", "exams")
    return cluster


def _end(cluster: Cluster) -> None:
    cluster.stop("immediate")
    shutil.rmtree(cluster.folder, ignore_errors=True)


def new_url(version: int = NEWEST, **settings: str) -> str:
    """Return the URL of a ledger that is not there yet."""
    return server(version).url(**{"schema": f"ledger_{next(_number)}", **settings})


def new_server(homes: Path, version: int = NEWEST) -> Server:
    """Return the address of a ledger that is not there yet, with a home in a folder."""
    address = read_server(new_url(version), homes)
    address.home.parent.mkdir(parents=True)
    return address
