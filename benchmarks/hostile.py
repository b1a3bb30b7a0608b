"""The worst inputs that an import or an audit meets, beside usual ones of the same size.

Each was once, or could be, read in time that grows with the square. `tests/test_intake_hostile.py`
holds the same inputs to growing with their size.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.data import fresh
from benchmarks.measure import Figure, Options, alternately, middle

HEADER = "candidate_id,exam,registration_id,started_at,delivery,outcome,result_at,score\n"
_AT_MOST = 8.0
"""Times the usual input's seconds: rows that are refused are written, with their reason, too."""

_SITTINGS = 800
_NOW = 1_622_505_600_000_000  # 2021-06-01

Input = Callable[[int], bytes]


def figures(options: Options) -> Iterator[Figure]:
    """Import each input of a tenth as many bytes as events are asked for, or 100,000 bytes."""
    size = max(options.share(100_000, 20_000), options.events // 10)
    folder = fresh(options.scratch / "hostile")
    for what, (make, name) in WORST.items():
        content = make(size)
        ours, peer = alternately(
            min(options.runs, 3),
            lambda content=content, name=name: took(content, name, folder),  # type: ignore[misc]
            lambda: took(usual(size), "a.csv", folder),
        )
        yield Figure(
            "hostile", f"{size / 1e6:,.1f} MB of {what}", "s", middle(ours), middle(peer),
            "usual rows", at_most=_AT_MOST, all={"ours": ours, "peer": peer},
        )  # fmt: skip
    for query in ("history", "exceptions"):
        yield _audits(options, folder, query)


def _audits(options: Options, folder: Path, query: str) -> Figure:
    """Audit one candidate of 800 sittings, requests and grants, beside 800 of one each."""
    sittings = options.share(_SITTINGS, 50)
    ours, peer = alternately(
        min(options.runs, 3),
        lambda: audited(folder, 1, sittings, query),
        lambda: audited(folder, sittings, sittings, query),
    )
    return Figure(
        "hostile", f"audit {query} of {sittings} sittings and grants of one candidate", "s",
        middle(ours), middle(peer), f"{sittings} candidates", at_most=_AT_MOST,
        all={"ours": ours, "peer": peer},
    )  # fmt: skip


def audited(folder: Path, candidates: int, sittings: int, query: str) -> float:
    """Audit so many candidates with so many sittings and grants in all; processor seconds."""
    from ledger.intake.importer import import_file
    from ledger.intake.reading import Options as Settings
    from ledger.intake.reading import Reading
    from ledger.ledger import Ledger
    from projections.standing import Moment
    from replay.audit.conditions import Conditions
    from replay.audit.registry import query_named
    from replay.snapshot import Snapshot
    from retake_policies import shipped

    fresh(folder)
    begin = datetime(2010, 1, 1, 9, tzinfo=UTC)
    rows = [
        f"C-{n % candidates},AZ-104,R-{n},{begin + timedelta(days=4 * n):%Y-%m-%dT%H:%M:%SZ},live,"
        "fail,,\n"
        for n in range(sittings)
    ]
    (folder / "a.csv").write_text(HEADER + "".join(rows))
    entry: dict[str, object] = {
        "specversion": "1.0",
        "source": "urn:x",
        "time": "2009-01-01T00:00:00Z",
    }
    general = {"toml": dict(shipped())["general"]}
    exam = {"title": "T", "policy": "general", "live_at": "2009-01-01T00:00:00Z"}
    lines = [
        {**entry, "type": "PolicyPublished", "id": "1", "subject": "general", "data": general},
        {**entry, "type": "ExamAnnounced", "id": "2", "subject": "AZ-104", "data": exam},
    ]
    for n in range(sittings):
        day = f"{begin + timedelta(days=4 * n, hours=6):%Y-%m-%dT%H:%M:%SZ}"
        told = {**entry, "subject": f"C-{n % candidates}", "time": day}
        of = {"request_id": f"Q-{n}", "exam": "AZ-104"}
        asked = {**of, "registration_id": f"R-{n}", "reason": "lab-crash"}
        lines += [
            {**told, "type": "ExceptionRequested", "id": f"q{n}", "data": asked},
            {**told, "type": "ExceptionGranted", "id": f"g{n}", "data": {**of, "waives": ["wait"]}},
        ]
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    with Ledger.create(folder / "a.ledger", clock=lambda: _NOW) as ledger:
        for name in ("a.jsonl", "a.csv"):
            with Reading.open(str(folder / name), Settings()) as reading:
                assert import_file(ledger, reading, stopwatch=time.monotonic).clean
        head = ledger.head()
        snapshot = Snapshot(ledger, Moment(_NOW, head.recorded_at, head.position))
        began = time.process_time()
        for n in range(candidates if query == "history" else 1):
            candidate = f"C-{n}" if query == "history" else None
            for _ in query_named(query).make(snapshot, Conditions(candidate=candidate)):
                pass
        return time.process_time() - began


def took(content: bytes, name: str, folder: Path) -> float:
    """Import an input into a fresh ledger, in this process; return its processor seconds."""
    from ledger.intake.importer import import_file
    from ledger.intake.reading import Options as Settings
    from ledger.intake.reading import Reading
    from ledger.ledger import Ledger

    fresh(folder)
    (folder / name).write_bytes(content)
    settings = Settings(corrections=True, rejects=folder / "rejects")
    with (
        Ledger.create(folder / "a.ledger", clock=lambda: _NOW) as ledger,
        Reading.open(str(folder / name), settings) as reading,
    ):
        began = time.process_time()
        import_file(ledger, reading, stopwatch=time.monotonic)
        return time.process_time() - began


def usual(size: int) -> bytes:
    """Return about so many bytes of sound rows, each of another candidate."""
    return _rows(
        size, lambda n: f"C-{n:07d},AZ-104,R-{n:07d},2021-03-01T09:00:00Z,live,fail,,640\n"
    )


def unclosed_quotes(size: int) -> bytes:
    """Return rows each of which opens a quote that no later row closes."""
    return _rows(size, lambda n: f'C-{n:07d}","AZ-104\n')


def wide_rows(size: int) -> bytes:
    """Return rows of many columns under a usual header."""
    return _rows(size, lambda n: "," * 100_000 + "\n")


def one_sitting(size: int) -> bytes:
    """Return rows that correct the result of one sitting again and again."""
    return _rows(
        size,
        lambda n: (
            f"C-1,AZ-104,R-1,2021-03-01T09:00:00Z,live,fail,"
            f"2021-03-01T{10 + n // 3600 % 14}:{n // 60 % 60:02d}:{n % 60:02d}Z,{n}\n"
        ),
    )


def tiny_members(size: int) -> bytes:
    """Return one long line as gzip members of a byte each."""
    member = gzip.compress(b",", mtime=0)
    return gzip.compress(HEADER.encode()) + member * (size // len(member))


def lines_without_end(size: int) -> bytes:
    """Return lines of a megabyte, which are longer than a line may be."""
    return ("x" * (1 << 20) + "\n").encode() * max(1, size >> 20)


def nested(size: int) -> bytes:
    """Return lines of nested JSON."""
    return (b'{"a":' * 2_000 + b"\n") * (size // 10_001)


def requests(size: int) -> bytes:
    """Return requests of one candidate, each with a name to encrypt."""
    line = (
        '{"specversion":"1.0","type":"ExceptionRequested","source":"urn:x","id":"%d",'
        '"subject":"C-1","time":"2021-03-01T09:00:00Z","data":{"request_id":"%d",'
        '"exam":"AZ-104","registration_id":"R-1","reason":"x","first_name":"Ann"}}\n'
    )
    return "".join(line % (n, n) for n in range(size // len(line) + 1)).encode()


def refused_before(size: int) -> bytes:
    """Return lines of a rejects file: each has a problem, and many members."""
    members = ",".join(f'"m{n}":{n}' for n in range(1_000))
    line = f'{{{members},"problem":"it has members that no event has"}}\n'
    return (line * (size // len(line) + 1)).encode()


WORST: Mapping[str, tuple[Input, str]] = {
    "rows of unclosed quotes": (unclosed_quotes, "a.csv"),
    "rows of 100,000 columns": (wide_rows, "a.csv"),
    "corrections of one sitting": (one_sitting, "a.csv"),
    "gzip members of a byte each": (tiny_members, "a.csv.gz"),
    "lines of a megabyte": (lines_without_end, "a.jsonl"),
    "nested JSON": (nested, "a.jsonl"),
    "requests of one candidate": (requests, "a.jsonl"),
    "lines refused before": (refused_before, "a.jsonl"),
}


def _rows(size: int, row: Callable[[int], str]) -> bytes:
    rows = size // len(row(0)) + 1
    return (HEADER + "".join(map(row, range(rows)))).encode()
