"""What may go in, and what is said of what may not: the rules of one append transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import repeat
from operator import itemgetter, le
from typing import Any, TypeAlias, cast

from ledger.events import Recorded, Row
from ledger.facts import Fact
from ledger.fields import read_object
from ledger.instants import AHEAD, MAX_INSTANT, MIN_INSTANT, SECOND, format_instant
from ledger.models import EVENT_TYPES, EVENTS, CandidateForgotten, EventAnnulled, make_event
from ledger.outcomes import Appended, Conflict, Duplicate, Outcome, Refused
from ledger.privacy.cipher import PERSONAL_TYPES, plain_fields
from ledger.privacy.vault import Keyring, open_keys
from ledger.problems import MalformedFact
from ledger.store.interface import Writing
from ledger.store.server import Address
from ledger.upcasts import UPCASTS, Upcasts

# The others need a look into the ledger, or into the key file, before they can be written.
_PLAIN_TOPICS = frozenset(
    event.topic
    for event in EVENTS
    if event.type not in PERSONAL_TYPES and event not in (EventAnnulled, CandidateForgotten)
)
_PERSONAL = tuple(f"{type}:" for type in PERSONAL_TYPES)


def laid_out(facts: Sequence[Fact | Row], *, as_recorded: bool) -> list[Row | Refused]:
    """Return each fact as a row, or why it is none."""
    return [fact if type(fact) is Row else _row(fact, as_recorded) for fact in facts]  # type: ignore[arg-type]


def _row(fact: Fact, as_recorded: bool) -> Row | Refused:
    try:
        return fact.row(as_recorded=as_recorded)
    except MalformedFact as problem:
        return Refused(str(problem))


def plain_rows(rows: Sequence[Row | Refused], now: int) -> Sequence[Row] | None:
    """Return rows that need no look at ledger or keys, nor lie too far after now; else None."""
    plain = cast(Sequence[Row], rows)
    if not rows or Refused in set(map(type, rows)) or max(map(_OCCURRED_AT, plain)) > now + AHEAD:
        return None
    return plain if _PLAIN_TOPICS.issuperset(map(_TOPIC, plain)) else None


class Appending:
    """The rules of one append transaction; `now` is the clock, read under the write lock."""

    def __init__(
        self, writing: Writing, keyring: Keyring, now: int, *, upcasts: Upcasts = UPCASTS
    ) -> None:
        self._writing = writing
        self.keyring = keyring
        self._now = now
        self._upcasts = upcasts
        self._not_forgotten: set[str] = set()
        self._annulments: dict[str, Mapping[int, int]] = {}
        self._last = writing.recorded_at if writing.position else MIN_INSTANT
        self._recorded_at = max(now, self._last + 1)

    def take(self, rows: Sequence[Row | Refused]) -> list[Outcome]:
        """Append rows, all recorded now: at once, and one by one only from where that fails."""
        outcomes: list[Outcome] = []
        if plain := self._plain(rows, self._recorded_at):
            outcomes += self._insert(repeat(self._recorded_at), plain)
        for row in rows[len(outcomes) :]:
            outcomes.append(self._take_one(row))
        return outcomes

    def take_kept(self, rows: Sequence[Row | Refused], kept: Sequence[int | None]) -> list[Outcome]:
        """Append rows with the recorded_at each came with; stop after the first refused one."""
        outcomes: list[Outcome] = []
        plain = self._plain(rows, MAX_INSTANT)
        stamps = None if None in kept else cast(Sequence[int], kept)
        if plain and stamps and self._are_in_order(plain, stamps):
            outcomes += self._insert(iter(stamps), plain)
            if outcomes:
                self._last = stamps[len(outcomes) - 1]
        for row, recorded_at in zip(rows[len(outcomes) :], kept[len(outcomes) :], strict=True):
            outcomes.append(self._take_one(row, recorded_at, keep=True))
            if isinstance(outcomes[-1], Refused | Conflict):
                break
        return outcomes

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, of this transaction too."""
        return self._writing.find(source, id)

    def annulment(self, event: Recorded) -> int | None:
        """Return the position at which an event was annulled; None if it was not."""
        # Looked up once in a transaction: it reads all of the stream.
        if event.stream not in self._annulments:
            self._annulments[event.stream] = self._writing.annulments(event.stream)
        return self._annulments[event.stream].get(event.position)

    def as_annulled(self, event: Recorded) -> str:
        """Return why a fact is refused that was recorded, and annulled since, under its id."""
        return (
            f"it is recorded at position {event.position} and was annulled at position "
            f"{self.annulment(event)}: to record it anew, give it an id or a source of its own, as "
            "`import --again` does"
        )

    def differences(self, stored: Recorded, row: Row) -> tuple[str, ...]:
        """Name what differs between a row and the event of its key; empty for a duplicate."""
        return differences(stored, row, same_secret=self._same_secret, upcasts=self._upcasts)

    def future(self, row: Row) -> str | None:
        """Return the problem of a row that lies too far after its recording, now; else None.

        When the clock is behind what was recorded last, the row may well be right, and the clock is
        what must be set.
        """
        problem = _future(row, self._recorded_at)
        if problem is not None and self._now < self._recorded_at - SECOND:
            return (
                f"{problem}; but the clock of this machine is behind, it says "
                f"{format_instant(self._now)}: set it first, then this can be recorded"
            )
        return problem

    def _plain(self, rows: Sequence[Row | Refused], now: int) -> Sequence[Row] | None:
        plain = plain_rows(rows, now)
        keeps = self._writing.keeps_extensions or not any(map(_EXTENSIONS, plain or ()))
        return plain if keeps else None

    def _insert(self, recorded_at: Iterator[int], rows: Sequence[Row]) -> Iterator[Appended]:
        first = self._writing.position + 1
        return map(Appended, range(first, first + self._writing.insert(recorded_at, rows)))

    def _are_in_order(self, rows: Sequence[Row], kept: Sequence[int]) -> bool:
        return (
            self._last <= kept[0]
            and all(map(le, kept, kept[1:]))
            and kept[-1] <= self._now
            and not any(row.occurred_at > at + AHEAD for row, at in zip(rows, kept, strict=True))
        )

    def _take_one(
        self, row: Row | Refused, kept: int | None = None, *, keep: bool = False
    ) -> Outcome:
        """Check in the order of spec section 2: malformed, duplicate, conflict, recordedtime."""
        if isinstance(row, Refused):
            return row
        if row.topic.startswith(_ANNULMENT):
            resolved = self._resolve(row)
            if isinstance(resolved, Refused):
                return resolved
            row = resolved
            self._annulments.pop(row.stream, None)
        recorded_at = kept if keep else self._recorded_at
        if not keep and (problem := self.future(row)):
            return Refused(problem)
        stored = self._writing.find(row.source, row.id)
        if stored is not None:
            differs = self.differences(stored, row)
            if differs:
                return Conflict(stored.position, differs, self.annulment(stored))
            if not keep and self.annulment(stored) is not None:
                return Refused(self.as_annulled(stored))
            return Duplicate(stored.position)
        if keep and (problem := self.out_of_order(row, kept)):
            return Refused(problem)
        if row.extensions is not None and not self._writing.keeps_extensions:
            return Refused(_NO_EXTENSIONS)
        assert recorded_at is not None
        if row.topic.startswith(_PERSONAL):
            encrypted = self._encrypt(row, keep=keep)
            if isinstance(encrypted, Refused):
                return encrypted
            row = encrypted
        elif row.topic.startswith(_FORGOTTEN):
            self.keyring.destroy(row.stream.partition("/")[2])
            self._not_forgotten.discard(row.stream)
        self._last = recorded_at
        return Appended(self._writing.insert_one(recorded_at, row))

    def out_of_order(self, row: Row, kept: int | None) -> str | None:
        """Return why a row cannot be recorded at the instant it came with; None if it can."""
        if kept is None:
            return "recordedtime is missing or no RFC 3339 instant, and it was to be kept"
        if kept < self._last:
            return (
                f"recordedtime {format_instant(kept)} lies before {format_instant(self._last)}, "
                "the last one recorded"
            )
        if kept > self._now:
            return (
                f"recordedtime {format_instant(kept)} lies after now, {format_instant(self._now)}"
            )
        return _future(row, kept)

    def _resolve(self, row: Row) -> Row | Refused:
        """Find what an EventAnnulled annuls: its position, and the stream both belong to."""
        annuls = make_event(EventAnnulled.type, Recorded(0, 0, *row).payload(self._upcasts))
        assert isinstance(annuls, EventAnnulled)
        source, id = annuls.annuls.source, annuls.annuls.id
        target = self._writing.find(source, id)
        if target is None:
            return Refused(f"annuls source {source!r} id {id!r}, which is not in the ledger")
        if target.type == EventAnnulled.type:
            return Refused(
                f"annuls position {target.position}, itself an annulment: append the fact anew "
                "under a new id"
            )
        subject = row.stream.partition("/")[2]
        if target.subject != subject:
            return Refused(
                f"annuls position {target.position}, whose subject is {target.subject!r}, "
                f"not {subject!r}"
            )
        return row._replace(stream=target.stream, annuls=target.position)

    def _encrypt(self, row: Row, *, keep: bool) -> Row | Refused:
        """Encrypt what is plain; refuse what is encrypted with another key than the candidate's.

        But for history that is moved in, which is taken as it was recorded.
        """
        data = read_object(row.data)
        subject = row.stream.partition("/")[2]
        if not keep and (foreign := self.keyring.unopened(row, data)):
            return Refused(
                f"{', '.join(f'data.{name}' for name in foreign)} "
                f"{'was' if len(foreign) == 1 else 'were'} encrypted with another key than that of "
                f"candidate {subject!r} here, or changed: import clear text, or leave it out"
            )
        fields = plain_fields(row.topic, data)
        if not fields:
            return row
        if not self._is_forgotten(row.stream):
            encrypted = self.keyring.encrypt(row, data, fields)
            if encrypted is not None:
                return encrypted
        return Refused(
            f"candidate {subject!r} was forgotten: "
            f"{', '.join(f'data.{name}' for name in fields)} cannot be taken"
        )

    def _same_secret(self, stored: Recorded, field: str, old: Any, new: Any) -> bool:
        return self._is_forgotten(stored.stream) or self.keyring.same_secret(
            stored, field, old, new
        )

    def _is_forgotten(self, stream: str) -> bool:
        # Looked up once in a transaction: it reads all of the stream.
        if stream not in self._not_forgotten:
            if self._writing.is_forgotten(stream):
                return True
            self._not_forgotten.add(stream)
        return False


