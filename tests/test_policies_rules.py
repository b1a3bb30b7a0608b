"""A policy as integers, its clauses, and its words."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from retake_policies import SHIPPED, shipped
from retake_policies.durations import DAY, HOUR
from retake_policies.rules import Rules, compile_rules, rule_book, rules_at
from retake_policies.schema import parse_policy
from retake_policies.wording import cap_clause, clause_texts, policy_text, wait_clause
from retake_policies.zones import zone_table

TEXTS = dict(shipped())
SMALLEST = 'id = "ours"\neffective_from = 2021-03-31T00:00:00Z\n'
EVERYTHING = (
    SMALLEST
    + """
    [wait]
    after = ["PT1H30M", "P2W", "P6M"]
    from = "end"
    days = "clear"
    zone = "Europe/Berlin"
    within = "P2Y"
    [[cap]]
    sittings = 1
    [[cap]]
    sittings = 2
    period = "P1Y"
    anchor = "last-sitting"
    [[cap]]
    sittings = 3
    period = "P90D"
    anchor = "rolling"
    [[cap]]
    sittings = 4
    anchor = "calendar-year"
    [[cap]]
    sittings = 5
    period = "P2Y"
    anchor = "rolling"
    by = "date"
    since = 1970-01-01T00:00:01Z
    [[cap]]
    sittings = 6
    anchor = "calendar"
    starts = ["01-31", "07-01"]
    periods = 6
    [[cap]]
    sittings = 7
    anchor = "calendar"
    starts = ["1969-12-31", "1970-01-02"]
    [pass]
    retake = "after"
    after = "P180D"
    [authorization]
    required = true
    sittings = 3
    [missed]
    counts = true
    [beta]
    sittings = 0
    counts = true
    results_after_live = ["PT0S", "P1M"]
    overdue_after_live = "PT0S"
    """
)


def rules_of(text: str) -> Rules:
    return compile_rules(parse_policy(text, "test"))


def test_the_general_policy_compiles_to_its_numbers() -> None:
    """24 hours, then 14 days, no wait after the fifth; five in twelve months from the first."""
    assert rules_of(TEXTS["general"]) == Rules(
        wait_unit=(0, 1, 1, 1, 0),
        wait_amount=(DAY, 14, 14, 14, 0),
        wait_from_end=0,
        wait_days=0,
        wait_longest=18 * DAY,
        within_unit=0,
        within_amount=0,
        zone_from=(-(1 << 62),),
        zone_offset=(0,),
        cap_sittings=(5,),
        cap_anchor=(0,),
        cap_unit=(2,),
        cap_amount=(12,),
        cap_since=(-(1 << 62),),
        cap_periods=(1,),
        cap_start_lo=(0,),
        cap_start_hi=(0,),
        start=(),
        retake=0,
        pass_unit=0,
        pass_amount=0,
        authorization_required=0,
        authorization_sittings=0,
        missed_counts=0,
        beta_sittings=1,
        beta_counts=0,
        expected_unit=(1, 1),
        expected_amount=(7, 10),
        overdue_unit=1,
        overdue_amount=14,
    )


def test_every_key_reaches_the_integers() -> None:
    """A policy that leaves no default in place, and zero amounts that are not nothing."""
    zone_from, zone_offset = zone_table("Europe/Berlin")
    assert rules_of(EVERYTHING) == Rules(
        wait_unit=(0, 1, 2),
        wait_amount=(3 * HOUR // 2, 14, 6),
        wait_from_end=1,
        wait_days=2,
        wait_longest=(6 * 31 + 4) * DAY,
        within_unit=2,
        within_amount=24,
        zone_from=zone_from,
        zone_offset=zone_offset,
        cap_sittings=(1, 2, 3, 4, 5, 6, 7),
        cap_anchor=(4, 1, 2, 3, 5, 3, 6),
        cap_unit=(0, 2, 1, 0, 2, 0, 0),
        cap_amount=(0, 12, 90, 0, 24, 0, 0),
        cap_since=(*[-(1 << 62)] * 4, 1_000_000, *[-(1 << 62)] * 2),
        cap_periods=(1, 1, 1, 1, 1, 6, 1),
        cap_start_lo=(0, 0, 0, 0, 1, 1, 3),
        cap_start_hi=(0, 0, 0, 1, 1, 3, 5),
        start=(101, 131, 701, -1, 1),
        retake=3,
        pass_unit=1,
        pass_amount=180,
        authorization_required=1,
        authorization_sittings=3,
        missed_counts=1,
        beta_sittings=0,
        beta_counts=1,
        expected_unit=(0, 2),
        expected_amount=(0, 1),
        overdue_unit=0,
        overdue_amount=0,
    )


def test_joined_rules_are_cut_out_again_as_they_were() -> None:
    """Whatever stands beside them in the book."""
    every = [rules_of(text) for text in (EVERYTHING, SMALLEST, TEXTS["general"], EVERYTHING)]
    book = rule_book(every)
    for number, rules in enumerate(every):
        assert all(
            tuple(found) == wanted if isinstance(wanted, tuple) else found == wanted
            for found, wanted in zip(rules_at(book, number), rules, strict=True)
        )


def test_what_is_left_out_compiles_to_nothing() -> None:
    """No waits, no caps, no dates to expect, and a pending beta that is never overdue."""
    rules = rules_of(SMALLEST)
    assert (rules.wait_unit, rules.cap_sittings, rules.expected_amount) == ((), (), ())
    assert (rules.retake, rules.beta_sittings, rules.beta_counts) == (0, 1, 0)
    assert rules.overdue_amount == -1


@pytest.mark.parametrize("value", rules_of(EVERYTHING)._asdict().items(), ids=lambda item: item[0])
def test_rules_are_plain_integers_that_fit_64_bits(value: tuple[str, Any]) -> None:
    """So that they become int64 columns as they are: no bool, no None, nothing nested."""
    _, held = value
    for number in held if isinstance(held, tuple) else (held,):
        assert type(number) is int
        assert -(1 << 63) <= number < 1 << 63


@pytest.mark.parametrize(
    ("ordinal", "entries", "clause"),
    [
        (1, 2, "wait.after[1]"),
        (2, 2, "wait.after[2]"),
        (3, 2, "wait.after[2]"),
        (5, 5, "wait.after[5]"),
        (6, 5, "wait.after[5]"),
        (1, 1, "wait.after[1]"),
    ],
)
def test_the_clause_of_a_wait_is_the_entry_used(ordinal: int, entries: int, clause: str) -> None:
    """The last entry repeats, so it is the one named from then on."""
    assert wait_clause(ordinal, entries) == clause


@pytest.mark.parametrize("id", SHIPPED)
def test_each_clause_an_answer_may_name_has_its_words(id: str) -> None:
    """Whatever clause a reason names can be looked up in the policy's own rendering."""
    policy = parse_policy(TEXTS[id], id)
    rules, words = compile_rules(policy), clause_texts(policy)
    entries = len(rules.wait_unit)
    assert "missed.counts" not in words  # a key that is left out is not in the words of old files
    named = [wait_clause(ordinal, entries) for ordinal in range(1, entries + 3)]
    named += [cap_clause(index) for index in range(len(rules.cap_sittings))]
    named += ["pass.retake", "beta.sittings", "beta.results_after_live", "beta.overdue_after_live"]
    assert [clause for clause in named if clause not in words] == []


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        ("wait.after[1]", "after the 1st sitting of a series: 24 hours"),
        ("wait.after[2]", "after the 2nd sitting of a series: 14 days"),
        ("wait.after[5]", "after the 5th sitting and later ones of a series: no wait"),
        ("cap[1]", "at most 5 sittings in the 12 months from the date of the first of a series"),
        ("pass.retake", "a passed exam may be taken again once its certification has ended"),
        ("beta.sittings", "1 sitting while the exam is in beta"),
        ("exception.waives", "an exception may waive the wait and the cap"),
    ],
)
def test_the_general_policy_in_words(clause: str, words: str) -> None:
    """A reader of `policy show` learns the rule without the file."""
    assert clause_texts(parse_policy(TEXTS["general"], "general"))[clause] == words


