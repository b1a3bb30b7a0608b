"""`policy explain`: a policy in plain English, and what the fold answers to one candidate."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import CommandLine

from retake_policies import SHIPPED, shipped
from retake_policies.schema import parse_policy
from retake_policies.wording import clause_texts, rules_in_sentences

PROGRAMMES = Path(__file__).parents[1] / "examples/programmes"
POLICIES = [path for path in sorted(PROGRAMMES.glob("*.toml")) if ".cases." not in path.name]
HEAD = 'id = "ours"\neffective_from = 2021-03-02T00:00:00Z\n'


def calendar(door: CommandLine, text: str) -> list[tuple[str, str, str | None]]:
    """Explain a policy; return when, what and free from when, of each row."""
    door.write("ours.toml", HEAD + text)
    explained = door.json("policy", "explain", "ours.toml")
    return [(row["at"], row["happens"], row["free_from"]) for row in explained["calendar"]]


def test_the_calendar_ends_where_no_further_sitting_is_free(door: CommandLine) -> None:
    """A limit for life is the end; a pass that never is free again too."""
    found = calendar(door, '[[cap]]\nsittings = 2\n[pass]\nretake = "never"\n')
    assert found == [
        ("2022-03-01T09:00:00Z", "fail", "2022-03-01T09:00:00Z"),
        ("2022-03-02T09:00:00Z", "fail", None),
        ("2022-03-01T09:00:00Z", "pass", None),
    ]


def test_a_person_reads_sentences(door: CommandLine) -> None:
    """The rules under headings, then the calendar, in the zone of the policy."""
    page = " ".join(door.done("policy", "explain", "general").split())
    for words in (
        "General Microsoft Certification exam retake policy, in force from 2021-03-31T00:00:00Z",
        "Waits After the 1st sitting of a series: 24 hours.",
        "Limits At most 5 sittings in the 12 months from the date of the first of a series.",
        "An example, of an exam X, in the time of UTC",
        "2022-03-01 09:00 fail free from 2022-03-02 09:00 After your 1st sitting, on 2022-03-01 "
        "09:00, the wait is 24 hours, until 2022-03-02 09:00.",
    ):
        assert words in page


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_programme_is_explained(door: CommandLine, path: Path) -> None:
    """Nothing that can be published cannot be explained, and nothing is left out."""
    explained = door.json("policy", "explain", str(path))
    assert explained["calendar"]
    policy = parse_policy(path.read_bytes(), path.name)
    words = " ".join(each for rules in explained["rules"].values() for each in rules).lower()
    missing = {key for key, text in clause_texts(policy).items() if text.lower() not in words}
    waits = policy.wait.after or policy.pass_.after
    assert missing == (set() if waits else {"wait.from", "wait.days"})


def test_every_sentence_begins_and_ends_as_one() -> None:
    """A capital or a number first, a full stop last."""
    texts = [text for _, text in shipped()] + [path.read_text() for path in POLICIES]
    for text in texts:
        for sentences in rules_in_sentences(parse_policy(text, "")).values():
            for each in sentences:
                assert each[0] == each[0].upper()
                assert each.endswith(".")
                assert not each.endswith("..")


def test_shipped_policies_are_explained_by_name(door: CommandLine) -> None:
    """As `policy publish` takes them."""
    for name in SHIPPED:
        assert json.loads(door.done("policy", "explain", name, "--json"))["id"] == name


def test_a_bad_file_is_refused_in_the_words_of_policy_check(door: CommandLine) -> None:
    """One sentence a fault."""
    door.write("bad.toml", HEAD + '[wait]\nafter = ["P1DT1H"]\n')
    assert "bad.toml: wait.after[1]" in door.wrong("policy", "explain", "bad.toml")
    door.write("late.toml", 'id = "late"\neffective_from = 9999-12-31T00:00:00Z\n')
    assert "too late for an example calendar" in door.wrong("policy", "explain", "late.toml")
    assert "nowhere.toml: no such file" in door.wrong("policy", "explain", "nowhere.toml")


def test_the_calendar_fails_on_1_march_and_again_when_free(door: CommandLine) -> None:
    """Each wait once, the repeated one too; instants worked out from the rules."""
    found = calendar(
        door,
        '[wait]\nafter = ["P14D", "P60D"]\ndays = "calendar"\nzone = "America/New_York"\n'
        '[pass]\nretake = "after"\nafter = "P1Y"\n',
    )
    assert found == [
        ("2022-03-01T14:00:00Z", "fail", "2022-03-15T04:00:00Z"),
        ("2022-03-15T13:00:00Z", "fail", "2022-05-14T04:00:00Z"),
        ("2022-05-14T13:00:00Z", "fail", "2022-07-13T04:00:00Z"),
        ("2022-03-01T14:00:00Z", "pass", "2023-03-01T05:00:00Z"),
    ]


def test_the_calendar_gets_the_authorizations_that_are_needed(door: CommandLine) -> None:
    """One to begin with, a new one when it is used up."""
    found = calendar(
        door, "[authorization]\nrequired = true\nsittings = 1\n[missed]\ncounts = true\n"
    )
    assert [row for row in found if row[1] != "pass, and be certified until 2024-03-01"] == [
        ("2022-03-01T09:00:00Z", "get an authorization", "2022-03-01T09:00:00Z"),
        ("2022-03-01T09:00:00Z", "fail", None),
        ("2022-03-02T09:00:00Z", "get a new authorization", "2022-03-02T09:00:00Z"),
        ("2022-03-02T09:00:00Z", "fail", None),
        ("2022-03-03T09:00:00Z", "get a new authorization", "2022-03-03T09:00:00Z"),
        ("2022-03-01T09:00:00Z", "get an authorization", "2022-03-01T09:00:00Z"),
        ("2022-03-01T09:00:00Z", "get an authorization", "2022-03-01T09:00:00Z"),
        ("2022-03-01T09:00:00Z", "do not come", None),
    ]
