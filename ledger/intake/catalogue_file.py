"""Read a catalogue file: its tables, keys and dates, each fault a sentence that names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ledger.instants import MAX_INSTANT, MIN_INSTANT, SECOND, format_instant
from ledger.intake.report import one_line
from ledger.intake.sources import SourceProblem, parse_toml, read_whole
from ledger.problems import LedgerProblem, printable, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOLERANCE = 5 * 60 * SECOND
"""How far a `time` may lie after now (spec section 2)."""
_DATES = ("time", "beta_opens_at", "live_at", "retires_at")
_TOO_FINE = re.compile(
    rf"^[ \t]*({'|'.join(_DATES)})[ \t]*=[ \t]*\d[^#\n]*\.\d{{6}}\d*[1-9]", re.MULTILINE
)


class CatalogueProblem(LedgerProblem):
    """The catalogue is not sound; nothing of it was recorded. `problems` has a sentence each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Entry(NamedTuple):
    """One entry of a catalogue file, sound in itself; the instants in `data` are microseconds."""

    kind: str
    """exam, certification or policy."""
    name: str
    """The exam's code, the certification's id, the policy's file."""
    time: int
    """From when it holds, microseconds."""
    data: dict[str, Any]
    """The event's data; of a policy, `file` alone."""

    @property
    def where(self) -> str:
        """Return which entry it is, for a sentence about it."""
        return f"[[{self.kind}]] {self.name}"


def read_catalogue(path: Path, *, now: int) -> list[Entry]:
    """Read every entry in the file's order: exams, certifications, policies.

    `now` is the time of entries that give none. Raises CatalogueProblem with all that is wrong.
    """
    text, tables = _toml(path)
    problems: list[str] = []
    entries: list[Entry] = []
    for name in tables:
        if name not in _SECTIONS:
            accepted = ", ".join(f"[[{section}]]" for section in _SECTIONS)
            problems.append(
                f"{printable(name)} is no section of a catalogue: accepted are {accepted}"
            )
    for section, shape in _SECTIONS.items():
        given = tables.get(section, [])
        if not isinstance(given, list) or not all(isinstance(table, dict) for table in given):
            problems.append(f"{section} should be written [[{section}]], once for each {section}")
            continue
        for number, table in enumerate(given, start=1):
            name = table.get(next(iter(shape)))
            where = f"[[{section}]] {_code(name) or f'no. {number}'}"
            found = [f"{where}: {problem}" for problem in _faults(section, table, now)]
            problems += found
            if not found:
                entries.append(_entry(section, table, now))
    problems += _said_twice(entries)
    line, at = 1, 0
    for match in _TOO_FINE.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        problems.append(
            f"line {line}: {match[1]} is finer than a microsecond: give at most six decimals"
        )
    if problems:
        raise CatalogueProblem([f"{path}, {problem}" for problem in problems])
    return entries


def _toml(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_whole(path).decode("utf-8-sig")
        return text, parse_toml(text)
    except IsADirectoryError:
        raise CatalogueProblem([f"{path} is a folder: name the file in it"]) from None
    except OSError as error:
        raise CatalogueProblem([f"{path} cannot be read: {error.strerror}"]) from None
    except SourceProblem as problem:
        raise CatalogueProblem([str(problem)]) from None
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise CatalogueProblem(
            [f"{path} is not UTF-8: byte 0x{byte:02X} at offset {error.start:,}; save it as UTF-8"]
        ) from None
    except (ValueError, RecursionError) as error:
        raise CatalogueProblem([f"{path} is not TOML: {one_line(str(error))}"]) from None


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
        elif key == "time" and value > now + _TOLERANCE:
            yield (
                f"time {format_instant(value)} lies in the future: an entry holds from its time "
                "on, and what is still to come belongs into the dates of an exam"
            )


def _entry(section: str, table: Mapping[str, Any], now: int) -> Entry:
    shape = _SECTIONS[section]
    data = {key: shape[key].read(value) for key, value in table.items()}
    time = data.pop("time", now)
    name = data["file"] if section == "policy" else data.pop(next(iter(shape)))
    return Entry(section, name, time, data)


def _said_twice(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield a problem for entries of one name that hold from the same time on."""
    seen = set()
    for entry in entries:
        place = (entry.kind, entry.name, entry.time)
        if place in seen:
            yield f"{entry.where} is there twice: give each the `time` from which it holds"
        seen.add(place)


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
