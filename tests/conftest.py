"""What every test can rely on, however the tests were started."""

from __future__ import annotations

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

# Started in the background of a script, this process ignores Ctrl-C, and so would every process
# that a test starts and interrupts. What is handled here is back to its default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make drill` looks for what takes long to find, anew each time: see test_model.py.
settings.register_profile("deep", print_blob=True)

# Datasette leaves a connection open when it is imported, which Python 3.13 and later warn of.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import_module("datasette.filters")
