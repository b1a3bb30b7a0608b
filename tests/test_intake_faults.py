"""Whatever breaks an import, what is in is whole, and running it again completes it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from intake_folder import GOOD, HEADER, NOW, Event, Place, counts

from ledger.intake.importer import import_file
from ledger.intake.reading import Options, Reading
from ledger.intake.source import SourceProblem
from ledger.ledger import Ledger

WORKER = Path(__file__).with_name("intake_worker.py")
ROWS = [
    f"C-{n % 997},AZ-104,R-{n:05d},2021-03-01T09:{n % 60:02d}:00Z,,live,"
    f"{('pass', 'fail', 'pending', 'oops')[min(n % 7, 3)]},,\n"
    for n in range(6000)
]
CONTENT = HEADER + "".join(ROWS)
REFUSED = sum(",oops," in row for row in ROWS)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Return the events of one import of the file that nothing disturbs."""
    with Place(tmp_path_factory.mktemp("once")) as place:
        assert place.take(CONTENT).rejected == REFUSED
        return place.events()


def worker(place: Place, *words: str, name: str = "results.csv") -> subprocess.Popen[str]:
    file = place.folder / name
    if not file.exists():
        file.write_text(CONTENT)
    return subprocess.Popen(
        [sys.executable, WORKER, place.ledger.path, file, f"{place.rejects}-{len(words)}", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(WORKER.parents[1])},
        text=True,
    )


def report_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(out.splitlines()[-1])
    return report


