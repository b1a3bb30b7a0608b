"""The ledger: append facts, read them back, follow what comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from eventsourcing.application import Application
from eventsourcing.persistence import InfrastructureFactory, Mapper, TrackingRecorder
from eventsourcing.utils import Environment, EnvType

from ledger.events import OWN_SOURCES, Outline, Recorded, Row
from ledger.problems import LedgerProblem, ReadOnly
from ledger.store.file import create_file
from ledger.store.interface import Found, Head, Store, Writing
from ledger.store.locks import PRIVATE, USUALLY, Waiting
from ledger.store.recorder import EVERY_SECONDS, Factory, RowMapper, StoreRecorder
from ledger.store.server import Address, Role, Server
from ledger.store.stores import create_schema, open_store
from ledger.upcasts import UPCASTS, Upcasts

if TYPE_CHECKING:
    from ledger.appending import Appending
    from ledger.facts import Fact
    from ledger.outcomes import Outcome, Refused
    from ledger.privacy.vault import Vault
    from ledger.store.scans import Scans

Clock: TypeAlias = Callable[[], int]
"""Tells the present instant, in microseconds."""

Keys: TypeAlias = str | os.PathLike[str] | Server | None
"""Where the keys of personal fields are; None: the ledger's own name with ``.keys``."""

PLACE = "SQLITE_DBNAME"
"""What names the ledger's file in an environment, as in any application of `eventsourcing`."""

_LAST = 1 << 62
"""No position comes near: a larger number is a mistake of whoever names it."""
_SOURCES = 20  # which are looked at: the program's own are four
_CATALOGUE = ("certification", "exam", "policy")


