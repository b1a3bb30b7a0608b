"""Two readings of the same rows, held against each other in one pass without holding them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.row_diff import MOST, Row, compare_lines, compare_rows

HEAD = ("position", "actor")
WORDS: dict[str, Any] = {"here": "by the ledger", "there": "in the file"}


def told(ours: Sequence[Row], theirs: Sequence[Row]) -> list[str]:
    """Compare rows by position."""
    return compare_rows([HEAD, *ours], [HEAD, *theirs], ("position",), **WORDS).sentences


ROWS = [("1", "cli"), ("2", "desk"), ("3", "feed")]


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (ROWS, []),
        ([("1", "cli"), ("2", "x"), ("3", "feed")],
         ["position 2: actor is x in the file, desk by the ledger"]),
        ([("1", ""), *ROWS[1:]], ["position 1: actor is empty in the file, cli by the ledger"]),
        (ROWS[1:], ["position 1: missing in the file"]),
        (ROWS[:2], ["position 3: missing in the file"]),
        ([*ROWS, ("4", "x")], ["position 4: a row more in the file"]),
        ([("0", "x"), *ROWS], ["position 0: a row more in the file"]),
        ([ROWS[0], *ROWS], ["position 1: a row more in the file"]),
        ([("1", "cli"), ("9", "desk"), ("3", "feed")],
         ["position 2: missing in the file", "position 9: a row more in the file"]),
        ([ROWS[1], ROWS[0], ROWS[2]], ["the rows are in another order in the file"]),
        ([ROWS[1], ("1", "x"), ROWS[2]], ["position 1: actor is x in the file, cli by the ledger"]),
        ([("1", "cli", "more"), *ROWS[1:]], ["position 1: the cells differ"]),
        ([], [f"position {n}: missing in the file" for n in "123"]),
    ],
)  # fmt: skip
def test_what_differs_is_said_by_the_key(theirs: list[Row], said: list[str]) -> None:
    """What is changed, taken out, put in, told twice, or moved."""
    assert told(ROWS, theirs) == said


def test_other_columns_are_said_before_any_row() -> None:
    """Then rows cannot be compared."""
    found = compare_rows([HEAD, *ROWS], [("position",), ("1",)], ("position",), **WORDS)
    assert found.sentences == [
        "the columns are position in the file, position, actor by the ledger"
    ]


def test_a_file_without_any_row_has_no_header_in_json() -> None:
    """Every row is missing, or is one more."""
    key = ("position",)
    assert len(compare_rows([HEAD, *ROWS], [], key, **WORDS).sentences) == 3
    assert len(compare_rows([], [HEAD, *ROWS], key, **WORDS).sentences) == 3
    assert compare_rows([], [], key, **WORDS).sentences == []
    strange = compare_rows([], [("mood",), ("bad",)], key, **WORDS).sentences
    assert strange == ["the columns are mood in the file, position by the ledger"]


def test_the_rows_that_differ_are_given_by_column() -> None:
    """To be looked up in the ledger: as the ledger has them, where it has them."""
    found = compare_rows([HEAD, *ROWS], [HEAD, ("1", "x"), *ROWS[1:]], ("position",), **WORDS)
    assert found.rows == [{"position": "1", "actor": "cli"}]


@pytest.mark.parametrize("many", [MOST - 1, MOST, MOST + 1, 10 * MOST])
def test_no_more_is_said_than_anyone_reads(many: int) -> None:
    """The rest is counted."""
    ours = [(str(n), "cli") for n in range(many)]
    for theirs in ([(n, "x") for n, _ in ours], []):
        said = told(ours, theirs)
        assert len(said) == min(many, MOST + 1)
        if many > MOST:
            assert said[-1] == f"and {many - MOST:,} more differences"


class Counted(tuple[str, ...]):
    """A row that tells how many of its kind there are at once."""

    alive = 0
    most = 0

    def __new__(cls, cells: Sequence[str]) -> Counted:
        cls.alive += 1
        cls.most = max(cls.most, cls.alive)
        return super().__new__(cls, cells)

    def __del__(self) -> None:
        type(self).alive -= 1


@pytest.mark.parametrize("without", [{0}, {500}, {999}, {0, 500, 999}, set()])
def test_rows_are_not_held(without: set[int]) -> None:
    """A row taken out moves all that follow; each meets its like at the next step."""
    Counted.alive = Counted.most = 0

    def reading(left_out: set[int]) -> Iterator[Row]:
        yield HEAD
        yield from (Counted((str(n), "cli")) for n in range(1000) if n not in left_out)

    found = compare_rows(reading(set()), reading(without), ("position",), **WORDS)
    assert len(found.sentences) == len(without)
    assert Counted.most < 20


@given(
    st.lists(st.integers(0, 30), max_size=MOST // 2, unique=True).map(sorted),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab")), max_size=MOST // 2),
)
def test_what_is_said_is_what_a_count_of_all_rows_says(
    ours: list[int], theirs: list[tuple[int, str]]
) -> None:
    """Nothing is said of equal rows in equal order, and every key that differs is named once."""
    mine = [(str(n), "a") for n in ours]
    other = [(str(n), actor) for n, actor in theirs]
    said = told(mine, other)
    if mine == other:
        assert said == []
        return
    left, right = Counter(mine), Counter(other)
    differ = {key for key, _ in (left - right)} | {key for key, _ in (right - left)}
    assert {sentence.split(":")[0].split()[1] for sentence in said if ":" in sentence} == differ
    assert (said == ["the rows are in another order in the file"]) == (not differ)


def test_lines_are_compared_one_after_the_other() -> None:
    """And counted at the end."""
    ours = [(f"line {n}",) for n in range(100)]
    assert compare_lines(ours, ours, **WORDS).sentences == []
    assert compare_lines(ours, ours[:-1], **WORDS).sentences == [
        "there are 99 lines in the file, 100 by the ledger"
    ]
    said = compare_lines(ours, ours[1:], **WORDS).sentences
    assert said[0] == "line 1 is 'line 1' in the file, 'line 0' by the ledger"
    assert said[-2:] == [
        "there are 99 lines in the file, 100 by the ledger", "and 80 more differences",
    ]  # fmt: skip
