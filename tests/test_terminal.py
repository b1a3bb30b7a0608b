"""What a terminal gets steers it not, whatever was recorded; a file or a pipe gets every byte."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from reporting import CATALOGUE, written
from scenarios import annulled, failed

from attempt_ledger.cli.output import bytes_to

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
WHO = "C-1"
WHY = "\x1b[2J\x1b]0;owned\x07\x9b31m\x85\u202e\u2066\u200b\u2028."
STEERING = set("\x1b\x07\x9b\x85\u202e\u2066\u200b\u2028")
WAYS = (
    ("export",),
    ("feed",),
    ("audit", "annulments"),
    ("audit", "annulments", "--format", "csv"),
    ("audit", "annulments", "--format", "json"),
    ("history", WHO),
    ("history", WHO, "--format", "json"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a ledger of a candidate whose id would steer a terminal."""
    path = tmp_path_factory.mktemp("terminal")
    told = (
        *CATALOGUE,
        failed("AZ-104", on="2021-03-01T09:00Z", reg="R-1", who=WHO),
        annulled("R-1/result", on="2021-03-06T09:00Z", subject=WHO, reason=WHY),
    )
    written(path / "attempts.ledger", told).close()
    return path


def on_a_terminal(folder: Path, *words: str) -> str:
    """Run a command whose output is a terminal; return what that got."""
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "200",
    }
    process = subprocess.Popen(
        [COMMAND, *words], cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs,
        stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    os.close(theirs)
    got = b""
    with suppress(OSError):  # how Linux says that the other end is closed
        while part := os.read(ours, 65_536):
            got += part
    os.close(ours)
    process.wait()
    return got.decode()


@pytest.mark.parametrize("words", WAYS, ids=" ".join)
def test_nothing_recorded_steers_a_terminal(folder: Path, words: tuple[str, ...]) -> None:
    """Escapes, C1 and bidirectional controls are shown instead of sent, in every form."""
    got = on_a_terminal(folder, *words)
    shown = "\\u202e\\u2066\\u200b\\u2028." in got
    assert shown or words == ("history", WHO), got  # which cuts what is too long for a line
    assert not STEERING & set(got)


def test_a_pipe_gets_every_byte(folder: Path) -> None:
    """The same inputs give the same bytes."""
    done = subprocess.run(
        [COMMAND, "audit", "annulments", "--format", "csv"],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    assert WHY in done.stdout.decode()


# -- the modes of files


def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_the_umask(tmp_path: Path) -> None:
    """What only its owner could read stays so; until it is whole nobody else reads it at all."""
    before = os.umask(0o022)
    try:
        for name, mode in (("kept", 0o600), ("wide", 0o664), ("new", None)):
            path = tmp_path / name
            if mode is not None:
                path.touch()
                path.chmod(mode)
            with bytes_to(path) as file:
                file.write(b"x")
                (draft,) = (each for each in tmp_path.iterdir() if each.name.startswith(f".{name}"))
                assert draft.stat().st_mode & 0o777 == 0o600
            assert path.stat().st_mode & 0o777 == (0o644 if mode is None else mode)
    finally:
        os.umask(before)
