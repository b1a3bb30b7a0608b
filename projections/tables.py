"""The tables: their columns, what each means, what null means, and what is indexed.

All that must agree with them is made from them: what is computed at a moment (`replay.tables`), the
read model's schema (`replay.read_model.schema`), what is exported, and the pages of docs/ that list
columns. `TABLES` are those that can be computed at any (as_of, known_at); the read model keeps
`KEPT`: the same at the head of the ledger, with everybody's standings as a timeline.

Instants are microseconds in UTC: timestamps in Arrow, whole numbers since 1970-01-01T00:00Z in
SQLite, so that they sort and subtract. No column is personal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from projections.table import INSTANT, NUMBER, SMALL, TEXT, TRUTH, WHOLE, Column, Table

OPEN: Final = 253_402_300_800_000_000
"""10000-01-01T00:00Z, after every instant there is: the valid_to of a stretch without end."""

_CANDIDATE = Column("candidate", TEXT, "whom it is about")
_EXAM = Column("exam", TEXT, "the exam's code")
_STATUS = (
    "eligible, or the first reason that blocks: unknown-exam, retired, not-open, "
    "not-authorized, passed, beta-taken, result-pending, cap-reached, waiting"
)

POSITION = Table(
    "position",
    "One row: of which ledger this is, how far it is folded, and what counts as late.",
    (
        Column("ledger", TEXT, "the ledger's own id"),
        Column("position", WHOLE, "everything up to this position is in the tables"),
        Column("recorded_at", INSTANT, "when that position was recorded", "empty ledger"),
        Column("source", TEXT, "the source of the event at that position", "empty ledger"),
        Column("id", TEXT, "its id: a ledger put back and written on has another", "empty ledger"),
        Column("late", WHOLE, "microseconds from which a fact counts as late: corrections"),
        Column("very_late", WHOLE, "the same for problems: a published report was wrong"),
    ),
    key=("ledger",),
    by_candidate=False,
)

STALE = Table(
    "stale",
    "One row for each exam whose rows say what held before the catalogue or a policy changed: they "
    "are being folded again.",
    (Column("exam", TEXT, "the exam's code"),),
    key=("exam",),
    by_candidate=False,
)

EXAMS = Table(
    "exams",
    "One row for each exam that is announced, as defined at as_of.",
    (
        _EXAM,
        Column("title", TEXT, "its title"),
        Column("policy", TEXT, "the id of the policy it follows"),
        Column("policy_sha256", TEXT, "the digest of the version in force", "policy not known"),
        Column("beta_opens_at", INSTANT, "when its beta opens", "not known"),
        Column("live_at", INSTANT, "when it goes, or went, live", "not known"),
        Column("retires_at", INSTANT, "when it retires, or retired", "not known"),
        Column("results_from", INSTANT, "from when beta results are expected", "not known"),
        Column("results_by", INSTANT, "by when they are expected", "not known"),
        Column(
            "overdue_from", INSTANT, "from when a beta result that has not come is overdue", "never"
        ),
        Column("announced_at", INSTANT, "from when this definition holds"),
        Column("definitions", WHOLE, "how many definitions stand, annulled ones left out"),
    ),
    key=("exam",),
    by_candidate=False,
)

POLICIES = Table(
    "policies",
    "One row for each published version of a policy that is not annulled.",
    (
        Column("policy", TEXT, "the policy's id"),
        Column("position", WHOLE, "where it was published in the ledger"),
        Column("title", TEXT, "its title"),
        Column("source", TEXT, "the text it was made from", "not said"),
        Column("effective_from", INSTANT, "from when it is in force"),
        Column("published_at", INSTANT, "when it was published"),
        Column("recorded_at", INSTANT, "when the ledger took it"),
        Column("sha256", TEXT, "the digest of its TOML"),
    ),
    key=("policy", "position"),
    by_candidate=False,
)

DEFINITIONS = Table(
    "certification_exams",
    "One row for each exam of each certification, as defined at as_of.",
    (
        Column("certification", TEXT, "the certification's id"),
        Column("exam", TEXT, "an exam that it covers"),
        Column("title", TEXT, "the certification's title"),
    ),
    key=("certification", "exam"),
    refers={"exam": "exams"},
    by_candidate=False,
)

SITTINGS = Table(
    "sittings",
    "One row for each sitting, sorted by candidate, exam and start.",
    (
        _CANDIDATE,
        _EXAM,
        Column("registration_id", TEXT, "the registration; with the two before, the sitting"),
        Column("started_at", INSTANT, "when it began"),
        Column("ended_at", INSTANT, "when it ended; its start where that is not said"),
        Column("delivery", TEXT, "live or beta"),
        Column("outcome", TEXT, "passed, failed, pending, revoked or missed"),
        Column("outcome_at", INSTANT, "when the outcome became true", "pending"),
        Column("number", WHOLE, "which sitting of this exam it is, beta or live, from 1"),
        Column(
            "ordinal",
            WHOLE,
            "its place in its series, by the policy in force at its start; 1 is a first sitting, "
            "more is a retake",
            "not counted",
        ),
        Column(
            "previous_at", INSTANT, "of a retake: when the counted sitting before it began", "none"
        ),
        Column(
            "wait_until",
            INSTANT,
            "of a retake: when the wait after that one ended, by the policy in force at this start",
            "no retake, no wait, or the one before was passed",
        ),
        Column("status", TEXT, f"what held just before it, without itself: {_STATUS}"),
        Column(
            "eligible_from",
            INSTANT,
            "from when the candidate might have taken it",
            "eligible, or never",
        ),
        Column(
            "waived",
            TEXT,
            "what a grant active at its start waives: of wait, cap and passed those that it does",
            "nothing",
        ),
        Column("position", WHOLE, "the event that opened it"),
        Column("outcome_position", WHOLE, "the event that decided it", "pending"),
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

_STANDING = (
    Column("status", TEXT, _STATUS),
    Column("eligible", TRUTH, "whether the candidate may sit the exam"),
    Column("eligible_from", INSTANT, "the first instant that is so", "eligible, or never"),
    Column("sittings_in_series", SMALL, "the last ordinal; 0 if a sitting would open a series"),
    Column("period_ends_at", INSTANT, "the end of the current period", "there is none"),
    Column("last_sitting_at", INSTANT, "when the last sitting began"),
    Column("last_outcome", TEXT, "its outcome: passed, failed, pending, revoked or missed"),
)

STANDINGS = Table(
    "standings",
    "One row for each candidate and exam with a sitting: the table of `replay`.",
    (_CANDIDATE, _EXAM, *_STANDING),
    key=("candidate", "exam"),
)

TIMELINE = Table(
    "standings",
    "The timeline: one row for each stretch in which nothing of a candidate's standing for an "
    "exam changes, on the latest knowledge. It begins with the first sitting and is split wherever "
    "the clock alone changes it. As of T: valid_from <= T AND valid_to > T.",
    (
        _CANDIDATE,
        _EXAM,
        Column("valid_from", INSTANT, "from when it holds, inclusive"),
        Column("valid_to", INSTANT, f"until when, exclusive; {OPEN} (the year 10000): for ever"),
        *_STANDING,
    ),
    key=("candidate", "exam", "valid_from"),
    refers={"exam": "exams"},
    indexes={
        "waiting_list": (
            *("exam", "status", "valid_to", "valid_from", "candidate", "eligible_from"),
        ),
        # Every column: everybody as of a date is read from here alone, one row after the other.
        "as_of": ("valid_to", "valid_from", "candidate", "exam", *(c.name for c in _STANDING)),
    },
)

EXCEPTIONS = Table(
    "exceptions",
    "One row for each request for a retake exception, by what was decided. What the clock makes of "
    "it is the reader's: a grant has run out at T if valid_until <= T and it was not used.",
    (
        _CANDIDATE,
        _EXAM,
        Column("request_id", TEXT, "the request; with the two before, the key of a grant"),
        Column("decision", TEXT, "open, rejected, granted or revoked: what holds last"),
        Column("registration_id", TEXT, "the sitting it was requested for", "never requested"),
        Column("reason", TEXT, "the reason stated", "never requested"),
        Column("requested_at", INSTANT, "when it was requested", "never requested"),
        Column("decided_at", INSTANT, "when the decision that holds was made", "open"),
        Column("decided_by", WHOLE, "the event that made it", "open"),
        Column("first_decided_at", INSTANT, "when it was first rejected or granted", "never was"),
        Column("waives", TEXT, "what the grant waives: of wait, cap and passed", "never granted"),
        Column("valid_until", INSTANT, "before when the grant may be used", "no bound"),
        Column("used_at", INSTANT, "the start of the sitting that used it", "not used"),
        Column("used_by", TEXT, "the registration of that sitting", "not used"),
        Column("missing", TEXT, "what a rejection found missing, comma-separated", "nothing"),
        Column("why", TEXT, "the reason of a rejection or revocation", "neither"),
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
        Column("certification", TEXT, "the certification's id"),
        Column("earned_at", INSTANT, "when it was first earned or renewed"),
        Column("renewed_at", INSTANT, "when it was last renewed", "never"),
        Column("renewals", WHOLE, "how often it was earned or renewed after the first time"),
        Column("expires_at", INSTANT, "until when the last of these holds it", "never ends"),
        Column("expired_at", INSTANT, "when it was said to have expired since", "not said"),
        Column("ends_at", INSTANT, "the earlier of the two: when it ends", "never ends"),
    ),
    key=("candidate", "certification"),
    indexes={"of_certification": ("certification", "ends_at"), "ending": ("ends_at",)},
)

CORRECTIONS = Table(
    "corrections",
    "One row for each late fact, annulment or revocation and each exam it bears on: when it was "
    "true, when it was recorded, and what the standing was before and after. Twice: as of when it "
    "was true (was_…, is_…: what a report of that day said, and says restated) and as of when it "
    "was recorded (told_…: what somebody heard who asked just before and just after). A row never "
    "changes.",
    (
        Column("position", WHOLE, "the event that corrects"),
        Column("number", WHOLE, "counts the exams that one event bears on, from 1"),
        Column("kind", TEXT, "annulment, revocation (of a result, grant or authorization) or late"),
        Column("type", TEXT, "the event's type; of an annulment that of what it annuls"),
        Column("candidate", TEXT, "whom it is about", "the catalogue or a policy"),
        Column("exam", TEXT, "the exam", "a fact that bears on none"),
        Column(
            "key",
            TEXT,
            "registration, request or certification; for a policy its id",
            "the type has none",
        ),
        Column("annuls", WHOLE, "the position of the annulled event", "no annulment"),
        Column("true_at", INSTANT, "when it was true; of an annulment, what it annuls"),
        Column("recorded_at", INSTANT, "when the ledger took it"),
        Column("lag_days", NUMBER, "days between the two"),
        Column("was_status", TEXT, "as of true_at, before it was known", "no standing"),
        Column("is_status", TEXT, "as of true_at, once it was known", "no standing"),
        Column("was_eligible_from", INSTANT, "the same", "eligible, or never"),
        Column("is_eligible_from", INSTANT, "the same", "eligible, or never"),
        Column("told_before", TEXT, "as of recorded_at, before it was known", "no standing"),
        Column("told_after", TEXT, "as of recorded_at, once it was known", "no standing"),
    ),
    key=("position", "number"),
    refers={"exam": "exams"},
    indexes={
        "of_candidate": ("candidate", "exam"),
        "recorded": ("recorded_at",),
        "true": ("true_at",),
    },
    by_candidate=False,
)

PROBLEMS = Table(
    "problems",
    "One row for each fact that does not fit.",
    (
        Column(
            "kind",
            TEXT,
            "result-without-sitting, revocation-without-sitting, not-eligible, late (any fact), "
            "unreadable-policy, or a code of a standing's problems: sources-disagree, "
            "unknown-exam, result-before-sitting, long-sitting, late-result",
        ),
        Column("position", WHOLE, "the event; of a sitting the one that opened it"),
        Column("candidate", TEXT, "whom it is about", "a policy"),
        Column("exam", TEXT, "the exam", "the fact has none"),
        Column("key", TEXT, "registration, request, certification or policy", "none"),
        Column("at", INSTANT, "when it was true"),
        Column("recorded_at", INSTANT, "when the ledger took it"),
        Column(
            "detail", TEXT, "the status; why it is unreadable; which source says what", "others"
        ),
        Column("until", INSTANT, "from when eligible; when the sitting ended, or began", "others"),
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
        Column("position", WHOLE, "its place in the ledger"),
        Column("recorded_at", INSTANT, "when the ledger took it"),
        Column("occurred_at", INSTANT, "when it was true"),
        Column("type", TEXT, "its type"),
        Column("subject", TEXT, "the candidate, exam, certification or policy"),
        Column("source", TEXT, "where it comes from"),
        Column("id", TEXT, "its id; with the source, what tells it from every other"),
        Column("actor", TEXT, "who or what recorded it", "not said"),
        Column("exam", TEXT, "the exam", "it has none"),
        Column("key", TEXT, "registration, request or certification", "it has none"),
        Column("annuls", WHOLE, "the position of the annulled event", "no annulment"),
        Column("reason", TEXT, "the reason of an annulment", "no annulment"),
    ),
    key=("position",),
    by_candidate=False,
)

VIOLATIONS = Table(
    "violations",
    "One row for each sitting taken while not eligible, then or as is known now, sorted by "
    "candidate, exam and start.",
    (
        _CANDIDATE,
        _EXAM,
        Column("registration_id", TEXT, "the sitting's registration"),
        Column("started_at", INSTANT, "when it began"),
        Column("position", WHOLE, "the event that opened it"),
        Column("status_then", TEXT, "what blocked it by what was known then", "exam not yet known"),
        Column("status_now", TEXT, "what blocked it by what is known at known_at"),
        Column(
            "eligible_from_now", INSTANT, "from when it would have been allowed", "never, or was"
        ),
        Column("early_seconds", NUMBER, "how long before that it began", "the same"),
        Column("waived_then", TRUTH, "whether a grant waived a reason, as known then"),
        Column("waived_now", TRUTH, "whether a grant waived a reason, as known at known_at"),
    ),
    key=("position",),
)

TABLES: Final[Mapping[str, Table]] = {
    table.name: table
    for table in (
        EXAMS,
        POLICIES,
        DEFINITIONS,
        SITTINGS,
        STANDINGS,
        EXCEPTIONS,
        CERTIFICATIONS,
        VIOLATIONS,
        CORRECTIONS,
        PROBLEMS,
        FACTS,
    )
}
"""The tables that can be computed at any moment, by name: as `export --table` knows them."""

KEPT: Final[tuple[Table, ...]] = (
    POSITION,
    STALE,
    EXAMS,
    POLICIES,
    DEFINITIONS,
    SITTINGS,
    TIMELINE,
    EXCEPTIONS,
    CERTIFICATIONS,
    CORRECTIONS,
    PROBLEMS,
    FACTS,
)
"""The tables of the read model."""
