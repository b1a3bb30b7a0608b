"""Personal fields: never in clear in the store, readable with the key, gone without it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from ledger_facts import FULL, GOLDEN, MINIMAL, SetClock, a_ledger, exported, kinds, sample
from test_store_schema import redefine, renamed

from ledger.cloudevents import parse_line
from ledger.facts import Fact, event_of, fact_of
from ledger.ledger import Ledger
from ledger.models import EVENTS, ExceptionRequested
from ledger.outcomes import Appended, Conflict, Duplicate, Refused
from ledger.privacy.cipher import Encryptor, associated_data, decrypt, padded, tag
from ledger.problems import KeyFileProblem, LedgerProblem

PERSONAL = ("first_name", "last_name", "email", "description")
CLEAR = {name: FULL["ExceptionRequested"][name] for name in PERSONAL}
KEY = bytes(range(32))
PADDED = (
    "Z29sZGVuIG5vbmNlSQBgQXeIfi6jdSO9g3yIEeC07c+j4sY1F5MBgxYzo0Fx+0GB7ySUY/kle/8cAdST"
    "hnDHl9rS8F2zYU+/xIgk4KlFmJpRUqCHB1R2AZdNnII="
)
"""First name of the golden request, as it is encrypted since texts are padded."""


def request(n: int = 1, *, candidate: str = "C-1001", **changes: Any) -> Fact:
    """Return the nth request of a candidate, with every personal field in clear text."""
    fact = sample("ExceptionRequested", f"Q-{n}", full=True, request_id=f"Q-{n}", **changes)
    return fact._replace(subject=candidate)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with a_ledger(tmp_path) as ledger:
        yield ledger


def destroy_key(ledger: Ledger, candidate: str) -> None:
    """Destroy a candidate's key, as erasure does."""
    with closing(sqlite3.connect(ledger.vault.path, isolation_level=None)) as keys:
        keys.execute("UPDATE keys SET key = NULL WHERE candidate = ?", (candidate,))


def bytes_of(folder: Path) -> bytes:
    """Return all that lies in the ledger's files, without the key file."""
    files = [file for file in folder.iterdir() if not file.name.endswith(".keys")]
    return b"".join(file.read_bytes() for file in files)


# -- sealed from the first event on


def test_the_personal_fields_are_those_of_the_contract() -> None:
    """The four that are marked †, and no others."""
    assert {event.type: set(event.personal) for event in EVENTS if event.personal} == {
        "ExceptionRequested": set(PERSONAL)
    }


def test_no_personal_value_reaches_the_store(ledger: Ledger, tmp_path: Path) -> None:
    """Not in the table, the log beside it, or an export; the clear fields stay clear."""
    ledger.append([request()])
    for value in CLEAR.values():
        for form in (value, json.dumps(value)[1:-1]):
            assert form.encode() not in bytes_of(tmp_path)
            assert form not in "".join(exported(ledger))
    (row,) = ledger.read()
    data = row.payload()
    assert all(set(data[name]) == {"ciphertext", "hmac"} for name in PERSONAL)
    assert data["vue_case_number"] == "0815"


def test_what_was_sealed_is_revealed_with_the_key(ledger: Ledger) -> None:
    """The payload as it was given; other events are as they are."""
    ledger.append([request(), sample("ExamPassed")])
    first, second = ledger.read()
    assert ledger.vault.reveal(first) == {
        **MINIMAL["ExceptionRequested"],
        **FULL["ExceptionRequested"],
        "request_id": "Q-1",
    }
    assert ledger.vault.reveal(second) == second.payload()


def test_each_candidate_has_one_key_and_each_value_its_own_nonce(ledger: Ledger) -> None:
    """The same text, twice of one and once of another: three ciphertexts, two keys."""
    ledger.append([request(1), request(2)])
    ledger.append([request(3, candidate="C-2")])
    with closing(sqlite3.connect(ledger.vault.path)) as keys:
        rows = keys.execute("SELECT candidate, length(key) FROM keys ORDER BY 1").fetchall()
    assert rows == [("C-1001", 32), ("C-2", 32)]
    assert len({row.payload()["email"]["ciphertext"] for row in ledger.read()}) == 3