def after_transactions(process: subprocess.Popen[str], number: int) -> list[int]:
    """Wait for a worker's transactions; return what it said of the last: rows, reader's pid."""
    assert process.stdout is not None
    line = ""
    for _ in range(number):
        line = process.stdout.readline()
    return [int(word) for word in line.split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


HOW = [(), ("two-processes",)]
IDS = ["in one process", "in two processes"]


@pytest.mark.parametrize("words", HOW, ids=IDS)
def test_a_second_process_is_the_same_import(
    place: Place, once: list[Event], words: tuple[str, ...]
) -> None:
    """A second process that reads changes nothing of what is recorded or refused."""
    report = report_of(worker(place, *words))
    assert (report["read"], report["rejected"]) == (len(ROWS), REFUSED)
    assert place.events() == once
    refused = Path(f"{place.rejects}-{len(words)}").read_text().splitlines()
    assert len(refused) == REFUSED + 1
    assert refused[1].startswith('C-3,AZ-104,R-00003,2021-03-01T09:03:00Z,,live,oops,,,"outcome')


@pytest.mark.parametrize("words", HOW, ids=IDS)
@pytest.mark.parametrize("transactions", [1, 4, 11])
def test_killed_in_the_middle_it_is_completed_by_running_it_again(
    place: Place, once: list[Event], transactions: int, words: tuple[str, ...]
) -> None:
    """kill -9 leaves whole transactions, in the order of the rows, and no process behind."""
    process = worker(place, *words, f"pause={transactions}")
    _, *readers = after_transactions(process, transactions)
    process.kill()
    process.communicate()
    there = place.events()
    assert 0 < len(there) < len(once)
    assert there == once[: len(there)]
    # The other process may have read all there is by now, and be gone: not so where it is `long`.
    assert len(readers) <= len(words)
    report = report_of(worker(place, *words))
    assert report["duplicates"] == len(there)
    assert place.events() == once
    assert not any(map(is_running, readers))


@pytest.mark.parametrize("words", HOW, ids=IDS)
def test_killed_at_any_moment_it_is_completed_by_running_it_again(
    place: Place, once: list[Event], words: tuple[str, ...]
) -> None:
    """Wherever it is just then, in a transaction or between two."""
    for transactions in (1, 2, 3):
        process = worker(place, *words)
        after_transactions(process, transactions)
        process.kill()
        process.communicate()
        there = place.events()
        assert there == once[: len(there)]
    report_of(worker(place, *words))
    assert place.events() == once


@pytest.mark.parametrize("words", HOW, ids=IDS)
def test_ctrl_c_ends_it_between_transactions(
    place: Place, once: list[Event], words: tuple[str, ...]
) -> None:
    """The report says that it was interrupted, and running it again completes it."""
    process = worker(place, *words, "pause=2")
    after_transactions(process, 2)
    process.send_signal(signal.SIGINT)
    report = report_of(process)
    assert report["interrupted"]
    assert report["stopped"].startswith("interrupted; run it again to complete it")
    assert report["recorded"] == len(place.events()) < len(once)
    assert report_of(worker(place, *words))["stopped"] is None
    assert place.events() == once


@pytest.fixture
def long(place: Place) -> str:
    """Write a file longer than what may be on its way from the reader; return its name."""
    rows = [row.replace("R-", f"R-{n}-") for n in range(12) for row in ROWS]
    (place.folder / "long.csv").write_text(HEADER + "".join(rows))
    return "long.csv"


def test_a_reader_that_dies_is_said_and_nothing_is_lost(place: Place, long: str) -> None:
    """The other process may be killed alone, by a system short of memory."""
    report = report_of(worker(place, "two-processes", "kill-reader", name=long))
    assert report["stopped"].startswith("the process that reads")
    assert report["stopped"].endswith("ended before its time: run the import again")
    assert 0 < report["recorded"] == len(place.events())


def test_a_reader_does_not_outlive_the_import(place: Place, long: str) -> None:
    """Killed with nobody to tell it, it ends when it finds nobody there to read for."""
    process = worker(place, "two-processes", "pause=1", name=long)
    _, reader = after_transactions(process, 1)
    assert is_running(reader)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 30
    while is_running(reader):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_importers_at_once_record_everything_once(place: Place, once: list[Event]) -> None:
    """Of each event one has recorded it, and the other has found it there."""
    processes = [worker(place, "a"), worker(place, "b", "b")]
    reports = [report_of(process) for process in processes]
    assert sorted(place.events()) == sorted(once)
    assert sum(report["recorded"] for report in reports) == len(once)
    assert sum(report["duplicates"] for report in reports) == len(once)
    assert [report["rejected"] for report in reports] == [REFUSED, REFUSED]


@pytest.mark.parametrize("limit", [300_000, 600_000])
def test_a_disk_that_fills_stops_it_and_nothing_is_lost(
    place: Place, once: list[Event], limit: int
) -> None:
    """The report says why; with room again, running it again completes it."""
    report = report_of(worker(place, f"limit={limit}"))
    assert str(place.ledger.path) in report["stopped"]
    assert report["recorded"] == len(place.events()) < len(once)
    assert place.events() == once[: report["recorded"]]
    assert report_of(worker(place))["stopped"] is None
    assert place.events() == once


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_gzip_gives_its_whole_rows(
    place: Place, once: list[Event], kept: float
) -> None:
    """The rows before the break are recorded, and the problem names the last whole line."""
    packed = gzip.compress(CONTENT.encode())
    report = place.take(packed[: int(len(packed) * kept)], "results.csv.gz")
    assert 0 < report.read < len(ROWS)
    assert report.stopped is not None
    assert report.stopped.startswith(f"{place.folder / 'results.csv.gz'} breaks off or is damaged")
    assert f"after line {report.read + 1:,}: Compressed file ended" in report.stopped
    assert not report.clean
    assert place.events() == once[: report.recorded]
    assert place.take(packed, "whole.csv.gz").stopped is None
    assert place.events() == once


def test_a_gzip_broken_in_its_header_line_is_said(place: Place) -> None:
    """Nothing can be taken, and the problem says why."""
    with pytest.raises(SourceProblem, match="breaks off or is damaged after line 0"):
        place.take(gzip.compress(CONTENT.encode())[:12], "results.csv.gz")


def test_a_rejects_file_that_cannot_be_written_stops_it(place: Place) -> None:
    """A refused row must not get lost: it is said where the file was to be, and what to do."""
    place.rejects = place.folder / "nowhere" / "rejects.csv"
    report = place.rows(GOOD, GOOD.replace("fail", "oops"))
    assert report.stopped is not None
    assert report.stopped.startswith(
        f"{place.rejects}: the rejects file cannot be written: No such"
    )
    assert report.rejects is None
    assert counts(place.rows(GOOD)) == (1, 0, 2, 0)


def test_a_ledger_opened_for_reading_takes_nothing(place: Place) -> None:
    """One sentence, and the report of an import that recorded nothing."""
    (place.folder / "results.csv").write_text(HEADER + GOOD)
    with (
        Ledger.open(place.ledger.path, clock=lambda: NOW, read_only=True) as ledger,
        Reading.open(str(place.folder / "results.csv"), Options()) as reading,
    ):
        report = import_file(ledger, reading, stopwatch=lambda: 0.0)
    assert report.stopped is not None
    assert "was opened for reading" in report.stopped
    assert report.recorded == 0


# -- transactions


@pytest.mark.parametrize(
    ("seconds", "sizes"),
    [
        (0.05, [512, 512, 512, 512]),
        (0.1, [512, 256, 128, 64, 64, 64]),
        (0.025, [512, 1024, 2048]),
        (0.04, [512, 640, 800]),
        (0.0, [512, 512]),
    ],
)
def test_a_transaction_takes_as_many_rows_as_fit_into_fifty_milliseconds(
    tmp_path: Path, seconds: float, sizes: list[int]
) -> None:
    """So that a single append beside an import does not wait."""
    read = [0]
    with Place(tmp_path, seconds=seconds) as place:
        place.take(
            HEADER + "".join(row.replace("oops", "pass") for row in ROWS),
            progress=lambda report, done, size: read.append(report.read),
        )
    assert [b - a for a, b in pairwise(read)][: len(sizes)] == sizes


def test_progress_is_told_after_every_transaction(place: Place) -> None:
    """Bytes read rise to the size of the file, compressed ones if it is."""
    packed = gzip.compress(CONTENT.encode())
    told: list[tuple[int, int, int | None]] = []
    place.take(
        packed,
        "results.csv.gz",
        progress=lambda report, done, size: told.append((report.read, done, size)),
    )
    assert told == sorted(told)
    assert told[-1] == (len(ROWS), len(packed), len(packed))


def test_heavy_lines_make_short_transactions(place: Place) -> None:
    """A line may be a megabyte long: memory stays flat all the same."""
    read: list[int] = []
    place.take(
        f'{{"text":"{"x" * 900_000}"}}\n' * 20,
        "a.jsonl",
        progress=lambda report, done, size: read.append(report.read),
    )
    assert read == [10, 20]


def test_a_named_pipe_is_read_as_it_comes(place: Place) -> None:
    """It has no size, and no second process can read it."""
    pipe = place.folder / "pipe.csv"
    os.mkfifo(pipe)
    feeder = subprocess.Popen(["sh", "-c", f"cat > '{pipe}'"], stdin=subprocess.PIPE, text=True)
    process = worker(place, "two-processes", name="pipe.csv")
    feeder.communicate(CONTENT)
    report = report_of(process)
    assert (report["read"], report["rejected"]) == (len(ROWS), REFUSED)
