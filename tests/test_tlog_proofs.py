"""What is signed is read in one way alone: whatever readers might read differently is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ledger_facts import attempted
from sealed_ledger import key_in, meddle, opened, place_in, said, sealed, verified

from ledger.tlog.note import SigningKey
from ledger.tlog.proof import prove_event
from ledger.tlog.verify_proof import (
    ERASURE,
    EVENT_PROOFS,
    MOST_BYTES,
    TLOG_PROOF,
    Checkpoint,
    ProofProblem,
    check_proof,
    leaf_hash,
    main,
    read_file,
    shown,
)

KEY = SigningKey("attempt-ledger/0f63", bytes(range(32)))
DATA = '{"exam":"AZ-104","registration_id":"R-77"}'
FORGOTTEN = "CandidateForgotten:1"


def leaf(data: str = DATA, **changes: Any) -> dict[str, Any]:
    """Return the members of a leaf record; a change replaces one."""
    return {
        "v": 1, "position": 1, "recorded_at": 1, "occurred_at": 1, "topic": "ExamPassed:1",
        "stream": "candidate/C-1", "source": "urn:vue", "id": "R-77/result", "actor": None,
        "exam": "AZ-104", "key": "R-77", "flag": None, "until": None, "annuls": None,
        "data_sha256": sha256(data.encode()).hexdigest(), **changes,
    }  # fmt: skip


def line(members: Any) -> str:
    return json.dumps(members, separators=(",", ":"))


def proof_of(record: str, data: str = DATA) -> bytes:
    """Return the proof of a log of one event, well signed, whatever its record says."""
    checkpoint = Checkpoint(KEY.verifier.name, 1, leaf_hash(record.encode()))
    note = KEY.sign_checkpoint(checkpoint).decode()
    return "\n".join([EVENT_PROOFS[0], record, data, "", TLOG_PROOF, "index 0", "", note]).encode()


MORE = '{"traceparent":"00-4b"}'


def proof_with(record: str, more: str = MORE, header: str = EVENT_PROOFS[1]) -> bytes:
    """Return the proof of a log of one event with extension attributes, well signed."""
    lines = proof_of(record).decode().split("\n")
    return "\n".join([header, record, DATA, more, *lines[3:]]).encode()


def leaf_with(more: str = MORE, **changes: Any) -> str:
    return line({**leaf(v=2), "extensions_sha256": sha256(more.encode()).hexdigest(), **changes})


def test_a_proof_of_an_event_with_extension_attributes_holds_and_shows_them() -> None:
    """As version 2 of proof and leaf, both; one without stays version 1."""
    proved = check_proof(proof_with(leaf_with()), KEY.verifier)
    assert proved.extensions == MORE
    assert f"extensions {MORE}\n" in shown(proved)
    assert "extensions" not in shown(check_proof(proof_of(line(leaf())), KEY.verifier))


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (proof_with(leaf_with(), MORE.replace("4b", "4c")), "the extensions is not"),
        (proof_with(leaf_with('{"a":"1","a":"2"}'), '{"a":"1","a":"2"}'), "names a member twice"),
        (proof_with(leaf_with("[]"), "[]"), "no JSON object"),
        (proof_with(leaf_with(v=1)), "no leaf record of version 2"),
        (proof_with(line(leaf(v=2))), "no leaf record of version 2"),
        (proof_with(leaf_with(), header=EVENT_PROOFS[0]), "cut off"),
        (proof_of(leaf_with()), "no leaf record of version 1"),
    ],
)
def test_a_proof_of_extension_attributes_that_does_not_fit_is_refused(
    proof: bytes, why: str
) -> None:
    """Text, record and version must agree."""
    with pytest.raises(ProofProblem, match=why):
        check_proof(proof, KEY.verifier)


def certificate_of(statement: str) -> bytes:
    """Return a certificate, well signed, whatever its statement says."""
    note = KEY.sign(f"{ERASURE}\n{statement}\n").decode()
    proof = proof_of(line(leaf("{}", topic=FORGOTTEN)), "{}").decode()
    return f"{note}\n{proof}".encode()


def statement(**changes: Any) -> dict[str, Any]:
    """Return the members of a statement of erasure; a change replaces one."""
    return {
        "log": KEY.verifier.name, "candidate": "C-1", "position": 1, "reason": "ticket",
        "actor": None, "at": "2022-06-01T12:00:00Z",
        "erased": [{"position": 1, "source": "urn:desk", "id": "Q-1", "fields": ["email"]}],
        "key_backups": [{"at": "2022-06-01T12:00:00Z", "until": "2022-07-01T12:00:00Z"}],
        **changes,
    }  # fmt: skip


def test_what_this_file_makes_holds() -> None:
    """Before anything is changed in it."""
    assert check_proof(proof_of(line(leaf())), KEY.verifier).leaf["id"] == "R-77/result"
    assert check_proof(certificate_of(line(statement())), KEY.verifier).erasure == statement()


@pytest.mark.parametrize(
    "record",
    [
        line(leaf()).replace('"position":1', '"position":2,"position":1'),
        line(leaf()).replace('"id":', '"id":"R-1/result","id":'),
        *(
            line(leaf(**{name: value}))
            for name, value in [
                ("v", 1.0), ("v", True), ("position", True), ("position", 1.0), ("position", "1"),
                ("recorded_at", None), ("occurred_at", "2021"), ("topic", 1), ("stream", None),
                ("source", []), ("id", {}), ("actor", 1), ("exam", False), ("key", ["R-77"]),
                ("flag", True), ("flag", 1.5), ("until", "never"), ("annuls", {}),
                ("data_sha256", None),
            ]
        ),
        line(leaf()).replace('"flag":null', '"flag":NaN'),
        line({**leaf(), "more": 1}),
        line([leaf()]),
    ],
)  # fmt: skip
def test_a_leaf_that_could_be_read_in_two_ways_is_refused(record: str) -> None:
    """Though it is signed: a member that stands twice, or is of another type."""
    with pytest.raises(ProofProblem, match="no leaf record"):
        check_proof(proof_of(record), KEY.verifier)


@pytest.mark.parametrize(
    "data",
    ['{"exam":"AZ-104","exam":"AZ-900"}', '{"a":{"b":1,"b":2}}', "[]", "1", "", "{", '{"a":NaN}'],
)
def test_data_that_could_be_read_in_two_ways_is_refused(data: str) -> None:
    """At any depth."""
    with pytest.raises(ProofProblem, match="no JSON object, or names a member twice"):
        check_proof(proof_of(line(leaf(data)), data), KEY.verifier)


@pytest.mark.parametrize(
    "said",
    [
        line(statement()).replace('"reason":"ticket"', '"reason":"x","reason":"ticket"'),
        line(statement()).replace('"id":"Q-1"', '"id":"Q-2","id":"Q-1"'),
        *(
            line(statement(**{name: value}))
            for name, value in [
                ("log", None), ("candidate", 1), ("position", True), ("reason", ["ticket"]),
                ("actor", {}), ("at", 1), ("erased", {}), ("erased", [[]]), ("erased", None),
                ("erased", [{"position": "1", "source": "s", "id": "i", "fields": []}]),
                ("erased", [{"position": 1, "source": "s", "id": "i", "fields": "email"}]),
                ("erased", [{"position": 1, "source": "s", "id": "i", "fields": [1]}]),
                ("key_backups", [{"at": "x"}]), ("key_backups", "none"),
            ]
        ),
    ],
)  # fmt: skip
def test_a_statement_that_could_be_read_in_two_ways_is_refused(said: str) -> None:
    """Though it is signed; also within the events and backups that it lists."""
    with pytest.raises(ProofProblem, match="no statement of erasure"):
        check_proof(certificate_of(said), KEY.verifier)


def test_no_more_than_16_megabytes_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a key, a checkpoint or a proof: one sentence, whatever was put there."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ProofProblem, match="larger than 16 MB"):
        read_file(large)
    small = tmp_path / "small"
    small.write_bytes(proof_of(line(leaf())))
    for words in (
        [str(large), "--key", str(KEY.verifier)],
        [str(small), "--key", str(large)],
        [str(small), "--key", str(KEY.verifier), "--against", str(large)],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err.endswith(
            f"{large} is larger than 16 MB: no key, checkpoint or proof is\n"
        )


def test_an_event_with_extension_attributes_is_proved_from_the_ledger(tmp_path: Path) -> None:
    """Made by the program, checked by the one file; a changed attribute is named by `verify`."""
    with opened(tmp_path) as ledger:
        fact = attempted(1)._replace(extensions='{"traceparent":"00-4b"}')
        ledger.append([fact, attempted(2)])
        sealed(ledger)
        first, second = ledger.read()
    paths, key = place_in(tmp_path), key_in(tmp_path)
    proof = prove_event(paths, key, first)
    assert proof.startswith(b"attempt-ledger proof v2\n")
    assert check_proof(proof, key).extensions == fact.extensions
    assert prove_event(paths, key, second).startswith(b"attempt-ledger proof v1\n")
    for at in range(len(proof) - 1):
        with pytest.raises(ProofProblem):
            check_proof(proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :], key)
    meddle("UPDATE events SET extensions = NULL WHERE position = 1")(tmp_path)
    assert said(verified(tmp_path, full=True)) == [
        "position 1 was changed after it was sealed, or another event was put in its place"
    ]