def test_the_key_file_is_its_owners_alone(ledger: Ledger) -> None:
    """Beside the ledger by default, with a mode of 0600."""
    ledger.append([request()])
    assert ledger.vault.path == Path(f"{ledger.path}.keys")
    assert stat.S_IMODE(os.stat(ledger.vault.path).st_mode) == 0o600


def test_a_ledger_without_personal_fields_needs_no_key_file(tmp_path: Path) -> None:
    """None is made, and none is looked for."""
    with a_ledger(tmp_path, keys=tmp_path / "nowhere" / "keys") as ledger:
        ledger.append([sample("ExceptionRequested"), sample("ExamPassed", "R-77/result")])
        for row in ledger.read():
            assert ledger.vault.reveal(row) == row.payload()
    assert not (tmp_path / "nowhere").exists()


def test_a_key_is_drawn_for_nobody_who_gives_nothing_personal(ledger: Ledger) -> None:
    """A request may leave all of them out."""
    assert ledger.append([sample("ExceptionRequested")]) == [Appended(1)]
    assert not ledger.vault.path.exists()


def test_the_library_of_ciphers_is_imported_only_when_needed() -> None:
    """Nor is any other slow one: most commands never meet a personal field."""
    script = (
        "import sys, ledger.ledger, ledger.cloudevents; print([name for name in "
        "('cryptography', 'sqlite_utils', 'pyarrow', 'numba', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# -- the form, for ever


def test_a_golden_ciphertext_still_opens() -> None:
    """AES-256-GCM and HMAC-SHA256 over the same place: changing either loses every old value."""
    fact = parse_line((GOLDEN / "ExceptionRequested.1.full.json").read_text("utf-8"))
    data = json.loads(fact.event.to_json())
    for name, value in CLEAR.items():
        place = associated_data(fact.subject, fact.source, fact.id, name)
        assert decrypt(KEY, place, data[name]) == value
        assert tag(KEY, place, value) == data[name]["hmac"]


def test_the_associated_data_is_subject_source_id_and_field() -> None:
    """As a JSON array, so that no two places are written alike."""
    assert (
        associated_data("C-1", "urn:vue", 'Q"1', "email") == b'["C-1", "urn:vue", "Q\\"1", "email"]'
    )
    assert associated_data("a", "b,c", "d", "e") != associated_data("a,b", "c", "d", "e")


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back(text: str) -> None:
    """Empty, long, of any script."""
    place = associated_data("C-1", "urn:vue", "Q-1", "description")
    sealed = Encryptor(KEY).encrypt(place, text)
    assert decrypt(KEY, place, sealed) == text
    assert Encryptor(KEY).encrypt(place, text)["hmac"] == sealed["hmac"]
    assert Encryptor(KEY).encrypt(place, text)["ciphertext"] != sealed["ciphertext"]


@pytest.mark.parametrize(
    "place",
    [
        ("C-2", "urn:vue", "Q-1", "email"),
        ("C-1", "urn:csv", "Q-1", "email"),
        ("C-1", "urn:vue", "Q-2", "email"),
        ("C-1", "urn:vue", "Q-1", "first_name"),
    ],
)
def test_a_value_moved_elsewhere_does_not_open(place: tuple[str, str, str, str]) -> None:
    """Nobody can pass off one candidate's ciphertext as another's."""
    sealed = Encryptor(KEY).encrypt(
        associated_data("C-1", "urn:vue", "Q-1", "email"), "zoe@example.org"
    )
    assert decrypt(KEY, associated_data(*place), sealed) is None
    assert tag(KEY, associated_data(*place), "zoe@example.org") != sealed["hmac"]


def test_a_value_that_does_not_open_hides_no_other(ledger: Ledger) -> None:
    """Changed, or encrypted with another key: never silently left out, and the rest is read."""
    ledger.append([request()])
    (row,) = ledger.read()
    swapped = {**row.payload(), "email": row.payload()["first_name"]}
    shown = ledger.vault.reveal(row._replace(data=json.dumps(swapped)))
    assert shown["email"] == {"unreadable": True}
    assert {name: shown[name] for name in PERSONAL if name != "email"} == {
        name: CLEAR[name] for name in PERSONAL if name != "email"
    }


@pytest.mark.parametrize(
    "planted",
    [
        {}, {"erased": True}, {"ciphertext": "x"}, {"ciphertext": "", "hmac": ""},
        {"ciphertext": "AAAA", "hmac": "é"}, {"ciphertext": 1, "hmac": 2},
        {"ciphertext": None, "hmac": None}, {"ciphertext": "é" * 40, "hmac": "0" * 64},
    ],
)  # fmt: skip
def test_whatever_stands_in_the_place_of_a_value_hides_no_other(
    ledger: Ledger, planted: dict[str, Any]
) -> None:
    """Also what no import would take: somebody wrote it into the file."""
    ledger.append([request()])
    (row,) = ledger.read()
    spoilt = {**row.payload(), "email": planted}
    shown = ledger.vault.reveal(row._replace(data=json.dumps(spoilt)))
    assert shown["email"] == {"unreadable": True}
    assert shown["first_name"] == CLEAR["first_name"]


# -- lengths


def ciphertext_length(text: str) -> int:
    """Return how many bytes a text takes, encrypted, beside nonce and tag."""
    sealed = Encryptor(KEY).encrypt(associated_data("C-1", "urn:vue", "Q-1", "email"), text)
    return len(b64decode(sealed["ciphertext"])) - 12 - 16


@given(st.text(st.characters(codec="utf-8")))
def test_the_length_of_a_text_is_hidden_in_its_bucket(text: str) -> None:
    """64 bytes, or the next power of two: erasure leaves no more of the length than that."""
    length, bucket = len(text.encode()), ciphertext_length(text)
    assert bucket == max(64, 1 << (length - 1).bit_length())


def test_names_and_addresses_are_all_of_one_length() -> None:
    """A name of 9 bytes and an address of 33, which today's ciphertext told apart."""
    assert ciphertext_length("Zoë Jones") == ciphertext_length("z" * 21 + "@example.org") == 64


def test_a_golden_padded_ciphertext_still_opens() -> None:
    """Filled with bytes that no text has; the tag is that of the text, as it always was."""
    place = associated_data("C-1001", "urn:vue", "R-77/it", "first_name")
    sealed = {"ciphertext": PADDED, "hmac": tag(KEY, place, "Zoë")}
    assert decrypt(KEY, place, sealed) == "Zoë"
    assert padded("Zoë".encode()) == "Zoë".encode() + b"\xff" * 60
    old = json.loads((GOLDEN / "ExceptionRequested.1.full.json").read_text("utf-8"))["data"]
    assert old["first_name"]["hmac"] == sealed["hmac"]


def test_a_duplicate_of_a_value_without_padding_is_told(ledger: Ledger) -> None:
    """What earlier releases recorded: the same text is a duplicate, another a conflict."""
    place = associated_data("C-1001", "urn:vue", "Q-1", "email")
    ledger.append([request(9)])
    key = ledger.vault.key("C-1001")
    assert key is not None
    old = {
        "ciphertext": b64encode(b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, b"z@x.org", place)),
        "hmac": tag(key, place, "z@x.org"),
    }
    old["ciphertext"] = old["ciphertext"].decode()
    fact = sample("ExceptionRequested", "Q-1", email=old)
    assert ledger.append([fact]) == [Appended(2)]
    again = sample("ExceptionRequested", "Q-1", email="z@x.org")
    assert ledger.append([again]) == [Duplicate(2)]
    other = sample("ExceptionRequested", "Q-1", email="y@x.org")
    assert ledger.append([other]) == [Conflict(2, ("data.email (differs)",))]
    assert ledger.vault.reveal(list(ledger.read())[1])["email"] == "z@x.org"


