"""What a Python program passes to this door, checked at the call: each refusal is one sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T")


def text(name: str, value: object) -> str:
    """Return what should be text that is not empty; raises TypeError for anything else."""
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name} should be text that is not empty, not {value!r}")
    return value


def text_or_none(name: str, value: object) -> str | None:
    """Return what should be text, or None for what is left out."""
    return None if value is None else text(name, value)


def words(name: str, value: object) -> str:
    """Return what should be text that says something; raises TypeError for blanks alone too."""
    if not text(name, value).strip():
        raise TypeError(f"{name} should be text that is not blank, not {value!r}")
    return str(value)


def several(name: str, values: object) -> Iterable[object]:
    """Return what should be several values, which one text is not; raises TypeError."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{name} should be a list or another iterable, not {values!r}")
    return values


def texts(name: str, values: object) -> list[str]:
    """Return what should be several texts; raises TypeError."""
    return [text(name, value) for value in several(name, values)]


def pair(value: object) -> tuple[str, str]:
    """Return what should be a candidate and an exam; raises TypeError."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise TypeError(f"a pair is (candidate, exam), not {value!r}")
    return value[0], value[1]


def path(name: str, value: object) -> str:
    """Return what should be the path of a file, or a URL, as text; raises TypeError."""
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(found, str) or not found:
        raise TypeError(f"{name} should be a path, as text or a pathlib.Path, not {value!r}")
    return found


def path_or_none(name: str, value: object) -> str | None:
    """Return what should be a path, or None for what is left out."""
    return None if value is None else path(name, value)


def flag(name: str, value: object) -> bool:
    """Return what should be True or False; raises TypeError, for "no" too, which is true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} should be True or False, not {value!r}")
    return value


def seconds(name: str, value: object) -> float:
    """Return what should be seconds, from 0; raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise TypeError(f"{name} should be seconds, from 0, not {value!r}")
    return value


def position(name: str, value: object) -> int:
    """Return what should be a position, a whole number from 0; raises TypeError."""
    if type(value) is not int or value < 0:
        raise TypeError(f"{name} should be a position, from 0, not {value!r}")
    return value


def one_of(name: str, value: T, accepted: Sequence[T]) -> T:
    """Return what should be one of a few; raises ValueError."""
    if value not in accepted:
        raise ValueError(f"{name} should be one of {', '.join(map(str, accepted))}, not {value!r}")
    return value


def function(name: str, value: F) -> F:
    """Return what should be a function; raises TypeError."""
    if not callable(value):
        raise TypeError(f"{name} should be a function, not {value!r}")
    return value
