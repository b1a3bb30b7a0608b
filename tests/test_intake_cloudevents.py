"""CloudEvents lines are taken one by one, and what is refused can be mended and taken again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_folder import GOOD, HEADER, Place, counts
from ledger_facts import exported

from ledger.facts import Fact
from ledger.intake.cloudevents import mended, refused_line
from ledger.intake.reading import format_of
from ledger.intake.report import default_rejects
from ledger.intake.results import CsvSettings
from ledger.intake.source import Source, SourceProblem, open_source


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": "ExamAttempted",
        "source": "urn:vue",
        "id": f"R-{number}/attempted",
        "subject": "C-1",
        "time": "2021-03-01T09:00:00Z",
        "data": {"exam": "AZ-104", "registration_id": f"R-{number}", "delivery": "live"},
        **more,
    }


def line(number: int = 1, **more: Any) -> str:
    return json.dumps(event(number, **more), ensure_ascii=False) + "\n"


def test_lines_are_recorded_in_order_and_blank_ones_passed_over(place: Place) -> None:
    """One JSON object a line; blank lines and the last line's missing end cost nothing."""
    report = place.take("\n" + line(1) + " \t\r\n" + line(2).strip(), "a.jsonl")
    assert (report.clean, counts(report)) == (True, (2, 2, 0, 0))
    assert place.ids() == ["R-1/attempted", "R-2/attempted"]


ARRAYS = {
    "on one line": lambda events: json.dumps(events),
    "an event a line": lambda events: "[\n" + ",\n".join(map(json.dumps, events)) + "\n]",
    "indented": lambda events: json.dumps(events, indent=2),
    "lines and arrays": lambda events: f"{json.dumps(events[0])}\n{json.dumps(events[1:])}",
}


@pytest.mark.parametrize("written", ARRAYS.values(), ids=ARRAYS)
def test_a_batch_of_events_is_taken_wherever_lines_are(place: Place, written: Any) -> None:
    """A JSON array, in one line or in several; each event counts for itself."""
    events = [event(1), event(2, time="yesterday"), event(3)]
    report = place.take(written(events) + "\n", "a.json")
    assert counts(report) == (3, 2, 0, 1)
    assert place.ids() == ["R-1/attempted", "R-3/attempted"]
    (refused,) = place.refused_lines()
    assert (refused["id"], "time: 'yesterday'" in refused["problem"]) == ("R-2/attempted", True)


def test_what_only_begins_as_a_batch_is_lines(place: Place) -> None:
    """A stray bracket costs its own line."""
    report = place.take("[\n" + line(1) + "[[[\n" + line(2) + "]\n" + line(3), "a.jsonl")
    assert counts(report) == (6, 3, 0, 3)
    assert counts(place.take("[]\n[\n]\n", "a.jsonl")) == (0, 0, 0, 0)


def test_lines_taken_again_are_duplicates(place: Place) -> None:
    """Nothing is there twice, within a file neither."""
    place.take(line(1), "a.jsonl")
    assert counts(place.take(line(1) + line(2) + line(2), "a.jsonl")) == (3, 1, 2, 0)


def test_whoever_imports_a_line_is_its_actor(place: Place) -> None:
    """A feed speaks in nobody else's name: whom a line names is kept beside, as `originalactor`."""
    lines = line(1) + line(2, actor="head-of-desk") + line(3, actor="cli")
    lines += line(4, actor="b", originalactor="a")
    place.take(lines, "a.jsonl", csv=CsvSettings(actor="cli"))
    assert [(row.actor, row.extensions) for row in place.ledger.read()] == [
        ("cli", None),
        ("cli", '{"originalactor":"head-of-desk"}'),
        ("cli", None),
        ("cli", '{"originalactor":"a"}'),
    ]
    assert counts(place.take(lines, "a.jsonl")) == (4, 0, 4, 0)


def test_a_history_that_is_moved_in_keeps_its_actors(place: Place) -> None:
    """It was recorded by them."""
    place.take(kept(1, "2021-03-01T12:00:00Z", actor="desk"), "a.jsonl", keep_recorded_at=True)
    assert [(row.actor, row.extensions) for row in place.ledger.read()] == [("desk", None)]


def test_the_programs_own_sources_are_refused_from_outside(place: Place) -> None:
    """A grant that nobody gave would look like the desk's; what is recorded already is not new."""
    own = kept(1, "2021-03-01T12:00:00Z", source="urn:attempt-ledger:desk")
    report = place.take(own, "a.jsonl")
    assert counts(report) == (1, 0, 0, 1)
    assert "source 'urn:attempt-ledger:desk' is this program's own" in report.examples[0]
    assert place.take(own, "a.jsonl", keep_recorded_at=True).clean
    assert counts(place.take(own, "a.jsonl")) == (1, 0, 1, 0)
    settings = CsvSettings(source="urn:attempt-ledger:cli")
    assert place.take(HEADER + GOOD, csv=settings).rejected == 1


