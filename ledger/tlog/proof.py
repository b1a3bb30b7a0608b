"""Proofs as files that stand alone: of one event, of an erasure, of one log continuing another."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from ledger.events import Recorded
from ledger.problems import LogProblem, NotSealed
from ledger.tlog.checkpoint import LogPaths, Signed, read_note
from ledger.tlog.leaf import leaf_hash_or_none, leaf_record
from ledger.tlog.note import SigningKey
from ledger.tlog.tiles import Tree
from ledger.tlog.verify_proof import (
    CONSISTENCY_PROOF,
    ERASURE,
    ERASURE_MEMBERS,
    EVENT_PROOFS,
    TLOG_PROOF,
    ProofProblem,
    VerifierKey,
    check_proof,
    open_checkpoint,
)


class Unprovable(LogProblem):
    """The ledger or its log is not as it was signed: no proof can be made that would hold."""


def signed_head(paths: LogPaths, key: VerifierKey) -> Signed:
    """Return the last checkpoint; raises NotSealed without one, Unprovable when it fails."""
    note = read_note(paths.checkpoint)
    if note is None:
        raise NotSealed(f"{paths.ledger} was never sealed: there is no {paths.checkpoint}")
    try:
        return Signed(open_checkpoint(note, key), note)
    except ProofProblem as problem:
        raise Unprovable(f"{paths.checkpoint} fails: {problem}") from None


def prove_event(paths: LogPaths, key: VerifierKey, event: Recorded) -> bytes:
    """Return the proof that an event is in the log, as a file that stands alone.

    The leaf record, the data as stored, the extension attributes if it has any, and a
    c2sp.org/tlog-proof; personal fields stay ciphertext.
    Raises NotSealed when no checkpoint covers the event yet, Unprovable when the ledger is not the
    one that was signed.
    """
    head = signed_head(paths, key)
    if event.position > head.checkpoint.size:
        raise NotSealed(
            f"position {event.position} is not sealed yet, the log ends at "
            f"{head.checkpoint.size}: `seal`, then prove it"
        )
    texts = [event.data, *([] if event.extensions is None else [event.extensions])]
    if leaf_hash_or_none(event) is None or any("\n" in text for text in texts):
        raise Unprovable(f"position {event.position} holds what the ledger never writes")
    path = Tree(paths.tiles, head.checkpoint.size).inclusion_path(event.position)
    lines = [
        EVENT_PROOFS[len(texts) - 1],
        leaf_record(event).decode(),
        *texts,
        "",
        TLOG_PROOF,
        f"index {event.position - 1}",
        *map(_base64, path),
        "",
        head.note.decode(),
    ]
    return _checked("\n".join(lines), key)


def certify_erasure(
    paths: LogPaths, signing: SigningKey, said: Mapping[str, Any], event: Recorded
) -> bytes:
    """Return a certificate of erasure: a statement, signed, and the proof of its event.

    `said` has the members of `ERASURE_MEMBERS`; `event` is the CandidateForgotten. Raises NotSealed
    when no checkpoint covers that yet, Unprovable when the ledger is not the one that was signed.
    """
    line = json.dumps(
        {name: said[name] for name in ERASURE_MEMBERS}, ensure_ascii=False, separators=(",", ":")
    )
    note = signing.sign(f"{ERASURE}\n{line}\n")
    proof = prove_event(paths, signing.verifier, event)
    return _checked(f"{note.decode()}\n{proof.decode()}", signing.verifier)


def prove_between(paths: LogPaths, key: VerifierKey, sizes: tuple[int, int]) -> bytes:
    """Return the proof that the log of one size continues the one of another, and so to the last.

    Raises NotSealed for a size that no checkpoint covers yet, Unprovable when the log fails.
    """
    head = signed_head(paths, key)
    size = head.checkpoint.size
    tree = Tree(paths.tiles, size)
    old, new = sizes
    if max(sizes) > size:
        raise NotSealed(
            f"a log of {max(sizes)} events is not signed yet, the last is of {size}: `seal`, then "
            "prove it"
        )
    lines = [CONSISTENCY_PROOF]
    steps = [old, size] if new in (old, size) else [old, new, size]
    for begin, end in pairwise(steps):
        lines.append(f"tree {begin} {_base64(tree.root_at(begin))}")
        lines += map(_base64, tree.consistency_path(begin, end))
    return _checked("\n".join([*lines, "", head.note.decode()]), key)


def _checked(text: str, key: VerifierKey) -> bytes:
    """Return out no proof that does not hold."""
    proof = text.encode()
    try:
        check_proof(proof, key)
    except ProofProblem as problem:
        raise Unprovable(f"no proof can be made: {problem}; `verify` says more") from None
    return proof


def _base64(hash: bytes) -> str:
    return base64.b64encode(hash).decode()
