"""Reasons in order of precedence: the contract, the code, the answers and the page agree.

`docs/reasons.md` is read here: its order, its clauses, and each sentence that it shows.
"""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from scenarios import (
    Given,
    Line,
    attempted,
    authorized,
    beta,
    certification,
    earned,
    exam,
    failed,
    given,
    granted,
    passed,
    policy,
    retired,
    unauthorized,
)

from projections.answers import Reason
from projections.fold import rules

PAGE: Final = (
    (Path(__file__).parent.parent / "docs/reasons.md").read_text().partition("## Problems")[0]
)
CONTRACT: Final = (
    "unknown-exam",
    "retired",
    "not-open",
    "not-authorized",
    "passed",
    "beta-taken",
    "result-pending",
    "cap-reached",
    "waiting",
)
"""The contract's order (section 4, "Reasons … in order of precedence")."""

OURS: Final = """
id = "ours"
effective_from = 2021-01-01T00:00:00Z
[wait]
after = ["P14D"]
"""


def ours(more: str, *lines: Line) -> Given:
    """An exam of our own policy, failed twice."""
    return given(
        policy(OURS + more),
        exam("AZ-104", policy="ours"),
        failed("AZ-104", on="2021-04-01T09:00Z"),
        failed("AZ-104", on="2021-05-01T09:00Z"),
        *lines,
    )


AZ: Final = exam("AZ-104")
AI: Final = exam("AI-100", beta_opens="2021-05-01", live="2021-07-01")
TAKEN: Final = beta("AI-100", on="2021-05-10T09:00Z")
PASSED: Final = passed("AZ-104", on="2021-04-01T09:00Z")
ADMIN: Final = certification("ADMIN", exams=["AZ-104"])
FIVE: Final = [failed("AZ-104", on=f"2021-0{month}-01T09:00Z") for month in range(4, 9)]
NEEDED: Final = "[authorization]\nrequired = true\nsittings = 2\n"
ENDED: Final = authorized("AZ-104", on="2021-03-01", id="A-77", valid_until="2021-04-15")
GRANTED: Final = authorized("AZ-104", on="2021-03-01", id="A-77")
TWICE: Final = [failed("AZ-104", on=f"2021-04-0{day}T09:00Z") for day in (1, 2)]


class Told(NamedTuple):
    """A story in which a reason holds, and when."""

    code: str
    given: Given
    as_of: str

    @property
    def reason(self) -> Reason:
        """The reason as it is answered, waived or not."""
        standing = self.given.as_of(self.as_of).standing
        (reason,) = [r for r in standing.reasons + standing.waived if r.code == self.code]
        return reason


STORIES: Final = [
    Told("unknown-exam", given(failed("AZ-104", on="2021-04-01T09:00Z")), "2021-04-02"),
    Told("unknown-exam", given(exam("AZ-104", policy="ours")), "2021-04-02"),
    Told("unknown-exam", given(exam("AZ-104", policy="ours"), policy('id = "ours"\n')),
         "2021-04-02"),
    Told("retired", given(AZ, retired("AZ-104", on="2021-06-30")), "2021-07-01"),
    Told("not-open", given(AI), "2021-04-30"),
    Told("not-open", given(exam("AI-100", live="2021-07-01")), "2021-04-30"),
    Told("not-authorized", ours(NEEDED), "2021-05-02"),
    Told("not-authorized", ours(NEEDED, GRANTED), "2021-05-02"),
    Told("not-authorized", ours(NEEDED, ENDED), "2021-05-02"),
    Told("not-authorized", ours(NEEDED, GRANTED, unauthorized(
        "AZ-104", on="2021-05-01T12:00Z", id="A-77")), "2021-05-02"),
    Told("passed", given(AZ, PASSED), "2021-04-02"),
    Told("passed", given(AZ, ADMIN, PASSED, earned("ADMIN", on="2021-04-02", expires="2023-04-02")),
         "2021-04-02"),
    Told("passed", given(AZ, ADMIN, PASSED, earned("ADMIN", on="2021-04-02")), "2021-04-02"),
    Told("passed", given(policy(OURS + '[pass]\nretake = "never"\n'),
                         exam("AZ-104", policy="ours"), PASSED), "2021-04-02"),
    Told("passed", given(policy(OURS + '[pass]\nretake = "after"\nafter = "P2Y"\n'),
                         exam("AZ-104", policy="ours"), PASSED), "2021-04-02"),
    Told("passed", given(policy(OURS + '[pass]\nbefore_expiry = "P60D"\n'),
                         exam("AZ-104", policy="ours"), ADMIN, PASSED,
                         earned("ADMIN", on="2021-04-02", expires="2023-04-02")), "2021-04-02"),
    Told("passed", given(AZ, PASSED, granted("AZ-104", on="2021-04-01T12:00Z", waives=["passed"])),
         "2021-04-02"),
    Told("beta-taken", given(AI, TAKEN), "2021-06-01"),
    Told("beta-taken", given(exam("AI-100", beta_opens="2021-05-01"), TAKEN), "2021-06-01"),
    Told("beta-taken", given(policy(OURS + "[beta]\nsittings = 0\n"),
                             exam("AI-100", policy="ours", beta_opens="2021-05-01")), "2021-06-01"),
    Told("result-pending", given(AZ, attempted("AZ-104", on="2021-04-01T09:00Z")), "2021-04-05"),
    Told("result-pending", given(AI, TAKEN), "2021-07-02"),
    Told("result-pending", given(exam("AI-100"), TAKEN), "2021-07-02"),
    Told("result-pending", given(policy(OURS), exam("AI-100", policy="ours", live="2021-07-01"),
                                 TAKEN), "2021-06-30"),
    Told("result-pending", given(policy(OURS), exam("AI-100", policy="ours", live="2021-07-01"),
                                 TAKEN), "2021-07-02"),
    Told("cap-reached", given(AZ, *FIVE), "2021-09-01"),
    Told("cap-reached", ours('[[cap]]\nsittings = 2\nperiod = "P3M"\nanchor = "last-sitting"\n'),
         "2021-05-02"),
    Told("cap-reached", ours('[[cap]]\nsittings = 2\nperiod = "P90D"\nanchor = "rolling"\n'),
         "2021-05-02"),
    Told("cap-reached", ours('[[cap]]\nsittings = 2\nanchor = "calendar-year"\n'), "2021-05-02"),
    Told("cap-reached", ours("[[cap]]\nsittings = 2\n"), "2021-05-02"),
    Told("cap-reached", ours('[[cap]]\nsittings = 2\nanchor = "calendar"\nstarts = ["07-01"]\n'),
         "2021-05-02"),
    Told("cap-reached", ours('[[cap]]\nsittings = 2\nanchor = "calendar"\nstarts = ["07-01"]\n'
                             "periods = 6\nsince = 2019-09-01T00:00:00Z\n"), "2021-05-02"),
    Told("waiting", given(AZ, *TWICE), "2021-04-03"),
    Told("waiting", given(policy(OURS + 'within = "P2Y"\n'), exam("AZ-104", policy="ours"), *TWICE),
         "2021-04-03"),
    Told("waiting", given(AZ, *TWICE, granted("AZ-104", on="2021-04-03")), "2021-04-03"),
    Told("waiting", given(AZ, *TWICE, granted("AZ-104", on="2021-04-03",
                                              valid_until="2021-04-10")), "2021-04-03"),
]  # fmt: skip


ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]
"""The page's table: code, when, until, clause, example."""


