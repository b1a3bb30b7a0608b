"""Name the keys of a policy as answers do: `wait.after[2]`, `cap[1]`, counted from 1."""

from __future__ import annotations

from typing import Final

PASS_RETAKE: Final = "pass.retake"
BETA_SITTINGS: Final = "beta.sittings"
BETA_RESULTS_AFTER_LIVE: Final = "beta.results_after_live"
BETA_OVERDUE_AFTER_LIVE: Final = "beta.overdue_after_live"


def wait_clause(ordinal: int, entries: int) -> str:
    """Name the wait that follows the sitting of this ordinal, of a policy with so many entries.

    "The last repeats": the sixth sitting of a policy with two entries waits by the second. Both
    numbers are at least 1; a policy without entries has no wait to name.

    >>> wait_clause(6, 2)
    'wait.after[2]'
    """
    return f"wait.after[{min(ordinal, entries)}]"


def cap_clause(index: int) -> str:
    """Name the cap at this index (from 0, as in `Rules.cap_sittings`).

    >>> cap_clause(0)
    'cap[1]'
    """
    return f"cap[{index + 1}]"
