"""`standing` and `history`: the answer and what it stands on, for programs and for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine
from typer.testing import CliRunner

from attempt_ledger.cli.main import app
from ledger.instants import parse_instant
from ledger.ledger import Ledger
from projections.answers import Standing
from projections.standing import Moment
from replay.snapshot import Snapshot

CAME_LATE = "2021-03-20T00:00:00Z"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """C-1 failed AZ-104 twice, and C-2 took AZ-700 in beta."""
    door = CommandLine(tmp_path, monkeypatch).at("2021-07-01T00:00:00Z").catalogued()
    door.failed("R-1", "2021-04-06T09:00:00Z")
    door.failed("R-2", "2021-04-08T13:30:00Z")
    door.at("2021-08-18T18:00:00Z").done(
        "record", "ExamAttempted", "C-2", "exam=AZ-700", "registration_id=B-1", "delivery=beta",
        "--source", "urn:vue", "--id", "B-1/attempted", "--time", "2021-08-18T14:00:00Z",
    )  # fmt: skip
    return door.at("2022-06-01T00:00:00Z")


def test_json_is_the_standing_of_python_to_the_byte(door: CommandLine) -> None:
    """The same object from the command line and from Python, one line."""
    said = door.done("standing", "C-1", "AZ-104", "--as-of", "2021-04-12", "--format", "json")
    with Ledger.open("attempts.ledger", clock=lambda: 0, read_only=True) as ledger:
        position, recorded_at = ledger.head()
        moment = Moment(parse_instant("2021-04-12T00:00:00Z"), recorded_at, position)
        standing = Snapshot(ledger, moment).standing("C-1", "AZ-104")
    assert said == standing.model_dump_json() + "\n"
    answer = Standing.model_validate_json(said)
    assert answer.status == "waiting"
    assert answer.eligible_from == parse_instant("2021-04-22T13:30:00Z")


def test_without_an_exam_json_is_an_array_of_every_exam_with_a_sitting(door: CommandLine) -> None:
    """Sorted by exam; an exam without a visible sitting is not in it."""
    door.done(
        "record", "ExamAttempted", "C-1", "exam=AZ-700", "registration_id=B-2", "delivery=beta",
        "--time", "2021-08-19",
    )  # fmt: skip
    every = door.json("standing", "C-1", "--as-of", "2022-01-01")
    assert [answer["exam"] for answer in every] == ["AZ-104", "AZ-700"]
    assert every[0] == door.json("standing", "C-1", "AZ-104", "--as-of", "2022-01-01")
    assert door.json("standing", "C-1", "--as-of", "2021-04-05") == []


def test_as_of_is_now_unless_it_is_said(door: CommandLine) -> None:
    """And a date is its 00:00 UTC, to the instant."""
    assert door.json("standing", "C-1", "AZ-104")["as_of"] == "2022-06-01T00:00:00Z"
    before = door.json("standing", "C-1", "AZ-104", "--as-of", "2021-04-22T13:29:59.999999Z")
    after = door.json("standing", "C-1", "AZ-104", "--as-of", "2021-04-22T13:30:00Z")
    assert (before["status"], after["status"]) == ("waiting", "eligible")
    assert door.json("standing", "C-1", "AZ-104", "--as-of", "2030-01-01")["eligible"]


def test_known_at_is_an_instant_a_date_or_a_position(door: CommandLine) -> None:
    """What was recorded later is not used, whatever it is about."""
    everything = door.json("standing", "C-1", "AZ-104", "--as-of", "2021-04-12")
    position = everything["position"] - 2  # before the second failure and the beta
    ask = ("standing", "C-1", "AZ-104", "--as-of", "2021-04-12", "--known-at")
    earlier = door.json(*ask, f"@{position}")
    assert (earlier["position"], len(earlier["sittings"])) == (position, 2)
    assert len(door.json(*ask, "@6")["sittings"]) == 1
    assert json.loads(door.call(*ask, "2021-06-30", "--format", "json").out)["sittings"] == []
    assert door.json(*ask, "2021-07-02") == {
        **everything,
        "known_at": "2021-07-02T00:00:00Z",
        "position": everything["position"] - 1,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["AZ-104", "C-1"], "AZ-104 is an exam and C-1 a candidate: write standing C-1 AZ-104"),
        (
            ["C-1", "--as-of", "2021-04-12T00:00:00"],
            "--as-of: 2021-04-12T00:00:00 does not say its",
        ),
        (["C-1", "--as-of", "2021-13-01"], "--as-of: 2021-13-01 is no day of the calendar"),
        (["C-1", "--as-of", "0000-01-01"], "--as-of"),
        (["C-1", "--known-at", "2022-06-02"], "lies in the future"),
        (["C-1", "--known-at", "@1000"], "position 1000 is not reached yet"),
        (["C-1", "--known-at", "@x"], "'@x' is no position: write one such as @42"),
        (["C-1", "--zone", "Europe/Berln"], 'such as "Europe/Berlin"'),
        (["C-1", "--zone", "../etc/passwd"], "--zone"),
    ],
)
def test_what_cannot_be_asked_is_said(door: CommandLine, words: list[str], said: str) -> None:
    """Exit code 2, and one sentence that names the option."""
    assert said in door.wrong("standing", *words)


def test_an_unknown_exam_is_an_answer(door: CommandLine) -> None:
    """It is given, and the exit code is 1: the catalogue does not have it."""
    for words in (("--format", "json"), ()):
        answer = door.call("standing", "C-1", "XX-999", *words)
        assert (answer.code, answer.err) == (1, "attempt-ledger: XX-999 is not in the catalogue\n")
    assert "XX-999 was not in the catalogue at that time." in answer.out


@pytest.mark.parametrize("code", ["az-104", "AZ-14", "AZ-1O4", "AZ104"])
def test_an_exam_that_is_nearly_one_of_the_catalogue(door: CommandLine, code: str) -> None:
    """Whoever meant that is told."""
    assert f"{code} is not in the catalogue: did you mean AZ-104?" in door.refused(
        "standing", "C-1", code
    )


def test_a_new_candidate_is_answered_like_one_who_never_sat(door: CommandLine) -> None:
    """The commonest booking question: exit code 0, and a note."""
    answer = door.call("standing", "NEW-1", "AZ-104", "--format", "json")
    assert answer.err == (
        "attempt-ledger: No candidate 'NEW-1' in this ledger: answered like one who never sat.\n"
    )
    standing = json.loads(answer.out)
    assert (answer.code, standing["known"], standing["eligible"]) == (0, False, True)
    assert door.json("standing", "C-1", "AZ-104")["known"] is True
    alone = door.call("standing", "NEW-1")
    assert (alone.code, "NEW-1 has no sitting" in alone.out, alone.err) == (0, True, answer.err)


def test_a_candidate_is_unknown_before_anything_is_visible(door: CommandLine) -> None:
    """Before their first event is known, like somebody who never sat."""
    answer = door.call("standing", "C-1", "AZ-104", "--known-at", "@0", "--format", "json")
    standing = json.loads(answer.out)
    assert (standing["status"], standing["known"]) == ("unknown-exam", False)
    assert answer.code == 1


WAITING = """\
C-1, AZ-104
Not eligible: waiting. Eligible from 2021-04-22 13:30 UTC.

