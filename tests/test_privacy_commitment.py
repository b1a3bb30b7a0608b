"""A value opens under one key, at one place, as one text: nobody can claim another."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from erasing import request
from hypothesis import given
from hypothesis import strategies as st
from ledger_facts import a_ledger

from ledger.ledger import Ledger
from ledger.privacy.cipher import Encryptor, associated_data, decrypt, opened, tag
from ledger.privacy.vault import UNREADABLE

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
PLACE = associated_data("C-1", "urn:vue", "Q-1", "email")
TEXT = st.text(st.characters(codec="utf-8"))
KEYS = st.binary(min_size=32, max_size=32)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with a_ledger(tmp_path) as ledger:
        yield ledger


@given(key=KEYS, text=TEXT, claimed_key=KEYS, claimed=TEXT)
def test_no_other_key_and_text_pass(
    key: bytes, text: str, claimed_key: bytes, claimed: str
) -> None:
    """Only its own: whoever claims another pair is told by the key, the text, or both."""
    sealed = Encryptor(key).encrypt(PLACE, text)
    assert decrypt(key, PLACE, sealed) == text
    if claimed_key != key:
        assert decrypt(claimed_key, PLACE, sealed) is None
        assert tag(claimed_key, PLACE, text) != sealed["hmac"]
    if claimed != text:
        assert tag(key, PLACE, claimed) != sealed["hmac"]
        # Nor does the ciphertext of one text go with the tag of another.
        assert (
            decrypt(key, PLACE, {**Encryptor(key).encrypt(PLACE, claimed), "hmac": sealed["hmac"]})
            is None
        )


@given(text=TEXT, index=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_changed_bit_passes(text: str, index: int, bit: int) -> None:
    """Of nonce, ciphertext, tag or HMAC."""
    sealed = Encryptor(KEY).encrypt(PLACE, text)
    raw = bytearray(base64.b64decode(sealed["ciphertext"]))
    raw[index % len(raw)] ^= 1 << bit
    changed = base64.b64encode(raw).decode()
    assert decrypt(KEY, PLACE, {**sealed, "ciphertext": changed}) is None
    tagged = bytearray.fromhex(sealed["hmac"])
    tagged[index % len(tagged)] ^= 1 << bit
    assert decrypt(KEY, PLACE, {**sealed, "hmac": tagged.hex()}) is None


@given(parts=st.lists(TEXT, min_size=8, max_size=8))
def test_no_two_places_and_texts_are_tagged_as_one(parts: list[str]) -> None:
    """A place says itself where it ends: no part of it can pass for the beginning of the text."""
    one, two = associated_data(*parts[:4]), associated_data(*parts[4:])
    assert json.loads(one) == parts[:4]
    assert (one == two) == (parts[:4] == parts[4:])
    assert one == two or not one.startswith(two)


def test_a_key_of_another_length_is_none() -> None:
    """HMAC fills a shorter key up with zeros: it would pass for a second one."""
    with pytest.raises(ValueError, match="a key has 32 bytes, not 31"):
        decrypt(KEY[:31], PLACE, Encryptor(KEY).encrypt(PLACE, "x"))


# -- a ciphertext made to open under two keys: AES-GCM alone cannot tell


def times(a: int, b: int) -> int:
    """Multiply in GHASH's field, as NIST SP 800-38D has it."""
    product = 0
    for bit in range(127, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (0xE1 << 120 if b & 1 else 0)
    return product


def inverse(a: int) -> int:
    """Return the element that `a` times it is one: a to the power 2^128 - 2."""
    result, square = 1 << 127, a
    for _ in range(127):
        square = times(square, square)
        result = times(result, square)
    return result


def block_cipher(key: bytes, block: bytes) -> int:
    """Encrypt one block."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block) + encryptor.finalize(), "big")


def of_two_keys(nonce: bytes, place: bytes) -> bytes:
    """Make one block and its tag that AES-GCM opens under KEY and OTHER alike."""
    padded = place + bytes(-len(place) % 16)
    lengths = (8 * len(place) << 64) | 8 * 16
    hashed: list[tuple[int, int]] = []  # of each key: H squared, and the tag without the block
    for key in (KEY, OTHER):
        h = block_cipher(key, bytes(16))
        y = 0
        for start in range(0, len(padded), 16):
            y = times(y ^ int.from_bytes(padded[start : start + 16], "big"), h)
        square = times(h, h)
        rest = times(y, square) ^ times(lengths, h)
        hashed.append((square, rest ^ block_cipher(key, nonce + (1).to_bytes(4, "big"))))
    (square, rest), (other_square, other_rest) = hashed
    block = times(rest ^ other_rest, inverse(square ^ other_square))
    return block.to_bytes(16, "big") + (times(block, square) ^ rest).to_bytes(16, "big")


def test_a_ciphertext_that_opens_under_two_keys_is_told_by_the_hmac() -> None:
    """Whichever of its two texts the maker tags, under whichever key, at most that one holds."""
    nonce = bytes(12)
    raw = of_two_keys(nonce, PLACE)
    texts = {key: AESGCM(key).decrypt(nonce, raw, PLACE) for key in (KEY, OTHER)}
    assert texts[KEY] != texts[OTHER]
    ciphertext = base64.b64encode(nonce + raw).decode()
    for key, text in texts.items():
        sealed = {"ciphertext": ciphertext, "hmac": tagged(key, text)}
        assert opened(KEY, PLACE, sealed) == texts[KEY]
        assert opened(OTHER, PLACE, sealed) == texts[OTHER]
        assert [each for each in texts if tagged(each, texts[each]) == sealed["hmac"]] == [key]
        assert decrypt(OTHER if key == KEY else KEY, PLACE, sealed) is None


def tagged(key: bytes, text: bytes, place: bytes = PLACE) -> str:
    """Tag bytes, as the maker of a ciphertext would, text or not."""
    return hmac.digest(key, place + text, "sha256").hex()


# -- what reveals looks at both


def test_a_value_whose_hmac_is_anothers_is_not_revealed(ledger: Ledger) -> None:
    """Though its ciphertext opens: it came in by an import, and was made by somebody else."""
    ledger.append([request()])
    (row,) = ledger.read()
    data = row.payload()
    data["email"] = {**data["email"], "hmac": data["first_name"]["hmac"]}
    assert ledger.vault.reveal(row._replace(data=json.dumps(data)))["email"] == UNREADABLE


def test_a_value_that_is_no_text_is_not_revealed(ledger: Ledger) -> None:
    """Encrypted and tagged with the key, by a program that is not this one."""
    ledger.append([request()])
    (row,) = ledger.read()
    key = ledger.vault.key(row.subject) or b""
    place = associated_data(row.subject, row.source, row.id, "email")
    raw = bytes(12) + AESGCM(key).encrypt(bytes(12), b"\xff\xfe", place)
    sealed = {
        "ciphertext": base64.b64encode(raw).decode(),
        "hmac": tagged(key, b"\xff\xfe", place),
    }
    data = {**row.payload(), "email": sealed}
    assert ledger.vault.reveal(row._replace(data=json.dumps(data)))["email"] == UNREADABLE
