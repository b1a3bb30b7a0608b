"""The transparency log from the door: who seals, and what outsiders are given and told."""

from __future__ import annotations

import ast
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CATALOGUE, CommandLine

from ledger.tlog import verify_proof
from ledger.tlog.checkpoint import log_paths, sealed_size

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
LEDGER = "attempts.ledger"


def head() -> int:
    """Return the last position."""
    with closing(sqlite3.connect(LEDGER)) as connection:
        return int(connection.execute("SELECT max(position) FROM events").fetchone()[0])


def edit(statement: str) -> None:
    """Change the file past the ledger."""
    with closing(sqlite3.connect(LEDGER, isolation_level=None)) as connection:
        connection.execute(statement)


# -- who seals


def test_a_new_ledger_is_sealed_with_a_key_of_its_own(door: CommandLine) -> None:
    """The key is its owner's alone; the log beside it holds what it began with."""
    door.done("init")
    key = door.folder / f"{LEDGER}.signing-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sealed_size(log_paths(Path(LEDGER))) == 3
    assert door.done("verify") == "positions 1 to 3 are as they were signed\n"


def test_the_signing_key_lies_where_it_is_told_to(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an option, or the environment; whoever names none has none."""
    door.done("--signing-key", "own.key", "init")
    assert not (door.folder / f"{LEDGER}.signing-key").exists()
    assert "there is no signing key" in door.call("policy", "publish", written(door)).err
    monkeypatch.setenv("ATTEMPT_LEDGER_SIGNING_KEY", "own.key")
    assert "sealed up to position 4" in door.call("seal").err


def written(door: CommandLine) -> str:
    """Put a policy into the folder; gives its name."""
    return door.write(
        "ours.toml",
        'id = "ours"\ntitle = "Ours"\neffective_from = 2021-01-01T00:00:00Z\n'
        '[wait]\nafter = ["P7D"]\n',
    )


def test_every_command_that_writes_seals_before_it_ends(door: CommandLine) -> None:
    """Whatever was appended is signed when the prompt comes back."""
    door.done("init")
    door.write("catalogue.toml", CATALOGUE)
    door.write(
        "results.csv",
        "candidate_id,exam,registration_id,started_at,outcome\n"
        "C-1,AZ-104,R-1,2021-04-06T09:00:00Z,fail\n"
        "C-2,AZ-104,R-2,2021-04-07,neither\n",
    )
    request = ("exception", "request", "C-1", "AZ-104", "--request-id", "Q-1",
               "--registration-id", "R-1", "--reason", "lab-crash")  # fmt: skip
    ends = [3]
    for words in (
        ("catalogue", "catalogue.toml"),
        ("import", "results.csv"),
        ("record", "ExamAttempted", "C-1", "exam=AZ-104", "registration_id=R-3", "delivery=live"),
        ("annul", "urn:csv", "R-1/result", "--reason", "another's"),
        request,
        ("policy", "publish", written(door)),
    ):
        answer = door.call(*words)
        assert answer.code in (0, 1), answer
        assert "not sealed" not in answer.err
        assert sealed_size(log_paths(Path(LEDGER))) == head()
        ends.append(head())
    assert ends == sorted(set(ends)), "each of them did write"
    assert "as they were signed" in door.done("verify", "--full")


def test_a_large_import_is_sealed_beside(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process of its own, and to the last event when the call ends."""
    monkeypatch.setattr("ledger.intake.process.WORTH_BYTES", 1)
    door.done("init", "--bare")
    rows = "".join(f"C-{n},AZ-104,R-{n},2021-04-06T09:00:00Z,fail\n" for n in range(2000))
    door.write("big.csv", f"candidate_id,exam,registration_id,started_at,outcome\n{rows}")
    answer = door.call("import", "big.csv")
    assert answer.err.count("attempt-ledger: ") == 1, answer.err
    assert door.done("verify") == "positions 1 to 4,000 are as they were signed\n"


def test_what_cannot_be_sealed_is_recorded_all_the_same(door: CommandLine) -> None:
    """A warning, and exit code 0; sealing later makes up for it, with a new key if need be."""
    door.done("init")
    key = door.folder / f"{LEDGER}.signing-key"
    key.rename("elsewhere")
    words = ("record", "ExamWentLive", "AZ-104")
    answer = door.call(*words)
    assert answer.code == 0
    assert "what is recorded stands, but is not sealed: there is no signing key at" in answer.err
    assert "positions 4 to 4 are not sealed yet" in door.done("verify")
    assert "there is no signing key" in door.wrong("seal")
    Path("elsewhere").rename(key)
    assert "sealed up to position 4, 1 of them now" in door.call("seal").err
    key.unlink()
    answer = door.call("seal", "--new-key")
    assert answer.code == 0
    assert "its verifier key is attempt-ledger/" in answer.err
    assert "is already there" in door.wrong("seal", "--new-key")


def test_a_ledger_without_a_log_gets_one(door: CommandLine) -> None:
    """One that was made before there were logs, or by other means."""
    door.done("init")
    place = log_paths(Path(LEDGER))
    shutil.rmtree(place.folder)
    place.key.unlink()
    Path(f"{place.key}.last").unlink()
    for words in (("checkpoint",), ("prove", "@1"), ("verify",)):
        assert "has no log" in door.wrong(*words)
    assert door.call("seal", "--new-key").code == 0
    assert "positions 1 to 3 are as they were signed" in door.done("verify")


def test_a_new_ledger_is_not_made_beside_the_log_or_key_of_another(door: CommandLine) -> None:
    """Nothing is made; what is left is to be moved away first."""
    door.done("init")
    Path(LEDGER).unlink()
    assert "of the log of another ledger: move it away first" in door.wrong("init")
    shutil.rmtree(f"{LEDGER}.tlog")
    assert "of the key of another ledger: move it away first" in door.wrong("init")
    assert not Path(LEDGER).exists()
    Path(f"{LEDGER}.signing-key").unlink()
    door.done("init")


def test_sealing_refuses_a_ledger_that_was_cut_off(door: CommandLine) -> None:
    """Exit code 1, and it says what to do."""
    door.done("init")
    edit("DELETE FROM events WHERE position = 3")
    assert "ends at position 2, but 3 events were sealed" in door.refused("seal")


def test_a_follower_seals_what_others_append(door: CommandLine) -> None:
    """Until Ctrl-C, which is no failure."""
    door.done("init")
    key = door.folder / f"{LEDGER}.signing-key"
    assert "there is no signing key" in door.wrong("--signing-key", "k", "seal", "--follow")
    process = subprocess.Popen([COMMAND, "seal", "--follow"], cwd=door.folder)
    try:
        for number in range(3):
            door.done(
                "--signing-key",
                "none",
                "record",
                "ExamWentLive",
                f"AZ-{number}",
                "--id",
                f"{number}",
            )
            for _ in range(600):
                if sealed_size(log_paths(Path(LEDGER))) == 4 + number:
                    break
                time.sleep(0.05)
            assert sealed_size(log_paths(Path(LEDGER))) == 4 + number
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    assert key.exists()
    assert "as they were signed" in door.done("verify")


# -- what outsiders are given


@pytest.fixture
def told(door: CommandLine) -> CommandLine:
    """A ledger with two results, and the verifier key in a file."""
    door.catalogued().failed("R-1", "2021-03-01T09:00:00Z")
    door.write("vkey", door.done("checkpoint", "--key"))
    door.write("early", door.done("checkpoint"))
    door.failed("R-2", "2021-04-01T09:00:00Z")
    return door


def proved(door: CommandLine, *words: str) -> str:
    """Make a proof, in a file; gives its name."""
    return door.write("it.proof", door.done("prove", *words))


@pytest.mark.parametrize("words", [("urn:vue", "R-1/result"), ("@7",)])
def test_an_event_is_proved_by_its_id_or_position(
    told: CommandLine, words: tuple[str, ...]
) -> None:
    """The proof says of itself what it proves, to whoever has the key."""
    answer = told.done("verify-proof", proved(told, *words), "--key", "vkey")
    assert "position   7\n" in answer
    assert "true from  2021-03-01T09:00:00Z\n" in answer
    assert "event      ExamFailed, schema 1\n" in answer
    assert "about      candidate C-1\n" in answer
    assert "of size    9\n" in answer
    assert told.done("prove", *words, "--output", "other.proof") == ""
    assert Path("other.proof").read_bytes() == Path("it.proof").read_bytes()


def test_a_proof_is_small(told: CommandLine) -> None:
    """At most 2 KB beside the event, even if the log had grown to eight thousand million."""
    proof = told.done("prove", "@7").encode()
    (event,) = (line for line in told.done("export").splitlines() if '"id":"R-1/result"' in line)
    hashes = proof.partition(b"index 6\n")[2].partition(b"\n\n")[0].count(b"\n") + 1
    assert len(proof) - len(event.encode()) + (33 - hashes) * 45 + 9 <= 2048


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "prove takes an EVENT"),
        (("@1", "--between", "@1", "@2"), "prove takes an EVENT"),
        (("@x",), "'@x' is no position"),
        (("@99",), "there is no position 99 in"),
        (("@0",), "there is no position 0 in"),
        (("R-1",), "named by two words"),
        (("urn:vue", "R-9"), "there is no event 'R-9' of 'urn:vue'"),
        (("--between", "@1", "@99"), "a log of 99 events is not signed yet, the last is of 9"),
        (("--between", "@1", "nowhere"), "nowhere: no such file"),
    ],
)
def test_what_cannot_be_proved_is_said(
    told: CommandLine, words: tuple[str, ...], said: str
) -> None:
    """The call is wrong: one sentence."""
    assert said in told.wrong("prove", *words)


