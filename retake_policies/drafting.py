"""Write a policy file from its values, with what each means beside it, to be worked on by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from retake_policies.problems import toml_value
from retake_policies.schema import parse_policy
from retake_policies.wording import clause_texts

HEAD: Final = """\
# A draft of a retake policy. Each comment says what the line means; write the sentence of the
# handbook that it comes from in its place, and name every reading that the handbook leaves open.
# `attempt-ledger policy explain` shows what it does, `policy test` compares it with cases.
"""
_ALWAYS: Final = ("id", "title", "source", "effective_from")
_SAID_BY: Final = {"cap.sittings": "cap[{}]", "pass.retake": "pass.retake"}
"""Keys that one clause of the wording has for all of their table."""
_LISTED: Final = ("exception.reasons", "exception.required")
"""Clauses that say no more than the list itself."""


def draft(tree: Mapping[str, Any], where: str) -> str:
    """Return the text of a policy file with these values, as TOML has them.

    `where` names the file in sentences. Raises PolicyError for values that are no policy.
    """
    plain = "\n".join(_lines(tree, {}))
    meaning = clause_texts(parse_policy(plain, where))
    return f"{HEAD}\n" + "\n".join(_lines(tree, meaning)) + "\n"


def _lines(tree: Mapping[str, Any], meaning: Mapping[str, str]) -> Iterator[str]:
    for key in (key for key in tree if key in _ALWAYS):
        yield f"{key} = {toml_value(tree[key])}"
    for table in (table for table in tree if table not in _ALWAYS):
        value = tree[table]
        for number, each in enumerate(value if isinstance(value, list) else [value], start=1):
            yield ""
            yield f"[[{table}]]" if isinstance(value, list) else f"[{table}]"
            yield from _table(table, each, number, meaning)


def _table(
    table: str, values: Mapping[str, Any], number: int, meaning: Mapping[str, str]
) -> Iterator[str]:
    for key, value in values.items():
        clause = _SAID_BY.get(f"{table}.{key}", f"{table}.{key}").format(number)
        if isinstance(value, list) and f"{clause}[1]" in meaning:
            yield f"{key} = ["
            entries = [f"  {toml_value(each)}," for each in value]
            width = max(map(len, entries))
            for at, entry in enumerate(entries, start=1):
                yield f"{entry:<{width}}  # {meaning[f'{clause}[{at}]']}"
            yield "]"
        else:
            line = f"{key} = {toml_value(value)}"
            is_plain = clause in _LISTED or clause not in meaning
            yield line if is_plain else f"{line}  # {meaning[clause]}"
