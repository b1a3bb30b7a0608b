"""`policy new`: a policy file to begin with, from options, or asked for on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command_line import CommandLine

from retake_policies.schema import parse_policy

SMALLEST = ("--id", "ours", "--effective-from", "2024-01-01")
EVERY = (
    *("--id", "ours", "--title", "Ours", "--source", "Handbook, 2024"),
    *("--effective-from", "2024-01-01T00:00:00+01:00", "--wait", "PT24H", "--wait", "P14D"),
    *("--wait", "P6M", "--from", "end", "--days", "clear", "--zone", "Europe/Berlin"),
    *("--within", "P2Y", "--cap", "5/P12M", "--cap", "4/P2Y/rolling/date", "--cap", "6"),
    *("--cap", "3/calendar/01-01,07-01", "--cap", "2/calendar-year", "--retake", "after"),
    *("--after", "P1Y", "--authorization", "--sittings", "3", "--missed-count"),
    *("--beta-sittings", "0", "--waive", "cap", "--waive", "passed", "--reason", "board"),
)


def test_a_draft_has_what_the_options_say(door: CommandLine) -> None:
    """Each option becomes its key, and the file is a policy."""
    door.done("policy", "new", "ours.toml", *EVERY)
    text = (door.folder / "ours.toml").read_text()
    tree = tomllib.loads(text)
    assert tree.pop("effective_from").isoformat() == "2024-01-01T00:00:00+01:00"
    assert tree == {
        "id": "ours",
        "title": "Ours",
        "source": "Handbook, 2024",
        "wait": {
            "after": ["PT24H", "P14D", "P6M"],
            "from": "end",
            "days": "clear",
            "zone": "Europe/Berlin",
            "within": "P2Y",
        },
        "cap": [
            {"sittings": 5, "period": "P12M"},
            {"sittings": 4, "period": "P2Y", "anchor": "rolling", "by": "date"},
            {"sittings": 6},
            {"sittings": 3, "anchor": "calendar", "starts": ["01-01", "07-01"]},
            {"sittings": 2, "anchor": "calendar-year"},
        ],
        "pass": {"retake": "after", "after": "P1Y"},
        "authorization": {"required": True, "sittings": 3},
        "missed": {"counts": True},
        "beta": {"sittings": 0},
        "exception": {"waives": ["cap", "passed"], "reasons": ["board"]},
    }
    assert parse_policy(text, "ours.toml").id == "ours"
    assert '"P14D",   # after the 2nd sitting within 24 months: 14 days' in text
    assert "sittings = 6  # at most 6 sittings, for life" in text


def test_the_smallest_draft_needs_an_id_and_a_day(door: CommandLine) -> None:
    """Elsewhere than on a terminal nobody can be asked."""
    door.done("policy", "new", "ours.toml", *SMALLEST)
    assert parse_policy((door.folder / "ours.toml").read_text(), "").cap == ()
    assert "--id is missing" in door.wrong("policy", "new", "x.toml")
    assert "--effective-from is missing" in door.wrong("policy", "new", "x.toml", "--id", "ours")


def test_a_file_that_is_there_stays(door: CommandLine) -> None:
    """Even a draft of the same command: somebody may have worked on it."""
    door.done("policy", "new", "ours.toml", *SMALLEST)
    before = (door.folder / "ours.toml").read_bytes()
    words = ("policy", "new", "ours.toml", "--id", "other", "--effective-from", "2025-01-01")
    sentence = "ours.toml is there already: name another file, or replace it by --force"
    assert door.wrong(*words) == sentence
    assert (door.folder / "ours.toml").read_bytes() == before
    door.done(*words, "--force")
    assert parse_policy((door.folder / "ours.toml").read_text(), "").id == "other"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--effective-from", "2024"), "effective_from = 2024 is no instant"),
        (("--effective-from", "soon"), "--effective-from 'soon' is no instant; write one such as"),
        (("--effective-from", "[" * 5_000), "is no instant; write one such as"),
        (("--cap", "five"), "--cap 'five' is no limit; write SITTINGS"),
        (("--cap", "5/P12M/sometimes"), "--cap '5/P12M/sometimes' is no limit"),
        (("--cap", "5/P12M/P2Y"), "--cap '5/P12M/P2Y' is no limit"),
        (("--wait", "14"), 'x.toml: wait.after[1] = "14" is not a duration'),
        (("--within", "P1Y"), "wait.within"),
        (("--retake", "after"), "pass.after"),
        (("--waive", "cap"), "exception.reasons is missing"),
    ],
)
def test_what_is_no_policy_is_not_written(
    door: CommandLine, words: tuple[str, ...], sentence: str
) -> None:
    """In the words of `policy check`, and no file."""
    given = ("--id", "ours") if "--effective-from" in words else SMALLEST
    assert sentence in door.wrong("policy", "new", "x.toml", *given, *words)
    assert not (door.folder / "x.toml").exists()


def on_a_terminal(folder: Path, typed: str) -> tuple[int, str, str]:
    """Call `policy new` on a terminal at which somebody types; return code, output, errors."""
    mine, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "attempt_ledger", "policy", "new", "ours.toml"],
        cwd=folder,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(mine, typed.encode())
        out, err = process.communicate(timeout=60)
    os.close(mine)
    return process.returncode, out, err


def test_who_leaves_a_question_leaves_nothing_behind(tmp_path: Path) -> None:
    """Ctrl-D is an interruption, as Ctrl-C is."""
    code, _, err = on_a_terminal(tmp_path, "ours\n\x04")
    assert code == 130
    assert err.endswith("attempt-ledger: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_is_asked_and_asked_again(tmp_path: Path) -> None:
    """For what no option says; an answer that is not accepted is said why, and asked for again."""
    answers = (
        *("our exams", "our-exams", "Ours", "Handbook", "soon", "2024-01-01", "P14D P1DT1H"),
        *("P14D P60D", "calendar", "Europe/Berlin", "4/P2Y/rolling/date", "after-expiry", "P60D"),
    )
    code, out, err = on_a_terminal(tmp_path, "".join(f"{answer}\n" for answer in answers))
    assert (code, out.strip()) == (0, ""), err
    assert 'id = "our exams" is not a name' in err
    assert "'soon' is no instant" in err
    assert 'wait.after[2] = "P1DT1H" mixes days and time' in err
    policy = parse_policy((tmp_path / "ours.toml").read_text(), "ours.toml")
    assert (policy.id, policy.wait.days, len(policy.wait.after)) == ("our-exams", "calendar", 2)
    assert policy.pass_.before_expiry is not None
    assert policy.cap[0].by == "date"
