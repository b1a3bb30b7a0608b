"""What drills on a ledger in PostgreSQL share: facts, a user who calls, and what is there after."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from attempt_ledger import clock
from drills.report import Finding
from drills.whole import Key
from ledger.facts import Fact
from ledger.instants import SECOND
from ledger.ledger import Ledger
from ledger.models import ExamAttempted
from ledger.store.postgres_integrity import inspect
from ledger.store.server import Server, read_server

_BEGIN = 1_600_000_000 * SECOND
_OF_PYTHON = re.compile(r"Traceback|[a-z]Error\b|should not have happened")


def fact(name: str, n: int) -> Fact:
    """Return the nth sitting that a writer delivers."""
    event = ExamAttempted(exam="AZ-104", registration_id=f"{name}-{n}", delivery="live")
    return Fact("urn:drill", f"{name}-{n}", f"C-{n // 5}", _BEGIN + n * SECOND, event, "drill")


@contextmanager
def folders(many: int) -> Iterator[list[Path]]:
    """Make folders for servers, with short paths, and remove them at the end."""
    made = [Path(tempfile.mkdtemp(prefix="pg")) for _ in range(many)]
    try:
        for folder in made:
            folder.chmod(0o755)
        yield made
    finally:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)


class Said(NamedTuple):
    """What a call came to."""

    code: int
    errors: str

    def problems(self, *codes: int) -> list[str]:
        """Return a sentence unless it ended so, saying why in words of a user's."""
        if self.code in codes and not _OF_PYTHON.search(self.errors):
            return []
        return [f"exit code {self.code}: {self.errors[-300:]}"]


def call(url: str, home: Path, *words: str | Path) -> subprocess.Popen[str]:
    """Begin a command, as a user at a terminal would."""
    command = [sys.executable, "-m", "attempt_ledger", "--ledger", url, "--home", home, *words]
    return subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def said_by(process: subprocess.Popen[str]) -> Said:
    """Return what a call came to, once it ends."""
    errors = process.communicate(timeout=300)[1]
    return Said(process.returncode, errors)


def new_ledger(url: str, home: Path) -> Server:
    """Make a ledger on a server; return its address."""
    address = read_server(url, home)
    address.home.parent.mkdir(parents=True, exist_ok=True)
    Ledger.create(address, clock=clock.now).close()
    return address


def compared(
    what: str, address: Server, acknowledged: Mapping[Key, int | None], problems: Sequence[str],
    note: str = "",
) -> Finding:  # fmt: skip
    """Compare what is there with what was acknowledged, at its position or anywhere."""
    with Ledger.open(address, clock=clock.now, read_only=True) as ledger:
        rows = list(ledger.read())
    at = {(row.source, row.id): row.position for row in rows}
    lost = [
        key
        for key, position in acknowledged.items()
        if key not in at or position not in (None, at[key])
    ]
    counts = Counter((row.source, row.id) for row in rows)
    wrong = [*problems, *(finding.sentence for finding in inspect(address, 0).findings)]
    if [row.position for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append("positions are left out")
    if any(one.recorded_at > other.recorded_at for one, other in pairwise(rows)):
        wrong.append("recorded_at falls")
    doubled = sum(count - 1 for count in counts.values())
    return Finding("postgres", what, len(acknowledged), len(lost), doubled, tuple(wrong), note)