@pytest.mark.parametrize(
    ("clause", "words"),
    [
        ("wait.after[2]", "after the 2nd sitting within 24 months: 14 days"),
        ("wait.after[3]", "after the 3rd sitting and later ones within 24 months: 6 months"),
        (
            "wait.within",
            "the wait goes by the sittings within 24 months, counted back, by dates, from the last "
            "sitting of the series, which is one of them",
        ),
        ("wait.from", "waits run from the end of the sitting"),
        ("wait.days", "days are whole days in between, 00:00 to 00:00"),
        ("wait.zone", "dates are those of Europe/Berlin"),
        ("cap[1]", "at most 1 sitting, for life"),
        (
            "cap[2]",
            "at most 2 sittings; then none until 12 months from the date of the last of them",
        ),
        ("cap[3]", "at most 3 sittings in any 90 days"),
        ("cap[4]", "at most 4 sittings in a calendar year"),
        (
            "cap[5]",
            "at most 5 sittings in any 24 months, by dates, not counting those before "
            "1970-01-01T00:00:01Z",
        ),
        (
            "cap[6]",
            "at most 6 sittings in one period and the 5 before it; periods begin on 31 January and "
            "1 July",
        ),
        (
            "cap[7]",
            "at most 7 sittings in one period; periods begin on 31 December 1969 and 2 January "
            "1970",
        ),
        ("pass.retake", "a passed exam may be taken again some time after the sitting"),
        ("pass.after", "180 days from the end of the sitting, reckoned as waits"),
        ("authorization.required", "a sitting needs an authorization that runs"),
        (
            "authorization.sittings",
            "an authorization serves 3 sittings, unless it says so itself",
        ),
        ("missed.counts", "missed sittings count in waits and caps, as failed ones do"),
        ("beta.sittings", "no sitting while the exam is in beta"),
        ("beta.counts", "beta sittings count in waits and caps"),
        ("exception.waives", "no exception is offered"),
    ],
)
def test_every_kind_of_rule_in_words(clause: str, words: str) -> None:
    """Each value of each key has its own sentence."""
    assert clause_texts(parse_policy(EVERYTHING, "everything"))[clause] == words


