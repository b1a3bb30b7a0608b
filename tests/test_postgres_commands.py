"""Every command works on a ledger in PostgreSQL, and answers byte for byte as on one in a file."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from backing import COMMAND, asked, lived_in, rows_of
from command_line import CommandLine
from postgres import new_url, server

from ledger.store.postgres_schema import quoted
from ledger.store.server import read_server

KEYS = "attempts.ledger.keys"


class Both:
    """A ledger in a file, and the same history in PostgreSQL, with the same keys."""

    def __init__(self, door: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.door = door
        monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(door.folder / "homes"))
        self.url = new_url()
        self.server = ("--ledger", self.url, "--keys", KEYS)

    def move(self) -> None:
        """Move the history of the file in."""
        self.door.at("2022-06-01T12:30:00Z")
        self.door.done("export", "--output", "history.jsonl", "--force")
        self.door.done(*self.server, "init", "--bare")
        self.door.done(*self.server, "import", "--keep-recorded-at", "history.jsonl")

    def same(self, *words: str) -> str:
        """Make a call of both, which is none that is wrong; return what both answer."""
        one = self.door.call(*words)
        other = self.door.call(*self.server, *words)
        assert one.code == other.code != 2, (words, one, other)
        assert other.out == one.out, words
        assert self.shown(other.err) == self.shown(one.err), words
        return one.out

    def shown(self, text: str) -> str:
        """Return a message without the names of the two ledgers and of what lies beside them."""
        text = re.sub(r"postgresql://\S*?(?=[:,;]? |\n|$)", "LEDGER", text)
        text = text.replace(str(self.home), "LEDGER")
        return text.replace(str(self.door.folder / "attempts.ledger"), "LEDGER").replace(
            "attempts.ledger", "LEDGER"
        )

    @property
    def home(self) -> Path:
        homes = sorted((self.door.folder / "homes").glob("*"))
        return homes[0] / "attempts.ledger" if homes else self.door.folder / "none"


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(CommandLine(tmp_path, monkeypatch), monkeypatch)


ASKED = """
standing C-5
standing C-5 AZ-104 --format json
standing C-5 AZ-104 --as-of 2021-03-01 --known-at @20
history C-5
history C-5 --format json
search C-
export
replay
replay --as-of 2021-06-01 --no-column-cache
violations
audit events
audit events --format json
audit history C-5
audit backdated
audit annulments
audit exceptions
exception list
policy list
policy show general
report volumes --from 2021-01-01 --to 2021-12-01
report blocked --as-of 2021-06-02
diff --known-at @20 --to-known-at @40
feed --after 10
verify
verify --new
verify --full
seal
project
rebuild
project
"""


def test_every_answer_is_the_same(both: Both) -> None:
    """Byte for byte, errors too, and so is the root that is signed; nothing lies beside a file."""
    door = lived_in(both.door)
    door.done("annul", "urn:csv", "R-7/attempted", "--reason", "a slip")
    both.move()
    for line in ASKED.strip().splitlines():
        both.same(*line.split())
    one, other = (door.done(*words, "checkpoint").splitlines()[1:3] for words in ((), both.server))
    assert one == other
    beside = {path.name for path in both.home.parent.iterdir()}
    assert beside >= {f"attempts.ledger.{end}" for end in ("tlog", "signing-key", "views")}
    assert "attempts.ledger" not in beside


def test_a_history_goes_there_and_back(both: Both) -> None:
    """Every column of every row is as it was; so are the hashes, and a proof of one checks."""
    door = lived_in(both.door)
    both.move()
    back = door.done(*both.server, "export")
    door.write("back.jsonl", back)
    assert back == (door.folder / "history.jsonl").read_text()
    again = ("--ledger", "again.ledger", "--keys", KEYS)
    door.done(*again, "init", "--bare")
    door.done(*again, "import", "--keep-recorded-at", "back.jsonl")
    assert rows_of("again.ledger") == rows_of("attempts.ledger")
    key = door.write("vkey", door.done(*both.server, "checkpoint", "--key"))
    door.write("proof", door.done(*both.server, "prove", "@12"))
    assert "position   12" in door.done("verify-proof", "proof", "--key", key)


def test_what_is_recorded_there_is_recorded_alike(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imports, requests with personal fields, annulments, erasure: outcomes and events."""
    answers = []
    for url in ("attempts.ledger", both.url):
        monkeypatch.setenv("ATTEMPT_LEDGER", url)
        door = lived_in(both.door.at("2022-06-01T12:00:00Z"))
        asked(door, "Q-2", "R-6", "C-6")
        words = ("record", "ExamFailed", "C-1", "exam=AZ-104", "registration_id=R-1")
        fact = ("--source", "urn:x", "--id", "i", "--time", "2021-03-01T09:00:00Z")
        out = [
            door.call("import", "results.csv"),
            door.call(*words, *fact),
            door.call(*words, *fact),
            door.call(*words, "score:=1", *fact),
            door.call("annul", "urn:csv", "R-7/attempted", "--reason", "slip", "--id", "a"),
            door.call("annul", "urn:csv", "none", "--reason", "slip"),
            door.call("exception", "grant", "Q-1", "--reason", "lab", "--id", "g"),
            door.call("impact", "results.csv"),
            door.call("forget", "C-6", "--reason", "ticket", "--yes"),
            door.call("keys", "backup", f"{len(answers)}.backup")._replace(err=""),
            door.call("history", "C-5", "--format", "json"),
            door.call("history", "C-6"),
            door.call("verify"),
        ]
        answers.append([(each.code, both.shown(each.out), both.shown(each.err)) for each in out])
        answers[-1].append((0, door.done("export"), ""))
    one, other = answers
    for number, (mine, theirs) in enumerate(zip(one, other, strict=True)):
        assert _plain(mine) == _plain(theirs), number


