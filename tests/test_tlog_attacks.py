"""Whatever is done to a ledger, its log, a proof or a checkpoint is found, in words of its own."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from sealed_ledger import (
    NAME,
    SIZE,
    append,
    copied,
    flipped,
    history,
    key_in,
    make,
    meddle,
    opened,
    place_in,
    said,
    said_of_flips,
    sealed,
    verified,
)

from ledger.durable import replace_all
from ledger.problems import Inconsistent
from ledger.tlog import merkle
from ledger.tlog.leaf import hash_tiles
from ledger.tlog.note import SigningKey, last_signed_path, read_signing_key
from ledger.tlog.proof import Unprovable, prove_between, prove_event
from ledger.tlog.tiles import Tree
from ledger.tlog.verify_proof import (
    Checkpoint,
    ProofProblem,
    check_proof,
    open_checkpoint,
)

Attack = Callable[[Path], object]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 600 events, sealed; never changed."""
    return make(tmp_path_factory.mktemp("original") / "ledger")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy of it, to attack."""
    return copied(original, tmp_path / "copy")


@pytest.mark.parametrize("full", [False, True])
def test_an_untouched_copy_passes(folder: Path, full: bool) -> None:
    """Twice, from the last verification and from the start; nothing is found."""
    for _ in range(2):
        verdict = verified(folder, full=full, against=None)
        assert said(verdict) == []
        assert verdict.checkpoint is not None
        assert verdict.checkpoint.size == verdict.head == SIZE
    note = place_in(folder).checkpoint.read_bytes()
    assert said(verified(folder, against=note)) == []


# -- the rows


def moved(first: int, last: int, by: int) -> tuple[str, ...]:
    """Return the SQL that renumbers positions, past their uniqueness."""
    return (
        f"UPDATE events SET position = -position WHERE position BETWEEN {first} AND {last}",
        f"UPDATE events SET position = -position + {by} WHERE position < 0",
    )


SWAP: Final = (
    "UPDATE events SET position = -{0} WHERE position = {0}",
    "UPDATE events SET position = {0} WHERE position = {1}",
    "UPDATE events SET position = {1} WHERE position = -{0}",
)
PUT_IN: Final = (
    "INSERT INTO events SELECT {0}, recorded_at, occurred_at, topic, stream, source, id || '-new', "
    "actor, exam, key, flag, until, annuls, data, extensions FROM events WHERE position = {1}"
)


def at(position: int, column: str, value: str) -> Attack:
    """Return an attack on one column of one row."""
    return meddle(f"UPDATE events SET {column} = {value} WHERE position = {position}")


ROWS: dict[str, tuple[Attack, list[str]]] = {
    "the data edited": (
        at(300, "data", "replace(data, 'R-77', 'R-78')"),
        ["position 300 was changed after it was sealed, or another event was put in its place"],
    ),
    "the score of a result edited": (
        at(302, "data", "replace(data, '302', '700')"),
        ["position 302 was changed after it was sealed, or another event was put in its place"],
    ),
    "the last row edited": (
        at(SIZE, "data", "replace(data, 'R', 'S')"),
        ["position 600 was changed after it was sealed, or another event was put in its place"],
    ),
    "one deleted": (
        meddle("DELETE FROM events WHERE position = 300"),
        ["position 300 is missing"],
    ),
    "one deleted and the gap closed": (
        meddle("DELETE FROM events WHERE position = 590", *moved(591, SIZE, -1)),
        [
            "position 590 holds the event that was sealed as position 591: they were moved",
            "position 591 holds the event that was sealed as position 592: they were moved",
            "a.ledger ends at position 599, but 600 events were signed: position 600 is gone",
        ],
    ),
    "one put in between": (
        meddle(*moved(590, SIZE, 1), PUT_IN.format(590, 10)),
        [
            "position 590 was changed after it was sealed, or another event was put in its place; "
            "its recorded_at lies before that of position 589",
            "position 591 holds the event that was sealed as position 590: they were moved",
        ],
    ),
    "one put in before the first": (
        meddle(PUT_IN.format(0, 10)),
        ["position 0 was put in: the ledger's first position is 1"],
    ),
    "one put in far after the last": (
        meddle(PUT_IN.format(700, 10)),
        ["position 601 is missing, and 700 is the last"],
    ),
    "two swapped": (
        meddle(*(each.format(10, 400) for each in SWAP)),
        [
            "position 10 holds the event that was sealed as position 400: they were moved",
            "position 400 holds the event that was sealed as position 10: they were moved",
        ],
    ),
    "one given to another candidate": (
        at(301, "stream", "'candidate/C-5'"),
        ["position 301 was changed: its stream was candidate/C-0 when it was sealed"],
    ),
    "the contents of two candidates exchanged": (
        meddle(
            "UPDATE events SET data = (SELECT data FROM events WHERE position = 303), "
            "key = 'R-303' WHERE position = 301"
        ),
        ["position 301 was changed after it was sealed, or another event was put in its place"],
    ),
    "the clock of recording set back": (
        at(300, "recorded_at", "recorded_at - 1"),
        ["position 300 was changed: its recorded_at was 2021-04-01T00:00:00.000011Z when"],
    ),
    "the clock of recording of a whole transaction set back": (
        meddle("UPDATE events SET recorded_at = recorded_at - 2 WHERE position BETWEEN 1 AND 25"),
        ["position 1 was changed", "position 25 was changed"],
    ),
    "the clock of truth changed": (
        at(300, "occurred_at", "occurred_at + 1"),
        ["position 300 was changed after it was sealed, or another event was put in its place"],
    ),
    "the topic changed": (
        at(302, "topic", "'ExamPassed:1'"),
        ["position 302 was changed: its topic was ExamFailed:1 when it was sealed"],
    ),
    "the source changed": (
        at(302, "source", "'urn:vuf'"),
        ["position 302 was changed: its source was urn:vue when it was sealed"],
    ),
    "the id changed": (
        at(302, "id", "'R-302/result/2'"),
        ["position 302 was changed after it was sealed, or another event was put in its place"],
    ),
    "the actor changed": (
        at(301, "actor", "'somebody'"),
        ["position 301 was changed: its actor was feed when it was sealed"],
    ),
    "the actor taken away": (
        at(301, "actor", "NULL"),
        ["position 301 was changed: its actor was feed when it was sealed"],
    ),
    "an actor given where there was none, if only an empty one": (
        at(302, "actor", "''"),
        ["position 302 was changed: its actor was empty when it was sealed"],
    ),
    "the exam column changed, the data left": (
        at(301, "exam", "'AZ-105'"),
        ["position 301 was changed: its exam was AZ-104 when it was sealed"],
    ),
    "the key column changed": (
        at(301, "key", "'R-1'"),
        ["position 301 was changed after it was sealed, or another event was put in its place"],
    ),
    "the flag changed": (
        at(301, "flag", "1"),
        ["position 301 was changed: its flag was 0 when it was sealed"],
    ),
    "an end given": (
        at(301, "until", "1"),
        ["position 301 was changed: its until was empty when it was sealed"],
    ),
    "an annulment given": (
        at(301, "annuls", "1"),
        ["position 301 was changed: its annuls was empty when it was sealed"],
    ),
    "text that is no text": (
        at(301, "actor", "CAST(x'ff' AS TEXT)"),
        ["position 301 was changed: its actor was feed when it was sealed"],
    ),
    "a zero byte and more after a text": (
        at(301, "stream", "stream || char(0) || 'x'"),
        ["position 301 was changed: its stream was candidate/C-0 when it was sealed"],
    ),
    "cut off": (
        meddle("DELETE FROM events WHERE position > 590"),
        ["ends at position 590, but 600 events were signed: 591 to 600 are gone; it was cut off"],
    ),
    "emptied": (
        meddle("DELETE FROM events"),
        ["ends at position 0, but 600 events were signed: 1 to 600 are gone"],
    ),
    "a trigger that rewrites what comes in": (
        meddle(
            "CREATE TRIGGER later AFTER INSERT ON events BEGIN "
            "UPDATE events SET data = '{}' WHERE position = new.position; END"
        ),
        ["the file's trigger later is not as the ledger defines it"],
    ),
    "an index taken away": (
        meddle("DROP INDEX events_by_source_id"),
        ["the file's index events_by_source_id is not as the ledger defines it"],
    ),
    "the table gone": (
        meddle("DROP TABLE events"),
        ["no such table: events"],
    ),
    "its own id, which is in no event": (
        meddle("UPDATE about SET value = 'another' WHERE name = 'ledger'"),
        ["says it is attempt-ledger/another, its log is of attempt-ledger/"],
    ),
    "a number as text": (
        meddle(
            "PRAGMA writable_schema = ON",
            "UPDATE sqlite_schema SET sql = replace(sql, 'flag INTEGER', 'flag TEXT') "
            "WHERE name = 'events'",
            "PRAGMA writable_schema = RESET",
            "UPDATE events SET flag = '0' WHERE position = 301",
        ),
        [
            "the file's table events is not as the ledger defines it",
            "position 301 was changed: its flag was 0 when it was sealed",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("attack", "words"), ROWS.values(), ids=ROWS)
def test_what_is_done_to_the_rows_is_found(folder: Path, attack: Attack, words: list[str]) -> None:
    """By position, in words of its own; from the start, and against a checkpoint kept elsewhere."""
    note = place_in(folder).checkpoint.read_bytes()
    attack(folder)
    for settings in ({}, {"full": True}, {"against": note}):
        found = "\n".join(said(verified(folder, **settings)))
        assert [each for each in words if each not in found] == [], found
        assert not place_in(folder).verified.exists()


def test_a_row_of_many_changed_is_found_where_it_is(folder: Path) -> None:
    """Every position is named, up to some; the rest are counted."""
    meddle("UPDATE events SET actor = 'x' WHERE position BETWEEN 101 AND 400")(folder)
    findings = verified(folder).findings
    assert [each.position for each in findings][:64] == list(range(101, 165))
    assert findings[-1].sentence == "236 more positions differ from what was sealed"


def test_an_edit_after_a_verification_is_found_by_a_full_one(folder: Path) -> None:
    """What was verified before is not hashed again until it is asked for, and the docs say so."""
    assert said(verified(folder)) == []
    at(10, "actor", "'x'")(folder)
    assert said(verified(folder)) == []
    assert [each.position for each in verified(folder, full=True).findings] == [10]
    note = place_in(folder).checkpoint.read_bytes()
    assert [each.position for each in verified(folder, against=note).findings] == [10]


def test_bytes_of_the_file_flipped_are_found(original: Path, tmp_path: Path) -> None:
    """Wherever a row lies in the file: SQLite's own complaint, or the row's position."""
    content = (original / NAME).read_bytes()
    texts = (b'"registration_id":"R-301"', b'"score":302', b"urn:vueR-301/attemptedfeed")
    for number, text in enumerate(texts):
        spoilt = copied(original, tmp_path / str(number))
        assert text in content
        (spoilt / NAME).write_bytes(content.replace(text, flipped(text, len(text) - 2, 0)))
        (finding,) = verified(spoilt, full=True).findings
        assert finding.position == (302 if number == 1 else 301)
    page = 4096
    for number in range(1, len(content) // page, 7):
        spoilt = copied(original, tmp_path / f"page-{number}")
        zeroed = content[: number * page] + bytes(page) + content[(number + 1) * page :]
        (spoilt / NAME).write_bytes(zeroed)
        verified(spoilt, full=True)  # an index's page: the rows are right; never a traceback


def test_an_event_hidden_from_questions_in_an_index_is_found(folder: Path) -> None:
    """Every row is as it was signed, and the index by which one is looked up leads past it."""
    file = folder / NAME
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (stream,) = connection.execute("SELECT stream FROM events WHERE position = 300").fetchone()
    note = place_in(folder).checkpoint.read_bytes()
    content = bytearray(file.read_bytes())
    pages = range(4096, len(content), 4096)
    of_indexes = [page for page in pages if content[page] == 0x0A]
    name = str(stream).encode()
    hits = [at for page in of_indexes if (at := content.find(name, page, page + 4096)) >= 0]
    content[hits[0] : hits[0] + len(name)] = flipped(name, len(name) - 1, 0)
    file.write_bytes(content)
    for settings in ({"full": True}, {"against": note}):
        told = said(verified(folder, **settings))
        assert told
        assert all(each.startswith("SQLite finds the file damaged: ") for each in told)
        assert not place_in(folder).verified.exists()


# -- the log


def rewritten(folder: Path, levels: int, *, sign: SigningKey | None = None) -> None:
    """Make the log fit the rows as they are now: its tiles up to a level, and a checkpoint."""
    place = place_in(folder)
    leaves = [leaf for tile in hash_tiles(place.ledger, 1, SIZE) for leaf in tile.leaves]
    files = {}
    hashes = [leaf for leaf in leaves if leaf is not None]
    for level in range(levels):
        tiles = [hashes[start : start + 256] for start in range(0, len(hashes), 256)]
        for index, tile in enumerate(tiles):
            files[place.tiles.path(level, index, len(tile))] = b"".join(tile)
        hashes = [merkle.top(tile) for tile in tiles if len(tile) == 256]
    replace_all(files)
    if sign is not None:
        root = Tree(place.tiles, SIZE).root()
        note = sign.sign_checkpoint(Checkpoint(sign.verifier.name, SIZE, root))
        place.checkpoint.write_bytes(note)
        last_signed_path(place.key).write_bytes(note)


def test_a_row_changed_together_with_its_tile_is_found(folder: Path) -> None:
    """The tile above still has the node that was signed: it says in which 256 positions."""
    at(300, "actor", "'x'")(folder)
    rewritten(folder, 1)
    (sentence,) = said(verified(folder))
    assert sentence.startswith("positions 257 to 512: something in them was changed together with")


def test_rows_changed_together_with_all_tiles_are_found(folder: Path) -> None:
    """The signature stands for another root: so much is certain, the place is not."""
    at(300, "actor", "'x'")(folder)
    rewritten(folder, 2)
    (sentence,) = said(verified(folder))
    assert sentence.startswith("positions 1 to 600: something in them was changed together with")


def test_rows_changed_and_all_signed_anew_with_another_key_are_found(folder: Path) -> None:
    """Whoever has the log's verifier key is not taken in, nor is who has only the name."""
    key = key_in(folder)
    at(300, "actor", "'x'")(folder)
    forger = SigningKey.generate(key.name)
    rewritten(folder, 2, sign=forger)
    found = said(verified(folder, key=key))
    assert f"not signed with the key {key.name}+{key.id.hex()}" in found[0]


