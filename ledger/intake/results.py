"""A results CSV's rows as facts: one row is one sitting, and its result if it has one.

A large file is read in a second process, so that reading and writing overlap on two cores.
"""

from __future__ import annotations

import pickle
import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from queue import Empty, Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from ledger.events import (
    OWN_SOURCES,
    BetaRescored,
    Event,
    ExamAttempted,
    ExamFailed,
    ExamPassed,
    Fact,
    Row,
)
from ledger.instants import format_instant, parse_instant
from ledger.intake.csv import CsvFile
from ledger.intake.report import PROBLEM, unexpected
from ledger.intake.source import BrokenSource, Item, Source, SourceProblem, open_source
from ledger.problems import LedgerProblem, MalformedFact, printable, shown

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

REQUIRED = ("candidate_id", "exam", "registration_id", "started_at", "outcome")
OPTIONAL = ("ended_at", "delivery", "result_at", "score", "source")
DEFAULT_SOURCE = "urn:csv"
WORTH_BYTES = 4 << 20
"""From this size on a second process pays: some 50,000 rows. It takes a third of a second to start.
"""

_ORDER = (*REQUIRED, *OPTIONAL)
_IDS = ("candidate_id", "exam", "registration_id")
# Fifteen digits are what a double, and so every JSON reader, keeps.
_SCORE = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_COMPRESSED_TO = 8  # how many times smaller a results CSV is when compressed
_ITEMS_SENT = 256
_MESSAGES_AHEAD = 32  # some 5 MB: more rows than a transaction of 50 ms takes
_attempted = ExamAttempted.__pydantic_validator__.validate_python
_passed = ExamPassed.__pydantic_validator__.validate_python
_failed = ExamFailed.__pydantic_validator__.validate_python
_rescored = BetaRescored.__pydantic_validator__.validate_python


class BadRow(ValueError):
    """The row cannot be a sitting: one sentence says why."""


@dataclass(frozen=True)
class CsvSettings:
    """What a call says about its results CSVs."""

    source: str = DEFAULT_SOURCE
    """For rows without one of their own."""
    zone: ZoneInfo | None = None
    """Whose wall clock times without an offset are on; None: such times are refused."""
    ignore_extra: bool = False
    """Pass over columns that are not of a results CSV."""
    actor: str | None = None


