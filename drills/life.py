"""A ledger's whole life in one process: what the drills of disks watch, cut off and disturb.

Usage: python -m drills.life FOLDER ACKNOWLEDGED [--short]. The commands are the real ones. Each
time something has been acknowledged, a line of JSON goes to the file ACKNOWLEDGED:
``position`` (everything up to it is in), ``checkpoint`` (one that was given away), ``forgotten``
(a candidate whose data was erased) and ``backup`` (the position that one was made at).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import typer.main

from attempt_ledger import clock
from attempt_ledger.cli.main import app
from drills.ground import sitting
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.models import ExceptionRequested
from ledger.outcomes import Appended
from ledger.store.sqlite_writing import SQLiteWriting
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.sealer import seal

LEDGER = "a.ledger"
BACKUP = "backup.ledger"
EMAIL = "zoe.{}@example.org"
_CATALOGUE = """
[[exam]]
code = "AZ-104"
title = "Microsoft Azure Administrator"
policy = "general"
"""


class Life:
    """The steps, in order."""

    def __init__(self, folder: Path, told: Path) -> None:
        self.folder = folder
        self.path = folder / LEDGER
        self.told = told
        self._told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def lead(self, *, short: bool) -> None:
        """Do everything once."""
        beside = self.folder.parent
        (beside / "catalogue.toml").write_text(_CATALOGUE)
        (beside / "results.csv").write_text(results(60 if short else 400))
        self.command("init")
        self.command("catalogue", beside / "catalogue.toml")
        self.append([[asked(number) for number in range(2)]])
        self.command("record", *words(sitting("recorded", 1)))
        self.command("import", beside / "results.csv", "--rejects", beside / "rejects.csv")
        self.append([[sitting("often", number)] for number in range(12 if short else 60)], pages=12)
        self.append([[sitting("many", n) for n in range(140 if short else 300)]], pages=30)
        self.command("seal")
        self.back_up()
        if not short:
            self.crowd()
        self.append([[asked(2)], [asked(3), sitting("often", 900)]])
        self.forget("C-0")
        self.command("project")
        self.append([[sitting("last", number)] for number in range(3)])
        self.command("project")
        self.forget("C-2")
        self.command("verify")

    def command(self, *words: str | Path) -> None:
        """Call the program; what it did is acknowledged when it exits with 0."""
        call = ["--ledger", f"sqlite:///{self.path}", *map(str, words)]
        code = typer.main.get_command(app).main(call, standalone_mode=False)
        if code:
            raise SystemExit(f"{' '.join(call)}: exit code {code}")
        self.acknowledge()

    def append(self, batches: Sequence[Sequence[Fact]], pages: int = 0) -> None:
        """Append, each batch acknowledged as it returns; `pages`: how often the log is emptied."""
        with Ledger.open(self.path, clock=clock.now) as ledger:
            if pages:
                with ledger.store.writing() as writing:
                    assert isinstance(writing, SQLiteWriting)
                    writing.connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
            for batch in batches:
                outcomes = ledger.append(batch)
                assert all(isinstance(outcome, Appended) for outcome in outcomes), outcomes
                self._tell(position=cast(Appended, outcomes[-1]).position)

    def forget(self, candidate: str) -> None:
        """Erase a candidate's data."""
        self.command("forget", candidate, "--reason", "asked for it")
        self._tell(forgotten=candidate)

    def back_up(self) -> None:
        """Make a backup."""
        self.command("backup", self.folder / BACKUP)
        self._tell(backup=self._head())

    def crowd(self) -> None:
        """Append from three processes at once, one of which seals."""
        writers = [
            subprocess.Popen([sys.executable, "-m", "drills.life", self.folder, self.told, name])
            for name in ("one", "two", "sealing")
        ]
        codes = [writer.wait() for writer in writers]
        if any(codes):
            raise SystemExit("a writer failed")

    def write(self, name: str) -> None:
        """Be one of a crowd."""
        for number in range(12):
            self.append([[sitting(name, number)]], pages=40)
            if name == "sealing":
                with Ledger.open(self.path, clock=clock.now) as ledger:
                    head = ledger.head().position
                    seal(log_paths(self.path), str(ledger.about("ledger")), head)

    def acknowledge(self) -> None:
        """Say what is in, and give the checkpoint away."""
        checkpoint = log_paths(self.path).checkpoint.read_text()
        self._tell(position=self._head(), checkpoint=checkpoint)

    def _head(self) -> int:
        with Ledger.open(self.path, clock=clock.now, read_only=True) as ledger:
            return ledger.head().position

    def _tell(self, **acknowledged: Any) -> None:
        os.write(self._told, f"{json.dumps(acknowledged)}\n".encode())


def asked(number: int) -> Fact:
    """Make the request of a candidate C-<number>, with personal fields."""
    request = f"E-{number}"
    event = ExceptionRequested(
        request_id=request,
        exam="AZ-104",
        registration_id=f"R-{number}",
        reason="lab-crash",
        email=EMAIL.format(number),
        first_name=f"Zoë {number}",
    )
    return Fact("urn:desk", request, f"C-{number}", 1_600_000_000_000_000, event)


def personal(number: int) -> dict[str, str]:
    """Return the personal fields of `asked`."""
    return {"email": EMAIL.format(number), "first_name": f"Zoë {number}"}


def words(fact: Fact) -> Iterator[str]:
    """Tell a sitting in the words of `record`."""
    event: Any = fact.event
    yield from ("ExamAttempted", fact.subject, f"exam={event.exam}", "delivery=live")
    yield from (f"registration_id={event.registration_id}", "--source", fact.source)
    yield from ("--id", fact.id, "--time", "2021-03-01T09:00:00Z")


def results(rows: int) -> str:
    """Make a results CSV."""
    header = "candidate_id,exam,registration_id,started_at,outcome\n"
    return header + "".join(
        f"C-{row // 3},AZ-104,R-{row},2021-{row % 12 + 1:02d}-0{row % 9 + 1}T09:00:00Z,fail\n"
        for row in range(rows)
    )


def main(folder: str, told: str, name: str = "") -> None:
    """Lead a life, or be one of the crowd in it."""
    life = Life(Path(folder), Path(told))
    if name in ("", "--short"):
        life.lead(short=bool(name))
    else:
        life.write(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
