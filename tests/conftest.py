"""What every test can rely on, however the tests were started."""

from __future__ import annotations

import signal
import warnings
from importlib import import_module

from hypothesis import settings

pytest_plugins = ("beginnings", "browsing")

# Started in the background of a script, this process ignores Ctrl-C, and so would every process
# that a test starts and interrupts. What is handled here is back to its default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make drill` looks for what takes long to find, anew each time: see test_model.py.
settings.register_profile("deep", print_blob=True)

# Datasette leaves a connection open when it is imported, which Python 3.13 and later warn of.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import_module("datasette.filters")
