"""The door itself: which ledger is meant, what is said when something is wrong, and exit codes."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import CommandLine
from hypothesis import given
from hypothesis import strategies as st

from attempt_ledger.cli.main import COMMANDS, GROUPS, below
from attempt_ledger.places import ledger_address
from ledger.store.server import Server, folder_name

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
READING = (
    ("search", "C-1"),
    ("standing", "C-1"),
    ("history", "C-1"),
    ("export",),
    ("replay",),
    ("audit", "events"),
    ("policy", "list"),
    ("policy", "show", "general"),
)
WRITING = (
    ("record", "ExamWentLive", "AZ-104"),
    ("annul", "urn:vue", "R-1", "--reason", "a slip"),
    ("import", "results.csv"),
    ("catalogue", "catalogue.toml"),
    ("policy", "publish", "general"),
    ("forget", "C-1", "--reason", "ticket"),
    ("keys", "backup", "keys.backup"),
    ("keys", "restore", "keys.backup"),
)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///attempts.ledger", "attempts.ledger"),
        ("sqlite:///data/2021.ledger", "data/2021.ledger"),
        ("sqlite:////var/lib/attempts.ledger", "/var/lib/attempts.ledger"),
        ("sqlite:///with%20what?is=there", "with%20what?is=there"),
        ("attempts.ledger", "attempts.ledger"),
        ("/var/lib/exams: 2021.ledger", "/var/lib/exams: 2021.ledger"),
    ],
)
def test_a_url_names_a_file_to_the_letter(url: str, path: str) -> None:
    """Three slashes are a path from here, four one from the root; a plain path is itself."""
    assert ledger_address(url) == Path(path)


SERVERS: dict[str, dict[str, str]] = {
    "postgresql://db/a_b?schema=c": {},
    "postgresql://db/a?schema=b_c": {},
    "postgresql://db_a/b?schema=c": {},
    "postgresql://db/a-b?schema=c": {},
    "postgresql://db/a%20b?schema=c": {},
    "postgresql://db/a-20b?schema=c": {},
    "postgresql://db/A?schema=b_c": {},
    "postgresql://db/a%2Bb?schema=c": {},
    "postgresql://db/a?schema=b%2Bc": {},
    "postgresql://db:5433/a?schema=b_c": {},
    "postgresql://db/a?schema=b_c&port=5434": {},
    "postgresql://db:5433/a?schema=b_c&port=5434": {},
    "postgresql://db/a?schema=b_c&host=other": {},
    "postgresql:///a?schema=b_c&host=other": {},
    "postgresql:///a?schema=b_c&host=/run/x": {},
    "postgresql:///a?schema=b_c&host=/run_x": {},
    "postgresql:///a?schema=b_c&host=::1&port=5434": {},
    "postgresql:///a?schema=b_c&host=::1:5434": {},
    "postgresql:///a?schema=b_c": {},
    "postgresql:///a?schema=b_c ": {"PGHOST": "one"},
    "postgresql:///a?schema=b_c  ": {"PGHOST": "two"},
    "postgresql:///a?schema=b_c   ": {"PGPORT": "5435"},
    "postgresql:///a?schema=b_c&service=one": {},
    "postgresql:///a?schema=b_c&service=two": {},
    "postgresql://db/a?schema=b_c&hostaddr=10.0.0.1": {},
    "postgresql:///?schema=b_c": {"PGDATABASE": "d"},
    "postgresql:///?schema=b_c ": {"PGUSER": "e"},
    f"postgresql://{'h' * 99},{'i' * 99}/a": {},
    f"postgresql://{'h' * 99},{'i' * 98}j/a": {},
}
"""Ledgers that are not the same, and the environment in which their URL is read."""


def homes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Return the home of each of them."""
    found = {}
    for url, environment in SERVERS.items():
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            address = ledger_address(url.strip(), Path("/homes"))
        assert isinstance(address, Server)
        found[url] = address.home.parent
    return found


def test_ledgers_on_servers_share_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns, read model and log of one are never taken for those of another."""
    folders = homes(monkeypatch)
    names = [folder.name for folder in folders.values()]
    assert len({name.casefold() for name in names}) == len(SERVERS), sorted(names)
    assert max(len(name.encode()) for name in names) <= 255
    assert {folder.parent for folder in folders.values()} == {Path("/homes")}


@pytest.mark.parametrize("url", ["postgresql://db:5433/a", "postgresql://me:secret@db:5433/a"])
def test_a_ledger_has_one_home_whoever_asks(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Neither the user nor the password, nor what the URL overrides, is a part of it."""
    monkeypatch.setenv("PGHOST", "other")
    monkeypatch.setenv("PGPORT", "1")
    address = ledger_address(url, Path("/homes"))
    assert isinstance(address, Server)
    assert address.home == Path("/homes/db=3a5433+a+attempt_ledger/attempts.ledger")