Why
  waiting  After your 2nd sitting, on 2021-04-08 13:30 UTC, the wait is 14 days,
           until 2021-04-22 13:30 UTC.
           until  2021-04-22 13:30 UTC
           rule   wait.after[2] of general, effective from 2021-03-31 00:00 UTC
           event  urn:vue R-2/attempted

Sittings
  nth  started               outcome  registration
    1  2021-04-06 09:00 UTC  failed   R-1
    2  2021-04-08 13:30 UTC  failed   R-2
  2 in the series, in the period that ends 2022-04-06 00:00 UTC.

Problems
  late-result  The results of R-1 and R-2 were recorded more than 30 days after
               they were true.
               event  urn:vue R-1/result
               event  urn:vue R-2/result

next change  2021-04-22 13:30 UTC
as of        2021-04-12 00:00 UTC
known at     2021-08-18 18:00 UTC, position 10
policy       general, effective from 2021-03-31 00:00 UTC
"""


def test_text_tells_verdict_why_sittings_and_what_it_was_computed_from(door: CommandLine) -> None:
    """The whole page, within 80 columns and without a blank at a line's end."""
    page = door.done("standing", "C-1", "AZ-104", "--as-of", "2021-04-12")
    digest = door.json("standing", "C-1", "AZ-104")["policy"]["sha256"]
    assert page == f"{WAITING}sha256       {digest}\n"
    assert all(len(line) <= 80 and line == line.rstrip() for line in page.splitlines())


