"""A ledger that Litestream replicates: what comes back of it is verified like any backup."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from backing import ENVIRONMENT, LEDGER, edit, lived_in, names, rows_of, until
from command_line import CommandLine
from workers import start, told

LITESTREAM = str(Path(sys.executable).with_name("litestream"))
ROOT = Path(__file__).parents[1]
NEW = ("--ledger", "sqlite:///new")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return lived_in(CommandLine(tmp_path, monkeypatch))


def config_of_the_page(folder: Path) -> Path:
    """Take litestream.yml as docs/operations.md gives it, with places that there are here."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(# /etc/litestream.yml\n.*?)```", page, re.DOTALL)
    for there, here in (
        ("/var/lib/exams/attempts.ledger", folder / LEDGER),
        ("url: s3://exams-backup/attempts.ledger", f"url: file://{folder}/replica"),
    ):
        assert there in shown
        shown = shown.replace(there, str(here))
    path = folder / "litestream.yml"
    path.write_text(shown, encoding="utf-8")
    return path


@contextmanager
def replicating(folder: Path) -> Iterator[None]:
    """Replicate until the end, then end it as a service manager does: it syncs what is left."""
    config = config_of_the_page(folder)
    with (folder / "litestream.log").open("w") as log:
        process = subprocess.Popen(
            [LITESTREAM, "replicate", "-config", config], stdout=log, stderr=log, env=ENVIRONMENT
        )
        try:
            until(lambda: any((folder / "replica").rglob("*.ltx")))
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    said = (folder / "litestream.log").read_text()
    assert process.returncode == 0, said
    errors = [line for line in said.splitlines() if "level=ERROR" in line]
    assert [line for line in errors if "SQLITE_BUSY" not in line] == []  # that it tries again


def brought_back(folder: Path) -> None:
    """Restore the replica to the file `replica.ledger`."""
    done = subprocess.run(
        [LITESTREAM, "restore", "-o", "replica.ledger", f"file://{folder}/replica"],
        capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_writers_append_beside_it_comes_back_and_is_verified(door: CommandLine) -> None:
    """Nothing that was acknowledged is missing once it has synced, and every hash holds."""
    acknowledged: set[str] = set()
    with replicating(door.folder):
        writers = [start(LEDGER, name, 60, 5) for name in ("one", "two")]
        for writer in writers:
            out, err = writer.communicate()
            assert (writer.returncode, err) == (0, "")
            acknowledged |= told(out)
        door.done("seal")
        door.done("verify", "--full")
        door.done("backup", "b")
    door.done("checkpoint", "--output", "kept")
    door.done("checkpoint", "--key", "--output", "log.vkey")
    brought_back(door.folder)
    door.done("restore", "replica.ledger", "new", "--against", "kept", "--key", "log.vkey")
    assert len(acknowledged) > 300
    assert acknowledged <= {str(row[6]) for row in rows_of("new")}
    assert rows_of("new") == rows_of(LEDGER) == rows_of("b")
    assert "as they were signed" in door.done(*NEW, "verify", "--against", "kept")


def test_a_replica_that_lags_is_told_from_a_checkpoint(door: CommandLine) -> None:
    """It is a moment behind by nature: what it had not got yet is named."""
    with replicating(door.folder):
        pass
    head = len(rows_of(LEDGER))
    door.done("record", "ExamWentLive", "AZ-104")
    door.done("checkpoint", "--output", "kept")
    brought_back(door.folder)
    words = ("restore", "replica.ledger", "new", "--against", "kept", "--key")
    told = door.refused(*words, f"{LEDGER}.tlog/vkey")
    assert f"position {head + 1} is missing from it" in told
    assert names(door.folder, "new") == set()


def test_beside_its_tables_nothing_else_may_be_in_the_file(door: CommandLine) -> None:
    """The two it keeps are known; of those names with anything more they are not."""
    with replicating(door.folder):
        pass
    door.done("verify", "--full")
    edit(
        LEDGER,
        "CREATE TRIGGER t AFTER INSERT ON _litestream_seq BEGIN DELETE FROM events; END",
        "ALTER TABLE _litestream_lock ADD COLUMN more TEXT",
    )
    told = door.refused("verify", "--full")
    assert "trigger t is not as the ledger defines it" in told
    assert "table _litestream_lock is not as the ledger defines it" in told


def test_no_key_is_in_the_replica(door: CommandLine) -> None:
    """It replicates the one file that it is told of."""
    with replicating(door.folder):
        pass
    seed = Path(f"{LEDGER}.signing-key").read_bytes().strip().split(b"+", 4)[4]
    found = [path for path in Path("replica").rglob("*") if path.is_file()]
    assert found
    assert not any(seed in path.read_bytes() for path in found)
    brought_back(door.folder)
    shutil.rmtree("replica")
    assert names(door.folder, "replica.ledger.") == set()