# -- encrypted elsewhere


def foreign(ledger: Ledger) -> Fact:
    """Return a request whose address another key encrypted, as a hostile feed would."""
    place = associated_data("C-1001", "urn:vue", "Q-2", "email")
    return request(2, email=Encryptor(bytes(32)).encrypt(place, "z@x.org"))


def test_a_value_that_the_key_does_not_open_is_refused(ledger: Ledger) -> None:
    """Once the candidate has a key here: named by field alone, with a remedy; nothing is taken."""
    ledger.append([request()])
    (outcome,) = ledger.append([foreign(ledger)])
    assert outcome == Refused(
        "data.email was encrypted with another key than that of candidate 'C-1001' here, or "
        "changed: import clear text, or leave it out"
    )
    assert ledger.head().position == 1
    moved = request(2)._replace(id="Q-3", event=event_of(next(iter(ledger.read()))))
    assert "data.first_name, data.last_name, data.email, data.description were" in str(
        ledger.append([moved])
    )


def test_a_value_of_elsewhere_is_taken_while_there_is_no_key(ledger: Ledger) -> None:
    """As the contract has it; a key that comes later opens what is its own, and says the rest."""
    first = foreign(ledger)._replace(event=foreign(ledger).event.model_copy(
        update={name: None for name in PERSONAL if name != "email"}
    ))  # fmt: skip
    assert ledger.append([first]) == [Appended(1)]
    ledger.append([request(3)])
    one, other = ledger.read()
    assert ledger.vault.reveal(one)["email"] == {"unreadable": True}
    assert ledger.vault.reveal(other)["email"] == CLEAR["email"]


