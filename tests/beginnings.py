"""What many tests begin with: a folder to call commands in, one to import into, ledgers of stories.

Each is imported by the tests that want it: the compiler comes with some, and others need not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from command_line import CommandLine
    from example_ledger import Ledgers
    from intake_folder import Place
    from serving import Served


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand in an empty folder, from which commands are called."""
    from command_line import CommandLine

    return CommandLine(tmp_path, monkeypatch)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Yield a folder with a ledger, and what imports files into it."""
    from intake_folder import Place

    with Place(tmp_path) as place:
        yield place


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Ledgers]:
    """Yield what makes ledgers of stories, to be asked about everybody."""
    from example_ledger import Ledgers

    with Ledgers(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history; whoever asks has no token, and only reads."""
    from example_ledger import facts, ledger_of
    from serving import served

    path = tmp_path_factory.mktemp("console") / "attempts.ledger"
    ledger_of(path, facts()).close()
    with served(path, "--rate", "0") as it:
        yield it


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch, drawn: Callable[[bytes], bytes]) -> None:
    """Draw each picture once in a session, for what is about something else."""
    from replay.formats import chart

    monkeypatch.setattr(chart, "drawn", drawn)


@pytest.fixture(scope="session")
def drawn() -> Callable[[bytes], bytes]:
    """Return what draws, and remembers."""
    from replay.formats import chart

    return cache(chart.drawn)
