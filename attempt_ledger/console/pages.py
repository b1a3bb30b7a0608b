"""Pages about the catalogue, the policies, differences and the ledger itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from attempt_ledger.console.candidate import page_of
from attempt_ledger.console.happenings import happening
from attempt_ledger.console.sheet import ROWS, sheet_of, sheet_of_rows
from attempt_ledger.console.view import Content, View, moment_bar
from attempt_ledger.doctor import examine, subject_of
from attempt_ledger.doctor.findings import Depth, State
from attempt_ledger.places import own_read_model
from ledger.instants import format_instant
from projections.catalogue import Version
from projections.table import Column
from projections.tables import EXAMS, PROBLEMS
from replay.population import Scope, with_status
from replay.publishing import in_force
from retake_policies.schema import PolicyError, parse_policy
from retake_policies.wording import changes, clause_texts

FOUND = 50
"""So many candidates a search shows."""
RECENT = 20
"""So many events the first page shows."""


def home(view: View) -> Content:
    """Show what the ledger holds, and what came last."""
    latest = view.latest
    head = latest.ledger.head()
    rows = list(latest.ledger.read(max(head.position - RECENT, 0), head.position))[::-1]
    events = [happening(row, {}, latest.position, view.now) for row in rows]
    subjects = [row.stream.partition("/") for row in rows]
    return Content(
        "home.html",
        {
            "head": head,
            "events": list(zip(events, subjects, strict=True)),
            "exams": _counted(latest, "ExamAnnounced"),
            "policies": _counted(latest, "PolicyPublished"),
        },
    )


def _counted(snapshot: Any, type: str) -> int:
    return len({row.subject for row in snapshot.entries if row.type == type})


def search(view: View) -> Content:
    """Find candidates by the beginning of an id; the only one found is shown at once."""
    text = (view.address.get("q") or "").strip()
    found = view.latest.ledger.search(text, FOUND) if text else []
    return Content("search.html", {"text": text, "found": found, "most": FOUND})


def candidate(view: View) -> Content:
    """Show a candidate: each exam's answer, and what happened."""
    id = view.address.get("id")
    if not id:
        return search(view)._replace(status=404)
    page = page_of(view.snapshot, view.latest, id, view.address, view.now)
    return Content("candidate.html", {"page": page})


def exams(view: View) -> Content:
    """List the exams of the catalogue, with what is known of each."""
    table = view.snapshot.table("exams")
    sheet = sheet_of(table, view.address, view.address.page, meanings(EXAMS.columns))
    return _table(view, "Exams", "What the catalogue holds at this moment.", sheet)


class Phase(NamedTuple):
    """A date of an exam."""

    name: str
    at: int | None


def exam(view: View) -> Content:
    """Show an exam: its dates, the policy it follows, and how its candidates stand."""
    code = view.address.get("code") or ""
    table = view.snapshot.table("exams", exam=code).to_pylist()
    entry = table[0] if table else {}
    everybody = view.snapshot.everybody(Scope(frozenset((code,))))
    status = everybody["status"].value_counts().to_pylist() if everybody.num_rows else []
    wanted = view.address.get("status")
    shown = everybody if wanted is None else with_status(everybody, [wanted])
    sheet = sheet_of(shown, view.address, view.address.page)
    return Content(
        "exam.html",
        {
            "code": code,
            "entry": entry,
            "counts": sorted((each["values"], each["counts"]) for each in status),
            "wanted": wanted,
            "sheet": sheet,
            "bar": moment_bar(view),
        },
    )


def versions(view: View) -> Iterator[Version]:
    """Yield every policy version that is known, by id and first day."""
    catalogue, known = view.snapshot.catalogue, view.snapshot.position
    versions, published = catalogue.versions, catalogue.published
    for number, version in enumerate(published):
        if versions.position[number] <= known < versions.annulled[number]:
            yield version


def policies(view: View) -> Content:
    """List the policies, each with its versions and the one in force."""
    found: dict[str, list[Version]] = {}
    for version in versions(view):
        found.setdefault(version.policy.id, []).append(version)
    at = view.snapshot
    force = {id: in_force(at.catalogue, id, at.as_of, at.position) for id in found}
    return Content(
        "policies.html",
        {"policies": sorted(found.items()), "in_force": force, "bar": moment_bar(view)},
    )


