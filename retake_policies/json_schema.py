"""The JSON Schema of a policy file, made from its models: what an editor completes and checks.

JSON Schema cannot say everything that `parse_policy` checks: an unknown day of a calendar, or a
pair out of order. Whatever it refuses, `parse_policy` refuses too.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from retake_policies.schema import Policy
from retake_policies.zones import zone_names

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> dict[str, Any]:
    """Return the schema of a policy file; dates of TOML are checked as the texts they are."""
    made = Policy.model_json_schema(by_alias=True, schema_generator=_Generator)
    tables = made["$defs"]
    for table, conditions in _NEIGHBOURS.items():
        tables[table]["allOf"] = conditions
    tables["WaitTable"]["properties"]["zone"]["enum"] = zone_names()
    made["properties"]["cap"] |= {"contains": _ANCHORED, "minContains": 0, "maxContains": 1}
    for table in tables.values():
        table.pop("title")
    return {"$schema": DIALECT, **made, "title": "A retake policy"}


class _Generator(GenerateJsonSchema):
    """Leaves out what a TOML file cannot have, null, and names that only Python has."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def _is(key: str, *values: Any) -> dict[str, Any]:
    """Return that a key is there, and has one of these values."""
    return {"required": [key], "properties": {key: {"enum": [*values]}}}


def _where(condition: dict[str, Any], then: dict[str, Any]) -> dict[str, Any]:
    return {"if": condition, "then": then}


def _there(*keys: str) -> dict[str, Any]:
    return {"required": [*keys]}


_NO_PERIOD: Final[dict[str, Any]] = {"not": _there("period")}
_ANCHORED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["period"],
    "properties": {"anchor": {"enum": ["first-sitting", "last-sitting"]}},
}
"""A cap that has the one period that a series can have: with this anchor, or with none named."""

_NEIGHBOURS: Final[dict[str, list[dict[str, Any]]]] = {
    "WaitTable": [
        _where(
            _there("within"),
            {"required": ["after"], "properties": {"after": {"minItems": 1}}},
        )
    ],
    "Cap": [
        _where(_is("anchor", "calendar", "calendar-year"), _NO_PERIOD),
        _where(_is("anchor", "rolling"), _there("period")),
        _where(_is("anchor", "calendar"), _there("starts")),
        _where(_there("by"), _is("anchor", "rolling")),
        _where(_there("starts"), _is("anchor", "calendar")),
        _where(_there("periods"), _is("anchor", "calendar")),
        _where(_there("since"), {"not": _ANCHORED}),
    ],
    "PassTable": [
        _where(_is("retake", "after"), _there("after")),
        _where(_there("after"), _is("retake", "after")),
        _where(_there("before_expiry"), {"properties": {"retake": {"const": "after-expiry"}}}),
    ],
    "AuthorizationTable": [_where(_there("sittings"), _is("required", True))],
}
"""By table, what keys need of their neighbours, as `retake_policies.problems.misfits` says it."""