def test_a_zone_moves_in_json_the_sentences_alone(door: CommandLine) -> None:
    """Instants in JSON are UTC; what a candidate reads is on the clock asked for."""
    call = ("standing", "C-1", "AZ-104", "--as-of", "2021-04-12T00:00Z", "--format", "json")
    plain = json.loads(door.done(*call))
    zoned = json.loads(door.done(*call, "--zone", "Asia/Kolkata"))
    assert "Asia/Kolkata" in zoned["reasons"][0]["text"]
    for answer in (plain, zoned):
        for each in (*answer["reasons"], *answer["problems"]):
            del each["text"]
    assert plain == zoned


def test_a_zone_moves_every_instant_of_the_text(door: CommandLine) -> None:
    """In the tables and inside the sentences; a date asked about is that zone's day."""
    page = door.done("standing", "C-1", "AZ-104", "--as-of", "2021-04-12", "--zone", "Asia/Kolkata")
    assert "Eligible from 2021-04-22 19:00 Asia/Kolkata." in page
    assert "on 2021-04-08 19:00 Asia/Kolkata, the wait is 14 days" in " ".join(page.split())
    assert "as of        2021-04-12 00:00 Asia/Kolkata" in page
    assert "UTC" not in page


@pytest.mark.parametrize(
    ("as_of", "outcome", "verdict"),
    [
        (
            "2021-09-15",
            "beta, result pending",
            "Not eligible: beta taken. Eligible from 2021-11-08",
        ),
        ("2021-10-28", "beta, result pending", "Not eligible: result pending."),
        ("2021-11-07T23:59:59Z", "beta, result pending", "Not eligible: result pending."),
        ("2021-11-08", "beta, result overdue since 2021-11-08", "Eligible.\n"),
    ],
)
def test_a_beta_without_a_result_is_pending_then_overdue_and_never_failed(
    door: CommandLine, as_of: str, outcome: str, verdict: str
) -> None:
    """Two weeks after the live date it is late, and in nobody's way (spec section 7, reading 2)."""
    page = door.done("standing", "C-2", "AZ-700", "--as-of", as_of)
    assert outcome in page
    assert verdict in page
    assert "fail" not in page


def test_the_dates_of_a_beta_result_are_given_once_they_are_known(door: CommandLine) -> None:
    """7 to 10 days after the exam went live."""
    page = door.done("standing", "C-2", "AZ-700", "--as-of", "2021-10-28")
    assert "expected  2021-11-01 00:00 UTC to 2021-11-04 00:00 UTC" in page


def test_an_exception_is_told_beside_what_it_waives(door: CommandLine) -> None:
    """Eligible, by an exception; the waived wait stays on the page with its grant."""
    door.done(
        "record", "ExceptionGranted", "C-1", "request_id=X-1", "exam=AZ-104", 'waives:=["wait"]',
        "--time", "2021-04-10", "--source", "urn:desk", "--id", "X-1/granted",
    )  # fmt: skip
    page = door.done("standing", "C-1", "AZ-104", "--as-of", "2021-04-12")
    assert "Eligible, by an exception." in page
    assert "Waived by an exception\n  waiting  After your 2nd sitting" in page
    assert "event  urn:desk X-1/granted" in page


def test_an_assumed_policy_says_so(door: CommandLine) -> None:
    """Before the first version's day its first is used, and the page tells."""
    page = door.done("standing", "C-1", "AZ-104", "--as-of", "2021-03-01")
    assert "assumed before its first day" in " ".join(page.split())


