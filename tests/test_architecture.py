"""The house keeps its directions: who may import whom, and who may look at a clock."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

ALLOWED = {
    "ledger": {"ledger"},
    "retake_policies": {"retake_policies"},
    "projections": {"projections", "ledger", "retake_policies"},
    "replay": {"replay", "projections", "ledger", "retake_policies"},
    "attempt_ledger": {"attempt_ledger", "replay", "projections", "ledger", "retake_policies"},
}
"""Which rooms each may import, one way: doors, replay, projections, then ledger and policies."""

CLOCKS = {
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("os", "environ"),
    ("os", "getenv"),
}
"""What only a door may read: a clock, or an environment variable."""

SHIELDED = {Path("ledger/__init__.py")}
"""Takes a library's own variables out of its sight while it is imported, and reads none."""


LONG = {"ledger/tlog/verify_proof.py"}
"""May be long: it is handed to an auditor as one file that needs nothing else of ours."""


def modules(room: str) -> list[Path]:
    """Return every module of a room."""
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level package of each import of a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides its room"
            yield node.lineno, (node.module or "").partition(".")[0]


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_one_way(room: str) -> None:
    """A wrong arrow is named with its line."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for path in modules(room)
        for line, package in imported(path)
        if package in ALLOWED and package not in ALLOWED[room]
    ]
    assert wrong == []


@pytest.mark.parametrize("room", [room for room in ALLOWED if room != "attempt_ledger"])
def test_nobody_below_the_door_reads_a_clock_or_the_environment(room: str) -> None:
    """Instants and settings are arguments."""
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} reads {node.value.id}.{node.attr}"
        for path in modules(room)
        if path.relative_to(ROOT) not in SHIELDED
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in CLOCKS
    ]
    assert wrong == []


KNOW_FILES = (
    "ledger/store/",
    "ledger/backup/",
    "ledger/privacy/key_file.py",
    "replay/read_model/",
    "attempt_ledger/api/register.py",
    "attempt_ledger/explore/",
    "attempt_ledger/doctor/",
)
"""May name SQLite: the store of events, and what keeps, copies, explores or checks other files."""


def test_nothing_above_the_store_knows_how_events_are_kept() -> None:
    """All SQL on events is in one room, behind `ledger.store.interface`."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {package}"
        for room in ALLOWED
        for path in modules(room)
        if not str(path.relative_to(ROOT)).startswith(KNOW_FILES)
        for line, package in imported(path)
        if package in ("sqlite3", "adbc_driver_sqlite", "sqlite_utils")
    ]
    assert wrong == []


def test_what_is_private_to_a_module_is_used_in_it() -> None:
    """A constant that nobody reads any more is a setting that is believed to be set."""
    unused = []
    for room in (*ALLOWED, "benchmarks", "drills"):
        for path in modules(room):
            text = path.read_text(encoding="utf-8")
            for node in ast.parse(text).body:
                targets = getattr(node, "targets", [getattr(node, "target", node)])
                for target in targets:
                    name = str(getattr(target, "id", getattr(target, "name", "")))
                    if re.match("_[^_]", name) and len(re.findall(rf"\b{name}\b", text)) < 2:
                        unused.append(f"{path.relative_to(ROOT)}: {name}")
    assert unused == []


def test_a_module_is_readable_in_one_sitting() -> None:
    """About 200 lines, rarely 400."""
    long = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for room in ALLOWED
        for path in modules(room)
    }
    assert {name: lines for name, lines in long.items() if lines > 400 and name not in LONG} == {}


MOST = {"imports inside functions": 30, "modules with one importer": 30}
"""The house's figures: they may fall, never rise."""

IMPORTING = {"import_module", "__import__"}
LISTS = re.compile(r"/(reports|audit|tables|formats|cli|doctor|api|console)/")
"""Rooms whose modules are entries of a list, which imports each of them."""


def imports_inside() -> Iterator[tuple[Path, int]]:
    """Yield the module and line of each import inside a function, but for lists of modules."""
    for path in (path for room in ALLOWED for path in modules(room)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                called = isinstance(node, ast.Call) and getattr(node.func, "id", "") in IMPORTING
                if isinstance(node, ast.Import | ast.ImportFrom) or called:
                    yield path, node.lineno


def test_imports_inside_functions_are_few_and_each_says_why() -> None:
    """A comment stands above it, or above those that follow one another."""
    found = sorted({*imports_inside()})
    without = []
    for path, line in found:
        lines = path.read_text(encoding="utf-8").splitlines()
        at = line - 2
        while lines[at].lstrip().startswith(("from ", "import ")):
            at -= 1
        if not (lines[at].lstrip().startswith("#") or "#" in lines[line - 1]):
            without.append(f"{path.relative_to(ROOT)}:{line}")
    assert without == []
    assert len(found) <= MOST["imports inside functions"]


def test_few_modules_are_a_fragment_of_one_other() -> None:
    """A module with one importer belongs into it, unless it is an entry of a list."""
    names = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for room in ALLOWED
        for path in modules(room)
    }
    importers: dict[str, set[Path]] = {name: set() for name in names}
    for path in names.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = []
            if isinstance(node, ast.ImportFrom) and node.module:
                found = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            elif isinstance(node, ast.Import):
                found = [each.name for each in node.names]
            for name in found:
                if name in importers:
                    importers[name].add(path)
    lonely = [
        name
        for name, path in names.items()
        if len(importers[name]) == 1
        and not LISTS.search(str(path.relative_to(ROOT)))
        and path.name != "__init__.py"
    ]
    assert len(lonely) <= MOST["modules with one importer"], lonely


def test_every_module_says_what_it_is() -> None:
    """One idea each, in its first line."""
    for room in ALLOWED:
        for path in modules(room):
            text = path.read_text(encoding="utf-8")
            if text.strip():
                assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} does not say"


RECORDS = ("ledger/events.py", "ledger/fields.py", "ledger/models.py", "projections/answers.py")
"""Besides the fold and the policies, where what one question needs is declared."""


def test_records_that_every_question_declares_have_no_text_annotations() -> None:
    """`from __future__ import annotations` makes each field a text, compiled at every start."""
    fold = [*(ROOT / "projections").glob("*.py"), *(ROOT / "projections/fold").glob("*.py")]
    policies = (ROOT / "retake_policies").glob("*.py")
    some = [path for path in (*fold, *policies) if "(NamedTuple):" in path.read_text()]
    late = {"exceptions.py", "exception_rules.py", "table.py"}
    wrong = [
        str(path.relative_to(ROOT))
        for path in (*some, *(ROOT / name for name in RECORDS))
        if path.name not in late and "from __future__ import annotations" in path.read_text()
    ]
    assert wrong == []
