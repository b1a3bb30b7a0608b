"""What the drills of disks stand on: a trace read rightly, and a disk that loses what it may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from attempt_ledger import clock
from drills import tracing
from drills.bit_flips import judged
from drills.cuts import WAYS, digest, lay_out, left
from drills.disk import Disk, NotSimulated
from drills.flips import flips, regions_of
from drills.forking import Ran
from drills.ground import new_ledger
from drills.needs import Missing
from drills.power_cut import looked_at, watched
from drills.quick import in_memory
from drills.store_errors import ill_said
from drills.tracing import calls_of
from drills.worker import fact
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.sealer import seal

ROOT = "/disk"


def hexed(text: str) -> str:
    """Write a text as strace does."""
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def opened(name: str, flags: str = "O_RDWR|O_CREAT", descriptor: int = 3) -> str:
    """Return of a file that is opened."""
    path = hexed(f"{ROOT}/{name}".rstrip("/"))
    return f'7 openat(AT_FDCWD<{hexed("/")}>, "{path}", {flags}, 0666) = {descriptor}<{path}>'


def on(name: str, call: str, *more: str, descriptor: int = 3, returned: int = 0) -> str:
    """Return of a call on an open file."""
    path = hexed(f"{ROOT}/{name}".rstrip("/"))
    return f"7 {call}({', '.join((f'{descriptor}<{path}>', *more))}) = {returned}"


def wrote(name: str, text: str, at: int) -> str:
    """Return of a write."""
    more = (f'"{hexed(text)}"', str(len(text)), str(at))
    return on(name, "pwrite64", *more, returned=len(text))


def named(call: str, *names: str) -> str:
    """Return of a call on names."""
    words = ", ".join(f'"{hexed(f"{ROOT}/{name}")}"' for name in names)
    return f"7 {call}({words}) = 0"


def disk(*lines: str) -> Disk:
    """Return the disk after what a trace tells."""
    made = Disk(ROOT)
    for call in calls_of(lines):
        made.do(call)
    return made


def after(disk: Disk, way: str) -> dict[str, bytes | None]:
    """Return what one way of losing leaves."""
    return left(disk, WAYS[way], Random(1))


SYNCED_FOLDER = (opened("", "O_RDONLY", 9), on("", "fsync", descriptor=9))
MADE = (opened("a"), wrote("a", "first", 0), on("a", "fsync"), *SYNCED_FOLDER)


@pytest.mark.parametrize(
    ("lines", "dropped", "kept"),
    [
        ((opened("a"), wrote("a", "first", 0)), {}, {"a": b"first"}),
        ((opened("a"), wrote("a", "first", 0), on("a", "fdatasync")), {}, {"a": b"first"}),
        (MADE, {"a": b"first"}, {"a": b"first"}),
        ((*MADE, wrote("a", "other", 2)), {"a": b"first"}, {"a": b"fiother"}),
        ((*MADE, wrote("a", "far", 7)), {"a": b"first"}, {"a": b"first\0\0far"}),
        ((*MADE, on("a", "ftruncate", "2")), {"a": b"first"}, {"a": b"fi"}),
        ((*MADE, opened("a", "O_WRONLY|O_TRUNC", 4)), {"a": b"first"}, {"a": b""}),
        ((*MADE, named("rename", "a", "b")), {"a": b"first"}, {"b": b"first"}),
        ((*MADE, named("rename", "a", "b"), *SYNCED_FOLDER), {"b": b"first"}, {"b": b"first"}),
        ((*MADE, named("link", "a", "b")), {"a": b"first"}, {"a": b"first", "b": b"first"}),
        ((*MADE, named("unlink", "a")), {"a": b"first"}, {}),
        ((*MADE, named("mkdir", "d"), opened("d/e")), {"a": b"first"},
         {"a": b"first", "d": None, "d/e": b""}),
    ],
    ids=["nothing synced", "a sync makes no name durable", "synced", "overwritten", "grown",
         "cut", "emptied by opening", "renamed", "renamed and synced", "linked", "removed",
         "a folder"],
)  # fmt: skip
def test_what_was_not_synced_may_be_there_or_not(
    lines: Sequence[str], dropped: dict[str, bytes | None], kept: dict[str, bytes | None]
) -> None:
    """Content by the sync of the file, names by that of the folder, neither by the other."""
    made = disk(*lines)
    assert after(made, "dropped") == dropped
    assert after(made, "kept") == kept
    assert made.seen() == {name: content for name, content in kept.items() if content is not None}


def test_a_rename_may_come_before_the_content() -> None:
    """The classic: a name that holds nothing, where a whole file was."""
    made = disk(*MADE, opened("b", descriptor=4), on("b", "write", f'"{hexed("new")}"', "3",
                descriptor=4, returned=3), named("rename", "b", "a"))  # fmt: skip
    assert after(made, "named, but empty") == {"a": b""}
    assert after(made, "written, but nameless") == {"a": b"first"}


def test_a_write_is_torn_at_sectors() -> None:
    """Each sector old or new, and nothing in between."""
    made = disk(opened("a"), wrote("a", "o" * 2048, 0), on("a", "fsync"), *SYNCED_FOLDER,
                wrote("a", "n" * 2024, 24))  # fmt: skip
    seen = set()
    for number in range(60):
        content = left(made, WAYS["torn"], Random(number))["a"]
        assert content is not None
        assert len(content) == 2048
        sectors = [content[max(at, 24) : at + 512] for at in range(0, 2048, 512)]
        assert content[:24] == b"o" * 24
        assert all(len(set(sector)) == 1 for sector in sectors)
        seen.add(content)
    assert len(seen) > 10


def test_a_sync_covers_what_had_ended_when_it_began() -> None:
    """A write of another process that ended meanwhile is not covered."""
    path, begun = hexed(f"{ROOT}/a"), f"8 fsync(3<{hexed(f'{ROOT}/a')}> <unfinished ...>"
    made = disk(*MADE, begun, wrote("a", "later", 0), "8 <... fsync resumed>) = 0")
    assert after(made, "dropped") == {"a": b"first"}
    made = disk(*MADE, wrote("a", "later", 0), begun, "8 <... fsync resumed>) = 0")
    assert after(made, "dropped") == {"a": b"later"}
    failed = f"7 fsync(3<{path}>) = -1 EIO (Input/output error)"
    assert after(disk(*MADE, wrote("a", "later", 0), failed), "dropped") == {"a": b"first"}


@pytest.mark.parametrize(
    "line",
    [
        opened("a", "O_RDWR|O_SYNC"),
        named("symlink", "a", "b"),
        f"7 mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 3<{hexed(f'{ROOT}/a')}>, 0) = 0x7f",
        on("a", "fallocate", "0", "0", "9"),
    ],
)
def test_what_is_not_simulated_is_no_drill(line: str) -> None:
    """Rather than a state that could never be."""
    with pytest.raises(NotSimulated):
        disk(*MADE, line)


def test_states_are_told_apart_and_laid_out(tmp_path: Path) -> None:
    """By every byte but those of SQLite's -shm; keys stay their owner's."""
    files: dict[str, bytes | None] = {"d": None, "d/a": b"1", "a.keys": b"2", "a-shm": b"3"}
    assert digest(files) != digest({**files, "d/a": b"2"})
    assert digest(files) == digest({**files, "a-shm": b"4"})
    lay_out(files, tmp_path)
    assert (tmp_path / "d/a").read_bytes() == b"1"
    assert (tmp_path / "a.keys").stat().st_mode & 0o777 == 0o600


def test_where_strace_may_not_trace_it_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In one sentence, with what to do; not after a minute of waiting."""
    forbidden = tmp_path / "strace"
    forbidden.write_text("#!/bin/sh\necho 'ptrace: Operation not permitted' >&2\nexit 1\n")
    forbidden.chmod(0o755)
    monkeypatch.setattr(tracing, "path_of", lambda tool: forbidden)
    with pytest.raises(Missing, match=r"may not trace here \(ptrace: .*\): .*SYS_PTRACE"):
        tracing.see_that_it_may()


