"""kill -9 at any moment, while two write, one imports, and sealing, views and a feed follow."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attempt_ledger import clock
from drills.beginnings import begin_again
from drills.followers import Followers
from drills.ground import command, compile_rules, new_ledger
from drills.needs import Tool
from drills.processes import Process, Writer, left_behind, merged, until
from drills.report import Finding, Options
from drills.whole import Key, examine
from drills.worker import BEGIN, EMAIL, MINUTE
from ledger.instants import format_instant
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem

NEEDS: tuple[Tool, ...] = ()

ALL_AT_ONCE = 12
"""Every so many kills all processes are killed together, as when the machine is out of memory."""
ROWS, MANY_ROWS, LONG_FILE = 5_000, 80_000, 3
"""Rows of an imported file, and of the one whose import has others seal and read beside it."""
SHARES = {"one": 5, "many": 5, "import": 4, "seal": 3, "project": 2, "feed": 1}
"""How often each is killed."""


def run(options: Options) -> Iterator[Finding]:
    """Kill and start again, then count; then ledgers that are killed while they are made."""
    compile_rules(options.scratch)
    drill = _Drill(options)
    try:
        drill.start()
        drill.go_on_until(options.size(120, 9))
        yield drill.ended()
    finally:
        drill.stop()
    ledgers = options.size(40, 3)
    begun = begin_again(options.scratch, ledgers, random.Random(options.seed))
    yield Finding(
        "kills",
        f"{begun.kills} kills -9 while {ledgers} ledgers are made",
        begun.acknowledged,
        begun.lost,
        begun.doubled,
        tuple(begun.problems),
    )


class _Drill:
    """The processes, and how often each was killed."""

    def __init__(self, options: Options) -> None:
        self.folder = options.scratch
        self.ledger = new_ledger(self.folder, catalogue=True)
        self.dice = random.Random(options.seed)
        self.writers = [
            Writer(self.folder, self.ledger, "one", "--sizes", "1"),
            Writer(self.folder, self.ledger, "many", "--sizes", "1,30,2,400"),
        ]
        self.importer = Importer(self.folder, self.ledger)
        self.followers = Followers(self.folder, self.ledger)
        self.killed: Counter[str] = Counter()
        self.problems: list[str] = []

    @property
    def processes(self) -> dict[str, Process]:
        """All of them, by name."""
        each: tuple[Process, ...] = (*self.writers, self.importer, *self.followers.all)
        return {process.name: process for process in each}

    def start(self) -> None:
        """Start all of them, and let each begin."""
        for process in self.processes.values():
            process.start()
        until(lambda: all(writer.marks()[0][1] for writer in self.writers))

    def go_on_until(self, kills: int) -> None:
        """Kill one after another, and all at once now and then; start each again."""
        rounds, victims = 0, self._victims()
        while (total := self.killed.total()) < kills and not self.problems:
            rounds += 1
            if rounds % ALL_AT_ONCE == 0:
                time.sleep(self.dice.uniform(0.1, 0.5))
                names = list(self.processes)
            else:
                names = [next(victims)]
                self._await_moment(self.processes[names[0]])
            for name in names:
                self._kill(name)
            for name in names:
                self._start_again(name)
            assert self.killed.total() > total or rounds < 10 * kills, "nothing can be killed"

    def _victims(self) -> Iterator[str]:
        """Yield each name once, then all of them by their shares, over and over; shuffled."""
        deck = list(SHARES)
        while True:
            self.dice.shuffle(deck)
            yield from deck
            deck = [name for name, share in SHARES.items() for _ in range(share)]

    def _await_moment(self, process: Process) -> None:
        """Wait until a process is seen at work, and then a moment more, of chance."""
        if isinstance(process, Importer):
            process.go_on()
            time.sleep(self.dice.uniform(0.2, 0.8))
            return
        before = process.marks()
        until(lambda: process.marks() != before or process.code() is not None, 2.0, interval=0.0002)
        time.sleep(self.dice.choice((0.0, 0.001, 0.005, 0.02, 0.1)) * self.dice.random())

    def _kill(self, name: str) -> None:
        process = self.processes[name]
        if process.kill():
            self.killed[name] += 1
        elif name != "import":
            self.problems.append(f"{name} ended by itself: {process.said()}")

    def _start_again(self, name: str) -> None:
        process = self.processes[name]
        if isinstance(process, Writer):
            process.start_again()
        elif isinstance(process, Importer):
            process.go_on()
        else:
            process.start()

    def ended(self) -> Finding:
        """End all of them, let the followers come to the head, and count."""
        for writer in self.writers:
            self._kill(writer.name)
        self.importer.wait()
        self.importer.taken()
        if self.importer.code():
            self.problems.append(f"import ends with {self.importer.code()}: {self.importer.said()}")
        self.problems += self.followers.problems()
        told, contradictions = merged(self.writers)
        acknowledged = {**told, **self.importer.acknowledged}
        whole = examine(self.ledger, acknowledged)
        self.problems += (*contradictions, *whole.problems)
        self.problems += _unread(self.ledger)
        self.problems += left_behind(self.folder)
        each = ", ".join(f"{name} {self.killed[name]}" for name in self.processes)
        return Finding(
            "kills",
            f"{self.killed.total()} kills -9, 2 writers",
            len(acknowledged),
            whole.lost,
            whole.doubled,
            tuple(self.problems),
            note=f"{each}; {self.importer.files} files imported, {whole.stored:,} events stored",
        )

    def stop(self) -> None:
        """Kill whatever still runs."""
        for process in self.processes.values():
            process.stop()


class Importer(Process):
    """The real `import`, of one file after another; a file is repeated until it is all in."""

    def __init__(self, folder: Path, ledger: Path) -> None:
        super().__init__(
            folder, "import", command(ledger, "import", "--actor", "drill"),
            signs=[Path(f"{ledger}-wal")],
        )  # fmt: skip
        self.acknowledged: dict[Key, None] = {}
        self.files = 0
        self._folder = folder

    def start(self, *more: str | Path) -> None:
        """Import the file that is due."""
        super().start(self._file())

    def go_on(self) -> None:
        """Import the next file, or this one again if it was killed on the way."""
        if self.code() is not None:
            self.taken()
            self.start()

    def taken(self) -> None:
        """Take note of what is acknowledged when an import has ended well."""
        if self.code() == 0:
            for n in self._numbers():
                for what in ("attempted", "result"):
                    self.acknowledged["urn:csv", f"I-{n}/{what}"] = None
            self.files += 1

    def _numbers(self) -> range:
        """Return the rows of the present file: all are short, but for one."""
        return range(self.files * 1_000_000, self.files * 1_000_000 + self._length())

    def _length(self) -> int:
        return MANY_ROWS if self.files == LONG_FILE else ROWS

    def _file(self) -> Path:
        file = self._folder / f"results-{self.files}.csv"
        if not file.exists():
            lines = ["candidate_id,exam,registration_id,started_at,outcome\n"]
            for n in self._numbers():
                started = format_instant(BEGIN + n * MINUTE // 1000)
                lines.append(f"I-{n // 4},AZ-104,I-{n},{started},fail\n")
            file.write_text("".join(lines))
        return file


def _unread(path: Path) -> Iterator[str]:
    """Read every personal field with its key."""
    with Ledger.open(path, clock=clock.now, read_only=True) as ledger:
        for row in ledger.read():
            if row.type == "ExceptionRequested":
                try:
                    if ledger.vault.reveal(row).get("email") == EMAIL:
                        continue
                    yield f"the personal field of position {row.position} is another"
                except LedgerProblem as problem:
                    yield str(problem)
                return
    with closing(sqlite3.connect(f"{path}.keys")) as connection:
        for (answer,) in connection.execute("PRAGMA integrity_check"):
            if answer != "ok":
                yield f"integrity_check of the key file: {answer}"
