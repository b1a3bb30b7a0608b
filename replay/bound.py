"""What everybody's facts are folded by: a moment, columns, a catalogue. A Snapshot is one."""

from __future__ import annotations

from typing import Protocol

from projections.fold.facts import (
    CertificationDefinitions,
    ExamDefinitions,
    Milestones,
    PolicyVersions,
)
from replay.columns.build import Columns
from replay.interpreted import Kernels
from replay.snapshot import Engine
from retake_policies.rules import RuleBook


class Tables(Protocol):
    """What the fold reads of a catalogue."""

    @property
    def definitions(self) -> ExamDefinitions:
        """Exams as they were announced."""

    @property
    def milestones(self) -> Milestones:
        """Exams that went live or retired."""

    @property
    def defined(self) -> CertificationDefinitions:
        """Certifications."""

    @property
    def versions(self) -> PolicyVersions:
        """Versions of policies, of which the last table has the rules."""

    @property
    def rules(self) -> RuleBook:
        """The rules of each version."""


class Bound(Protocol):
    """Columns at a moment, and what they are judged by: a Snapshot, or what a worker got of one."""

    @property
    def as_of(self) -> int:
        """The instant whose truth is asked about, microseconds UTC."""

    @property
    def position(self) -> int:
        """The last position that is known."""

    @property
    def columns(self) -> Columns:
        """Facts as columns, which reach the position at least."""

    @property
    def catalogue(self) -> Tables:
        """The catalogue, numbered as the columns are."""

    @property
    def kernels(self) -> Kernels:
        """The loops over groups."""

    @property
    def engine(self) -> Engine:
        """How it is computed."""
