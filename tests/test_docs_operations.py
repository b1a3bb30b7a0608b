"""The page on running a ledger says what the program does."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from backing import COMMAND, ENVIRONMENT, LEDGER, asked, head_of, lived_in, rows_of
from command_line import CommandLine

from ledger.store.file import _CHECKPOINT_PAGES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")


def fits(said: str, shown: str) -> bool:
    """Return whether lines are as shown, where … stands for the rest of a line."""
    pattern = "[^\n]*".join(map(re.escape, shown.split("…")))
    return re.fullmatch(pattern, said) is not None


def test_the_calls_of_the_page_come_out_as_it_shows(door: CommandLine) -> None:
    """Each command, in order, with what it says on either stream."""
    door.catalogued().sat("R-77", "2022-05-30T09:00:00Z", candidate="C-1001")
    page = PAGE
    for place in ("/backup", "/elsewhere"):
        (door.folder / place[1:]).mkdir()
        page = page.replace(f"{place}/", f"{door.folder}{place}/")
    door.at("2022-06-01T12:30:00Z").done("checkpoint", "--key", "--output", "elsewhere/log.vkey")
    shown = "".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL))
    calls = [call.split("\n", 1) for call in shown.split("$ ")[1:]]
    assert len(calls) > 7
    for command, output in calls:
        answer = door.call(*shlex.split(command)[1:])
        assert answer.code == 0, answer.err
        assert fits(answer.out + answer.err, output), answer.out + answer.err


@pytest.mark.parametrize("program", ["sh", "cron"])
def test_the_recipe_for_a_timer_makes_what_it_says(door: CommandLine, program: str) -> None:
    """The line that systemd or cron gives to a shell, run as they would."""
    door.catalogued()
    for place in ("backup", "elsewhere"):
        (door.folder / place).mkdir()
    if program == "sh":
        backup = PAGE.partition("\n## The service\n")[0]  # whose unit runs until it is stopped
        lines = re.findall(r"^ExecStart(?:Post)?=(.*)$", backup, re.MULTILINE)
        script = " && ".join(line.replace("%%", "%") for line in lines)
    else:
        (line,) = re.findall(r"^30 2 \* \* \*  (.*)$", PAGE, re.MULTILINE)
        script = line.replace("\\%", "%")
    for place in ("/backup", "/elsewhere"):
        script = script.replace(place, f"{door.folder}{place}")
    path = f"{Path(COMMAND).parent}:{ENVIRONMENT['PATH']}"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, env=ENVIRONMENT | {"PATH": path}
    )
    assert done.returncode == 0, done.stderr
    made = sorted(each.name for each in (door.folder / "backup").iterdir())
    assert len(made) == 2
    assert made[1] == f"{made[0]}.tlog"
    assert re.fullmatch(r"attempts-\d{4}-\d\d-\d\d\.ledger", made[0])
    assert rows_of(door.folder / "backup" / made[0]) == rows_of(LEDGER)


def test_lines_that_somebody_kept_bring_back_the_ledger_that_was_signed(door: CommandLine) -> None:
    """An older backup, the lines of the feed, and the old key goes on as if nothing had been."""
    lived_in(door).done("backup", "b")
    asked(door, "Q-2", "R-6")
    door.done("record", "ExamWentLive", "AZ-104")
    door.done("checkpoint", "--output", "later")
    door.write("lines.jsonl", door.done("feed"))
    rows, head = rows_of(LEDGER), head_of(LEDGER)
    for name in [path for path in door.folder.iterdir() if path.name.startswith(LEDGER)]:
        if "key" in name.name:
            name.rename(door.folder / name.name.replace(LEDGER, "new"))
    assert door.call("restore", "b", "new", "--against", "later", "--stale-ok").code == 1
    new = ("--ledger", "sqlite:///new")
    door.at("2022-06-01T12:30:00Z").done(*new, "import", "--keep-recorded-at", "lines.jsonl")
    assert rows_of("new") == rows
    assert door.done(*new, "verify", "--against", "later") == (
        f"positions 1 to {head} are as they were signed\n"
    )
    answer = door.call(*new, "record", "ExamRetired", "AZ-104")
    assert (answer.code, answer.err.count("not sealed")) == (0, 0)


def test_what_the_page_counts_is_so() -> None:
    """The pages after which a writer takes up the write-ahead log."""
    assert f"after {_CHECKPOINT_PAGES:,} pages (16 MB)" in PAGE
    assert f"below the {_CHECKPOINT_PAGES:,} at which" in PAGE


def test_every_file_that_lies_beside_a_ledger_is_in_the_table(door: CommandLine) -> None:
    """Made by those who make them, looked for by name."""
    lived_in(door).done("backup", "b")
    door.done("replay")
    door.done("project")
    table = PAGE.split("| file | what it is |")[1].split("\n\n")[0]
    beside = {path.name.removeprefix(LEDGER) for path in door.folder.iterdir()
              if path.name.startswith(LEDGER)}  # fmt: skip
    assert len(beside) > 8
    missing = [name for name in beside if f"`{LEDGER}{name}" not in table and name not in table]
    assert missing == [".views.lock"]  # as the ledger's own
    shutil.rmtree("b.tlog")
