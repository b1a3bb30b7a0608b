"""What an import did: its counts, and the file that keeps what it refused."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ledger.intake.sources import Source, SourceProblem
from ledger.problems import printable

PROBLEM = "problem"
"""The column or member that says why a row was refused; on input it is passed over."""
LINE = "line"
"""The member that holds, in a rejects file of lines, a line that is no JSON object."""
_NAMED = 5
_LONGEST_PROBLEM = 2_000
_JSON_BLANKS = " \t\r\n"
# Numbers stay text: one of many digits would take the square of their count to read.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


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


def mended(text: str) -> str:
    """Return a line of a rejects file as it was before its member `problem` was added.

    A line that was no JSON object then is taken out of the member `line` again. All else stays as
    it is written: whatever was wrong with it is still to be seen.
    """
    members = members_of(text)
    if members is None or all(name != PROBLEM for name, _ in members):
        return text
    (name, written), *others = [each for each in members if each[0] != PROBLEM] or [("", "")]
    value = written.partition(":")[2].strip(_JSON_BLANKS)
    if name == LINE and not others and value.startswith('"'):
        line: str = json.loads(value)
        with suppress(UnicodeEncodeError):  # half a character is no text
            line.encode()
            return line
        return text
    return _object(members)


def members_of(text: str) -> list[tuple[str, str]] | None:
    """Return the members of a JSON object, each with its name and as it is written; None if none.

    >>> members_of('{"a": 1.50, "a": [2]}')
    [('a', '"a": 1.50'), ('a', '"a": [2]')]
    """
    members: list[tuple[str, str]] = []
    try:
        at = _after("{", text, 0)
        while not text.startswith("}", at):
            if members:
                at = _after(",", text, at)
            name, end = _DECODER.raw_decode(text, at)
            if not text.startswith('"', at):
                return None
            _, end = _DECODER.raw_decode(text, _after(":", text, end))
            members.append((name, text[at:end]))
            at = _past_blanks(text, end)
    except (ValueError, RecursionError):
        return None
    return None if text[at + 1 :].strip(_JSON_BLANKS) else members


def _after(mark: str, text: str, at: int) -> int:
    """Return where it goes on after a mark and the blanks around it; ValueError without one."""
    at = _past_blanks(text, at)
    if not text.startswith(mark, at):
        raise ValueError
    return _past_blanks(text, at + 1)


def _past_blanks(text: str, at: int) -> int:
    while text[at : at + 1] in _JSON_BLANKS and at < len(text):
        at += 1
    return at


def _object(members: Iterable[tuple[str, str]]) -> str:
    """Write an object of members, but for its problem."""
    return "{" + ",".join(written for name, written in members if name != PROBLEM) + "}"


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
        body = line.strip()
        members = members_of(body)
        if members is None:
            body = json.dumps({LINE: body}, ensure_ascii=False)
        elif any(name == PROBLEM for name, _ in members):
            body = _object(members)
        start = body.removesuffix("}").rstrip()
        comma = "" if start == "{" else ","
        said = json.dumps(problem, ensure_ascii=False)
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
        """Make the file, for its owner alone: its rows hold names and addresses.

        What is no regular file, such as a pipe, is written as it is. A link is kept as the file of
        an earlier run is: nothing is ever written through one.
        """
        path, mode = self.path, 0o600
        try:
            if path.is_file() or (path.is_symlink() and not path.exists()):
                mode &= path.lstat().st_mode  # not widened
                kept = path.with_name(f"{path.name}.old")
                os.replace(path, kept)
                self.kept = kept
                if not kept.is_symlink():
                    kept.chmod(mode)
            elif path.exists():
                return self._text(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            return self._text(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            )
        except OSError as error:
            raise self._unwritable(error) from None

    def _text(self, descriptor: int) -> TextIO:
        return open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")

    def _unwritable(self, error: OSError) -> SourceProblem:
        return SourceProblem(
            f"{self.path}: the rejects file cannot be written: {error.strerror}; "
            "give another with --rejects and run the import again"
        )
