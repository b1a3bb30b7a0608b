"""What events have in common: their fields, identifiers and numbers, and their JSON."""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from ledger.instants import MAX_INSTANT, MIN_INSTANT, format_instant, parse_instant
from ledger.problems import MalformedFact, RepeatedMember, shown
from ledger.upcasts import VERSIONS, topic_of


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

_IDENTIFIER = "identifier"
_IN_COLUMNS = frozenset(("exam", "registration_id", "authorization_id", "certification"))
Code = Annotated[
    str, StringConstraints(min_length=1, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"), _IDENTIFIER
]
"""An identifier: not empty, no control characters. Of a new fact more is asked: `code_fault`."""
Text = Annotated[str, StringConstraints(min_length=1)]
Codes = Annotated[tuple[Code, ...], Field(strict=False)]
Texts = Annotated[tuple[Text, ...], Field(strict=False)]

_LARGEST = 2**53  # as far as every reader of JSON tells whole numbers apart (RFC 8259, section 6)
Number = Annotated[int | float, Field(allow_inf_nan=False, ge=-_LARGEST, le=_LARGEST)]
"""A number of a size that can be: a score."""

_MOST = 1_000_000


def _count(value: object) -> int:
    if type(value) is int and 1 <= value <= _MOST:
        return value
    raise PydanticCustomError("wanted", "a whole number from 1 to 1,000,000")


Count = Annotated[int, PlainValidator(_count)]
"""How many, at least one: the sittings that an authorization serves."""

StreamKind: TypeAlias = Literal["candidate", "exam", "certification", "policy", "any"]
Columns: TypeAlias = tuple[str | None, str | None, int | None, int | None]
"""(exam, key, flag, until): what the fold needs of the data, as typed columns."""


# Letters that are drawn as nothing (Default_Ignorable_Code_Point), besides the format characters.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2800\u3164\uffa0\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


@lru_cache(maxsize=1 << 12)
def code_fault(text: str) -> str:
    """Return what is wrong with an identifier of a new fact, "" for nothing.

    Two identifiers that look the same must be the same: no blanks at either end, and nothing that
    is not seen. What was recorded before this was asked stays readable.

    >>> code_fault("AZ-104"), code_fault("AZ-104 "), code_fault("AZ\u200b-104")
    ('', 'has blanks around it', 'holds a character that is not seen (U+200B)')
    """
    if text != text.strip():
        return "has blanks around it"
    for letter in text:
        if _IGNORABLE.match(letter) or category(letter) in _UNSEEN:
            return f"holds a character that is not seen (U+{ord(letter):04X})"
    return ""


_REFERENCE = re.compile(r"""(?:[^\s<>"{}|\\^`%\x00-\x20]|%[0-9A-Fa-f]{2})+""")


@lru_cache(maxsize=1 << 12)
def source_fault(text: str) -> str:
    """Return what is wrong with the source of a new fact, "" for nothing.

    It is a URI reference (RFC 3986); letters of every script may stand in it.

    >>> source_fault("/feeds/vue"), source_fault("our feed")
    ('', 'is no URI reference such as urn:vue')
    """
    return "" if _REFERENCE.fullmatch(text) else "is no URI reference such as urn:vue"


_URI = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"{}|\\^`\x00-\x20]+""")


def uri_fault(text: str) -> str:
    """Return what is wrong with a source that a person names, "" for nothing.

    A feed's own events may name any URI reference. Two that mean one source are easily told apart
    wrongly where one of them is just a word.

    >>> uri_fault("urn:vue"), uri_fault("vue")
    ('', "should be a URI such as urn:vue, not 'vue'")
    """
    return "" if _URI.fullmatch(text) else f"should be a URI such as urn:vue, not {shown(text)}"


