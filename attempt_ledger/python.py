"""The front door for Python programs: `import attempt_ledger as al`. docs/python.md shows it."""

from __future__ import annotations

import logging
import os
import time as stopwatch
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal, get_args

from attempt_ledger import arguments
from attempt_ledger import clock as real
from attempt_ledger.access import Access
from attempt_ledger.answers import Public, Standing
from attempt_ledger.checks import Gathered, KnownExams, fault_of
from attempt_ledger.desks import Authorizations, Exceptions
from attempt_ledger.facts import Event
from attempt_ledger.moments import When, known, micros
from attempt_ledger.places import cache_folder, keys_address, ledger_address
from attempt_ledger.snapshot import (
    Report,
    Snapshot,
    period_of,
    report_of,
)
from ledger.events import OWN_SOURCES
from ledger.facts import Fact
from ledger.fields import uri_fault
from ledger.intake.importer import import_file
from ledger.intake.mapping import NO_MAP, read_map
from ledger.intake.reading import Format, Options, Reading
from ledger.intake.report import Report as ImportReport
from ledger.intake.results import CsvSettings
from ledger.ledger import Ledger as Store
from ledger.models import PolicyPublished
from ledger.outcomes import Outcome
from ledger.problems import LedgerProblem
from ledger.store.locks import PATIENCE
from ledger.store.server import Address
from projections.standing import Moment
from replay import snapshot as core
from replay.publishing import effects_of
from retake_policies.zones import load_zone

_LOG = logging.getLogger("attempt_ledger")


def open(
    ledger: str | os.PathLike[str],
    *,
    write: bool = False,
    clock: Callable[[], datetime] | None = None,
    source: str | None = None,
    actor: str | None = None,
    keys: str | os.PathLike[str] | None = None,
    signing_key: str | os.PathLike[str] | None = None,
    wait: float = PATIENCE,
) -> Ledger:
    """Open a ledger, by the path of its file or by its URL; close it, or use it in a `with`.

    It is read-only unless `write`. `clock` says what the time is, else the machine's clock does.
    `source` and `actor` are those of facts that name none. `keys` are those of personal
    fields, a file or the URL of a server, and `signing_key` is the key that signs checkpoints, by
    default beside the ledger. `wait` is how many seconds to wait for another program that is
    writing.

    Raises LedgerProblem, or ValueError for a URL that is none of a ledger, or of keys.
    """
    of_keys, signer = (
        arguments.path_or_none("keys", keys),
        arguments.path_or_none("signing_key", signing_key),
    )
    access = Access(
        ledger_address(arguments.path("ledger", ledger)),
        None if of_keys is None else keys_address(of_keys),
        None if signer is None else Path(signer),
        arguments.seconds("wait", wait),
        say=_LOG.warning,
        clock=real.now if clock is None else _told_by(arguments.function("clock", clock)),
    )
    feed = arguments.text_or_none("source", source)
    if feed is not None and (fault := uri_fault(feed)):
        raise ValueError(f"source {fault}")
    return Ledger(
        access, arguments.flag("write", write), feed, arguments.text_or_none("actor", actor)
    )


def _told_by(clock: Callable[[], datetime]) -> Callable[[], int]:
    return lambda: micros(clock(), "clock")


