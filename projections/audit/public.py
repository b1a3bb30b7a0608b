"""What an event says, without anything personal in it."""

from __future__ import annotations

import json
from typing import Any, Final

from ledger.events import EVENT_TYPES, Recorded

SEALED: Final = "sealed"
ERASED: Final = "erased"


def public_data(row: Recorded, *, erased: bool) -> str:
    """Write an event's data as compact JSON, `sealed` or `erased` in place of a personal field.

    Erased is what was sealed of a candidate who was forgotten since. Neither ciphertext nor clear
    text is in it, of whatever schema version; a field that was left out stays left out. Raises
    MalformedFact for a type or version this release does not know.
    """
    data = row.payload()
    personal = EVENT_TYPES[row.type].personal
    word = ERASED if erased else SEALED
    said = {
        name: word if value is not None and (name in personal or _is_sealed(value)) else value
        for name, value in data.items()
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def _is_sealed(value: Any) -> bool:
    return isinstance(value, dict) and "ciphertext" in value
