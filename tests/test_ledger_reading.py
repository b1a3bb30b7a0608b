"""Reading: one stream, a range, the catalogue, as known at an instant, and what comes next."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import accumulate
from pathlib import Path

import pytest
from eventsourcing.persistence import ProgrammingError
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_facts import NOW, SetClock, a_ledger, attempted, exported, sample

from ledger.events import Recorded
from ledger.facts import Fact, event_of, fact_of
from ledger.ledger import Found, Head, Ledger
from ledger.models import make_event
from ledger.problems import NotALedger
from ledger.store import file
from ledger.store.file import connect_reader


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Return an empty ledger whose clock goes one second on with each transaction."""
    with a_ledger(tmp_path, clock=ticking()) as ledger:
        yield ledger


def ticking() -> SetClock:
    clock = SetClock()

    class Ticking(SetClock):
        def __call__(self) -> int:
            clock.now += 1_000_000
            return clock.now

    return Ticking()


def ids(rows: list[Recorded]) -> list[str]:
    return [row.id for row in rows]


def test_a_stream_is_one_subjects_events_by_position(ledger: Ledger) -> None:
    """Whatever else is written in between; up to a position if one is given."""
    for n in range(1, 7):
        ledger.append([attempted(n, candidate=f"C-{n % 2}")])
    assert ids(ledger.stream("candidate/C-1")) == [
        "R-1/attempted",
        "R-3/attempted",
        "R-5/attempted",
    ]
    assert ids(ledger.stream("candidate/C-1", upto=4)) == ["R-1/attempted", "R-3/attempted"]
    assert ledger.stream("candidate/C-1", upto=0) == []
    assert ledger.stream("candidate/nobody") == []


def test_a_row_says_what_was_appended(ledger: Ledger) -> None:
    """The fact, its place, and both clocks."""
    fact = attempted(ended_at="2021-03-01T10:00:00Z")
    ledger.append([fact])
    (row,) = ledger.stream(fact.stream)
    assert (row.position, row.recorded_at) == ledger.head()
    assert row == (1, row.recorded_at, *fact.row())
    assert (row.type, row.version, row.subject) == ("ExamAttempted", 1, "C-1")
    assert row.payload()["ended_at"] == "2021-03-01T10:00:00Z"
    assert fact_of(row) == fact._replace(recorded_at=row.recorded_at)
    assert event_of(row) == fact.event


