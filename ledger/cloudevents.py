"""CloudEvents 1.0 JSON, in and out: how an event travels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from json.encoder import encode_basestring as quoted
from typing import Any

from ledger.events import BACKFILL, MARK, Recorded
from ledger.facts import UNCLEAN, Fact
from ledger.fields import Sealed, read_object
from ledger.instants import format_instant, parse_instant
from ledger.models import EVENTS, event_class, make_event
from ledger.problems import MalformedFact, printable, shown
from ledger.upcasts import UPCASTS, Upcasts

MEMBERS = (
    "specversion",
    "type",
    "source",
    "id",
    "subject",
    "time",
    "recordedtime",
    "sequence",
    "actor",
    "dataschema",
    "datacontenttype",
    "data",
)
"""Every member that has a meaning here; spec section 2 gives their order on the way out.

Others are extension attributes, kept and handed back, if they are named as CloudEvents 1.0.2 says.
"""

_NEEDED = ("specversion", "type", "source", "id", "subject", "time")
_KNOWN = frozenset(MEMBERS)
_EXTENSION = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_NO_EXTENSIONS = frozenset(("problem",))  # what a rejects file says of a line is no part of it
_MOST_BYTES = 16_384
_INTEGER = 1 << 31
_OWN_SCHEMA = "urn:attempt-ledger:"
_SCHEMA = re.compile(r"urn:attempt-ledger:([^:]+):(\d{1,9})", re.ASCII)


def parse_line(line: str | bytes, *, upcasts: Upcasts = UPCASTS) -> Fact:
    """Read one CloudEvents JSON object as a fact.

    `sequence` is ignored. `recordedtime` is kept in the fact if it is an instant, and never
    refused here: only an append with keep_recorded_at looks at it. ``null`` says the same as an
    absent member. Raises MalformedFact, one sentence that names the member and what it should be.
    """
    envelope = read_object(line)
    extensions = {name: envelope[name] for name in envelope.keys() - _KNOWN}
    for name in _NEEDED:
        value = envelope.get(name)
        if type(value) is not str or not value:
            raise MalformedFact(_needed(name, envelope))
    if envelope["specversion"] != "1.0":
        raise MalformedFact(f"specversion should be 1.0, not {envelope['specversion']!r}")
    actor = envelope.get("actor")
    if actor is not None and (type(actor) is not str or not actor):
        raise MalformedFact(f"actor should be text that is not empty, not {actor!r}")
    if envelope.get("datacontenttype") not in (None, "application/json"):
        raise MalformedFact(
            f"datacontenttype should be application/json, not {envelope['datacontenttype']!r}"
        )
    try:
        time = parse_instant(envelope["time"])
    except ValueError as error:
        raise MalformedFact(f"time: {error}") from None
    data = envelope.get("data")
    if data is None:
        data = {}
    elif type(data) is not dict:
        raise MalformedFact("data should be a JSON object")

    type_ = envelope["type"]
    schema = envelope.get("dataschema")
    if isinstance(schema, str) and not schema.startswith(_OWN_SCHEMA):
        schema, extensions["dataschema"] = None, schema  # somebody else's, of the same data
    version = _version(type_, schema)
    event = make_event(type_, data, version, upcasts=upcasts)
    original = None if version in (None, event.version) else (f"{type_}:{version}", _compact(data))
    fact = Fact(
        envelope["source"],
        envelope["id"],
        envelope["subject"],
        time,
        event,
        actor,
        _recorded(envelope.get("recordedtime")),
        original,
        extensions_of(extensions) if extensions else None,
    )
    fact.check_envelope()
    return fact


def extensions_of(attributes: Mapping[str, Any]) -> str | None:
    """Write extension attributes as they are kept; None for none (``null`` is as good as absent).

    Named and typed as CloudEvents 1.0.2 says: text without control characters, true or false, whole
    numbers of 32 bits; at most 16,384 bytes in all. Raises MalformedFact.

    >>> extensions_of({"traceparent": "00-4bf9", "hops": 3, "none": None})
    '{"hops":3,"traceparent":"00-4bf9"}'
    """
    kept = {name: attributes[name] for name in sorted(attributes) if attributes[name] is not None}
    for name, value in kept.items():
        if _EXTENSION.fullmatch(name) is None or name in _NO_EXTENSIONS:
            raise MalformedFact(
                f"{printable(name)} is no member of an event here: accepted are "
                f"{', '.join(MEMBERS)}, and extension attributes named by a-z and 0-9"
            )
        if not (
            type(value) is bool
            or (type(value) is int and -_INTEGER <= value < _INTEGER)
            or (type(value) is str and not UNCLEAN.search(value))
        ):
            raise MalformedFact(
                f"{name} is no extension attribute, which is text, true, false or a whole number "
                f"of 32 bits, not {shown(value)}"
            )
    text = _compact(kept)
    if len(text.encode()) > _MOST_BYTES:
        raise MalformedFact(f"its extension attributes take up more than {_MOST_BYTES:,} bytes")
    return text if kept else None


def backfilled(extensions: str | None) -> str:
    """Return extension attributes with the mark of what is moved in as a migration.

    >>> backfilled(None), backfilled('{"traceparent":"00-4bf9"}')
    ('{"backfill":true}', '{"backfill":true,"traceparent":"00-4bf9"}')
    """
    if extensions is None:
        return f"{{{MARK}}}"
    marked = extensions_of({**json.loads(extensions), BACKFILL: True})
    assert marked is not None
    return marked


def to_cloudevent(recorded: Recorded) -> str:
    """Write a recorded event as one line of CloudEvents JSON, without the line's end.

    Members in the order of spec section 2. `actor` is left out when there is none, `dataschema`
    (just before `data`) when the schema version is 1; extension attributes come before both. The
    data goes out as it is stored: personal fields as ciphertext.
    """
    return next(to_cloudevents((recorded,)))


def to_cloudevents(events: Iterable[Recorded]) -> Iterator[str]:
    """Write recorded events as `to_cloudevent` does, what neighbours have in common but once."""
    parts: dict[str, tuple[str, str]] = {}
    known_at, known = None, ""
    for event in events:
        position, recorded_at, time, topic, stream, source, id, actor, _, _, _, _, _, data, more = (
            event
        )
        if topic not in parts:
            parts[topic] = _parts_of(topic)
        opening, schema = parts[topic]
        if recorded_at != known_at:  # one for all of a transaction
            known_at, known = recorded_at, format_instant(recorded_at)
        by = "" if actor is None else f',"actor":{quoted(actor)}'
        if more is not None:
            by = f"{by},{more[1:-1]}"
        yield (
            f'{opening}{quoted(source)},"id":{quoted(id)}'
            f',"subject":{quoted(stream[stream.index("/") + 1 :])}'
            f',"time":"{format_instant(time)}","recordedtime":"{known}"'
            f',"sequence":"{position:020d}"{by}{schema},"data":{data}}}'
        )


def without_personal(recorded: Recorded) -> Recorded:
    """Leave out its personal fields, ciphertext and all; the rest of the data stays as it is."""
    if recorded.type not in _PERSONAL:
        return recorded
    # Of an older schema version a personal field may have had another name, but it is sealed.
    data = recorded.stored()
    kept = {
        name: value
        for name, value in data.items()
        if name not in _PERSONAL[recorded.type] and not _is_sealed(value)
    }
    return recorded if len(kept) == len(data) else recorded._replace(data=_compact(kept))


def _parts_of(topic: str) -> tuple[str, str]:
    """Write what all events of a topic have in common: their beginning, and their dataschema."""
    type_, _, version = topic.partition(":")
    schema = "" if version == "1" else f',"dataschema":"urn:attempt-ledger:{type_}:{version}"'
    return f'{{"specversion":"1.0","type":"{type_}","source":', schema


_PERSONAL = {event.type: event.personal for event in EVENTS if event.personal}


def _is_sealed(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == Sealed.model_fields.keys()


def _needed(name: str, envelope: dict[str, Any]) -> str:
    value = envelope.get(name)
    if value is None:
        return f"{name} is missing"
    return f"{name} should be text that is not empty, not {value!r}"


def _version(type_: str, schema: object) -> int | None:
    if schema is None:
        return None if event_class(type_).version == 1 else 1
    match = _SCHEMA.fullmatch(schema) if isinstance(schema, str) else None
    if match is None or match[1] != type_:
        raise MalformedFact(
            f"dataschema should be urn:attempt-ledger:{type_}:<version>, not {schema!r}"
        )
    return int(match[2])


def _recorded(text: object) -> int | None:
    if type(text) is not str:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        return None


def _compact(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
