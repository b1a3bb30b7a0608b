"""What a ledger's schema defines, who may do what with it, and that a change of it is found."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
from command_line import CommandLine
from ledger_facts import SetClock, attempted
from postgres import VERSIONS, new_server, new_url, server

from ledger.ledger import Ledger
from ledger.outcomes import Appended
from ledger.problems import LedgerProblem, Redefined
from ledger.store import postgres
from ledger.store.postgres_making import grant
from ledger.store.postgres_schema import quoted
from ledger.store.server import Server, read_server


def owner(address: Server) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(address.conninfo, autocommit=True)


def made(folder: Path, version: int = VERSIONS[-1]) -> Server:
    address = new_server(folder, version)
    Ledger.create(address, clock=SetClock()).close()
    return address


CHANGES = {
    "a trigger": (
        "CREATE FUNCTION public.f_{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; "
        "END'; CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION public.f_{n}()",
        "trigger events.t",
    ),
    "a rule": ("CREATE RULE r AS ON UPDATE TO {s}.events DO INSTEAD NOTHING", "rule events.r"),
    "a policy": ("CREATE POLICY p ON {s}.events", "policy events.p"),
    "row security": ("ALTER TABLE {s}.events ENABLE ROW LEVEL SECURITY", "relation events"),
    "a view": ("CREATE VIEW {s}.v AS SELECT 1 AS one", "view v"),
    "another table": ("CREATE TABLE {s}.t (one int)", "table t"),
    "a child": ("CREATE TABLE {s}.c () INHERITS ({s}.events)", "child table c of events"),
    "a column": ("ALTER TABLE {s}.events ADD COLUMN more text", "column events.more"),
    "a default": ("ALTER TABLE {s}.events ALTER actor SET DEFAULT 'x'", "column events.actor"),
    "another order": (
        'ALTER TABLE {s}.events ALTER source TYPE text COLLATE "default"',
        "column events.source",
    ),
    "a check": ("ALTER TABLE {s}.events ADD CHECK (position < 5)", "constraint events"),
    "no index": ("DROP INDEX {s}.events_by_source_id", "index events_by_source_id is missing"),
    "another function": (
        "CREATE OR REPLACE FUNCTION {s}.settle() RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
        "function settle",
    ),
    "one more function": (
        "CREATE FUNCTION {s}.settle(integer) RETURNS void LANGUAGE sql AS ''",
        "function settle",
    ),
    "a right": ("GRANT INSERT ON {s}.events TO PUBLIC", "PUBLIC on events may insert"),
    "the lock": ("GRANT SELECT ON {s}.append_order TO PUBLIC", "PUBLIC on append_order may select"),
    "a trigger that calls itself the server's": (
        "CREATE FUNCTION public.f_{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; "
        "END'; CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION public.f_{n}(); "
        "UPDATE pg_trigger SET tgisinternal = true WHERE tgrelid = '{s}.events'::regclass",
        "trigger events.t",
    ),
    "a trigger behind another catalogue": (
        "CREATE FUNCTION public.f_{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; "
        "END'; CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION public.f_{n}(); "
        "CREATE SCHEMA before_{n}; CREATE VIEW before_{n}.pg_trigger AS "
        "SELECT * FROM pg_catalog.pg_trigger WHERE false; CREATE ROLE role_{n} LOGIN SUPERUSER; "
        "ALTER ROLE role_{n} SET search_path = before_{n}, pg_catalog",
        "trigger events.t",
    ),
    "a right to a column": (
        "GRANT UPDATE (actor) ON {s}.events TO PUBLIC",
        "PUBLIC on events.actor may update",
    ),
    "a right to define": (
        "GRANT CREATE ON SCHEMA {s} TO PUBLIC",
        "PUBLIC on the schema may create",
    ),
    "a right to append": (
        "GRANT EXECUTE ON FUNCTION {s}.begin_append TO PUBLIC",
        "PUBLIC on begin_append may execute",
    ),
    "another order of the same name": (
        'CREATE COLLATION public."C" (provider = libc, locale = "POSIX"); '
        'ALTER TABLE {s}.events ALTER source TYPE text COLLATE public."C"',
        "column events.source",
    ),
    "a parent, whose rights reach its children": (
        "CREATE TABLE public.p_{n} (LIKE {s}.events); ALTER TABLE {s}.events INHERIT public.p_{n}",
        "child table events of p_",
    ),
    "a function that is not called for a null": (
        "ALTER FUNCTION {s}.append_one STRICT",
        "function append_one",
    ),
    "a key that is looked at too late": (
        "ALTER TABLE {s}.events DROP CONSTRAINT events_pkey; "
        "ALTER TABLE {s}.events ADD PRIMARY KEY (position) DEFERRABLE",
        "constraint events.events_pkey",
    ),
    "an operator": (
        "CREATE OPERATOR {s}.= (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
        "operator",
    ),
    "statistics that call a function": (
        "CREATE STATISTICS {s}.x ON (lower(source)) FROM {s}.events",
        "statistics object",
    ),
    "a type": ("CREATE DOMAIN {s}.text AS pg_catalog.text", "type"),
    "rights to come": (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT INSERT ON TABLES TO PUBLIC",
        "default privileges",
    ),
    "a subscription": (
        "CREATE SUBSCRIPTION s_{n} CONNECTION '' PUBLICATION p WITH (connect = false); "
        "INSERT INTO pg_subscription_rel SELECT oid, '{s}.events'::regclass, 'i' "
        "FROM pg_subscription WHERE subname = 's_{n}'",
        "subscription s_",
    ),
    "columns that changed places": (
        "ALTER TABLE {s}.signed RENAME log TO x; ALTER TABLE {s}.signed RENAME note TO log; "
        "ALTER TABLE {s}.signed RENAME x TO note",
        "column signed.log",
    ),
}


@pytest.mark.parametrize(("change", "said"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_schema_is_found(change: str, said: str, tmp_path: Path) -> None:
    """Nothing is written any more, and one sentence names what was changed."""
    address = made(tmp_path)
    role = f"role_{address.schema}"
    with owner(address) as connection:
        connection.execute(change.format(s=quoted(address.schema), n=address.schema))
    who = as_role(address, role) if role in change.format(s="", n=address.schema) else address
    with (
        Ledger.open(who, clock=SetClock()) as ledger,
        pytest.raises(Redefined, match="changed past the ledger") as problem,
    ):
        ledger.append([attempted(1)])
    assert said in str(problem.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ledger_that_was_made_is_as_it_should_be(version: int, tmp_path: Path) -> None:
    """On every version of the server: no version writes a definition in another way."""
    address = made(tmp_path, version)
    with Ledger.open(address, clock=SetClock()) as ledger:
        ledger.store.check()
        assert ledger.append([attempted(1)]) == [Appended(1)]


# -- roles


ROLES = ("a_writer", "a_reader", "a_sealer", "a_stranger")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A ledger with one event, which one role may write and one may read."""
    address = made(tmp_path_factory.mktemp("homes"))
    with owner(address) as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} LOGIN")
    grant(address, [("a_writer", "writer"), ("a_reader", "reader"), ("a_sealer", "sealer")])
    with Ledger.open(as_role(address, "a_writer"), clock=SetClock()) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]
    return address


