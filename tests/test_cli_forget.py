"""`forget` and `keys` at the command line: what is said and shown, and what goes on working."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from command_line import CommandLine
from erasing import files_in, holding, keys_in

from replay.read_model.state import keeping

NAME, EMAIL = "Robinetta", "robinetta@example.org"
ASK = (
    "exception", "request", "C-1", "AZ-104", "--registration", "R-1", "--reason", "lab-crash",
    "--candidate-id", "C-1", "--exam-number", "AZ-104", "--first-name", NAME, "--last-name",
    "Sample", "--email", EMAIL, "--vue-case-number", "0815", "--description", "The lab went dark.",
    "--request-id", "X-1",
)  # fmt: skip
SHOWN = ("history", "C-1", "--clear")


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger in which C-1 failed, and asked for an exception."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-20T09:00:00Z")
    door.failed("R-2", "2022-05-21T09:00:00Z", candidate="C-2")
    door.done(*ASK)
    return door


def forget(door: CommandLine, *words: str) -> str:
    """Forget C-1; gives what was said."""
    answer = door.call("forget", "C-1", *words)
    assert answer.code == 0, answer.err
    assert answer.out == ""
    return answer.err


def test_it_says_what_it_did_and_again_that_it_was_done(door: CommandLine) -> None:
    """The second time nothing is changed, with a reason or without."""
    said = forget(door, "--reason", "ticket 4711")
    assert (
        "C-1 was erased (event 11): 4 personal fields of 1 event can no longer be read by anyone\n"
    ) in said
    exported = door.done("export")
    for words in ((), ("--reason", "another")):
        assert "C-1 was erased before (event 11): nothing was changed" in forget(door, *words)
    assert door.done("export") == exported
    last = json.loads(exported.splitlines()[-1])
    assert (last["type"], last["source"], last["id"], last["actor"], last["data"]) == (
        "CandidateForgotten", "urn:attempt-ledger:erasure", "C-1", "cli", {},
    )  # fmt: skip


def test_a_wrong_call_changes_nothing(door: CommandLine) -> None:
    """Nobody of that id, no reason, an empty one."""
    before = door.done("export")
    assert "No candidate 'C-9'" in door.wrong("forget", "C-9")
    assert "No candidate 'C-9' in" in door.wrong("forget", "C-9", "--reason", "ticket")
    assert "C-1 is not forgotten yet: say why, with --reason" in door.wrong("forget", "C-1")
    assert "--reason should say why" in door.wrong("forget", "C-1", "--reason", " ")
    assert door.done("export") == before
    assert keys_in(Path("attempts.ledger.keys"))["C-1"]


def test_what_was_personal_is_shown_as_erased(door: CommandLine) -> None:
    """In text wherever it would be shown, in JSON where clear text is asked for."""
    assert f"first name {NAME}" in door.done(*SHOWN)
    forget(door, "--reason", "ticket")
    for words in (("history", "C-1"), SHOWN):
        assert "first name erased; last name erased" in " ".join(door.done(*words).split())
    data = door.json(*SHOWN)[-2]["data"]
    assert data["email"] == {"erased": True}
    assert data["reason"] == "lab-crash"
    assert set(door.json("history", "C-1")[-2]["data"]["email"]) == {"ciphertext", "hmac"}
    listed = door.done("exception", "list", "C-1", "--clear")
    assert "email        erased" in listed
    assert door.json("exception", "list", "--clear")[0]["clear"] == {
        name: {"erased": True} for name in ("first_name", "last_name", "email", "description")
    }
    assert "email" not in door.done("exception", "list", "C-1")
    Path("attempts.ledger.keys").unlink()  # and all that without the keys
    assert door.json(*SHOWN)[-2]["data"]["email"] == {"erased": True}


REPORT = (
    "report", "exceptions", "--from", "2022-01-01", "--to", "2022-06-02", "--format", "jsonl",
)  # fmt: skip
ASKED_AT = ("known_at", "position")
UNCHANGED = (
    ("standing", "C-1", "AZ-104", "--as-of", "2022-05-25"),
    ("standing", "C-1", "AZ-104", "--as-of", "2022-05-25", "--known-at", "@10"),
    ("exception", "list", "--as-of", "2022-06-01"),
    ("search", "C-1"),
)


def test_every_answer_but_the_personal_stays_as_it_was(door: CommandLine) -> None:
    """Standing, reports, the list of requests: to the byte, but for what was known."""

    def answers() -> list[object]:
        found: list[object] = []
        for words in UNCHANGED:
            answer = door.json(*words)
            if isinstance(answer, dict):
                answer = {name: answer[name] for name in answer if name not in ASKED_AT}
            found.append(answer)
        replayed = door.done("replay", "--as-of", "2022-05-25")
        report = door.lines(*REPORT)
        assert len(report) == 1
        return [*found, replayed, report]

    door.at("2022-06-03T12:00:00Z")
    before = answers()
    forget(door, "--reason", "ticket")
    assert answers() == before


def test_a_request_can_still_be_decided(door: CommandLine) -> None:
    """The clear fields are there; nothing personal is taken any more."""
    forget(door, "--reason", "ticket")
    door.done("exception", "grant", "C-1", "X-1")
    assert "C-1' was forgotten: data.first_name" in door.refused(*ASK[:-1], "X-2")
    door.done(*ASK)  # the same again: told by its clear fields alone
    door.sat("R-9", "2022-05-31T09:00:00Z")


def test_import_of_its_own_export_is_all_duplicates(door: CommandLine) -> None:
    """And elsewhere it gives the same ledger, which knows who was forgotten."""
    forget(door, "--reason", "ticket")
    door.done("export", "--output", "history.jsonl")
    lines = Path("history.jsonl").read_bytes()
    door.done("import", "history.jsonl")
    assert door.done("export").encode() == lines
    other = ("--ledger", "sqlite:///copy.ledger")
    door.at("2022-06-02T12:00:00Z").done(*other, "init", "--bare")
    door.done(*other, "import", "--keep-recorded-at", "history.jsonl")
    assert door.done(*other, "export").encode() == lines
    assert "C-1 was erased before" in door.call(*other, "forget", "C-1").err
    assert "erased" in door.done(*other, "history", "C-1")


def test_every_proof_goes_on_holding(door: CommandLine) -> None:
    """Those given before and after are the same but for the checkpoint; all of it verifies."""
    words = ("urn:attempt-ledger:desk", "exception/X-1/requested")
    door.done("prove", *words, "--output", "before.proof")
    door.done("checkpoint", "--output", "kept")
    forget(door, "--reason", "ticket")
    door.done("prove", *words, "--output", "after.proof")
    for name in ("before.proof", "after.proof"):
        assert "ciphertext" in door.done("verify-proof", name)
    assert (
        Path("before.proof").read_text().split("\n")[:3]
        == (Path("after.proof").read_text().split("\n")[:3])
    )
    assert "positions 1 to 11 are as they were signed" in door.done("verify", "--against", "kept")


# -- before it is done


def test_a_dry_run_says_what_would_be_erased_and_erases_nothing(door: CommandLine) -> None:
    """Counts and fields of each event; of who was erased before, that nothing would change."""
    before = {path: path.read_bytes() for path in files_in(door.folder)}
    said = door.call("forget", "C-1", "--dry-run").err
    assert "of C-1, 4 personal fields of 1 event would be erased for good" in said
    assert "exception/X-1/requested: first_name, last_name, email, description" in said
    assert {path: path.read_bytes() for path in files_in(door.folder)} == before
    assert "of C-2, nothing personal would be erased" in door.call("forget", "C-2", "--dry-run").err
    assert "'C-9'" in door.wrong("forget", "C-9", "--dry-run")
    forget(door, "--reason", "ticket")
    assert "was erased before: nothing would change" in door.call("forget", "C-1", "--dry-run").err


@pytest.mark.parametrize("answer", ["y", "n"])
def test_on_a_terminal_it_asks_first(
    door: CommandLine, answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what would be erased; --yes asks nothing, nor does a call without a terminal."""
    monkeypatch.setattr("attempt_ledger.cli.forget.on_a_terminal", lambda: True)
    done = door.call("forget", "C-1", "--reason", "ticket", input=f"{answer}\n")
    assert done.code == 0
    assert "4 personal fields of 1 event would be erased" in done.err
    assert ("C-1 was erased (event 11)" in done.err) == (answer == "y")
    assert ("nothing was changed" in done.err) == (answer == "n")
    assert "Erase it?" not in door.call("forget", "C-2", "--reason", "ticket", "--yes").err


