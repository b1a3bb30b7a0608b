"""Single rows of the reports' inputs: an exam's expectations, a request, a correction, a wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ledger.events import Recorded
from ledger.store.scans import NO_END
from projections.exceptions import GRANTED, REJECTED, REQUESTED, decide
from projections.fold.calendar import wait_end
from projections.fold.catalogue import Dates
from projections.fold.facts import NEVER
from projections.fold.rules import overdue_from, results_expected, wait_entry
from replay.columns.part import Ints
from retake_policies.rules import Rules

DAY = 86_400_000_000
_UNITS = (1, DAY)
"""What a wait's amount counts, by its unit: microseconds, days of 24 hours."""

Row = dict[str, Any]


def ends_of_waits(rules: Rules, begins: Ints, ordinals: Ints) -> Ints:
    """Return until when the waits run that begin then, after sittings with these ordinals.

    NEVER-like sentinels do not arise: an entry that the policy lacks gives no wait, NONE.
    """
    out: Ints = np.full(len(begins), -NO_END, dtype=np.int64)
    for ordinal in np.unique(ordinals).tolist():
        entry = wait_entry(rules, ordinal)
        if entry < 0:
            continue
        rows = np.flatnonzero(ordinals == ordinal)
        unit, amount = rules.wait_unit[entry], rules.wait_amount[entry]
        if unit == 0 or (unit < len(_UNITS) and rules.wait_days == 0):
            out[rows] = begins[rows] + amount * _UNITS[unit]
            continue
        out[rows] = [
            wait_end(at, unit, amount, rules.wait_days, rules.zone_from, rules.zone_offset)
            for at in begins[rows].tolist()
        ]
    return out


def expectations(rules: Rules, dates: Dates) -> Row:
    """Return when the results of an exam's beta are expected, and from when they are overdue."""
    first, last = results_expected(rules, dates)
    return {
        "overdue_from": known_or_none(overdue_from(rules, dates)),
        "results_from": known_or_none(first),
        "results_by": known_or_none(last),
    }


def known_or_none(instant: int) -> int | None:
    """Return an instant, None for the sentinel."""
    return None if instant == NEVER else instant


def recorded(row: Row) -> Recorded:
    """Return a row of `extract.EXCEPTIONS` as an event, as far as the fold looks at it."""
    until = None if row["until"] == NO_END else row["until"]
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
        until=until,
        annuls=None,
        data=row["data"],
    )


def request(candidate: str, exam: str, id: str, events: Sequence[Recorded], as_of: int) -> Row:
    """Fold the visible events of one request, in (time, position) order, into a row.

    The decision is the desk's (`projections.exceptions.decide`); whether a grant was used or has
    run out since is no decision.
    """
    last = {row.type: row for row in events}
    asked = last[REQUESTED].payload() if REQUESTED in last else {}
    granted = last[GRANTED].payload() if GRANTED in last else {}
    decided = [row.occurred_at for row in events if row.type in (REJECTED, GRANTED)]
    state = decide(events, as_of, lambda: ()).state
    return {
        "candidate": candidate,
        "exam": exam,
        "request_id": id,
        "decision": "granted" if state == "expired" else state,
        "registration_id": asked.get("registration_id"),
        "reason": asked.get("reason"),
        "requested_at": last[REQUESTED].occurred_at if asked else None,
        "decided_at": min(decided, default=None),
        "waives": " ".join(granted["waives"]) if granted else None,
        "valid_until": last[GRANTED].until if granted else None,
    }


def correction(row: Row) -> Row:
    """Make a row of a correction from one of `ledger.store.scans.CORRECTIONS`.

    An annulment is told of by what it annuls: its type, exam and key, and when that was true.
    """
    annulment = row["annuls"] > 0
    of = "of_" if annulment else ""
    type = row[f"{of}topic"].partition(":")[0]
    kind, _, subject = row["stream"].partition("/")
    about = {"candidate": None, "exam": row[f"{of}exam"] or None, "key": row[f"{of}key"] or None}
    about[kind if kind in about else "key"] = subject
    true_at = row["of_occurred_at"]
    told = "late"
    if annulment:
        told = "annulment"
    elif type in ("ResultRevoked", "ExceptionRevoked"):
        told = "revocation"
    return {
        "position": row["position"],
        "kind": told,
        "type": type,
        **about,
        "true_at": true_at,
        "recorded_at": row["recorded_at"],
        "lag_days": round((row["recorded_at"] - true_at) / DAY, 3),
        "annuls": row["annuls"] or None,
    }