# -- faults that are planted are found


PLANTED = {
    "the ledger's commits are not synced": (
        "import ledger.store.sqlite as kept\n"
        "make = kept.connect_writer\n"
        "def careless(path):\n"
        "    connection = make(path)\n"
        "    connection.execute('PRAGMA synchronous = NORMAL')\n"
        "    return connection\n"
        "kept.connect_writer = careless\n"
    ),
    "checkpoints are not synced before they are renamed": (
        "import ledger.durable as files\nfiles._sync = lambda descriptors: None\n"
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_ledger_that_syncs_less_is_found_out(tmp_path: Path, fault: str) -> None:
    """By states in which something acknowledged is lost, or does not open."""
    script = tmp_path / "life.py"
    script.write_text(
        f"import sys\n{PLANTED[fault]}from drills.life import main\nmain(*sys.argv[1:])\n"
    )
    with in_memory(tmp_path) as scratch:
        recording = watched(scratch, short=True, life=[str(script)])
        finding = looked_at(recording, 40, Random(1), scratch)
    assert not finding.sound
    assert any("cut after call" in problem for problem in finding.problems)


CLEAN = {"rows": "1", "answers": "1", "said": [], "verify": [], "doctor": [], "wrong": []}


@pytest.mark.parametrize(
    ("answer", "outcome", "wrong"),
    [
        ({}, "harmless", False),
        ({"answers": "2"}, "missed", True),
        ({"answers": "2", "said": ["a.ledger is damaged"]}, "refused or rebuilt", False),
        ({"answers": "2", "doctor": ["page 4"]}, "found by doctor alone, answers others", False),
        ({"rows": "2", "answers": "2", "doctor": ["page 4"]}, "missed", True),
        ({"rows": "2", "answers": "2", "verify": ["position 4"]}, "found by verify", False),
        ({"wrong": ["verify: StopIteration()"], "verify": ["a"]}, "ill said", True),
        ({"wrong": ["said: KeyError()"]}, "ill said", True),
        ({"wrong": ["said: KeyError()"], "verify": ["position 4"]}, "found by verify", False),
        ({"said": ["two\nlines"]}, "ill said", True),
    ],
)
def test_a_damage_is_found_or_changes_nothing(
    answer: dict[str, object], outcome: str, wrong: bool
) -> None:
    """And what verify does not find must not be another row."""
    told, problem = judged({**CLEAN, **answer}, CLEAN)
    assert (told, bool(problem)) == (outcome, wrong)


@pytest.mark.parametrize(
    ("ran", "wrong"),
    [
        (Ran(0, "", ""), False),
        (Ran(2, "", "attempt-ledger: the disk of a is full: nothing was written\n"), False),
        (Ran(2, "", ""), True),
        (Ran(2, "", "Traceback (most recent call last):\n"), True),
        (Ran(2, "", "attempt-ledger: this should not have happened: KeyError: 1\n"), True),
        (Ran(-11, "", ""), True),
        (Ran(99, "", "attempt-ledger: a\n"), True),
    ],
)
def test_a_failed_call_says_one_sentence(ran: Ran, wrong: bool) -> None:
    """No traceback, no signal, and never nothing."""
    assert bool(list(ill_said(ran))) == wrong


def test_every_page_of_a_file_is_of_one_region(tmp_path: Path) -> None:
    """So that each is damaged; and a damage changes its region alone."""
    path = new_ledger(tmp_path)
    with Ledger.open(path, clock=clock.now) as ledger:
        ledger.append([fact("one", number) for number in range(400)])
        seal(log_paths(path), str(ledger.about("ledger")), 400)
    regions = regions_of(tmp_path)
    parts = [
        part
        for name, files in regions.items()
        if name.startswith("ledger: ")
        for part in files["a.ledger"]
    ]
    assert sum(map(len, parts)) == path.stat().st_size
    assert len({byte for part in parts for byte in part}) == path.stat().st_size
    before = path.read_bytes()
    for damage in flips(tmp_path, "x", regions["ledger: table events"], 30, Random(1)):
        content = bytearray(before)
        damage.what(content)
        changed = {at for at in range(len(before)) if content[at] != before[at]}
        inside = {at for part in regions["ledger: table events"]["a.ledger"] for at in part}
        assert changed <= inside
