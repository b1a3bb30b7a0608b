"""The words of a call as values: instants, moments, zones, and the data of an event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import ParamSpec, TypeVar

from attempt_ledger import moments
from attempt_ledger.cli.problems import CallProblem
from ledger.fields import uri_fault
from replay.snapshot import Known
from retake_policies.zones import load_zone

P = ParamSpec("P")
T = TypeVar("T")


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


def not_blank(option: str, text: str) -> str:
    """Return a text that says something; raises CallProblem for any other."""
    if not text.strip():
        raise CallProblem(f"{option} should say why")
    return text
