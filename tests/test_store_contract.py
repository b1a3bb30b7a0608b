"""What every store does, through `ledger.store.interface` alone: in a file, on a server, in memory.

Another store is one more line in STORES.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_facts import NINE, SetClock, attempted, sample
from memory_store import MemoryLedger, MemoryStore
from postgres import VERSIONS, new_server

from ledger.cloudevents import backfilled
from ledger.events import Outline, Recorded, Row
from ledger.ledger import PLACE
from ledger.outcomes import Appended, Conflict, Duplicate
from ledger.problems import LedgerProblem, ReadOnly
from ledger.store.file import create_file
from ledger.store.interface import Head, Store
from ledger.store.locks import USUALLY
from ledger.store.scans import CORRECTIONS, DESCRIBED, EXCEPTIONS, FACTS, RECORDED, Scans, Selection
from ledger.store.server import Server
from ledger.store.sqlite import SQLiteStore
from ledger.store.stores import create_schema, open_store

Make = Callable[..., Store]


def embedded(folder: Path, *, read_only: bool = False) -> Store:
    path = folder / "a.ledger"
    if not path.exists():
        create_file(path)
    return SQLiteStore(path, read_only=read_only, waiting=USUALLY)


def in_memory(folder: Path, *, read_only: bool = False) -> Store:
    return MemoryStore(read_only=read_only)


def on_a_server(version: int) -> Make:
    def make(folder: Path, *, read_only: bool = False) -> Store:
        return open_store(new_schema(folder, version), read_only=read_only, waiting=USUALLY)

    return make


def new_schema(folder: Path, version: int) -> Server:
    address = new_server(folder / str(version), version)
    create_schema(address, lambda writing: None)
    return address


STORES: dict[str, Make] = {
    "sqlite": embedded,
    "memory": in_memory,
    **{f"postgresql {version}": on_a_server(version) for version in VERSIONS},
}


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest) -> Make:
    return STORES[request.param]


@pytest.fixture
def store(make: Make, tmp_path: Path) -> Iterator[Store]:
    store = make(tmp_path)
    yield store
    store.close()


def put(store: Store, *rows: Row, at: int = 100) -> int:
    """Insert rows in one transaction, all recorded at one time; returns how many went in."""
    with store.writing() as writing:
        return writing.insert(repeat(at), rows)


def sat(n: int, candidate: str = "C-1", exam: str = "AZ-104", **changes: Any) -> Row:
    return attempted(n, candidate=candidate, exam=exam, **changes).row()


def annulment(target: int, of: Row, id: str) -> Row:
    """An annulment as the ledger lays it out: in the stream of what it annuls."""
    return sample("EventAnnulled", id).row()._replace(stream=of.stream, annuls=target)


def positions(rows: list[Recorded]) -> list[int]:
    return [row.position for row in rows]


# -- the transaction


def test_an_empty_store_has_nothing(store: Store) -> None:
    """Not even a position."""
    assert store.head() == Head(0, 0)
    assert store.page(0) == store.stream("candidate/C-1") == store.kinds(("exam",), 0, None) == []
    assert store.find("urn:vue", "R-1") is None
    assert store.position_at(1 << 60) == 0
    assert store.subjects("candidate", "") == store.search("C", 5) == store.forgotten() == []
    assert [batch for batch in store.scans().facts(0, 9) if batch.num_rows] == []
    assert store.scans().clock(0).first.tolist() == []


def test_an_outline_is_what_a_standing_is_made_of(store: Store) -> None:
    """The same fields of the same events; the data of what is of no exam."""
    put(store, sat(1), sat(2, "C-2"), sample("CertEarned", full=True).row(), sat(3))
    for stream in {row.stream for row in store.page(0)}:
        for upto in (0, 1, 3, 9):
            rows = store.stream(stream, upto=upto)
            found = store.outlines(stream, upto)
            assert [row.position for row in found] == [row.position for row in rows]
            for outline, row in zip(found, rows, strict=True):
                for name in Outline._fields[:-1]:
                    assert getattr(outline, name) == getattr(row, name)
                assert outline.data in ((row.data, None) if row.exam else (row.data,))


def test_rows_stand_at_the_next_positions_as_they_went_in(store: Store) -> None:
    """Without a gap, each with the time it was given, all columns kept."""
    rows = [sat(1), sat(2, "C-2"), sample("ExceptionGranted", full=True).row()]
    with store.writing() as writing:
        assert (writing.position, writing.recorded_at) == (0, 0)
        assert writing.insert(iter((5, 6, 7)), rows) == 3
        assert writing.position == 3
        assert writing.insert_one(8, sample("ExamWentLive", "x").row()) == 4
    assert [tuple(row[2:]) for row in store.page(0)[:3]] == [tuple(row) for row in rows]
    assert [row[:2] for row in store.page(0)] == [(1, 5), (2, 6), (3, 7), (4, 8)]
    assert store.head() == Head(4, 8)
    with store.writing() as writing:
        assert (writing.position, writing.recorded_at) == (4, 8)


def test_an_insert_stops_before_a_key_that_is_there(store: Store) -> None:
    """In the ledger or in the same batch; what came before it stays in the transaction."""
    put(store, sat(1))
    assert put(store, sat(2), sat(1), sat(3)) == 1
    assert put(store, sat(4), sat(4)) == 1
    assert [row.id for row in store.page(0)] == ["R-1/attempted", "R-2/attempted", "R-4/attempted"]


def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    """No row, no name, no gap."""

    def fails() -> None:
        with store.writing() as writing:
            writing.insert(repeat(1), [sat(1)])
            writing.remember("keys", "k")
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert store.head() == Head(0, 0)
    assert store.about("keys") is None
    assert put(store, sat(1)) == 1
    assert store.head().position == 1


def test_a_transaction_sees_what_it_wrote_and_nobody_else_does(store: Store) -> None:
    """Until it commits."""
    put(store, sat(1))
    with store.writing() as writing:
        writing.insert_one(200, sat(2))
        forgotten = sample("CandidateForgotten", "f")._replace(subject="C-1").row()
        writing.insert_one(200, forgotten)
        writing.insert_one(200, annulment(1, sat(1), "a"))
        found = writing.find("urn:vue", "R-2/attempted")
        assert found is not None
        assert found.position == 2
        assert writing.find("urn:vue", "R-9/attempted") is None
        assert writing.is_forgotten("candidate/C-1")
        assert not writing.is_forgotten("candidate/C-2")
        writing.insert_one(200, annulment(1, sat(1), "again"))
        assert writing.annulments("candidate/C-1") == {1: 4}
        assert writing.annulments("candidate/C-2") == {}
        writing.remember("keys", "k-1")
        assert writing.about("keys") == "k-1"
        assert writing.about("other") is None
        in_between = [store.head().position, store.about("keys")]
    assert in_between == [1, None]
    assert store.head().position == 5
    assert store.about("keys") == "k-1"
    assert store.is_forgotten("candidate/C-1")
    assert store.forgotten() == ["candidate/C-1"]


def test_writers_take_turns(store: Store) -> None:
    """Threads wait for each other; every position is given once."""

    def work(first: int) -> None:
        for n in range(first, first + 10):
            with store.writing() as writing:
                writing.insert_one(writing.recorded_at + 1, sat(n))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert positions(store.page(0)) == list(range(1, 31))


def test_a_store_for_reading_is_not_written(make: Make, tmp_path: Path) -> None:
    """One sentence, before anything is tried."""
    store = make(tmp_path, read_only=True)
    with pytest.raises(ReadOnly), store.writing():
        pass
    store.close()


# -- reading


def fill(store: Store) -> Store:
    """Record sixteen events of every kind, at 100, 200 and 300."""
    put(store, sat(1), sat(2, exam="AZ-500"), sat(3, "C-2"))
    put(
        store,
        sample("ExamFailed", "R-1/failed")._replace(subject="C-1").row(),
        sample("ExceptionRequested", "Q/r", full=True)._replace(subject="C-1").row(),
        sample("ExceptionGranted", "Q/g", full=True)._replace(subject="C-1").row(),
        sample("CertEarned", "c", full=True)._replace(subject="C-3").row(),
        at=200,
    )
    catalogue = ("ExamAnnounced", "CertificationDefined", "PolicyPublished")
    put(store, *(sample(type, type).row() for type in catalogue), at=200)
    put(
        store,
        annulment(4, sat(1), "a/1"),
        annulment(6, sat(1), "a/2"),
        sample("ResultRevoked", "r")._replace(subject="C-2").row(),
        sample("CandidateForgotten", "f")._replace(subject="C-3").row(),
        sat(16, "Zoë"),
        sat(17, "C-1/x"),
        at=300,
    )
    return store


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store)


def test_a_stream_is_of_one_subject(filled: Store) -> None:
    """Up to a position, and of one exam with what is of none."""
    assert positions(filled.stream("candidate/C-1")) == [1, 2, 4, 5, 6, 11, 12]
    assert positions(filled.stream("candidate/C-1", upto=4)) == [1, 2, 4]
    assert positions(filled.stream("candidate/C-1", exam="AZ-500")) == [2, 11, 12]
    assert positions(filled.stream("candidate/C-1", upto=2, exam="AZ-104")) == [1]
    assert positions(filled.stream("candidate/C")) == []
    for upto, last in ((0, 0), (3, 2), (4, 4), (99, 12)):
        at = [row.recorded_at for row in filled.at([last])]
        assert filled.last("candidate/C-1", upto) == (last, *(at or [0]))
    assert filled.last("candidate/C", 99) == (0, 0)


def test_a_page_is_a_range_by_position(filled: Store) -> None:
    """Of some topics if they are named, and no more than asked for."""
    assert positions(filled.page(0)) == list(range(1, 17))
    assert positions(filled.page(3, 6)) == [4, 5, 6]
    assert positions(filled.page(15)) == [16]
    assert filled.page(16) == filled.page(5, 5) == []
    assert positions(filled.page(1, limit=2)) == [2, 3]
    topics = ["ExamFailed:1", "ExamAnnounced:1"]
    assert positions(filled.page(0, topics=topics)) == [4, 8]
    assert positions(filled.page(4, topics=topics, limit=1)) == [8]


def test_single_events_are_found(filled: Store) -> None:
    """By position, by key, and their keys alone."""
    assert sorted(positions(filled.at([7, 2, 99, 2]))) == [2, 7]
    assert filled.at([]) == []
    found = filled.find("urn:vue", "Q/g")
    assert found is not None
    assert found.position == 6
    assert filled.find("urn:other", "Q/g") is None
    assert filled.keys_at([1, 6, 8, 99]) == {1: "R-1", 6: "Q-1", 8: None}


def test_what_several_sources_say_is_found(filled: Store) -> None:
    """By the keys that they name; the sources there are, a few at a time."""
    named = sorted({row.source for row in filled.page(0)})
    assert filled.sources(99) == named
    assert filled.sources(1) == named[:1]
    row = sample("ExamPassed", "x")._replace(source="urn:one", subject="C-9").row()
    assert row.key is not None
    put(filled, row, at=301)
    assert filled.of_several_sources([row.key, "no such"]) == []
    put(filled, row._replace(source="urn:two"), row._replace(source="urn:two", id="y"), at=302)
    assert filled.of_several_sources([row.key, "no such"]) == [("candidate/C-9", row.exam)]
    assert filled.of_several_sources([]) == []


def test_the_catalogue_is_read_by_kind(filled: Store) -> None:
    """In the order of positions, whatever the order of the kinds."""
    kinds = ("policy", "exam", "certification")
    assert positions(filled.kinds(kinds, 0, None)) == [8, 9, 10]
    assert positions(filled.kinds(kinds, 8, 9)) == [9]
    assert positions(filled.kinds(("exam",), 0, None)) == [8]


def test_subjects_are_sorted_by_code_point(filled: Store) -> None:
    """Each with its first position; those after one go on from there."""
    everybody = [("C-1", 1), ("C-1/x", 16), ("C-2", 3), ("C-3", 7), ("Zoë", 15)]
    assert filled.subjects("candidate", "") == everybody
    assert filled.subjects("candidate", "C-1/x") == everybody[2:]
    assert filled.subjects("candidate", "D") == everybody[4:]
    assert filled.subjects("exam", "") == [("AZ-104", 8)]


def test_a_search_finds_by_what_an_id_begins_with(filled: Store) -> None:
    """Candidates first, then registrations and requests; certifications are nobody's id."""
    assert [tuple(each) for each in filled.search("C-1", 9)] == [
        ("C-1", "candidate", "C-1"),
        ("C-1/x", "candidate", "C-1/x"),
    ]
    assert [each.value for each in filled.search("R-1", 9)] == ["R-1", "R-16", "R-17"]
    assert [each.by for each in filled.search("Q", 9)] == ["request_id"]
    assert [each.value for each in filled.search("R-1", 2)] == ["R-1", "R-16"]
    assert filled.search("azure", 9) == filled.search("%", 9) == []


