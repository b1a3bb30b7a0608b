"""The tables of the views: their columns, what each says, and what is indexed.

Everything that must agree with them is made from them: the file's schema
(`replay.read_model.schema`), the readable views, and docs/tables.md.

Instants are whole microseconds since 1970-01-01T00:00Z (UTC), so that they sort and subtract;
`<table>_readable` prints them as RFC 3339. Tables tell the latest knowledge, that of the position
in `position`; what was known at another is `replay`'s to answer. No column is personal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

APPLICATION_ID: Final = 0x41745677
""""AtVw" in the file's header: what tells a file of views from other files."""
VERSION: Final = 3
"""Raised whenever a table, or what a row means, changes: views of another version are rebuilt."""

OPEN: Final = 253_402_300_800_000_000
"""10000-01-01T00:00Z, after every instant there is: the valid_to of a stretch without end."""


class Kind(StrEnum):
    """What a column holds."""

    text = "text"
    whole = "whole number"
    truth = "0 or 1"
    instant = "instant"

    @property
    def stored(self) -> type:
        """The type it is stored as."""
        return str if self is Kind.text else int


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: Kind
    says: str
    null: str = ""
    """What null means; empty where it is never null."""


class Table(NamedTuple):
    """One table: a row for what, its columns, its key, what refers elsewhere, what is indexed."""

    name: str
    says: str
    columns: Sequence[Column]
    key: Sequence[str]
    refers: Mapping[str, str] = {}
    """Columns that name a row of another table, whose key has the same name as the column."""
    indexes: Mapping[str, Sequence[str]] = {}
    """What is indexed for which question."""
    by_candidate: bool = True
    """Whether a candidate's rows are replaced when something new is known of the candidate."""

    @property
    def names(self) -> list[str]:
        """The names of its columns, in their order."""
        return [column.name for column in self.columns]


_CANDIDATE = Column("candidate", Kind.text, "whom it is about")
_EXAM = Column("exam", Kind.text, "the exam's code")
_STATUS = (
    "eligible, or the first reason that blocks: unknown-exam, retired, not-open, passed, "
    "beta-taken, result-pending, cap-reached, waiting"
)

POSITION = Table(
    "position",
    "One row: of which ledger this is, how far it is folded, and what counts as late.",
    (
        Column("ledger", Kind.text, "the ledger's own id"),
        Column("position", Kind.whole, "everything up to this position is in the tables"),
        Column("recorded_at", Kind.instant, "when that position was recorded", "empty ledger"),
        Column("source", Kind.text, "the source of the event at that position", "empty ledger"),
        Column(
            "id",
            Kind.text,
            "its id: a ledger put back and written on has another there",
            "empty ledger",
        ),
        Column("late", Kind.whole, "microseconds from which a fact counts as late: corrections"),
        Column("very_late", Kind.whole, "the same for problems: a published report was wrong"),
    ),
    key=("ledger",),
    by_candidate=False,
)

EXAMS = Table(
    "exams",
    "One row for each exam that anything names, by its last definition.",
    (
        Column("exam", Kind.text, "the exam's code"),
        Column("title", Kind.text, "its title", "never announced"),
        Column("policy", Kind.text, "the id of the policy it follows", "never announced"),
        Column("beta_opens_at", Kind.instant, "when its beta opens", "not known"),
        Column("live_at", Kind.instant, "when it goes, or went, live", "not known"),
        Column("retires_at", Kind.instant, "when it retires, or retired", "not known"),
        Column("announced_at", Kind.instant, "from when this definition holds", "never announced"),
        Column("definitions", Kind.whole, "how many definitions stand, annulled ones left out"),
        Column(
            "stale",
            Kind.truth,
            "1 while the catalogue or a policy has changed and the exam's rows are being folded "
            "again: until then they say what held before",
        ),
    ),
    key=("exam",),
    indexes={"stale": ("stale",)},
    by_candidate=False,
)

POLICIES = Table(
    "policies",
    "One row for each published version of a policy that is not annulled.",
    (
        Column("policy", Kind.text, "the policy's id"),
        Column("position", Kind.whole, "where it was published in the ledger"),
        Column("title", Kind.text, "its title"),
        Column("source", Kind.text, "the text it was made from", "not said"),
        Column("effective_from", Kind.instant, "from when it is in force"),
        Column("published_at", Kind.instant, "when it was published"),
        Column("recorded_at", Kind.instant, "when the ledger took it"),
        Column("sha256", Kind.text, "the digest of its TOML"),
    ),
    key=("policy", "position"),
    by_candidate=False,
)

DEFINITIONS = Table(
    "certification_exams",
    "One row for each exam of each certification, by its last definition.",
    (
        Column("certification", Kind.text, "the certification's id"),
        Column("exam", Kind.text, "an exam that it covers"),
        Column("title", Kind.text, "the certification's title"),
    ),
    key=("certification", "exam"),
    refers={"exam": "exams"},
    by_candidate=False,
)

