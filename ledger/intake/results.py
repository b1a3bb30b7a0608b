"""A results CSV's rows as facts: one row is one sitting, and its result if it has one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from ledger.events import BetaRescored, Event, ExamAttempted, ExamFailed, ExamPassed, Fact
from ledger.instants import format_instant, parse_instant
from ledger.intake.csv_rows import CsvFile
from ledger.intake.items import Item
from ledger.intake.report import PROBLEM, unexpected
from ledger.intake.sources import Source, SourceProblem
from ledger.problems import MalformedFact, printable, shown

REQUIRED = ("candidate_id", "exam", "registration_id", "started_at", "outcome")
OPTIONAL = ("ended_at", "delivery", "result_at", "score", "source")
DEFAULT_SOURCE = "urn:csv"

_ORDER = (*REQUIRED, *OPTIONAL)
# Fifteen digits are what a double, and so every JSON reader, keeps.
_SCORE = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_attempted = ExamAttempted.__pydantic_validator__.validate_python
_passed = ExamPassed.__pydantic_validator__.validate_python
_failed = ExamFailed.__pydantic_validator__.validate_python
_rescored = BetaRescored.__pydantic_validator__.validate_python


class BadRow(ValueError):
    """The row cannot be a sitting: one sentence says why."""


@dataclass(frozen=True)
class CsvSettings:
    """What a call says about its results CSVs."""

    source: str = DEFAULT_SOURCE
    """For rows without one of their own."""
    zone: ZoneInfo | None = None
    """Whose wall clock times without an offset are on; None: such times are refused."""
    ignore_extra: bool = False
    """Pass over columns that are not of a results CSV."""
    actor: str | None = None


class ResultsReader:
    """Read a results CSV: its header at once, then row after row.

    Raises SourceProblem for a header that is not of a results CSV.
    """

    def __init__(self, source: Source, settings: CsvSettings) -> None:
        self._file = CsvFile(source)
        self.header = self._file.header
        self._rows = ResultRows(self.header, source.name, settings)

    def items(self) -> Iterator[Item]:
        """Hand out every row, sound or not, in order; raises BrokenSource."""
        facts = self._rows.facts
        for line, fields, problem in self._file.rows():
            if problem:
                yield Item(line, fields, (), problem)
                continue
            try:
                item = Item(line, fields, [fact.row() for fact in facts(fields)])
            except BadRow as bad:
                item = Item(line, fields, (), str(bad))
            except MalformedFact as malformed:
                # In the words of the file: the columns have other names than the attributes.
                problem = str(malformed)
                if problem.startswith("subject "):
                    problem = f"candidate_id {problem.removeprefix('subject ')}"
                item = Item(line, fields, (), problem)
            except Exception as error:
                item = Item(line, fields, (), unexpected(error))
            yield item


class ResultRows:
    """Turn rows under one header into facts.

    Raises SourceProblem for a header without a required column, with a column twice, or with one
    that is unknown, unless `ignore_extra`. A column `problem`, as a rejects file has, is passed
    over.
    """

    def __init__(self, header: Sequence[str], name: str, settings: CsvSettings) -> None:
        _check_header(header, name, settings.ignore_extra)
        self._settings = settings
        # A column that is not there is read from behind the row's last field, where facts() puts
        # an empty one.
        self._pick = itemgetter(
            *(header.index(column) if column in header else len(header) for column in _ORDER)
        )

    def facts(self, fields: Sequence[str]) -> tuple[Fact] | tuple[Fact, Fact]:
        """Return the sitting and, unless it is pending, its result; raises BadRow.

        The row must have as many fields as the header.
        """
        (
            candidate,
            exam,
            registration,
            started_at,
            outcome,
            ended_at,
            delivery,
            result_at,
            score,
            source,
        ) = self._pick((*fields, ""))
        settings = self._settings
        if not (candidate and exam and registration) or (
            candidate != candidate.strip()
            or exam != exam.strip()
            or registration != registration.strip()
        ):
            _check_names(candidate, exam, registration)
        if outcome not in ("pass", "fail", "pending"):
            raise BadRow(f"outcome should be pass, fail or pending, not {shown(outcome)}")
        if delivery not in ("live", "beta"):
            if delivery:
                raise BadRow(f"delivery should be live or beta, not {shown(delivery)}")
            delivery = "live"
        zone = settings.zone
        started = _instant("started_at", started_at, zone)
        ended = _instant("ended_at", ended_at, zone) if ended_at else None
        if ended is not None and ended < started:
            raise BadRow(
                f"ended_at {format_instant(ended)} lies before started_at "
                f"{format_instant(started)}: a sitting ends at or after its start"
            )
        source = source or settings.source
        try:
            attempt = Fact(
                source,
                f"{registration}/attempted",
                candidate,
                started,
                _attempted(
                    {
                        "exam": exam,
                        "registration_id": registration,
                        "delivery": delivery,
                        "ended_at": ended,
                    }
                ),
                settings.actor,
            )
            if outcome == "pending":
                if result_at or score:
                    given = "a result_at" if result_at else "a score"
                    raise BadRow(f"outcome is pending, but there is {given}: pass or fail?")
                return (attempt,)
            return attempt, Fact(
                source,
                f"{registration}/result",
                candidate,
                _result_time(result_at, delivery, started, ended, zone),
                _result(exam, registration, delivery, outcome == "pass", score),
                settings.actor,
            )
        except ValidationError as error:
            # Everything else was looked at above.
            column = str(error.errors(include_url=False)[0]["loc"][0])
            value = exam if column == "exam" else registration
            raise BadRow(f"{column} {shown(value)} holds a control character") from None


def _check_header(header: Sequence[str], name: str, ignore_extra: bool) -> None:
    accepted = f"a results CSV has {', '.join(REQUIRED)} and may have {', '.join(OPTIONAL)}"
    twice = sorted(column for column, count in Counter(header).items() if count > 1)
    if twice:
        raise SourceProblem(f"{name}: the column {_named(twice)} is there more than once")
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        hint = ""
        if len(header) == 1:
            hint = "; it has a single column: are its fields separated by commas?"
        raise SourceProblem(f"{name} has no column {', '.join(missing)}: {accepted}{hint}")
    extra = [column for column in header if column not in (*_ORDER, PROBLEM)]
    if extra and not ignore_extra:
        raise SourceProblem(
            f"{name} has the unknown column {_named(extra)}: {accepted}; "
            "to pass over others give --ignore-extra"
        )


def _named(columns: Sequence[str]) -> str:
    """Name columns of an input, the first few of many."""
    named = [printable(column[:60]) or "(a column without a name)" for column in columns[:5]]
    more = len(columns) - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")


def _check_names(candidate: str, exam: str, registration: str) -> None:
    named = {"candidate_id": candidate, "exam": exam, "registration_id": registration}
    for column, value in named.items():
        if not value:
            raise BadRow(f"{column} is empty")
        if value != value.strip():
            raise BadRow(f"{column} {shown(value)} has blanks around it")


def _instant(column: str, text: str, zone: ZoneInfo | None) -> int:
    try:
        return parse_instant(text, zone=zone)
    except ValueError as error:
        if not text:
            raise BadRow(f"{column} is empty") from None
        raise BadRow(f"{column}: {error}") from None


def _result_time(
    text: str, delivery: str, started: int, ended: int | None, zone: ZoneInfo | None
) -> int:
    """Return `result_at`, else `ended_at`, else `started_at` (spec section 6)."""
    if not text:
        if delivery == "beta":
            raise BadRow("result_at is empty: a beta row with a result says when it was determined")
        return started if ended is None else ended
    result = _instant("result_at", text, zone)
    if result < started:
        raise BadRow(
            f"result_at {format_instant(result)} lies before started_at "
            f"{format_instant(started)}: a result comes after its sitting began"
        )
    return result


def _result(exam: str, registration: str, delivery: str, passed: bool, score: str) -> Event:
    data = {"exam": exam, "registration_id": registration, "score": _score(score)}
    result: Event
    if delivery == "beta":
        result = _rescored({**data, "passed": passed})
    else:
        result = _passed(data) if passed else _failed(data)
    return result


def _score(text: str) -> int | float | None:
    if not text:
        return None
    if not _SCORE.fullmatch(text):
        raise BadRow(f"score should be a number such as 85 or 68.5, not {shown(text)}")
    return float(text) if "." in text else int(text)
