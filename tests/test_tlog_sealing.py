"""Sealing: incremental, after the append, safe against crashes and company, and never a lie."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from backing import until
from hypothesis import given
from hypothesis import strategies as st
from ledger_facts import NINE, SetClock, facts, sample
from sealed_ledger import (
    NAME,
    append,
    copied,
    history,
    key_in,
    make,
    meddle,
    opened,
    place_in,
    said,
    sealed,
    verified,
)

from ledger import durable
from ledger.events import Recorded, Row
from ledger.ledger import Ledger
from ledger.problems import Inconsistent, LedgerProblem, LogProblem, SigningKeyProblem
from ledger.store import integrity
from ledger.store.inspection import WIDTH
from ledger.tlog import follower, leaf
from ledger.tlog.checkpoint import log_paths, sealed_size
from ledger.tlog.leaf import leaf_hash_or_none, leaf_record
from ledger.tlog.note import last_signed_path
from ledger.tlog.proof import prove_event
from ledger.tlog.sealer import Sealed, make_key, renew_key, seal
from ledger.tlog.verify_proof import LEAF, ProofProblem, check_proof

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))


def log_of(folder: Path) -> dict[str, bytes]:
    """Return every tile that stands for the tree as it is now, and the checkpoint."""
    place = place_in(folder)
    size = sealed_size(place)
    found = {"checkpoint": place.checkpoint.read_bytes()}
    for path in sorted((place.folder / "tile").rglob("*")):
        if path.is_file() and not path.name.startswith("."):  # no draft of a crash
            level = int(path.relative_to(place.folder).parts[1])
            if not path.parent.name.endswith(".p") or int(path.name) == (size >> 8 * level) % 256:
                found[str(path.relative_to(place.folder))] = path.read_bytes()
    return found


# -- the leaf


def test_a_leaf_record_is_a_line_of_json_with_every_column() -> None:
    """Byte for byte as docs/transparency.md lays it out."""
    row = Recorded(
        42, 1_614_600_603_120_394, 1_614_589_200_000_000, "ExamFailed:1", "candidate/C-1001",
        "urn:vue", 'R-"77"\\é日\x01', None, "AZ-104", "R-77", None, -5, 7, '{"exam":"AZ-104"}',
    )  # fmt: skip
    assert leaf_record(row).decode() == (
        '{"v":1,"position":42,"recorded_at":1614600603120394,"occurred_at":1614589200000000,'
        '"topic":"ExamFailed:1","stream":"candidate/C-1001","source":"urn:vue",'
        '"id":"R-\\"77\\"\\\\é日\\u0001","actor":null,"exam":"AZ-104","key":"R-77","flag":null,'
        '"until":-5,"annuls":7,'
        f'"data_sha256":"{sha256(row.data.encode()).hexdigest()}"}}'
    )
    assert ("v", *Recorded._fields[:-2], "data_sha256") == tuple(LEAF)
    assert len(Recorded._fields) == WIDTH


def test_a_leaf_of_an_event_with_extension_attributes_is_of_version_two() -> None:
    """It commits to their bytes too; one without stays of version one for ever."""
    row = Recorded(1, NINE, *sample("ExamWentLive").row())
    more = row._replace(extensions='{"traceparent":"00-4b"}')
    one, two = (json.loads(leaf_record(each)) for each in (row, more))
    digest = sha256(b'{"traceparent":"00-4b"}').hexdigest()
    assert (one["v"], two) == (1, {**one, "v": 2, "extensions_sha256": digest})


@given(facts(), st.sampled_from(Row._fields), st.none() | st.integers() | st.text())
def test_a_row_with_any_column_changed_is_another_leaf(fact, column, value) -> None:  # type: ignore[no-untyped-def]
    """Every column counts, and no other value of it looks the same, of whatever type."""
    row = Recorded(7, NINE, *fact.row())
    changed = row._replace(**{column: value})
    same = type(getattr(row, column)) is type(value) and getattr(row, column) == value
    assert leaf_hash_or_none(row) is not None
    assert (leaf_hash_or_none(changed) == leaf_hash_or_none(row)) == same


# -- growing


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 600 events, sealed at once."""
    return make(tmp_path_factory.mktemp("at-once") / "ledger")


