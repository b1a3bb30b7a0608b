"""What no shipped policy asks about: authorizations and missed sittings, added to a history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.facts import Fact
from ledger.instants import DAY
from ledger.ledger import Ledger
from ledger.models import AuthorizationGranted, ExamAttempted, SittingMissed

SOURCE: Final = "urn:applications"
SERVES: Final = 3
"""After so many sittings of an exam a candidate applies anew."""


def authorize(path: Path) -> None:
    """Append, at the ledger's own last instant, what lets its candidates sit under any policy.

    An authorization before the first, the fourth, the seventh … sitting of everybody, each third
    of them with an end; and of each twentieth sitting that another before it was missed.
    """
    with Ledger.open(path, clock=lambda: 0) as ledger:
        facts = list(_facts(ledger))
        for first in range(0, len(facts), 10_000):
            ledger.append(facts[first : first + 10_000])


def _facts(ledger: Ledger) -> Iterator[Fact]:
    taken: dict[tuple[str, str], int] = {}
    for number, row in enumerate(ledger.read()):
        if row.type != ExamAttempted.type or row.exam is None or row.key is None:
            continue
        candidate, time = row.stream.removeprefix("candidate/"), row.occurred_at
        before = taken.get((candidate, row.exam), 0)
        taken[candidate, row.exam] = before + 1
        if before % SERVES == 0:
            until = time + 400 * DAY if number % 3 == 0 else None
            granted = AuthorizationGranted(
                exam=row.exam, authorization_id=f"A-{row.key}", valid_until=until
            )
            yield Fact(SOURCE, f"A-{row.key}", candidate, time - DAY, granted, None)
        if number % 20 == 0:
            missed = SittingMissed(exam=row.exam, registration_id=f"M-{row.key}")
            yield Fact(SOURCE, f"M-{row.key}/missed", candidate, time - DAY // 2, missed, None)
