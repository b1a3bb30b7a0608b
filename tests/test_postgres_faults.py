"""What goes wrong between a program and a server: answers that are lost, late or none at all."""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from ledger_facts import MINIMAL, SetClock, attempted
from postgres import new_server, server

from attempt_ledger.access import Access
from ledger.events import Row
from ledger.facts import Fact
from ledger.intake.importer import import_file
from ledger.intake.reading import Options, Reading
from ledger.ledger import Ledger
from ledger.models import make_event
from ledger.outcomes import Appended, Duplicate
from ledger.problems import LedgerProblem, Locked, ReadOnly
from ledger.store import postgres_pool
from ledger.store.locks import Waiting
from ledger.store.postgres import PostgresStore
from ledger.store.postgres_pool import PatientConnection, Pool, connected
from ledger.store.postgres_schema import quoted
from ledger.store.server import Server, read_server
from ledger.tlog import follower
from ledger.tlog.checkpoint import log_paths, sealed_size

SOCKET = ".s.PGSQL.5432"


class Proxy:
    """Stands between a program and a server, and does something when it sees a COMMIT."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.fault = ""
        """What is done at the next COMMIT: lose the request, lose the answer, or stall it."""
        self.moment = b"COMMIT;"
        """What is in the request at which it is done."""
        self.met = 0
        self.refuses = False
        """Whether it lets nobody in any more."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._open):
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuses:
                client.close()
                continue
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(str(self.target))
            self._open += [client, upstream]
            lost = threading.Event()
            for work in (self._requests, self._answers):
                threading.Thread(target=work, args=(client, upstream, lost), daemon=True).start()

    def _requests(
        self, client: socket.socket, upstream: socket.socket, lost: threading.Event
    ) -> None:
        while data := _received(client):
            if self.moment in data and self.fault:
                fault, self.fault = self.fault, ""
                self.met += 1
                if fault == "request":
                    _end(client, upstream)
                    return
                lost.set()
                if fault == "answer":  # the server commits meanwhile
                    threading.Timer(0.3, _end, (client, upstream)).start()
            try:
                upstream.sendall(data)
            except OSError:
                break
        _end(client, upstream)

    def _answers(
        self, client: socket.socket, upstream: socket.socket, lost: threading.Event
    ) -> None:
        while data := _received(upstream):
            if not lost.is_set():
                try:
                    client.sendall(data)
                except OSError:
                    break


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(1 << 16)
    except OSError:
        return b""


def _end(*ends: socket.socket) -> None:
    for each in ends:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def address(tmp_path: Path) -> Server:
    address = new_server(tmp_path)
    Ledger.create(address, clock=SetClock()).close()
    return address


@pytest.fixture
def proxy(address: Server) -> Iterator[Proxy]:
    made = Proxy(server().folder / SOCKET)
    yield made
    made.close()


def through(proxy: Proxy, address: Server) -> Server:
    url = f"postgresql://exams@127.0.0.1:{proxy.port}/exams?schema={address.schema}"
    return read_server(url, address.home.parents[1])


