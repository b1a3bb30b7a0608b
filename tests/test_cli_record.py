"""`record`, `annul` and `search`: one event in, taken back, and found again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import NOW, CommandLine

ATTEMPT = ("record", "ExamAttempted", "C-1", "exam=AZ-104", "registration_id=R-1", "delivery=live")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init", "--bare")
    return door


def test_an_event_is_recorded_as_it_was_said(door: CommandLine) -> None:
    """Text by =, anything else by :=, the rest by options; actor and source have defaults."""
    answer = door.call(
        "record", "CertEarned", "C-1", "certification=azure", 'exams:=["AZ-104","AZ-500"]',
        "expires_at=2023-06-01", "--time", "2022-05-01T09:00:00+02:00", "--id", "cert/1",
        "--actor", "credentials",
    )  # fmt: skip
    assert answer == (0, "", "attempt-ledger: CertEarned cert/1 is recorded at position 1\n")
    (event,) = door.lines("export")
    assert event == {
        "specversion": "1.0",
        "type": "CertEarned",
        "source": "urn:attempt-ledger:cli",
        "id": "cert/1",
        "subject": "C-1",
        "time": "2022-05-01T07:00:00Z",
        "recordedtime": NOW,
        "sequence": "00000000000000000001",
        "actor": "credentials",
        "data": {
            "certification": "azure",
            "expires_at": "2023-06-01T00:00:00Z",
            "exams": ["AZ-104", "AZ-500"],
        },
    }


def test_without_an_id_one_is_drawn_and_printed_for_a_safe_repeat(door: CommandLine) -> None:
    """The call with that id again is a duplicate, though time has passed and none was given."""
    drawn = door.done(*ATTEMPT)
    assert UUID.fullmatch(drawn)
    door.at("2022-06-01T12:05:00Z")
    answer = door.call(*ATTEMPT, "--id", drawn.strip())
    assert answer.code == 0
    assert "recorded already, at position 1: nothing was changed" in answer.err
    assert [event["id"] for event in door.lines("export")] == [drawn.strip()]


def test_the_id_is_out_before_anything_is_recorded(door: CommandLine) -> None:
    """Who is cut off by a full disk or a fall of power knows the id to ask with."""
    (door.folder / "attempts.ledger.lock").write_bytes(b"")
    with open("attempts.ledger.lock") as lock:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)  # the ledger cannot be written for now
        command = str(Path(sys.executable).with_name("attempt-ledger"))
        process = subprocess.Popen([command, *ATTEMPT], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        drawn = process.stdout.readline()
        assert door.done("export") == ""
    process.communicate()
    assert UUID.fullmatch(drawn)
    assert [event["id"] for event in door.lines("export")] == [drawn.strip()]


def test_another_fact_under_the_same_id_is_refused_with_what_differs(door: CommandLine) -> None:
    """Exit code 1; what was recorded stands."""
    door.done(*ATTEMPT, "--id", "R-1/attempted")
    said = door.refused(*ATTEMPT[:-1], "delivery=beta", "--id", "R-1/attempted")
    assert "data.delivery (old live, new beta)" in said
    said = door.refused(*ATTEMPT, "--id", "R-1/attempted", "--time", "2022-05-01")
    assert "time (old 2022-06-01T12:00:00Z, new 2022-05-01T00:00:00Z)" in said
    assert len(door.lines("export")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ExamAttempt", "C-1"], "type 'ExamAttempt' is unknown: accepted are ExamAttempted, "),
        (["ExamWentLive", "AZ-104", "live=1"], "data.live"),
        (["ExamFailed", "C-1", "exam=AZ-104"], "data.registration_id is missing"),
        (["ExamFailed", "C-1", "exam=A", "registration_id=R", "score=640"],
         "data.score should be a number, not '640'; to give anything but text write score:=JSON"),
        (["ExamFailed", "C-1", "exam=A", "registration_id=R", "score:=64O"],
         "score:=64O is not JSON"),
        (["ExamFailed", "C-1", "exam=A", "registration_id=R", "score:=NaN"], "NaN is no number"),
        (["ExamFailed", "C-1", "exam=A", "exam=B"], "the field exam appears twice"),
        (["ExamFailed", "C-1", "exam"], "'exam' is no field: write key=value for text"),
        (["ExamFailed", "C-1", "exam=A", "registration_id="], "should be text that is not empty"),
        (["ExamWentLive", ""], "subject is empty"),
        (["ExamWentLive", "AZ\x1b[2J"], "subject"),
        (["ExamWentLive", "AZ-104", "--source", ""], "--source should be a URI such as urn:vue"),
        (["ExamWentLive", "AZ-104", "--source", "vue"], "such as urn:vue, not 'vue'"),
        (["ExamWentLive", "AZ-104", "--source", "urn:a b"], "not 'urn:a b'"),
        (["ExamWentLive", "AZ-104", "--time", "2022-05-01T09:00:00"], "does not say its zone"),
        (["ExamWentLive", "AZ-104", "--time", "2022-05-01T09:00:00.0000001Z"], "microsecond"),
        (["ExamWentLive", "AZ-104", "--time", "2022-02-29"], "no day of the calendar"),
        (["ExamWentLive", "AZ-104", "--time", "yesterday"], "is no instant and no date"),
        (["CertEarned", "C-1", "certification=azure", "expires_at=2023-06-01T00:00:00"],
         "a time without a zone"),
        (["PolicyPublished", "ours", "toml=id = 7"], "id = 7"),
        (["PolicyPublished", "ours", "toml=id = 'theirs'\neffective_from = 2021-01-01T00:00:00Z"],
         "the policy's id is 'theirs' and its subject 'ours'"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_a_wrong_call(door: CommandLine, words: list[str], said: str) -> None:
    """One sentence with the field, and nothing is recorded, not even an id printed."""
    assert said in door.wrong("record", *words)
    assert door.done("export") == ""


def test_a_fact_of_the_future_is_refused(door: CommandLine) -> None:
    """Five minutes are a clock that differs; more is no fact."""
    said = door.refused("record", "ExamWentLive", "AZ-104", "--time", "2022-06-01T12:05:01Z")
    assert "lies more than 5 minutes after its recording" in said
    door.done("record", "ExamWentLive", "AZ-104", "--time", "2022-06-01T12:05:00Z")


def test_a_clock_that_jumped_back_is_said(door: CommandLine) -> None:
    """What is recorded then may have a wrong time; a little difference is none."""
    door.failed("R-1", "2022-05-01T09:00:00Z")
    door.at("2022-06-01T11:56:00Z").failed("R-2", "2022-05-01T09:00:00Z")
    assert "clock" not in door.call("record", "ExamWentLive", "AZ-104").err
    answer = door.at("2022-05-30T12:00:00Z").call("record", "ExamWentLive", "AZ-204")
    assert answer.code == 0
    assert (
        "the clock of this machine is behind: it says 2022-05-30T12:00:00Z, and the last event was "
        "recorded at 2022-06-01T12:00:00"
    ) in answer.err


def test_a_date_is_its_midnight_in_utc(door: CommandLine) -> None:
    """As everywhere on the command line."""
    door.done("record", "ExamWentLive", "AZ-104", "--time", "2022-05-01")
    assert door.lines("export")[0]["time"] == "2022-05-01T00:00:00Z"


def test_an_annulled_event_stays_and_answers_no_more(door: CommandLine) -> None:
    """The annulment has the event's subject, and an id made from what it annuls."""
    door.failed("R-1", "2022-05-01T09:00:00Z")
    answer = door.call("annul", "urn:vue", "R-1/result", "--reason", "another seat")
    assert answer.code == 0
    event = door.lines("export")[-1]
    assert event["subject"] == "C-1"
    assert event["id"] == "annul/urn:vue/R-1/result"
    assert event["data"] == {
        "annuls": {"source": "urn:vue", "id": "R-1/result"},
        "reason": "another seat",
    }