def test_an_instant_is_a_position(filled: Store) -> None:
    """The last one recorded by then."""
    instants = (99, 100, 199, 200, 299, 300, 1 << 50)
    assert [filled.position_at(each) for each in instants] == [0, 3, 3, 10, 10, 16, 16]


def test_a_watch_says_when_to_look(filled: Store) -> None:
    """At first, and after each commit; not in between."""
    watch, other = filled.watch(), filled.watch()
    assert watch.changed()
    assert not watch.changed()
    put(filled, sat(90), at=400)
    assert watch.changed()
    assert other.changed()
    assert not watch.changed()
    watch.close()
    other.close()


# -- as Arrow


def rows_of(found: Any) -> list[dict[str, Any]]:
    tables = [found] if isinstance(found, pa.Table) else found
    rows = [row for each in tables for row in each.to_pylist()]
    return sorted(rows, key=lambda row: int(row["position"]))


def by_every_store(folder: Path, ask: Callable[[Store], Any]) -> list[Any]:
    """Ask each of the stores, with the same events in it."""
    answers = []
    for make in STORES.values():
        store = fill(make(folder))
        answers.append(ask(store))
        store.close()
    return answers


SCANS: dict[str, tuple[pa.Schema, int, Callable[[Scans], Any]]] = {
    "facts": (FACTS, 13, lambda scans: scans.facts(0, 16)),
    "facts of a range": (FACTS, 6, lambda scans: scans.facts(1, 7)),
    "facts of touched": (FACTS, 2, lambda scans: scans.facts_of_touched(14, 16)),
    "recorded": (RECORDED, 13, lambda scans: scans.recorded(16)),
    "recorded of some": (RECORDED, 8, lambda scans: scans.recorded_of(["C-1", "Zoë", "?"], 16)),
    "recorded of nobody": (RECORDED, 0, lambda scans: scans.recorded_of([], 16)),
    "described": (DESCRIBED, 16, lambda scans: scans.described(0, 16)),
    "exceptions": (EXCEPTIONS, 1, lambda scans: scans.exceptions(16)),
    "exceptions before": (EXCEPTIONS, 2, lambda scans: scans.exceptions(11)),
    "corrections": (CORRECTIONS, 3, lambda scans: scans.corrections(16, 1 << 60)),
    "late": (CORRECTIONS, 6, lambda scans: scans.corrections(16, 300 - NINE)),
}


