"""No name of a file or folder, however odd, breaks a command: each is called as its help shows."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from typer.testing import CliRunner

from attempt_ledger.cli.main import COMMANDS, app

ODD = "-C# ?%41&'\"\n;$(x)`~\udcff "
"""Before the name of each file, and the name of the folder: what means something to SQLite, a URI,
a shell, a terminal, an option; and a byte that is no UTF-8."""
FILE = re.compile(
    r"(?P<before>(?:sqlite:///)?/?(?:[\w-]+/)*)(?P<name>[\w.-]+\.(?:csv|toml|jsonl?|xlsx|parquet|svg|"
    r"proof|checkpoint|vkey|erasure|keys-backup|keys|views|signing-key|ledger|gz|xz))"
)
ROWS = """\
candidate_id,exam,registration_id,started_at,outcome
C-1001,AZ-104,R-77,2021-03-01T09:00:00Z,fail
C-1002,AZ-104,R-78,2021-03-01T09:00:00Z,fail
"""
FILES = {
    "results.csv": ROWS,
    "results-may.csv": ROWS.replace("R-7", "R-8"),
    "ten-years.csv": ROWS.replace("R-7", "R-6").replace("2021", "2012"),
    "refused.csv": ROWS,
    "vendor.toml": "skip = 'cancelled'\n",
    "catalogue.toml": (
        '[[exam]]\ncode = "AZ-104"\ntitle = "T"\npolicy = "general"\n'
        "time = 2020-01-01T00:00:00Z\nlive_at = 2020-04-07T00:00:00Z\n"
    ),
}


def examples(words: str) -> Iterator[list[str]]:
    """Yield the calls that a command's help shows, each as its words; no pipes, none for ever."""
    help = CliRunner().invoke(app, [*words.split(), "--help"]).output
    shown = help.partition("Examples:\n")[2].partition("\n\n")[0]
    for line in shown.replace("\\\n", "").splitlines():
        call = shlex.split(line)
        if call[0] == "attempt-ledger" and not {"|", "&&", "--follow", "-"} & {*call}:
            yield call[1:]


class Folder:
    """A folder in which every example is called, in the order of the help; files are renamed."""

    def __init__(self, path: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
        os.makedirs(path)
        self.path, self.prefix = path, prefix
        self.door = CommandLine(Path(path), monkeypatch)
        for name, text in FILES.items():
            (Path(path) / f"{prefix}{name}").write_text(text)

    def renamed(self, word: str) -> str:
        """Put the prefix before a file's name, wherever the example has the file."""
        match = FILE.fullmatch(word)
        if match is None:
            return word
        scheme = "sqlite:///" if match["before"].startswith("sqlite:///") else "./"
        return f"{scheme}{self.prefix}{match['name']}"

    def call(self, words: list[str]) -> int:
        """Make a call; whatever comes of it is said in sentences."""
        *words, into = [*words, ""] if ">" not in words and ">>" not in words else words
        if into:
            words = words[:-1]
        ledger = ["--ledger", f"sqlite:///{self.prefix}attempts.ledger"]
        begin = [] if words[0] == "--ledger" else ledger
        answer = self.door.call(*begin, *map(self.renamed, words))
        assert "should not have happened" not in answer.err, (words, answer.err)
        if into:
            (Path(self.path) / f"{self.prefix}{into}").write_text(answer.out)
        return answer.code

    def listing(self) -> list[str]:
        """Return what lies in the folder, without the prefix."""
        return sorted(name.removeprefix(self.prefix) for name in os.listdir(self.path))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Folder, Folder]:
    """A plain folder, and one in which every name is odd and one is 255 bytes long."""
    monkeypatch.setattr("uvicorn.Server.run", lambda *words, **more: None)
    monkeypatch.setattr("webbrowser.open", lambda *words, **more: True)
    # SQLite's bound of memory is the whole process's, and stays: the next tests run in this one.
    monkeypatch.setattr("attempt_ledger.explore.connection.HEAP_BYTES", 1 << 40)
    odd = f"{tmp_path}/odd/{ODD}/{'x' * 255}/{ODD}"
    return Folder(f"{tmp_path}/plain", "", monkeypatch), Folder(odd, ODD, monkeypatch)


