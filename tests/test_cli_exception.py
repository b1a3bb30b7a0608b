"""`exception request|grant|reject|revoke|list` as a support agent meets them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import NOW, CommandLine

from attempt_ledger.cli.exception import Waive
from attempt_ledger.cli.exception_list import State
from projections.exceptions import STATES

LETTER = """\
registration_id = "R-2"
reason = "lab-crash"
candidate_id = "C-1"
exam_number = "AZ-104"
vue_case_number = "0815"
first_name = "Robin"
last_name = "Sample"
email = "robin.sample@example.org"
description = "The lab stopped answering."
"""
PERSONAL = ("Robin", "Sample", "robin.sample@example.org", "The lab stopped")
ASK = ("exception", "request", "C-1", "AZ-104", "--from", "letter.toml", "--request-id", "X-1")
GRANT = ("exception", "grant", "C-1", "X-1")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger in which C-1 failed AZ-104 twice within two days, and a letter that asks."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-28T09:00:00Z")
    door.failed("R-2", "2022-05-30T09:00:00Z")
    door.write("letter.toml", LETTER)
    return door


def head(door: CommandLine) -> int:
    """Count the events."""
    return len(door.lines("export"))


def said(answer: str) -> str:
    """Take the program's name off a sentence."""
    return answer.removeprefix("attempt-ledger: ").rstrip("\n")


# --- request ---------------------------------------------------------------------------------


def test_a_complete_request_is_left_open(door: CommandLine) -> None:
    """Exit code 0, one event, and the standing is as it was."""
    answer = door.call(*ASK)
    assert answer == (0, "", "attempt-ledger: X-1 is open, recorded at position 10: grant or "
                             "reject it\n")  # fmt: skip
    assert door.json("standing", "C-1", "AZ-104")["status"] == "waiting"


def test_a_request_with_something_wrong_is_rejected_and_recorded(door: CommandLine) -> None:
    """Exit code 1, everything wrong on standard error, and both events in the ledger."""
    before = head(door)
    sentence = door.refused(
        "exception", "request", "C-1", "AZ-104", "--registration", "R-9", "--reason", "bad luck",
        "--candidate-id", "C-1", "--first-name", "Robin", "--request-id", "X-1",
        "--time", "2022-05-31", "--actor", "agent-7",
    )  # fmt: skip
    why = (
        "last_name, email, exam_number, description and vue_case_number are missing; the reason "
        "bad luck is not accepted (accepted are lab-crash, internet-connectivity and "
        "equipment-failure); R-9 is no sitting of C-1 at AZ-104."
    )
    assert said(sentence) == f"X-1 is rejected, recorded at position {before + 2}: {why}"
    requested, rejected = door.lines("export", "--after", str(before))
    assert (requested["type"], rejected["type"]) == ("ExceptionRequested", "ExceptionRejected")
    for event, kind in ((requested, "requested"), (rejected, "rejected")):
        assert event["source"] == "urn:attempt-ledger:desk"
        assert event["id"] == f"exception/X-1/{kind}"
        assert event["time"] == "2022-05-31T00:00:00Z"
        assert event["recordedtime"] == requested["recordedtime"]
        assert event["actor"] == "agent-7"
    assert rejected["data"] == {
        "request_id": "X-1",
        "exam": "AZ-104",
        "missing": ["last_name", "email", "exam_number", "description", "vue_case_number"],
        "why": why,
    }