WORDS = st.lists(st.text(st.sampled_from("ab_-+=%/.AÄ 2"), max_size=4), min_size=2, max_size=5)


@given(WORDS, WORDS)
def test_no_two_lists_of_words_name_one_folder(one: list[str], other: list[str]) -> None:
    """Whatever stands in them; not where a disk takes capitals for small letters, either."""
    same = folder_name(one).casefold() == folder_name(other).casefold()
    assert same == (one == other)
    assert "/" not in folder_name(one)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "is no URL of a ledger"),
        ("mysql://host/db", "is no URL of a ledger; accepted is sqlite:///path/to/file"),
        ("sqlite:", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://attempts.ledger", "names no file"),
        ("mysql://me:secret@host/db", "mysql://… is no URL of a ledger"),
    ],
)
def test_any_other_url_is_refused_with_what_is_accepted(
    door: CommandLine, url: str, said: str
) -> None:
    """Another database is no ledger's URL, and no password is repeated."""
    with pytest.raises(ValueError, match="accepted is sqlite"):
        ledger_address(url)
    sentence = door.wrong("--ledger", url, "export")
    assert said in sentence
    assert "secret" not in sentence


def test_the_ledger_is_named_by_an_option_else_by_the_environment_else_is_in_the_folder(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--ledger wins over ATTEMPT_LEDGER, which wins over attempts.ledger."""
    door.done("init")
    assert (door.folder / "attempts.ledger").exists()
    monkeypatch.setenv("ATTEMPT_LEDGER", "sqlite:///named.ledger")
    door.done("init")
    assert (door.folder / "named.ledger").exists()
    door.done("--ledger", "sqlite:///given.ledger", "init")
    assert (door.folder / "given.ledger").exists()


@pytest.mark.parametrize("words", READING + WRITING, ids=" ".join)
def test_without_a_ledger_there_is_one_sentence(door: CommandLine, words: tuple[str, ...]) -> None:
    """Every command says where it looked; none makes a file."""
    door.write("results.csv", "candidate_id,exam,registration_id,started_at,outcome\n")
    door.write("catalogue.toml", "")
    before = sorted(door.folder.iterdir())
    assert "there is no ledger at" in door.wrong(*words)
    assert sorted(door.folder.iterdir()) == before


@pytest.mark.parametrize("words", READING + WRITING, ids=" ".join)
def test_a_file_that_is_no_ledger_is_left_as_it_is(
    door: CommandLine, words: tuple[str, ...]
) -> None:
    """Neither a text nor somebody else's database is touched."""
    door.write("results.csv", "candidate_id,exam,registration_id,started_at,outcome\n")
    door.write("catalogue.toml", "")
    door.write("attempts.ledger", "no ledger at all\n" * 20)
    assert "is not a ledger: it was left as it is" in door.wrong(*words)
    assert (door.folder / "attempts.ledger").read_text() == "no ledger at all\n" * 20


def test_a_ledger_of_a_later_release_is_left_to_that_release(door: CommandLine) -> None:
    """A schema this release does not know is said, by its number."""
    door.done("init")
    with sqlite3.connect("attempts.ledger") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "has schema 99" in door.wrong("export")


def test_a_read_only_ledger_is_read_and_not_written(door: CommandLine) -> None:
    """What only reads asks for no right to write."""
    door.done("init")
    bound = _without_rights()
    for path in (door.folder, *door.folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        read = subprocess.run([*bound, COMMAND, "policy", "list"], capture_output=True)
        assert read.returncode == 0, read.stderr
        written = subprocess.run(
            [*bound, COMMAND, "record", "ExamWentLive", "AZ-104"], capture_output=True
        )
    finally:
        door.folder.chmod(0o755)
    assert written.returncode == 2
    assert written.stderr.decode().count("\n") == 1


def _without_rights() -> list[str]:
    """Return the words that bind root to what a file's rights say, where one is root."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["history"], "missing argument 'CANDIDATE'"),
        (["standing", "C-1", "--as-off", "2021"], "no such option: --as-off"),
        (["standng", "C-1"], "Did you mean 'standing'?"),
        (["standing", "C-1", "--format", "xml"], "'xml' is not one of"),
        (["search", "C-1", "--limit", "0"], "'--limit': should be 1 or more, not '0'"),
        (["search", "C-1", "--limit", "x"], "'--limit': should be a whole number, not 'x'"),
        (["--wait", "x", "export"], "'--wait': should be a number, not 'x'"),
        (["export", "--after", "-1"], "'--after': should be 0 or more, not '-1'"),
        (["export", "--table", "x"], "'--table': 'x' is not one of 'exams', 'policies'"),
        (["export", "--ledger", "sqlite:///x"], "it goes before the command"),
        (["policy", "chekc"], "Did you mean 'check'?"),
    ],
)
def test_words_that_make_no_call_are_answered_with_the_usage(
    door: CommandLine, words: list[str], said: str
) -> None:
    """Exit code 2, what is wrong, how the command is used, and nothing on standard output."""
    answer = door.call(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert said in answer.err
    assert "Usage: attempt-ledger" in answer.err


def test_no_words_at_all_are_answered_with_the_help(door: CommandLine) -> None:
    """The help goes to standard error then: nothing was asked for, so there is no data."""
    answer = door.call()
    assert answer.code == 2
    assert answer.out == ""
    assert "Record:" in answer.err


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_a_help_with_examples_within_80_columns(
    door: CommandLine, words: str
) -> None:
    """The help of each command shows how to call it, and begins with its line in the list."""
    help = door.done(*words.split(), "--help")
    assert "Examples:\n" in help
    text, _, examples = help.partition("Examples:\n")
    examples, _, options = examples.partition("\n\n")
    assert all(len(line) <= 80 for line in (text + options).splitlines())
    assert f"attempt-ledger {words}" in examples or f" {words} " in examples
    assert text.splitlines()[2].strip() == COMMANDS[words][1]


@pytest.mark.parametrize("group", GROUPS)
def test_the_list_of_commands_tells_each_in_a_line(door: CommandLine, group: str) -> None:
    """Every command is there, in the order of the table, and no line is wrapped."""
    listed = door.done(group, "--help").partition("Commands:\n")[2].splitlines()
    assert [tuple(line.split(maxsplit=1)) for line in listed] == list(below(group).items())


def test_all_commands_are_listed_in_sections(door: CommandLine) -> None:
    """What records, asks, reports, proves, and runs the ledger; no line is wrapped."""
    listed = door.done("--help").partition("Record:\n")[2].splitlines()
    commands = [tuple(line.split(maxsplit=1)) for line in listed if line.startswith("  ")]
    assert commands == list(below("").items())
    assert [line for line in listed if line[:1].strip()] == ["Ask:", "Report:", "Prove:", "Run:"]


@pytest.mark.parametrize("words", [["-h"], ["help"], ["policy", "-h"], ["help", "standing"]])
def test_help_is_found_however_it_is_asked_for(door: CommandLine, words: list[str]) -> None:
    """And so is the version."""
    usual = [word for word in words if word not in ("-h", "help")]
    assert door.done(*words) == door.done(*usual, "--help")
    assert door.done("version") == door.done("--version")


def test_a_list_of_commands_loads_none(door: CommandLine) -> None:
    """The help of the whole, and of a group, imports no command's module."""
    script = (
        "import sys; from attempt_ledger.cli.main import COMMANDS, app; import typer.main\n"
        "door = typer.main.get_command(app)\n"
        "door.main(['--help'], standalone_mode=False)\n"
        "door.main(['policy', '--help'], standalone_mode=False)\n"
        "modules = {f'attempt_ledger.cli.{module}' for module, _ in COMMANDS.values()}\n"
        "print(*modules & sys.modules.keys(), file=sys.stderr)"
    )
    looked = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "Publish policy files" in looked.stdout
    assert looked.stderr == "\n"


def test_the_release_is_told(door: CommandLine) -> None:
    """--version gives the distribution's."""
    assert door.done("--version").startswith("attempt-ledger 0.")


def test_an_unexpected_error_is_a_sentence_too(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the program names itself, asks to be reported, and shows no traceback."""
    door.done("init")
    monkeypatch.setattr("ledger.ledger.Ledger.read", lambda *_: 1 / 0)
    sentence = door.wrong("export")
    assert "ZeroDivisionError" in sentence
    assert "please report it" in sentence


def test_debugging_shows_where_an_unexpected_error_came_from(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """ATTEMPT_LEDGER_DEBUG is the one way to see a traceback."""
    from attempt_ledger.cli.problems import answered

    monkeypatch.setenv("ATTEMPT_LEDGER_DEBUG", "1")
    assert answered(lambda: 1 / 0) == 2
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_said_and_leaves_as_shells_expect(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted: one sentence, exit code 130."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    door.done("init")
    monkeypatch.setattr("ledger.ledger.Ledger.read", interrupt)
    answer = door.call("export")
    assert answer.code == 130
    assert answer.err.startswith("attempt-ledger: interrupted")


def test_a_reader_that_goes_away_is_no_fault(door: CommandLine) -> None:
    """`export | head -1` gets its line and hears nothing else."""
    door.done("init")
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} export | head -c 20; echo ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert done.stdout.startswith('{"specversion":"1.0"')
    assert done.stdout.endswith(("141\n", "0\n"))  # or it was read to its end before that
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("left", "done"),
    [
        ("atexit.register(print, 'tidied')", "tidied\n"),
        ("threading.Thread(target=lambda: (time.sleep(0.2), print('waited'))).start()", "waited\n"),
    ],
)
@pytest.mark.parametrize(("words", "code"), [("--version", 0), ("nonsense", 2)])
def test_what_is_left_to_do_at_the_end_is_done(
    door: CommandLine, left: str, done: str, words: str, code: int
) -> None:
    """A process that has nothing left ends at once; any other does first what it has."""
    program = (
        f"import atexit, sys, threading, time; {left}; sys.argv = ['attempt-ledger', '{words}']\n"
        "from attempt_ledger.__main__ import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=door.folder, capture_output=True, text=True
    )
    assert ended.returncode == code
    assert ended.stdout.endswith(done)


def test_a_full_disk_below_standard_output_is_said(door: CommandLine) -> None:
    """What could not be written is no success."""
    door.done("init")
    with open("/dev/full", "w") as full:
        done = subprocess.run([COMMAND, "export"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "attempt-ledger: standard output: no space left on device\n"


def test_a_termination_is_no_traceback(door: CommandLine) -> None:
    """A process that is told to end just ends."""
    door.done("init", "--bare")
    process = subprocess.Popen(
        [COMMAND, "import", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert b"Traceback" not in err


FORBIDDEN = ("numba", "numpy", "pyarrow", "sqlite_utils", "adbc_driver_sqlite", "llvmlite")
FOR_APPENDS = ("ledger.models", "ledger.facts", "ledger.appending", "ledger.privacy", "logging")


@pytest.mark.parametrize(
    "words", [["standing", "C-1", "AZ-104"], ["standing", "C-1", "AZ-104", "--format", "json"]]
)
def test_one_question_does_not_pay_for_everybodys(door: CommandLine, words: list[str]) -> None:
    """`standing` imports no compiler, no columns and no table library, and nothing that appends."""
    door.catalogued().failed("R-1", "2021-03-01T09:00:00Z")
    looked = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from attempt_ledger.cli.main import app; import typer.main\n"
            f"code = typer.main.get_command(app).main({words!r}, standalone_mode=False)\n"
            "print(code, *sys.modules, file=sys.stderr)",
        ],
        capture_output=True,
        text=True,
    )
    code, *modules = looked.stderr.split()
    assert code == "0", looked.stderr
    assert "AZ-104" in looked.stdout
    assert not {module.partition(".")[0] for module in modules} & set(FORBIDDEN)
    assert not set(FOR_APPENDS) & set(modules)
    if "json" in words:
        assert "rich.console" not in modules


@pytest.mark.parametrize(
    ("shell", "settings", "completed"),
    [
        ("bash", {"COMP_WORDS": "attempt-ledger stan", "COMP_CWORD": "1"}, "standing"),
        ("bash", {"COMP_WORDS": "attempt-ledger policy ", "COMP_CWORD": "2"}, "publish"),
        (
            "bash",
            {"COMP_WORDS": "attempt-ledger record ExamAt", "COMP_CWORD": "2"},
            "ExamAttempted",
        ),
        ("fish", {"_TYPER_COMPLETE_ARGS": "attempt-ledger hist"}, "history"),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "attempt-ledger replay --for"}, "--format"),
    ],
)
def test_a_shell_completes_commands_options_and_event_types(
    door: CommandLine, shell: str, settings: dict[str, str], completed: str
) -> None:
    """Completion is Typer's, and knows what is loaded only when it is called."""
    done = subprocess.run(
        [COMMAND],
        capture_output=True,
        text=True,
        env=os.environ
        | {
            "_ATTEMPT_LEDGER_COMPLETE": f"complete_{shell}",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            **settings,
        },
    )
    assert completed in done.stdout, done.stderr