def _plain(answer: tuple[int, str, str]) -> tuple[int, str, str]:
    """Return an answer without what is drawn anew each time: keys, and so ciphertext."""
    code, out, err = answer
    return code, re.sub(r'"(ciphertext|hmac|nonce)":"[^"]*"', "", out), err


WRONG = {
    "another database": ("postgresql://exams@/none?host={host}", "there is no such database"),
    "another user": ("postgresql://none@/exams?host={host}", "the server knows no such user"),
    "nobody there": ("postgresql://exams@/exams?host={host}/none", "cannot be reached"),
    "no ledger": ("postgresql://exams@/exams?host={host}&schema=none", "there is no ledger in"),
    "an unknown setting": ("postgresql://exams:secret@/exams?colour=red", "does not know"),
    "a password in pieces": ("postgresql://exams:s@cret@host/exams", "cannot be read"),
    "a slash in a password": ("postgresql://exams:se/cret@host/exams", "cannot be read"),
    "a number and a slash": ("postgresql://exams:1/secret@host/exams", "cannot be read"),
    "a port that is none": ("postgresql://exams@host:secret/exams", "cannot be read"),
    "a schema that is none": ("postgresql://host/exams?schema=", "is no name of a schema"),
    "a schema with a sign": ("postgresql://host/exams?schema=100%25", "is no name of a schema"),
    "a schema with dollars": ("postgresql://host/exams?schema=$body$", "is no name of a schema"),
    "no slashes": ("postgresql:exams", "cannot be read"),
    "one slash": ("postgresql:/exams", "cannot be read"),
    "a wrong escape": ("postgresql://exams:%zzsecret@host/exams", "cannot read"),
}


