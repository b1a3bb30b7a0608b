"""A CSV's lines as rows under a header; a row that is no row costs itself, not its neighbours."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from ledger.intake.sources import Source, SourceProblem

_SAID_BY_CSV = {
    "unexpected end of data": "a quote that opens in it is never closed",
    "',' expected after '\"'": 'a quote in a quoted field is not doubled ("")',
    "field larger than field limit": "a field is far too long (is a quote never closed?)",
    "new-line character seen in unquoted field": (
        "it holds a carriage return without a line feed; end lines with \\n or \\r\\n"
    ),
}


class CsvRow(NamedTuple):
    """One row as it stands in the file; `problem` is empty for one that can be looked into."""

    line: int
    """Its first line, counted from 1."""
    fields: list[str]
    problem: str


class CsvFile:
    """The header and rows of a CSV: comma, double quotes, a header line.

    Raises SourceProblem at once if there is no header that can be read.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lines = source.lines()
        self._held: list[str] = []  # the lines of the row being read
        self._again: deque[str] = deque()  # lines to be read a second time
        self._line = 0  # lines of the rows handed out
        self.header: list[str] = []
        for row in self._records():
            if row.problem:
                raise SourceProblem(f"{source.name}, line {row.line}: the header {row.problem}")
            self.header = row.fields
            break
        if not self.header:
            raise SourceProblem(f"{source.name} is empty: a CSV begins with a header line")

    def rows(self) -> Iterator[CsvRow]:
        """Hand out the rows after the header in order; blank lines are none."""
        width = len(self.header)
        for row in self._records():
            if len(row.fields) == width or row.problem:
                yield row
            else:
                yield row._replace(
                    problem=f"has {_fields(len(row.fields))} where the header has {width}"
                )

    def _records(self) -> Iterator[CsvRow]:
        """Read rows of any width; after one whose quoting is wrong go on with the next line."""
        faults = self._source.faults
        held = self._held
        while True:
            reader = csv.reader(self._feed(), strict=True)
            try:
                for fields in reader:
                    line = self._line + 1
                    self._line += len(held)
                    held.clear()
                    if faults and min(faults) <= self._line:
                        yield CsvRow(line, fields, self._fault(line))
                    elif fields:
                        yield CsvRow(line, fields, "")
                return
            except csv.Error as error:
                said = str(error)
            # Only the row's first line is at fault for sure: what follows it is read anew, so that
            # a stray quote does not swallow the good rows up to the next one.
            first = held[0]
            self._again.extendleft(reversed(held[1:]))
            held.clear()
            self._line += 1
            problem = self._fault(self._line) if faults else ""
            yield CsvRow(self._line, _fields_anyhow(first), problem or _explain(said))

    def _feed(self) -> Iterator[str]:
        keep = self._held.append
        while self._again:
            keep(line := self._again.popleft())
            yield line
        for line in self._lines:
            keep(line)
            yield line

    def _fault(self, first: int) -> str:
        """Take out what the source found wrong with the lines of the row that begins there."""
        faults = self._source.faults
        found = [faults.pop(line) for line in range(first, self._line + 1) if line in faults]
        return found[0] if found else ""


def _explain(said: str) -> str:
    for words, explained in _SAID_BY_CSV.items():
        if said.startswith(words):
            return f"is not CSV: {explained}"
    return f"is not CSV: {said}"


def _fields(count: int) -> str:
    return f"{count} field{'' if count == 1 else 's'}"


def _fields_anyhow(line: str) -> list[str]:
    """Cut a line whose quoting is wrong at its commas, so that it can be shown for mending."""
    return line.rstrip("\r\n").replace("\r", " ").split(",")
