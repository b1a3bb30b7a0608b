"""Who may use what is open, and who may write.

Threads queue on a lock, processes on `flock` of a file beside the ledger.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, NamedTuple, TypeAlias

from ledger.problems import LedgerProblem, Locked

PRIVATE: Final = 0o600
"""The mode of a ledger, unless it is said otherwise: nobody else opens it, or what lies beside it.

Whoever may read it may lock it, too: by `flock` on its side file, or in SQLite's -shm."""

PATIENCE: Final = 30.0
"""So many seconds a lock is waited for, unless said otherwise."""
SILENCE: Final = 2.0
"""So many seconds nothing is said of it."""

_OTHER_PROGRAM: Final = "another program"
_COMMAND: Final = 60

Holder: TypeAlias = Callable[[], str]
"""Says who has a lock, as far as that can be known."""


class Waiting(NamedTuple):
    """How long to wait for a lock that others have, and whom to tell that it is waited for."""

    seconds: float = PATIENCE
    notice: Callable[[str], object] = lambda sentence: None
    """Called with one sentence after SILENCE."""

    def steps(self, path: os.PathLike[str], holder: Holder) -> Iterator[float]:
        """Yield how many seconds to try for: at first in silence, then after a notice.

        Raises Locked once all of them were tried.
        """
        yield min(SILENCE, self.seconds)
        if self.seconds > SILENCE:
            self.notice(f"waiting to write to {path}: it is locked by {holder()}")
            yield self.seconds - SILENCE
        raise Locked(
            f"{path} is locked by {holder()}: gave up after {self.seconds:g} seconds, nothing was "
            "written; end that program, or wait longer (--wait)"
        )


USUALLY: Final = Waiting()


class Opened:
    """Whether a store may be used: by the process that opened it, until it is closed.

    SQLite's connections and locks do not survive a fork, where using one can lose data; two
    processes would talk over one connection to a server.
    """

    def __init__(self, path: os.PathLike[str]) -> None:
        self._path = path
        self._by = os.getpid()
        self._closed = False

    @property
    def is_own(self) -> bool:
        """Whether this process opened it: a forked child must not close what is its parent's."""
        return self._by == os.getpid()

    def check(self) -> None:
        """Raise LedgerProblem unless it may be used."""
        if self._closed:
            raise LedgerProblem(f"{self._path} was closed: open it again")
        if not self.is_own:
            raise LedgerProblem(
                f"{self._path} was opened before this process was forked: open it again here"
            )

    def close(self) -> None:
        """Let it be used no more."""
        self._closed = True


class FileLock:
    """The only right to write to something, among all threads and processes.

    SQLite's own busy handler polls and starves under many writers; the kernel's queue does not.
    A process that dies gives the lock back. The side file holds nothing, and is never removed:
    removing it would let two writers lock two files of one name. Whoever may open it may lock it,
    so it is made with the mode and the owner of the file that it guards.
    """

    def __init__(
        self,
        path: Path,
        guarded: Path,
        *,
        shared: bool = False,
        waiting: Waiting = USUALLY,
        name: Path | None = None,
    ) -> None:
        """Use the side file `path` for what `guarded` names; `shared` with others that read.

        Whoever waits says for `name`, which is the guarded file unless it is given.
        """
        self._path = path
        self._guarded = guarded
        self._name = name or guarded
        self._kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self._threads = Lock()
        self._file: int | None = None
        self.waiting = waiting

    def __enter__(self) -> None:
        """Acquire the lock; raises Locked when others keep it for too long, and OSError."""
        if not self._threads.acquire(blocking=False):
            for seconds in self.waiting.steps(self._name, lambda: "another thread"):
                if self._threads.acquire(timeout=seconds):
                    break
        try:
            if self._file is None:
                self._file = open_beside(self._path, self._guarded)
            try:
                fcntl.flock(self._file, self._kind | fcntl.LOCK_NB)
            except BlockingIOError:
                self._queue(self._file)
        except BaseException:
            self._threads.release()
            raise

    def _queue(self, file: int) -> None:
        queued = _Queued(file, self._kind)
        try:
            for seconds in self.waiting.steps(self._name, lambda: holder(self._path)):
                if queued.has(seconds):
                    break
        except BaseException:
            self._file = None
            queued.leave()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Let the side file go."""
        with self._threads:
            if self._file is not None:
                os.close(self._file)
                self._file = None


class _Queued:
    """A place in the kernel's queue for a lock, on a thread, since `flock` has no time limit."""

    def __init__(self, file: int, kind: int) -> None:
        self._file, self._kind = file, kind
        self._ended = Event()
        self._left = False
        self._guard = Lock()
        self._error: OSError | None = None
        Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        try:
            fcntl.flock(self._file, self._kind)
        except OSError as error:
            self._error = error
        with self._guard:
            self._ended.set()
            if self._left:
                os.close(self._file)  # and so the lock, which nobody waits for any more

    def has(self, seconds: float) -> bool:
        """Wait so long for the lock; return whether it was taken. Raises OSError."""
        if not self._ended.wait(seconds):
            return False
        if self._error is not None:
            raise self._error
        return True

    def leave(self) -> None:
        """Leave the queue; the file is closed as soon as it can be."""
        with self._guard:
            self._left = True
            if self._ended.is_set():
                os.close(self._file)


def open_beside(path: Path, guarded: Path) -> int:
    """Open a side file to lock, made if it is missing with the mode and owner of what it guards.

    As SQLite makes its own side files: whoever may not write to the ledger may not lock it either,
    and a lock made by root keeps nobody out who may write. Raises OSError.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        pass
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:  # made by another in between
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        like = guarded.stat()
        if os.geteuid() == 0:
            os.fchown(file, like.st_uid, like.st_gid)
        os.fchmod(file, like.st_mode & 0o666)
    except BaseException:
        os.close(file)
        raise
    return file


def holder(path: Path, byte: int | None = None) -> str:
    """Return which processes have a lock on a file (on one byte of it), as far as Linux says."""
    try:
        found = path.stat()
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return _OTHER_PROGRAM
    file = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    processes = set()
    for line in lines:  # 1: POSIX  ADVISORY  WRITE 4014 fe:00:2148785 120 120
        fields = line.split()
        if len(fields) != 8 or fields[5] != file or int(fields[4]) <= 0:
            continue  # "1: -> FLOCK …" waits too; a process of another namespace has no number here
        first, last = int(fields[6]), fields[7]
        if byte is None or (first <= byte and (last == "EOF" or byte <= int(last))):
            processes.add(int(fields[4]))
    return " and ".join(map(_process, sorted(processes))) or _OTHER_PROGRAM


def _process(id: int) -> str:
    try:
        words = Path(f"/proc/{id}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    command = " ".join(word.decode(errors="replace") for word in words).strip()
    command = "".join(each if each.isprintable() else "?" for each in command)
    short = command if len(command) <= _COMMAND else f"{command[:_COMMAND]}…"
    return f"process {id} ({short})" if command else f"process {id}"
