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


def describe(error: ValidationError, model: type[BaseModel], of: str = "a policy") -> Iterator[str]:
    """Yield `key = value …; write ….` for every fault of a file that `model` refused.

    `of` is what the file is, for keys that it does not have.

    Entries of lists are counted from 1, as in the clauses of an answer. What to write is the
    field's description, unless the fault says it itself.
    """
    faults = error.errors(include_url=False, include_context=False)
    for fault in faults[:_MOST_TOLD]:
        loc = fault["loc"]
        if fault["type"] == "extra_forbidden":
            yield f"{_key(loc)} {_unknown(loc, model, of)}"
        elif fault["type"] == "missing":
            yield f"{_key(loc)} is missing; write {_accepted(loc, model)}."
        elif fault["type"] == "policy":
            yield f"{_key(loc)} = {_shown(fault['input'])} {fault['msg']}."
        else:
            shown = _shown(fault["input"])
            yield f"{_key(loc)} = {shown} is not accepted; write {_accepted(loc, model)}."
    if len(faults) > _MOST_TOLD:
        yield f"has {len(faults) - _MOST_TOLD:,} more faults; mend these first."


def misfits(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each key that does not fit its neighbours; it names both."""
    wait, passing, authorization = (_dict(tree.get(t)) for t in ("wait", "pass", "authorization"))
    if "within" in wait and not wait.get("after"):
        yield (
            f"wait.within = {_shown(wait['within'])} picks an entry of wait.after, which is empty; "
            "write the waits there, or leave within out."
        )
    for number, cap in _caps(tree):
        yield from _misfits_of_cap(f"cap[{number}]", cap)
    retake = passing.get("retake", "after-expiry")
    if retake == "after" and "after" not in passing:
        yield (
            'pass.retake = "after" needs pass.after; write how long after the sitting, such as '
            'after = "P2Y".'
        )
    for key, goes_with in (("after", "after"), ("before_expiry", "after-expiry")):
        if key in passing and retake != goes_with:
            yield _alone(f"pass.{key}", passing[key], "retake", (goes_with,), retake)
    if "sittings" in authorization and authorization.get("required") is not True:
        yield (
            f"authorization.sittings = {_shown(authorization['sittings'])} needs "
            "authorization.required = true; write it, or leave sittings out."
        )


def _misfits_of_cap(name: str, cap: Mapping[str, Any]) -> Iterator[str]:
    anchor = cap.get("anchor", _ANCHORED[0])
    by_calendar = anchor in ("calendar", "calendar-year")
    if by_calendar and "period" in cap:
        yield (
            f"{name}.period = {_shown(cap['period'])} does not go with anchor = {_shown(anchor)}; "
            "leave it out."
        )
    if "by" in cap and anchor != "rolling":
        yield _alone(f"{name}.by", cap["by"], "anchor", ("rolling",), anchor)
    elif "by" in cap and "period" not in cap:
        yield (
            f"{name}.by = {_shown(cap['by'])} needs {name}.period; write how long the rolling "
            'window is, such as period = "P12M".'
        )
    if anchor == "calendar" and "starts" not in cap:
        yield (
            f'{name}.anchor = "calendar" needs {name}.starts; write where its periods begin, such '
            'as starts = ["07-01"].'
        )
    for key in ("starts", "periods"):
        if key in cap and anchor != "calendar":
            yield _alone(f"{name}.{key}", cap[key], "anchor", ("calendar",), anchor)
    if "since" in cap and anchor in _ANCHORED and "period" in cap:
        goes_with = ("rolling", "calendar", "calendar-year")
        yield _alone(f"{name}.since", cap["since"], "anchor", goes_with, anchor)


def _alone(key: str, value: Any, other: str, goes_with: Sequence[str], found: Any) -> str:
    """Return that a key goes with some values of another one alone, and not with that found."""
    *others, last = map(_quoted, goes_with)
    wanted = f"{', '.join(others)} or {last}" if others else last
    return (
        f"{key} = {_shown(value)} goes with {other} = {wanted}, not with {other} = "
        f"{_shown(found)}; leave it out."
    )


def rolling_without_period(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each rolling cap that does not say how long its window is."""
    for number, cap in _caps(tree):
        if cap.get("anchor") == "rolling" and "period" not in cap and "by" not in cap:
            yield (
                f'cap[{number}].anchor = "rolling" needs cap[{number}].period; write one, such as '
                'period = "P12M", or leave anchor out for a cap for life.'
            )


def anchored_twice(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem when several caps are anchored: a series has one period (spec section 3)."""
    anchored = [
        f"cap[{number}]"
        for number, cap in _caps(tree)
        if "period" in cap and cap.get("anchor", _ANCHORED[0]) in _ANCHORED
    ]
    if len(anchored) > 1:
        yield (
            f"{' and '.join(anchored)} are all anchored at a first or last sitting; "
            'keep one, and write anchor = "rolling" or "calendar-year" in the others.'
        )


def _caps(tree: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each cap that is a table, with its number from 1."""
    caps = tree.get("cap")
    for number, cap in enumerate(caps if isinstance(caps, list) else (), start=1):
        if isinstance(cap, dict):
            yield number, cap


def _dict(table: Any) -> Mapping[str, Any]:
    return table if isinstance(table, dict) else {}


def _instants(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each instant of a policy, by its key."""
    if "effective_from" in tree:
        yield "effective_from", tree["effective_from"]
    for number, cap in _caps(tree):
        if "since" in cap:
            yield f"cap[{number}].since", cap["since"]


def finer_than_microseconds(text: str, tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield a problem for each instant with decimals that tomllib drops without a word.

    Which of the long fractions of the text is whose is found by changing some and reading again: in
    the n-th round those whose number has its n-th bit, so that few rounds tell all apart.
    """
    fractions = list(re.finditer(r"(?<=:[0-9]{2})\.[0-9]{5}([0-9])0*[1-9][0-9]*", text))

    def changed_by(some: Sequence[re.Match[str]]) -> set[str]:
        """Return the keys of the instants that these fractions are of."""
        changed, end = "", 0
        for fraction in some:
            changed += text[end : fraction.start(1)] + ("1" if fraction[1] == "0" else "0")
            end = fraction.end(1)
        again = dict(_instants(tomllib.loads(changed + text[end:])))
        return {key for key, instant in _instants(tree) if again.get(key) != instant}

    number = dict.fromkeys(changed_by(fractions), 0) if fractions else {}
    for bit in range(len(fractions).bit_length()) if number else ():
        for key in changed_by([each for n, each in enumerate(fractions) if n >> bit & 1]):
            number[key] |= 1 << bit
    for key in sorted(number):
        yield (
            f"{key} with the decimals {fractions[number[key]][0]} is finer than a microsecond; "
            "write at most six."
        )


def _unknown(loc: tuple[int | str, ...], model: type[BaseModel], of: str) -> str:
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
        return f"is no key of {of}; did you mean {_key((*loc[:-1], near[0]))}?"
    return f"is no key of {of}; write one of {', '.join(here)}."


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
    text = toml_value(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def toml_value(value: Any) -> str:
    """Write a value much as TOML does, on one line."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_key((key,))} = {toml_value(item)}" for key, item in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
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
