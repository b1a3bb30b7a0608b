"""Tell a duplicate from a conflict: what differs between a fact and the one of the same key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from ledger.events import EVENT_TYPES, Fact, Recorded, Row
from ledger.instants import format_instant
from ledger.models import UPCASTS, Upcasts

SameSecret: TypeAlias = Callable[[Recorded, str, Any, Any], bool]
"""(stored, field, its stored value, the new value): do two personal values say the same?"""

_ROOM = 60


def clear_fields_alone(stored: Recorded, field: str, old: Any, new: Any) -> bool:
    """Compare no personal values: all that can be done when the key is destroyed."""
    return True


def differences(
    stored: Recorded,
    fact: Fact | Row,
    *,
    same_secret: SameSecret = clear_fields_alone,
    upcasts: Upcasts = UPCASTS,
) -> tuple[str, ...]:
    """Name what differs in type, subject, time and data, ``data.score (old 700, new 710)``.

    Empty for a duplicate. `actor` and recorded_at are no part of a fact's identity, and a schema
    version is none either: data is compared as of the current one. Personal values are told as
    ``data.email (differs)``, never shown.
    """
    row = fact.row(as_recorded=True) if isinstance(fact, Fact) else fact
    if (
        stored.data == row.data
        and stored.topic == row.topic
        and stored.occurred_at == row.occurred_at
        and stored.subject == row.stream.partition("/")[2]
    ):
        return ()
    new = Recorded(0, 0, *row)
    return tuple(_differences(stored, new, same_secret, upcasts))


def _differences(
    old: Recorded, new: Recorded, same_secret: SameSecret, upcasts: Upcasts
) -> Iterator[str]:
    if old.type != new.type:
        yield f"type (old {old.type}, new {new.type})"
    if old.subject != new.subject:
        yield f"subject (old {old.subject}, new {new.subject})"
    if old.occurred_at != new.occurred_at:
        yield (
            f"time (old {format_instant(old.occurred_at)}, new {format_instant(new.occurred_at)})"
        )
    if old.type != new.type:
        return
    personal = EVENT_TYPES[old.type].personal
    before, after = old.payload(upcasts), new.payload(upcasts)
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if name in personal:
            if was != now and not same_secret(old, name, was, now):
                yield f"data.{name} (differs)"
        else:
            yield from _values(f"data.{name}", was, now)


def _values(path: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for name in sorted(was.keys() | now.keys()):
            yield from _values(f"{path}.{name}", was.get(name), now.get(name))
    elif was != now:
        shown, other = _shown(was), _shown(now)
        if len(shown) > _ROOM or len(other) > _ROOM:
            # Long texts, such as a policy file, are shown from a little before they part.
            parted = (i for i, (a, b) in enumerate(zip(shown, other, strict=False)) if a != b)
            start = max(0, next(parted, min(len(shown), len(other))) - 20)
            shown, other = _window(shown, start), _window(other, start)
        yield f"{path} (old {shown}, new {other})"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str) and value.isprintable():
        return value
    return json.dumps(value, ensure_ascii=False)


def _window(text: str, start: int) -> str:
    head = "…" if start else ""
    tail = "…" if len(text) > start + _ROOM else ""
    return f"{head}{text[start : start + _ROOM]}{tail}"