# -- encrypted with another key


def test_a_foreign_value_hides_no_clear_text_of_the_candidate(door: CommandLine) -> None:
    """It came before there was a key, or with a history: that field says so, the others show."""
    lines = door.done("export").splitlines()
    asked = json.loads(lines[-1])
    asked |= {"source": "urn:elsewhere", "id": "X-2/requested"}
    asked["data"]["request_id"] = "X-2"
    for name in ("first_name", "last_name", "description"):
        del asked["data"][name]
    door.write("foreign.jsonl", json.dumps(asked) + "\n")
    said = door.refused("import", "foreign.jsonl", "--rejects", "rejects.jsonl")
    assert "1 rejected" in said
    assert "data.email was encrypted with another key than that of candidate 'C-1'" in (
        door.folder / "rejects.jsonl"
    ).read_text("utf-8")

    door.at("2022-06-02T12:00:00Z").done("import", "--keep-recorded-at", "foreign.jsonl")
    shown = door.json(*SHOWN)
    assert [each["data"].get("email") for each in shown[-2:]] == [EMAIL, {"unreadable": True}]
    text = " ".join(door.done(*SHOWN).split())
    assert "cannot be read: encrypted with another key, or changed" in text
    assert EMAIL in text
    listed = door.json("exception", "list", "C-1", "--clear")
    assert [each["clear"]["email"] for each in listed] == [EMAIL, {"unreadable": True}]
    assert "cannot be read" in " ".join(door.done("exception", "list", "C-1", "--clear").split())
    door.done("verify")