def test_to_annul_again_changes_nothing(door: CommandLine) -> None:
    """The same again is done; for another reason it is refused, with the one that stands."""
    door.failed("R-1", "2022-05-01T09:00:00Z")
    words = ("annul", "urn:vue", "R-1/result", "--reason")
    door.done(*words, "another seat")
    assert "annulled already, at position 3: nothing" in door.call(*words, "another seat").err
    assert "for another reason: 'another seat'" in door.refused(*words, "a slip")
    assert len(door.lines("export")) == 3


def test_what_is_not_there_cannot_be_annulled(door: CommandLine) -> None:
    """Nor can an annulment."""
    assert "there is no event 'R-1/result' of 'urn:vue'" in door.wrong(
        "annul", "urn:vue", "R-1/result", "--reason", "a slip"
    )
    door.sat("R-1", "2022-05-01T09:00:00Z")
    door.done("annul", "urn:vue", "R-1/attempted", "--reason", "a slip")
    said = door.refused(
        "annul", "urn:attempt-ledger:cli", "annul/urn:vue/R-1/attempted", "--reason", "no slip"
    )
    assert "append the fact anew under a new id" in said


def test_candidates_are_found_by_the_beginning_of_an_id(door: CommandLine) -> None:
    """Their own, a registration's, a request's; a table for people, objects for programs."""
    door.sat("R-77", "2022-05-01T09:00:00Z", candidate="C-1001")
    door.sat("R-78", "2022-05-02T09:00:00Z", candidate="C-1002")
    assert door.done("search", "C-10") == "C-1001\nC-1002\n"
    assert door.done("search", "R-7") == "C-1001  registration R-77\nC-1002  registration R-78\n"
    assert door.json("search", "R-78") == [
        {"candidate": "C-1002", "by": "registration_id", "value": "R-78"}
    ]