class ResultsReader:
    """Read a results CSV: its header at once, then row after row.

    Raises SourceProblem for a header without a required column, with a column twice, or with one
    that is unknown, unless `ignore_extra`. A column `problem`, as a rejects file has, is passed
    over.
    """

    def __init__(self, source: Source, settings: CsvSettings) -> None:
        self._file = CsvFile(source)
        self.header = header = self._file.header
        _check_header(header, source.name, settings.ignore_extra)
        self._settings = settings
        # A column that is not there is read from behind the row's last field, where facts() puts
        # an empty one.
        self._pick = itemgetter(
            *(header.index(column) if column in header else len(header) for column in _ORDER)
        )

    def items(self) -> Iterator[Item]:
        """Yield every row, sound or not, in order; raises BrokenSource."""
        for line, fields, problem in self._file.rows():
            if problem:
                yield Item(line, fields, (), problem)
                continue
            try:
                item = Item(line, fields, [fact.row() for fact in self.facts(fields)])
            except BadRow as bad:
                item = Item(line, fields, (), str(bad))
            except MalformedFact as malformed:
                # In the words of the file: the columns have other names than the attributes.
                problem = str(malformed)
                if problem.startswith("subject "):
                    problem = f"candidate_id {problem.removeprefix('subject ')}"
                item = Item(line, fields, (), problem)
            except Exception as error:
                item = Item(line, fields, (), unexpected(error))
            yield item

    def facts(self, fields: Sequence[str]) -> tuple[Fact] | tuple[Fact, Fact]:
        """Return the sitting and, unless it is pending, its result; raises BadRow.

        The row must have as many fields as the header.
        """
        (
            candidate,
            exam,
            registration,
            started_at,
            outcome,
            ended_at,
            delivery,
            result_at,
            score,
            source,
        ) = self._pick((*fields, ""))
        settings = self._settings
        for column, value in zip(_IDS, (candidate, exam, registration), strict=True):
            if not value:
                raise BadRow(f"{column} is empty")
            if value != value.strip():
                raise BadRow(f"{column} {shown(value)} has blanks around it")
        if outcome not in ("pass", "fail", "pending"):
            raise BadRow(f"outcome should be pass, fail or pending, not {shown(outcome)}")
        if delivery not in ("live", "beta"):
            if delivery:
                raise BadRow(f"delivery should be live or beta, not {shown(delivery)}")
            delivery = "live"
        zone = settings.zone
        started = _instant("started_at", started_at, zone)
        ended = _instant("ended_at", ended_at, zone) if ended_at else None
        if ended is not None and ended < started:
            raise BadRow(
                f"ended_at {format_instant(ended)} lies before started_at "
                f"{format_instant(started)}: a sitting ends at or after its start"
            )
        source = source or settings.source
        if source.startswith(OWN_SOURCES):
            raise BadRow(f"source {shown(source)} is this program's own: give it one of its own")
        sitting = {"exam": exam, "registration_id": registration}
        try:
            attempt = Fact(
                source,
                f"{registration}/attempted",
                candidate,
                started,
                _attempted({**sitting, "delivery": delivery, "ended_at": ended}),
                settings.actor,
            )
            if outcome == "pending":
                if result_at or score:
                    present = "a result_at" if result_at else "a score"
                    raise BadRow(f"outcome is pending, but there is {present}: pass or fail?")
                return (attempt,)
            return attempt, Fact(
                source,
                f"{registration}/result",
                candidate,
                _result_time(result_at, delivery, started, ended, zone),
                _result({**sitting, "score": _score(score)}, delivery, outcome == "pass"),
                settings.actor,
            )
        except ValidationError as error:
            # Everything else was looked at above.
            column = str(error.errors(include_url=False)[0]["loc"][0])
            value = exam if column == "exam" else registration
            raise BadRow(f"{column} {shown(value)} holds a control character") from None


def _check_header(header: Sequence[str], name: str, ignore_extra: bool) -> None:
    accepted = f"a results CSV has {', '.join(REQUIRED)} and may have {', '.join(OPTIONAL)}"
    twice = sorted(column for column, count in Counter(header).items() if count > 1)
    if twice:
        raise SourceProblem(f"{name}: the column {_named(twice)} is there more than once")
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        hint = ""
        if len(header) == 1:
            hint = "; it has a single column: are its fields separated by commas?"
        raise SourceProblem(f"{name} has no column {', '.join(missing)}: {accepted}{hint}")
    extra = [column for column in header if column not in (*_ORDER, PROBLEM)]
    if extra and not ignore_extra:
        raise SourceProblem(
            f"{name} has the unknown column {_named(extra)}: {accepted}; "
            "to pass over others give --ignore-extra"
        )


def _named(columns: Sequence[str]) -> str:
    """Name columns of an input, the first few of many."""
    named = [printable(column[:60]) or "(a column without a name)" for column in columns[:5]]
    more = len(columns) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def _instant(column: str, text: str, zone: ZoneInfo | None) -> int:
    try:
        return parse_instant(text, zone=zone)
    except ValueError as error:
        if not text:
            raise BadRow(f"{column} is empty") from None
        raise BadRow(f"{column}: {error}") from None


def _result_time(
    text: str, delivery: str, started: int, ended: int | None, zone: ZoneInfo | None
) -> int:
    """Return `result_at`, else `ended_at`, else `started_at` (spec section 6)."""
    if not text:
        if delivery == "beta":
            raise BadRow("result_at is empty: a beta row with a result says when it was determined")
        return started if ended is None else ended
    result = _instant("result_at", text, zone)
    if result < started:
        raise BadRow(
            f"result_at {format_instant(result)} lies before started_at "
            f"{format_instant(started)}: a result comes after its sitting began"
        )
    return result