@contextmanager
def unsealed(at_once: Path, folder: Path) -> Iterator[Ledger]:
    """The same ledger with the same key, nothing of it sealed."""
    copied(at_once, folder)
    place = place_in(folder)
    shutil.rmtree(place.folder / "tile")
    place.checkpoint.unlink()
    last_signed_path(place.key).unlink()
    with opened(folder) as ledger:
        yield ledger


@pytest.mark.parametrize(
    "sizes", [range(1, 601, 7), [1, 255, 256, 257, 511, 512, 513, 600], [256, 512, 600], [599, 600]]
)
def test_sealed_bit_by_bit_it_is_the_same_log(
    at_once: Path, tmp_path: Path, sizes: list[int]
) -> None:
    """The same root, signature and tiles as sealed at once."""
    from ledger.tlog.sealer import seal

    with unsealed(at_once, tmp_path / "a") as ledger:
        place, id, before = place_in(tmp_path / "a"), str(ledger.about("ledger")), 0
        for size in [*sizes, 600]:
            came = seal(place, id, size)
            assert (came.before, came.checkpoint.size) == (before, size)
            before = size
    assert log_of(tmp_path / "a") == log_of(at_once)
    assert said(verified(tmp_path / "a")) == []
    partial = {path.parent.name for path in place.folder.rglob("*.p/*")}
    assert partial == {"002.p", "000.p"}, "partial tiles go when the full one is there"


