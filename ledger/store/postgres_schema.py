"""What a ledger's schema in PostgreSQL defines: tables, functions, and who may call them.

Appending is by functions of the schema's owner alone, which take the order lock, write the next
positions and let no recorded_at fall. A writer has the right to call them and to read, nothing
else: it can neither change nor remove a row, nor write past them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from ledger.events import Row
from ledger.store.server import Role

SEPARATOR: Final = "\x1f"
"""Ends each value of a column that is sent as one text: no value holds a control character."""
NONE: Final = "\x1e"
"""Stands for null in such a text."""

TEXTS: Final = ("topic", "stream", "source", "id", "actor", "exam", "key", "data", "extensions")
_REQUIRED: Final = frozenset(("occurred_at", "topic", "stream", "source", "id", "data"))

Column: TypeAlias = tuple[str, str, bool]
"""(name, type, whether it must be there)."""

ABOUT: Final[Sequence[Column]] = (("name", "text", True), ("value", "text", True))
COLUMNS: Final[Sequence[Column]] = tuple(
    (name, "text" if name in TEXTS else "bigint", name in _REQUIRED) for name in Row._fields
)
"""What a row says, after position and recorded_at."""

# Text is compared by code point, so that rows sort as they do everywhere else.
_TYPES: Final = {"text": 'text COLLATE "C"'}

INDEXES: Final = {
    "events_by_source_id": ("UNIQUE ", "(source, id)"),
    "events_by_stream": ("", "(stream, position)"),
    "events_by_key": ("", "(key) WHERE (key IS NOT NULL)"),
}

_FOLLOWS: Final = "SET search_path = pg_catalog, pg_temp"
_NAMES: Final = ", ".join(Row._fields)
_RECORDED_NOW: Final = (
    "CASE WHEN last.o_position = 0 THEN p_now ELSE greatest(p_now, last.o_recorded_at + 1) END"
)

_ALL: Final = ("recorded_at", *Row._fields)


def _declared(names: Sequence[str]) -> str:
    """Declare an array for each column, of the one text as which it comes.

    A driver takes longer to write an array than all else takes.
    """
    types = (("text" if name in TEXTS else "bigint") for name in names)
    return "\n  ".join(
        f"v_{name} {type}[] := (string_to_array(p_{name}, E'\\x1f', E'\\x1e'))[:p_count]::{type}[];"
        for name, type in zip(names, types, strict=True)
    )


def _inserting(recorded_at: str) -> str:
    """Insert what these arrays hold, at the next positions.

    They are stepped through together, and one of no values is null throughout: as a table of
    arrays (ROWS FROM) each would be written down first, at a quarter of the price of the whole.
    """
    each = ", ".join(f"unnest(v_{name})" for name in Row._fields)
    return (
        f"INSERT INTO {{s}}.events (position, recorded_at, {_NAMES})\n"
        "      SELECT generate_series(last.o_position + 1, last.o_position + p_count),\n"
        f"        {recorded_at},\n        {each}"
    )


# Nothing can be defined on the events from the look at them until the transaction ends: whoever
# defines a trigger waits for the lock that writing takes. The look comes before the order lock, so
# that others wait for no more of it than what must be done in order.
_IN_ORDER: Final = """
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'appending needs read committed' USING ERRCODE = '25001';
  END IF;
  LOCK TABLE {s}.events IN ROW EXCLUSIVE MODE;
  -- What was dropped is still marked until a vacuum: so a mark is looked into.
  IF (SELECT c.relrowsecurity OR c.relhastriggers OR c.relhasrules
      FROM pg_class c WHERE c.oid = {e}::regclass) THEN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = {e}::regclass AND relrowsecurity)
        OR EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = {e}::regclass)
        OR EXISTS (SELECT 1 FROM pg_rewrite WHERE ev_class = {e}::regclass) THEN
      RAISE EXCEPTION 'something runs in it that is not the ledger''s' USING ERRCODE = '42P17';
    END IF;
  END IF;
  LOCK TABLE {s}.append_order IN EXCLUSIVE MODE;
