"""A catalogue TOML as facts: exams and certifications announced, policies published.

Reading it is `ledger.intake.catalogue_file`; here is what it means for a ledger. What is said
already adds nothing, what changed adds one event, and going back to an earlier text adds another.
"""

from __future__ import annotations

import json
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any

from ledger.events import (
    CertificationDefined,
    Event,
    ExamAnnounced,
    Fact,
    PolicyPublished,
    Recorded,
)
from ledger.intake.catalogue_file import CatalogueProblem, read_catalogue
from ledger.intake.sources import SourceProblem, parse_toml, read_whole
from ledger.problems import shown

SOURCE = "urn:attempt-ledger:catalogue"

Check = Callable[[str, str], str]
"""Given a policy's TOML text and its file's name: the policy's id; raises CatalogueProblem."""
Known = Callable[[str], Iterable[Recorded]]
"""Given a stream, such as ``exam/AZ-104``: its events in the ledger, by position."""

_EVENTS: Mapping[str, type[Event]] = {
    "exam": ExamAnnounced,
    "certification": CertificationDefined,
    "policy": PolicyPublished,
}


def catalogue_facts(
    path: Path, *, known: Known, now: int, check: Check, actor: str | None = None
) -> Catalogued:
    """Read a catalogue file and return what it adds to a ledger of which `known` tells.

    `now` is the `time` of entries that give none. Raises CatalogueProblem, with a sentence for
    each fault of the file and of the policy files it names; then nothing should be recorded.
    """
    desk = _Desk(known, actor)
    problems: list[str] = []
    for entry in read_catalogue(path, now=now):
        try:
            if entry.kind == "policy":
                desk.publish(*_policy(path.parent / entry.data["file"], check), entry.time)
            else:
                desk.enter(entry.kind, entry.name, entry.data, entry.time)
        except CatalogueProblem as problem:
            problems += [f"{path}, {entry.where}: {each}" for each in problem.problems]
    if problems:
        raise CatalogueProblem(problems)
    return desk.catalogued


def policy_facts(
    texts: Iterable[tuple[str, str]], *, known: Known, now: int, actor: str | None = None
) -> Catalogued:
    """Return what publishing policies, as (id, TOML text) that was checked, adds to a ledger."""
    desk = _Desk(known, actor)
    for id, text in texts:
        desk.publish(id, text, now)
    return desk.catalogued


@dataclass
class Catalogued:
    """What a catalogue comes to: the facts it adds, and how many of its entries added none."""

    facts: list[Fact] = field(default_factory=list)
    unchanged: int = 0


@dataclass
class _Shelf:
    """What is known of one subject: its entries, and the last id.

    An edition is what stands side by side: a policy's versions by `effective_from`, each with its
    entries as (time, order, data), sorted.
    """

    editions: dict[Any, list[tuple[int, int, dict[str, Any]]]] = field(default_factory=dict)
    last: int = 0
    _order: Iterator[int] = field(default_factory=count)

    def add(self, time: int, data: dict[str, Any]) -> None:
        """Add an entry; of equal times the later one holds."""
        insort(self._edition(data), (time, next(self._order), data))

    def holding(self, time: int, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the entry that holds at `time`, the latest that is no later, of data's edition."""
        entries = self._edition(data)
        at = bisect_right(entries, time, key=itemgetter(0))
        return entries[at - 1][2] if at else None

    def _edition(self, data: Mapping[str, Any]) -> list[tuple[int, int, dict[str, Any]]]:
        return self.editions.setdefault(_edition(data), [])


class _Desk:
    """Compare entries with what is known, and with the entries before them, one by one.

    An entry is compared with the one that holds at its `time`, of whatever source, annulled ones
    left out: an entry of 2020 that a later one has replaced is there already, and not said again.
    Ids are counted up against all that were ever given, annulled ones too: none is given twice.
    """

    def __init__(self, known: Known, actor: str | None) -> None:
        self.catalogued = Catalogued()
        self._known = known
        self._actor = actor
        self._shelves: dict[str, _Shelf] = {}

    def publish(self, id: str, text: str, time: int) -> None:
        self.enter("policy", id, {"toml": text}, time)

    def enter(self, kind: str, subject: str, data: dict[str, Any], time: int) -> None:
        stream = f"{kind}/{subject}"
        shelf = self._shelves.get(stream)
        if shelf is None:
            shelf = self._shelves[stream] = _shelf(stream, _EVENTS[kind], self._known(stream))
        event = _EVENTS[kind].model_validate(data)
        said = json.loads(event.to_json())
        if shelf.holding(time, data) == said:
            self.catalogued.unchanged += 1
            return
        shelf.last += 1
        shelf.add(time, said)
        self.catalogued.facts.append(
            Fact(SOURCE, f"{stream}/{shelf.last}", subject, time, event, self._actor)
        )


def _shelf(stream: str, event: type[Event], known: Iterable[Recorded]) -> _Shelf:
    rows = list(known)
    annulled = {row.annuls for row in rows if row.annuls is not None}
    shelf = _Shelf()
    for row in rows:
        start, _, number = row.id.rpartition("/")
        if row.source == SOURCE and start == stream and number.isascii() and number.isdecimal():
            shelf.last = max(shelf.last, int(number))
        if row.type == event.type and row.position not in annulled:
            shelf.add(row.occurred_at, row.payload())
    return shelf


def _edition(data: Mapping[str, Any]) -> Any:
    """Return a policy text's `effective_from`, by which its versions stand side by side."""
    if "toml" not in data:
        return None
    try:
        edition = parse_toml(data["toml"]).get("effective_from")
        hash(edition)
        return edition
    except (ValueError, RecursionError, TypeError):  # recorded unchecked, by another door
        return None


def _policy(file: Path, check: Check) -> tuple[str, str]:
    try:
        text = read_whole(file).decode()
    except SourceProblem as problem:
        raise CatalogueProblem([str(problem)]) from None
    except OSError as error:
        raise CatalogueProblem(
            [f"file = {shown(file.name)} cannot be read: {error.strerror}"]
        ) from None
    except UnicodeDecodeError as error:
        raise CatalogueProblem(
            [f"{file} is not UTF-8: byte 0x{error.object[error.start]:02X} at {error.start:,}"]
        ) from None
    return check(text, str(file)), text