@pytest.mark.parametrize("moment", [b"COMMIT;", b"commit_"])
@pytest.mark.parametrize("fault", ["answer", "stall"])
def test_a_commit_whose_answer_is_lost_is_asked_after(
    fault: str, moment: bytes, proxy: Proxy, address: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands, is acknowledged, and the ledger goes on; the same again is a duplicate."""
    monkeypatch.setattr(postgres_pool, "COMMIT_SECONDS", 0.5)
    waiting = Waiting(5.0)
    with Ledger.open(through(proxy, address), clock=SetClock(), waiting=waiting) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]
        proxy.fault, proxy.moment = fault, moment
        # A duplicate among them takes a transaction, and others one step.
        before = [attempted(1)] if moment == b"COMMIT;" else []
        outcomes = ledger.append([*before, attempted(2), attempted(3)])
        assert outcomes[len(before) :] == [Appended(2), Appended(3)]
        assert proxy.met == 1
        assert ledger.append([attempted(3), attempted(4)]) == [Duplicate(3), Appended(4)]
        assert ledger.head().position == 4


def test_a_commit_that_never_came_is_none(proxy: Proxy, address: Server) -> None:
    """One sentence, nothing was written, and the same call records it once."""
    waiting = Waiting(5.0)
    with Ledger.open(through(proxy, address), clock=SetClock(), waiting=waiting) as ledger:
        ledger.append([attempted(1)])
        proxy.fault = "request"
        with pytest.raises(LedgerProblem, match="nothing was written"):
            ledger.append([attempted(1), attempted(2)])
        assert ledger.head().position == 1
        proxy.fault, proxy.moment = "request", b"commit_"
        assert ledger.append([attempted(2)]) == [Appended(2)]  # tried again, since it is not there
        assert ledger.append([attempted(2)]) == [Duplicate(2)]


def test_what_cannot_be_asked_is_said_so(proxy: Proxy, address: Server) -> None:
    """Neither that it is recorded, nor that it is not."""
    with Ledger.open(through(proxy, address), clock=SetClock(), waiting=Waiting(1.0)) as ledger:
        ledger.head()
        proxy.fault, proxy.moment = "answer", b"commit_"
        proxy.refuses = True
        with pytest.raises(LedgerProblem, match="nothing will be there twice"):
            ledger.append([attempted(1)])
    with Ledger.open(address, clock=SetClock()) as ledger:
        assert ledger.append([attempted(1)]) == [Duplicate(1)]


def test_a_connection_that_was_lost_while_idle_is_made_anew(address: Server) -> None:
    """For reading and for writing; nobody notices."""
    with Ledger.open(address, clock=SetClock()) as ledger:
        ledger.append([attempted(1)])
        for act in (lambda: ledger.head().position, lambda: ledger.append([attempted(1)])):
            _end_all(address)
            assert act() in (1, [Duplicate(1)])


def _end_all(address: Server) -> None:
    with psycopg.connect(address.conninfo, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'attempt-ledger'"
        )
    time.sleep(0.1)


def test_sealing_asks_over_connections_that_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an append those of the ledger; whoever follows keeps two, and seals again and again.

    One that the server ended meanwhile is made anew.
    """
    made: list[tuple[Pool, PatientConnection]] = []
    make = Pool.open

    def noted(pool: Pool) -> PatientConnection:
        made.append((pool, make(pool)))
        return made[-1][1]

    def others(ledger: Ledger) -> list[PatientConnection]:
        return [each for pool, each in made if pool is not ledger.store.pool]  # type: ignore[attr-defined]

    monkeypatch.setattr(Pool, "open", noted)
    address = new_server(tmp_path)
    access = Access(address, clock=SetClock())
    with access.create():
        pass
    log = log_paths(address)
    made.clear()
    with access.open(to_write=True) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]
    assert (sealed_size(log), others(ledger)) == (1, [])

    rounds = iter(range(2, 5))
    with Ledger.open(address, clock=SetClock()) as ledger:
        made.clear()

        def wait(seconds: float) -> bool:
            assert sealed_size(log) == ledger.head().position
            if (number := next(rounds, None)) is None:
                return True
            if number == 3:
                others(ledger)[-1].close()
            ledger.append([attempted(number)])
            return False

        follower.follow(log, str(ledger.about("ledger")), wait=wait, troubled=pytest.fail)
        assert (sealed_size(log), len(others(ledger))) == (4, 3)


def test_after_a_fork_no_connection_is_shared(address: Server) -> None:
    """A child asks over one of its own."""

    def asks() -> int:
        with connected(ledger.path) as connection:  # type: ignore[arg-type]
            return connection.info.backend_pid

    with Ledger.open(address, clock=SetClock()) as ledger:
        ours = asks()
        assert asks() == ours
        if (child := os.fork()) == 0:
            os._exit(0 if asks() != ours else 1)
        assert os.waitpid(child, 0)[1] == 0


def test_who_listens_is_woken_by_each_append(address: Server) -> None:
    """By the first, by one right after it, by one after a pause, and by the last before the end."""
    with (
        psycopg.connect(address.conninfo, autocommit=True) as other,
        Ledger.open(address, clock=SetClock()) as ledger,
    ):
        other.execute(f"LISTEN {quoted(address.schema)}")
        for number in range(3):
            ledger.append([attempted(number)])
            assert list(other.notifies(timeout=30, stop_after=1))
            time.sleep(number / 2)  # which an idle timer has ended before
        ledger.append([attempted(3)])
        ledger.close()
        assert list(other.notifies(timeout=30, stop_after=1))