"""

_BEGIN: Final = f"""
BEGIN{_IN_ORDER}
  SELECT e.position, e.recorded_at INTO o_position, o_recorded_at
    FROM {{s}}.events e ORDER BY e.position DESC LIMIT 1;
  o_position := coalesce(o_position, 0);
  o_recorded_at := coalesce(o_recorded_at, 0);
END
"""

# All at once; and only where one of the keys is there already, up to the first of those. Each
# statement sees what was committed before it began: under the lock, everything.
_APPEND: Final = f"""
DECLARE
  last record;
  taken bigint;
  stored bigint;
  {_declared(_ALL)}
BEGIN
  SELECT * INTO last FROM {{s}}.begin_append();
  IF last.o_position > 0 AND v_recorded_at[1] < last.o_recorded_at OR EXISTS (
      SELECT 1 FROM unnest(v_recorded_at[2:], v_recorded_at[:p_count - 1]) AS t(now, before)
      WHERE now < before) THEN
    RAISE EXCEPTION 'recorded_at never falls' USING ERRCODE = '22023';
  END IF;
  BEGIN
    {_inserting("unnest(v_recorded_at)")};
    GET DIAGNOSTICS stored = ROW_COUNT;
    taken := p_count + 1;
  EXCEPTION WHEN unique_violation THEN
    SELECT coalesce(min(t.ord), p_count) INTO taken FROM (
      SELECT u.ord, row_number() OVER (PARTITION BY u.source, u.id ORDER BY u.ord) AS nth,
        (SELECT e.position FROM {{s}}.events e WHERE e.source = u.source AND e.id = u.id) AS there
      FROM unnest(v_source, v_id) WITH ORDINALITY AS u(source, id, ord)) t
    WHERE t.nth > 1 OR t.there IS NOT NULL;
    {_inserting("unnest(v_recorded_at)")}
      LIMIT taken - 1;
    GET DIAGNOSTICS stored = ROW_COUNT;
  END;
  IF stored <> taken - 1 THEN
    RAISE EXCEPTION '% of % rows went in', stored, taken - 1 USING ERRCODE = '42P17';
  END IF;
  RETURN stored;
END
"""

_TYPED: Final = ", ".join(f"p_{name} {type}" for name, type, _ in COLUMNS)
_NAMED: Final = ", ".join(f"p_{name}" for name in Row._fields)

# The same where there is one row, without a look at its key, in one statement: what is done here is
# what eight writers wait for.
_APPEND_ONE: Final = f"""
DECLARE
  placed bigint;
BEGIN{_IN_ORDER}
  INSERT INTO {{s}}.events (position, recorded_at, {_NAMES})
    SELECT coalesce(last.position, 0) + 1, greatest(p_now, last.recorded_at + 1), {_NAMED}
    FROM (SELECT) one LEFT JOIN (SELECT e.position, e.recorded_at
      FROM {{s}}.events e ORDER BY e.position DESC LIMIT 1) last ON true
    RETURNING position INTO placed;
  IF placed IS NULL THEN
    RAISE EXCEPTION 'the row did not go in' USING ERRCODE = '42P17';
  END IF;
  RETURN placed;
END
"""

# The same where there are several, all with one recorded_at.
_APPEND_NEW: Final = f"""
DECLARE
  last record;
  stored bigint;
  {_declared(Row._fields)}
BEGIN
  SELECT * INTO last FROM {{s}}.begin_append();
  {_inserting(_RECORDED_NOW)};
  GET DIAGNOSTICS stored = ROW_COUNT;
  IF stored <> p_count THEN
    RAISE EXCEPTION '% of % rows went in', stored, p_count USING ERRCODE = '42P17';
  END IF;
  RETURN last.o_position + 1;
