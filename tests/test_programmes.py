"""The policies of the programmes: sound, with their sources, and each number pinned by a case."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
from test_policies_docs import keys

from replay.cases.check import answers, check_cases
from replay.cases.file import CaseFile, read_cases
from retake_policies.schema import Cap, PassTable, Policy, PolicyError, WaitTable, parse_policy

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples/programmes"
GENERATE = ROOT / "docs/generate_programmes.py"
CASES = sorted(FOLDER.glob("*.cases.toml"))
PROGRAMMES = [path.name.removesuffix(".cases.toml") for path in CASES]
POLICIES = [path for path in sorted(FOLDER.glob("*.toml")) if path not in CASES]
FEWEST = 30

by_programme = pytest.mark.parametrize("programme", PROGRAMMES)
by_policy = pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)


@cache
def cases(programme: str) -> CaseFile:
    """Read the cases of a programme."""
    return read_cases(FOLDER / f"{programme}.cases.toml")


def latest(programme: str) -> str:
    """Return the text that the cases are of; their other versions are named in them."""
    return (FOLDER / f"{programme}.toml").read_text(encoding="utf-8")


@by_programme
def test_every_programme_answers_as_its_text_says(programme: str) -> None:
    """The expected instants were worked out from the text, never taken from the fold."""
    checked = check_cases(cases(programme), latest(programme), programme)
    assert checked.answers
    assert checked.differences == []


def test_all_are_tested_within_ten_seconds() -> None:
    """As one call from the command line, the start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "attempt_ledger", "policy", "test", str(FOLDER)],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.count("all as expected") == len(PROGRAMMES) >= FEWEST
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 10, "of the processor, which others may be using too"


# --- each number is pinned -------------------------------------------------------------------

_NUMBERED = re.compile(
    r'(?P<duration>"P[T0-9A-Z]*")|(?P<instant>\d{4}-\d\d-\d\dT[0-9:+Z-]+)'
    r'|(?P<day>"\d\d-\d\d")|(?<![\w"-])(?P<count>\d+)(?![\w"-])'
)
_TEXTS = ("id", "title", "source")


def mutations(text: str) -> Iterator[tuple[str, str]]:
    """Yield what is changed, and the text with one number of it one more or one less."""
    at = 0
    for line in text.splitlines(keepends=True):
        code = re.split(r" +#|^#", line)[0]
        if code.split(" = ")[0] not in _TEXTS:
            for match in _NUMBERED.finditer(code):
                for changed in one_off(match):
                    begin, end = at + match.start(), at + match.end()
                    yield f"{code.strip()}: {changed}", text[:begin] + changed + text[end:]
        at += len(line)


def one_off(match: re.Match[str]) -> Iterator[str]:
    """Yield a number one more, and one less where there is one: a day, a count, a second."""
    found = match[0]
    if match["day"]:
        day = date.fromisoformat(f"2001-{found[1:-1]}")
        for shifted in (day + timedelta(1), day - timedelta(1)):
            yield f'"{shifted.isoformat()[5:]}"'
    elif match["instant"]:
        instant = tomllib.loads(f"t = {found}")["t"]
        for shifted in (instant + timedelta(seconds=1), instant - timedelta(seconds=1)):
            yield shifted.isoformat()
    else:
        number = re.search(r"\d+", found)
        assert number is not None
        for other in (int(number[0]) + 1, int(number[0]) - 1):
            if other >= 0:
                yield found[: number.start()] + str(other) + found[number.end() :]


def is_noticed(programme: str, file: str, text: str) -> bool:
    """Tell whether a changed version is refused, or fails a case of its programme."""
    read = cases(programme)
    current = latest(programme)
    if file == programme:
        current = text
    else:
        named = tomllib.loads((FOLDER / f"{programme}.cases.toml").read_text())["policies"]
        changed = {name: text for name, each in named.items() if each == f"{file}.toml"}
        assert changed, f"{file}.toml is not among the versions of its programme's cases"
        read = read._replace(policies={**read.policies, **changed})
    try:
        return any(answers(read, current, programme))
    except PolicyError:
        return True


