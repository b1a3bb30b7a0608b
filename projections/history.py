"""One candidate's facts as the fold reads them, with the way back to their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.events import Recorded
from projections.catalogue import Catalogue, annulments, in_time, runs
from projections.fold.codes import (
    ATTEMPTED,
    EXPIRED,
    GRANTED,
    HELD,
    NEVER,
    NONE,
    RESCORED,
    RESULT_FAILED,
    RESULT_PASSED,
    RESULT_REVOKED,
    WITHDRAWN,
)
from projections.fold.rows import (
    CertificationDefinitions,
    CertificationRows,
    Facts,
    GrantRows,
    SittingRows,
)

SITTING_KINDS: Final = {
    "ExamAttempted": ATTEMPTED,
    "ExamPassed": RESULT_PASSED,
    "ExamFailed": RESULT_FAILED,
    "BetaRescored": RESCORED,
    "ResultRevoked": RESULT_REVOKED,
}
CERTIFICATION_KINDS: Final = {"CertEarned": HELD, "CertRenewed": HELD, "CertExpired": EXPIRED}
GRANT_KINDS: Final = {"ExceptionGranted": GRANTED, "ExceptionRevoked": WITHDRAWN}


class History(NamedTuple):
    """What is recorded of one candidate, laid out for the fold.

    `runs` gives the (lo, hi) of each exam in `sittings`; the event lists are
    parallel to the rows, so that a verdict can name what caused it.
    """

    sittings: SittingRows
    sitting_events: Sequence[Recorded]
    runs: dict[str, tuple[int, int]]
    certification_events: Sequence[Recorded]
    grant_events: Sequence[Recorded]
    facts: Facts


def history_of(rows: Sequence[Recorded], catalogue: Catalogue, exam: str | None = None) -> History:
    """Lay out one candidate's events, in any order, against a catalogue.

    With `exam`, sittings and exceptions of other exams, which do not bear on
    it, are left out.
    """
    annulled = annulments(rows)
    if exam is not None:
        rows = [row for row in rows if row.exam == exam or row.exam is None]
    sitting: list[tuple[int, Recorded]] = []
    certified: list[tuple[int, Recorded]] = []
    granted: list[tuple[int, Recorded]] = []
    for row in in_time(rows):
        type = row.topic[: row.topic.index(":")]
        if (kind := SITTING_KINDS.get(type)) is not None:
            sitting.append((kind, row))
        elif (kind := CERTIFICATION_KINDS.get(type)) is not None:
            certified.append((kind, row))
        elif (kind := GRANT_KINDS.get(type)) is not None:
            granted.append((kind, row))
    if exam is None:
        sitting.sort(key=lambda pair: pair[1].exam or "")
    sitting_events = [row for _, row in sitting]
    grant_events = [row for _, row in granted]
    certifications, defined = certification_rows(certified, annulled, catalogue)
    return History(
        sittings=sitting_rows([kind for kind, _ in sitting], sitting_events, annulled),
        sitting_events=sitting_events,
        runs=exam_runs(sitting_events),
        certification_events=[row for _, row in certified],
        grant_events=grant_events,
        facts=Facts(
            certifications=certifications,
            grants=GrantRows(
                kind=[kind for kind, _ in granted],
                time=[row.occurred_at for row in grant_events],
                position=[row.position for row in grant_events],
                annulled=[annulled.get(row.position, NEVER) for row in grant_events],
                exam=[catalogue.exams.get(row.exam or "", -1) for row in grant_events],
                key=numbered([row.key or "" for row in grant_events]),
                waives=[row.flag or 0 for row in grant_events],
                until=[NEVER if row.until is None else row.until for row in grant_events],
            ),
            exams=catalogue.definitions,
            milestones=catalogue.milestones,
            defined=defined,
            versions=catalogue.versions,
            rules=catalogue.rules,
        ),
    )


def sitting_rows(
    kinds: list[int], rows: Sequence[Recorded], annulled: dict[int, int]
) -> SittingRows:
    """Lay out the rows of sittings, already sorted by (exam, time, position)."""
    return SittingRows(
        kind=kinds,
        time=[row.occurred_at for row in rows],
        position=[row.position for row in rows],
        annulled=[annulled.get(row.position, NEVER) for row in rows],
        key=numbered([row.key or "" for row in rows]),
        flag=[row.flag or 0 for row in rows],
        until=[NONE if row.until is None else row.until for row in rows],
    )


NO_CERTIFICATIONS: Final = CertificationRows([], [], [], [], [], [], [], [], [])


def certification_rows(
    certified: Sequence[tuple[int, Recorded]], annulled: dict[int, int], catalogue: Catalogue
) -> tuple[CertificationRows, CertificationDefinitions]:
    """Lay out the rows of certifications.

    Those that the catalogue does not define get numbers of their own, with no
    definition; so the definitions are given back, as wide as needed.
    """
    if not certified:
        return NO_CERTIFICATIONS, catalogue.defined
    number = dict(catalogue.certifications)
    exam: list[int] = []
    exam_lo: list[int] = []
    exam_hi: list[int] = []
    for _, row in certified:
        number.setdefault(row.key or "", len(number))
        exam_lo.append(len(exam))
        if '"exams"' in row.data:
            exam += [catalogue.exams.get(code, -1) for code in row.payload().get("exams") or ()]
        exam_hi.append(len(exam))
    more = [0] * (len(number) - len(catalogue.certifications))
    defined = catalogue.defined
    if more:
        defined = defined._replace(lo=[*defined.lo, *more], hi=[*defined.hi, *more])
    rows = [row for _, row in certified]
    return CertificationRows(
        kind=[kind for kind, _ in certified],
        time=[row.occurred_at for row in rows],
        position=[row.position for row in rows],
        annulled=[annulled.get(row.position, NEVER) for row in rows],
        certification=[number[row.key or ""] for row in rows],
        until=[NEVER if row.until is None else row.until for row in rows],
        exam_lo=exam_lo,
        exam_hi=exam_hi,
        exam=exam,
    ), defined


def numbered(names: Sequence[str]) -> list[int]:
    """Number names in the order in which they first come; equal names get equal numbers."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]


def exam_runs(rows: Sequence[Recorded]) -> dict[str, tuple[int, int]]:
    """Give the run of each exam in rows sorted by exam."""
    names = [row.exam or "" for row in rows]
    order = list(dict.fromkeys(names))
    lo, hi = runs(len(order), numbered(names))
    return {name: (lo[i], hi[i]) for i, name in enumerate(order)}