def test_history_that_is_moved_in_keeps_what_no_key_opens(ledger: Ledger) -> None:
    """It is taken as it was recorded: refusing one line would stop all that come after it."""
    ledger.append([request()])
    moved = foreign(ledger)._replace(recorded_at=ledger.head().recorded_at)
    assert ledger.append([moved], keep_recorded_at=True) == [Appended(2)]


# -- duplicates and conflicts, without decrypting


@pytest.mark.parametrize("name", PERSONAL)
def test_a_personal_value_that_differs_is_a_conflict_that_does_not_show_it(
    ledger: Ledger, name: str
) -> None:
    """Only the field is named: reports and rejects files are not for personal data."""
    ledger.append([request()])
    before = exported(ledger)
    assert ledger.append([request(**{name: "Somebody Else"})]) == [
        Conflict(1, (f"data.{name} (differs)",))
    ]
    assert ledger.append([request(**{name: None})]) == [Conflict(1, (f"data.{name} (differs)",))]
    assert exported(ledger) == before


def test_a_personal_value_that_was_absent_before_is_a_conflict(ledger: Ledger) -> None:
    """There was no key to tell it by, and none is needed."""
    ledger.append([sample("ExceptionRequested", "Q-1")])
    fact = sample("ExceptionRequested", "Q-1", email="zoe@example.org")
    assert ledger.append([fact]) == [Conflict(1, ("data.email (differs)",))]
    assert not ledger.vault.path.exists()


def test_plain_and_sealed_are_told_apart_by_what_they_say(ledger: Ledger) -> None:
    """The plain text again, and the line exported, are both the same fact."""
    ledger.append([request()])
    (line,) = exported(ledger)
    assert ledger.append([request(), parse_line(line)]) == [Duplicate(1), Duplicate(1)]


# -- moved elsewhere


def test_ciphertext_moves_in_verbatim_and_stays_valid(ledger: Ledger, tmp_path: Path) -> None:
    """Without the keys it is carried along; with them it is read, and new plain text too."""
    ledger.append([request()])
    lines = exported(ledger)
    with a_ledger(tmp_path, "there") as there:
        facts = [parse_line(line) for line in lines]
        assert there.append(facts, keep_recorded_at=True) == [Appended(1)]
        assert exported(there) == lines
        assert not there.vault.path.exists()
        (row,) = there.read()
        assert set(PERSONAL).isdisjoint(there.vault.reveal(row))
    with a_ledger(tmp_path, "there", keys=ledger.vault.path) as there:
        assert there.vault.reveal(row)["email"] == CLEAR["email"]
        assert there.append([request(), request(2)]) == [Duplicate(1), Appended(2)]
        assert ledger.about("key file") == there.about("key file")


