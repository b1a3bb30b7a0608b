"""What an import did: its counts, and the file that keeps what it refused."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ledger.intake.odd import LATE_RESULT, Oddities
from ledger.intake.source import Source, SourceProblem
from ledger.problems import printable

PROBLEM = "problem"
"""The column or member that says why a row was refused; on input it is passed over."""
_FIGURES = (
    "read",
    "skipped",
    "recorded",
    "duplicates",
    "corrections",
    "superseded",
    "rejected",
    "conflicts",
)
_NAMED = 5
_MOST_EXAMS = 10_000
_MOST_KINDS = 100
_LONGEST_PROBLEM = 2_000
_VALUE = re.compile(r"'(?:[^'\\]|\\.)*'|\"[^\"]*\"|\d[\w:.,+-]*")
"""What of a problem is of its row alone: what is quoted, numbers and instants."""


@dataclass(kw_only=True)
class Counts:
    """Count events: those recorded, of them those that correct an earlier result, and duplicates.

    `superseded` are those of the duplicates that repeat a result which a later correction replaced.
    """

    recorded: int = 0
    duplicates: int = 0
    corrections: int = 0
    superseded: int = 0

    def add(self, other: Counts) -> None:
        """Count what another counted, too."""
        self.recorded += other.recorded
        self.duplicates += other.duplicates
        self.corrections += other.corrections
        self.superseded += other.superseded


@dataclass
class Kind:
    """Refusals for one reason, whatever the values: how many, and the first of them."""

    line: int
    problem: str
    count: int = 1


@dataclass
class Report(Counts):
    """Count what one import did.

    `read` and `rejected` count rows (or lines), `conflicts` those of the rejected that contradict
    what is recorded.
    """

    name: str
    read: int = 0
    skipped: int = 0
    """Rows that say nothing, as a map has it, or as a result that is still pending."""
    rejected: int = 0
    conflicts: int = 0
    rejects: Path | None = None
    """Where the refused rows are kept; None when nothing was refused."""
    kinds: dict[str, Kind] = field(default_factory=dict)
    """The refusals by what is wrong; of so many kinds as there is room for."""
    passed_over: Sequence[str] = ()
    """Columns of the input of which its map makes no use."""
    notes: list[str] = field(default_factory=list)
    """Other things worth saying, none of which makes the import incomplete."""
    exams: Counter[str] = field(default_factory=Counter)
    """How many rows that were not refused name each exam; of so many exams as there is room for."""
    of_several_sources: set[tuple[str, str]] = field(default_factory=set)
    """(candidate, exam) of sittings that another source speaks of too; of so many as there is room.
    """
    odd: Oddities = field(default_factory=Oddities)
    """What is odd of what was recorded."""
    kept: dict[str, Kind] = field(default_factory=dict)
    """What cannot be, and is kept of a history as it was recorded; by kind."""
    stopped: str | None = None
    """Why the import ended before the input did; None when it read all of it."""
    interrupted: bool = False
    """It was Ctrl-C that stopped it."""

    @property
    def examples(self) -> list[str]:
        """Return the commonest kinds of refusals, each a sentence that names its first line."""
        kinds = sorted(self.kinds.values(), key=lambda each: -each.count)[:_NAMED]
        return [
            f"line {kind.line:,}: {kind.problem}"
            + (f" (and {_count(kind.count - 1, 'row')} more like it)" if kind.count > 1 else "")
            for kind in sorted(kinds, key=lambda each: each.line)
        ]

    @property
    def clean(self) -> bool:
        """Return whether all of the input was read and nothing of it refused."""
        return not self.rejected and self.stopped is None

    def summary(self) -> list[str]:
        """Return it in lines for people."""
        lines = [
            f"{self.name}: {_count(self.read, 'row')} read, "
            f"{_count(self.recorded, 'event')} recorded, "
            f"{_count(self.duplicates, 'duplicate')} skipped, {self.rejected:,} rejected"
        ]
        if self.skipped:
            lines.append(f"  {_count(self.skipped, 'row')} passed over, without an outcome")
        if self.passed_over:
            lines.append(f"  columns that the map passes over: {named(self.passed_over)}")
        if self.corrections:
            lines.append(f"  {_count(self.corrections, 'recorded event')} corrected a result")
        if self.superseded:
            lines.append(
                f"  {_count(self.superseded, 'duplicate')} repeated a result that a later "
                "correction replaced: to correct back to it, give the row a result_at of its own"
            )
        lines += [f"  {example}" for example in self.examples]
        shown = sorted((kind.count for kind in self.kinds.values()), reverse=True)[:_NAMED]
        if self.rejected > sum(shown):
            lines.append(f"  … and {self.rejected - sum(shown):,} more")
        if late := self.odd.counts[LATE_RESULT]:
            lines.append(
                f"  {_count(late, 'result')} recorded more than 30 days after "
                f"{'it was' if late == 1 else 'they were'} true ({LATE_RESULT}): --backfill marks "
                "a migration"
            )
        for kind in self.kept.values():
            lines.append(
                f"  kept as {'it was' if kind.count == 1 else 'they were'} recorded, "
                f"{_count(kind.count, 'row')}; line {kind.line:,}: {kind.problem}"
            )
        if self.rejected and self.rejects is not None:
            conflicts = f" ({self.conflicts:,} in conflict with what is recorded)"
            one = self.rejected == 1
            lines.append(
                f"  {_count(self.rejected, 'row')} {'was' if one else 'were'} rejected"
                f"{conflicts if self.conflicts else ''}: fix {'it' if one else 'them'} in "
                f"{self.rejects} and import that"
            )
        lines += [f"  {note}" for note in self.notes]
        if self.stopped is not None:
            lines.append(f"  stopped: {self.stopped}")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values, for programs."""
        figures = {name: getattr(self, name) for name in _FIGURES}
        rejects = None if self.rejects is None else str(self.rejects)
        return {"name": self.name, **figures, "rejects": rejects, "stopped": self.stopped}

    def count_exams(self, exams: Iterable[str | None]) -> None:
        """Count rows by the exams that they name."""
        for exam, count in Counter(exams).items():
            if exam is not None and (exam in self.exams or len(self.exams) < _MOST_EXAMS):
                self.exams[exam] += count

    def refuse(self, line: int, problem: str, *, conflict: bool = False) -> None:
        """Count one refused row, and keep its sentence if it is the first of its kind."""
        self.rejected += 1
        self.conflicts += conflict
        _count_kind(self.kinds, line, problem)

    def keep(self, line: int, problem: str) -> None:
        """Count a row of a history that would be refused of a new fact."""
        _count_kind(self.kept, line, problem)