# -- what is derived


def test_read_model_and_columns_are_thrown_away_and_made_anew(door: CommandLine) -> None:
    """Drafts and SQLite's own files too; what they tell is the same."""
    door.done("project")
    replayed = door.done("replay", "--as-of", "2022-05-25")
    for name in ("views.rebuild", "views.check-journal", "views-wal"):
        door.write(f"attempts.ledger.{name}", "x")
    said = forget(door, "--reason", "ticket")
    for name in ("attempts.ledger.columns", "attempts.ledger.views"):
        assert f"/{name}; it is built again when it is needed" in said
    left = {path.name for path in door.folder.rglob("*") if path.is_file()}
    assert {name for name in left if "views" in name} == {"attempts.ledger.views.lock"}
    assert not [name for name in left if name.endswith((".arrow", ".json"))]
    assert door.done("replay", "--as-of", "2022-05-25") == replayed
    door.done("project")
    door.done("rebuild", "--check")


def test_read_model_elsewhere_are_named(door: CommandLine) -> None:
    """As for every command about views; those are thrown away, no others."""
    door.done("project", "--views", "elsewhere.views")
    assert "elsewhere.views; it is built again" in forget(
        door, "--reason", "ticket", "--views", "elsewhere.views"
    )
    assert not Path("elsewhere.views").exists()


def test_read_model_that_are_followed_stay_without_their_free_pages(door: CommandLine) -> None:
    """Whoever follows goes on; nothing is left in them that is in no table."""
    door.done("project")
    path = Path("attempts.ledger.views").absolute()
    with closing(sqlite3.connect(path, isolation_level=None)) as views:
        views.execute("PRAGMA secure_delete = OFF")
        views.execute("CREATE TABLE more (text TEXT)")
        views.execute("INSERT INTO more VALUES ('gone before')")
        views.execute("DROP TABLE more")
    assert holding(files_in(door.folder), [b"gone before"]) != []
    with keeping(path):
        said = forget(door, "--reason", "ticket")
    assert holding(files_in(door.folder), [b"gone before"]) == []
    assert "attempts.ledger.views is followed by another process: it was written anew" in said
    assert path.exists()
    wal = Path(f"{path}-wal")
    assert not wal.exists() or wal.stat().st_size == 0
    door.done("project")
    door.done("rebuild", "--check")


def test_read_model_that_are_being_built_are_left_to_whoever_builds_them(door: CommandLine) -> None:
    """There is nothing yet to throw away, and none is made."""
    path = Path("attempts.ledger.views").absolute()
    door.write("attempts.ledger.views.rebuild", "a draft")
    with keeping(path):
        assert "views" not in forget(door, "--reason", "ticket")
    assert not path.exists()
    assert Path("attempts.ledger.views.rebuild").read_text() == "a draft"


def test_a_file_that_is_no_views_stays_and_is_told(door: CommandLine) -> None:
    """The erasure stands; the exit code is 1."""
    door.write("attempts.ledger.views", "dear diary")
    said = door.refused("forget", "C-1", "--reason", "ticket")
    assert "C-1 was erased" in said
    assert "attempts.ledger.views is no read model: it was left as it is" in said
    assert Path("attempts.ledger.views").read_text() == "dear diary"


# -- certificates


