"""What a draft policy would have done, beside the one in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from ledger.models import PolicyPublished
from projections.catalogue import Catalogue
from projections.fold.catalogue import coming_after
from projections.fold.facts import MISSED, NEVER, NONE
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.table import INSTANT
from replay.bound import Bound
from replay.columns.part import Ints, Part
from replay.population import (
    EVERYBODY,
    Scope,
    candidate_and_exam,
    instants,
    judge,
    over_groups,
    sittings_of,
    stand,
    words,
)
from replay.questions import Numbered
from replay.snapshot import Snapshot
from replay.violations import with_registrations
from retake_policies.rules import first_after, version_in_force

SITTINGS = pa.schema(
    [
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("registration_id", pa.string()),
        ("started_at", INSTANT),
        ("position", pa.int64()),
        ("change", pa.string()),
        ("status", pa.string()),
        ("status_draft", pa.string()),
    ]
)
"""Past sittings that the draft would have `refused` or newly `allowed`."""
UNREGISTERED = SITTINGS.remove(SITTINGS.get_field_index("registration_id"))

STANDINGS = pa.schema(
    [
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("status", pa.string()),
        ("eligible_from", INSTANT),
        ("status_draft", pa.string()),
        ("eligible_from_draft", INSTANT),
    ]
)
"""Standings at as_of whose status or eligible_from the draft changes."""


class Draft(NamedTuple):
    """A policy that is not published: its id and its text."""

    id: str
    toml: str


class Compared(NamedTuple):
    """The population under the policies in force and under the drafts."""

    sittings: pa.Table
    standings: pa.Table
    judged: int
    """How many sittings were judged."""
    stood: int
    """How many standings were compared."""
    idle: tuple[str, ...]
    """Drafts of policies that no exam follows, by id: they change nothing."""
    until: tuple[int | None, ...]
    """For each draft when a published version takes over from it, None if none does."""


class Counted(NamedTuple):
    """What a draft changes, and of how many that were looked at."""

    rows: pa.Table
    of: int


def what_if(
    snapshot: Snapshot,
    drafts: Sequence[Draft],
    *,
    since: int | None = None,
    scope: Scope = EVERYBODY,
) -> Compared:
    """Fold everybody twice: as things are, and with drafts published as well.

    A draft counts as one more version of the policy of its id: from its
    effective_from on it takes the place of what is in force, also of a version
    of the same day, until that of a later day. Sittings are judged at their
    start with what the snapshot knows; those before `since`, and missed ones, are left out.
    Tables `SITTINGS` and `STANDINGS`, sorted by candidate, exam and start.
    """
    drafted = snapshot.supposing(drafted_events(drafts))
    _ = drafted.columns  # before either catalogue is asked for: then it is numbered alike
    touched = exams_under(drafted.catalogue, drafts)
    return compared(
        snapshot,
        drafted,
        drafts,
        changed_sittings(snapshot, drafted, touched, since, scope),
        changed_standings(snapshot, drafted, touched, scope),
    )


def compared(
    snapshot: Snapshot,
    drafted: Snapshot,
    drafts: Sequence[Draft],
    sittings: Counted,
    standings: Counted,
) -> Compared:
    """Put what changes together, with what there is to say of each draft."""
    return Compared(
        sittings=with_registrations(snapshot, sittings.rows, SITTINGS),
        standings=standings.rows,
        judged=sittings.of,
        stood=standings.of,
        until=tuple(taken_over(drafted, n) for n in draft_positions(drafts)),
        idle=tuple(draft.id for draft in drafts if draft.id not in followed(snapshot.entries)),
    )


def changed_sittings(
    bound: Bound, drafted: Bound, touched: Sequence[int], since: int | None, scope: Scope
) -> Counted:
    """Judge sittings under both; return `UNREGISTERED`, without what columns do not keep.

    `touched` are the exams under a draft, as the columns number them.
    """
    judged: list[int] = []
    first = drafts_hold_from(drafted)

    def fold(part: Part, wanted: Ints) -> pa.Table:
        sittings: Any = sittings_of(bound, part, wanted)
        past = sittings.start >= (NONE if since is None else since)
        past &= sittings.outcome != MISSED
        judged.append(int(past.sum()))
        # Only where a draft could make a difference: the rest comes out the same.
        under = past & np.isin(part.group_exam, touched)[sittings.group]
        under = np.flatnonzero(under & (sittings.start >= first))
        some: Any = Numbered(*(column[under] for column in sittings))
        now: Any = judge(bound, part, some)
        then: Any = judge(drafted, part, some)
        rows = np.flatnonzero((now.status == ELIGIBLE) != (then.status == ELIGIBLE))
        return pa.table(
            [
                *candidate_and_exam(part, bound.columns, some.group[rows]),
                pa.array(some.start[rows]).cast(INSTANT),
                pa.array(np.asarray(part.sittings.position)[some.row[rows]]),
                words((now.status[rows] == ELIGIBLE).astype(np.int8), CHANGES),
                words(now.status[rows], STATUSES),
                words(then.status[rows], STATUSES),
            ],
            names=UNREGISTERED.names,
        )

    rows = over_groups(bound, scope, fold)
    return Counted(rows, sum(judged))


def changed_standings(
    bound: Bound, drafted: Bound, touched: Sequence[int], scope: Scope
) -> Counted:
    """Compare standings at the moment under both; return `STANDINGS`."""
    stood: list[int] = []

    def fold(part: Part, wanted: Ints) -> pa.Table:
        under = np.isin(part.group_exam, touched)
        now = stand(bound, part, wanted)
        then = stand(drafted, part, wanted * under)
        stood.append(int((now.status >= 0).sum()))
        changed = (now.status != then.status) | (now.eligible_from != then.eligible_from)
        rows = np.flatnonzero(under & (now.status >= 0) & changed)
        return pa.table(
            [
                *candidate_and_exam(part, bound.columns, rows),
                words(now.status[rows], STATUSES),
                instants(now.eligible_from, rows),
                words(then.status[rows], STATUSES),
                instants(then.eligible_from, rows),
            ],
            schema=STANDINGS,
        )

    rows = over_groups(bound, scope, fold)
    return Counted(rows, sum(stood))


CHANGES = ("allowed", "refused")


def followed(entries: Sequence[Recorded]) -> set[str]:
    """Return the policies that exams follow, by any of their entries."""
    return {row.payload()["policy"] for row in entries if row.type == "ExamAnnounced"}


def exams_under(catalogue: Catalogue, drafts: Sequence[Draft]) -> list[int]:
    """Return the exams that follow a draft's policy by any of their entries."""
    numbers = {catalogue.policies[draft.id] for draft in drafts}
    definitions = catalogue.definitions
    return [
        exam
        for exam in catalogue.exams.values()
        if numbers & set(definitions.policy[definitions.lo[exam] : definitions.hi[exam]])
    ]


