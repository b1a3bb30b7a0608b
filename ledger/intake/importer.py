"""Import one input: read, record in transactions of about 50 ms, set the bad rows aside.

Whatever ends an import, even kill -9, leaves whole transactions; running it again passes over what
is in and completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, count, groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ledger.cloudevents import backfilled
from ledger.intake.cloudevents import read_lines, refused_line
from ledger.intake.csv import RefusedRows
from ledger.intake.odd import MOST_SITTINGS, RESULTS
from ledger.intake.process import ReadingProcess, pays_a_process
from ledger.intake.reading import Reading
from ledger.intake.recording import Lines, Recording, Refusal, Results, Stopwatch
from ledger.intake.report import (
    Rejects,
    Report,
    default_rejects,
    one_line,
    unexpected,
)
from ledger.intake.source import BrokenSource, Item, SourceProblem
from ledger.ledger import Ledger
from ledger.models import ExamAnnounced
from ledger.problems import LedgerProblem

TRANSACTION_SECONDS = 0.05
"""So that a single append beside an import waits no longer than that."""
_FEWEST, _FIRST, _MOST = 64, 512, 16_384  # rows in a transaction
_HEAVY = 8 << 20  # characters in a transaction: lines may be a megabyte long
Progress: TypeAlias = Callable[[Report, int, int | None], None]
"""Called after every transaction: the report so far, bytes read of the input, its size if known."""


def import_file(
    ledger: Ledger,
    reading: Reading,
    *,
    stopwatch: Stopwatch,
    progress: Progress | None = None,
    taken: Collection[Path] = (),
) -> Report:
    """Import one input and return what became of it.

    `stopwatch` measures transactions (``time.monotonic``); `taken` are the rejects files of other
    inputs of the same call. An input that breaks off, a store that can take no more, or Ctrl-C
    ends the import early: `Report.stopped` says why. Raises SourceProblem, with nothing changed,
    where the rejects file would be the input.
    """
    report = Report(reading.source.name)
    run = _Import(ledger, reading, report, stopwatch, taken)
    try:
        run.go(progress)
    except LedgerProblem as problem:
        report.stopped = str(problem)
    except KeyboardInterrupt:
        report.interrupted = True
        report.stopped = "interrupted; run it again to complete it, nothing will be there twice"
    finally:
        run.close()
    return report


class _Sent(NamedTuple):
    """A batch that is being recorded."""

    batch: list[Item]
    sound: list[Item]
    recording: Future[Recording]


class _Import:
    """One import under way."""

    def __init__(
        self,
        ledger: Ledger,
        reading: Reading,
        report: Report,
        stopwatch: Stopwatch,
        taken: Collection[Path],
    ) -> None:
        self._ledger = ledger
        self._several_sources = False
        self._sources: set[str] = set()  # of what was recorded
        self._source = source = reading.source
        options, results = reading.options, reading.results
        self._report = report
        self._keep = options.keep_recorded_at
        self._exam_fault = options.exam_fault
        self._backfill = options.backfill
        if self._backfill and not ledger.store.keeps_extensions:
            raise SourceProblem(
                "--backfill marks events, which a ledger of this format cannot keep: "
                "`attempt-ledger upgrade` brings it to the format that does"
            )
        self._size = _FIRST  # rows of a transaction, as it turns out
        self._process: ReadingProcess | None = None
        self._sent: _Sent | None = None
        self._batches: Lines | Results
        extension = ".jsonl" if results is None else ".csv"
        self._rejects = Rejects(
            options.rejects or default_rejects(source, extension, taken), source
        )
        if results is not None:
            report.passed_over = results.passed_over
            self._refused_rows = RefusedRows(results.header, results.separator, self._rejects)
            self._batches = Results(
                ledger,
                stopwatch,
                corrections=options.corrections,
                again=options.again,
                keep_recorded_at=self._keep,
                silent=results.silent,
            )
            self._items = results.items()
            if options.two_processes and pays_a_process(source):
                self._process = ReadingProcess(source, options.csv)
                self._items = self._process.items()
        else:
            self._items = read_lines(
                source, actor=options.csv.actor, check=options.check, as_recorded=self._keep
            )
            self._batches = Lines(
                ledger, stopwatch, keep_recorded_at=self._keep, again=options.again
            )

    def go(self, progress: Progress | None) -> None:
        """Import all of it; raises LedgerProblem for what ends it early."""
        report = self._report
        for batch, sound, recording in self._recorded():
            self._report_on(batch, sound, recording)
            if recording.seconds > 0:
                change = min(max(TRANSACTION_SECONDS / recording.seconds, 0.5), 2.0)
                self._size = round(min(max(len(batch) * change, _FEWEST), _MOST))
            if progress is not None:
                read = (self._process or self._source).bytes_read
                progress(report, read, self._source.size)
            if report.stopped is not None:
                return

    def close(self) -> None:
        """End the other process, report on what was still recorded, close the rejects file."""
        if self._process is not None:
            self._process.close()
        report = self._report
        try:
            if (done := self._done()) is not None:
                self._report_on(*done)
            self._rejects.close()
        except LedgerProblem as problem:
            report.stopped = str(problem)
        if self._rejects.is_made:
            report.rejects = self._rejects.path
        if self._rejects.kept is not None:
            report.notes.append(
                f"the rejects file of an earlier run is kept as {self._rejects.kept}"
            )

    def _cut(self) -> Iterator[list[Item]]:
        """Yield the items in batches; the last one comes even if the input breaks off after it."""
        batch: list[Item] = []
        wanted, weight = self._size, 0
        broken: BrokenSource | None = None
        try:
            for item in self._items:
                batch.append(item)
                raw = item.raw
                weight += len(raw) if isinstance(raw, str) else sum(map(len, raw))
                if len(batch) >= wanted or weight >= _HEAVY or (self._keep and item.problem):
                    yield batch
                    batch, wanted, weight = [], self._size, 0
        except BrokenSource as problem:
            broken = problem
        if batch:
            yield batch
        if broken is not None:
            raise broken

    def _recorded(self) -> Iterator[tuple[list[Item], list[Item], Recording]]:
        """Yield each batch, what is sound of it, and what became of that, in order.

        While a server records one batch, the last one is reported on and the next one is read. Not
        of a history that is moved in: nothing of it comes after the first row that is refused. Nor
        in a dry run, which records here.
        """
        store = self._ledger.store
        if self._keep or store.read_only or not store.works_elsewhere:
            for batch in map(self._filled, self._cut()):
                sound = self._sound(batch)
                yield batch, sound, self._record(sound)
            return
        with ThreadPoolExecutor(1) as beside:
            for batch in map(self._filled, self._cut()):
                sound = self._sound(batch)
                done = self._done()  # if that failed, nothing more is sent
                self._sent = _Sent(batch, sound, beside.submit(self._record, sound))
                if done is not None:
                    yield done
            if (done := self._done()) is not None:
                yield done

    def _done(self) -> tuple[list[Item], list[Item], Recording] | None:
        """Wait for what becomes of the batch that is being recorded; None if there is none."""
        sent = self._sent
        if sent is None:
            return None
        try:
            recording = sent.recording.result()
        except KeyboardInterrupt:  # it is recorded all the same: `close` reports on it
            raise
        except BaseException:
            self._sent = None
            raise
        self._sent = None
        return sent.batch, sent.sound, recording

    def _filled(self, batch: list[Item]) -> list[Item]:
        """Count a batch; return its rows that say anything, with a problem for an unknown exam."""
        filled = [item for item in batch if item.rows or item.problem]
        self._report.read += len(batch)
        self._report.skipped += len(batch) - len(filled)
        return filled if self._exam_fault is None else _of_known_exams(filled, self._exam_fault)

    def _sound(self, batch: list[Item]) -> list[Item]:
        """Return what of a batch is to be recorded."""
        sound = [item for item in batch if not item.problem]
        return list(map(_backfilled, sound)) if self._backfill else sound

    def _report_on(self, batch: list[Item], sound: list[Item], recording: Recording) -> None:
        """Count what became of a batch, and set aside what was refused of it, in order."""
        report = self._report
        report.add(recording)  # first: Ctrl-C may come at any moment
        for index, row in recording.joined.items():
            sound[index] = sound[index]._replace(rows=(row,))
        report.count_exams(
            [item.rows[0].exam for i, item in enumerate(sound) if i not in recording.refused]
        )
        self._look(sound, recording)
        if len(sound) == len(batch) and not recording.refused:
            return
        recorded = count()
        for index, item in enumerate(batch):
            refusal = (
                Refusal(item.problem, False)
                if item.problem
                else recording.refused.get(next(recorded))
            )
            if refusal is None:
                continue
            problem = one_line(refusal.problem)
            report.refuse(item.line, problem, conflict=refusal.conflict)
            if self._keep:
                report.stopped = (
                    f"line {item.line:,} cannot be taken, and what comes after it would be out "
                    "of order: mend it in the input and run it again"
                )
                report.read -= len(batch) - index - 1
                break
            if isinstance(item.raw, str):
                self._rejects.write(refused_line(item.raw, problem))
            else:
                self._refused_rows.add(item.raw, problem)
        self._rejects.flush()

    def _look(self, items: list[Item], recording: Recording) -> None:
        """Note what is odd of what was recorded, and the sittings that another source has too."""
        odd, now = self._report.odd, self._ledger.clock()
        new = [items[index] for index in recording.new]
        for kept, together in groupby(new, attrgetter("kept")):
            rows = chain.from_iterable(item.rows for item in together)
            odd.look(rows, now if kept is None else kept)
        for item in new if self._keep else ():
            if item.doubt:
                self._report.keep(item.line, one_line(item.doubt))
        if odd.alone and len(odd.unpaired) < MOST_SITTINGS:
            odd.unpaired.update(self._ledger.of_topics(sorted(odd.alone), RESULTS))
        odd.alone.clear()
        found = self._report.of_several_sources
        sources = {row.source for item in items for row in item.rows}
        if not (self._several_sources or sources <= self._sources):
            # Asked when there may be one more, not for each batch: the answer is waited for.
            self._sources |= sources
            self._several_sources = self._ledger.has_several_sources()
        if self._several_sources and len(found) < MOST_SITTINGS:
            keys = {row.key for item in items for row in item.rows if row.key and row.exam}
            found.update(self._ledger.of_several_sources(sorted(filter(None, keys))))

    def _record(self, items: list[Item]) -> Recording:
        """Record a batch; whatever goes wrong with one of its rows costs that row alone.

        A fault of this program undoes the transaction: the halves are tried one after the other,
        down to the row that it is. Raises LedgerProblem for what ends the import.
        """
        if not items:
            return Recording()
        try:
            return self._batches.record(items)
        except (LedgerProblem, OSError, MemoryError):
            raise
        except Exception as error:
            if len(items) == 1:
                return Recording(refused={0: Refusal(unexpected(error), False)})
        middle = len(items) // 2
        recording = self._record(items[:middle])
        if not (self._keep and recording.refused):
            recording.follow(self._record(items[middle:]), middle)
        return recording


def _of_known_exams(batch: list[Item], fault_of: Callable[[str], str | None]) -> list[Item]:
    """Return a batch with a problem in each row of an exam that is not known, nor in it."""
    announced: set[str | None] = {None}
    checked = []
    for item in batch:
        announced.update(row.exam for row in item.rows if row.topic == ExamAnnounced.topic)
        exam = item.rows[0].exam if item.rows else None
        fault = None if exam is None or exam in announced else fault_of(exam)
        checked.append(item if fault is None else item._replace(problem=fault, rows=()))
    return checked


def _backfilled(item: Item) -> Item:
    """Return an item whose rows have the mark of a migration."""
    rows = [row._replace(extensions=backfilled(row.extensions)) for row in item.rows]
    return item._replace(rows=rows)