def test_without_the_key_the_clear_fields_decide_alone(ledger: Ledger, tmp_path: Path) -> None:
    """Plain text cannot be compared with ciphertext of elsewhere; what is clear still can."""
    ledger.append([request()])
    with a_ledger(tmp_path, "there") as there:
        there.append([parse_line(line) for line in exported(ledger)])
        assert there.append([request(email="other@example.org")]) == [Duplicate(1)]
        assert there.append([request(vue_case_number="0816")]) == [
            Conflict(1, ("data.vue_case_number (old 0815, new 0816)",))
        ]


# -- forgotten


@pytest.mark.parametrize("how", ["key destroyed", "event alone", "both"])
def test_of_a_forgotten_candidate_nothing_personal_is_taken_or_compared(
    ledger: Ledger, how: str
) -> None:
    """New personal fields are refused; old facts again are told by their clear fields alone."""
    ledger.append([request(1), request(2, candidate="C-2")])
    if how != "event alone":
        destroy_key(ledger, "C-1001")
    if how != "key destroyed":
        assert kinds(ledger.append([sample("CandidateForgotten", "forget/1")])) == ["Appended"]
    last = ledger.head().position

    (outcome,) = ledger.append([request(3)])
    assert isinstance(outcome, Refused)
    assert outcome.problem == (
        "candidate 'C-1001' was forgotten: data.first_name, data.last_name, data.email, "
        "data.description cannot be taken"
    )
    assert (
        ledger.append([request(1), request(1, email="other"), request(1, email=None)])
        == [Duplicate(1)] * 3
    )
    assert kinds(ledger.append([request(1, vue_case_number="1")])) == ["Conflict"]
    assert ledger.head().position == last

    assert kinds(ledger.append([sample("ExceptionRequested", "Q-4"), request(5, candidate="C-2")])
                 ) == ["Appended", "Appended"]  # fmt: skip


def test_what_was_erased_is_left_out(ledger: Ledger) -> None:
    """Of that candidate alone."""
    ledger.append([request(1), request(2, candidate="C-2")])
    destroy_key(ledger, "C-1001")
    gone, there = ledger.read()
    assert set(PERSONAL).isdisjoint(ledger.vault.reveal(gone))
    assert ledger.vault.reveal(gone)["reason"] == "lab-crash"
    assert ledger.vault.reveal(there)["email"] == CLEAR["email"]


# -- what runs by itself in the key file


COPIES = (
    "CREATE TABLE copies (key BLOB)",
    "CREATE TRIGGER zz BEFORE UPDATE ON keys BEGIN INSERT INTO copies VALUES (OLD.key); END",
)
KEEPS = ("CREATE TRIGGER zz BEFORE UPDATE ON keys BEGIN SELECT RAISE(IGNORE); END",)
KEY_FILE_CHANGES = {
    "each key is copied": COPIES,
    "no key is destroyed": KEEPS,
    "by one of SQLite's names": (*KEEPS, *renamed("zz", "sqlite_autotrigger_1")),
    "a view of the keys": (
        "ALTER TABLE keys RENAME TO real",
        "CREATE VIEW keys AS SELECT candidate, x'00' AS key FROM real",
    ),
}


