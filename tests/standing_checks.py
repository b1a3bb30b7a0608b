"""What a story says of a standing, against the standing.

What is not said is nothing: no reason but the one that is the status, none waived, and eligible
from the end of that one. The rest is compared where it is said:

    status                  the status
    until, clause, because, expected, says, never_says      of the first reason
    reasons, waived         each a code, or a table of the same words with `code`
    eligible_from, next_change_at, period_ends_at           instants, or "null"
    in_series, policy, effective_from, assumed
    sittings                tables of registration_id, started_at, delivery, outcome, outcome_at,
                            ordinal (0: not counted)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plain_values import at, text

from projections.answers import Reason, Sitting, Standing

INSTANTS = ("until", "eligible_from", "next_change_at", "period_ends_at", "effective_from",
            "started_at", "outcome_at")  # fmt: skip
OF_A_REASON = ("until", "clause", "because", "expected", "says", "never_says")


def assert_standing(standing: Standing, status: str, said: Mapping[str, Any]) -> None:
    """Compare a standing with what is said of it, and with itself."""
    said = {"waived": [], **said, "status": status}
    first = {key: said.pop(key) for key in OF_A_REASON if key in said}
    if "reasons" not in said:
        said["reasons"] = [] if status == "eligible" else [{"code": status, **first}]
        if "until" in first:
            said.setdefault("eligible_from", first["until"])
    else:
        assert not first, f"said both of the first reason and among reasons: {first}"
    if status == "eligible":
        said.setdefault("eligible_from", "null")
    wanted = {key: plain(key, value) for key, value in said.items()}
    found = {key: actual(standing, key, wanted[key]) for key in wanted}
    differing = [
        f"{key} is {shown(found[key])}, not {shown(wanted[key])}"
        for key in wanted
        if found[key] != wanted[key]
    ]
    asked = f"{standing.exam} as of {text(standing.as_of)}, as known at {standing.position}:"
    assert not differing, "\n".join([asked, *differing])
    assert_sound(standing)


def assert_sound(standing: Standing) -> None:
    """A standing agrees with itself, whatever it says, and survives JSON."""
    codes = [reason.code for reason in standing.reasons]
    assert standing.status == (codes[0] if codes else "eligible")
    assert standing.eligible == (not codes)
    assert (standing.eligible_from is None) or not standing.eligible
    for reason in standing.reasons + standing.waived:
        assert reason.until is None or reason.until > standing.as_of
        assert reason.text
    assert {reason.code for reason in standing.waived} <= {"passed", "cap-reached", "waiting"}
    for later in (standing.eligible_from, standing.next_change_at):
        assert later is None or later > standing.as_of
    assert Standing.model_validate_json(standing.model_dump_json()) == standing


def shown(value: Any) -> str:
    """Show a value with its instants as text."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {shown(held)}' for key, held in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    return text(value) if isinstance(value, int) and abs(value) > 10**9 else repr(value)


def plain(key: str, value: Any) -> Any:
    """Bring what is said into the form in which it is compared."""
    if key in INSTANTS:
        return None if value == "null" else at(value)
    if key in ("reasons", "waived"):
        return [{"code": said} if isinstance(said, str) else plain_table(said) for said in value]
    if key == "sittings":
        return [plain_table(said) for said in value]
    if key == "expected":
        return [at(instant) for instant in value]
    if key == "clause":
        return None if value == "null" else value
    return [value] if key in ("says", "never_says") and isinstance(value, str) else value


def plain_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """Bring each value of a table into the form in which it is compared."""
    return {key: plain(key, value) for key, value in table.items()}


def actual(standing: Standing, key: str, wanted: Any) -> Any:
    """Take of a standing what is to be compared with `wanted`."""
    match key:
        case "reasons" | "waived":
            reasons: tuple[Reason, ...] = getattr(standing, key)
            return [
                of_reason(reason, table) for reason, table in paired(reasons, wanted, {"code": "?"})
            ]
        case "sittings":
            return [of_sitting(sitting, table) for sitting, table in
                    paired(standing.sittings, wanted, {"registration_id": "?"})]  # fmt: skip
        case "in_series":
            return standing.sittings_in_series
        case "policy":
            return standing.policy.id if standing.policy else "null"
        case "effective_from" | "assumed":
            return getattr(standing.policy, key)
        case _:
            return getattr(standing, key)


def paired(found: tuple[Any, ...], wanted: list[Any], most: dict[str, Any]) -> list[Any]:
    """Pair what is found with what is wanted, showing `most` of what nobody asked for."""
    return [(item, wanted[i] if i < len(wanted) else most) for i, item in enumerate(found)]


def of_reason(reason: Reason, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Take of a reason what is to be compared with `wanted`."""
    found: dict[str, Any] = {}
    for key, value in wanted.items():
        if key == "because":
            found[key] = [cause.id for cause in reason.because]
        elif key == "expected":
            found[key] = list(reason.expected or ())
        elif key == "says":
            found[key] = [words if words in reason.text else reason.text for words in value]
        elif key == "never_says":
            found[key] = [reason.text if words in reason.text else words for words in value]
        else:
            found[key] = getattr(reason, key)
    return found


def of_sitting(sitting: Sitting, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Take of a sitting what is to be compared with `wanted`."""
    found = {key: getattr(sitting, key) for key in wanted}
    if "ordinal" in found:
        found["ordinal"] = sitting.ordinal or 0
        assert sitting.counted == (sitting.ordinal is not None)
    return found
