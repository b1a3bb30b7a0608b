"""The columns that say which event a row is about, the same in every audit query."""

from __future__ import annotations

from typing import Final

from projections.reports.inputs import INSTANT, NUMBER, TEXT, WHOLE, Column

POSITION: Final = Column("position", WHOLE, "the event's position")
RECORDED_AT: Final = Column("recorded_at", INSTANT, "when the ledger took it")
TRUE_AT: Final = Column("true_at", INSTANT, "when it was true: its `time`")
TYPE: Final = Column("type", TEXT, "its type")
ABOUT: Final = Column("about", TEXT, "candidate, exam, certification or policy")
SUBJECT: Final = Column("subject", TEXT, "whom or what it is about, by its id")
EXAM: Final = Column(
    "exam", TEXT, "the exam; of an annulment that of what it annuls", "the fact has none"
)
KEY: Final = Column(
    "key", TEXT, "registration, request or certification, as for `exam`", "the fact has none"
)
SOURCE: Final = Column("source", TEXT, "where it comes from; with `id` what it is told by")
ID: Final = Column("id", TEXT, "its id there")
ACTOR: Final = Column("actor", TEXT, "who or what recorded it", "nobody said")
ANNULS: Final = Column("annuls", WHOLE, "the position of the event it annuls", "no annulment")
ANNULLED_BY: Final = Column(
    "annulled_by", WHOLE, "the position of the event that annulled it first", "it stands"
)
LAG: Final = Column(
    "lag_seconds", NUMBER, "how long after it was true the ledger took it; negative if before"
)

EVENT: Final = (
    POSITION, RECORDED_AT, TRUE_AT, TYPE, ABOUT, SUBJECT, EXAM, KEY, SOURCE, ID, ACTOR, ANNULS,
    ANNULLED_BY,
)  # fmt: skip
"""What is said of an event wherever events are listed."""
