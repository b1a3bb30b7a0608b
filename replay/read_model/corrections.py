"""Corrections: what the ledger learned late or took back, and what the standing was before."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from projections.catalogue import Catalogue
from projections.fold.facts import NONE
from projections.fold.rules import STATUSES
from projections.history import CERTIFICATION_KINDS
from projections.tables import CORRECTIONS
from replay.columns.part import Ints, offsets, ranges
from replay.read_model.batch import NO_ROW, Given, Late, instants, rows_of, table_of, words

KINDS: Final = ("annulment", "revocation", "late")
ANNULMENT, REVOCATION, LATE = range(3)
REVOCATIONS: Final = ("ResultRevoked", "ExceptionRevoked")


def corrections(given: Given, after: int) -> pa.Table:
    """Fold the facts recorded after a position into rows of `corrections`.

    Each is judged by what was known just before it and with it, so that a row never changes
    whatever is recorded later.
    """
    kind = _kinds(given, after)
    fact = np.flatnonzero(kind >= 0)
    if not len(fact):
        return table_of(CORRECTIONS, **{name: [] for name in CORRECTIONS.names})
    kind = kind[fact]
    # Of an annulment, what it annuls is what it is about, and when that was said to be true.
    about = fact.copy()
    annuls = given.numbers("annuls")[fact]
    about[kind == ANNULMENT] = given.at(annuls[kind == ANNULMENT])

    which, group = _borne_on(given, about)
    fact, about, kind, annuls = fact[which], about[which], kind[which], annuls[which]
    position = given.positions[fact]
    true_at, known_at = given.numbers("occurred_at")[about], given.numbers("recorded_at")[fact]
    was = _stand(given, group, true_at, position - 1)
    now = _stand(given, group, true_at, position)
    told = _stand(given, group, known_at, position - 1)
    tell = _stand(given, group, known_at, position)

    number, type_names = given.types()
    of_certification = np.isin(
        number[about], [n for n, name in enumerate(type_names) if name in CERTIFICATION_KINDS]
    )
    changed = (was[0] != now[0]) | (was[1] != now[1]) | (told[0] != tell[0])
    kept = _kept(position, ~of_certification | changed)
    # A certification that changes no standing bears on no exam: one row says that it came late.
    group = np.where(of_certification & ~changed, NO_ROW, group)
    nowhere = of_certification & ~changed

    def status(stood: tuple[Ints, Ints]) -> pa.Array:
        return words(np.where(nowhere, -1, stood[0])[kept], STATUSES)

    def eligible_from(stood: tuple[Ints, Ints]) -> pa.Array:
        return instants(np.where(nowhere, NONE, stood[1])[kept])

    exam = given.texts("exam", about)
    exam = pc.if_else(pc.is_valid(exam), exam, words(_exams(given, group), given.exam_names))
    return table_of(
        CORRECTIONS,
        position=position[kept],
        number=_counted(position[kept]),
        kind=words(kind[kept], KINDS),
        type=words(number[about][kept], type_names),
        candidate=given.table["candidate"].take(pa.array(fact[kept])),
        exam=exam.take(pa.array(np.flatnonzero(kept))),
        key=given.texts("key", about[kept]),
        annuls=instants(annuls[kept]),
        true_at=true_at[kept],
        known_at=known_at[kept],
        was_status=status(was),
        is_status=status(now),
        was_eligible_from=eligible_from(was),
        is_eligible_from=eligible_from(now),
        told_before=status(told),
        told_after=status(tell),
    )


def _kinds(given: Given, after: int) -> Ints:
    """Return the kind of correction each fact is, -1 where it is none."""
    number, names = given.types()
    late = given.numbers("recorded_at") - given.numbers("occurred_at") >= given.setting.late.late
    kind = np.where(late, LATE, -1)
    kind[np.isin(number, [n for n, name in enumerate(names) if name in REVOCATIONS])] = REVOCATION
    kind[given.numbers("annuls") != NONE] = ANNULMENT
    kind[given.positions <= after] = -1
    return kind


def _borne_on(given: Given, about: Ints) -> tuple[Ints, Ints]:
    """Pair each fact with the groups that it may bear on; with NO_ROW if there is none.

    A fact of an exam bears on that exam; one of a certification may on all of the candidate's.
    Gives which of the facts, and the group.
    """
    part, number, names = given.part, *given.types()
    candidate = given.candidates(about)
    exam = given.exam_numbers(given.table["exam"].take(pa.array(about)).to_pylist())
    group = given.groups_at(candidate, exam)
    of_certification = np.isin(
        number[about], [n for n, name in enumerate(names) if name in CERTIFICATION_KINDS]
    )
    lo, hi = part.group_offset[candidate], part.group_offset[candidate + 1]
    many = of_certification & (lo < hi)
    length = np.where(many, hi - lo, 1)
    which = np.repeat(np.arange(len(about)), length)
    groups: Ints = group[which]
    groups[many[which]] = ranges(lo[many], hi[many])
    return which, groups


def _exams(given: Given, group: Ints) -> Ints:
    if not len(given.part.group_exam):
        return np.full(len(group), -1)
    return np.where(group >= 0, given.part.group_exam[np.maximum(group, 0)], -1)


def _stand(given: Given, group: Ints, as_of: Ints, known: Ints) -> tuple[Ints, Ints]:
    """Return the status (-1: none) and eligible_from of each group, as of and as known then."""
    stood: Any = given.fold.answers(group, as_of, known)
    there = stood.sittings > 0
    return np.where(there, stood.status, -1), np.where(there, stood.eligible_from, NONE)


def _kept(position: Ints, wanted: Ints) -> Ints:
    """Keep the rows that are wanted and, of a position that has none, its first."""
    first = np.ones(len(position), dtype=bool)
    first[1:] = position[1:] != position[:-1]
    run = np.cumsum(first) - 1
    wanted_in_run = np.bincount(run, weights=wanted.astype(np.int64)) > 0
    kept: Ints = wanted | (first & ~wanted_in_run[run])
    return kept


def _counted(position: Ints) -> Ints:
    """Count the rows of each position from 1."""
    first = np.flatnonzero(np.append(True, position[1:] != position[:-1]))
    length = np.diff(np.append(first, len(position)))
    counted: Ints = np.arange(len(position)) - np.repeat(offsets(length)[:-1], length) + 1
    return counted


def catalogue_corrections(
    entries: list[Recorded], catalogue: Catalogue, after: int, late: Late
) -> pa.Table:
    """Return rows for late or annulled entries of the catalogue; they bear on everybody alike."""
    by_position = {entry.position: entry for entry in entries}
    rows = []
    for entry in entries:
        if entry.position <= after:
            continue
        about = entry if entry.annuls is None else by_position[entry.annuls]
        if entry.annuls is None and entry.recorded_at - entry.occurred_at < late.late:
            continue
        rows.append(
            {
                "position": entry.position,
                "number": 1,
                "kind": KINDS[LATE if entry.annuls is None else ANNULMENT],
                "type": about.type,
                "exam": about.exam,
                "key": None if about.exam else about.subject,
                "annuls": entry.annuls,
                "true_at": about.occurred_at,
                "known_at": entry.recorded_at,
            }
        )
    return rows_of(CORRECTIONS, rows)
