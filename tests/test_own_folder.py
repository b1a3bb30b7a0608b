"""What lies in a folder of our own can be of nobody else, and nothing else is ever removed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.own_folder import (
    MARK,
    NotOurs,
    opening_to_others,
    own_folder,
    read_own,
    remove_folder,
    remove_ours,
    write_own,
)

OURS = re.compile(r"[0-9]+\.part")
STRANGER = 65_534
"""The number of another account."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes another's folder")


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Make files under another umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_a_new_folder_is_closed_to_all_others_whatever_the_umask(tmp_path: Path) -> None:
    """Mode 0700, and so are the folders that had to be made on the way."""
    with umask(0):
        folder = own_folder(tmp_path / "a" / "b" / "cache", OURS)
        write_own(folder / "1.part", b"mine")
    for path in (tmp_path / "a", tmp_path / "a" / "b", folder):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (folder / "1.part").stat().st_mode & 0o777 == 0o600
    assert opening_to_others(folder) is None
    assert own_folder(tmp_path / "a" / "b" / "cache", OURS) == folder


def test_one_that_others_could_only_read_is_closed(tmp_path: Path) -> None:
    """As an earlier release made it, with the files of that release in it."""
    (tmp_path / "cache").mkdir(mode=0o755)
    (tmp_path / "cache" / "1.part").write_text("mine")
    folder = own_folder(tmp_path / "cache", OURS)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "1.part").read_text() == "mine"


def group_writes(folder: Path) -> None:
    folder.chmod(0o770)


def all_write(folder: Path) -> None:
    folder.chmod(0o777)


def another_owns(folder: Path) -> None:
    os.chown(folder, STRANGER, STRANGER)


@pytest.mark.parametrize(
    "spoil", [group_writes, all_write, pytest.param(another_owns, marks=needs_root)]
)
@pytest.mark.parametrize("which", ["outer", "parent", "cache"])
def test_where_others_could_write_it_is_not_taken(
    tmp_path: Path, spoil: Callable[[Path], None], which: str
) -> None:
    """The folder itself, the one it lies in, and one further out: the sentence names it."""
    folder = own_folder(tmp_path / "outer" / "parent" / "cache", OURS)
    spoiled = {path.name: path for path in (folder, *folder.parents)}[which]
    spoil(spoiled)
    with pytest.raises(NotOurs, match=f"{which} (can be written by others|belongs to another)"):
        own_folder(folder, OURS)


def test_a_sticky_folder_on_the_way_is_no_opening(tmp_path: Path) -> None:
    """As /tmp is: nobody moves there what is somebody else's."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert own_folder(tmp_path / "tmp" / "cache", OURS).is_dir()


def test_a_link_is_never_the_folder_and_links_on_the_way_are_resolved(tmp_path: Path) -> None:
    """What counts is where they lead."""
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real")
    assert own_folder(tmp_path / "alias" / "cache", OURS) == tmp_path / "real" / "cache"
    (tmp_path / "link").symlink_to(tmp_path / "real" / "cache")
    with pytest.raises(NotOurs, match="link is a link"):
        own_folder(tmp_path / "link", OURS)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "way").symlink_to(tmp_path / "open")
    with pytest.raises(NotOurs, match="open can be written by others"):
        own_folder(tmp_path / "way" / "cache", OURS)


def test_a_folder_of_somebody_elses_making_is_neither_taken_nor_cleared(tmp_path: Path) -> None:
    """Without our mark, and with other files in it; also one that bears another program's mark."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "1.part").write_text("theirs")
    (theirs / "thesis.odt").write_text("theirs")
    for _ in range(2):
        for call in (own_folder, remove_ours):
            with pytest.raises(NotOurs, match=r"is not of our making: it holds"):
                call(theirs, OURS)
        assert (theirs / "1.part").read_text() == (theirs / "thesis.odt").read_text() == "theirs"
        (theirs / MARK).write_text("Signature: 8a477f597d28d172789f06886806bc55\n# another's\n")


