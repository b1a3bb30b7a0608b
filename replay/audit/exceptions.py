"""`audit exceptions`: each decision on an exception with the rule and the facts at that time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ledger.store.scans import Annulments
from projections.reports.report import many
from projections.table import INSTANT, TEXT, TRUTH, WHOLE, Column
from replay.audit.conditions import WHICH, Conditions
from replay.audit.decisions import AGAINST, AGREES, DECISIONS, OPEN, Decided, row_of
from replay.audit.query import (
    ACTOR,
    ANNULLED_BY,
    ID,
    POSITION,
    RECORDED_AT,
    SOURCE,
    Query,
    batched,
    by,
    counted,
    selected,
    selection,
)
from replay.snapshot import Snapshot

_NO_REQUEST: Final = "no request was known"
_NO_POLICY: Final = "no policy was known"
_FOUND: Final = {
    AGREES: "agrees with the rule",
    AGAINST: "against the rule",
    OPEN: "left open by the rule",
}
_NO_SITTING: Final = "no such sitting was known"

_AT_ONCE: Final = 4096
"""Decisions that are looked into together: their candidates are read once for all of these."""

COLUMNS: Final = (
    POSITION,
    Column("decision", TEXT, "granted, rejected or revoked"),
    Column("decided_at", INSTANT, "when it was decided: its `time`"),
    RECORDED_AT,
    ACTOR,
    SOURCE,
    ID,
    Column("candidate", TEXT, "whom it is about"),
    Column("exam", TEXT, "the exam's code"),
    Column("request_id", TEXT, "the request; with the two before, the key of a grant"),
    ANNULLED_BY,
    Column("waives", TEXT, "what a grant waives: of wait, cap and passed", "no grant"),
    Column("valid_until", INSTANT, "before when a grant may be used", "no grant, or no bound"),
    Column("why", TEXT, "why it was rejected or revoked, as it was said", "a grant"),
    Column(
        "state_before",
        TEXT,
        "what the request had come to: open, rejected, granted, used, expired or revoked",
        _NO_REQUEST,
    ),
    Column("request_position", WHOLE, "the event that requested it", _NO_REQUEST),
    Column("requested_at", INSTANT, "when it was requested", _NO_REQUEST),
    Column("registration_id", TEXT, "the sitting it was requested for", "none was named"),
    Column("reason", TEXT, "the reason stated", "none was stated"),
    Column("policy", TEXT, "the policy that the exam followed", _NO_POLICY),
    Column("policy_effective_from", INSTANT, "from when its version was in force", _NO_POLICY),
    Column("policy_assumed", TRUTH, "whether it was used before its first day", _NO_POLICY),
    Column("policy_sha256", TEXT, "the digest of that version", _NO_POLICY),
    Column(
        "asked_under_sha256",
        TEXT,
        "the digest of the version in force when it was requested, which a request is judged by",
        "the same",
    ),
    Column("may_waive", TEXT, "exception.waives: what a grant could waive", _NO_POLICY),
    Column("accepted_reasons", TEXT, "exception.reasons: which reasons were accepted", _NO_POLICY),
    Column("required", TEXT, "exception.required: what a request had to say", _NO_POLICY),
    Column("sitting_started_at", INSTANT, "when the sitting named had begun", _NO_SITTING),
    Column(
        "sitting_outcome", TEXT, "its outcome: passed, failed, pending or revoked", _NO_SITTING
    ),
    Column("status", TEXT, "the standing: eligible, or the first reason that blocked"),
    Column("reasons", TEXT, "every reason that blocked, with a blank between", "none"),
    Column("waived", TEXT, "the reasons that a grant waived then", "none"),
    Column("eligible_from", INSTANT, "the first instant that was eligible", "eligible, or never"),
    Column("missing", TEXT, "which required fields the request had not filled in", "none"),
    Column("wrong", TEXT, "all that was wrong with the request by the rule", "nothing was"),
    Column("agrees", TEXT, "whether it agrees with the rule: yes, no, or open: left to the desk"),
    Column("clause", TEXT, "the keys of the policy, or fields of the request, that tell so"),
    Column("against", TEXT, "what speaks against it", "nothing does"),
    Column("used_by", TEXT, "the sitting that has used the grant since", "none has, or no grant"),
    Column("used_at", INSTANT, "when that sitting began", "the same"),
)  # fmt: skip


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the decisions, by what they are and by whether they agree with the rule."""
    words = [*rows["decision"].to_pylist(), *rows["agrees"].to_pylist()]
    return Counter(words) + Counter(
        decisions=rows.num_rows, used=counted(pc.is_valid(rows["used_by"]))
    )


