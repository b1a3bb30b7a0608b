"""Upcasting: old schema versions are brought up when read, and never rewritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import SetClock, a_ledger, exported

from ledger.cloudevents import parse_line, to_cloudevent
from ledger.events import Recorded
from ledger.facts import fact_of
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Conflict, Duplicate
from ledger.problems import MalformedFact
from ledger.upcasts import UPCASTS, Upcasts, upcast


def from_version_0(data: dict[str, Any]) -> dict[str, Any]:
    """Bring up a version that never was: `beta` as a flag, and the registration as `sitting`."""
    beta, sitting = data.pop("beta"), data.pop("sitting")
    return {**data, "registration_id": sitting, "delivery": "beta" if beta else "live"}


WITH_VERSION_0: Upcasts = {("ExamAttempted", 0): from_version_0}

OLD = {"exam": "AZ-104", "sitting": "R-77", "beta": True}
NEW = {"exam": "AZ-104", "registration_id": "R-77", "delivery": "beta"}


def line(data: dict[str, Any], version: int | None = None) -> str:
    """Return an ExamAttempted line of a schema version."""
    envelope: dict[str, Any] = {
        "specversion": "1.0",
        "type": "ExamAttempted",
        "source": "urn:vue",
        "id": "R-77/attempted",
        "subject": "C-1001",
        "time": "2021-03-01T09:00:00Z",
        "recordedtime": "2021-03-01T12:10:03.120394Z",
        "sequence": "00000000000000000001",
    }
    if version is not None:
        envelope["dataschema"] = f"urn:attempt-ledger:ExamAttempted:{version}"
    return json.dumps({**envelope, "data": data}, separators=(",", ":"))


def test_no_released_version_is_left_behind() -> None:
    """Today every type is at its first: nothing has to be brought up."""
    assert dict(UPCASTS) == {}


def test_an_old_version_is_read_as_the_current_one(tmp_path: Path) -> None:
    """By its model, its payload and its columns; stored and exported as it came."""
    with a_ledger(tmp_path, upcasts=WITH_VERSION_0) as ledger:
        fact = parse_line(line(OLD, 0), upcasts=WITH_VERSION_0)
        assert fact.event == parse_line(line(NEW)).event
        assert ledger.append([fact]) == [Appended(1)]
        (row,) = ledger.read()
        assert (row.topic, json.loads(row.data)) == ("ExamAttempted:0", OLD)
        assert (row.exam, row.key, row.flag) == ("AZ-104", "R-77", 1)
        assert row.payload(WITH_VERSION_0) == NEW
        assert fact_of(row, WITH_VERSION_0) == fact._replace(recorded_at=row.recorded_at)
        (exported_line,) = exported(ledger)
        assert exported_line == line(OLD, 0).replace(
            "2021-03-01T12:10:03.120394Z", "2021-04-01T00:00:00Z"
        )


def test_an_old_version_moves_in_as_it_is(tmp_path: Path) -> None:
    """Import of an export gives the same ledger, old versions and all."""
    with a_ledger(tmp_path, upcasts=WITH_VERSION_0) as ledger:
        fact = parse_line(line(OLD, 0), upcasts=WITH_VERSION_0)
        ledger.append([fact], keep_recorded_at=True)
        assert exported(ledger) == [line(OLD, 0)]


def test_the_same_fact_in_two_versions_is_a_duplicate(tmp_path: Path) -> None:
    """What is compared is what it says now; the version is no part of its identity."""
    with a_ledger(tmp_path, upcasts=WITH_VERSION_0) as ledger:
        old = parse_line(line(OLD, 0), upcasts=WITH_VERSION_0)
        ledger.append([old])
        assert ledger.append([parse_line(line(NEW)), old]) == [Duplicate(1), Duplicate(1)]
        other = parse_line(line({**NEW, "delivery": "live"}))
        assert ledger.append([other]) == [Conflict(1, ("data.delivery (old beta, new live)",))]


def test_versions_are_brought_up_one_at_a_time() -> None:
    """Each step knows only the next version, and leaves what it was given as it was."""
    steps: Upcasts = {
        ("T", 1): lambda data: {"b": data.pop("a")},
        ("T", 2): lambda data: {"c": data.pop("b") + 1},
    }
    given = {"a": 1}
    assert upcast("T", 1, 3, given, steps) == {"c": 2}
    assert upcast("T", 3, 3, given, steps) == given == {"a": 1}


@pytest.mark.parametrize("version", [0, 2, 99])
def test_a_version_that_nothing_leads_up_from_is_refused(version: int) -> None:
    """A line of a later release is not guessed at."""
    with pytest.raises(MalformedFact, match=f"ExamAttempted of schema version {version} is not"):
        parse_line(line(NEW, version))


def test_a_stored_event_of_a_later_release_is_still_exported() -> None:
    """It can be passed on, but not read."""
    row = Recorded(1, 0, 0, "ExamSat:3", "candidate/C-1", "s", "i", *[None] * 6, '{"x":1}')
    assert '"type":"ExamSat"' in to_cloudevent(row)
    assert '"dataschema":"urn:attempt-ledger:ExamSat:3","data":{"x":1}}' in to_cloudevent(row)
    with pytest.raises(MalformedFact, match="type 'ExamSat' is unknown"):
        row.payload()


def test_a_sound_old_version_is_checked_as_the_current_one(tmp_path: Path) -> None:
    """An upcast that leaves something out is found on the way in, not on the way out."""
    with pytest.raises(MalformedFact, match=r"data\.colour is unknown"):
        parse_line(line({**OLD, "colour": "red"}, 0), upcasts=WITH_VERSION_0)
    with Ledger.create(tmp_path / "b.ledger", clock=SetClock()) as ledger:
        assert list(ledger.read()) == []