def test_every_example_of_every_command_works_among_odd_names(
    folders: tuple[Folder, Folder], tmp_path: Path
) -> None:
    """It comes to the same as among plain ones, and leaves nothing elsewhere."""
    codes: list[dict[str, Any]] = []
    for folder in folders:
        os.chdir(folder.path)
        codes.append(
            {shlex.join(call): folder.call(call) for words in COMMANDS for call in examples(words)}
        )
    plain, odd = codes
    assert {call: (code, odd[call]) for call, code in plain.items() if code != odd[call]} == {}
    assert {0, 1, 2} >= {*plain.values()}
    assert sum(code == 0 for code in plain.values()) > len(plain) / 2
    one, other = folders
    assert other.listing() == one.listing()
    assert sorted(os.listdir(tmp_path)) == ["odd", "plain"]
    assert os.listdir(f"{tmp_path}/odd") == [ODD]
    assert os.listdir(f"{tmp_path}/odd/{ODD}") == ["x" * 255]
    assert os.listdir(f"{tmp_path}/odd/{ODD}/{'x' * 255}") == [ODD]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127 + "x", "\udcff" * 255])
def test_an_output_may_have_the_longest_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """255 bytes; a name that is longer is a sentence, and so is one of a receipt beside it."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    door.done("replay", "--format", "csv", "--output", name)
    assert (tmp_path / name).read_text().startswith("candidate,exam,status")
    assert "ile name too long" in door.wrong("replay", "--format", "csv", "--output", f"{name}x")
    answer = door.call(
        "report", "volumes", "--month", "2021-03", "--format", "csv", "--output", name
    )
    assert (answer.code, "ile name too long" in answer.err) == (2, True)
    assert sorted(each for each in os.listdir(tmp_path) if each.startswith(".")) == []


def modes(door: CommandLine, *words: str) -> None:
    """Write an output as wide as the file before it, and never over one that may only be read."""
    path = door.folder / words[-1]
    before = path.read_bytes()
    for mode in (0o600, 0o640, 0o604):
        path.chmod(mode)
        door.done(*words)
        assert path.stat().st_mode & 0o777 == mode
    path.chmod(0o444)
    assert "may only be read, and is not replaced" in door.wrong(*words)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (before, 0o444)
    path.chmod(0o644)


@pytest.mark.parametrize("words", ["replay", "violations", "history C-1001", "export"])
def test_an_output_keeps_the_mode_of_the_file_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """In the one place that replaces files; a file of mode 444 is not replaced, by root neither."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    door.done("record", "CertExpired", "C-1001", "certification=A", "--id", "1")
    call = [*words.split(), "--output", "out.csv" if words != "export" else "out.jsonl"]
    door.done(*call)
    modes(door, *call)


def test_rejects_and_clear_text_are_their_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask and the file before; one that may only be read is kept as it is."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    door.write("a.csv", ROWS.replace("fail", "fial"))
    door.done("record", "CertExpired", "C-1001", "certification=A", "--id", "1")
    (tmp_path / "a.csv").chmod(0o644)
    before = os.umask(0)
    try:
        for _ in range(2):
            door.refused("import", "a.csv")
            assert (tmp_path / "a.rejects.csv").stat().st_mode & 0o777 == 0o600
            (tmp_path / "a.rejects.csv").chmod(0o666)
        door.done("history", "C-1001", "--clear", "--output", "clear.csv")
        assert (tmp_path / "clear.csv").stat().st_mode & 0o777 == 0o600
        (tmp_path / "clear.csv").chmod(0o666)
        door.done("history", "C-1001", "--clear", "--output", "clear.csv")
        assert (tmp_path / "clear.csv").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    (tmp_path / "a.rejects.csv").chmod(0o444)
    first = (tmp_path / "a.rejects.csv").read_bytes()
    door.refused("import", "a.csv")
    kept = tmp_path / "a.rejects.csv.old"
    assert (kept.read_bytes(), kept.stat().st_mode & 0o222) == (first, 0)
    said = door.call("import", "a.csv").err
    assert "a.rejects.csv.old may only be read, and is not replaced: move it away" in said
    assert kept.read_bytes() == first
