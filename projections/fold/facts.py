"""What the fold reads: facts as parallel sequences of integers, and the codes in them.

One candidate's question fills these with lists; a population fills them with
columns. Instants are microseconds UTC; a fact is known at position `known` when
`position <= known < annulled`, `annulled` being the position of its annulment
(NEVER when there is none). Within a run rows are in (time, position) order, or as it says.

The codes are plain module constants rather than enums: the same functions run
as ordinary Python over lists and, compiled, over columns.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import mul
from typing import Any, Final, NamedTuple

from retake_policies.rules import RuleBook

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
NOT_ATTENDED: Final = 5

# What a row of a certification says.
HELD: Final = 0
EXPIRED: Final = 1

# What a row of an exception or an authorization says.
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
MISSED: Final = 4
OUTCOMES: Final = ("pending", "passed", "failed", "revoked", "missed")

# Phases of an exam.
CLOSED: Final = 0
IN_BETA: Final = 1
LIVE: Final = 2

# What a grant waives, as bits.
WAIVES_WAIT: Final = 1
WAIVES_CAP: Final = 2
WAIVES_PASS: Final = 4


class SittingRows(NamedTuple):
    """What is said of sittings: attempts, results, absences; a run is one candidate and exam."""

    kind: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    key: Sequence[int]
    """The registration; equal numbers are one sitting within a run."""
    flag: Sequence[int]
    """Of an attempt: 1 for beta. Of a rescoring: 1 for passed."""
    until: Sequence[int]
    """Of an attempt: when the sitting ended, NONE when not said."""


class CertificationRows(NamedTuple):
    """Certifications earned, renewed and expired; a run is one candidate.

    Rows of one certification are together, in (time, position) order.
    """

    kind: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    certification: Sequence[int]
    until: Sequence[int]
    """Of HELD: expires_at, NEVER when it never expires."""
    exam_lo: Sequence[int]
    exam_hi: Sequence[int]
    exam: Sequence[int]
    """The exams named by a HELD row: exam[exam_lo[i]:exam_hi[i]]."""


class GrantRows(NamedTuple):
    """Exceptions granted and revoked; a run is one candidate.

    Rows of one request, an (exam, key), are together, in (time, position) order.
    """

    kind: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    exam: Sequence[int]
    key: Sequence[int]
    """The request; the last row of an (exam, key) holds."""
    waives: Sequence[int]
    until: Sequence[int]
    """Before when it is valid, NEVER when open-ended."""


class AuthorizationRows(NamedTuple):
    """Authorizations granted and revoked; a run is one candidate."""

    kind: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    exam: Sequence[int]
    first: Sequence[int]
    """Where in its run the first row of the same exam and authorization stands, from 0."""
    sittings: Sequence[int]
    """How many sittings it serves, 0 when it does not say."""
    until: Sequence[int]
    """Before when it is valid, NEVER when open-ended."""


class ExamDefinitions(NamedTuple):
    """ExamAnnounced entries; those of exam `e` are rows lo[e] to hi[e]."""

    lo: Sequence[int]
    hi: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    policy: Sequence[int]
    beta_opens_at: Sequence[int]
    live_at: Sequence[int]
    retires_at: Sequence[int]
    alike: Sequence[int]
    """The first row of the exam that says the same; it is named by that."""
    differs: Sequence[int]
    """The first row after it that says something else; the end of the exam's where none does."""


class Milestones(NamedTuple):
    """ExamWentLive and ExamRetired; those of exam `e` are rows lo[e] to hi[e]."""

    lo: Sequence[int]
    hi: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    kind: Sequence[int]


class CertificationDefinitions(NamedTuple):
    """CertificationDefined entries; those of certification `c` are rows lo[c] to hi[c]."""

    lo: Sequence[int]
    hi: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    exam_lo: Sequence[int]
    exam_hi: Sequence[int]
    exam: Sequence[int]
    moved: Sequence[int]
    """The positions at which any of them becomes known or is annulled, in order."""
    moved_of: Sequence[int]
    """Parallel to `moved`: of which certification."""


class PolicyVersions(NamedTuple):
    """PolicyPublished entries; those of policy `p` are rows lo[p] to hi[p]; row v has rules v."""

    lo: Sequence[int]
    hi: Sequence[int]
    time: Sequence[int]
    position: Sequence[int]
    annulled: Sequence[int]
    effective_from: Sequence[int]
    alike: Sequence[int]
    """The first row of the policy whose rules are the same: their number."""
    differs: Sequence[int]
    """The first row after it with other rules; the end of the policy's where none is."""


class InTime(NamedTuple):
    """Rows whose runs are not in (time, position) order, in that order; a run is one candidate."""

    certifications: Sequence[int]
    grants: Sequence[int]


class Facts(NamedTuple):
    """Everything a verdict may look up besides the sittings themselves."""

    certifications: CertificationRows
    grants: GrantRows
    authorizations: AuthorizationRows
    in_time: InTime
    exams: ExamDefinitions
    milestones: Milestones
    defined: CertificationDefinitions
    versions: PolicyVersions
    rules: RuleBook


