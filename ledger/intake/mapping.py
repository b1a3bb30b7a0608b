"""A map: what a vendor's file calls the columns and words of results; and a header read by it.

On the left of each line of a map stands our name, on the right the file's: docs/import.md.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from operator import itemgetter
from string import Formatter
from typing import Any

from ledger.fields import uri_fault
from ledger.intake.report import PROBLEM, named, one_line
from ledger.intake.source import SourceProblem, parse_toml, read_whole
from ledger.intake.unpacking import text_encoding
from ledger.problems import LedgerProblem, printable, shown

NEEDED = ("candidate_id", "exam", "registration_id", "started_at", "outcome")
OPTIONAL = ("ended_at", "delivery", "result_at", "score", "source")
RECORDED_AT = "recorded_at"
COLUMNS = (*NEEDED, *OPTIONAL, RECORDED_AT)
OUTCOMES = ("pass", "fail", "pending", "missed")
SEPARATORS = (",", ";", "\t")
"""Between the cells of a row; which of them it is, is found by looking unless a map says so."""

_OF_A_SITTING = ("ended_at", "delivery")
_DATED = datetime(2021, 11, 28, 13, 45)  # noqa: DTZ001 - to try a form on, of no zone


@dataclass(frozen=True)
class ResultsMap:
    """How one kind of file says what a results CSV says; the empty one is that of such a CSV."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """By our column: the file's."""
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """By the file's word, in small letters: our outcome."""
    skip: frozenset[str] = frozenset()
    """Words, in small letters, of rows that say nothing, such as ``cancelled``."""
    constants: Mapping[str, str] = field(default_factory=dict)
    """By our column: what every row says, since the file has no such column."""
    id: tuple[tuple[str, str | None], ...] = ()
    """What a registration id is made of: (text, the column whose cell follows it)."""
    date_format: tuple[str, ...] = ()
    """How the file writes instants, as `strptime` takes it; the first that fits is meant."""
    separator: str | None = None
    encoding: str | None = None
    """Of a text, as `ledger.intake.unpacking.text_encoding` names it; None: UTF-8."""
    decimal: str = "."
    """What stands before the decimals of a score."""
    zone: str | None = None
    sheet: str | None = None
    """Of a workbook; None: its first."""


NO_MAP = ResultsMap()
"""That of a results CSV as it is."""


class MapProblem(LedgerProblem):
    """A map is not sound: each line is a sentence on one of its faults."""


def read_map(path: str, zone: Callable[[str], tzinfo]) -> ResultsMap:
    """Read a map, a TOML file.

    `zone` finds a time zone by its name, or raises ValueError. Raises MapProblem with a sentence
    for each fault: the key, the value, and what would be accepted.
    """
    try:
        tables = parse_toml(read_whole(path).decode("utf-8-sig"))
    except SourceProblem:
        raise
    except OSError as error:
        raise MapProblem(f"the map {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MapProblem(
            f"the map {path} is not UTF-8: byte 0x{error.object[error.start]:02X} at offset "
            f"{error.start:,}; save it as UTF-8"
        ) from None
    except (ValueError, RecursionError) as error:
        raise MapProblem(f"the map {path} is not TOML: {one_line(str(error))}") from None
    faults = [f"{path}, {fault}" for fault in _faults(tables, zone)]
    if faults:
        raise MapProblem("\n".join(faults))
    formats = tables.get("date_format", [])
    encoding = tables.get("encoding")
    return ResultsMap(
        columns=tables.get("columns", {}),
        outcomes={
            word.casefold(): outcome
            for outcome, words in tables.get("outcomes", {}).items()
            for word in _listed(words)
        },
        skip=frozenset(word.casefold() for word in _listed(tables.get("skip", []))),
        constants=tables.get("constants", {}),
        id=_parts(tables.get("id", "")),
        date_format=tuple(_listed(formats)),
        separator=tables.get("separator"),
        encoding=None if encoding is None else text_encoding(encoding),
        decimal=tables.get("decimal", "."),
        zone=tables.get("zone"),
        sheet=tables.get("sheet"),
    )


# -- what may be wrong with one


def _faults(tables: Mapping[str, Any], zone: Callable[[str], tzinfo]) -> Iterator[str]:
    for key, value in tables.items():
        if key not in _KEYS:
            yield f"{printable(key)} is no key of a map: accepted are {', '.join(_KEYS)}"
            continue
        fits, wanted = _KEYS[key]
        if not fits(value):
            yield f"{key} should be {wanted}, not {shown(value)}"
    if all(key in _KEYS and _KEYS[key][0](value) for key, value in tables.items()):
        yield from _contradictions(tables)
        checks: tuple[tuple[str, Callable[[str], object]], ...] = (
            ("zone", zone),
            ("encoding", text_encoding),
        )
        for key, check in checks:
            if key in tables:
                try:
                    check(tables[key])
                except ValueError as error:
                    yield f"{key}: {error}"


