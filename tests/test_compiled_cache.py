"""Compiled code is run only if this account wrote it, and as it was written."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attempt_ledger import places
from ledger.own_folder import cache_key
from replay import compiled


def twice(number: int) -> int:
    """Return twice a number: compiled in a moment."""
    return number + number


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a place for a cache folder."""
    return tmp_path / "attempt-ledger"


def run(cache: Path) -> list[str]:
    """Compile or load the function anew, as a process that begins would; return what was said."""
    said: list[str] = []
    anew = compiled._Compiled(cache)
    anew.say = said.append
    assert anew.compile(twice)(21) == 42
    return said


def kept(cache: Path) -> list[Path]:
    """Return the files of compiled code."""
    return sorted(path for ending in ("nbi", "nbc") for path in cache.rglob(f"*.{ending}"))


def test_code_is_compiled_once_and_that_is_said(cache: Path) -> None:
    """The second run loads it, in silence; nobody else may look into the folder."""
    assert run(cache) == [compiled.COMPILING]
    assert [path.suffix for path in kept(cache)] == [".nbc", ".nbi"]
    assert run(cache) == []
    for path in (cache, *cache.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def newest(cache: Path, ending: str) -> Path:
    """Return the file of a kind that was written last: an index that was lost leaves its code."""
    files = (path for path in kept(cache) if path.suffix == f".{ending}")
    return max(files, key=lambda path: path.stat().st_mtime_ns)


def flipped(content: bytes, region: int) -> bytes:
    """Change one byte in a region of a content."""
    at = min(len(content) * region // REGIONS, len(content) - 1)
    return content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :]


def cut(content: bytes, region: int) -> bytes:
    """Cut a content at the beginning of a region."""
    return content[: len(content) * region // REGIONS]


REGIONS = 24


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("spoil", [flipped, cut])
def test_a_file_that_was_cut_or_flipped_is_thrown_away_and_made_anew(
    cache: Path, ending: str, spoil: Callable[[bytes, int], bytes]
) -> None:
    """Wherever it was; said once, and the next run finds it whole."""
    run(cache)
    for region in range(REGIONS):
        path = newest(cache, ending)
        path.write_bytes(spoil(path.read_bytes(), region))
        said = run(cache)
        assert compiled.COMPILING in said, f"region {region}"
        assert len(said) == len(set(said)) <= 2
        assert run(cache) == []


class Boom:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_planted_pickle_is_not_unpickled(cache: Path, tmp_path: Path, ending: str) -> None:
    """In place of either file: nothing in it runs."""
    run(cache)
    for path in kept(cache):
        if path.suffix == f".{ending}":
            path.write_bytes(pickle.dumps(Boom(tmp_path / "ran")))
    assert compiled.COMPILING in run(cache)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("inner", [False, True])
def test_a_folder_open_to_others_is_not_used(cache: Path, mode: int, inner: bool) -> None:
    """Said once, and answered all the same; the files stay unread."""
    run(cache)
    folder = cache / compiled.digest()
    (folder if inner else cache).chmod(mode)
    (kept(cache)[0]).write_bytes(b"planted")
    said = run(cache)
    assert len(said) == 2
    assert "can be written by others" in said[0]
    assert said[1] == "the rules are compiled first"


def test_files_of_another_account_are_not_read(cache: Path) -> None:
    """As a folder that was open once, and was closed since, may hold."""
    if os.geteuid() != 0:
        pytest.skip("only root gives a file away")
    run(cache)
    for path in kept(cache):
        os.chown(path, 65_534, 65_534)
    assert any("belongs to another account" in sentence for sentence in run(cache))
    assert run(cache) == []


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path, tmp_path: Path) -> None:
    """Something else has its name."""
    cache.write_text("in the way")
    said = run(cache)
    assert "cannot be kept" in said[0]


def test_whichever_module_is_edited_the_folder_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that the compiled code reaches; every function of the fold is in one of them."""
    digests = {compiled.rules_digest()}
    for module in compiled.SOURCES:
        edited = tmp_path / f"{module.__name__}.py"
        edited.write_bytes(Path(str(module.__file__)).read_bytes() + b"# edited")
        with monkeypatch.context() as patched:
            patched.setattr(module, "__file__", str(edited))
            digests.add(compiled.rules_digest.__wrapped__())
    assert len(digests) == 1 + len(compiled.SOURCES)
    named = {module.__name__ for module in compiled.SOURCES}
    assert {function.__module__ for function in compiled.fold_functions()} <= named


# --- which folder ----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder with temporary files of its own."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(places, "_earlier", set())
    return tmp_path


def test_the_cache_lies_in_the_home_or_where_the_environment_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In silence; its folders are made, closed to all others."""
    said: list[str] = []
    assert places.cache_folder(said.append) == home / ".cache" / "attempt-ledger"
    assert (home / ".cache").stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert places.cache_folder(said.append) == home / "xdg" / "attempt-ledger"
    assert said == []


def test_a_shared_one_is_left_for_a_folder_of_this_accounts_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is said once."""
    (home / "shared").mkdir()
    (home / "shared").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "shared"))
    said: list[str] = []
    own = home / "tmp" / f"attempt-ledger-{os.geteuid()}"
    for _ in range(2):
        assert places.cache_folder(said.append) == own
    assert said == [f"{home / 'shared'} can be written by others: compiled rules are kept in {own}"]
    assert own.stat().st_mode & 0o777 == 0o700


def test_where_no_folder_is_safe_nothing_is_kept(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said once: somebody else has taken the names."""
    for name in ("shared", "tmp"):
        (home / name).mkdir(exist_ok=True)
        (home / name).chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "shared"))
    said: list[str] = []
    assert places.cache_folder(said.append) is None
    assert said[0].endswith("compiled rules are not kept")


def test_the_key_is_made_once_and_anew_where_it_was_cut(cache: Path) -> None:
    """The key of this account's column caches; nobody else may read it."""
    key = cache_key(cache)
    assert len(key) == 32
    assert cache_key(cache) == key
    assert (cache / "key").stat().st_mode & 0o777 == 0o600
    (cache / "key").write_bytes(key[:5])
    assert len(cache_key(cache)) == 32 != len(key[:5])
    assert sorted(path.name for path in cache.iterdir()) == ["CACHEDIR.TAG", "key"]
