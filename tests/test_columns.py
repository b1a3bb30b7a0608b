"""The snapshot beside the ledger: made, brought up to date, and thrown away when in doubt."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from example_ledger import CACHE, NOW, facts, ledger_of

from ledger.ledger import Ledger
from ledger.own_folder import NotOurs
from projections.history import SITTING_KINDS
from replay.columns import build
from replay.columns import cache as column_cache
from replay.columns.build import Columns, passing
from replay.columns.cache import ColumnCache
from replay.columns.folder import remove_columns
from replay.columns.part import Part, between, columns_of, merge, read_part, split, write_part
from replay.snapshot import Engine

EVENTS = facts()


def same(a: Part, b: Part) -> None:
    """Hold two parts equal, whatever numbers their registrations were given."""
    assert a.candidates.equals(b.candidates)
    mine, yours = columns_of(a), columns_of(b)
    for name in mine:
        if not name.endswith(".key"):
            np.testing.assert_array_equal(mine[name], yours[name], err_msg=name)
    for lo, hi in zip(a.group_lo, a.group_hi, strict=True):
        np.testing.assert_array_equal(
            np.unique(a.sittings.key[lo:hi], return_inverse=True)[1][:, None]
            == np.unique(a.sittings.key[lo:hi], return_inverse=True)[1],
            np.unique(b.sittings.key[lo:hi], return_inverse=True)[1][:, None]
            == np.unique(b.sittings.key[lo:hi], return_inverse=True)[1],
        )


def whole(columns: Columns) -> Part:
    """Put all parts of a snapshot together."""
    together = columns.base[0]
    for part in columns.base[1:]:
        together = merge(together, part)
    return together if columns.delta is None else merge(together, columns.delta)


def renumbered(columns: Columns, like: Columns) -> Part:
    """Return the whole of a snapshot, its exams and certifications numbered as in another."""
    part = whole(columns)
    exam = np.array([like.exams.index(name) for name in columns.exams])
    held = np.array([like.certifications.index(name) for name in columns.certifications])
    return part._replace(
        group_exam=exam[part.group_exam],
        certifications=part.certifications._replace(
            exam=exam[part.certifications.exam],  # type: ignore[call-overload]
            certification=held[part.certifications.certification],  # type: ignore[call-overload]
        ),
        grants=part.grants._replace(exam=exam[part.grants.exam]),  # type: ignore[call-overload]
    )


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the little there is into many parts."""
    monkeypatch.setattr(build, "PART_ROWS", 60)
    monkeypatch.setattr(column_cache, "_SMALL", 40)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """Return a ledger of the first 500 events of the example."""
    return ledger_of(tmp_path / "a.ledger", EVENTS[:500])


def test_a_snapshot_holds_what_is_read_straight_from_the_ledger(
    ledger: Ledger, small_parts: None
) -> None:
    """Kept or not, cut or not, the columns are the same."""
    kept = ColumnCache(ledger, Engine(CACHE)).columns(500)
    assert len(kept.base) > 3
    assert kept.delta is None
    fresh = passing(ledger, 500)
    same(whole(kept), renumbered(fresh, kept))


def test_candidates_are_sorted_within_and_across_parts(ledger: Ledger, small_parts: None) -> None:
    """So that the table of the population comes out sorted."""
    names = [
        name
        for part in ColumnCache(ledger, Engine(CACHE)).columns(500).base
        for name in part.candidates.to_pylist()
    ]
    assert names == sorted(set(names))


@pytest.mark.parametrize("step", [1, 7, 60, 220])
def test_a_snapshot_brought_up_to_date_is_a_snapshot_made_anew(
    ledger: Ledger, small_parts: None, step: int
) -> None:
    """Delta upon delta, compacted or rebuilt on the way: always the same columns."""
    kept = ColumnCache(ledger, Engine(CACHE))
    kept.columns(500)
    for start in range(500, len(EVENTS), step):
        ledger.append(EVENTS[start : start + step], keep_recorded_at=True)
        if step > 1 or start % 10 == 0:
            kept.columns(ledger.head().position)
    head = ledger.head().position
    columns = ColumnCache(ledger, Engine(CACHE)).columns(head)
    assert columns.position == head == len(EVENTS)
    fresh = passing(ledger, head)
    same(whole(columns), renumbered(fresh, columns))