def test_rows_changed_and_all_signed_anew_with_the_stolen_key_are_found_by_who_kept_a_checkpoint(
    folder: Path,
) -> None:
    """From the inside there is nothing to see: that is why outsiders keep checkpoints."""
    place = place_in(folder)
    kept = place.checkpoint.read_bytes()
    at(300, "actor", "'x'")(folder)
    rewritten(folder, 2, sign=read_signing_key(place.key))
    assert said(verified(folder)) == []
    (sentence,) = said(verified(folder, against=kept))
    assert sentence.startswith("the log was forked or rewritten: its first 600 events are not")


def test_a_forked_checkpoint_is_found(folder: Path, tmp_path: Path) -> None:
    """Two histories under one key: neither verifies against the other's checkpoint, nor is sealed
    on, whichever came first."""
    place = place_in(folder)
    fork = copied(folder, tmp_path / "fork")
    for each, first in ((folder, 601), (fork, 701)):
        with opened(each) as ledger:
            append(ledger, history(first, first + 9))
            sealed(ledger)
        assert said(verified(each)) == []
    for one, other in ((folder, fork), (fork, folder)):
        note = place_in(other).checkpoint.read_bytes()
        (sentence,) = said(verified(one, against=note))
        assert "forked" in sentence
        assert "positions 1 to 610" in sentence
    place.checkpoint.write_bytes(place_in(fork).checkpoint.read_bytes())
    assert any("two of 610 events were signed" in each for each in said(verified(folder)))
    with opened(folder) as ledger:
        append(ledger, history(801, 802))
        with pytest.raises(Inconsistent, match=r"nothing is signed: .* forked"):
            sealed(ledger)


