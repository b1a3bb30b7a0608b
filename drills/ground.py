"""What drills stand on: a ledger with its signing key, made-up facts, and the real program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from attempt_ledger import clock
from attempt_ledger.places import cache_folder
from ledger.facts import Fact
from ledger.intake.catalogue import policy_facts
from ledger.ledger import Ledger
from ledger.models import ExamAnnounced, ExamAttempted
from ledger.tlog.checkpoint import log_paths
from ledger.tlog.sealer import make_key
from replay.compiled import kernels_in
from replay.read_model.build import Options
from replay.read_model.rebuild import rebuild
from retake_policies import shipped

PROGRAM = Path(sys.executable).with_name("attempt-ledger")
ROOT = Path(__file__).resolve().parent.parent


def new_ledger(folder: Path, name: str = "a.ledger", *, catalogue: bool = False) -> Path:
    """Make an empty ledger and its signing key; return its path.

    With a `catalogue` it knows the shipped policies and one exam.
    """
    path = folder / name
    with Ledger.create(path, clock=clock.now) as ledger:
        make_key(log_paths(path), str(ledger.about("ledger")))
        if catalogue:
            published = policy_facts(shipped(), known=ledger.stream, now=clock.now()).facts
            exam = ExamAnnounced(title="Microsoft Azure Administrator", policy="general")
            ledger.append([*published, Fact("urn:drill", "exam", "AZ-104", 0, exam, "drill")])
    return path


def compile_rules(folder: Path) -> None:
    """Compile what a read model is folded by, which this account keeps from then on.

    That takes a minute on two busy cores: a follower that is killed meanwhile begins again, and
    would not come to the head in the time that it has.
    """
    path = new_ledger(folder, "compiled.ledger", catalogue=True)
    with Ledger.open(path, clock=clock.now) as ledger:
        ledger.append([sitting("compiled", number) for number in range(10)])
        compiled = Options(lambda events: kernels_in(cache_folder()))
        rebuild(ledger, Path(f"{path}.views"), compiled, lambda difference: None)


def command(ledger: Path, *words: str | Path) -> list[str]:
    """Return the words of a call of the real program."""
    return [str(word) for word in (PROGRAM, "--ledger", f"sqlite:///{ledger}", *words)]


def surroundings() -> dict[str, str]:
    """Return the environment in which processes find our modules."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def sitting(writer: str, number: int) -> Fact:
    """Make the nth sitting that a writer tells of: a fact of its own, the same whenever asked."""
    registration = f"{writer}-{number:06d}"
    event = ExamAttempted(exam="AZ-104", registration_id=registration, delivery="live")
    time = 1_600_000_000_000_000 + number * 60_000_000
    return Fact(
        f"urn:{writer}", f"{registration}/attempted", f"C-{number // 5:06d}", time, event, "drill"
    )