def test_a_small_refresh_rewrites_no_base_part(ledger: Ledger) -> None:
    """One candidate's new facts are one small file."""
    kept = ColumnCache(ledger, Engine(CACHE))
    kept.columns(500)
    folder = Path(f"{ledger.path}.columns")
    before = {path.name for path in folder.glob("*.arrow")}
    ledger.append(EVENTS[500:501], keep_recorded_at=True)
    assert kept.columns(501).delta is not None
    after = {path.name for path in folder.glob("*.arrow")}
    assert before < after
    assert len(after) == len(before) + 1


def spoil_a_byte(folder: Path) -> None:
    """Change one byte in the middle of a part."""
    path = next(folder.glob("*.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # who has the old file mapped keeps it
    path.write_bytes(data)


def cut_short(folder: Path) -> None:
    """Lose the end of a part."""
    path = next(folder.glob("*.arrow"))
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-100])


def lose_a_part(folder: Path) -> None:
    """Lose a part."""
    next(folder.glob("*.arrow")).unlink()


def scribble_in_the_manifest(folder: Path) -> None:
    """Spoil the manifest."""
    (folder / "manifest.json").write_text("{")


def drop_a_member(folder: Path) -> None:
    """Leave something out of the manifest."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["exams"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


def name_another_exam(folder: Path) -> None:
    """Change one letter in the manifest, which is still one."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["exams"][0] = f"{manifest['exams'][0][:-1]}~"
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [
        spoil_a_byte,
        cut_short,
        lose_a_part,
        scribble_in_the_manifest,
        drop_a_member,
        name_another_exam,
    ],
)
def test_damage_is_found_said_and_mended(ledger: Ledger, damage: Callable[[Path], None]) -> None:
    """A snapshot is never trusted over the ledger."""
    good = whole(ColumnCache(ledger, Engine(CACHE)).columns(500))
    damage(Path(f"{ledger.path}.columns"))
    said: list[str] = []
    same(whole(ColumnCache(ledger, Engine(CACHE, say=said.append)).columns(500)), good)
    assert len(said) == 1
    assert "is damaged" in said[0]
    assert "it is rebuilt" in said[0]
    said.clear()
    ColumnCache(ledger, Engine(CACHE, say=said.append)).columns(500)
    assert said == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("format", 0),
        ("ledger", "another"),
        ("schema_version", 0),
        ("position", 9_999),
        ("last", [0, "urn:other", "R-1"]),
    ],
)
def test_a_snapshot_of_something_else_is_rebuilt_in_silence(
    ledger: Ledger, member: str, value: object
) -> None:
    """Another format, ledger or schema, or a ledger that was put back: that is no damage."""
    good = whole(ColumnCache(ledger, Engine(CACHE)).columns(500))
    path = Path(f"{ledger.path}.columns") / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {member: value}))
    said: list[str] = []
    columns = ColumnCache(ledger, Engine(CACHE, say=said.append)).columns(500)
    same(whole(columns), good)
    assert columns.position == 500
    assert said == []


def test_a_ledger_put_back_and_written_on_is_read_anew(tmp_path: Path) -> None:
    """As many events as the snapshot has seen, and other ones: of the same ledger all the same."""
    path = tmp_path / "a.ledger"
    ledger_of(path, EVENTS[:400]).close()
    copy = path.read_bytes()
    with Ledger.open(path, clock=lambda: NOW) as ledger:
        ledger.append(EVENTS[400:500], keep_recorded_at=True)
        ColumnCache(ledger, Engine(CACHE)).columns(500)
    path.write_bytes(copy)
    with Ledger.open(path, clock=lambda: NOW) as ledger:
        ledger.append(EVENTS[500:], keep_recorded_at=True)
        head = ledger.head().position
        said: list[str] = []
        columns = ColumnCache(ledger, Engine(CACHE, say=said.append)).columns(head)
        fresh = passing(ledger, head)
        same(whole(columns), renumbered(fresh, columns))
        assert said == []


