"""Built columns: what workers read is what the ledger says, or nothing is read."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from command_line import CommandLine
from example_ledger import bound, facts, ledger_of
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.tlog.note import SigningKey
from replay.columns.build import Columns
from replay.columns.published import (
    NoColumns,
    open_part,
    place_of,
    publish,
    published_at,
)
from replay.snapshot import Engine

FACTS = facts()
KEY = SigningKey.generate("attempt-ledger/test")
ENGINE = Engine(None, 2)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """The example's history."""
    return ledger_of(tmp_path / "a.ledger", FACTS)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 1000))
def test_parts_of_any_size_fold_to_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, part_rows: int
) -> None:
    """A candidate is in one part, and parts are in the order of candidates."""
    folder = tmp_path_factory.mktemp("parts")
    with ledger_of(folder / "a.ledger", FACTS) as ledger:
        place = place_of(str(folder / "parts"))
        published = publish(ledger, place, KEY, ENGINE, part_rows=part_rows)
        parts = [open_part(place, part) for part in published.parts]
        for one, next_one in itertools.pairwise(parts):
            assert one.candidates[-1].as_py() < next_one.candidates[0].as_py()
        here, there = bound(ledger, small=10_000), bound(ledger, small=10_000)
        there.__dict__["columns"] = Columns(
            published.position, tuple(parts), None, published.exams, published.certifications
        )
        assert there.everybody().equals(here.everybody())


def test_a_build_is_made_again_only_where_it_is_behind(tmp_path: Path) -> None:
    """With as many rows a part as before; the parts of the build before stay, older ones go."""
    place = place_of(str(tmp_path / "parts"))
    with ledger_of(tmp_path / "a.ledger", FACTS[:300]) as ledger:
        first = publish(ledger, place, KEY, ENGINE, part_rows=50)
        manifest = (tmp_path / "parts" / "manifest").read_bytes()
        assert publish(ledger, place, KEY, ENGINE) == first
        assert (tmp_path / "parts" / "manifest").read_bytes() == manifest
        ledger.append(FACTS[300:600], keep_recorded_at=True)
        second = publish(ledger, place, KEY, ENGINE)
        assert (second.position, second.part_rows) == (600, 50)
        assert {part.file for part in first.parts} < set(place.names())
        ledger.append(FACTS[600:], keep_recorded_at=True)
        (tmp_path / "parts" / f".{'0' * 32}.arrow.0123abcd").write_text(
            "of a build that was killed"
        )
        third = publish(ledger, place, KEY, ENGINE)
        kept = {file.file for each in (second, third) for file in (*each.parts, each.clock)}
        assert set(place.names()) == kept | {"manifest"}


