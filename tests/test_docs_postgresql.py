"""docs/postgresql.md: what it says of roles and of backups is done as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from command_line import CommandLine
from postgres import server

from ledger.store.postgres_schema import LEDGER, grants
from ledger.store.server import SCHEMA

PAGE = (Path(__file__).parents[1] / "docs/postgresql.md").read_text(encoding="utf-8")
DATABASE = "of_the_page"


def recipe(name: str, folder: Path) -> str:
    """Take a block of the page by its first line, with places that there are here."""
    (block,) = re.findall(rf"```\w+\n(?:#|--) {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    words = {"/backup": f"{folder}/backup", "restored": f"{DATABASE}_restored"}
    for word, here in words.items():
        block = block.replace(word, here)
    return re.sub(r"\bexams$", DATABASE, block, flags=re.MULTILINE)


def test_the_roles_of_the_page_are_those_of_the_program() -> None:
    """Each right that it grants, and no more."""
    block = " ".join(re.findall(r"```sql\n-- roles\n(.*?)```", PAGE, re.DOTALL)[0].split())
    told = set()
    for what, on, to in re.findall(r"GRANT (\w+) ON (.*?) TO (.*?);", block):
        for name in re.sub("^(FUNCTION|ROUTINE|SCHEMA) ", "", on).split(", "):
            told |= {(what, name, role) for role in to.split(", ")}
    ours = set()
    for role, kind in (
        ("exam_writer", "writer"),
        ("exam_reader", "reader"),
        ("exam_sealer", "sealer"),
    ):
        for statement in grants(SCHEMA, LEDGER, role, kind):  # type: ignore[arg-type]
            plain = statement.replace('"', "")
            (found,) = re.findall(r"GRANT (\w+) ON (?:FUNCTION |ROUTINE |SCHEMA )?(.*) TO", plain)
            ours |= {(found[0], name, role) for name in found[1].split(", ")}
    assert told == ours


def test_a_dump_comes_back_and_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was signed; and what was cut off since is found by the checkpoint that was kept."""
    cluster = server()
    cluster("createdb", DATABASE)
    folder = cluster.folder
    (folder / "backup").mkdir()
    door = CommandLine(tmp_path, monkeypatch)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "homes"))
    url = cluster.url(DATABASE)
    monkeypatch.setenv("ATTEMPT_LEDGER", url)
    door.catalogued().failed("R-1", "2021-03-01T09:00:00Z")
    exported = door.done("export")
    dump, checkpoint = recipe("dump", folder).strip().splitlines()
    cluster.shell(dump)
    kept = folder / "backup/exams.checkpoint"
    kept.write_text(door.done(*checkpoint.split(" > ")[0].split()[1:]))
    cluster.shell(recipe("restore", folder))
    restored = cluster.url(f"{DATABASE}_restored")
    (home,) = (tmp_path / "homes").iterdir()
    home.joinpath("attempts.ledger.signing-key").rename(folder / "backup/exams.signing-key")
    monkeypatch.setenv("ATTEMPT_LEDGER", restored)
    assert door.done("export") == exported
    door.done(*recipe("log", folder).split()[1:])
    verify = recipe("verify", folder).split()[1:]
    assert "are as they were signed" in door.done(*verify)
    with psycopg.connect(restored, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {SCHEMA}.events WHERE position > 4")
    assert "it was cut off" in door.refused(*verify)