class Ledger(Application[str]):
    """The append-only record of what happened.

    Made with `create` or `open`, closed with `close` or as a context manager. May be shared by
    threads, not across a fork. Whatever goes wrong with its store is a LedgerProblem: one sentence,
    and nothing was changed.
    """

    recorder: StoreRecorder

    def __init__(
        self,
        env: EnvType | None = None,
        *,
        server: Server | None = None,
        clock: Clock | None = None,
        keys: Keys = None,
        read_only: bool = False,
        upcasts: Upcasts = UPCASTS,
        waiting: Waiting = USUALLY,
    ) -> None:
        """Open the ledger that an environment names, as `eventsourcing` opens an application.

        Or the one on a `server`, whatever that says. Of the environment PLACE alone is looked at,
        with the application's name before it or without: nothing else in it changes what is stored.
        Without a clock the ledger is read only. Raises LedgerProblem.
        """
        self._read_only = read_only or clock is None
        self._waiting = waiting
        self._server = server
        super().__init__(env)
        self._keys = _keys_of(self.path, keys)
        self.clock: Clock = clock or _no_clock
        self._upcasts = upcasts

    @classmethod
    def create(
        cls,
        path: str | Address,
        *,
        clock: Clock,
        keys: Keys = None,
        upcasts: Upcasts = UPCASTS,
        first: Sequence[Fact] = (),
        mode: int = PRIVATE,
        roles: Iterable[tuple[str, Role]] = (),
        waiting: Waiting = USUALLY,
    ) -> Ledger:
        """Make a ledger and open it; raises LedgerProblem if something is there already.

        It is empty, or holds the facts that are `first`: with all of them, or it is not there.
        A file gets the `mode` whatever the umask; other accounts open it only if it says so. On a
        server `roles`, each a name and what it may do, are let in.
        """
        place = Path(os.path.realpath(path))
        own = _keys_of(place, keys)

        def begin(draft: Path) -> None:
            with cls.open(draft, clock=clock, keys=own, upcasts=upcasts) as ledger:
                ledger.append(first)

        def write(writing: Writing) -> None:
            _rules().append_first(writing, own, first, clock(), upcasts=upcasts)

        if isinstance(path, Server):
            create_schema(path, write, roles=roles)
        else:
            create_file(place, begin if first else None, mode=mode)
        return cls.open(path, clock=clock, keys=keys, upcasts=upcasts, waiting=waiting)

    @classmethod
    def open(
        cls,
        path: str | Address,
        *,
        clock: Clock,
        keys: Keys = None,
        read_only: bool = False,
        upcasts: Upcasts = UPCASTS,
        waiting: Waiting = USUALLY,
    ) -> Ledger:
        """Open a ledger; raises NoLedger, NotALedger or NewerSchema.

        `keys` is the key file, by default ``<path>.keys``, or a key store on a server. It is
        touched only when a personal field is encrypted, compared or revealed. The ledger's file
        need not be writable unless something is appended.
        `waiting` says how long an append waits for others that write, and whom to tell.
        """
        return cls(
            {PLACE: os.fspath(path)},
            server=path if isinstance(path, Server) else None,
            clock=clock,
            keys=keys,
            read_only=read_only,
            upcasts=upcasts,
            waiting=waiting,
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
        rules = _rules()
        rows = rules.laid_out(facts, as_recorded=keep_recorded_at)
        if not keep_recorded_at and (first := self.append_new(rows)) is not None:
            return [rules.Appended(first + n) for n in range(len(rows))]
        with self.appending() as appending:
            if keep_recorded_at:
                kept = [getattr(fact, "recorded_at", None) for fact in facts]
                return appending.take_kept(rows, kept)
            return appending.take(rows)

    def append_new(self, rows: Sequence[Row | Refused]) -> int | None:
        """Append rows in one step, durably, where the store knows one; return the first position.

        None, and nothing was changed, where one of them is not new, or needs a look at the ledger
        or at keys. Raises LedgerProblem as `append` does.
        """
        now = self.clock()
        plain = _rules().plain_rows(rows, now) if self.store.works_elsewhere else None
        return None if plain is None else self.store.append_new(plain, now)

    @contextmanager
    def appending(self) -> Iterator[Appending]:
        """Open one append transaction: for intake, which takes or refuses rows as a whole.

        Commits durably at the end; rolls back if the body raises, so that nothing was changed.
        Meanwhile nobody else can append. Raises LedgerProblem as `append` does.
        """
        with self.store.writing() as writing, self.vault.keyring(writing) as keyring:
            yield _rules().Appending(writing, keyring, self.clock(), upcasts=self._upcasts)

    def head(self) -> Head:
        """Return the last position and its recorded_at; (0, 0) when the ledger is empty."""
        return self.store.head()

    def position_at(self, known_at: int) -> int:
        """Return the last position with recorded_at ≤ `known_at` (microseconds), 0 if none."""
        return self.store.position_at(known_at)

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream (``candidate/C-1``) up to a position, by position.

        With `exam` those of other exams are left out; what is of no exam stays.
        """
        return self.store.stream(stream, upto=upto, exam=exam)

    def outlines(self, stream: str, upto: int) -> Sequence[Outline | Recorded]:
        """Return what a standing is made of, of one stream up to a position, by position."""
        return self.store.outlines(stream, upto)

    def last(self, stream: str, upto: int) -> Head:
        """Return where the last event of a stream up to a position stands, and its recorded_at.

        (0, 0) for none.
        """
        return self.store.last(stream, upto)

    def at(self, positions: Sequence[int]) -> dict[int, Recorded]:
        """Return the events at some positions, those that there are."""
        sound = [position for position in positions if 0 < position < _LAST]
        return {row.position: row for row in self.store.at(sound)}

    def event(self, position: int) -> Recorded | None:
        """Return the event at a position, or None."""
        return self.at((position,)).get(position)

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield every event after one position and up to another, in flat memory.

        Without `upto` it ends at the head as it was when the first was read.
        """
        last = self.head().position if upto is None else upto
        while after < last and (rows := self.store.page(after, last)):
            yield from rows
            after = rows[-1].position

    def catalogue(self, after: int = 0, upto: int | None = None) -> list[Recorded]:
        """Return every event about exams, certifications and policies, annulments too."""
        return self.store.kinds(_CATALOGUE, after, upto)

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, or None."""
        return self.store.find(source, id)

    def keys_at(self, positions: Sequence[int]) -> list[str | None]:
        """Return the key (registration, request or certification) of the event at each position."""
        found = self.store.keys_at(positions)
        return [found.get(position) for position in positions]

    def of_several_sources(self, keys: Sequence[str]) -> list[tuple[str, str]]:
        """Return (candidate, exam) of each registration that more than one source speaks of."""
        found = self.store.of_several_sources(keys)
        return [(stream.partition("/")[2], exam) for stream, exam in found]

    def of_topics(self, keys: Sequence[str], topics: Sequence[str]) -> list[tuple[str, str]]:
        """Return (candidate, exam) of each registration that an event of some topics names."""
        found = self.store.of_topics(keys, topics)
        return [(stream.partition("/")[2], exam) for stream, exam in found]

    def has_several_sources(self) -> bool:
        """Return whether more than one source, beside this program, may speak of sittings."""
        others = {
            source
            for source in self.sources()
            if not source.startswith(OWN_SOURCES) or source.endswith(":cli")
        }
        return len(others) > 1

    def sources(self) -> Collection[str]:
        """Return the sources of events, as many as tell whether there are several."""
        return self.store.sources(_SOURCES)

    def candidates(self, upto: int | None = None) -> Iterator[str]:
        """Yield every candidate id once, sorted by code point; those known by `upto` alone."""
        last = ""
        while found := self.store.subjects("candidate", last):
            for candidate, first in found:
                if upto is None or first <= upto:
                    yield candidate
            last = found[-1][0]

    def is_forgotten(self, candidate: str) -> bool:
        """Return whether the candidate's data was erased: no annulment brings it back."""
        return self.store.is_forgotten(f"candidate/{candidate}")

    def forgotten(self) -> frozenset[str]:
        """Return every candidate whose data was erased. Looks at every event."""
        return frozenset(stream.partition("/")[2] for stream in self.store.forgotten())

    def search(self, text: str, limit: int = 20) -> list[Found]:
        """Return candidates whose id, a registration id or a request id begins with `text`.

        At most `limit`; by candidate id first, then by the others, each sorted by code point.
        """
        return self.store.search(text, limit)

    def follow(
        self, after: int, *, interval: float = EVERY_SECONDS, stop: Callable[[], bool]
    ) -> Iterator[list[Recorded]]:
        """Yield events after a position in batches, as they come, until `stop` says so.

        Looks every `interval` seconds whether anyone has written, which reads no event. `stop` is
        called before each look.
        """
        return self.recorder.follow(after, interval=interval, stop=stop)

    @cached_property
    def vault(self) -> Vault:
        """Its personal fields, read with the keys beside it."""
        # Here, since hardly any who read meet one: as long to import as a question takes.
        from ledger.privacy.vault import KEY_FILE, Vault

        return Vault(self._keys, lambda: self.about(KEY_FILE), self.is_forgotten)

    @cached_property
    def scans(self) -> Scans:
        """The events as Arrow."""
        return self.store.scans()

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers of itself: ``ledger`` is its id."""
        return self.store.about(name)

    def close(self) -> None:
        """Close it. What was appended is durable without it."""
        super().close()
        if "vault" in vars(self):
            self.vault.close()
        self.store.close()

    # -- how `eventsourcing` sets it up

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Settle every setting here: no stray environment variable may change what is stored."""
        place = Environment(name, {**type(self).env, **(env or {})}).get(PLACE)
        if not place:
            raise LedgerProblem(f"no ledger is named: {PLACE} in the environment names its file")
        # What lies beside the ledger (lock, keys) must be the same by whatever name it is opened.
        file = os.path.realpath(place)
        self.path: Address = self._server or Path(file)
        return Environment(name, {PLACE: file})

    def construct_factory(self, env: Environment) -> InfrastructureFactory[TrackingRecorder]:
        """Return a factory that makes nothing else in the ledger's file."""
        return Factory(env)

    def construct_mapper(self) -> Mapper[str]:
        """Return our own mapper."""
        return RowMapper()

    def construct_recorder(self) -> StoreRecorder:
        """Open the store, and return what answers for it."""
        self.store = self.construct_store()
        return StoreRecorder(self.store)

    def construct_store(self) -> Store:
        """Open what keeps the events; raises NoLedger, NotALedger or NewerSchema."""
        store = open_store(self.path, read_only=self._read_only, waiting=self._waiting)
        self.path = store.address
        return store


def _keys_of(ledger: Address, keys: Keys) -> Address:
    if keys is None:
        return Path(f"{os.fspath(ledger)}.keys")
    return keys if isinstance(keys, Server) else Path(keys)


def _no_clock() -> int:
    raise ReadOnly("this ledger was opened without a clock: it is read only")


@cache
def _rules() -> ModuleType:
    """Return `ledger.appending`: what may go in, with the models of all events and their keys."""
    # Here, since whoever only reads would pay as much for them as for the answer.
    from ledger import appending

    return appending