def test_all_exams_are_told_in_short(door: CommandLine) -> None:
    """Each verdict with its sentences, and the moment once."""
    page = door.done("standing", "C-1", "--as-of", "2021-04-12")
    assert "AZ-104  Not eligible: waiting. Eligible from 2021-04-22 13:30 UTC." in page
    assert "the wait is 14 days" in page
    assert page.count("as of") == 1
    assert "Taken in beta, result overdue since 2021-11-08" in door.done("standing", "C-2")
    nothing = door.done("standing", "C-1", "--as-of", "2021-01-01")
    assert "C-1 has no sitting that is visible then" in nothing


@pytest.mark.parametrize(
    ("settings", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    door: CommandLine, settings: dict[str, str], coloured: bool
) -> None:
    """On a terminal, unless NO_COLOR is set; never into a file or a pipe."""
    assert "\x1b" not in door.done("standing", "C-1", "AZ-104")
    ours, theirs = os.openpty()
    words = ["standing", "C-1", "AZ-104", "--as-of", "2021-04-12"]
    environment = {"TERM": "xterm-256color", "PATH": os.environ["PATH"], **settings}
    command = str(Path(sys.executable).with_name("attempt-ledger"))
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        subprocess.run([command, *words], stdout=theirs, env=environment, check=True)
        os.close(theirs)
        page = terminal.read(65_536)
    assert b"Not eligible" in page
    assert (b"\x1b[1;31m" in page) == coloured


def test_what_is_recorded_cannot_steer_a_terminal(door: CommandLine) -> None:
    """Control characters of a free text are shown, not sent."""
    door.sat("R-3", "2021-05-01T09:00:00Z")
    door.done(
        "record", "ResultRevoked", "C-1", "exam=AZ-104", "registration_id=R-2",
        "reason=\x1b]0;owned\x07", "--time", "2021-05-02",
    )  # fmt: skip
    page = door.done("history", "C-1")
    assert "\x1b" not in page
    assert "\x07" not in page
    assert r"\x1b]0;owned\x07" in page


HISTORY = """\
C-1 (instants in UTC)

    recorded    true from   event
 6  2021-07-01  2021-04-06  ExamAttempted  AZ-104  R-1
    00:00:00    09:00:00    live sitting
                            urn:vue R-1/attempted, by cli
 7  2021-07-01  2021-04-06  ExamFailed  AZ-104  R-1
    00:00:00    09:00:00    urn:vue R-1/result, by cli
 8  2021-07-01  2021-04-08  ExamAttempted  AZ-104  R-2
    00:00:00    13:30:00    live sitting
                            urn:vue R-2/attempted, by cli
 9  2021-07-01  2021-04-08  ExamFailed  AZ-104  R-2
    00:00:00    13:30:00    annulled on 2022-06-01 by desk, position 11: another
                            seat
                            urn:vue R-2/result, by cli
11  2022-06-01  2022-06-01  EventAnnulled
    00:00:00    00:00:00    annuls urn:vue R-2/result; reason another seat
                            urn:attempt-ledger:cli annul/urn:vue/R-2/result, by
                            desk

known at  2022-06-01 00:00 UTC, position 11
"""


def test_a_history_is_a_table_by_time_that_marks_what_is_annulled(door: CommandLine) -> None:
    """Both clocks, what each event says, and by whom; within 80 columns."""
    door.done("annul", "urn:vue", "R-2/result", "--reason", "another seat", "--actor", "desk")
    page = door.done("history", "C-1")
    assert page == HISTORY
    assert "annulled" not in door.done("history", "C-1", "--known-at", "@10")


def test_a_history_in_json_is_an_array_of_cloudevents_as_exported(door: CommandLine) -> None:
    """The wire form, in the order of recording."""
    events = [event for event in door.lines("export") if event["subject"] == "C-1"]
    assert door.json("history", "C-1") == events
    assert door.json("history", "C-1", "--known-at", "@6") == events[:1]
    assert door.json("history", "C-1", "--known-at", "@0") == []
    assert "Nothing was recorded by then." in door.done("history", "C-1", "--known-at", "@0")


def test_a_history_of_nobody_is_a_wrong_call(door: CommandLine) -> None:
    """And one of the future too."""
    assert "No candidate 'C-9'" in door.wrong("history", "C-9")
    assert "lies in the future" in door.wrong("history", "C-1", "--known-at", "2023-01-01")


PERSONAL = (
    "record", "ExceptionRequested", "C-1", "request_id=X-1", "exam=AZ-104", "registration_id=R-2",
    "reason=lab-crash", "first_name=Robin", "email=robin@example.org", "--id", "X-1/requested",
)  # fmt: skip


def test_personal_fields_are_sealed_unless_clear_text_is_asked_for(door: CommandLine) -> None:
    """As ciphertext in JSON, as `encrypted` in text; the key file opens them."""
    door.done(*PERSONAL)
    sealed = door.done("history", "C-1", "--format", "json")
    assert "Robin" not in sealed
    assert set(json.loads(sealed)[-1]["data"]["first_name"]) == {"ciphertext", "hmac"}
    assert "first name encrypted" in door.done("history", "C-1")
    clear = door.json("history", "C-1", "--clear")
    assert clear[-1]["data"]["first_name"] == "Robin"
    assert {**clear[-1], "data": None} == {**json.loads(sealed)[-1], "data": None}
    assert "first name Robin" in door.done("history", "C-1", "--clear")


def test_a_lost_key_file_is_said_by_who_needs_it_alone(door: CommandLine) -> None:
    """Answers need no key; clear text and new personal fields do, and nothing is lost."""
    door.done(*PERSONAL)
    (door.folder / "attempts.ledger.keys").rename("elsewhere.keys")
    assert door.json("standing", "C-1", "AZ-104", "--as-of", "2021-04-12")["status"] == "waiting"
    door.done("history", "C-1")
    before = door.done("export")
    assert "key file" in door.wrong("history", "C-1", "--clear")
    again = [word if word != "X-1/requested" else "X-1/more" for word in PERSONAL]
    assert "key file" in door.wrong(*again)
    assert door.done("export") == before
    clear = door.done("--keys", "elsewhere.keys", "history", "C-1", "--clear")
    assert "first name Robin" in clear


def test_a_wrong_key_file_is_said(door: CommandLine) -> None:
    """Another ledger's keys do not open this one's fields."""
    door.done(*PERSONAL)
    door.done("--ledger", "sqlite:///other.ledger", "init")
    door.done("--ledger", "sqlite:///other.ledger", *PERSONAL)
    said = door.wrong("--keys", "other.ledger.keys", "history", "C-1", "--clear")
    assert "other.ledger.keys" in said


def test_standard_output_is_utf_8_whatever_the_locale(door: CommandLine) -> None:
    """The same inputs give the same bytes."""
    door.sat("Ř-1", "2021-05-01T09:00:00Z")
    runner = CliRunner(charset="utf-8", env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert "Ř-1".encode() in runner.invoke(app, ["standing", "C-1", "AZ-104"]).stdout_bytes


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (["--on", "2021-04-12"], ["--as-of", "2021-04-12", "--known-at", "2021-04-12"]),
        (["--on=@3"], ["--as-of", "@3", "--known-at", "@3"]),
        (["--json"], ["--format", "json"]),
        (["--as-of", "2021-04-12 10:00 UTC"], ["--as-of", "2021-04-12T10:00:00Z"]),
        (["--as-of", "2021-04-12T10:00+02:00"], ["--as-of", "2021-04-12T08:00:00Z"]),
        (
            ["--zone", "Europe/Berlin", "--as-of", "2021-04-12T10:00"],
            ["--zone", "Europe/Berlin", "--as-of", "2021-04-12T08:00:00Z"],
        ),
        (
            ["--zone", "Europe/Berlin", "--as-of", "2021-04-12"],
            ["--zone", "Europe/Berlin", "--as-of", "2021-04-11T22:00:00Z"],
        ),
    ],
)
def test_what_people_type_is_what_it_is_short_for(
    door: CommandLine, short: list[str], long: list[str]
) -> None:
    """The same answer, or the same refusal, to the letter."""
    assert door.call("standing", "C-1", "AZ-104", *short) == door.call(
        "standing", "C-1", "AZ-104", *long
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--as-of", "2021-04-12T10:00"], "does not say its zone: write 2021-04-12T10:00Z"),
        (["--known-at", "42"], "a position is written @42"),
        (["--as-of", "2021-02-29"], "2021 has no 29 February"),
        (["--as-of", "2021-02-28T23:59:60Z"], "is a leap second"),
        (["--as-of", "2021-04-31"], "is no day of the calendar"),
        (["--as-of", "yesterday"], "'yesterday' is no instant and no date, such as"),
    ],
)
def test_what_is_missing_in_a_time_is_named(
    door: CommandLine, words: list[str], sentence: str
) -> None:
    """A zone is never guessed."""
    assert sentence in door.wrong("standing", "C-1", "AZ-104", *words)


