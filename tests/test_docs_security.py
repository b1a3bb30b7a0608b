"""The page on security promises nothing that is not tested."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
TESTS = {
    name
    for path in (ROOT / "tests").glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}
PROMISE = re.compile(r"^\| (?P<promise>[^|]+) \| (?P<tests>`test_.*) \|$", re.MULTILINE)


def test_every_test_that_the_page_names_is_there() -> None:
    """By its name, in whichever file."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 40
    assert named - TESTS == set()


def test_every_promise_of_the_page_names_its_tests() -> None:
    """Each row of a table of promises."""
    rows = [
        row
        for table in PAGE.split("| promise | tested by |\n|---|---|\n")[1:]
        for row in table.split("\n\n")[0].splitlines()
    ]
    assert len(rows) > 25
    assert [row for row in rows if PROMISE.match(row) is None] == []
