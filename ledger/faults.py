"""What pydantic finds wrong with a value from outside, in our words, for every door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fault_words(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a value, of one of a ValidationError's errors.

    The value is left out: it may be personal.
    """
    bound = fault.get("ctx", {})
    match fault["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is unknown"
        case "string_too_short":
            return "is empty"
        case "string_pattern_mismatch":
            return "is blank"
        case "string_too_long":
            return f"should have at most {bound['max_length']:,} characters"
        case "too_short":
            least = bound["min_length"]
            return f"should have {least:,} item{'' if least == 1 else 's'} or more"
        case "too_long":
            return f"should have at most {bound['max_length']:,} items"
        case "greater_than_equal":
            return f"should be {bound['ge']:,} or more"
        case "less_than_equal":
            return f"should be {bound['le']:,} or less"
        case "greater_than":
            return f"should be more than {bound['gt']:,}"
        case "less_than":
            return f"should be less than {bound['lt']:,}"
        case "literal_error":
            return f"should be {bound['expected']}"
        case "union_tag_not_found":
            return f"{bound['discriminator']} is missing"
        case "union_tag_invalid":
            return f"{bound['discriminator']} should be one of {bound['expected_tags']}"
        case "value_error":
            return str(bound["error"])
    return _of_type(str(fault["type"])) or _bare(str(fault["msg"]))


_TYPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
    "model": "an object",
}


def _of_type(type: str) -> str | None:
    """Return what should stand there instead, of faults such as ``int_parsing``."""
    kind, _, rest = type.partition("_")
    wanted = rest in ("type", "parsing", "from_float", "number", "unicode", "attributes_type")
    return f"should be {_TYPES[kind]}" if wanted and kind in _TYPES else None


def _bare(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]