class Question(NamedTuple):
    """One exam of one candidate: which facts are visible, and where its runs lie."""

    exam: int
    as_of: int
    known: int
    certifications_lo: int
    certifications_hi: int
    grants_lo: int
    grants_hi: int
    authorizations_lo: int
    authorizations_hi: int


class Covers(NamedTuple):
    """Room to carry along how certifications cover an exam (`projections.fold.covers`).

    But for the first two a column has a place for each row of the candidate's certifications.
    """

    of: list[int]
    """What it is of, and how far it has come: ten numbers."""
    latest_of: list[int]
    """A tree over the certifications: the latest end of those below, its root at 1."""
    first: list[int]
    """Where in the run the first row of the same certification stands."""
    end: list[int]
    """At its first row: when a certification ends, NONE while it is not earned."""
    covers: list[int]
    """At its first row: 1 if it covers the exam, 0 if not."""
    end_before: list[int]
    """By rows as they are read: what `end` was before."""
    covers_before: list[int]
    """By rows as they are read: what `covers` was before."""
    latest: list[int]
    """By rows as they are read: the latest end of all that cover the exam then."""
    due: list[int]
    """The position at which a row that was read becomes known or is annulled; 0 for none."""
    heap: list[int]
    """The rows that have one, the first on top."""
    own: list[int]
    """The first row of each certification, one after another."""
    named: list[int]
    """Parallel to `own`: 1 if the certification's definition names the exam, 0 if not."""


class Served(NamedTuple):
    """Room to serve sittings by authorizations (`projections.fold.authorizations`).

    But for the first two a column has a place for each row of the candidate's authorizations.
    """

    of: list[int]
    """What it is of, and how far it has come: thirteen numbers."""
    recounted: list[int]
    """One number: the first place that is counted, or is not, otherwise than when it was served."""
    holds: list[int]
    """At the first row of an authorization: the row that holds, -1 when none does."""
    left: list[int]
    """How many sittings each may still serve."""
    heap: list[int]
    """Those that run, the first to end on top."""


class Sittings(NamedTuple):
    """The sittings of a run, in (start, position) order, filled by `gather` and `walk`.

    `gather_on` leaves gaps among them, where `opened_by` is -1.
    """

    key: list[int]
    start: list[int]
    end: list[int]
    beta: list[int]
    opened_by: list[int]
    """The row that opened the sitting: its attempt, else its first result; -1 before either."""
    outcome: list[int]
    outcome_row: list[int]
    """The row of the result, revocation or absence that holds; -1 while pending."""
    result_row: list[int]
    """The last row of a result or revocation; -1 before any."""
    ordinal: list[int]
    """The place in its series; 0 when not counted."""
    window: list[int]
    """Room to sort in: when the sittings inside a cap's window leave it."""
    slot: list[int]
    """Room to find a sitting by its key: the last row of it that was read, -1 for none."""
    stands: list[int]
    """By slots: where the sitting stands, -1 when it is none."""
    before: list[int]
    """By rows: the one before it of the same sitting, -1 when it is the first."""
    line: list[int]
    """Room for the visible rows of one sitting."""
    due: list[int]
    """By rows: the position at which it becomes known or is annulled, if that is later."""
    changing: list[int]
    """The rows of which that is so, the first on top."""
    served: Served
    """Room to serve the sittings by authorizations."""
    covers: Covers
    """Room to carry along how certifications cover the exam."""


NOT_BY_SITTING: Final = ("served", "covers")
"""The room that goes by the number of other rows."""


NOT_SERVED: Final = Served([0] * 13, [0], [], [], [])
NOT_COVERING: Final = Covers([0] * 10, *([] for _ in range(11)))
"""Where the candidate has no authorizations, no certifications: nothing of it is read."""


zeros: Final[Callable[[int], list[int]]] = partial(mul, [0])
"""Makes a column for one candidate: of so many zeros."""


def room(
    size: int, authorizations: int, certifications: int, column: Callable[[int], Any] = zeros
) -> Sittings:
    """Make room for a run of `size` rows, and for its candidate's rows of the other two."""
    by_sitting = map(column, repeat(size, len(Sittings._fields) - len(NOT_BY_SITTING)))
    served, covers = NOT_SERVED, NOT_COVERING
    if authorizations or column is not zeros:
        mine = [column(authorizations) for _ in range(3)]
        served = Served(column(13), column(1), *mine)
    if certifications or column is not zeros:
        by_row = [column(certifications) for _ in range(10)]
        covers = Covers(column(10), column(2 * certifications), *by_row)
    return Sittings._make([*by_sitting, served, covers])


NO_CERTIFICATIONS: Final = CertificationRows([], [], [], [], [], [], [], [], [])
NO_GRANTS: Final = GrantRows([], [], [], [], [], [], [], [])
NO_AUTHORIZATIONS: Final = AuthorizationRows([], [], [], [], [], [], [], [])
NOTHING_IN_TIME: Final = InTime([], [])