@pytest.mark.parametrize(("schema", "count", "scan"), SCANS.values(), ids=SCANS)
def test_stores_scan_alike(
    schema: pa.Schema, count: int, scan: Callable[[Scans], Any], tmp_path: Path
) -> None:
    """The same rows in the same columns, as the schema has them, and nothing personal."""

    def ask(store: Store) -> list[dict[str, Any]]:
        found = scan(store.scans())
        found = found if isinstance(found, pa.Table) else list(found)
        for each in [found] if isinstance(found, pa.Table) else found:
            assert each.schema == schema
        return rows_of(found)

    one, *others = by_every_store(tmp_path, ask)
    assert all(other == one for other in others)
    assert len(one) == count
    assert "ciphertext" not in str(one)
    assert "zoe@example.org" not in str(one)


def test_a_clock_has_one_entry_for_each_transaction(filled: Store) -> None:
    """And answers for any instant."""
    clock = filled.scans().clock(16)
    assert clock.first.tolist() == [1, 4, 11]
    assert clock.recorded_at.tolist() == [100, 200, 300]
    assert clock.position_at(np.array([99, 100, 250, 300]), 16).tolist() == [0, 3, 10, 16]
    assert filled.scans().clock(3).first.tolist() == [1]


def test_a_sample_is_of_candidates_everywhere(filled: Store) -> None:
    """Sorted; as many as there are facts if more are asked for."""
    everybody = ["C-1"] * 7 + ["C-1/x"] + ["C-2"] * 2 + ["C-3"] * 2 + ["Zoë"]
    assert filled.scans().sample(16, 99) == everybody
    assert filled.scans().sample(16, 2) == ["C-1/x"]


