"""A catalogue TOML as facts: exams and certifications announced, policies published.

What is said already adds nothing, what changed adds one event, and going back to an earlier text
adds another. Each fault of the file is a sentence that names the entry, the key and the value.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import Event
from ledger.instants import AHEAD, MAX_INSTANT, MIN_INSTANT, SECOND, format_instant
from ledger.intake.report import one_line
from ledger.intake.source import SourceProblem, parse_toml, read_whole
from ledger.models import CertificationDefined, ExamAnnounced, PolicyPublished
from ledger.problems import LedgerProblem, printable, shown

SOURCE = "urn:attempt-ledger:catalogue"

Check = Callable[[str, str], str]
"""Return the id of a policy's TOML text, from a file of that name; raises CatalogueProblem."""
Known = Callable[[str], Iterable[Recorded]]
"""Return the events of a stream, such as ``exam/AZ-104``, by position."""

_EVENTS: Mapping[str, type[Event]] = {
    "exam": ExamAnnounced,
    "certification": CertificationDefined,
    "policy": PolicyPublished,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATES = ("time", "beta_opens_at", "live_at", "retires_at")
_TOO_FINE = re.compile(
    rf"^[ \t]*({'|'.join(_DATES)})[ \t]*=[ \t]*\d[^#\n]*\.\d{{6}}\d*[1-9]", re.MULTILINE
)


class CatalogueProblem(LedgerProblem):
    """The catalogue is not sound; nothing of it was recorded. `problems` has a sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def catalogue_facts(
    path: Path, *, known: Known, now: int, check: Check, actor: str | None = None
) -> Catalogued:
    """Read a catalogue file and return what it adds to a ledger with the events that are `known`.

    `now` is the `time` of entries that give none. Raises CatalogueProblem, with a sentence for
    each fault of the file and of the policy files it names; then nothing should be recorded.
    """
    comparison = _Comparison(known, actor)
    problems: list[str] = []
    for entry in read_catalogue(path, now=now):
        try:
            if entry.kind == "policy":
                file = path.parent / entry.name
                text = _text_of(file, f"file = {shown(file.name)}")
                comparison.add("policy", check(text, str(file)), {"toml": text}, entry.time)
            else:
                comparison.add(entry.kind, entry.name, entry.data, entry.time)
        except CatalogueProblem as problem:
            problems += [f"{path}, {entry.where}: {each}" for each in problem.problems]
    if problems:
        raise CatalogueProblem(problems)
    return comparison.catalogued


def policy_facts(
    texts: Iterable[tuple[str, str]], *, known: Known, now: int, actor: str | None = None
) -> Catalogued:
    """Return what publishing policies, as (id, TOML text) that was checked, adds to a ledger."""
    comparison = _Comparison(known, actor)
    for id, text in texts:
        comparison.add("policy", id, {"toml": text}, now)
    return comparison.catalogued


@dataclass
class Catalogued:
    """What a catalogue comes to: the facts it adds, and how many of its entries added none."""

    facts: list[Fact] = field(default_factory=list)
    unchanged: int = 0


class _Comparison:
    """Compare entries with what is known, and with the entries before them, one by one.

    An entry is compared with the one that holds at its `time`, of whatever source, annulled ones
    left out: an entry of 2020 that a later one has replaced is there already, and not said again.
    Ids are counted up against all that were ever given, annulled ones too: none is given twice.
    """

    def __init__(self, known: Known, actor: str | None) -> None:
        self.catalogued = Catalogued()
        self._known = known
        self._actor = actor
        self._subjects: dict[str, _Subject] = {}

    def add(self, kind: str, name: str, data: dict[str, Any], time: int) -> None:
        """Add an entry that holds from `time` on."""
        stream = f"{kind}/{name}"
        subject = self._subjects.get(stream)
        if subject is None:
            subject = _Subject(stream, _EVENTS[kind], self._known(stream))
            self._subjects[stream] = subject
        event = _EVENTS[kind].model_validate(data)
        entry = json.loads(event.to_json())
        if subject.entry_at(time, entry) == entry:
            self.catalogued.unchanged += 1
            return
        subject.last += 1
        subject.add(time, entry)
        self.catalogued.facts.append(
            Fact(SOURCE, f"{stream}/{subject.last}", name, time, event, self._actor)
        )


class _Subject:
    """What is known of one exam, certification or policy: its entries, and the last id.

    An edition is what stands side by side: a policy's versions by `effective_from`, each with its
    entries as (time, order, data), sorted.
    """

    def __init__(self, stream: str, event: type[Event], known: Iterable[Recorded]) -> None:
        self.last = 0
        self._editions: dict[Any, list[tuple[int, int, dict[str, Any]]]] = {}
        self._order = count()
        rows = list(known)
        annulled = {row.annuls for row in rows if row.annuls is not None}
        for row in rows:
            start, _, number = row.id.rpartition("/")
            if row.source == SOURCE and start == stream and number.isascii() and number.isdecimal():
                self.last = max(self.last, int(number))
            if row.type == event.type and row.position not in annulled:
                self.add(row.occurred_at, row.payload())

    def add(self, time: int, data: dict[str, Any]) -> None:
        """Add an entry; of equal times the later one holds."""
        insort(self._editions.setdefault(_edition(data), []), (time, next(self._order), data))

    def entry_at(self, time: int, data: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the entry that holds at `time`, the latest that is no later, of data's edition."""
        entries = self._editions.get(_edition(data), [])
        at = bisect_right(entries, time, key=itemgetter(0))
        return entries[at - 1][2] if at else None


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


# -- the file


class Entry(NamedTuple):
    """One entry of a catalogue file, sound in itself; the instants in `data` are microseconds."""

    kind: str
    """exam, certification or policy."""
    name: str
    """The exam's code, the certification's id, the policy's file."""
    time: int
    """From when it holds, microseconds."""
    data: dict[str, Any]
    """The event's data; none of a policy."""

    @property
    def where(self) -> str:
        """Return which entry it is, for a sentence about it."""
        return f"[[{self.kind}]] {self.name}"


def read_catalogue(path: Path, *, now: int) -> list[Entry]:
    """Read every entry in the file's order: exams, certifications, policies.

    `now` is the time of entries that give none. Raises CatalogueProblem with all that is wrong.
    """
    text = _text_of(path, str(path), "utf-8-sig")
    try:
        tables = parse_toml(text)
    except (ValueError, RecursionError) as error:
        raise CatalogueProblem([f"{path} is not TOML: {one_line(str(error))}"]) from None
    problems: list[str] = []
    entries: list[Entry] = []
    for name in tables:
        if name not in _SECTIONS:
            accepted = ", ".join(f"[[{section}]]" for section in _SECTIONS)
            problems.append(
                f"{printable(name)} is no section of a catalogue: accepted are {accepted}"
            )
    for section, shape in _SECTIONS.items():
        listed = tables.get(section, [])
        if not isinstance(listed, list) or not all(isinstance(table, dict) for table in listed):
            problems.append(f"{section} should be written [[{section}]], once for each {section}")
            continue
        for number, table in enumerate(listed, start=1):
            name = table.get(next(iter(shape)))
            where = f"[[{section}]] {_code(name) or f'no. {number}'}"
            found = [f"{where}: {problem}" for problem in _faults(section, table, now)]
            problems += found
            if not found:
                entries.append(_entry(section, table, now))
    repeated = Counter((entry.where, entry.time) for entry in entries)
    problems += [
        f"{where} is there twice: give each the `time` from which it holds"
        for (where, _), times in repeated.items()
        for _ in range(times - 1)
    ]
    line, at = 1, 0
    for match in _TOO_FINE.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        problems.append(
            f"line {line}: {match[1]} is finer than a microsecond: give at most six decimals"
        )
    if problems:
        raise CatalogueProblem([f"{path}, {problem}" for problem in problems])
    return entries


def _text_of(path: Path, name: str, encoding: str = "utf-8") -> str:
    """Return the text of a file that a sentence calls by `name`; raises CatalogueProblem."""
    try:
        return read_whole(path).decode(encoding)
    except SourceProblem as problem:
        found = str(problem)
    except IsADirectoryError:
        found = f"{name} is a folder: name the file in it"
    except OSError as error:
        found = f"{name} cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        found = (
            f"{name} is not UTF-8: byte 0x{byte:02X} at offset {error.start:,}; save it as UTF-8"
        )
    raise CatalogueProblem([found])


