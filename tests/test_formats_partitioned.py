"""The partitioned export: each event once, whatever ended earlier runs; no other folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from command_line import CommandLine
from example_ledger import NOW, facts, ledger_of
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres import new_server

from ledger.facts import fact_of
from ledger.ledger import Ledger
from replay.formats.partitioned import SCHEMA, NotExported, export_partitioned

FACTS = facts()


def read(folder: Path) -> pa.Table:
    """Read what any engine reads of a folder, by position."""
    return ds.dataset(folder, format="parquet", partitioning="hive").to_table().sort_by("position")


def check(folder: Path, ledger: Ledger) -> None:
    """Hold a folder against the ledger: each event once, in the month it was recorded in."""
    table = read(folder)
    rows = list(ledger.read())
    assert table["position"].to_pylist() == [row.position for row in rows]
    assert table["data"].to_pylist() == [row.data for row in rows]
    assert table["extensions"].to_pylist() == [row.extensions for row in rows]
    assert table["recorded_at"].cast(pa.int64()).to_pylist() == [row.recorded_at for row in rows]
    months = [str(instant)[:7] for instant in table["recorded_at"].to_pylist()]
    assert table["recorded_month"].to_pylist() == months


def grown(ledger: Ledger, upto: int) -> None:
    """Append the example's facts up to a position."""
    ledger.append(FACTS[ledger.head().position : upto], keep_recorded_at=True)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, len(FACTS)), max_size=4), st.sampled_from([1, 7, 100, 1000]))
def test_each_run_adds_what_is_new_and_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int], most: int
) -> None:
    """However the ledger grew between runs, and however many rows a file has at most."""
    folder = tmp_path_factory.mktemp("grows")
    with ledger_of(folder / "a.ledger", FACTS[:1]) as ledger:
        before: dict[Path, bytes] = {}
        for stop in [*sorted(stops), len(FACTS)]:
            grown(ledger, max(stop, 1))
            export_partitioned(ledger, folder / "out", most=most)
            after = {path: path.read_bytes() for path in (folder / "out").rglob("*.parquet")}
            assert after.items() >= before.items()
            before = after
        check(folder / "out", ledger)
        assert all(pq.read_metadata(path).num_rows <= most for path in before)
        assert export_partitioned(ledger, folder / "out").events == 0


def test_postgresql_gives_the_same_files(tmp_path: Path) -> None:
    """But for the ledger's id, which is in them."""
    tables = []
    moved = FACTS  # personal fields are encrypted once, so that both have the same ciphertext
    for place in (tmp_path / "a.ledger", new_server(tmp_path / "homes")):
        with Ledger.create(place, clock=lambda: NOW) as ledger:
            ledger.append(moved, keep_recorded_at=True)
            moved = [fact_of(row) for row in ledger.read()]
            export_partitioned(ledger, tmp_path / "out", most=100)
        (tmp_path / "out").rename(folder := tmp_path / f"out-{len(tables)}")
        files = sorted(folder.rglob("*.parquet"))
        tables.append([(path.relative_to(folder), pq.ParquetFile(path).read()) for path in files])
    assert tables[0] == tables[1]
    assert tables[0][0][1].schema == SCHEMA