def test_what_was_moved_in_is_not_late(tmp_path: Path) -> None:
    """It is counted, marked where each event is told of, and left out of what came late."""

    def ask(store: Store) -> Any:
        moved = [sat(n)._replace(extensions=backfilled(None)) for n in (80, 81)]
        other = sat(82)._replace(extensions='{"note":"\\"backfill\\":true"}')
        put(store, *moved, other, at=500 + NINE)
        scans = store.scans()
        marks = {row["position"]: row["backfilled"] for row in rows_of(scans.recorded(19))}
        late = rows_of(scans.select(Selection(16, 19, later_than=1)))
        return (
            scans.backfilled(16), scans.backfilled(17), scans.backfilled(19),
            [marks[n] for n in (17, 18, 19)],
            [row["position"] for row in late],
            [row["position"] for row in rows_of(scans.corrections(19, 1)) if row["position"] > 16],
        )  # fmt: skip

    for answer in by_every_store(tmp_path, ask):
        assert answer == (0, 1, 2, [1, 1, 0], [19], [19])


def test_annulments_are_known_by_the_first_that_did(filled: Store) -> None:
    """As far as they are known at a position, of the streams that are wanted."""
    everything = Selection(0, 16)
    put(filled, annulment(4, sat(1), "a/3"), at=400)
    known = filled.scans().annulments(everything, 17)
    assert (known.annulled.tolist(), known.by.tolist()) == ([4, 6], [11, 12])
    assert known.of(np.array([1, 4, 6])).tolist() == [0, 11, 12]
    assert filled.scans().annulments(everything, 11).annulled.tolist() == [4]
    others = everything._replace(streams=("candidate/C-2",))
    assert filled.scans().annulments(others, 17).annulled.tolist() == []


