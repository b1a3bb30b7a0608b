"""The drills, each in small; and that what a drill must find is found."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from attempt_ledger import clock
from drills import needs
from drills.__main__ import DRILLS, drill, main
from drills.ground import new_ledger
from drills.needs import Missing, Tool, provide
from drills.report import Finding, Timed, table
from drills.whole import Key, examine
from drills.worker import fact
from ledger.ledger import Ledger

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", DRILLS)
def test_nothing_acknowledged_is_lost_or_doubled(name: str) -> None:
    """And everything verifies afterwards; `make drill` does the same at full length."""
    findings = list(drill(name, slice=True))
    assert findings
    assert [finding.line() for finding in findings if not finding.sound] == []
    assert [finding.problems for finding in findings if finding.problems] == []
    assert all(finding.drill == name for finding in findings)
    assert sum(finding.acknowledged for finding in findings) > 0


# -- what every drill ends with


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger of 40 facts."""
    path = new_ledger(tmp_path)
    with Ledger.open(path, clock=clock.now) as ledger:
        ledger.append([fact("one", n) for n in range(40)])
    return path


def acknowledged() -> dict[Key, int | None]:
    """Return what was told of them: of some just that they are in."""
    facts = [fact("one", n) for n in range(40)]
    return {(each.source, each.id): n % 7 and n for n, each in enumerate(facts, 1)} | {
        (each.source, each.id): None for each in facts[6::7]
    }


def change(path: Path, script: str) -> None:
    """Do what no program of ours does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)


def test_a_ledger_that_is_whole_is_found_so(ledger: Path) -> None:
    """Nothing lost, nothing doubled, nothing to say."""
    whole = examine(ledger, acknowledged())
    assert (whole.stored, whole.lost, whole.doubled, whole.problems) == (40, 0, 0, ())


def test_what_was_acknowledged_and_never_stored_is_lost(ledger: Path) -> None:
    """Also when it is there, but not where it was said to be."""
    told = acknowledged()
    told["urn:drill", "one-41"] = 41
    told["urn:drill", "one-43"] = None
    told["urn:drill", "one-1"] = 3
    assert examine(ledger, told).lost == 3


@pytest.mark.parametrize(
    ("script", "lost", "doubled", "words"),
    [
        ("DELETE FROM events WHERE position = 20", 1, 0, "position 20 is missing: the next is 21"),
        ("UPDATE events SET position = 50 WHERE position = 40", 1, 0, "position 40 is missing"),
        ("UPDATE events SET recorded_at = recorded_at - 1 WHERE position > 9", 0, 0,
         "recorded_at falls at position 10"),
        ("DROP INDEX events_by_source_id; INSERT INTO events SELECT 41, recorded_at, occurred_at, "
         "topic, stream, source, id, actor, exam, key, flag, until, annuls, data, extensions "
         "FROM events "
         "WHERE position = 7", 0, 1, "events_by_source_id"),
    ],
    ids=["a row gone", "a row moved", "a clock that falls", "a row twice"],
)  # fmt: skip
def test_a_ledger_that_is_not_whole_is_found_so(
    ledger: Path, script: str, lost: int, doubled: int, words: str
) -> None:
    """Whatever the table's indexes say."""
    change(ledger, script)
    whole = examine(ledger, acknowledged())
    assert (whole.lost, whole.doubled) == (lost, doubled)
    assert any(words in problem for problem in whole.problems)


def test_what_changed_after_it_was_sealed_is_found(ledger: Path) -> None:
    """It is sealed first, and verified in full."""
    assert examine(ledger, acknowledged()).problems == ()
    change(ledger, "UPDATE events SET exam = 'AZ-305' WHERE position = 8")
    whole = examine(ledger, acknowledged())
    assert any("position 8 was changed" in problem for problem in whole.problems)


def test_a_ledger_that_cannot_be_read_has_lost_everything(ledger: Path) -> None:
    """In one sentence."""
    ledger.write_bytes(b"x" * ledger.stat().st_size)
    whole = examine(ledger, acknowledged())
    assert (whole.stored, whole.lost) == (0, 40)
    assert "is not a ledger" in whole.problems[-1]


# -- how it is told


