"""Commands that write, each with the ledger it is called on: what the drills of errors disturb."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from attempt_ledger import clock
from attempt_ledger.cli.main import below
from drills.forking import Program, Ran
from drills.ground import sitting
from drills.life import LEDGER, results
from ledger.ledger import Ledger

_CATALOGUE = """
[[exam]]
code = "AZ-{}"
title = "Microsoft Azure Administrator"
policy = "general"
"""
_REQUEST = ("exam=AZ-104", "reason=lab-crash", "--source", "urn:desk", "--time", "2021-03-02")


class Command(NamedTuple):
    """One call of the program, on a ledger in a certain state."""

    name: str
    on: str
    """The state: ``nothing``, ``young`` (no key file, no views), ``grown``."""
    words: Sequence[str]
    """``{}`` stands for the folder."""
    makes: str = ""
    """A file that is there when it is done."""
    is_slow: bool = False
    """Then it is called fewer times."""

    @property
    def is_known(self) -> bool:
        """Whether this release has it."""
        return self.words[0] in below("")


def _asking(number: int) -> Sequence[str]:
    fields = (
        f"request_id=E-{number}",
        f"registration_id=R-{number}",
        f"email=zoe.{number}@example.org",
    )
    return (
        "record",
        "ExceptionRequested",
        f"C-{number}",
        *fields,
        f"first_name=Zoë {number}",
        *_REQUEST,
        "--id",
        f"E-{number}",
    )


_SITTING = ("exam=AZ-104", "registration_id=R-x", "delivery=live", "--time", "2021-03-02")
_REJECTS = ("--rejects", "{}/rejects.csv")

WRITING = (
    Command("init", "nothing", ("init",)),
    Command("catalogue", "young", ("catalogue", "{}/more.toml")),
    Command("record", "young", ("record", "ExamAttempted", "C-1", *_SITTING, "--id", "x")),
    Command("record, a first key", "young", _asking(0)),
    Command("record, one more key", "grown", _asking(7)),
    Command("import", "young", ("import", "{}/results.csv", *_REJECTS)),
    Command("import, with rejects", "young", ("import", "{}/faulty.csv", *_REJECTS), "rejects.csv"),
    Command("seal", "grown", ("seal",)),
    Command("project", "young", ("project",), "a.ledger.views", True),
    Command("project, again", "grown", ("project",), "a.ledger.views", True),
    Command("export", "grown", ("export", "--output", "{}/all.jsonl"), "all.jsonl"),
    Command("forget", "grown", ("forget", "C-0", "--reason", "asked for it")),
    Command("keys backup", "grown", ("keys", "backup", "{}/kept.keys"), "kept.keys"),
    Command("backup", "grown", ("backup", "{}/backup.ledger"), "backup.ledger"),
    Command("restore", "grown", ("restore", "{}/kept.ledger", "{}/new.ledger"), "new.ledger", True),
)  # fmt: skip


def make_states(folder: Path, program: Program) -> None:
    """Make the ledgers that the commands are called on, each in a folder of its state's name."""
    (folder / "nothing").mkdir()
    young = folder / "young"
    young.mkdir()
    (young / "catalogue.toml").write_text(_CATALOGUE.format("104"))
    (young / "more.toml").write_text(_CATALOGUE.format("900"))
    (young / "results.csv").write_text(results(40))
    (young / "faulty.csv").write_text(results(10) + "C-1,AZ-104,R-bad,never,fail\n")
    _done(program, young, "init")
    _done(program, young, "catalogue", "{}/catalogue.toml")
    _append(young, 230)
    _done(program, young, "seal")
    grown = folder / "grown"
    shutil.copytree(young, grown)
    for number in range(2):
        _done(program, grown, *_asking(number))
    _done(program, grown, "project")
    if "backup" in below(""):
        _done(program, grown, "backup", "{}/kept.ledger")
    _append(grown, 30, after=1000)


def call(program: Program, folder: Path, words: Sequence[str], *strace: str | Path) -> Ran:
    """Call a command on the ledger of a folder."""
    told = [word.replace("{}", str(folder)) for word in words]
    return program.call("--ledger", f"sqlite:///{folder / LEDGER}", *told, strace=strace)


def _done(program: Program, folder: Path, *words: str) -> None:
    ran = call(program, folder, words)
    if ran.code:
        raise RuntimeError(f"{' '.join(words)}: exit code {ran.code}: {ran.errors}")


def _append(folder: Path, many: int, after: int = 0) -> None:
    """Append what nothing seals."""
    with Ledger.open(folder / LEDGER, clock=clock.now) as ledger:
        ledger.append([sitting("before", after + number) for number in range(many)])