def test_who_keeps_the_lock_is_named(address: Server) -> None:
    """After a notice; then nothing was written, and the lock is free again for others."""
    notices: list[str] = []
    s = quoted(address.schema)
    with psycopg.connect(address.conninfo, application_name="somebody") as other:
        other.execute(f"SELECT {s}.begin_append()")
        waiting = Waiting(2.5, notices.append)
        with (
            Ledger.open(address, clock=SetClock(), waiting=waiting) as ledger,
            pytest.raises(Locked, match="gave up after"),
        ):
            ledger.append([attempted(1)])
    assert "somebody" in notices[0]
    with Ledger.open(address, clock=SetClock()) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]


def test_a_pool_is_full_in_one_sentence(address: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that is to be waited, and it works again afterwards."""
    with Ledger.open(address, clock=SetClock(), waiting=Waiting(0.5)) as ledger:
        pool = ledger.store.pool  # type: ignore[attr-defined]
        lent = [pool.connection() for _ in range(postgres_pool.MOST)]
        for each in lent:
            each.__enter__()
        with pytest.raises(Locked, match="all 8 connections of this program are in use"):
            ledger.head()
        for each in lent:
            each.__exit__(None, None, None)
        assert ledger.head().position == 0


def test_a_server_that_is_read_only_is_one_sentence(address: Server) -> None:
    """It is read as ever."""
    url = server().url(schema=address.schema, options="-cdefault_transaction_read_only%3Don")
    one = read_server(url, address.home.parents[1])
    with Ledger.open(one, clock=SetClock()) as ledger:
        assert ledger.head().position == 0
        with pytest.raises(ReadOnly, match="is a standby, or read-only"):
            ledger.append([attempted(1)])


def test_two_clocks_that_jump_make_no_time_fall(address: Server) -> None:
    """Whoever is behind is recorded a microsecond after the last."""
    one, other = SetClock(), SetClock()
    ledgers = [Ledger.open(address, clock=each) for each in (one, other)]
    day = 86_400_000_000
    for n in range(12):
        one.now += (-3 * day, 5 * day, 1)[n % 3]
        other.now += (1, -7 * day, 9 * day)[n % 3]
        ledgers[n % 2].append([attempted(n)._replace(time=0)])
    times = [row.recorded_at for row in ledgers[0].read()]
    assert len(times) == 12
    assert times == sorted(times)
    assert len(set(times)) == 12
    for ledger in ledgers:
        ledger.close()


def test_what_no_index_takes_is_one_sentence(address: Server) -> None:
    """Nothing was written, and the next goes in."""
    long = "".join(f"{n:x}" for n in range(3_000))
    with Ledger.open(address, clock=SetClock()) as ledger:
        with pytest.raises(LedgerProblem, match="cannot keep this"):
            ledger.append([attempted(1)._replace(source=f"urn:{long}")])
        assert ledger.append([attempted(1)]) == [Appended(1)]


def revoked(reason: str) -> Fact:
    """Return an event that is as long as a reason makes it."""
    event = make_event("ResultRevoked", {**MINIMAL["ResultRevoked"], "reason": reason})
    return attempted(1)._replace(event=event)


LARGE = {
    "many": [attempted(n) for n in range(5_000)],
    "long": [revoked("x" * 100_000)],
    "as long as one step may be": [revoked("x" * 7_900)],
    "that, each letter four bytes": [revoked("\N{GRINNING FACE}" * 7_900)],
    "a little longer": [revoked("\N{GRINNING FACE}" * 8_300)],
}


@pytest.mark.parametrize("facts", LARGE.values(), ids=LARGE)
def test_a_large_append_does_not_stall(
    facts: list[Fact], address: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size, over a socket and over TCP: nobody waits for an answer in vain.

    Nor until `COMMIT_SECONDS`, which here is longer than any append of these may take.
    """
    monkeypatch.setattr(postgres_pool, "COMMIT_SECONDS", 40.0)
    began = time.monotonic()
    for way, source in ((address, "urn:socket"), (through(proxy, address), "urn:tcp")):
        with Ledger.open(way, clock=SetClock()) as ledger:
            before = ledger.head().position
            outcomes = ledger.append([fact._replace(source=source) for fact in facts])
            assert outcomes == [Appended(before + n) for n in range(1, len(facts) + 1)]
    assert time.monotonic() - began < 20


def _results(count: int) -> str:
    rows = (
        f"C-{n % 97},AZ-104,R-{n:05d},2021-03-01T09:{n % 60:02d}:00Z,,live,pass,,\n"
        for n in range(count)
    )
    header = (
        "candidate_id,exam,registration_id,started_at,ended_at,delivery,outcome,result_at,score"
    )
    return f"{header}\n{''.join(rows)}"


def test_an_input_that_breaks_off_is_reported_as_far_as_it_was_recorded(
    address: Server, tmp_path: Path
) -> None:
    """The batch that was being recorded when the input broke off counts too."""
    whole = gzip.compress(_results(4_000).encode())
    path = tmp_path / "results.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with (
        Ledger.open(address, clock=SetClock()) as ledger,
        Reading.open(str(path), Options()) as reading,
    ):
        report = import_file(ledger, reading, stopwatch=time.monotonic)
        assert report.stopped is not None
        assert report.recorded == 2 * report.read == ledger.head().position > 2_000


