"""A read model is kept up to the ledger: in whatever steps, it equals one built from nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from example_ledger import facts, ledger_of
from read_models import apart, beside, built_anew, ledger_from, options, project, record, table
from strategies import world

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store import batches
from replay.read_model import build, follow
from replay.read_model.follow import keeper
from replay.read_model.state import VERSION, BeingKept
from replay.read_model.store import ReadModel

EVENTS = facts()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Yield a ledger of the whole example."""
    with ledger_of(tmp_path / "a.ledger", EVENTS) as made:
        yield made


@pytest.mark.parametrize("seed", range(12))
def test_any_steps_come_to_the_same_as_all_at_once(tmp_path: Path, seed: int) -> None:
    """Of random worlds: a prefix, then the rest in steps, the catalogue changing in between."""
    random = Random(seed)
    rows = world(random, people=4).rows
    cuts = sorted({0, *(random.randint(0, len(rows)) for _ in range(4)), len(rows)})
    live = tmp_path / "live.views"
    with ledger_from(tmp_path / "a.ledger", rows[: cuts[0]]) as ledger:
        for lo, hi in pairwise(cuts):
            record(ledger, rows[lo:hi])
            assert project(ledger, live) == hi
        assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def test_one_event_after_another_comes_to_the_same(tmp_path: Path) -> None:
    """As a follower takes them up; late facts, annulments and a change of policy among them."""
    live = tmp_path / "live.views"
    with ledger_of(tmp_path / "a.ledger", EVENTS[:500]) as ledger:
        project(ledger, live)
        with keeper(ledger, live, options()) as kept:
            for fact in EVENTS[500:620]:
                ledger.append([fact], keep_recorded_at=True)
                kept.catch_up()
        assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def stood_at(path: Path, position: int) -> None:
    """Let views say that they are no further than a position."""
    last = EVENTS[position - 1]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE position SET position = ?, recorded_at = ?, source = ?, id = ?",
            (position, last.recorded_at, last.source, last.id),
        )


def test_fold_twice_is_fold_once(ledger: Ledger, tmp_path: Path) -> None:
    """Events taken up again change no row."""
    live = built_anew(ledger, tmp_path / "live.views")
    once = built_anew(ledger, tmp_path / "once.views")
    stood_at(live, 300)
    assert project(ledger, live) == len(EVENTS)
    assert apart(live, once) == []


