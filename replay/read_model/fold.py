"""All views of some candidates from all their facts: one way, for a rebuild and for a follower."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from ledger.events import Recorded
from projections.catalogue import Catalogue, annulments, catalogue_of
from projections.tables import (
    CERTIFICATIONS,
    CORRECTIONS,
    DEFINITIONS,
    EXAMS,
    EXCEPTIONS,
    POLICIES,
    PROBLEMS,
    SITTINGS,
    STANDINGS,
)
from replay.columns.build import Numbers, arrange
from replay.compiled import Kernels
from replay.read_model import certifications, entries, queries
from replay.read_model.batch import Given, Late, Setting
from replay.read_model.corrections import catalogue_corrections, corrections
from replay.read_model.problems import catalogue_problems, problems
from replay.read_model.sittings import sat, sittings
from replay.read_model.timeline import standings


class Folded(NamedTuple):
    """Rows for the tables by name, and every exam that the facts name."""

    tables: dict[str, pa.Table]
    exams: frozenset[str]


class Folder:
    """Folds facts into rows, keeping numbers and catalogue at hand from one time to the next."""

    def __init__(self, kernels: Kernels, late: Late) -> None:
        """Begin with an empty catalogue; see `learn`."""
        self.late = late
        self._kernels = kernels
        self._exams, self._certifications = Numbers([]), Numbers([])
        self._entries: dict[int, Recorded] = {}
        self._catalogue = catalogue_of(())

    def learn(self, rows: list[Recorded]) -> None:
        """Take in more of the catalogue's events, in the order of their positions."""
        if rows:
            self._entries |= {row.position: row for row in rows}
            self._number_again()

    def _number_again(self) -> None:
        self._catalogue = catalogue_of(
            list(self._entries.values()), self._exams.names(), self._certifications.names()
        )
        self._exams.of(list(self._catalogue.exams))
        self._certifications.of(list(self._catalogue.certifications))

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue of what was learned."""
        return self._catalogue

    def fold(self, facts: pa.Table, position: int, after: int = 0) -> Folded:
        """Fold all facts of some candidates up to a position; corrections only those after one.

        `facts` is of `ledger.store.scans.RECORDED`, by position.
        """
        part = arrange(facts, self._exams, self._certifications)
        if len(self._exams.names()) > len(self._catalogue.exams) or (
            len(self._certifications.names()) > len(self._catalogue.certifications)
        ):
            self._number_again()
        setting = Setting(
            position, self._catalogue, self._exams, self._certifications, self._kernels, self.late
        )
        given = Given(facts, part, setting)
        found = sat(given)
        named = {name for name in facts["exam"].unique().to_pylist() if name}
        named |= {given.exam_names[n] for n in set(part.certifications.exam) if n >= 0}
        return Folded(
            {
                SITTINGS.name: sittings(given, found),
                STANDINGS.name: standings(given),
                EXCEPTIONS.name: queries.exceptions(given, found),
                CERTIFICATIONS.name: certifications.certifications(given),
                CORRECTIONS.name: corrections(given, after),
                PROBLEMS.name: problems(given, found),
            },
            frozenset(named),
        )

    def fold_catalogue(
        self, named: frozenset[str], stale: frozenset[str], after: int = 0
    ) -> dict[str, pa.Table]:
        """Fold the catalogue: its tables in full, its problems, its corrections after a position.

        `named` are the exams that facts name, `stale` those whose rows are still to be folded.
        """
        rows = list(self._entries.values())
        return {
            EXAMS.name: entries.exams(self._catalogue, named, stale),
            POLICIES.name: entries.policies(self._catalogue),
            DEFINITIONS.name: entries.certification_exams(self._catalogue, self._entries),
            CORRECTIONS.name: catalogue_corrections(rows, self._catalogue, after, self.late),
            PROBLEMS.name: catalogue_problems(self._catalogue, annulments(rows)),
        }
