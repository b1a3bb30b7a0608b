"""One candidate's facts as the fold reads them, with the way back to their events."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final, NamedTuple

from ledger.events import Recorded
from projections.catalogue import Catalogue, annulments, in_time
from projections.fold.facts import (
    ATTEMPTED,
    EXPIRED,
    GRANTED,
    HELD,
    NEVER,
    NO_CERTIFICATIONS,
    NO_GRANTS,
    NO_SITTINGS,
    NONE,
    RESCORED,
    RESULT_FAILED,
    RESULT_PASSED,
    RESULT_REVOKED,
    WITHDRAWN,
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
    sitting: list[Recorded] = []
    certified: list[Recorded] = []
    granted: list[Recorded] = []
    parts = sitting, certified, granted
    for row in in_time(rows):
        part, _ = part_and_kind(row.topic)
        if part >= 0:
            parts[part].append(row)
    if exam is None:
        sitting.sort(key=lambda row: row.exam or "")
    certifications, defined = certification_rows(certified, annulled, catalogue)
    return History(
        sittings=sitting_rows(sitting, annulled),
        sitting_events=sitting,
        runs=exam_runs(sitting),
        certification_events=certified,
        grant_events=granted,
        facts=catalogue.facts._replace(
            certifications=certifications,
            grants=grant_rows(granted, annulled, catalogue),
            defined=defined,
        ),
    )


@cache
def part_and_kind(topic: str) -> tuple[int, int]:
    """Return which rows an event belongs to (0 sittings, 1 certifications, 2 grants), and as what.

    (-1, -1) when it bears on no standing. The topics there are, are few.
    """
    type = topic.partition(":")[0]
    for part, kinds in enumerate((SITTING_KINDS, CERTIFICATION_KINDS, GRANT_KINDS)):
        if type in kinds:
            return part, kinds[type]
    return -1, -1


def kinds_of(topics: Sequence[str]) -> list[int]:
    """Return the kinds of events that all belong to the same rows."""
    return [part_and_kind(topic)[1] for topic in topics]


def columns_of(rows: Sequence[Recorded]) -> Any:
    """Return the columns of some rows, at least one, by the names of their fields."""
    return Recorded._make(zip(*rows, strict=True))


def ends_of(positions: Sequence[int], annulled: Mapping[int, int]) -> list[int]:
    """Return for each position that of its annulment, NEVER when there is none."""
    if not annulled:
        return [NEVER] * len(positions)
    return [annulled.get(position, NEVER) for position in positions]


def sitting_rows(rows: Sequence[Recorded], annulled: Mapping[int, int]) -> SittingRows:
    """Lay out the rows of sittings, already sorted by (exam, time, position)."""
    if not rows:
        return NO_SITTINGS
    columns = columns_of(rows)
    return SittingRows(
        kind=kinds_of(columns.topic),
        time=columns.occurred_at,
        position=columns.position,
        annulled=ends_of(columns.position, annulled),
        key=numbered(columns.key),
        flag=[flag or 0 for flag in columns.flag],
        until=[NONE if until is None else until for until in columns.until],
    )


def grant_rows(
    rows: Sequence[Recorded], annulled: Mapping[int, int], catalogue: Catalogue
) -> GrantRows:
    """Lay out the rows of exceptions, already sorted by (time, position)."""
    if not rows:
        return NO_GRANTS
    columns = columns_of(rows)
    return GrantRows(
        kind=kinds_of(columns.topic),
        time=columns.occurred_at,
        position=columns.position,
        annulled=ends_of(columns.position, annulled),
        exam=[catalogue.exams.get(exam, -1) for exam in columns.exam],
        key=numbered(columns.key),
        waives=[flag or 0 for flag in columns.flag],
        until=[NEVER if until is None else until for until in columns.until],
    )


def certification_rows(
    rows: Sequence[Recorded], annulled: Mapping[int, int], catalogue: Catalogue
) -> tuple[CertificationRows, CertificationDefinitions]:
    """Lay out the rows of certifications, already sorted by (time, position).

    Those that the catalogue does not define get numbers of their own, with no
    definition; so the definitions are returned, as wide as needed.
    """
    if not rows:
        return NO_CERTIFICATIONS, catalogue.defined
    columns = columns_of(rows)
    number = dict(catalogue.certifications)
    exam: list[int] = []
    exam_lo: list[int] = []
    exam_hi: list[int] = []
    for row in rows:
        number.setdefault(row.key or "", len(number))
        exam_lo.append(len(exam))
        if '"exams"' in row.data:
            exam += [catalogue.exams.get(code, -1) for code in row.payload().get("exams") or ()]
        exam_hi.append(len(exam))
    more = [0] * (len(number) - len(catalogue.certifications))
    defined = catalogue.defined
    if more:
        defined = defined._replace(lo=[*defined.lo, *more], hi=[*defined.hi, *more])
    return CertificationRows(
        kind=kinds_of(columns.topic),
        time=columns.occurred_at,
        position=columns.position,
        annulled=ends_of(columns.position, annulled),
        certification=[number[row.key or ""] for row in rows],
        until=[NEVER if until is None else until for until in columns.until],
        exam_lo=exam_lo,
        exam_hi=exam_hi,
        exam=exam,
    ), defined


def numbered(names: Sequence[str | None]) -> list[int]:
    """Number names in the order in which they first come; equal names get equal numbers."""
    numbers: dict[str | None, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]


def exam_runs(rows: Sequence[Recorded]) -> dict[str, tuple[int, int]]:
    """Return the run (lo, hi) of each exam in rows sorted by exam."""
    found: dict[str, tuple[int, int]] = {}
    lo = 0
    for exam, run in groupby(rows, key=lambda row: row.exam or ""):
        hi = lo + sum(1 for _ in run)
        found[exam] = lo, hi
        lo = hi
    return found
