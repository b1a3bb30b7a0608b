"""What a results file leaves unsaid: taken from the sitting, or the fact, that is recorded."""

from __future__ import annotations

from typing import Any

from ledger.events import Recorded, Row
from ledger.facts import Fact
from ledger.fields import Event
from ledger.instants import MIN_INSTANT
from ledger.intake.mapping import BadRow
from ledger.models import BetaRescored, ExamAttempted, ExamFailed, ExamPassed, make_event
from ledger.problems import shown

UNSAID = MIN_INSTANT - 1
"""The time of a result whose file does not say it."""
BETA_UNSAID = "result_at is empty: a beta row with a result says when it was determined"

_SAID_OF_ONE = frozenset(("ended_at", "delivery", "result_at", "score"))
_passed = ExamPassed.__pydantic_validator__.validate_python
_failed = ExamFailed.__pydantic_validator__.validate_python
_rescored = BetaRescored.__pydantic_validator__.validate_python


def result_of(data: dict[str, Any], *, is_beta: bool, passed: bool) -> Event:
    """Return the result of a sitting; raises pydantic's ValidationError."""
    result: Event
    if is_beta:
        result = _rescored({**data, "passed": passed})
    else:
        result = _passed(data) if passed else _failed(data)
    return result


def joined(row: Row, sitting: Recorded) -> Row:
    """Return a result as that of a sitting that is recorded, of whose delivery and time it is.

    A time that neither says stays `UNSAID`: of a beta sitting. Raises BadRow for a result that
    names another candidate or exam.
    """
    candidate = row.stream.partition("/")[2]
    for column, value, is_ in (
        ("candidate_id", candidate, sitting.subject),
        ("exam", row.exam, sitting.exam),
    ):
        if value and value != is_:
            raise BadRow(
                f"{column} is {shown(value)}, but the sitting {shown(row.key)} that is recorded at "
                f"position {sitting.position} is of {shown(is_)}"
            )
    time, is_beta = row.occurred_at, sitting.flag == 1
    if time == UNSAID and not is_beta:
        time = sitting.occurred_at if sitting.until is None else sitting.until
    data = Recorded(0, 0, *row).payload()
    result = result_of(
        {"exam": sitting.exam, "registration_id": sitting.key, "score": data.get("score")},
        is_beta=is_beta,
        passed=row.topic == ExamPassed.topic,
    )
    # Its ids are those of what is recorded, whatever may be said of them today.
    fact = Fact(row.source, row.id, sitting.subject, max(time, MIN_INSTANT), result, row.actor)
    return fact.row(as_recorded=True)._replace(occurred_at=time, extensions=row.extensions)


def filled(row: Row, stored: Recorded, silent: frozenset[str]) -> Row:
    """Return a row with what its file does not say as it is recorded, to be compared with that.

    An empty cell says that there is nothing; a column that is not there says nothing.
    """
    if not silent & _SAID_OF_ONE or stored.topic != row.topic:
        return row
    before, data = stored.payload(), Recorded(0, 0, *row).payload()
    data |= {column: before[column] for column in silent & _SAID_OF_ONE & before.keys()}
    is_silent = row.topic != ExamAttempted.topic and "result_at" in silent
    time = stored.occurred_at if is_silent else row.occurred_at
    return row._replace(data=make_event(stored.type, data).to_json(), occurred_at=time)
