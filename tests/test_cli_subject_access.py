"""`subject-access`: everything recorded of one person; `audit access`: who read it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command_line import CommandLine

from attempt_ledger.api.register import Access, Register
from ledger.problems import LedgerProblem

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>"
NAME, EMAIL = f"Robinetta {HOSTILE}", "robinetta@example.org"
ASK = (
    "exception", "request", "C-1", "AZ-104", "--registration", "R-1", "--reason", "lab-crash",
    "--candidate-id", "C-1", "--exam-number", "AZ-104", "--first-name", NAME, "--last-name",
    "Sample", "--email", EMAIL, "--vue-case-number", "0815", "--description", "The lab went dark.",
    "--request-id", "X-1",
)  # fmt: skip
OURS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "article", "dl", "dt",
    "dd",
}  # fmt: skip


class Page(HTMLParser):
    """Gathers the elements, attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.elements.add(tag)
        self.attributes |= set(named)
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A ledger in which C-1 failed and asked for an exception, and C-2 failed."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-20T09:00:00Z")
    door.failed("R-2", "2022-05-21T09:00:00Z", candidate="C-2")
    door.done(*ASK)
    return door


def test_it_is_all_there_in_clear_and_nobody_elses(door: CommandLine) -> None:
    """Every event with its personal fields; nothing of another candidate; for the owner alone."""
    door.done("subject-access", "C-1", "--output", "out")
    data = json.loads((door.folder / "out" / "data.json").read_text())
    exported = [json.loads(line) for line in door.done("export").splitlines()]
    mine = [event for event in exported if event["subject"] == "C-1"]
    assert [(e["source"], e["id"]) for e in data["events"]] == [
        (e["source"], e["id"]) for e in mine
    ]
    requested = data["events"][-1]["data"]
    assert (requested["first_name"], requested["email"]) == (NAME, EMAIL)
    assert [standing["exam"] for standing in data["standings"]] == ["AZ-104"]
    page = (door.folder / "out" / "index.html").read_text()
    assert "C-2" not in page + json.dumps(data)
    modes = [
        p.stat().st_mode & 0o777 for p in (door.folder / "out", *(door.folder / "out").iterdir())
    ]
    assert modes == [0o700, 0o600, 0o600]


def test_the_page_holds_texts_of_the_data_as_texts_and_runs_nothing(door: CommandLine) -> None:
    """No element but ours, no attribute that runs, and a policy that lets nothing be fetched."""
    door.done("subject-access", "C-1", "--output", "out")
    page = Page((door.folder / "out" / "index.html").read_text())
    assert page.elements == OURS
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "name", "class"}
    assert NAME in page.text
    assert page.policy.startswith("default-src 'none'; style-src 'sha256-")


def test_what_was_erased_says_so(door: CommandLine) -> None:
    """After `forget` there is no clear text to give out."""
    door.done("forget", "C-1", "--reason", "ticket 4711", "--yes")
    door.done("subject-access", "C-1", "--output", "out")
    data = json.loads((door.folder / "out" / "data.json").read_text())
    assert data["forgotten"] is True
    assert data["events"][2]["data"]["email"] == {"erased": True}
    assert "can no longer be read by anyone" in (door.folder / "out" / "index.html").read_text()


def test_who_read_it_is_written_down_before_it_is_shown(door: CommandLine) -> None:
    """An access is listed with the fields; one that cannot be written down does not happen."""
    assert json.loads(door.done("audit", "access", "--format", "json")) == []
    door.done("subject-access", "C-1", "--output", "out", "--actor", "robin")
    (seen,) = json.loads(door.done("audit", "access", "--candidate", "C-1", "--format", "json"))
    assert seen["identity"].startswith("robin, account ")
    assert seen["fields"] == ["first_name", "last_name", "email", "description"]
    assert (seen["candidate"], seen["page"]) == ("C-1", "subject-access")
    assert json.loads(door.done("audit", "access", "--candidate", "C-2", "--format", "json")) == []
    register = door.folder / "attempts.ledger.tokens"
    register.write_bytes(b"no register")
    door.wrong("subject-access", "C-1", "--output", "other")
    assert not (door.folder / "other").exists()


