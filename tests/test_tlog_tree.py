"""The tree and its formats: known vectors, another implementation, a naive reading of the RFC."""

from __future__ import annotations

import base64
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.durable import replace_all
from ledger.tlog import merkle
from ledger.tlog.note import SigningKey
from ledger.tlog.tiles import TileMissing, Tiles, Tree, split, tile_name, width_in
from ledger.tlog.verify_proof import (
    EMPTY_ROOT,
    ProofProblem,
    check_consistency,
    key_id,
    leaf_hash,
    node_hash,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_vkey,
    root_by_inclusion,
)

# The leaves and roots that implementations of RFC 6962 have tested one another with from the start.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657",
          "606162636465666768696a6b6c6d6e6f"]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(each)) for each in INPUTS]


def nodes_of(leaves: list[bytes]) -> merkle.Nodes:
    """Return the nodes of a small tree."""
    return lambda level, index: merkle.top(leaves[index << level : (index + 1) << level])


# -- RFC 6962, section 2.1, as it reads: slow, and plainly right


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(size: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """PROOF, by SUBPROOF."""
    if size == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if size <= k:
        return [*naive_proof(size, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_proof(size - k, leaves[k:], False), naive_root(leaves[:k])]


def naive_split(size: int) -> int:
    """The largest power of two smaller than the size."""
    return max(1 << bit for bit in range(size.bit_length()) if 1 << bit < size)


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_the_known_ones(size: int) -> None:
    """Of the known leaves, at every size, the empty tree's too."""
    assert merkle.root(size, nodes_of(LEAVES)).hex() == ROOTS[size]
    assert EMPTY_ROOT.hex() == ROOTS[0]


def test_the_known_inclusion_proofs_come_out() -> None:
    """RFC 6962 2.1.3: the paths of the tree of seven leaves."""
    seven = nodes_of(LEAVES[:7])
    a, b, _, d, _, f, j = LEAVES[:7]
    g, h, i = (node_hash(*LEAVES[at : at + 2]) for at in (0, 2, 4))
    k, last = node_hash(g, h), node_hash(i, j)
    assert merkle.inclusion_path(0, 7, seven) == [b, h, last]
    assert merkle.inclusion_path(3, 7, seven) == [LEAVES[2], g, last]
    assert merkle.inclusion_path(4, 7, seven) == [f, j, k]
    assert merkle.inclusion_path(6, 7, seven) == [i, k]
    assert merkle.consistency_path(3, 7, seven) == [LEAVES[2], d, g, last]
    assert merkle.consistency_path(4, 7, seven) == [last]
    assert merkle.consistency_path(6, 7, seven) == [i, j, k]
    assert a == LEAVES[0]


@given(st.integers(1, 70), st.data())
def test_proofs_are_those_of_the_rfc_and_hold(size: int, data: st.DataObject) -> None:
    """Every index and every older size; the roots and paths of another implementation agree."""
    entries = [b"entry %d" % number for number in range(size)]
    leaves = [leaf_hash(entry) for entry in entries]
    nodes = nodes_of(leaves)
    root = merkle.root(size, nodes)
    other = InmemoryTree(algorithm="sha256")
    for entry in entries:
        other.append_entry(entry)
    assert root == naive_root(leaves) == other.get_root()

    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size, nodes)
    assert path == naive_path(index, leaves)
    assert [leaves[index], *path] == list(other.prove_inclusion(index + 1, size).path)
    assert root_by_inclusion(leaves[index], index, size, path) == root

    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_path(old, size, nodes)
    assert proof == naive_proof(old, leaves)
    check_consistency(old, naive_root(leaves[:old]), size, root, proof)


@given(st.integers(2, 40), st.data())
def test_a_proof_of_anything_else_does_not_hold(size: int, data: st.DataObject) -> None:
    """Another leaf, index, size or hash, one hash more or less: refused or another root."""
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    nodes = nodes_of(leaves)
    root = merkle.root(size, nodes)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size, nodes)
    at = data.draw(st.integers(0, len(path) - 1))
    spoilt = [*path[:at], bytes(32), *path[at + 1 :]]
    for leaf, i, n, p in (
        (leaves[index - 1], index, size, path),
        (leaves[index], (index + 1) % size, size, path),
        (leaves[index], index, size, spoilt),
        (leaves[index], index, size, [*path, root]),
        (leaves[index], index, size, path[:-1]),
        (leaves[index], size, size, path),
    ):
        with suppress(ProofProblem):
            assert root_by_inclusion(leaf, i, n, p) != root
    old = data.draw(st.integers(1, size - 1))
    proof = merkle.consistency_path(old, size, nodes)
    before = merkle.root(old, nodes)
    for m, then, now, p in (
        (old, root, root, proof),
        (old, before, before, proof),
        (old, before, root, proof[:-1]),
        (old, before, root, [*proof, root]),
        (size, before, root, []),
        (size + 1, root, root, []),
        (0, before, root, []),
    ):
        with pytest.raises(ProofProblem):
            check_consistency(m, then, size, now, p)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 255))
