"""Whatever can be made anew is made anew when it is damaged, or a sentence names the command."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine
from example_ledger import HISTORY, compiled_quietly

from attempt_ledger.cli import read_model

VIEWS = "attempts.ledger.views"
LOG = "attempts.ledger.tlog"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a ledger with a read model, sealed and verified; nobody may change it."""
    folder = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_model, "cache_folder", lambda *_: compiled_quietly())
        door = CommandLine(folder, patch).at("2026-01-01T00:00:00Z")
        door.done("init", "--bare")
        door.done("import", str(HISTORY), "--keep-recorded-at")
        door.done("project")
        door.done("verify")
    return folder


@pytest.fixture
def door(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before a copy of it."""
    monkeypatch.setattr(read_model, "cache_folder", lambda *_: compiled_quietly())
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    return CommandLine(tmp_path, monkeypatch).at("2026-01-01T00:00:00Z")


def halved(content: bytes) -> bytes:
    """Cut it in the middle."""
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    """Cut it to nothing."""
    return b""


def flipped(at: int, length: int) -> Callable[[bytes], bytes]:
    """Flip every bit of some bytes."""

    def flip(content: bytes) -> bytes:
        some = bytes(byte ^ 0xFF for byte in content[at : at + length])
        return content[:at] + some + content[at + length :]

    return flip


def damage(door: CommandLine, name: str, how: Callable[[bytes], bytes]) -> Path:
    """Damage a file."""
    path = door.folder / name
    before = path.read_bytes()
    path.write_bytes(how(before))
    assert path.read_bytes() != before
    return path


ANEW = "no row differs"
NOT_OURS = "move it away if it was one, and `project` makes it anew"
REBUILD = "is damaged: `rebuild` makes it anew"


@pytest.mark.parametrize(
    ("how", "explore", "check", "project"),
    [
        pytest.param(halved, REBUILD, "`rebuild` builds it", "is damaged: it is built anew",
                     id="cut in the middle"),
        pytest.param(emptied, "is empty: `project` builds it anew", "`rebuild` builds it",
                     "is empty: it is built anew", id="cut to nothing"),
        pytest.param(flipped(0, 16), NOT_OURS, NOT_OURS, NOT_OURS, id="its mark flipped"),
        pytest.param(flipped(100, 4000), REBUILD, "`rebuild` builds it",
                     "is damaged: it is built anew", id="its first page flipped"),
    ],
)  # fmt: skip
def test_a_damaged_read_model(
    door: CommandLine, how: Callable[[bytes], bytes], explore: str, check: str, project: str
) -> None:
    """It is never read: each command builds it anew and says so, or names the one that does."""
    path = damage(door, VIEWS, how)
    assert "  views  " in door.call("doctor").out
    assert explore in door.wrong("explore")
    assert check in door.wrong("rebuild", "--check")
    if project == NOT_OURS:
        assert project in door.wrong("project")
        path.rename(door.folder / "moved away")
    else:
        assert door.call("project").err.count(project) == 1
    door.done("project")
    assert ANEW in door.call("rebuild", "--check").err


def test_damage_where_nobody_has_read_yet(door: CommandLine) -> None:
    """`project` reads what it changes; the doctor and `rebuild` read every page."""
    damage(door, VIEWS, flipped(200_000, 60_000))
    assert "is damaged" in " ".join(door.call("doctor").out.split())
    assert "damaged: nothing to compare with" in door.wrong("rebuild", "--check")
    assert "is built, from nothing" in door.call("rebuild").err
    assert ANEW in door.call("rebuild", "--check").err


@pytest.mark.parametrize(
    ("how", "goes"), [(halved, True), (emptied, True), (flipped(0, 16), False)]
)
def test_forget_throws_a_damaged_read_model_away(
    door: CommandLine, how: Callable[[bytes], bytes], goes: bool
) -> None:
    """Unless nothing shows any more that it was one: that is said, with exit code 1."""
    path = damage(door, VIEWS, how)
    answer = door.call("forget", "C-1001", "--reason", "ticket", "--yes")
    assert "C-1001 was erased" in answer.err
    assert (answer.code, path.exists()) == ((0, False) if goes else (1, True))
    assert goes or NOT_OURS in answer.err


@pytest.mark.parametrize("how", [halved, emptied, flipped(24, 8), lambda _: b"a\n" + b"9" * 5000])
def test_the_note_of_the_last_verification(
    door: CommandLine, how: Callable[[bytes], bytes]
) -> None:
    """A damaged one counts as none: all is verified again, and then it is written anew."""
    path = damage(door, f"{LOG}/verified", how)
    assert "the note of the last verification, does not hold" in " ".join(
        door.call("doctor").out.split()
    )
    assert "positions 1 to 720 are as they were signed" in door.done("verify", "--new")
    assert path.read_bytes() == (door.folder / LOG / "checkpoint").read_bytes()


@pytest.mark.parametrize("how", [halved, emptied, flipped(24, 8), lambda _: b"a\n" + b"9" * 5000])
@pytest.mark.parametrize(
    "name", [f"{LOG}/checkpoint", f"{LOG}/vkey", "attempts.ledger.signing-key.last"]
)
def test_a_note_of_the_seal(door: CommandLine, name: str, how: Callable[[bytes], bytes]) -> None:
    """It is not believed; moved away, as the sentence says, it is written anew by `seal`."""
    path = damage(door, name, how)
    answer = door.call("verify")
    assert answer.code in (1, 2)
    assert "once it is moved away, `seal` writes it anew" in answer.err
    assert door.call("doctor").code == 1
    door.call("seal")
    path.rename(door.folder / "moved away")
    door.done("seal")
    assert "positions 1 to 720 are as they were signed" in door.done("verify")


@pytest.mark.parametrize("how", [halved, emptied, flipped(24, 8)])
@pytest.mark.parametrize("tile", ["tile/0/000", "tile/1/000.p/2", "tile/0/002.p/208"])
def test_a_tile(door: CommandLine, tile: str, how: Callable[[bytes], bytes]) -> None:
    """It is found by `verify`, which says what makes it anew."""
    damage(door, f"{LOG}/{tile}", how)
    assert "remove the folder `tile` there and `seal`" in door.refused("verify")
    shutil.rmtree(door.folder / LOG / "tile")
    door.done("seal")
    assert "positions 1 to 720 are as they were signed" in door.done("verify")
