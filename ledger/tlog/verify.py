"""Verify: hash the stored rows again and compare them with what was signed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import NamedTuple

from ledger.durable import replace
from ledger.problems import LedgerProblem
from ledger.store.inspection import Finding, of_positions
from ledger.store.sealing import inspection_of
from ledger.tlog import merkle
from ledger.tlog.checkpoint import (
    LogPaths,
    compared_with,
    origin_of,
    signed_before,
    verified_before,
)
from ledger.tlog.comparison import Compared, compare, other_nodes
from ledger.tlog.diagnosis import explained
from ledger.tlog.leaf import pieces, shared_out
from ledger.tlog.sealer import Progress
from ledger.tlog.tiles import LEVELS, WIDTH, TileMissing, Tree, tile_name, width_in
from ledger.tlog.verify_proof import Checkpoint, VerifierKey


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
    paths: LogPaths,
    key: VerifierKey,
    *,
    full: bool = False,
    against: bytes | None = None,
    processes: int = 2,
    progress: Progress = lambda more: None,
) -> Verdict:
    """Compare every stored row with the log, and the log with its last checkpoint.

    From the checkpoint that was verified last, or from the beginning if `full`, or if `against`,
    the signed note of a checkpoint that an outsider kept: an outsider relies on nothing
    that lies here. From the beginning the whole file is read through as well, its indexes too.
    When nothing is found the checkpoint is kept as verified.

    A ledger or log that cannot be read is a finding too.
    """
    findings: list[Finding] = []
    signed = signed_before(paths, key, findings)
    with ExitStack() as stack:
        try:
            store = inspection_of(paths.ledger)
            seen = store.inspect(paths.ledger, 0 if signed is None else signed.checkpoint.size)
            whole = full or against is not None
            damages = stack.enter_context(store.read_through(paths.ledger)) if whole else None
        except LedgerProblem as problem:
            return Verdict(None, 0, 0, [*findings, Finding(None, str(problem))])
        findings += seen.findings
        if signed is None:
            return Verdict(None, 0, seen.head, findings)
        checkpoint = signed.checkpoint
        findings += _of_another(paths, checkpoint)
        tree = Tree(paths.tiles, checkpoint.size)
        if against is not None:
            findings += compared_with(tree, key, against, checkpoint, seen.head)
        after = 0 if whole else verified_before(paths, key, tree, findings)
        findings += _rows(paths, tree, checkpoint, after, seen.head, processes, progress)
        findings += [] if damages is None else damages()
    if not findings:
        with suppress(OSError):  # a place that may only be read is verified from the start again
            replace(paths.verified, signed.note)
    return Verdict(checkpoint, after, seen.head, sorted(findings, key=_by_position))


def _of_another(paths: LogPaths, checkpoint: Checkpoint) -> list[Finding]:
    """Find that a ledger's own id, which is in no event, is not that of its log."""
    try:
        origin = origin_of(inspection_of(paths.ledger).id_of(paths.ledger))
    except LedgerProblem as problem:
        return [Finding(None, str(problem))]
    sentence = f"{paths.ledger} says it is {origin}, its log is of {checkpoint.origin}"
    return [] if origin == checkpoint.origin else [Finding(None, sentence)]


def _rows(
    paths: LogPaths,
    tree: Tree,
    checkpoint: Checkpoint,
    after: int,
    head: int,
    processes: int,
    progress: Progress,
) -> list[Finding]:
    """Compare the rows after a position with their leaves, and all with the signed root."""
    begin = after // WIDTH
    last = min(head, checkpoint.size)
    jobs = list(pieces(begin, last))
    parts: list[Compared] = []
    work = ((paths, *job, checkpoint.size) for job in jobs)
    compared = shared_out(compare, work, last - after, processes)
    for (first, end), part in zip(jobs, compared, strict=True):
        parts.append(part)
        progress(end - max(first - 1, after))
    found = _Found(begin, parts)
    broken = [of_positions(*job, part.broken) for job, part in zip(jobs, parts, strict=True)
              if part.broken]  # fmt: skip
    if broken:
        return broken
    try:
        if head >= checkpoint.size and _root(tree, found) == checkpoint.root:
            return _damaged(paths, tree, found)
        findings = explained(paths, tree, checkpoint.root, found.different, found.how_many)
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


def _damaged(paths: LogPaths, tree: Tree, found: _Found) -> list[Finding]:
    """Return which tiles are not what was signed, while the rows are."""
    tiles = {(0, tile) for tile in found.tiles | found.unread}
    if not found.unread:
        others = other_nodes(tree, found.begin, found.tops)
        tiles |= {(level // LEVELS, index // WIDTH) for level, index in others}
    return [
        Finding(
            (tile << (LEVELS * (level + 1))) + 1,
            f"{_name(tree, level, tile)} in {paths.folder} is damaged or missing; the rows are as "
            "they were signed: remove the folder `tile` there and `seal`, which makes it anew",
        )
        for level, tile in sorted(tiles)
    ]


def _name(tree: Tree, level: int, tile: int) -> str:
    return tile_name(level, tile, width_in(tree.size, level, tile))


def _hidden(tree: Tree, checkpoint: Checkpoint, found: _Found) -> list[Finding]:
    """Return where rows were changed together with the hashes beside them, as closely as can be."""
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
