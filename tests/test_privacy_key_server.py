"""Keys in a database: what they are in a file, and who writes events reads none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import psycopg
import pytest
from command_line import CommandLine
from ledger_facts import SetClock
from postgres import new_url, server
from test_cli_forget import ASK, EMAIL, NAME, SHOWN

import attempt_ledger as al
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import ExceptionRequested
from ledger.privacy.erasure import forget
from ledger.privacy.key_backups import back_up
from ledger.privacy.key_file import Erasure, KeyBackup
from ledger.privacy.key_server import KeyServer
from ledger.privacy.vault import create_keys, open_keys
from ledger.problems import KeyFileProblem, LedgerProblem
from ledger.store.postgres_schema import quoted
from ledger.store.server import KEYS_SCHEMA, Address, Server, read_server

_number = count(1)
ROLES = {"owner": "exam_keys", "keeper": "exam_desk", "writer": "exam_desk_events"}


def keys_url(user: str, schema: str) -> str:
    return str(server().url(user=user, schema=schema))


@pytest.fixture
def roles() -> None:
    """Let there be an owner of keys, a keeper, and one who writes events."""
    with psycopg.connect(server().url(), autocommit=True) as connection:
        there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES.values():
            if role not in there:
                connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT CREATE ON DATABASE exams TO {ROLES['owner']}")


@pytest.fixture
def store(roles: None, tmp_path: Path) -> Server:
    """Make an empty key store, into which the keeper is let."""
    schema = f"keys_{next(_number)}"
    address = read_server(keys_url(ROLES["owner"], schema), tmp_path, KEYS_SCHEMA)
    create_keys(address, [(ROLES["keeper"], "keeper")])
    return read_server(keys_url(ROLES["keeper"], schema), tmp_path, KEYS_SCHEMA)


@pytest.fixture(params=["a file", "a server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Address]:
    if request.param == "a server":
        yield request.getfixturevalue("store")
        return
    create_keys(tmp_path / "attempts.keys")
    yield tmp_path / "attempts.keys"


def test_a_store_does_what_a_file_does(place: Address) -> None:
    """What is kept stays, what is destroyed stays destroyed, what is not committed is gone."""
    with closing(open_keys(place)) as opened, opened.problems():
        keys = opened.key_file(None, begun=True)
        assert keys is not None
        assert keys.look_up("C-1") == (None, False)
        key = keys.keep("C-1")
        assert (len(key), keys.keep("C-1"), keys.keep("C-2", bytes(32))) == (32, key, bytes(32))
        keys.commit()
        keys.keep("C-3")
        keys.rollback()
        assert keys.candidates() == [("C-1", True), ("C-2", True)]
        assert (keys.destroy("C-1"), keys.destroy("C-1"), keys.destroy("C-4")) == (
            True,
            False,
            False,
        )
        keys.register(Erasure("C-1", 4, "ticket", None, 10))
        keys.register(Erasure("C-1", 5, "another", "robin", 11))
        keys.note_backup(KeyBackup(1, 2, "it's.backup"))
        keys.commit()
    with closing(open_keys(place)) as opened, opened.problems():
        keys = opened.key_file(keys.id)
        assert keys is not None
        assert keys.look_up("C-1") == (None, True)
        assert keys.candidates() == [("C-1", False), ("C-2", True), ("C-4", False)]
        assert keys.erasures() == keys.erasures("C-1") == [Erasure("C-1", 5, "ticket", None, 10)]
        assert keys.backups() == [KeyBackup(1, 2, "it's.backup")]
        with pytest.raises(KeyFileProblem, match="was destroyed"):
            keys.keep("C-1", bytes(32))
        keys.rollback()
        with pytest.raises(KeyFileProblem, match="another ledger's key"):
            opened.key_file("0" * 32)
        assert keys.copied()[1].count("INSERT") >= 3
    with pytest.raises(LedgerProblem, match=r"already|may not"):
        create_keys(place)


FORBIDDEN = {
    "bring a key back": "UPDATE {s}.keys SET key = 'x'",
    "add one past the functions": "INSERT INTO {s}.keys VALUES ('C-9', 'x')",
    "remove one": "DELETE FROM {s}.keys",
    "empty the table": "TRUNCATE {s}.keys",
    "change the register": "UPDATE {s}.erasures SET reason = ''",
    "change the id": "UPDATE {s}.about SET value = 'x'",
    "lock the keys": "LOCK TABLE {s}.keys IN EXCLUSIVE MODE",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON {s}.keys EXECUTE FUNCTION f()",
    "add a table": "CREATE TABLE {s}.t ()",
}
CALLED = {
    "read a key": "SELECT * FROM {s}.keys",
    "read the register": "SELECT * FROM {s}.erasures",
    "keep a key": "SELECT {s}.keep('C-9', 'x')",
    "destroy a key": "SELECT {s}.destroy('C-1')",
    "register": "SELECT {s}.register('C-1', 1, 'x', NULL, 1)",
    "note a backup": "SELECT {s}.note_backup(1, 1, 'x')",
}


def test_a_role_cannot_do_what_it_need_not(store: Server) -> None:
    """A keeper changes no key and brings none back; who writes events does nothing with keys."""
    s = quoted(store.schema)
    for role, statements in (("keeper", FORBIDDEN), ("writer", {**FORBIDDEN, **CALLED})):
        url = keys_url(ROLES[role], store.schema)
        with psycopg.connect(read_server(url, Path()).conninfo, autocommit=True) as connection:
            for statement in statements.values():
                with (
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                    connection.transaction(),
                ):
                    connection.execute(statement.format(s=s))


def test_keys_that_somebody_would_copy_are_not_used(store: Server) -> None:
    """A trigger that the owner did not make with the store is found before a key is drawn."""
    s = quoted(store.schema)
    with psycopg.connect(server().url(), autocommit=True) as connection:
        connection.execute(
            f"CREATE FUNCTION public.f_{store.schema}() RETURNS trigger LANGUAGE plpgsql AS "
            f"'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON {s}.keys FOR EACH ROW "
            f"EXECUTE FUNCTION public.f_{store.schema}()"
        )
    with (
        closing(open_keys(store)) as opened,
        pytest.raises(KeyFileProblem, match=r"changed past the ledger: .*trigger keys\.t"),
    ):
        opened.key_file(None)


def test_a_trigger_that_comes_while_keys_are_open_keeps_none(store: Server) -> None:
    """A key is destroyed, or that is refused: no trigger makes it be said of one that is there."""
    s = quoted(store.schema)
    with closing(open_keys(store)) as opened:
        keys = opened.key_file(None)
        assert keys is not None
        keys.keep("C-1", bytes(32))
        keys.commit()
        with psycopg.connect(server().url(), autocommit=True) as connection:
            connection.execute(
                f"CREATE FUNCTION public.g_{store.schema}() RETURNS trigger LANGUAGE plpgsql AS "
                f"'BEGIN RETURN NULL; END'; CREATE TRIGGER t BEFORE UPDATE ON {s}.keys FOR EACH "
                f"ROW EXECUTE FUNCTION public.g_{store.schema}()"
            )
            with pytest.raises(KeyFileProblem, match=r"changed past the ledger: .*trigger keys\.t"):
                keys.destroy("C-1")
            connection.execute(f"DROP TRIGGER t ON {s}.keys")
        assert keys.destroy("C-1")
        keys.commit()
        assert keys.look_up("C-1") == (None, True)


# -- at the command line: the events of one role, the keys of another, and several machines


class Desk:
    """A ledger and its keys on a server, used from several machines."""

    def __init__(self, door: CommandLine, keys: Server) -> None:
        self.door = door
        self.url = new_url()
        self.keys = keys_url(ROLES["keeper"], keys.schema)

    def words(self, machine: str = "one") -> tuple[str, ...]:
        return (
            "--ledger",
            self.url,
            "--home",
            str(self.door.folder / machine),
            "--keys",
            self.keys,
        )


@pytest.fixture
def desk(store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    door = CommandLine(tmp_path, monkeypatch)
    desk = Desk(door, store)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "one"))
    monkeypatch.setenv("ATTEMPT_LEDGER", desk.url)
    monkeypatch.setenv("ATTEMPT_LEDGER_KEYS", desk.keys)
    door.catalogued().failed("R-1", "2022-05-20T09:00:00Z")
    door.done(*ASK)
    return desk


def test_machines_share_the_keys(desk: Desk) -> None:
    """What one writes another reads, and writes on under the same key."""
    door = desk.door
    assert NAME in door.done(*desk.words("two"), *SHOWN)
    again = [word.replace("X-1", "X-2").replace("R-1", "R-2") for word in ASK]
    door.failed("R-2", "2022-05-21T09:00:00Z")
    door.call(*desk.words("two"), "--signing-key", "none", *again)
    assert door.done(*SHOWN).count(NAME) == 2
    assert NAME not in door.done("export")
    with psycopg.connect(server().url()) as connection:
        schema = quoted(read_server(desk.url, Path()).schema)
        rows = connection.execute(f"SELECT data FROM {schema}.events").fetchall()
    assert not any(NAME in data or EMAIL in data for (data,) in rows)


def test_who_writes_events_reads_no_key(desk: Desk) -> None:
    """One sentence, and the rest of the ledger is there for them."""
    door = desk.door
    theirs = ("--keys", keys_url(ROLES["writer"], read_server(desk.keys, Path()).schema))
    assert "this user may not do that" in door.wrong(*theirs, *SHOWN)
    assert NAME not in door.done(*theirs, "history", "C-1")
    assert door.call(*theirs, "record", "CertEarned", "C-1", "certification=one").code == 0
    assert "this user may not do that" in door.wrong(*theirs, "forget", "C-1", "--reason", "x")


def test_erasure_and_backups_of_keys_work(desk: Desk) -> None:
    """A key that is destroyed stays so, whatever is put back; the register names the copies."""
    door = desk.door
    door.done("keys", "backup", "safe.keys")
    answer = door.call("forget", "C-1", "--reason", "ticket 4711")
    assert answer.code == 0
    assert "safe.keys may hold the key" in answer.err
    assert NAME not in door.done(*SHOWN)
    put_back = door.call("keys", "restore", "safe.keys")
    assert "forgotten, so their keys are destroyed again: C-1" in put_back.err
    assert NAME not in door.done(*SHOWN)
    found = json.loads(door.call("doctor", "--format", "json").out)
    (keys,) = (each for each in found["findings"] if each["check"] == "keys")
    assert (keys["state"], keys["code"]) == ("ok", None), keys


def test_keys_that_were_lost_come_back_from_a_copy(desk: Desk, tmp_path: Path) -> None:
    """Into a new key store, of the id that the ledger remembers."""
    door = desk.door
    door.done("keys", "backup", "safe.keys")
    lost = read_server(desk.keys, Path()).schema
    with psycopg.connect(server().url(), autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {quoted(lost)} CASCADE")
    assert "is missing" in door.wrong(*SHOWN)
    theirs = ("--keys", keys_url(ROLES["owner"], lost))
    door.done(*theirs, "keys", "restore", "safe.keys")
    assert NAME in door.done(*theirs, *SHOWN)


def test_a_ledger_moves_and_its_keys_stay(desk: Desk, tmp_path: Path) -> None:
    """Elsewhere the same key store opens its fields; so it does at the Python door."""
    door = desk.door
    answer = door.call("move", desk.url, "moved.ledger")
    assert answer.code == 0, answer.err
    assert "the keys stay where they are" in answer.err
    assert NAME in door.done("--ledger", "moved.ledger", *SHOWN)
    door.done("--ledger", "moved.ledger", "forget", "C-1", "--reason", "ticket")
    assert NAME not in door.done("--ledger", "moved.ledger", *SHOWN)
    with al.open(tmp_path / "moved.ledger", keys=desk.keys) as ledger:
        assert ledger.path == tmp_path / "moved.ledger"
    with pytest.raises(ValueError, match="cannot be read"):
        al.open(tmp_path / "moved.ledger", keys="postgresql://a:se@cret@h/d")


def test_a_lost_connection_is_made_anew(store: Server, tmp_path: Path) -> None:
    """Nobody notices."""
    with closing(open_keys(store)) as opened:
        assert opened.key_file(None) is not None
        with psycopg.connect(server().url(), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s",
                (ROLES["keeper"],),
            )
        keys = opened.key_file(None)
        assert keys is not None
        assert keys.candidates() == []


def test_a_ledger_in_a_file_may_have_its_keys_on_a_server(store: Server, tmp_path: Path) -> None:
    """The one has nothing to do with the other."""
    with Ledger.create(tmp_path / "a.ledger", clock=SetClock(), keys=store) as ledger:
        assert ledger.vault.path == store
        assert ledger.vault.is_there()


def test_what_is_wrong_with_an_address_of_keys_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password in it; a role is let into a server alone."""
    door = CommandLine(tmp_path, monkeypatch)
    said = door.wrong("--keys", "postgresql://a:se@cret@h/d", "keys", "create")
    assert said.startswith("--keys postgresql://… cannot be read")
    assert "cret" not in said
    assert "is a file: --keeper" in door.wrong("keys", "create", "--keeper", "x")
    door.done("keys", "create")
    assert "already there" in door.wrong("keys", "create")