def test_a_wrong_call_writes_nothing(door: CommandLine) -> None:
    """Nobody of that id; a file where a folder is meant; the folder of another's pages."""
    assert "No candidate 'C-9'" in door.wrong("subject-access", "C-9", "--output", "out")
    assert not (door.folder / "out").exists()
    (door.folder / "file").write_text("mine")
    assert "is a file" in door.wrong("subject-access", "C-1", "--output", "file")
    (door.folder / "pages").mkdir()
    (door.folder / "pages" / "index.html").write_text("<p>a page of somebody's</p>")
    assert "no earlier output" in door.wrong("subject-access", "C-1", "--output", "pages")
    assert (door.folder / "pages" / "index.html").read_text() == "<p>a page of somebody's</p>"


FIELDS = ["first_name", "last_name", "email", "description"]


@pytest.mark.parametrize(
    ("words", "through"),
    [
        (("history", "C-1", "--clear"), "history --clear"),
        (("exception", "list", "--clear"), "exception list --clear"),
        (("exception", "list", "C-1", "--clear", "--output", "a.csv"), "exception list --clear"),
    ],
)
def test_clear_text_on_the_command_line_is_an_access(
    door: CommandLine, words: tuple[str, ...], through: str
) -> None:
    """Written down with the fields, whoever it is of; without --clear nothing is."""
    door.done(
        *(word for word in words if word != "--clear"), *(["--force"] if "a.csv" in words else [])
    )
    assert door.json("audit", "access") == []
    door.done(*words, "--actor", "robin", *(["--force"] if "a.csv" in words else []))
    (access,) = door.json("audit", "access")
    assert (access["candidate"], sorted(access["fields"])) == ("C-1", sorted(FIELDS))
    assert access["page"] == through
    assert access["identity"].startswith("robin, account ")


def test_nothing_is_shown_that_cannot_be_written_down(door: CommandLine) -> None:
    """Exit code 2, and what to do; another file of tokens takes it."""
    door.write("tokens", "no register")
    for words in (
        ("history", "C-1", "--clear"),
        ("exception", "list", "--clear", "--format", "json"),
        ("subject-access", "C-1", "--output", "out"),
    ):
        said = door.wrong(*words, "--tokens", "tokens")
        assert "nothing is shown in clear text, since the access cannot be written" in said
        assert "name another file with --tokens" in said
    assert not (door.folder / "out").exists()
    door.done("history", "C-1", "--clear", "--tokens", "other")
    assert len(door.json("audit", "access", "--tokens", "other")) == 1


def test_what_was_erased_is_no_access(door: CommandLine) -> None:
    """Nothing is read where nobody can read any more."""
    door.done("forget", "C-1", "--reason", "ticket 5", "--yes")
    door.done("history", "C-1", "--clear")
    door.done("exception", "list", "--clear")
    assert door.json("audit", "access") == []


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER a BEFORE INSERT ON accesses BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER sqlite_a AFTER INSERT ON accesses BEGIN DELETE FROM accesses; END",
        "ALTER TABLE accesses ADD COLUMN more TEXT",
    ],
)
def test_a_register_that_was_redefined_shows_nothing(door: CommandLine, planted: str) -> None:
    """A trigger in it could swallow the access that was written down."""
    door.done("token", "create", "a", "--role", "officer")
    with closing(sqlite3.connect(f"{door.folder}/attempts.ledger.tokens")) as connection:
        hidden = "sqlite_a" in planted
        connection.execute(planted.replace("sqlite_a", "b"))
        if hidden:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET name = 'sqlite_a' WHERE name = 'b'")
        connection.commit()
    for words in (("history", "C-1", "--clear"), ("audit", "access"), ("token", "list")):
        answer = door.call(*words)
        assert (answer.code, NAME in answer.out) == (2, False)
        assert "attempts.ledger.tokens" in answer.err


def test_a_trigger_that_comes_while_the_register_is_open_does_not_run(tmp_path: Path) -> None:
    """What would run it is refused, not swallowed."""
    register = Register(tmp_path / "a.tokens")
    access = Access(1, "robin", "C-1", ("email",), "history")
    register.note_accesses([access])
    with closing(sqlite3.connect(tmp_path / "a.tokens")) as connection:
        connection.execute("CREATE TRIGGER a BEFORE INSERT ON accesses BEGIN SELECT 1; END")
    with pytest.raises(LedgerProblem):
        register.note_accesses([access])
    register.close()
