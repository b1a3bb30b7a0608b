"""The JSON Schema of policy files accepts every policy there is, and refuses what is wrong."""

from __future__ import annotations

import json
import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from command_line import CommandLine
from jsonschema import Draft202012Validator

from retake_policies import shipped
from retake_policies.json_schema import policy_schema
from retake_policies.schema import Policy, PolicyError, parse_policy

HERE = Path(__file__).parent
PROGRAMMES = HERE.parent / "examples/programmes"
POLICIES = [path for path in sorted(PROGRAMMES.glob("*.toml")) if ".cases." not in path.name]
SCHEMA = policy_schema()
CHECKER = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)

NOT_TOML = {
    "byte_order_mark",
    "day_that_does_not_exist",
    "key_given_twice",
    "key_of_a_thousand_parts",
    "not_toml",
    "not_utf8",
    "number_in_hexadecimal",  # of more digits than a schema's checker writes down
    "number_of_5000_digits",
    "policy_longer_than_64_KiB",
}
"""Files that an editor reads no values from, or that TOML itself refuses."""

BEYOND = {
    "beta_results_out_of_order",
    "beta_results_out_of_order_across_kinds",
    "effective_from_before_year_1",
    "effective_from_quoted",
    "effective_from_too_fine",
    "since_too_fine",
    "starts_out_of_order",
    "starts_without_quotes",
    "wait_of_a_century_and_more",
}
"""What JSON Schema cannot say: an order, a length in other units, and what TOML wrote as a date."""


def as_json(value: Any) -> Any:
    """Return TOML's values as an editor hands them to a schema: dates are texts."""
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else value


def faults(text: str) -> list[str]:
    """Return what the schema finds wrong with a policy's text."""
    return [error.message for error in CHECKER.iter_errors(as_json(tomllib.loads(text)))]


def test_the_schema_is_one() -> None:
    """Of draft 2020-12, with a description for every key of every table."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["required"] == ["id", "effective_from"]
    names = {field.alias or name for name, field in Policy.model_fields.items()}
    assert set(SCHEMA["properties"]) == names
    tables = [SCHEMA, *SCHEMA["$defs"].values()]
    assert [key for table in tables for key, field in table["properties"].items()
            if not field.get("description")] == []  # fmt: skip
    assert all(table["additionalProperties"] is False for table in tables)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_programme_is_accepted(path: Path) -> None:
    """What is sound is not marked in an editor."""
    assert faults(path.read_text()) == []


def test_every_shipped_policy_is_accepted() -> None:
    """The three that come with the program."""
    assert [faults(text) for _, text in shipped()] == [[], [], []]


def test_bad_policies_are_refused() -> None:
    """All but those whose fault JSON Schema cannot say, which are named here."""
    passed = {
        path.stem
        for path in sorted((HERE / "bad_policies").glob("*.toml"))
        if path.stem not in NOT_TOML and CHECKER.is_valid(as_json(tomllib.loads(path.read_text())))
    }
    assert passed == BEYOND


HEAD = 'id = "ours"\neffective_from = 2021-03-31T00:00:00Z\n'


@pytest.mark.parametrize(
    "text",
    [
        '[wait]\nwithin = "P12M"',
        '[wait]\nafter = []\nwithin = "P12M"',
        '[[cap]]\nsittings = 1\nby = "date"',
        '[[cap]]\nsittings = 1\nanchor = "rolling"',
        '[[cap]]\nsittings = 1\nanchor = "calendar"',
        '[[cap]]\nsittings = 1\nanchor = "calendar"\nstarts = ["07-01"]\nperiod = "P1Y"',
        '[[cap]]\nsittings = 1\nanchor = "calendar"\nstarts = ["07-01", "2021-01-01"]',
        '[[cap]]\nsittings = 1\nanchor = "calendar"\nstarts = ["02-29"]',
        "[[cap]]\nsittings = 1\nperiods = 2",
        '[[cap]]\nsittings = 1\nperiod = "P1Y"\nsince = 2019-09-01T00:00:00Z',
        '[[cap]]\nsittings = 1\nperiod = "P1Y"\n[[cap]]\nsittings = 2\nperiod = "P2Y"',
        '[pass]\nretake = "after"',
        '[pass]\nafter = "P2Y"',
        '[pass]\nretake = "never"\nbefore_expiry = "P60D"',
        '[pass]\nretake = "after"\nafter = "P0D"',
        "[authorization]\nsittings = 3",
        "[authorization]\nrequired = false\nsittings = 3",
        '[wait]\nzone = "Europe/Berlim"',
    ],
)
def test_a_key_that_does_not_fit_its_neighbours_is_refused(text: str) -> None:
    """By the schema, as by `policy check`."""
    with pytest.raises(PolicyError):
        parse_policy(HEAD + text, "ours.toml")
    assert faults(HEAD + text)


def test_the_command_writes_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To standard output, or a file, which is replaced by the next one."""
    door = CommandLine(tmp_path, monkeypatch)
    assert json.loads(door.done("policy", "schema")) == SCHEMA
    for _ in range(2):
        door.done("policy", "schema", "--output", "policy.schema.json")
    assert json.loads((tmp_path / "policy.schema.json").read_text()) == SCHEMA
