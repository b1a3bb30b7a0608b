"""An output replaces an earlier output of its kind, by --force another file, and never ours."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from command_line import CommandLine
from reporting import MARCH, written

from attempt_ledger.cli.replacing import shape_of
from replay.formats import chart

WRITING = (
    ("replay", "--as-of", MARCH[1], "--output"),
    ("export", "--output"),
    ("export", "--receipt"),
    ("export", "--table", "sittings", "--output"),
    ("report", "volumes", "--output"),
    ("report", "volumes", "--chart"),
    ("report", "volumes", "--receipt"),
    ("violations", "--output"),
    ("audit", "events", "--output"),
    ("audit", "events", "--receipt"),
    ("feed", "--output"),
    ("diff", "--as-of", MARCH[0], "--to-as-of", MARCH[1], "--output"),
    ("checkpoint", "--output"),
    ("history", "C-1", "--output"),
    ("exception", "list", "--output"),
    ("authorization", "list", "--output"),
    ("search", "C-", "--output"),
    ("policy", "list", "--output"),
    ("policy", "schema", "--output"),
    ("policy", "new", "--id", "a", "--effective-from", "2024-01-01"),
    ("token", "list", "--output"),
    ("audit", "access", "--output"),
    ("booking", "--output"),
    ("prove", "urn:test", "R-1/attempted", "--output"),
)
OURS = (
    "attempts.ledger", "./attempts.ledger", "attempts.ledger.keys", "attempts.ledger.signing-key",
    "attempts.ledger.signing-key.last", "attempts.ledger.lock", "attempts.ledger-wal",
    "attempts.ledger.tlog/checkpoint", "attempts.ledger.columns/manifest.json", "linked", "hard",
)  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before the ledger of a month, with a link to it under other names."""
    written(tmp_path / "attempts.ledger").close()
    (tmp_path / "linked").symlink_to("attempts.ledger")
    os.link(tmp_path / "attempts.ledger", tmp_path / "hard")
    return CommandLine(tmp_path, monkeypatch)


def everything(folder: Path) -> dict[str, bytes]:
    """Return every file of ours and what is in it."""
    return {
        str(path): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".lock"))
    }


@pytest.mark.parametrize("words", WRITING, ids=" ".join)
def test_no_output_replaces_the_ledger_or_what_belongs_to_it(
    shell: CommandLine, words: tuple[str, ...]
) -> None:
    """Under no name, by no command, not even by --force."""
    before = everything(shell.folder)
    for name in OURS:
        said = shell.wrong(*words, name, "--force")
        assert said.endswith("is never replaced: name another file")
    assert everything(shell.folder) == before


def test_no_output_replaces_an_input(shell: CommandLine) -> None:
    """Nor is one file written twice by one call."""
    (shell.folder / "who.txt").write_text("C-1\n")
    said = shell.wrong("replay", "--candidate-file", "who.txt", "--output", "who.txt", "--force")
    assert "is read by this call" in said
    (shell.folder / "in.csv").write_text("candidate_id,exam,registration_id,started_at,outcome\n")
    for words in (("impact", "in.csv", "--output"), ("import", "in.csv", "--rejects")):
        shell.wrong(*words, "./in.csv", "--force")
    assert (shell.folder / "in.csv").read_text().startswith("candidate_id,")
    call = ("audit", "events", "--output", "a.csv", "--receipt", "./a.csv")
    assert "for two outputs" in shell.wrong(*call)
    assert (shell.folder / "who.txt").read_text() == "C-1\n"


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "--as-of", MARCH[1], "--output", "a.csv"),
        ("replay", "--as-of", MARCH[1], "--output", "a.jsonl"),
        ("replay", "--as-of", MARCH[1], "--output", "a.parquet"),
        ("export", "--output", "a.jsonl"),
        ("report", "volumes", "--output", "a.txt"),
        ("report", "volumes", "--output", "a.html"),
        ("report", "volumes", "--output", "a.xlsx"),
        ("report", "volumes", "--chart", "a.svg"),
        ("report", "volumes", "--chart", "a.png"),
        ("audit", "events", "--output", "a.json"),
        ("audit", "events", "--output", "a.csv"),
    ],
    ids=" ".join,
)
def test_an_earlier_output_is_replaced_and_another_file_only_by_force(
    shell: CommandLine, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it held before stays otherwise."""
    path = shell.folder / words[-1]
    shell.done(*words)
    first = path.read_bytes()
    shell.done(*words)
    assert path.read_bytes() == first
    monkeypatch.setattr(chart, "drawn", cache(chart.drawn))  # the picture is the same from here on
    for other in (b"my notes\n", b"<p>mine</p>", b'{"mine": 1}\n', b"a,b\n1,2\n", b"\x00\x01"):
        path.write_bytes(other)
        assert "no earlier output of this command" in shell.wrong(*words)
        assert path.read_bytes() == other
    shell.done(*words, "--force")
    assert path.read_bytes() == first
    assert [each.name for each in shell.folder.iterdir() if each.name.startswith(".a")] == []


def test_a_checkpoint_that_was_kept_is_never_replaced(shell: CommandLine) -> None:
    """Who keeps one compares with it later."""
    shell.done("seal", "--new-key")
    shell.done("checkpoint", "--output", "kept")
    kept = (shell.folder / "kept").read_bytes()
    for words in (("checkpoint", "--output", "kept"), ("export", "--output", "kept", "--force")):
        assert "a checkpoint that was kept" in shell.wrong(*words)
    assert (shell.folder / "kept").read_bytes() == kept


def test_what_outputs_of_a_kind_have_in_common() -> None:
    """A header, members, a mark; not what the data is."""
    assert shape_of(b"a,b\n1,2\n") == shape_of(b"a,b\n")
    assert shape_of(b"a,b\n") != shape_of(b"a,c\n")
    assert shape_of(b'{"a":1,"b":2}\n') == shape_of(b'{"b":3,"a":null}\n{}')
    assert shape_of(b'[\n{"a":1},\n') == shape_of(b'[\n{"a":2}\n]\n')
    assert shape_of(b'{\n  "a": 1\n}') == shape_of(b'{\n "a": 2 }')