def test_an_empty_request_is_a_request(door: CommandLine) -> None:
    """Nothing but candidate and exam: the id is drawn and printed first, the rest is missing."""
    answer = door.call("exception", "request", "C-1", "AZ-104")
    assert answer.code == 1
    assert re.fullmatch(r"X-[0-9a-f]{12}\n", answer.out)
    assert f"{answer.out.strip()} is rejected" in answer.err
    assert "first_name, last_name, candidate_id, email, registration_id" in answer.err
    (listed,) = door.json("exception", "list", "C-1")
    assert listed["request_id"] == answer.out.strip()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("C-9", "AZ-104"), "No candidate 'C-9' in this ledger: nothing was recorded"),
        (("c-1", "AZ-104"), "No candidate 'c-1' in this ledger: nothing was recorded"),
        (("C-1", "az-104"), "az-104 is not in the catalogue: did you mean AZ-104?"),
        (("C-1", "NO-1"), "NO-1 is not in the catalogue"),
        (("C-1", "AZ-104", "--candidate-id", "c-1"),
         "candidate_id says c-1, not C-1: nothing was recorded"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--check",)])
def test_a_typing_error_is_recorded_by_nobody(
    door: CommandLine, words: tuple[str, ...], sentence: str, more: tuple[str, ...]
) -> None:
    """A wrong call (exit code 2): no event, and no personal field stored."""
    before = door.done("export")
    words = ("exception", "request", *words, "--first-name", "Robin", "--request-id", "X-1", *more)
    answer = door.call(*words)
    assert (answer.code, said(answer.err)) == (2, sentence)
    assert door.done("export") == before


def test_a_request_may_be_checked_first(door: CommandLine) -> None:
    """The answer it would have, and its exit code; nothing is recorded."""
    before = door.done("export")
    assert door.call(*ASK, "--check") == (0, "", "attempt-ledger: it would be left open\n")
    sentence = door.refused(*ASK, "--check", "--reason", "bad luck")
    assert said(sentence).startswith("it would be rejected: the reason bad luck is not accepted")
    assert door.done("export") == before


def test_a_template_is_the_file_to_fill_in(door: CommandLine) -> None:
    """As it is written it is a request in which all that is required is missing."""
    page = door.done("exception", "template", "AZ-104")
    assert page.startswith("# A retake exception for AZ-104, by the policy general. Fill it in, th")
    assert "# reason: lab-crash or internet-connectivity or equipment-failure\n" in page
    door.write("empty.toml", page)
    assert "are missing" in door.refused(
        "exception", "request", "C-1", "AZ-104", "--from", "empty.toml", "--check"
    )
    for line in LETTER.splitlines():
        name = line.partition(" = ")[0]
        page = re.sub(rf"^(# )?{name} = .*$", line, page, flags=re.MULTILINE)
    door.write("filled.toml", page)
    door.done("exception", "request", "C-1", "AZ-104", "--from", "filled.toml", "--check")
    assert "NO-1 is not in the catalogue" in door.wrong("exception", "template", "NO-1")


def test_options_win_over_the_file(door: CommandLine) -> None:
    """A mended field need not be mended in the file."""
    door.write("letter.toml", LETTER.replace("lab-crash", "bad luck"))
    door.done(*ASK, "--reason", "equipment-failure")
    assert door.json("exception", "list")[0]["reason"] == "equipment-failure"


def test_the_file_may_name_the_request_and_come_from_standard_input(door: CommandLine) -> None:
    """With ``-``; the id in it is taken, and so none is printed."""
    words = ("exception", "request", "C-1", "AZ-104", "--from", "-")
    answer = door.call(*words, input=f'request_id = "X-7"\nexam = "AZ-104"\n{LETTER}')
    assert (answer.code, answer.out) == (0, "")
    assert said(answer.err).startswith("X-7 is open")


def test_the_same_request_again_changes_nothing(door: CommandLine) -> None:
    """Days later, without a time: the same answer with the same exit code, and no event."""
    door.done(*ASK)
    rejected = (*ASK[:-1], "X-2", "--email", " ")
    assert "email is missing." in door.refused(*rejected)
    before = head(door)
    door.at("2022-06-05T12:00:00Z")
    assert said(door.call(*ASK).err) == "X-1 is open, as recorded before: grant or reject it"
    assert said(door.refused(*rejected)) == (
        "X-2 is rejected, as recorded before: email is missing."
    )
    assert head(door) == before


def test_a_different_request_under_the_same_id_is_refused(door: CommandLine) -> None:
    """It says what differs, of personal fields only that they do."""
    door.done(*ASK)
    before = head(door)
    sentence = door.refused(*ASK, "--email", "zebedee@example.org", "--vue-case-number", "1")
    assert said(sentence) == (
        "the request X-1 stands at position 10 already, with other fields: data.email (differs), "
        "data.vue_case_number (old 0815, new 1)"
    )
    assert head(door) == before


def test_personal_fields_reach_neither_store_nor_screen(door: CommandLine) -> None:
    """Not the file, an export, a list, an error; only --clear tells them, in both formats."""
    door.done(*ASK)
    door.refused(*ASK[:-1], "X-2", "--reason", "bad luck")
    shown = [
        door.done("export"),
        door.done("exception", "list"),
        door.done("exception", "list", "--format", "json"),
        door.refused(*ASK, "--reason", "x"),
        (door.folder / "attempts.ledger").read_bytes().decode("latin-1"),
        (door.folder / "attempts.ledger-wal").read_bytes().decode("latin-1")
        if (door.folder / "attempts.ledger-wal").exists()
        else "",
    ]
    for word in PERSONAL:
        assert not any(word in text for text in shown)
    assert "robin.sample@example.org" in door.done("exception", "list", "C-1", "--clear")
    assert door.json("exception", "list", "--clear")[0]["clear"] == {
        "first_name": "Robin",
        "last_name": "Sample",
        "email": "robin.sample@example.org",
        "description": "The lab stopped answering.",
    }
    (door.folder / "attempts.ledger.keys").unlink()
    assert "keys is missing" in door.wrong("exception", "list", "--clear", "--format", "json")
    door.done("exception", "list")


BAD_LETTERS = {
    'first_nam = "Robin"': "letter.toml: 'first_nam' is no field of a request: accepted are "
    "request_id, exam, registration_id, reason, exam_number,",
    "first_name = 17": 'letter.toml: first_name should be text in quotes: first_name = "…"',
    'first_name = ["Robin"]': "letter.toml: first_name should be text in quotes",
    "first_name = Robin": "letter.toml is not TOML: ",
    'exam = "AZ-500"': "letter.toml is a request for 'AZ-500', the call for 'AZ-104'",
    'request_id = "a\\nb"': "data.request_id should be text without control characters",
}


@pytest.mark.parametrize("letter", BAD_LETTERS)
def test_a_bad_letter_is_told_and_nothing_recorded(door: CommandLine, letter: str) -> None:
    """File, key and what would be accepted; never a value."""
    before = head(door)
    door.write("letter.toml", letter)
    sentence = door.wrong(*ASK[:-2])
    assert BAD_LETTERS[letter] in sentence
    assert "Robin" not in sentence
    assert head(door) == before


def test_a_letter_that_cannot_be_read(door: CommandLine) -> None:
    """One that is not there, and one that is not UTF-8."""
    assert door.wrong(*ASK[:4], "--from", "no.toml") == "no.toml: no such file or directory"
    door.write("letter.toml", 'first_name = "Zoë"'.encode("latin-1"))
    assert door.wrong(*ASK) == "letter.toml is not UTF-8 at byte 17"


WRONG_CALLS = {
    (
        "request",
        "C-1",
        "AZ-104",
        "--time",
        "yesterday",
    ): "--time: 'yesterday' is no instant",
    ("request", "", "AZ-104"): "subject is empty",
    ("request", "C-1", ""): "data.exam should be text that is not empty",
    ("request", "C-1", "AZ-104", "--actor", ""): "actor is empty",
    ("grant", "C-9", "X-1"): "No candidate 'C-9' in this ledger",
    ("grant", "C-1", "X-1"): "C-1 has no request X-1",
    ("revoke", "C-1", "X-1", "--reason", " "): "--reason should say why",
    ("reject", "C-1", "X-1", "--why", ""): "--why should say why",
    (
        "grant",
        "C-1",
        "X-1",
        "--valid-until",
        "soon",
    ): "--valid-until: 'soon' is no instant",
    ("list", "C-9"): "No candidate 'C-9' in ",
    ("list", "--open", "--state", "used"): "--open and --state ask for different things",
    ("list", "--known-at", "2030-01-01"): "lies in the future",
}


@pytest.mark.parametrize("words", WRONG_CALLS, ids=" ".join)
def test_a_wrong_call_is_one_sentence(door: CommandLine, words: tuple[str, ...]) -> None:
    """Exit code 2, nothing on standard output, nothing recorded."""
    before = head(door)
    assert WRONG_CALLS[words] in door.wrong("exception", *words)
    assert head(door) == before


def test_without_a_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking makes no ledger, and draws no id."""
    door = CommandLine(tmp_path, monkeypatch)
    assert "there is no ledger at" in door.wrong("exception", "request", "C-1", "AZ-104")
    assert list(tmp_path.iterdir()) == []


# --- grant, reject, revoke -------------------------------------------------------------------


def test_a_grant_frees_the_candidate(door: CommandLine) -> None:
    """By default it waives all the policy lets; the standing names it."""
    door.done(*ASK)
    assert said(door.call(*GRANT).err) == (
        "X-1 is granted, recorded at position 11: one sitting of AZ-104 skips the waiting period "
        "and the cap"
    )
    standing = door.json("standing", "C-1", "AZ-104")
    assert (standing["eligible"], standing["waived"][0]["code"]) == (True, "waiting")
    assert {"source": "urn:attempt-ledger:desk", "id": "exception/X-1/granted"} in (
        standing["waived"][0]["because"]
    )


def test_the_terms_of_a_grant(door: CommandLine) -> None:
    """What is waived, until when, since when and by whom."""
    door.done(*ASK)
    before = head(door)
    terms = ("--waive", "wait", "--valid-until", "2022-06-08", "--time", NOW, "--actor", "agent-7")
    assert said(door.call(*GRANT, *terms).err).endswith(
        ": one sitting of AZ-104 before 2022-06-08T00:00:00Z skips the waiting period"
    )
    assert said(door.call(*GRANT, *terms).err).startswith(
        "X-1 is granted already, nothing was recorded: one sitting"
    )
    (event,) = door.lines("export", "--after", str(before))
    assert (event["time"], event["actor"]) == (NOW, "agent-7")
    assert event["data"] == {
        "request_id": "X-1",
        "exam": "AZ-104",
        "waives": ["wait"],
        "valid_until": "2022-06-08T00:00:00Z",
    }
    assert "on other terms (waives wait, not wait and cap; valid until" in door.refused(*GRANT)


def test_a_request_comes_to_each_of_its_ends(door: CommandLine) -> None:
    """Rejected; granted and revoked, granted anew and used: with what is refused on the way."""
    door.done(*ASK)
    door.done(*ASK[:-1], "X-2")
    why = "the centre saw no failure"
    door.done("exception", "reject", "C-1", "X-2", "--why", why)
    assert "is rejected already" in door.call("exception", "reject", "C-1", "X-2", "--why", why).err
    assert "ask for a new exception" in door.refused("exception", "grant", "C-1", "X-2")
    assert "there is no grant to withdraw" in door.refused(
        "exception", "revoke", "C-1", "X-2", "--reason", "slip"
    )
    door.done(*GRANT)
    assert "revoke it instead" in door.refused("exception", "reject", "C-1", "X-1", "--why", why)
    door.at("2022-06-02T12:00:00Z").done("exception", "revoke", "C-1", "X-1", "--reason", "slip")
    assert not door.json("standing", "C-1", "AZ-104")["eligible"]
    door.at("2022-06-03T12:00:00Z").done(*GRANT)
    door.at("2022-06-04T12:00:00Z").failed("R-3", "2022-06-04T09:00:00Z")
    assert "X-1 was used by R-3 on 2022-06-04T09:00:00Z" in door.refused(*GRANT)
    states = {each["request_id"]: each for each in door.json("exception", "list")}
    assert (states["X-1"]["state"], states["X-1"]["used_by"]) == ("used", "R-3")
    assert (states["X-2"]["state"], states["X-2"]["why"]) == ("rejected", why)


# --- list ------------------------------------------------------------------------------------


@pytest.fixture
def listed(door: CommandLine) -> CommandLine:
    """Requests of two candidates: X-1 granted, X-2 open, X-3 of C-2 rejected."""
    door.done(*ASK)
    door.at("2022-06-02T12:00:00Z").done(*ASK[:-1], "X-2")
    door.done(*GRANT, "--waive", "wait", "--valid-until", "2022-06-20")
    door.failed("R-9", "2022-05-30T09:00:00Z", candidate="C-2")
    door.refused("exception", "request", "C-2", "AZ-104", "--request-id", "X-3")
    return door


def test_a_list_as_text(listed: CommandLine) -> None:
    """It reads well at 80 columns, candidate by candidate."""
    text = listed.done("exception", "list", "C-1")
    assert (
        text
        == """\
C-1
  X-1  AZ-104  granted 2022-06-02 12:00 UTC
       requested  2022-06-01 12:00 UTC by cli
       reason     lab-crash
       sitting    R-2
       waives     wait, until 2022-06-20 00:00 UTC
       decided    by cli
       event      urn:attempt-ledger:desk exception/X-1/requested
       event      urn:attempt-ledger:desk exception/X-1/granted
  X-2  AZ-104  open 2022-06-02 12:00 UTC
       requested  2022-06-02 12:00 UTC by cli
       reason     lab-crash
       sitting    R-2
       event      urn:attempt-ledger:desk exception/X-2/requested
"""
    )
    everyone = listed.done("exception", "list")
    assert everyone.startswith(f"{text}\nC-2\n  X-3  AZ-104  rejected 2022-06-02 12:00 UTC\n")
    assert max(map(len, everyone.splitlines())) <= 80


CHOICES: dict[tuple[str, ...], list[str]] = {
    (): ["X-1", "X-2", "X-3"],
    ("C-2",): ["X-3"],
    ("--open",): ["X-2"],
    ("--state", "granted"): ["X-1"],
    ("C-1", "--state", "rejected"): [],
    ("--exam", "AZ-104", "--state", "rejected"): ["X-3"],
    ("--exam", "AZ-500"): [],
    ("--as-of", "2022-06-02"): ["X-1"],
    ("--open", "--as-of", "2022-06-02"): ["X-1"],
    ("--known-at", "@10"): ["X-1"],
    ("--known-at", "@9"): [],
    ("--state", "expired", "--as-of", "2022-06-20"): ["X-1"],
    ("--state", "expired", "--as-of", "2022-06-19T23:59:59.999999Z"): [],
}


@pytest.mark.parametrize("words", CHOICES, ids=" ".join)
def test_what_is_listed(listed: CommandLine, words: tuple[str, ...]) -> None:
    """By candidate, exam and state, as of any date and as known at any."""
    found = listed.json("exception", "list", *words)
    assert [each["request_id"] for each in found] == CHOICES[words]


def test_nothing_to_list(listed: CommandLine) -> None:
    """An empty list is an answer, not a fault."""
    words = ("exception", "list", "--state", "used")
    assert listed.call(*words) == (0, "", "attempt-ledger: No requests.\n")
    assert listed.done(*words, "--format", "json") == "[]\n"


def test_what_is_recorded_cannot_steer_a_terminal(door: CommandLine) -> None:
    """Control characters are shown, in sentences and lists."""
    door.refused(*ASK, "--reason", "\x1b[31mred", "--description", "\x1b[31mred")
    assert "\x1b" not in door.done("exception", "list", "--clear")
    assert r"\x1b[31mred" in door.done("exception", "list", "--clear")


def test_the_choices_are_those_there_are() -> None:
    """States and waivers are written out for the shell, and the same as below the door."""
    assert tuple(State) == STATES
    assert [each.value for each in Waive] == ["wait", "cap", "passed"]


def test_the_desk_pays_for_nothing_it_does_not_use(listed: CommandLine) -> None:
    """No numba, Arrow or tables for a list; the help that lists them loads no ledger."""
    program = (
        "import sys\nfrom attempt_ledger.cli import main\n"
        "try: main.run()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    for words, expensive in (
        (["exception", "list"], {"numba", "numpy", "pyarrow", "sqlite_utils", "cryptography"}),
        (["exception", "--help"], {"ledger.ledger", "ledger.events", "replay.desk"}),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            cwd=listed.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert not expensive & set(done.stderr.splitlines()[-1].split())
