"""Events as rows: as the store takes them, and as it hands them back."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ledger.fields import read_object
from ledger.problems import LedgerProblem, MalformedFact
from ledger.upcasts import TOPICS, UPCASTS, Upcasts, current_version, upcast

OWN_SOURCES = "urn:attempt-ledger:"
"""How the sources begin that this program writes itself; from outside they are refused."""


BACKFILL = "backfill"
"""The extension attribute, true, of what was recorded long after it was true because it was moved
in, as the ledger began: it is not late."""
MARK = f'"{BACKFILL}":true'
"""How the mark stands among extension attributes, which are compact JSON."""


class Row(NamedTuple):
    """A fact as the store takes it, all but its position and recorded_at.

    Made only by `Fact.row`, which has checked it; plain values, so it crosses processes cheaply.
    The stream of an EventAnnulled is ``any/…`` and its `annuls` None until it is appended.
    """

    occurred_at: int
    topic: str
    stream: str
    source: str
    id: str
    actor: str | None
    exam: str | None
    key: str | None
    flag: int | None
    until: int | None
    annuls: int | None
    data: str
    extensions: str | None = None


# This runs once for each row of an import: half the price of Row(…).
row_of: Callable[[tuple[Any, ...]], Row] = partial(tuple.__new__, Row)
"""Return a row of as many values as it has, in their order: as `_make`, which counts them."""


class Outline(NamedTuple):
    """What a standing is made of, of a fact that the ledger holds; the fields of `Recorded`.

    But for its other texts, which are half of what reading it takes.
    """

    position: int
    recorded_at: int
    occurred_at: int
    topic: str
    source: str
    id: str
    exam: str | None
    key: str | None
    flag: int | None
    until: int | None
    annuls: int | None
    data: str | None
    """Of what is of no exam: which exams a certification names. None for the others."""

    @property
    def type(self) -> str:
        """The event's type, such as ``ExamAttempted``."""
        return self.topic.partition(":")[0]

    def payload(self) -> dict[str, Any]:
        """Return the data as `Recorded.payload` does; only of what is of no exam."""
        return _payload(self.topic, _stored(self.data or "", self.position), UPCASTS)


class Recorded(NamedTuple):
    """A fact as the ledger holds it: one row, read.

    Instants are microseconds; `data` is JSON text as stored, personal fields encrypted, of the
    schema version that `topic` names. `exam`, `key`, `flag`, `until` hold the current version's
    meaning. `extensions` is a JSON object of what came with it besides, None for nothing.
    """

    position: int
    recorded_at: int
    occurred_at: int
    topic: str
    stream: str
    source: str
    id: str
    actor: str | None
    exam: str | None
    key: str | None
    flag: int | None
    until: int | None
    annuls: int | None
    data: str
    extensions: str | None = None

    @property
    def type(self) -> str:
        """The event's type, such as ``ExamAttempted``."""
        return self.topic.partition(":")[0]

    @property
    def version(self) -> int:
        """The schema version of `data`."""
        return int(self.topic.partition(":")[2])

    @property
    def subject(self) -> str:
        """Whom or what it is about: a candidate id, exam code, certification or policy id."""
        return self.stream.partition("/")[2]

    @property
    def backfilled(self) -> bool:
        """Whether it was moved in as a migration, and so is not late."""
        return self.extensions is not None and MARK in self.extensions

    @property
    def originator_id(self) -> str:
        """The stream, by the name that `eventsourcing` has for it."""
        return self.stream

    @property
    def originator_version(self) -> int:
        """The position, which is `eventsourcing`'s version here: unique in any stream."""
        return self.position

    def stored(self) -> dict[str, Any]:
        """Return the data as JSON values, of the schema version it was recorded in.

        Raises LedgerProblem for data that is no JSON any more.
        """
        return _stored(self.data, self.position)

    def payload(self, upcasts: Upcasts = UPCASTS) -> dict[str, Any]:
        """Return the data as JSON values, brought up to the current schema version.

        Raises MalformedFact for a type or version this release does not know, and LedgerProblem for
        data that is no JSON any more.
        """
        return _payload(self.topic, self.stored(), upcasts)


def _stored(data: str, position: int) -> dict[str, Any]:
    try:
        return read_object(data)
    except MalformedFact:
        raise LedgerProblem(
            f"position {position} does not read, its data is damaged: `verify` says more"
        ) from None


def _payload(topic: str, data: dict[str, Any], upcasts: Upcasts) -> dict[str, Any]:
    if topic in TOPICS:
        return data
    type, _, version = topic.partition(":")
    return upcast(type, int(version), current_version(type), data, upcasts)
