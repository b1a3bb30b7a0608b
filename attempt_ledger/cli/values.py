"""The words of a call as values: instants, moments, zones, and the data of an event."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

from attempt_ledger.cli.problems import CallProblem
from ledger.instants import parse_instant

if TYPE_CHECKING:
    from replay.snapshot import Known

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_POSITION = re.compile(r"@(\d{1,18})", re.ASCII)
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?)=(.*)", re.ASCII | re.DOTALL)


def instant(option: str, text: str) -> int:
    """Read an instant, or a date, which means its 00:00 UTC; raises CallProblem."""
    try:
        return parse_instant(whole(text))
    except ValueError as error:
        if _DATE.fullmatch(text):
            raise CallProblem(f"{option}: {text} is no day of the calendar") from None
        raise CallProblem(f"{option}: {error}, or a date such as 2021-03-15") from None


def whole(text: str) -> str:
    """Write a date as the instant it means, 00:00 UTC; leave any other text as it is."""
    return f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text


def known(text: str | None, option: str = "--known-at") -> Known:
    """Read a known_at: an instant, a date, ``@42`` for a position, None for the head."""
    from replay.snapshot import HEAD, Known

    if text is None:
        return HEAD
    if text.startswith("@"):
        return Known(position=position(option, text))
    return Known(instant=instant(option, text))


def position(option: str, text: str) -> int:
    """Read a position such as ``@42``; raises CallProblem."""
    match = _POSITION.fullmatch(text)
    if match is None:
        raise CallProblem(f"{option}: {text!r} is no position: write one such as @42")
    return int(match[1])


def zone(name: str) -> tzinfo:
    """Find a time zone by its name; raises CallProblem."""
    from retake_policies.zones import load_zone

    try:
        return load_zone(name)
    except ValueError as error:
        raise CallProblem(f"--zone: {error}") from None


def pairs(words: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` as text and ``key:=json`` as JSON; raises CallProblem."""
    data: dict[str, Any] = {}
    key = ""
    for word in words:
        match = _PAIR.fullmatch(word)
        if match is None:
            raise CallProblem(
                f"{_shown(word, key)} is no field: write key=value for text, key:=json for "
                "anything else"
            )
        key, colon, text = match.groups()
        if key in data:
            raise CallProblem(f"the field {key} is given twice")
        data[key] = _json(key, text) if colon else text
    return data


def _shown(word: str, before: str) -> str:
    """Quote a word, unless it may be a part of something personal."""
    personal = _personal()
    if before in personal:
        return f"what comes after {before}=…"
    hidden = next((name for name in personal if word.startswith(name)), None)
    return repr(word) if hidden is None else f"{hidden}… without ="


def _personal() -> frozenset[str]:
    from ledger.events import EVENTS

    return frozenset(name for event in EVENTS for name in event.personal)


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        shown = "…" if key in _personal() else text
        raise CallProblem(f"{key}:={shown} is not JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member is there twice")
    return found
