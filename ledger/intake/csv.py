"""A CSV's lines as rows under a header; a row that is no row costs itself, not its neighbours."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from ledger.intake.mapping import SEPARATORS
from ledger.intake.report import PROBLEM
from ledger.intake.source import LONGEST_LINE, Source, SourceProblem

MOST_COLUMNS = 1_000
"""Columns a header may have."""
MOST_LINES = 100
"""Lines a row may have. After a quote that is never closed only its own line is at fault and the
lines after it are read anew, as a row each: without a bound that grows with the square."""

_SAID_BY_CSV = {
    "unexpected end of data": "a quote that opens in it is never closed",
    "a row of more than": (
        f"a quote that opens in it is not closed within {MOST_LINES} lines, which is as many as a "
        "row may have"
    ),
    "a row longer than": (
        f"a quote that opens in it is not closed within {LONGEST_LINE:,} characters, which is as "
        "many as a row may have"
    ),
    "expected after '\"'": 'a quote in a quoted field is not doubled ("")',
    "field larger than field limit": "a field is far too long (is a quote never closed?)",
    "new-line character seen in unquoted field": (
        "it holds a carriage return without a line feed; end lines with \\n or \\r\\n"
    ),
}
_NAMED_SEPARATOR = re.compile('"?sep=([,;|\t])"?\r?\n?', re.IGNORECASE)


class CsvRow(NamedTuple):
    """One row as it stands in the file; `problem` is empty for one that can be looked into."""

    line: int
    """Its first line, counted from 1."""
    fields: list[str]
    problem: str


class CsvFile:
    """The header and rows of a CSV: a separator, double quotes, a header line.

    Without a `separator` it is the one that cuts the header into the most columns that are
    `expected`, or that a spreadsheet names in a first line ``sep=;``. Raises SourceProblem at once
    if there is no header that can be read.
    """

    def __init__(
        self, source: Source, separator: str | None = None, expected: Collection[str] = ()
    ) -> None:
        self._source = source
        source.hint = ', or name its encoding in a map, such as encoding = "cp1252"'
        self._lines = source.lines()
        self._taken: list[str] = []  # the lines of the row being read
        self._again: deque[str] = deque()  # lines to be read a second time
        self._line = 0  # lines of the rows before it
        self.separator = self._found_separator(expected) if separator is None else separator
        fields: list[str] = []
        for row in self._records():
            if row.problem:
                raise SourceProblem(f"{source.name}, line {row.line}: the header {row.problem}")
            fields = list(map(unguarded, row.fields))
            break
        self.header = header_of(fields, source.name)

    def rows(self) -> Iterator[CsvRow]:
        """Yield the rows after the header in order; blank lines, or rows of empty cells, are none.

        Of a cell that is guarded against spreadsheets the guard is taken away; so are empty cells
        that one added at the end.
        """
        width = len(self.header)
        for row in self._records():
            if "'" in "".join(row.fields):
                row = row._replace(fields=list(map(unguarded, row.fields)))
            if len(row.fields) > width and not any(row.fields[width:]):
                row = row._replace(fields=row.fields[:width])
            if len(row.fields) == width or row.problem:
                yield row
            else:
                yield row._replace(
                    problem=f"has {_fields(len(row.fields))} where the header has {width}"
                )

    def _found_separator(self, expected: Collection[str]) -> str:
        """Look at the first line for what stands between its cells; pass over ``sep=;``."""
        line = next(self._lines, "")
        if match := _NAMED_SEPARATOR.fullmatch(line):
            self._line += 1
            return match[1]
        self._again.append(line)
        return max(
            SEPARATORS,
            key=lambda each: sum(
                name.strip('"') in expected for name in _fields_anyhow(line, each)
            ),
        )

    def _records(self) -> Iterator[CsvRow]:
        """Yield rows of any width; after one whose quoting is wrong go on with the next line."""
        faults = self._source.faults
        taken = self._taken
        while True:
            reader = csv.reader(self._feed(), delimiter=self.separator, strict=True)
            try:
                for fields in reader:
                    line = self._line + 1
                    self._line += len(taken)
                    taken.clear()
                    if faults and min(faults) <= self._line:
                        yield CsvRow(line, fields, self._fault(line))
                    elif any(fields):
                        yield CsvRow(line, fields, "")
                return
            except (csv.Error, _TooLong) as error:
                message = str(error)
            # Only the row's first line is at fault for sure: what follows it is read anew, so that
            # a stray quote does not swallow the good rows up to the next one.
            first, *others = taken
            self._again.extendleft(reversed(others))
            taken.clear()
            self._line += 1
            problem = self._fault(self._line) if faults else ""
            yield CsvRow(
                self._line, _fields_anyhow(first, self.separator), problem or _explain(message)
            )

    def _feed(self) -> Iterator[str]:
        """Yield the lines for one reader; raises _TooLong for a row without an end in sight."""
        again, taken, length = self._again, self._taken, 0
        while (line := again.popleft() if again else next(self._lines, None)) is not None:
            length = length + len(line) if taken else len(line)
            taken.append(line)
            if len(taken) > MOST_LINES:
                raise _TooLong(f"a row of more than {MOST_LINES} lines")
            if length > LONGEST_LINE and len(taken) > 1:
                raise _TooLong(f"a row longer than {LONGEST_LINE:,} characters")
            yield line

    def _fault(self, first: int) -> str:
        """Remove and return what was found wrong with the lines of the row that begins there."""
        faults = self._source.faults
        found = [faults.pop(line) for line in range(first, self._line + 1) if line in faults]
        return found[0] if found else ""


class _TooLong(Exception):
    """The row has more lines, or characters, than one may have."""


def _explain(message: str) -> str:
    for words, explained in _SAID_BY_CSV.items():
        if words in message:
            return f"is not CSV: {explained}"
    return f"is not CSV: {message}"


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


def _fields_anyhow(line: str, separator: str) -> list[str]:
    """Cut a line, whatever its quoting, at its separators."""
    return line.rstrip("\r\n").replace("\r", " ").split(separator)


def header_of(fields: Sequence[str], name: str) -> list[str]:
    """Return the columns of an input; raises SourceProblem if there are none, or too many."""
    header = list(fields)
    while header and not header[-1]:  # a spreadsheet adds empty columns
        header.pop()
    if not header:
        raise SourceProblem(f"{name} is empty: results begin with a header line")
    if len(header) > MOST_COLUMNS:
        raise SourceProblem(f"{name} has {len(header):,} columns: a CSV may have {MOST_COLUMNS:,}")
    return header


GUARDED: Final = "=+-@\t\r'"
"""How a cell begins that a spreadsheet takes for a formula, or hides; and the guard itself."""


def guarded(cell: str) -> str:
    """Put a ' before a cell that a spreadsheet would compute, or that looks guarded already.

    >>> guarded("=1+1"), guarded("'=1+1"), guarded("C-1001")
    ("'=1+1", "''=1+1", 'C-1001')
    """
    return f"'{cell}" if cell[:1] and cell[0] in GUARDED else cell


def unguarded(cell: str) -> str:
    """Remove the ' that `guarded` put before a cell; one that it would not have put stays.

    >>> unguarded("'=1+1"), unguarded("''=1+1"), unguarded("'s-Gravenhage")
    ('=1+1', "'=1+1", "'s-Gravenhage")
    """
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in GUARDED else cell


_MISSING = "a cell is missing in this row: take this one away when it is mended"


class RefusedRows:
    """The rows of a rejects file: those of the input, with a last column `problem`.

    Its cells are guarded: it is mended in a spreadsheet.
    """

    def __init__(self, header: Sequence[str], separator: str, file: Any) -> None:
        """Write to a file (what has a `write`), with the first row its header."""
        self._writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        # A rejects file, imported and refused again, has the column already.
        self._at = header.index(PROBLEM) if PROBLEM in header else None
        self._header = self._without(header)
        self._begun = False

    def add(self, fields: Sequence[str], problem: str) -> None:
        """Add a row; a ragged one stays ragged, so that it is refused until mended."""
        if not self._begun:
            self._writer.writerow([*self._header, PROBLEM])
            self._begun = True
        cells, width = self._without(fields), len(self._header)
        missing = width - len(cells)
        row = [*cells[:width], *[""] * missing, problem, *cells[width:]]
        self._writer.writerow(row if missing <= 0 else [*row, _MISSING])

    def _without(self, fields: Sequence[str]) -> list[str]:
        cells = list(map(guarded, fields))
        if self._at is not None:
            del cells[self._at : self._at + 1]
        return cells
