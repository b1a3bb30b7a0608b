"""What a policy file may say: the shipped ones, the defaults, and every way to be refused."""

from __future__ import annotations

import hashlib
import re
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ledger.models import ExceptionRequested
from retake_policies import SHIPPED, shipped
from retake_policies.durations import DAYS, MONTHS, Duration
from retake_policies.problems import (
    anchored_twice,
    describe,
    misfits,
    rolling_without_period,
)
from retake_policies.schema import LONGEST, REQUEST_FIELDS, Policy, PolicyError, parse_policy

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad_policies").glob("*.toml"))
SENTENCES: dict[str, list[str]] = tomllib.loads((HERE / "cases/source_sentences.toml").read_text())
TEXTS = dict(shipped())
SMALLEST = 'id = "ours"\neffective_from = 2021-03-31T00:00:00Z\n'


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_policy_is_refused_in_the_words_it_expects(path: Path) -> None:
    """Each file has one fault, and is refused with one sentence naming file, key and remedy."""
    first = path.read_bytes().splitlines()[0].decode().lstrip("\ufeff")
    expected = first.removeprefix("# expect: ")
    assert expected != first
    with pytest.raises(PolicyError) as refusal:
        parse_policy(path.read_bytes(), path.name)
    (problem,) = refusal.value.problems
    assert expected in problem
    assert re.fullmatch(rf"{path.name}: [^\n]+[.?]", problem), problem
    assert str(refusal.value) == problem