REFUSED = {
    "not JSON": ("{not json}\n", "this is not JSON"),
    "no object": ("[1]\n", "this is not a JSON object"),
    "nothing said": ("{}\n", "specversion is missing"),
    "a naive time": (line(time="2021-03-01T09:00:00"), "is a time without a zone"),
    "an unknown type": (line(type="ExamSat"), "type 'ExamSat' is unknown"),
    "an unknown field": (
        line(data={**event()["data"], "seat": 7}),
        "ExamAttempted: data.seat is unknown (its fields are exam, registration_id",
    ),
    "an unknown member": (line(Seat=7), "Seat is no member of an event here"),
    "a time in the future": (
        line(time="2021-06-01T00:05:00.000001Z"),
        "lies more than 5 minutes after its recording",
    ),
    "a NUL byte": ("\0" + line(), "the line contains a NUL byte at offset"),
    "an annulment of nothing": (
        line(
            type="EventAnnulled",
            data={"annuls": {"source": "urn:vue", "id": "R-9/result"}, "reason": "x"},
        ),
        "annuls source 'urn:vue' id 'R-9/result', which is not in the ledger",
    ),
}


@pytest.mark.parametrize(("bad", "said"), REFUSED.values(), ids=REFUSED)
def test_a_bad_line_is_set_aside_and_costs_no_other(place: Place, bad: str, said: str) -> None:
    """Its neighbours are recorded, its problem says what to mend, and where."""
    report = place.take(line(1) + "\n" + bad + line(2), "a.jsonl")
    assert counts(report) == (3, 2, 0, 1)
    assert place.ids() == ["R-1/attempted", "R-2/attempted"]
    (refused,) = place.refused_lines()
    assert said in refused["problem"]
    assert report.examples == [f"line 3: {refused['problem']}"]


def test_a_conflict_names_what_differs(place: Place) -> None:
    """The same (source, id) with anything different is refused; nothing is changed."""
    place.take(line(1), "a.jsonl")
    before = exported(place.ledger)
    report = place.take(line(1, subject="C-2") + line(2), "a.jsonl")
    assert (report.rejected, report.conflicts, report.recorded) == (1, 1, 1)
    (refused,) = place.refused_lines()
    assert refused["subject"] == "C-2"
    assert "subject (old C-1, new C-2)" in refused["problem"]
    assert exported(place.ledger)[:1] == before


def test_a_line_that_is_not_utf8_is_set_aside_byte_for_byte(place: Place) -> None:
    """It is named with its byte and offset; the others are recorded."""
    bad = line(2, subject="Zoë").encode("latin-1")
    report = place.take(line(1).encode() + bad + line(3).encode(), "a.jsonl")
    assert counts(report) == (3, 2, 0, 1)
    offset = len(line(1)) + bad.index(0xEB)
    assert f"line 2: the line is not UTF-8: byte 0xEB at offset {offset}" in report.examples[0]
    assert place.rejects.read_bytes().startswith(bad.rstrip()[:-1])


def test_what_the_door_has_against_a_fact_is_its_problem(place: Place) -> None:
    """The ledger cannot judge a policy's text; the door can."""

    def check(fact: Fact) -> str | None:
        return "no such candidate" if fact.subject == "C-2" else None

    report = place.take(line(1) + line(2, subject="C-2"), "a.jsonl", check=check)
    assert counts(report) == (2, 1, 0, 1)
    assert place.refused_lines()[0]["problem"] == "no such candidate"


# -- mending


def test_refused_lines_go_in_once_mended(place: Place) -> None:
    """The rejects file keeps a line's own text and adds `problem`; mended, it is imported."""
    bad = [line(1, time="yesterday"), line(2)[:-2] + "\n", line(3, data={})]
    place.take("".join(bad), "a.jsonl")
    first = place.rejects.read_text()
    assert first.startswith(bad[0].strip()[:-1] + ',"problem":"time: ')
    assert [sorted(each) for each in place.refused_lines()] == [
        sorted([*event(), "problem"]),
        ["line", "problem"],
        sorted([*event(), "problem"]),
    ]
    place.rejects = place.folder / "again"
    assert place.take(first, "again.jsonl").rejected == 3
    assert [each["problem"] for each in place.refused_lines()] == [
        json.loads(each)["problem"] for each in first.splitlines()
    ]
    healed = first.replace("yesterday", "2021-03-01T09:00:00Z")
    healed = healed.replace('live\\"}"', 'live\\"}}"')
    healed = healed.replace('"data": {}', json.dumps({"data": event(3)["data"]})[1:-1])
    report = place.take(healed, "mended.jsonl")
    assert report.clean, report.examples
    assert place.ids() == ["R-1/attempted", "R-2/attempted", "R-3/attempted"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON | st.text(alphabet='{}[]" a,:'), st.text(min_size=1))