def test_a_wrong_key_is_found(folder: Path) -> None:
    """Another log's key verifies nothing here."""
    other = SigningKey.generate("attempt-ledger/other").verifier
    verdict = verified(folder, key=other)
    assert verdict.checkpoint is None
    assert "not signed with the key attempt-ledger/other" in said(verdict)[0]
    note = place_in(folder).checkpoint.read_bytes()
    (sentence,) = said(
        verified(folder, against=note.replace(b"attempt-ledger/", b"attempt-ledges/"))
    )
    assert sentence.startswith("the checkpoint to compare with fails: the checkpoint is not signed")


def test_an_old_copy_put_back_is_found(folder: Path, tmp_path: Path) -> None:
    """Of the ledger alone: it ends too early; written on, a position differs and none is signed."""
    old = copied(folder, tmp_path / "old")
    with opened(folder) as ledger:
        append(ledger, history(601, 650))
        sealed(ledger)
    shutil.copyfile(old / NAME, folder / NAME)
    (sentence,) = said(verified(folder))
    assert "ends at position 600, but 650 events were signed: 601 to 650 are gone" in sentence
    with opened(folder) as ledger:
        with pytest.raises(Inconsistent, match="ends at position 600, but 650 events were sealed"):
            sealed(ledger)
        append(ledger, history(651, 710))
        with pytest.raises(Inconsistent, match="position 601 was changed after it was sealed"):
            sealed(ledger)
    assert verified(folder).findings[0].position == 601


