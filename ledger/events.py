"""Facts: an event with its envelope, on its way in, as a row to be written, and as read."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ledger.fields import Event, code_fault, read_object, source_fault
from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from ledger.models import BY_TOPIC, ExamAttempted, event_class, make_event
from ledger.problems import LedgerProblem, MalformedFact, shown
from ledger.upcasts import UPCASTS, Upcasts, upcast

UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What CloudEvents allows in no attribute: control characters. (No surrogate can be stored.)"""


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


class Fact(NamedTuple):
    """An event and its envelope, as it comes in. Immutable and cheap to make."""

    source: str
    id: str
    subject: str
    time: int
    """When it was true (occurred_at), microseconds."""
    event: Event
    actor: str | None = None
    recorded_at: int | None = None
    """Only what `recordedtime` said on input, microseconds; kept only with keep_recorded_at."""
    original: tuple[str, str] | None = None
    """(topic, data) as they came in, of an older schema version: stored so, never rewritten."""
    extensions: str | None = None
    """Extension attributes as a JSON object: kept and handed back, no part of its identity."""

    @property
    def stream(self) -> str:
        """Its stream, such as ``candidate/C-1``; ``any/…`` for an EventAnnulled until appended."""
        return f"{self.event.stream_kind}/{self.subject}"

    def row(self, *, as_recorded: bool = False) -> Row:
        """Return it as a row; raises MalformedFact if the envelope or a code is not sound.

        A history that is moved in is taken `as_recorded`: what new facts may not hold is kept,
        and so is what cannot be, such as a sitting that ended before it began.
        """
        source, id, subject, time, event, actor, _, original, extensions = self
        exam, key, flag, until = event.columns(subject)
        # All at once, since this runs once for each event: texts that are plain are sound.
        texts = f"{source}{id}{subject}{actor or ''}{exam or ''}{key or ''}"
        if not (
            source
            and id
            and subject
            and actor != ""
            and texts.isascii()
            and texts.isprintable()
            and " " not in texts
            and MIN_INSTANT <= time <= MAX_INSTANT
        ):
            self.check_envelope()
            if not as_recorded:
                self.check_codes()
        elif event.more_codes and not as_recorded:
            self.check_codes()
        if not as_recorded and (fault := source_fault(source)):
            raise MalformedFact(f"source {shown(source)} {fault}")
        if until is not None and not as_recorded and until <= time:
            self._check_until(until)
        topic, data = original or (event.topic, event.to_json())
        stream = f"{event.stream_kind}/{subject}"
        return row_of(
            (time, topic, stream, source, id, actor, exam, key, flag, until, None, data, extensions)
        )

    def doubt(self) -> str:
        """Return why it would be refused as a new fact, though a history may have it; or ""."""
        try:
            self.row()
        except MalformedFact as problem:
            return str(problem)
        return ""

    def _check_until(self, until: int) -> None:
        """Raise MalformedFact for an end that cannot be: nothing ends before it begins."""
        name, is_sitting = self.event.instants[0], self.event.type == ExamAttempted.type
        if until < self.time or not is_sitting:
            should = "not lie before the start of the sitting"
            if not is_sitting:
                should = "lie after the time of the event"
            raise MalformedFact(
                f"{self.event.type}: data.{name} {format_instant(until)} should {should}, "
                f"{format_instant(self.time)}"
            )

    def check_codes(self) -> None:
        """Raise MalformedFact, one sentence, for an identifier that a new fact may not have."""
        named = [("source", self.source), ("id", self.id), ("actor", self.actor)]
        if self.event.stream_kind != "any":  # an annulment names what is in the ledger as it is
            named.append(("subject", self.subject))
            for name in self.event.codes:
                value = getattr(self.event, name)
                values = value if isinstance(value, tuple) else (value,)
                named += [(f"data.{name}", each) for each in values]
        for name, text in named:
            if text is not None and (fault := code_fault(text)):
                raise MalformedFact(f"{name} {shown(text)} {fault}")

    def check_envelope(self) -> None:
        """Raise MalformedFact, one sentence, if source, id, subject, actor or time is not sound."""
        named = {"source": self.source, "id": self.id, "subject": self.subject}
        if self.actor is not None:
            named["actor"] = self.actor
        for name, value in named.items():
            if not value:
                raise MalformedFact(f"{name} is empty: it should say something")
            if not value.isprintable() and UNCLEAN.search(value):
                raise MalformedFact(f"{name} {value!r} holds a control character or half of one")
        if not MIN_INSTANT <= self.time <= MAX_INSTANT:
            raise MalformedFact(f"time {self.time} lies outside the years 1 to 9999")


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

    def event(self, upcasts: Upcasts = UPCASTS) -> Event:
        """Return the data as its model."""
        return make_event(self.type, self.payload(upcasts))

    def fact(self, upcasts: Upcasts = UPCASTS) -> Fact:
        """Return it as a fact that could be appended elsewhere, recorded_at included."""
        return Fact(
            self.source,
            self.id,
            self.subject,
            self.occurred_at,
            self.event(upcasts),
            self.actor,
            self.recorded_at,
            None if self.topic in BY_TOPIC else (self.topic, self.data),
            self.extensions,
        )


def _stored(data: str, position: int) -> dict[str, Any]:
    try:
        return read_object(data)
    except MalformedFact:
        raise LedgerProblem(
            f"position {position} does not read, its data is damaged: `verify` says more"
        ) from None


def _payload(topic: str, data: dict[str, Any], upcasts: Upcasts) -> dict[str, Any]:
    if topic in BY_TOPIC:
        return data
    type, _, version = topic.partition(":")
    return upcast(type, int(version), event_class(type).version, data, upcasts)