@pytest.mark.parametrize(("url", "said"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("words", [("standing", "C-1"), ("record", "ExamRetired", "X"), ("seal",)])
def test_what_is_wrong_with_an_address_is_one_sentence(
    both: Both, url: str, said: str, words: tuple[str, ...]
) -> None:
    """Exit code 2, and no part of a password is shown."""
    sentence = both.door.wrong("--ledger", url.format(host=server().folder), *words)
    assert said in sentence
    assert "cret" not in sentence


def test_a_ledger_is_made_once(both: Both) -> None:
    """A schema that is there is left as it is; another gets a ledger of its own."""
    both.door.done("--ledger", both.url, "init")
    assert "there is a schema" in both.door.wrong("--ledger", both.url, "init")
    both.door.done("--ledger", new_url(), "init", "--bare")
    assert "pg_dump" in both.door.wrong("--ledger", both.url, "backup", "b")


def test_a_second_sealer_waits_until_the_first_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another machine, with the same key: it says for whom, and goes on from there."""
    door, url = CommandLine(tmp_path, monkeypatch), new_url()
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "one"))
    door.done("--ledger", url, "init")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    words = [COMMAND, "--ledger", url, "seal", "--follow"]
    sealers = []
    for home in ("one", "two"):
        env = {**os.environ, "ATTEMPT_LEDGER_HOME": str(tmp_path / home)}
        with (tmp_path / f"{home}.err").open("w") as err:
            sealers.append(subprocess.Popen(words, env=env, stderr=err))
        eventually(
            lambda: server().sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'", "exams")
        )
    first, second = sealers
    try:
        eventually(lambda: "seals it already" in (tmp_path / "two.err").read_text())
        fact = ("CertEarned", "C-1", "certification=one")
        door.done("--ledger", url, "--signing-key", "none", "record", *fact)
        eventually(lambda: size_in(tmp_path / "one") == size_in(tmp_path / "two") + 1)
        first.send_signal(signal.SIGINT)
        assert first.wait(20) == 0
        eventually(lambda: size_in(tmp_path / "one") == size_in(tmp_path / "two"))
        # A server that ends what keeps others waiting ends the sealer, too.
        server().sql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        assert second.wait(20) == 2
    finally:
        for each in sealers:
            each.kill()
            each.wait()
    said = (tmp_path / "two.err").read_text()
    assert said.count("waiting to seal") == 1
    assert "process " in said
    assert "Traceback" not in said


def test_each_machine_seals_on_from_what_another_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key alone; and it signs nothing that contradicts what it never saw itself."""
    door, url = CommandLine(tmp_path, monkeypatch), new_url()
    monkeypatch.setenv("ATTEMPT_LEDGER", url)
    key = tmp_path / "key"
    for home in ("one", "two", "one", "three"):
        monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / home))
        words = ("--signing-key", str(key))
        if not key.exists():
            door.done(*words, "init")
        door.done(*words, "record", "CertEarned", f"C-{home}", "certification=one")
        assert size_in(tmp_path / home) == int(door.done("checkpoint").split("\n")[1])
        (tmp_path / "key.last").unlink()  # which other machines do not have
    assert [size_in(tmp_path / home) for home in ("one", "two", "three")] == [6, 5, 7]
    schema = quoted(read_server(url, tmp_path).schema)
    server().sql(f"DELETE FROM {schema}.events WHERE position > 4", "exams")
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "four"))
    answer = door.call(*words, "seal")
    assert "ends at position 4, but 7 events were sealed" in answer.err
    assert answer.code != 0


def test_a_machine_without_key_and_log_leaves_sealing_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither says so each time nor makes a log; the doctor says how much waits.

    Where the log is and its key is not, the key was lost, and that is said.
    """
    door, url = CommandLine(tmp_path, monkeypatch), new_url()
    monkeypatch.setenv("ATTEMPT_LEDGER", url)
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "sealer"))
    door.done("init")
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "writer"))
    said = door.call("record", "CertEarned", "C-1", "certification=one").err
    assert "sealed" not in said
    assert [*(tmp_path / "writer").glob("*/*")] == []
    found = door.call("doctor", "--all").out
    assert "1 event waits to be sealed" in found
    assert "other machines have the key, and seal" in found
    named = ("--signing-key", "none", "record", "CertEarned", "C-2", "certification=one")
    assert "there is no signing key at none" in door.call(*named).err
    monkeypatch.setenv("ATTEMPT_LEDGER_HOME", str(tmp_path / "sealer"))
    door.done("seal")
    assert size_in(tmp_path / "sealer") == 5
    (key,) = (tmp_path / "sealer").glob("*/*.signing-key")
    key.unlink()
    said = door.call("record", "CertEarned", "C-3", "certification=one").err
    assert "is not sealed: there is no signing key" in said


def size_in(home: Path) -> int:
    """Return how many events a machine's log holds."""
    (path,) = home.glob("*/*.tlog/checkpoint")
    return int(path.read_text().splitlines()[1])


def eventually(is_so: Callable[[], object]) -> None:
    """Wait until something is so, for at most 30 seconds."""
    for _ in range(300):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it took too long")