def test_an_old_copy_of_ledger_and_log_is_found_by_the_copy_beside_the_key(
    folder: Path, tmp_path: Path
) -> None:
    """The key knows what it signed last: the log was set back, and nothing shorter is signed."""
    old = copied(folder, tmp_path / "old")
    with opened(folder) as ledger:
        append(ledger, history(601, 650))
        sealed(ledger)
    place = place_in(folder)
    shutil.copyfile(old / NAME, folder / NAME)
    shutil.rmtree(place.folder)
    shutil.copytree(place_in(old).folder, place.folder)
    (sentence,) = said(verified(folder))
    assert "the log was set back: its checkpoint is of 600 events, but one of 650" in sentence
    with opened(folder) as ledger, pytest.raises(Inconsistent, match="650 events were sealed"):
        sealed(ledger)


def test_an_old_copy_of_everything_is_found_by_who_kept_a_checkpoint(
    folder: Path, tmp_path: Path
) -> None:
    """Nothing here knows better, but the checkpoint that an outsider kept does."""
    old = copied(folder, tmp_path / "old")
    with opened(folder) as ledger:
        append(ledger, history(601, 650))
        sealed(ledger)
    kept = place_in(folder).checkpoint.read_bytes()
    assert said(verified(old)) == []
    (finding,) = verified(old, against=kept).findings
    assert finding.position == 601
    assert "is of 650 events, this ledger ends at position 600" in finding.sentence
    with opened(old) as ledger:
        append(ledger, history(701, 800))
    (finding,) = verified(old, against=kept).findings
    assert finding.position == 601
    assert "is of 650 events, this log only of 600" in finding.sentence
    with opened(old) as ledger:
        sealed(ledger)
    (sentence,) = said(verified(old, against=kept))
    assert "its first 650 events are not those of the checkpoint to compare with" in sentence


