"""An install: which names it takes, and what happens beside other projects of such names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

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
