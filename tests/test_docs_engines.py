"""The page about other engines shows what they really answer: each block runs on real ones."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from example_ledger import HISTORY, ROOT
from sail import engine
from test_docs_everyone import COMPILING
from test_readme import run

from replay.formats.partitioned import SCHEMA

PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
EXPORT, ENGINE = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)

SERVER = "sc://127.0.0.1:50051"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's first commands were called."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "examples").symlink_to(ROOT / "examples")
    call(EXPORT, folder)
    return folder


def call(block: str, folder: Path) -> None:
    """Make the calls of a block, each of which says what the page shows."""
    for each in block.split("$ ")[1:]:
        command, shown = each.split("\n", 1)
        said = (
            run(command.replace(SERVER, engine()), folder)
            .replace(f"{folder}/", "")
            .replace(COMPILING, "")
        )
        assert said == shown, command


def test_everybody_on_an_engine_as_the_page_shows(place: Path) -> None:
    """In the same folder, with the same ledger."""
    call(ENGINE, place)


@pytest.mark.parametrize("reader", ["duckdb", "polars", "spark"])
def test_each_engine_reads_the_same_of_the_export(
    reader: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of each runs as it stands, but for the server's address."""
    monkeypatch.chdir(place)
    (block,) = re.findall(rf"```python {reader}\n(.*?)```", PAGE, re.DOTALL)
    if reader == "spark":  # which is elsewhere, and has another folder
        block = block.replace(SERVER, engine())
        block = block.replace('"events"', repr(str(place / "events")))
    names: dict[str, Any] = {}
    exec(compile(block, f"docs/engines.md ({reader})", "exec"), names)
    assert names["failed"] == failed()
    if reader == "spark":
        names["spark"].stop()


def failed() -> list[tuple[str, int]]:
    """Count the same in the history's own lines."""
    events = [json.loads(line) for line in HISTORY.read_text().splitlines()]
    annulled = [each["data"].get("annuls") for each in events]
    exams = Counter(
        each["data"]["exam"]
        for each in events
        if each["type"] == "ExamFailed"
        and each["recordedtime"] >= "2022"
        and {"source": each["source"], "id": each["id"]} not in annulled
    )
    return sorted(exams.items(), key=lambda each: (-each[1], each[0]))[:3]


def test_the_page_shows_every_column() -> None:
    """In their order."""
    table = PAGE.partition("| column |")[2].partition("\n\n")[0]
    shown = [name for line in re.findall(r"^\| (`.*?) \|", table, re.M) for name in
             re.findall(r"`(\w+)`", line)]  # fmt: skip
    assert shown == SCHEMA.names