def line(tally: Counter[str]) -> str:
    """Return how many there are, and how many are against the rule."""
    if not tally["decisions"]:
        return "Nothing was decided on an exception."
    parts = ", ".join(f"{tally[each]:,} {each}" for each in ("granted", "rejected", "revoked"))
    return (
        f"{many(tally['decisions'], 'decision')}: {parts}. {tally[AGREES]:,} agree with the rule "
        f"as known then, {tally[AGAINST]:,} are against it, {tally[OPEN]:,} it leaves open; "
        f"{many(tally['used'], 'grant')} used since."
    )


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write a decision, then request, rule, facts, finding and use, each on its line."""
    flag = "  AGAINST THE RULE" if row["agrees"] == AGAINST else ""
    annulled = "" if row["annulled_by"] is None else f"  annulled by @{row['annulled_by']}"
    yield (
        f"@{row['position']}  {row['decision']}  {row['request_id']}  {row['candidate']}  "
        f"{row['exam']}{annulled}{flag}"
    )
    yield f"decided {row['decided_at']}, recorded {row['recorded_at']}{by(row['actor'])}"
    yield f"{row['source']} {row['id']}"
    if row["waives"] is not None:
        until = "" if row["valid_until"] is None else f", until {row['valid_until']}"
        yield f"waives {row['waives']}{until}"
    if row["why"] is not None:
        yield f"why: {row['why']}"
    yield f"request: {_request(row)}"
    yield from _rule(row)
    yield f"facts: {_facts(row)}"
    yield f"{_FOUND[row['agrees']]} ({row['clause']}){_against(row)}"
    if row["decision"] == "granted":
        used = "no" if row["used_by"] is None else f"by {row['used_by']}, {row['used_at']}"
        yield f"used since: {used}"


def _request(row: Mapping[str, Any]) -> str:
    if row["request_position"] is None:
        return _NO_REQUEST
    return (
        f"@{row['request_position']} of {row['requested_at']}, {row['state_before']}; reason "
        f"{row['reason'] or 'none'}; sitting {row['registration_id'] or 'none'}"
    )


def _rule(row: Mapping[str, Any]) -> Iterator[str]:
    if row["policy"] is None:
        yield f"rule: {_NO_POLICY}"
        return
    assumed = ", assumed" if row["policy_assumed"] else ""
    terms = row["asked_under_sha256"]
    under = "" if terms is None else f" (requested under sha256 {terms[:12]}…)"
    yield (
        f"rule: {row['policy']} from {row['policy_effective_from']}{assumed}, sha256 "
        f"{row['policy_sha256'][:12]}…{under}; lets be waived: {row['may_waive'] or 'nothing'}"
    )
    yield (
        f"it accepts {row['accepted_reasons'] or 'no reason'}; it requires "
        f"{row['required'] or 'nothing'}"
    )


def _facts(row: Mapping[str, Any]) -> str:
    sitting = (
        _NO_SITTING
        if row["sitting_outcome"] is None
        else f"{row['registration_id']} of {row['sitting_started_at']} was {row['sitting_outcome']}"
    )
    free = "" if row["eligible_from"] is None else f" until {row['eligible_from']}"
    standing = row["reasons"] or row["status"]
    waived = "" if row["waived"] is None else f" ({row['waived']} waived)"
    return f"{sitting}; standing {standing}{free}{waived}; wrong: {row['wrong'] or 'nothing'}"


def _against(row: Mapping[str, Any]) -> str:
    return "" if row["against"] is None else f": {row['against']}"


def exceptions(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the decisions asked about, by position."""
    return batched(QUERY.schema, _rows(snapshot, terms))


def _rows(snapshot: Snapshot, terms: Conditions) -> Iterator[dict[str, Any]]:
    types = terms.types
    chosen = tuple(each for each in DECISIONS if not types or each in types)
    if not chosen:
        return
    wanted = selection(snapshot, terms)._replace(types=chosen)
    annulments = snapshot.ledger.scans.annulments(wanted, snapshot.position)
    for batch in selected(snapshot, wanted):
        for first in range(0, batch.num_rows, _AT_ONCE):
            yield from _of_some(snapshot, batch.slice(first, _AT_ONCE), annulments)


def _of_some(
    snapshot: Snapshot, batch: pa.RecordBatch, annulments: Annulments
) -> Iterator[dict[str, Any]]:
    """Yield some decisions by position; each candidate is read once, whatever is in between."""
    by = annulments.of(batch["position"].to_numpy()).tolist()
    of: dict[str, list[tuple[int, int | None]]] = {}
    for candidate, position, annulled_by in zip(
        batch["subject"].to_pylist(), batch["position"].to_pylist(), by, strict=True
    ):
        of.setdefault(candidate, []).append((position, annulled_by or None))
    found = []
    for candidate, some in of.items():
        rows = snapshot.ledger.stream(f"candidate/{candidate}", upto=snapshot.position)
        decided = Decided(candidate, rows, snapshot.catalogue, snapshot.position)
        found += [row_of(decided.rows[at], decided, annulled_by) for at, annulled_by in some]
    yield from sorted(found, key=itemgetter("position"))


QUERY: Final = Query(
    name="exceptions",
    title="Decisions on exceptions",
    says="One row a decision, by position: with the request, the rule, and the facts as of the "
    "decision's time and as known just before it was recorded. Used since is by what is known at "
    "known_at.",
    help="""\
The request, the policy in force, the sitting named and the standing are those known just before
the decision was recorded, as of its time. A decision against the rule is flagged. Whether a
grant was used since is by what is known at --known-at.""",
    examples="""
    attempt-ledger audit exceptions --exam AZ-104
    attempt-ledger audit exceptions --actor desk --recorded-from 2022-06-01 --output june.xlsx
    """,
    takes=WHICH,
    columns=COLUMNS,
    key=("position",),
    make=exceptions,
    tally=tally,
    line=line,
    text=text,
)