@pytest.mark.parametrize(
    ("text", "clause", "words"),
    [
        ("[pass]\nretake = 'never'", "pass.retake", "a passed exam may not be taken again"),
        (
            "[pass]\nbefore_expiry = 'P60D'",
            "pass.before_expiry",
            "and in the last 60 days before it ends, if the pass is older than these",
        ),
        (
            "[authorization]\nrequired = true",
            "authorization.sittings",
            "an authorization serves any number of sittings, unless it says so itself",
        ),
        (
            "[exception]\nreasons = []\nwaives = ['wait', 'cap', 'passed']",
            "exception.waives",
            "an exception may waive the wait, the cap and a pass that stands",
        ),
    ],
)
def test_what_goes_with_another_key_in_words(text: str, clause: str, words: str) -> None:
    """Rules that the policy of every kind has otherwise."""
    assert clause_texts(parse_policy(SMALLEST + text, "ours"))[clause] == words


@pytest.mark.parametrize("text", [*TEXTS.values(), SMALLEST, EVERYTHING])
@pytest.mark.parametrize("width", [60, 80])
def test_a_policy_reads_well_on_a_terminal(text: str, width: int) -> None:
    """Heading and clauses fit the width, and name the version exactly."""
    policy = parse_policy(text, "test")
    lines = policy_text(policy, width=width).splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith("sha256")] == []
    assert lines[0].startswith(policy.id)
    assert "in force from: 2021-03-31T00:00:00Z" in lines
    assert f"sha256: {policy.sha256}" in lines
    assert all(
        any(line.startswith(f"  {clause} ") for line in lines) for clause in clause_texts(policy)
    )


def test_the_fast_path_leaves_pydantic_alone() -> None:
    """The fold imports rules, versions and durations without any heavy library."""
    script = (
        "from retake_policies import durations, rules; import sys;"
        "print(*{'pydantic', 'numba', 'numpy', 'tomllib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
