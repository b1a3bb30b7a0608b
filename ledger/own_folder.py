"""Folders of our own: what lies in one is believed, or even run, and whatever lies there may go.

Two rules, in one place. What others may have written is not taken: a folder counts only if it is
this account's, closed to all others, and if nobody but root and this account could put another in
its place. And nothing is removed but files of our own names in a folder that bears our mark, and
never through a link: a name beside a ledger may have been given to a stranger's folder.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger.problems import LedgerProblem

MARK: Final = "CACHEDIR.TAG"
"""The file that marks a folder of ours; backup programs pass over folders that have one."""
_MARKED: Final = b"""Signature: 8a477f597d28d172789f06886806bc55
# Made by attempt-ledger, which can make anew all that is in here: see bford.info/cachedir
"""
_ACCOUNT: Final = re.compile(r"[0-9a-f]{16}|key(\.[0-9a-f]{16}\.tmp)?")
"""What lies in an account's cache folder: compiled code by digest, and the key of column caches."""
_KEY_BYTES: Final = 32
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class NotOurs(LedgerProblem):
    """A folder or a file that others may have had a hand in; str() says which, and why."""


def own_folder(path: Path, ours: re.Pattern[str]) -> Path:
    """Return a folder of our own with every link resolved, made and marked if it is not there.

    Closed to others (0700). `ours` are the names of what is kept in it: a folder without our mark
    is taken only if it holds nothing else, as one of an earlier release does. Raises NotOurs where
    others could change what lies in it, or it is a link itself, or of somebody else; OSError where
    it cannot be made.
    """
    folder = _safe_parent(path) / path.name
    made = False
    try:
        folder.mkdir(mode=0o700)
        made = True
    except FileExistsError:
        pass
    with _opened(folder) as descriptor:
        if not made:
            _check_contents(descriptor, folder, ours)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o700:
            os.fchmod(descriptor, 0o700)
        _mark(descriptor)
    return folder


def remove_ours(path: Path, ours: re.Pattern[str], *, but: frozenset[str] = frozenset()) -> bool:
    """Remove the files of our own names from a folder of our own; return whether there were any.

    Neither the folder, nor its mark, nor what is named in `but`. False where there is no folder.
    Raises NotOurs, and removes nothing, where the folder is a link, or not of our own; OSError.
    """
    folder = path.parent.resolve() / path.name
    if not os.path.lexists(folder):
        return False
    with _opened(folder) as descriptor:
        _check_contents(descriptor, folder, ours)
        return remove_files(descriptor, ours, but=but)


def remove_files(folder: int, ours: re.Pattern[str], *, but: frozenset[str] = frozenset()) -> bool:
    """Remove the files of our own names from a folder that is open; return whether any was."""
    names = [
        entry.name
        for entry in os.scandir(folder)
        if ours.fullmatch(entry.name) and entry.name not in but
        if not entry.is_dir(follow_symlinks=False)
    ]
    for name in names:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            continue  # somebody else cleared it away
    return bool(names)


def remove_folder(path: Path, ours: re.Pattern[str]) -> bool:
    """Remove files of our own names, and the folder they lay in if nothing else is there then.

    For a folder that is ours by its place alone, beside what this process makes: unmarked, and
    without folders in it. Never through a link; whatever else lies there stays, and the folder
    with it. Return whether the folder is gone.
    """
    try:
        descriptor = os.open(path, _FOLDER)
    except FileNotFoundError:
        return True
    except OSError:  # a link, or no folder
        return False
    try:
        remove_files(descriptor, ours)
    finally:
        os.close(descriptor)
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def read_own(path: Path) -> bytes:
    """Return a file's content, if nobody else can have written it.

    Raises NotOurs for what is a link, no file, another account's, or open to others for writing;
    OSError where it cannot be read, FileNotFoundError where there is none.
    """
    try:
        descriptor = os.open(path, _FILE)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise NotOurs(f"{path} is a link") from None
        raise error
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise NotOurs(f"{path} is no file")
        if found.st_uid != os.geteuid():
            raise NotOurs(f"{path} belongs to another account")
        if found.st_mode & _OTHERS:
            raise NotOurs(f"{path} can be written by others")
        return file.read()


