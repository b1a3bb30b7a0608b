"""A rebuild finds what differs, survives a kill, and loses nothing on a full disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest
from example_ledger import CACHE, NOW, ROOT, facts, ledger_of
from read_models import apart, built_anew, options, project, table

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.scans import DESCRIBED
from ledger.store.sqlite_scans import SQLiteScans
from replay.read_model import build
from replay.read_model.follow import keeper
from replay.read_model.rebuild import Compared, check, rebuild
from replay.read_model.state import BeingKept, draft_of

EVENTS = facts()
HEAD = len(EVENTS)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a ledger of the whole example."""
    with ledger_of(tmp_path / "a.ledger", EVENTS) as made:
        yield made


@pytest.fixture
def live(ledger: Ledger, tmp_path: Path) -> Path:
    """Return views of it."""
    return built_anew(ledger, tmp_path / "live.views")


def test_it_equals_the_live_views_and_leaves_nothing_behind(ledger: Ledger, live: Path) -> None:
    """Checked, or rebuilt."""
    told: list[object] = []
    assert check(ledger, live, options(), told.append) == Compared(HEAD, 0)
    assert rebuild(ledger, live, options(), told.append) == Compared(HEAD, 0)
    assert told == []
    left = {path.name for path in live.parent.iterdir() if path.name.startswith("live")}
    assert left == {"live.views", "live.views.lock", "live.views.check.lock"}


def test_each_row_that_differs_is_told(ledger: Ledger, live: Path, tmp_path: Path) -> None:
    """A check leaves the live views as they are; a rebuild mends them."""
    first = table(live, "sittings")[0]
    with closing(sqlite3.connect(live)) as connection, connection:
        connection.execute("UPDATE sittings SET number = 9 WHERE rowid = 1")
        connection.execute("DELETE FROM certifications WHERE rowid = 1")
        connection.execute(
            "INSERT INTO certifications VALUES ('C-9', 'none', 1, NULL, 0, NULL, NULL, NULL)"
        )
    for compare in (check, rebuild):
        told: list[str] = []
        assert compare(ledger, live, options(), lambda each: told.append(str(each))) == Compared(  # noqa: B023
            HEAD, 3
        )
        assert told[0] == (
            f"sittings: candidate {first['candidate']}, exam {first['exam']}, "
            f"registration_id {first['registration_id']}: number is 9, rebuilt {first['number']}"
        )
        assert told[1].endswith(": missing in the live file")
        assert told[2] == (
            "certifications: candidate C-9, certification none: in the live file only"
        )
    assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def test_they_are_compared_where_the_live_views_are(tmp_path: Path) -> None:
    """What came since is no difference; after a rebuild it is there too."""
    live = tmp_path / "live.views"
    with ledger_of(tmp_path / "a.ledger", EVENTS[:600]) as ledger:
        project(ledger, live)
        ledger.append(EVENTS[600:], keep_recorded_at=True)
        assert check(ledger, live, options(), print) == Compared(600, 0)
        assert table(live, "position")[0]["position"] == 600
        assert rebuild(ledger, live, options(), print) == Compared(600, 0)
        assert table(live, "position")[0]["position"] == HEAD


def test_without_live_views_there_is_nothing_to_compare_with(
    ledger: Ledger, tmp_path: Path
) -> None:
    """A check says so; a rebuild builds them."""
    path = tmp_path / "none.views"
    with pytest.raises(LedgerProblem, match=r"no read model at .*none\.views"):
        check(ledger, path, options(), print)
    assert rebuild(ledger, path, options(), print) is None
    assert table(path, "position")[0]["position"] == HEAD


@pytest.mark.parametrize("where", [100, 5000, 200_000])
def test_damaged_views_are_made_anew(
    ledger: Ledger, live: Path, tmp_path: Path, where: int
) -> None:
    """Wherever the damage is: rebuild does not stumble over what it is to mend."""
    with live.open("r+b") as file:
        file.seek(where)
        file.write(b"\xff" * 60_000)
    said: list[str] = []
    assert rebuild(ledger, live, options(said), print) is None
    assert "damaged: nothing to compare with" in said[0]
    assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def test_beside_a_follower_it_may_be_checked_but_not_rebuilt(ledger: Ledger, live: Path) -> None:
    """The follower goes on with its file."""
    with keeper(ledger, live, options()):
        assert check(ledger, live, options(), print) == Compared(HEAD, 0)
        with pytest.raises(BeingKept):
            rebuild(ledger, live, options(), print)