def test_the_codes_stand_in_the_order_of_the_contract() -> None:
    """The numbers rise in order of precedence; 0 is eligible."""
    assert ("eligible", *CONTRACT) == rules.STATUSES
    named = [rules.ELIGIBLE, rules.UNKNOWN_EXAM, rules.RETIRED, rules.NOT_OPEN,
             rules.NOT_AUTHORIZED, rules.PASS_STANDS, rules.BETA_TAKEN, rules.RESULT_PENDING,
             rules.CAP_REACHED, rules.WAITING]  # fmt: skip
    assert named == list(range(len(rules.STATUSES)))


def test_the_page_lists_them_in_that_order() -> None:
    """One row each, in the same order."""
    assert [row[0].strip("`") for row in ROWS] == list(CONTRACT)


def test_the_stories_tell_each_in_that_order() -> None:
    """No reason without a story."""
    assert tuple(dict.fromkeys(story.code for story in STORIES)) == CONTRACT


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_page_names_the_clauses_that_answers_name(row: list[str]) -> None:
    """Each clause that a story's reason names is in the row, and none that no reason names."""
    found = {story.reason.clause for story in STORIES if f"`{story.code}`" == row[0]}
    clauses = {re.sub(r"\[\d+\]", "[n]", clause) if clause else "none" for clause in found}
    assert {clause.strip("`") for clause in row[3].split(", ")} == clauses


def test_the_page_shows_the_sentences_that_answers_say() -> None:
    """Word for word, each story's sentence; every sentence of the page is one of them."""
    said = [story.reason.text for story in STORIES]
    below = [line.removeprefix("> ") for line in PAGE.splitlines() if line.startswith("> ")]
    assert below == said
    assert [row[4] for row in ROWS] == [
        next(story.reason.text for story in STORIES if story.code == code) for code in CONTRACT
    ]


PAIRS: Final = [
    pair
    for pair in combinations(CONTRACT[1:], 2)
    if pair != ("not-open", "beta-taken")  # an exam is in beta or not open, never both
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_reasons_the_earlier_is_the_status(first: str, second: str) -> None:
    """Every pair that can hold at once, each in a story of its own."""
    betas = "beta-taken" in (first, second)
    announced = exam(
        "X",
        policy="ours",
        beta_opens="2021-02-01" if betas else None,
        live="2021-12-01" if betas or "not-open" in (first, second) else "2021-01-01",
        retires="2021-05-31" if first == "retired" else None,
    )
    both = {first, second}
    needed = NEEDED if "not-authorized" in both else ""
    lines = [policy(OURS + '[[cap]]\nsittings = 1\nperiod = "P6M"\n' + needed), announced]
    if betas:
        lines.append(beta("X", on="2021-03-01T09:00Z", reg="B-1"))
    if "passed" in both:
        lines.append(passed("X", on="2021-05-01T09:00Z"))
    if both & {"result-pending", "cap-reached"}:
        lines.append(attempted("X", on="2021-05-02T09:00Z"))
    if "waiting" in both:
        lines.append(failed("X", on="2021-05-30T09:00Z"))
    standing = given(*lines).as_of("2021-06-01").standing
    order = [reason.code for reason in standing.reasons if reason.code in both]
    assert order == [first, second]
    assert CONTRACT.index(standing.status) <= CONTRACT.index(first)