@by_policy
def test_each_number_fails_a_case_when_it_is_changed_by_one(path: Path) -> None:
    """Every boundary has its case: one day, one sitting, one second more or less is noticed."""
    programme = path.stem.partition(".")[0]
    passed = [
        change
        for change, text in mutations(path.read_text(encoding="utf-8"))
        if not is_noticed(programme, path.stem, text)
    ]
    assert passed == []


CHOICES = {
    **{name: get_args(WaitTable.model_fields[name].annotation) for name in ("from_", "days")},
    **{name: get_args(Cap.model_fields[name].annotation) for name in ("anchor", "by")},
    "retake": get_args(PassTable.model_fields["retake"].annotation),
    "zone": ("UTC", "Asia/Tokyo"),
    "required": ("true", "false"),
    "counts": ("true", "false"),
}
"""What may stand in the place of a word of a policy."""


@by_policy
def test_each_choice_fails_a_case_when_another_is_made(path: Path) -> None:
    """What a day is, from where a period runs, whose dates they are: a case tells them apart."""
    text = path.read_text(encoding="utf-8")
    passed = []
    for match in re.finditer(r'^(\w+) = "?([\w/-]+)"?', text, re.MULTILINE):
        choices = CHOICES.get("from_" if match[1] == "from" else match[1], ())
        for other in choices:
            changed = text[: match.start(2)] + other + text[match.end(2) :]
            if other != match[2] and not is_noticed(
                path.stem.partition(".")[0], path.stem, changed
            ):
                passed.append(f"{match[0]}: {other}")
    assert passed == []


# --- what stands beside the numbers ----------------------------------------------------------


@by_policy
def test_each_number_has_its_fact_beside_it(path: Path) -> None:
    """A comment, in our own words, on the line of the number."""
    text = path.read_text(encoding="utf-8")
    bare = [
        line
        for line in text.splitlines()
        if not line.startswith(("#", *_TEXTS)) and re.search(r"\d", line.partition("#")[0])
        and not re.search(r" # \w", line)
    ]  # fmt: skip
    assert bare == []


@by_policy
def test_each_file_says_its_source_and_how_sure(path: Path) -> None:
    """The id is the programme's, the title and the source are there, and so is how sure we are."""
    text = path.read_text(encoding="utf-8")
    policy = parse_policy(text, path.name)
    assert policy.id == path.stem.partition(".")[0]
    assert policy.title
    assert policy.source
    (sure,) = re.findall(r"^# How sure: (.*)$", text, re.MULTILINE)
    assert re.match(r"owner's text|secondary", sure), sure
    assert "memory" not in sure


def test_the_examples_that_owners_published_are_among_the_cases() -> None:
    """All of them that have numbers; two contradict themselves or leave a day open, and say so."""
    published = {
        programme
        for programme in PROGRAMMES
        if any(case.published for case in cases(programme).cases)
    }
    assert published == {
        "ccie-lab", "comptia", "isc2", "nclex-nc", "pmi-pmp", "qwiklabs", "usmle", "vmware",
    }  # fmt: skip
    for programme in ("pmi-pmp", "qwiklabs"):
        assert "# Reading: The " in latest(programme)


def test_every_key_is_used_or_named_as_unused() -> None:
    """A key that no programme needs is said on the page, with why."""
    used = {key for path in POLICIES for key in written(tomllib.loads(path.read_text("utf-8")))}
    page = (ROOT / "docs/programmes.md").read_text(encoding="utf-8")
    section = page.partition("## Keys that no programme uses")[2].partition("\n## ")[0]
    unused = set(re.findall(r"^- `([a-z_.]+)`", section, re.MULTILINE))
    assert set(keys(Policy)) - used == unused


def written(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    """Yield each key of a file, those of its tables as `table.key`."""
    for key, value in tree.items():
        yield f"{above}{key}"
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                yield from written(each, f"{above}{key}.")


def test_the_page_about_the_programmes_is_up_to_date() -> None:
    """docs/programmes.md is written from the files, by docs/generate_programmes.py."""
    done = subprocess.run(
        [sys.executable, str(GENERATE), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
