"""What a schema in PostgreSQL holds, as it is found: for verification, sealing and the doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from ledger.events import Recorded
from ledger.store.inspection import (
    MOST_FOUND,
    Finding,
    Look,
    Packed,
    Reading,
    Seen,
    Values,
    ends,
    missing,
)
from ledger.store.postgres_pool import PatientConnection, connected, settle
from ledger.store.postgres_schema import LEDGER, Layout, body_of, quoted
from ledger.store.server import Server

_NAMES: Final = ", ".join(Recorded._fields)

# Each is asked of the catalogue for one schema; a line is (what, name, how it is).
_RELATIONS: Final = """
SELECT 'relation', c.relname, c.relkind::text || c.relpersistence::text
  || CASE WHEN c.relrowsecurity OR c.relforcerowsecurity THEN ' row security' ELSE '' END
  || CASE WHEN c.relkind = 'r' AND m.amname <> 'heap' THEN ' ' || m.amname ELSE '' END
FROM pg_class c LEFT JOIN pg_am m ON m.oid = c.relam
WHERE c.relnamespace = %(n)s AND c.relkind <> 'c'
UNION ALL
SELECT 'column', c.relname || '.' || a.attname, concat_ws(' ',
  row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum),
  format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
  CASE WHEN a.attcollation <> 0 THEN a.attcollation::regcollation END,
  CASE WHEN a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '' THEN 'computed' END)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = %(n)s AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index', c.relname,
  replace(split_part(pg_get_indexdef(i.indexrelid), ' USING btree ', 2), '"', '')
  || CASE WHEN i.indisunique THEN ' unique' ELSE '' END
  || CASE WHEN i.indisvalid AND i.indisready AND i.indislive THEN '' ELSE ' unusable' END
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = %(n)s
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, ''
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = %(n)s
UNION ALL
SELECT 'rule', c.relname || '.' || r.rulename, ''
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = %(n)s AND c.relkind = 'r'
UNION ALL
SELECT 'policy', c.relname || '.' || p.polname, ''
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = %(n)s
UNION ALL
SELECT 'constraint', c.relname || '.' || k.conname,
  k.contype::text || CASE WHEN k.condeferrable THEN ' deferrable' ELSE '' END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = %(n)s AND k.contype <> 'n'
UNION ALL
SELECT 'child table', c.relname || ' of ' || p.relname, ''
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
WHERE %(n)s IN (p.relnamespace, c.relnamespace)
UNION ALL
SELECT 'subscription', s.subname || ' to ' || c.relname, ''
FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid
  JOIN (SELECT oid, subname FROM pg_subscription) s ON s.oid = r.srsubid
WHERE c.relnamespace = %(n)s
UNION ALL
SELECT 'function', f.proname, concat_ws('|', pg_get_function_arguments(f.oid), f.prosecdef,
  f.provolatile, l.lanname, array_to_string(f.proconfig, ','),
  CASE WHEN f.proisstrict OR f.proparallel <> 'u' OR f.prosupport <> 0 THEN 'altered' END, f.prosrc)
FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang WHERE f.pronamespace = %(n)s
UNION ALL
SELECT 'object', pg_describe_object(d.classid, d.objid, d.objsubid), ''
FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = %(n)s AND d.classid NOT IN (
  'pg_class'::regclass, 'pg_proc'::regclass, 'pg_publication_namespace'::regclass)