def as_role(address: Server, role: str) -> Server:
    url = server().url(user=role, schema=address.schema)
    return read_server(url, address.home.parents[1])


FORBIDDEN = {
    "insert a row": "INSERT INTO {s}.events SELECT position + 1 FROM {s}.events",
    "change a row": "UPDATE {s}.events SET actor = 'x'",
    "remove a row": "DELETE FROM {s}.events",
    "empty the table": "TRUNCATE {s}.events",
    "drop the table": "DROP TABLE {s}.events",
    "change what is remembered": "UPDATE {s}.about SET value = 'x'",
    "remember past the function": "INSERT INTO {s}.about VALUES ('x', 'y')",
    "take the order lock": "LOCK TABLE {s}.append_order IN EXCLUSIVE MODE",
    "take it lightly": "LOCK TABLE {s}.append_order IN ACCESS SHARE MODE",
    "lock the events": "LOCK TABLE {s}.events IN EXCLUSIVE MODE",
    "add a trigger": "CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION f()",
    "add a table": "CREATE TABLE {s}.t ()",
    "replace a function": "CREATE OR REPLACE FUNCTION {s}.settle() RETURNS void LANGUAGE sql AS ''",
    "own the table": "ALTER TABLE {s}.events OWNER TO CURRENT_USER",
}
APPENDING = {
    "begin": "SELECT {s}.begin_append()",
    "append one": "SELECT {s}.append_one(1" + ", NULL" * 13 + ")",
    "append several": "SELECT {s}.append_new(1, 0" + ", ''" * 13 + ")",
    "commit one": "CALL {s}.commit_one('1', 1" + ", NULL" * 14 + ")",
    "commit several": "CALL {s}.commit_new('1', 1, 0" + ", ''" * 13 + ", NULL)",
    "append": "SELECT {s}.append(0, '', '', '', '', '', '', '', '', '', '', '', '', '', '')",
    "remember": "SELECT {s}.remember('x', 'y')",
}
SIGNING = {"keep what was signed": "SELECT {s}.keep_signed('log', 1, 'note')"}
READING = {"read": "SELECT * FROM {s}.events", "settle": "SELECT {s}.settle()"}


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        *(("a_writer", each) for each in (*FORBIDDEN.values(), *SIGNING.values())),
        *(
            ("a_reader", each)
            for each in (*FORBIDDEN.values(), *APPENDING.values(), *SIGNING.values())
        ),
        *(("a_sealer", each) for each in (*FORBIDDEN.values(), *APPENDING.values())),
        *(
            ("a_stranger", each)
            for each in (*APPENDING.values(), *READING.values(), *SIGNING.values())
        ),
    ],
)
def test_a_role_cannot_do_what_it_need_not(shared: Server, role: str, statement: str) -> None:
    """A writer calls the functions and reads; a reader reads; nobody else does either."""
    with (
        psycopg.connect(as_role(shared, role).conninfo, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connection.transaction(),
    ):
        connection.execute(statement.format(s=quoted(shared.schema)))


def test_a_writer_cannot_write_what_the_ledger_never_writes(shared: Server) -> None:
    """No recorded_at that falls, no name that is there, in no other isolation."""
    s = quoted(shared.schema)
    with psycopg.connect(as_role(shared, "a_writer").conninfo, autocommit=True) as connection:
        values = ["\x1f".join([each, ""]) for each in ("1", "1", "T:1", "c/C", "s", "i")]
        rest = ["\x1e\x1f"] * 6 + ["{}\x1f", "\x1e\x1f"]
        append = f"SELECT {s}.append(1, {', '.join(['%s'] * 14)})"
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="never falls"):
            connection.execute(append, [*values, *rest])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(f"SELECT {s}.remember('ledger', 'another')")
        connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction, match="read committed"):
            connection.execute(f"SELECT {s}.begin_append()")