@pytest.mark.parametrize("is_open", [False, True], ids=["opened after", "open before"])
@pytest.mark.parametrize("statements", KEY_FILE_CHANGES.values(), ids=KEY_FILE_CHANGES)
def test_nothing_runs_in_a_key_file(
    ledger: Ledger, statements: tuple[str, ...], is_open: bool
) -> None:
    """A trigger there could keep the key that erasure destroys: one sentence, nothing is done."""
    ledger.append([request()])
    if not is_open:
        ledger.vault.close()
    redefine(ledger.vault.path, *statements)
    for attempt in (
        lambda: ledger.append([request(2)]),
        lambda: ledger.append([sample("CandidateForgotten", "forget/1")]),
    ):
        with pytest.raises(LedgerProblem, match="changed past the ledger") as problem:
            attempt()
        assert "\n" not in str(problem.value)
    assert ledger.head().position == 1


# -- the key file, lost or mistaken


def lose(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))


def mistake(path: Path) -> None:
    with a_ledger(path.parent, "other") as other:
        other.append([request()])
        other.vault.path.replace(path)


def spoil(path: Path) -> None:
    path.write_bytes(b"not a key file at all" * 50)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def take_a_ledger_for_it(path: Path) -> None:
    path.write_bytes(Path(str(path).removesuffix(".keys")).read_bytes())


FAULTS = [
    (lose, "is missing: put it back"),
    (mistake, "is another ledger's key file"),
    (spoil, "is not a key file"),
    (empty, "is not a key file"),
    (take_a_ledger_for_it, "is not a key file"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_a_lost_or_wrong_key_file_is_told_when_a_key_is_needed(
    ledger: Ledger, fault: Any, words: str
) -> None:
    """Sealing, comparing, revealing: one sentence, nothing changed; all else goes on."""
    ledger.append([request()])
    fault(ledger.vault.path)
    there = ledger.vault.path.exists()
    spoilt = ledger.vault.path.read_bytes() if there else None
    (row,) = ledger.read()
    for attempt in (
        lambda: ledger.append([sample("ExamPassed"), request(2)]),
        lambda: ledger.append([request(1)]),
        lambda: ledger.vault.reveal(row),
    ):
        with pytest.raises(KeyFileProblem) as problem:
            attempt()
        assert words in str(problem.value)
        assert "\n" not in str(problem.value)
    assert list(ledger.read()) == [row]
    assert ledger.vault.path.exists() == there
    if there:
        assert ledger.vault.path.read_bytes() == spoilt
    assert ledger.append([sample("ExamPassed")]) == [Appended(2)]


def test_a_wrong_file_is_never_taken_for_a_first_key_file(tmp_path: Path) -> None:
    """Whatever lies where the keys would go is left as it is."""
    keys = tmp_path / "notes.txt"
    keys.write_text("dear diary")
    with a_ledger(tmp_path, keys=keys) as ledger:
        with pytest.raises(KeyFileProblem, match="is not a key file"):
            ledger.append([request()])
        assert ledger.head().position == 0
    assert keys.read_text() == "dear diary"


def test_a_key_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Its folder is not there: no event without its key."""
    with a_ledger(tmp_path, keys=tmp_path / "nowhere" / "keys") as ledger:
        with pytest.raises(Exception, match=r"nowhere/keys cannot be written: No such file"):
            ledger.append([request()])
        assert ledger.head().position == 0


def test_a_key_file_made_just_before_a_crash_is_found_again(ledger: Ledger, tmp_path: Path) -> None:
    """The key comes first: when its event never came, the file waits for the next one."""
    ledger.append([request()])
    with a_ledger(tmp_path, "crashed", keys=ledger.vault.path) as crashed:
        assert crashed.about("key file") is None
        assert crashed.append([request(2)]) == [Appended(1)]
        assert crashed.about("key file") == ledger.about("key file")


def test_a_sealed_value_keeps_its_model(ledger: Ledger) -> None:
    """So that what was stored can be offered again as a fact."""
    ledger.append([request()])
    (row,) = ledger.read()
    event = event_of(row)
    assert isinstance(event, ExceptionRequested)
    assert fact_of(row).row().data == row.data
    with a_ledger(tmp := ledger.path.parent, "copy", clock=SetClock()) as copy:
        assert copy.append([fact_of(row)]) == [Appended(1)]
    assert tmp.exists()