def test_after_a_batch_that_fails_no_other_is_recorded(
    address: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read ahead stays out, and the import says why; again, it is completed."""
    path = tmp_path / "results.csv"
    path.write_text(_results(4_000))
    taken = PostgresStore.append_new
    calls = 0

    def fails(self: PostgresStore, rows: Sequence[Row], now: int) -> int | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise LedgerProblem("the disk is full")
        return taken(self, rows, now)

    with Ledger.open(address, clock=SetClock()) as ledger:
        for fails_once in (True, False):
            monkeypatch.setattr(PostgresStore, "append_new", fails if fails_once else taken)
            with Reading.open(str(path), Options()) as reading:
                report = import_file(ledger, reading, stopwatch=time.monotonic)
            if fails_once:
                assert (report.stopped, calls) == ("the disk is full", 3)
                assert report.recorded == ledger.head().position < 8_000
        assert (report.stopped, ledger.head().position) == (None, 8_000)


def test_an_interrupted_import_counts_what_was_being_recorded(
    address: Server, tmp_path: Path
) -> None:
    """Ctrl-C comes while the server records the next batch: that is in, and is said to be."""
    path = tmp_path / "results.csv"
    path.write_text(_results(4_000))
    calls = iter(range(1 << 30))

    def interrupt(*_: object) -> None:
        if next(calls) == 1:
            raise KeyboardInterrupt

    with (
        Ledger.open(address, clock=SetClock()) as ledger,
        Reading.open(str(path), Options()) as reading,
    ):
        report = import_file(ledger, reading, stopwatch=time.monotonic, progress=interrupt)
        assert report.interrupted
        assert 0 < report.recorded == ledger.head().position < 8_000


def test_a_statement_that_comes_again_is_prepared_and_answers_as_before(address: Server) -> None:
    """What it takes stays as it is, NULL and what looks like a number too; so do its errors."""
    statement = "SELECT concat($1::text, '|', $2::bigint, '|', $3::text IS NULL)"
    with Ledger.open(address, clock=SetClock()) as ledger:
        pool = ledger.store.pool  # type: ignore[attr-defined]
        with pool.connection() as connection:
            for _ in range(8):
                assert connection.value(statement, ["ä 1", -7, None]) == "ä 1|-7|t"
                with pytest.raises(psycopg.DataError):  # none is cut short there
                    connection.value(statement, ["a\0b", 1, None])
            names = connection.execute("SELECT statement FROM pg_prepared_statements").fetchall()
            assert (statement,) in names


def test_a_duplicate_is_found_however_often_the_connection_appended(address: Server) -> None:
    """The error of a prepared call is the same as that of the first."""
    with Ledger.open(address, clock=SetClock()) as ledger:
        for number in range(1, 9):
            assert ledger.append([attempted(number)]) == [Appended(number)]
            assert ledger.append([attempted(number)]) == [Duplicate(number)]
        assert ledger.head().position == 8