def test_a_server_that_goes_while_somebody_is_forgotten_is_one_sentence(
    store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is done with the keys then: no error of the driver comes out."""

    def gone(keys: KeyServer, candidate: str) -> tuple[bytes | None, bool]:
        with psycopg.connect(server().url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (keys.connection.info.backend_pid,))
        return look_up(keys, candidate)

    look_up = KeyServer.look_up
    with Ledger.create(tmp_path / "a.ledger", clock=SetClock(1_000_000), keys=store) as ledger:
        asked = ExceptionRequested(
            request_id="X-1", exam="AZ-104", registration_id="R-1", reason="illness", email=EMAIL
        )
        ledger.append([Fact("urn:desk", "X-1", "C-1", 1_000_000, asked, "desk")])
        monkeypatch.setattr(KeyServer, "look_up", gone)
        with pytest.raises(LedgerProblem):
            forget(ledger, "C-1", reason="ticket", actor=None, time=2_000_000)
        monkeypatch.undo()
        assert forget(ledger, "C-1", reason="ticket", actor=None, time=2_000_000).position


def test_a_server_that_goes_while_keys_are_copied_is_one_sentence(
    store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys are read after it is noted that there is a copy."""

    def gone(keys: KeyServer) -> tuple[str, str, str]:
        with psycopg.connect(server().url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (keys.connection.info.backend_pid,))
        return copied(keys)

    copied = KeyServer.copied
    backup = tmp_path / "keys.backup"
    with Ledger.create(tmp_path / "a.ledger", clock=SetClock(1_000_000), keys=store) as ledger:
        monkeypatch.setattr(KeyServer, "copied", gone)
        with pytest.raises(LedgerProblem):
            back_up(ledger, backup, now=1_000_000, until=2_000_000)
        monkeypatch.undo()
        assert not backup.exists()
        back_up(ledger, backup, now=1_000_000, until=2_000_000)
    assert backup.exists()
