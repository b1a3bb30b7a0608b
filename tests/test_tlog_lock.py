"""Who waits for the log says for whom, and gives up; nothing that is recorded waits for it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from command_line import CommandLine
from test_store_locks import LOCK, running

LEDGER = "attempts.ledger"
LOG = Path(f"{LEDGER}.tlog")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    return CommandLine(tmp_path, monkeypatch).catalogued()


def test_the_lock_of_the_log_is_as_private_as_the_ledger(door: CommandLine) -> None:
    """Whoever may read it may take it."""
    assert stat.S_IMODE((LOG / "lock").stat().st_mode) == 0o600


def test_no_other_account_writes_a_log_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor reads or writes what the signing key remembers of the last that it signed."""
    before = os.umask(0)
    try:
        door = CommandLine(tmp_path, monkeypatch)
        door.done("init")
        door.done("backup", "copy.ledger")
    finally:
        os.umask(before)
    logs = [*tmp_path.rglob("*.tlog"), *tmp_path.rglob("*.tlog/**/*")]
    assert len(logs) > 10
    assert [path for path in logs if path.stat().st_mode & stat.S_IWOTH] == []
    (last,) = tmp_path.rglob("*.signing-key.last")
    assert stat.S_IMODE(last.stat().st_mode) == 0o600


def test_seal_waits_says_for_whom_and_gives_up(door: CommandLine) -> None:
    """After --wait, with exit code 2, and nothing signed."""
    with running(LOCK, LOG / "lock") as process:
        said = door.wrong("--wait", "0.2", "seal")
    assert f"{LEDGER}.tlog is locked by process {process}" in said
    assert "gave up after 0.2 seconds" in said
    door.done("seal")


def test_what_is_recorded_stands_while_the_log_is_locked(door: CommandLine) -> None:
    """It is sealed the next time, and said not to be now."""
    with running(LOCK, LOG / "lock"):
        answer = door.call(
            "--wait", "0.2", "record", "ExamAttempted", "C-1", "exam=AZ-104",
            "registration_id=R-1", "delivery=live", "--id", "R-1/attempted",
        )  # fmt: skip
    assert answer.code == 0
    assert "what is recorded stands, but is not sealed" in answer.err
    assert "nothing was" not in answer.err
    assert "is locked by process" in answer.err
    assert "1 of them now" in door.call("seal").err


def test_verify_needs_no_lock(door: CommandLine) -> None:
    """Whoever keeps one keeps nobody from verifying."""
    with running(LOCK, LOG / "lock"):
        assert "as they were signed" in door.done("verify", "--full")
