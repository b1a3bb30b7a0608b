"""What every test can rely on, however the tests were started."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from importlib import import_module
from pathlib import Path

from hypothesis import settings

pytest_plugins = ("beginnings", "browsing")

# Compiled code is shared by all tests and runs, and by the processes that tests start: it is named
# by a digest of its sources.
os.environ["XDG_CACHE_HOME"] = str(Path(__file__).parent.parent / ".pytest_cache")

# So is what Python compiles of our modules: without it each process that tests start takes half as
# long again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Objects in circles are looked for seldom, and never among what was there when the tests began: by
# default, after every 700 new objects, that took a tenth of the time.
gc.set_threshold(200_000)


def pytest_collection_finish() -> None:
    """Leave what the modules of the tests made out of it."""
    gc.freeze()


# Started in the background of a script, this process ignores Ctrl-C, and so would every process
# that a test starts and interrupts. What is handled here is back to its default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make drill` looks for what takes long to find, anew each time: see test_model.py.
settings.register_profile("deep", print_blob=True)

# Datasette leaves a connection open when it is imported, which Python 3.13 and later warn of.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import_module("datasette.filters")
    gc.collect()  # it is in a circle