def test_a_checkpoint_taken_away_is_found(folder: Path) -> None:
    """The rows are compared with the copy beside the key; without that, with nothing."""
    place = place_in(folder)
    key = key_in(folder)
    place.checkpoint.unlink()
    (sentence,) = said(verified(folder, key=key))
    assert "never sealed, or it was removed" in sentence
    at(300, "actor", "'x'")(folder)
    assert [each.position for each in verified(folder, key=key).findings] == [None, 300]
    last_signed_path(place.key).unlink()
    verdict = verified(folder, key=key)
    assert verdict.checkpoint is None
    assert verdict.findings


def test_a_damaged_or_missing_tile_is_found_and_made_anew(folder: Path) -> None:
    """The rows being right, it is said which tile; without the tiles `seal` makes them again."""
    place = place_in(folder)
    paths = sorted(path for path in (place.folder / "tile").rglob("*") if path.is_file())
    assert len(paths) == 4
    for path in paths:
        content = path.read_bytes()
        for spoilt in (bytes([content[0] ^ 1]) + content[1:], content[:-1], None):
            path.write_bytes(spoilt) if spoilt is not None else path.unlink()
            (sentence,) = said(verified(folder, full=True))
            assert str(path.relative_to(place.folder)) in sentence
            assert "the rows are as they were signed" in sentence
            path.write_bytes(content)
    before = {path: path.read_bytes() for path in paths}
    shutil.rmtree(place.folder / "tile")
    with opened(folder) as ledger:
        assert sealed(ledger).checkpoint.size == SIZE
    assert {path: path.read_bytes() for path in paths} == before
    assert said(verified(folder, full=True)) == []


