"""From handbook to policy: what the guide says of its examples is what the program answers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import CommandLine

from replay.cases.check import check_cases
from replay.cases.file import Expected, read_cases
from replay.cases.lines import VERBS
from retake_policies.schema import parse_policy

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "from-handbook-to-policy.md").read_text(encoding="utf-8")
HEAD = 'id = "ours"\neffective_from = 2000-01-01T00:00:00Z\n'


def section(title: str) -> str:
    """Return a section of the page."""
    return PAGE.partition(f"\n## {title}")[2].partition("\n## ")[0]


def rows(title: str) -> list[tuple[str, str, str]]:
    """Return the rows of a section's tables: what is meant, the keys, the answer."""
    found = re.findall(r"^\| ([^|]+) \| `([^`]+)` \| ([^|]+) \|$", section(title), re.MULTILINE)
    assert found
    return found


def differences(folder: Path, policy: str, cases: str) -> list[str]:
    """Return what a policy answers otherwise than a case expects."""
    (folder / "a.cases.toml").write_text(f'[[case]]\nname = "a case"\n{cases}', encoding="utf-8")
    checked = check_cases(read_cases(folder / "a.cases.toml"), HEAD + policy, "a.toml")
    assert checked.answers
    return [f"{each.answer}: {each.found}" for each in checked.differences]


DAYS = rows('"14 days"')
MONTHS = rows('"Within 12 months"')


def test_each_meaning_has_its_row() -> None:
    """Four of 14 days (and one of a zone), five of within 12 months."""
    assert (len(DAYS), len(MONTHS)) == (5, 5)


@pytest.mark.parametrize(("meaning", "keys", "free"), DAYS)
def test_14_days_mean(tmp_path: Path, meaning: str, keys: str, free: str) -> None:
    """Free at the instant that the table names, and not a microsecond before."""
    cases = 'given = [{ failed = "X", on = 2021-03-01T10:00:00Z }]\n'
    cases += f'turns = [{{ at = {free}, before = "waiting", then = "eligible" }}]\n'
    assert differences(tmp_path, keys, cases) == []


@pytest.mark.parametrize(("meaning", "keys", "answer"), MONTHS)
def test_within_12_months_means(tmp_path: Path, meaning: str, keys: str, answer: str) -> None:
    """On 11 June 2021, after the four failures of the text."""
    days = ("2020-03-10", "2021-02-10", "2021-04-10", "2021-06-10")
    lines = [f'{{ failed = "X", on = {day}T10:00:00Z }}' for day in days]
    lines.append('{ authorized = "X", on = 2021-01-01, valid_until = 2022-01-01 }')
    asks = f'status = "cap-reached", until = {answer}'
    if answer == "eligible":
        asks = 'status = "eligible"'
    elif answer == "until a new one":
        asks = 'status = "not-authorized", until = "null"'
    cases = f"given = [{', '.join(lines)}]\nasks = [{{ as_of = 2021-06-11, {asks} }}]\n"
    assert differences(tmp_path, keys, cases) == []


def test_the_hard_paragraph_is_said_and_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of the page do what the page shows; … stands for anything."""
    door = CommandLine(tmp_path, monkeypatch)
    for name, text in re.findall(r"```toml (\S+)\n(.*?)```", PAGE, re.DOTALL):
        door.write(name, text)
    hard = (tmp_path / "hard.toml").read_text()
    door.write("elapsed.toml", hard.replace('days = "calendar"', 'days = "elapsed"'))
    codes = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for call in block.split("$ attempt-ledger ")[1:]:
            words, shown = call.split("\n", 1)
            answer = door.call(*shlex.split(words))
            codes.append(answer.code)
            pattern = re.escape(shown).replace("…", ".*")
            assert re.fullmatch(pattern, answer.out + answer.err, re.DOTALL), answer
    assert codes == [0, 0, 0, 1]


def test_the_other_examples_are_policies() -> None:
    """What is shown to be copied can be."""
    for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        assert parse_policy(text, "page").id == "ours"


def test_the_form_of_cases_is_described_whole() -> None:
    """Each verb has its row, with all that belongs to it; each part of an answer is named."""
    described = section("Case files")
    shown = dict(re.findall(r"^\| `\{ (\w+) = (.*)\|$", described, re.MULTILINE))
    assert set(shown) == set(VERBS)
    for verb, model in VERBS.items():
        fields = set(model.model_fields) - {"of"}
        row = shown["failed" if verb == "passed" else verb]
        assert {name for name in fields if not re.search(rf"\b{name}\b", row)} == set()
    for name in Expected.model_fields:
        assert f"`{name}`" in described