def test_what_a_dying_process_left_is_swept_away(ledger: Ledger) -> None:
    """Files that no manifest names are gone after the next refresh."""
    ColumnCache(ledger, Engine(CACHE)).columns(500)
    folder = Path(f"{ledger.path}.columns")
    (folder / "0123456789abcdef.arrow").write_bytes(b"half")
    (folder / "0123456789abcdef.tmp").write_text("{}")
    ledger.append(EVENTS[500:510], keep_recorded_at=True)
    ColumnCache(ledger, Engine(CACHE)).columns(510)
    assert not list(folder.glob("0123456789abcdef*"))


REFRESH = """
import sys
from pathlib import Path
from ledger.ledger import Ledger
from replay.columns.cache import ColumnCache
from replay.snapshot import Engine
ledger = Ledger.open(sys.argv[1], clock=lambda: 0, read_only=True)
said = []
engine = Engine(Path(sys.argv[2]), say=said.append)
columns = ColumnCache(ledger, engine).columns(ledger.head().position)
print(columns.position, sum(len(part.candidates) for part in columns.base), said)
"""


def test_several_processes_refresh_one_snapshot_at_once(ledger: Ledger) -> None:
    """One makes it, the others wait; all see the same, and nobody takes it for damaged."""
    alone = passing(ledger, 500)
    names = sum(len(part.candidates) for part in alone.base)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", REFRESH, str(ledger.path), str(CACHE)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    answers = {process.communicate()[0].strip() for process in running}
    assert answers == {f"500 {names} []"}


def test_a_folder_that_cannot_be_made_is_an_os_error(ledger: Ledger) -> None:
    """Whoever asks goes on without a snapshot."""
    Path(f"{ledger.path}.columns").write_text("in the way")
    with pytest.raises(OSError, match="Not a directory"):
        ColumnCache(ledger, Engine(CACHE)).columns(500)


def test_a_ledger_without_candidates_has_empty_columns(tmp_path: Path) -> None:
    """Nobody at all is a population too."""
    with Ledger.create(tmp_path / "empty.ledger", clock=lambda: 1) as ledger:
        columns = ColumnCache(ledger, Engine(CACHE)).columns(0)
        assert [len(part.candidates) for part in columns.base] == [0]


def test_a_part_is_read_back_as_it_was_written(ledger: Ledger, tmp_path: Path) -> None:
    """Write and read are inverse."""
    part = whole(passing(ledger, 500))
    write_part(part, tmp_path / "a.arrow")
    same(read_part(tmp_path / "a.arrow"), part)


