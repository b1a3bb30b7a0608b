"""A Python client that a generator makes of /openapi.json, used against the real server."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from datamodel_code_generator import DataModelType, InputFileType, PythonVersion, generate
from datamodel_code_generator.format import Formatter
from pydantic import BaseModel, TypeAdapter, ValidationError
from serving import Served, event, example, served


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the example's history."""
    with served(example(tmp_path_factory.mktemp("client"))) as it:
        it.token("reader")
        yield it


class Client:
    """Calls operations by their ids; bodies and answers are of the generated models."""

    def __init__(self, it: Served, openapi: dict[str, Any], models: ModuleType) -> None:
        self.it, self.models = it, models
        self.operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in openapi["paths"].items()
            for method, operation in methods.items()
        }

    def call(
        self,
        by: str,
        id: str,
        body: BaseModel | None = None,
        *,
        media: str | None = None,
        **query: Any,
    ) -> Any:
        """Call an operation by an identity; return its answer as the model that it declares."""
        method, path, operation = self.operations[id]
        known = {each["name"] for each in operation.get("parameters", ())}
        assert query.keys() <= known
        content = None
        headers = {"accept": "application/json"}
        if body is not None:
            accepted = operation["requestBody"]["content"]
            headers["content-type"] = media or "application/json"
            assert headers["content-type"] in accepted
            content = body.model_dump_json(exclude_none=True)
        answer = self.it.ask(method, path, by=by, params=query, content=content, headers=headers)
        declared = operation["responses"][str(answer.status_code)]
        schema = declared["content"][answer.headers["content-type"].partition(";")[0]]["schema"]
        return TypeAdapter(self._type(schema)).validate_json(answer.content)

    def _type(self, schema: dict[str, Any]) -> Any:
        if (name := schema.get("$ref")) is not None:
            return getattr(self.models, name.rpartition("/")[2])
        if schema.get("type") == "array":
            return list[self._type(schema["items"])]  # type: ignore[misc]
        several = [self._type(each) for each in schema.get("anyOf", ())]
        found = several[0]
        for each in several[1:]:
            found = found | each
        return found


@pytest.fixture(scope="module")
def client(it: Served, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Generate the models of the document, every one of them, and import them."""
    openapi = it.get("/openapi.json", by="reader").json()
    path = tmp_path_factory.mktemp("models") / "ledger_models.py"
    generate(
        json.dumps(openapi),
        input_file_type=InputFileType.OpenAPI,
        output=path,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        disable_timestamp=True,
        formatters=[Formatter.BUILTIN],
    )
    models = module_at(path)
    missing = [name for name in openapi["components"]["schemas"] if not hasattr(models, name)]
    assert missing == []
    return Client(it, openapi, models)


def module_at(path: Path) -> ModuleType:
    """Import a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def test_a_generated_client_asks_records_and_decides(client: Client) -> None:
    """One standing and many, an append, an authorization, changes, a booking, a proposal."""
    models = client.models
    ask = {"candidate": "C-1001", "exam": "AZ-104"}
    one = client.call("reader", "standing", **ask)
    assert isinstance(one, models.Standing)
    (same,) = (
        each
        for each in client.call("reader", "standing", candidate="C-1001")
        if each.exam == one.exam
    )
    assert same.status == one.status
    pairs = models.Pairs(pairs=[["C-1001", "AZ-104"]], fields="decision")
    many = client.call("booking", "standings", pairs)
    assert many.answers[0].status == one.status
    recorded = client.call(
        "recorder", "append", models.CloudEvent(**event(1)), media="application/cloudevents+json"
    )
    assert isinstance(recorded, models.Recorded)
    again = client.call(
        "recorder", "append", models.CloudEvent(**event(1)), media="application/cloudevents+json"
    )
    assert again.position == recorded.position
    wanted = models.AuthorizationAsked(**ask, authorization_id="V-1", sittings=1)
    granted = client.call("officer", "authorize", wanted)
    assert granted.authorization.state == "running"
    assert [each.authorization_id for each in client.call("reader", "authorizations", **ask)] == [
        "V-1"
    ]
    found = client.call("booking", "standing_changes")
    assert found.changes
    booked = client.call("booking", "booking")
    assert "C-1001" in {row.candidate for row in booked.rows}
    proposed = client.call(
        "officer",
        "propose",
        models.Forget(kind="forget", candidate="C-1001", reason="asked for it"),
    )
    assert (proposed.state, proposed.proposed_by) == ("open", "officer")


def test_a_generated_client_refuses_what_the_server_would_and_reads_its_problems(
    client: Client,
) -> None:
    """A missing member is found before it is sent; a problem is of the type that is declared."""
    with pytest.raises(ValidationError):
        client.models.AuthorizationAsked(candidate="C-1001")
    problem = client.call("booking", "standing", candidate="C-1001")
    assert isinstance(problem, client.models.ProblemDetails)
    assert (problem.status, problem.type) == (403, "urn:attempt-ledger:problem:forbidden")
