"""A sealed ledger for the tests of the transparency log, and what is done to copies of it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledger_facts import NINE, SetClock, attempted, sample

from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key
from ledger.tlog.sealer import Sealed, make_key, seal
from ledger.tlog.verify import Verdict, verify
from ledger.tlog.verify_proof import ProofProblem, VerifierKey, check_proof

NAME = "a.ledger"
SIZE = 600
"""Two full tiles and a part of one."""
BATCH = 25


def history(first: int, last: int) -> list[Fact]:
    """Return facts, of seven candidates in turn: sittings and failures, every tenth a request."""
    facts = []
    for number in range(first, last + 1):
        candidate = f"C-{number % 7}"
        time = NINE + number * 1_000_000
        if number % 10 == 0:
            fact = sample("ExceptionRequested", f"Q-{number}", full=True, time=time)
            facts.append(fact._replace(subject=candidate))
        elif number % 2:
            facts.append(attempted(number, candidate=candidate, time=time))
        else:
            fact = sample("ExamFailed", f"R-{number}/result", time=time, score=number)
            facts.append(fact._replace(subject=candidate, actor=None if number % 4 else "feed"))
    return facts


def append(ledger: Ledger, facts: Sequence[Fact]) -> None:
    """Append facts, some in each transaction."""
    for start in range(0, len(facts), BATCH):
        ledger.append(facts[start : start + BATCH])


@contextmanager
def opened(folder: Path) -> Iterator[Ledger]:
    """Open the ledger of a folder, or make it with its signing key."""
    path = folder / NAME
    enter = Ledger.open if path.exists() else Ledger.create
    with enter(path, clock=SetClock()) as ledger:
        if enter == Ledger.create:
            make_key(log_paths(path), str(ledger.about("ledger")))
        yield ledger


def sealed(ledger: Ledger, **settings: int) -> Sealed:
    """Seal all of a ledger."""
    place = log_paths(ledger.path)
    return seal(place, str(ledger.about("ledger")), ledger.head().position, **settings)


def make(folder: Path, size: int = SIZE) -> Path:
    """Make a sealed ledger in a folder."""
    folder.mkdir(exist_ok=True)
    with opened(folder) as ledger:
        append(ledger, history(1, size))
        sealed(ledger)
    return folder


def copied(folder: Path, to: Path) -> Path:
    """Copy a ledger with all that lies beside it."""
    shutil.copytree(folder, to)
    return to


def place_in(folder: Path) -> LogPaths:
    """Return where the log of the ledger in a folder lies."""
    return log_paths(folder / NAME)


def key_in(folder: Path) -> VerifierKey:
    """Return the verifier key of the ledger in a folder."""
    return need_verifier_key(place_in(folder))


def verified(folder: Path, *, key: VerifierKey | None = None, **settings: object) -> Verdict:
    """Verify the ledger in a folder."""
    return verify(place_in(folder), key or key_in(folder), **settings)  # type: ignore[arg-type]


def said(verdict: Verdict) -> list[str]:
    """Return the sentences of what was found."""
    return [finding.sentence for finding in verdict.findings]


def flipped(content: bytes, index: int, bit: int) -> bytes:
    """Flip one bit."""
    return content[:index] + bytes([content[index] ^ 1 << bit]) + content[index + 1 :]


def said_of_flips(proof: bytes, key: VerifierKey) -> set[str]:
    """Flip each bit of each byte of a proof, of which every one is found; return what is said."""
    sentences = set()
    for index in range(len(proof)):
        for bit in range(8):
            with pytest.raises(ProofProblem) as caught:
                check_proof(flipped(proof, index, bit), key)
            sentences.add(str(caught.value))
    return sentences


def meddle(*statements: str) -> Callable[[Path], None]:
    """Return an attack: SQL on the ledger's file, past the ledger."""

    def attack(folder: Path) -> None:
        with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return attack
