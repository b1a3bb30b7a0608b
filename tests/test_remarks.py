"""What stands beside a standing's fields: steps, corrections, certifications, requests, clocks."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from command_line import CommandLine
from scenarios import (
    Given,
    Line,
    annulled,
    attempted,
    beta,
    certification,
    earned,
    exam,
    failed,
    given,
    granted,
    passed,
    policy,
    rejected,
    renewed,
    requested,
    rescored,
    result,
    revoked,
    withdrawn,
)

from projections.remarks import Remarks, remarks_of
from projections.sentences import shown_beside
from retake_policies.zones import load_zone

AZ = "AZ-104"
LIVE = exam(AZ)
NEW_YORK = """
id = "ny"
title = "With a zone"
source = "a test"
effective_from = 2020-01-01T00:00:00Z
[wait]
after = ["P14D"]
days = "calendar"
zone = "America/New_York"
[pass]
retake = "never"
[beta]
sittings = 0
"""


def remarks(story: Given, when: str, **known: Any) -> Remarks:
    """Ask for AZ-104, and return what there is to say beside the fields."""
    standing = story.as_of(when, exam=AZ, **known).standing
    return remarks_of(standing, story.history(standing.candidate), story.catalogue)


TAKEN = given(
    exam(AZ, beta_opens="2021-08-01", live="2021-10-25"), beta(AZ, on="2021-08-18", reg="B-1")
)


@pytest.mark.parametrize(
    ("story", "when", "steps"),
    [
        (
            TAKEN,
            "2021-09-01",
            "beta until 2021-10-25 00:00 UTC, then its result until 2021-11-08 00:00 UTC",
        ),
        (TAKEN, "2021-10-24T23:59:59.999999Z", "beta until 2021-10-25 00:00 UTC, then its result "
         "until 2021-11-08 00:00 UTC"),
        (TAKEN, "2021-10-25", ""),
        (TAKEN, "2021-11-08", ""),
        (given(LIVE, failed(AZ, on="2021-04-01")), "2021-04-01", ""),
        (
            given(exam(AZ, retires="2021-04-01T12:00Z"), failed(AZ, on="2021-04-01")),
            "2021-04-01T11:00Z",
            "the wait until 2021-04-01 12:00 UTC, then retired without an end",
        ),
    ],
)  # fmt: skip
def test_several_steps_are_named_with_their_ends(story: Given, when: str, steps: str) -> None:
    """Where one thing follows another; a single one is the headline itself."""
    assert remarks(story, when).steps == steps


WRONG_SEAT = failed(AZ, on="2022-03-09T10:00Z", reg="R-2").recorded("2022-03-09T11:00Z")

GOOD = result(AZ, reg="R-2", on="2022-03-09T10:00Z", passed=True).recorded("2022-03-17T09:00Z")
FAILED = failed(AZ, on="2022-03-09", reg="R-2")


def elsewhere(line: Line) -> Line:
    """Say the same by another source."""
    return line._replace(facts=tuple(fact._replace(source="urn:vue") for fact in line.facts))


RESCORED = functools.partial(rescored, AZ, reg="R-2", on="2022-03-20")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ((WRONG_SEAT,), None),
        (
            (
                WRONG_SEAT,
                annulled("R-2/result", on="2022-03-17T08:50Z").recorded("2022-03-17T08:50Z"),
                GOOD,
            ),
            "failed, corrected on 2022-03-17: passed",
        ),
        (
            (WRONG_SEAT, annulled("R-2/result", on="2022-03-17").recorded("2022-03-17")),
            "failed, annulled on 2022-03-17: pending",
        ),
        (
            (passed(AZ, on="2022-03-09", reg="R-2"), revoked(AZ, reg="R-2", on="2022-03-20")),
            "passed, withdrawn on 2022-03-20: revoked",
        ),
        ((FAILED, RESCORED(passed=True)), "failed, rescored on 2022-03-20: passed"),
        ((FAILED, RESCORED(passed=False)), None),
        ((attempted(AZ, on="2022-03-09", reg="R-2"), GOOD), None),
        (
            (FAILED, elsewhere(result(AZ, reg="R-2", on="2022-03-10", passed=True))),
            "failed, contradicted by urn:vue on 2022-03-10: passed",
        ),
    ],
)  # fmt: skip
def test_an_outcome_that_was_known_otherwise(facts: Any, words: str | None) -> None:
    """Is named with those before it and the day of each change; one that never changed is not."""
    found = remarks(given(LIVE, *facts), "2022-04-01").corrected
    assert found == ({} if words is None else {"R-2": words})


def test_of_many_changes_the_last_are_named() -> None:
    """Each costs a fold of the sitting."""
    changes = [
        result(AZ, reg="R-2", on=f"2022-03-{day:02}", passed=day % 2 == 0) for day in range(10, 31)
    ]
    words = remarks(given(LIVE, FAILED, *changes), "2022-04-01").corrected["R-2"]
    assert words.startswith("of 22 results the last: failed, corrected on 2022-03-22: passed, ")
    assert words.endswith("corrected on 2022-03-30: passed")


def test_what_was_not_corrected_yet_is_not_named() -> None:
    """Neither on the axis of knowledge nor on that of truth."""
    story = given(
        LIVE, passed(AZ, on="2022-03-09", reg="R-2"), revoked(AZ, reg="R-2", on="2022-03-20")
    )
    assert remarks(story, "2022-03-19").corrected == {}
    assert remarks(story, "2022-03-21", known=2).corrected == {}


def test_a_certification_that_frees_a_pass_is_named_with_its_end() -> None:
    """Those that cover the exam alone, renewals too, once the exam was passed."""
    story = given(
        LIVE,
        certification("admin", exams=[AZ]),
        certification("other", exams=["DP-1"]),
        passed(AZ, on="2021-04-01"),
        earned("admin", on="2021-04-02", expires="2023-04-02"),
        earned("other", on="2021-04-02", expires="2023-04-02"),
        renewed("admin", on="2022-10-01", expires="2024-04-02"),
    )
    first = "earned 2021-04-02 00:00 UTC"
    then = "renewed 2022-10-01 00:00 UTC"
    for when, words in (
        ("2021-05-01", f"{first}, expires 2023-04-02 00:00 UTC"),
        ("2022-11-01", f"{first}, {then}, expires 2024-04-02 00:00 UTC"),
        ("2024-04-02", f"{first}, {then}, expired 2024-04-02 00:00 UTC"),
    ):
        assert remarks(story, when).certifications == (("admin", words),)
    assert remarks(story, "2021-04-01T12:00Z").certifications == ()
    failure = given(
        LIVE, certification("admin", exams=[AZ]), failed(AZ, on="2021-04-01"),
        earned("admin", on="2021-04-02", expires="2023-04-02"),
    )  # fmt: skip
    assert remarks(failure, "2021-05-01").certifications == ()


ASKED = (
    LIVE,
    failed(AZ, on="2021-05-01", reg="R-1"),
    requested(AZ, on="2021-05-02", reg="R-1"),
)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ((), "open since 2021-05-02 00:00 UTC, to be decided for R-1: lab-crash"),
        ((granted(AZ, on="2021-05-03"),), "granted 2021-05-03 00:00 UTC for R-1: waives wait"),
        ((rejected(AZ, on="2021-05-03"),), "rejected 2021-05-03 00:00 UTC for R-1: "),
        (
            (granted(AZ, on="2021-05-03"), withdrawn(AZ, on="2021-05-04")),
            "revoked 2021-05-04 00:00 UTC for R-1: ",
        ),
        (
            (granted(AZ, on="2021-05-03"), failed(AZ, on="2021-05-04", reg="R-2")),
            "used by R-2 on 2021-05-04 00:00 UTC, granted for R-1: waives wait",
        ),
    ],
)
def test_a_request_is_named_with_what_became_of_it(more: Any, words: str) -> None:
    """An open one above all; those of other exams are not."""
    ((id, found),) = remarks(given(*ASKED, *more), "2021-05-05").requests
    assert (id, found[: len(words)]) == ("X-1", words)


def test_a_policy_with_a_zone_has_its_clock_beside_utc() -> None:
    """In the sentences of every door; its date too where that is another."""
    story = given(policy(NEW_YORK), exam(AZ, policy="ny"), failed(AZ, on="2021-04-01T02:00Z"))
    standing = story.as_of("2021-04-02", exam=AZ).standing
    assert standing.reasons[0].text == (
        "After your 1st sitting, on 2021-04-01 02:00 UTC (2021-03-31 22:00 America/New_York), the "
        "wait is 14 days, until 2021-04-14 04:00 UTC (00:00 America/New_York)."
    )
    assert shown_beside(load_zone("UTC"), "UTC")(0) == "1970-01-01 00:00 UTC"


def test_pages_of_text_say_it_all(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`standing` of one exam and of all, `history` and `exception list` name who did what."""
    door = CommandLine(tmp_path, monkeypatch).at("2021-07-01T00:00:00Z").catalogued()
    door.failed("R-1", "2020-04-06T09:00:00Z")
    door.failed("R-2", "2021-06-20T09:00:00Z")
    request = door.done(
        "exception", "request", "C-1", AZ, "--registration", "R-2", "--reason", "lab-crash",
        "--candidate-id", "C-1", "--exam-number", AZ, "--first-name", "R", "--last-name", "S",
        "--email", "r@example.org", "--description", "It crashed.", "--vue-case-number", "1",
        "--actor", "support",
    ).strip()  # fmt: skip
    text = " ".join(door.done("standing", "C-1", AZ).split())
    assert f"{request} open since 2021-07-01 00:00 UTC by support, to be decided for R-2" in text
    assert "-- new series -- 1 2021-06-20 09:00 UTC failed R-2" in text
    assert f"Request {request}: open since" in " ".join(door.done("standing", "C-1").split())
    door.done("annul", "urn:vue", "R-2/result", "--reason", "wrong seat", "--actor", "desk")
    door.done(
        "record", "ExamPassed", "C-1", f"exam={AZ}", "registration_id=R-2", "--actor", "desk",
        "--time", "2021-06-20T09:00:00Z",
    )  # fmt: skip
    text = " ".join(door.done("standing", "C-1", AZ).split())
    assert "failed, corrected on 2021-07-01 by R-2 desk: passed" in text
    assert "annulled on 2021-07-01 by desk, position 11: wrong seat" in " ".join(
        door.done("history", "C-1").split()
    )
    door.done("exception", "reject", "C-1", request, "--why", "no case", "--actor", "head-of-desk")
    assert "decided by head-of-desk" in " ".join(door.done("exception", "list", "C-1").split())
    assert "rejected 2021-07-01 00:00 UTC by head-of-desk for R-2: no case" in " ".join(
        door.done("standing", "C-1", AZ).split()
    )
