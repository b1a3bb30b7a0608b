"""What an import did: its counts, and the file that keeps what it refused."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ledger.intake.sources import Source, SourceProblem

PROBLEM = "problem"
"""The column or member that says why a row was refused; on input it is passed over."""
LINE = "line"
"""The member that holds, in a rejects file of lines, a line that is no JSON object."""
_NAMED = 5


@dataclass
class Report:
    """Count what one import did.

    `read` and `rejected` count rows (or lines), `conflicts` those of the rejected that contradict
    what is recorded; `recorded`, `duplicates` and `corrections` count events, where corrections
    are those of the recorded that correct an earlier result. `superseded` are those of the
    duplicates that repeat a result which a later correction has replaced.
    """

    name: str
    read: int = 0
    recorded: int = 0
    duplicates: int = 0
    corrections: int = 0
    superseded: int = 0
    rejected: int = 0
    conflicts: int = 0
    rejects: Path | None = None
    """Where the refused rows are kept; None when nothing was refused."""
    examples: list[str] = field(default_factory=list)
    """The first few refusals, each a sentence that names its line."""
    notes: list[str] = field(default_factory=list)
    """Other things worth saying, none of which makes the import incomplete."""
    stopped: str | None = None
    """Why the import ended before the input did; None when it read all of it."""
    interrupted: bool = False
    """It was Ctrl-C that stopped it."""

    @property
    def clean(self) -> bool:
        """Return whether all of the input was read and nothing of it refused."""
        return not self.rejected and self.stopped is None

    def summary(self) -> list[str]:
        """Tell it in lines for people."""
        lines = [
            f"{self.name}: {_count(self.read, 'row')} read, "
            f"{_count(self.recorded, 'event')} recorded, "
            f"{_count(self.duplicates, 'duplicate')} skipped, {self.rejected:,} rejected"
        ]
        if self.corrections:
            lines.append(f"  {_count(self.corrections, 'recorded event')} corrected a result")
        if self.superseded:
            lines.append(
                f"  {_count(self.superseded, 'duplicate')} repeated a result that a later "
                "correction replaced: to correct back to it, give the row a result_at of its own"
            )
        lines += [f"  {example}" for example in self.examples]
        if self.rejected > len(self.examples):
            lines.append(f"  … and {self.rejected - len(self.examples):,} more")
        if self.rejected and self.rejects is not None:
            conflicts = f" ({self.conflicts:,} in conflict with what is recorded)"
            lines.append(
                f"  {_count(self.rejected, 'rejected row')}{conflicts if self.conflicts else ''}: "
                f"mend them in {self.rejects} and import that"
            )
        lines += [f"  {note}" for note in self.notes]
        if self.stopped is not None:
            lines.append(f"  stopped: {self.stopped}")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Tell it as JSON values, for programs."""
        return {
            "name": self.name,
            "read": self.read,
            "recorded": self.recorded,
            "duplicates": self.duplicates,
            "corrections": self.corrections,
            "superseded": self.superseded,
            "rejected": self.rejected,
            "conflicts": self.conflicts,
            "rejects": None if self.rejects is None else str(self.rejects),
            "stopped": self.stopped,
        }

    def refuse(self, line: int, problem: str, *, conflict: bool = False) -> None:
        """Count one refused row and keep its sentence if it is among the first."""
        self.rejected += 1
        self.conflicts += conflict
        if len(self.examples) < _NAMED:
            self.examples.append(f"line {line:,}: {problem}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def default_rejects(source: Source, extension: str, taken: Collection[Path] = ()) -> Path:
    """Name the rejects file of an input: ``results.rejects.csv``, in the working directory.

    `taken` are names that other inputs of the same call have: then ``results-2.rejects.csv``.
    """
    stem = source.stem
    path, number = Path(f"{stem}.rejects{extension}"), 2
    while path in taken:
        path, number = Path(f"{stem}-{number}.rejects{extension}"), number + 1
    return path


class Rejects:
    """The rejects file: the input's own rows, each with its problem, in the input's own format.

    The file is made when the first row is refused. A file of that name left by an earlier run is
    kept beside it as ``….old`` (and one of that name is replaced): a second run of the same
    import refuses the same rows again, but the first file may hold somebody's mending.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept: Path | None = None
        self._file: TextIO | None = None

    def csv_row(self, header: Sequence[str], fields: Sequence[str], problem: str) -> None:
        """Add a row of a CSV; a ragged row stays ragged, so that it is refused until mended."""
        if PROBLEM in header:  # a rejects file, imported and refused again
            at = header.index(PROBLEM)
            header = [*header[:at], *header[at + 1 :]]
            fields = [*fields[:at], *fields[at + 1 :]]
        writer = csv.writer(self, lineterminator="\n")
        width = len(header)
        if self._file is None:
            writer.writerow([*header, PROBLEM])
        row = [*fields[:width], *[""] * (width - len(fields)), problem, *fields[width:]]
        writer.writerow(row if len(fields) >= width else [*row, ""])

    def json_line(self, line: str, problem: str) -> None:
        """Add a line; what is no JSON object is kept as text in the member `line`."""
        said = json.dumps(problem, ensure_ascii=False)
        body = line.strip()
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            body = json.dumps({LINE: body}, ensure_ascii=False)
        elif PROBLEM in members:
            del members[PROBLEM]
            body = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
        start = body.removesuffix("}").rstrip()
        comma = "" if start == "{" else ","
        self.write(f'{start}{comma}"{PROBLEM}":{said}}}\n')

    def write(self, text: str) -> None:
        """Write text as it is; raises SourceProblem if there is nowhere to."""
        if self._file is None:
            self._file = self._open()
        try:
            self._file.write(text)
        except OSError as error:
            raise self._unwritable(error) from None

    @property
    def is_made(self) -> bool:
        """Return whether there was anything to write."""
        return self._file is not None

    def flush(self) -> None:
        """Hand what was written to the operating system; raises SourceProblem if it will not."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise self._unwritable(error) from None

    def close(self) -> None:
        """Close the file, if it was made."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                raise self._unwritable(error) from None

    def _open(self) -> TextIO:
        old = self.path.with_name(self.path.name + ".old")
        try:
            if self.path.is_file():
                os.replace(self.path, old)
                self.kept = old
            return open(self.path, "w", encoding="utf-8", errors="surrogateescape", newline="")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> SourceProblem:
        return SourceProblem(
            f"{self.path}: the rejects file cannot be written: {error.strerror}; "
            "give another with --rejects and run the import again"
        )