def test_what_others_changed_is_not_taken(tmp_path: Path, ledger: Ledger) -> None:
    """A part, the manifest, its signer, its ledger; and what lies elsewhere or not far enough."""
    with ledger:
        place = place_of(str(tmp_path / "parts"))
        position = ledger.head().position
        with pytest.raises(NoColumns, match="there are no columns at"):
            published_at(ledger, place, KEY.verifier, position)
        published = publish(ledger, place, KEY, ENGINE, part_rows=100)
        assert published_at(ledger, place, KEY.verifier, position) == published
        with pytest.raises(NoColumns, match="reach position 720, and the question 721"):
            published_at(ledger, place, KEY.verifier, position + 1)
        other = SigningKey.generate("attempt-ledger/test").verifier
        with pytest.raises(NoColumns, match="not taken"):
            published_at(ledger, place, other, position)
        manifest = tmp_path / "parts" / "manifest"
        whole = manifest.read_bytes()
        manifest.write_bytes(whole.replace(b'"position": 720', b'"position": 719'))
        with pytest.raises(NoColumns, match=r"not taken.*changed after it was signed"):
            published_at(ledger, place, KEY.verifier, position)
        manifest.write_bytes(KEY.sign("attempt-ledger/test\n720\nAAAA\n"))  # as a checkpoint is
        with pytest.raises(NoColumns, match="something else"):
            published_at(ledger, place, KEY.verifier, position)
        manifest.write_bytes(whole)
        part = tmp_path / "parts" / published.parts[0].file
        content = bytearray(part.read_bytes())
        content[len(content) // 2] ^= 1
        part.write_bytes(content)
        with pytest.raises(NoColumns, match="is not as it was built"):
            open_part(place, published.parts[0])
    with (
        ledger_of(tmp_path / "b.ledger", FACTS) as another,
        pytest.raises(NoColumns, match="of another ledger"),
    ):
        published_at(another, place, KEY.verifier, 0)


def test_another_folder_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with something else in it, the ledger's own, a file; a URL of nothing is refused."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    (tmp_path / "cargo").mkdir()
    (tmp_path / "cargo" / "manifest").write_text("10 bales")
    door.done("--ledger", "b.ledger", "init")
    door.done("--ledger", "b.ledger", "columns", "build", "--to", "theirs")
    theirs = {path: path.read_bytes() for path in (tmp_path / "theirs").iterdir()}
    for to, words in (
        ("mine", "holds 'thesis.txt', which no build of columns made"),
        ("mine/thesis.txt", "is a file: name a folder"),
        ("cargo", "holds a manifest, which no build of columns made"),
        ("theirs", "holds the columns of another ledger"),
        ("attempts.ledger", "is the ledger"),
        ("attempts.ledger.tlog", "belongs to the ledger"),
        ("ftp://somewhere/else", "names no folder that can be reached"),
    ):
        answer = door.call("columns", "build", "--to", to)
        assert answer.code == 2, to
        assert words in answer.err
        assert len(answer.err.splitlines()) == 1
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert (tmp_path / "cargo" / "manifest").read_text() == "10 bales"
    assert {path: path.read_bytes() for path in (tmp_path / "theirs").iterdir()} == theirs


def test_a_pipe_or_a_giant_in_place_of_a_part_is_not_waited_for(
    tmp_path: Path, ledger: Ledger
) -> None:
    """Storage that others write to keeps an answer from being computed, and does no more."""
    with ledger:
        place = place_of(str(tmp_path / "parts"))
        part = publish(ledger, place, KEY, ENGINE, part_rows=100).parts[0]
        file = tmp_path / "parts" / part.file
        os.truncate(file, 1 << 40)
        with pytest.raises(NoColumns, match="is not as it was built"):
            open_part(place, part)
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(OSError, match="is no file"):
            open_part(place, part)


def test_nothing_is_built_without_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which only who may sign has."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    (tmp_path / "attempts.ledger.signing-key").unlink()
    answer = door.call("columns", "build")
    assert answer.code == 2
    assert "there is no signing key" in answer.err


def test_more_parts_than_files_may_be_open_are_refused(tmp_path: Path) -> None:
    """With the number that would do."""
    many = [FACTS[0], *(fact._replace(id=f"{n}") for n, fact in enumerate([FACTS[-1]] * 1600))]
    with ledger_of(tmp_path / "a.ledger", many) as ledger:
        place = place_of(str(tmp_path / "parts"))
        with pytest.raises(NoColumns, match=r"more than 800 parts: give --part-rows 3 or more"):
            publish(ledger, place, KEY, ENGINE, part_rows=2)
        assert publish(ledger, place, KEY, ENGINE, part_rows=3).position == 1601


def test_a_folder_whose_name_is_no_utf8_is_built_in_and_not_sent(tmp_path: Path) -> None:
    """Workers are told names as text: one sentence says so."""
    with ledger_of(tmp_path / "a.ledger", FACTS) as ledger:
        place = place_of(f"{tmp_path}/parts\udcff")
        published = publish(ledger, place, KEY, ENGINE)
        assert published_at(ledger, place, KEY.verifier, 720) == published
        with pytest.raises(LedgerProblem, match="no name in UTF-8"):
            assert place.reached
