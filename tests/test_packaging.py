"""An install: which names it takes, and what happens beside other projects of such names."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from attempt_ledger.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
OURS = {"attempt_ledger", "ledger", "projections", "replay", "retake_policies"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(folder)]
    subprocess.run([*pip, *build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == OURS
    install = ["install", "--no-deps", "--no-index", "--target", str(folder / "site"), str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    return folder / "site"


def project(folder: Path, *packages: str) -> Path:
    """Make a project with packages of its own, any of which fails when it is imported."""
    for package in packages:
        (folder / package).mkdir()
        (folder / package / "__init__.py").write_text("raise RuntimeError('not yours')\n")
    return folder


def call(
    folder: Path, site: Path, *words: str, first: bool = True
) -> subprocess.CompletedProcess[str]:
    """Call Python in a folder, which stands before our packages on its path or after them."""
    path = [str(folder), str(site)] if first else [str(site), str(folder)]
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )


def test_names_that_projects_have_are_free(site: Path, tmp_path: Path) -> None:
    """A project's own `service` and `policies` stand before ours, and nothing happens."""
    folder = project(tmp_path, "service", "policies")
    done = call(folder, site, "-m", "attempt_ledger", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("attempt-ledger ")
    script = str(site / "bin" / "attempt-ledger")
    checked = call(folder, site, script, "policy", "check", "none.toml")
    assert (checked.returncode, checked.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("name", sorted(OURS - {"attempt_ledger"}))
def test_a_stranger_of_our_name_is_said_in_a_sentence(
    site: Path, tmp_path: Path, name: str
) -> None:
    """By the program, its module and the Python door: exit code 2, an ImportError, no more."""
    folder = project(tmp_path, name)
    script = str(site / "bin" / "attempt-ledger")
    for words in (["-m", "attempt_ledger", "--version"], [script, "standing", "C-1"]):
        done = call(folder, site, *words)
        assert done.returncode == 2
        assert done.stderr.startswith(f"attempt-ledger: the package {name!r} that Python finds")
        assert str(folder / name) in done.stderr
        assert done.stderr.count("\n") == 1
    opened = call(folder, site, "-c", "import attempt_ledger as al\nal.open('x')")
    assert opened.stderr.splitlines()[-1].startswith(f"ImportError: the package {name!r}")


def test_behind_ours_a_stranger_hinders_nothing(site: Path, tmp_path: Path) -> None:
    """What stands later on Python's path is not found."""
    folder = project(tmp_path, *OURS - {"attempt_ledger"})
    done = call(folder, site, str(site / "bin" / "attempt-ledger"), "--version", first=False)
    assert (done.returncode, done.stderr) == (0, "")


# -- the core: what a bare install does, and what it says of the rest

HEAVY = {
    *("authlib", "fastapi", "httptools", "jinja2", "joserfc", "opentelemetry-sdk"),
    *("prometheus-client", "uvicorn"),
    *("adbc-driver-manager", "adbc-driver-sqlite", "altair", "llvmlite", "numba", "numpy"),
    *("openpyxl", "pyarrow", "sqlite-utils", "vl-convert-python", "xlsxwriter", "xxhash"),
}

CORE = """
init --bare
import --keep-recorded-at history.jsonl
import results.csv
catalogue catalogue.toml
record ExamPassed C-1001 exam=AZ-104 registration_id=R-9 --time 2024-05-01T09:00:00Z --id p --yes
annul urn:attempt-ledger:cli p --reason "a slip"
search C-1001
standing C-1001 AZ-104
history C-1001
exception template AZ-104
exception list
feed --after 700
export --output all.jsonl
policy check x.toml
policy list
policy show general
policy diff x.toml x.toml
policy publish x.toml --yes
seal
checkpoint --output kept.checkpoint
prove urn:attempt-ledger:cli p --output p.proof
verify-proof p.proof --key attempts.ledger.tlog/vkey
verify
doctor
backup b.ledger
restore b.ledger c.ledger
upgrade
subject-access C-1001 --output C-1001
audit access
forget C-1001 --reason "asked for"
"""
"""One call after another, each of which a bare install does."""

EXTRAS = {
    **dict.fromkeys(["audit", "diff", "impact", "project", "rebuild", "receipt"], "everyone"),
    **dict.fromkeys(["booking", "replay", "report", "violations", "what-if"], "everyone"),
    "audit access": None,  # of the audit commands the one that a bare install has
    "columns": "everyone",
    "explore": "explore",
    "serve": "service",
}
"""The words of commands, or their first, where a bare install says which extra they want."""


def required(name: str, seen: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return a distribution and all that it requires without any extra."""
    if name not in seen:
        seen[name] = distribution(name)
        for text in seen[name].requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                required(wanted.name.lower(), seen)
    return seen


def top_level(found: Distribution) -> Iterator[Path]:
    """Yield the packages, modules and metadata that a distribution put beside others."""
    for name in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
        path = Path(str(found.locate_file(name)))
        if path.name != "__pycache__":
            yield path


@pytest.fixture(scope="module")
def bare(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment of the wheel and what it requires, nothing else; return its Python."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for path in site.iterdir():
        (packages / path.name).symlink_to(path)
    (metadata,) = site.glob("attempt_ledger-*.dist-info")
    needed: dict[str, Distribution] = {}
    for text in Distribution.at(metadata).requires or ():
        if "extra ==" not in text:
            required(Requirement(text).name.lower(), needed)
    assert HEAVY.isdisjoint(needed)
    for found in needed.values():
        for path in top_level(found):
            if not (packages / path.name).exists():
                (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the files of the examples, and a policy that changes the past."""
    for name in ("history.jsonl", "results.csv"):
        (tmp_path / name).write_bytes((ROOT / "examples" / name).read_bytes())
    (tmp_path / "catalogue.toml").write_text(
        '[[exam]]\ncode = "NEW-1"\ntitle = "New"\npolicy = "general"\n'
    )
    general = (ROOT / "retake_policies" / "data" / "general.toml").read_text()
    (tmp_path / "x.toml").write_text(general.replace('"P14D"', '"P30D"', 1))
    return tmp_path


def run(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a Python in a folder, without anything of the environment of the tests."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    own["XDG_CACHE_HOME"] = str(folder / "cache")
    call = [str(python), *words]
    return subprocess.run(call, cwd=folder, env=own, capture_output=True, text=True)


def test_a_bare_install_does_the_core(bare: Path, place: Path) -> None:
    """Record, import, ask, the desk, policies, the log, the feed, copies, erasure."""
    for line in CORE.strip().splitlines():
        done = run(bare, place, "-m", "attempt_ledger", *shlex.split(line))
        assert done.returncode in (0, 1), (line, done.stderr)
        assert "Traceback" not in done.stderr, line
        wants = "pip install" in done.stderr
        assert wants == line.startswith(("policy publish", "restore")), (line, done.stderr)


HELP = """
import json, os, sys, tempfile
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
import attempt_ledger.cli.main, pydantic
from attempt_ledger.__main__ import main
answers = {}
for words in sys.argv[1:]:
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        if (child := os.fork()) == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["attempt-ledger", *words.split(), "--help"]
            main()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        answers[words] = code, *(file.seek(0) or file.read() for file in (out, err))
print(json.dumps(answers))
"""
"""Asks each command for its help, in a fork of one process that has what all of them import."""


@pytest.fixture(scope="module")
def helps(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """Return what each command of the list comes to when its help is asked for."""
    done = run(bare, tmp_path_factory.mktemp("helps"), "-c", HELP, *COMMANDS)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("words", sorted(COMMANDS))
def test_any_other_command_names_its_extra(
    helps: dict[str, tuple[int, str, str]], words: str
) -> None:
    """Each command of the list: its page of help on a bare install, or one sentence, exit 2."""
    code, out, err = helps[words]
    extra = EXTRAS.get(words, EXTRAS.get(words.partition(" ")[0]))
    if extra is None:
        assert (code, err) == (0, "")
        assert out.startswith("Usage: ")
        return
    assert (code, out) == (2, "")
    assert err.startswith("attempt-ledger: this needs ")
    assert err.endswith(f", which is not installed: pip install 'attempt-ledger[{extra}]'\n")
    assert err.count("\n") == 1


def test_the_python_door_names_it_too(bare: Path, place: Path) -> None:
    """A standing is answered; a question about everybody is a LedgerProblem and an ImportError."""
    run(bare, place, "-m", "attempt_ledger", "init")
    code = """
import attempt_ledger as al
from retake_policies import shipped
with al.open("attempts.ledger") as ledger:
    assert ledger.standing("C-1001", "AZ-104").status == "unknown-exam"
    now = ledger.at()
    for ask in (now.standings, now.violations, lambda: now.report("blocked"), lambda: now.diff(now),
                lambda: now.table("sittings"), lambda: now.audit("events"),
                lambda: now.what_if(shipped()[0][1])):
        try:
            ask()
        except al.LedgerProblem as problem:
            assert isinstance(problem, ImportError)
            assert str(problem).endswith("pip install 'attempt-ledger[everyone]'"), problem
        else:
            raise AssertionError(ask)
"""
    done = run(bare, place, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_smallest_extra_is_named(bare: Path, tmp_path: Path) -> None:
    """Of those that bring a library; of what no extra brings, and of what is there, nothing."""
    code = """
from ledger.extras import needing
for name, extra in (("altair", "charts"), ("vl_convert", "charts"), ("numba.core", "everyone")):
    problem = needing(ModuleNotFoundError(f"No module named {name!r}", name=name))
    assert str(problem).endswith(f"pip install 'attempt-ledger[{extra}]'"), problem
assert needing(ModuleNotFoundError("No module named 'nobody'", name="nobody")) is None
"""
    done = run(bare, tmp_path, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
