"""docs/policies.md says what the schema does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from retake_policies import shipped
from retake_policies.schema import Policy, PolicyError, parse_policy

PAGE = (Path(__file__).parent.parent / "docs/policies.md").read_text()
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Walk the schema's keys as a file spells them; a table that only holds others is left out."""
    for name, field in model.model_fields.items():
        key = above + (field.alias or name)
        kinds = (field.annotation, *get_args(field.annotation))
        tables = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not tables or not isinstance(field.annotation, type):
            yield key
        for table in tables:
            yield from keys(table, f"{key}.")


def test_every_key_has_its_row_in_the_order_of_the_schema() -> None:
    """The table of keys names each key once, and nothing else."""
    rows = re.findall(r"^\| `([a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert rows == list(keys(Policy))


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_policy(block: str) -> None:
    """A reader who copies an example has a policy."""
    parse_policy(block, "docs")


def test_the_first_example_is_the_shipped_general_policy() -> None:
    """The page shows the policy that is shipped, without its comments."""
    general = dict(shipped())["general"]
    assert parse_policy(BLOCKS[0], "").model_dump() == parse_policy(general, "").model_dump()


def test_the_sentences_shown_are_those_a_bad_file_gets() -> None:
    """What the page says of a bad file is what it is told."""
    text = 'id = "ours"\neffective_from = 2021-03-31T00:00:00\n'
    text += '[wait]\nafter = ["PT24H", "P7DT12H"]\nform = "end"\n'
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, "ours.toml")
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert sorted(shown.splitlines()) == sorted(refusal.value.problems)


def test_every_reading_a_shipped_file_refers_to_is_listed() -> None:
    """`(r4)` in a comment can be looked up."""
    referred = {ref for _, text in shipped() for ref in re.findall(r"\br\d+\b", text)}
    assert referred <= set(re.findall(r"^\| (r\d+) \|", PAGE, re.MULTILINE))
