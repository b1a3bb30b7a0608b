"""`authorization grant|revoke|list`, and a consent to sit a passed exam, at the command line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from command_line import CommandLine

from attempt_ledger.cli.authorization import State
from attempt_ledger.cli.exception import Waive
from projections.authorizations import STATES
from retake_policies.schema import ExceptionTable

PMI = """
id = "pmi"
effective_from = 2020-01-01T00:00:00Z
[authorization]
required = true
sittings = 3
[exception]
waives = ["cap", "passed"]
reasons = ["consent"]
"""
CATALOGUE = """
[[exam]]
code = "PMP"
title = "Project Management Professional"
policy = "pmi"
time = 2020-01-01T00:00:00Z
[[exam]]
code = "ACP"
title = "Agile Certified Practitioner"
policy = "pmi"
time = 2020-01-01T00:00:00Z
[[policy]]
file = "pmi.toml"
"""
GRANT = ("authorization", "grant", "C-1", "PMP", "--id", "A-1")
REVOKE = ("authorization", "revoke", "C-1", "A-1", "--reason", "the fee came back")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger with two exams that need an authorization."""
    door = CommandLine(tmp_path, monkeypatch)
    door.strict = True
    door.done("init", "--bare")
    door.write("pmi.toml", PMI)
    door.write("catalogue.toml", CATALOGUE)
    door.done("catalogue", "catalogue.toml", "--yes")
    return door


def sat(door: CommandLine, reg: str, time: str, type: str = "ExamFailed") -> None:
    """Record a sitting of PMP and its result."""
    about = ("C-1", "exam=PMP", f"registration_id={reg}", "--time", time)
    door.done("record", "ExamAttempted", *about, "delivery=live", "--id", f"{reg}/attempted")
    door.done("record", type, *about, "--id", f"{reg}/result")


def status(door: CommandLine, *words: str) -> str:
    """Ask for the status of C-1 and PMP."""
    return str(door.json("standing", "C-1", "PMP", *words)["status"])


def test_an_authorization_lets_a_candidate_sit_who_was_not_known(door: CommandLine) -> None:
    """The candidate's first event may be that; it ends before --valid-until."""
    assert status(door) == "not-authorized"
    answer = door.call(*GRANT, "--valid-until", "2022-09-01", "--time", "2022-05-01")
    assert answer == (0, "", "attempt-ledger: A-1 is granted, recorded at position 4: 3 sittings "
                             "of PMP before 2022-09-01T00:00:00Z\n")  # fmt: skip
    assert status(door) == "eligible"
    assert status(door, "--as-of", "2022-04-30T23:59:59.999999Z") == "not-authorized"
    assert status(door, "--as-of", "2022-09-01") == "not-authorized"


def test_the_same_grant_again_records_nothing(door: CommandLine) -> None:
    """On the same terms; on others it is refused, with each that differs."""
    door.done(*GRANT, "--sittings", "2")
    answer = door.call(*GRANT, "--sittings", "2")
    assert answer.code == 0
    assert "A-1 is running already, nothing was recorded: 2 sittings of PMP" in answer.err
    refused = door.refused(*GRANT, "--sittings", "1", "--valid-until", "2023-01-01")
    assert "(valid_until none, not 2023-01-01T00:00:00Z; sittings 2, not 1)" in refused
    assert "revoke it to grant it anew, or give another id" in refused
    assert len(door.lines("export")) == 4


def test_without_an_id_one_is_printed_first(door: CommandLine) -> None:
    """And repeating the call with it is safe."""
    id = door.done("authorization", "grant", "C-1", "PMP").strip()
    assert id.startswith("A-")
    door.done("authorization", "grant", "C-1", "PMP", "--id", id)
    assert len(door.lines("export")) == 4


def test_a_withdrawn_authorization_may_be_granted_anew(door: CommandLine) -> None:
    """It starts afresh; withdrawn twice for one reason it is withdrawn once."""
    door.at("2022-06-01T12:00:00Z").done(*GRANT)
    door.at("2022-06-02T12:00:00Z").done(*REVOKE)
    assert status(door) == "not-authorized"
    assert "A-1 is revoked already, nothing was recorded" in door.call(*REVOKE).err
    other = door.refused("authorization", "revoke", "C-1", "A-1", "--reason", "a slip")
    assert "for another reason: the fee came back" in other
    early = door.refused(*GRANT, "--time", "2022-06-02T11:59:59Z")
    assert "A-1 was last changed on 2022-06-02T12:00:00Z" in early
    door.at("2022-06-03T12:00:00Z").done(*GRANT, "--sittings", "1")
    assert status(door) == "eligible"


