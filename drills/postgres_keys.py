"""A key store on a server whose power is cut, under a ledger elsewhere that needs its keys.

What must hold: the key of a written event is never lost, and a key that was destroyed never comes
back. The ledger is a file: on one server one log would put both in order by itself.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from unittest.mock import patch

from attempt_ledger import clock
from drills.forgetful import ForgetfulServer
from drills.report import Finding
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.instants import SECOND
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten, ExceptionRequested
from ledger.privacy.erasure import forget
from ledger.privacy.key_server import KeyServer, create_key_store
from ledger.problems import LedgerProblem
from ledger.store.locks import Waiting
from ledger.store.server import KEYS_SCHEMA, read_server

WRITERS = 4
_MOST_EVENTS, _MOST_SECONDS = 40, 4.0
_DELAY_US = 2_000
_LOOK = 0.005
_BEGIN = 1_600_000_000 * SECOND
_FORGETTING: Final = 0.3


def cut_keys(
    what: str,
    version: int,
    cuts: int,
    seed: int,
    *,
    until_found: bool = False,
    delay_us: int = _DELAY_US,
) -> Finding:
    """Run a key store and its users, and cut its power so many times, or until harm is seen."""
    with (
        ForgetfulServer(version, delay_us=delay_us) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        life = _Life(server, Path(folder), random.Random(seed))
        for _ in range(cuts):
            life.live_and_die()
            if until_found and life.problems:
                break
        return life.finding(what)


@contextmanager
def unflushed() -> Iterator[None]:
    """Commit keys without waiting for the disk: what the drill must find."""
    commit = KeyServer.commit

    def soon(self: KeyServer) -> None:
        self.connection.execute("SET synchronous_commit = off")
        commit(self)

    with patch.object(KeyServer, "commit", soon):
        yield


class _Life:
    """Writers who record personal fields and forget people, and what each was told."""

    def __init__(self, server: ForgetfulServer, folder: Path, dice: random.Random) -> None:
        self.server = server
        self.dice = dice
        self.path = folder / "attempts.ledger"
        self.keys = read_server(server.url(), folder / "homes", KEYS_SCHEMA)
        self.problems: list[str] = []
        self.recorded: set[str] = set()
        """Candidates whose request was acknowledged."""
        self.forgotten: set[str] = set()
        """Those who were forgotten, as was acknowledged."""
        self.undone = self.unanswered = 0
        self._leaving: set[str] = set()  # whom somebody began to forget
        self._gone: set[str] = set()  # whose key was seen to be destroyed
        self._ended = threading.Event()
        create_key_store(self.keys)
        Ledger.create(self.path, clock=clock.now, keys=self.keys).close()
        self._threads = [
            threading.Thread(target=self._guarded, args=(n,), daemon=True) for n in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def live_and_die(self) -> None:
        """Let the server live for a moment, cut its power, start it again, and look."""
        goal = self._told() + self.dice.randint(1, _MOST_EVENTS)
        end = time.monotonic() + _MOST_SECONDS
        while self._told() < goal and time.monotonic() < end:
            time.sleep(_LOOK)
        self.undone += self.server.cut_power()
        self.server.start()
        self._compare()

    def finding(self, what: str) -> Finding:
        """Let everybody end, look once more, and return what all of it came to."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
        self._compare()
        with self._opened() as ledger:
            rows = list(ledger.read())
            unread = [row.subject for row in rows if _is_lost(ledger, row, self._leaving)]
        missing = self.recorded - {row.subject for row in rows}
        said = {row.subject for row in rows if row.type == CandidateForgotten.type}
        if self.forgotten - said:
            self.problems.append(f"{len(self.forgotten - said)} erasures are not in the ledger")
        if not self.forgotten:
            self.problems.append("nobody was forgotten")
        return Finding(
            "postgres",
            f"{what}, {WRITERS} writers",
            self._told(),
            len(missing) + len(unread),
            0,
            tuple(dict.fromkeys(self.problems)),
            f"{len(self.forgotten)} people forgotten, {self.undone} unsynced writes undone, "
            f"{self.unanswered} calls without an answer",
        )

    def _told(self) -> int:
        return len(self.recorded) + len(self.forgotten)

    def _opened(self) -> Ledger:
        return Ledger.open(self.path, clock=clock.now, keys=self.keys, waiting=Waiting(20.0))

    def _compare(self) -> None:
        """See whether each event has its key, and each key that was destroyed is still gone."""
        for _ in range(50):
            with suppress(LedgerProblem), self._opened() as ledger:
                rows = list(ledger.read())
                with ledger.vault.reading() as keys:
                    there = dict(keys.candidates()) if keys else {}
                self._judge(rows, there)
                return
            time.sleep(0.1)
        self.problems.append("the key store did not come back")

    def _judge(self, rows: list[Recorded], there: dict[str, bool]) -> None:
        said = {row.subject for row in rows if row.type == CandidateForgotten.type}
        needed = {row.subject for row in rows} - self._leaving
        if lost := [name for name in needed if not there.get(name)]:
            self.problems.append(f"{len(lost)} candidates whose events need a key have none")
        if back := [name for name in said | self._gone if there.get(name, True)]:
            self.problems.append(f"{len(back)} keys that were destroyed are back")
        self._gone |= {name for name, has_key in there.items() if not has_key}

    def _guarded(self, number: int) -> None:
        try:
            self._write(number)
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")

    def _write(self, number: int) -> None:
        dice, count, known = random.Random(number), 0, list[str]()
        with self._opened() as ledger:
            while not self._ended.is_set():
                try:
                    if known and dice.random() < _FORGETTING:
                        name = known[-1]
                        self._leaving.add(name)
                        forget(ledger, name, reason="drill", actor=None, time=clock.now())
                        known.pop()
                        self.forgotten.add(name)
                    else:
                        name = f"C-{number}-{count}"
                        ledger.append([_request(name)])
                        self.recorded.add(name)
                        known.append(name)
                        count += 1
                except LedgerProblem:
                    self.unanswered += 1
                    time.sleep(0.02)


def _request(candidate: str) -> Fact:
    event = ExceptionRequested(
        request_id=candidate, exam="AZ-104", registration_id="R-1", reason="illness",
        email=f"{candidate}@example.org",
    )  # fmt: skip
    return Fact("urn:drill", candidate, candidate, _BEGIN, event, "drill")


def _is_lost(ledger: Ledger, row: Recorded, leaving: set[str]) -> bool:
    """Return whether a personal field can no longer be read, though nobody was to forget it."""
    if row.type != ExceptionRequested.type or row.subject in leaving:
        return False
    return ledger.vault.reveal(row).get("email") != f"{row.subject}@example.org"