def append_first(
    writing: Writing, keys: Address, facts: Sequence[Fact], now: int, *, upcasts: Upcasts
) -> None:
    """Append the facts that a ledger is made with, whose keys are at `keys`."""
    with closing(open_keys(keys)) as opened, Keyring(opened, writing) as keyring:
        appending = Appending(writing, keyring, now, upcasts=upcasts)
        appending.take(laid_out(facts, as_recorded=False))


_NO_EXTENSIONS = (
    "it has extension attributes, which a ledger of this format cannot keep: "
    "`attempt-ledger upgrade` brings it to the format that does"
)
_ANNULMENT = f"{EventAnnulled.type}:"
_FORGOTTEN = f"{CandidateForgotten.type}:"
_OCCURRED_AT: Callable[[Row], int] = itemgetter(Row._fields.index("occurred_at"))
_EXTENSIONS: Callable[[Row], str | None] = itemgetter(Row._fields.index("extensions"))
_TOPIC: Callable[[Row], str] = itemgetter(Row._fields.index("topic"))


def _future(row: Row, recorded_at: int) -> str | None:
    if row.occurred_at <= recorded_at + AHEAD:
        return None
    return (
        f"time {format_instant(row.occurred_at)} lies more than 5 minutes after its recording, "
        f"{format_instant(recorded_at)}: what is still to come goes into a date field"
    )


