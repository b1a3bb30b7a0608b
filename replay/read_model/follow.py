"""Keeping a file of views up to its ledger: caught up, followed, begun anew where it must be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from ledger.events import Recorded
from ledger.ledger import Ledger
from replay.compiled import Kernels
from replay.read_model.build import build, draft_of, far_behind, finished, remove
from replay.read_model.fold import Folder, Rows, stale_by
from replay.read_model.lock import keeping
from replay.read_model.store import (
    DamagedReadModel,
    OtherReadModel,
    ReadModel,
    Stand,
    differs,
    looked_at,
)
from replay.tables.batch import USUAL, Late

CHUNK = 4096
"""At most so many events are taken up in one transaction."""
CANDIDATES = 2000
"""So many candidates are folded again in one transaction when the catalogue has changed."""
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Shows how much of so many is done: given what and how many, a context that is told of more."""


class Options(NamedTuple):
    """How a keeper gets its compiled code, and how it tells what it does."""

    kernels: Callable[[], Kernels]
    say: Callable[[str], None] = lambda sentence: None
    bar: Bar = lambda what, total: nullcontext(lambda more: None)


class Keeper:
    """Brings one file of views up to its ledger. Made by `keeper`, which holds the lock."""

    def __init__(
        self, ledger: Ledger, model: ReadModel, options: Options, late: Late = USUAL
    ) -> None:
        """Go on with views that are of this ledger; see `keeper`."""
        self._ledger = ledger
        self._model = model
        self._ways = options
        self._late = late
        stand = model.stand()
        assert stand is not None
        self._id = stand.ledger
        self.position = stand.position
        self._folder: Folder | None = None

    @property
    def folder(self) -> Folder:
        """The fold, with the catalogue up to where the views are; compiled when first asked for."""
        if self._folder is None:
            self._folder = Folder(self._ways.kernels(), self._late)
            self._folder.learn(self._ledger.catalogue(0, self.position))
        return self._folder

    def catch_up(self, upto: int | None = None) -> None:
        """Take up every event that is there by now, then fold again what is stale."""
        last = self._ledger.head().position if upto is None else upto
        if self.position < last:
            with self._ways.bar("taking up", last - self.position) as told:
                self._take_up(last, told)
        self.refold(upto)

    def follow(self, stop: Callable[[], bool], interval: float = 0.05) -> None:
        """Catch up, then take up events as they come until `stop` says so."""
        self.catch_up()
        for rows in self._ledger.follow(self.position, interval=interval, stop=stop):
            new = [row for row in rows if row.position > self.position]
            if new:
                self.take(new)
                self.refold()

    def _take_up(self, last: int, told: Callable[[int], None] = lambda more: None) -> None:
        while self.position < last:
            rows = list(islice(self._ledger.read(self.position, last), CHUNK))
            self.take(rows)
            told(len(rows))

    def take(self, rows: Sequence[Recorded]) -> None:
        """Take up the next events: rows and the position they stand for, in one transaction."""
        folder, position = self.folder, rows[-1].position
        entries = [row for row in rows if not row.stream.startswith("candidate/")]
        folder.learn(entries)
        stale = stale_by(entries, folder.catalogue)
        touched = sorted({row.subject for row in rows if row.stream.startswith("candidate/")})
        folded = self._fold(touched, position) if touched else None
        with self._model.writing():
            if entries:
                self._model.write_catalogue(folder.fold_catalogue(position, self.position))
                self._model.add_stale(stale)
            if folded is not None:
                self._model.replace_candidates(touched, folded)
                self._model.add_corrections(folded["corrections"])
            self._model.add_facts(rows)
            last = rows[-1]
            self._model.set_position(
                Stand(self._id, position, last.recorded_at, last.source, last.id, *self._late)
            )
        self.position = position

    def _fold(self, candidates: Sequence[str], position: int) -> Rows:
        facts = self._ledger.scans.recorded_of(candidates, position)
        return self.folder.fold(facts, position, self.position)

    def refold(self, upto: int | None = None) -> None:
        """Fold again everybody who sat an exam that a change of the catalogue has made stale.

        Events that come meanwhile are taken up in between, if `upto` does not forbid.
        """
        while stale := self._model.stale():
            candidates = self._model.candidates_of(stale)
            if candidates:
                self._ways.say(_told(stale, len(candidates)))
            with self._ways.bar("folding again", len(candidates)) as told:
                if self._refolded(stale, candidates, upto, told):
                    with self._model.writing():
                        self._model.fresh(stale)

    def _refolded(
        self,
        stale: frozenset[str],
        candidates: list[str],
        upto: int | None,
        told: Callable[[int], None],
    ) -> bool:
        """Fold candidates again; False when the catalogue has changed once more meanwhile."""
        for n in range(0, len(candidates), CANDIDATES):
            some = candidates[n : n + CANDIDATES]
            folded = self._fold(some, self.position)
            with self._model.writing():
                self._model.replace_candidates(some, folded)
            told(len(some))
            self._take_up(self._ledger.head().position if upto is None else upto)
            if self._model.stale() != stale:
                return False
        return True


