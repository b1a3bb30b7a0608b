"""What the system must provide: found, installed (on Debian, as root), or named in one line."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class Missing(Exception):
    """Something of the system is not there; str() is one sentence that names the packages."""


@dataclass(frozen=True)
class Tool:
    """A program or library of the system."""

    name: str
    package: str
    """Of Debian and Ubuntu; other systems have it under this name or a similar one."""
    find: Callable[[], Path | None]


def program(name: str) -> Callable[[], Path | None]:
    """Return what finds a program on the path."""

    def find() -> Path | None:
        found = shutil.which(name)
        return None if found is None else Path(found)

    return find


def _faketime() -> Path | None:
    """Find the library for programs with threads, in any of the places distributions put it."""
    places = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
    for pattern in ("*/faketime/libfaketimeMT.so.1", "faketime/libfaketimeMT.so.1"):
        for place in places:
            for found in sorted(Path(place).glob(pattern)):
                return found
    return None


STRACE = Tool("strace", "strace", program("strace"))
FAKETIME = Tool("libfaketime", "libfaketime", _faketime)
MOUNT = Tool("mount", "mount", program("mount"))


def provide(tools: Sequence[Tool]) -> None:
    """See that all are there; raises Missing."""
    missing = _missing(tools)
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        with _alone():
            missing = _missing(tools)
            if missing:
                _install([name for tool in missing for name in tool.package.split()])
                missing = _missing(tools)
    if missing:
        names = " and ".join(tool.name for tool in missing)
        packages = " ".join(tool.package for tool in missing)
        raise Missing(
            f"{names} {'is' if len(missing) == 1 else 'are'} needed and not installed: "
            f"install {packages}, on Debian with: sudo apt-get install -y {packages}"
        )


def _missing(tools: Sequence[Tool]) -> list[Tool]:
    return [tool for tool in tools if tool.find() is None]


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time install: another one's apt-get would not wait, but fail."""
    with (Path(tempfile.gettempdir()) / "attempt-ledger-drills.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def path_of(tool: Tool) -> Path:
    """Return where a tool is; raises Missing."""
    provide([tool])
    found = tool.find()
    assert found is not None
    return found


def _install(packages: Sequence[str]) -> None:
    """Install packages, with fresh lists if those at hand do not do; failing is seen afterwards."""
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait = "-oDPkg::Lock::Timeout=120"  # for somebody else's
    install = ["apt-get", "install", wait, "-y", "-qq", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=quietly, capture_output=True, check=False)
        if command is install and done.returncode == 0:
            return
