"""Facts that do not fit are kept, and an answer that rests on them says so."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from plain_values import at
from scenarios import (
    Line,
    attempted,
    exam,
    failed,
    given,
    line,
    missed,
    passed,
    result,
)

from ledger.models import ExamAttempted
from projections.answers import Problem
from projections.history import is_nearly
from projections.problems import CODES

AZ: Final = exam("AZ-104")
FIRST: Final = "2021-04-01T09:00Z"


def of(source: str, told: Line) -> Line:
    """The same facts from another source."""
    return told._replace(facts=tuple(fact._replace(source=source) for fact in told.facts))


def problems(*lines: Line, as_of: str = "2022-01-01", exam: str = "AZ-104") -> list[Problem]:
    """What an answer says of the facts behind it."""
    return list(given(AZ, *lines).as_of(as_of, exam=exam).standing.problems)


def texts(*lines: Line, **more: str) -> list[tuple[str, str]]:
    """Their codes and sentences."""
    return [(each.code, each.text) for each in problems(*lines, **more)]


def test_nothing_is_said_of_facts_that_fit() -> None:
    """The usual: no problems."""
    assert problems(failed("AZ-104", on=FIRST), passed("AZ-104", on="2021-05-01T09:00Z")) == []


# --- sources-disagree ------------------------------------------------------------------------

CSV: Final = of("urn:csv", passed("AZ-104", on=FIRST, reg="R-1"))


def test_two_sources_with_different_outcomes() -> None:
    """Both facts are kept, the later holds, and the answer names both."""
    other = of("urn:vue", result("AZ-104", reg="R-1", on="2021-04-02T09:00Z", passed=False))
    (found,) = problems(CSV, other)
    assert found.code == "sources-disagree"
    assert found.text == (
        "Two sources disagree about R-1: urn:csv says passed, urn:vue says failed."
    )
    assert [(each.source, each.id) for each in found.because] == [
        ("urn:csv", "R-1/result"), ("urn:vue", "R-1/result/2"),
    ]  # fmt: skip


def test_two_sources_with_different_starts_and_deliveries() -> None:
    """A second start from elsewhere, in beta instead of live."""
    event = ExamAttempted(exam="AZ-104", registration_id="R-1", delivery="beta")
    other = of("urn:vue", line("C-1", "R-1/attempted", "2021-04-01T10:00Z", event))
    assert texts(CSV, other) == [
        (
            "sources-disagree",
            "Two sources disagree about R-1: urn:csv says that it began on 2021-04-01 09:00 UTC, "
            "urn:vue says that it began on 2021-04-01 10:00 UTC, urn:csv says live, urn:vue says "
            "beta.",
        )
    ]


def test_sources_that_agree() -> None:
    """The same from two sources, a correction by one, and one that says only the attempt."""
    again = of("urn:vue", passed("AZ-104", on=FIRST, reg="R-1"))
    assert texts(CSV, again) == []
    corrected = result("AZ-104", reg="R-1", on="2021-04-03T09:00Z", passed=False)
    assert texts(CSV, of("urn:csv", corrected)) == []
    assert texts(of("urn:vue", attempted("AZ-104", on=FIRST, reg="R-1")), CSV) == []


def test_three_sources() -> None:
    """They are counted."""
    more = [
        of(source, result("AZ-104", reg="R-1", on="2021-04-02T09:00Z", passed=False))
        for source in ("urn:vue", "urn:other")
    ]
    assert "3 sources disagree about R-1" in texts(CSV, *more)[0][1]


def test_one_says_passed_and_one_says_missed() -> None:
    """An absence is an outcome too, and said so."""
    other = of("urn:vue", missed("AZ-104", on="2021-04-02T09:00Z", reg="R-1"))
    (found,) = problems(CSV, other)
    assert (found.code, found.text) == (
        "sources-disagree",
        "Two sources disagree about R-1: urn:csv says passed, urn:vue says missed.",
    )
    assert problems(missed("AZ-104", on=FIRST, reg="R-1")) == []


def test_what_is_not_visible_yet_disagrees_with_nothing() -> None:
    """As of the day before."""
    other = of("urn:vue", result("AZ-104", reg="R-1", on="2021-04-02T09:00Z", passed=False))
    assert texts(CSV, other, as_of="2021-04-02T08:59:59Z") == []


# --- unknown-exam ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["az-104", "AZ-14", "AZ-1004", "AZ-105", "Z-104", "AZ-104X"])
def test_sittings_of_an_exam_that_nobody_announced(code: str) -> None:
    """In another casing or one character off: the exam asked about may be meant."""
    (found,) = problems(failed(code, on=FIRST, reg="R-1"))
    assert found.code == "unknown-exam"
    assert found.text == (
        f"There are sittings of {code}, which was not in the catalogue at that time: AZ-104 may be "
        "meant."
    )
    assert [each.id for each in found.because] == ["R-1/attempted", "R-1/result"]


@pytest.mark.parametrize("code", ["AZ-1", "AZ-204X", "XX-900"])
def test_others_are_of_another_exam(code: str) -> None:
    """Two characters off is another."""
    assert not is_nearly(code, "AZ-104")
    assert problems(failed(code, on=FIRST)) == []


def test_an_exam_of_the_catalogue_is_meant() -> None:
    """However like it is."""
    assert problems(exam("AZ-105"), failed("AZ-105", on=FIRST)) == []


# --- when ------------------------------------------------------------------------------------


def test_a_result_before_its_sitting() -> None:
    """True before the sitting began."""
    lines = (
        result("AZ-104", reg="R-1", on="2021-03-31T09:00Z", passed=True),
        attempted("AZ-104", on=FIRST, reg="R-1"),
    )
    assert texts(*lines) == [
        (
            "result-before-sitting",
            "The result of R-1 is of 2021-03-31 09:00 UTC, before the sitting began on 2021-04-01 "
            "09:00 UTC.",
        )
    ]


@pytest.mark.parametrize(
    ("end", "long"),
    [("2021-04-08T08:59:59.999999Z", False), ("2021-04-08T09:00Z", False),
     ("2021-04-08T09:00:00.000001Z", True)],
)  # fmt: skip
def test_a_long_sitting(end: str, long: bool) -> None:
    """Over seven days."""
    found = texts(attempted("AZ-104", on=FIRST, reg="R-1", ended=end))
    assert [code for code, _ in found] == ["long-sitting"] * long


@pytest.mark.parametrize(
    ("taken", "late"),
    [("2021-05-01T09:00Z", False), ("2021-05-01T09:00:00.000001Z", True)],
)
def test_a_late_result(taken: str, late: bool) -> None:
    """Recorded more than 30 days after it was true."""
    found = texts(failed("AZ-104", on=FIRST, reg="R-1").recorded(taken))
    assert [code for code, _ in found] == ["late-result"] * late


def test_late_results_are_one_problem() -> None:
    """A history that was moved in has many."""
    lines = [failed("AZ-104", on=f"2021-0{n}-01T09:00Z", reg=f"R-{n}").recorded("2022-01-01")
             for n in range(1, 8)]  # fmt: skip
    assert texts(*lines) == [
        (
            "late-result",
            "The results of R-1, R-2, R-3, R-4, R-5 and 2 more were recorded more than 30 days "
            "after they were true.",
        )
    ]


# --- known, and the page ---------------------------------------------------------------------


def test_a_candidate_is_known_once_anything_is_visible() -> None:
    """Of whatever exam."""
    story = given(AZ, failed("AZ-900", on=FIRST))
    for when, known in (("2021-04-01T08:59:59Z", False), (FIRST, True)):
        assert story.as_of(when, exam="AZ-104").standing.known is known
    assert story.as_of(at("2022-01-01"), exam="AZ-104", who="C-2").standing.known is False


def test_the_page_lists_the_codes_in_that_order() -> None:
    """In docs/reasons.md, below the reasons."""
    page = (Path(__file__).parent.parent / "docs/reasons.md").read_text()
    below = page.partition("## Problems")[2]
    rows = [row.split("`")[1] for row in below.splitlines() if row.startswith("| `")]
    assert tuple(rows) == CODES