def test_a_refused_line_read_again_says_what_it_said(value: object, problem: str) -> None:
    """Whatever the line, with its problem taken out it is the same JSON, or the same text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    told = refused_line(text, problem)
    assert json.loads(told)["problem"] == problem
    again = mended(told)
    try:
        said = json.loads(text)
    except ValueError:
        assert again == text.strip()
    else:
        if isinstance(said, dict):
            said.pop("problem", None)
        if not (isinstance(said, dict) and said.keys() == {"line"}):
            assert json.loads(again) == said


# -- history moved in


def kept(number: int, recorded: str, **more: Any) -> str:
    return line(number, recordedtime=recorded, sequence=f"{number:020d}", **more)


HISTORY = [kept(n, f"2021-03-0{n}T12:00:00Z") for n in range(1, 5)]


def test_a_history_keeps_its_recorded_times(place: Place) -> None:
    """With keep_recorded_at an export is moved in as it was."""
    assert place.take("".join(HISTORY), "a.jsonl", keep_recorded_at=True).clean
    assert [json.loads(each)["recordedtime"] for each in exported(place.ledger)] == [
        json.loads(each)["recordedtime"] for each in HISTORY
    ]


STOPS = {
    "a malformed line": "{}\n",
    "one out of order": kept(7, "2021-03-01T00:00:00Z"),
    "one without recordedtime": line(7),
    "one from the future": kept(7, "2021-07-01T00:00:00Z"),
    "a conflict": kept(1, "2021-03-03T00:00:00Z", subject="C-2"),
}


@pytest.mark.parametrize("bad", STOPS.values(), ids=STOPS)
def test_the_first_refused_line_of_a_history_stops_it(place: Place, bad: str) -> None:
    """What comes after it would be out of order; what came before is in, and passed over later."""
    report = place.take(
        "".join([*HISTORY[:2], bad, *HISTORY[2:]]), "a.jsonl", keep_recorded_at=True
    )
    assert counts(report) == (3, 2, 0, 1)
    assert report.stopped is not None
    assert report.stopped.startswith("line 3 cannot be taken")
    assert report.rejects is None
    assert report.summary()[1].startswith("  line 3: ")
    report = place.take("".join(HISTORY), "a.jsonl", keep_recorded_at=True)
    assert (report.clean, counts(report)) == (True, (4, 2, 2, 0))


# -- which format


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.csv", "", "csv"),
        ("a.csv.gz", "{}", "csv"),
        ("A.CSV", "", "csv"),
        ("a.jsonl", "candidate_id", "cloudevents"),
        ("a.ndjson.xz", "", "cloudevents"),
        ("a.json", "", "cloudevents"),
        ("a", "", "cloudevents"),
        ("a", "\ufeff \n{}", "cloudevents"),
        ("a.log", "[", "cloudevents"),
        ("a.txt", "candidate_id", "csv"),
        ("a", '"candidate_id"', "csv"),
    ],
)
def test_the_name_tells_the_format_else_the_first_byte(
    tmp_path: Path, name: str, content: str, format: str
) -> None:
    """The extension first, under a compression's; then whether it begins like JSON."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    with open_source(str(tmp_path / name)) as source:
        assert format_of(source) == format
        assert format_of(source, "csv") == "csv"


def test_a_catalogue_is_no_input(tmp_path: Path) -> None:
    """It is said which command takes it."""
    (tmp_path / "a.toml").write_text("[[exam]]")
    with (
        open_source(str(tmp_path / "a.toml")) as source,
        pytest.raises(SourceProblem, match="a catalogue goes in with `catalogue`"),
    ):
        format_of(source)


def test_the_inputs_own_file_is_no_rejects_file(place: Place) -> None:
    """It would be emptied before it was read."""
    place.rejects = place.folder / "results.csv"
    with pytest.raises(SourceProblem, match="cannot be the rejects file of itself"):
        place.rows(GOOD)
    assert place.rejects.read_text() == HEADER + GOOD


def test_inputs_of_one_name_have_rejects_files_of_their_own() -> None:
    """In the working directory, after the input's name."""
    first = default_rejects(Source(_nothing(), "2021/results.csv.gz"), ".csv")
    second = default_rejects(Source(_nothing(), "2022/results.csv"), ".csv", {first})
    assert [str(first), str(second)] == ["results.rejects.csv", "results-2.rejects.csv"]
    assert str(default_rejects(Source(_nothing(), None), ".jsonl")) == "stdin.rejects.jsonl"


def _nothing() -> io.BytesIO:
    return io.BytesIO()
