"""The ledger as lists and dictionaries: what the contract says of appending, written plainly.

Written from sections 1 and 2 of the contract, not from the code. No file, no lock, no key: a
candidate has a key, had one, or never had one.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.models import EVENT_TYPES

FIVE_MINUTES = 300_000_000
NEW, DUPLICATE, CONFLICT, REFUSED = "new", "duplicate", "conflict", "refused"


class Outcome(NamedTuple):
    """What became of a fact, and the position it is about (0: none)."""

    what: str
    position: int = 0


class Taken(NamedTuple):
    """A fact in its place."""

    position: int
    recorded_at: int
    fact: Fact
    annuls: int | None
    stream: str

    def recorded(self) -> Recorded:
        """Lay it out as a row, personal fields in clear, for a plain reading of rows."""
        row = self.fact.row()._replace(stream=self.stream, annuls=self.annuls)
        return Recorded(self.position, self.recorded_at, *row)


class Model:
    """What a ledger holds, and what it makes of what comes."""

    def __init__(self) -> None:
        self.rows: list[Taken] = []
        self.without_key: set[str] = set()
        """Candidates whose key was destroyed, whether the ledger says so or not."""
        self.has_keys = False
        """There is a key file, which remembers who had a key."""

    def copy(self, upto: int | None = None) -> Model:
        """Return another that may go its own way, up to a position."""
        other = Model()
        other.rows = self.rows[:upto]
        other.without_key = set(self.without_key)
        other.has_keys = self.has_keys
        return other

    # -- what is there

    @property
    def head(self) -> int:
        """The last position."""
        return len(self.rows)

    @property
    def last(self) -> int | None:
        """When the last event was recorded."""
        return self.rows[-1].recorded_at if self.rows else None

    def find(self, source: str, id: str) -> Taken | None:
        """Find the event of a key."""
        return next((r for r in self.rows if (r.fact.source, r.fact.id) == (source, id)), None)

    def position_at(self, known_at: int) -> int:
        """Return the last position that was recorded by then."""
        return bisect_right([row.recorded_at for row in self.rows], known_at)

    def forgotten(self) -> set[str]:
        """Name the candidates who were forgotten; annulling that changes nothing."""
        return {
            row.fact.subject for row in self.rows if row.fact.event.type == "CandidateForgotten"
        }

    def is_erased(self, candidate: str) -> bool:
        """Return whether a candidate's personal fields are closed for ever."""
        return candidate in self.without_key or candidate in self.forgotten()

    def payload(self, row: Taken) -> dict[str, Any]:
        """Return what an event says to whoever has the keys."""
        data = said(row.fact)
        if self.is_erased(row.fact.subject):
            return {name: value for name, value in data.items() if name not in personal(row.fact)}
        return data

    # -- what comes

    def append(self, facts: Sequence[Fact], now: int) -> list[Outcome]:
        """Take facts in one transaction, all recorded now or just after the last."""
        at = now if self.last is None else max(now, self.last + 1)
        return [self._take(fact, at, None) for fact in facts]

    def append_kept(self, facts: Sequence[Fact], now: int) -> list[Outcome]:
        """Take facts with the recorded_at they came with, until one is refused."""
        outcomes = []
        for fact in facts:
            outcomes.append(self._take(fact, fact.recorded_at, now))
            if outcomes[-1].what in (CONFLICT, REFUSED):
                break
        return outcomes

    def _take(self, fact: Fact, at: int | None, now: int | None) -> Outcome:
        """Take one: malformed, duplicate, conflict, recordedtime, in this order."""
        keeping = now is not None
        stream, annuls = fact.stream, None
        if fact.event.type == "EventAnnulled":
            ref = said(fact)["annuls"]
            target = self.find(ref["source"], ref["id"])
            if target is None or target.annuls is not None or target.fact.subject != fact.subject:
                return Outcome(REFUSED)
            stream, annuls = target.stream, target.position
        if not keeping and fact.time > (at or 0) + FIVE_MINUTES:
            return Outcome(REFUSED)
        there = self.find(fact.source, fact.id)
        if there is not None:
            if not self._same(there.fact, fact):
                return Outcome(CONFLICT, there.position)
            if not keeping and any(row.annuls == there.position for row in self.rows):
                return Outcome(REFUSED)
            return Outcome(DUPLICATE, there.position)
        if keeping and (at is None or at < (self.last or at) or at > (now or 0)):
            return Outcome(REFUSED)
        assert at is not None
        if fact.time > at + FIVE_MINUTES:
            return Outcome(REFUSED)
        if personal(fact) & said(fact).keys():
            if self.is_erased(fact.subject):
                return Outcome(REFUSED)
            self.has_keys = True
        self.rows.append(Taken(self.head + 1, at, fact, annuls, stream))
        if fact.event.type == "CandidateForgotten" and self.has_keys:
            self.without_key.add(fact.subject)
        return Outcome(NEW, self.head)

    def _same(self, old: Fact, new: Fact) -> bool:
        """Tell a duplicate: type, subject, time, data; of the erased by the clear fields alone."""
        if (old.event.type, old.subject, old.time) != (new.event.type, new.subject, new.time):
            return False
        left_out = personal(old) if self.is_erased(old.subject) else frozenset()
        return all(
            said(old).get(name) == said(new).get(name)
            for name in (said(old).keys() | said(new).keys()) - left_out
        )


def said(fact: Fact) -> dict[str, Any]:
    """Return an event's data as JSON values, absent where it says nothing."""
    data: dict[str, Any] = json.loads(fact.event.to_json())
    return data


def personal(fact: Fact) -> frozenset[str]:
    """Name the fields of an event that are personal."""
    return EVENT_TYPES[fact.event.type].personal
