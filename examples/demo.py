"""Build a ledger from the files beside this one and ask it five questions, showing each command.

`--check` asks every question of questions.json as JSON instead, the ones not shown too, and
compares the answers with those worked out by hand. Exit 0: all commands did; 1: one did not, or
an answer differs.
"""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PLACE = HERE.parent / ".demo"
COMMAND = "attempt-ledger"
# The whole population on the last day of the data.
LAST_DAY = "2023-12-31"


class DemoStopped(Exception):
    """A command of the demo did not do what it should."""


def main(arguments: list[str]) -> int:
    """Run the demo, or with `--check` the comparison; give the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: python examples/demo.py [--check]", file=sys.stderr)
        return 2
    try:
        _build()
        if arguments:
            return _check()
        _ask()
        _survey()
    except DemoStopped as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _build() -> None:
    """Make an empty ledger in .demo, move the history in, and import the newer results."""
    if PLACE.exists():
        shutil.rmtree(PLACE)
    PLACE.mkdir()
    print("A ledger is one file. This one takes in two and a half years of history, each line with")
    print("the instant at which it became known, then testing centres' results, known from today.")
    print(f"\n$ cd {PLACE.name}")
    _run("init", "--bare")
    _run("import", "--keep-recorded-at", "../examples/history.jsonl")
    _run("import", "../examples/results.csv")


def _ask() -> None:
    """Ask the five questions, in words for people."""
    number = 0
    for story in _stories():
        if story["demo"]:
            number += 1
            print(f"\n--- {number}. {story['title']}")
            for ask in story["asks"]:
                print(f"\n{ask['tells']}")
                _run(*_question(story, ask))


def _survey() -> None:
    """Show everyone's standing on one day by status, and one candidate's history."""
    print(f"\n--- Everyone, as of {LAST_DAY}")
    _run("replay", "--as-of", LAST_DAY, "--output", "standings.csv")
    with (PLACE / "standings.csv").open(encoding="utf-8", newline="") as file:
        counts = Counter(row["status"] for row in csv.DictReader(file))
    for status, count in counts.most_common():
        print(f"{count:6} {status}")
    print(f"{counts.total():6} in all")
    print("\n--- What happened to one candidate, and when that became known")
    _run("history", "C-1004")
    print("\nThe same in a browser, with two sliders through time: make console")


def _check() -> int:
    """Compare every answer with the one worked out by hand; say what differs."""
    asked = wrong = 0
    for story in _stories():
        for ask in story["asks"]:
            question = _question(story, ask)
            answer = json.loads(_run(*question, "--format", "json", quiet=True))
            asked += 1
            differences = list(_differences("", ask["answer"], answer))
            wrong += bool(differences)
            for difference in differences:
                print(f"{shlex.join(question)}: {difference}", file=sys.stderr)
    print(f"{asked} questions asked, {wrong} answered otherwise than by hand")
    return 1 if wrong else 0


def _stories() -> list[dict[str, Any]]:
    stories: list[dict[str, Any]] = json.loads(
        (HERE / "questions.json").read_text(encoding="utf-8")
    )
    return stories


def _question(story: dict[str, Any], ask: dict[str, Any]) -> list[str]:
    words = ["standing", story["candidate"], story["exam"], "--as-of", ask["as_of"]]
    if "known_at" in ask:
        words += ["--known-at", ask["known_at"]]
    return words


def _differences(where: str, expected: Any, got: Any) -> Iterator[str]:
    """Say where an answer has not what is expected; members that are not expected may be there."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for name, value in expected.items():
            yield from _differences(f"{where}.{name}".lstrip("."), value, got.get(name, "nothing"))
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, value in enumerate(expected):
            yield from _differences(f"{where}[{index}]", value, got[index])
    elif expected != got:
        yield f"{where} should be {json.dumps(expected)}, is {json.dumps(got)}"


def _run(*words: str, quiet: bool = False) -> str:
    """Show a command and run it in .demo; give its output if quiet. Raises DemoStopped."""
    if not quiet:
        print(f"\n$ {shlex.join([COMMAND, *words])}", flush=True)
    done = subprocess.run(
        [_command(), *words], cwd=PLACE, text=True, stdout=subprocess.PIPE if quiet else None
    )
    if done.returncode != 0:
        raise DemoStopped(f"{shlex.join([COMMAND, *words])}: exit {done.returncode}, not 0")
    return done.stdout or ""


def _command() -> str:
    """Find the command beside the running Python, as in a virtual environment, else on PATH."""
    found = shutil.which(COMMAND, path=str(Path(sys.executable).parent)) or shutil.which(COMMAND)
    if found is None:
        raise DemoStopped(f"{COMMAND} is not installed: run `make demo`, which sees to that")
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