def _result(data: dict[str, Any], delivery: str, passed: bool) -> Event:
    result: Event
    if delivery == "beta":
        result = _rescored({**data, "passed": passed})
    else:
        result = _passed(data) if passed else _failed(data)
    return result


def _score(text: str) -> int | float | None:
    if not text:
        return None
    if not _SCORE.fullmatch(text):
        raise BadRow(f"score should be a number such as 85 or 68.5, not {shown(text)}")
    return float(text) if "." in text else int(text)


# -- in a second process


def pays_a_process(source: Source) -> bool:
    """Return whether an input can be read by another process, and is large enough to pay for it."""
    if source.path is None or source.size is None:
        return False
    return source.size * (_COMPRESSED_TO if source.is_compressed else 1) >= WORTH_BYTES


class _Message(NamedTuple):
    """What the reading process sends: plain values, which cost half as much as models."""

    items: list[tuple[int, list[str], list[tuple[Any, ...]], str]]
    bytes_read: int
    ended: bool
    problem: str
    """Why it ended before the input did; empty if it did not."""


class ReadingProcess:
    """A `ResultsReader` at work in another process; the file's header is sound already."""

    def __init__(self, source: Source, settings: CsvSettings) -> None:
        # Most imports are small, and need not pay for loading it: 8 ms.
        from multiprocessing import get_context

        self.bytes_read = 0
        self._path = source.name
        # Not forked: a child must have neither our threads' locks nor SQLite's files.
        context = get_context("spawn")
        self._receiving, sending = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_read, args=(source.name, source.identity, settings, sending), daemon=True
        )
        with _no_interrupt():
            self._process.start()
        sending.close()
        # A pipe holds little: without somebody who empties it meanwhile, the reader would wait for
        # the end of each transaction.
        self._messages: Queue[bytes | None] = Queue(_MESSAGES_AHEAD)
        self._thread = Thread(target=self._receive, daemon=True)
        self._thread.start()

    def items(self) -> Iterator[Item]:
        """Yield every row in order; raises BrokenSource, or LedgerProblem if the reader died."""
        while (received := self._messages.get()) is not None:
            message: _Message = pickle.loads(received)
            self.bytes_read = message.bytes_read
            for line, fields, rows, problem in message.items:
                yield Item(line, fields, list(map(Row._make, rows)), problem)
            if message.problem:
                raise BrokenSource(message.problem)
            if message.ended:
                return
        raise LedgerProblem(
            f"the process that reads {self._path} ended before its time: run the import again"
        )

    def close(self) -> None:
        """End the process, wherever it is."""
        self._process.terminate()
        while self._thread.is_alive():
            with suppress(Empty):
                self._messages.get(timeout=0.01)
        self._process.join()
        self._process.close()
        self._receiving.close()

    def _receive(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                self._messages.put(self._receiving.recv_bytes())
        self._messages.put(None)


def _read(
    path: str, identity: tuple[int, int] | None, settings: CsvSettings, sending: Connection
) -> None:
    """Read the file and send its rows: all that the other process does."""
    bytes_read, ended_by = 0, ""
    with suppress(BrokenPipeError):  # nobody is there any more to read for
        try:
            with open_source(path) as source:
                if source.identity != identity:
                    raise SourceProblem(f"{path} was replaced while it was read: run it again")
                items = ResultsReader(source, settings).items()
                while some := [
                    (line, list(raw), list(map(tuple, rows)), problem)
                    for line, raw, rows, problem, _ in islice(items, _ITEMS_SENT)
                ]:
                    bytes_read = source.bytes_read
                    _send(sending, _Message(some, bytes_read, False, ""))
        except LedgerProblem as problem:
            ended_by = str(problem)
        _send(sending, _Message([], bytes_read, True, ended_by))


def _send(sending: Connection, message: _Message) -> None:
    sending.send_bytes(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Start a process that Ctrl-C does not reach: it is ended by the one that started it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
