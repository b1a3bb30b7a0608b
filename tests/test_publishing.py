"""Publishing a policy says what it changes, and changes the past only for whoever wants that."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import CommandLine

import attempt_ledger as al
from retake_policies import shipped
from retake_policies.schema import parse_policy
from retake_policies.wording import changes

GENERAL = dict(shipped())["general"]
STRICTER = GENERAL.replace('"P14D"', '"P30D"', 1)
NEVER = 'id = "general"\neffective_from = 2030-01-01T00:00:00Z\n'


def ours(text: str, begins: str) -> str:
    """A text in force from a day."""
    head, _, tail = text.partition("effective_from = ")
    return f"{head}effective_from = {begins}T00:00:00Z\n{tail.partition(chr(10))[2]}"


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger in which C-1 failed AZ-104 three times, each time after the wait."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    for number, day in enumerate(("2022-05-01", "2022-05-03", "2022-05-18"), start=1):
        door.failed(f"R-{number}", f"{day}T09:00:00Z")
    return door


PAST = "it lies in the past: 0 standings as of today change, 1 past sitting becomes a violation"


def test_what_changes_is_said_in_plain_sentences(door: CommandLine) -> None:
    """Of a version of a later day: what differs, what is dropped; nothing is asked."""
    door.write("later.toml", NEVER)
    answer = door.call("policy", "publish", "later.toml")
    assert answer.code == 0
    lines = answer.err.splitlines()
    assert lines[0] == (
        "attempt-ledger: general, in force from 2030-01-01T00:00:00Z, differs from that of "
        "2021-03-31T00:00:00Z:"
    )
    assert any("exception.reasons is dropped: lab-crash" in line for line in lines)
    assert any("beta.results_after_live is dropped" in line for line in lines)
    assert any("cap[1] is dropped: at most 5 sittings" in line for line in lines)
    assert not any("lies in the past" in line for line in lines)


def test_a_new_policy_has_nothing_to_differ_from(door: CommandLine) -> None:
    """And changes nothing, however early it begins: no exam follows it."""
    door.write("ours.toml", ours(GENERAL, "2020-01-01").replace('"general"', '"ours"', 1))
    answer = door.call("policy", "publish", "ours.toml")
    assert answer.code == 0
    assert "ours, in force from 2020-01-01T00:00:00Z: no version of it is published" in answer.err


def test_the_past_changes_for_whoever_says_yes(door: CommandLine) -> None:
    """How much of it is said first; without --yes nothing is recorded, exit code 2."""
    door.write("past.toml", ours(STRICTER, "2021-04-01"))
    before = door.done("export")
    answer = door.call("policy", "publish", "past.toml")
    assert (answer.code, answer.out) == (2, "")
    assert f"attempt-ledger: {PAST}\n" in answer.err
    assert answer.err.endswith(
        "attempt-ledger: nothing was published: give --yes to publish it all the same\n"
    )
    assert door.done("export") == before
    answer = door.call("policy", "publish", "past.toml", "--yes")
    assert (answer.code, PAST in answer.err) == (0, True)
    assert "past.toml: 1 recorded, 0 unchanged" in answer.err
    assert "past.toml: 0 recorded, 1 unchanged" in door.call("policy", "publish", "past.toml").err


@pytest.mark.parametrize("way", ["catalogue", "record"])
def test_by_every_command(door: CommandLine, way: str) -> None:
    """`catalogue` and `record` publish policies too."""
    text = ours(STRICTER, "2021-04-01")
    door.write("past.toml", text)
    door.write("all.toml", '[[policy]]\nfile = "past.toml"\n')
    words = {
        "catalogue": ("catalogue", "all.toml"),
        "record": ("record", "PolicyPublished", "general", f"toml={text}", "--id", "P-1"),
    }[way]
    before = door.done("export")
    assert PAST in door.call(*words).err
    assert (door.call(*words).code, door.done("export")) == (2, before)
    assert door.call(*words, "--yes").code == 0
    assert door.done("export") != before


def test_from_python_too(door: CommandLine) -> None:
    """The same sentence, unless it is allowed."""
    text = ours(STRICTER, "2021-04-01")
    with al.open(door.folder / "attempts.ledger", write=True, source="urn:rules") as ledger:
        fact = al.PolicyPublished("general", toml=text, time="2022-06-01", id="P-1")
        with pytest.raises(al.LedgerProblem, match="1 past sitting becomes a violation"):
            ledger.append([fact])
        assert ledger.append([fact], change_past=True)[0].position > 0


def test_policies_are_compared_and_shown_from_files(door: CommandLine) -> None:
    """`policy diff` of ids and files, exit code 1 where they differ; `policy show` of a file."""
    door.write("ours.toml", STRICTER)
    words = "wait.after[2]: after the 2nd sitting of a series: 30 days"
    answer = door.call("policy", "diff", "general", "ours.toml")
    assert (answer.code, answer.out) == (
        1, f"{words} (was: after the 2nd sitting of a series: 14 days)\n",
    )  # fmt: skip
    assert door.done("policy", "diff", "ours.toml", "ours.toml") == ""
    assert "30 days" in door.done("policy", "show", "ours.toml")
    assert door.done("policy", "show", "ours.toml", "--format", "toml") == STRICTER
    assert "no policy 'nobodys' was published by then" in door.wrong(
        "policy", "diff", "general", "nobodys"
    )


def test_every_difference_is_a_sentence() -> None:
    """What is new, what is dropped, and what is another."""
    old, new = parse_policy(GENERAL, "old"), parse_policy(NEVER, "new")
    assert changes(old, old) == []
    assert {each.split(" ", 1)[0] for each in changes(old, new)} >= {"wait.after[1]", "cap[1]"}
    assert any(" is new: " in each for each in changes(new, old))
    assert any(" is dropped: " in each for each in changes(old, new))


def test_a_limit_that_comes_or_goes_is_one_sentence() -> None:
    """That there was none before, or is none now, is not said beside it."""
    none = 'id = "ours"\neffective_from = 2021-03-31T00:00:00Z\n'
    some = none + '[wait]\nafter = ["P14D"]\n[[cap]]\nsittings = 3\n'
    old, new = parse_policy(none, "old"), parse_policy(some, "new")
    assert changes(old, new) == [
        "wait.after[1] is new: after the 1st sitting and later ones of a series: 14 days",
        "cap[1] is new: at most 3 sittings, for life",
    ]
    assert changes(new, old) == [
        "wait.after[1] is dropped: after the 1st sitting and later ones of a series: 14 days",
        "cap[1] is dropped: at most 3 sittings, for life",
    ]