class Ledger(Public):
    """An open ledger. Made by `open`; may be shared by threads, not across a fork."""

    def __init__(self, access: Access, write: bool, source: str | None, actor: str | None) -> None:
        """Use `attempt_ledger.open`."""
        self._access = access
        self._write = write
        self._source = source
        self._actor = actor
        self._stack = ExitStack()
        self._store = self._stack.enter_context(access.open(to_write=write))
        self._any: core.Snapshot | None = None

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(type, value, traceback)

    def __repr__(self) -> str:
        return f"<Ledger {self.path}, {'to write' if self._write else 'read-only'}>"

    def close(self) -> None:
        """Close it; what was appended is on the disk without that."""
        self._stack.close()

    @property
    def path(self) -> Address:
        """The ledger's file; or, as a path, the home of one in a database."""
        return self._store.path

    @property
    def position(self) -> int:
        """The last position, 0 in an empty ledger."""
        return self._store.head().position

    # -- asking

    def at(self, as_of: When | None = None, known_at: When | None = None) -> Snapshot:
        """Return the ledger at one moment, which answers any number of questions.

        `as_of` is the instant whose truth is asked about, by default now. `known_at` leaves out
        what was recorded later: an instant, or a position such as ``"@42"``; by default nothing is
        left out. Raises UnansweredMoment for a moment whose answer could still change.
        """
        now = self._access.clock()
        at = now if as_of is None else micros(as_of, "as_of")
        return Snapshot(self._bound(at, known(known_at), now))

    def standing(
        self,
        candidate: str,
        exam: str,
        *,
        as_of: When | None = None,
        known_at: When | None = None,
    ) -> Standing:
        """Return whether a candidate may sit an exam, why not and from when."""
        return self.at(as_of, known_at).standing(candidate, exam)

    def report(
        self,
        name: str,
        *,
        month: str | None = None,
        start: When | None = None,
        end: When | None = None,
        exam: str | None = None,
        as_published: bool = False,
    ) -> Report:
        """Return a report of a period, at the moment that belongs to it.

        `month` is such as ``"2021-03"``; else `start` is inclusive and `end` exclusive. The truth
        is that of the period's end, or of now if that is earlier. With `as_published` only what was
        recorded by the period's end is used, so that it is the report that was made then; else all
        that is recorded now.
        """
        start_at, end_at = period_of(month, start, end)
        now = self._access.clock()
        if arguments.flag("as_published", as_published) and end_at is None:
            raise ValueError("as_published: when? Give a month, or the end of the period")
        wanted = core.Known(instant=end_at) if as_published else core.HEAD
        bound = self._bound(now if end_at is None else min(end_at, now), wanted, now)
        basis: Literal["as-published", "restated"] = "as-published" if as_published else "restated"
        return report_of(bound, name, (start_at, end_at), exam, basis)

    def events(self, after: int = 0, upto: int | None = None) -> Iterator[Event]:
        """Yield every event after one position and up to another, by default the last."""
        last = self.position if upto is None else arguments.position("upto", upto)
        return map(Event.of, self._store.read(arguments.position("after", after), last))

    def follow(
        self,
        after: int = 0,
        *,
        interval: float = 0.05,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Event]:
        """Yield every event after a position, and then new ones as they come, until `stop()`.

        Save the position of the last one that is dealt with, to go on after it. Looks for new ones
        every `interval` seconds. Raises LedgerProblem for a position that is not reached: what
        comes up to it would be missed.
        """
        head = self.position
        if arguments.position("after", after) > head:
            raise LedgerProblem(
                f"after {after} lies beyond the last position of {self.path}, {head}: it was "
                "remembered of another ledger, or of one that has been put back to an earlier day"
            )
        batches = self._store.follow(
            after,
            interval=arguments.seconds("interval", interval),
            stop=(lambda: False) if stop is None else arguments.function("stop", stop),
        )
        return (Event.of(row) for batch in batches for row in batch)

    # -- writing

    def append(self, facts: Iterable[Fact], *, change_past: bool = False) -> list[Outcome]:
        """Append facts in one durable transaction; return what became of each, in order.

        Appended and Duplicate have a `position`; Conflict (another fact has its source and id) and
        Refused have a `problem`, and leave the others standing. A retry is a Duplicate. What is
        appended is sealed before this returns. Raises LedgerProblem, and then took none: for a
        policy that changes answers about the past too, unless `change_past` allows it.
        """
        store = self._writable()
        arguments.flag("change_past", change_past)
        if isinstance(facts, Fact):  # a tuple, too
            raise TypeError("facts should be a list of facts, not one: append([fact])")
        named = [self._named(fact) for fact in arguments.several("facts", facts)]
        texts = [
            (each.subject, each.event.toml)
            for each in named
            if isinstance(each.event, PolicyPublished)
        ]
        if texts and not change_past:
            now = self._access.clock()
            past = effects_of(self._bound(now, core.HEAD, now), texts).past
            if past is not None:
                raise LedgerProblem(f"nothing was published: {past}; change_past=True allows it")
        outcomes = store.append(named)
        self._access.seal_after(store)
        return outcomes

    def import_file(
        self,
        path: str | os.PathLike[str],
        *,
        format: Format = "auto",
        map: str | os.PathLike[str] | None = None,
        zone: str | None = None,
        corrections: bool = False,
        ignore_extra: bool = False,
        keep_recorded_at: bool = False,
        backfill: bool = False,
        again: bool = False,
        known_exams_only: bool = False,
        rejects: str | os.PathLike[str] | None = None,
    ) -> ImportReport:
        """Import results or CloudEvents lines, as `attempt-ledger import` does.

        `map` is a file that says what the columns and words of a vendor's file mean; `backfill`
        marks what is recorded as moved in by a migration, which is not late; `again` records what
        was annulled and comes again; `known_exams_only` refuses rows of exams nobody announced.
        Return what it came to: counts, and the file that keeps refused rows, each with its problem.
        Importing it again is safe. Raises LedgerProblem for what cannot be imported at all.
        """
        named = arguments.path("path", path)
        if arguments.flag("backfill", backfill) and keep_recorded_at:
            raise ValueError("backfill goes without keep_recorded_at")
        if arguments.flag("again", again) and keep_recorded_at:
            raise ValueError("again goes without keep_recorded_at: a history keeps its ids")
        known = arguments.flag("known_exams_only", known_exams_only)
        of_map, refused = (
            arguments.path_or_none(name, value)
            for name, value in (("map", map), ("rejects", rejects))
        )
        zone = arguments.text_or_none("zone", zone)
        store = self._writable()
        settings = CsvSettings(
            zone=None if zone is None else load_zone(zone),
            ignore_extra=arguments.flag("ignore_extra", ignore_extra),
            actor=None if keep_recorded_at else self._actor,
            map=NO_MAP if of_map is None else read_map(of_map, load_zone),
            as_recorded=keep_recorded_at,
        )
        if self._source is not None:
            settings = replace(settings, source=self._source)
        options = Options(
            format=arguments.one_of("format", format, get_args(Format)),
            csv=settings,
            corrections=arguments.flag("corrections", corrections),
            keep_recorded_at=arguments.flag("keep_recorded_at", keep_recorded_at),
            backfill=backfill,
            again=again,
            check=fault_of,
            exam_fault=KnownExams(store).fault_of if known else None,
            rejects=None if refused is None else Path(refused),
        )
        gathered = Gathered(after=store.head().position)
        with Reading.open(named, options) as reading:
            report = import_file(store, reading, stopwatch=stopwatch.monotonic)
        gathered.add(report)
        report.notes += gathered.sentences(store, self._access.clock())
        self._access.seal_after(store)
        return report

    @property
    def exceptions(self) -> Exceptions:
        """The exceptions desk of this ledger."""
        return Exceptions(self)

    @property
    def authorizations(self) -> Authorizations:
        """Authorizations to sit, granted, withdrawn and listed."""
        return Authorizations(self)

    # -- inside

    def _bound(self, as_of: int, wanted: core.Known, now: int) -> core.Snapshot:
        if self._any is None:
            engine = core.Engine(
                cache=cache_folder(_LOG.info), workers=os.cpu_count() or 1, say=_LOG.info
            )
            self._any = core.Snapshot(self._store, Moment(0, None, 0), engine)
        return self._any.bind(as_of, wanted, now=now)

    def _named(self, fact: object) -> Fact:
        """Return a fact with this ledger's source and actor where it names none."""
        if not isinstance(fact, Fact):
            raise TypeError(f"a fact is made by such as ExamAttempted(…), not {fact!r}")
        source = fact.source or self._source
        if source is None:
            raise ValueError(
                f"{fact.event.type} {fact.id} names no source: give it one, or open(…, source=)"
            )
        if source.startswith(OWN_SOURCES):
            raise ValueError(f"source {source!r} is this program's own: give the fact another")
        if (fault := fault_of(fact)) is not None:
            raise ValueError(fault)
        return fact._replace(source=source, actor=fact.actor or self._actor)

    def _writable(self) -> Store:
        if not self._write:
            raise LedgerProblem(f"{self.path} was opened to read: open(…, write=True) writes")
        return self._store
