"""An input that was opened: its form, what the call says about it, and its header."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeAlias

from ledger.intake.cloudevents import Check
from ledger.intake.mapping import NO_MAP
from ledger.intake.results import CsvSettings, ResultsReader
from ledger.intake.source import Source, SourceProblem, open_source

Format: TypeAlias = Literal["auto", "cloudevents", "csv", "xlsx"]
_EXTENSIONS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "cloudevents",
    ".ndjson": "cloudevents",
    ".json": "cloudevents",
}


@dataclass(frozen=True)
class Options:
    """What a call says about its inputs."""

    format: Format = "auto"
    csv: CsvSettings = field(default_factory=CsvSettings)
    """How files of results are read; `csv.actor` is who imports lines, too."""
    corrections: bool = False
    """Record a changed result as a further one, instead of refusing it."""
    again: bool = False
    """Record what was annulled and comes again as a further event of its own, ``…/result/2``."""
    keep_recorded_at: bool = False
    """Move a history in, whose recordedtime, or recorded_at, is kept."""
    backfill: bool = False
    """Mark what is recorded as moved in: it is late because the ledger began late."""
    two_processes: bool = False
    """Read large results CSVs in a second process, started anew (``spawn``)."""
    check: Check | None = None
    """What the door has against a fact that came as a line, which the ledger cannot judge."""
    exam_fault: Callable[[str], str | None] | None = None
    """What the door has against rows of an exam, such as that nobody announced it; None: nothing.
    """
    rejects: Path | None = None
    """Where refused rows go; None: `default_rejects`."""


def format_of(source: Source, format: Format = "auto") -> Format:
    """Return the format of an input: the one named, else by its extension, else by its first byte.

    Call it before anything of the input is read. Raises SourceProblem for what is no input.
    """
    if source.is_workbook and format in ("auto", "xlsx"):
        return "xlsx"
    if source.is_workbook or format == "xlsx":
        is_one = "is a workbook" if source.is_workbook else "is no workbook"
        raise SourceProblem(f"{source.name} {is_one}, which --format {format} does not fit")
    if format != "auto":
        return format
    if source.extension == ".toml":
        raise SourceProblem(f"{source.name} is TOML: a catalogue goes in with `catalogue`")
    known = _EXTENSIONS.get(source.extension)
    if known is not None:
        return known
    start = source.first_bytes()[:1]
    return "cloudevents" if start in (b"", b"{", b"[") else "csv"


class Reading:
    """An input whose header was read, and none of its rows.

    Raises SourceProblem for an input or options that cannot be imported at all.
    """

    def __init__(self, source: Source, options: Options) -> None:
        self.source = source
        self.options = options
        self.results: ResultsReader | None = None
        if format_of(source, options.format) != "cloudevents":
            self.results = ResultsReader(source, options.csv)
        elif options.csv.map != NO_MAP:
            raise SourceProblem(f"{source.name} holds CloudEvents, for which there is no map")

    @classmethod
    def open(cls, path: str, options: Options) -> Self:
        """Open an input and read its header; - is standard input. Use it in a `with`."""
        source = open_source(path, workbooks=True, encoding=options.csv.map.encoding)
        try:
            return cls(source, options)
        except BaseException:
            source.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.source.close()


def read_headers(paths: Collection[str], options: Options) -> dict[str, Reading]:
    """Read the header of every input before a row of any is recorded.

    Return those that can be read but once, such as a pipe. Raises SourceProblem, with a sentence
    for each input that cannot be imported.
    """
    once: dict[str, Reading] = {}
    faults: list[str] = []
    for path in paths:
        try:
            reading = Reading.open(path, options)
        except SourceProblem as problem:
            faults.append(str(problem))
            continue
        if reading.source.path is None or reading.source.size is None:
            once[path] = reading
        else:
            reading.source.close()
    if faults:
        for reading in once.values():
            reading.source.close()
        raise SourceProblem("\n".join(faults) + "; nothing was recorded")
    return once