def test_a_damaged_tile_beside_a_changed_row_blames_neither_wrongly(folder: Path) -> None:
    """The changed row is named; of the row with the damaged hash only that they differ."""
    place = place_in(folder)
    at(300, "actor", "'x'")(folder)
    path = place.tiles.path(0, 0)
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    assert said(verified(folder)) == [
        "position 1 differs from the hash beside it, which is not the one that was signed either",
        "position 300 was changed: its actor was results-feed when it was sealed",
    ]


def test_every_byte_of_the_checkpoint_flipped_is_found(folder: Path) -> None:
    """The signature covers the text, and nothing of the signature's own line is idle."""
    place = place_in(folder)
    key = key_in(folder)
    note = place.checkpoint.read_bytes()
    for index in range(len(note)):
        for bit in range(8):
            with pytest.raises(ProofProblem):
                open_checkpoint(flipped(note, index, bit), key)
        if index % 7:
            continue
        place.checkpoint.write_bytes(flipped(note, index, 0))
        assert any("checkpoint: " in each for each in said(verified(folder, key=key)))
        assert said(verified(folder, key=key, against=flipped(note, index, 1)))
    with opened(folder) as ledger, pytest.raises(Inconsistent, match="nothing is signed"):
        sealed(ledger)


# -- proofs


@pytest.mark.parametrize("position", [1, 256, 257, 310, SIZE])
def test_every_byte_of_a_proof_flipped_is_found(original: Path, position: int) -> None:
    """Each bit of each byte: record, data, index, hashes, checkpoint and what stands between."""
    key = key_in(original)
    with opened(original) as ledger:
        (event,) = ledger.read(position - 1, position)
    proof = prove_event(place_in(original), key, event)
    assert check_proof(proof, key).leaf["position"] == position
    sentences = said_of_flips(proof, key)
    for words in (
        "its first line should be",
        "no leaf record of version 1",
        f"position {position}: the data is not the data that was recorded",
        f"position {position} is at index {position - 1} of the log, not at",
        f"position {position}: this event is not in the log of 600 events that was signed",
        f"position {position}: the signature of",
        f"position {position}: the checkpoint is not signed with the key",
    ):
        assert any(words in each for each in sentences), words