def test_what_is_not_sealed_is_not_proved(told: CommandLine) -> None:
    """Until it is."""
    told.done("--signing-key", "none", "record", "ExamWentLive", "AZ-104")
    assert "position 10 is not sealed yet, the log ends at 9: `seal`" in told.wrong("prove", "@10")
    told.done("seal")
    assert "position   10\n" in told.done("verify-proof", proved(told, "@10"))


def test_one_log_is_proved_to_continue_another(told: CommandLine) -> None:
    """Between checkpoints that were kept, or positions, in either order; and fits what was kept."""
    told.write("late", told.done("checkpoint"))
    for words, sizes in (
        (("early", "late"), "7 → 9"),
        (("late", "early"), "7 → 9"),
        (("@3", "early"), "3 → 7 → 9"),
        (("@3", "@9"), "3 → 9"),
        (("@9", "@9"), "9 → 9"),
    ):
        proof = proved(told, "--between", *words)
        assert f"continues  {sizes}\n" in told.done("verify-proof", proof, "--key", "vkey")
    proof = proved(told, "--between", "@3", "early")
    told.done("verify-proof", proof, "--against", "early")
    told.done("verify-proof", proof, "--against", "late")
    (told.folder / "other").mkdir()
    told.done("--ledger", "sqlite:///other/o.ledger", "init")
    told.write("others", told.done("--ledger", "sqlite:///other/o.ledger", "checkpoint"))
    assert "others does not hold: the checkpoint is not signed" in told.refused(
        "verify-proof", proof, "--against", "others"
    )
    assert "others: the checkpoint is not signed" in told.refused(
        "prove", "--between", "others", "@9"
    )
    proof = proved(told, "--between", "@3", "@9")
    assert "says nothing of that size (only of 3, 9)" in told.refused(
        "verify-proof", proof, "--against", "early"
    )


