"""The only clock of the program: below `service` instants are arguments."""

from __future__ import annotations

import time


def now() -> int:
    """Return the present instant, microseconds since 1970 (UTC).

    Callers say ``clock.now()``, so that a test can put another clock in this one place.
    """
    return time.time_ns() // 1000