# -- a duplicate, or a conflict: what differs between a fact and the one of the same key

SameSecret: TypeAlias = Callable[[Recorded, str, Any, Any], bool]
"""(stored, field, its stored value, the new value): do two personal values say the same?"""

_ROOM = 60


def differences(
    stored: Recorded,
    fact: Fact | Row,
    *,
    same_secret: SameSecret = lambda *_: True,
    upcasts: Upcasts = UPCASTS,
) -> tuple[str, ...]:
    """Name what differs in type, subject, time and data, ``data.score (old 700, new 710)``.

    Empty for a duplicate. `actor` and recorded_at are no part of a fact's identity, and a schema
    version is none either: data is compared as of the current one. Personal values are named as
    ``data.email (differs)``, never shown; without `same_secret`, as when the key is destroyed, they
    are not compared.
    """
    row = fact.row(as_recorded=True) if isinstance(fact, Fact) else fact
    if (
        stored.data == row.data
        and stored.topic == row.topic
        and stored.occurred_at == row.occurred_at
        and stored.subject == row.stream.partition("/")[2]
    ):
        return ()
    new = Recorded(0, 0, *row)
    return tuple(_differences(stored, new, same_secret, upcasts))


def _differences(
    old: Recorded, new: Recorded, same_secret: SameSecret, upcasts: Upcasts
) -> Iterator[str]:
    times = map(format_instant, (old.occurred_at, new.occurred_at))
    pairs = {"type": (old.type, new.type), "subject": (old.subject, new.subject)}
    for name, (one, other) in {**pairs, "time": tuple(times)}.items():
        if one != other:
            yield f"{name} (old {one}, new {other})"
    if old.type != new.type:
        return
    personal = EVENT_TYPES[old.type].personal
    before, after = old.payload(upcasts), new.payload(upcasts)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if name in personal:
            if was != now and not same_secret(old, name, was, now):
                yield f"data.{name} (differs)"
        else:
            yield from _values(f"data.{name}", was, now)


def _values(path: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys()):
            yield from _values(f"{path}.{name}", was.get(name), now.get(name))
    elif was != now:
        shown, other = _shown(was), _shown(now)
        if len(shown) > _ROOM or len(other) > _ROOM:
            # Long texts, such as a policy file, are shown from a little before they part.
            parted = (i for i, (a, b) in enumerate(zip(shown, other, strict=False)) if a != b)
            start = max(0, next(parted, min(len(shown), len(other))) - 20)
            shown, other = _window(shown, start), _window(other, start)
        yield f"{path} (old {shown}, new {other})"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)


def _window(text: str, start: int) -> str:
    end = start + _ROOM
    return f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
