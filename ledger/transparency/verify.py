"""Verify: hash the stored rows again and compare them with what was signed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ledger.problems import LedgerProblem
from ledger.transparency import merkle
from ledger.transparency.comparing import Compared, compare, other_nodes
from ledger.transparency.crew import Crew
from ledger.transparency.diagnosis import explained
from ledger.transparency.files import replace
from ledger.transparency.growing import Told, pieces
from ledger.transparency.inspection import Finding, inspect, of_positions
from ledger.transparency.place import Place, last_signed, read_note
from ledger.transparency.signing import last_signed_path
from ledger.transparency.tiles import LEVELS, WIDTH, TileMissing, Tree, tile_name, width_in
from ledger.transparency.verify_proof import (
    Checkpoint,
    ProofProblem,
    VerifierKey,
    open_checkpoint,
)


class Verdict(NamedTuple):
    """What a verification came to."""

    checkpoint: Checkpoint | None
    """What the ledger was compared with; None if nothing signed was found."""
    after: int
    """The position up to which an earlier verification was relied on, 0 for none."""
    head: int
    """The last position of the ledger; those after the checkpoint are not sealed yet."""
    findings: Sequence[Finding]
    """What is wrong, by position; empty: nothing."""


def verify(
    place: Place,
    key: VerifierKey,
    *,
    full: bool = False,
    against: bytes | None = None,
    processes: int = 2,
    told: Told | None = None,
) -> Verdict:
    """Compare every stored row with the log, and the log with its last checkpoint.

    From the checkpoint that was verified last, or from the beginning if `full`, or if `against`,
    the signed note of a checkpoint that an outsider kept, is given: an outsider relies on nothing
    that lies here. When nothing is found the checkpoint is kept as verified.

    A ledger or log that cannot be read is a finding too.
    """
    findings: list[Finding] = []
    signed = _signed(place, key, findings)
    try:
        seen = inspect(place.ledger, 0 if signed is None else signed.checkpoint.size)
    except LedgerProblem as problem:
        return Verdict(None, 0, 0, [*findings, Finding(None, str(problem))])
    findings += seen.findings
    if signed is None:
        return Verdict(None, 0, seen.head, findings)
    checkpoint = signed.checkpoint
    tree = Tree(place.tiles, checkpoint.size)
    if against is not None:
        findings += _against(tree, key, against, checkpoint, seen.head)
    after = 0
    if not full and against is None:
        after = _verified_before(place, key, tree, findings)
    findings += _rows(place, tree, checkpoint, after, seen.head, processes, told)
    if not findings:
        with suppress(OSError):  # a place that may only be read is verified from the start again
            replace(place.verified, signed.note)
    return Verdict(checkpoint, after, seen.head, sorted(findings, key=_by_position))


class _Signed(NamedTuple):
    checkpoint: Checkpoint
    note: bytes


def _signed(place: Place, key: VerifierKey, findings: list[Finding]) -> _Signed | None:
    """Return the checkpoint to compare with: the log's, or else the copy beside the key."""
    found: list[_Signed] = []
    for path, note in (
        (place.checkpoint, read_note(place.checkpoint)),
        (last_signed_path(place.key), _copy(place)),
    ):
        if note is None:
            continue
        try:
            found.append(_Signed(open_checkpoint(note, key), note))
        except ProofProblem as problem:
            findings.append(Finding(None, f"{path}: {problem}"))
    if read_note(place.checkpoint) is None:
        findings.append(
            Finding(None, f"there is no {place.checkpoint}: never sealed, or it was removed")
        )
    if not found:
        return None
    first = found[0]
    for other in found[1:]:
        if other.checkpoint.size > first.checkpoint.size:
            findings.append(
                Finding(
                    None,
                    f"the log was set back: its checkpoint is of {first.checkpoint.size} events, "
                    f"but one of {other.checkpoint.size} was signed",
                )
            )
        elif other.checkpoint.size == first.checkpoint.size and other != first:
            size = first.checkpoint.size
            findings.append(Finding(None, f"the log was forked: two of {size} events were signed"))
    return first


def _copy(place: Place) -> bytes | None:
    with suppress(Exception):  # the signer's place need not be open to who verifies
        return last_signed(place)
    return None


def _against(
    tree: Tree, key: VerifierKey, note: bytes, own: Checkpoint, head: int
) -> list[Finding]:
    """Compare the log with a checkpoint that an outsider kept."""
    try:
        kept = open_checkpoint(note, key)
    except ProofProblem as problem:
        return [Finding(None, f"the checkpoint to compare with fails: {problem}")]
    if kept.size > head:
        return [
            Finding(
                head + 1,
                f"the checkpoint to compare with is of {kept.size} events, this ledger ends at "
                f"position {head}: it was cut off, or is an old copy put back",
            )
        ]
    if kept.size > own.size:
        return [
            Finding(
                own.size + 1,
                f"the checkpoint to compare with is of {kept.size} events, this log only of "
                f"{own.size}: it is an old copy put back",
            )
        ]
    with suppress(TileMissing):
        if tree.root_at(kept.size) == kept.root:
            return []
    return [
        Finding(
            None,
            f"the log was forked or rewritten: its first {kept.size} events are not those of the "
            f"checkpoint to compare with (it differs somewhere in positions 1 to {kept.size})",
        )
    ]