def read_object(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object of an event; raises MalformedFact.

    Not a number is no number, and no object has a member twice: readers disagree which one counts.
    """
    found = parse_json(text)
    if type(found) is not dict:
        raise MalformedFact("this is not a JSON object")
    return found


def parse_json(text: str | bytes) -> Any:
    """Read JSON of others, in which no number is none and no object has a member twice.

    Raises MalformedFact, RepeatedMember for the latter.
    """
    try:
        found = from_json(text, allow_inf_nan=False)
        if type(found) is dict or type(found) is list:
            decoded = text if isinstance(text, str) else text.decode()
            # More names than members: one is there twice, or stands in a text. Which, is looked up.
            if len(_NAME.findall(decoded)) != _members(found):
                json.loads(decoded, object_pairs_hook=_each_once, parse_int=str, parse_float=str)
    except MalformedFact:
        raise
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedFact(f"this is not JSON: {error}") from None
    return found


_NAME = re.compile(r'"[ \t\r\n]*:')


def _members(value: Any) -> int:
    """Count the members of the objects in a JSON value."""
    count = len(value) if type(value) is dict else 0
    for each in value.values() if type(value) is dict else value:
        if type(each) is dict or type(each) is list:
            count += _members(each)
    return count


def _each_once(members: list[tuple[str, Any]]) -> None:
    twice = [name for name, count in Counter(name for name, _ in members).items() if count > 1]
    if twice:
        raise RepeatedMember(f"{shown(twice[0])} is there more than once in an object")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def _of_codes(annotation: Any) -> bool:
    parts = get_args(annotation)
    return _IDENTIFIER in parts or any(map(_of_codes, parts))


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
    version: ClassVar[int]
    topic: ClassVar[str]
    stream_kind: ClassVar[StreamKind] = "candidate"
    personal: ClassVar[frozenset[str]] = frozenset()
    instants: ClassVar[tuple[str, ...]] = ()
    codes: ClassVar[tuple[str, ...]] = ()
    """The fields that are identifiers, or lists of them."""
    more_codes: ClassVar[bool] = False
    """Whether there are others than `columns` lifts out."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if cls.__name__ in VERSIONS:
            cls.type, cls.version = cls.__name__, VERSIONS[cls.__name__]
            cls.topic = topic_of(cls.type)
        cls.codes = tuple(
            name
            for name, field in cls.model_fields.items()
            if _IDENTIFIER in field.metadata or _of_codes(field.annotation)
        )
        cls.more_codes = not _IN_COLUMNS.issuperset(cls.codes)

    def columns(self, subject: str) -> Columns:
        """Lift (exam, key, flag, until) out of the data."""
        return None, None, None, None

    def to_json(self) -> str:
        """Write the data as compact JSON, in the order of the fields, without absent ones."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True).decode()


# -- what pydantic finds wrong, in our words


def faults_of(
    error: ValidationError, *, fields: Collection[str], personal: Collection[str]
) -> dict[str, str]:
    """Return what is wrong with each field of an event's data, never showing a personal value."""
    faults: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        where = str(detail["loc"][0]) if detail["loc"] else "data"
        faults.setdefault(where, _fault(detail, where, fields, where in personal))
    return faults


def _fault(detail: ErrorDetails, where: str, fields: Collection[str], hide: bool) -> str:
    path = _path(detail["loc"])
    match detail["type"]:
        case "extra_forbidden" if len(detail["loc"]) == 1:
            accepted = f"its fields are {', '.join(fields)}" if fields else "it has no fields"
            return f"data.{where} is unknown ({accepted})"
        case "extra_forbidden":
            return f"{path} is unknown"
        case "missing":
            return f"{path} is missing"
        case "string_pattern_mismatch":
            wanted = "text without control characters"
        case "string_too_short":
            wanted = "text that is not empty"
        case "string_type" | "string_unicode":
            wanted = "text"
        case "int_type" | "float_type":
            wanted = "a number"
        case "greater_than_equal" | "less_than_equal" if _is_finite(detail["input"]):
            wanted = "a number of at most 16 digits"
        case "finite_number" | "greater_than_equal" | "less_than_equal":
            wanted = "a finite number"
        case "wanted":
            wanted = detail["msg"]
        case "bool_type":
            wanted = "true or false"
        case "tuple_type":
            wanted = "a list"
        case "literal_error":
            wanted = str(detail["ctx"]["expected"]).replace("'", "")
        case "value_error":
            return f"data.{where}: {detail['ctx']['error']}"
        case _:
            return f"data.{where}: {detail['msg']}"
    if hide:
        return f"data.{where} should be text, or the ciphertext and hmac that an export gives"
    return f"{path} should be {wanted}, not {shown(detail['input'])}"


def _path(loc: tuple[int | str, ...]) -> str:
    # Union members put their own names at the end of a location: only the data's own path is named.
    own = [str(part) for part in loc if part not in ("int", "float", "str", "Sealed")]
    return ".".join(["data", *own])


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
