"""The ledger: append facts, read them back, follow what comes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper
from eventsourcing.utils import Environment, EnvType

from ledger.appending import Appended, Appending, Conflict, Duplicate, Outcome, Refused
from ledger.events import Fact, Recorded, Row
from ledger.privacy.vault import KEY_FILE, Vault
from ledger.problems import MalformedFact, NotALedger
from ledger.store.file import check_file, create_file, storage_problems
from ledger.store.locks import PRIVATE, USUALLY, Waiting
from ledger.store.mapper import RowMapper
from ledger.store.sqlite import FORGOTTEN, SQLiteLedgerRecorder
from ledger.upcast import UPCASTS, Upcasts

__all__ = [
    "Appended",
    "Conflict",
    "Duplicate",
    "Found",
    "Head",
    "Ledger",
    "Outcome",
    "Refused",
]

Clock: TypeAlias = Callable[[], int]
"""Tells the present instant, in microseconds."""

RECORDER_TOPIC = f"{SQLiteLedgerRecorder.__module__}:{SQLiteLedgerRecorder.__qualname__}"

_Place = TypeVar("_Place", int, str)

_CHUNK = 4096
_CATALOGUE = ("certification", "exam", "policy")


class Head(NamedTuple):
    """The last position and its recorded_at, (0, 0) in an empty ledger."""

    position: int
    recorded_at: int


class Found(NamedTuple):
    """A candidate found by `Ledger.search`, and by what."""

    candidate: str
    by: str
    """``candidate``, ``registration_id`` or ``request_id``."""
    value: str


class Ledger(Application[str]):
    """The append-only record of what happened, in one file.

    Made with `create` or `open`, closed with `close` or as a context manager. May be shared by
    threads, not across a fork. Whatever goes wrong with the file is a LedgerProblem: one sentence,
    and nothing was changed.
    """

    recorder: SQLiteLedgerRecorder

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        keys: str | os.PathLike[str] | None = None,
        read_only: bool = False,
        upcasts: Upcasts = UPCASTS,
        waiting: Waiting = USUALLY,
    ) -> None:
        """Use `open` or `create`: this one looks at nothing."""
        # What lies beside the ledger (lock, keys) must be the same by whatever name it is opened.
        self.path = Path(os.path.realpath(path))
        super().__init__({SQLITE_DBNAME: str(self.path)})
        self.recorder.read_only = read_only
        self.recorder.waiting = waiting
        self.vault = Vault(
            Path(f"{self.path}.keys") if keys is None else Path(keys),
            lambda: self.about(KEY_FILE),
            self.is_forgotten,
        )
        self._clock = clock
        self._upcasts = upcasts

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        keys: str | os.PathLike[str] | None = None,
        upcasts: Upcasts = UPCASTS,
        first: Sequence[Fact] = (),
        mode: int = PRIVATE,
        waiting: Waiting = USUALLY,
    ) -> Ledger:
        """Make a ledger and open it; raises LedgerProblem if something is there already.

        It is empty, or holds the facts that are `first`: with all of them, or it is not there.
        The file gets the `mode` whatever the umask; other accounts open it only if it says so.
        """
        place = Path(os.path.realpath(path))

        def begin(draft: Path) -> None:
            own = f"{place}.keys" if keys is None else keys
            with cls(draft, clock=clock, keys=own, upcasts=upcasts) as ledger:
                ledger.append(first)

        create_file(place, begin if first else None, mode=mode)
        return cls(path, clock=clock, keys=keys, upcasts=upcasts, waiting=waiting)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        keys: str | os.PathLike[str] | None = None,
        read_only: bool = False,
        upcasts: Upcasts = UPCASTS,
        waiting: Waiting = USUALLY,
    ) -> Ledger:
        """Open a ledger; raises NoLedger, NotALedger or NewerSchema.

        `keys` is the key file, by default ``<path>.keys``; it is touched only when a personal field
        is sealed, compared or revealed. The file need not be writable unless something is appended.
        `waiting` says how long an append waits for others that write, and whom to tell.
        """
        check_file(Path(os.path.realpath(path)))
        return cls(
            path, clock=clock, keys=keys, read_only=read_only, upcasts=upcasts, waiting=waiting
        )

    def append(
        self, facts: Sequence[Fact | Row], *, keep_recorded_at: bool = False
    ) -> list[Outcome]:
        """Append facts in one durable transaction; return what became of each, in order.

        What is new is on the disk when this returns, at the next positions without a gap, all with
        one recorded_at: max(clock, the last + 1 µs). A Refused or Conflict among them leaves the
        others standing. Personal fields that are plain text are sealed first.

        With `keep_recorded_at` (history is being moved in) each new fact keeps the recorded_at it
        came with, which must not fall, nor lie before the ledger's last or after now. Then the
        outcomes end with the first Refused or Conflict: of the facts after it none was taken.

        Raises LedgerProblem when the store cannot take them (KeyFileProblem when a key is needed
        and its file is not there): then none was taken.
        """
        if not facts:
            return []
        rows = _laid_out(facts, as_recorded=keep_recorded_at)
        with self.appending() as appending:
            if keep_recorded_at:
                kept = [getattr(fact, "recorded_at", None) for fact in facts]
                return appending.take_kept(rows, kept)
            return appending.take(rows)

    @contextmanager
    def appending(self) -> Iterator[Appending]:
        """Hold one append transaction open: for intake, which takes or refuses rows as a whole.

        Commits durably at the end; rolls back if the body raises, so that nothing was changed.
        Meanwhile nobody else can append. Raises LedgerProblem as `append` does.
        """
        with self.recorder.writing() as writing, self.vault.keyring(writing) as keyring:
            yield Appending(writing, keyring, self._clock(), upcasts=self._upcasts)

    def head(self) -> Head:
        """Return the last position and its recorded_at; (0, 0) when the ledger is empty."""
        return Head(*self.recorder.head())

    def position_at(self, known_at: int) -> int:
        """Return the last position with recorded_at ≤ `known_at` (microseconds), 0 if none."""
        high, recorded_at = self.recorder.head()
        if recorded_at <= known_at:
            return high
        low = 0  # recorded_at never falls as position rises: low is known by then, high is not
        while high - low > 1:
            middle = (low + high) // 2
            ((recorded_at,),) = self.recorder.values(
                "SELECT recorded_at FROM events WHERE position = ?", (middle,)
            )
            low, high = (middle, high) if recorded_at <= known_at else (low, middle)
        return low

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream (``candidate/C-1``) up to a position, by position.

        With `exam` those of other exams are left out; what is of no exam stays.
        """
        if exam is not None:
            return self.recorder.rows(
                "WHERE stream = ? AND (exam = ? OR exam IS NULL) AND position <= ? "
                "ORDER BY position",
                (stream, exam, _LAST if upto is None else upto),
            )
        if upto is None:
            return self.recorder.rows("WHERE stream = ? ORDER BY position", (stream,))
        return self.recorder.rows(
            "WHERE stream = ? AND position <= ? ORDER BY position", (stream, upto)
        )

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield every event after one position and up to another, in flat memory.

        Without `upto` it ends at the head as it was when the first was read.
        """
        last = self.recorder.head()[0] if upto is None else upto
        while after < last:
            rows = self.recorder.rows(
                "WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
                (after, last, _CHUNK),
            )
            if not rows:
                return
            yield from rows
            after = self._risen(after, rows[-1].position)

    def catalogue(self, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """Return every event about exams, certifications and policies, annulments too."""
        last = _LAST if upto is None else upto
        rows = [
            row
            for kind in _CATALOGUE
            for row in self.recorder.rows(
                "WHERE stream >= ? AND stream < ? AND +position > ? AND +position <= ?",
                (*_between(kind), after, last),
            )
        ]
        return sorted(rows)

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, or None."""
        rows = self.recorder.rows("WHERE source = ? AND id = ?", (source, id))
        return rows[0] if rows else None

    def keys_at(self, positions: Sequence[int]) -> list[str | None]:
        """Return the key (registration, request or certification) of the event at each position."""
        found: dict[int, str | None] = {}
        for start in range(0, len(positions), _CHUNK):
            some = positions[start : start + _CHUNK]
            found.update(
                self.recorder.values(
                    "SELECT position, key FROM events WHERE position IN "
                    f"({','.join('?' * len(some))})",
                    some,
                )
            )
        return [found.get(position) for position in positions]

    def candidates(self, upto: int | None = None) -> Iterator[str]:
        """Yield every candidate id once, sorted by code point; those known by `upto` alone."""
        last, end = _between("candidate")
        while streams := self.recorder.values(
            "SELECT stream, min(position) FROM events WHERE stream > ? AND stream < ? "
            "GROUP BY stream ORDER BY stream LIMIT ?",
            (last, end, _CHUNK),
        ):
            for stream, first in streams:
                if upto is None or first <= upto:
                    yield stream[len("candidate/") :]
            last = self._risen(last, streams[-1][0])

    def is_forgotten(self, candidate: str) -> bool:
        """Return whether the candidate's data was erased: no annulment brings it back."""
        selected = f"SELECT 1 FROM events WHERE {FORGOTTEN}"
        return bool(self.recorder.values(selected, (f"candidate/{candidate}",)))

    def search(self, text: str, limit: int = 20) -> list[Found]:
        """Return candidates whose id, a registration id or a request id begins with `text`.

        At most `limit`; by candidate id first, then by the others, each sorted by code point.
        """
        low = f"candidate/{text}"
        found = {
            Found(stream[len("candidate/") :], "candidate", stream[len("candidate/") :]): None
            for (stream,) in self.recorder.values(
                "SELECT DISTINCT stream FROM events WHERE stream >= ? AND stream < ? "
                "ORDER BY stream LIMIT ?",
                (low, f"{low}{_TOP}", limit),
            )
        }
        # Ids of certifications are keys too, so the limit is put on what is left without them.
        for stream, key, is_request in self.recorder.values(
            "SELECT DISTINCT stream, key, topic LIKE 'Exception%' FROM events "
            "WHERE key >= ? AND key < ? AND topic NOT LIKE 'Cert%' ORDER BY key, stream LIMIT ?",
            (text, f"{text}{_TOP}", limit),
        ):
            by = "request_id" if is_request else "registration_id"
            found[Found(stream.partition("/")[2], by, key)] = None
        return list(found)[:limit]

    def follow(
        self, after: int, *, interval: float = 0.05, stop: Callable[[], bool]
    ) -> Iterator[list[Recorded]]:
        """Yield events after a position in batches, as they come, until `stop` says so.

        Looks every `interval` seconds whether anyone has written, which reads no table and no file.
        `stop` is asked before each look.
        """
        connection = self.recorder.new_reader()
        try:
            seen = None
            while not stop():
                with storage_problems(self.path):
                    (version,) = connection.execute("PRAGMA data_version").fetchone()
                if version == seen:
                    time.sleep(interval)
                    continue
                while not stop() and (
                    rows := self.recorder.rows(
                        "WHERE position > ? ORDER BY position LIMIT ?", (after, _CHUNK)
                    )
                ):
                    yield rows
                    after = self._risen(after, rows[-1].position)
                seen = version
        finally:
            self.recorder.close_reader(connection)

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers of itself: ``ledger`` is its id."""
        values = self.recorder.values("SELECT value FROM about WHERE name = ?", (name,))
        return str(values[0][0]) if values else None

    def close(self) -> None:
        """Close the file. What was appended is durable without it."""
        super().close()
        self.vault.close()
        self.recorder.close()

    def _risen(self, before: _Place, last: _Place) -> _Place:
        """Return where reading goes on, which lies further on unless pages are in disorder."""
        if last > before:
            return last
        raise NotALedger(f"{self.path} is damaged: its pages are in disorder; `doctor` says more")

    # -- how `eventsourcing` is set up

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Settle every setting here: no stray environment variable may change what is stored."""
        return Environment(
            name,
            {
                **(env or {}),
                "PERSISTENCE_MODULE": "eventsourcing.sqlite",
                "APPLICATION_RECORDER_TOPIC": RECORDER_TOPIC,
                "ORIGINATOR_ID_TYPE": "text",
                "CREATE_TABLE": "no",
            },
        )

    def construct_mapper(self) -> Mapper[str]:
        """Return our own mapper."""
        return RowMapper()

    def construct_recorder(self) -> ApplicationRecorder:
        """Return the recorder that APPLICATION_RECORDER_TOPIC names."""
        return self.factory.application_recorder()


SQLITE_DBNAME = "SQLITE_DBNAME"
_LAST = 1 << 62
_TOP = chr(0x10FFFF)


def _between(kind: str) -> tuple[str, str]:
    return f"{kind}/", f"{kind}0"  # "0" comes right after "/"


def _laid_out(facts: Sequence[Fact | Row], as_recorded: bool) -> list[Row | Refused]:
    return [fact if type(fact) is Row else _row(fact, as_recorded) for fact in facts]  # type: ignore[arg-type]


def _row(fact: Fact, as_recorded: bool) -> Row | Refused:
    try:
        return fact.row(as_recorded=as_recorded)
    except MalformedFact as problem:
        return Refused(str(problem))
