"""CloudEvents JSON: the same bytes out as came in, and a sentence for all that is not sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_facts import GOLDEN, NOW, SetClock, a_ledger, exported, facts

from ledger.cloudevents import MEMBERS, parse_line, to_cloudevent
from ledger.events import Recorded
from ledger.facts import Fact, fact_of
from ledger.ledger import Ledger
from ledger.models import EVENTS
from ledger.outcomes import Appended
from ledger.problems import MalformedFact

# As spec section 2 prints it, on one line.
EXAMPLE = (
    '{"specversion":"1.0","type":"ExamAttempted","source":"urn:vue","id":"R-77/attempted",'
    '"subject":"C-1001","time":"2021-03-01T09:00:00Z","recordedtime":"2021-03-01T12:10:03.120394Z",'
    '"sequence":"00000000000000000042","actor":"results-feed",'
    '"data":{"exam":"AZ-104","registration_id":"R-77","delivery":"live"}}'
)


def as_recorded(fact: Fact, position: int = 42) -> Recorded:
    """Return the fact as a ledger would hold it."""
    return Recorded(position, fact.recorded_at or 0, *fact.row())


def changed(**members: Any) -> str:
    """Return the example with members replaced, or left out when None."""
    envelope = {**json.loads(EXAMPLE), **members}
    return json.dumps({name: value for name, value in envelope.items() if value is not None})


def test_the_example_of_the_contract_comes_out_as_it_went_in() -> None:
    """Member for member, byte for byte."""
    assert to_cloudevent(as_recorded(parse_line(EXAMPLE))) == EXAMPLE
    assert parse_line(EXAMPLE.encode()) == parse_line(EXAMPLE)


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_a_golden_payload_comes_out_as_it_went_in(file: Path) -> None:
    """Changing an old file here is a breaking change of the format."""
    line = file.read_text("utf-8").removesuffix("\n")
    fact = parse_line(line)
    assert file.name.startswith(f"{fact.event.type}.{fact.event.version}.")
    assert to_cloudevent(as_recorded(fact)) == line
    assert fact_of(as_recorded(fact)) == fact


def test_every_event_version_has_a_golden_payload() -> None:
    """A new version adds its file, and keeps the old one."""
    names = {".".join(file.name.split(".")[:2]) for file in GOLDEN.glob("*.json")}
    assert {event.topic.replace(":", ".") for event in EVENTS} <= names


REFUSED: list[tuple[str | bytes, str]] = [
    ("", "this is not JSON"),
    ('{"specversion":', "this is not JSON"),
    (b'{"id":"\xff"}', "this is not JSON"),
    ("[]", "this is not a JSON object"),
    ("null", "this is not a JSON object"),
    (EXAMPLE.replace('"live"', "NaN"), "this is not JSON"),
    (EXAMPLE.replace("R-77/attempted", r"\ud800"), "this is not JSON"),
    (changed(Foo=1, bar="x"), "Foo is no member of an event here: accepted are specversion,"),
    (changed(data_base64="AA=="), "data_base64 is no member"),
    (changed(specversion=None), "specversion is missing"),
    (changed(specversion="0.3"), "specversion should be 1.0, not '0.3'"),
    (changed(specversion=1.0), "specversion should be text that is not empty, not 1.0"),
    (changed(type=None), "type is missing"),
    (changed(type="ExamPased"), "type 'ExamPased' is unknown: accepted are ExamAttempted,"),
    (changed(source=None), "source is missing"),
    (changed(id=""), "id should be text that is not empty, not ''"),
    (changed(id="a\u0000"), r"id 'a\x00' holds a control character"),
    (changed(subject=7), "subject should be text that is not empty, not 7"),
    (changed(time=None), "time is missing"),
    (changed(time="2021-03-01T09:00:00"), "time: '2021-03-01T09:00:00' is a time without a zone"),
    (changed(time="2021-03-01T09:00:00.1234567Z"), "is finer than a microsecond"),
    (changed(actor=""), "actor should be text that is not empty, not ''"),
    (changed(actor=["x"]), "actor should be text that is not empty, not ['x']"),
    (changed(datacontenttype="text/csv"), "datacontenttype should be application/json"),
    (changed(data=[]), "data should be a JSON object"),
    (changed(data={}), "ExamAttempted: data.exam is missing; data.registration_id is missing"),
    (
        changed(dataschema="urn:attempt-ledger:"),
        "dataschema should be urn:attempt-ledger:ExamAttempted:<version>",
    ),
    (changed(dataschema="urn:attempt-ledger:ExamPassed:1"), "dataschema should be urn:attempt-l"),
    (changed(dataschema="urn:attempt-ledger:ExamAttempted:2"), "schema version 2 is not known"),
    (changed(dataschema="urn:attempt-ledger:ExamAttempted:0"), "schema version 0 is not known"),
]


@pytest.mark.parametrize(("line", "words"), REFUSED)
def test_what_is_not_sound_is_refused_in_one_sentence(line: str | bytes, words: str) -> None:
    """It names the member, what it holds, and what would be accepted."""
    with pytest.raises(MalformedFact) as refusal:
        parse_line(line)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "members",
    [
        {"recordedtime": None, "sequence": None},
        {"recordedtime": "yesterday", "sequence": -1},
        {"dataschema": "urn:attempt-ledger:ExamAttempted:1"},
        {"datacontenttype": "application/json"},
    ],
)
def test_what_the_ledger_gives_is_ignored_and_what_says_nothing_new_accepted(
    members: dict[str, Any],
) -> None:
    """`recordedtime` and `sequence` may be anything; version 1 and JSON may be said."""
    assert parse_line(changed(**members))[:6] == parse_line(EXAMPLE)[:6]


def test_null_says_the_same_as_an_absent_member() -> None:
    """As CloudEvents has it."""
    line = EXAMPLE.replace('"results-feed"', "null")
    assert parse_line(line).actor is None
    assert '"actor"' not in to_cloudevent(as_recorded(parse_line(line)))


def test_an_event_without_fields_needs_no_data() -> None:
    """ExamWentLive says all by its type, subject and time."""
    line = changed(type="ExamWentLive", subject="AZ-104", data=None)
    assert parse_line(line).event.to_json() == "{}"


def test_the_members_are_those_documented() -> None:
    """The error lists exactly what is accepted, in the order in which it is written."""
    assert [name for name in MEMBERS if name in json.loads(EXAMPLE)] == list(json.loads(EXAMPLE))


@settings(max_examples=60, deadline=None)
@given(history=st.lists(st.lists(facts(), max_size=4), max_size=6))
def test_an_export_imported_elsewhere_is_the_same_ledger(
    history: list[list[Fact]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Recorded times, positions, annulments and ciphertext: every byte of the export again."""
    folder = tmp_path_factory.mktemp("wire")
    clock = SetClock(NOW)
    with a_ledger(folder, "here", clock=clock) as here:
        for batch in history:
            here.append(batch)
            clock.now += 1_000_000
        lines = exported(here)
        rows = list(here.read())
    with Ledger.create(folder / "there.ledger", clock=clock) as there:
        outcomes = there.append([parse_line(line) for line in lines], keep_recorded_at=True)
        assert outcomes == [Appended(n + 1) for n in range(len(lines))]
        assert exported(there) == lines
        assert list(there.read()) == rows