@pytest.mark.parametrize(
    ("role", "said"),
    [("a_reader", "this user may not do that"), ("a_stranger", "this user may not do that")],
)
def test_what_a_role_may_not_do_is_one_sentence(shared: Server, role: str, said: str) -> None:
    """And nothing was written."""
    with (
        pytest.raises(LedgerProblem, match=said) as problem,
        Ledger.open(as_role(shared, role), clock=SetClock()) as ledger,
    ):
        ledger.append([attempted(2)])
    assert "\n" not in str(problem.value)


def test_a_reader_reads(shared: Server) -> None:
    """All of it, and waits until it is durable."""
    with Ledger.open(as_role(shared, "a_reader"), clock=SetClock(), read_only=True) as ledger:
        assert ledger.head().position == 1
        assert [row.position for row in ledger.read()] == [1]
        assert sum(batch.num_rows for batch in ledger.scans.facts(0, 1)) == 1


# -- what verify and the doctor find


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "homes"))
    monkeypatch.setenv("ATTEMPT_LEDGER", new_url())
    return door.catalogued()


def change(statement: str) -> None:
    """Change the ledger past it."""
    address = read_server(os.environ["ATTEMPT_LEDGER"], Path("/none"))
    with owner(address) as connection:
        connection.execute(statement.format(s=quoted(address.schema)))


