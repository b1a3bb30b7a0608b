"""What a role, a database or a URL sets changes neither what is recorded nor what is confirmed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from ledger_facts import SetClock, attempted
from postgres import new_server, new_url, server

from ledger.ledger import Ledger
from ledger.outcomes import Appended, Duplicate
from ledger.problems import LedgerProblem, NotDurable
from ledger.store.locks import Waiting
from ledger.store.postgres_committing import Transactions
from ledger.store.postgres_making import create_schema
from ledger.store.postgres_schema import quoted
from ledger.store.server import read_server

SETTINGS = (
    "default_transaction_isolation=serializable",
    "quote_all_identifiers=on",
    "client_encoding=LATIN1",
    "client_min_messages=error",
    "standard_conforming_strings=off",
    "search_path=nowhere",
    "timezone=Asia/Kathmandu",
    "datestyle=German",
    "bytea_output=escape",
    "synchronous_commit=off",
    "plpgsql.extra_errors=all",
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_is_set_elsewhere_changes_nothing(setting: str, tmp_path: Path) -> None:
    """One event, several, a duplicate among them, in letters of every encoding; and the schema."""
    name, _, value = setting.partition("=")
    plain = new_url()
    own = quote(f"-c {setting}")
    more = f"&client_encoding={value}" if name == "client_encoding" else ""
    address = read_server(f"{plain}&options={own}{more}", tmp_path)
    Ledger.create(address, clock=SetClock()).close()
    facts = [attempted(n)._replace(actor=f"Zoë ’{n}") for n in range(1, 5)]
    with Ledger.open(address, clock=SetClock()) as ledger:
        assert ledger.append(facts[:1]) == [Appended(1)]
        assert ledger.append(facts[1:3]) == [Appended(2), Appended(3)]
        assert ledger.append(facts[2:]) == [Duplicate(3), Appended(4)]
    with Ledger.open(read_server(plain, tmp_path), clock=SetClock()) as ledger:
        assert [row.actor for row in ledger.read()] == [fact.actor for fact in facts]


SHOWN = "SHOW synchronous_standby_names"


@contextmanager
def standby_that_never_comes(*ledgers: Ledger) -> Iterator[None]:
    """Have commits wait for a standby that is not there, and cancel each such wait.

    Once it is known to every process of the server that `ledgers` speak to.
    """
    ended = threading.Event()
    quick = "-c synchronous_commit=local"
    with psycopg.connect(server().url("exams", options=quote(quick)), autocommit=True) as operator:

        def wait_for(standby: str) -> None:
            operator.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{standby}'")
            operator.execute("SELECT pg_reload_conf()")
            while operator.execute(SHOWN).fetchone() != (standby,):
                time.sleep(0.01)

        def is_waited_for() -> bool:
            warned: list[object] = []
            with psycopg.connect(server().url("exams"), autocommit=True) as other:
                other.add_notice_handler(warned.append)
                other.execute("SELECT pg_logical_emit_message(true, 'test', '')")
            return bool(warned)

        def cancel() -> None:
            while not ended.wait(0.05):
                operator.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                    "WHERE wait_event = 'SyncRep'"
                )

        wait_for("nobody")
        cancelling = threading.Thread(target=cancel)
        cancelling.start()
        try:
            for ledger in ledgers:
                store: Any = ledger.store
                with store.pool.connection() as connection:
                    while connection.execute(SHOWN).fetchone() != ("nobody",):
                        time.sleep(0.01)
            while not is_waited_for():
                time.sleep(0.01)
            yield
        finally:
            ended.set()
            cancelling.join()
            wait_for("")


DOINGS: dict[str, Callable[[Ledger], Any]] = {
    "one": lambda ledger: ledger.append([attempted(2)]),
    "several": lambda ledger: ledger.append([attempted(2), attempted(3)]),
    "transaction": lambda ledger: ledger.append([attempted(1), attempted(2)]),
    "read": lambda ledger: list(ledger.read()),
    "head": lambda ledger: ledger.head(),
}


@pytest.mark.parametrize("warnings", ["notice", "error"])
@pytest.mark.parametrize("doing", DOINGS)
def test_what_no_standby_confirmed_is_not_acknowledged(
    doing: str, warnings: str, tmp_path: Path
) -> None:
    """Neither to who appends nor to who reads, also where a role is set to hear of no warning."""
    plain = new_url()
    Ledger.create(read_server(plain, tmp_path), clock=SetClock()).close()
    address = read_server(
        f"{plain}&options={quote(f'-c client_min_messages={warnings}')}", tmp_path
    )
    waiting = Waiting(60.0)
    with (
        Ledger.open(address, clock=SetClock(), waiting=waiting) as ledger,
        Ledger.open(address, clock=SetClock(), waiting=waiting) as other,
    ):
        assert ledger.append([attempted(1)]) == [Appended(1)]
        with (
            standby_that_never_comes(ledger, other),
            pytest.raises(LedgerProblem, match="no standby confirmed"),
        ):
            DOINGS[doing](other if doing in ("read", "head") else ledger)
        assert ledger.append([attempted(1)]) == [Duplicate(1)]


def test_a_schema_is_not_said_to_be_made_that_no_standby_has(tmp_path: Path) -> None:
    """It may be there: whoever made it is told so."""
    address = read_server(new_url(), tmp_path)
    with standby_that_never_comes(), pytest.raises(NotDurable, match="no standby confirmed"):
        Ledger.create(address, clock=SetClock())


@pytest.mark.parametrize("again", ["check", "head"])
def test_a_session_that_was_ended_while_idle_is_not_used_again(again: str, tmp_path: Path) -> None:
    """The server says why before it goes: neither that nor its end is met by who asks next."""
    plain = new_url()
    Ledger.create(read_server(plain, tmp_path), clock=SetClock()).close()
    address = read_server(f"{plain}&options={quote('-c idle_session_timeout=50ms')}", tmp_path)
    gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
    with (
        Ledger.open(address, clock=SetClock()) as ledger,
        psycopg.connect(server().url("exams"), autocommit=True) as operator,
    ):
        store: Any = ledger.store
        for _ in range(5):
            kept = [each.info.backend_pid for each in store.pool._free]
            assert kept
            while operator.execute(gone, (kept,)).fetchone() != (0,):
                time.sleep(0.01)
            getattr(store, again)()


def test_who_cannot_be_asked_is_asked_for_so_long_and_no_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each call takes: a machine that is gone refuses none of them."""
    address = new_server(tmp_path)
    Ledger.create(address, clock=SetClock()).close()
    calls = []

    def answered(self: Transactions, *arguments: object) -> None:
        calls.append(1)
        time.sleep(1.2)
        raise psycopg.OperationalError("nobody there")

    monkeypatch.setattr(Transactions, "_answered", answered)
    with Ledger.open(address, clock=SetClock(), waiting=Waiting(1.0)) as ledger:
        monkeypatch.setattr(
            "ledger.store.postgres_pool.PatientConnection.value",
            lambda *arguments: (_ for _ in ()).throw(psycopg.OperationalError("cut")),
        )
        with pytest.raises(LedgerProblem, match="cannot be asked whether it did"):
            ledger.append([attempted(1)])
    assert len(calls) == 1


