"""One candidate's facts as the fold reads them, with the way back to their events."""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache, cached_property, lru_cache
from itertools import compress
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from ledger.events import Outline, Recorded
from projections.catalogue import Catalogue, annulments, in_time
from projections.fold import facts
from projections.fold.facts import (
    NEVER,
    NO_AUTHORIZATIONS,
    NO_CERTIFICATIONS,
    NO_GRANTS,
    NONE,
    AuthorizationRows,
    CertificationDefinitions,
    CertificationRows,
    Facts,
    GrantRows,
    InTime,
    SittingRows,
)

SITTING_KINDS: Final = {
    "ExamAttempted": facts.ATTEMPTED,
    "ExamPassed": facts.RESULT_PASSED,
    "ExamFailed": facts.RESULT_FAILED,
    "BetaRescored": facts.RESCORED,
    "ResultRevoked": facts.RESULT_REVOKED,
    "SittingMissed": facts.NOT_ATTENDED,
}
CERTIFICATION_KINDS: Final = {
    "CertEarned": facts.HELD,
    "CertRenewed": facts.HELD,
    "CertExpired": facts.EXPIRED,
}
GRANT_KINDS: Final = {"ExceptionGranted": facts.GRANTED, "ExceptionRevoked": facts.WITHDRAWN}
AUTHORIZATION_KINDS: Final = {
    "AuthorizationGranted": facts.GRANTED,
    "AuthorizationRevoked": facts.WITHDRAWN,
}


LONGEST_CODE: Final = 64
"""Longer codes are not looked through for characters that are off."""


@lru_cache(maxsize=4096)  # the codes that a programme has are few, whoever sat them
def is_nearly(code: str, exam: str) -> bool:
    """Return whether a code is another one, in another casing or one character off.

    >>> is_nearly("az-104", "AZ-104"), is_nearly("AZ-14", "AZ-104"), is_nearly("AZ-104", "AZ-104")
    (True, True, False)
    """
    if code == exam or abs(len(code) - len(exam)) > 1:
        return False
    if code.casefold() == exam.casefold():
        return True
    short, long = sorted((code, exam), key=len)
    if len(long) > LONGEST_CODE:
        return False
    same = 0
    while same < len(short) and short[same] == long[same]:
        same += 1
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]


def forms(code: str) -> set[str]:
    """Return what a code has in common with each that is nearly it: one of these, at least."""
    found = {code, code.casefold()}
    if len(code) <= LONGEST_CODE:
        found.update(code[:i] + code[i + 1 :] for i in range(len(code)))
    return found


Line: TypeAlias = Recorded | Outline
"""An event, or its outline."""

Read: TypeAlias = Callable[[Sequence[int]], Mapping[int, Recorded]]
"""Reads the events at some positions, by position."""


