"""The OpenAPI: what generators need of it, and every operation asked by every role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import Served, example, served

from attempt_ledger.api.app import ROUTES
from attempt_ledger.api.roles import RIGHTS
from attempt_ledger.api.routes.appending import TAKEN
from attempt_ledger.api.tokens import ROLES

CHECKS: list[Any] = [
    not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history to every role."""
    with served(example(tmp_path_factory.mktemp("api"))) as it:
        for role in ROLES:
            it.token(role)
        yield it


@pytest.fixture(scope="module")
def openapi(it: Served) -> dict[str, Any]:
    described: dict[str, Any] = it.get("/openapi.json", by="reader").json()
    return described


def operations(openapi: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_operation_ids_are_the_functions_names(openapi: dict[str, Any]) -> None:
    """Each once; a route that is added gets one by itself."""
    ids = [operation["operationId"] for _, operation in operations(openapi)]
    names = [route.name for group in ROUTES for route in group.routes]  # type: ignore[attr-defined]
    assert sorted(ids) == sorted(names)
    assert len(set(ids)) == len(ids)


def test_there_are_no_twin_schemas_and_no_null_beside_a_reference(openapi: dict[str, Any]) -> None:
    """What generators stumble over."""
    assert not [
        name for name in openapi["components"]["schemas"] if name.endswith(("-Input", "-Output"))
    ]

    def look(value: Any) -> None:
        if isinstance(value, dict):
            assert "$ref" not in value or set(value) <= {"$ref", "description", "title"}, value
            assert "nullable" not in value
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(openapi)
    named = set(openapi["components"]["schemas"])
    text = json.dumps(openapi)
    assert {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]} <= named


def test_every_operation_names_its_problems_and_its_security(openapi: dict[str, Any]) -> None:
    """A problem for whatever may go wrong; a token but for what anybody may ask."""
    assert openapi["security"] == [{"bearer": []}]
    for key, operation in operations(openapi):
        if key in ("GET /healthz", "GET /readyz"):
            assert operation["security"] == []
            continue
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}, (key, status)
        assert operation["description"]


def test_every_operation_has_an_example(openapi: dict[str, Any]) -> None:
    """Of what it takes, or of what it answers; a problem's own is none."""
    schemas = openapi["components"]["schemas"]

    def exemplified(value: Any, seen: tuple[str, ...] = ("ProblemDetails",)) -> bool:
        if isinstance(value, list):
            return any(exemplified(each, seen) for each in value)
        if not isinstance(value, dict):
            return False
        if "$ref" in value:
            name = value["$ref"].rpartition("/")[2]
            return name not in seen and exemplified(schemas[name], (*seen, name))
        return any(
            name in ("example", "examples") or exemplified(each, seen)
            for name, each in value.items()
        )

    assert [key for key, operation in operations(openapi) if not exemplified(operation)] == []


def test_every_operation_by_every_role(it: Served, openapi: dict[str, Any]) -> None:
    """Whatever its schema allows: no fault, nothing undocumented, nothing that a role may not."""
    schema = schemathesis.openapi.from_dict(openapi)
    found = [
        each.ok() for each in schema.get_all_operations() if not each.ok().path.endswith("/stream")
    ]

    @seed(13)
    @settings(max_examples=120, deadline=None, database=None, suppress_health_check=[*HealthCheck])
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(found))
        role = data.draw(st.sampled_from(ROLES))
        case = data.draw(operation.as_strategy())
        headers = {"authorization": f"Bearer {it.tokens[role]}"}
        answer = case.call(base_url=it.address, headers=headers)
        key = f"{operation.method.upper()} {operation.path}"
        if key in RIGHTS and role not in RIGHTS[key].roles:
            assert answer.status_code == 403, (key, role)
        case.validate_response(answer, checks=CHECKS)

    ask()
    lines = it.call("export", "--after", "720").splitlines()
    for line in map(json.loads, lines):
        if line["type"] in TAKEN:
            assert line["actor"] == "recorder"
        else:
            assert line["actor"].split(" + ")[0] in ("officer", "admin")
