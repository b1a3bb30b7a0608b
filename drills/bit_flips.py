"""Bits, bytes and pages of a ledger's files are damaged: it is found, or it changes no answer."""

from __future__ import annotations

import json
import os
import select
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from attempt_ledger import clock
from drills.after import few
from drills.flips import Flip, flips, regions_of
from drills.ground import ROOT, command, sitting
from drills.life import BACKUP, LEDGER
from drills.quick import emptied, in_memory
from drills.report import Finding, Options
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.sealer import seal

NEEDS = ()

_OF_REGION = 120
_OF_SLICE = 6
_MANY = {"ledger: table events": 8, "ledger: indexes": 4, "ledger: schema": 2, "log: tiles": 2}
_PATIENCE = 60.0


class Asking:
    """The process that asks (`drills.asking`), begun again when a damaged file ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, folder: Path) -> dict[str, Any]:
        """Ask everything of the ledger in a folder."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "drills.asking"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{folder}\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.kill()
        code = self._process.wait()
        self.close()
        return {"wrong": ["no answer within a minute" if not ready else f"it ended with {code}"]}

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.close()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(options: Options) -> Iterator[Finding]:
    """Damage each region many times, one damage at a time."""
    with in_memory(options.scratch) as scratch, Asking() as asking:
        for state in _states(scratch):
            clean = _asked(asking, scratch, state, None)
            if any(clean[each] for each in ("said", "verify", "doctor", "wrong")):
                raise RuntimeError(f"{state.name} is not sound to begin with: {clean}")
            for region, files in regions_of(state).items():
                if not _belongs(region, state.name):
                    continue
                many = _MANY.get(region, 1) * options.size(_OF_REGION, _OF_SLICE)
                chance = Random(f"{options.seed} {region}")
                damages = list(flips(state, region, files, many, chance))
                yield _damaged(region, damages, state, clean, asking, scratch)


def _belongs(region: str, state: str) -> bool:
    """Damage each region in one state: what is derived only where nothing else would be asked."""
    if state in ("views", "snapshot"):
        return region == state
    return ("'s" in region) == (state == "open") and region not in ("views", "snapshot")


def _damaged(
    region: str,
    damages: list[Flip],
    state: Path,
    clean: dict[str, Any],
    asking: Asking,
    scratch: Path,
) -> Finding:
    outcomes: Counter[str] = Counter()
    problems = []
    for damage in damages:
        answer = _asked(asking, scratch, state, damage)
        outcome, problem = judged(answer, clean)
        outcomes[outcome] += 1
        if problem:
            problems.append(f"{damage}: {problem}")
    return Finding(
        "bit_flips",
        f"{len(damages):,} damages to {region}",
        clean["many"] * len(damages),
        0,
        0,
        few(problems),
        ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()),
    )


def judged(answer: dict[str, Any], clean: dict[str, Any]) -> tuple[str, str]:
    """Return who found a damage, and what is wrong with how."""
    # What a damaged row does to a question is unforeseen; that verify says so first is not.
    beside = [each for each in answer["wrong"] if not each.startswith("said: ")]
    if beside or (answer["wrong"] and not answer["verify"] and not answer["doctor"]):
        return "ill said", answer["wrong"][0]
    ill = [said for who in ("said", "verify") for said in answer[who] if "\n" in said or not said]
    if ill:
        return "ill said", repr(ill[0])
    if answer["rows"] not in (None, clean["rows"]) and not answer["verify"]:
        return "missed", f"verify finds nothing, and rows are others; doctor: {answer['doctor']}"
    if answer["said"]:
        return "refused or rebuilt", ""
    if answer["verify"]:
        return "found by verify", ""
    if answer["doctor"]:
        same = answer["answers"] == clean["answers"]
        return f"found by doctor alone, answers {'the same' if same else 'others'}", ""
    if answer["answers"] != clean["answers"]:
        return "missed", "answers are others, and nobody says a word"
    return "harmless", ""


def _asked(asking: Asking, scratch: Path, state: Path, damage: Flip | None) -> dict[str, Any]:
    with emptied(scratch / "damaged") as folder:
        shutil.copytree(state, folder, dirs_exist_ok=True)
        if damage is not None:
            file = folder / damage.file
            content = bytearray(file.read_bytes())
            damage.what(content)
            file.write_bytes(content)
        return asking.ask(folder)


def _states(scratch: Path) -> Iterator[Path]:
    """Make a ledger at rest, one with its log beside it, one with a snapshot, one with views."""
    rest, open_, snapshot, views = (
        scratch / name for name in ("at rest", "open", "snapshot", "views")
    )
    views.mkdir()
    subprocess.run(
        [sys.executable, "-m", "drills.life", str(views), str(scratch / "acknowledged"), "--short"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    path = views / LEDGER
    subprocess.run(command(path, "project"), check=True, capture_output=True)
    _leave_free_pages(path)
    with Ledger.open(path, clock=clock.now) as ledger:
        seal(log_paths(path), str(ledger.about("ledger")), ledger.head().position)
    for backup in views.glob(f"{BACKUP}*"):
        shutil.rmtree(backup) if backup.is_dir() else backup.unlink()
    shutil.copytree(views, rest, ignore=shutil.ignore_patterns("*.views*", "*.last-backup"))
    yield rest
    with Ledger.open(rest / LEDGER, clock=clock.now) as ledger:
        for number in range(12):
            ledger.append([sitting("log", number)])
        seal(log_paths(rest / LEDGER), str(ledger.about("ledger")), ledger.head().position)
        shutil.copytree(rest, open_, ignore=shutil.ignore_patterns("*-shm"))
    yield open_
    shutil.copytree(rest, snapshot)
    (snapshot / f"{LEDGER}.columns").mkdir()
    with Asking() as asking:
        asking.ask(snapshot)
    yield snapshot
    yield views


def _leave_free_pages(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE left (content TEXT)")
        connection.executemany("INSERT INTO left VALUES (?)", [("left" * 500,)] * 20)
        connection.execute("DROP TABLE left")
        connection.commit()
