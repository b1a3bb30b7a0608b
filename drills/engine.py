"""Engines whose processes are killed while they answer: every row once, whatever ended in between.

Sail is killed as a whole, again and again, and started anew. Of Apache Spark (whole drill only; it
needs a Java and is fetched, 400 MB) the Python workers are killed, which it starts anew itself.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from drills.needs import Tool, path_of, program
from drills.report import Finding, Options
from ledger.facts import Fact
from ledger.instants import DAY
from ledger.ledger import Ledger
from ledger.models import ExamAttempted, ExamFailed
from ledger.tlog.note import SigningKey
from projections.standing import Moment
from replay.columns.published import Place, place_of, publish
from replay.engines import EngineProblem, SparkEngine, answer_into, plan_of
from replay.partwise import Plan
from replay.population import EVERYBODY
from replay.snapshot import Engine, Snapshot

NEEDS: tuple[Tool, ...] = ()
JAVA: Final = Tool("java", "default-jre-headless", program("java"))

_BEGIN: Final = 1_600_000_000_000_000
_UP: Final = 120
"""Seconds that a server has to come up."""


def run(options: Options) -> Iterator[Finding]:
    """Kill Sail at random moments; then, of Apache Spark, workers."""
    rng = random.Random(options.seed)
    ledger_path = options.scratch / "a.ledger"
    history(ledger_path, options.size(4_000, 400))
    with Ledger.open(ledger_path, clock=lambda: 0, read_only=True) as ledger:
        head = ledger.head()
        engine = Engine(None, 1, keep_columns=False, small=1 << 40)
        snapshot = Snapshot(ledger, Moment(head.recorded_at, None, head.position), engine)
        columns = place_of(str(options.scratch / "parts"))
        key = SigningKey.generate("attempt-ledger/drill")
        published = publish(ledger, columns, key, engine, part_rows=options.size(200, 100))
        drilled = Drilled(snapshot, plan_of(snapshot, published, EVERYBODY), columns)
        kills = options.size(20, 1)
        yield sail_killed(drilled, options.scratch / "sail", kills, rng)
        if not options.slice:
            yield spark_workers_killed(drilled, options.scratch, 5, rng)


def history(path: Path, candidates: int) -> None:
    """Make a ledger in which each candidate failed some exams."""
    facts = []
    for n in range(candidates):
        for exam in range(1 + n % 3):
            at = _BEGIN + (n % 300) * DAY
            code, registration = f"X-{exam}", f"R-{n}-{exam}"
            attempt = ExamAttempted(exam=code, registration_id=registration, delivery="live")
            facts.append(Fact("urn:drill", f"a-{n}-{exam}", f"C-{n:06d}", at, attempt))
            failed = ExamFailed(exam=code, registration_id=registration)
            facts.append(Fact("urn:drill", f"r-{n}-{exam}", f"C-{n:06d}", at + 1, failed))
    with Ledger.create(path, clock=lambda: _BEGIN + 1000 * DAY) as ledger:
        ledger.append(facts)


class Drilled:
    """The question, and what is to come out."""

    def __init__(self, snapshot: Snapshot, plan: Plan, columns: Place) -> None:
        self.snapshot, self.plan, self.columns = snapshot, plan, columns
        self.expected = snapshot.everybody()

    def ask(self, url: str, into: Path) -> int:
        """Ask until everything is answered; return how many calls failed as a whole."""
        failures = 0
        while True:
            try:
                engine = SparkEngine(url, 2)
                answer_into(engine, self.snapshot, self.plan, self.columns, place_of(str(into)))
            except EngineProblem:
                failures += 1
                if failures > 500:
                    raise
                time.sleep(0.1)
            else:
                return failures

    def finding(self, what: str, into: Path, note: str) -> Finding:
        """Compare the files with the local answer: which rows lack, which are there twice."""
        found = pa.concat_tables(map(pq.read_table, sorted(into.glob("standings-*.parquet"))))
        problems = [] if found.equals(self.expected) else ["the rows are not the local ones"]
        if what.startswith("0 kills"):
            problems.append("it had answered before anything was killed")
        rows, wanted = Counter(_pairs(found)), _pairs(self.expected)
        return Finding(
            drill="engine",
            what=what,
            acknowledged=self.expected.num_rows,
            lost=sum(1 for row in wanted if not rows[row]),
            doubled=sum(count - 1 for count in rows.values()),
            problems=problems,
            note=note,
        )


def _pairs(table: pa.Table) -> Iterator[tuple[str, str]]:
    yield from zip(table["candidate"].to_pylist(), table["exam"].to_pylist(), strict=True)


def sail_killed(drilled: Drilled, into: Path, kills: int, rng: random.Random) -> Finding:
    """Kill the server -9 while it answers, and start it again at the same address."""
    sail = str(Path(sys.executable).with_name("sail"))
    port = free_port()
    command = [sail, "spark", "server", "--port", str(port)]
    counted = threading.Event()
    done = 0

    def again_and_again() -> None:
        nonlocal done
        while not counted.is_set():
            with running(command, port) as process:
                if done == kills:
                    counted.wait()
                    return
                wait_for_more(into, counted)
                counted.wait(rng.uniform(0, 0.05))
                kill(process)
                done += 1

    killer = threading.Thread(target=again_and_again)
    killer.start()
    try:
        failures = drilled.ask(f"sc://127.0.0.1:{port}", into)
    finally:
        counted.set()
        killer.join()
    parts = len(drilled.plan.parts)
    what = f"{done} kills -9 of Sail, {parts} parts"
    return drilled.finding(what, into, f"{failures} calls to be made again")


def wait_for_more(into: Path, ended: threading.Event) -> None:
    """Wait until another part is written, or all is over."""
    seen = len(list(into.glob("standings-*")))
    until(lambda: ended.is_set() or len(list(into.glob("standings-*"))) > seen)


def spark_workers_killed(
    drilled: Drilled, scratch: Path, kills: int, rng: random.Random
) -> Finding:
    """Kill Python workers of Apache Spark while they answer."""
    spark, python = apache_spark(scratch)
    port, into = free_port(), scratch / "spark"
    command = [
        str(spark / "bin" / "spark-submit"),
        "--class", "org.apache.spark.sql.connect.service.SparkConnectServer",
        "--master", "local[2,8]",  # a task may fail seven times
        "--conf", f"spark.connect.grpc.binding.port={port}",
        "--conf", "spark.ui.enabled=false",
        "spark-internal",
    ]  # fmt: skip
    environment = {
        "JAVA_HOME": str(path_of(JAVA).resolve().parent.parent),
        "PYSPARK_PYTHON": str(python),
        "SPARK_HOME": str(spark),
    }
    ended = threading.Event()
    done = 0
    with running(command, port, environment) as process:

        def again_and_again() -> None:
            nonlocal done
            while done < kills and not ended.is_set():
                workers = [pid for pid in below(process.pid) if "pyspark" in command_of(pid)]
                seen = len(list(into.glob("standings-*")))
                if workers and seen:
                    with suppress(ProcessLookupError):
                        os.kill(rng.choice(workers), signal.SIGKILL)
                        done += 1
                ended.wait(0.1)

        killer = threading.Thread(target=again_and_again)
        killer.start()
        try:
            failures = drilled.ask(f"sc://127.0.0.1:{port}", into)
        finally:
            ended.set()
            killer.join()
    what = f"{done} kills -9 of workers of Apache Spark, {len(drilled.plan.parts)} parts"
    return drilled.finding(what, into, f"{failures} calls to be made again")


def apache_spark(scratch: Path) -> tuple[Path, Path]:
    """Fetch Apache Spark into an environment of its own; return its home and its Python.

    `pyspark` has the same folder as `pyspark-client`: so it comes first there, and everything else
    is what this Python has.
    """
    home = scratch / "environment"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "pyspark>=4.0,<4.3", "py4j"],
        check=True,
    )
    (site,) = (home / "lib").glob("python*/site-packages")
    (ours,) = {Path(path) for path in sys.path if path.endswith("site-packages")}
    paths = [str(ours), *(line for pth in ours.glob("*attempt_ledger*.pth")
                          for line in pth.read_text().splitlines())]  # fmt: skip
    (site / "ours.pth").write_text("\n".join(paths) + "\n")
    return site / "pyspark", python


# -- processes


@contextmanager
def running(
    command: list[str], port: int, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a server, and yield it when it answers; it is killed in the end, with its children."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    try:
        until(lambda: answers(port) or process.poll() is not None)
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a server and all of its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(port: int) -> bool:
    """Return whether somebody listens."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so, for two minutes at most."""
    deadline = time.monotonic() + _UP
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("nothing came of it in two minutes")
        time.sleep(0.01)


def free_port() -> int:
    """Return a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def below(pid: int) -> Iterator[int]:
    """Yield every process below one."""
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():  # whichever of them began it
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from below(int(child))


def command_of(pid: int) -> str:
    """Return the words that a process was started with."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""
