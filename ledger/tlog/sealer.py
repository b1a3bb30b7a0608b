"""Sealing: what was appended since the last checkpoint is hashed, then signed. After the append.

Nothing is signed that does not continue what was signed before. A crash anywhere leaves the log of
the last checkpoint; the next sealing completes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.durable import replace, replace_all, sync
from ledger.problems import Inconsistent, LogProblem, SigningKeyProblem
from ledger.store import sealing
from ledger.store.locks import USUALLY, FileLock, Waiting
from ledger.store.sealing import inspection_of
from ledger.tlog import merkle
from ledger.tlog.checkpoint import LogPaths, last_signed, origin_of, read_note
from ledger.tlog.leaf import hash_tiles, pieces, shared_out
from ledger.tlog.note import (
    SigningKey,
    check_no_key,
    keep_last_signed,
    last_signed_path,
    read_signing_key,
    write_key,
)
from ledger.tlog.tiles import WIDTH, TileMissing, Tiles, Tree, split, width_in
from ledger.tlog.verify_proof import (
    EMPTY_ROOT,
    Checkpoint,
    ProofProblem,
    check_consistency,
    open_checkpoint,
    parse_vkey,
)

Progress = Callable[[int], object]
"""Called with how many more rows are hashed."""


class Sealed(NamedTuple):
    """What a sealing came to."""

    before: int
    """How many events were sealed before."""
    checkpoint: Checkpoint


def check_unused(paths: LogPaths) -> None:
    """Raise LogProblem where a log, or a signing key, is there already."""
    for path, what in ((paths.verifier_key, "log"), (paths.checkpoint, "log"), (paths.key, "key")):
        if os.path.lexists(path):
            raise LogProblem(
                f"{path} is there already, of the {what} of another ledger: move it away first"
            )


def make_key(paths: LogPaths, ledger_id: str) -> SigningKey:
    """Make the signing key of a new log, and its folder; raises SigningKeyProblem, LogProblem."""
    with _writing(paths):
        check_unused(paths)
        key = SigningKey.generate(origin_of(ledger_id))
        write_key(paths.key, key)
        replace(paths.verifier_key, f"{key.verifier}\n".encode())
    return key


def renew_key(paths: LogPaths, ledger_id: str) -> SigningKey:
    """Make a new signing key for a log whose key was lost, or read by others.

    The new key signs the tree of the last checkpoint, which must hold under the old verifier key
    beside it. Outsiders need the new one. Raises LogProblem.
    """
    with _writing(paths):
        check_no_key(paths.key)
        old_keys = (read_note(paths.verifier_key) or b"").decode(errors="replace").split()
        note = read_note(paths.checkpoint)
        if not old_keys or note is None:
            raise LogProblem(
                f"{paths.folder} has no checkpoint and verifier key that a new key could continue"
            )
        old = _of_any(note, old_keys, paths)
        key = SigningKey.generate(origin_of(ledger_id))
        keys = "".join(f"{each}\n" for each in (*old_keys, key.verifier))
        replace(paths.verifier_key, keys.encode())
        _publish(paths, key, Checkpoint(key.verifier.name, old.size, old.root))
        write_key(paths.key, key)  # last: after a crash before it the same call makes another
        return key


def _of_any(note: bytes, keys: Sequence[str], paths: LogPaths) -> Checkpoint:
    """Read a checkpoint that one of the verifier keys signed, tried from the last; Inconsistent."""
    why = ""
    for text in reversed(keys):
        try:
            return open_checkpoint(note, parse_vkey(text))
        except ProofProblem as problem:
            why = why or str(problem)
    raise Inconsistent(f"no new key is made, {paths.checkpoint} fails: {why}")


def seal(
    paths: LogPaths,
    ledger_id: str,
    head: int,
    *,
    processes: int = 2,
    progress: Progress = lambda more: None,
    waiting: Waiting = USUALLY,
) -> Sealed:
    """Seal every event up to position `head`, which must be durable; return what was sealed.

    The rows of the last sealed tile are hashed once more on the way. Many rows are hashed by
    `processes` processes. Safe beside other sealers, for whom it is `waiting`, and beside writers.

    Raises SigningKeyProblem or LogProblem when there is no key or the log cannot be written, and
    Inconsistent when it would contradict what was signed before; then nothing was signed.
    """
    with _writing(paths, waiting):
        key = read_signing_key(paths.key)
        if key.verifier.name != origin_of(ledger_id):
            raise SigningKeyProblem(
                f"{paths.key} signs for {key.verifier.name}, not for this ledger's log "
                f"{origin_of(ledger_id)}: put that one's back, or name it with --signing-key"
            )
        if not paths.verifier_key.exists():  # where a crash came after the key was made
            replace(paths.verifier_key, f"{key.verifier}\n".encode())
        known = _known(paths, key)
        last = known[-1]
        if head < last.size:
            # Another sealer went further since `head` was read; or the ledger is shorter.
            head = min(last.size, inspection_of(paths.ledger).last_position(paths.ledger))
        if head < last.size:
            raise Inconsistent(
                f"nothing is signed: {paths.ledger} ends at position {head}, but {last.size} "
                "events were sealed: it was cut off, or is an old copy put back"
            )
        if not _is_whole(paths, last):
            rebuild(paths, last, processes, progress)
        for older in known:
            _check_continues(paths, older, last)
        if head == last.size:
            _publish(paths, key, last)  # where a crash came between signing and publishing
            return Sealed(last.size, last)
        if others := inspection_of(paths.ledger).definitions(paths.ledger):
            raise Inconsistent(
                f"nothing is signed, {paths.ledger} was changed past the ledger: {others[0]}; "
                "`verify` says more"
            )
        grow(paths, last.size, head, processes, progress)
        checkpoint = Checkpoint(key.verifier.name, head, Tree(paths.tiles, head).root())
        _check_continues(paths, last, checkpoint)
        _publish(paths, key, checkpoint)
        drop_partial(paths.tiles, last.size, head)
        return Sealed(last.size, checkpoint)


def _known(paths: LogPaths, key: SigningKey) -> list[Checkpoint]:
    """Return what this key is known to have signed, the empty log first, the largest last."""
    known = [Checkpoint(key.verifier.name, 0, EMPTY_ROOT)]
    for note, where in (
        (read_note(paths.checkpoint), paths.checkpoint),
        (last_signed(paths), last_signed_path(paths.key)),
        (sealing.last_signed(paths.ledger, key.verifier.name), paths.ledger),
    ):
        if note is not None:
            try:
                known.append(open_checkpoint(note, key.verifier))
            except ProofProblem as problem:
                raise Inconsistent(
                    f"nothing is signed, {where} fails: {problem}. Keep it to find out why; once "
                    "it is moved away, the other copy is used"
                ) from None
    return sorted(known, key=lambda checkpoint: checkpoint.size)


def _is_whole(paths: LogPaths, last: Checkpoint) -> bool:
    """Return whether the tiles that a longer tree would be built on lead to the signed root."""
    try:
        return Tree(paths.tiles, last.size).root() == last.root
    except TileMissing:
        return False


def _check_continues(paths: LogPaths, older: Checkpoint, last: Checkpoint) -> None:
    """Raise Inconsistent unless one checkpoint is continued by the last."""
    path = Tree(paths.tiles, last.size).consistency_path(older.size)
    try:
        check_consistency(older.size, older.root, last.size, last.root, path)
    except ProofProblem as problem:
        raise Inconsistent(f"nothing is signed: {problem}") from None


def _publish(paths: LogPaths, key: SigningKey, checkpoint: Checkpoint) -> None:
    note = key.sign_checkpoint(checkpoint)
    if note != last_signed(paths):
        keep_last_signed(paths.key, note)
    if note != sealing.last_signed(paths.ledger, checkpoint.origin):
        sealing.keep_last_signed(paths.ledger, checkpoint.origin, checkpoint.size, note)
    if note != read_note(paths.checkpoint):
        replace(paths.checkpoint, note)


@contextmanager
def _writing(paths: LogPaths, waiting: Waiting = USUALLY) -> Iterator[None]:
    """Be the only one that writes this log; raises Locked, and LogProblem if it cannot be written.

    Whoever may read the lock's file can take the lock: it is open to whom the ledger is open to.
    """
    try:
        if not paths.folder.is_dir():
            paths.folder.mkdir(0o775, exist_ok=True)  # others do not write it, whatever the umask
            sync(paths.folder.parent)
        lock = FileLock(paths.lock, paths.guarded, waiting=waiting, name=paths.folder)
        with closing(lock), lock:
            yield
    except OSError as error:
        where = error.filename or paths.folder
        raise LogProblem(f"{where} cannot be written: {error.strerror}") from None


# -- the tiles of a longer tree: hashed from the rows, written before anything is signed


def grow(paths: LogPaths, sealed: int, size: int, processes: int, progress: Progress) -> None:
    """Write the tiles that a tree of `size` leaves has beside those of one of `sealed`, durably.

    What the old tree has is not overwritten, but the rows of its last tile are hashed once more.
    Raises Inconsistent where one of them differs from its leaf, or a row is missing.
    """
    begin = max(sealed - 1, 0) // WIDTH
    tops: list[bytes] = []
    jobs = list(pieces(begin, size))
    work = ((paths, *job, sealed) for job in jobs)
    written = shared_out(_write_tiles, work, size - sealed, processes)
    for (first, last), made in zip(jobs, written, strict=True):
        tops += made
        progress(last - max(first - 1, sealed))
    full = sealed // WIDTH
    _write_above(paths.tiles, full, tops[full - begin :], sealed)


def rebuild(paths: LogPaths, last: Checkpoint, processes: int, progress: Progress) -> None:
    """Make tiles anew that were lost or damaged, if the rows are still those that were signed.

    Everything is hashed first and written after that: what is there is no worse if the rows are
    not. Raises Inconsistent if so.
    """
    tops: list[bytes] = []
    tail: list[bytes] = []
    jobs = list(pieces(0, last.size))
    work = ((paths, *job) for job in jobs)
    for made, rest in shared_out(_hash_rows, work, last.size, processes):
        tops += made
        tail = rest
    nodes = merkle.grown(0, tops, tail, before=_nothing)
    if merkle.root(last.size, nodes) != last.root:
        raise Inconsistent(
            f"nothing is signed: {paths.folder} is damaged, and the rows of {paths.ledger} are not "
            f"those that were signed as a log of {last.size} events; `verify` says more"
        )
    grow(paths, 0, last.size, processes, progress)


def drop_partial(tiles: Tiles, sealed: int, size: int) -> None:
    """Remove the partial tiles of an older tree that are full ones in the new."""
    for level in range(8):
        index = (sealed >> (8 * level)) // WIDTH
        if width_in(size, level, index) == WIDTH:
            tiles.drop_partial(level, index)


def _write_tiles(paths: LogPaths, first: int, last: int, sealed: int) -> list[bytes]:
    """Hash rows and write their tiles; return the node over each full one."""
    tiles = paths.tiles
    files: dict[Path, bytes] = {}
    tops = []
    for index, leaves in _leaves(paths, first, last):
        start = index * WIDTH
        if start < sealed:
            _compare(tiles, index, leaves, min(sealed - start, WIDTH))
        if start + len(leaves) > sealed:
            files[tiles.path(0, index, len(leaves))] = b"".join(leaves)
        if len(leaves) == WIDTH:
            tops.append(merkle.top(leaves))
    replace_all(files)
    return tops


def _hash_rows(paths: LogPaths, first: int, last: int) -> tuple[list[bytes], list[bytes]]:
    """Hash rows; return the node over each full tile, and the leaves of a last partial one."""
    tops: list[bytes] = []
    for _, leaves in _leaves(paths, first, last):
        if len(leaves) < WIDTH:
            return tops, leaves
        tops.append(merkle.top(leaves))
    return tops, []


def _leaves(paths: LogPaths, first: int, last: int) -> Iterator[tuple[int, list[bytes]]]:
    """Hash rows, tile by tile; raises Inconsistent where there is none to hash."""
    for index, found, _ in hash_tiles(paths.ledger, first, last, typed=True):
        leaves = [leaf for leaf in found if leaf is not None]
        if len(leaves) < len(found):
            raise Inconsistent(
                f"nothing is signed: position {index * WIDTH + found.index(None) + 1} of "
                f"{paths.ledger} is missing, or holds what the ledger never writes"
            )
        yield index, leaves


def _compare(tiles: Tiles, index: int, leaves: list[bytes], width: int) -> None:
    """See whether rows are still as they were sealed."""
    for number, known in enumerate(split(tiles.read(0, index, width))):
        if leaves[number : number + 1] != [known]:
            raise Inconsistent(
                f"nothing is signed: position {index * WIDTH + number + 1} was changed after it "
                "was sealed; `verify` says more"
            )


def _write_above(tiles: Tiles, begin: int, tops: list[bytes], sealed: int) -> None:
    """Write the tiles above those of the leaves; `tops` are the nodes over the new full ones.

    Of the old tree only what its root was computed from is used, so it is known to be right.
    """
    files: dict[Path, bytes] = {}
    level = 1
    while tops:
        first, at = divmod(begin, WIDTH)
        known = tiles.read(level, first, at) if at else b""
        hashes = split(known) + tops
        tops = []
        for index in range(first, first + -(-len(hashes) // WIDTH)):
            tile = hashes[(index - first) * WIDTH : (index - first + 1) * WIDTH]
            files[tiles.path(level, index, len(tile))] = b"".join(tile)
            if len(tile) == WIDTH:
                tops.append(merkle.top(tile))
        begin, level = first, level + 1
    paths = list(files)
    for start in range(0, len(paths), WIDTH):
        replace_all({path: files[path] for path in paths[start : start + WIDTH]})


def _nothing(level: int, index: int) -> bytes:
    raise AssertionError(f"node {level}/{index} lies before the first")
