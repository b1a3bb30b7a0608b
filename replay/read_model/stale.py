"""Which exams a change of the catalogue bears on."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.events import Recorded
from projections.catalogue import Catalogue


def stale_by(entries: Iterable[Recorded], catalogue: Catalogue) -> frozenset[str]:
    """Return the exams whose standings new entries may change, annulments among them.

    An exam's own entries bear on it; a policy's on every exam that has ever followed it; a
    certification's on every exam that it has ever named. `catalogue` must hold the entries.
    """
    stale: set[str] = set()
    for entry in entries:
        kind, _, subject = entry.stream.partition("/")
        if kind == "exam":
            stale.add(subject)
        elif kind == "policy":
            stale |= _following(catalogue, subject)
        elif kind == "certification":
            stale |= _named_by(catalogue, subject)
    return frozenset(stale)


def _following(catalogue: Catalogue, policy: str) -> set[str]:
    number = catalogue.policies.get(policy, -1)
    defined = catalogue.definitions
    return {
        exam
        for exam, e in catalogue.exams.items()
        if any(defined.policy[i] == number for i in range(defined.lo[e], defined.hi[e]))
    }


def _named_by(catalogue: Catalogue, certification: str) -> set[str]:
    number = catalogue.certifications.get(certification, -1)
    if number < 0:
        return set()
    codes, defined = list(catalogue.exams), catalogue.defined
    return {
        codes[defined.exam[k]]
        for i in range(defined.lo[number], defined.hi[number])
        for k in range(defined.exam_lo[i], defined.exam_hi[i])
    }
