"""Differences between two moments: what a booking system is told is what the fold says, always."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from random import Random

import pytest
from example_ledger import CACHE, facts, ledger_of
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ledger import questions, random_ledger, seeded_worlds

from attempt_ledger.api.register import Register
from attempt_ledger.outbox import confirm, undelivered
from ledger.instants import parse_instant
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.between import (
    NotACursor,
    WasReset,
    beginning,
    changes,
    read_cursor,
    write_cursor,
)
from replay.bookings import FEW, Booking, Row, booking_id, bookings, difference
from replay.formats.pearson import COLUMNS, write_pearson
from replay.snapshot import Engine, Snapshot, recorded_at

ENGINE = Engine(CACHE, keep_columns=False)
COMPILED = Engine(CACHE, keep_columns=False, small=0)
Kept = dict[str, Booking]


def kept(told: Kept, rows: list[Row]) -> Kept:
    """Return what a booking system has after it was told."""
    found = dict(told)
    for transaction, booking in rows:
        assert (booking.id in found) == (transaction != "add"), (transaction, booking)
        if transaction == "delete":
            del found[booking.id]
        else:
            found[booking.id] = booking
    return found


def whole(snapshot: Snapshot) -> Kept:
    """Return every booking there is at a moment."""
    return {one.id: one for one in bookings(snapshot)}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_differences_add_up_to_what_there_is(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """From any moment to any later one, in random worlds: who was told all of them has it all."""
    random = Random(seed)
    (world,) = seeded_worlds(1, 3, ("2024-02-28T09:00Z", "2021-10-30T00:30Z"))
    path = tmp_path_factory.mktemp("between") / "a.ledger"
    ledger, told_of = random_ledger(path, [world], random)
    with ledger:
        some = Snapshot(ledger, Moment(0, None, 0), ENGINE)
        asked = sorted((each.as_of, each.known) for each in questions(told_of[0], random, 5))
        positions = sorted(known for _, known in asked)
        state: Kept = {}
        before = some.at(beginning(ledger))
        for (as_of, _), position in zip(asked, positions, strict=True):
            after = some.at(Moment(as_of, recorded_at(ledger, position), position))
            state = kept(state, list(difference(before, after)))
            assert state == whole(after)
            before = after


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_bookings_of_everybody_are_those_of_each(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Compiled over the columns, by candidate and exam; with a grant alone too."""
    random = Random(seed)
    worlds = seeded_worlds(2, 3, ("2024-02-28T09:00Z", "2021-10-30T00:30Z"))
    path = tmp_path_factory.mktemp("between") / "a.ledger"
    ledger, told_of = random_ledger(path, worlds, random)
    with ledger:
        one_by_one, all_at_once = (
            Snapshot(ledger, Moment(0, None, 0), engine) for engine in (ENGINE, COMPILED)
        )
        for each in (each for told in told_of for each in questions(told, random, 4)):
            moment = Moment(each.as_of, None, each.known)
            found = list(bookings(all_at_once.at(moment)))
            assert found == list(bookings(one_by_one.at(moment)))
            assert found == sorted(found, key=lambda one: one[:2])
            many = [each.who, *(f"nobody-{n}" for n in range(FEW))]
            chosen = [one for one in found if one.candidate == each.who]
            assert list(bookings(all_at_once.at(moment), many)) == chosen


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_booking_is_what_the_fold_says(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Eligible from, by the standing; and over at its end, at the first instant at which it is."""
    random = Random(seed)
    (world,) = seeded_worlds(1, 3, ("2024-02-28T09:00Z",))
    path = tmp_path_factory.mktemp("between") / "a.ledger"
    ledger, told_of = random_ledger(path, [world], random)
    with ledger:
        some = Snapshot(ledger, Moment(0, None, 0), ENGINE)
        for asking in questions(told_of[0], random, 6):
            snapshot = some.at(Moment(asking.as_of, None, asking.known))
            found = {one.exam: one for one in bookings(snapshot, [asking.who])}
            for standing in snapshot.standings(asking.who):
                one = found.get(standing.exam)
                if standing.eligible:
                    assert one is not None
                    assert one.eligible_from <= asking.as_of
                    assert one.eligible_until in (None, standing.next_change_at) or (
                        one.eligible_until > asking.as_of
                    )
                else:
                    assert (one and one.eligible_from) == standing.eligible_from


def at(ledger: Ledger, as_of: str, position: int) -> Snapshot:
    moment = Moment(parse_instant(as_of), recorded_at(ledger, position), position)
    return Snapshot(ledger, moment, ENGINE)


def test_a_change_names_its_events_or_the_clock(tmp_path: Path) -> None:
    """Candidate, exam, before, after, when, and through what; sorted by when."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        late = at(ledger, "2023-07-01T00:00:00Z", 720)
        by_events = changes(at(ledger, "2023-07-01T00:00:00Z", 690), late)
        assert {each.cause for each in by_events} == {"events"}
        assert [each.at for each in by_events] == sorted(each.at for each in by_events)
        for each in by_events:
            assert each.because
            assert each.before != each.after
        june, september = (at(ledger, f"2023-{day}T00:00:00Z", 720) for day in ("06-30", "09-01"))
        clock = [each for each in changes(june, september) if each.cause == "clock"]
        assert clock
        for each in clock:
            before = june.standing(each.candidate, each.exam)
            assert (each.because, each.at) == ((), before.next_change_at)


def test_a_cursor_is_bound_to_what_the_ledger_held(tmp_path: Path) -> None:
    """Another ledger, or one put back to an earlier day, is noticed; so is what is no cursor."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        moment = Moment(5, recorded_at(ledger, 700), 700)
        cursor = write_cursor(moment, ledger)
        assert read_cursor(cursor, ledger) == moment
        longer = base64.urlsafe_b64encode(b"0" + base64.urlsafe_b64decode(cursor + "==")).decode()
        for text in ("", "x", "é", "MQ", "=" * 8, f"{cursor}!!!!", f"!{cursor}", f"{cursor}==",
                     longer.rstrip("=")):  # fmt: skip
            with pytest.raises(NotACursor):
                read_cursor(text, ledger)
    with ledger_of(tmp_path / "b.ledger", facts()[:699]) as other, pytest.raises(WasReset):
        read_cursor(cursor, other)
    shifted = [*facts()[:-21], *facts()[-20:]]
    with ledger_of(tmp_path / "c.ledger", shifted) as other, pytest.raises(WasReset):
        read_cursor(cursor, other)


def test_what_was_not_confirmed_comes_again(tmp_path: Path) -> None:
    """Until it is accepted; an error comes again; an add that was lost stays an add."""
    register = Register(tmp_path / "a.tokens")
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        first = undelivered(at(ledger, "2023-03-01T00:00:00Z", 700), None, register)
        sent = list(first.rows)
        assert {row.transaction for row in sent} == {"add"}
        ids = [row.booking.id for row in sent]
        done = confirm(
            register, [*((id, "accepted") for id in ids[1:]), (ids[0], "error"), ("x", "error")]
        )
        assert (done.accepted, done.errors, done.unknown) == (len(ids) - 1, 1, ("x",))
        again = undelivered(at(ledger, "2023-03-01T00:00:00Z", 700), first.cursor, register)
        assert list(again.rows) == sent[:1]
        later = undelivered(at(ledger, "2023-07-01T00:00:00Z", 720), again.cursor, register)
        rows = list(later.rows)
        assert {row.booking.id: row.transaction for row in rows}.get(ids[0]) in (
            "add",
            "delete",
        )
        confirm(register, [(row.booking.id, "accepted") for row in rows])
        late = at(ledger, "2023-07-01T00:00:00Z", 720)
        assert list(undelivered(late, later.cursor, register).rows) == []
        plain = [list(undelivered(late, None, None).rows) for _ in range(2)]
        assert plain[0] == plain[1]
    register.close()


@pytest.mark.parametrize(
    ("start", "until", "zone_dates"),
    [
        ("2021-03-15T00:00:00Z", None, ("2021/03/15", "2999/12/31")),
        ("2021-03-15T09:00:00Z", "2021-06-01T00:00:00Z", ("2021/03/16", "2021/05/31")),
        ("2021-03-15T00:00:00.000001Z", "2021-06-01T12:00:00Z", ("2021/03/16", "2021/05/31")),
    ],
)
def test_pearsons_file_has_whole_dates(
    start: str, until: str | None, zone_dates: tuple[str, str]
) -> None:
    """The first on which somebody is eligible all day, and the last."""
    ends = None if until is None else parse_instant(until)
    row = Row("add", Booking("C-1", "AZ-104", parse_instant(start), ends))
    file = io.StringIO()
    assert write_pearson([row], file, parse_instant("2021-03-01T10:00:00Z")) == 1
    (line,) = csv.DictReader(io.StringIO(file.getvalue()), delimiter="\t")
    assert tuple(line) == COLUMNS
    assert (line["EligibilityApptDateFirst"], line["EligibilityApptDateLast"]) == zone_dates
    assert line["ClientAuthorizationID"] == booking_id("C-1", "AZ-104")
    assert line["AuthorizationTransactionType"] == "Add"
    assert line["LastUpdate"] == "2021/03/01 10:00:00"


def test_a_booking_without_a_whole_date_is_none_of_pearsons() -> None:
    """It is not added; one that was there is deleted."""
    short = Booking(
        "C-1", "X", parse_instant("2021-03-15T09:00:00Z"), parse_instant("2021-03-15T18:00:00Z")
    )
    for transaction, lines in (("add", 0), ("update", 1)):
        file = io.StringIO()
        assert write_pearson([Row(transaction, short)], file, 0) == lines
        assert ("Delete" in file.getvalue()) == bool(lines)