def _count_kind(kinds: dict[str, Kind], line: int, problem: str) -> None:
    kind = _VALUE.sub("…", problem)
    if kind in kinds:
        kinds[kind].count += 1
    elif len(kinds) < _MOST_KINDS:
        kinds[kind] = Kind(line, problem)


def named(columns: Sequence[str]) -> str:
    """Name columns of an input, the first few of many."""
    names = [printable(column[:60]) or "(a column without a name)" for column in columns[:_NAMED]]
    more = len(columns) - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more else "")


def one_line(problem: str) -> str:
    """Return a problem as one line that can be shown, and is no longer than one reads."""
    line = printable(problem)
    return line if len(line) <= _LONGEST_PROBLEM else f"{line[:_LONGEST_PROBLEM]}…"


def unexpected(error: Exception) -> str:
    """Return the problem of a row that ran into a fault of this program."""
    return (
        f"this should not have happened: {type(error).__name__}: {error}; please report it with "
        "this row"
    )


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

    def __init__(self, path: Path, source: Source) -> None:
        """Write nothing yet; raises SourceProblem for a path that is the input's own."""
        with suppress(OSError):
            if source.path is not None and os.path.samefile(source.path, path):
                raise SourceProblem(f"{source.path} cannot be the rejects file of itself")
        self.path = path
        self.kept: Path | None = None
        # A file in another encoding has its rejects in UTF-8, with the mark by which its map reads
        # them as that.
        self._encoding = "utf-8" if source.encoding is None else "utf-8-sig"
        self._file: TextIO | None = None

    def write(self, text: str) -> None:
        """Write text as it is; raises SourceProblem if there is nowhere to."""
        with self._problems():
            if self._file is None:
                self._file = self._open()
            self._file.write(text)

    @property
    def is_made(self) -> bool:
        """Return whether there was anything to write."""
        return self._file is not None

    def flush(self) -> None:
        """Hand what was written to the operating system; raises SourceProblem if it will not."""
        if self._file is not None:
            with self._problems():
                self._file.flush()

    def close(self) -> None:
        """Close the file, if it was made; raises SourceProblem if not all of it is written."""
        if self._file is not None:
            with self._problems():
                self._file.close()

    def _open(self) -> TextIO:
        """Make the file, for its owner alone: its rows hold names and addresses.

        What is no regular file, such as a pipe, is written as it is. A link is kept as the file of
        an earlier run is: nothing is ever written through one.
        """
        path, mode = self.path, 0o600
        flags = os.O_WRONLY | os.O_CLOEXEC
        if path.is_file() or (path.is_symlink() and not path.exists()):
            mode &= path.lstat().st_mode  # not widened
            kept = path.with_name(f"{path.name}.old")
            if kept.is_file() and not kept.stat().st_mode & 0o200:
                raise SourceProblem(f"{kept} may only be read, and is not replaced: move it away")
            os.replace(path, kept)
            self.kept = kept
            if not kept.is_symlink():
                kept.chmod(mode)
        if not path.exists():
            flags |= os.O_CREAT | os.O_EXCL
        descriptor = os.open(path, flags, mode)
        return open(descriptor, "w", encoding=self._encoding, errors="surrogateescape", newline="")

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceProblem(
                f"{self.path}: the rejects file cannot be written: {error.strerror}; "
                "give another with --rejects and run the import again"
            ) from None