def _verified_before(place: Place, key: VerifierKey, tree: Tree, findings: list[Finding]) -> int:
    """Return the size of the log that was verified last, if this log continues it."""
    note = read_note(place.verified)
    if note is None:
        return 0
    try:
        before = open_checkpoint(note, key)
    except ProofProblem:
        return 0  # of another key, or spoilt: then all is verified anew
    with suppress(TileMissing):
        if before.size <= tree.size and tree.root_at(before.size) == before.root:
            return before.size
    findings.append(
        Finding(
            None,
            f"the log does not continue the one of {before.size} events that was verified last",
        )
    )
    return 0


def _rows(
    place: Place,
    tree: Tree,
    checkpoint: Checkpoint,
    after: int,
    head: int,
    processes: int,
    told: Told | None,
) -> list[Finding]:
    """Compare the rows after a position with their leaves, and all with the signed root."""
    begin = after // WIDTH
    last = min(head, checkpoint.size)
    jobs = list(pieces(begin, last))
    parts: list[Compared] = []
    with Crew(last - after, processes) as crew:
        work = ((place, *job, checkpoint.size) for job in jobs)
        for (first, end), part in zip(jobs, crew.map(compare, work), strict=True):
            parts.append(part)
            if told is not None:
                told(end - max(first - 1, after))
    found = _Found(begin, parts)
    broken = [of_positions(*job, part.broken) for job, part in zip(jobs, parts, strict=True)
              if part.broken]  # fmt: skip
    if broken:
        return broken
    try:
        if head >= checkpoint.size and _root(tree, found) == checkpoint.root:
            return _damaged(place, tree, found)
        findings = explained(place, tree, checkpoint.root, found.different, found.how_many)
        return findings + (_hidden(tree, checkpoint, found) if head >= checkpoint.size else [])
    except TileMissing as problem:
        return [Finding(None, str(problem))]


class _Found:
    """What all pieces of work found together."""

    def __init__(self, begin: int, parts: Sequence[Compared]) -> None:
        self.begin = begin
        self.tops = [top for part in parts for top in part.tops]
        self.tail = parts[-1].tail if parts else []
        self.different = [each for part in parts for each in part.different]
        self.how_many = sum(part.how_many for part in parts)
        self.tiles = {(position - 1) // WIDTH for position, _ in self.different}
        self.unread = {tile for part in parts for tile in part.unread}


def _root(tree: Tree, found: _Found) -> bytes | None:
    """Compute the root that the rows lead to; None if the log lacks what lies before them."""
    with suppress(TileMissing):
        nodes = merkle.grown(found.begin, found.tops, found.tail, tree.node)
        return merkle.root(tree.size, nodes)
    return None


def _damaged(place: Place, tree: Tree, found: _Found) -> list[Finding]:
    """Say which tiles are not what was signed, while the rows are."""
    tiles = {(0, tile) for tile in found.tiles | found.unread}
    if not found.unread:
        others = other_nodes(tree, found.begin, found.tops)
        tiles |= {(level // LEVELS, index // WIDTH) for level, index in others}
    return [
        Finding(
            (tile << (LEVELS * (level + 1))) + 1,
            f"{_name(tree, level, tile)} in {place.folder} is damaged or missing; the rows are as "
            "they were signed: remove the folder `tile` there and `seal`, which makes it anew",
        )
        for level, tile in sorted(tiles)
    ]


def _name(tree: Tree, level: int, tile: int) -> str:
    return tile_name(level, tile, width_in(tree.size, level, tile))


def _hidden(tree: Tree, checkpoint: Checkpoint, found: _Found) -> list[Finding]:
    """Say where rows were changed together with the hashes beside them, as closely as can be."""
    for level, index in other_nodes(tree, found.begin, found.tops):
        below = level - LEVELS
        if any(tile >> below == index for tile in found.tiles):
            continue  # one that was found row by row
        return [_together((index << level) + 1, min((index + 1) << level, tree.size))]
    if found.different:
        return []
    return [_together(found.begin * WIDTH + 1, checkpoint.size)]


def _together(first: int, last: int) -> Finding:
    return Finding(
        first,
        f"positions {first} to {last}: something in them was changed together with the hashes "
        "beside it; what was signed is another log",
    )


def _by_position(finding: Finding) -> tuple[int, str]:
    return (finding.position or 0, finding.sentence)