def test_nothing_but_files_of_our_names_is_removed(tmp_path: Path) -> None:
    """Not what somebody laid beside them, not a folder of such a name, and not through a link."""
    folder = own_folder(tmp_path / "cache", OURS)
    for name in ("1.part", "2.part", "notes.txt"):
        (folder / name).write_text("x")
    (tmp_path / "outside").write_text("theirs")
    (folder / "3.part").symlink_to(tmp_path / "outside")
    (folder / "4.part").mkdir()
    (folder / "4.part" / "5.part").write_text("x")
    assert remove_ours(folder, OURS, but=frozenset({"2.part"}))
    assert sorted(os.listdir(folder)) == ["2.part", "4.part", MARK, "notes.txt"]
    assert (tmp_path / "outside").read_text() == "theirs"
    assert (folder / "4.part" / "5.part").exists()
    assert not remove_ours(tmp_path / "none", OURS)


@pytest.mark.parametrize("remove", [remove_ours, remove_folder])
def test_nothing_is_removed_through_a_link(
    tmp_path: Path, remove: Callable[[Path, re.Pattern[str]], bool]
) -> None:
    """A name of ours that leads to a stranger's folder, even to one full of such names."""
    theirs = own_folder(tmp_path / "theirs", OURS)
    (theirs / "1.part").write_text("theirs")
    (tmp_path / "link").symlink_to(theirs)
    if remove is remove_folder:
        assert not remove(tmp_path / "link", OURS)
    else:
        with pytest.raises(NotOurs, match="link is a link"):
            remove(tmp_path / "link", OURS)
    assert (theirs / "1.part").read_text() == "theirs"
    assert (tmp_path / "link").is_symlink()


def test_a_folder_that_is_ours_by_its_place_goes_with_the_last_file(tmp_path: Path) -> None:
    """And stays while anything else is in it."""
    (tmp_path / "pieces").mkdir()
    (tmp_path / "pieces" / "1.part").write_text("x")
    (tmp_path / "pieces" / "other").write_text("theirs")
    assert not remove_folder(tmp_path / "pieces", OURS)
    assert os.listdir(tmp_path / "pieces") == ["other"]
    (tmp_path / "pieces" / "other").unlink()
    assert remove_folder(tmp_path / "pieces", OURS)
    assert not (tmp_path / "pieces").exists()
    assert remove_folder(tmp_path / "pieces", OURS)


def test_a_file_is_read_only_if_nobody_else_can_have_written_it(tmp_path: Path) -> None:
    """No link, nothing that is no file, nothing open to others, nothing of another account."""
    write_own(tmp_path / "a", b"mine")
    assert read_own(tmp_path / "a") == b"mine"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o666)
    for name in ("link", "pipe", "open"):
        with pytest.raises(NotOurs):
            read_own(tmp_path / name)
    if os.geteuid() == 0:
        os.chown(tmp_path / "a", STRANGER, STRANGER)
        with pytest.raises(NotOurs, match="belongs to another account"):
            read_own(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        read_own(tmp_path / "none")


def as_stranger(path: Path) -> str:
    """Ask for a folder as another account would; return it, or why not."""
    receiving, sending = os.pipe()
    child = os.fork()  # no new interpreter: that account may have none it can run
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            os.write(sending, str(own_folder(path, OURS)).encode())
        except (NotOurs, OSError) as problem:
            os.write(sending, repr(problem).encode())
        finally:
            os._exit(0)
    os.close(sending)
    with open(receiving, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    return said


@needs_root
def test_another_account_takes_no_folder_of_roots_that_it_cannot_own(tmp_path: Path) -> None:
    """Root's folders on the way are fine, root's cache is not another's; nor the other way."""
    for folder in tmp_path.parents:  # a runner of many has a folder of its own on the way
        if folder.stat().st_mode & 0o077 == 0:
            folder.chmod(0o755)
    tmp_path.chmod(0o1777)
    own_folder(tmp_path / "roots", OURS)
    assert as_stranger(tmp_path / "theirs") == str(tmp_path / "theirs")
    assert (tmp_path / "theirs").stat().st_uid == STRANGER
    assert re.search("PermissionError|belongs to another account", as_stranger(tmp_path / "roots"))
    with pytest.raises(NotOurs, match="belongs to another account"):
        own_folder(tmp_path / "theirs", OURS)
