"""`policy test`: what a policy answers, beside what its cases expect."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import CommandLine

POLICY = """
id = "ours"
effective_from = 2020-01-01T00:00:00Z
[wait]
after = ["P14D"]
days = "calendar"
[[cap]]
sittings = 3
[exception]
waives = ["cap"]
reasons = ["board"]
"""
CASES = """
[[case]]
name = "fourteen dates after a failure"
given = [{ failed = "X", on = 2021-03-01T09:00:00Z }]
turns = [{ at = 2021-03-15, before = "waiting", then = "eligible" }]

[[case]]
name = "three tries in all"
exam = "X"
given = [
  { failed = "X", on = 2021-03-01 },
  { failed = "X", on = 2021-04-01 },
  { failed = "X", on = 2021-05-01, ended = 2021-05-01T02:00:00Z, result_at = 2021-05-03 },
  { granted = "X", on = 2021-07-01, waives = ["cap"], valid_until = 2021-08-01 },
]
asks = [
  { as_of = 2021-05-02, reasons = ["result-pending", "cap-reached", "waiting"] },
  { as_of = 2021-06-01, status = "cap-reached", until = "null", clause = "cap[1]", says = "all" },
  { as_of = 2021-07-02, status = "eligible", waived = ["cap-reached"], sittings_in_series = 3 },
  { as_of = 2021-07-02, next_change_at = 2021-08-01, period_ends_at = "null", assumed = false },
  { as_of = 2019-07-02, effective_from = 2020-01-01, assumed = true },
]
"""


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A folder with a policy and its cases; no ledger."""
    door = CommandLine(tmp_path, monkeypatch)
    door.write("ours.toml", POLICY)
    door.write("ours.cases.toml", CASES)
    return door


def test_a_policy_that_answers_as_expected_is_done(door: CommandLine) -> None:
    """No table, one sentence, exit code 0; the cases beside the policy are found by name."""
    for words in (["ours.toml", "ours.cases.toml"], ["ours.toml"], ["."]):
        answer = door.call("policy", "test", *words)
        assert (answer.code, answer.out) == (0, "")
        assert answer.err == "attempt-ledger: ours.toml: 2 cases, 8 answers, all as expected\n"
    assert [path.name for path in sorted(door.folder.iterdir())] == ["ours.cases.toml", "ours.toml"]


def test_what_differs_is_a_table(door: CommandLine) -> None:
    """One row a difference, in each form, and exit code 1."""
    door.write("ours.toml", POLICY.replace("P14D", "P15D"))
    answer = door.call("policy", "test", "ours.toml")
    assert answer.code == 1
    assert "2 cases, 8 answers, 4 differ" in answer.err
    assert "fourteen dates after a failure" in answer.out
    assert "2021-03-14T23:59:59.999999Z" in answer.out
    rows = [
        json.loads(line)
        for line in door.call("policy", "test", "ours.toml", "--format", "jsonl").out.splitlines()
    ]
    assert rows[2] == {
        "file": "ours.cases.toml",
        "case": "fourteen dates after a failure",
        "exam": "X",
        "as_of": "2021-03-15T00:00:00Z",
        "answer": "status",
        "expected": "eligible",
        "found": "waiting",
    }
    head = "file,case,exam,as_of,answer,expected,found\n"
    assert door.call("policy", "test", "ours.toml", "--format", "csv").out.startswith(head)
    for name in ("differs.csv", "differs.parquet"):
        assert door.call("policy", "test", "ours.toml", "--output", name).code == 1
    assert (door.folder / "differs.csv").read_text().startswith(head)
    assert pq.read_table(door.folder / "differs.parquet").to_pylist() == rows


def test_every_kind_of_fact_can_be_given(door: CommandLine) -> None:
    """Each verb, with what belongs to it."""
    door.write(
        "ours.cases.toml",
        """
given = [{ exam = "B", beta_opens = 2021-01-01, live = 2021-06-01, retires = 2022-01-01 }]
[[case]]
name = "every verb there is"
exam = "X"
given = [
  { attempted = "B", on = 2021-02-01, delivery = "beta", reg = "B-1" },
  { passed = "X", on = 2021-02-01, reg = "R-1" },
  { revoked = "X", on = 2021-02-02, reg = "R-1" },
  { earned = "CERT", on = 2021-02-01, expires = 2022-02-01, exams = ["X"] },
  { renewed = "CERT", on = 2021-03-01, expires = 2023-02-01 },
  { expired = "CERT", on = 2021-04-01 },
  { missed = "X", on = 2021-04-02, reg = "R-2" },
  { authorized = "X", on = 2021-04-01, id = "A", valid_until = 2022-04-01 },
  { unauthorized = "X", on = 2021-04-02, id = "A" },
  { granted = "X", on = 2021-04-01, request = "Q", waives = ["wait", "passed"] },
  { withdrawn = "X", on = 2021-04-02, request = "Q" },
]
asks = [
  { exam = "B", as_of = 2021-02-02, status = "beta-taken" },
  { as_of = 2021-02-01T12:00:00Z, status = "passed" },
  { as_of = 2021-02-03, status = "waiting", until = 2021-02-15 },
  { as_of = 2021-05-01, status = "eligible" },
]
""",
    )
    door.done("policy", "test", "ours.toml")


