"""The page's recipes for PostgreSQL, run on a real server: what went in comes out, to the byte."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backing import LEDGER, lived_in, rows_of, until
from command_line import CommandLine

from drills.cluster import Cluster

PAGE = (Path(__file__).parents[1] / "docs/operations.md").read_text(encoding="utf-8")


def recipe(name: str, folder: Path) -> str:
    """Take a block of the page by its first line, with places that there are here."""
    (block,) = re.findall(rf"```\w+\n(?:#|--) {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    for place in ("/backup", "/archive"):
        block = block.replace(place, f"{folder}{place}")
    return block


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="pg") as name:  # a socket's path must be short
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("backup", "archive"):
            (folder / each).mkdir()
        made = Cluster(folder, 16)  # the wheel's pg_verifybackup of 18 does not run
        made.make(recipe("postgresql.conf", folder))
        yield made


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return lived_in(CommandLine(tmp_path, monkeypatch)).at("2022-06-01T12:30:00Z")


def lines_of(cluster: Cluster, database: str = "exams") -> str:
    """Take the lines out, as the page says."""
    path = cluster.folder / "backup/history.jsonl"
    path.unlink(missing_ok=True)
    cluster.sql(recipe("out", cluster.folder), database)
    return path.read_text(encoding="utf-8")


def test_an_export_comes_out_of_a_dump_as_it_went_in(door: CommandLine, cluster: Cluster) -> None:
    """Line by line the same, with backslashes, quotes and letters of all kinds."""
    door.done("record", "ExamRetired", 'A "\\b\\\\" , 日本', "--id", "odd\\.")
    lines = door.done("export")
    (cluster.folder / "backup/history.jsonl").write_text(lines, encoding="utf-8")
    with cluster.running():
        cluster("createdb", "exams")
        cluster.sql(recipe("in", cluster.folder))
        assert lines_of(cluster) == lines
        cluster.shell(recipe("dump", cluster.folder))
        assert lines_of(cluster, "restored") == lines
    door.write("back.jsonl", lines)
    again = ("--ledger", "sqlite:///again")
    door.done(*again, "init", "--bare")
    door.done(*again, "import", "--keep-recorded-at", "back.jsonl")
    assert rows_of("again") == rows_of(LEDGER)


def test_a_base_backup_and_the_archive_bring_back_what_came_after_it(
    door: CommandLine, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is lost without warning; what was archived by then is there, and verifies.

    Put back to an earlier moment it is an older ledger, which a checkpoint that was kept shows.
    """
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(door.folder / "homes"))
    ledger = ("--ledger", cluster.url())
    against = ("verify", "--against", "kept")
    with cluster.running("immediate"):
        cluster("createdb", "exams")
        door.done("move", LEDGER, cluster.url())
        assert "backup successfully verified" in cluster.shell(
            recipe("base backup", cluster.folder)
        )
        door.done(*ledger, "record", "CertEarned", "C-1", "certification=one", "--id", "later")
        history = door.done(*ledger, "export")
        door.write("kept", door.done(*ledger, "checkpoint"))
        last = cluster.sql("SELECT pg_walfile_name(pg_switch_wal());").strip()
        until(lambda: (cluster.folder / "archive" / last).exists())
    with put_back(cluster):
        assert door.done(*ledger, "export") == history
        assert "as they were signed" in door.done(*ledger, *against)
    with put_back(cluster, "recovery_target = 'immediate'\nrecovery_target_timeline = 'current'\n"):
        assert history.startswith(door.done(*ledger, "export"))
        assert "it was cut off" in door.refused(*ledger, *against)


@contextmanager
def put_back(cluster: Cluster, settings: str = "") -> Iterator[None]:
    """Run the base with the archive, as the page says."""
    shutil.rmtree(cluster.data)
    shutil.copytree(cluster.folder / "backup/base", cluster.data)
    (cluster.data / "recovery.signal").touch()
    cluster.set_up(recipe("postgresql.conf of what is put back", cluster.folder) + settings)
    with cluster.running():
        until(lambda: cluster.sql("SELECT pg_is_in_recovery();").strip() == "f")
        yield