def test_pages_in_disorder_are_said_and_not_read_for_ever(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged file may give what was read before again, and again."""
    ledger.append([attempted(1)])
    (row,) = ledger.read()
    monkeypatch.setattr(ledger.store, "values", lambda *_: [(row.subject, 1)])
    monkeypatch.setattr(ledger.store, "_rows", lambda *_, **how: [row])
    for again in (
        ledger.candidates(),
        ledger.read(0, 5),
        ledger.follow(0, stop=lambda: False),
    ):
        with pytest.raises(NotALedger, match="is damaged: its pages are in disorder"):
            list(again)


@pytest.mark.parametrize(
    ("after", "upto", "positions"),
    [
        (0, None, [1, 2, 3, 4, 5]),
        (2, None, [3, 4, 5]),
        (0, 2, [1, 2]),
        (2, 4, [3, 4]),
        (4, 99, [5]),
        (5, None, []),
        (9, None, []),
        (3, 3, []),
    ],
)
def test_a_range_is_after_one_position_up_to_another(
    ledger: Ledger, after: int, upto: int | None, positions: list[int]
) -> None:
    """After is not included, up to is: the head of one reading starts the next."""
    ledger.append([attempted(n) for n in range(5)])
    assert [row.position for row in ledger.read(after, upto)] == positions


def test_reading_is_in_chunks_and_ends_at_the_head_it_began_with(ledger: Ledger) -> None:
    """More than one chunk, and an append beside it that is not waited for."""
    count = 4096 + 3
    ledger.append([attempted(n) for n in range(count)])
    reading = ledger.read()
    first = next(reading)
    ledger.append([attempted(count)])
    assert [first.position, *(row.position for row in reading)] == list(range(1, count + 1))


def test_the_catalogue_is_every_event_that_is_no_candidates(ledger: Ledger) -> None:
    """Exams, certifications, policies, and what annuls one of theirs, by position."""
    facts = [
        attempted(1),
        sample("ExamAnnounced", "exam/1"),
        sample("CertificationDefined", "cert/1"),
        sample("PolicyPublished", "policy/1"),
        sample("CertEarned", "earned/1"),
        sample("EventAnnulled", "annul/1", annuls={"source": "urn:vue", "id": "exam/1"})._replace(
            subject="AZ-104"
        ),
        sample("ExamWentLive", "live/1"),
    ]
    ledger.append(facts)
    assert [row.position for row in ledger.catalogue()] == [2, 3, 4, 6, 7]
    assert [row.position for row in ledger.catalogue(after=3, upto=6)] == [4, 6]


def test_an_event_is_found_by_its_key(ledger: Ledger) -> None:
    """By both parts of it."""
    ledger.append([attempted(1)])
    found = ledger.find("urn:vue", "R-1/attempted")
    assert found is not None
    assert found.position == 1
    assert ledger.find("urn:csv", "R-1/attempted") is None


def test_candidates_are_sorted_by_code_point_and_told_once(ledger: Ledger) -> None:
    """Even one whose id looks like the end of the range; those known by a position alone."""
    names = ["b", "a/b", "a", "Z", "é", "日本", "zoë", "\U0010ffff", "0", "a0"]
    ledger.append([attempted(n, candidate=name) for n, name in enumerate(names)])
    ledger.append([attempted(90, candidate="a"), sample("ExamAnnounced")])
    assert list(ledger.candidates()) == sorted(names)
    assert list(ledger.candidates(upto=3)) == ["a", "a/b", "b"]


def test_candidates_come_in_chunks(ledger: Ledger) -> None:
    """More than one."""
    names = [f"C-{n:05d}" for n in range(4096 + 5)]
    ledger.append([attempted(n, candidate=name) for n, name in enumerate(names)])
    assert list(ledger.candidates()) == names


SEARCHES = [
    ("C-10", 9, [Found("C-10", "candidate", "C-10"), Found("C-100", "candidate", "C-100")]),
    ("C-10", 1, [Found("C-10", "candidate", "C-10")]),
    ("R-1", 9, [Found("C-10", "registration_id", "R-1")]),
    ("Q-", 9, [Found("X-9", "request_id", "Q-1")]),
    ("azure", 9, []),
    ("C-10%", 9, []),
    ("general", 9, []),
]


@pytest.mark.parametrize(("text", "limit", "found"), SEARCHES)
def test_candidates_are_found_by_what_begins_with_the_text(
    ledger: Ledger, text: str, limit: int, found: list[Found]
) -> None:
    """Their id, a registration id, a request id; nothing of the catalogue, no wildcards."""
    ledger.append(
        [
            attempted(1, candidate="C-10"),
            attempted(2, candidate="C-100"),
            Fact("urn:vue", "R-1/result", "C-10", NOW, make_event(
                "ExamPassed", {"exam": "AZ-104", "registration_id": "R-1"})),
            sample("ExceptionGranted", "Q-1/granted")._replace(subject="X-9"),
            sample("CertEarned", "cert")._replace(subject="D"),
            sample("CertificationDefined", "definition"),
            sample("PolicyPublished", "policy"),
        ]
    )  # fmt: skip
    assert ledger.search(text, limit) == found


# -- as known at


@settings(max_examples=30, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), max_size=12))
def test_an_instant_is_the_last_position_recorded_by_then(
    steps: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As counting one by one says, at the instant before, the instant, and the one after."""
    clock, n = SetClock(), iter(range(999))
    with a_ledger(tmp_path_factory.mktemp("known"), clock=clock) as ledger:
        for pause, size in steps:
            clock.now += pause
            ledger.append([attempted(next(n)) for _ in range(size)])
        stamps = [row.recorded_at for row in ledger.read()]
        assert stamps == list(accumulate(stamps, max))
        for known_at in {at + by for at in [*stamps, NOW] for by in (-1, 0, 1)}:
            assert ledger.position_at(known_at) == sum(at <= known_at for at in stamps)


def test_nothing_is_known_of_an_empty_ledger(ledger: Ledger) -> None:
    """Whenever."""
    assert (ledger.position_at(NOW), ledger.position_at(-1), ledger.head()) == (0, 0, Head(0, 0))
    assert list(ledger.read()) == list(ledger.candidates()) == ledger.catalogue() == []


# -- what comes next


def test_a_follower_sees_what_is_there_and_then_what_comes(ledger: Ledger, tmp_path: Path) -> None:
    """From this process or another connection: every event once, in order."""
    ledger.append([attempted(1)])
    seen: list[int] = []
    with a_ledger(tmp_path, clock=ticking()) as other:
        for rows in ledger.follow(0, interval=0.001, stop=lambda: len(seen) >= 4):
            seen.extend(row.position for row in rows)
            if len(seen) == 1:
                ledger.append([attempted(2)])
            elif len(seen) == 2:
                other.append([attempted(3), attempted(4)])
    assert seen == [1, 2, 3, 4]


def test_a_follower_starts_after_the_position_it_names(ledger: Ledger) -> None:
    """What it has seen does not come again."""
    ledger.append([attempted(n) for n in range(4097)])
    (only,) = next(ledger.follow(4096, stop=lambda: False))
    assert only.position == 4097


def test_a_follower_reads_no_row_while_nothing_happens(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle look is one counter of the shared memory."""
    ledger.append([attempted(1)])
    looks = iter(range(50))
    selects: list[str] = []
    rows = ledger.store._rows
    monkeypatch.setattr(
        ledger.store, "_rows", lambda *given, **how: selects.append(given[0]) or rows(*given, **how)
    )
    assert [
        len(rows) for rows in ledger.follow(0, interval=0, stop=lambda: next(looks, None) is None)
    ] == [1]
    assert len(selects) == 2  # the row, and that there is no other


def test_a_follower_stops_when_it_is_told(ledger: Ledger) -> None:
    """Before it looks, even if there is something."""
    ledger.append([attempted(1)])
    assert list(ledger.follow(0, stop=lambda: True)) == []


def test_who_reads_has_room_for_the_upper_pages_of_a_large_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 MiB for each connection, where the file cannot be written too."""
    with a_ledger(tmp_path) as ledger:
        path = ledger.path
    with closing(connect_reader(path)) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-16 * 1024,)
    refused = sqlite3.OperationalError("unable to open database file")
    refused.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    connect = file._connect

    def without_writing(path: Path, mode: str, *statements: str) -> sqlite3.Connection:
        if mode == "rw":
            raise refused
        return connect(path, mode, *statements)

    monkeypatch.setattr(file, "_connect", without_writing)
    monkeypatch.setattr(file, "_may", lambda path, what: what == os.R_OK)
    with closing(connect_reader(path)) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-16 * 1024,)


