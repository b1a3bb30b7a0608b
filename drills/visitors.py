"""Programs that come and go while one writes on and on, and opens the ledger again and again.

Whoever closes a file lets go of every lock that its process holds on it; and whoever believes that
it is the last at a ledger sweeps up its write-ahead log.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from drills.ground import command, new_ledger, surroundings
from drills.processes import Writer, left_behind, merged, until
from drills.report import Finding
from drills.whole import Key, examine

DESK = "urn:desk"


def come_and_go(folder: Path, visits: int) -> Finding:
    """Record, verify and examine with programs of their own, so often, beside the writer."""
    path = new_ledger(folder, "visited.ledger", catalogue=True)
    writer = Writer(folder, path, "host", "--sizes", "1,7", "--twice")
    told: dict[Key, int | None] = {}
    problems: list[str] = []

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(
            command(path, *words), capture_output=True, text=True, env=surroundings()
        )
        if ran.returncode:
            problems.append(f"{words[0]} exits with {ran.returncode}: {ran.stderr.strip()}")
        return ran

    writer.start()
    try:
        until(lambda: bool(writer.marks()[0][1]) or writer.code() is not None)
        for n in range(visits):
            said = call(
                "record", "ExamAttempted", f"V-{n}", "exam=AZ-104", f"registration_id=V-{n}",
                "delivery=live", "--time", "2021-03-01", "--source", DESK, "--id", f"V-{n}",
            ).stderr  # fmt: skip
            if found := re.search(r"position (\d+)", said):
                told[DESK, f"V-{n}"] = int(found[1])
            if " is " not in said or said.count("\n") > 1:
                problems.append(f"record says: {said.strip()}")
            call("verify", "--full")
            findings = json.loads(call("doctor", "--format", "json").stdout or "{}")
            problems += (
                f"doctor says: {each['text']}"
                for each in findings.get("findings", ())
                if each["state"] == "wrong"
            )
        if not writer.kill():
            problems.append(f"the writer ended by itself: {writer.said()}")
    finally:
        writer.stop()
    appended, contradictions = merged([writer])
    acknowledged = {**appended, **told}
    whole = examine(path, acknowledged)
    return Finding(
        "writers",
        f"1 writer, {3 * visits} programs that come and go",
        len(acknowledged),
        whole.lost,
        whole.doubled,
        (*problems, *contradictions, *whole.problems, *left_behind(folder)),
    )
