"""Make the demo's data from a fixed seed: results.csv and history.jsonl.

Run `python examples/make_results.py` to write both, with `--check` to compare them instead.
history.jsonl is a ledger's whole past (catalogue, policies, sittings, certifications, exceptions,
corrections), each line with the instant at which it became known: for `import --keep-recorded-at`.
results.csv is a testing centre's file that comes in on the day of the demo.
"""

from __future__ import annotations

import csv
import io
import sys
import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from facts import COLUMNS, Line, Sitting, at, show
from population import Dice, Exam, Population, draw
from stories import WENT_LIVE, stories

HERE = Path(__file__).resolve().parent
POLICIES = HERE.parent / "retake_policies" / "data"
SEED = 20210331  # the day of the first source text
OPENED = at("2021-01-01")  # the ledger of the demo begins here
MOVED = at("2023-07-01")  # what became known later is not part of the history
FEED_BROKE = at("2023-06-01")  # from here on sittings came, their results did not


def main(arguments: list[str]) -> int:
    """Write both files, or with `--check` say which differs; give the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python examples/make_results.py [--check]", file=sys.stderr)
        return 2
    files = make()
    if not arguments:
        for name, content in files.items():
            (HERE / name).write_bytes(content)
            print(f"{name}: {len(content.splitlines())} lines, {len(content)} bytes")
        return 0
    stale = [name for name, content in files.items() if not _same(HERE / name, content)]
    for name in stale:
        print(f"{name} is not what make_results.py makes: run it again", file=sys.stderr)
    return 1 if stale else 0


def make() -> dict[str, bytes]:
    """Return both files' bytes by name."""
    catalogue = tomllib.loads((HERE / "catalogue.toml").read_text(encoding="utf-8"))
    exams = _exams(catalogue)
    known = draw(SEED, exams, first=1101, count=80, betas=5, certify=True, numbers_from=110_001)
    fresh = draw(
        SEED + 1, exams, first=2001, count=360, betas=12, certify=False, numbers_from=300_001
    )
    lines = [*_policies(), *_catalogue(catalogue), *stories(), *_moved(known)]
    lines.sort(key=lambda line: line.recorded)  # stable: at one instant in the order made
    rows = [s for s in known.sittings if s.started_at >= FEED_BROKE] + list(fresh.sittings)
    rows.sort(key=lambda s: (s.started_at, s.registration_id))
    return {
        "history.jsonl": "".join(line.text() + "\n" for line in lines).encode(),
        "results.csv": _csv(rows),
    }


def _policies() -> Iterator[Line]:
    """Publish the shipped policies as files of their own texts, on the ledger's first day."""
    for path in sorted(POLICIES.glob("*.toml")):
        text = path.read_bytes().decode("utf-8")
        name = tomllib.loads(text)["id"]
        yield _entry("PolicyPublished", f"policy/{name}/1", name, OPENED, {"toml": text})


def _catalogue(catalogue: dict[str, Any]) -> Iterator[Line]:
    """Announce what catalogue.toml holds; known from an entry's own `time` on."""
    for entry in catalogue["exam"]:
        data = {"title": entry["title"], "policy": entry["policy"]}
        for name in ("beta_opens_at", "live_at", "retires_at"):
            if name in entry:
                data[name] = show(entry[name])
        code = entry["code"]
        yield _entry("ExamAnnounced", f"exam/{code}/1", code, entry["time"], data)
    for entry in catalogue["certification"]:
        data = {"title": entry["title"], "exams": entry["exams"]}
        ident = f"certification/{entry['id']}/1"
        yield _entry("CertificationDefined", ident, entry["id"], entry["time"], data)


def _entry(name: str, ident: str, subject: str, when: datetime, data: dict[str, Any]) -> Line:
    source = "urn:attempt-ledger:catalogue"
    return Line(when, name, source, ident, subject, when, "catalogue", data)


def _moved(population: Population) -> Iterator[Line]:
    """Yield what was known of these candidates when the history was moved; some results came late.

    Of a sitting after the feed broke only the attempt is here: the results file has the result.
    """
    dice = Dice(SEED + 2)
    for sitting in population.sittings:
        lag = timedelta(seconds=dice.whole(60, 900), microseconds=dice.whole(0, 999_999))
        attempted = sitting.ended_at + lag
        lag = timedelta(seconds=dice.whole(30, 1500), microseconds=dice.whole(0, 999_999))
        if dice.chance(0.1):
            lag += timedelta(days=dice.whole(1, 9))
        known = max(sitting.result_at or attempted, attempted) + lag
        if attempted >= MOVED:
            continue
        yield sitting.attempted(attempted)
        if sitting.outcome != "pending" and sitting.started_at < FEED_BROKE and known < MOVED:
            yield sitting.result(known)
    yield from (line for line in population.certifications if line.recorded < MOVED)


def _exams(catalogue: dict[str, Any]) -> dict[str, Exam]:
    """Return what the draw needs of each exam, with the days on which they really went live."""
    certifications = {code: c["id"] for c in catalogue["certification"] for code in c["exams"]}
    return {
        entry["code"]: Exam(
            entry["code"],
            entry["policy"],
            entry.get("beta_opens_at"),
            WENT_LIVE.get(entry["code"], entry["live_at"]),
            entry.get("retires_at"),
            certifications[entry["code"]],
        )
        for entry in catalogue["exam"]
    }


def _csv(rows: list[Sitting]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.row() for row in rows)
    return out.getvalue().encode()


def _same(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
