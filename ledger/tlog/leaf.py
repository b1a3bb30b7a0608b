"""An event as a leaf of the tree: a small record that commits to every column of its row."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from json.encoder import encode_basestring as quoted
from typing import Any

from ledger.tlog.verify_proof import LEAF

Values = Sequence[Any]
"""The columns of a row as `ledger.events.Recorded` has them, of whatever type they are found."""

COLUMNS = ", ".join((*list(LEAF)[1:-1], "data"))
"""The same, as SQL; not taken from there, so that a process that hashes is started quickly."""


def leaf_record(row: Values) -> bytes:
    """Lay out a row as the leaf record, version 1: one line of JSON, UTF-8.

    Integers in decimal, text quoted as RFC 8785 has it, null where a column has nothing; of `data`
    the SHA-256 of its bytes. Written out rather than left to a library, since its bytes are for
    ever. Raises TypeError, ValueError or AttributeError for values that no row of ours has.
    """
    (position, recorded_at, occurred_at, topic, stream, source, id, actor, exam, key, flag, until,
     annuls, data) = row  # fmt: skip
    return (
        f'{{"v":1,"position":{position:d},"recorded_at":{recorded_at:d}'
        f',"occurred_at":{occurred_at:d},"topic":{quoted(topic)},"stream":{quoted(stream)}'
        f',"source":{quoted(source)},"id":{quoted(id)}'
        f',"actor":{"null" if actor is None else quoted(actor)}'
        f',"exam":{"null" if exam is None else quoted(exam)}'
        f',"key":{"null" if key is None else quoted(key)}'
        f',"flag":{"null" if flag is None else format(flag, "d")}'
        f',"until":{"null" if until is None else format(until, "d")}'
        f',"annuls":{"null" if annuls is None else format(annuls, "d")}'
        f',"data_sha256":"{sha256(data.encode()).hexdigest()}"}}'
    ).encode()


def leaf_hashes(rows: Sequence[Values]) -> list[bytes]:
    """Hash rows as leaves (RFC 6962: after a zero byte). Raises what `leaf_record` raises."""
    return [sha256(b"\0" + leaf_record(row)).digest() for row in rows]


def leaf_hash_or_none(row: Values) -> bytes | None:
    """Hash a row; None if it holds what no row of ours can hold: then it is not as it was sealed.

    Such are bytes that are no text, or text where a number should be.
    """
    try:
        return sha256(b"\0" + leaf_record(row)).digest()
    except (TypeError, ValueError, AttributeError):
        return None