class Codes:
    """The sittings of a candidate by the codes of their exams, to find codes that are alike."""

    def __init__(self, rows: Sequence[Line], exams: Iterable[str | None]) -> None:
        """`exams` are the codes that the rows name, of sittings or not."""
        self._rows = rows
        self._every = set(filter(None, exams))

    @cached_property
    def sittings(self) -> Mapping[str, list[Line]]:
        """The rows of sittings by their exam."""
        found: dict[str, list[Line]] = {}
        for row in self._rows:
            if row.exam and part_of(row.topic) == 0:
                found.setdefault(row.exam, []).append(row)
        return found

    @cached_property
    def _by_form(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for code in self._every:
            for form in forms(code):
                found.setdefault(form, []).append(code)
        return found

    def nearly(self, exam: str) -> list[str]:
        """Return the codes of sittings that are nearly that of an exam, sorted."""
        some: Iterable[str] = self._every
        if len(self._every) > _FEW:  # many are not compared one by one, each with each
            some = {code for form in forms(exam) for code in self._by_form.get(form, ())}
        near = [code for code in some if code != exam and is_nearly(code, exam)]
        return sorted(code for code in near if code in self.sittings) if near else near


_FEW: Final = 16


class History(NamedTuple):
    """What is recorded of one candidate, laid out for the fold.

    `runs` gives the (lo, hi) of each exam in `sittings`; the event lists are
    parallel to the rows, so that a verdict can name what caused it.
    """

    rows: Sequence[Line]
    """All of it, whatever exam it is of."""
    read: Read
    """Reads whole what is outlined here."""
    codes: Codes
    annulled: Mapping[int, int]
    """By annulled position: that of its annulment."""
    sittings: SittingRows
    sitting_events: Sequence[Line]
    runs: dict[str, tuple[int, int]]
    certification_events: Sequence[Line]
    grant_events: Sequence[Line]
    authorization_events: Sequence[Line]
    facts: Facts

    def whole(self, rows: Iterable[Line]) -> list[Recorded]:
        """Return rows as whole events, in their order; those that are outlined are read."""
        rows = list(rows)
        outlined = [row.position for row in rows if type(row) is Outline]
        found = self.read(outlined) if outlined else {}
        return [row if type(row) is Recorded else found[row.position] for row in rows]


def nothing_to_read(positions: Sequence[int]) -> Mapping[int, Recorded]:
    """Return no events: for rows that are all whole."""
    return {}


_ANNULS: Final = attrgetter("annuls")
_EXAM: Final = attrgetter("exam")


def history_of(
    rows: Sequence[Line],
    catalogue: Catalogue,
    exam: str | None = None,
    read: Read = nothing_to_read,
) -> History:
    """Arrange one candidate's events, in any order, against a catalogue.

    With `exam`, sittings, exceptions and authorizations of other exams, which do not bear on
    it, are not laid out. `read` reads whole the events that are only outlined in `rows`.
    """
    codes = list(map(_EXAM, rows))
    annulled = annulments(rows) if any(map(_ANNULS, rows)) else {}
    sitting: list[Line] = []
    certified: list[Line] = []
    granted: list[Line] = []
    authorized: list[Line] = []
    others: list[Line] = []
    parts = sitting, certified, granted, authorized, others
    bearing: Iterable[Line] = rows
    if exam is not None:
        bearing = compress(rows, map({exam, None}.__contains__, codes))
    for row in in_time(bearing):
        parts[part_of(row.topic)].append(row)
    if exam is None:
        sitting.sort(key=lambda row: row.exam or "")
    certified = together(certified, lambda row: row.key)
    granted = together(granted, lambda row: (row.exam, row.key))
    sittings, runs = sitting_rows(sitting, annulled)
    facts = facts_of(certified, granted, authorized, annulled, catalogue)
    return History(
        rows, read, Codes(rows, codes), annulled, sittings, sitting, runs, certified, granted,
        authorized, facts,
    )  # fmt: skip


def facts_of(
    certified: Sequence[Line], granted: Sequence[Line], authorized: Sequence[Line],
    annulled: Mapping[int, int], catalogue: Catalogue,
) -> Facts:  # fmt: skip
    """Return the catalogue's facts, and beside them what a candidate has besides sittings."""
    if not (certified or granted or authorized):
        return catalogue.facts  # mostly so
    certifications, defined = certification_rows(certified, annulled, catalogue)
    return catalogue.facts._replace(
        certifications=certifications,
        grants=grant_rows(granted, annulled, catalogue),
        authorizations=authorization_rows(authorized, annulled, catalogue),
        in_time=InTime(order_in_time(certified), order_in_time(granted)),
        defined=defined,
    )


def columns_of(rows: Sequence[Line]) -> Any:
    """Return rows of one kind as columns by name."""
    return type(rows[0])._make(zip(*rows, strict=True)) if rows else _NOTHING


def together(rows: list[Line], of: Callable[[Line], Hashable]) -> list[Line]:
    """Put the rows of one thing together, else in the order in which they are."""
    if len(rows) < 2:
        return rows
    found: dict[Hashable, list[Line]] = {}
    for row in rows:
        found.setdefault(of(row), []).append(row)
    return [row for some in found.values() for row in some]


def order_in_time(rows: Sequence[Line]) -> list[int]:
    """Return where the first of some rows stands by (time, position), the second, and so on."""
    places = range(len(rows))
    if len(rows) < 2:
        return list(places)
    return sorted(places, key=lambda i: (rows[i].occurred_at, rows[i].position))


_PARTS: Final = SITTING_KINDS, CERTIFICATION_KINDS, GRANT_KINDS, AUTHORIZATION_KINDS


@cache
def part_of(topic: str) -> int:
    """Return which rows an event belongs to: the place of its kind among those above.

    -1, the last of them all, when it bears on no standing. The topics there are, are few.
    """
    type = topic.partition(":")[0]
    return next((part for part, kinds in enumerate(_PARTS) if type in kinds), -1)


@cache
def kind_of(topic: str) -> int:
    """Return what an event that bears on standings says, as the rows it belongs to have it."""
    return _PARTS[part_of(topic)][topic.partition(":")[0]]


Shared: TypeAlias = tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]]