def _contradictions(tables: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong between values that are each of the right kind."""
    columns, constants = tables.get("columns", {}), tables.get("constants", {})
    for section, names in (("columns", columns), ("constants", constants)):
        for name in names:
            if name not in COLUMNS:
                yield (
                    f"[{section}] {printable(name)} is no column of a results CSV: accepted are "
                    f"{', '.join(COLUMNS)}"
                )
            elif section == "constants" and name in columns:
                yield f"{name} is both among [columns] and among [constants]: keep one of them"
    if fault := uri_fault(constants.get("source", "urn:x")):
        yield f"[constants] source {fault}"
    if "id" in tables:
        for section, where in ((columns, "[columns]"), (constants, "[constants]")):
            if "registration_id" in section:
                yield f"registration_id is among {where}, and is made by id too: keep one of them"
        if fault := _fault_of_id(tables["id"]):
            yield f"id {shown(tables['id'])} {fault}"
    meant: dict[str, str] = {}
    for outcome, words in [*tables.get("outcomes", {}).items(), ("skip", tables.get("skip", []))]:
        if outcome not in (*OUTCOMES, "skip"):
            yield (
                f"[outcomes] {printable(outcome)} is no outcome: accepted are {', '.join(OUTCOMES)}"
            )
        for word in _listed(words):
            before = meant.setdefault(word.casefold(), outcome)
            if before != outcome:
                yield f"the word {shown(word)} means {before} and {outcome}: keep one of them"
    if tables.get("decimal", ".") == tables.get("separator"):
        yield "decimal and separator are the same: a score would be two cells"
    for form in _listed(tables.get("date_format", [])):
        try:
            with warnings.catch_warnings():  # of a day without a year, which is refused below
                warnings.simplefilter("ignore", DeprecationWarning)
                day = datetime.strptime(_DATED.strftime(form), form).date()  # noqa: DTZ007
        except ValueError:
            day = None
        if day != _DATED.date():
            yield (
                f"date_format {shown(form)} does not name a day as Python's strptime does: write "
                'one such as "%d/%m/%Y %H:%M"'
            )


def _fault_of_id(template: str) -> str:
    """Return what is wrong with an id template; "" for nothing."""
    such = 'write one such as "{candidate_id}-{Attempt}", with the names of columns in braces'
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return f"is no template ({error}): {such}"
    names = [name for _, name, _, _ in parts if name is not None]
    if not names or not all(names):
        return f"names no column: {such}"
    if any(form or conversion for _, _, form, conversion in parts):
        return f"formats a value: {such}"
    return ""


def _parts(template: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((text, name) for text, name, _, _ in Formatter().parse(template))


def _listed(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_words(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(each, str) for each in value)
    )


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_text, value.values()))


_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "columns": (_is_table, "a table of texts: our column = the file's column"),
    "outcomes": (
        lambda value: isinstance(value, dict) and all(map(_is_words, value.values())),
        "a table of words: our outcome = the file's word, or a list of them",
    ),
    "skip": (_is_words, "an outcome word, or a list of them"),
    "constants": (_is_table, "a table of texts: our column = what every row says"),
    "id": (_is_text, 'text such as "{candidate_id}-{Attempt}"'),
    "date_format": (
        lambda value: (
            _is_text(value)
            or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))
        ),
        'text such as "%d/%m/%Y %H:%M", or a list of them',
    ),
    "separator": (lambda value: value in (*SEPARATORS, "|"), 'one of "," ";" "|" and "\\t"'),
    "encoding": (_is_text, 'the name of an encoding such as "cp1252"'),
    "decimal": (lambda value: value in (".", ","), 'one of "." and ","'),
    "zone": (_is_text, 'the name of a time zone such as "Europe/Berlin"'),
    "sheet": (_is_text, "the name of a workbook's sheet"),
}


# -- a header under a map


class BadRow(ValueError):
    """The row cannot be a sitting: one sentence says why."""


class Header:
    """Which columns of a file are which of ours.

    `silent` are ours that the file does not have: it says nothing of them. `passed_over` are the
    file's of which a map makes no use. Raises SourceProblem for a header from which no row can be
    read: without a required column, with one twice, or with one that is unknown, unless a map says
    what is read, or others are passed over (`ignore_extra`).
    """

    def __init__(
        self,
        columns: Sequence[str],
        map: ResultsMap,
        name: str,
        *,
        ignore_extra: bool,
        as_recorded: bool,
    ) -> None:
        self._name = name
        self._columns = columns
        self._map = map
        self._places = {column: columns.index(column) for column in COLUMNS if column in columns}
        for column, other in map.columns.items():
            self._places[column] = self._place(other, f"the map names for {column}")
        made = ["registration_id"] if map.id else []
        for column in (*map.constants, *made):
            self._places.pop(column, None)
        self._id = [self._part(text, column) for text, column in map.id]
        self.silent = frozenset(COLUMNS) - {*self._places, *map.constants, *made}
        self.passed_over: Sequence[str] = ()
        self._check(ignore_extra, as_recorded)
        # A column that is not there is read from behind the row's last field, where cells() puts
        # an empty one, and then those that are the same in every row.
        self._behind = ("", *map.constants.values())
        behind = {column: len(columns) + n for n, column in enumerate(map.constants, start=1)}
        self._pick = itemgetter(
            *(self._places.get(column, behind.get(column, len(columns))) for column in COLUMNS)
        )

    def cells(self, fields: Sequence[str]) -> tuple[str, ...]:
        """Return the cells of a row as wide as the header, in the order of COLUMNS."""
        cells: tuple[str, ...] = self._pick((*fields, *self._behind))
        return cells

    def id(self, fields: Sequence[str]) -> str:
        """Return the registration id that the map makes of a row; raises BadRow."""
        for _, place in self._id:
            if place is not None and not fields[place]:
                raise BadRow(f"{self._columns[place]} is empty, of which the map makes the id")
        return "".join(text if place is None else text + fields[place] for text, place in self._id)

    def _part(self, text: str, column: str | None) -> tuple[str, int | None]:
        """Return a text of an id and the place of the cell after it, of our column or the file's.

        A constant is a part of the text.
        """
        if column is None or column in self._map.constants:
            return text + self._map.constants.get(column or "", ""), None
        if column in self._places:
            return text, self._places[column]
        return text, self._place(column, "the map makes ids of")

    def _place(self, column: str, why: str) -> int:
        if column in self._columns:
            return self._columns.index(column)
        raise SourceProblem(
            f"{self._name} has no column {shown(column)}, which {why}: it has "
            f"{named(self._columns)}"
        )

    def _check(self, ignore_extra: bool, as_recorded: bool) -> None:
        name, columns, silent = self._name, self._columns, self.silent
        has_map = self._map != NO_MAP
        accepted = f"a results CSV has {', '.join(NEEDED)} and may have {', '.join(OPTIONAL)}"
        used = {*self._places.values(), *(place for _, place in self._id if place is not None)}
        counted = Counter(columns)
        twice = sorted(
            column
            for place, column in enumerate(columns)
            if counted[column] > 1 and (place in used or not has_map)
        )
        if twice:
            raise SourceProblem(
                f"{name}: the column {named([*dict.fromkeys(twice)])} is there more than once"
            )
        missing = [column for column in NEEDED if column in silent]
        if "started_at" in missing and not {"registration_id", "outcome"} & {*missing}:
            missing = []  # it has results alone
            if others := [column for column in _OF_A_SITTING if column not in silent]:
                raise SourceProblem(
                    f"{name} has results alone, without a column started_at, and so may have no "
                    f"{named(others)}: that is said of a sitting"
                )
        if missing:
            hint = "--map FILE.toml says which columns of another file they are"
            if len(columns) == 1:
                hint = "it has a single column: are its fields separated by commas?"
            raise SourceProblem(f"{name} has no column {', '.join(missing)}: {accepted}; {hint}")
        if as_recorded and RECORDED_AT in silent:
            raise SourceProblem(
                f"{name} has no column {RECORDED_AT}, which says of each row of a history when it "
                "was recorded: add it, or import without --keep-recorded-at"
            )
        known = {*NEEDED, *OPTIONAL, PROBLEM, *((RECORDED_AT,) if as_recorded else ())}
        if has_map:
            self.passed_over = [
                column
                for place, column in enumerate(columns)
                if place not in used and column != PROBLEM
            ]
        elif not ignore_extra and (extra := [each for each in columns if each not in known]):
            hint = "to pass over others give --ignore-extra"
            if RECORDED_AT in extra:
                hint = f"{RECORDED_AT} goes with --keep-recorded-at"
            raise SourceProblem(f"{name} has the unknown column {named(extra)}: {accepted}; {hint}")
