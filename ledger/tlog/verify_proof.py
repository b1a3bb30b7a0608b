#!/usr/bin/env python3
"""Check a proof of the attempt ledger: one file, which needs Python 3.10 and `cryptography`.

    python verify_proof.py FILE --key VKEY [--against CHECKPOINT-FILE]

FILE is what `attempt-ledger prove` wrote, or `forget --certificate`. VKEY is the log's verifier key
(or a file that holds it), got from somebody you trust, not from beside the proof. With --against
the proof must also fit a checkpoint that you kept. Exit code 0: it holds. 1: it does not, and
standard error says why. 2: the call itself was wrong. Neither the ledger nor any other file of the
program is needed.

The formats are the public ones of https://c2sp.org (signed-note, tlog-checkpoint, tlog-proof), the
hashing that of RFC 6962; `docs/transparency.md` says how an event becomes a leaf, and
`docs/erasure.md` what a certificate of erasure says.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EVENT_PROOFS = ("attempt-ledger proof v1", "attempt-ledger proof v2")
CONSISTENCY_PROOF = "attempt-ledger consistency v1"
ERASURE = "attempt-ledger erasure v1"
TLOG_PROOF = "c2sp.org/tlog-proof@v1"
ED25519 = 1
"""The first lines of the three kinds of proof and of a C2SP one; the signature type of a note."""

TEXT, NUMBER, NOTHING = str, int, type(None)
LEAF = {
    "v": (NUMBER,), "position": (NUMBER,), "recorded_at": (NUMBER,), "occurred_at": (NUMBER,),
    "topic": (TEXT,), "stream": (TEXT,), "source": (TEXT,), "id": (TEXT,),
    "actor": (TEXT, NOTHING), "exam": (TEXT, NOTHING), "key": (TEXT, NOTHING),
    "flag": (NUMBER, NOTHING), "until": (NUMBER, NOTHING), "annuls": (NUMBER, NOTHING),
    "data_sha256": (TEXT,),
}  # fmt: skip
LEAVES = (LEAF, {**LEAF, "extensions_sha256": (TEXT,)})
"""The members of a leaf record of version 1 and 2, in order, and their types."""

ERASURE_MEMBERS = {
    "log": (TEXT,), "candidate": (TEXT,), "position": (NUMBER,), "reason": (TEXT, NOTHING),
    "actor": (TEXT, NOTHING), "at": (TEXT,),
    "erased": [{"position": (NUMBER,), "source": (TEXT,), "id": (TEXT,), "fields": [(TEXT,)]}],
    "key_backups": [{"at": (TEXT,), "until": (TEXT,)}],
}  # fmt: skip
"""The members of a statement of erasure, version 1, in order, and their types."""

MOST_BYTES = 16_000_000
"""No key, checkpoint or proof is larger: more is not read."""
_FEW_BYTES = 1 << 16

_DASH = "\N{EM DASH} "
_MOST_SIGNATURES = 64
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NAME = re.compile(r"[^\s+]+")
_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class ProofProblem(Exception):
    """What was handed in does not hold, or is no proof; str() is one sentence."""


# -- RFC 6962: hashes


def leaf_hash(entry: bytes) -> bytes:
    """Hash a leaf."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them."""
    return sha256(b"\1" + left + right).digest()


EMPTY_ROOT = sha256(b"").digest()