REBUILD = """
import os, signal, sys
from pathlib import Path
from ledger.ledger import Ledger
from replay.compiled import kernels_in
from replay.read_model import build
from replay.read_model.build import Options
from replay.read_model.rebuild import rebuild
build.PIECE = 60
pieces = int(sys.argv[4])
ingest = build._ingest
def then_die(draft, folded, done):
    if done > pieces:
        os.kill(os.getpid(), signal.SIGKILL)
    ingest(draft, folded, done)
build._ingest = then_die
kernels = kernels_in(Path(sys.argv[3]))
options = Options(lambda events: kernels, lambda said: print(said, flush=True))
with Ledger.open(sys.argv[1], clock=lambda: 0, read_only=True) as ledger:
    rebuild(ledger, Path(sys.argv[2]), options, print)
"""


def rebuilding(ledger: Ledger, path: Path, pieces: int) -> subprocess.CompletedProcess[str]:
    """Rebuild in a process that is killed when it has put in so many pieces."""
    return subprocess.run(
        [sys.executable, "-c", REBUILD, str(ledger.path), str(path), str(CACHE), str(pieces)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_killed_in_the_middle_it_goes_on_from_there(ledger: Ledger, live: Path) -> None:
    """The live views are untouched meanwhile; the pieces that are in are not folded again."""
    before = live.read_bytes()
    killed = rebuilding(ledger, live, 4)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert live.read_bytes() == before
    ended = rebuilding(ledger, live, 1000)
    assert ended.returncode == 0, ended.stderr
    assert "going on with" in ended.stdout
    assert ": 4 of " in ended.stdout
    assert {path.name for path in live.parent.glob("live*")} == {"live.views", "live.views.lock"}


@pytest.mark.parametrize("pieces", [0, 1, 5])
def test_stopped_anywhere_it_comes_to_the_same(
    ledger: Ledger, live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """After any number of pieces, and once more before the indexes are made."""
    monkeypatch.setattr(build, "PIECE", 60)
    path, ingest = tmp_path / "new.views", build._ingest

    def stopping(draft: Path, folded: object, done: int) -> None:
        if done > pieces:
            raise KeyboardInterrupt
        ingest(draft, folded, done)  # type: ignore[arg-type]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for name, stop in (("_ingest", stopping), ("_finish", interrupted)):
        with monkeypatch.context() as patch:
            patch.setattr(build, name, stop)
            with pytest.raises(KeyboardInterrupt):
                project(ledger, path)
    assert not path.exists()
    assert project(ledger, path) == HEAD
    assert apart(path, live) == []


def test_what_fails_ends_what_goes_on_beside_it(
    ledger: Ledger, live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events are described while facts are laid aside: here that would never come to its end."""
    path = tmp_path / "new.views"

    def endless(*_: object) -> Iterator[pa.RecordBatch]:
        while True:
            yield pa.RecordBatch.from_pylist([], DESCRIBED)

    def full(*_: object) -> None:
        raise LedgerProblem("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SQLiteScans, "described", endless)
        patch.setattr(build, "_lay_aside", full)
        with pytest.raises(LedgerProblem, match="the disk is full"):
            project(ledger, path)
    assert project(ledger, path) == HEAD
    assert apart(path, live) == []


def test_a_draft_of_another_ledger_is_not_gone_on_with(
    ledger: Ledger, live: Path, tmp_path: Path
) -> None:
    """Nor one that is no draft at all."""
    for content in (live.read_bytes(), b"no database"):
        draft = draft_of(tmp_path / "new.views")
        draft.write_bytes(content)
        assert apart(built_anew(ledger, tmp_path / "new.views"), live) == []


FULL = """
import resource, sys
from pathlib import Path
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from replay.compiled import kernels_in
from replay.read_model.build import Options
from replay.read_model.follow import keeper
kernels = kernels_in(Path(sys.argv[3]))
room = int(sys.argv[4])
with Ledger.open(sys.argv[1], clock=lambda: 0, read_only=True) as ledger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        with keeper(ledger, Path(sys.argv[2]), Options(lambda events: kernels)) as kept:
            kept.catch_up()
    except LedgerProblem as problem:
        print(problem)
"""


def on_a_full_disk(ledger: Path, path: Path, room: int) -> str:
    """Project where no file may grow beyond so many bytes; give what is said."""
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(ledger), str(path), str(CACHE), str(room)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=True,
    )
    return ran.stdout.strip()


def test_a_full_disk_in_mid_catch_up_loses_nothing(tmp_path: Path) -> None:
    """One sentence; the views stand where they stood, whole, and go on when there is room."""
    live = tmp_path / "live.views"
    with ledger_of(tmp_path / "a.ledger", EVENTS[:300]) as ledger:
        project(ledger, live)
        before = table(live, "standings")
        ledger.append(EVENTS[300:], keep_recorded_at=True)
    said = on_a_full_disk(ledger.path, live, 100_000)
    assert str(live) in said
    assert len(said.splitlines()) == 1
    assert table(live, "standings") == before
    assert table(live, "position")[0]["position"] == 300
    with Ledger.open(ledger.path, clock=lambda: NOW) as ledger:
        assert project(ledger, live) == HEAD
        assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def test_a_full_disk_while_building_leaves_what_was_there(ledger: Ledger, tmp_path: Path) -> None:
    """No half of a file where views are looked for; the next time it goes on."""
    path = tmp_path / "new.views"
    said = on_a_full_disk(ledger.path, path, 200_000)
    assert "new.views.rebuild" in said
    assert len(said.splitlines()) == 1
    assert not path.exists()
    assert project(ledger, path) == HEAD


def test_nothing_is_read_written_or_removed_through_a_link(
    ledger: Ledger, live: Path, tmp_path: Path
) -> None:
    """A link in a place of ours costs nobody a file: not as views, draft, lock or folder."""
    path, elsewhere = tmp_path / "new.views", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "0.arrows").write_text("dear")
    dear = tmp_path / "dear"
    dear.write_text("dear")
    copy = tmp_path / "copy"
    copy.write_bytes(live.read_bytes())
    path.symlink_to(live)
    with pytest.raises(LedgerProblem, match="is a link: it was left as it is"):
        project(ledger, path)
    path.unlink()
    lock = Path(f"{path}.lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(dear)
    with pytest.raises(LedgerProblem, match="cannot be written"):
        project(ledger, path)
    lock.unlink()
    for suffix in (".rebuild", ".rebuild-wal", "-wal"):
        Path(f"{path}{suffix}").symlink_to(dear)
    pieces = Path(f"{path}.rebuild.pieces")
    pieces.symlink_to(elsewhere)
    with pytest.raises(LedgerProblem, match="holds what is not ours"):
        project(ledger, path)
    pieces.unlink()
    pieces.mkdir()
    (pieces / "notes").write_text("dear")
    with pytest.raises(LedgerProblem, match="holds what is not ours"):
        project(ledger, path)
    assert (pieces / "notes").read_text() == (elsewhere / "0.arrows").read_text() == "dear"
    (pieces / "notes").unlink()
    project(ledger, path)
    assert dear.read_text() == "dear"
    assert copy.read_bytes() == live.read_bytes()


def test_a_read_model_is_closed_to_other_accounts(ledger: Ledger, tmp_path: Path) -> None:
    """Whatever the umask: the file, what SQLite keeps beside it, and the lock."""
    before = os.umask(0)
    try:
        with keeper(ledger, tmp_path / "new.views", options()) as kept:
            kept.catch_up()
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.glob("new.views*")}
    finally:
        os.umask(before)
    assert {"new.views", "new.views.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