END
"""


# Whoever is to rely on a row waits until it is on the disk, and on the standbys that the server
# waits for. Non-transactional messages are flushed by themselves from PostgreSQL 17 on. An
# assignment of a call is done without a plan to start, unlike PERFORM.
_DURABLE: Final = """
  IF pg_catalog.pg_is_in_recovery() THEN
    RETURN;
  END IF;
  IF pg_catalog.current_setting('synchronous_standby_names') = '' THEN
    IF pg_catalog.pg_current_wal_flush_lsn() >= pg_catalog.pg_current_wal_insert_lsn() THEN
      RETURN;
    END IF;
    IF pg_catalog.current_setting('server_version_num')::integer >= 170000 THEN
      flushed := pg_catalog.pg_logical_emit_message(false, 'attempt-ledger', ''::text, true);
      RETURN;
    END IF;
  END IF;
  IF pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    was := pg_catalog.set_config('synchronous_commit', 'on', true);
  END IF;
  flushed := pg_catalog.pg_logical_emit_message(true, 'attempt-ledger', ''::text);
"""
_OF_DURABLE: Final = "DECLARE\n  flushed pg_lsn;\n  was text;"

_SETTLE: Final = f"\n{_OF_DURABLE}\nBEGIN{_DURABLE}END\n"


def _committing(append: str) -> str:
    """Return the body of a procedure that is the whole transaction, and settles after it."""
    return f"""
{_OF_DURABLE}
BEGIN
  was := pg_catalog.set_config('synchronous_commit', 'off', true);
  was := pg_catalog.set_config('lock_timeout', p_wait, true);
  o_position := {{s}}.{append};
  COMMIT;{_DURABLE}END
"""


_REMEMBER: Final = """
BEGIN
  PERFORM {s}.begin_append();
  INSERT INTO {s}.about (name, value) VALUES (p_name, p_value);
END
"""

_NEW: Final = "p_now bigint, p_count integer, " + ", ".join(
    f"p_{name} text" for name in Row._fields
)

# Only ever onwards: what is signed later is of as many events or more.
_KEEP_SIGNED: Final = """
BEGIN
  INSERT INTO {s}.signed (log, size, note) VALUES (p_log, p_size, p_note)
    ON CONFLICT (log) DO UPDATE SET size = excluded.size, note = excluded.note
    WHERE signed.size <= excluded.size;
