"""Rows of results as facts: one row is one sitting, and its result if it has one.

The rows are those of a results CSV or, with a map, of a vendor's file as it is: a CSV with other
columns and words, or a workbook's sheet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError

from ledger.events import OWN_SOURCES, Row, row_of
from ledger.facts import Fact
from ledger.fields import Event, source_fault
from ledger.instants import (
    NoZone,
    as_typed,
    format_instant,
    instant_of,
    parse_instant,
    plain_instant,
    zone_of,
)
from ledger.intake.csv import CsvFile
from ledger.intake.mapping import (
    COLUMNS,
    NO_MAP,
    OUTCOMES,
    RECORDED_AT,
    BadRow,
    Header,
    ResultsMap,
)
from ledger.intake.report import unexpected
from ledger.intake.source import Item, Source
from ledger.intake.unsaid import BETA_UNSAID, UNSAID, result_of
from ledger.intake.workbook import WorkbookRows
from ledger.models import ExamAttempted, SittingMissed
from ledger.problems import MalformedFact, shown

DEFAULT_SOURCE = "urn:csv"

_IDS = ("candidate_id", "exam", "registration_id")
_OPEN = "?"
_WORDS = {outcome: outcome for outcome in OUTCOMES}
_DELIVERIES = ("live", "beta")
# Fifteen digits are what a double, and so every JSON reader, keeps.
_SCORE = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_PLAIN_SCORE = re.compile(r"0|[1-9]\d{0,14}", re.ASCII)
_PLAIN = re.compile(r"[!#-\[\]-~]+")  # seen, and in JSON as it is
_attempted = ExamAttempted.__pydantic_validator__.validate_python
_missed = SittingMissed.__pydantic_validator__.validate_python


@dataclass(frozen=True)
class CsvSettings:
    """What a call says about its files of results."""

    source: str = DEFAULT_SOURCE
    """For rows without one of their own."""
    zone: tzinfo | None = None
    """Whose wall clock times without an offset are on; None: such times are refused."""
    ignore_extra: bool = False
    """Pass over columns that are not of a results CSV."""
    actor: str | None = None
    map: ResultsMap = NO_MAP
    """What the columns and words of the files mean."""
    as_recorded: bool = False
    """The rows are a history, each with its recorded_at, and are taken as they were recorded."""


class ResultsReader:
    """Read a file of results: its header at once, then row after row.

    Raises SourceProblem for a header without a required column, with a column twice, or with one
    that is unknown, unless `ignore_extra` or a map. A column `problem`, as a rejects file has, is
    passed over.

    A file without a column started_at has results alone, of sittings that are recorded: then
    `silent` has it, as it has every column that the file does not have and so says nothing of.
    """

    def __init__(self, source: Source, settings: CsvSettings) -> None:
        map = settings.map
        self._file: CsvFile | WorkbookRows
        if source.is_workbook:
            self._file = WorkbookRows(source, map.sheet)
        else:
            self._file = CsvFile(source, map.separator, {*COLUMNS, *map.columns.values()})
        self._is_workbook, self._decimal = source.is_workbook, map.decimal
        self.header = header = self._file.header
        self.separator = self._file.separator
        self._settings = settings
        self._as_recorded = settings.as_recorded
        self._zone = settings.zone or (None if map.zone is None else ZoneInfo(map.zone))
        self._columns = columns = Header(
            header,
            map,
            source.name,
            ignore_extra=settings.ignore_extra,
            as_recorded=settings.as_recorded,
        )
        self.silent = columns.silent
        self.passed_over = columns.passed_over
        self._words: Mapping[str, str] = {**_WORDS, **map.outcomes}
        self._may_be_plain = (
            "started_at" not in columns.silent
            and not (settings.as_recorded or map.skip or map.date_format)
            and (settings.actor is None or _PLAIN.fullmatch(settings.actor) is not None)
        )

    def items(self) -> Iterator[Item]:
        """Yield every row, sound or not, in order; raises BrokenSource."""
        for line, fields, problem in self._file.rows():
            if problem:
                yield Item(line, fields, (), problem)
                continue
            try:
                rows, kept, doubt = self.rows(fields)
                item = Item(line, fields, rows, "", kept, doubt)
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

    def rows(self, fields: Sequence[str]) -> tuple[list[Row], int | None, str]:
        """Return a sitting, with its result unless it is pending; its recorded_at; any doubt of it.

        Of a file that has results alone there is but the result, for `joined`; of a row that says
        nothing there is none. The row must have as many fields as the header. Raises BadRow, or
        MalformedFact.
        """
        cells = self._columns.cells(fields)
        if self._may_be_plain and (plain := self._plain(cells)):
            return plain, None, ""
        (
            candidate,
            exam,
            registration,
            started_at,
            word,
            ended_at,
            delivery,
            result_at,
            score,
            source,
            recorded_at,
        ) = cells
        outcome = self._outcome(word)
        if outcome is None:
            return [], None, ""
        if self._settings.map.id:
            registration = self._columns.id(fields)
        self._check_ids(candidate, exam, registration)
        source = self._source(source)
        kept = self._instant(RECORDED_AT, recorded_at) if self._as_recorded else None
        result_time = self._instant("result_at", result_at) if result_at else UNSAID
        if outcome not in ("pass", "fail") and (result_at or score):
            present = "a result_at" if result_at else "a score"
            raise BadRow(f"outcome is {outcome}, but there is {present}: pass or fail?")
        sitting = {"exam": exam, "registration_id": registration}
        facts: list[Fact] = []
        actor = self._settings.actor
        try:
            if "started_at" in self.silent:
                rows = self._alone(sitting, candidate, outcome, result_time, score, source)
                return rows, kept, ""
            delivery = _delivery(delivery)
            started = self._instant("started_at", started_at)
            ended = self._instant("ended_at", ended_at) if ended_at else None
            if ended is not None and ended < started and not self._as_recorded:
                raise BadRow(
                    f"ended_at {format_instant(ended)} lies before started_at "
                    f"{format_instant(started)}: a sitting ends at or after its start"
                )
            if outcome == "missed":
                facts.append(self._missed(sitting, candidate, started, ended, delivery, source))
            else:
                attempt = _attempted({**sitting, "delivery": delivery, "ended_at": ended})
                id = f"{registration}/attempted"
                facts.append(Fact(source, id, candidate, started, attempt, actor))
            if outcome in ("pass", "fail"):
                if result_time == UNSAID:
                    if delivery == "beta":
                        raise BadRow(BETA_UNSAID)
                    result_time = started if ended is None else ended
                data = {**sitting, "score": self._score(score)}
                result = result_of(data, is_beta=delivery == "beta", passed=outcome == "pass")
                id = f"{registration}/result"
                facts.append(Fact(source, id, candidate, result_time, result, actor))
        except ValidationError as error:
            # Everything else was looked at above.
            column = str(error.errors(include_url=False)[0]["loc"][0])
            value = exam if column == "exam" else registration
            raise BadRow(f"{column} {shown(value)} holds a control character") from None
        doubts = filter(None, (fact.doubt() for fact in facts) if self._as_recorded else ())
        return [fact.row(as_recorded=self._as_recorded) for fact in facts], kept, next(doubts, "")

    def _plain(self, cells: Sequence[str]) -> list[Row] | None:
        """Return a row as nearly every feed writes it, a live sitting with its result; else None.

        Without the models, which would come to the same, at a third of the price: it is what an
        import spends most of its time on.
        """
        (candidate, exam, registration, started_at, word, ended_at, delivery, result_at, score,
         source, _) = cells  # fmt: skip
        started, ended = plain_instant(started_at), plain_instant(ended_at)
        time = plain_instant(result_at) if result_at else ended
        made = _RESULTS.get(self._words.get(word, ""))
        source = source or self._settings.source
        if (
            started is None
            or ended is None
            or time is None
            or started > ended
            or made is None
            or (delivery and delivery != "live")
            or not (candidate and exam and registration)
            or _PLAIN.fullmatch(candidate + exam + registration + source) is None
            or source.startswith(OWN_SOURCES)
            or (score and _PLAIN_SCORE.fullmatch(score) is None)
        ):
            return None
        stream, actor = f"candidate/{candidate}", self._settings.actor
        topic, bare, scored = made
        sitting = _ATTEMPT % (exam, registration, ended_at)
        result = scored % (exam, registration, score) if score else bare % (exam, registration)
        return [
            row_of((started, ExamAttempted.topic, stream, source, f"{registration}/attempted",
                    actor, exam, registration, 0, ended, None, sitting, None)),
            row_of((time, topic, stream, source, f"{registration}/result",
                    actor, exam, registration, None, None, None, result, None)),
        ]  # fmt: skip

    def _missed(
        self,
        sitting: dict[str, str],
        candidate: str,
        time: int,
        ended: int | None,
        delivery: str,
        source: str,
    ) -> Fact:
        """Return that nobody came to a sitting that was booked."""
        if ended is not None or delivery == "beta":
            present = "an ended_at" if ended is not None else "a delivery other than live"
            raise BadRow(f"outcome is missed, but there is {present}: nobody came, or who did?")
        id = f"{sitting['registration_id']}/missed"
        return Fact(source, id, candidate, time, _missed(sitting), self._settings.actor)

    def _alone(
        self,
        sitting: dict[str, str],
        candidate: str,
        outcome: str,
        time: int,
        score: str,
        source: str,
    ) -> list[Row]:
        """Return a result without its sitting; what the file does not say is left open."""
        if outcome == "pending":
            return []
        if outcome == "missed":
            raise BadRow("outcome is missed, which needs a started_at: when it was booked for")
        exam, id = sitting["exam"], f"{sitting['registration_id']}/result"
        data = {**sitting, "exam": exam or _OPEN, "score": self._score(score)}
        result = result_of(data, is_beta=False, passed=outcome == "pass")
        at = 0 if time == UNSAID else time
        fact = Fact(source, id, candidate or _OPEN, at, result, self._settings.actor)
        row = fact.row(as_recorded=self._as_recorded)
        return [row._replace(occurred_at=time, stream=f"candidate/{candidate}", exam=exam or None)]

    def _score(self, text: str) -> int | float | None:
        if not text:
            return None
        decimal = self._decimal
        plain = text.replace(decimal, ".")
        # Beside a decimal comma a point would part thousands; in a workbook numbers come with one.
        is_grouped = "." in text and decimal != "." and not self._is_workbook
        if is_grouped or not _SCORE.fullmatch(plain):
            raise BadRow(f"score should be a number such as 85 or 68{decimal}5, not {shown(text)}")
        return float(plain) if "." in plain else int(plain)

    def _outcome(self, word: str) -> str | None:
        """Return what an outcome's word means, in any casing; None for a row to be passed over."""
        outcome = self._words.get(word)
        if outcome is not None and not self._settings.map.skip:
            return outcome
        plain = word.strip().casefold()
        if plain in self._settings.map.skip:
            return None
        outcome = self._words.get(plain)
        if outcome is None:
            raise BadRow(
                f"outcome should be pass, fail, pending or missed, not {shown(word)}"
                + (
                    "; --map FILE.toml says what other words mean"
                    if self._settings.map == NO_MAP
                    else ", nor a word of the map"
                )
            )
        return outcome

    def _check_ids(self, *values: str) -> None:
        for column, value in zip(_IDS, values, strict=True):
            if not value:
                if column not in self.silent:
                    raise BadRow(f"{column} is empty")
            elif value != value.strip() and not self._as_recorded:
                raise BadRow(f"{column} {shown(value)} has blanks around it")

    def _source(self, source: str) -> str:
        source = source or self._settings.source
        if source.startswith(OWN_SOURCES) and not self._as_recorded:
            raise BadRow(f"source {shown(source)} is this program's own: give it one of its own")
        if not self._as_recorded and (fault := source_fault(source)):
            raise BadRow(f"source {shown(source)} {fault}")
        return source

    def _instant(self, column: str, text: str) -> int:
        """Read an instant: in the map's form, as RFC 3339, or as people copy it."""
        zone = self._zone
        try:
            for form in self._settings.map.date_format:
                try:
                    return instant_of(datetime.strptime(text, form), zone)  # noqa: DTZ007
                except NoZone:
                    raise
                except ValueError:
                    pass
            # A form of the map may be one that looks like another here, but for the T.
            if self._settings.map.date_format and text[10:11] != "T":
                raise ValueError(f"{text!r} is not in the form that the map names for dates")
            wall, named = zone_of(text)
            return parse_instant(as_typed(wall), zone=zone if named is None else ZoneInfo(named))
        except ZoneInfoNotFoundError:
            raise BadRow(f"{column}: {text!r} ends with a zone that is not known here") from None
        except NoZone:
            raise BadRow(
                f"{column}: {text!r} is a time without a zone: give it an offset, such as "
                "2021-03-15T09:00:00Z, or say by --zone whose clock it is on"
            ) from None
        except ValueError as error:
            if not text:
                raise BadRow(f"{column} is empty") from None
            raise BadRow(f"{column}: {error}") from None


# -- the cells


def _delivery(text: str) -> str:
    if text in _DELIVERIES:
        return text
    plain = text.strip().casefold() or "live"
    if plain not in _DELIVERIES:
        raise BadRow(f"delivery should be live or beta, not {shown(text)}")
    return plain


# -- what a plain row becomes


def _form(event: Event) -> str:
    """Return an event as its model writes it, with %s for an instant or a number that is 0."""
    return event.to_json().replace(format_instant(0), "%s").replace(":0", ":%s")


_SITTING: Final = {"exam": "%s", "registration_id": "%s"}
_ATTEMPT: Final = _form(_attempted({**_SITTING, "delivery": "live", "ended_at": 0}))


def _forms(passed: bool) -> tuple[str, str, str]:
    """Return the topic of a result, its form without a score, and the one with a score."""
    bare = result_of({**_SITTING, "score": None}, is_beta=False, passed=passed)
    scored = result_of({**_SITTING, "score": 0}, is_beta=False, passed=passed)
    return bare.topic, _form(bare), _form(scored)


_RESULTS: Final = {"pass": _forms(True), "fail": _forms(False)}