def root_by_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Compute the root that an inclusion path leads to (RFC 9162, 2.1.3.2).

    `index` counts from 0. Raises ProofProblem when the path cannot be that of the index and size.
    """
    if not 0 <= index < size:
        raise ProofProblem(f"index {index} lies outside a log of {size} events")
    at, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ProofProblem("the inclusion proof has too many hashes")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofProblem("the inclusion proof has too few hashes")
    return node


def check_consistency(
    old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]
) -> None:
    """Check that one tree is the beginning of another (RFC 9162, 2.1.4.2).

    Raises ProofProblem when it is not, or when the path does not show it.
    """
    if old_size > size:
        raise ProofProblem(f"a log of {size} events cannot continue one of {old_size}")
    if old_size in (0, size):
        if path:
            raise ProofProblem("the consistency proof has too many hashes")
        if (old_size == 0 and old_root != EMPTY_ROOT) or (old_size == size and old_root != root):
            raise ProofProblem(f"two different logs of {old_size} events: the log was forked")
        return
    hashes = list(path)
    if old_size & (old_size - 1) == 0:
        hashes.insert(0, old_root)
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    if not hashes:
        raise ProofProblem("the consistency proof has too few hashes")
    old = new = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            raise ProofProblem("the consistency proof has too many hashes")
        if at & 1 or at == last:
            old, new = node_hash(each, old), node_hash(each, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, each)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofProblem("the consistency proof has too few hashes")
    if old != old_root or new != root:
        raise ProofProblem(
            f"the log of {size} events does not continue the one of {old_size}: what was in it "
            "was changed, or the log was forked"
        )


# -- c2sp.org/signed-note and c2sp.org/tlog-checkpoint


class VerifierKey(NamedTuple):
    """The public half of a log's key, and the name it signs under."""

    name: str
    id: bytes
    public: bytes

    def __str__(self) -> str:
        """Write it as a vkey."""
        public = base64.b64encode(bytes([ED25519]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{public}"


def key_id(name: str, public: bytes) -> bytes:
    """Compute the id of an Ed25519 key under a name."""
    return sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:4]


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key such as ``example.com/foo+530d903a+Aeky…``; raises ProofProblem."""
    match = _VKEY.fullmatch(text)
    if match is None:
        raise ProofProblem("a verifier key reads NAME+8 HEX DIGITS+BASE64")
    name, id, encoded = match.groups()
    raw = from_base64(encoded, "the verifier key")
    if len(raw) != 33 or raw[0] != ED25519:
        raise ProofProblem("the verifier key is not of type Ed25519")
    if key_id(name, raw[1:]).hex() != id:
        raise ProofProblem("the verifier key's id does not fit its name and key: it was mistyped")
    return VerifierKey(name, bytes.fromhex(id), raw[1:])


@lru_cache(4)  # whoever makes a proof reads a checkpoint, and again when it checks what it made
def open_note(note: bytes, key: VerifierKey, what: str = "the checkpoint") -> str:
    """Return the text of a note that the key signed; raises ProofProblem, which says of what."""
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise ProofProblem(f"{what} is not UTF-8") from None
    text, gap, signatures = whole.rpartition("\n\n")
    if not gap or not whole.endswith("\n") or _CONTROL.search(whole):
        raise ProofProblem(f"{what} is no signed note")
    text += "\n"
    lines = signatures[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise ProofProblem(f"{what} has more than {_MOST_SIGNATURES} signatures")
    signed = False
    for line in lines:
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name):
            raise ProofProblem(f"{what} has a line among its signatures that is none")
        raw = from_base64(encoded, f"a signature of {what}")
        if len(raw) < 5:
            raise ProofProblem(f"a signature of {what} is cut off")
        if (name, raw[:4]) != (key.name, key.id):
            continue  # another's, such as a witness's
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], text.encode())
        except InvalidSignature:
            raise ProofProblem(
                f"the signature of {key.name} under {what} does not hold: {what} was changed after "
                "it was signed"
            ) from None
        signed = True
    if not signed:
        raise ProofProblem(f"{what} is not signed with the key {key.name}+{key.id.hex()}")
    return text


class Checkpoint(NamedTuple):
    """What a log signs: that it holds `size` events, and the root of the tree over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Write it as the text of a note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def open_checkpoint(note: bytes, key: VerifierKey) -> Checkpoint:
    """Read a signed checkpoint; raises ProofProblem unless the key signed it."""
    checkpoint = parse_checkpoint(open_note(note, key))
    if checkpoint.origin != key.name:
        raise ProofProblem(
            f"the checkpoint is of the log {checkpoint.origin}, the key of {key.name}"
        )
    return checkpoint


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; raises ProofProblem. Lines after the third are passed over."""
    origin, size, root, *rest = [*text.split("\n"), "", ""]
    if not origin or not _NUMBER.fullmatch(size) or "" in rest[:-3]:
        raise ProofProblem("the checkpoint does not read: origin, size, root")
    return Checkpoint(origin, int(size), hash_of(root, "the checkpoint's root"))


def from_base64(text: str, what: str) -> bytes:
    """Decode base64 that is written in the one right way; raises ProofProblem."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ProofProblem(f"{what} is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise ProofProblem(f"{what} is not base64 as it should be written")
    return raw


def hash_of(text: str, what: str) -> bytes:
    """Decode a hash; raises ProofProblem."""
    raw = from_base64(text, what)
    if len(raw) != 32:
        raise ProofProblem(f"{what} is not a SHA-256 hash")
    return raw


# -- the three kinds of proof


class Proved(NamedTuple):
    """What a proof shows."""

    checkpoint: Checkpoint
    trees: Sequence[tuple[int, bytes]]
    """The (size, root) of each tree that the checkpoint's continues; none of an event's proof."""
    leaf: dict[str, Any]
    """The leaf record of the event; empty of a consistency proof."""
    data: str
    """The event's data, as it is stored."""
    extensions: str = ""
    """The event's extension attributes, as they are stored; empty if it has none."""
    erasure: dict[str, Any] | None = None
    """What a certificate of erasure says; the leaf is that of its CandidateForgotten."""


def check_proof(proof: bytes, key: VerifierKey, kept: Checkpoint | None = None) -> Proved:
    """Check a proof file; raises ProofProblem, which names the position, when it does not hold.

    `kept` is a checkpoint of the reader's own, which the proof must fit.
    """
    try:
        lines = proof.decode().split("\n")
    except UnicodeDecodeError:
        raise ProofProblem("this is no proof: it is not UTF-8") from None
    if lines[0] in EVENT_PROOFS:
        proved = _check_event(lines, key)
    elif lines[0] == CONSISTENCY_PROOF:
        proved = _check_consistency(lines, key)
    elif lines[0] == ERASURE:
        proved = _check_erasure(lines, key)
    else:
        raise ProofProblem(
            f"this is no proof: its first line should be «{EVENT_PROOFS[0]}» or v2, "
            f"«{CONSISTENCY_PROOF}» or «{ERASURE}»"
        )
    if kept is not None:
        _check_kept(proved, kept)
    return proved


def _check_event(lines: list[str], key: VerifierKey) -> Proved:
    """A leaf record, what it commits to, an empty line, and a c2sp.org/tlog-proof.

    What it commits to is the event's data and, in version 2, its extension attributes.
    """
    version = EVENT_PROOFS.index(lines[0]) + 1
    texts, rest = lines[2 : 2 + version], lines[2 + version :]
    if len(rest) < 3 or rest[:2] != ["", TLOG_PROOF]:
        raise ProofProblem(f"the proof is cut off: line {4 + version} should be «{TLOG_PROOF}»")
    leaf = _leaf(lines[1], version)
    where = f"position {leaf['position']}"
    for what, text in zip(("data", "extensions"), texts, strict=False):
        if sha256(text.encode()).hexdigest() != leaf[f"{what}_sha256"]:
            raise ProofProblem(f"{where}: the {what} is not the {what} that was recorded")
        if _members(text) is None:
            raise ProofProblem(f"{where}: the {what} is no JSON object, or names a member twice")
    word, _, index = rest[2].partition(" ")
    if word != "index" or not _NUMBER.fullmatch(index):
        raise ProofProblem(f"{where}: line {5 + version} should read «index» and a number")
    if int(index) != leaf["position"] - 1:
        raise ProofProblem(f"{where} is at index {leaf['position'] - 1} of the log, not at {index}")
    path, rest = _hashes(rest[3:], where)
    checkpoint = _signed(rest, key, where)
    try:
        root = root_by_inclusion(leaf_hash(lines[1].encode()), int(index), checkpoint.size, path)
    except ProofProblem as problem:
        raise ProofProblem(f"{where}: {problem}") from None
    if root != checkpoint.root:
        raise ProofProblem(
            f"{where}: this event is not in the log of {checkpoint.size} events that was signed: "
            "the record or the proof was changed"
        )
    return Proved(checkpoint, (), leaf, texts[0], extensions="".join(texts[1:]))


def _check_consistency(lines: list[str], key: VerifierKey) -> Proved:
    """Trees, each followed by its consistency proof to the next, then the signed one."""
    at = 1
    trees: list[tuple[int, bytes]] = []
    paths: list[list[bytes]] = []
    while lines[at : at + 1] and lines[at].startswith("tree "):
        words = lines[at].split(" ")
        if len(words) != 3 or not _NUMBER.fullmatch(words[1]):
            raise ProofProblem(f"line {at + 1} should read «tree», a size and a root")
        if trees and int(words[1]) <= trees[-1][0]:
            raise ProofProblem(f"the tree of line {at + 1} is no larger than the one before it")
        trees.append((int(words[1]), hash_of(words[2], f"the root of line {at + 1}")))
        path = []
        at += 1
        while lines[at : at + 1] and lines[at] and not lines[at].startswith("tree "):
            path.append(hash_of(lines[at], f"the hash of line {at + 1}"))
            at += 1
        paths.append(path)
    if not trees or lines[at : at + 1] != [""]:
        raise ProofProblem("the proof is cut off, or names no tree")
    checkpoint = _signed(lines[at + 1 :], key, f"tree {trees[-1][0]}")
    following = [*trees[1:], (checkpoint.size, checkpoint.root)]
    for tree, path, after in zip(trees, paths, following, strict=True):
        try:
            check_consistency(*tree, *after, path)
        except ProofProblem as problem:
            raise ProofProblem(f"from size {tree[0]} to {after[0]}: {problem}") from None
    return Proved(checkpoint, trees, {}, "")


def _check_erasure(lines: list[str], key: VerifierKey) -> Proved:
    """A statement as a signed note, an empty line, and the proof of its CandidateForgotten."""
    if len(lines) < 5 or lines[2] != "" or "" not in lines[3:]:
        raise ProofProblem("the certificate is cut off before the proof of its event")
    end = lines.index("", 3)
    note = "\n".join(lines[:end]) + "\n"
    open_note(note.encode(), key, "the statement")
    said = _members(lines[1])
    if said is None or not _fits(said, ERASURE_MEMBERS):
        raise ProofProblem("the second line is no statement of erasure of version 1")
    if "".join(lines[end + 1 : end + 2]) not in EVENT_PROOFS:
        raise ProofProblem(f"after the statement should come «{EVENT_PROOFS[0]}» or v2")
    proved = _check_event(lines[end + 1 :], key)
    leaf = proved.leaf
    if not leaf["topic"].startswith("CandidateForgotten:"):
        raise ProofProblem(
            f"position {leaf['position']}: the event proved is {leaf['topic']}, not the "
            "CandidateForgotten of the statement"
        )
    for what, stated, found in (
        ("position", said["position"], leaf["position"]),
        ("candidate", f"candidate/{said['candidate']}", leaf["stream"]),
        ("log", said["log"], proved.checkpoint.origin),
    ):
        if stated != found:
            raise ProofProblem(
                f"position {leaf['position']}: the statement's {what} is not that of the event "
                "proved"
            )
    return proved._replace(erasure=said)


def _members(line: str) -> dict[str, Any] | None:
    """Read a JSON object; None if it is none, or names a member twice, at any depth."""
    try:
        members = json.loads(line, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object: of one member twice, readers do not agree which counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _fits(value: Any, shape: Any) -> bool:
    """Return whether a value is of the types named, with just these members, in this order.

    A dict stands for an object, a list for an array of such values. `True` is no number.
    """
    if isinstance(shape, tuple):
        return type(value) in shape
    if isinstance(shape, list):
        return type(value) is list and all(_fits(each, shape[0]) for each in value)
    return (
        type(value) is dict
        and tuple(value) == tuple(shape)
        and all(_fits(value[name], of) for name, of in shape.items())
    )


def _leaf(line: str, version: int) -> dict[str, Any]:
    leaf = _members(line)
    if leaf is None or not _fits(leaf, LEAVES[version - 1]) or leaf["v"] != version:
        raise ProofProblem(f"the second line is no leaf record of version {version}")
    return leaf


def _hashes(lines: list[str], where: str) -> tuple[list[bytes], list[str]]:
    if "" not in lines:
        raise ProofProblem(f"{where}: the proof is cut off before the checkpoint")
    end = lines.index("")
    path = [
        hash_of(line, f"{where}: hash {number} of the inclusion proof")
        for number, line in enumerate(lines[:end], 1)
    ]
    return path, lines[end + 1 :]


def _signed(lines: list[str], key: VerifierKey, where: str) -> Checkpoint:
    try:
        return open_checkpoint("\n".join(lines).encode(), key)
    except ProofProblem as problem:
        raise ProofProblem(f"{where}: {problem}") from None


def _check_kept(proved: Proved, kept: Checkpoint) -> None:
    known = [*proved.trees, (proved.checkpoint.size, proved.checkpoint.root)]
    roots = [root for size, root in known if size == kept.size]
    if not roots:
        raise ProofProblem(
            f"the checkpoint you kept is of {kept.size} events, and the proof says nothing of that "
            f"size (only of {', '.join(str(size) for size, _ in known)}): ask for a consistency "
            "proof from yours"
        )
    if any(root != kept.root for root in roots):
        raise ProofProblem(
            f"the log of {kept.size} events is not the one of the checkpoint you kept: it was "
            "forked or rewritten"
        )


# -- what is shown


def shown(proved: Proved) -> str:
    """Return what a proof shows, for people."""
    checkpoint = proved.checkpoint
    root = base64.b64encode(checkpoint.root).decode()
    log = [("log", checkpoint.origin), ("of size", f"{checkpoint.size:,}"), ("with root", root)]
    if proved.trees:
        sizes = " → ".join(f"{size:,}" for size in (*(s for s, _ in proved.trees), checkpoint.size))
        return _table([("continues", sizes), *log])
    if proved.erasure is not None:
        return _table([*_erasure_rows(proved.erasure), *log])
    leaf = proved.leaf
    type_, _, version = leaf["topic"].partition(":")
    rows = [
        ("position", f"{leaf['position']:,}"),
        ("recorded", _instant(leaf["recorded_at"])),
        ("true from", _instant(leaf["occurred_at"])),
        ("event", f"{type_}, schema {version}"),
        ("about", leaf["stream"].replace("/", " ", 1)),
        ("source", leaf["source"]),
        ("id", leaf["id"]),
        ("actor", "-" if leaf["actor"] is None else leaf["actor"]),
        ("data", proved.data),
    ]
    rows += [("extensions", proved.extensions)] if proved.extensions else []
    return _table([*rows, *log])


def signed_by(key: VerifierKey) -> str:
    """Name the key by which a proof was found to hold."""
    return f"signed with the key {key.name}+{key.id.hex()}"


def _erasure_rows(said: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what a certificate of erasure says."""
    rows = [
        ("erased", f"what was personal of candidate {said['candidate']}"),
        ("position", f"{said['position']:,}"),
        ("at", said["at"]),
        ("reason", "-" if said["reason"] is None else said["reason"]),
        ("actor", "-" if said["actor"] is None else said["actor"]),
    ]
    for event in said["erased"]:
        fields = ", ".join(event["fields"])
        rows.append(("event", f"{event['position']:,}  {event['source']} {event['id']}: {fields}"))
    for backup in said["key_backups"]:
        rows.append(("key backup", f"of {backup['at']}, to be used before {backup['until']}"))
    return rows


def _table(rows: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name:<11}{_clean(value)}\n" for name, value in rows)


def _clean(text: str) -> str:
    """Show control characters instead of sending them to a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _instant(us: int) -> str:
    try:
        return f"{(datetime(1970, 1, 1) + timedelta(microseconds=us)).isoformat()}Z"  # noqa: DTZ001
    except (OverflowError, TypeError):
        return f"{us} microseconds"


def read_file(path: Path) -> bytes:
    """Read a key, a checkpoint or a proof; raises OSError, and ProofProblem if it is too large."""
    with path.open("rb") as file:
        content = file.read(_FEW_BYTES)  # all of it, nearly always; room for the most takes longer
        content += file.read(MOST_BYTES + 1 - len(content)) if len(content) == _FEW_BYTES else b""
    if len(content) > MOST_BYTES:
        raise ProofProblem(f"{path} is larger than 16 MB: no key, checkpoint or proof is")
    return content


def read_key(text: str) -> VerifierKey:
    """Read a verifier key, or the file that holds one (its last line); raises ProofProblem."""
    if _VKEY.fullmatch(text) is None and Path(text).is_file():
        try:
            lines = read_file(Path(text)).decode().split()
        except (OSError, UnicodeDecodeError):
            lines = []
        if not lines:
            raise ProofProblem(f"{text} holds no verifier key")
        text = lines[-1]
    return parse_vkey(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the proof that is named; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="verify_proof.py", description="Check a proof of the attempt ledger."
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="what `prove` or `forget` wrote")
    parser.add_argument("--key", metavar="VKEY", required=True, help="the key, or its file")
    parser.add_argument("--against", metavar="CHECKPOINT-FILE", type=Path, help="one you kept")
    call = parser.parse_args(arguments)
    where, code = "--key", 2
    try:
        key = read_key(call.key)
        where = "the call"
        proof = read_file(call.file)
        note = None if call.against is None else read_file(call.against)
        where, code = f"{call.against} does not hold", 1
        kept = None if note is None else open_checkpoint(note, key)
        where = f"{call.file} does not hold"
        proved = check_proof(proof, key, kept)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except ProofProblem as problem:
        print(f"{where}: {_clean(str(problem))}", file=sys.stderr)
        return code
    print(f"{call.file} holds: {signed_by(key)}\n\n{shown(proved)}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
