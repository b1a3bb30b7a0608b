"""Asking about everybody at the command line: replay, diff, violations, what-if."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import CommandLine
from example_ledger import facts, ledger_of

from projections.fold.rules import STATUSES
from replay.columns import build
from replay.diff import CHANGED
from replay.population import SCHEMA
from replay.violations import SCHEMA as VIOLATIONS

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
NOW = "2023-07-01T00:00:00Z"
"""After everything in the example."""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the example's ledger once."""
    path = tmp_path_factory.mktemp("example") / "attempts.ledger"
    ledger_of(path, facts()).close()
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand in an empty folder."""
    return CommandLine(tmp_path, monkeypatch).at(NOW)


@pytest.fixture
def door(bare: CommandLine, example: Path) -> CommandLine:
    """Stand before the example's ledger, without a snapshot."""
    shutil.copy(example, bare.folder)
    return bare


def rows_in(text: str) -> list[dict[str, str]]:
    """Read a CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def outside(*words: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command as a process of its own, with the compiled code that tests share."""
    return subprocess.run([COMMAND, *words], capture_output=True)


# --- what every command shares ---------------------------------------------------------------

EVERY = {
    "replay": ("replay", "--as-of", "2022-08-01"),
    "diff": ("diff", "--as-of", "2022-06-01", "--to-as-of", "2022-08-01"),
    "violations": ("violations",),
    "what-if": ("what-if", "--policy", "draft.toml"),
}
DRAFT = 'id = "general"\neffective_from = 2021-03-31T00:00:00Z\n[wait]\nafter = ["P30D"]\n'