def test_a_certificate_is_given_at_once_or_later(door: CommandLine) -> None:
    """It verifies, with the key of the log or with the ledger at hand."""
    assert "at.once certifies it" in forget(door, "--reason", "ticket", "--certificate", "at.once")
    door.done("checkpoint", "--key", "--output", "log.vkey")
    forget(door, "--certificate", "later")
    for name in ("at.once", "later"):
        shown = door.done("verify-proof", name, "--key", "log.vkey")
        assert "erased     what was personal of candidate C-1\n" in shown
        assert "reason     ticket\n" in shown
        assert NAME not in Path(name).read_text()
    spoilt = Path("later").read_text().replace("ticket", "tickey")
    door.write("spoilt", spoilt)
    assert "the signature of" in door.refused("verify-proof", "spoilt", "--key", "log.vkey")


def test_without_the_signing_key_the_erasure_stands_uncertified(door: CommandLine) -> None:
    """Exit code 1, no file; once the key is there again, it is given."""
    Path("attempts.ledger.signing-key").rename("away")
    said = door.refused("forget", "C-1", "--reason", "ticket", "--certificate", "c.erasure")
    assert "the erasure stands, but there is no certificate: there is no signing key" in said
    assert not Path("c.erasure").exists()
    Path("away").rename("attempts.ledger.signing-key")
    forget(door, "--certificate", "c.erasure")
    door.done("verify-proof", "c.erasure")


# -- keys


def test_keys_are_backed_up_for_some_days(door: CommandLine) -> None:
    """The backup says until when, and is refused afterwards."""
    said = door.call("keys", "backup", "k", "--days", "7").err
    assert "k holds the keys, to be used before 2022-06-08T12:00:00Z: destroy it then" in said
    Path("attempts.ledger.keys").unlink()
    door.at("2022-06-08T12:00:00Z")
    assert "k was to be used before 2022-06-08T12:00:00Z" in door.wrong("keys", "restore", "k")
    assert "1 key put back" in door.call("keys", "restore", "k", "--expired").err
    assert f"first name {NAME}" in door.done(*SHOWN)
    assert "already there" in door.wrong("keys", "backup", "k")
    assert "--days" in door.call("keys", "backup", "other", "--days", "0").err


def test_forgetting_reminds_of_backups_that_may_hold_the_key(door: CommandLine) -> None:
    """Not of those made afterwards, nor when their time is over."""
    door.done("keys", "backup", "k", "--days", "7")
    assert "k may hold the key, and be used before 2022-06-08T12:00:00Z: destroy it" in forget(
        door, "--reason", "ticket"
    )
    door.at("2022-06-02T12:00:00Z").done("keys", "backup", "later")
    assert "later" not in forget(door)
    assert "may hold" not in forget(door.at("2022-06-08T12:00:00Z"))


def test_a_restore_of_keys_names_who_stays_forgotten(door: CommandLine) -> None:
    """And the personal data stays unreadable."""
    door.done("keys", "backup", "k")
    forget(door, "--reason", "ticket")
    Path("attempts.ledger.keys").unlink()
    said = door.call("keys", "restore", "k").err
    assert "0 keys put back" in said
    assert "forgotten, so their keys are destroyed again: C-1" in said
    assert "first name erased" in door.done(*SHOWN)


def test_an_older_ledger_is_told_by_a_restore_of_keys(door: CommandLine) -> None:
    """It records who was forgotten; the reason is the first one."""
    door.done("export", "--output", "history.jsonl")
    forget(door, "--reason", "ticket")
    door.done("keys", "backup", "k")
    other = ("--ledger", "sqlite:///old.ledger")
    door.at("2022-06-02T12:00:00Z").done(*other, "init", "--bare")
    door.done(*other, "import", "--keep-recorded-at", "history.jsonl")
    said = door.call(*other, "keys", "restore", "k").err
    assert "the ledger did not know, and says now that they were forgotten: C-1" in said
    assert door.lines(*other, "export")[-1]["type"] == "CandidateForgotten"
    door.done(*other, "forget", "C-1", "--certificate", "c.erasure")
    assert "reason     ticket\n" in door.done(*other, "verify-proof", "c.erasure")


def test_a_program_that_only_reads_needs_no_right_to_the_keys(door: CommandLine) -> None:
    """What `forget` and `keys` load, nobody pays for who calls another command."""
    loaded = (
        "import sys, attempt_ledger.cli.main, attempt_ledger.cli.standing;"
        "print('pyarrow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert done.stdout == "False\n"