def test_lines_are_answered_with_lines(door: CommandLine) -> None:
    """In order; each is the answer of a call of its own, a line that is no question an error."""
    asked = [
        {"candidate": "C-1", "exam": "AZ-104"},
        {"candidate": "C-1", "exam": "AZ-104", "as_of": "2021-04-12", "known_at": "@8"},
        {"candidate": "NEW-1", "exam": "AZ-700", "as_of": "2022-01-01"},
    ]
    text = "".join(json.dumps(each) + "\n" for each in asked)
    lines = door.done("standing", "--stdin", input=text).splitlines()
    for each, line in zip(asked, lines, strict=True):
        options = [
            word
            for name in ("as_of", "known_at")
            if name in each
            for word in (f"--{name.replace('_', '-')}", each[name])
        ]
        call = door.call("standing", each["candidate"], each["exam"], "--json", *options)
        assert call.out == line + "\n"


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("no JSON", "this is not JSON"),
        ("[]", "this is not a JSON object"),
        ('{"candidate": "C-1"}', "exam is missing"),
        ('{"candidate": "C-1", "exam": 104}', "exam is missing, or no text"),
        ('{"candidate": "C-1", "exam": "A", "on": "2021"}', "a question has no member on"),
        ('{"candidate": "C-1", "exam": "A", "exam": "B"}', "is there more than once"),
        ('{"candidate": "C-1", "exam": "A", "known_at": "@9999"}', "not reached yet"),
        ('{"candidate": "C-1", "exam": "A", "as_of": "noon"}', "is no instant"),
        (f'{{"candidate": "{"x" * 70_000}"}}', "longer than 65,536 bytes"),
    ],
)
def test_a_line_that_is_no_question_costs_that_line(
    door: CommandLine, line: str, error: str
) -> None:
    """One line for one line; the next is answered."""
    good = '{"candidate": "C-1", "exam": "AZ-104"}'
    answer = door.call("standing", "--stdin", input=f"{line}\n{good}\n")
    first, second = map(json.loads, answer.out.splitlines())
    assert error in first["error"]
    assert (second["candidate"], answer.code) == ("C-1", 1)


def test_candidate_and_stdin_exclude_each_other(door: CommandLine) -> None:
    """One of the two is needed."""
    for words in (("C-1", "--stdin"), ()):
        assert "CANDIDATE, or give --stdin" in door.wrong("standing", *words)


def test_an_instant_is_read_as_it_is_shown(door: CommandLine) -> None:
    """With the name of its zone behind it, by every option that takes an instant."""
    for shown in ("2021-03-01 10:00 Europe/Berlin", "2021-03-01 09:00 UTC", "2021-03-01T09:00Z"):
        answer = door.call("standing", "C-1", "AZ-104", "--as-of", shown, "--format", "json")
        assert json.loads(answer.out)["as_of"] == "2021-03-01T09:00:00Z"
    said = door.wrong("standing", "C-1", "AZ-104", "--as-of", "2021-03-01 10:00 Mars/Olympus")
    assert '"Mars/Olympus" is no time zone known here' in said