selections = st.builds(
    Selection,
    after=st.integers(0, 17),
    upto=st.integers(0, 17),
    streams=st.none() | st.sampled_from([("candidate/C-1",), ("candidate/C-2", "exam/AZ-104"), ()]),
    types=st.sampled_from([(), ("ExamAttempted",), ("EventAnnulled", "ExamFailed")]),
    source=st.sampled_from([None, "urn:vue", "urn:other"]),
    actor=st.sampled_from([None, "feed", "results-feed", "nobody"]),
    exam=st.sampled_from([None, "AZ-104", "AZ-500"]),
    true_from=st.sampled_from([None, NINE, NINE + 1]),
    true_to=st.sampled_from([None, NINE, NINE + 1]),
    later_than=st.sampled_from([None, 99 - NINE, 100 - NINE, 299 - NINE]),
)


@pytest.fixture(scope="module")
def all_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    stores = [fill(make(tmp_path_factory.mktemp("all"))) for make in STORES.values()]
    yield stores
    for store in stores:
        store.close()


@settings(max_examples=25, deadline=None)
@given(wanted=selections, order=st.sampled_from(["position", "lag"]))
def test_stores_select_alike(
    all_stores: list[Store], wanted: Selection, order: Literal["position", "lag"]
) -> None:
    """Whatever is asked: the same events in the same order."""
    one, *others = (
        [row for batch in store.scans().select(wanted, order=order) for row in batch.to_pylist()]
        for store in all_stores
    )
    assert all(other == one for other in others)


def test_a_ledger_works_over_any_store(tmp_path: Path) -> None:
    """Append, conflict, annulment, follow: the rules are the ledger's own."""
    with MemoryLedger({PLACE: str(tmp_path / "none")}, clock=SetClock()) as ledger:
        first = attempted(1)
        assert ledger.append([first, attempted(2)]) == [Appended(1), Appended(2)]
        assert ledger.append([first]) == [Duplicate(1)]
        assert isinstance(ledger.append([attempted(1, exam="AZ-500")])[0], Conflict)
        assert [row.position for row in ledger.stream("candidate/C-1")] == [1, 2]
        assert list(ledger.candidates()) == ["C-1"]
        looks = iter((False, False, False, True))
        followed = ledger.follow(0, interval=0, stop=lambda: next(looks))
        assert [len(rows) for rows in followed] == [2]
        notes = ledger.notification_log.select(start=1, limit=9)
        assert [note.id for note in notes] == [1, 2]


def test_rows_may_be_appended_in_one_step(store: Store) -> None:
    """All of them at one time that does not fall; or none, where a key is there."""
    first = store.append_new([sat(1), sat(2)], 100)
    if first is None:  # a store that takes a transaction for it
        assert store.head() == Head(0, 0)
        return
    assert first == 1
    assert store.append_new([sat(3), sat(1)], 200) is None
    assert store.append_new([sat(3), sat(3)], 200) is None
    assert store.append_new([sat(4)], 50) == 3
    assert [row[:2] for row in store.page(0)] == [(1, 100), (2, 100), (3, 101)]


USES: dict[str, Callable[[Store], object]] = {
    "head": lambda store: store.head(),
    "stream": lambda store: store.stream("candidate/C-1"),
    "page": lambda store: store.page(0),
    "find": lambda store: store.find("urn:a", "a"),
    "append": lambda store: put(store, sat(2)),
    "watch": lambda store: store.watch().changed(),
    "scan": lambda store: [*store.scans().select(Selection(0, 9), order="position")],
}


@pytest.mark.parametrize("use", USES)
def test_what_is_closed_is_used_no_more(store: Store, use: str) -> None:
    """It would be opened anew behind its owner's back, who took it for closed."""
    put(store, sat(1))
    watch = store.watch()
    assert watch.changed()
    store.close()
    with pytest.raises(LedgerProblem, match=r" was closed: open it again$"):
        USES[use](store)
    with pytest.raises(LedgerProblem, match=r" was closed: open it again$"):
        watch.changed()
    watch.close()
    store.close()  # a second time: nothing more