def policy(view: View) -> Content:
    """Show a policy in sentences, its versions, and two of them side by side."""
    id = view.address.get("id") or ""
    every = sorted(
        (each for each in versions(view) if each.policy.id == id),
        key=lambda each: (each.policy.effective_from, each.event.position),
    )
    at = view.snapshot
    chosen = in_force(at.catalogue, id, at.as_of, at.position)
    wanted = view.address.get("version")
    by_day = {format_instant(each.policy.effective_from): each for each in every}
    chosen = by_day.get(wanted or "", chosen)
    other = by_day.get(view.address.get("with") or "")
    differs = changes(other.policy, chosen.policy) if other and chosen else ()
    return Content(
        "policy.html",
        {
            "id": id,
            "versions": every,
            "chosen": chosen,
            "other": other,
            "differs": differs,
            "sides": _sides(other, chosen),
            "sentences": {} if chosen is None else clause_texts(chosen.policy),
            "toml": "" if chosen is None else chosen.event.payload()["toml"],
            "bar": moment_bar(view),
        },
        200 if every else 404,
    )


def _sides(other: Version | None, chosen: Version | None) -> Sequence[tuple[str, str, str]]:
    """Return each clause of two versions with both sentences, empty where one has none."""
    if other is None or chosen is None:
        return ()
    left, right = clause_texts(other.policy), clause_texts(chosen.policy)
    return [(name, left.get(name, ""), right.get(name, "")) for name in {**left, **right}]


def what_if(view: View, toml: str) -> Content:
    """Show what a draft of a policy would have done: nothing is recorded."""
    id = view.address.get("id") or ""
    values: dict[str, Any] = {"id": id, "toml": toml, "bar": moment_bar(view), "problem": ()}
    try:
        draft = parse_policy(toml, f"the draft of {id}")
        values["id"] = draft.id
        compared = view.snapshot.what_if([(draft.id, toml)])
    except PolicyError as error:
        values |= {"problem": error.problems, "standings": None, "sittings": None}
        return Content("what-if.html", values, 422)
    for name in ("standings", "sittings"):
        table = getattr(compared, name)
        values[name] = sheet_of_rows(table.slice(0, ROWS), view.address, table.num_rows, 1, 1)
    return Content("what-if.html", values)


def diff(view: View) -> Content:
    """Show whose answers differ between the page's moment and another, and through what."""
    of = view.address.get("candidate")
    to_as_of, to_known = view.instant("to_as_of"), view.known("to_known_at")
    moment = view.latest.moment
    if to_as_of is not None:
        moment = moment._replace(as_of=to_as_of)
    if to_known is not None:
        moment = view.latest.bind(moment.as_of, to_known, now=view.now).moment
    scope = Scope(None, None if of is None else frozenset((of,)))
    table = side_by_side(view.snapshot.diff(view.latest.at(moment), scope))
    sheet = sheet_of(table, view.address, view.address.page)
    return Content(
        "diff.html",
        {"sheet": sheet, "of": of, "to": moment, "bar": moment_bar(view)},
    )


def side_by_side(table: pa.Table) -> pa.Table:
    """Return the rows of a diff with what differs first, and each before beside its after."""
    names = table.column_names
    pairs = [(name, f"to_{name[5:]}") for name in names if name.startswith("from_")]
    paired = [name for pair in pairs for name in pair]
    rest = [name for name in names if name not in paired]
    return table.select([*rest[:2], *paired[:2], *rest[2:], *paired[2:]])


def violations(view: View) -> Content:
    """List the sittings taken while not eligible."""
    table = view.snapshot.violations()
    sheet = sheet_of(table, view.address, view.address.page)
    return _table(view, "Violations", "Sittings that were taken while not eligible.", sheet)


def problems(view: View) -> Content:
    """List what a careful reader should know of the facts."""
    table = view.snapshot.table("problems")
    sheet = sheet_of(table, view.address, view.address.page, meanings(PROBLEMS.columns))
    return _table(view, "Problems", "What does not fit together, or is only odd.", sheet)


def event(view: View) -> Content:
    """Show one event wholly, and where its proof is."""
    source, id = view.address.get("source") or "", view.address.get("id") or ""
    row = view.latest.ledger.find(source, id)
    found = None if row is None else happening(row, {}, view.latest.position, view.now)
    return Content("event.html", {"event": found, "row": row}, 200 if row else 404)


def meanings(columns: Sequence[Column]) -> Mapping[str, str]:
    """Return what each column of a table means."""
    return {each.name: each.meaning for each in columns}


def _table(view: View, title: str, about: str, sheet: Any) -> Content:
    values = {"title": title, "about": about, "sheet": sheet, "bar": moment_bar(view)}
    return Content("table.html", values)


def health(view: View) -> Content:
    """Show what the doctor finds: what matters first, what is as it should be folded away."""
    order = (State.wrong, State.warning, State.ok)
    subject = subject_of(view.access, own_read_model(view.access.path), depth=Depth.quick)
    found = sorted(examine(subject), key=lambda each: order.index(each.state))
    ledger = view.latest.ledger
    values = {
        "head": ledger.head(),
        "path": f"{ledger.path}",
        "wrong": [each for each in found if each.state is not State.ok],
        "fine": [each for each in found if each.state is State.ok],
    }
    return Content("health.html", values)