def test_two_processes_seal_the_same_log(
    at_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And verify the same."""
    monkeypatch.setattr(leaf, "WORTH_ROWS", 1)
    with unsealed(at_once, tmp_path / "a") as ledger:
        sealed(ledger, processes=2)
    assert log_of(tmp_path / "a") == log_of(at_once)
    assert said(verified(tmp_path / "a", full=True, processes=2)) == []


def test_processes_end_when_the_one_that_started_them_is_killed() -> None:
    """Nobody is left that waits for work."""
    asked = "shared_out(time.sleep, [(60,), (60,)], 10, 2)"
    script = f"import time; from ledger.tlog import leaf; leaf.WORTH_ROWS = 1; [*leaf.{asked}]"

    def threads(process: int) -> int:
        with suppress(OSError):
            return len(os.listdir(f"/proc/{process}/task"))
        return 0

    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        until(lambda: sum(threads(int(each)) > 1 for each in children.read_text().split()) == 2)
        started = [int(each) for each in children.read_text().split()]
        parent.kill()
    until(lambda: not any(map(threads, started)))


def test_a_log_of_three_levels_is_sealed_in_steps(tmp_path: Path) -> None:
    """Around 65,536 events, where a third level of tiles begins; every kind of proof holds."""
    template = history(1, 1)[0].row()
    with opened(tmp_path) as ledger:
        place = place_in(tmp_path)
        for first, last in ((1, 65_535), (65_536, 65_536), (65_537, 65_537), (65_538, 65_900)):
            ledger.append([template._replace(id=f"{n}") for n in range(first, last + 1)])
            assert sealed(ledger).checkpoint.size == last
            assert said(verified(tmp_path)) == []
        key = key_in(tmp_path)
        for position in (1, 65_535, 65_536, 65_537, 65_900):
            (event,) = ledger.read(position - 1, position)
            check_proof(prove_event(place, key, event), key)
    assert said(verified(tmp_path, full=True)) == []
    assert place.tiles.path(2, 0, 1).exists()


def test_with_nothing_new_nothing_is_written(at_once: Path, tmp_path: Path) -> None:
    """Not a file of the log is touched."""
    folder = copied(at_once, tmp_path / "a")
    place = place_in(folder)

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in place.folder.rglob("*")}

    before = times()
    with opened(folder) as ledger:
        assert sealed(ledger).checkpoint.size == 600
    assert times() == before


def test_an_empty_ledger_is_sealed_as_empty(tmp_path: Path) -> None:
    """A checkpoint of size 0: whoever keeps it can be shown later that the log began there."""
    with opened(tmp_path) as ledger:
        assert sealed(ledger).checkpoint.size == 0
        assert said(verified(tmp_path)) == []
        append(ledger, history(1, 3))
        assert sealed(ledger).before == 0
    assert said(verified(tmp_path)) == []


def test_sealing_waits_for_no_writer_and_keeps_none_waiting(at_once: Path, tmp_path: Path) -> None:
    """While a transaction is open what is durable is sealed, and nothing else."""
    folder = copied(at_once, tmp_path / "a")
    with opened(folder) as ledger, opened(folder) as writer:
        append(writer, history(601, 610))
        with writer.appending() as appending:
            appending.take([fact.row() for fact in history(611, 620)])
            assert sealed(ledger).checkpoint.size == 610
        assert sealed(ledger).checkpoint.size == 620
    assert said(verified(folder)) == []


# -- crashes and company


class Crash(BaseException):
    """The machine stops."""


class Steps:
    """Lets some calls be made, and crashes instead of the one whose number is given."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.crashed = False

    def to(self, do: Callable[..., object]) -> Callable[..., object]:
        """Count a function's calls."""

        def doing(*words: object) -> object:
            self.left -= 1
            if self.left <= 0:
                self.crashed = True
                raise Crash
            return do(*words)

        return doing


SET_BACK = "the log was set back: its checkpoint is of 600 events, but one of 900 was signed"
"""What is said after a crash between signing and publishing, until the next sealing."""


def test_a_crash_at_any_write_leaves_a_log_that_the_next_sealing_completes(
    at_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each write, sync and rename in turn: the old log still holds, the new one comes out."""
    folder = copied(at_once, tmp_path / "a")
    with opened(folder) as ledger:
        append(ledger, history(601, 900))
    after = copied(folder, tmp_path / "after")
    with opened(after) as ledger:
        sealed(ledger)
    before, done = log_of(folder), log_of(after)
    for number in range(1, 200):
        crashed = copied(folder, tmp_path / f"{number}")
        with monkeypatch.context() as patched, opened(crashed) as ledger:
            steps = Steps(number)
            for name in ("write", "fsync", "replace"):
                patched.setattr(durable.os, name, steps.to(getattr(os, name)))
            with suppress(Crash):
                sealed(ledger)
        if not steps.crashed:
            break
        left = log_of(crashed)
        assert left == done or left.items() >= before.items()
        wrong = said(verified(crashed, full=True))
        assert not wrong or wrong == [SET_BACK]
        with opened(crashed) as ledger:
            sealed(ledger)
        assert log_of(crashed) == done
        assert said(verified(crashed, full=True)) == []
        shutil.rmtree(crashed)
    assert number > 15


def test_a_crash_while_the_key_is_made_leaves_no_half_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each write, sync and link in turn: the next call makes it, or it is there."""
    for number in range(1, 100):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        with Ledger.create(folder / NAME, clock=SetClock()) as ledger:
            place, id = place_in(folder), str(ledger.about("ledger"))
            with monkeypatch.context() as patched:
                steps = Steps(number)
                for name in ("fsync", "replace", "link"):
                    patched.setattr(durable.os, name, steps.to(getattr(os, name)))
                with suppress(Crash):
                    make_key(place, id)
            if not place.key.exists():
                make_key(place, id)
            append(ledger, history(1, 3))
            assert sealed(ledger).checkpoint.size == 3
        assert said(verified(folder, full=True)) == []
        assert not [path.name for path in folder.iterdir() if path.name.endswith(".new")]
        if not steps.crashed:
            break
    assert number > 5


def test_sealers_and_writers_at_once_come_to_one_log(tmp_path: Path) -> None:
    """Several processes sealing while others append: none fails, and the log holds."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 100))
    here = [COMMAND, "--ledger", f"sqlite:///{tmp_path / NAME}"]
    started = [
        subprocess.Popen([*here, *words], stderr=subprocess.PIPE, text=True)
        for number in range(3)
        for words in (
            ["seal"],
            ["record", "ExamAttempted", "C-1", "exam=AZ-104", f"registration_id=N-{number}",
             "delivery=live", "--time", "2021-03-01"],
        )
    ]  # fmt: skip
    for process in started:
        _, err = process.communicate()
        assert process.returncode == 0 or "is not in the catalogue" in err, err
        assert "not sealed" not in err
    assert sealed_size(place_in(tmp_path)) == 103
    assert said(verified(tmp_path, full=True)) == []


def test_a_sealer_that_another_one_passed_has_nothing_to_do(tmp_path: Path) -> None:
    """It looked for the last position before the other sealed further; nothing is cut off."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 700))
        place, id = place_in(tmp_path), str(ledger.about("ledger"))
        whole = sealed(ledger).checkpoint
        assert seal(place, id, 300) == Sealed(700, whole)
        meddle("DELETE FROM events WHERE position > 600")(tmp_path)
        with pytest.raises(Inconsistent, match="ends at position 600, but 700 events were sealed"):
            seal(place, id, 300)


def test_what_is_appended_while_it_is_verified_is_no_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One state of the ledger is looked at, whoever writes beside."""
    define = integrity.redefinitions
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 30))
        sealed(ledger)
        append(ledger, history(31, 33))

        def meanwhile(connection: sqlite3.Connection) -> list[str]:
            append(ledger, history(34, 36))
            return define(connection)

        monkeypatch.setattr(integrity, "redefinitions", meanwhile)
        verdict = verified(tmp_path, full=True)
        assert (verdict.findings, verdict.head) == ([], 33)


# -- the key


def test_the_signing_key_is_its_owners_alone(tmp_path: Path) -> None:
    """Mode 600, never overwritten, and not used while others may read it."""
    with opened(tmp_path) as ledger:
        place = place_in(tmp_path)
        assert stat.S_IMODE(place.key.stat().st_mode) == 0o600
        append(ledger, history(1, 3))
        place.key.chmod(0o640)
        with pytest.raises(SigningKeyProblem, match="open to others than its owner: chmod 600"):
            sealed(ledger)
        place.key.chmod(0o600)
        with pytest.raises(LogProblem, match="there already"):
            make_key(place, str(ledger.about("ledger")))
        assert sealed(ledger).checkpoint.size == 3


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no signing key at .*--new-key"),
        (b"", "is no signing key: it should read"),
        (b"\xff", "cannot be read: it is not text"),
        (b"PRIVATE+KEY+a+00000000+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz", "its id does not"),
        (
            b"PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz",
            "signs for PeterNeumann, not for this ledger's log",
        ),
    ],
)
def test_without_the_right_key_nothing_is_signed(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """Missing, spoilt, another log's: one sentence, and the log stays as it was."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 3))
        sealed(ledger)
        place = place_in(tmp_path)
        before = log_of(tmp_path)
        place.key.unlink()
        if content is not None:
            place.key.write_bytes(content)
            place.key.chmod(0o600)
        append(ledger, history(4, 5))
        with pytest.raises(SigningKeyProblem, match=words):
            sealed(ledger)
    assert log_of(tmp_path) == before
    assert said(verified(tmp_path)) == []


def test_a_lost_key_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """It signs the same log on; what the old one signed holds for who has the old verifier key."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 300))
        sealed(ledger)
        place, id, old = place_in(tmp_path), str(ledger.about("ledger")), key_in(tmp_path)
        (event,) = ledger.read(41, 42)
        proof = prove_event(place, old, event)
        place.key.unlink()
        new = renew_key(place, id).verifier
        assert key_in(tmp_path) == new != old
        append(ledger, history(301, 302))
        assert sealed(ledger).before == 300
        assert said(verified(tmp_path, full=True)) == []
        assert check_proof(proof, old).checkpoint.root
        with pytest.raises(ProofProblem, match="not signed with the key"):
            check_proof(proof, new)
        place.key.unlink()  # as after a crash before the new key was written
        assert renew_key(place, id).verifier != new
        assert said(verified(tmp_path, full=True)) == []
        place.key.unlink()
        place.checkpoint.write_bytes(place.checkpoint.read_bytes().replace(b"302", b"301"))
        with pytest.raises(Inconsistent, match="no new key is made"):
            renew_key(place, id)
        assert not place.key.exists()


def test_the_last_checkpoint_signed_is_kept_before_it_is_published(tmp_path: Path) -> None:
    """Beside the key; where that cannot be, nothing is signed."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 3))
        sealed(ledger)
        place = place_in(tmp_path)
        kept = last_signed_path(place.key)
        assert kept.read_bytes() == place.checkpoint.read_bytes()
        kept.unlink()
        kept.mkdir()
        append(ledger, history(4, 5))
        with pytest.raises(LogProblem):
            sealed(ledger)
        assert sealed_size(place) == 3


def test_a_log_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """The ledger is as it was."""
    with Ledger.create(tmp_path / "b.ledger", clock=SetClock()) as ledger:
        place = log_paths(tmp_path / "b.ledger")
        place.folder.write_bytes(b"")
        with pytest.raises(LogProblem, match=r"b\.ledger\.tlog cannot be written"):
            make_key(place, str(ledger.about("ledger")))
        append(ledger, history(1, 3))
        with pytest.raises(LogProblem, match=r"b\.ledger\.tlog"):
            sealed(ledger)
        assert ledger.head().position == 3


# -- following


def test_following_seals_in_steps_and_looks_again_only_when_somebody_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some at a time, so that who says to end waits for no more; nothing while nothing comes."""
    monkeypatch.setattr(follower, "_MOST", 100)
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 250))
        place = place_in(tmp_path)
        looks: list[tuple[float, int]] = []

        def wait(seconds: float) -> bool:
            looks.append((seconds, sealed_size(place)))
            if len(looks) == 4:
                append(ledger, history(251, 260))
            return len(looks) == 6

        follower.follow(place, str(ledger.about("ledger")), wait=wait, troubled=pytest.fail)
    rest = follower.EVERY_SECONDS
    assert looks == [(0, 100), (0, 200), (rest, 250), (rest, 250), (rest, 260), (rest, 260)]


def test_following_tells_what_hinders_and_tries_again(tmp_path: Path) -> None:
    """A log that cannot be written may be written later; a wrong key or history ends it."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 3))
        place, id = place_in(tmp_path), str(ledger.about("ledger"))
        (place.folder / "tile").write_bytes(b"")
        told: list[LedgerProblem] = []

        def wait(seconds: float) -> bool:
            if len(told) == 2 and (place.folder / "tile").is_file():
                (place.folder / "tile").unlink()
            return sealed_size(place) == 3

        follower.follow(place, id, wait=wait, troubled=told.append)
        assert [type(each) for each in told] == [LogProblem, LogProblem]
        meddle("DELETE FROM events WHERE position = 3")(tmp_path)
        with pytest.raises(Inconsistent, match="ends at position 2"):
            follower.follow(place, id, wait=wait, troubled=told.append)


def test_a_process_beside_seals_until_it_is_told_to_end(tmp_path: Path) -> None:
    """It finishes what it is at; without a key it ends quietly, for the last sealing to say so."""
    with opened(tmp_path) as ledger:
        append(ledger, history(1, 300))
        place, id = place_in(tmp_path), str(ledger.about("ledger"))
        with follower.SealingBeside(place, id):
            for _ in range(600):
                if sealed_size(place) == 300:
                    break
                time.sleep(0.05)
        assert sealed_size(place) == 300
        place.key.unlink()
        with follower.SealingBeside(place, id):
            append(ledger, history(301, 310))
        assert sealed_size(place) == 300
    assert said(verified(tmp_path)) == []