SITTINGS = Table(
    "sittings",
    "One row for each sitting, as it is known now.",
    (
        _CANDIDATE,
        _EXAM,
        Column("registration_id", Kind.text, "the registration; with the two before, the sitting"),
        Column("started_at", Kind.instant, "when it began"),
        Column("ended_at", Kind.instant, "when it ended; its start where that is not said"),
        Column("delivery", Kind.text, "live or beta"),
        Column("outcome", Kind.text, "passed, failed, pending or revoked"),
        Column("outcome_at", Kind.instant, "when the outcome became true", "pending"),
        Column("position", Kind.whole, "the event that opened it"),
        Column("outcome_position", Kind.whole, "the event that decided it", "pending"),
        Column("number", Kind.whole, "which sitting of this exam it is, beta or live, from 1"),
        Column(
            "ordinal",
            Kind.whole,
            "its place in its series, by the policy in force at its start; 1 is a first sitting, "
            "more is a retake",
            "not counted",
        ),
        Column("status", Kind.text, f"what held just before it, without itself: {_STATUS}"),
        Column(
            "eligible_from",
            Kind.instant,
            "from when the candidate might have sat it",
            "eligible, or never",
        ),
        Column(
            "waived",
            Kind.text,
            "what a grant active at its start waives: wait, cap, or both",
            "nothing",
        ),
    ),
    key=("candidate", "exam", "registration_id"),
    refers={"exam": "exams"},
    indexes={
        "of_exam": ("exam", "started_at"),
        "started": ("started_at",),
        "by_outcome": ("outcome", "delivery"),
        "at_position": ("position",),
    },
)

STANDINGS = Table(
    "standings",
    "The timeline: one row for each stretch in which nothing of a candidate's standing for an "
    "exam changes, on the latest knowledge. It begins with the first sitting and is split wherever "
    "the clock alone changes it. As of T: valid_from <= T AND valid_to > T.",
    (
        _CANDIDATE,
        _EXAM,
        Column("valid_from", Kind.instant, "from when it holds, inclusive"),
        Column(
            "valid_to", Kind.instant, f"until when, exclusive; {OPEN} (the year 10000): for ever"
        ),
        Column("status", Kind.text, _STATUS),
        Column("eligible", Kind.truth, "whether the candidate may sit the exam"),
        Column("eligible_from", Kind.instant, "the first instant that is so", "eligible, or never"),
        Column(
            "sittings_in_series", Kind.whole, "the last ordinal; 0 if a sitting would open a series"
        ),
        Column("period_ends_at", Kind.instant, "the end of the current period", "there is none"),
        Column("last_sitting_at", Kind.instant, "when the last sitting began"),
        Column("last_outcome", Kind.text, "its outcome: passed, failed, pending or revoked"),
    ),
    key=("candidate", "exam", "valid_from"),
    refers={"exam": "exams"},
    indexes={
        "waiting_list": (
            "exam",
            "status",
            "valid_to",
            "valid_from",
            "candidate",
            "eligible_from",
        ),
        # Every column: everybody as of a date is read from here alone, one row after the other.
        "as_of": (
            "valid_to",
            "valid_from",
            "candidate",
            "exam",
            "status",
            "eligible",
            "eligible_from",
            "sittings_in_series",
            "period_ends_at",
            "last_sitting_at",
            "last_outcome",
        ),
    },
)

EXCEPTIONS = Table(
    "exceptions",
    "One row for each request for a retake exception, by what was decided. What the clock makes of "
    "it is the reader's: a grant has run out at T if valid_until <= T and it was not used.",
    (
        _CANDIDATE,
        _EXAM,
        Column("request_id", Kind.text, "the request; with the two before, the key of a grant"),
        Column("decision", Kind.text, "open, rejected, granted or revoked: what holds last"),
        Column("registration_id", Kind.text, "the sitting it was asked for", "never asked for"),
        Column("reason", Kind.text, "the reason given", "never asked for"),
        Column("requested_at", Kind.instant, "when it was asked for", "never asked for"),
        Column("decided_at", Kind.instant, "when the decision that holds was made", "open"),
        Column("decided_by", Kind.whole, "the event that made it", "open"),
        Column("waives", Kind.text, "what the grant waives: wait, cap, or both", "never granted"),
        Column("valid_until", Kind.instant, "before when the grant may be used", "no bound"),
        Column("used_at", Kind.instant, "the start of the sitting that used it", "not used"),
        Column("used_by", Kind.text, "the registration of that sitting", "not used"),
        Column("missing", Kind.text, "what a rejection found missing, comma-separated", "nothing"),
        Column("why", Kind.text, "the reason of a rejection or revocation", "neither"),
    ),
    key=("candidate", "exam", "request_id"),
    refers={"exam": "exams"},
    indexes={"decided": ("decision", "requested_at"), "of_exam": ("exam", "decision")},
)