def drafts_hold_from(drafted: Bound) -> int:
    """Return the first instant at which a draft is in force: NONE where it is so from the first.

    Of a policy's versions the first holds before it begins too.
    """
    versions, first = drafted.catalogue.versions, NEVER
    starts, position, annulled = versions.effective_from, versions.position, versions.annulled
    for lo, hi in zip(versions.lo, versions.hi, strict=True):
        earliest = version_in_force(starts, position, annulled, lo, hi, NONE, drafted.position)
        for draft in (row for row in range(lo, hi) if position[row] <= 0):
            first = min(first, NONE if draft == earliest else starts[draft])
    return first


def drafted_events(drafts: Sequence[Draft]) -> list[Recorded]:
    """Make the events that publishing drafts would make, known from the beginning.

    Of positions that nobody else has.
    """
    return [draft_event(draft, n) for draft, n in zip(drafts, draft_positions(drafts), strict=True)]


def draft_positions(drafts: Sequence[Draft]) -> range:
    """Return each draft a position of its own, before the first."""
    return range(1 - len(drafts), 1)


def taken_over(drafted: Snapshot, position: int) -> int | None:
    """Return when a published version takes over from the draft at a position, or None."""
    catalogue = drafted.catalogue
    versions = catalogue.versions
    draft = versions.position.index(position)
    policy = catalogue.policies[catalogue.published[draft].policy.id]
    starts, lo, hi = versions.effective_from, versions.lo[policy], versions.hi[policy]
    after = first_after(starts, lo, hi, starts[draft])
    coming = coming_after(
        starts, versions.position, versions.annulled, versions.alike, versions.differs,
        draft, after, hi, drafted.position,
    )  # fmt: skip
    return None if coming.until == NEVER else coming.until


def draft_event(draft: Draft, position: int) -> Recorded:
    """Make the event that publishing a draft would make."""
    return Recorded(
        position=position,
        recorded_at=0,
        occurred_at=1 << 61,  # later than whatever is published, so of equal dates the draft holds
        topic=PolicyPublished.topic,
        stream=f"policy/{draft.id}",
        source="draft",
        id=draft.id,
        actor=None,
        exam=None,
        key=None,
        flag=None,
        until=None,
        annuls=None,
        data=PolicyPublished(toml=draft.toml).to_json(),
    )


def totals(table: pa.Table, by: Sequence[str]) -> list[tuple[Any, ...]]:
    """Count a table's rows by some of its columns, the largest first, then by those columns."""
    counted = table.group_by(list(by)).aggregate([([], "count_all")])
    order = [("count_all", "descending"), *((name, "ascending") for name in by)]
    counted = counted.take(pc.sort_indices(counted, sort_keys=order))
    return list(zip(*(counted[name].to_pylist() for name in (*by, "count_all")), strict=True))
