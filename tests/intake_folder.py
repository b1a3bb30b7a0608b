"""A ledger, a folder and a frozen clock to take files in with, for the tests of intake."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ledger.instants import format_instant, parse_instant
from ledger.intake.importer import Progress, import_file
from ledger.intake.reading import Options, Reading
from ledger.intake.report import Report
from ledger.intake.results import CsvSettings
from ledger.ledger import Ledger

NOW = parse_instant("2021-06-01T00:00:00Z")
HEADER = "candidate_id,exam,registration_id,started_at,ended_at,delivery,outcome,result_at,score\n"
GOOD = "C-1,AZ-104,R-1,2021-03-01T09:00:00Z,2021-03-01T10:40:00Z,live,fail,,640\n"

Event = tuple[str, str, str, dict[str, Any]]
"""(id, type, time, data): what an event says, of what a results row says."""


class Place:
    """A ledger in a folder; every transaction takes as long as `seconds` says."""

    def __init__(self, folder: Path, *, seconds: float = 0.05) -> None:
        self.folder = folder
        self.rejects = folder / "rejects"
        self.ledger = Ledger.create(folder / "a.ledger", clock=lambda: NOW)
        self._ticks = (tick * seconds for tick in count())

    def take(
        self,
        content: str | bytes,
        name: str = "results.csv",
        *,
        csv: CsvSettings | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Report:
        """Write a file and import it."""
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        chosen = replace(Options(rejects=self.rejects, csv=csv or CsvSettings()), **options)
        with Reading.open(str(self.folder / name), chosen) as reading:
            return import_file(
                self.ledger, reading, stopwatch=lambda: next(self._ticks), progress=progress
            )

    def rows(self, *rows: str, **options: Any) -> Report:
        """Import results rows under the whole header."""
        return self.take(HEADER + "".join(rows), **options)

    def events(self) -> list[Event]:
        """Return what every event says, by position."""
        return [
            (row.id, row.type, format_instant(row.occurred_at), row.payload())
            for row in self.ledger.read()
        ]

    def ids(self) -> list[str]:
        """Return the id of every event, by position."""
        return [row.id for row in self.ledger.read()]

    def refused(self) -> list[dict[str, str]]:
        """Return the rows of the rejects file, a CSV."""
        text = self.rejects.read_text(encoding="utf-8", errors="surrogateescape")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def refused_lines(self) -> list[dict[str, Any]]:
        """Return the lines of the rejects file, JSON objects."""
        return [json.loads(line) for line in self.rejects.read_text().splitlines()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ledger.close()


def counts(report: Report) -> tuple[int, int, int, int]:
    """Return (read, recorded, duplicates, rejected)."""
    return report.read, report.recorded, report.duplicates, report.rejected
