"""What reports are made of: tables at one moment, whoever computed them.

Every table holds what is visible at one (as_of, known_at), and nothing else: two reports of one
month differ by their inputs alone. Instants are timestamps of microseconds in UTC. No personal
field is in any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import pyarrow as pa

INSTANT: Final = pa.timestamp("us", tz="UTC")
TEXT: Final = pa.string()
WHOLE: Final = pa.int64()
NUMBER: Final = pa.float64()
TRUTH: Final = pa.bool_()


class Column(NamedTuple):
    """One column of a report or of an exported table."""

    name: str
    type: pa.DataType
    says: str
    null: str = ""
    """What null means; empty where it is never null."""


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Return the Arrow schema of columns."""
    return pa.schema([(column.name, column.type) for column in columns])


class Period(NamedTuple):
    """From when, inclusive, until when, exclusive; microseconds UTC, None for no bound."""

    start: int | None = None
    end: int | None = None


class Inputs(Protocol):
    """The tables at one moment; each is computed when it is first asked for."""

    @property
    def as_of(self) -> int:
        """The instant whose truth is asked about, microseconds UTC."""

    @property
    def period(self) -> Period:
        """What the report is about."""

    @property
    def sittings(self) -> pa.Table:
        """The table of `SITTINGS`."""

    @property
    def standings(self) -> pa.Table:
        """The table of `STANDINGS`."""

    @property
    def exams(self) -> pa.Table:
        """The table of `EXAMS`."""

    @property
    def exceptions(self) -> pa.Table:
        """The table of `EXCEPTIONS`."""

    @property
    def certifications(self) -> pa.Table:
        """The table of `CERTIFICATIONS`."""

    @property
    def violations(self) -> pa.Table:
        """The table of `VIOLATIONS`."""

    @property
    def corrections(self) -> pa.Table:
        """The table of `CORRECTIONS`."""


_CANDIDATE = Column("candidate", TEXT, "whom it is about")
_EXAM = Column("exam", TEXT, "the exam's code")

SITTINGS: Final = (
    _CANDIDATE,
    _EXAM,
    Column("started_at", INSTANT, "when it began"),
    Column("ended_at", INSTANT, "when it ended; its start where that is not said"),
    Column("delivery", TEXT, "live or beta"),
    Column("outcome", TEXT, "passed, failed, pending or revoked"),
    Column("outcome_at", INSTANT, "when the outcome became true", "pending"),
    Column("number", WHOLE, "which sitting of this exam it is, beta or live, from 1"),
    Column(
        "ordinal",
        WHOLE,
        "its place in its series, by the policy in force at its start; 1 is a first sitting, more "
        "is a retake",
        "not counted",
    ),
    Column("previous_at", INSTANT, "of a retake: when the counted sitting before it began", "none"),
    Column(
        "wait_until",
        INSTANT,
        "of a retake: when the wait after that one ended, by the policy in force at this start",
        "no retake, no wait, or the one before was passed",
    ),
    Column("position", WHOLE, "the event that opened it"),
    Column("outcome_position", WHOLE, "the event that decided it", "pending"),
)
"""One row a sitting, sorted by candidate, exam and start."""

STANDINGS: Final = (
    _CANDIDATE,
    _EXAM,
    Column("status", TEXT, "eligible, or the first reason that blocks"),
    Column("eligible", TRUTH, "whether the candidate may sit the exam"),
    Column("eligible_from", INSTANT, "the first instant that is so", "eligible, or never"),
    Column(
        "sittings_in_series", pa.int32(), "the last ordinal; 0 if a sitting would open a series"
    ),
    Column("period_ends_at", INSTANT, "the end of the current period", "there is none"),
    Column("last_sitting_at", INSTANT, "when the last sitting began"),
    Column("last_outcome", TEXT, "its outcome: passed, failed, pending or revoked"),
)
"""One row a candidate and exam with a sitting, sorted by both: the table of `replay`."""