TAMPERED: dict[str, tuple[str, str]] = {
    "a value": ("UPDATE {s}.events SET source = 'x' WHERE position = 2", "position 2 was changed"),
    "a time": (
        "UPDATE {s}.events SET recorded_at = recorded_at - 9 WHERE position = 2",
        "position 2 was changed",
    ),
    "two rows": (
        "UPDATE {s}.events SET position = -position WHERE position IN (2, 3); UPDATE {s}.events "
        "SET position = 5 + position WHERE position < 0",
        "they were moved",
    ),
    "a row that is gone": ("DELETE FROM {s}.events WHERE position = 2", "position 2 is missing"),
    "the end": (
        "DELETE FROM {s}.events WHERE position > 2",
        "ends at position 2",
    ),
    "the schema": ("CREATE VIEW {s}.v AS SELECT 1 AS one", "view v"),
    "one that was put in": (
        "INSERT INTO {s}.events SELECT 0, recorded_at, occurred_at, topic, stream, source, 'new' "
        "FROM {s}.events LIMIT 0; UPDATE {s}.events SET position = 0 WHERE position = 1",
        "position 0 was put in",
    ),
}


@pytest.mark.parametrize(("statement", "said"), TAMPERED.values(), ids=TAMPERED)
def test_verify_finds_what_was_changed(door: CommandLine, statement: str, said: str) -> None:
    """Which position, and what of it; nothing is sealed on top."""
    assert door.call("verify").code == 0
    change(statement)
    answer = door.call("verify")
    assert answer.code == 1
    assert said in answer.err


# -- init lets others in


