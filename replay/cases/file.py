"""Case files: what a policy should answer, in TOML, each case one sentence and its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, Field, PlainValidator, ValidationError

from ledger.intake.source import parse_toml, read_whole
from ledger.problems import LedgerProblem
from projections.fold.rules import STATUSES
from replay.cases.lines import CaseLine, When, read_line, when
from retake_policies.fields import Line, Listed, refused
from retake_policies.problems import describe
from retake_policies.schema import Table, parse_policy

NULL: Final = "null"
"""What is written for an end that is open."""


class CasesProblem(LedgerProblem):
    """A case file is refused; str() is a sentence for each fault."""


def _null(value: Any) -> Any:
    return None if value == NULL else value


def _status(value: Any) -> Any:
    """Read an answer that may be just its status."""
    return {"status": value} if isinstance(value, str) else value


def _known_status(value: Any) -> str:
    if value not in STATUSES:
        raise refused(f"is no status; write one of {', '.join(STATUSES)}")
    return str(value)


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise refused("is no table of texts; write name = a file's name, or a whole policy")
    return value


Status = Annotated[str, PlainValidator(_known_status)]
End = Annotated[When | None, BeforeValidator(_null)]


def _end(**more: Any) -> Any:
    return when(default=None, **more)


class Expected(Table):
    """What an answer should say; only what is there is compared."""

    status: Status | None = Field(None, description=f"one of {', '.join(STATUSES)}")
    until: End = _end()
    clause: Line | None = Field(None, description='the key of the policy: "wait.after[2]"')
    says: Line | None = Field(None, description="words of the first reason's sentence")
    reasons: Listed[Status] | None = Field(None, description="a list of statuses")
    waived: Listed[Status] | None = Field(None, description="a list of statuses")
    eligible_from: End = _end()
    next_change_at: End = _end()
    sittings_in_series: int | None = Field(None, description="a whole number")
    period_ends_at: End = _end()
    effective_from: When | None = when(default=None)
    assumed: bool | None = Field(None, description="true or false")


class Turn(Table):
    """An instant at which the answer changes: one just before it, another at it and just after."""

    at: When = when()
    exam: Line | None = Field(None, description="the code of an exam")
    before: Annotated[Expected, BeforeValidator(_status)] = Field(
        description="a status, or a table of what the answer says"
    )
    then: Annotated[Expected, BeforeValidator(_status)] = Field(
        description="a status, or a table of what the answer says"
    )


class Ask(Expected):
    """A question and its answer."""

    as_of: When = when()
    exam: Line | None = Field(None, description="the code of an exam")


class Case(Table):
    """One case: facts, and what is answered on them."""

    name: Line = Field(description="a sentence that says what is true")
    published: Line = Field("", description="who published this example, and where")
    exam: Line | None = Field(None, description="the code of the exam that is asked about")
    given: Listed[Annotated[Any, PlainValidator(read_line)]] = Field(
        (), description='a list of facts, such as { failed = "AZ-104", on = 2021-03-01 }'
    )
    turns: Listed[Turn] = Field((), description="a list of { at, before, then }")
    asks: Listed[Ask] = Field((), description="a list of { as_of, status, … }")


class CaseTable(Table):
    """The whole file."""

    policies: Annotated[dict[str, str], PlainValidator(_texts)] = Field(default_factory=dict)
    given: Listed[Annotated[Any, PlainValidator(read_line)]] = Field(
        (), description="a list of facts that all cases share"
    )
    case: Listed[Case] = Field(description="tables [[case]]")


class CaseFile(NamedTuple):
    """A case file, read."""

    where: str
    """Its name, for sentences."""
    cases: Sequence[Case]
    shared: Sequence[CaseLine]
    """What is given to each case."""
    policies: Mapping[str, str]
    """Further versions and policies, as texts, by what the file calls them."""


def read_cases(path: Path) -> CaseFile:
    """Read a case file and the policy files that it names beside it.

    Raises CasesProblem, PolicyError for a policy that it names, and OSError.
    """
    where = str(path)
    try:
        tree = parse_toml(read_whole(path).decode())
    except UnicodeDecodeError as error:
        problem = f"{where}: is not UTF-8 at byte {error.start + 1}; save it as UTF-8."
        raise CasesProblem(problem) from None
    except (ValueError, RecursionError) as error:
        raise CasesProblem(f"{where}: is not TOML: {error}.") from None
    try:
        table = CaseTable.model_validate(tree)
    except ValidationError as error:
        faults = describe(error, CaseTable, of="a case file")
        raise CasesProblem("\n".join(f"{where}: {fault}" for fault in faults)) from None
    for number, case in enumerate(table.case, start=1):
        if not (case.turns or case.asks):
            raise CasesProblem(f"{where}: case[{number}] asks nothing; write turns or asks.")
        for at, line in enumerate(case.given):
            if line in case.given[:at]:
                problem = f"case[{number}].given[{at + 1}] says what an earlier line says"
                raise CasesProblem(f"{where}: {problem}; leave it out, or write another reg.")
    policies = {name: _text(path, name, text) for name, text in table.policies.items()}
    return CaseFile(where, table.case, table.given, policies)


def _text(path: Path, name: str, text: str) -> str:
    """Return a policy's text: of a file beside the cases, or as it stands in them.

    Id and effective_from may be left out there: they are the name, and the year 2000.
    """
    if "\n" not in text:
        beside = path.parent / text
        data = read_whole(beside)
        parse_policy(data, str(beside))
        return data.decode()
    where = f"{path}: policies.{name}"
    try:
        tree = parse_toml(text)
    except (ValueError, RecursionError) as error:
        raise CasesProblem(f"{where}: is not TOML: {error}.") from None
    head = "" if "id" in tree else f'id = "{name}"\n'
    head += "" if "effective_from" in tree else "effective_from = 2000-01-01T00:00:00Z\n"
    parse_policy(head + text, where)
    return head + text