def test_a_proof_that_does_not_hold_is_said(told: CommandLine) -> None:
    """With its position, by exit code 1; a key that is none is a wrong call."""
    proof = told.done("prove", "@7").replace("2021", "2022", 1).replace('"R-1', '"R-2')
    told.write("bad.proof", proof)
    error = told.refused("verify-proof", "bad.proof", "--key", "vkey")
    assert "bad.proof does not hold: position 7: the data is not the data" in error
    assert "--key: a verifier key reads" in told.wrong("verify-proof", "bad.proof", "--key", "x")
    assert "no such file" in told.wrong("verify-proof", "none.proof", "--key", "vkey")


# -- verify


def test_a_verification_reads_everything_whatever_was_verified_before(told: CommandLine) -> None:
    """So an event that was changed after it was verified is found; --full says the same."""
    assert told.done("verify") == "positions 1 to 9 are as they were signed\n"
    assert told.done("verify", "--full") == "positions 1 to 9 are as they were signed\n"
    edit("UPDATE events SET actor = 'x' WHERE position = 7")
    assert "position 7 was changed" in told.refused("verify")
    assert "position 7 was changed" in told.refused("verify", "--full")


def test_a_verification_of_what_is_new_says_what_it_did_not_read(told: CommandLine) -> None:
    """It starts where the last one ended that found nothing."""
    assert told.done("verify", "--new") == "positions 1 to 9 are as they were signed\n"
    before = (
        "positions 1 to 9 were verified before and not read again: a change of them since is found "
        "by `verify` without --new\n"
    )
    assert told.done("verify", "--new") == before
    told.failed("R-3", "2021-05-01T09:00:00Z")
    assert told.done("verify", "--new") == f"positions 10 to 11 are as they were signed\n{before}"
    assert told.done("verify", "--against", "early", "--key", "vkey") == (
        "positions 1 to 11 are as they were signed\n"
    )
    for words in (("--full",), ("--against", "early")):
        assert "give one of them" in told.wrong("verify", "--new", *words)


