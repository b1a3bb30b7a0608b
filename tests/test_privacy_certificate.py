"""A certificate of erasure says what was erased, and nothing else can be made of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from erasing import CLEAR, PERSONAL, WHO, erasure, forms, request
from ledger_facts import NOW, attempted
from sealed_ledger import append, history, key_in, opened, place_in, said_of_flips, sealed

from ledger.ledger import Ledger
from ledger.privacy.erasure import NothingRecorded, certificate, forget
from ledger.privacy.key_backups import back_up
from ledger.problems import NotSealed, SigningKeyProblem
from ledger.tlog import verify_proof
from ledger.tlog.note import SigningKey, read_signing_key
from ledger.tlog.proof import certify_erasure, prove_event
from ledger.tlog.verify_proof import (
    ERASURE_MEMBERS,
    ProofProblem,
    check_proof,
    open_checkpoint,
    shown,
)

DAY = 86_400_000_000
REASON = "ticket 4711, “as asked”"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed ledger in which WHO was forgotten at position 44; never changed."""
    folder = tmp_path_factory.mktemp("ledger")
    with opened(folder) as ledger:
        append(ledger, history(1, 40))
        ledger.append([request(1), attempted(99, candidate=WHO), request(2)])
        back_up(ledger, folder / "keys.backup", now=NOW, until=NOW + DAY)
        forget(ledger, WHO, reason=REASON, actor="desk", time=NOW + 5)
        ledger.append([erasure("C-1", "elsewhere/1")])
        sealed(ledger)
    return folder


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with opened(folder) as ledger:
        yield ledger


def certified(ledger: Ledger, candidate: str = WHO) -> bytes:
    """Return the certificate of a candidate."""
    return certificate(ledger, place_in(ledger.path.parent), candidate)


def test_it_says_what_was_erased_where_why_by_whom_and_when(ledger: Ledger, folder: Path) -> None:
    """And until when a backup of the keys may be used that was made before."""
    proved = check_proof(certified(ledger), key_in(folder))
    assert proved.erasure == {
        "log": key_in(folder).name,
        "candidate": WHO,
        "position": 44,
        "reason": REASON,
        "actor": "desk",
        "at": "2021-04-01T00:00:00.000005Z",
        "erased": [
            {"position": 41, "source": "urn:vue", "id": "Q-1", "fields": list(PERSONAL)},
            {"position": 43, "source": "urn:vue", "id": "Q-2", "fields": list(PERSONAL)},
        ],
        "key_backups": [{"at": "2021-04-01T00:00:00Z", "until": "2021-04-02T00:00:00Z"}],
    }
    assert proved.leaf["position"] == 44
    assert proved.leaf["topic"] == "CandidateForgotten:1"
    assert proved.checkpoint.size == 45


def test_nothing_personal_is_in_it(ledger: Ledger) -> None:
    """Not even as ciphertext: only the names of the fields."""
    text = certified(ledger)
    assert b"ciphertext" not in text
    for value in CLEAR.values():
        assert not any(form in text for form in forms(value))


def test_it_is_shown_to_people(ledger: Ledger, folder: Path) -> None:
    """Event by event, and the log that proves it."""
    said = shown(check_proof(certified(ledger), key_in(folder)))
    assert f"erased     what was personal of candidate {WHO}\nposition   44\n" in said
    assert "event      43  urn:vue Q-2: first_name, last_name, email, description\n" in said
    assert f"reason     {REASON}\n" in said
    assert "key backup of 2021-04-01T00:00:00Z, to be used before 2021-04-02T00:00:00Z\n" in said
    assert "of size    45\n" in said


