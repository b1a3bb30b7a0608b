"""Import a file into a ledger in a process of its own, saying on standard output how far it is.

    python intake_worker.py LEDGER FILE REJECTS [two-processes] [limit=N] [pause=N] [kill-reader]

Prints a line with the rows read after each transaction, all of 512 rows, and at the end the report
as JSON. After transaction N it pauses until it is ended.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import sys
from itertools import count
from pathlib import Path

from intake_folder import NOW

from ledger.intake import process
from ledger.intake.importer import import_file
from ledger.intake.reading import Options, Reading
from ledger.intake.report import Report
from ledger.ledger import Ledger


def main() -> None:
    path, file, rejects, *words = sys.argv[1:]
    process.WORTH_BYTES = 0
    for word in words:
        if word.startswith("limit="):
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            limit = int(word.removeprefix("limit="))
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    pauses = [int(word.removeprefix("pause=")) for word in words if word.startswith("pause=")]
    transactions = count(1)
    ticks = count()

    def told(report: Report, done: int, size: int | None) -> None:
        readers = [child.pid for child in multiprocessing.active_children()]
        print(report.read, *readers, flush=True)
        if next(transactions) in pauses:
            sys.stdin.read()
        if "kill-reader" in words:
            for pid in readers:
                os.kill(pid or 0, signal.SIGKILL)

    options = Options(rejects=Path(rejects), two_processes="two-processes" in words)
    with Ledger.open(path, clock=lambda: NOW) as ledger, Reading.open(file, options) as reading:
        report = import_file(ledger, reading, stopwatch=lambda: next(ticks) * 0.05, progress=told)
    print(json.dumps({**report.as_dict(), "interrupted": report.interrupted}), flush=True)


if __name__ == "__main__":
    main()