def test_a_tree_that_grew_has_the_root_of_all_its_leaves(begin: int, tiles: int, rest: int) -> None:
    """Nodes over new tiles, leaves after them, and what was there before fit together."""
    size = (begin + tiles) * 256 + rest
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    nodes = nodes_of(leaves)
    tops = [nodes(8, number) for number in range(begin, begin + tiles)]
    grown = merkle.grown(begin, tops, leaves[(begin + tiles) * 256 :], nodes)
    assert merkle.root(size, grown) == merkle.root(size, nodes)


# -- tiles


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        ((0, 1), "tile/0/001"),
        ((0, 1, 5), "tile/0/001.p/5"),
        ((0, 999), "tile/0/999"),
        ((0, 1000), "tile/0/x001/000"),
        ((0, 1234067), "tile/0/x001/x234/067"),
        ((5, 123456078), "tile/5/x123/x456/078"),
        ((5, 123456078, 2), "tile/5/x123/x456/078.p/2"),
        ((1, 3057500), "tile/1/x003/x057/500"),
    ],
)
def test_tiles_have_the_names_of_the_specification(tile: tuple[int, ...], name: str) -> None:
    """c2sp.org/tlog-tiles, and the cases of golang.org/x/mod/sumdb/tlog."""
    assert tile_name(*tile) == name


def test_a_tree_of_70000_has_the_tiles_of_the_specification() -> None:
    """273 full ones and one of 112 at level 0; a full one and one of 17 above; one of 1 above."""
    widths = [
        [width_in(70_000, level, index) for index in range(400) if width_in(70_000, level, index)]
        for level in range(4)
    ]
    assert widths == [[256] * 273 + [112], [256, 17], [1], []]
    assert [width_in(256, level, 0) for level in range(3)] == [256, 1, 0]


def tiles_of(folder: Path, leaves: list[bytes]) -> Tiles:
    """Write the tiles of a tree, each by its definition."""
    tiles = Tiles(folder)
    files = {}
    level, hashes = 0, leaves
    while hashes:
        for index in range(-(-len(hashes) // 256)):
            tile = hashes[index * 256 : (index + 1) * 256]
            files[tiles.path(level, index, len(tile))] = b"".join(tile)
        full = len(hashes) // 256
        hashes = [naive_root(hashes[at * 256 : (at + 1) * 256]) for at in range(full)]
        level += 1
    replace_all(files)
    return tiles


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 600, 1027])
def test_a_tree_is_read_from_its_tiles(tmp_path: Path, size: int) -> None:
    """Root, leaves and proofs, with full tiles and partial ones."""
    leaves = [leaf_hash(b"%d" % number) for number in range(size)]
    tree = Tree(tiles_of(tmp_path, leaves), size)
    nodes = nodes_of(leaves)
    assert tree.root() == merkle.root(size, nodes)
    for position in {1, size // 2 + 1, size}:
        assert tree.leaf(position) == leaves[position - 1]
        assert tree.inclusion_path(position) == merkle.inclusion_path(position - 1, size, nodes)
        assert tree.root_at(position) == merkle.root(position, nodes)
        assert tree.consistency_path(position) == merkle.consistency_path(position, size, nodes)


def test_a_tile_that_is_missing_or_cut_off_is_said(tmp_path: Path) -> None:
    """By its name; a full tile serves where a partial one was asked for."""
    tiles = tiles_of(tmp_path, [leaf_hash(b"%d" % number) for number in range(300)])
    assert len(split(tiles.read(0, 0, 17))) == 17
    with pytest.raises(TileMissing, match=r"tile/0/001\.p/45"):
        tiles.read(0, 1, 45)
    path = tiles.path(0, 1, 44)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TileMissing, match="cut off"):
        tiles.read(0, 1, 44)
    with pytest.raises(TileMissing):
        Tree(tiles, 300).root()


# -- signed notes: the vectors of golang.org/x/mod/sumdb/note and of c2sp.org

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)
ANOTHERS = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WW"
    "d1RvMc+QQ=\n"
)
EXAMPLE_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONnc"
    "AlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def test_a_note_is_signed_as_others_sign_it() -> None:
    """The same key and text give the same note, byte for byte."""
    key = SigningKey.parse(SKEY)
    assert str(key.verifier) == VKEY
    assert key.to_text() == SKEY
    assert key.sign(TEXT).decode() == f"{TEXT}\n{SIGNATURE}"


