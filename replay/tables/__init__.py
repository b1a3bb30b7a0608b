"""Every table that can be computed at a moment, one file each: of a part of the columns, or of a
few facts (the read model)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from ledger.store.scans import DESCRIBED
from projections.catalogue import Catalogue
from projections.standing import Moment
from projections.table import CannotAsk
from projections.tables import FACTS, TABLES
from replay.columns.part import Ints, Part
from replay.population import Scope, over_parts, wanted_groups
from replay.snapshot import Snapshot
from replay.tables.batch import USUAL, Batch, InLedger, Setting
from replay.tables.catalogue import certification_exams, exams, policies
from replay.tables.certifications import certifications
from replay.tables.corrections import catalogue_corrections, corrections
from replay.tables.exceptions import exceptions
from replay.tables.problems import catalogue_problems, problems
from replay.tables.sittings import sittings

Names: TypeAlias = Collection[str]

OF_CANDIDATES: Final[Mapping[str, Callable[[Batch, Names], pa.Table]]] = {
    "sittings": sittings,
    "exceptions": exceptions,
    "certifications": certifications,
    "corrections": corrections,
    "problems": problems,
}
"""Made of some candidates' facts: of each part of the columns, or what the read model folds."""

OF_CATALOGUE: Final[Mapping[str, Callable[[Catalogue, Moment, Names], pa.Table]]] = {
    "exams": exams,
    "policies": policies,
    "certification_exams": certification_exams,
}

_SORTED: Final = frozenset(("exceptions", "certifications", "corrections", "problems"))
"""The tables whose rows come in no order: they are sorted by their key."""


def table(
    snapshot: Snapshot, name: str, *, exam: str | None = None, columns: Names | None = None
) -> pa.Table:
    """Return a table of `projections.tables.TABLES` at a snapshot's moment.

    Of one exam or all; of its columns those that are named, or all: what is not asked for is not
    computed. Sorted by its key, or as its meaning says. Raises ValueError for a name
    that is none of them, CannotAsk for an exam of a table without exams.
    """
    if name not in TABLES:
        raise ValueError(f"there is no table {name!r}: there are {', '.join(TABLES)}")
    described = TABLES[name]
    if exam is not None and "exam" not in described.names:
        raise CannotAsk(f"{name} are of no single exam: leave out the exam")
    names = [each for each in described.names if columns is None or each in columns]
    needed = {*names, *described.key, *(("exam",) if exam is not None else ())}
    if name == "standings":
        made = snapshot.everybody(Scope(exam))
    elif name == "violations":
        made = snapshot.violations(Scope(exam))
    elif name == "facts":
        batches = snapshot.ledger.scans.described(0, snapshot.position)
        made = pa.Table.from_batches(batches, schema=DESCRIBED).cast(FACTS.schema)
    elif name in OF_CATALOGUE:
        made = OF_CATALOGUE[name](snapshot.catalogue, snapshot.moment, needed)
    else:
        made = _of_candidates(snapshot, name, exam, needed)
    if exam is not None:
        made = made.filter(pc.equal(made["exam"], exam))
    if name in _SORTED:
        made = made.sort_by([(column, "ascending") for column in described.key])
    return made.select(names)


def _of_candidates(snapshot: Snapshot, name: str, exam: str | None, needed: Names) -> pa.Table:
    columns, moment = snapshot.columns, snapshot.moment
    catalogue = snapshot.catalogue  # after the columns: numbered as they are
    setting = Setting(
        moment, catalogue, columns.exams, columns.certifications, snapshot.kernels, USUAL
    )
    events = InLedger(snapshot.ledger, snapshot.position, USUAL)
    needed = {*needed, "candidate"}

    def fold(part: Part, skip: Ints | None) -> pa.Table:
        wanted = wanted_groups(part, skip, columns, Scope(exam))
        return OF_CANDIDATES[name](Batch(part, events, setting, wanted=wanted, skip=skip), needed)

    made = over_parts(columns, fold, snapshot.engine.workers)
    if name == "corrections":
        more = catalogue_corrections(snapshot.entries, moment, USUAL, needed)
        return pa.concat_tables((made, more))
    if name == "problems":
        return pa.concat_tables((made, catalogue_problems(catalogue, moment, needed)))
    return made