def test_a_part_taken_apart_and_put_together_is_the_same(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Split and merge lose nobody; between takes exactly who lies there."""
    part = whole(passing(ledger, 500))
    monkeypatch.setattr("replay.columns.part.PART_ROWS", 25)
    pieces = list(split(part))
    assert len(pieces) > 5
    together = pieces[-1]
    for piece in pieces[:-1]:
        together = merge(piece, together)
    same(together, part)
    names = part.candidates.to_pylist()
    middle = between(part, names[3], names[9])
    assert middle.candidates.to_pylist() == names[3:9]
    same(merge(part, middle), part)


# --- what a cache is trusted for -------------------------------------------------------------


def edited_copy(ledger: Ledger, folder: Path) -> Path:
    """Copy a ledger, turn every failure in the copy into a pass, and make its column cache."""
    folder.mkdir()
    copy = folder / Path(ledger.path).name
    with closing(sqlite3.connect(ledger.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        target.execute("UPDATE events SET topic = replace(topic, 'ExamFailed', 'ExamPassed')")
        target.commit()
    with Ledger.open(copy, clock=lambda: NOW, read_only=True) as edited:
        ColumnCache(edited, Engine(CACHE)).columns(500)
    return Path(f"{copy}.columns")


def test_a_cache_that_was_planted_is_not_taken(ledger: Ledger, tmp_path: Path) -> None:
    """Made by the same account, of an edited copy with the same id, position and last event."""
    good = passing(ledger, 500)
    shutil.copytree(edited_copy(ledger, tmp_path / "copy"), f"{ledger.path}.columns")
    Path(f"{ledger.path}.columns").chmod(0o700)
    columns = ColumnCache(ledger, Engine(CACHE)).columns(500)
    same(whole(columns), renumbered(good, columns))


def test_a_cache_that_another_account_sealed_is_not_taken(ledger: Ledger, tmp_path: Path) -> None:
    """With another key, all else the same."""
    folder = Path(f"{ledger.path}.columns")
    ColumnCache(ledger, Engine(tmp_path / "another")).columns(500)
    before = set(os.listdir(folder))
    said: list[str] = []
    ColumnCache(ledger, Engine(CACHE, say=said.append)).columns(500)
    assert "its manifest is not as this account wrote it" in said[0]
    assert not {name for name in before & set(os.listdir(folder)) if name.endswith(".arrow")}


@pytest.mark.parametrize("account", [None, "open"])
def test_without_a_safe_folder_for_the_key_no_cache_is_made(
    ledger: Ledger, tmp_path: Path, account: str | None
) -> None:
    """Whoever asks reads the ledger itself."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NotOurs):
        ColumnCache(ledger, Engine(account and tmp_path / account)).columns(500)
    assert not list(Path(f"{ledger.path}.columns").glob("*.json"))


@pytest.mark.parametrize("mode", [0o777, 0o770])
@pytest.mark.parametrize("of", ["the ledger", "the cache"])
def test_a_folder_that_others_can_write_holds_no_cache(ledger: Ledger, mode: int, of: str) -> None:
    """Neither it nor the one that it lies in."""
    ColumnCache(ledger, Engine(CACHE)).columns(500)
    folder = Path(f"{ledger.path}.columns")
    (folder if of == "the cache" else folder.parent).chmod(mode)
    with pytest.raises(NotOurs, match="can be written by others"):
        ColumnCache(ledger, Engine(CACHE)).columns(500)


def test_a_folder_made_under_any_umask_is_closed_to_others(ledger: Ledger) -> None:
    """Whatever the umask of the moment."""
    before = os.umask(0)
    try:
        ColumnCache(ledger, Engine(CACHE)).columns(500)
    finally:
        os.umask(before)
    assert Path(f"{ledger.path}.columns").stat().st_mode & 0o777 == 0o700


def test_a_linked_folder_is_neither_read_nor_cleared(ledger: Ledger, tmp_path: Path) -> None:
    """A stranger's folder under the name of ours: nothing of it goes, by no way."""
    theirs = tmp_path / "thesis"
    theirs.mkdir(mode=0o700)
    for name in ("thesis.odt", "lock", "manifest.json", "0123456789abcdef.arrow"):
        (theirs / name).write_text("theirs")
    Path(f"{ledger.path}.columns").symlink_to(theirs)
    for call in (
        lambda: ColumnCache(ledger, Engine(CACHE)).columns(500),
        lambda: ColumnCache(ledger, Engine(CACHE)).check(),
        lambda: ColumnCache(ledger, Engine(CACHE)).reached(),
        lambda: remove_columns(Path(f"{ledger.path}.columns")),
    ):
        with pytest.raises(NotOurs, match="is a link"):
            call()
    assert {path.read_text() for path in theirs.iterdir()} == {"theirs"}
    assert len(list(theirs.iterdir())) == 4


def test_a_strangers_folder_of_that_name_is_left_as_it_is(ledger: Ledger) -> None:
    """Ours has our mark, or nothing but files of our names."""
    folder = Path(f"{ledger.path}.columns")
    folder.mkdir(mode=0o700)
    for name in ("thesis.odt", "lock", "manifest.json"):
        (folder / name).write_text("theirs")
    for call in (
        lambda: ColumnCache(ledger, Engine(CACHE)).columns(500),
        lambda: remove_columns(Path(f"{ledger.path}.columns")),
    ):
        with pytest.raises(NotOurs, match="is not of our making"):
            call()
    assert {path.read_text() for path in folder.iterdir()} == {"theirs"}


def test_what_somebody_laid_into_the_cache_stays(ledger: Ledger) -> None:
    """Only files of our names go, when it is brought up to date or thrown away."""
    ColumnCache(ledger, Engine(CACHE)).columns(500)
    folder = Path(f"{ledger.path}.columns")
    (folder / "notes.txt").write_text("mine")
    ledger.append(EVENTS[500:510], keep_recorded_at=True)
    ColumnCache(ledger, Engine(CACHE)).columns(510)
    assert remove_columns(Path(f"{ledger.path}.columns"))
    assert sorted(os.listdir(folder)) == ["CACHEDIR.TAG", "lock", "notes.txt"]


# --- held against the ledger's rows ----------------------------------------------------------


@pytest.mark.parametrize("step", [1, 40, 220])
def test_an_honest_cache_passes_its_check(ledger: Ledger, small_parts: None, step: int) -> None:
    """In many parts, with a delta, compacted or made anew: nothing is wrong, nothing removed."""
    assert ColumnCache(ledger, Engine(CACHE)).check() is None
    for start in range(500, len(EVENTS), step):
        ledger.append(EVENTS[start : start + step], keep_recorded_at=True)
        if step > 1 or start % 20 == 0:
            ColumnCache(ledger, Engine(CACHE)).columns(ledger.head().position)
            if step > 1 or start % 80 == 0:
                before = sorted(os.listdir(f"{ledger.path}.columns"))
                assert ColumnCache(ledger, Engine(CACHE)).check() is None
                assert sorted(os.listdir(f"{ledger.path}.columns")) == before


@pytest.mark.parametrize("which", ["base", "delta"])
def test_a_lie_under_a_good_seal_is_found_and_removed(
    ledger: Ledger, tmp_path: Path, small_parts: None, which: str
) -> None:
    """Whoever has the account's key can seal anything: the rows of the ledger say otherwise."""
    ColumnCache(ledger, Engine(CACHE)).columns(500)
    ledger.append(EVENTS[500:506], keep_recorded_at=True)
    cache = ColumnCache(ledger, Engine(CACHE))
    cache.columns(506)
    manifest = cache._manifest()
    assert manifest is not None
    assert manifest.delta is not None
    entry = manifest.delta if which == "delta" else manifest.base[1]
    folder = Path(f"{ledger.path}.columns")
    part = read_part(folder / entry.file)
    kind = np.array(part.sittings.kind)
    kind[kind == SITTING_KINDS["ExamFailed"]] = SITTING_KINDS["ExamPassed"]
    lie = part._replace(sittings=part.sittings._replace(kind=kind))
    assert not np.array_equal(kind, part.sittings.kind)
    (folder / entry.file).unlink()  # who has the old one mapped keeps it
    write_part(lie, folder / entry.file)
    false = entry.model_copy(update={"digest": column_cache.digest(folder / entry.file)})
    changed = (
        {"delta": false}
        if which == "delta"
        else {"base": tuple(false if each == entry else each for each in manifest.base)}
    )
    sealed = manifest.model_copy(update=changed).sealed(cache._key())
    (folder / "manifest.json").write_text(sealed.model_dump_json())
    cache.columns(506)  # taken: it makes answers quick, and proves nothing
    problem = cache.check()
    assert problem is not None
    assert "does not hold what the ledger says" in problem
    assert sorted(os.listdir(folder)) == ["CACHEDIR.TAG", "lock"]
    assert cache.check() is None
    fresh = passing(ledger, 506)
    columns = cache.columns(506)
    same(whole(columns), renumbered(fresh, columns))


def test_a_planted_cache_is_found_and_removed(ledger: Ledger, tmp_path: Path) -> None:
    """One that no answer would have been made from."""
    folder = Path(f"{ledger.path}.columns")
    shutil.copytree(edited_copy(ledger, tmp_path / "copy"), folder)
    folder.chmod(0o700)
    problem = ColumnCache(ledger, Engine(CACHE)).check()
    assert problem == "it was made of another file, or by another account"
    assert sorted(os.listdir(folder)) == ["CACHEDIR.TAG", "lock"]
