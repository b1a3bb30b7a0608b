"""What is wrong with a policy file: one sentence a fault, with key, value and remedy."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from difflib import get_close_matches
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

_LONGEST_SHOWN: Final = 60
_MOST_TOLD: Final = 100
_ANCHORED: Final = ("first-sitting", "last-sitting")


def describe(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    """Yield `key = value …; write ….` for every fault of a file that `model` refused.

    Entries of lists are counted from 1, as in the clauses of an answer. What to write is the
    field's description, unless the fault says it itself.
    """
    faults = error.errors(include_url=False, include_context=False)
    for fault in faults[:_MOST_TOLD]:
        loc = fault["loc"]
        if fault["type"] == "extra_forbidden":
            yield f"{_key(loc)} {_unknown(loc, model)}"
        elif fault["type"] == "missing":
            yield f"{_key(loc)} is missing; write {_accepted(loc, model)}."
        elif fault["type"] == "policy":
            yield f"{_key(loc)} = {_shown(fault['input'])} {fault['msg']}."
        else:
            shown = _shown(fault["input"])
            yield f"{_key(loc)} = {shown} is not accepted; write {_accepted(loc, model)}."
    if len(faults) > _MOST_TOLD:
        yield f"has {len(faults) - _MOST_TOLD:,} more faults; mend these first."


def anchored_twice(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem when several caps are anchored: a series has one period (spec section 3)."""
    caps = tree.get("cap")
    anchored = [
        f"cap[{number}]"
        for number, cap in enumerate(caps if isinstance(caps, list) else (), start=1)
        if isinstance(cap, dict)
        and "period" in cap
        and cap.get("anchor", _ANCHORED[0]) in _ANCHORED
    ]
    if len(anchored) > 1:
        yield (
            f"{' and '.join(anchored)} are all anchored at a first or last sitting; "
            'keep one, and write anchor = "rolling" or "calendar-year" in the others.'
        )


def finer_than_microseconds(text: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem when effective_from has decimals that tomllib drops without a word.

    Which of the long fractions of the text is its is found by changing half of those that may be,
    and reading again.
    """
    fractions = list(re.finditer(r"(?<=:[0-9]{2})\.[0-9]{5}([0-9])0*[1-9][0-9]*", text))

    def among(some: Sequence[re.Match[str]]) -> bool:
        changed, end = "", 0
        for fraction in some:
            changed += text[end : fraction.start(1)] + ("1" if fraction[1] == "0" else "0")
            end = fraction.end(1)
        again = tomllib.loads(changed + text[end:])
        return bool(again.get("effective_from") != tree["effective_from"])

    if "effective_from" not in tree or not fractions or not among(fractions):
        return
    while len(fractions) > 1:
        half = fractions[: len(fractions) // 2]
        fractions = half if among(half) else fractions[len(half) :]
    yield (
        f"effective_from with the decimals {fractions[0][0]} is finer than a microsecond; "
        "write at most six."
    )


def _unknown(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return of an unknown key where it belongs, or which key is most like it."""
    name = str(loc[-1])
    here = list(_keys(_table(loc[:-1], model)))
    everywhere = {"": list(_keys(model))}
    everywhere |= {f"[{key}]": list(_keys(table)) for key, table in _tables(model).items()}
    homes = [home for home, keys in everywhere.items() if name in keys]
    if homes:
        at = f"in {homes[0]}" if homes[0] else "at the top of the file, above the first table"
        return f"is no key there; write it {at}."
    near = get_close_matches(name.lower(), here, n=1)
    if near:
        return f"is no key of a policy; did you mean {_key((*loc[:-1], near[0]))}?"
    return f"is no key of a policy; write one of {', '.join(here)}."


def _accepted(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Return the description of the innermost named key of `loc`."""
    names = tuple(part for part in loc if isinstance(part, str))
    return _keys(_table(names[:-1], model))[names[-1]]


def _table(loc: tuple[int | str, ...], model: type[BaseModel]) -> type[BaseModel]:
    for part in loc:
        if isinstance(part, str):
            model = _tables(model)[part]
    return model


def _keys(model: type[BaseModel]) -> dict[str, str]:
    """Map each key of a table, as the file spells it, to what it accepts."""
    return {
        field.alias or name: field.description or "" for name, field in model.model_fields.items()
    }


def _tables(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Map the keys of `model` that hold a table, or a list of them, to that table."""
    tables: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                tables[field.alias or name] = kind
    return tables


def _key(loc: tuple[int | str, ...]) -> str:
    """Write a path as answers do: `wait.after[2]`, counted from 1."""
    key = ""
    for part in loc:
        if isinstance(part, int):
            key += f"[{part + 1}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", part) is not None
            key += ("." if key else "") + (part if bare else _quoted(part))
    return key


def _shown(value: Any) -> str:
    """Write a value much as TOML does, cut short when it is long."""
    text = _toml(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{_key((key,))} = {_toml(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, date | time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >> 256:
        return hex(value)  # its decimals may be more than Python writes
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """Quote a text; what would not print (or would steer a terminal) is escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in quoted)