@pytest.mark.parametrize(
    ("vkey", "note", "text"),
    [
        (VKEY, f"{TEXT}\n{SIGNATURE}", TEXT),
        (VKEY, f"{TEXT}\n{SIGNATURE}{ANOTHERS}", TEXT),
        (VKEY, f"{TEXT}\n{ANOTHERS}{SIGNATURE}", TEXT),
        (EXAMPLE_VKEY, EXAMPLE, "This is an example message.\n"),
    ],
)
def test_notes_of_others_open(vkey: str, note: str, text: str) -> None:
    """Signatures of keys we do not know are passed over."""
    assert str(parse_vkey(vkey)) == vkey
    assert open_note(note.encode(), parse_vkey(vkey)) == text


@pytest.mark.parametrize(
    ("note", "why"),
    [
        (f"{TEXT}\n{ANOTHERS}", "not signed with the key PeterNeumann"),
        (f"{TEXT}.\n\n{SIGNATURE}", "does not hold"),
        (f"{TEXT}\n{SIGNATURE[:-1]}", "no signed note"),
        (f"{TEXT}{SIGNATURE}", "no signed note"),
        (f"{TEXT}\r\n{SIGNATURE}", "no signed note"),
        (f"{TEXT}\n{SIGNATURE}\n", "among its signatures"),
        (f"{TEXT}\n{SIGNATURE}- x y\n", "among its signatures"),
        (f"{TEXT}\n{SIGNATURE}— x+y AAAAAAAA\n", "among its signatures"),
        (f"{TEXT}\n{SIGNATURE}— x AAAA\n", "cut off"),
        (f"{TEXT}\n{SIGNATURE}— x A===\n", "not base64"),
        (f"{TEXT}\n{SIGNATURE.replace('JnAM=', 'JnAN=')}", "as it should be written"),
        (f"{TEXT}\n{SIGNATURE}" + "— x AAAAAAAA\n" * 64, "more than 64"),
    ],
)
def test_what_is_no_note_of_the_key_is_refused(note: str, why: str) -> None:
    """With a sentence of its own."""
    with pytest.raises(ProofProblem, match=why):
        open_note(note.encode(), parse_vkey(VKEY))
    with pytest.raises(ProofProblem, match="UTF-8"):
        open_note(note.encode() + b"\xff", parse_vkey(VKEY))


def test_a_mangled_verifier_key_is_refused() -> None:
    """Every piece of one, and one with any character changed; a wrong length and algorithm too."""
    pieces = {VKEY[i:j] for i in range(len(VKEY) + 1) for j in range(i, len(VKEY) + 1)} - {VKEY}
    changed = {f"{VKEY[:i]}{chr(ord(VKEY[i]) + 1)}{VKEY[i + 1 :]}" for i in range(len(VKEY))}
    others = {
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    }
    for each in pieces | changed | others:
        with pytest.raises(ProofProblem):
            parse_vkey(each)


def test_a_mangled_signing_key_is_refused() -> None:
    """Every beginning of one, and one with any character changed."""
    changed = {f"{SKEY[:i]}{chr(ord(SKEY[i]) + 1)}{SKEY[i + 1 :]}" for i in range(len(SKEY))}
    for each in {SKEY[:i] for i in range(len(SKEY))} | changed:
        with pytest.raises(ProofProblem):
            SigningKey.parse(each)


# -- checkpoints

CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def test_a_checkpoint_is_read_as_the_specification_writes_it() -> None:
    """Origin, size, root; further lines are others' business."""
    read = parse_checkpoint(CHECKPOINT)
    assert read.origin == "example.com/behind-the-sofa"
    assert read.size == 20_852_163
    assert base64.b64encode(read.root) == b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert read.text() == CHECKPOINT
    assert parse_checkpoint(f"{CHECKPOINT}more\n") == read


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"\n{CHECKPOINT}",
        CHECKPOINT.replace("20852163", "020852163"),
        CHECKPOINT.replace("20852163", "-1"),
        CHECKPOINT.replace("20852163", "२"),
        CHECKPOINT.replace("CsUY", "CsU"),
        CHECKPOINT.replace("q2I=", "q2J="),
        CHECKPOINT.replace("q2I=", "q2I"),
        f"{CHECKPOINT}\nmore\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """No zeroes in front, no other digits, a whole hash, no empty line."""
    with pytest.raises(ProofProblem):
        parse_checkpoint(text)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    """The key signs for the log it is named after, and for no other."""
    key = SigningKey.parse(SKEY)
    with pytest.raises(ProofProblem, match=r"of the log example\.com/behind-the-sofa"):
        open_checkpoint(key.sign(CHECKPOINT), key.verifier)
    assert key_id("PeterNeumann", key.verifier.public) == key.verifier.id
