"""The exceptions desk: requests, the form that a policy asks for, and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from attempt_ledger.console.sheet import ROWS
from attempt_ledger.console.view import Content, View, moment_bar
from attempt_ledger.moments import micros
from ledger.ledger import Ledger
from ledger.models import ExceptionRequested, make_event
from ledger.problems import MalformedFact
from projections.catalogue import policy_at
from projections.exception_rules import DeskProblem, Wrong, wrongs
from projections.exceptions import Request, State
from replay.desk import Desk, Reference
from retake_policies.schema import Policy
from retake_policies.wording import clause_texts

STATES: Final[tuple[State, ...]] = (
    "open", "granted", "used", "expired", "rejected", "revoked",
)  # fmt: skip
FIELDS: Final = tuple(
    name for name in ExceptionRequested.model_fields if name not in ("request_id", "exam")
)
"""What a form may ask for, in its order."""

_WAIVED: Final = ("wait", "cap", "passed")


def requests(view: View) -> Content:
    """List requests: those that are open, or of one state, or of one candidate."""
    wished = view.address.get("state")
    of = view.address.get("candidate")
    page = view.address.page
    one: State = next((each for each in STATES if each == wished), "open")
    state = None if wished == "all" else one
    wanted = Desk(view.snapshot.ledger).requests(view.snapshot.moment, of, state)
    found = list(islice(wanted, (page - 1) * ROWS, page * ROWS + 1))
    return Content(
        "exceptions.html",
        {
            "requests": found[:ROWS],
            "more": len(found) > ROWS,
            "page": page,
            "state": state or "all",
            "states": (*STATES, "all"),
            "bar": moment_bar(view),
        },
    )


def request(
    view: View,
    wrong: DeskProblem | None = None,
    clear: Mapping[str, Any] | None = None,
    typed: Mapping[str, str] | None = None,
) -> Content:
    """Show a request with the rule and the facts beside it, and the decisions there are.

    What is `wrong` with the decision that was `typed` stands beside its field; all of it is kept.
    """
    found = _found(view)
    if found is None:
        sentence = "There is no such request at this moment."
        return Content("problem.html", {"title": "Not found", "sentence": sentence}, 404)
    policy = policy_at(
        view.snapshot.catalogue, found.exam, view.snapshot.as_of, view.snapshot.position
    )
    return Content(
        "exception.html",
        {
            "request": found,
            "policy": policy,
            "rules": _rules(policy),
            "standing": view.snapshot.standing(
                found.candidate, found.exam, show=view.address.clock.show
            ),
            "wrong": {} if wrong is None else {wrong.field: str(wrong)},
            "typed": typed or {f"waives_{name}": "1" for name in _WAIVED},
            "clear": clear,
            "personal": sorted(ExceptionRequested.personal),
            "bar": moment_bar(view),
        },
        400 if wrong else 200,
    )


def new(view: View, typed: Mapping[str, str] | None = None, problem: str = "") -> Content:
    """Show the form of a request: the fields that the policy requires, and what is wrong with each.

    Nothing that was typed is lost.
    """
    values = dict(typed or {})
    candidate = values.get("candidate") or view.address.get("candidate") or ""
    exam = values.get("exam") or view.address.get("exam") or ""
    policy = policy_at(view.latest.catalogue, exam, view.now, view.latest.position)
    sittings = view.latest.standing(candidate, exam).sittings if candidate and exam else ()
    wrong: dict[str, str] = {}
    if typed is not None:
        for each in _wrongs(values, candidate, exam, policy, sittings):
            wrong.setdefault(each.field, "is required" if each.missing else each.text)
    required = () if policy is None else policy.exception.required
    return Content(
        "exception-new.html",
        {
            "candidate": candidate,
            "exam": exam,
            "policy": policy,
            "rules": _rules(policy),
            "fields": [name for name in FIELDS if name in required or name in
                       ("reason", "registration_id")],
            "required": required,
            "personal": ExceptionRequested.personal,
            "values": values,
            "wrong": wrong,
            "problem": problem,
            "sittings": [each for each in sittings if each.outcome == "failed"],
        },
        400 if problem or wrong else 200,
    )  # fmt: skip


def _wrongs(
    values: Mapping[str, str], candidate: str, exam: str, policy: Policy | None, sittings: Any
) -> tuple[Wrong, ...]:
    """Return all that is wrong with a form: what no event may hold, and what the policy refuses."""
    found = [] if values.get("request_id") else [Wrong("request_id", "request id", missing=True)]
    typed = {"request_id": "-", **values}
    try:
        made = made_request(typed, exam)
    except MalformedFact as error:
        if not error.faults or "exam" in dict(error.faults):
            return (Wrong("request_id", str(error)),)
        for field, text in error.faults:
            found.append(Wrong(field, text.removeprefix(f"data.{field}").lstrip(": ")))
            typed.pop(field, None)
        made = made_request({"request_id": "-", **typed}, exam)
    return (*found, *wrongs(made, candidate, policy, sittings))


def made_request(values: Mapping[str, str], exam: str) -> ExceptionRequested:
    """Make the event of a form; raises ValueError."""
    fields = {name: values[name] for name in FIELDS if values.get(name)}
    fields.setdefault("reason", "")
    fields.setdefault("registration_id", "")
    made = make_event(
        "ExceptionRequested", {"request_id": values.get("request_id", ""), "exam": exam, **fields}
    )
    assert isinstance(made, ExceptionRequested)
    return made


def record_request(ledger: Ledger, values: Mapping[str, str], now: int, actor: str) -> Request:
    """Record the request of a form, and answer it; raises DeskProblem, LedgerProblem."""
    made = made_request(values, values.get("exam", ""))
    return Desk(ledger).request(values.get("candidate", ""), made, now=now, actor=actor).request


def decide(ledger: Ledger, values: Mapping[str, str], now: int, actor: str, zone: Any) -> Request:
    """Record what a form decides: grant, reject or revoke; raises DeskProblem."""
    of = Reference(
        values.get("candidate", ""), values.get("request_id", ""), now, values.get("exam"),
        None, actor,
    )  # fmt: skip
    desk = Desk(ledger)
    match values.get("decision"):
        case "grant":
            waives = [name for name in _WAIVED if values.get(f"waives_{name}")]
            until = values.get("valid_until")
            try:
                ends = micros(until, "valid until", zone) if until else None
            except ValueError as problem:
                raise DeskProblem(str(problem), "valid_until") from None
            return desk.grant(of, waives=waives, valid_until=ends).request
        case "reject":
            return desk.reject(of, why=_text(values, "why")).request
        case "revoke":
            return desk.revoke(of, reason=_text(values, "why")).request
    raise DeskProblem("choose a decision: grant, reject or revoke")


def _text(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "").strip()
    if not text:
        raise DeskProblem("a reason is required", "why")
    return text


def _found(view: View) -> Request | None:
    candidate, id = view.address.get("candidate") or "", view.address.get("request_id")
    exam = view.address.get("exam")
    for each in Desk(view.snapshot.ledger).requests(view.snapshot.moment, candidate):
        if each.request_id == id and exam in (None, each.exam):
            return each
    return None


def _rules(policy: Policy | None) -> Mapping[str, str]:
    if policy is None:
        return {}
    return {
        clause: text
        for clause, text in clause_texts(policy).items()
        if clause.startswith(("exception", "wait", "cap"))
    }


def clear(ledger: Ledger, found: Request) -> Mapping[str, Any]:
    """Return a request's personal fields in clear text; raises KeyFileProblem."""
    return Desk(ledger).clear(found)
