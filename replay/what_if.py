"""What a draft policy would have done, beside the one in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from ledger.models import PolicyPublished
from projections.catalogue import Catalogue, catalogue_of
from projections.fold.catalogue import next_start
from projections.fold.facts import NEVER
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.standing import Moment
from replay.columns.part import Ints, Part
from replay.everyone import Everyone
from replay.population import (
    EVERYBODY,
    INSTANT,
    Scope,
    instants,
    over_parts,
    stand,
    wanted_groups,
    words,
)
from replay.sittings import judge
from replay.violations import with_registrations

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


def what_if(
    everyone: Everyone,
    moment: Moment,
    drafts: Sequence[Draft],
    *,
    since: int | None = None,
    scope: Scope = EVERYBODY,
) -> Compared:
    """Fold everybody at a moment twice: as things are, and with drafts published as well.

    A draft counts as one more version of the policy of its id: from its
    effective_from on it takes the place of what is in force, also of a version
    of the same day, until that of a later day. Sittings are judged at their
    start with what is known at the moment; those before `since` are left out.
    Tables `SITTINGS` and `STANDINGS`, sorted by candidate, exam and start.
    """
    columns = everyone.columns(moment.position)
    published = everyone.ledger.catalogue(0, moment.position)
    catalogue = everyone.catalogue(columns, moment.position)
    drafted = catalogue_of(
        [*published, *drafted_events(drafts)],
        columns.exams,
        columns.certifications,
    )
    kernels = everyone.kernels
    judged: list[int] = []
    stood: list[int] = []
    touched = exams_under(drafted, {draft.id for draft in drafts})

    def fold_sittings(part: Part, skip: Ints | None) -> pa.Table:
        wanted = wanted_groups(part, skip, columns, scope)
        under = np.isin(part.group_exam, touched)
        now = judge(part, catalogue, moment, kernels, wanted)
        start = np.asarray(part.sittings.time)[now.row]
        past = start >= since if since is not None else np.ones(len(start), dtype=bool)
        judged.append(int(past.sum()))
        # Under a draft only where it could make a difference: the rest was judged once for all.
        then = judge(part, drafted, moment, kernels, wanted * under)
        changes = under[now.group]
        now, start, past = now.only(changes), start[changes], past[changes]
        rows = np.flatnonzero(past & ((now.status == ELIGIBLE) != (then.status == ELIGIBLE)))
        group = now.group[rows]
        return pa.table(
            {
                "candidate": part.candidates.take(pa.array(part.group_candidate[group])),
                "exam": words(part.group_exam[group], columns.exams),
                "started_at": pa.array(start[rows]).cast(INSTANT),
                "position": pa.array(np.asarray(part.sittings.position)[now.row[rows]]),
                "change": words((now.status[rows] == ELIGIBLE).astype(np.int8), CHANGES),
                "status": words(now.status[rows], STATUSES),
                "status_draft": words(then.status[rows], STATUSES),
            }
        )

    def fold_standings(part: Part, skip: Ints | None) -> pa.Table:
        wanted = wanted_groups(part, skip, columns, scope)
        under = np.isin(part.group_exam, touched)
        now: Any = stand(part, catalogue, moment, kernels, wanted)
        then: Any = stand(part, drafted, moment, kernels, wanted * under)
        stood.append(int((now.status >= 0).sum()))
        there = under & (now.status >= 0)
        changed = (now.status != then.status) | (now.eligible_from != then.eligible_from)
        rows = np.flatnonzero(there & changed)
        return pa.table(
            [
                part.candidates.take(pa.array(part.group_candidate[rows])),
                words(part.group_exam[rows], columns.exams),
                words(now.status[rows], STATUSES),
                instants(now.eligible_from, rows),
                words(then.status[rows], STATUSES),
                instants(then.eligible_from, rows),
            ],
            schema=STANDINGS,
        )

    sittings = over_parts(columns, fold_sittings, everyone.workers)
    standings = over_parts(columns, fold_standings, everyone.workers)
    return Compared(
        sittings=with_registrations(everyone, sittings, SITTINGS),
        standings=standings,
        judged=sum(judged),
        stood=sum(stood),
        until=tuple(taken_over(drafted, moment, n) for n in draft_positions(drafts)),
        idle=tuple(draft.id for draft in drafts if draft.id not in followed(published)),
    )


CHANGES = ("allowed", "refused")


def followed(entries: Sequence[Recorded]) -> set[str]:
    """Return the policies that exams follow, by any of their entries."""
    return {row.payload()["policy"] for row in entries if row.type == "ExamAnnounced"}


def exams_under(catalogue: Catalogue, policies: set[str]) -> list[int]:
    """Return the exams that follow one of these policies by any of their entries."""
    numbers = {catalogue.policies[policy] for policy in policies}
    definitions = catalogue.definitions
    return [
        exam
        for exam in catalogue.exams.values()
        if numbers & set(definitions.policy[definitions.lo[exam] : definitions.hi[exam]])
    ]


def drafted_events(drafts: Sequence[Draft]) -> list[Recorded]:
    """Make the events that publishing drafts would make, known from the beginning.

    Of positions that nobody else has.
    """
    return [draft_event(draft, n) for draft, n in zip(drafts, draft_positions(drafts), strict=True)]


def draft_positions(drafts: Sequence[Draft]) -> range:
    """Return each draft a position of its own, before the first."""
    return range(1 - len(drafts), 1)


def taken_over(drafted: Catalogue, moment: Moment, position: int) -> int | None:
    """Give when a published version takes over from the draft at a position, None if none does."""
    versions = drafted.versions
    draft = versions.position.index(position)
    policy = drafted.policies[drafted.published[draft].policy.id]
    first = next_start(
        versions.effective_from,
        versions.position,
        versions.annulled,
        versions.lo[policy],
        versions.hi[policy],
        versions.effective_from[draft],
        moment.position,
    )
    return None if first == NEVER else first


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