def test_a_search_says_when_there_is_more_or_nothing(door: CommandLine) -> None:
    """Neither is a fault."""
    door.sat("R-77", "2022-05-01T09:00:00Z", candidate="C-1001")
    door.sat("R-78", "2022-05-02T09:00:00Z", candidate="C-1002")
    answer = door.call("search", "C-", "--limit", "1")
    assert (answer.code, answer.out) == (0, "C-1001\n")
    assert "more than these 1" in answer.err
    answer = door.call("search", "X", "--format", "json")
    assert (answer.code, answer.out) == (0, "[]\n")
    assert "begins with 'X'" in answer.err


def test_an_id_that_is_empty_is_refused_not_generated(door: CommandLine) -> None:
    """As of a variable that is not set: what nobody knows the id of could not be repeated."""
    assert door.wrong(*ATTEMPT, "--id", "") == "id is empty: it should say something"
    assert "authorization_id should be text that is not empty" in door.wrong(
        "authorization", "grant", "C-1", "AZ-104", "--id", ""
    )
    assert "request_id should be text that is not empty" in door.wrong(
        "exception", "request", "C-1", "AZ-104", "--request-id", ""
    )
    assert door.lines("export") == []


@pytest.mark.parametrize("reason", ["", " "])
def test_a_reason_that_says_nothing_is_refused(door: CommandLine, reason: str) -> None:
    """By every command that takes one, in one sentence."""
    door.done(*ATTEMPT, "--id", "a")
    source = "urn:attempt-ledger:cli"
    for words in (
        ("annul", source, "a", "--reason", reason),
        ("forget", "C-1", "--reason", reason),
        ("authorization", "grant", "C-1", "AZ-104", "--reason", reason),
        ("authorization", "revoke", "C-1", "A-1", "--reason", reason),
        ("exception", "revoke", "C-1", "X-1", "--reason", reason),
    ):
        assert door.wrong(*words) == "--reason should say why"
    assert door.wrong("exception", "reject", "C-1", "X-1", "--why", reason) == (
        "--why should say why"
    )
    assert len(door.lines("export")) == 1