def write_own(path: Path, content: bytes) -> None:
    """Write a new file that only this account may read."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def account_cache(path: Path) -> Path:
    """Return an account's cache folder with every link resolved; raises NotOurs or OSError."""
    return own_folder(path.resolve(), _ACCOUNT)


def cache_key(path: Path) -> bytes:
    """Return the key by which an account knows the column caches that it made.

    It lies in the account's cache folder, made at random if it is not there, or cut off. Raises
    NotOurs or OSError.
    """
    file = account_cache(path) / "key"
    for _ in range(2):
        with suppress(FileNotFoundError):
            key = read_own(file)
            if len(key) == _KEY_BYTES:
                return key
            file.unlink(missing_ok=True)
        draft = file.with_name(f"key.{secrets.token_hex(8)}.tmp")
        write_own(draft, secrets.token_bytes(_KEY_BYTES))
        try:
            os.link(draft, file)  # whoever comes second takes the key of the first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return read_own(file)


def opening_to_others(path: Path) -> str | None:
    """Return how others could change what lies at a path that is resolved; None if nobody can.

    Every folder from the root on has to be root's or this account's, and closed to the writing of
    its group and of all others, unless it is sticky, where nobody moves what is somebody else's.
    """
    for folder in (*reversed(path.parents), path):
        try:
            found = folder.stat()
        except OSError as error:
            return f"{folder} cannot be looked at: {error.strerror}"
        if found.st_uid not in (0, os.geteuid()):
            return f"{folder} belongs to another account"
        if found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX:
            return f"{folder} can be written by others"
    return None


def _safe_parent(path: Path) -> Path:
    """Return the resolved folder in which one of ours is to lie, made 0700 if it is not there."""
    there = path.parent
    try:
        parent = there.resolve(strict=True)
    except FileNotFoundError:
        parent = _safe_parent(there) / there.name
        parent.mkdir(mode=0o700, exist_ok=True)
    opening = opening_to_others(parent)
    if opening is not None:
        raise NotOurs(opening)
    return parent


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder that has to be this account's own, and no link."""
    if folder.is_symlink():
        raise NotOurs(f"{folder} is a link")
    descriptor = os.open(folder, _FOLDER)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            raise NotOurs(f"{folder} belongs to another account")
        yield descriptor
    finally:
        os.close(descriptor)


def _check_contents(descriptor: int, folder: Path, ours: re.Pattern[str]) -> None:
    if os.fstat(descriptor).st_mode & _OTHERS:
        # Closing it now would not do: what others have put there would stay.
        raise NotOurs(f"{folder} can be written by others: remove it, and it is made anew")
    if not _is_marked(descriptor):
        strange = [name for name in sorted(os.listdir(descriptor)) if not ours.fullmatch(name)]
        if strange and strange != [MARK]:
            raise NotOurs(f"{folder} is not of our making: it holds {strange[0]!r}")


def _is_marked(folder: int) -> bool:
    try:
        mark = os.open(MARK, _FILE, dir_fd=folder)
    except OSError:
        return False
    with open(mark, "rb") as file:
        return file.read(len(_MARKED) + 1) == _MARKED


def _mark(folder: int) -> None:
    """Mark an open folder as ours, unless it is."""
    if _is_marked(folder):
        return
    with suppress(FileNotFoundError):  # half of one, of a process that was killed
        os.unlink(MARK, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with suppress(FileExistsError):  # another process marks it just now
        mark = os.open(MARK, flags, 0o600, dir_fd=folder)
        with open(mark, "wb") as file:
            file.write(_MARKED)
