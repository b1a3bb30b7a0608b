"""A clock that jumps two days back, or two days forth and back again, under running programs.

libfaketime gives the real program, and processes that run all the while, another clock than the
machine's; a file says by how much it is wrong just then.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, NamedTuple

from attempt_ledger import clock
from drills.ground import command, surroundings
from drills.needs import FAKETIME, path_of
from drills.processes import Process, Writer, left_behind, merged, until
from drills.report import Finding, Options
from drills.whole import Key, examine
from drills.worker import BEGIN, MINUTE
from ledger.instants import DAY, SECOND, format_instant

NEEDS = (FAKETIME,)

HOUR = 60 * MINUTE
ROWS, MOST_ROWS = 512, 100_000
"""A running import gets so many rows at a time, and so many in all if it records nothing."""
DESK = "urn:desk"
CANDIDATE = "D-1"
POSITION = re.compile(r"position (\d+)")
TOO_LATE = "the clock of this machine is behind, it says"


class Jump(NamedTuple):
    """How a clock goes wrong."""

    name: str
    wrong: tuple[int, int, int]
    """By how much, in each of three parts, in microseconds."""
    truth: tuple[int, int, int]
    """The right time in each part, beside the machine's."""
    behind: int
    """The part in which the clock lies before what was recorded last."""


JUMPS = (
    Jump("back and, an hour later, put right", (-HOUR, -2 * DAY, 0), (-HOUR, 0, 0), behind=1),
    Jump("forth and back again", (0, 2 * DAY, 0), (0, 0, 0), behind=2),
)


def run(options: Options) -> Iterator[Finding]:
    """Let each clock jump while programs run, and ask what was known when."""
    for number, jump in enumerate(JUMPS):
        folder = options.scratch / str(number)
        folder.mkdir()
        drill = _Drill(folder, jump, records=options.size(6, 1), appends=options.size(2_000, 60))
        try:
            yield drill.run()
        finally:
            drill.stop()