def test_the_one_file_that_auditors_have_checks_it_alone(
    ledger: Ledger, folder: Path, tmp_path: Path
) -> None:
    """With the verifier key, and a checkpoint that was kept."""
    (tmp_path / "c.erasure").write_bytes(certified(ledger))
    (tmp_path / "log.vkey").write_text(f"{key_in(folder)}\n")
    (tmp_path / "kept").write_bytes(place_in(folder).checkpoint.read_bytes())
    words = ["c.erasure", "--key", "log.vkey", "--against", "kept"]
    done = subprocess.run(
        [sys.executable, "-I", verify_proof.__file__, *words],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n\nerased     what was personal of" in done.stdout


def test_an_erasure_that_came_by_an_import_has_no_reason(ledger: Ledger, folder: Path) -> None:
    """It was given elsewhere; who recorded the event, and when, is known."""
    said = check_proof(certified(ledger, "C-1"), key_in(folder)).erasure
    assert said is not None
    assert (said["position"], said["reason"], said["actor"]) == (45, None, "results-feed")
    assert all(event["fields"] == list(PERSONAL) for event in said["erased"])


def test_who_was_not_forgotten_has_none(ledger: Ledger) -> None:
    """Nor has who is unknown."""
    for candidate in ("C-2", "nobody"):
        with pytest.raises(NothingRecorded, match="was not forgotten: there is nothing to certify"):
            certified(ledger, candidate)


def test_what_is_not_sealed_is_not_certified(tmp_path: Path) -> None:
    """The proof of the event is a part of it; without the signing key there is none either."""
    with opened(tmp_path) as ledger:
        ledger.append([request(1)])
        sealed(ledger)
        forget(ledger, WHO, reason=REASON, actor="desk", time=NOW)
        with pytest.raises(NotSealed, match="position 2 is not sealed yet"):
            certified(ledger)
        sealed(ledger)
        assert check_proof(certified(ledger), key_in(tmp_path)).erasure
        place_in(tmp_path).key.unlink()
        with pytest.raises(SigningKeyProblem, match="there is no signing key"):
            certified(ledger)


# -- attacks


def test_every_byte_flipped_is_found(ledger: Ledger, folder: Path) -> None:
    """Each bit of each byte: statement, signatures, proof, checkpoint and what stands between."""
    key = key_in(folder)
    text = certified(ledger)
    sentences = said_of_flips(text, key)
    for words in (
        "its first line should be",
        "the signature of",
        "the statement is not signed with the key",
        "the certificate is cut off",
        "after the statement should come «attempt-ledger proof v1»",
        "position 44: this event is not in the log of 45 events that was signed",
        "position 44: the checkpoint is not signed with the key",
    ):
        assert any(words in each for each in sentences), words


def test_it_cut_off_anywhere_or_longer_is_found(ledger: Ledger, folder: Path) -> None:
    """No beginning of it is one, nor is it with more at its end."""
    key = key_in(folder)
    text = certified(ledger)
    for length in range(len(text)):
        with pytest.raises(ProofProblem):
            check_proof(text[:length], key)
    for more in (b"\n", b" ", b"x", text):
        with pytest.raises(ProofProblem):
            check_proof(text + more, key)


def test_its_lines_otherwise_are_found(ledger: Ledger, folder: Path) -> None:
    """A line left out, twice, exchanged with the next, or nonsense: one sentence."""
    key = key_in(folder)
    text = certified(ledger)
    lines = text.split(b"\n")
    signatures = (3, len(lines) - 2)
    for n, line in enumerate(lines[:-1]):
        for other in ([], [line, line], [b""], [b"x"], [b"[" * 100_000], [b"{}"], [b"\xff"]):
            changed = b"\n".join([*lines[:n], *other, *lines[n + 1 :]])
            signed_twice = other == [line, line] and n in signatures  # says no more
            if changed != text and not signed_twice:
                with pytest.raises(ProofProblem):
                    check_proof(changed, key)
        if lines[n + 1] != line:
            swapped = [*lines[:n], lines[n + 1], line, *lines[n + 2 :]]
            with pytest.raises(ProofProblem):
                check_proof(b"\n".join(swapped), key)


def test_a_statement_does_not_go_with_the_proof_of_another_event(
    ledger: Ledger, folder: Path
) -> None:
    """Of another candidate's erasure, of an event that is none, of another log."""
    key = key_in(folder)
    own, other = certified(ledger), certified(ledger, "C-1")
    statement, _, _ = own.partition(b"\n\nattempt-ledger proof")
    _, _, proof = other.partition(b"\n\n\xe2\x80\x94")
    _, _, proof = proof.partition(b"\n\n")
    with pytest.raises(ProofProblem, match="the statement's position is not that of the event"):
        check_proof(statement + b"\n\n" + proof, key)
    (event,) = ledger.read(40, 41)
    request_proof = prove_event(place_in(folder), key, event)
    with pytest.raises(ProofProblem, match="is ExceptionRequested:1, not the CandidateForgotten"):
        check_proof(statement + b"\n\n" + request_proof, key)
    with pytest.raises(ProofProblem, match="not signed with the key"):
        check_proof(own, SigningKey.generate(key.name).verifier)


@pytest.mark.parametrize(
    ("name", "value"),
    [("candidate", "C-2"), ("position", 45), ("log", "attempt-ledger/another")],
)
def test_a_statement_that_is_signed_and_not_of_its_event_is_found(
    ledger: Ledger, folder: Path, name: str, value: object
) -> None:
    """The owner's own mistake, or worse: the two halves must say the same."""
    place = place_in(folder)
    (event,) = ledger.read(43, 44)
    said = {**json.loads(certified(ledger).split(b"\n")[1]), name: value}
    with pytest.raises(Exception, match=f"the statement's {name} is not that of the event"):
        certify_erasure(place, read_signing_key(place.key), said, event)


def test_a_statement_is_no_checkpoint_and_a_checkpoint_no_statement(
    ledger: Ledger, folder: Path
) -> None:
    """One key signs both: neither passes for the other."""
    key = key_in(folder)
    text = certified(ledger)
    statement, _, rest = text.partition(b"\n\nattempt-ledger proof")
    with pytest.raises(ProofProblem, match="the checkpoint does not read"):
        open_checkpoint(statement + b"\n", key)
    note = place_in(folder).checkpoint.read_bytes()
    with pytest.raises(ProofProblem, match="its first line should be"):
        check_proof(note + b"\nattempt-ledger proof" + rest, key)


def test_the_members_of_a_statement_are_those_of_the_page() -> None:
    """In their order."""
    page = (Path(__file__).parents[1] / "docs/erasure.md").read_text("utf-8")
    shown = json.loads(page.split("```json\n")[1].split("\n```")[0])
    assert tuple(shown) == tuple(ERASURE_MEMBERS)
