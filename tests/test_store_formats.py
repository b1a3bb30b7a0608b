"""A ledger of an earlier format is read and written as it is, and upgraded whole or not at all."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from command_line import CommandLine
from ledger_facts import SetClock, a_ledger, attempted, exported

from ledger.cloudevents import extensions_of, parse_line, to_cloudevent
from ledger.dry_run import DryRun
from ledger.facts import Fact, fact_of
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Conflict, Duplicate, Refused
from ledger.problems import LedgerProblem, MalformedFact
from ledger.store import schema
from ledger.store.file import connect_reader

FIRST = f"{schema._COLUMNS}{schema._REST}"
"""What the first format defines."""


@contextmanager
def of_the_first_format() -> Iterator[None]:
    """Make ledgers of the first format."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("ledger.store.file.SCHEMA", FIRST)
        patched.setattr("ledger.store.file.SCHEMA_VERSION", 1)
        yield


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A ledger of the first format, with two events."""
    with of_the_first_format(), a_ledger(tmp_path, "old") as ledger:
        ledger.append([attempted(1), attempted(2)])
        return ledger.path


def extended(n: int, **attributes: object) -> Fact:
    return attempted(n)._replace(extensions=extensions_of(attributes or {"traceparent": "00-4b"}))


def defined(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        ask = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
        return [(version,), *connection.execute(ask)]


def opened(path: Path) -> Ledger:
    return Ledger.open(path, clock=SetClock())


# -- extension attributes


def test_extension_attributes_are_kept_and_given_back(tmp_path: Path) -> None:
    """As they came, and nothing else of the event changes."""
    line = to_cloudevent_of(attempted(1))
    event = json.loads(line) | {"traceparent": "00-4b", "hops": 3, "sampled": True, "gone": None}
    event["dataschema"] = "https://booking.example/attempt.json"
    with a_ledger(tmp_path) as ledger:
        ledger.append([parse_line(json.dumps(event))])
        (row,) = ledger.read()
        assert row.data == attempted(1).row().data
        back = json.loads(to_cloudevent(row))
        assert {name: back[name] for name in ("traceparent", "hops", "sampled", "dataschema")} == {
            "traceparent": "00-4b", "hops": 3, "sampled": True,
            "dataschema": "https://booking.example/attempt.json",
        }  # fmt: skip
        assert back.keys() - json.loads(line).keys() == {
            "traceparent", "hops", "sampled", "dataschema",
        }  # fmt: skip
        assert parse_line(to_cloudevent(row)).extensions == row.extensions
        assert ledger.append([fact_of(row)]) == [Duplicate(1)]


def to_cloudevent_of(fact: Fact) -> str:
    from ledger.events import Recorded

    return to_cloudevent(Recorded(1, 0, *fact.row()))


def test_extension_attributes_are_no_part_of_an_events_identity(tmp_path: Path) -> None:
    """A duplicate may come with others, or none; a conflict stays one."""
    with a_ledger(tmp_path) as ledger:
        assert ledger.append([extended(1, traceparent="a")]) == [Appended(1)]
        again = [extended(1, traceparent="b"), attempted(1), extended(1, other=1)]
        assert ledger.append(again) == [Duplicate(1)] * 3
        assert isinstance(ledger.append([extended(1)._replace(subject="C-2")])[0], Conflict)
        assert json.loads(ledger.event(1).extensions or "") == {"traceparent": "a"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("traceParent", "x", "traceParent is no member of an event here: accepted are specversion"),
        ("trace_parent", "x", "trace_parent is no member"),
        ("\x1b[2J", "x", r"\x1b[2J is no member"),
        ("a" * 65, "x", "is no member"),
        ("problem", "x", "problem is no member"),
        ("data_base64", "x", "data_base64 is no member"),
        ("hops", 1.5, "hops is no extension attribute, which is text, true, false or a whole"),
        ("hops", 2**31, "hops is no extension attribute"),
        ("hops", {"a": 1}, "hops is no extension attribute"),
        ("hops", ["a"], "hops is no extension attribute"),
        ("note", "a\nb", "note is no extension attribute"),
        ("note", "x" * 20_000, "take up more than 16,384 bytes"),
    ],
)
def test_what_is_no_extension_attribute_is_refused(name: str, value: object, words: str) -> None:
    """One sentence that names it."""
    line = json.dumps(json.loads(to_cloudevent_of(attempted(1))) | {name: value})
    with pytest.raises(MalformedFact) as problem:
        parse_line(line)
    assert words in str(problem.value)
    assert str(problem.value).isprintable()


# -- the first format


def test_a_ledger_of_the_first_format_is_read_and_written_as_ever(old: Path) -> None:
    """Nothing of it changes but what is appended."""
    before = defined(old)
    with opened(old) as ledger:
        assert not ledger.store.keeps_extensions
        assert ledger.append([attempted(3), attempted(1)]) == [Appended(3), Duplicate(1)]
        assert [row.extensions for row in ledger.read()] == [None] * 3
        assert ledger.find("urn:vue", "R-3/attempted") == ledger.event(3)
        assert len(exported(ledger)) == 3
        with ledger.appending() as appending:
            assert appending.find("urn:vue", "R-1/attempted") == ledger.event(1)
    assert defined(old) == before
    with closing(connect_reader(old)) as connection:
        assert schema.redefinitions(connection) == []


def test_what_it_cannot_keep_is_refused_with_what_to_do(old: Path) -> None:
    """And costs the others nothing; a duplicate is none of that."""
    with opened(old) as ledger:
        one, two, three = ledger.append([attempted(3), extended(4), extended(1)])
        assert (one, three) == (Appended(3), Duplicate(1))
        assert isinstance(two, Refused)
        assert "`attempt-ledger upgrade`" in two.problem
        dry_run = DryRun(ledger)
        assert isinstance(dry_run.append([extended(5)])[0], Refused)
        dry_run.close()
        kept = extended(6)._replace(recorded_at=SetClock().now)
        assert isinstance(ledger.append([kept], keep_recorded_at=True)[0], Refused)


def test_an_upgraded_ledger_is_like_one_that_was_made_so(old: Path, tmp_path: Path) -> None:
    """To the letter; what is open on it meanwhile goes on."""
    with opened(old) as ledger, opened(old) as writer, opened(old) as reader:
        writer.append([attempted(3)])
        before = [*reader.read()]
        assert ledger.store.upgrade()
        assert not ledger.store.upgrade()
        assert [*reader.read()] == before
        assert writer.append([extended(4), attempted(5)]) == [Appended(4), Appended(5)]
        assert [row.extensions for row in reader.read(2)] == [None, '{"traceparent":"00-4b"}', None]
    with a_ledger(tmp_path, "new") as new:
        assert defined(old) == defined(new.path)


def test_an_upgrade_that_is_killed_leaves_one_format_or_the_other(old: Path) -> None:
    """Before each of its steps."""
    before = defined(old)
    for step in range(1, 6):
        if os.fork() == 0:
            count = 0

            def watch(statement: str, step: int = step) -> None:
                nonlocal count
                count += 1
                if count == step:
                    os._exit(0)

            try:
                ledger = opened(old)
                with ledger.store.writing() as writing:
                    writing.connection.set_trace_callback(watch)  # type: ignore[attr-defined]
                ledger.store.upgrade()
            finally:
                os._exit(1)
        os.wait()
        assert defined(old) == before
        with opened(old) as ledger:
            assert ledger.append([attempted(2)]) == [Duplicate(2)]


def test_a_file_that_says_another_format_than_it_has_is_redefined(old: Path) -> None:
    """Whichever way."""
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with opened(old) as ledger, pytest.raises(LedgerProblem, match="not as the ledger defines it"):
        ledger.append([attempted(9)])


# -- from the command line


def test_the_command_upgrades_what_is_verified(door: CommandLine) -> None:
    """Once; checkpoints, proofs and answers stay what they were."""
    with of_the_first_format():
        door.done("init")
    door.done("seal")
    door.done("checkpoint", "--output", "kept.checkpoint")
    proof = door.done("prove", "@1")
    assert "was upgraded" in door.done("upgrade")
    assert "already" in door.done("upgrade")
    door.done("verify", "--full")
    door.done("verify", "--against", "kept.checkpoint")
    assert door.done("prove", "@1") == proof
    event = json.loads(door.lines("export")[0]["data"]["toml"] and to_cloudevent_of(attempted(1)))
    door.write("e.jsonl", json.dumps(event | {"traceparent": "00-4b"}))
    door.done("import", "e.jsonl")
    assert door.lines("export")[-1]["traceparent"] == "00-4b"
    door.done("verify", "--full")
    door.done("verify", "--against", "kept.checkpoint")


def test_what_is_wrong_is_not_upgraded(door: CommandLine) -> None:
    """Exit code 1, and the file stays as it was."""
    with of_the_first_format():
        door.done("init")
    path = door.folder / "attempts.ledger"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE events SET actor = 'x' WHERE position = 1")
        connection.commit()
    before = defined(path)
    said = door.refused("upgrade")
    assert "position 1 was changed" in said
    assert "was not upgraded: nothing was changed" in said
    assert defined(path) == before