def test_pieces_and_chunks_of_any_size_give_the_same(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built in many pieces, kept in many transactions."""
    once = built_anew(ledger, tmp_path / "once.views")
    monkeypatch.setattr(build, "PIECE", 60)
    monkeypatch.setattr(batches, "_WORTH_BYTES", 0)  # so that another process reads
    monkeypatch.setattr(follow, "CHUNK", 7)
    monkeypatch.setattr(follow, "CANDIDATES", 3)
    assert apart(built_anew(ledger, tmp_path / "pieces.views"), once) == []
    stood_at(once, 600)
    with closing(sqlite3.connect(once)) as connection, connection:
        connection.execute("INSERT INTO stale SELECT exam FROM exams")
    project(ledger, once)
    assert apart(once, tmp_path / "pieces.views") == []


def test_following_takes_up_what_comes(ledger: Ledger, tmp_path: Path) -> None:
    """Until it is told to stop; each look takes up all that is there."""
    live = tmp_path / "live.views"
    with ledger_of(tmp_path / "b.ledger", EVENTS[:650]) as growing:
        rest = iter(EVENTS[650:])

        def stop() -> bool:
            more = [fact for fact, _ in zip(rest, range(9), strict=False)]
            if more:
                growing.append(more, keep_recorded_at=True)
            return not more and kept.position == growing.head().position

        with keeper(growing, live, options()) as kept:
            kept.follow(stop, interval=0.001)
        assert apart(live, built_anew(growing, tmp_path / "anew.views")) == []


def test_a_second_keeper_says_so_and_stops(ledger: Ledger, tmp_path: Path) -> None:
    """The one that is there goes on; when it is gone, another may."""
    path = tmp_path / "live.views"
    with (
        keeper(ledger, path, options()),
        pytest.raises(BeingKept, match=r"live\.views is being kept by another process"),
        keeper(ledger, path, options()),
    ):
        raise AssertionError
    project(ledger, path)


def test_while_an_exam_is_folded_again_it_is_marked_stale(tmp_path: Path) -> None:
    """Whoever reads meanwhile sees which, and the rows as they were; then it is fresh."""
    rows = world(Random(4), people=5).rows
    last = max(row.position for row in rows if row.stream.startswith("exam/"))
    path, seen, said = tmp_path / "live.views", [], []

    @contextmanager
    def looking(what: str, total: int) -> Iterator[Callable[[int], None]]:
        if what == "folding again":
            seen.append(table(path, "stale"))
        yield lambda more: None

    with ledger_from(tmp_path / "a.ledger", rows) as ledger:
        built_anew(ledger, path)
        announced = next(row for row in reversed(rows) if row.type == "ExamAnnounced")
        again = announced._replace(
            id="again", position=len(rows) + 1, recorded_at=rows[-1].recorded_at + 1
        )
        record(ledger, [again])
        with keeper(ledger, path, options(said, bar=looking)) as kept:
            kept.catch_up()
        assert last
        assert [[row["exam"] for row in each] for each in seen] == [[announced.subject]]
        assert "are folded again" in said[0]
        assert table(path, "stale") == []
        assert apart(path, built_anew(ledger, tmp_path / "anew.views")) == []


def test_what_comes_while_folding_again_is_taken_up_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of candidates, and another change of the catalogue, which begins it anew."""
    monkeypatch.setattr(follow, "CANDIDATES", 2)
    path, coming = tmp_path / "live.views", iter(EVENTS[600:])

    with ledger_of(tmp_path / "a.ledger", EVENTS[:600]) as ledger:
        project(ledger, path)
        positions: list[int] = []

        @contextmanager
        def appending(what: str, total: int) -> Iterator[Callable[[int], None]]:
            def told(more: int) -> None:
                if what == "folding again":
                    positions.append(table(path, "position")[0]["position"])
                    some = [fact for _, fact in zip(range(30), coming, strict=False)]
                    ledger.append(some, keep_recorded_at=True)

            yield told

        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("INSERT INTO stale SELECT exam FROM exams")
        with keeper(ledger, path, options(bar=appending)) as kept:
            kept.follow(lambda: kept.position == ledger.head().position, interval=0.001)
        assert len(set(positions)) > 3
        assert table(path, "stale") == []
        assert apart(path, built_anew(ledger, tmp_path / "anew.views")) == []


def test_one_that_died_while_folding_again_is_gone_on_with(ledger: Ledger, tmp_path: Path) -> None:
    """What is marked stale is folded by the next that comes, though no event has."""
    live = built_anew(ledger, tmp_path / "live.views")
    with closing(sqlite3.connect(live)) as connection, connection:
        connection.execute("INSERT INTO stale VALUES ('AZ-104')")
        connection.execute("DELETE FROM standings WHERE exam = 'AZ-104'")
    project(ledger, live)
    assert apart(live, built_anew(ledger, tmp_path / "anew.views")) == []


def of_an_older_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        connection.execute("DROP TABLE problems")


def of_another_ledger(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE position SET ledger = 'another'")


def ahead(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE position SET position = 1000000")


def of_another_course(path: Path) -> None:
    """As when the ledger was put back from a copy and written on."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE position SET id = 'another'")


def of_other_bounds(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE position SET late = 1")


def not_begun(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM position")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (of_an_older_schema, f"of schema {VERSION + 1}, this release makes {VERSION}"),
        (of_another_ledger, "of another ledger"),
        (ahead, "at position 1000000, which the ledger has not reached"),
        (of_another_course, f"at a position {len(EVENTS)} that is another event now"),
        (of_other_bounds, "made with other bounds of lateness"),
        (not_begun, "not finished"),
    ],
)
def test_read_model_that_are_not_of_this_ledger_and_release_are_built_anew(
    ledger: Ledger, tmp_path: Path, change: Callable[[Path], None], words: str
) -> None:
    """It is said why; who has them open sees the new ones at the next look."""
    live = built_anew(ledger, tmp_path / "live.views")
    once = built_anew(ledger, tmp_path / "once.views")
    change(live)
    said: list[str] = []
    with closing(sqlite3.connect(live)) as reader:
        reader.execute("SELECT count(*) FROM sittings").fetchone()
        project(ledger, live, said)
        assert words in said[0]
        assert "built anew" in said[0]
        assert reader.execute("SELECT position FROM position").fetchone() == (len(EVENTS),)
    assert apart(live, once) == []
    assert {each.name for each in tmp_path.glob("live.views*")} == {"live.views", "live.views.lock"}


def test_far_behind_they_are_built_anew(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading everything once is cheaper than taking up most of it."""
    live = built_anew(ledger, tmp_path / "live.views")
    stood_at(live, 20)
    monkeypatch.setattr(build, "_FAR", 100)
    said: list[str] = []
    project(ledger, live, said)
    assert "events behind" in said[0]


@pytest.mark.parametrize("content", [b"candidate,exam\n", b"SQLite format 3\0" + b"\0" * 300])
def test_another_file_is_left_as_it_is(ledger: Ledger, tmp_path: Path, content: bytes) -> None:
    """Whatever is named by mistake: a text, a database, the ledger itself."""
    path = tmp_path / "mine.txt"
    path.write_bytes(content)
    with pytest.raises(LedgerProblem, match="is no read model: it was left as it is"):
        project(ledger, path)
    assert path.read_bytes() == content
    with pytest.raises(LedgerProblem, match="is no read model"):
        project(ledger, ledger.path)


def test_an_empty_ledger_has_empty_views(tmp_path: Path) -> None:
    """And goes on from there."""
    with ledger_of(tmp_path / "a.ledger", []) as ledger:
        path = beside(ledger.path)
        assert project(ledger, path) == 0
        assert table(path, "position")[0]["position"] == 0
        ledger.append(EVENTS[:50], keep_recorded_at=True)
        assert project(ledger, path) == 50
        assert apart(path, built_anew(ledger, tmp_path / "anew.views")) == []


def test_every_reference_holds(ledger: Ledger, tmp_path: Path) -> None:
    """Foreign keys, though rows go in by bulk without being checked one by one."""
    path = built_anew(ledger, tmp_path / "live.views")
    with ReadModel(path, read_only=True) as views:
        assert views.select("PRAGMA foreign_key_check") == []
        assert views.select("PRAGMA integrity_check") == [("ok",)]