def test_every_byte_of_a_consistency_proof_flipped_is_found(original: Path) -> None:
    """Each bit of each byte, in the tree of one size, of another, and between."""
    key = key_in(original)
    proof = prove_between(place_in(original), key, (100, 300))
    assert [size for size, _ in check_proof(proof, key).trees] == [100, 300]
    assert said_of_flips(proof, key)


def test_a_proof_cut_off_anywhere_or_longer_is_found(original: Path) -> None:
    """No beginning of a proof is one, nor is one with more at its end."""
    key = key_in(original)
    with opened(original) as ledger:
        (event,) = ledger.read(309, 310)
    place = place_in(original)
    for proof in (prove_event(place, key, event), prove_between(place, key, (100, 300))):
        for length in range(len(proof)):
            with pytest.raises(ProofProblem):
                check_proof(proof[:length], key)
        for more in (b"\n", b" ", b"x", proof):
            with pytest.raises(ProofProblem):
                check_proof(proof + more, key)


def test_a_proof_with_its_lines_otherwise_is_found(original: Path) -> None:
    """A line left out, twice, exchanged with the next, or nonsense: one sentence."""
    key = key_in(original)
    with opened(original) as ledger:
        (event,) = ledger.read(309, 310)
    place = place_in(original)
    for proof in (prove_event(place, key, event), prove_between(place, key, (100, 300))):
        lines = proof.split(b"\n")
        for n, line in enumerate(lines[:-1]):
            for other in ([], [line, line], [b""], [b"x"], [b"[" * 100_000], [b"\xff"], [b"\r"]):
                changed = b"\n".join([*lines[:n], *other, *lines[n + 1 :]])
                signed_twice = other == [line, line] and n == len(lines) - 2  # says no more
                if changed != proof and not signed_twice:
                    with pytest.raises(ProofProblem):
                        check_proof(changed, key)
            if lines[n + 1] != line:
                swapped = [*lines[:n], lines[n + 1], line, *lines[n + 2 :]]
                with pytest.raises(ProofProblem):
                    check_proof(b"\n".join(swapped), key)


def test_a_proof_of_one_event_is_none_of_another(original: Path) -> None:
    """Neither the record nor the data can be exchanged for that of another proved event."""
    key = key_in(original)
    with opened(original) as ledger:
        one, other = ledger.read(299, 301)
    place = place_in(original)
    lines = prove_event(place, key, one).split(b"\n")
    others = prove_event(place, key, other).split(b"\n")
    for swapped in ([1], [2], [1, 2], [1, 2, 5], [5]):
        mixed = [others[n] if n in swapped else line for n, line in enumerate(lines)]
        with pytest.raises(ProofProblem, match="position"):
            check_proof(b"\n".join(mixed), key)


def test_no_proof_is_given_of_what_was_not_signed(folder: Path) -> None:
    """A changed row, a damaged tile, a spoilt checkpoint: said, instead of a proof that fails."""
    place, key = place_in(folder), key_in(folder)
    at(300, "actor", "'x'")(folder)
    with opened(folder) as ledger:
        changed, sound = ledger.read(299, 301)
    with pytest.raises(Unprovable, match="position 300: this event is not in the log"):
        prove_event(place, key, changed)
    prove_event(place, key, sound)
    place.checkpoint.write_bytes(flipped(place.checkpoint.read_bytes(), 60, 0))
    with pytest.raises(Unprovable, match="checkpoint fails"):
        prove_event(place, key, sound)
    with closing(sqlite3.connect(folder / NAME)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (SIZE,)