def _told(stale: frozenset[str], candidates: int) -> str:
    exams = ", ".join(sorted(stale)[:5]) + (", …" if len(stale) > 5 else "")
    return (
        f"the catalogue has changed for {len(stale)} exam{'s' * (len(stale) != 1)} ({exams}): "
        f"{candidates:,} candidates are folded again"
    )


@contextmanager
def keeper(ledger: Ledger, path: Path, options: Options, late: Late = USUAL) -> Iterator[Keeper]:
    """Be the one keeper of a file of views, which is made, or made anew, where it must be.

    ReadModel of another schema or ledger, or far behind, are built beside and swapped in. Raises
    BeingKept if another process keeps them, LedgerProblem for a file that is not of model.
    """
    with ExitStack() as stack:
        stack.enter_context(keeping(path))
        reason = why_anew(ledger, path, late)
        if reason is not None:
            if reason:
                options.say(f"the views in {path} are {reason}: they are built anew")
            built(ledger, draft_of(path), options, late)
            swap_in(path)
        model = stack.enter_context(ReadModel(path))
        yield Keeper(ledger, model, options, late)


def why_anew(ledger: Ledger, path: Path, late: Late, *, however_far: bool = False) -> str | None:
    """Return why views must be built anew: empty if there are none; None if they need not.

    Those far behind are cheaper to build anew, unless `however_far`.
    """
    try:
        if not looked_at(path):
            return ""
    except OtherReadModel as problem:
        return str(problem)
    try:
        with ReadModel(path, read_only=True) as model:
            stand = model.stand()
    except DamagedReadModel:
        return "damaged"
    other = differs(stand, ledger, late)
    if other is not None:
        return other
    assert stand is not None
    head = ledger.head().position
    if not however_far and far_behind(stand.position, head):
        return f"{head - stand.position:,} events behind"
    return None


def built(
    ledger: Ledger, draft: Path, options: Options, late: Late, upto: int | None = None
) -> None:
    """Build views of everything up to a position, by default the head, at `draft`."""
    position = ledger.head().position if upto is None else upto
    build(
        ledger,
        draft,
        position,
        options.kernels,
        late,
        say=options.say,
        progress=lambda total: options.bar("building", total),
    )
    with ReadModel(draft, wal=False) as model:
        Keeper(ledger, model, options, late).catch_up(position)


def swap_in(path: Path) -> None:
    """Put the views built beside in the place of those at `path`, in one step.

    Where there are views, their content is replaced in one transaction of SQLite: who is reading
    goes on with what was there, and sees the new at its next look; a file renamed over them would
    leave open readers behind, and the old one's log beside the new one.
    """
    draft = draft_of(path)
    finished(draft)
    if is_sound(path):
        with ReadModel(draft, wal=False) as new, ReadModel(path) as live:
            live.become(new)
    else:
        remove(path)
        os.replace(draft, path)
    remove(draft)


def is_sound(path: Path) -> bool:
    """Return whether there are views at `path`, of whatever version, that SQLite can read."""
    try:
        if not looked_at(path):
            return False
    except OtherReadModel:
        pass
    try:
        with ReadModel(path, read_only=True) as model:
            return model.is_sound()
    except DamagedReadModel:
        return False