UNION ALL
SELECT 'owner', c.relname, pg_get_userbyid(c.relowner)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.oid = %(n)s AND c.relkind <> 'c' AND c.relowner <> n.nspowner
UNION ALL
SELECT 'owner', f.proname, pg_get_userbyid(f.proowner)
FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
WHERE n.oid = %(n)s AND f.proowner <> n.nspowner
UNION ALL
SELECT 'right', coalesce(r.rolname, 'PUBLIC') || ' on ' || g.what, lower(a.privilege_type)
FROM (
  SELECT relname, relacl, relowner, relname = 'append_order' FROM pg_class
    WHERE relnamespace = %(n)s
  UNION ALL
  SELECT c.relname || '.' || t.attname, t.attacl, c.relowner, c.relname = 'append_order'
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid WHERE c.relnamespace = %(n)s
  UNION ALL
  SELECT proname, proacl, proowner, false FROM pg_proc WHERE pronamespace = %(n)s
  UNION ALL
  SELECT 'the schema', nspacl, nspowner, false FROM pg_namespace WHERE oid = %(n)s
) AS g(what, acl, owner, is_lock)
  CROSS JOIN aclexplode(g.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE a.grantee <> g.owner AND (g.is_lock OR a.privilege_type NOT IN ('SELECT', 'EXECUTE', 'USAGE')
  OR a.privilege_type = 'EXECUTE' AND a.grantee = 0)
"""


def _expected(schema: str, layout: Layout) -> dict[tuple[str, str], str]:
    """Return how each object of a schema of ours is, as `_RELATIONS` writes it."""
    found: dict[tuple[str, str], str] = {}
    indexes = {
        name: text + (" unique" if unique else "")
        for name, (unique, text) in layout.indexes.items()
    }
    for table, columns in layout.tables.items():
        found["relation", table] = "rp"
        for number, (name, type, needed) in enumerate(columns, start=1):
            words = [
                f"{number} {type}",
                "not null" if needed else "",
                '"C"' if type == "text" else "",
            ]
            found["column", f"{table}.{name}"] = " ".join(filter(None, words))
        if table in layout.keyed:
            indexes[f"{table}_pkey"] = f"({columns[0][0]}) unique"
            found["constraint", f"{table}.{table}_pkey"] = "p"
    for name, text in indexes.items():
        found["relation", name] = "ip"
        found["index", name] = text
    for name, (arguments, _, body) in layout.functions.items():
        settings = ["search_path=pg_catalog, pg_temp"]
        settings += [layout.plans[name]] if name in layout.plans else []
        found["function", name] = "|".join(
            (arguments, "t", "v", "plpgsql", ",".join(settings), body_of(body, schema))
        )
    for name, (arguments, body) in layout.procedures.items():
        found["function", name] = "|".join((arguments, "f", "v", "plpgsql", body_of(body, schema)))
    return found


def redefinitions(
    connection: psycopg.Connection[Any], schema: str, layout: Layout = LEDGER
) -> list[str]:
    """Return a sentence for each object of a schema that is not as its layout defines it.

    Triggers, rules, policies, views, tables above and below, functions, columns, indexes,
    constraints, subscriptions, whatever else a schema can have, and rights but to read and to call.
    None: all is as it should be. What is asked is the server's own catalogue, whatever path a role
    or a database is set to (`postgres_pool.PATH`). Raises psycopg.Error.
    """
    row = connection.execute(
        "SELECT oid FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    if row is None:
        return [f"the schema {schema} is not there"]
    found: dict[tuple[str, str], str] = {}
    others: set[tuple[str, str]] = set()
    for what, name, how in connection.execute(_RELATIONS, {"n": row[0]}):
        if (what, name) in found and what in ("function", "right"):
            others.add((what, name))  # a second one of the name
        found[what, name] = how
    expected = _expected(schema, layout)
    others |= {
        each for each in expected.keys() | found.keys() if found.get(each) != expected.get(each)
    }
    # Of what is there and should not be, the object itself is enough, without its columns.
    strangers = {
        name for what, name in others if what == "relation" and (what, name) not in expected
    }
    return [
        _sentence(what, name, found.get((what, name)), (what, name) in expected)
        for what, name in sorted(others)
        if not (what in ("column", "index") and name.partition(".")[0] in strangers)
    ]


_KINDS: Final = {"v": "view", "m": "view", "f": "foreign table", "S": "sequence", "p": "table"}


def _sentence(what: str, name: str, how: str | None, is_ours: bool) -> str:
    if what == "right":
        return f"the ledger's schema grants a right that nobody needs: {name} may {how}"
    if what == "owner":
        return f"the schema's {name} belongs to another role, {how}"
    if what == "object":
        return f"the schema has what no ledger defines: {name}"
    if how is None:
        return f"the schema's {what} {name} is missing"
    if what == "relation" and not is_ours:
        return f"the schema's {_KINDS.get(how[0], 'table')} {name} is not as the ledger defines it"
    return f"the schema's {what} {name} is not as the ledger defines it"


# -- what sealing and verification ask


def _settled(connection: PatientConnection, server: Server) -> int:
    """Return the last position, once it is durable: it will never hold another event."""
    s = quoted(server.schema)
    row = connection.execute(f"SELECT coalesce(max(position), 0) FROM {s}.events").fetchone()
    settle(connection, f"SELECT {s}.settle()", server, server.waiting)
    return 0 if row is None else int(row[0])


@contextmanager
def reading(server: Server) -> Iterator[Reading]:
    """Open a ledger to read rows of."""
    rows = f"FROM {quoted(server.schema)}.events WHERE position BETWEEN %s AND %s ORDER BY position"
    members = ", ".join(Recorded._fields[:-2])
    packing = f"row_to_json((SELECT m FROM (SELECT {members}) AS m))::text, data, extensions"
    with connected(server) as connection:

        def packed(first: int, last: int, *, typed: bool = False) -> list[Packed]:
            return connection.execute(f"SELECT {packing} {rows}", (first, last)).fetchall()

        def found(first: int, last: int) -> list[Values]:
            return connection.execute(f"SELECT {_NAMES} {rows}", (first, last)).fetchall()

        yield Reading(packed, found)


@contextmanager
def watching(server: Server) -> Iterator[Look]:
    """Open a ledger to look again and again whether anybody wrote to it."""
    with connected(server) as connection:

        def look() -> tuple[int, int]:
            head = _settled(connection, server)
            return head, head

        yield look


def last_position(server: Server) -> int:
    """Return the last position that has a row, 0 if none."""
    with connected(server) as connection:
        return _settled(connection, server)


def id_of(server: Server) -> str:
    """Return a ledger's own id, which is in no event, or an empty text."""
    select = f"SELECT value FROM {quoted(server.schema)}.about WHERE name = 'ledger'"
    with connected(server) as connection:
        found = connection.execute(select).fetchone()
        return "" if found is None else str(found[0])


def definitions(server: Server) -> list[str]:
    """Return a sentence for what is defined otherwise than a ledger does."""
    with connected(server) as connection:
        return redefinitions(connection, server.schema)


def inspect(server: Server, sealed: int) -> Seen:
    """Look at a ledger of which `sealed` events were signed."""
    events = f"{quoted(server.schema)}.events"
    with connected(server) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")  # one state of it
        row = connection.execute(
            f"SELECT coalesce(min(position), 1), coalesce(max(position), 0) FROM {events}"
        ).fetchone()
        assert row is not None
        first, head = row
        findings = ends(server, first, head, sealed)
        findings += [Finding(None, each) for each in redefinitions(connection, server.schema)]
        if head > sealed and (gap := first_gap(connection, events, sealed)) is not None:
            findings.append(missing(gap, head))
        connection.execute("ROLLBACK")
    return Seen(head, findings)


def first_gap(connection: psycopg.Connection[Any], events: str, after: int) -> int | None:
    """Return the first position after one that is missing, None if none is; psycopg.Error."""
    row = connection.execute(
        f"SELECT p FROM (SELECT position AS p, row_number() OVER (ORDER BY position) + %s AS n "
        f"FROM {events} WHERE position > %s) t WHERE p <> n ORDER BY n LIMIT 1",
        (after, after),
    ).fetchone()
    if row is None:
        return None
    (found,) = connection.execute(
        f"SELECT min(n) FROM generate_series(%s::bigint, %s::bigint) n WHERE NOT EXISTS "
        f"(SELECT 1 FROM {events} WHERE position = n)",
        (after + 1, row[0]),
    ).fetchone() or (None,)
    return None if found is None else int(found)


# Every row of the table is in each of them, but for the last, which has those that have a key.
_THROUGH: Final = {
    "events_pkey": ("position", "true"),
    "events_by_source_id": ("source, id", "true"),
    "events_by_stream": ("stream, position", "true"),
    "events_by_key": ("key", "key IS NOT NULL"),
}


@contextmanager
def read_through(server: Server) -> Iterator[Callable[[], list[Finding]]]:
    """Compare the table with each of its indexes; what is wrong is returned by the call.

    No leaf tells of an index, and who takes an entry out of one hides its event from questions.
    PostgreSQL's own `pg_amcheck` looks at every page besides.
    """
    yield lambda: _read_through(server)


def _read_through(server: Server) -> list[Finding]:
    events = f"{quoted(server.schema)}.events"
    findings = []
    with connected(server) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            for name, (columns, where) in _THROUGH.items():
                count = f"SELECT count(*) FROM (SELECT 1 FROM {events} WHERE {where}"
                _plan(connection, by_index=False)
                table = connection.execute(f"{count} OFFSET 0) t").fetchone()
                _plan(connection, by_index=True)
                index = connection.execute(f"{count} ORDER BY {columns} OFFSET 0) t").fetchone()
                if table != index:
                    findings.append(
                        Finding(None, f"the index {name} does not hold what the table does")
                    )
        except psycopg.errors.DatabaseError as error:
            if connection.closed:
                raise
            message = server.shown(str(error))
            findings.append(Finding(None, f"PostgreSQL cannot read the table: {message}"))
        connection.execute("ROLLBACK")
    return findings[:MOST_FOUND]


def _plan(connection: psycopg.Connection[Any], *, by_index: bool) -> None:
    """Read the table itself, or an index of it, from here on."""
    for setting, on in (
        ("enable_seqscan", not by_index),
        ("enable_sort", not by_index),
        ("enable_indexscan", by_index),
        ("enable_indexonlyscan", by_index),
        ("enable_bitmapscan", False),
    ):
        connection.execute(f"SET LOCAL {setting} = {'on' if on else 'off'}")