def test_what_was_changed_is_said_on_standard_error(told: CommandLine) -> None:
    """Each finding a line, exit code 1, nothing on standard output."""
    edit("UPDATE events SET topic = 'ExamPassed:1' WHERE position = 7")
    answer = told.call("verify")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        "attempt-ledger: position 7 was changed: its topic was ExamFailed:1 when it was sealed\n"
    )
    edit("UPDATE events SET actor = 'x'")
    assert told.refused("verify", "--full").count("\n") == 9
    edit("DELETE FROM events WHERE position > 5")
    assert "is of 7 events, this ledger ends at position 5" in told.refused(
        "verify", "--against", "early"
    )


def test_a_verification_is_refused_what_it_needs(told: CommandLine) -> None:
    """A key that is none, a checkpoint that is not there, another log's key."""
    assert "--key: a verifier key reads" in told.wrong("verify", "--key", "x")
    assert "none: no such file" in told.wrong("verify", "--against", "none")
    other = verify_proof.VerifierKey("a", verify_proof.key_id("a", bytes(32)), bytes(32))
    assert "not signed with the key a+" in told.refused("verify", "--key", str(other))
    told.write("early", "nothing\n")
    assert "no signed note" in told.refused("verify", "--against", "early")


# -- the one file for auditors


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file by itself."""
    source = Path(verify_proof.__file__)
    return Path(shutil.copy(source, tmp_path_factory.mktemp("auditor") / "verify_proof.py"))


def audited(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the file as an auditor would."""
    return subprocess.run(
        [sys.executable, "-I", str(file), *words], capture_output=True, text=True, cwd=file.parent
    )


def test_the_one_file_says_the_same(told: CommandLine, alone: Path) -> None:
    """Anywhere, with the key as a file or as it is, and against a checkpoint that was kept."""
    here = told.folder
    vkey = Path("vkey").read_text().strip()
    proof = str(here / proved(told, "@7"))
    for key in (vkey, str(here / "vkey")):
        done = audited(alone, proof, "--key", key)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == told.done("verify-proof", proof)
        assert done.stdout.startswith(
            f"{proof} holds: signed with the key {vkey[: vkey.index('+') + 9]}\n"
        )
    spoilt = told.write("bad.proof", Path(proof).read_text().replace("R-1", "R-2"))
    done = audited(alone, str(here / spoilt), "--key", vkey)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not hold: position 7: the data is not" in done.stderr
    between = str(here / proved(told, "--between", "early", "@9"))
    done = audited(alone, between, "--key", vkey, "--against", str(here / "early"))
    assert done.returncode == 0, done.stderr
    done = audited(alone, between, "--key", vkey, "--against", str(here / "vkey"))
    assert done.returncode == 1
    assert "no signed note" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "usage"),
        (("it.proof", "--key", "x"), "--key: a verifier key reads"),
        (("nowhere", "--key", "vkey"), "nowhere: No such file"),
    ],
)
def test_the_one_file_knows_a_wrong_call(
    told: CommandLine, alone: Path, words: tuple[str, ...], said: str
) -> None:
    """Exit code 2."""
    shutil.copy("vkey", alone.parent / "vkey")
    done = audited(alone, *words)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_one_file_needs_nothing_but_cryptography() -> None:
    """Neither the rest of the program nor any other library."""

    def imported() -> Iterator[str]:
        for node in ast.walk(ast.parse(Path(verify_proof.__file__).read_text())):
            if isinstance(node, ast.Import):
                yield from (name.name for name in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module)

    roots = {name.partition(".")[0] for name in imported()} - {"__future__"}
    assert roots - set(sys.stdlib_module_names) == {"cryptography"}


def test_a_question_pays_nothing_for_it(told: CommandLine) -> None:
    """`standing` imports neither the log nor the library of ciphers."""
    looked = subprocess.run(
        [
            sys.executable, "-c",
            "import sys; from attempt_ledger.cli.main import app; import typer.main\n"
            "typer.main.get_command(app).main(['standing', 'C-1'], standalone_mode=False)\n"
            "print(*sys.modules, file=sys.stderr)",
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    modules = looked.stderr.split()
    assert "ledger.ledger" in modules
    assert not [name for name in modules if "transparency" in name or "cryptography" in name]