def test_a_killed_run_leaves_nothing_that_is_read_twice(tmp_path: Path) -> None:
    """Killed at any moment, the folder is a whole prefix; the next run ends with every event."""
    with ledger_of(tmp_path / "a.ledger", FACTS) as ledger:
        for wait in (0.0, 0.02, 0.05):
            code = (
                "import sys; from pathlib import Path; from ledger.ledger import Ledger\n"
                "from replay.formats.partitioned import export_partitioned\n"
                "ledger = Ledger.open(Path(sys.argv[1]), clock=lambda: 0, read_only=True)\n"
                "print('begins', flush=True)\n"
                "export_partitioned(ledger, Path(sys.argv[2]), most=3)\n"
            )
            command = [sys.executable, "-c", code, tmp_path / "a.ledger", tmp_path / "out"]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(wait)
                process.kill()
            if any((tmp_path / "out").rglob("*.parquet")):
                positions = read(tmp_path / "out")["position"].to_pylist()
                assert positions == list(range(1, len(positions) + 1))
        export_partitioned(ledger, tmp_path / "out", most=3)
        check(tmp_path / "out", ledger)
        names = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
        assert not [name for name in names if name.startswith(".")]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda out: (out / "notes.txt").write_text(""), "it holds 'notes.txt'"),
        (lambda out: (files(out)[0].with_name("x")).write_text(""), "recorded_month=2021-01/x'"),
        (lambda out: (out / "recorded_month=2020-01").symlink_to("/"), "it holds"),
        (lambda out: files(out)[1].unlink(), "lacks what comes after position 32:"),
        (lambda out: files(out)[-1].write_bytes(b"PAR1"), "is no whole Parquet file"),
        (lambda out: pq.write_table(pa.table({"a": [1]}), files(out)[0]), "has other columns"),
        (lambda out: piped(files(out)[-1]), "is no whole Parquet file"),
    ],
)  # fmt: skip
def test_a_folder_of_anything_else_is_refused_and_stays(
    tmp_path: Path, spoil: object, words: str
) -> None:
    """In one sentence, and a draft in it stays too."""
    with ledger_of(tmp_path / "a.ledger", FACTS) as ledger:
        export_partitioned(ledger, out := tmp_path / "out", most=100)
        draft = files(out)[0].with_name(".events-000000000001.parquet.0123abcd")
        draft.write_text("half")
        assert callable(spoil)
        spoil(out)
        before = sorted(out.rglob("*"))
        with pytest.raises(NotExported) as problem:
            export_partitioned(ledger, out)
        assert words in str(problem.value)
        assert len(str(problem.value).splitlines()) == 1
        assert sorted(out.rglob("*")) == before


def piped(path: Path) -> None:
    """Put a pipe in a file's place, into which nobody writes."""
    path.unlink()
    os.mkfifo(path)


def files(out: Path) -> list[Path]:
    """Return the files of an export, by position."""
    return sorted(out.rglob("events-*.parquet"), key=lambda path: path.name)


def test_another_ledgers_folder_is_refused(tmp_path: Path) -> None:
    """And so is this ledger's where it was put back from a copy, or is shorter now."""
    with ledger_of(tmp_path / "a.ledger", FACTS) as ledger:
        export_partitioned(ledger, tmp_path / "out")
    with (
        ledger_of(tmp_path / "b.ledger", FACTS[:5]) as ledger,
        pytest.raises(NotExported, match="of another ledger, or this one was put back"),
    ):
        export_partitioned(ledger, tmp_path / "out")


def test_two_exports_do_not_mix(tmp_path: Path) -> None:
    """The second is refused while the first writes."""
    with ledger_of(tmp_path / "a.ledger", FACTS) as ledger:
        twice: list[str] = []

        def again(events: int) -> None:
            with pytest.raises(NotExported) as problem:
                export_partitioned(ledger, tmp_path / "out")
            twice.append(str(problem.value))

        export_partitioned(ledger, tmp_path / "out", progress=again)
        assert all("another export writes" in each for each in twice)
        check(tmp_path / "out", ledger)


def test_the_command_guards_what_it_writes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger and what belongs to it stay; modes are the umask's; other options are refused."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    for place, words in (
        ("attempts.ledger", "is the ledger"),
        ("attempts.ledger.tlog", "belongs to the ledger"),
        ("attempts.ledger.tlog/inside", "belongs to the ledger"),
        (".", "is no earlier export"),
    ):
        answer = door.call("export", "--partitioned", place)
        assert answer.code == 2
        assert words in answer.err
    (tmp_path / "file").write_text("mine")
    assert "is a file: name a folder" in door.call("export", "--partitioned", "file").err
    for option in ("--after=3", "--table=facts", "--output=x", "--receipt=x"):
        answer = door.call("export", "--partitioned", "out", option)
        assert answer.code == 2
        assert f"{option.partition('=')[0]} does not go with --partitioned" in answer.err
    assert "of a table" in door.call("export", "--partitioned", "out", "--as-of=2021-01-01").err
    before = os.umask(0o027)
    try:
        door.done("export", "--partitioned", "out")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").rglob("*.parquet")}
    assert modes == {0o640}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o750
