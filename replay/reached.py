"""How the loops over everybody go on, in a group, from one question to the next."""

from __future__ import annotations

from typing import Final, NamedTuple

from projections.fold.ahead import MOST, forget
from projections.fold.catalogue import after_in_time
from projections.fold.covers import learned_from
from projections.fold.facts import GRANTED, NEVER, RESULT_REVOKED, Facts, Question, SittingRows
from projections.fold.sittings import BEFORE_ALL, Gathered, gather_on
from projections.fold.walk import NOWHERE, Way
from replay.questions import Groups, Scratch
from retake_policies.rules import first_after


def question(groups: Groups, g: int, as_of: int, known: int) -> Question:
    """Make the question about one group."""
    c = groups.candidate[g]
    return Question(
        groups.exam[g],
        as_of,
        known,
        groups.certification_offset[c],
        groups.certification_offset[c + 1],
        groups.grant_offset[c],
        groups.grant_offset[c + 1],
        groups.authorization_offset[c],
        groups.authorization_offset[c + 1],
    )


class Reached(NamedTuple):
    """Where the loops stand in a group: its sittings at a moment, and their walk."""

    g: int
    gathered: Gathered
    way: Way


AT_NO_GROUP: Final = Reached(-1, BEFORE_ALL, NOWHERE)


def go_on(
    rows: SittingRows, groups: Groups, facts: Facts, q: Question, g: int, scratch: Scratch,
    before: Reached,
) -> Reached:  # fmt: skip
    """Go on to a question: of the same group, later, only what is new is gathered and walked."""
    gathered, way, first = BEFORE_ALL, NOWHERE, NEVER
    then = before.gathered
    if g == before.g and then.as_of <= q.as_of and then.known <= q.known:
        gathered, way = then, before.way
        if then.known < q.known:  # of certifications too, which bear on the sittings after them
            first = learned_from(facts, q, scratch.sittings.covers)
    gathered = gather_on(
        rows, groups.lo[g], groups.hi[g], q.as_of, q.known, gathered, way.walked, scratch.sittings
    )
    n, touched = min(way.n, gathered.same), max(way.touched, gathered.touched)
    if first < NEVER or gathered.same < scratch.kept.of[MOST]:
        forget(scratch.kept)
    if first < NEVER:
        touched = way.walked
        while n > 0 and scratch.sittings.start[n - 1] >= first:
            n -= 1
    way = Way(
        n, way.walked, touched, way.version, way.edition,
        way.betas, way.pending, way.pending_betas, way.counted,
    )  # fmt: skip
    return Reached(g, gathered, way)


def next_fact(rows: SittingRows, groups: Groups, g: int, facts: Facts, q: Question) -> int:
    """Return the first instant after as_of at which a fact that may bear on a group becomes true.

    Its own sittings, its candidate's certifications, its grants and authorizations, as known at
    `q.known`; NEVER if there is none.
    """
    first, after, known = NEVER, q.as_of, q.known
    for i in range(first_after(rows.time, groups.lo[g], groups.hi[g], after), groups.hi[g]):
        if rows.position[i] <= known < rows.annulled[i]:
            first = rows.time[i]
            break
    certified, order = facts.certifications, facts.in_time.certifications
    lo, hi = q.certifications_lo, q.certifications_hi
    for k in range(after_in_time(certified.time, order, lo, hi, after), hi):
        i = order[k]
        if certified.time[i] >= first:
            break
        if certified.position[i] <= known < certified.annulled[i]:
            first = certified.time[i]
    grants, order = facts.grants, facts.in_time.grants
    lo, hi = q.grants_lo, q.grants_hi
    for k in range(after_in_time(grants.time, order, lo, hi, after), hi):
        i = order[k]
        if grants.time[i] >= first:
            break
        if grants.exam[i] == q.exam and grants.position[i] <= known < grants.annulled[i]:
            first = grants.time[i]
    authorized = facts.authorizations
    lo, hi = q.authorizations_lo, q.authorizations_hi
    for i in range(first_after(authorized.time, lo, hi, after), hi):
        if authorized.time[i] >= first:
            break
        if (
            authorized.exam[i] == q.exam
            and authorized.position[i] <= known < authorized.annulled[i]
        ):
            first = authorized.time[i]
    return first


def first_sitting(rows: SittingRows, lo: int, hi: int, known: int) -> int:
    """Return the first instant at which a sitting is visible, NEVER if none ever is.

    A revocation alone is no sitting (spec section 4).
    """
    for i in range(lo, hi):
        if rows.kind[i] != RESULT_REVOKED and rows.position[i] <= known < rows.annulled[i]:
            return rows.time[i]
    return NEVER


def may_be_booked(rows: SittingRows, groups: Groups, facts: Facts, q: Question, g: int) -> bool:
    """Return whether a sitting, a grant or an authorization is visible, whatever became of it."""
    if first_sitting(rows, groups.lo[g], groups.hi[g], q.known) <= q.as_of:
        return True
    grants, authorized = facts.grants, facts.authorizations
    for i in range(q.grants_lo, q.grants_hi):
        if (
            grants.exam[i] == q.exam
            and grants.kind[i] == GRANTED
            and grants.time[i] <= q.as_of
            and grants.position[i] <= q.known < grants.annulled[i]
        ):
            return True
    for i in range(q.authorizations_lo, q.authorizations_hi):
        if authorized.time[i] > q.as_of:
            break
        if (
            authorized.exam[i] == q.exam
            and authorized.kind[i] == GRANTED
            and authorized.position[i] <= q.known < authorized.annulled[i]
        ):
            return True
    return False