END
"""

_FUNCTIONS: Final = {
    "begin_append": ("OUT o_position bigint, OUT o_recorded_at bigint", "", _BEGIN),
    "append": (
        "p_count integer, " + ", ".join(f"p_{name} text" for name in _ALL),
        "RETURNS bigint ",
        _APPEND,
    ),
    "append_one": (f"p_now bigint, {_TYPED}", "RETURNS bigint ", _APPEND_ONE),
    "append_new": (_NEW, "RETURNS bigint ", _APPEND_NEW),
    "remember": ("p_name text, p_value text", "RETURNS void ", _REMEMBER),
    "settle": ("", "RETURNS void ", _SETTLE),
    "keep_signed": ("p_log text, p_size bigint, p_note text", "RETURNS void ", _KEEP_SIGNED),
}


def _in(arguments: str) -> str:
    """Write the arguments of a procedure as PostgreSQL shows them."""
    return f"IN {arguments.replace(', ', ', IN ')}"


_PROCEDURES: Final = {
    "commit_one": (
        _in(f"p_wait text, p_now bigint, {_TYPED}") + ", INOUT o_position bigint",
        _committing(f"append_one(p_now, {_NAMED})"),
    ),
    "commit_new": (
        _in(f"p_wait text, {_NEW}") + ", INOUT o_position bigint",
        _committing(f"append_new(p_now, p_count, {_NAMED})"),
    ),
}


class Layout(NamedTuple):
    """What a schema of ours defines, and nothing else."""

    tables: Mapping[str, Sequence[Column]]
    keyed: Sequence[str]
    """The tables whose first column is their primary key."""
    indexes: Mapping[str, tuple[str, str]]
    """Of `events`: (UNIQUE or nothing, columns)."""
    functions: Mapping[str, tuple[str, str, str]]
    """(arguments, what it returns, body) of each; all run as the owner, whatever the path."""
    procedures: Mapping[str, tuple[str, str]]
    """(arguments, body) of each; they commit, so PostgreSQL lets them run as their caller alone."""
    plans: Mapping[str, str]
    """What is set besides for a function."""
    reads: Sequence[str]
    """The tables that are read by whoever is let in."""
    calls: Mapping[Role, Sequence[str]]
    """What each kind of role calls."""


LEDGER: Final = Layout(
    tables={
        "events": (("position", "bigint", True), ("recorded_at", "bigint", True), *COLUMNS),
        "about": ABOUT,
        # The last checkpoint that was signed, on whatever machine.
        "signed": (("log", "text", True), ("size", "bigint", True), ("note", "text", True)),
        # Always empty: only its lock is used, which nobody can take without a right to the table.
        "append_order": (),
    },
    keyed=("events", "about", "signed"),
    indexes=INDEXES,
    functions=_FUNCTIONS,
    procedures=_PROCEDURES,
    # A plan that was made for a small table reads all of it once it is large.
    plans={"append": "enable_seqscan=off"},
    reads=("events", "about", "signed"),
    calls={
        "writer": (*(name for name in _FUNCTIONS if name != "keep_signed"), *_PROCEDURES),
        "reader": ("settle",),
        "sealer": ("settle", "keep_signed"),
    },
)


def quoted(name: str) -> str:
    """Write a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def body_of(body: str, schema: str) -> str:
    """Return what a function of a schema does, with the schema's name in it."""
    events = f"{quoted(schema)}.events".replace("'", "''")
    return body.format(s=quoted(schema), e=f"'{events}'")


def statements(schema: str, layout: Layout, about: Mapping[str, str]) -> Iterator[str]:
    """Yield what makes a schema that is not there yet, empty but for what it says of itself."""
    s = quoted(schema)
    yield f"CREATE SCHEMA {s}"
    for table, columns in layout.tables.items():
        lines = [
            f"{name} {_TYPES.get(type, type)}{' NOT NULL' if needed else ''}"
            for name, type, needed in columns
        ]
        if table in layout.keyed:
            lines.append(f"PRIMARY KEY ({columns[0][0]})")
        yield f"CREATE TABLE {s}.{table} ({', '.join(lines)})"
    for name, (unique, what) in layout.indexes.items():
        yield f"CREATE {unique}INDEX {name} ON {s}.events {what}"
    for name, (arguments, returns, body) in layout.functions.items():
        plan = f"SET {layout.plans[name]} " if name in layout.plans else ""
        yield (
            f"CREATE FUNCTION {s}.{name}({arguments}) {returns}LANGUAGE plpgsql VOLATILE "
            f"SECURITY DEFINER {_FOLLOWS} {plan}AS $body${body_of(body, schema)}$body$"
        )
    for name, (arguments, body) in layout.procedures.items():
        yield (
            f"CREATE PROCEDURE {s}.{name}({arguments}) LANGUAGE plpgsql "
            f"AS $body${body_of(body, schema)}$body$"
        )
    yield f"REVOKE ALL ON ALL ROUTINES IN SCHEMA {s} FROM PUBLIC"
    for name, value in about.items():
        yield f"INSERT INTO {s}.about VALUES ('{name}', '{value}')"


def grants(schema: str, layout: Layout, role: str, kind: Role) -> Sequence[str]:
    """Return what lets a role do what its kind may, and nothing else."""
    s, r = quoted(schema), quoted(role)
    return (
        f"GRANT USAGE ON SCHEMA {s} TO {r}",
        f"GRANT SELECT ON {', '.join(f'{s}.{table}' for table in layout.reads)} TO {r}",
        *(f"GRANT EXECUTE ON ROUTINE {s}.{name} TO {r}" for name in layout.calls[kind]),
    )
