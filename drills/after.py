"""Is a ledger sound that is opened after its disk was disturbed, and does it go on?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from attempt_ledger import clock
from attempt_ledger.access import Access
from attempt_ledger.cli.read_model import options
from attempt_ledger.sealing import check_unused
from drills.ground import sitting
from drills.life import BACKUP, LEDGER, asked, personal
from drills.whole import Whole, examine
from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.models import CandidateForgotten
from ledger.outcomes import Appended
from ledger.problems import LedgerProblem
from ledger.tlog.checkpoint import LogPaths, log_paths, need_verifier_key
from ledger.tlog.sealer import make_key, renew_key
from ledger.tlog.verify import verify
from replay.read_model.follow import keeper
from replay.read_model.rebuild import rebuild

_MOST_TOLD = 10


@dataclass(frozen=True)
class Told:
    """What had been acknowledged when the disk was disturbed."""

    position: int = 0
    """Everything up to it is in; 0: not even the ledger."""
    checkpoint: bytes | None = None
    """The last one that was given away."""
    forgotten: frozenset[str] = frozenset()
    """Whose data was erased."""
    backup: int = 0
    """The position that a backup was made at."""

    def and_then(self, line: str) -> Told:
        """Add a line of what was acknowledged (see `drills.life`)."""
        more = json.loads(line)
        checkpoint = more.get("checkpoint")
        return Told(
            max(self.position, more.get("position", 0)),
            checkpoint.encode() if checkpoint else self.checkpoint,
            self.forgotten | ({more["forgotten"]} if "forgotten" in more else set()),
            more.get("backup", self.backup),
        )


def rows_of(folder: Path, name: str = LEDGER) -> list[Recorded]:
    """Read every event of a ledger."""
    with Ledger.open(folder / name, clock=clock.now, read_only=True) as ledger:
        return list(ledger.read())


def few(problems: Sequence[str]) -> list[str]:
    """Return the first problems of many: one fault shows in hundreds of states."""
    if len(problems) <= _MOST_TOLD:
        return list(problems)
    return [*problems[:_MOST_TOLD], f"and {len(problems) - _MOST_TOLD:,} more"]


def after(folder: Path, told: Told, history: Sequence[Recorded]) -> Whole:
    """Open what is there, compare it with what was appended, go on, seal and verify.

    `history` is every event that was ever appended: what is there must be the beginning of it.
    """
    path = folder / LEDGER
    problems: list[str] = []
    try:
        if not path.exists() and not told.position:
            check_unused(Access(path))
            Ledger.create(path, clock=clock.now).close()
        with Ledger.open(path, clock=clock.now) as ledger:
            rows = list(ledger.read())
            problems += _compared(rows, told, history)
            problems += opened_wrongly(ledger, rows, told.forgotten, history)
            problems += _going_on(ledger)
            _with_a_key(ledger, told)
        acknowledged = {(row.source, row.id): row.position for row in history[: told.position]}
        whole = examine(path, acknowledged)
        if told.checkpoint is not None:
            problems += _against(log_paths(path), told.checkpoint)
        problems += _backed_up(folder, told, history)
        problems += _viewed(path)
    except Exception as problem:  # whatever it is, the one who finds such a disk would see it
        kind = "" if isinstance(problem, LedgerProblem) else f"{type(problem).__name__}: "
        return Whole(0, told.position, 0, (*problems, f"{kind}{problem}"))
    return Whole(whole.stored, whole.lost, whole.doubled, (*problems, *whole.problems))


def _compared(rows: Sequence[Recorded], told: Told, history: Sequence[Recorded]) -> Iterator[str]:
    if len(rows) < told.position:
        yield f"it ends at position {len(rows)}, and {told.position} were acknowledged"
    for row, appended in zip(rows, history, strict=False):
        if row != appended:
            yield f"position {row.position} is {row}, and what was appended is {appended}"
            return
    if len(rows) > len(history):
        yield f"position {len(history) + 1} was never appended"


def opened_wrongly(
    ledger: Ledger, rows: Sequence[Recorded], told: frozenset[str], history: Sequence[Recorded]
) -> Iterator[str]:
    """Compare what opens with what was sealed: everybody's, but for those who were forgotten."""
    forgotten = told | _forgotten(rows)
    for row in rows:
        if not row.source.startswith("urn:desk"):
            continue
        expected = personal(int(row.subject.removeprefix("C-")))
        shown = ledger.vault.reveal(row)
        opens = {name: shown[name] for name in expected if name in shown}
        if row.subject in forgotten:
            if opens or ledger.vault.key(row.subject) is not None:
                yield f"{row.subject} was forgotten, and position {row.position} opens again"
        elif opens != expected and not (
            # Cut off after the key was destroyed, and before that was recorded.
            row.subject in _forgotten(history) and ledger.vault.look_up(row.subject)[1]
        ):
            yield f"position {row.position} opens as {opens}, and {expected} was sealed"


def _forgotten(rows: Sequence[Recorded]) -> frozenset[str]:
    return frozenset(row.subject for row in rows if row.type == CandidateForgotten.type)


def _going_on(ledger: Ledger) -> Iterator[str]:
    """Append what comes next: with personal fields, and without."""
    head = ledger.head().position
    facts = [sitting("after", 1), asked(1_000_000)]
    outcomes = ledger.append(facts)
    if outcomes != [Appended(head + 1), Appended(head + 2)]:
        yield f"what was appended afterwards came to {outcomes}"
    opened = ledger.vault.reveal(next(iter(ledger.read(head + 1))))
    if not personal(1_000_000).items() <= opened.items():
        yield f"what was sealed afterwards opens as {opened}"


def _with_a_key(ledger: Ledger, told: Told) -> None:
    """Make the signing key that a beginning which was cut off had not come to."""
    place = log_paths(ledger.path)
    if told.position or place.key.exists():
        return
    make = renew_key if place.checkpoint.exists() else make_key
    make(place, str(ledger.about("ledger")))


def _against(place: LogPaths, checkpoint: bytes) -> Iterator[str]:
    verdict = verify(place, need_verifier_key(place), against=checkpoint)
    yield from (f"--against: {finding.sentence}" for finding in verdict.findings)


def _backed_up(folder: Path, told: Told, history: Sequence[Recorded]) -> Iterator[str]:
    """See that a backup is whole, or not there."""
    if not (folder / BACKUP).exists():
        if told.backup:
            yield f"the backup up to position {told.backup} is gone"
        return
    rows = rows_of(folder, BACKUP)
    if rows != history[: len(rows)] or len(rows) < told.backup:
        yield f"the backup holds {len(rows)} events, and was made of {told.backup}"
    place = log_paths(folder / BACKUP)
    verdict = verify(place, need_verifier_key(place), full=True)
    yield from (f"the backup: {finding.sentence}" for finding in verdict.findings)


def _viewed(path: Path) -> Iterator[str]:
    """See that views are those of the ledger, or are made anew."""
    views = Path(f"{path}.views")
    if not views.exists():
        return
    with Ledger.open(path, clock=clock.now, read_only=True) as ledger:
        with keeper(ledger, views, options()) as kept:
            kept.catch_up()
        compared = rebuild(ledger, views, options(), lambda difference: None)
    if compared is not None and compared.differences:
        yield f"{compared.differences} rows of the views are not what a rebuild makes"