def _faults(section: str, table: Mapping[str, Any], now: int) -> Iterator[str]:
    shape = _SECTIONS[section]
    for key in table:
        if key not in shape:
            yield f"{printable(key)} is no key of it: accepted are {', '.join(shape)}"
    for key, (read, wanted, needed) in shape.items():
        if key not in table:
            if needed:
                yield f"{key} is missing: it should be {wanted}"
            continue
        value = read(table[key])
        if value is None:
            yield f"{key} should be {wanted}, not {_shown(table[key])}"
        elif key == "time" and value > now + AHEAD:
            yield (
                f"time {format_instant(value)} lies in the future: an entry holds from its time "
                "on, and what is still to come belongs into the dates of an exam"
            )


def _entry(section: str, table: Mapping[str, Any], now: int) -> Entry:
    shape = _SECTIONS[section]
    data = {key: shape[key].read(value) for key, value in table.items()}
    time = data.pop("time", now)
    return Entry(section, data.pop(next(iter(shape))), time, data)


def _code(value: object) -> str | None:
    if isinstance(value, str) and value and value == value.strip() and value.isprintable():
        return value
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _codes(value: object) -> list[str] | None:
    return value if isinstance(value, list) and all(_code(item) for item in value) else None


def _instant(value: object) -> int | None:
    """Read a TOML date-time with an offset, or a date, which is 00:00 UTC, as microseconds."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return None
        since = value - _EPOCH
    elif isinstance(value, date):
        since = datetime(value.year, value.month, value.day, tzinfo=UTC) - _EPOCH
    else:
        return None
    instant = (since.days * 86_400 + since.seconds) * SECOND + since.microseconds
    return instant if MIN_INSTANT <= instant <= MAX_INSTANT else None


def _shown(value: object) -> str:
    if not isinstance(value, datetime):
        return shown(value)
    if value.tzinfo is None:
        return f"{value.isoformat()}, which has no offset"
    return f"{value.isoformat()}, which lies outside the years 1 to 9999 of UTC"


class _Key(NamedTuple):
    read: Callable[[object], Any]
    """Return the value as it goes into the event; None if it is not what is wanted."""
    wanted: str
    needed: bool = True


_CODE = _Key(_code, "text without blanks around it")
_TITLE = _Key(_text, "text that is not empty")
_DATE = _Key(_instant, "a date-time such as 2020-04-07T00:00:00Z, or a date", needed=False)

_SECTIONS: Mapping[str, Mapping[str, _Key]] = {
    "exam": {
        "code": _CODE,
        "title": _TITLE,
        "policy": _CODE,
        "beta_opens_at": _DATE,
        "live_at": _DATE,
        "retires_at": _DATE,
        "time": _DATE,
    },
    "certification": {
        "id": _CODE,
        "title": _TITLE,
        "exams": _Key(_codes, "a list of exam codes"),
        "time": _DATE,
    },
    "policy": {"file": _Key(_text, "the name of a policy's TOML file"), "time": _DATE},
}
"""By section its keys; the first names the entry."""
