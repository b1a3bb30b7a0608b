"""The rules of the exceptions desk: functions of facts that return events, or say why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, get_args

from ledger.instants import format_instant
from ledger.models import (
    ExceptionGranted,
    ExceptionRejected,
    ExceptionRequested,
    ExceptionRevoked,
    Waived,
)
from projections.answers import Sitting
from projections.exceptions import Request
from projections.sentences import listed
from retake_policies.schema import Policy

_ORDER: Final[tuple[str, ...]] = get_args(Waived)


class DeskProblem(Exception):
    """Why the desk cannot do what was asked of it, in one sentence; nothing was recorded."""

    def __init__(self, problem: str, field: str = "") -> None:
        """`field` names what was asked wrongly, where that is one."""
        super().__init__(problem)
        self.field = field


class Wrong(NamedTuple):
    """One thing wrong with a request: the field it lies in, and a clause that says what.

    `missing` is for a field that the policy requires and that is blank; its clause is the name.
    """

    field: str
    text: str
    missing: bool = False


def wrongs(
    requested: ExceptionRequested,
    candidate: str,
    policy: Policy | None,
    sittings: Sequence[Sitting],
) -> tuple[Wrong, ...]:
    """Find everything wrong with a request, at once: missing fields first, in the policy's order.

    `policy` is the one in force for the exam when the request was made, None when the exam is not
    in the catalogue; `sittings` are the candidate's of that exam. Personal values are never shown.
    "If any of this information is missing, the retake exception request will be rejected."
    (exam-retake-policy.txt; spec section 7, reading 9)
    """
    found: list[Wrong] = []
    if policy is None:
        text = f"{requested.exam} is not in the catalogue, or the policy it follows is not"
        found.append(Wrong("exam", text))
    else:
        found += [
            Wrong(name, name, missing=True)
            for name in policy.exception.required
            if is_blank(getattr(requested, name))
        ]
    missing = {wrong.field for wrong in found}
    for check in (
        wrong_candidate(requested, candidate),
        wrong_exam_number(requested),
        wrong_reason(requested, policy),
        wrong_sitting(requested, candidate, policy, sittings),
    ):
        found += [wrong for wrong in check if wrong.field not in missing]
    return tuple(found)


def is_blank(value: object) -> bool:
    """Return whether a field is left out, empty, or nothing but white space."""
    return value is None or (isinstance(value, str) and not value.strip())


def shown(text: str | None) -> str:
    """Write what somebody typed on one short line."""
    line = (text or "").strip()
    line = line if line.isprintable() else repr(line)[1:-1]
    return line if len(line) <= 60 else f"{line[:59]}…"


def wrong_candidate(requested: ExceptionRequested, candidate: str) -> Iterator[Wrong]:
    """Yield a wrong where the request names another candidate than the one it is made for."""
    if not is_blank(requested.candidate_id) and str(requested.candidate_id).strip() != candidate:
        yield Wrong(
            "candidate_id", f"candidate_id says {shown(requested.candidate_id)}, not {candidate}"
        )


def wrong_exam_number(requested: ExceptionRequested) -> Iterator[Wrong]:
    """Yield a wrong where the request names another exam; in which case it is written is no matter.

    People write `az-104` for AZ-104.
    """
    number = requested.exam_number or ""
    if not is_blank(number) and number.strip().casefold() != requested.exam.casefold():
        yield Wrong("exam_number", f"exam_number says {shown(number)}, not {requested.exam}")


def wrong_reason(requested: ExceptionRequested, policy: Policy | None) -> Iterator[Wrong]:
    """Yield a wrong for a reason that is not in the policy's list.

    "Requests will on[ly] be granted if they meet one of the exceptions listed below."
    (exam-retake-policy.txt)
    """
    if policy is None or requested.reason in policy.exception.reasons:
        return
    if not policy.exception.reasons:
        yield Wrong("reason", f"the policy {policy.id} offers no exceptions")
        return
    accepted = f"accepted are {listed(policy.exception.reasons)}"
    if is_blank(requested.reason):
        yield Wrong("reason", f"no reason is given ({accepted})")
    else:
        yield Wrong("reason", f"the reason {shown(requested.reason)} is not accepted ({accepted})")


def wrong_sitting(
    requested: ExceptionRequested,
    candidate: str,
    policy: Policy | None,
    sittings: Sequence[Sitting],
) -> Iterator[Wrong]:
    """Yield a wrong where the request names no failed sitting of this candidate and exam.

    "Or, where the policy lets `passed` be waived, no passed one" (spec section 7, reading 9).

    "A crashed exam is a failed sitting that may earn an exception" (spec section 7, reading 10),
    in beta or live. One that was passed is not, nor one whose result has not come (ask again when
    it has) or was revoked: the source text speaks of failures.
    """
    registration = requested.registration_id
    consent = policy is not None and "passed" in policy.exception.waives
    wanted = "failed or passed sitting" if consent else "failed sitting"
    if is_blank(registration):
        yield Wrong("registration_id", f"no registration_id of a {wanted} is given")
        return
    name = shown(registration)
    outcome = next((s.outcome for s in sittings if s.registration_id == registration), None)
    if outcome == "failed" or (consent and outcome == "passed"):
        return
    if outcome is None:
        text = f"{name} is no sitting of {candidate} at {requested.exam}"
    elif outcome == "passed":
        text = f"{name} is no {wanted}: it was passed"
    elif outcome == "pending":
        text = f"{name} is no {wanted} yet: its result is pending"
    elif outcome == "missed":
        text = f"{name} is no {wanted}: it was missed"
    else:
        text = f"{name} is no {wanted}: its result was {outcome}"
    yield Wrong("registration_id", text)


def answer_request(
    requested: ExceptionRequested,
    candidate: str,
    policy: Policy | None,
    sittings: Sequence[Sitting],
) -> tuple[ExceptionRequested] | tuple[ExceptionRequested, ExceptionRejected]:
    """Answer a request at once: it is always recorded, and rejected where anything is wrong.

    Alone, it is left open for someone to grant or reject. Arguments as of `wrongs`.
    """
    found = wrongs(requested, candidate, policy, sittings)
    if not found:
        return (requested,)
    return requested, ExceptionRejected(
        request_id=requested.request_id,
        exam=requested.exam,
        missing=tuple(wrong.field for wrong in found if wrong.missing),
        why=why(found),
    )


def why(found: Sequence[Wrong]) -> str:
    """Return everything that is wrong in one sentence."""
    missing = [wrong.text for wrong in found if wrong.missing]
    clauses = [wrong.text for wrong in found if not wrong.missing]
    if missing:
        clauses.insert(0, f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return "; ".join(clauses) + "."


def grant(
    request: Request,
    policy: Policy | None,
    *,
    time: int,
    waives: Sequence[str] | None = None,
    valid_until: int | None = None,
) -> tuple[ExceptionGranted, ...]:
    """Grant an open request, or one whose grant was revoked; nothing more if it is granted so.

    `policy` is the one in force for the exam at `time` (microseconds UTC), None when there is
    none; `waives` is what the grant waives, all the policy allows when None; it is valid from
    `time` until before `valid_until`. "The fold does not ask the policy which grants it allows; the
    desk does" (spec section 4). Raises DeskProblem.
    """
    allowed = () if policy is None else policy.exception.waives
    chosen = in_order(allowed if waives is None else waives)
    if request.state == "granted":
        same_terms(request, chosen, valid_until)
        return ()
    if request.state not in ("open", "revoked"):
        raise DeskProblem(f"{decided(request)}: ask for a new exception, under a new request id")
    if policy is None:
        raise DeskProblem(
            f"{request.exam} is not in the catalogue, or the policy it follows is not: nothing "
            "says what may be waived"
        )
    if not allowed:
        raise DeskProblem(f"the policy {policy.id} of {request.exam} lets nothing be waived")
    refused = [each for each in chosen if each not in allowed]
    accepted = f"accepted is {listed(in_order(allowed))}"
    if refused:
        raise DeskProblem(
            f"the policy {policy.id} of {request.exam} does not let {listed(refused)} be waived: "
            f"{accepted}"
        )
    if not chosen:
        raise DeskProblem(f"a grant waives something: {accepted}", "waives")
    if valid_until is not None and valid_until <= time:
        raise DeskProblem(
            f"valid_until {format_instant(valid_until)} is not after the grant, "
            f"{format_instant(time)}: it would never be valid",
            "valid_until",
        )
    return (
        ExceptionGranted.model_validate(
            {
                "request_id": request.request_id,
                "exam": request.exam,
                "waives": chosen,
                "valid_until": valid_until,
            }
        ),
    )


def in_order(waives: Sequence[str]) -> tuple[str, ...]:
    """Put what is waived in the order of spec section 2, each once.

    >>> in_order(["passed", "cap", "wait", "cap"])
    ('wait', 'cap', 'passed')
    """
    known = [each for each in _ORDER if each in waives]
    return (*known, *sorted({*waives} - {*known}))


def same_terms(request: Request, waives: Sequence[str], valid_until: int | None) -> None:
    """Raise DeskProblem, saying what differs, unless a grant was made on these terms."""
    differs = []
    if in_order(request.waives) != waives:
        differs.append(f"waives {listed(request.waives)}, not {listed(waives)}")
    if request.valid_until != valid_until:
        differs.append(f"valid {until(request.valid_until)}, not {until(valid_until)}")
    if differs:
        raise DeskProblem(
            f"{decided(request)} on other terms ({'; '.join(differs)}): revoke it to grant it anew"
        )


def until(instant: int | None) -> str:
    """Return how long a grant is valid."""
    return "without an end" if instant is None else f"until {format_instant(instant)}"


def reject(request: Request, *, why: str) -> tuple[ExceptionRejected, ...]:
    """Reject an open request; nothing more if it is rejected for this reason.

    Raises DeskProblem for a request that was decided otherwise.
    """
    if request.state == "rejected" and request.why == why:
        return ()
    if request.state == "rejected":
        raise DeskProblem(f"{decided(request)} for another reason: {request.why}")
    if request.state == "granted":
        raise DeskProblem(f"{decided(request)}: revoke it instead")
    if request.state != "open":
        raise DeskProblem(f"{decided(request)}: there is nothing left to reject")
    return (
        ExceptionRejected(request_id=request.request_id, exam=request.exam, missing=(), why=why),
    )


def revoke(request: Request, *, reason: str) -> tuple[ExceptionRevoked, ...]:
    """Withdraw an active grant; nothing more if it is withdrawn for this reason.

    Raises DeskProblem for a request that is not granted, and for a grant that is used or has run
    out: withdrawing it would change nothing.
    """
    if request.state == "revoked" and request.why == reason:
        return ()
    if request.state == "revoked":
        raise DeskProblem(f"{decided(request)} for another reason: {request.why}")
    if request.state != "granted":
        raise DeskProblem(f"{decided(request)}: there is no grant to withdraw")
    return (ExceptionRevoked(request_id=request.request_id, exam=request.exam, reason=reason),)


def decided(request: Request) -> str:
    """Return what a request has come to, and when, as the beginning of a sentence."""
    at = format_instant(request.changed_at)
    match request.state:
        case "open":
            became = f"was requested on {at} and is open"
        case "used":
            became = f"was used by {request.used_by} on {at}"
        case "expired":
            became = f"was granted and ran out on {at}"
        case state:
            became = f"was {state} on {at}"
    return f"{request.request_id} {became}"