def test_what_a_drill_found_is_one_line_and_a_row() -> None:
    """Counts first, what was measured, and the verdict."""
    sound = Finding("kills", "80 kills -9, 2 writers", 41_233, 0, 0, note="worst wait 154 ms")
    bad = Finding("writers", "16 writers", 7, 1, 0, ("position 3 is missing", "too late"))
    assert sound.line() == (
        "kills: 80 kills -9, 2 writers, 41,233 events acknowledged, 0 lost, 0 doubled, "
        "worst wait 154 ms, verified"
    )
    assert (sound.sound, bad.sound) == (True, False)
    assert [line.split("  ")[-1].strip() for line in table([Timed(sound, 9.6), Timed(bad, 1)])] == [
        "s", "--", "10", "1",
    ]  # fmt: skip
    assert "2 PROBLEMS" in list(table([Timed(bad, 1)]))[2]


def told_by(finding: Finding) -> Callable[..., object]:
    """Return a drill that finds this."""
    return lambda name, **options: iter([finding])


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (Finding("kills", "1 kill", 5, 0, 0), 0),
        (Finding("kills", "1 kill", 5, 1, 0), 1),
        (Finding("kills", "1 kill", 5, 0, 1), 1),
        (Finding("kills", "1 kill", 5, 0, 0, ("position 3 is missing",)), 1),
    ],
)
def test_the_exit_code_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], finding: Finding, code: int
) -> None:
    """1 when anything was lost, doubled or found wrong."""
    monkeypatch.setattr("drills.__main__.drill", told_by(finding))
    assert main(["kills", "--slice"]) == code
    out, err = capsys.readouterr()
    assert out.startswith(finding.line())
    assert all(problem in err for problem in finding.problems)


def test_the_page_tells_of_every_drill() -> None:
    """What it does, in the order in which they run; and what came out, of each."""
    page = (ROOT / "docs/drills.md").read_text(encoding="utf-8")
    _, done, _, _ = re.split(r"\n## (?:What is drilled|What they found|What came out)\n", page)
    first_cells = re.findall(r"^\| `(\w+)` \|", done, re.MULTILINE)
    assert first_cells == list(DRILLS)
    told = re.findall(r"^\| `(\w+)` \|", page[page.index("## What came out") :], re.MULTILINE)
    assert list(dict.fromkeys(told)) == list(DRILLS)


def test_a_drill_that_is_not_there_is_a_wrong_call() -> None:
    """It names those that are."""
    command = [sys.executable, "-m", "drills", "floods"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert all(name in ran.stderr for name in DRILLS)


# -- what the system must provide


def test_what_is_missing_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packages, and how to install them."""
    monkeypatch.setattr(needs.os, "geteuid", lambda: 1000)
    missing = [
        Tool("strace", "strace", lambda: None),
        Tool("libfaketime", "faketime", lambda: None),
    ]
    with pytest.raises(Missing) as problem:
        provide([*missing, Tool("sh", "dash", lambda: Path("/bin/sh"))])
    assert str(problem.value) == (
        "strace and libfaketime are needed and not installed: install strace faketime, "
        "on Debian with: sudo apt-get install -y strace faketime"
    )


def test_what_is_missing_is_installed_by_root_on_debian(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With fresh lists of packages if those at hand do not know it."""
    tool = tmp_path / "tool"
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command[1:2])
        if ran == [["install"], ["update"], ["install"]]:
            tool.touch()
        return subprocess.CompletedProcess(command, 0 if tool.exists() else 100)

    monkeypatch.setattr(needs.os, "geteuid", lambda: 0)
    monkeypatch.setattr(needs.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(needs.subprocess, "run", run)
    provide([Tool("tool", "tool", lambda: tool if tool.exists() else None)])
    assert ran == [["install"], ["update"], ["install"]]


def test_a_worker_tells_the_same_fact_again() -> None:
    """Whoever goes on after a kill repeats what was not acknowledged, to the letter."""
    assert fact("one", 7) == fact("one", 7) != fact("two", 7)
    assert fact("one", 9) == fact("two", 9)
    assert {type(fact("one", 20).event).__name__} == {"ExceptionRequested"}
