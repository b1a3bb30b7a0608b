"""What the fields of events are made of, and what every event has in common."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
)

from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant, parse_instant


def _instant(value: object) -> int:
    if type(value) is str:
        return parse_instant(value)
    if type(value) is int and MIN_INSTANT <= value <= MAX_INSTANT:
        return value
    raise ValueError(
        f"{value!r} is not an RFC 3339 instant such as 2021-03-15T09:00:00Z, with years 1 to 9999"
    )


Instant = Annotated[
    int,
    PlainValidator(_instant),
    PlainSerializer(format_instant, return_type=str, when_used="json"),
]
"""Microseconds since 1970; RFC 3339 text when read from and written to JSON."""

Code = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
"""An identifier: not empty, no control characters."""
Text = Annotated[str, StringConstraints(min_length=1)]
Codes = Annotated[tuple[Code, ...], Field(strict=False)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]
Number = Annotated[int | float, Field(allow_inf_nan=False)]

StreamKind: TypeAlias = Literal["candidate", "exam", "certification", "policy", "any"]
Columns: TypeAlias = tuple[str | None, str | None, int | None, int | None]
"""(exam, key, flag, until): what the fold needs of the data, as typed columns."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _ciphertext(text: str) -> str:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) < 12 + 16:  # nonce and tag
        raise ValueError("ciphertext should be base64 of a nonce, the encrypted text and its tag")
    return text


def _hmac(text: str) -> str:
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("hmac should be 64 lower-case hexadecimal digits")
    return text


class Sealed(_Part):
    """A personal value as the store keeps it: readable only with the candidate's key."""

    ciphertext: Annotated[str, AfterValidator(_ciphertext)]
    hmac: Annotated[str, AfterValidator(_hmac)]


Personal: TypeAlias = str | Sealed
"""A personal field: plain text on its way in, sealed once it is in the store."""


class EventRef(_Part):
    """The idempotency key of another event."""

    source: Code
    id: Code


class Event(_Part):
    """The data of one event: an immutable fact, named in the past tense."""

    type: ClassVar[str]
    version: ClassVar[int] = 1
    topic: ClassVar[str]
    stream_kind: ClassVar[StreamKind] = "candidate"
    personal: ClassVar[frozenset[str]] = frozenset()
    instants: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if "type" in cls.__dict__:
            cls.topic = f"{cls.type}:{cls.version}"

    def columns(self, subject: str) -> Columns:
        """Lift (exam, key, flag, until) out of the data."""
        return None, None, None, None

    def to_json(self) -> str:
        """Write the data as compact JSON, in the order of the fields, without absent ones."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True).decode()
