"""What every test can rely on, however the tests were started."""

from __future__ import annotations

import signal

# Started in the background of a script, this process ignores Ctrl-C, and so would every process
# that a test starts and interrupts. What is handled here is back to its default in those.
signal.signal(signal.SIGINT, signal.default_int_handler)