class _Drill:
    """Programs under a clock of their own."""

    def __init__(self, folder: Path, jump: Jump, *, records: int, appends: int) -> None:
        self.folder, self.jump = folder, jump
        self.records, self.appends = records, appends
        self.ledger = folder / "a.ledger"
        self.clock = folder / "clock"
        self.environment = {
            "LD_PRELOAD": str(path_of(FAKETIME)),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        self.writer = Writer(folder, self.ledger, "all-along", environment=self.environment)
        self.pipe = folder / "results.csv"
        self.importer = Process(
            folder, "import", command(self.ledger, "import", self.pipe),
            environment=self.environment,
        )  # fmt: skip
        self.told: dict[Key, int | None] = {}
        self.late: list[tuple[str, str, int, tuple[str, ...]]] = []
        """Facts that are refused as long as the clock is behind."""
        self.mended = 0
        """How many were taken once it was right."""
        self.problems: list[str] = []
        self.rows = 0
        self.questions = 0

    def run(self) -> Finding:
        """Go through the three parts, then count."""
        self._set_clock(0)
        self._call("init")
        self._call("record", "ExamAnnounced", "AZ-104", "title=Administrator", "policy=general")
        self.writer.start()
        os.mkfifo(self.pipe)
        self.importer.start()
        heads: list[int] = []
        with self.pipe.open("w") as pipe:
            pipe.write("candidate_id,exam,registration_id,started_at,outcome\n")
            for part in range(3):
                self._set_clock(part)
                self._go_through(part, pipe)
                heads.append(self._rows()[-1][0])
                if part == self.jump.behind:
                    self._ask(heads[-self.records :])
                    self._look()
        if self.importer.wait() == 0:
            for n in range(self.rows):
                self.told |= {
                    ("urn:csv", f"I-{n}/{what}"): None for what in ("attempted", "result")
                }
        else:
            self.problems.append(f"import ends with {self.importer.code()}: {self.importer.said()}")
        if not self.writer.kill():
            self.problems.append(f"the writer ended by itself: {self.writer.said()}")
        told, contradictions = merged([self.writer])
        acknowledged = {**self.told, **told}
        whole = examine(self.ledger, acknowledged)
        steps = self._steps(heads)
        if steps < self.appends // 2:
            self.problems.append(f"the clock did not jump: {steps} recordings behind another")
        self.problems += (*contradictions, *whole.problems, *left_behind(self.folder))
        return Finding(
            "clock",
            f"two days {self.jump.name}",
            len(acknowledged),
            whole.lost,
            whole.doubled,
            tuple(self.problems),
            note=(
                f"{steps:,} recordings with the clock behind, each 1 µs after the last; "
                f"{self.mended} facts refused till it was right; {self.questions} questions"
            ),
        )

    def stop(self) -> None:
        """Kill what still runs."""
        self.writer.stop()
        self.importer.stop()

    # -- what goes on

    def _set_clock(self, part: int) -> None:
        """Let the clock be as wrong as it is in one part, for programs that run too."""
        new = self.clock.with_suffix(".new")
        new.write_text(f"{self.jump.wrong[part] // SECOND:+d}\n")
        new.replace(self.clock)

    def _go_through(self, part: int, pipe: IO[str]) -> None:
        """Let the writer, the import and new programs record under the clock as it is."""
        appended = self.writer.facts + self.appends
        for n in range(self.records):
            about = ("exam=AZ-104", f"registration_id=D-{part}-{n}")
            now = clock.now() + self.jump.truth[part]
            self._record(f"{part}-{n}", "ExamFailed", now, *about)
        if part > self.jump.behind:
            late, self.late = self.late, []
            self.mended = len(late)
            for id, type, time, words in late:
                self._record(id, type, time, *words)
            self.problems += (f"{id} is refused for ever" for id, *_ in self.late)

        self._import_some(pipe)

        def done() -> bool:
            self.writer.read()
            return self.writer.facts >= appended

        if not until(done):
            self.problems.append(
                f"in part {part + 1} the writer stands still: {self.writer.said()}"
            )

    def _import_some(self, pipe: IO[str]) -> None:
        """Give the running import rows until it has recorded another transaction of them."""
        before = self._imported()
        while self._imported() == before and self.rows < MOST_ROWS:
            for n in range(self.rows, self.rows + ROWS):
                pipe.write(f"I-{n // 4},AZ-104,I-{n},{format_instant(BEGIN + n * MINUTE)},fail\n")
            self.rows += ROWS
            pipe.flush()
            time.sleep(0.02)
        if self.rows >= MOST_ROWS:
            self.problems.append(f"the import stands still: {self.importer.said()}")

    def _record(self, id: str, type: str, time: int, *words: str) -> None:
        """Record a fact with the real program; one that is refused for its time is kept."""
        ran = self._call(
            "record", type, CANDIDATE, *words, "--time", format_instant(time),
            "--source", DESK, "--id", id,
        )  # fmt: skip
        said = POSITION.search(ran.stderr)
        if ran.returncode == 0 and said:
            self.told[DESK, id] = int(said[1])
        elif TOO_LATE in ran.stderr:
            self.late.append((id, type, time, words))
        else:
            self.problems.append(f"{id}: {ran.stderr.strip()}")

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the real program under the clock as it is."""
        return subprocess.run(
            command(self.ledger, *words), capture_output=True, text=True, check=False,
            env={**surroundings(), **self.environment},
        )  # fmt: skip

    # -- what was known when

    def _ask(self, positions: Sequence[int]) -> None:
        """Ask by known_at, while the clock is behind: each time means its position."""
        recorded_at = dict(self._rows())
        for position in positions:
            known_at = format_instant(recorded_at[position])
            by_time, by_position = (
                self._standing("--known-at", each) for each in (known_at, f"@{position}")
            )
            if by_time != by_position or by_time.get("position") != position:
                self.problems.append(f"what was known at {known_at} is not what @{position} says")
            self.questions += 1
        if not self._standing() or self._standing(
            "--known-at", format_instant(clock.now() + 9 * DAY)
        ):
            self.problems.append("what will be known is told before it is, or what is known is not")
        self.questions += 2

    def _standing(self, *words: str) -> dict[str, Any]:
        """Ask for a standing; empty if it is refused."""
        ran = self._call(
            "standing", CANDIDATE, "AZ-104", "--format", "json", *words, "--as-of", "2030-01-01"
        )
        return {} if ran.returncode else dict(json.loads(ran.stdout))

    def _look(self) -> None:
        """Ask `doctor`, which must say that the clock is behind."""
        ran = self._call("doctor", "--format", "json")
        if ran.returncode != 1 or "clock-behind" not in ran.stdout:
            self.problems.append(f"doctor does not see that the clock is behind: {ran.stderr}")

    # -- what is there

    def _rows(self) -> list[tuple[int, int]]:
        """Return (position, recorded_at) of every event."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            return connection.execute(
                "SELECT position, recorded_at FROM events ORDER BY position"
            ).fetchall()

    def _imported(self) -> int:
        """Count what the running import has recorded."""
        with closing(sqlite3.connect(self.ledger)) as connection:
            found = connection.execute("SELECT count(*) FROM events WHERE source = 'urn:csv'")
            return int(found.fetchone()[0])

    def _steps(self, heads: Sequence[int]) -> int:
        """Count recordings that came 1 µs after the last, in the part when the clock was behind."""
        before = [0, *heads][self.jump.behind]
        upto = heads[self.jump.behind]
        stamps = [at for position, at in self._rows() if before < position <= upto]
        return sum(two - one == 1 for one, two in pairwise(stamps))
