"""The words of a call as values: instants, moments, zones, and the data of an event."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any, ParamSpec, TypeVar

from attempt_ledger import moments
from attempt_ledger.cli.problems import CallProblem
from ledger.fields import uri_fault
from ledger.models import EVENTS
from replay.snapshot import Known
from retake_policies.zones import load_zone

P = ParamSpec("P")
T = TypeVar("T")

_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?)=(.*)", re.ASCII | re.DOTALL)
_PERSONAL = frozenset(name for event in EVENTS for name in event.personal)


def instant(option: str, text: str, zone: tzinfo | None = None) -> int:
    """Read an instant, or a date, which means its 00:00; on a zone's clock, or UTC's for dates.

    Raises CallProblem.
    """
    return _read(moments.micros, text, option, zone)


def known(text: str | None, option: str = "--known-at", zone: tzinfo | None = None) -> Known:
    """Read a known_at: an instant, a date, ``@42`` for a position, None for the head."""
    return _read(moments.known, text, option, zone)


def position(option: str, text: str) -> int:
    """Read a position such as ``@42``; raises CallProblem."""
    return _read(moments.position, text, option)


def uri(option: str, text: str) -> str:
    """Return a source that a call names; raises CallProblem unless it is a URI."""
    if fault := uri_fault(text):
        raise CallProblem(f"{option} {fault}")
    return text


def zone(name: str) -> tzinfo:
    """Find a time zone by its name; raises CallProblem."""
    try:
        return load_zone(name)
    except ValueError as error:
        raise CallProblem(f"--zone: {error}") from None


def _read(read: Callable[P, T], *words: P.args, **more: P.kwargs) -> T:
    try:
        return read(*words, **more)
    except ValueError as error:
        raise CallProblem(str(error)) from None


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
            raise CallProblem(f"the field {key} appears twice")
        data[key] = _json(key, text) if colon else text
    return data


def _shown(word: str, before: str) -> str:
    """Quote a word, unless it may be a part of something personal."""
    if before in _PERSONAL:
        return f"what comes after {before}=…"
    hidden = next((name for name in _PERSONAL if word.startswith(name)), None)
    return repr(word) if hidden is None else f"{hidden}… without ="


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        shown = "…" if key in _PERSONAL else text
        raise CallProblem(f"{key}:={shown} is not JSON: {error}") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member is there twice")
    return found


def not_blank(option: str, text: str) -> str:
    """Return a text that says something; raises CallProblem for any other."""
    if not text.strip():
        raise CallProblem(f"{option} should say why")
    return text