def test_the_list_says_how_many_sittings_each_served(door: CommandLine) -> None:
    """For people, as JSON and as rows; in each state that there is."""
    door.at("2021-01-01T00:00:00Z").done(*GRANT, "--sittings", "1", "--reason", "approved")
    sat(door.at("2021-02-01T00:00:00Z"), "R-1", "2021-02-01")
    door.at("2021-02-02T00:00:00Z").done(
        "authorization", "grant", "C-1", "PMP", "--id", "A-2", "--valid-until", "2021-03-01"
    )
    door.at("2021-06-01T00:00:00Z").done("authorization", "grant", "C-1", "ACP", "--id", "A-3")
    door.done("authorization", "grant", "C-2", "PMP", "--id", "A-1")
    door.done("authorization", "revoke", "C-2", "A-1", "--reason", "a slip")
    every = door.json("authorization", "list")
    assert [(each["candidate"], each["authorization_id"], each["state"]) for each in every] == [
        ("C-1", "A-1", "used"),
        ("C-1", "A-2", "ended"),
        ("C-1", "A-3", "running"),
        ("C-2", "A-1", "revoked"),
    ]
    assert every[0]["served"] == every[0]["sittings"] == 1
    assert every[3]["reason"] == "a slip"
    page = door.done("authorization", "list", "C-1")
    assert "A-1  PMP  used 2021-01-01 00:00 UTC" in page
    assert "1 of 1" in page
    assert "approved" in page
    rows = list(csv.DictReader(io.StringIO(door.done("authorization", "list", "--format", "csv"))))
    assert [row["state"] for row in rows] == ["used", "ended", "running", "revoked"]
    assert [each["exam"] for each in door.json("authorization", "list", "--exam", "ACP")] == ["ACP"]
    assert len(door.json("authorization", "list", "--state", "used")) == 1
    then = door.json("authorization", "list", "C-1", "--as-of", "2021-01-31")
    assert [(each["state"], each["served"]) for each in then] == [("running", 0)]
    assert tuple(State) == STATES


WRONG = [
    (("authorization", "grant", "C-1", "PMPP"), "PMPP is not in the catalogue: did you mean PMP?"),
    (("authorization", "revoke", "C-1", "A-9", "--reason", "x"), "C-1 has no authorization A-9"),
    (("authorization", "list", "C-9"), "No candidate 'C-9' in"),
    ((*GRANT, "--sittings", "0"), "data.sittings should be a whole number from 1 to 1,000,000"),
    ((*GRANT, "--reason", " "), "--reason should say why"),
    ((*GRANT, "--time", "2022-05-01", "--valid-until", "2022-05-01"), "should lie after the time"),
]


@pytest.mark.parametrize(("words", "sentence"), WRONG)
def test_what_cannot_be_meant_is_a_wrong_call(
    door: CommandLine, words: tuple[str, ...], sentence: str
) -> None:
    """Exit code 2, one sentence, nothing recorded."""
    before = len(door.lines("export"))
    answer = door.call(*words)
    assert answer.code == 2
    assert sentence in answer.err
    assert len(door.lines("export")) == before


def test_one_id_for_two_exams_wants_the_exam_named(door: CommandLine) -> None:
    """Each is an authorization of its own."""
    door.done(*GRANT)
    door.done("authorization", "grant", "C-1", "ACP", "--id", "A-1")
    assert "has authorizations A-1 for ACP and PMP: say which exam" in door.wrong(*REVOKE)
    door.done(*REVOKE, "--exam", "ACP")
    assert status(door) == "eligible"


def test_a_consent_lets_a_passed_exam_be_taken_again(door: CommandLine) -> None:
    """Where the policy lets a pass be waived, a request may name a passed sitting."""
    assert {each.value for each in Waive} == set(
        ExceptionTable.model_fields["waives"].annotation.__args__[0].__args__  # type: ignore[union-attr]
    )
    door.done(*GRANT, "--time", "2022-01-01")
    sat(door, "R-1", "2022-02-01", "ExamPassed")
    assert status(door) == "passed"
    ask = ("exception", "request", "C-1", "PMP", "--reason", "consent", "--request-id", "X-1")
    assert "no registration_id of a failed or passed sitting" in door.refused(
        *ask[:-1], "X-0", "--registration", ""
    )
    door.done(*ask, "--registration", "R-1")
    granted = door.call("exception", "grant", "C-1", "X-1")
    assert "one sitting of PMP skips the cap and the pass that stands" in granted.err
    answer = door.json("standing", "C-1", "PMP")
    assert (answer["status"], [each["code"] for each in answer["waived"]]) == (
        "eligible",
        ["passed"],
    )


def test_a_missed_sitting_is_recorded_and_violates_nothing(door: CommandLine) -> None:
    """One that was sat without an authorization does."""
    door.done("record", "SittingMissed", "C-1", "exam=PMP", "registration_id=R-1",
              "reason=no-show", "--time", "2022-01-01", "--id", "R-1/missed")  # fmt: skip
    sat(door, "R-2", "2022-02-01")
    rows = list(csv.DictReader(io.StringIO(door.call("violations").out)))
    assert [(row["registration_id"], row["status_now"]) for row in rows] == [
        ("R-2", "not-authorized")
    ]
    (first, _) = door.json("standing", "C-1", "PMP")["sittings"]
    assert (first["registration_id"], first["outcome"], first["counted"]) == (
        "R-1",
        "missed",
        False,
    )
    assert "missed   R-1" in door.done("standing", "C-1", "PMP")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"a":' * 100_000, "cannot be read"),
        ('{"id":"a","id":"b","status":"error"}', "'id' is there more than once"),
        ('{"id":"a","status":"error","message":"one\u2028two"}', ""),
    ],
    ids=["too deep", "a member twice", "a line that is one"],
)
def test_confirmations_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    """Whatever a booking system sends; U+2028 ends no line of JSON."""
    door = CommandLine(tmp_path, monkeypatch)
    door.done("init")
    (tmp_path / "back.jsonl").write_text(line)
    answer = door.call("booking", "--confirmations", "back.jsonl")
    assert answer.code == (2 if said else 1), answer.err
    assert said in answer.err
    assert "should not have happened" not in answer.err