def test_a_case_file_names_other_versions_and_policies(door: CommandLine) -> None:
    """By the name of a file beside it, or as a text, whose id may be left out."""
    later = POLICY.replace("2020-01-01", "2022-01-01").replace("P14D", "P2D")
    door.write("later.toml", later)
    door.write(
        "ours.cases.toml",
        """
[policies]
later = "later.toml"
theirs = '''
[wait]
after = ["P3D"]
'''
[[case]]
name = "the version of the day, and another exam's policy"
given = [
  { exam = "Y", policy = "theirs" },
  { failed = "X", on = 2022-03-01 },
  { failed = "Y", on = 2022-03-01T12:00:00Z },
]
turns = [
  { exam = "X", at = 2022-03-03, before = "waiting", then = "eligible" },
  { exam = "Y", at = 2022-03-04T12:00:00Z, before = "waiting", then = "eligible" },
]
""",
    )
    door.done("policy", "test", "ours.toml")


CASE = '[[case]]\nname = "a case"\n'
WRONG = {
    "case[1].name is missing; write a sentence that says what is true.": "[[case]]\n",
    "is not TOML": "[[case]",
    "case is missing; write tables [[case]].": "",
    "case[1] asks nothing; write turns or asks.": CASE,
    'case[1].given[1] = {sat = "X"} says no fact; write one of failed, passed': CASE
    + 'given = [{ sat = "X" }]',
    'is not accepted: on = "1 March" is a text; write the instant without quotes': CASE
    + 'given = [{ failed = "X", on = "1 March" }]',
    "is not accepted: on is missing; write an instant or a date": CASE
    + 'given = [{ failed = "X" }]',
    "is not accepted: onn is no key of a line with `failed`; did you mean on?": CASE
    + 'given = [{ failed = "X", on = 2021-03-01, onn = 1 }]',
    'case[1].turns[1].then.status = "eligable" is no status; write one of eligible': CASE
    + 'turns = [{ at = 2021-03-01, before = "waiting", then = "eligable" }]',
    "case[1].turns[1].before is missing; write a status, or a table": CASE
    + 'turns = [{ at = 2021-03-01, then = "eligible" }]',
    "case[1].asks[1].untill is no key of a case file; did you mean case[1].asks[1].until?": CASE
    + "asks = [{ as_of = 2021-03-01, untill = 2021-03-01 }]",
    'case[1] names no exam; write exam = "…".': CASE
    + 'asks = [{ as_of = 2021-03-01, status = "eligible" }]',
    "case[1] (a case): ExamAttempted: data.ended_at": CASE
    + 'given = [{ failed = "X", on = 2021-03-02, ended = 2021-03-01 }]\n'
    + 'asks = [{ as_of = 2021-03-01, status = "eligible" }]',
    "case[1].given[2] says what an earlier line says; leave it out": CASE
    + 'given = [{ failed = "X", on = 2021-03-02 }, { failed = "X", on = 2021-03-02 }]\n'
    + 'asks = [{ as_of = 2021-03-01, status = "eligible" }]',
    "case[1]: X follows the policy theirs, which is not there; write one of ours.": CASE
    + 'given = [{ exam = "X", policy = "theirs" }]\n'
    + 'asks = [{ as_of = 2021-03-01, status = "eligible" }]',
    "an instant of the answer lies outside the years 1 to 9999": CASE
    + 'given = [{ failed = "X", on = 9999-12-31 }]\n'
    + 'asks = [{ as_of = 9999-12-31, status = "waiting" }]',
    "policies = {ours = 3} is no table of texts": "[policies]\nours = 3\n" + CASE,
    "nowhere.toml: no such file": '[policies]\nx = "nowhere.toml"\n' + CASE
    + 'asks = [{ as_of = 2021-03-01, exam = "X", status = "eligible" }]',
    "is not TOML: a key has more than 20 parts": f"a{'.a' * 100_000} = 1\n",
    "is not TOML: a number has more than 1,000 digits": f"a = {'9' * 5_000}\n",
    "policies.x: is not TOML": "[policies]\nx = '''\n[wait\n'''\n" + CASE
    + 'asks = [{ as_of = 2021-03-01, exam = "X" }]',
    'policies.x: wait.after[1] = "P1DT1H" mixes': "[policies]\nx = '''\n[wait]\n"
    'after = ["P1DT1H"]\n\'\'\'\n' + CASE + 'asks = [{ as_of = 2021-03-01, exam = "X" }]',
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_case_file_is_one_sentence_with_where(door: CommandLine, sentence: str) -> None:
    """File, case and line, and what would be accepted; exit code 2."""
    door.write("ours.cases.toml", WRONG[sentence])
    assert sentence in door.wrong("policy", "test", "ours.toml")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.toml"], "no such file"),
        (["empty"], "empty has no cases: their names end in .cases.toml"),
        (["empty", "ours.cases.toml"], "empty is a folder"),
        (["ours.toml", "--output", "x.pdf"], "accepted are files named .txt, .csv"),
        (["ours.toml", "--output", "ours.toml"], "ours.toml is read by this call"),
    ],
)
def test_a_wrong_call_is_one_sentence(door: CommandLine, words: list[str], sentence: str) -> None:
    """Nothing is tested, and nothing is written."""
    (door.folder / "empty").mkdir()
    assert sentence in door.wrong("policy", "test", *words)
    assert (door.folder / "ours.toml").read_text() == POLICY
