"""What processes wrote and synced, in order and byte for byte: a run under strace, read back."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from drills.needs import STRACE, Missing, path_of

CHANGING = (
    "open openat creat write pwrite64 writev pwritev pwritev2 ftruncate truncate fallocate "
    "fsync fdatasync sync_file_range msync rename renameat renameat2 link linkat symlink symlinkat "
    "unlink unlinkat mkdir mkdirat rmdir lseek mmap sendfile copy_file_range"
)
"""Every call by which a program changes files, or makes changes durable, or moves in a file."""

_WHOLE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)", re.DOTALL)
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*?),? ?<unfinished \.\.\.>")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>,? ?(.*)")
_BESIDE = re.compile(r"<((?:\\x[0-9a-f]{2})*)>")


class Traced(RuntimeError):
    """What was run under strace did not end well; str() is what it said."""


class Call(NamedTuple):
    """One system call that succeeded."""

    begun: int
    """How many of these calls had ended when it began: those that it surely comes after."""
    pid: int
    name: str
    arguments: tuple[str, ...]
    """As strace tells them, texts still as ``"\\x61"``."""
    returned: int
    opened: str
    """For a call that opens a file: its path."""

    def text(self, number: int) -> bytes:
        """Return an argument that is a text: a path, or what was written."""
        return unescaped(self.arguments[number].strip('"'))

    def path(self, number: int) -> str:
        """Return an argument that is a path."""
        return self.text(number).decode(errors="surrogateescape")

    def number(self, number: int) -> int:
        """Return an argument that is a number."""
        return int(self.arguments[number], 0)

    def file(self, number: int = 0) -> tuple[int, str]:
        """Return an argument that is an open file: its descriptor and its path."""
        descriptor, _, _ = self.arguments[number].partition("<")
        return (
            int(descriptor) if descriptor.lstrip("-").isdigit() else -1,
            _path_beside(self.arguments[number]),
        )


def traced(
    command: Sequence[str | Path], log: Path, *, calls: str = CHANGING, environment: dict[str, str]
) -> list[Call]:
    """Run a command and what it starts under strace; return the calls that succeeded.

    Raises Traced unless it exits with 0.
    """
    strace = [
        *(path_of(STRACE), "-f", "--seccomp-bpf", "-qq", "-y", "-xx", "-s", 1 << 26),
        *("-e", "signal=none", "-e", f"trace={','.join(calls.split())}", "-o", log, "--"),
    ]
    done = subprocess.run(
        [str(word) for word in (*strace, *command)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Traced(f"exit code {done.returncode}: {done.stdout}{done.stderr}")
    with log.open() as lines:
        return list(calls_of(lines))


def see_that_it_may() -> None:
    """Raise Missing where strace is there, and may not be used."""
    tried = [str(path_of(STRACE)), "-qq", "-e", "trace=none", "true"]
    done = subprocess.run(tried, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(
            f"strace may not trace here ({done.stderr.strip()}): allow it ptrace, in a container "
            "with --cap-add SYS_PTRACE"
        )


def calls_of(lines: Iterable[str]) -> Iterator[Call]:
    """Read the calls of a trace that succeeded, in the order in which they ended."""
    begun: dict[str, tuple[int, str]] = {}
    ended = 0
    for line in lines:
        if "<unfinished ...>" in line[-40:] and (start := _BEGUN.match(line)):
            begun[start[1]] = (ended, f"{start[1]} {start[2]}({start[3]}")
            continue
        at = ended
        if "resumed>" in line[:80] and (rest := _ENDED.match(line)) and rest[1] in begun:
            at, before = begun.pop(rest[1])
            line = before + (", " if not rest[3].startswith(")") else "") + rest[3]
        whole = _WHOLE.match(line)
        if whole is None or whole[4] == "?" or whole[4].startswith("-"):
            continue
        pid, name, arguments, returned, more = whole.groups()
        yield Call(at, int(pid), name, _split(arguments), int(returned, 0), _path_beside(more))
        ended += 1


def unescaped(text: str) -> bytes:
    """Return what strace wrote as ``\\x61\\x62``."""
    return bytes.fromhex(text.replace("\\x", ""))


def _split(arguments: str) -> tuple[str, ...]:
    # No text holds a comma, since all are told in hexadecimal.
    return tuple(arguments.split(", "))


def _path_beside(argument: str) -> str:
    found = _BESIDE.search(argument[:20_000])
    return unescaped(found[1]).decode(errors="surrogateescape") if found else ""
