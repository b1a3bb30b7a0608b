"""Exceptions: each request with what was decided, and the sitting that used its grant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from projections.exceptions import EXCEPTION_TYPES, GRANTED, REJECTED, REQUESTED, REVOKED
from projections.tables import EXCEPTIONS
from replay.read_model.batch import NO_ROW, Given, rows_of
from replay.read_model.sittings import Sittings


def exceptions(given: Given, found: Sittings) -> pa.Table:
    """Return a row for each (candidate, exam, request_id) that exceptions speak of.

    What holds is what `projections.exceptions.decide` says, but for the clock: of a grant the
    table tells until when it is valid, not whether it has run out.
    """
    number, names = given.types()
    numbers = [n for n, name in enumerate(names) if name in EXCEPTION_TYPES]
    facts = np.flatnonzero(np.isin(number, numbers) & ~np.isin(given.positions, given.annulled))
    facts = facts[np.argsort(given.numbers("occurred_at")[facts], kind="stable")]
    told: dict[tuple[str, str, str], dict[str, int]] = {}
    texts = [given.table[name].take(pa.array(facts)).to_pylist() for name in _KEY]
    group = given.groups_at(given.candidates(facts), given.exam_numbers(texts[1]))
    groups: dict[tuple[str, str, str], int] = {}
    for fact, sat, *named in zip(facts.tolist(), group.tolist(), *texts, strict=True):
        key = (named[0], named[1], named[2])
        groups[key] = sat
        last = told.setdefault(key, {})
        type = names[number[fact]]
        last.pop(type, None)
        last[type] = fact  # in the order in which the last of each type came
    return rows_of(
        EXCEPTIONS, [_row(given, found, groups[key], key, last) for key, last in told.items()]
    )


_KEY = ("candidate", "exam", "key")


def _row(
    given: Given, found: Sittings, group: int, key: tuple[str, str, str], last: dict[str, int]
) -> dict[str, Any]:
    said = {type: given.payload(fact) for type, fact in last.items()}
    asked, granted = said.get(REQUESTED, {}), said.get(GRANTED, {})
    decision, by = _decided(last)
    row: dict[str, Any] = {
        "candidate": key[0],
        "exam": key[1],
        "request_id": key[2],
        "decision": decision,
        "registration_id": asked.get("registration_id"),
        "reason": asked.get("reason"),
        "requested_at": _time(given, last.get(REQUESTED)),
        "decided_at": _time(given, by),
        "decided_by": None if by is None else int(given.positions[by]),
        "waives": _joined(granted.get("waives"), " "),
        "valid_until": _until(given, last.get(GRANTED)),
    }
    if decision == "rejected":
        row |= {
            "missing": _joined(said[REJECTED].get("missing"), ","),
            "why": said[REJECTED].get("why"),
        }
    elif decision == "revoked":
        row["why"] = said[REVOKED].get("reason")
    elif decision == "granted":
        row |= _use(given, found, group, last[GRANTED], row["valid_until"])
    return row


def _decided(last: dict[str, int]) -> tuple[str, int | None]:
    """Say what was decided, and by which fact: the last of grant and revocation, if any, holds."""
    order = list(last)
    grants = [type for type in order if type in (GRANTED, REVOKED)]
    if grants:
        return ("granted" if grants[-1] == GRANTED else "revoked"), last[grants[-1]]
    return ("rejected", last[REJECTED]) if order[-1] == REJECTED else ("open", None)


def _use(
    given: Given, found: Sittings, group: int, grant: int, until: int | None
) -> dict[str, Any]:
    """Say which sitting used a grant: the first counted one since, if the grant was still valid."""
    if group == NO_ROW:
        return {}
    lo, hi = np.searchsorted(found.group, [group, group + 1])
    since = _time(given, grant)
    counted = (found.ordinal[lo:hi] > 0) & (found.start[lo:hi] >= since)
    if not counted.any():
        return {}
    s = lo + int(np.argmax(counted))
    start = int(found.start[s])
    if until is not None and start >= until:
        return {}
    opened = np.asarray(given.part.sittings.position)[found.row[s : s + 1]]
    return {"used_at": start, "used_by": given.table["key"][int(given.at(opened)[0])].as_py()}


def _time(given: Given, fact: int | None) -> int | None:
    return None if fact is None else int(given.table["occurred_at"][fact].as_py())


def _until(given: Given, fact: int | None) -> int | None:
    return None if fact is None else given.table["until"][fact].as_py()


def _joined(names: Iterable[str] | None, by: str) -> str | None:
    return by.join(names) or None if names else None
