"""What encryption adds to an append: requests with four personal fields, and the same without."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.data import fresh
from benchmarks.measure import Figure, Options, middle

_FIELDS = ("first_name", "last_name", "email", "description")
_TEXTS = ("Robin", "Sample-Person", "robin.sample@example.org", "The lab stopped answering.")
_START = 1_600_000_000_000_000
_CANDIDATES = 25_000
"""So many that each comes to have a handful of events: all of them are looked at each time, whether
one says that the candidate was forgotten."""
_BATCH = 500
_TURN = 5
"""So many transactions of one side, then of the other."""


def figures(options: Options) -> Iterator[Figure]:
    """Append requests whose fields are plain text, and such as come encrypted, turn and turn about.

    Processor time, and in memory where there is such a place: the wait for a disk, which comes to
    the same on both sides, is many times what is measured. Every candidate has a key already: the
    first one is a commit of the key file more, for all that are new in a transaction.
    """
    from ledger.facts import Fact
    from ledger.fields import Sealed
    from ledger.ledger import Ledger
    from ledger.models import ExceptionRequested

    numbers = count(1)
    candidates = min(_CANDIDATES, max(100, options.events))
    # Of the length that a value has once it is encrypted: both sides store as much.
    ready = Sealed(ciphertext="A" * 60, hmac="0" * 64)

    def facts(many: int, *, encrypted: bool) -> list[Fact]:
        made = []
        for _ in range(many):
            number = next(numbers)
            values: Sequence[Any] = [ready] * len(_FIELDS) if encrypted else _TEXTS
            event = ExceptionRequested(
                request_id=f"X-{number:08d}",
                exam="AZ-104",
                registration_id=f"R-{number:08d}",
                reason="lab-crash",
                **dict(zip(_FIELDS, values, strict=True)),
            )
            candidate = f"C-{number % candidates:08d}"
            made.append(Fact("urn:desk", event.request_id, candidate, _START + number, event))
        return made

    memory = Path("/dev/shm")
    scratch = memory if os.access(memory, os.W_OK) else fresh(options.scratch / "encryption")
    with (
        TemporaryDirectory(dir=scratch, prefix="encryption-") as folder,
        Ledger.create(Path(folder) / "ours.ledger", clock=lambda: time.time_ns() // 1000) as ledger,
    ):

        def a_field(many: int, *, encrypted: bool) -> float:
            """Append some facts in one transaction; return microseconds for each field."""
            made = facts(many, encrypted=encrypted)
            began = time.thread_time()
            ledger.append(made)
            return 1e6 * (time.thread_time() - began) / many / len(_FIELDS)

        ledger.append(facts(candidates, encrypted=False))
        for many, transactions in (
            (_BATCH, min(20 * options.runs, max(5, options.events // 50_000))),
            (1, min(400 * options.runs, max(100, options.events // 5_000))),
        ):
            plain: list[float] = []
            given: list[float] = []
            for _ in range(max(1, transactions // _TURN)):
                plain += [a_field(many, encrypted=False) for _ in range(_TURN)]
                given += [a_field(many, encrypted=True) for _ in range(_TURN)]
            requests = f"{many} request{'s' * (many > 1)} a transaction"
            yield Figure(
                "encryption", f"encryption a field, {requests}", "µs",
                middle(plain) - middle(given), at_most=30,
                note=f"{middle(plain):.1f} µs a field with it, {middle(given):.1f} without",
                all={"ours": plain, "peer": given},
            )  # fmt: skip
