"""`doctor` on a server: each thing that can be wrong there is found, and its remedy ends it."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from command_line import CommandLine
from postgres import NEWEST
from test_doctor import found

from attempt_ledger.doctor import SERVER_CHECKS
from attempt_ledger.doctor.findings import SERVER_CODES
from drills.cluster import Cluster
from ledger.instants import SECOND
from ledger.store.server import SCHEMA

SETTINGS = (
    "max_connections = 12\nshared_buffers = 16MB\narchive_mode = on\narchive_command = 'true'"
)


class Sick:
    """A ledger on a server of its own, and ways to harm both."""

    def __init__(self, door: CommandLine, cluster: Cluster, url: str) -> None:
        self.door = door
        self.cluster = cluster
        self.url = url
        self.ahead = 0
        """How far this machine's clock is ahead of the server's, in microseconds."""
        self.stack = ExitStack()

    def call(self, url: str = "") -> tuple[int, dict[str, Any]]:
        """Call the doctor; return its exit code, and what is not as it should be, by code."""
        self.door.now = now() + self.ahead
        answer = self.door.call("--ledger", url or self.url, "doctor", "--format", "json")
        assert answer.err == ""
        return answer.code, found(json.loads(answer.out))

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.cluster.url(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def set(self, setting: str, value: str | None = None) -> None:
        """Change a setting of the server, or put it back."""
        change = f"RESET {setting}" if value is None else f"SET {setting} = '{value}'"
        self.sql(f"ALTER SYSTEM {change}", "SELECT pg_reload_conf()")
        self.until(lambda: value is None or self.ask(f"SHOW {setting}") == value)

    def restart(self) -> None:
        self.cluster.stop()
        self.cluster.start()

    def ask(self, statement: str) -> object:
        """Return one value, on a new connection."""
        with psycopg.connect(self.cluster.url(), autocommit=True) as connection:
            row = connection.execute(statement).fetchone()
        return None if row is None else row[0]

    def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so, for at most 20 seconds."""
        for _ in range(200):
            if is_so():
                return
            time.sleep(0.1)
        raise AssertionError("it took too long")