CERTIFICATIONS = Table(
    "certifications",
    "One row for each certification that a candidate has earned.",
    (
        _CANDIDATE,
        Column("certification", Kind.text, "the certification's id"),
        Column("earned_at", Kind.instant, "when it was first earned or renewed"),
        Column("renewed_at", Kind.instant, "when it was last renewed", "never"),
        Column("renewals", Kind.whole, "how often it was earned or renewed after the first time"),
        Column("expires_at", Kind.instant, "until when the last of these holds it", "never ends"),
        Column("expired_at", Kind.instant, "when it was said to have expired since", "not said"),
        Column("ends_at", Kind.instant, "the earlier of the two: when it ends", "never ends"),
    ),
    key=("candidate", "certification"),
    indexes={"of_certification": ("certification", "ends_at"), "ending": ("ends_at",)},
)

CORRECTIONS = Table(
    "corrections",
    "One row for each late fact, annulment or revocation and each exam it bears on: when it was "
    "true, when it became known, and what the standing was before and after. Twice: as of when it "
    "was true (was_…, is_…: what a report of that day said, and says restated) and as of when it "
    "became known (told_…: what somebody heard who asked just before and just after). A row never "
    "changes.",
    (
        Column("position", Kind.whole, "the event that corrects"),
        Column("number", Kind.whole, "counts the exams that one event bears on, from 1"),
        Column("kind", Kind.text, "annulment, revocation (of a result or grant) or late"),
        Column("type", Kind.text, "the event's type"),
        Column("candidate", Kind.text, "whom it is about", "the catalogue or a policy"),
        Column("exam", Kind.text, "the exam", "a fact that bears on none"),
        Column(
            "key",
            Kind.text,
            "registration, request or certification; for a policy its id",
            "the type has none",
        ),
        Column("annuls", Kind.whole, "the position of the annulled event", "no annulment"),
        Column("true_at", Kind.instant, "when it was true; of an annulment, what it annuls"),
        Column("known_at", Kind.instant, "when the ledger took it"),
        Column("was_status", Kind.text, "as of true_at, before it was known", "no standing"),
        Column("is_status", Kind.text, "as of true_at, once it was known", "no standing"),
        Column("was_eligible_from", Kind.instant, "the same", "eligible, or never"),
        Column("is_eligible_from", Kind.instant, "the same", "eligible, or never"),
        Column("told_before", Kind.text, "as of known_at, before it was known", "no standing"),
        Column("told_after", Kind.text, "as of known_at, once it was known", "no standing"),
    ),
    key=("position", "number"),
    refers={"exam": "exams"},
    indexes={"of_candidate": ("candidate", "exam"), "known": ("known_at",), "true": ("true_at",)},
    by_candidate=False,
)

PROBLEMS = Table(
    "problems",
    "One row for each fact that does not fit, as it is known now.",
    (
        Column(
            "kind",
            Kind.text,
            "result-without-sitting, revocation-without-sitting, unknown-exam, not-eligible, late "
            "or unreadable-policy",
        ),
        Column("position", Kind.whole, "the event; of a sitting the one that opened it"),
        Column("candidate", Kind.text, "whom it is about", "a policy"),
        Column("exam", Kind.text, "the exam", "the fact has none"),
        Column("key", Kind.text, "registration, request, certification or policy", "none"),
        Column("at", Kind.instant, "when it was true"),
        Column("recorded_at", Kind.instant, "when the ledger took it"),
        Column("detail", Kind.text, "not-eligible: the status; unreadable-policy: why", "others"),
        Column("until", Kind.instant, "not-eligible: from when eligible", "others, or never"),
    ),
    key=("kind", "position"),
    refers={"exam": "exams"},
    indexes={"of_candidate": ("candidate",), "of_exam": ("exam", "kind"), "at": ("at",)},
)

FACTS = Table(
    "facts",
    "One row for each event, without its data: who recorded what about whom, and when. A row never "
    "changes.",
    (
        Column("position", Kind.whole, "its place in the ledger"),
        Column("recorded_at", Kind.instant, "when the ledger took it"),
        Column("occurred_at", Kind.instant, "when it was true"),
        Column("type", Kind.text, "its type"),
        Column("subject", Kind.text, "the candidate, exam, certification or policy"),
        Column("source", Kind.text, "where it comes from"),
        Column("id", Kind.text, "its id; with the source, what tells it from every other"),
        Column("actor", Kind.text, "who or what recorded it", "not said"),
        Column("exam", Kind.text, "the exam", "it has none"),
        Column("key", Kind.text, "registration, request or certification", "it has none"),
        Column("annuls", Kind.whole, "the position of the annulled event", "no annulment"),
        Column("reason", Kind.text, "the reason of an annulment", "no annulment"),
    ),
    key=("position",),
    by_candidate=False,
)

TABLES: Final[tuple[Table, ...]] = (
    POSITION,
    EXAMS,
    POLICIES,
    DEFINITIONS,
    SITTINGS,
    STANDINGS,
    EXCEPTIONS,
    CERTIFICATIONS,
    CORRECTIONS,
    PROBLEMS,
    FACTS,
)
"""All tables, those first that others refer to."""