def test_a_ledger_may_be_shared_by_threads(ledger: Ledger) -> None:
    """Each reads by a connection of its own, and they write one after another."""
    counts: list[int] = []

    def work(first: int) -> None:
        for n in range(first, first + 10):
            ledger.append([attempted(n, candidate=f"C-{first}")])
        counts.append(len(ledger.stream(f"candidate/C-{first}")))

    threads = [threading.Thread(target=work, args=(first,)) for first in (100, 200, 300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [10, 10, 10]
    assert [row.position for row in ledger.read()] == list(range(1, 31))


# -- by the names of eventsourcing


def test_the_ledger_is_an_application_of_eventsourcing(ledger: Ledger) -> None:
    """Its event store and notification log show the same rows, in the same order."""
    ledger.append([attempted(1), attempted(2, candidate="C-2"), attempted(3)])
    rows = list(ledger.read())
    assert list(ledger.events.get("candidate/C-1")) == [rows[0], rows[2]]
    assert list(ledger.events.get("candidate/C-1", gt=1, desc=True, limit=1)) == [rows[2]]
    notes = ledger.notification_log.select(start=2, limit=10)
    assert [(note.id, note.originator_id) for note in notes] == [
        (2, "candidate/C-2"), (3, "candidate/C-1"),
    ]  # fmt: skip
    assert [ledger.mapper.to_domain_event(note) for note in notes] == rows[1:]
    assert ledger.recorder.max_notification_id() == 3
    assert ledger.recorder.select_notifications(1, 9, topics=["ExamPassed:1"]) == []


def test_nothing_goes_in_around_append(ledger: Ledger) -> None:
    """Or identity would go unchecked, and personal fields in clear text."""
    ledger.append([attempted(1)])
    before = exported(ledger)
    with pytest.raises(ProgrammingError, match=r"append through Ledger\.append"):
        ledger.events.put(list(ledger.read()))
    with pytest.raises(ProgrammingError, match=r"append through Ledger\.append"):
        ledger.recorder.insert_events([])
    assert exported(ledger) == before
