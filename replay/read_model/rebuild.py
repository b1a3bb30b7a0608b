"""Rebuild: the views folded from nothing beside the live ones, held against them, swapped in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from replay.read_model.build import draft_of, remove
from replay.read_model.compare import Difference, differences, reading, stale_in, stand_in
from replay.read_model.follow import Keeper, Options, built, is_sound, swap_in, why_anew
from replay.read_model.lock import keeping
from replay.read_model.store import ReadModel
from replay.tables.batch import USUAL, Late


class Compared(NamedTuple):
    """What a rebuild found."""

    position: int
    """Where the live views were, and were compared."""
    differences: int


Tell = Callable[[Difference], None]


def rebuild(
    ledger: Ledger, path: Path, options: Options, tell: Tell, late: Late = USUAL
) -> Compared | None:
    """Build views anew, tell each difference from the live ones, and put them in their place.

    They are compared where the live ones are, whatever has come since; then brought up to the
    head. None where there was nothing to compare with. Raises BeingKept if somebody follows.
    """
    with keeping(path):
        reason = why_anew(ledger, path, late, however_far=True)
        if reason is None and not is_sound(path):
            reason = "damaged"
        if reason is not None:
            if reason:
                options.say(f"the views in {path} are {reason}: there is nothing to compare with")
            built(ledger, draft_of(path), options, late)
            swap_in(path)
            found = None
        else:
            with ReadModel(path) as live:
                keeper = Keeper(ledger, live, options, late)
                keeper.refold(keeper.position)
            found = _compared(ledger, path, draft_of(path), options, tell, late)
            if found.differences:
                swap_in(path)
            remove(draft_of(path))
        with ReadModel(path) as model:
            Keeper(ledger, model, options, late).catch_up()
    return found


def check(ledger: Ledger, path: Path, options: Options, tell: Tell, late: Late = USUAL) -> Compared:
    """Build views anew and tell each difference from the live ones, which stay as they are.

    Somebody may go on following meanwhile: what is compared is the live views as they are now.
    Raises LedgerProblem where there is nothing to compare with.
    """
    reason = why_anew(ledger, path, late, however_far=True)
    if reason is not None:
        which = f"the views in {path} are {reason}" if reason else f"there are no views at {path}"
        raise LedgerProblem(f"{which}: there is nothing to compare with")
    draft = Path(f"{path}.check")
    with keeping(draft):
        found = _compared(ledger, path, draft, options, tell, late)
        remove(draft)
    return found


def _compared(
    ledger: Ledger, path: Path, draft: Path, options: Options, tell: Tell, late: Late
) -> Compared:
    """Build a draft up to where the live views are and hold it against one snapshot of them."""
    with reading(path) as live:
        stand = stand_in(live)
        assert stand is not None
        if stale := stale_in(live):
            options.say(
                f"{stale} exam{'s are' if stale != 1 else ' is'} being folded again just now: "
                "their rows may differ"
            )
        built(ledger, draft, options, late, stand.position)
        count = 0
        for difference in differences(live, draft):
            count += 1
            tell(difference)
    return Compared(stand.position, count)
