"""Turn what pydantic finds wrong with an event's data into one sentence."""

from __future__ import annotations

import math
from collections.abc import Collection

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ledger.problems import shown


def sentence(
    error: ValidationError, *, type: str, fields: Collection[str], personal: Collection[str]
) -> str:
    """Return of `type` what is wrong, each fault once, never showing a personal value."""
    faults: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        where = str(detail["loc"][0]) if detail["loc"] else "data"
        faults.setdefault(where, _fault(detail, where, fields, where in personal))
    return f"{type}: {'; '.join(faults.values())}"


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
    # Union members put their own names at the end of a location: only the data's own path is told.
    told = [str(part) for part in loc if part not in ("int", "float", "str", "Sealed")]
    return ".".join(["data", *told])


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
