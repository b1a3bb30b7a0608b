"""Pages of tables that are asked with conditions: reports with their charts, and audits."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from attempt_ledger.api.problems import BadQuestion
from attempt_ledger.console.pages import meanings
from attempt_ledger.console.sheet import ROWS, sheet_of, sheet_of_rows
from attempt_ledger.console.view import Content, View, moment_bar
from ledger.instants import month_of
from projections.authorizations import STATES
from projections.reports.registry import REPORTS
from projections.reports.report import Report
from projections.table import CannotAsk
from replay.audit.query import Query
from replay.audit.registry import QUERIES, query_named
from replay.authorizations import Authorizations
from replay.formats.chart import draw
from replay.outputs import Output
from replay.receipts import Basis
from replay.snapshot import Known


def reports(view: View) -> Content:
    """List the reports."""
    return Content("reports.html", {"reports": REPORTS.values(), "bar": moment_bar(view)})


def report(view: View) -> Content:
    """Show a report: its filters, its sentence, its picture and its rows, all of one choice."""
    name = view.address.get("name") or ""
    found = REPORTS.get(name)
    if found is None:
        return _missing(view, f"There is no report {name!r}.")
    values: dict[str, Any] = {
        "report": found,
        "published": view.address.get("published") is not None,
        "has_period": bool(found.about),
        "problem": "",
        "bar": moment_bar(view),
    }
    try:
        output, view = _made(view, found)
    except (BadQuestion, CannotAsk) as problem:  # what was typed stays in its fields
        return Content("report.html", {**values, "problem": str(problem)}, 400)
    table = output.to_arrow()
    values |= {
        "line": found.line(table),
        "sheet": sheet_of(table, view.address, view.address.page, meanings(found.columns)),
        "chart": view.address.here(page=None).replace("/report?", "/report.svg?", 1),
        "bar": moment_bar(view),
    }
    return Content("report.html", values)


def chart(view: View) -> bytes | None:
    """Draw a report's picture, by the same choice; None where there is no such report."""
    found = REPORTS.get(view.address.get("name") or "")
    return None if found is None else draw(_made(view, found)[0], "svg")


def _made(view: View, report: Report) -> tuple[Output, View]:
    """Make a report by the address: month, or from and to; exam; as published."""
    address = view.address
    start, end = view.instant("from"), view.instant("to")
    if (month := address.get("month")) is not None:
        if start is not None or end is not None:
            raise BadQuestion("month is short for from and to: give it alone")
        start, end = _month(month)
    basis: Basis = "restated"
    snapshot = view.snapshot
    if end is not None and address.get("as_of") is None:
        snapshot = snapshot.at(snapshot.moment._replace(as_of=min(view.now, end)))
    if address.get("published") is not None:
        if address.get("known_at") is not None:
            raise BadQuestion("known at and as published exclude each other: leave one of them out")
        basis = "as-published"
        until = min(view.now, snapshot.as_of if end is None else end)
        snapshot = snapshot.bind(snapshot.as_of, Known(instant=until), now=view.now)
    made = snapshot.report(report.name, start=start, end=end, exam=address.get("exam"), basis=basis)
    return made, view._replace(snapshot=snapshot)


def _month(text: str) -> tuple[int, int]:
    try:
        return month_of(text)
    except ValueError as error:
        raise BadQuestion(str(error)) from None


def audits(view: View) -> Content:
    """List the audit queries."""
    return Content("audits.html", {"queries": QUERIES, "bar": moment_bar(view)})


def authorizations(view: View) -> Content:
    """List authorizations of one state or all, of a candidate, of an exam."""
    address, page = view.address, view.address.page
    state, exam = address.get("state") or "running", address.get("exam")
    every = Authorizations(view.snapshot.ledger).every(
        view.snapshot.moment, address.get("candidate")
    )
    wanted = (each for each in every if state in ("all", each.state) and exam in (None, each.exam))
    values = {"state": state, "states": (*STATES, "all"), "bar": moment_bar(view)}
    return Content("authorizations.html", {**_some(wanted, page), **values})


def accesses(view: View) -> Content:
    """List who read personal data in clear text, the latest first."""
    every = reversed(view.register.accesses(view.address.get("candidate")))
    return Content("accesses.html", _some(every, view.address.page))


def _some(rows: Iterable[Any], page: int) -> dict[str, Any]:
    """Choose a page of rows that are made while they are read."""
    found = list(islice(rows, (page - 1) * ROWS, page * ROWS + 1))
    return {"found": found[:ROWS], "more": len(found) > ROWS, "page": page}


_INSTANTS: Final = ("recorded_from", "recorded_to", "valid_from", "valid_to")


def audit(view: View) -> Content:
    """Show what an audit query finds, a page of it at a time."""
    name = view.address.get("name") or ""
    if name not in QUERIES:
        return _missing(view, f"There is no audit {name!r}.")
    query = query_named(name)
    try:
        conditions = _conditions(view, query)
        if conditions is None:
            return _audit(view, query, None)
        output = view.snapshot.audit(name, conditions)
    except (BadQuestion, ValueError) as problem:  # what was typed stays in its fields
        return _audit(view, query, None, problem=str(problem))
    page = view.address.page
    batches, wanted, skipped, more = [], page * ROWS, 0, False
    first = wanted - ROWS
    for batch in output.table.to_batches():
        if skipped + batch.num_rows > first:
            batches.append(batch.slice(max(first - skipped, 0)))
        skipped += batch.num_rows
        if skipped > wanted:
            more = True
            break
    table = pa.Table.from_batches(batches, query.schema).slice(0, ROWS)
    return _audit(view, query, table, more=more)


def _conditions(view: View, query: Query) -> dict[str, Any] | None:
    """Read the conditions of an audit query, None while one is missing; raises BadQuestion."""
    conditions = dict[str, Any]()
    for each in query.takes:
        text = view.address.get(each)
        if text is None:
            continue
        if each in _INSTANTS:
            conditions[each] = view.instant(each)
        elif each == "types":
            conditions[each] = tuple(text.split())
        else:
            conditions[each] = True if each == "changes" else text
    if query.needs is not None and query.needs not in conditions:
        if query.default is None:
            return None
        conditions[query.needs] = query.default
    return conditions


def _audit(
    view: View, query: Query, table: pa.Table | None, *, more: bool = False, problem: str = ""
) -> Content:
    page = view.address.page
    sheet = None
    if table is not None:
        about = meanings(query.columns)
        seen = (page - 1) * ROWS + table.num_rows
        pages = page + 1 if more else page
        sheet = sheet_of_rows(table, view.address, seen, page, pages, about)
    values = {"query": query, "sheet": sheet, "more": more, "problem": problem}
    return Content("audit.html", {**values, "bar": moment_bar(view)}, 400 if problem else 200)


def _missing(view: View, sentence: str) -> Content:
    return Content("problem.html", {"title": "Not found", "sentence": sentence}, 404)
