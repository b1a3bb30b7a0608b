"""What every test can rely on, however the tests were started."""

from __future__ import annotations

import signal

from hypothesis import settings

# Started in the background of a script, this process ignores Ctrl-C, and so would every process
# that a test starts and interrupts. What is handled here is back to its default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make drill` looks for what takes long to find, anew each time: see test_model.py.
settings.register_profile("deep", print_blob=True)