@pytest.mark.parametrize("name", EVERY)
def test_the_same_bytes_from_one_core_or_several_with_a_snapshot_or_none(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """However the ledger is cut into parts, whose facts come from where, in whatever order."""
    door.write("draft.toml", DRAFT)
    outputs = set()
    for rows in (1_000_000, 60):
        monkeypatch.setattr(build, "PART_ROWS", rows)
        for cores in (1, 3):
            monkeypatch.setattr("attempt_ledger.cli.context.cores", lambda cores=cores: cores)
            for words in (("--no-column-cache",), (), ()):
                answer = door.call(*EVERY[name], *words)
                assert answer.code == (1 if name == "diff" else 0), answer.err
                outputs.add(answer.out)
            shutil.rmtree(door.folder / "attempts.ledger.columns")
    (output,) = outputs
    assert output.count("\n") > 5
    assert "\n\n" not in output or name == "what-if"


@pytest.mark.parametrize("name", ["replay", "diff", "violations"])
def test_every_format_says_the_same(door: CommandLine, name: str) -> None:
    """CSV, JSON Lines and Parquet, to standard output or by the name of a file."""
    words = EVERY[name]
    told = rows_in(door.call(*words).out)
    lines = [json.loads(line) for line in door.call(*words, "--format", "jsonl").out.splitlines()]
    assert [list(row) for row in lines] == [list(row) for row in told]
    assert [(row["candidate"], row["exam"]) for row in lines] == [
        (row["candidate"], row["exam"]) for row in told
    ]
    for suffix in ("csv", "jsonl", "parquet"):
        answer = door.call(*words, "--output", f"a.{suffix}")
        assert answer.out == ""
        assert f"a.{suffix}: {len(told)} rows" in answer.err
    assert (door.folder / "a.csv").read_text() == door.call(*words).out
    assert (door.folder / "a.jsonl").read_text() == door.call(*words, "--format", "jsonl").out
    schema = {"replay": SCHEMA, "diff": CHANGED, "violations": VIOLATIONS}[name]
    table = pq.read_table(door.folder / "a.parquet")
    assert table.schema.equals(schema)
    assert table["candidate"].to_pylist() == [row["candidate"] for row in told]


def test_parquet_goes_through_a_pipe(door: CommandLine) -> None:
    """To a program that reads it; the bytes are those of the file."""
    done = outside(*EVERY["replay"], "--format", "parquet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert pq.read_table(io.BytesIO(done.stdout)).schema.equals(SCHEMA)
    door.done(*EVERY["replay"], "--output", "a.parquet")
    assert (door.folder / "a.parquet").read_bytes() == done.stdout


@pytest.mark.parametrize("name", ["replay", "diff", "violations"])
def test_a_reader_that_goes_away_is_no_error(door: CommandLine, name: str) -> None:
    """As in `| head`: no traceback, and what shells report of such a program."""
    with subprocess.Popen(
        [COMMAND, *EVERY[name]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.wait() == 141
        assert b"Traceback" not in running.stderr.read()


@pytest.mark.parametrize("name", EVERY)
def test_a_missing_ledger_is_said_at_once(bare: CommandLine, name: str) -> None:
    """Nothing is compiled, nothing is made."""
    bare.write("draft.toml", DRAFT)
    assert bare.wrong(*EVERY[name]).startswith("there is no ledger at attempts.ledger")
    assert [path.name for path in bare.folder.iterdir()] == ["draft.toml"]


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_ledger_has_nobody(bare: CommandLine, name: str) -> None:
    """That is an answer, not an error."""
    bare.done("init", "--bare")
    bare.write("draft.toml", DRAFT)
    assert bare.done(*EVERY[name]).count("\n") == (7 if name == "what-if" else 1)


@pytest.mark.parametrize("name", EVERY)
def test_only_the_candidates_of_a_file(door: CommandLine, name: str) -> None:
    """One a line; blank lines, blanks, a byte order mark and Windows line ends are no matter."""
    door.write("draft.toml", DRAFT)
    door.write("some.txt", "\ufeffC-1001\r\n\n  C-1117 \nnobody\n")
    answer = door.call(*EVERY[name], "--candidate-file", "some.txt")
    everything = door.call(*EVERY[name]).out
    if name == "what-if":
        assert "Sittings judged: 15\n" in answer.out
    else:
        head, *lines = everything.splitlines()
        kept = [line for line in lines if line.startswith(("C-1001,", "C-1117,"))]
        assert answer.out.splitlines() == [head, *kept]
        assert name == "violations" or kept
    assert answer.code == (1 if name == "diff" else 0)
    door.write("none.txt", "\n")
    assert door.call(*EVERY[name], "--candidate-file", "none.txt").code == 0


@pytest.mark.parametrize("name", EVERY)
def test_a_candidate_file_that_cannot_be_read_is_said(door: CommandLine, name: str) -> None:
    """Missing, a folder, or not UTF-8: before anything is computed."""
    door.write("draft.toml", DRAFT)
    words = (*EVERY[name], "--candidate-file")
    assert door.wrong(*words, "gone.txt") == "gone.txt: no such file or directory"
    assert door.wrong(*words, ".") == ".: is a directory"
    door.write("latin.txt", "Zo\u00eb".encode("latin-1"))
    assert door.wrong(*words, "latin.txt") == (
        "latin.txt is not UTF-8: accepted is one candidate a line"
    )
    assert not (door.folder / "attempts.ledger.columns").exists()


@pytest.mark.parametrize("name", EVERY)
def test_an_exam_that_nobody_heard_of_is_said(door: CommandLine, name: str) -> None:
    """An empty table might be a slip; one of an exam that nobody sat yet is none."""
    door.write("draft.toml", DRAFT)
    answer = door.call(*EVERY[name], "--exam", "AZ-1O4")
    assert answer.code == 0
    assert "nothing is recorded of an exam 'AZ-1O4'" in answer.err
    assert "nothing is recorded" not in door.call(*EVERY[name], "--exam", "AZ-104").err


@pytest.mark.parametrize("name", EVERY)
def test_instants_that_are_none_are_said(door: CommandLine, name: str) -> None:
    """Naive, no day of the calendar, in the future of what can be known, never reached."""
    door.write("draft.toml", DRAFT)
    words = [word for word in EVERY[name] if not word.startswith(("--as-of", "2022"))]
    if "--to-as-of" in words:
        words.remove("--to-as-of")
    assert "--as-of" in door.wrong(*words, "--as-of", "2022-08-01T00:00:00")
    assert "no day of the calendar" in door.wrong(*words, "--as-of", "2022-02-30")
    assert "--known-at" in door.wrong(*words, "--known-at", "@x")
    assert "lies in the future" in door.wrong(*words, "--known-at", "2024-01-01")
    assert "position 721 is not reached yet: the last is 720" in door.wrong(
        *words, "--known-at", "@721"
    )


# --- the snapshot ----------------------------------------------------------------------------


def spoiled(door: CommandLine) -> None:
    """Change a byte of a part of the snapshot."""
    path = next((door.folder / "attempts.ledger.columns").glob("*.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.unlink()
    path.write_bytes(data)


def test_a_damaged_snapshot_is_said_rebuilt_and_the_answer_is_the_same(door: CommandLine) -> None:
    """On standard error, once; exit code 0."""
    good = door.done(*EVERY["replay"])
    spoiled(door)
    answer = door.call(*EVERY["replay"])
    assert (answer.code, answer.out) == (0, good)
    assert answer.err.startswith("attempt-ledger: the column cache in ")
    assert "attempts.ledger.columns is damaged: " in answer.err
    assert answer.err.endswith(" is not as it was written; it is rebuilt\n")
    assert door.call(*EVERY["replay"]).err == ""


def test_a_snapshot_may_be_deleted_and_is_left_alone_when_asked(door: CommandLine) -> None:
    """`--no-column-cache` neither reads nor writes it: not even a damaged one is noticed."""
    columns = door.folder / "attempts.ledger.columns"
    good = door.done(*EVERY["replay"], "--no-column-cache")
    assert not columns.exists()
    assert door.done(*EVERY["replay"]) == good
    assert columns.is_dir()
    spoiled(door)
    before = {path.name: path.read_bytes() for path in columns.iterdir()}
    answer = door.call(*EVERY["replay"], "--no-column-cache")
    assert (answer.code, answer.out, answer.err) == (0, good, "")
    assert {path.name: path.read_bytes() for path in columns.iterdir()} == before
    shutil.rmtree(columns)
    assert door.done(*EVERY["replay"]) == good


def test_where_no_column_cache_can_be_kept_it_is_said_and_done_without(door: CommandLine) -> None:
    """Something else has its name."""
    good = door.done(*EVERY["replay"], "--no-column-cache")
    door.write("attempts.ledger.columns", "mine")
    answer = door.call(*EVERY["replay"])
    assert (answer.code, answer.out) == (0, good)
    assert "no column cache is kept beside the ledger" in answer.err
    assert (door.folder / "attempts.ledger.columns").read_text() == "mine"


def test_what_came_since_is_in_the_answer(door: CommandLine) -> None:
    """A snapshot is brought up to date before it is asked."""
    door.done("replay")
    door.failed("R-new", "2023-06-30T09:00:00Z", candidate="A-new")
    assert door.done("replay").splitlines()[1] == (
        "A-new,AZ-104,waiting,false,2023-07-01T09:00:00Z,1,2024-06-30T00:00:00Z,"
        "2023-06-30T09:00:00Z,failed"
    )


# --- replay ----------------------------------------------------------------------------------


def test_only_rows_of_some_statuses(door: CommandLine) -> None:
    """Together they are the whole, each once."""
    head, *every = door.done(*EVERY["replay"]).splitlines()
    parts = {
        status: door.done(*EVERY["replay"], "--status", status).splitlines()[1:]
        for status in STATUSES
    }
    assert all(line.split(",")[2] == status for status, lines in parts.items() for line in lines)
    assert sorted(line for lines in parts.values() for line in lines) == sorted(every)
    two = door.done(*EVERY["replay"], "--status", "waiting", "--status", "cap-reached")
    wanted = {*parts["waiting"], *parts["cap-reached"]}
    assert two.splitlines() == [head, *(line for line in every if line in wanted)]


def test_a_status_that_there_is_not_is_said(door: CommandLine) -> None:
    """With all that there are, in order of precedence."""
    assert door.wrong("replay", "--status", "wating") == (
        f"--status 'wating': accepted are {', '.join(STATUSES)}"
    )


def test_a_format_that_there_is_not_is_said(door: CommandLine) -> None:
    """With those that there are."""
    answer = door.call("replay", "--format", "xls")
    assert answer.code == 2
    assert "--format 'xls': accepted are csv, tsv, json, jsonl, parquet, xlsx, arrow" in answer.err


# --- diff ------------------------------------------------------------------------------------


def test_any_difference_is_exit_code_1_and_none_is_0(door: CommandLine) -> None:
    """As `diff` of files does; how many there are goes to standard error."""
    answer = door.call("diff", "--as-of", "2022-07-01", "--to-as-of", "2022-07-03")
    assert answer.code == 1
    (row,) = rows_in(answer.out)
    assert (row["candidate"], row["from_status"], row["to_status"], row["cause"]) == (
        "C-1112", "eligible", "passed", "events"
    )  # fmt: skip
    assert row["events"] == "urn:onvue R-110134/attempted; urn:onvue R-110134/result"
    assert answer.err == "attempt-ledger: 1 standing differs\n"
    same = door.call("diff", "--as-of", "2022-07-02T00:00:00Z", "--to-as-of", "2022-07-03")
    assert (same.code, same.err) == (0, "")
    assert same.out.count("\n") == 1


def test_both_axes_and_both_positions_can_be_given(door: CommandLine) -> None:
    """The demo's correction: one day, as known before and after."""
    words = ("--as-of", "2022-03-12", "--exam", "MS-900", "--format", "jsonl")
    by_date = door.call("diff", *words, "--known-at", "2022-03-12", "--to-known-at", "2022-03-20")
    row = next(
        row for row in map(json.loads, by_date.out.splitlines()) if row["candidate"] == "C-1004"
    )
    assert (row["from_status"], row["to_status"]) == ("waiting", "passed")
    assert row["cause"] == "events"
    assert len(row["events"]) == 2
    first, second = (
        json.loads(
            door.done("standing", "C-1004", "MS-900", "--known-at", day, "--format", "json")
        )["position"]
        for day in ("2022-03-12", "2022-03-20")
    )
    by_position = door.call(
        "diff", *words, "--known-at", f"@{first}", "--to-known-at", f"@{second}"
    )
    assert by_position.out == by_date.out
    both = door.call(
        "diff", "--as-of", "2022-03-01", "--known-at", "2022-03-01", "--to-as-of", "2022-03-12",
        "--to-known-at", "2022-03-20", "--exam", "MS-900", "--format", "jsonl",
    )  # fmt: skip
    assert both.code == 1
    row = next(
        row for row in map(json.loads, both.out.splitlines()) if row["candidate"] == "C-1004"
    )
    assert (row["from_status"], row["to_status"]) == (None, "passed")


def test_without_a_second_moment_it_is_everything_recorded_now(door: CommandLine) -> None:
    """What was heard since of that day."""
    answer = door.call("diff", "--as-of", "2022-03-12", "--known-at", "2022-03-12")
    later = door.call(
        "diff", "--as-of", "2022-03-12", "--known-at", "2022-03-12", "--to-known-at", "@720"
    )
    assert answer == later
    assert answer.code == 1


WRONG_MOMENTS = {
    "--to-as-of lies before --as-of: give the earlier instant first": (
        "--as-of", "2022-02-01", "--to-as-of", "2022-01-01"),
    "--to-as-of lies before now, which --as-of is unless it is given: give the earlier instant "
    "first": ("--to-as-of", "2022-01-01"),
    "--to-known-at lies before --known-at: give the earlier one first": (
        "--known-at", "@20", "--to-known-at", "@10"),
    "--to-known-at lies before the ledger began: its first event was recorded later": (
        "--known-at", "2019-01-01", "--to-known-at", "2019-06-01"),
    "both moments are the same: give --to-as-of, or --known-at and --to-known-at": (
        "--as-of", "2022-01-01"),
    "--to-known-at: 'x' is no instant and no date, such as 2021-03-15T09:00:00Z or 2021-03-15": (
        "--to-known-at", "x"),
    "--to-known-at: '@-1' is no position: write one such as @42": ("--to-known-at", "@-1"),
    "--to-as-of: 2022-02-30 is no day of the calendar": ("--to-as-of", "2022-02-30"),
}  # fmt: skip


@pytest.mark.parametrize("said", WRONG_MOMENTS)
def test_moments_out_of_order_are_said(door: CommandLine, said: str) -> None:
    """Which of the two, and what would be accepted."""
    assert door.wrong("diff", *WRONG_MOMENTS[said]) == said


# --- violations ------------------------------------------------------------------------------


def test_violations_are_data_and_no_failure(door: CommandLine) -> None:
    """Exit code 0: facts are reported, nothing went wrong."""
    rows = rows_in(door.done("violations", "--exam", "98-361"))
    early, *_ = [row for row in rows if row["candidate"] == "C-1011"]
    assert early == {
        "candidate": "C-1011", "exam": "98-361", "registration_id": "CP-20114",
        "started_at": "2021-02-17T08:00:00Z", "position": "42", "status_then": "waiting",
        "status_now": "waiting", "eligible_from_now": "2021-02-17T09:00:00Z",
        "early_seconds": "3600", "waived_then": "false", "waived_now": "false",
    }  # fmt: skip
    assert door.done("violations", "--as-of", "2021-02-01").count("\n") == 1


# --- what-if ---------------------------------------------------------------------------------


def test_the_summary_counts_what_the_tables_hold(door: CommandLine) -> None:
    """In total, by exam, by reason; the tables go to files, the summary to standard output."""
    door.write("draft.toml", DRAFT)
    answer = door.call(
        "what-if", "--policy", "draft.toml", "--as-of", "2022-08-01", "--since", "2022-01-01",
        "--sittings", "sittings.csv", "--standings", "standings.jsonl", "--exam", "AZ-104",
    )  # fmt: skip
    assert answer.code == 0
    sittings = rows_in((door.folder / "sittings.csv").read_text())
    standings = (door.folder / "standings.jsonl").read_text().splitlines()
    assert {row["change"] for row in sittings} == {"refused"}
    assert min(row["started_at"] for row in sittings) >= "2022"
    refused = len(sittings)
    head = [
        "Draft of general, effective from 2021-03-31T00:00:00Z",
        "",
        f"Sittings judged since 2022-01-01T00:00:00Z: {figure(answer.out, 'Sittings judged')}",
        f"  would have been refused:       {refused:>12,}",
        f"  would have been newly allowed: {0:>12,}",
        "  by exam",
        f"    {'AZ-104':<16}  {'refused':<16}     {refused:>12,}",
        "  by reason, in force and under the draft",
    ]
    assert answer.out.splitlines()[: len(head)] == head
    assert "Standings as of 2022-08-01T00:00:00Z: " in answer.out
    assert f", of which {len(standings)} would change" in answer.out
    assert f"sittings.csv: {refused} rows" in answer.err
    assert f"standings.jsonl: {len(standings)} row" in answer.err


def figure(text: str, words: str) -> str:
    """Return the last word of the line that begins so."""
    return next(line for line in text.splitlines() if line.startswith(words)).split()[-1]


def test_a_draft_that_is_none_is_said_key_by_key(door: CommandLine) -> None:
    """Before anything is read; every fault of it, each in a line."""
    door.write("draft.toml", DRAFT.replace("P30D", "30 days") + "from = 'middle'\n")
    answer = door.call("what-if", "--policy", "draft.toml")
    assert (answer.code, answer.out) == (2, "")
    first, second = answer.err.splitlines()
    assert first.startswith('attempt-ledger: draft.toml: wait.after[1] = "30 days" is not')
    assert second.startswith('attempt-ledger: draft.toml: wait.from = "middle" is not')
    door.write("draft.toml", "id = ")
    assert door.wrong("what-if", "--policy", "draft.toml").startswith("draft.toml: is not TOML: ")
    assert door.wrong("what-if", "--policy", "gone.toml") == "gone.toml: no such file or directory"
    assert not (door.folder / "attempts.ledger.columns").exists()


def test_a_draft_is_needed(door: CommandLine) -> None:
    """Nothing is compared with nothing."""
    answer = door.call("what-if")
    assert answer.code == 2
    assert "--policy" in answer.err


def test_two_tables_do_not_go_into_one_file(door: CommandLine) -> None:
    """The second would have taken the place of the first."""
    door.write("draft.toml", DRAFT)
    words = ("--sittings", "a.csv", "--standings", "a.csv")
    assert door.wrong("what-if", "--policy", "draft.toml", *words) == (
        "a.csv is named for two outputs of this call: name another file"
    )


def test_since_must_not_lie_after_as_of(door: CommandLine) -> None:
    """No sitting could be judged."""
    door.write("draft.toml", DRAFT)
    words = ("what-if", "--policy", "draft.toml", "--as-of", "2022-01-01", "--since")
    assert door.wrong(*words, "2022-01-02") == (
        "--since lies after --as-of: no sitting could be judged"
    )
    door.done(*words, "2022-01-01")


def test_a_draft_that_changes_nothing_for_its_id_is_said(door: CommandLine) -> None:
    """Exit code 0: it is an answer, but hardly the one that was wanted."""
    door.write("draft.toml", DRAFT.replace("general", "genreal"))
    answer = door.call("what-if", "--policy", "draft.toml")
    assert answer.code == 0
    assert "no exam follows a policy 'genreal', so its draft changes nothing" in answer.err


def test_a_draft_that_another_version_overtakes_says_until_when_it_holds(door: CommandLine) -> None:
    """Its first day lies before that of a published one."""
    door.write("draft.toml", DRAFT.replace("2021-03-31", "2020-01-01"))
    lines = door.done("what-if", "--policy", "draft.toml").splitlines()
    assert lines[:2] == [
        "Draft of general, effective from 2020-01-01T00:00:00Z",
        "  until 2021-03-31T00:00:00Z, from when another version is in force",
    ]


# --- repeated options ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["replay", "violations"])
def test_the_exam_may_be_named_several_times(door: CommandLine, name: str) -> None:
    """The rows of either, in one table; what is repeated is not passed over."""
    call = EVERY[name]
    one, other = (door.done(*call, "--exam", exam).splitlines() for exam in ("AZ-104", "AZ-900"))
    both = door.done(*call, "--exam", "AZ-104", "--exam", "AZ-900").splitlines()
    assert sorted(both) == sorted({*one, *other})


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "--as-of", "2021-01-01", "--as-of", "2022-01-01"),
        ("replay", "--format", "csv", "--format", "jsonl"),
        ("report", "volumes", "--exam", "AZ-104", "--exam", "AZ-900"),
        ("standing", "C-1001", "--as-of", "2021-01-01", "--as-of", "2022-01-01"),
        ("import", "a.csv", "--source", "urn:a", "--source", "urn:b"),
    ],
)
def test_an_option_of_one_value_is_refused_twice(door: CommandLine, words: tuple[str, ...]) -> None:
    """In every command: the last one alone would have counted."""
    option = next(word for word in words if word.startswith("--"))
    assert f"{option} appears twice, and takes one value" in door.wrong(*words)


def test_candidates_of_a_file_that_are_not_there_are_named_with_their_lines(
    door: CommandLine,
) -> None:
    """The answer is of those that are."""
    door.write("some.txt", "C-1001\nNOBODY\n\nC-1003\nC-9999\n")
    answer = door.call("replay", "--candidate-file", "some.txt")
    assert {line.split(",")[0] for line in answer.out.splitlines()[1:]} == {"C-1001", "C-1003"}
    assert (
        "2 of 4 candidates of the file are not in this ledger: 'NOBODY' (line 2), 'C-9999' (line 5)"
    ) in answer.err
    door.write("many.txt", "\n".join(f"X-{number}" for number in range(30)))
    assert "'X-4' (line 5) and 25 more" in door.call("replay", "--candidate-file", "many.txt").err
