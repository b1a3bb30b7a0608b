"""Everybody: the population, tables, reports, audits, differences, each in the form of Accept."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import version
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote, urlencode

from fastapi import Query, Request, Response

from attempt_ledger.api.forms import (
    ARROW,
    CSV,
    LINES,
    PARQUET,
    TABLES,
    accepted,
    write_table,
    written,
)
from attempt_ledger.api.problems import BadQuestion, Problem
from attempt_ledger.api.routing import (
    JSON,
    LONGEST_ID,
    AsOf,
    Exam,
    KnownAt,
    instant_of,
    problems,
    router,
    service_of,
)
from ledger.instants import format_instant, month_of
from ledger.problems import shown
from projections.fold.rules import STATUSES
from projections.reports.registry import REPORTS
from projections.tables import TABLES as ALL_TABLES
from replay.audit.conditions import BadCondition, conditions_of
from replay.audit.registry import QUERIES, query_named
from replay.outputs import Output, check_report, compute
from replay.population import Scope, with_status
from replay.receipts import Basis, Parameters
from replay.snapshot import Snapshot

routes = router("everybody")

AS_TABLE: Final[dict[str, Any]] = {
    "description": "A table, by Accept.",
    "content": {
        CSV: {"schema": {"type": "string"}},
        LINES: {"schema": {"type": "string"}},
        PARQUET: {"schema": {"type": "string", "format": "binary"}},
        ARROW: {"schema": {"type": "string", "format": "binary"}},
    },
}
PROGRAM: Final = f"attempt-ledger {version('attempt-ledger')}"
_FORMS: Final = {CSV: "csv", LINES: "jsonl", PARQUET: "parquet", ARROW: "jsonl"}
"""How receipts name each form; they have none for Arrow, whose rows are those of JSON lines."""

Exams = Annotated[
    list[str] | None,
    Query(alias="exam", description="Of this exam alone; repeats.", examples=[["AZ-104"]]),
]
AsReceipt = Annotated[
    bool, Query(description="Return the receipt instead, as JSON; see the Link of the table.")
]
Instant = Annotated[str | None, Query(max_length=64, examples=["2021-03-01"])]


def _scope(exams: list[str] | None) -> Scope:
    return Scope(frozenset(exams) if exams else None)


async def _table(request: Request, snapshot: Snapshot, make: Callable[[], Any]) -> Response:
    """Answer with a table that has no receipt."""
    media = accepted(request, TABLES)

    def write(file: BinaryIO) -> Mapping[str, str]:
        write_table(make(), media, file)
        return {"ledger-position": str(snapshot.position)}

    return await written(service_of(request), write, media)


async def _output(
    request: Request, snapshot: Snapshot, make: Callable[[str], Output], *, as_receipt: bool
) -> Response:
    """Answer with an output, its receipt as a Link; or with the receipt alone."""
    media = JSON if as_receipt else accepted(request, TABLES)

    def write(file: BinaryIO) -> Mapping[str, str]:
        output = make(_FORMS.get(media, "jsonl"))
        if as_receipt:
            file.write(output.settled.to_json().encode())
        else:
            write_table(output.table, media, file)
        link = f'<{_of_receipt(request, snapshot)}>; rel="describedby"; type="application/json"'
        return {"ledger-position": str(snapshot.position), "link": link}

    return await written(service_of(request), write, media)


def made(
    snapshot: Snapshot, of: Any, name: str, parameters: Parameters, form: Any, basis: Basis
) -> Output:
    """Compute an output in the name of this program."""
    return compute(snapshot, of, name, parameters, form=form, basis=basis, program=PROGRAM)


def _of_receipt(request: Request, snapshot: Snapshot) -> str:
    """Return where the receipt of an answer is, for ever: at the moment that was meant."""
    moment = {
        "as_of": format_instant(snapshot.as_of),
        "known_at": f"@{snapshot.position}",
        "receipt": "true",
    }
    if request.url.path.startswith("/v1/audits/"):
        del moment["as_of"]
    words = [
        pair
        for pair in request.query_params.multi_items()
        if pair[0] not in (*moment, "as_published", "restated")
    ]
    return f"{quote(request.url.path)}?{urlencode([*words, *moment.items()])}"


@routes.get("/v1/everybody", response_class=Response, responses={200: AS_TABLE, **problems(406)})
async def everybody(
    request: Request,
    exam: Exams = None,
    status: Annotated[
        list[str] | None, Query(description="Rows of this status alone; repeats.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> Response:
    """Return one row for each candidate and exam with a visible sitting, sorted by both."""
    for each in status or ():
        if each not in STATUSES:
            raise BadQuestion(f"status {shown(each)}: accepted are {', '.join(STATUSES)}")
    snapshot = service_of(request).snapshot(as_of, known_at)

    def make() -> Any:
        table = snapshot.everybody(_scope(exam))
        return with_status(table, status) if status else table

    return await _table(request, snapshot, make)


@routes.get("/v1/violations", response_class=Response, responses={200: AS_TABLE, **problems(406)})
async def violations(
    request: Request, exam: Exams = None, as_of: AsOf = None, known_at: KnownAt = None
) -> Response:
    """List every sitting that was taken while not eligible."""
    snapshot = service_of(request).snapshot(as_of, known_at)
    return await _table(request, snapshot, lambda: snapshot.violations(_scope(exam)))


@routes.get("/v1/diff", response_class=Response, responses={200: AS_TABLE, **problems(406)})
async def diff(
    request: Request,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    to_as_of: AsOf = None,
    to_known_at: KnownAt = None,
    exam: Exams = None,
) -> Response:
    """List whose standing differs between two moments, and why.

    `to_as_of` is by default `as_of`, `to_known_at` everything recorded.
    """
    service = service_of(request)
    before = service.snapshot(as_of, known_at)
    after = service.snapshot(to_as_of or format_instant(before.as_of), to_known_at)
    if after.as_of < before.as_of:
        raise BadQuestion("to_as_of lies before as_of: give the earlier instant first")
    if after.position < before.position:
        raise BadQuestion("to_known_at lies before known_at: give the earlier one first")
    if (after.as_of, after.position) == (before.as_of, before.position):
        raise BadQuestion("both moments are the same: give to_as_of, or known_at and to_known_at")
    return await _table(request, after, lambda: before.diff(after, _scope(exam)))


@routes.get(
    "/v1/tables/{name}", response_class=Response, responses={200: AS_TABLE, **problems(404, 406)}
)
async def table(
    request: Request,
    name: str,
    exam: Exam = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    receipt: AsReceipt = False,
) -> Response:
    """Return one of the tables of docs/tables.md, at any moment."""
    if name not in ALL_TABLES:
        raise Problem("unknown", _no("table", name, ALL_TABLES))
    snapshot = service_of(request).snapshot(as_of, known_at)
    basis: Basis = "restated" if known_at is None else "known-at"

    def make(form: str) -> Output:
        wanted = Parameters(exam=exam)
        return made(snapshot, "table", name, wanted, form, basis)

    return await _output(request, snapshot, make, as_receipt=receipt)


@routes.get(
    "/v1/reports/{name}", response_class=Response, responses={200: AS_TABLE, **problems(404, 406)}
)
async def report(
    request: Request,
    name: str,
    start: Annotated[
        str | None,
        Query(
            alias="from", max_length=64, description="The period's start.", examples=["2021-03-01"]
        ),
    ] = None,
    end: Annotated[
        str | None,
        Query(
            alias="to",
            max_length=64,
            description="The period's end, exclusive.",
            examples=["2021-04-01"],
        ),
    ] = None,
    month: Annotated[
        str | None,
        Query(max_length=64, description="Short for from and to.", examples=["2021-03"]),
    ] = None,
    exam: Exam = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    as_published: Annotated[
        bool, Query(description="Use only what was recorded by the period's end, or by as_of.")
    ] = False,
    receipt: AsReceipt = False,
) -> Response:
    """Make a report of a period, or of a moment: docs/reports.md lists them.

    `as_of` is by default the period's end, or now if that is earlier.
    """
    if name not in REPORTS:
        raise Problem("unknown", _no("report", name, REPORTS))
    if month is not None:
        if start is not None or end is not None:
            raise BadQuestion("month is short for from and to: give it alone")
        try:
            start, end = map(format_instant, month_of(month))
        except ValueError as problem:
            raise BadQuestion(f"month: {problem}") from None
    if as_published and known_at is not None:
        raise BadQuestion("known_at and as_published exclude each other: give one")
    first, last = instant_of("from", start), instant_of("to", end)
    REPORTS[name].check(first, last, exam)
    service = service_of(request)
    if as_of is None and last is not None:
        as_of = format_instant(min(last, service.now()))
    basis: Basis = "restated" if known_at is None else "known-at"
    if as_published:
        known_at = end or as_of
        if known_at is None:
            raise BadQuestion("as_published: when? Give to, the end of the period, or as_of")
        basis = "as-published"
    snapshot = service.snapshot(as_of, known_at)

    def make(form: str) -> Output:
        check_report(snapshot, name, first, last, exam)
        wanted = Parameters(start=first, end=last, exam=exam)
        return made(snapshot, "report", name, wanted, form, basis)

    return await _output(request, snapshot, make, as_receipt=receipt)


def _no(kind: str, name: str, names: Collection[str]) -> str:
    return f"There is no {kind} {shown(name)}: accepted are {', '.join(names)}."


_Word = Annotated[str | None, Query(min_length=1, max_length=LONGEST_ID)]


@routes.get(
    "/v1/audits/{name}", response_class=Response, responses={200: AS_TABLE, **problems(404, 406)}
)
async def audit(
    request: Request,
    name: str,
    candidate: _Word = None,
    subject: _Word = None,
    exam: Exam = None,
    type: Annotated[list[str] | None, Query(description="Of this type; repeats.")] = None,
    actor: _Word = None,
    source: _Word = None,
    recorded_from: Instant = None,
    recorded_to: Instant = None,
    valid_from: Instant = None,
    valid_to: Instant = None,
    by: Annotated[str | None, Query(max_length=64, examples=["P7D"])] = None,
    changes: bool = False,
    known_at: KnownAt = None,
    receipt: AsReceipt = False,
) -> Response:
    """Ask who recorded what, when, and on which facts: docs/audit.md lists the queries."""
    if name not in QUERIES:
        raise Problem("unknown", _no("audit", name, QUERIES))
    query = query_named(name)
    instants = {
        "recorded_from": recorded_from,
        "recorded_to": recorded_to,
        "valid_from": valid_from,
        "valid_to": valid_to,
    }
    options: dict[str, Any] = {
        "candidate": candidate,
        "subject": subject,
        "exam": exam,
        "actor": actor,
        "source": source,
        "by": by,
        "types": tuple(type or ()) or None,
        **{each: instant_of(each, text) for each, text in instants.items()},
        "changes": changes or None,
    }
    if query.needs is not None and options.get(query.needs) is None:
        if query.default is None:
            raise BadQuestion(f"audit {name} needs {query.needs}")
        options[query.needs] = query.default
    try:
        wanted = conditions_of(**options)
    except BadCondition as problem:
        raise BadQuestion(str(problem)) from None
    snapshot = service_of(request).snapshot(None, known_at)
    basis: Basis = "restated" if known_at is None else "known-at"

    def make(form: str) -> Output:
        found = Parameters(audit=wanted)
        return made(snapshot, "audit", name, found, form, basis)

    return await _output(request, snapshot, make, as_receipt=receipt)
