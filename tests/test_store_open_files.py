"""A ledger may be opened as often as one likes in one process, beside others that come and go."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_facts import SetClock, attempted

from ledger.ledger import Ledger
from ledger.outcomes import Appended
from ledger.problems import NotALedger
from ledger.store.file import check_file, connect_reader, header

ELSEWHERE = """
import sys
sys.path[:0] = {path!r}
from ledger_facts import SetClock, attempted
from ledger.ledger import Ledger
with Ledger.open(sys.argv[1], clock=SetClock()) as ledger:
    print(*ledger.append([attempted(int(sys.argv[2]))]))
"""


def appended_elsewhere(path: Path, number: int) -> str:
    """Append in another process, which comes and goes; gives what became of it."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE.format(path=sys.path), str(path), str(number)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def look(path: Path) -> None:
    check_file(path)


def read(path: Path) -> None:
    with Ledger.open(path, clock=SetClock(), read_only=True) as other:
        other.head()


def write(path: Path) -> None:
    with Ledger.open(path, clock=SetClock()) as other:
        other.append([attempted(99)])


@pytest.mark.parametrize("meanwhile", [look, read, write], ids=lambda each: each.__name__)
def test_another_that_opens_and_closes_it_here_takes_nobodys_locks_away(
    tmp_path: Path, meanwhile: Callable[[Path], None]
) -> None:
    """What is appended here and elsewhere after that is all there, in one order, once each.

    With its locks lost this process went on in a log that the other one had swept away: the two
    gave the same positions, and events that were acknowledged were gone.
    """
    path = tmp_path / "a.ledger"
    with Ledger.create(path, clock=SetClock()) as ledger:
        first = ledger.append([attempted(1)])
        meanwhile(path)
        head = ledger.head().position
        assert appended_elsewhere(path, 2) == f"Appended(position={head + 1})"
        assert ledger.head().position == head + 1
        assert ledger.append([attempted(3)]) == [Appended(head + 2)]
        assert appended_elsewhere(path, 4) == f"Appended(position={head + 3})"
        rows = [row.id for row in ledger.read()]
        assert first == [Appended(1)]
    ids = [f"R-{number}/attempted" for number in (1, 99, 2, 3, 4)]
    assert rows == [id for id in ids if id != "R-99/attempted" or meanwhile is write]
    with Ledger.open(path, clock=SetClock()) as ledger:
        assert [row.id for row in ledger.read()] == rows


def test_a_file_that_is_open_here_is_not_opened_beside(tmp_path: Path) -> None:
    """As long as any connection to it is, by whatever name; nor is one that is not a ledger one."""
    path = tmp_path / "a.ledger"
    Ledger.create(path, clock=SetClock()).close()
    other = tmp_path / "other"
    other.hardlink_to(path)
    first, second = connect_reader(path), connect_reader(path)
    first.close()
    assert header(other) is None
    check_file(other)
    second.execute("PRAGMA query_only = OFF")
    second.execute("PRAGMA application_id = 7")
    with pytest.raises(NotALedger, match="is not a ledger"):
        check_file(path)
    second.close()
    second.close()
    assert (header(path) or b"")[:6] == b"SQLite"


def test_who_reads_everything_holds_none_of_the_file_in_memory(tmp_path: Path) -> None:
    """The pages of one candidate are read where the system keeps them; those of all are not."""
    path = tmp_path / "a.ledger"
    with Ledger.create(path, clock=SetClock()) as ledger:
        ledger.append([attempted(number) for number in range(6_000)])

    def held() -> float:
        """Return the part of the file that is in this process's memory."""
        lines = iter(Path("/proc/self/smaps").read_text().splitlines())
        rss = [next(each for each in lines if each.startswith("Rss:")).split()[1]
               for line in lines if line.endswith(f" {path}")]  # fmt: skip
        return 1024 * sum(map(int, rss)) / path.stat().st_size

    with Ledger.open(path, clock=SetClock(), read_only=True) as ledger:
        assert len(list(ledger.read())) == 6_000
        assert held() < 0.2
        assert len(ledger.stream("candidate/C-1")) == 6_000
        assert held() > 0.4
