"""Keeping a read model up to its ledger: caught up, followed, begun anew where it must be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from ledger.events import Recorded
from ledger.ledger import Ledger
from replay.read_model.build import Options, build, far_behind, finished
from replay.read_model.fold import Folder, Rows, stale_by
from replay.read_model.state import Damaged, Other, Stand, draft_of, is_there, keeping, remove
from replay.read_model.store import ReadModel, state_of
from replay.tables.batch import USUAL, Late, of_several_sources_in

CHUNK = 4096
"""At most so many events are taken up in one transaction."""
CANDIDATES = 2000
"""So many candidates are folded again in one transaction when the catalogue has changed."""


class Keeper:
    """Brings one read model up to its ledger. Made by `keeper`, which holds the lock."""

    def __init__(
        self, ledger: Ledger, model: ReadModel, options: Options, late: Late = USUAL
    ) -> None:
        """Go on with a read model that is of this ledger; see `keeper`."""
        self._ledger = ledger
        self._model = model
        self._options = options
        self._late = late
        stand = model.stand()
        assert stand is not None
        self._id = stand.ledger
        self.position = stand.position
        self._folder: Folder | None = None

    @property
    def folder(self) -> Folder:
        """The fold, with the catalogue up to `position`; compiled when it is first needed."""
        if self._folder is None:
            kernels = self._options.kernels(self._ledger.head().position)
            self._folder = Folder(kernels, self._late, of_several_sources_in(self._ledger))
            self._folder.learn(self._ledger.catalogue(0, self.position))
        return self._folder

    def catch_up(self, upto: int | None = None) -> None:
        """Fold every event that is there by now, then fold again what is stale."""
        last = self._ledger.head().position if upto is None else upto
        if self.position < last:
            with self._options.bar("taking up", last - self.position) as progress:
                self._take_up(last, progress)
        self.refold(upto)

    def follow(self, stop: Callable[[], bool], interval: float = 0.05) -> None:
        """Catch up, then take up events as they come until `stop` says so."""
        self.catch_up()
        for rows in self._ledger.follow(self.position, interval=interval, stop=stop):
            new = [row for row in rows if row.position > self.position]
            if new:
                self.take(new)
                self.refold()

    def _take_up(self, last: int, progress: Callable[[int], None] = lambda more: None) -> None:
        while self.position < last:
            rows = list(islice(self._ledger.read(self.position, last), CHUNK))
            self.take(rows)
            progress(len(rows))

    def take(self, rows: Sequence[Recorded]) -> None:
        """Fold the next events: rows and the position they stand for, in one transaction."""
        folder, position = self.folder, rows[-1].position
        entries = [row for row in rows if not row.stream.startswith("candidate/")]
        folder.learn(entries)
        touched = sorted({row.subject for row in rows if row.stream.startswith("candidate/")})
        folded = self._fold(touched, position) if touched else None
        with self._model.writing():
            if entries:
                self._model.write_catalogue(folder.fold_catalogue(position, self.position))
                self._model.add_stale(stale_by(entries, folder.catalogue))
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
        """Fold again everybody with a row of an exam that a change of the catalogue made stale.

        Events that come meanwhile are taken up in between, if `upto` does not forbid.
        """
        while stale := self._model.stale():
            candidates = self._model.candidates_of(stale)
            if candidates:
                exams = ", ".join(sorted(stale)[:5]) + (", …" if len(stale) > 5 else "")
                self._options.say(
                    f"the catalogue has changed for {len(stale)} exam{'s' * (len(stale) != 1)} "
                    f"({exams}): {len(candidates):,} candidates are folded again"
                )
            with self._options.bar("folding again", len(candidates)) as progress:
                if self._refolded(stale, candidates, upto, progress):
                    with self._model.writing():
                        self._model.fresh(stale)

    def _refolded(
        self,
        stale: frozenset[str],
        candidates: list[str],
        upto: int | None,
        progress: Callable[[int], None],
    ) -> bool:
        """Fold candidates again; False when the catalogue has changed once more meanwhile."""
        for n in range(0, len(candidates), CANDIDATES):
            some = candidates[n : n + CANDIDATES]
            folded = self._fold(some, self.position)
            with self._model.writing():
                self._model.replace_candidates(some, folded)
            progress(len(some))
            self._take_up(self._ledger.head().position if upto is None else upto)
            if self._model.stale() != stale:
                return False
        return True


@contextmanager
def keeper(ledger: Ledger, path: Path, options: Options, late: Late = USUAL) -> Iterator[Keeper]:
    """Be the one keeper of a read model, which is made, or made anew, where it must be.

    One of another schema or ledger, or far behind, is built beside and swapped in. Raises BeingKept
    if another process keeps it, LedgerProblem for a file that is no read model.
    """
    with ExitStack() as stack:
        stack.enter_context(keeping(path))
        reason = why_anew(ledger, path, late)
        if reason is not None:
            if reason:
                options.say(f"the read model at {path} is {reason}: it is built anew")
            built(ledger, draft_of(path), options, late)
            swap_in(path)
        yield Keeper(ledger, stack.enter_context(ReadModel(path)), options, late)


def why_anew(ledger: Ledger, path: Path, late: Late, *, however_far: bool = False) -> str | None:
    """Return why a read model must be built anew: empty if there is none; None if it need not.

    One far behind is cheaper to build anew, unless `however_far`.
    """
    state = state_of(ledger, path, late, thorough=False)
    if state is None:
        return ""
    if state.damaged:
        return "damaged"
    head = ledger.head().position
    if state.other is None and not however_far and far_behind(state.position, head):
        return f"{head - state.position:,} events behind"
    return state.other


def built(
    ledger: Ledger, draft: Path, options: Options, late: Late, upto: int | None = None
) -> None:
    """Build a read model of everything up to a position, by default the head, at `draft`."""
    position = ledger.head().position if upto is None else upto
    build(ledger, draft, position, options, late)
    with ReadModel(draft, wal=False) as model:
        Keeper(ledger, model, options, late).catch_up(position)


def swap_in(path: Path) -> None:
    """Put the read model built beside in the place of that at `path`, in one step.

    Where there is one, its content is replaced in one transaction of SQLite: who is reading goes on
    with what was there, and sees the new at its next look; a file renamed over it would leave open
    readers behind, and the old one's log beside the new one.
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
    """Return whether there is a read model at `path`, of any version, that SQLite can read."""
    try:
        if not is_there(path):
            return False
    except Other:
        pass
    try:
        with ReadModel(path, read_only=True) as model:
            return model.is_sound()
    except Damaged:
        return False