EXAMS: Final = (
    _EXAM,
    Column("title", TEXT, "its title", "never announced"),
    Column("policy", TEXT, "the policy it follows", "never announced"),
    Column("policy_sha256", TEXT, "the digest of the version in force", "the policy is not known"),
    Column("beta_opens_at", INSTANT, "when its beta opens", "not known"),
    Column("live_at", INSTANT, "when it goes, or went, live", "not known"),
    Column("retires_at", INSTANT, "when it retires, or retired", "not known"),
    Column("results_from", INSTANT, "from when beta results are expected", "not known"),
    Column("results_by", INSTANT, "by when they are expected", "not known"),
    Column(
        "overdue_from", INSTANT, "from when a beta result that has not come is overdue", "never"
    ),
)
"""One row an exam that the catalogue knows, sorted."""

EXCEPTIONS: Final = (
    _CANDIDATE,
    _EXAM,
    Column("request_id", TEXT, "the request; with the two before, the key of a grant"),
    Column("decision", TEXT, "open, rejected, granted or revoked: what holds last"),
    Column("registration_id", TEXT, "the sitting it was asked for", "never asked for"),
    Column("reason", TEXT, "the reason given", "never asked for"),
    Column("requested_at", INSTANT, "when it was asked for", "never asked for"),
    Column("decided_at", INSTANT, "when it was first rejected or granted", "open"),
    Column("waives", TEXT, "what the grant waives: wait, cap, or both", "never granted"),
    Column("valid_until", INSTANT, "before when the grant may be used", "no bound"),
)
"""One row a request for a retake exception, sorted by candidate, exam and request."""

CERTIFICATIONS: Final = (
    _CANDIDATE,
    Column("certification", TEXT, "the certification's id"),
    Column("earned_at", INSTANT, "when it was first earned or renewed"),
    Column("held_since", INSTANT, "when it was last earned or renewed"),
    Column("renewals", WHOLE, "how often it was earned or renewed after the first time"),
    Column("ends_at", INSTANT, "when it ends", "it never does"),
)
"""One row a certification of a candidate, sorted by both."""

VIOLATIONS: Final = (
    _CANDIDATE,
    _EXAM,
    Column("registration_id", TEXT, "the sitting's registration"),
    Column("started_at", INSTANT, "when it began"),
    Column("position", WHOLE, "the event that opened it"),
    Column("status_then", TEXT, "what blocked it by what was known then", "exam not yet known"),
    Column("status_now", TEXT, "what blocked it by what is known at known_at"),
    Column("eligible_from_now", INSTANT, "from when it would have been allowed", "never, or was"),
    Column("early_seconds", NUMBER, "how long before that it began", "the same"),
    Column("waived_then", TRUTH, "whether a grant waived a reason, as known then"),
    Column("waived_now", TRUTH, "whether a grant waived a reason, as known at known_at"),
)
"""One row a sitting taken while not eligible, sorted by candidate, exam and start."""

LATE_AFTER: Final = 24 * 3_600_000_000
"""Microseconds after it was true from which on a fact is recorded late: a daily feed is in time."""

CORRECTIONS: Final = (
    Column("position", WHOLE, "the event that corrects"),
    Column("kind", TEXT, "annulment, revocation (of a result or a grant) or late"),
    Column("type", TEXT, "the event's type; of an annulment that of what it annuls"),
    Column("candidate", TEXT, "whom it is about", "the catalogue or a policy"),
    Column("exam", TEXT, "the exam", "the fact has none"),
    Column("key", TEXT, "registration, request, certification or policy", "the fact has none"),
    Column("true_at", INSTANT, "when it was true; of an annulment, what it annuls"),
    Column("recorded_at", INSTANT, "when the ledger took it"),
    Column("lag_days", NUMBER, "days between the two"),
    Column("annuls", WHOLE, "the position of the annulled event", "no annulment"),
)
"""One row a fact that was late, an annulment, or a revocation; by position."""

TABLES: Final = {
    "sittings": SITTINGS,
    "standings": STANDINGS,
    "exams": EXAMS,
    "exceptions": EXCEPTIONS,
    "certifications": CERTIFICATIONS,
    "violations": VIOLATIONS,
    "corrections": CORRECTIONS,
}
"""The tables by name, as `export --table` knows them."""

KEYS: Final = {
    "sittings": ("candidate", "exam", "registration_id"),
    "standings": ("candidate", "exam"),
    "exams": ("exam",),
    "exceptions": ("candidate", "exam", "request_id"),
    "certifications": ("candidate", "certification"),
    "violations": ("position",),
    "corrections": ("position",),
}
"""The columns that tell one row of a table from another."""