def test_what_a_stranger_publishes_is_read_in_no_time() -> None:
    """The worst texts of the longest length: long keys, many faults, many names, fine instants."""
    room = LONGEST - 300
    worst = {
        "dotted": "\n".join(f"{'.'.join('a' * 101)}{n} = 1" for n in range(room // 210)),
        "unknown": "\n".join(f"k{n}=1" for n in range(room // 9)),
        "names": "[exception]\nwaives=[]\nreasons=[" + '"a",' * (room // 4 - 20) + "]",
        "since": "".join(
            "[[cap]]\nsittings=1\nsince=2021-01-01T00:00:00.0000001Z\n" * (room // 54)
        ),
        "by": "[[cap]]\nsittings=1\nby=1\n" * (room // 26),
        "fine": f"t = [{','.join(['2021-01-01T00:00:00.0000001Z'] * (room // 29))}]",
    }
    for kind, text in worst.items():
        began = time.process_time()
        with pytest.raises(PolicyError):
            parse_policy(f"{SMALLEST}{text}\n", "theirs.toml")
        assert time.process_time() - began < 2, kind


def test_all_problems_are_told_at_once() -> None:
    """A file with a fault in every table is refused for each of them in one go."""
    text = """
    effective_from = 2021-03-31T00:00:00.0000001Z
    [wait]
    after = ["P1Q", "P7DT12H"]
    zone = "Mars/Olympus"
    [[cap]]
    sittings = 0
    period = "P12M"
    [[cap]]
    sittings = 5
    period = "P1Y"
    [pass]
    again = true
    """
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text, "ours.toml")
    starts = ["id is missing", "wait.after[1] = ", "wait.after[2] = ", "wait.zone = "]
    starts += ["cap[1].sittings = 0", "pass.again is no key", "cap[1] and cap[2] are"]
    starts += ["effective_from with the decimals .0000001"]
    assert len(refusal.value.problems) == len(starts)
    for problem, start in zip(refusal.value.problems, starts, strict=True):
        assert problem.startswith(f"ours.toml: {start}")


def test_text_that_is_no_unicode_is_refused() -> None:
    """A lone surrogate, as JSON can smuggle it in, has no UTF-8 and so no digest."""
    with pytest.raises(PolicyError, match="is not UTF-8"):
        parse_policy(SMALLEST + 'title = "\ud800"\n', "event 7")


def test_a_sentence_is_one_short_printable_line() -> None:
    """Whatever a file holds, its refusal neither fills the screen nor steers the terminal."""
    odd = "\\u009b31m\\u202E\\n" + "x" * 1_000
    text = f'{SMALLEST}"{odd[:20]}" = 1\n[wait]\nafter = ["{odd}"]\nzone = "{odd}"\n'
    with pytest.raises(PolicyError) as refusal:
        parse_policy(text + f'[[cap]]\nsittings = "{odd}"\n', "odd.toml")
    assert len(refusal.value.problems) == 4
    assert all(problem.isprintable() for problem in refusal.value.problems)
    assert all(len(problem) < 300 for problem in refusal.value.problems)


letters = st.text("aP7D.\x9b\u202e\n", max_size=4)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | letters
    | st.sampled_from(
        ["PT24H", "P7D", "P12M", "UTC", "wait", "cap", "rolling", "calendar-year", "07-01"]
    )
    | st.datetimes()
    | st.dates()
    | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(letters, inner),
    max_leaves=4,
)
NAMES = (
    *("wait", "cap", "pass", "authorization", "missed", "beta", "exception", "id"),
    *("effective_from", "sittings", "after", "within", "anchor", "by", "starts", "periods"),
    *("since", "retake", "before_expiry", "required", "counts"),
)
trees = st.dictionaries(
    st.sampled_from(NAMES), values | st.dictionaries(st.sampled_from(NAMES), values)
)


@settings(deadline=None)
@given(trees)
def test_no_file_is_refused_without_words(tree: dict[str, Any]) -> None:
    """Values of any kind at any key are read or described, never a traceback."""
    for problem in (*misfits(tree), *rolling_without_period(tree), *anchored_twice(tree)):
        assert re.search(r"; (write|leave|keep) ", problem), problem
    try:
        Policy.model_validate(tree)
    except ValidationError as error:
        problems = list(describe(error, Policy))
        assert problems
        assert all(re.search(r"; (write|did you mean|leave|keep) ", p) for p in problems), problems


def test_brackets_without_end_are_refused() -> None:
    """Nesting deeper than the parser can follow is a sentence, not a traceback."""
    with pytest.raises(PolicyError, match="is not TOML"):
        parse_policy("id = " + "[" * 30_000, "deep.toml")


@pytest.mark.parametrize(
    "instant",
    [
        "2021-03-31T00:00:00.1234560Z",
        "2021-03-31 00:00:00.123456Z",
        "2021-03-31t02:00:00.123456+02:00",
    ],
)
def test_six_decimals_of_a_second_are_kept(instant: str) -> None:
    """A microsecond is the finest instant; zeros after it change nothing."""
    policy = parse_policy(f'id = "ours"\neffective_from = {instant}\n', "ours.toml")
    assert policy.effective_from == 1_617_148_800_123_456


def test_only_the_decimals_of_effective_from_are_looked_at() -> None:
    """A fine time in a comment or a title is not the policy's instant."""
    text = SMALLEST + '# 09:00:00.1234567\ntitle = "since 09:00:00.1234567"\n'
    assert parse_policy(text, "ours.toml").title == "since 09:00:00.1234567"


@pytest.mark.parametrize("id", SHIPPED)
def test_shipped_policies_are_what_they_are_named(id: str) -> None:
    """Each shipped file parses, has its name as id, and is known by the digest of its bytes."""
    policy = parse_policy(TEXTS[id], f"{id}.toml")
    assert policy.id == id
    assert policy.sha256 == hashlib.sha256(TEXTS[id].encode()).hexdigest()
    assert policy == parse_policy(TEXTS[id].encode(), "the same bytes")


@pytest.mark.parametrize(
    ("id", "after", "caps", "retake"),
    [
        ("general", ["PT24H", "P14D", "P14D", "P14D", "PT0S"], 1, "after-expiry"),
        ("mta-mce", ["PT24H", "P7D"], 1, "after-expiry"),
        ("mos", ["PT24H", "PT48H"], 0, "always"),
    ],
)
def test_shipped_policies_say_what_their_source_says(
    id: str, after: list[str], caps: int, retake: str
) -> None:
    """The numbers of the source text, for each of the three programmes; beta rules in all."""
    policy = parse_policy(TEXTS[id], id)
    said = policy.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert said["effective_from"] == "2021-03-31T00:00:00Z"
    assert said["wait"] == {"after": after, "from": "start", "days": "elapsed", "zone": "UTC"}
    cap = {"sittings": 5, "period": "P12M", "anchor": "first-sitting"}
    assert said.get("cap", []) == [cap] * caps
    assert said["pass"] == {"retake": retake}
    assert said["beta"] == {
        "sittings": 1,
        "counts": False,
        "results_after_live": ["P7D", "P10D"],
        "overdue_after_live": "P14D",
    }
    assert said["exception"]["waives"] == ["wait", "cap"]
    assert len(said["exception"]["reasons"]) == 3
    assert len(said["exception"]["required"]) == 8


@pytest.mark.parametrize("id", SHIPPED)
def test_quotations_in_shipped_policies_are_word_for_word(id: str) -> None:
    """What stands in quotation marks beside a number occurs in the source text's own section."""
    sections = SENTENCES[id] + SENTENCES["exception"] + SENTENCES["beta"]
    source = " ".join(sections)
    quoted = [
        quote for comment in comments(TEXTS[id]) for quote in re.findall(r'"([^"]+)"', comment)
    ]
    assert [quote for quote in quoted if quote not in source] == []
    unused = [
        sentence for sentence in SENTENCES[id] if sentence not in " ".join(comments(TEXTS[id]))
    ]
    assert unused == [], "a rule of the source text stands beside no number"


def test_a_policy_reads_the_same_from_its_own_dump() -> None:
    """Writing a shipped policy out as data and reading it again gives the same rules."""
    for id, text in TEXTS.items():
        policy = parse_policy(text, id)
        data: dict[str, Any] = policy.model_dump(mode="json", by_alias=True)
        data["effective_from"] = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            microseconds=policy.effective_from
        )
        assert Policy.model_validate(data).model_dump() == policy.model_dump()


def test_what_is_left_out_has_the_documented_default() -> None:
    """The smallest file: no wait, no cap, one uncounted beta sitting, no exceptions."""
    said = parse_policy(SMALLEST, "ours.toml").model_dump(mode="json", by_alias=True)
    assert said == {
        "id": "ours",
        "title": "",
        "source": "",
        "effective_from": "2021-03-31T00:00:00Z",
        "wait": {
            "after": [],
            "from": "start",
            "days": "elapsed",
            "zone": "UTC",
            "within": None,
        },
        "cap": [],
        "pass": {"retake": "after-expiry", "after": None, "before_expiry": None},
        "authorization": {"required": False, "sittings": None},
        "missed": {"counts": False},
        "beta": {
            "sittings": 1,
            "counts": False,
            "results_after_live": None,
            "overdue_after_live": None,
        },
        "exception": {"waives": [], "reasons": [], "required": []},
    }


def test_an_empty_table_is_as_good_as_none() -> None:
    """A table that says nothing leaves every default in place."""
    empty = parse_policy(SMALLEST + "[wait]\n[pass]\n[beta]\n", "ours.toml")
    assert empty.model_dump() == parse_policy(SMALLEST, "ours.toml").model_dump()


def test_a_default_may_be_written_out() -> None:
    """The default anchor spelt out, without a period, is still a cap for life."""
    policy = parse_policy(
        SMALLEST + '[[cap]]\nsittings = 3\nanchor = "first-sitting"\n[[cap]]\nsittings = 9\n', "x"
    )
    assert [cap.for_life for cap in policy.cap] == [True, True]


def test_one_anchored_cap_may_stand_beside_others() -> None:
    """A rolling, a yearly and a lifelong cap anchor no series, so they go with one that does."""
    policy = parse_policy(
        SMALLEST
        + """
        cap = [
          { sittings = 5, period = "P12M" },
          { sittings = 3, period = "P90D", anchor = "rolling" },
          { sittings = 6, anchor = "calendar-year" },
          { sittings = 20 },
        ]
        """,
        "ours.toml",
    )
    assert [cap.for_life for cap in policy.cap] == [False, False, False, True]
    assert policy.cap[1].period == Duration(DAYS, 90)


def test_every_new_key_goes_with_its_neighbours() -> None:
    """Each where it belongs; a rolling cap and one for life beside two by the calendar."""
    policy = parse_policy(
        SMALLEST
        + """
        wait = { after = ["PT0S", "P6M"], within = "P12M" }
        cap = [
          { sittings = 3, period = "P12M", anchor = "rolling", by = "date" },
          { sittings = 3, anchor = "calendar", starts = ["07-01"], periods = 6 },
          { sittings = 2, anchor = "calendar", starts = ["2022-12-07", "2023-04-13"] },
          { sittings = 6, anchor = "calendar-year", since = 2019-09-01T00:00:00Z },
          { sittings = 7, since = 2019-09-01T00:00:00.000001Z },
        ]
        pass = { retake = "after", after = "P2Y" }
        authorization = { required = true, sittings = 3 }
        missed = { counts = true }
        exception = { waives = ["passed"], reasons = ["consent"] }
        """,
        "ours.toml",
    )
    assert policy.wait.after[1] == policy.wait.within._replace(amount=6) == Duration(MONTHS, 6)
    assert [cap.for_life for cap in policy.cap] == [False, False, False, False, True]
    assert policy.cap[4].since == 1_567_296_000_000_001


def test_a_rolling_cap_without_a_period_that_is_published_means_what_it_meant() -> None:
    """A new file is refused; what an earlier release took is a cap for life, for ever."""
    text = SMALLEST + '[[cap]]\nsittings = 3\nanchor = "rolling"\n'
    with pytest.raises(PolicyError, match=r"needs cap\[1\].period"):
        parse_policy(text, "ours.toml")
    assert parse_policy(text, "the published policy", published=True).cap[0].for_life


def test_a_policy_cannot_be_changed() -> None:
    """A policy is a value: the rules of a day stay the rules of that day."""
    policy = parse_policy(SMALLEST, "ours.toml")
    with pytest.raises(ValidationError):
        policy.id = "theirs"  # type: ignore[misc]


def test_a_policy_can_ask_for_what_a_request_can_hold() -> None:
    """`exception.required` knows exactly the fields of ExceptionRequested, in their order."""
    assert tuple(ExceptionRequested.model_fields) == REQUEST_FIELDS


def comments(text: str) -> list[str]:
    """Collect the comments of a TOML text, those on lines of their own joined while adjacent."""
    found: list[str] = []
    joining = False
    for line in text.splitlines():
        code, _, comment = re.sub(
            r'^((?:[^"#]|"[^"]*")*)#', lambda match: match[1] + "\0", line
        ).partition("\0")
        alone = not code.strip()
        if comment and alone and joining:
            found[-1] += comment
        elif comment:
            found.append(comment.strip())
        joining = bool(comment) and alone
    return [re.sub(r"\s+", " ", comment) for comment in found]