def test_what_was_committed_and_cannot_be_flushed_is_not_said_to_be_unwritten(
    tmp_path: Path,
) -> None:
    """Where an operator took the right to flush away; given back, the same again is a duplicate."""
    plain = new_url()
    _, _, schema = plain.rpartition("=")
    server()("createuser", "settings_writer")
    create_schema(
        read_server(plain, tmp_path), lambda writing: None, roles=[("settings_writer", "writer")]
    )
    address = read_server(plain.replace("exams@", "settings_writer@"), tmp_path)
    flush = "FUNCTION pg_catalog.pg_logical_emit_message(boolean, text, text, boolean)"
    with (
        Ledger.open(address, clock=SetClock()) as ledger,
        psycopg.connect(server().url("exams"), autocommit=True) as operator,
    ):
        assert ledger.append([attempted(1)]) == [Appended(1)]
        operator.execute(f"REVOKE EXECUTE ON {flush} FROM PUBLIC")
        try:
            for facts in ([attempted(2)], [attempted(3), attempted(4)]):
                with pytest.raises(LedgerProblem, match="recorded it, but cannot confirm") as said:
                    ledger.append(facts)
                assert "nothing was written" not in str(said.value)
        finally:
            operator.execute(f"GRANT EXECUTE ON {flush} TO PUBLIC")
        facts = [attempted(n) for n in range(2, 5)]
        assert ledger.append(facts) == [Duplicate(2), Duplicate(3), Duplicate(4)]
        operator.execute(f"DROP SCHEMA {quoted(schema)} CASCADE")
