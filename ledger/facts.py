"""Facts: an event with its envelope, on its way in, and how one that is recorded becomes one again.

Apart from the rows they become, since whoever only reads need not build the models of all events.
"""

import re
from typing import NamedTuple

from ledger.events import Recorded, Row, row_of
from ledger.fields import Event, code_fault, source_fault
from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant
from ledger.models import ExamAttempted, make_event
from ledger.problems import MalformedFact, shown
from ledger.upcasts import TOPICS, UPCASTS, Upcasts

UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What CloudEvents allows in no attribute: control characters. (No surrogate can be stored.)"""


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


def event_of(row: Recorded, upcasts: Upcasts = UPCASTS) -> Event:
    """Return the data of a recorded fact as its model; raises what `Recorded.payload` raises."""
    return make_event(row.type, row.payload(upcasts))


def fact_of(row: Recorded, upcasts: Upcasts = UPCASTS) -> Fact:
    """Return it as a fact that could be appended elsewhere, recorded_at included."""
    return Fact(
        row.source,
        row.id,
        row.subject,
        row.occurred_at,
        event_of(row, upcasts),
        row.actor,
        row.recorded_at,
        None if row.topic in TOPICS else (row.topic, row.data),
        row.extensions,
    )
