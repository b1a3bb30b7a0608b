"""The small integers the fold speaks, and the words they stand for.

Plain module constants rather than enums: the same functions run as ordinary
Python over lists and, compiled, over columns.
"""

from __future__ import annotations

from typing import Final

# Sentinels among instants (microseconds since 1970-01-01T00:00Z). Every real instant of the
# years 1 to 9999 lies strictly between the two.
NONE: Final = -(1 << 62)
"""No instant: nothing of the kind has happened."""
NEVER: Final = 1 << 62
"""Open-ended: later than every instant; `null` in an answer."""
LAST: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z; what is computed beyond it is NEVER."""

# What a row of a sitting says.
ATTEMPTED: Final = 0
RESULT_PASSED: Final = 1
RESULT_FAILED: Final = 2
RESCORED: Final = 3
RESULT_REVOKED: Final = 4

# What a row of a certification says.
HELD: Final = 0
EXPIRED: Final = 1

# What a row of an exception says.
GRANTED: Final = 0
WITHDRAWN: Final = 1

# What a milestone of an exam says.
WENT_LIVE: Final = 0
RETIRED_AT: Final = 1

# The outcome of a sitting.
PENDING: Final = 0
PASSED: Final = 1
FAILED: Final = 2
REVOKED: Final = 3
OUTCOMES: Final = ("pending", "passed", "failed", "revoked")

# Phases of an exam.
CLOSED: Final = 0
IN_BETA: Final = 1
LIVE: Final = 2

# Statuses: eligible, then the reasons in order of precedence (spec section 4, "Reasons").
ELIGIBLE: Final = 0
UNKNOWN_EXAM: Final = 1
RETIRED: Final = 2
NOT_OPEN: Final = 3
PASS_STANDS: Final = 4
BETA_TAKEN: Final = 5
RESULT_PENDING: Final = 6
CAP_REACHED: Final = 7
WAITING: Final = 8
STATUSES: Final = (
    "eligible",
    "unknown-exam",
    "retired",
    "not-open",
    "passed",
    "beta-taken",
    "result-pending",
    "cap-reached",
    "waiting",
)

# What a grant waives, as bits.
WAIVES_WAIT: Final = 1
WAIVES_CAP: Final = 2