def test_init_lets_roles_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer records and a reader reads, neither more; nobody is let in who was not named."""
    door, roles = (
        CommandLine(tmp_path, monkeypatch),
        ("w one", "w two", "r one", "r two", "neither"),
    )
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "homes"))
    url = new_url()
    address = read_server(url, tmp_path)
    with psycopg.connect(server().url(), autocommit=True) as connection:
        for role in roles:
            connection.execute(f'CREATE ROLE "{role}" LOGIN')
    named = (("writer", "w one"), ("writer", "w two"), ("reader", "r one"), ("reader", "r two"))
    words = [word for kind, role in named for word in (f"--{kind}", role)]
    door.done("--ledger", url, "init", *words)
    for role in roles:
        user = role.replace(" ", "%20")
        theirs = ("--ledger", server().url(user=user, schema=address.schema))
        reads = door.call(*theirs, "export").code
        fact = ("CertEarned", "C-1", "certification=one", "--id", role)
        writes = door.call(*theirs, "--signing-key", "none", "record", *fact).code
        assert (reads == 0, writes in (0, 1)) == (role != "neither", role.startswith("w"))
    assert "row" not in door.done("--ledger", url, "verify")


def test_a_role_that_is_not_there_leaves_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence; the same call goes through once the role is there."""
    door = CommandLine(tmp_path, monkeypatch)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "homes"))
    words = ("--ledger", new_url(), "init", "--bare", "--reader", "later")
    for _ in range(2):  # at the second, nothing is there of the first
        assert '"later" does not exist: make it first, with createuser' in door.wrong(*words)
    assert "public is no role, but everybody" in door.wrong(*words[:-1], "public")
    with psycopg.connect(server().url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE later")
    door.done(*words)


def test_what_lets_others_into_a_file_is_not_for_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor the other way about; nothing is made."""
    door = CommandLine(tmp_path, monkeypatch)
    assert "attempts.ledger is a file: --mode" in door.wrong("init", "--writer", "w")
    assert list(tmp_path.iterdir()) == []
    url = new_url()
    assert "is on a server: --writer" in door.wrong("--ledger", url, "init", "--mode", "660")
    assert "there is no ledger" in door.wrong("--ledger", url, "export")


# -- what is defined while a ledger is open


MEANWHILE = {
    "a trigger that swallows": (
        "CREATE FUNCTION public.f_{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; "
        "END'; CREATE TRIGGER t BEFORE INSERT ON {s}.events EXECUTE FUNCTION public.f_{n}()"
    ),
    "a trigger that changes": (
        "CREATE FUNCTION public.f_{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.actor := "
        "''x''; RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON {s}.events FOR EACH ROW "
        "EXECUTE FUNCTION public.f_{n}()"
    ),
    "a rule": "CREATE RULE r AS ON INSERT TO {s}.events DO INSTEAD NOTHING",
    "row security": "ALTER TABLE {s}.events ENABLE ROW LEVEL SECURITY",
}


@pytest.mark.parametrize("change", MEANWHILE.values(), ids=MEANWHILE)
def test_what_comes_while_a_ledger_is_open_does_not_run(change: str, tmp_path: Path) -> None:
    """The next transaction is refused, of one event and of several; without it all is well."""
    address = made(tmp_path)
    with Ledger.open(address, clock=SetClock()) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]
        with owner(address) as connection:
            connection.execute(change.format(s=quoted(address.schema), n=address.schema))
            for events in ([attempted(2)], [attempted(3), attempted(4)], [attempted(1)]):
                with pytest.raises(Redefined, match="changed past the ledger"):
                    ledger.append(events)
            for remedy in (
                "DROP TRIGGER IF EXISTS t ON {s}.events",
                "DROP RULE IF EXISTS r ON {s}.events",
                "ALTER TABLE {s}.events DISABLE ROW LEVEL SECURITY",
            ):
                connection.execute(remedy.format(s=quoted(address.schema)))
        assert ledger.append([attempted(2)]) == [Appended(2)]


def test_a_function_that_comes_while_a_ledger_is_open_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes for long looks again at what the schema defines."""
    monkeypatch.setattr(postgres, "_LOOK_EVERY", 1)
    address = made(tmp_path)
    with Ledger.open(address, clock=SetClock()) as ledger:
        assert ledger.append([attempted(1)]) == [Appended(1)]
        with owner(address) as connection:
            connection.execute(CHANGES["another function"][0].format(s=quoted(address.schema)))
        with pytest.raises(Redefined, match="function settle"):
            ledger.append([attempted(2)])


def test_what_was_defined_and_dropped_again_keeps_nobody_from_appending(tmp_path: Path) -> None:
    """PostgreSQL goes on marking the table until it vacuums."""
    address = made(tmp_path)
    s = quoted(address.schema)
    with Ledger.open(address, clock=SetClock()) as ledger:
        ledger.append([attempted(1)])
        with owner(address) as connection:
            connection.execute(
                f"CREATE TRIGGER t BEFORE INSERT ON {s}.events FOR EACH ROW EXECUTE FUNCTION "
                f"suppress_redundant_updates_trigger(); DROP TRIGGER t ON {s}.events"
            )
            (marked,) = connection.execute(
                "SELECT relhastriggers FROM pg_class WHERE oid = %s::regclass", (f"{s}.events",)
            ).fetchone() or (False,)
        assert marked
        assert ledger.append([attempted(2)]) == [Appended(2)]
        assert ledger.append([attempted(3), attempted(4)]) == [Appended(3), Appended(4)]