def now() -> int:
    return time.time_ns() // 1000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server in the best of health, whose settings may be changed."""
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path must be short
    folder.chmod(0o755)
    cluster = Cluster(folder, NEWEST)
    cluster.make(SETTINGS, sync=True)
    with cluster.running("immediate"):
        cluster("createdb", "exams")
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def homes(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in it, sealed and verified."""
    homes = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as patch:
        door = at_hand(tmp_path_factory.mktemp("door"), patch, homes)
        for words in (("init",), ("verify",)):
            door.done("--ledger", cluster.url(), *words)
    return homes


def at_hand(folder: Path, patch: pytest.MonkeyPatch, homes: Path) -> CommandLine:
    """Return a command line whose clock is right."""
    door = CommandLine(folder, patch)
    door.now = now()
    patch.setenv("ATTEMPT_LEDGER_HOME", str(homes))
    return door


@pytest.fixture
def sick(
    cluster: Cluster, homes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sick]:
    sick = Sick(at_hand(tmp_path, monkeypatch, homes), cluster, cluster.url())
    with sick.stack:
        yield sick


class Case(NamedTuple):
    """One thing that is wrong, a part of what is said, and what its remedy says to do."""

    code: str
    spoil: Callable[[Sick], object]
    said: str
    mend: Callable[[Sick], object]


def crowd(sick: Sick) -> None:
    """Have seven programs connected, and the doctor, of nine."""
    for _ in range(7):
        sick.stack.enter_context(psycopg.connect(sick.cluster.url()))


def fail_to_archive(sick: Sick) -> None:
    sick.set("archive_command", "false")
    sick.sql("SELECT pg_switch_wal()")
    sick.until(lambda: sick.ask("SELECT failed_count > 0 FROM pg_stat_archiver"))


def archive_again(sick: Sick) -> None:
    sick.set("archive_command")
    sick.until(
        lambda: sick.ask("SELECT last_archived_time > last_failed_time FROM pg_stat_archiver")
    )


def archive_nothing(sick: Sick) -> None:
    sick.sql("ALTER SYSTEM SET archive_mode = off")
    sick.restart()


def archive_all(sick: Sick) -> None:
    sick.sql("ALTER SYSTEM RESET archive_mode")
    sick.restart()


EVENTS = f"{SCHEMA}.events"
CASES = (
    Case(
        "schema-redefined",
        lambda sick: sick.sql(f"CREATE VIEW {SCHEMA}.v AS SELECT 1 AS one"),
        "view v",
        lambda sick: sick.sql(f"DROP VIEW {SCHEMA}.v"),
    ),
    Case(
        "not-flushed",
        lambda sick: sick.set("fsync", "off"),
        "the server runs with fsync = off",
        lambda sick: sick.set("fsync"),
    ),
    Case(
        "connections-few",
        crowd,
        " of 9 connections are in use",
        lambda sick: sick.stack.close(),
    ),
    Case(
        "clocks-apart",
        lambda sick: setattr(sick, "ahead", 95_000 * SECOND),
        "server's are 1 day and 2 hours",
        lambda sick: setattr(sick, "ahead", 0),
    ),
    Case("no-archive", archive_nothing, "the server archives nothing", archive_all),
    Case("archive-fails", fail_to_archive, "the last attempt to archive", archive_again),
    Case(
        "position-missing",
        lambda sick: sick.sql(
            f"CREATE TABLE kept AS SELECT * FROM {EVENTS} WHERE position = 2",
            f"DELETE FROM {EVENTS} WHERE position = 2",
        ),
        "position 2 is missing, of",
        lambda sick: sick.sql(f"INSERT INTO {EVENTS} SELECT * FROM kept"),
    ),
    Case(
        "recorded-at-falls",
        lambda sick: sick.sql(
            f"UPDATE {EVENTS} SET recorded_at = recorded_at - 1000 WHERE position = 3"
        ),
        "position 3 says it was recorded before",
        lambda sick: sick.sql(
            f"UPDATE {EVENTS} SET recorded_at = recorded_at + 1000 WHERE position = 3"
        ),
    ),
)
OF_STANDBYS = ("server-standby", "standby-missing", "standby-asynchronous")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_what_is_wrong_is_found_and_its_remedy_makes_it_well(sick: Sick, case: Case) -> None:
    """A code, a sentence with the figure, a remedy; nothing before, and nothing after."""
    assert sick.call() == (0, {})
    case.spoil(sick)
    code, told = sick.call()
    assert case.said in told[case.code]["text"]
    assert told[case.code]["remedy"]
    assert code == (1 if "wrong" in {each["state"] for each in told.values()} else 0)
    case.mend(sick)
    sick.until(lambda: sick.call() == (0, {}))


def test_every_code_of_a_server_has_a_case() -> None:
    """In this table, or in the story of the standby."""
    assert {*SERVER_CODES} <= {case.code for case in CASES} | {*OF_STANDBYS}


WAITING = (
    ("standing", "C-1"),
    ("export",),
    ("seal",),
    ("verify",),
    ("verify", "--full"),
    ("prove", "1"),
    ("history", "C-1"),
)
"""Commands that hand on what they read, each by another way."""
PERSONAL = (
    "record", "--id", "1", "ExceptionRequested", "C-1", "request_id=Q-1", "exam=AZ-104",
    "registration_id=R-1", "reason=illness", "email=c@example.org",
)  # fmt: skip
"""What needs a key, which is durable before the event is."""


def test_a_standby_comes_goes_and_comes_back(sick: Sick) -> None:
    """It is told whether a commit waits for it; without it nothing is read, so nothing hangs.

    While it is there it can be followed, like a server that takes nothing.
    """
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    folder.chmod(0o755)
    standby = Cluster(folder, NEWEST)
    sick.stack.callback(shutil.rmtree, folder, ignore_errors=True)
    sick.cluster.shell(f"pg_basebackup --pgdata={standby.data} --write-recovery-conf "
                       "--checkpoint=fast --no-sync")  # fmt: skip
    standby.set_up("")
    streams = "SELECT count(*) = 1 FROM pg_stat_replication WHERE state = 'streaming'"
    with_keys = ("--ledger", "a.ledger", "--keys", sick.cluster.url(schema="other_keys"))
    sick.door.done(*with_keys, "keys", "create")
    sick.door.done(*with_keys, "init", "--bare")
    with standby.running("immediate"):
        sick.until(lambda: sick.ask(streams))
        assert sick.call()[1].keys() == {"standby-asynchronous"}
        assert "server-standby" in sick.call(standby.url())[1]
        everything = sick.door.done("--ledger", sick.url, "export")
        assert sick.door.done("--ledger", standby.url(), "feed") == everything
        assert sick.door.done("--ledger", standby.url(), "export") == everything
        read_alone = sick.cluster.url(options=quote("-c default_transaction_read_only=on"))
        assert sick.door.done("--ledger", read_alone, "feed") == everything
        sick.stack.callback(sick.set, "synchronous_standby_names")
        sick.set("synchronous_standby_names", "*")
        sick.until(lambda: sick.call() == (0, {}))
    code, told = sick.call()
    assert (code, told.keys()) == (1, {"standby-missing"})
    assert "waits for a standby (*), and none is there" in told["standby-missing"]["text"]
    calls = [("--ledger", sick.url, *words) for words in WAITING]
    calls.append(("--ledger", f"{sick.url}&schema=another", "init", "--bare"))
    calls.append(("--keys", sick.cluster.url(schema="keys_there"), "keys", "create"))
    calls.append((*with_keys, *PERSONAL))
    for words in calls:
        began = time.monotonic()
        answer = sick.door.call("--wait", "3", *words)
        assert 2.5 < time.monotonic() - began < 8, words
        assert (answer.code, answer.out) == (2, ""), words
        notice, problem = answer.err.splitlines()
        assert "waiting for postgresql://" in notice
        assert "did not confirm within 3 seconds" in problem
    with standby.running("immediate"):
        sick.until(lambda: sick.ask(streams))
        sick.until(lambda: sick.call() == (0, {}))


def test_a_server_that_is_gone_is_told_once(sick: Sick) -> None:
    """It could not be looked at, and neither is anything that is kept there."""
    sick.cluster.stop()
    sick.stack.callback(sick.cluster.start)
    answer = sick.door.call("--ledger", sick.url, "doctor", "--format", "json")
    assert answer.code == 1
    findings = json.loads(answer.out)["findings"]
    assert [each["check"] for each in findings] == ["server", "durability"]
    assert [each.name for each in SERVER_CHECKS if not each.reads] == ["server", "durability"]
    assert {each["code"] for each in findings} == {"not-checked"}
