"""`exceptions`: each request with what was decided, and the sitting that used its grant."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from projections.catalogue import setting_of
from projections.exceptions import GRANTED, REJECTED, REQUESTED, REVOKED, deciding
from projections.fold.facts import NEVER
from projections.fold.grants import used_by
from projections.fold.walk import is_counted
from projections.tables import EXCEPTIONS
from replay.tables.batch import Batch, rows_of
from retake_policies.rules import Rules

_DECISIONS = {GRANTED: "granted", REVOKED: "revoked", REJECTED: "rejected"}


def exceptions(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return a row for each (candidate, exam, request_id) that visible events speak of.

    What holds is what the desk says (`projections.exceptions.deciding`), but for the clock: of a
    grant the table tells until when it is valid, not whether it has run out.
    """
    events = batch.events.exceptions
    events = events.filter(pc.less_equal(events["occurred_at"], batch.moment.as_of))
    events, candidate = batch.of_candidates(events)
    order = np.lexsort((events["position"].to_numpy(), events["occurred_at"].to_numpy()))
    requests: dict[tuple[str, str, str], list[Recorded]] = {}
    number: dict[str, int] = {}
    for row, of in zip(
        events.take(pa.array(order)).to_pylist(), candidate[order].tolist(), strict=True
    ):
        number[row["candidate"]] = of
        requests.setdefault((row["candidate"], row["exam"], row["key"]), []).append(_event(row))
    rows = [_row(*key, events) for key, events in requests.items()]
    if rows and {"used_at", "used_by"} & set(names):
        _add_uses(batch, rows, number)
    return rows_of(EXCEPTIONS, rows, names)


def _event(row: dict[str, Any]) -> Recorded:
    """Return an event as far as a decision looks at it."""
    return Recorded(
        position=row["position"],
        recorded_at=0,
        occurred_at=row["occurred_at"],
        topic=row["topic"],
        stream=f"candidate/{row['candidate']}",
        source="",
        id="",
        actor=None,
        exam=row["exam"],
        key=row["key"],
        flag=None,
        until=row["until"],
        annuls=None,
        data=row["data"],
    )


def _row(candidate: str, exam: str, request_id: str, events: list[Recorded]) -> dict[str, Any]:
    """Return the row of one request, by its visible events in (time, position) order."""
    last = {event.type: event for event in events}
    request = last[REQUESTED].payload() if REQUESTED in last else {}
    granted = last[GRANTED].payload() if GRANTED in last else {}
    by = deciding(events)
    row: dict[str, Any] = {
        "candidate": candidate,
        "exam": exam,
        "request_id": request_id,
        "decision": "open" if by is None else _DECISIONS[by.type],
        "registration_id": request.get("registration_id"),
        "reason": request.get("reason"),
        "requested_at": last[REQUESTED].occurred_at if REQUESTED in last else None,
        "decided_at": None if by is None else by.occurred_at,
        "decided_by": None if by is None else by.position,
        "first_decided_at": min(
            (event.occurred_at for event in events if event.type in (REJECTED, GRANTED)),
            default=None,
        ),
        "waives": _joined(granted.get("waives"), " "),
        "valid_until": last[GRANTED].until if GRANTED in last else None,
    }
    if by is not None and by.type == REJECTED:
        payload = by.payload()
        row |= {"missing": _joined(payload.get("missing"), ","), "why": payload.get("why")}
    elif by is not None and by.type == REVOKED:
        row["why"] = by.payload().get("reason")
    return row


def _add_uses(batch: Batch, rows: list[dict[str, Any]], number: dict[str, int]) -> None:
    """Add to rows of grants that hold which sitting used each, if one did.

    What is counted is asked at the moment, as the desk asks it: the ordinal that a sitting had when
    it began does not say, where it was missed then and has had a result since.
    """
    found = batch.sittings
    grants = [row for row in rows if row["decision"] == "granted"]
    candidates = np.array([number[row["candidate"]] for row in grants], dtype=np.int64)
    group = batch.groups_at(candidates, [row["exam"] for row in grants])
    lo, hi = np.searchsorted(found.group, group), np.searchsorted(found.group, group, "right")
    rules = {exam: _rules_of(batch, exam) for exam in {row["exam"] for row in grants}}
    used: list[tuple[dict[str, Any], int]] = []
    for row, first, end in zip(grants, lo.tolist(), hi.tolist(), strict=True):
        by = rules[row["exam"]]
        counted = [
            s
            for s in range(first, end)
            if by is not None and is_counted(by, found.outcome[s], found.beta[s])
        ]
        until = NEVER if row["valid_until"] is None else row["valid_until"]
        s = used_by(found.start[counted], row["decided_at"], until)
        if s >= 0:
            used.append((row, counted[s]))
    at = np.array([s for _, s in used], dtype=np.int64)
    keys = batch.events.keys(np.asarray(batch.part.sittings.position)[found.row[at]])
    for (row, s), key in zip(used, keys.to_pylist(), strict=True):
        row |= {"used_at": int(found.start[s]), "used_by": key}


def _rules_of(batch: Batch, exam: str) -> Rules | None:
    """Return the rules in force for an exam at the moment; without any no sitting is counted."""
    catalogue, moment = batch.setting.catalogue, batch.moment
    version = setting_of(catalogue, exam, moment.as_of, moment.position).version
    return None if version < 0 else catalogue.published[version].rules


def _joined(names: Iterable[str] | None, by: str) -> str | None:
    return by.join(names) or None if names else None