def laid_out(rows: Sequence[Line], annulled: Mapping[int, int]) -> tuple[Any, Shared]:
    """Return rows as columns by name, and the four that all rows of the fold begin with.

    These are kind, time, position, and the position of the annulment.
    """
    columns = columns_of(rows)
    kinds = list(map(kind_of, columns.topic))
    ends = [NEVER] * len(rows)
    if annulled:
        ends = [annulled.get(position, NEVER) for position in columns.position]
    return columns, (kinds, columns.occurred_at, columns.position, ends)


_NOTHING: Final = Outline._make([()] * len(Outline._fields))


def until_or(missing: int, columns: Any) -> list[int]:
    """Return the column `until`, with a sentinel where there is none."""
    return [missing if until is None else until for until in columns.until]


def sitting_rows(
    rows: Sequence[Line], annulled: Mapping[int, int]
) -> tuple[SittingRows, dict[str, tuple[int, int]]]:
    """Arrange the rows of sittings, already sorted by (exam, time, position), and find each run."""
    columns, shared = laid_out(rows, annulled)
    flags = [flag or 0 for flag in columns.flag]
    arranged = SittingRows(*shared, numbered(columns.key), flags, until_or(NONE, columns))
    return arranged, exam_runs(columns.exam)


def grant_rows(
    rows: Sequence[Line], annulled: Mapping[int, int], catalogue: Catalogue
) -> GrantRows:
    """Arrange the rows of exceptions, those of a request together, by (time, position)."""
    if not rows:
        return NO_GRANTS
    columns, shared = laid_out(rows, annulled)
    return GrantRows(
        *shared,
        exam=[catalogue.exams.get(exam, -1) for exam in columns.exam],
        key=numbered(columns.key),
        waives=[flag or 0 for flag in columns.flag],
        until=until_or(NEVER, columns),
    )


def authorization_rows(
    rows: Sequence[Line], annulled: Mapping[int, int], catalogue: Catalogue
) -> AuthorizationRows:
    """Arrange the rows of authorizations, already sorted by (time, position)."""
    if not rows:
        return NO_AUTHORIZATIONS
    columns, shared = laid_out(rows, annulled)
    first: dict[tuple[str | None, str | None], int] = {}
    keys = zip(columns.exam, columns.key, strict=True)
    return AuthorizationRows(
        *shared,
        exam=[catalogue.exams.get(exam, -1) for exam in columns.exam],
        first=[first.setdefault(key, i) for i, key in enumerate(keys)],
        sittings=[flag or 0 for flag in columns.flag],
        until=until_or(NEVER, columns),
    )


def certification_rows(
    rows: Sequence[Line], annulled: Mapping[int, int], catalogue: Catalogue
) -> tuple[CertificationRows, CertificationDefinitions]:
    """Arrange the rows of certifications, those of each together, by (time, position).

    Those that the catalogue does not define get numbers of their own, with no
    definition; so the definitions are returned, as wide as needed.
    """
    if not rows:
        return NO_CERTIFICATIONS, catalogue.defined
    columns, shared = laid_out(rows, annulled)
    number = dict(catalogue.certifications)
    exams: list[int] = []
    lo, hi = [], []
    for row in rows:
        number.setdefault(row.key or "", len(number))
        lo.append(len(exams))
        if row.data and '"exams"' in row.data:
            exams += [catalogue.exams.get(code, -1) for code in row.payload().get("exams") or ()]
        hi.append(len(exams))
    defined = catalogue.defined
    if more := [0] * (len(number) - len(catalogue.certifications)):
        defined = defined._replace(lo=[*defined.lo, *more], hi=[*defined.hi, *more])
    certification = [number[key or ""] for key in columns.key]
    until = until_or(NEVER, columns)
    return CertificationRows(*shared, certification, until, lo, hi, exams), defined


def numbered(names: Sequence[str | None]) -> list[int]:
    """Number names by where they first come; equal names get equal numbers."""
    numbers: dict[str | None, int] = {}
    return list(map(numbers.setdefault, names, range(len(names))))


def exam_runs(exams: Sequence[str | None]) -> dict[str, tuple[int, int]]:
    """Return the run (lo, hi) of each exam in rows sorted by exam, of which these are."""
    found: dict[str, tuple[int, int]] = {}
    lo = 0
    while lo < len(exams):
        exam = exams[lo] or ""
        hi = bisect_right(exams, exam, lo, key=lambda each: each or "")
        found[exam] = lo, hi
        lo = hi
    return found
