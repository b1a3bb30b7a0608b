"""A server of Spark's protocol for the tests: Sail, in a process of its own, without Java."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from functools import cache
from importlib import import_module
from pathlib import Path


def _import_client() -> None:
    """Import Spark's client once, where it does not take a worker of xdist for its own doctests.

    It looks for a file of the main module, finds none in a worker, and ends the process.
    """
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        return
    main.__file__ = __file__
    try:
        import_module("pyspark.sql.connect.session")
    finally:
        del main.__file__


_import_client()

SAIL = str(Path(sys.executable).with_name("sail"))


@cache
def engine() -> str:
    """Return the address, ``sc://…``, of a server that runs until the tests end."""
    url, process = start()
    atexit.register(end, process)
    return url


def start(**settings: str) -> tuple[str, subprocess.Popen[bytes]]:
    """Start a server with some settings of its environment; return its address when it is up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [SAIL, "spark", "server", "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONWARNINGS": "ignore", **settings},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return f"sc://127.0.0.1:{port}", process
    end(process)
    raise AssertionError("Sail did not start")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server that `start` started."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
