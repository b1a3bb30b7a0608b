"""What goes in and out by files: import, export, catalogue, policies, replay, init."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import CATALOGUE, NOW, CommandLine

from retake_policies import SHIPPED, shipped

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
EXAMPLES = Path(__file__).parents[1] / "examples"
HEADER = "candidate_id,exam,registration_id,started_at,outcome\n"
RESULTS = f"{HEADER}C-1,AZ-104,R-1,2021-04-06T09:00:00Z,fail\nC-2,AZ-104,R-2,2021-04-07,pass\n"
GOOD = f"{HEADER}C-1,AZ-104,R-1,2021-04-06T09:00:00Z,fail\n"
OURS = """\
id = "ours"
title = "Our rules"
effective_from = 2021-01-01T00:00:00Z
[wait]
after = ["P7D"]
"""


# -- init


def test_a_new_ledger_has_the_shipped_policies(door: CommandLine) -> None:
    """Each published once, from now on known, by the catalogue's source."""
    assert door.done("init") == ""
    events = door.lines("export")
    assert [(event["subject"], event["data"]["toml"]) for event in events] == list(shipped())
    assert {event["source"] for event in events} == {"urn:attempt-ledger:catalogue"}
    assert [event["id"] for event in events] == [f"policy/{id}/1" for id in SHIPPED]
    assert {event["time"] for event in events} == {NOW}


def test_a_bare_ledger_has_nothing(door: CommandLine) -> None:
    """It waits for a history."""
    door.done("init", "--bare")
    assert door.done("export") == ""


def test_what_is_there_is_never_made_anew(door: CommandLine) -> None:
    """Neither a ledger nor any other file is touched."""
    door.done("init")
    before = door.done("export")
    assert "is already there: nothing was changed" in door.wrong("init")
    assert "is already there: nothing was changed" in door.wrong("init", "--bare")
    assert door.done("export") == before
    door.write("notes.txt", "notes")
    assert "already there" in door.wrong("--ledger", "sqlite:///notes.txt", "init")
    assert (door.folder / "notes.txt").read_text() == "notes"


def test_a_folder_that_is_not_there_is_said(door: CommandLine) -> None:
    """No folder is made for a ledger."""
    said = door.wrong("--ledger", "sqlite:///nowhere/a.ledger", "init")
    assert "nowhere/a.ledger" in said


# -- import and export


def test_results_are_imported_and_summed_up(door: CommandLine) -> None:
    """The summary goes to standard error; imported again all are duplicates."""
    door.done("init")
    door.write("results.csv", GOOD)
    answer = door.call("import", "results.csv")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith("attempt-ledger: results.csv: 1 row read, 2 events recorded")
    assert "2 duplicates skipped" in door.call("import", "results.csv").err
    assert {event["actor"] for event in door.lines("export")} == {"cli"}


def test_what_cannot_be_taken_is_set_aside_and_can_be_mended(door: CommandLine) -> None:
    """Exit code 1; the rejects file is the rows with their problem, and goes in once mended."""
    door.done("init")
    door.write("results.csv", RESULTS)
    said = door.refused("import", "results.csv", "--rejects", "refused.csv")
    assert "line 3: started_at: '2021-04-07'" in said
    assert "fix it in refused.csv" in said
    refused = (door.folder / "refused.csv").read_text()
    assert "problem" in refused.splitlines()[0]
    door.write("mended.csv", refused.replace("2021-04-07,", "2021-04-07T10:00:00Z,"))
    door.done("import", "mended.csv")
    answer = door.call("standing", "C-2", "AZ-104", "--format", "json")  # of no announced exam
    assert json.loads(answer.out)["known"] is True


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: data], ids=["gzip", "plain"])
def test_standard_input_is_a_file_too(door: CommandLine, pack: object) -> None:
    """As it is or compressed, CSV or lines."""
    assert callable(pack)
    door.done("init")
    done = subprocess.run([COMMAND, "import", "-"], input=pack(GOOD.encode()), capture_output=True)
    assert done.returncode == 1, done.stderr  # nobody announced the exam
    assert b"standard input: 1 row read, 2 events recorded" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.csv"], "missing.csv: there is no such file"),
        (["."], "is a folder"),
        (["extra.csv"], "unknown column seat"),
        (["catalogue.toml"], "a catalogue goes in with `catalogue`"),
        (["results.csv", "--keep-recorded-at"], "has no column recorded_at"),
        (["results.csv", "--zone", "Mars/Olympus"], "--zone"),
        (["results.csv", "results.csv"], "a FILE is named twice"),
        (["results.csv", "extra.csv", "--rejects", "r.csv"], "--rejects goes with one FILE"),
        (
            ["results.csv", "--rejects", "results.csv"],
            "results.csv is read by this call, and is never replaced",
        ),
    ],
)
def test_what_cannot_be_imported_at_all_is_a_wrong_call(
    door: CommandLine, words: list[str], said: str
) -> None:
    """Nothing is recorded of it."""
    door.done("init", "--bare")
    door.write("results.csv", GOOD)
    door.write("catalogue.toml", CATALOGUE)
    door.write("extra.csv", GOOD.replace("outcome\n", "outcome,seat\n").replace("fail", "fail,7"))
    assert said in door.wrong("import", *words)
    assert door.done("export") == ""


def test_the_headers_of_all_files_are_read_before_a_row_is_recorded(door: CommandLine) -> None:
    """One file that cannot be read keeps the others out, and each such file is named."""
    door.done("init")
    door.write("results.csv", GOOD)
    door.write("extra.csv", GOOD.replace("outcome\n", "outcome,seat\n"))
    code, _, said = door.call("import", "results.csv", "missing.csv", "extra.csv")
    assert code == 2
    assert "missing.csv: there is no such file" in said
    assert "extra.csv has the unknown column seat" in said
    assert "nothing was recorded" in said
    assert "ExamAttempted" not in door.done("export")
    door.done("import", "results.csv", "-", input=GOOD.replace("C-1", "C-2").replace("R-1", "R-2"))
    assert door.done("export").count("ExamAttempted") == 2


def test_a_truncated_gzip_keeps_its_whole_rows_and_says_so(door: CommandLine) -> None:
    """Exit code 1: done as far as it went."""
    door.done("init")
    rows = "".join(f"C-{i},AZ-104,R-{i},2021-04-06T09:{i % 60:02}:00Z,fail\n" for i in range(5000))
    door.write("results.csv.gz", gzip.compress((HEADER + rows).encode())[:-4000])
    said = door.refused("import", "results.csv.gz")
    assert "breaks off or is damaged" in said


def test_a_wall_clock_needs_a_zone(door: CommandLine) -> None:
    """--zone says whose clock the file's times are on."""
    door.done("init")
    door.write("results.csv", GOOD.replace("09:00:00Z", "09:00:00"))
    assert "a time without a zone" in door.refused("import", "results.csv", "--rejects", "r.csv")
    door.done("import", "results.csv", "--zone", "Europe/Berlin")
    assert door.lines("export")[-1]["time"] == "2021-04-06T07:00:00Z"


def test_a_changed_outcome_is_a_conflict_or_a_correction(door: CommandLine) -> None:
    """Refused with the remedy, or recorded as a further result."""
    door.done("init")
    door.write("results.csv", GOOD)
    door.done("import", "results.csv")
    door.write("results.csv", GOOD.replace("fail", "pass"))
    assert "--corrections" in door.refused("import", "results.csv", "--rejects", "r.csv")
    answer = door.call("import", "results.csv", "--corrections")
    assert answer.code == 0
    assert "1 recorded event corrected a result" in answer.err
    assert door.lines("export")[-1]["id"] == "R-1/result/2"


def test_what_is_exported_and_moved_in_is_the_same_ledger(door: CommandLine) -> None:
    """Byte for byte: positions, both clocks, actors, ciphertext, absent members."""
    door.catalogued().failed("R-1", "2021-04-06T09:00:00Z")
    door.done(
        "record", "ExceptionRequested", "C-1", "request_id=X-1", "exam=AZ-104",
        "registration_id=R-1", "reason=lab-crash", "first_name=Robin", "--id", "X-1",
    )  # fmt: skip
    event = {
        "specversion": "1.0", "type": "ExamWentLive", "source": "urn:feed", "id": "1",
        "subject": "AZ-700", "time": "2021-10-25T00:00:00Z", "data": {},
        "recordedtime": "2022-06-01T13:00:00Z",
    }  # fmt: skip
    door.write("nobody.jsonl", json.dumps(event))
    door.at("2023-01-01T00:00:00Z").done("import", "nobody.jsonl", "--keep-recorded-at")
    door.done("export", "--output", "all.jsonl")
    other = ("--ledger", "sqlite:///other.ledger")
    door.done(*other, "init", "--bare")
    door.done(*other, "import", "--keep-recorded-at", "all.jsonl")
    assert door.done(*other, "export") == (door.folder / "all.jsonl").read_text()
    clear = door.json("--keys", "attempts.ledger.keys", *other, "history", "C-1", "--clear")
    assert clear[-1]["data"]["first_name"] == "Robin"


def test_the_demos_history_moves_in_and_out_unchanged(door: CommandLine) -> None:
    """Three years of it, told from where each line became known."""
    door.done("init", "--bare")
    done = door.at("2024-01-01T00:00:00Z").call(
        "import", "--keep-recorded-at", str(EXAMPLES / "history.jsonl")
    )
    assert done.code == 0, done.err
    history = [*map(json.loads, (EXAMPLES / "history.jsonl").read_text().splitlines())]
    exported = door.lines("export")
    assert len(exported) == len(history)
    for told, kept in zip(history, exported, strict=True):
        for name in ("type", "source", "id", "subject", "time", "recordedtime", "actor"):
            assert told.get(name) == kept.get(name)


def test_a_history_out_of_order_stops_where_it_is(door: CommandLine) -> None:
    """Later lines would be out of order too; mended and run again it goes on."""
    door.done("init", "--bare")
    event = {
        "specversion": "1.0", "type": "ExamWentLive", "source": "urn:feed", "subject": "AZ-700",
        "time": "2021-10-01T00:00:00Z",
    }  # fmt: skip
    times = ("2021-10-26T00:00:00Z", "2021-10-25T00:00:00Z", "2021-10-27T00:00:00Z")
    lines = [
        json.dumps({**event, "id": str(i), "recordedtime": time}) for i, time in enumerate(times)
    ]
    door.write("history.jsonl", "\n".join(lines))
    said = door.refused("import", "--keep-recorded-at", "history.jsonl")
    assert "line 2" in said
    assert [each["id"] for each in door.lines("export")] == ["0"]
    door.write("history.jsonl", "\n".join(lines).replace(times[1], times[0]))
    door.done("import", "--keep-recorded-at", "history.jsonl")
    assert [each["id"] for each in door.lines("export")] == ["0", "1", "2"]


def test_a_policy_that_comes_as_an_event_is_checked_like_one_from_a_file(door: CommandLine) -> None:
    """A text with a fault, or under another id, is refused: no answer could be made with it."""
    door.done("init", "--bare")
    lines = [
        json.dumps({
            "specversion": "1.0", "type": "PolicyPublished", "source": "urn:feed", "id": id,
            "subject": "ours", "time": "2021-01-01T00:00:00Z", "data": {"toml": toml},
        })
        for id, toml in (
            ("bad", OURS.replace("P7D", "a week")),
            ("other", OURS.replace("ours", "theirs")),
            ("good", OURS),
        )
    ]  # fmt: skip
    door.write("policies.jsonl", "\n".join(lines))
    said = door.refused("import", "policies.jsonl")
    assert 'line 1: policy ours: wait.after[1] = "a week"' in said
    assert "line 2: the policy's id is 'theirs' and its subject 'ours'" in said
    assert [event["id"] for event in door.lines("export")] == ["good"]


def test_an_export_begins_after_a_position(door: CommandLine) -> None:
    """To take up where the last one ended; beyond the head there is nothing."""
    door.done("init")
    every = door.done("export").splitlines()
    assert door.done("export", "--after", "2").splitlines() == every[2:]
    assert door.done("export", "--after", "99") == ""


def test_an_export_replaces_a_file_only_when_it_is_complete(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there stays until then, and no draft is left behind."""
    door.done("init")
    door.done("export", "--output", "all.jsonl")
    earlier = (door.folder / "all.jsonl").read_text()

    def breaks_off(*_: object) -> object:
        yield from ()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("ledger.ledger.Ledger.read", breaks_off)
        assert "no space left on device" in door.wrong("export", "--output", "all.jsonl")
    assert (door.folder / "all.jsonl").read_text() == earlier
    door.done("export", "--output", "all.jsonl")
    assert (door.folder / "all.jsonl").read_text() == door.done("export")
    assert not [path for path in door.folder.iterdir() if path.name.startswith(".")]


def test_an_export_into_no_folder_or_no_file_is_said(door: CommandLine) -> None:
    """With the name that was given."""
    door.done("init")
    assert "nowhere/all.jsonl: no such file" in door.wrong(
        "export", "--output", "nowhere/all.jsonl"
    )
    door.done("export", "--output", "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_an_interrupted_import_is_completed_by_running_it_again(door: CommandLine) -> None:
    """Ctrl-C: exit code 130, whole transactions stand, and nothing is there twice."""
    door.done("init", "--bare")
    rows = "".join(
        f"C-{i},AZ-104,R-{i},2021-04-06T09:{i % 60:02}:00Z,fail\n" for i in range(20_000)
    )
    os.mkfifo("results.csv")
    process = subprocess.Popen(
        [COMMAND, "import", "results.csv"], stderr=subprocess.PIPE, text=True
    )
    with open("results.csv", "w") as pipe:
        pipe.write(HEADER + rows)
        pipe.flush()
        while not door.done("export", "--after", "100"):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    (door.folder / "results.csv").unlink()
    door.write("results.csv", HEADER + rows)
    door.done("import", "results.csv")
    ids = [event["id"] for event in door.lines("export")]
    assert len(ids) == len(set(ids)) == 40_000


# -- catalogue and policies


def test_a_catalogue_is_announced_once(door: CommandLine) -> None:
    """Again it adds nothing; changed it adds what changed; its ids count up."""
    door.done("init")
    door.write("catalogue.toml", CATALOGUE)
    assert "2 recorded, 0 unchanged" in door.call("catalogue", "catalogue.toml").err
    assert "0 recorded, 2 unchanged" in door.call("catalogue", "catalogue.toml").err
    door.write("catalogue.toml", CATALOGUE.replace("Azure Networking", "Networking"))
    assert "1 recorded, 1 unchanged" in door.call("catalogue", "catalogue.toml").err
    assert door.lines("export")[-1]["id"] == "exam/AZ-700/2"


def test_a_catalogue_with_faults_is_refused_whole_with_a_sentence_for_each(
    door: CommandLine,
) -> None:
    """And one that is not there is said."""
    door.done("init")
    door.write("ours.toml", OURS.replace("P7D", "P7DT12H"))
    door.write("catalogue.toml", CATALOGUE + '[[policy]]\nfile = "ours.toml"\n')
    assert "P7DT12H" in door.wrong("catalogue", "catalogue.toml")
    door.write("catalogue.toml", CATALOGUE.replace("live_at", "life_at"))
    answer = door.call("catalogue", "catalogue.toml")
    assert answer.code == 2
    said = answer.err.splitlines()
    assert [("AZ-104" in line, "AZ-700" in line) for line in said] == [(True, False), (False, True)]
    assert all(line.startswith("attempt-ledger: ") for line in said)
    assert len(door.lines("export")) == len(SHIPPED)
    assert "missing.toml" in door.wrong("catalogue", "missing.toml")


def test_a_catalogue_is_printed_for_a_history_that_is_moved_in(door: CommandLine) -> None:
    """Lines that --keep-recorded-at takes, each known from its own time on; nothing is written."""
    door.write("ours.toml", OURS)
    door.write("catalogue.toml", CATALOGUE + '[[policy]]\nfile = "ours.toml"\ntime = 2021-01-01\n')
    door.write("catalogue.toml", (door.folder / "catalogue.toml").read_text().replace(
        "time = 2021-01-01\n", "time = 2021-01-01T00:00:00Z\n"))  # fmt: skip
    lines = door.lines("catalogue", "--print", "catalogue.toml")
    assert sorted(os.listdir()) == ["catalogue.toml", "ours.toml"]
    assert [line["recordedtime"] for line in lines] == [line["time"] for line in lines]
    assert not [line for line in lines if "sequence" in line]
    lines.sort(key=lambda line: line["recordedtime"])
    door.write("history.jsonl", "\n".join(map(json.dumps, lines)))
    door.done("init", "--bare")
    door.done("import", "--keep-recorded-at", "history.jsonl")
    assert [event["subject"] for event in door.lines("export")] == ["AZ-104", "ours", "AZ-700"]
    assert door.done("catalogue", "--print", "catalogue.toml") == ""  # all of it is there now


def test_a_policy_is_checked_without_a_ledger(door: CommandLine) -> None:
    """Sound files on standard output, each fault a sentence on standard error, exit code 1."""
    door.write("ours.toml", OURS)
    door.write("theirs.toml", OURS.replace('"P7D"', '"P7DT12H"').replace("[wait]", "[weight]"))
    assert door.done("policy", "check", "ours.toml") == (
        "ours.toml: ours, effective from 2021-01-01T00:00:00Z, is sound\n"
    )
    answer = door.call("policy", "check", "theirs.toml", "ours.toml")
    assert answer.code == 1
    assert answer.out.startswith("ours.toml")
    assert "theirs.toml: weight is no key of a policy; did you mean wait?" in answer.err
    assert "missing.toml: no such file" in door.wrong("policy", "check", "missing.toml")
    door.write("bytes.toml", b'id = "\xff"')
    assert "is not UTF-8" in door.refused("policy", "check", "bytes.toml")


def test_policies_are_published_listed_and_shown(door: CommandLine) -> None:
    """From a file or by a shipped name; as of a day, as known then, in words or as they stand."""
    door.done("init", "--bare")
    door.write("ours.toml", OURS)
    assert "1 recorded, 0 unchanged" in door.call("policy", "publish", "ours.toml").err
    assert "0 recorded, 1 unchanged" in door.call("policy", "publish", "ours.toml").err
    later = OURS.replace("2021-01-01", "2023-01-01").replace("P7D", "P14D")
    door.write("ours.toml", later)
    door.done("policy", "publish", "ours.toml", "mos")
    versions = door.json("policy", "list")
    assert [(each["id"], each["effective_from"], each["position"]) for each in versions] == [
        ("mos", "2021-03-31T00:00:00Z", 3),
        ("ours", "2021-01-01T00:00:00Z", 1),
        ("ours", "2023-01-01T00:00:00Z", 2),
    ]
    assert len(door.json("policy", "list", "--known-at", "@1")) == 1
    assert "ours    2023-01-01T00:00:00Z         2  Our rules" in door.done("policy", "list")
    show = ("policy", "show", "ours", "--format", "toml")
    assert door.done(*show) == OURS
    assert door.done(*show, "--at", "2023-01-01") == later
    assert door.done(*show, "--at", "2023-01-01", "--known-at", "@1") == OURS
    assert "of a series: 7 days" in " ".join(door.done("policy", "show", "ours").split())
    early = door.call(*show, "--at", "2020-01-01")
    assert (early.code, early.out) == (0, OURS)
    assert "its first is assumed" in early.err
    assert "no policy 'theirs' was published by then; there are: mos, ours" in door.wrong(
        "policy", "show", "theirs"
    )


def test_a_bad_policy_is_not_published_and_stops_the_good_ones_beside_it(door: CommandLine) -> None:
    """Exit code 2, a sentence for each fault, and the ledger as it was."""
    door.done("init", "--bare")
    door.write("ours.toml", OURS)
    door.write("theirs.toml", OURS.replace("P7D", "a week"))
    answer = door.call("policy", "publish", "ours.toml", "theirs.toml")
    assert answer.code == 2
    assert 'wait.after[1] = "a week"' in answer.err
    assert door.done("export") == ""
    assert "missing.toml: no such file" in door.wrong("policy", "publish", "missing.toml")


def test_a_policy_is_printed_for_a_history_that_is_moved_in(door: CommandLine) -> None:
    """Numbered after what the ledger has, if there is one; nothing is written."""
    (line,) = door.lines("policy", "publish", "--print", "general", "--time", "2021-03-31")
    assert (line["id"], line["recordedtime"]) == ("policy/general/1", "2021-03-31T00:00:00Z")
    assert os.listdir() == []
    door.done("init")
    door.write("mos.toml", dict(shipped())["mos"].replace("PT48H", "PT72H"))
    before = door.done("export")
    (line,) = door.lines("policy", "publish", "--print", "mos.toml")
    assert line["id"] == "policy/mos/2"
    assert door.done("export") == before


# -- replay


def test_the_population_is_a_table_of_everybody(door: CommandLine) -> None:
    """Sorted, one row for each candidate and exam with a visible sitting, like the one answer."""
    door.at("2021-07-01T00:00:00Z").catalogued()
    door.failed("R-2", "2021-04-08T13:30:00Z", candidate="C-2")
    door.failed("R-1", "2021-04-06T09:00:00Z")
    door.sat("R-3", "2021-06-01T00:00:00Z", candidate='C "3", later')
    assert door.done("replay", "--as-of", "2021-04-09") == (
        "candidate,exam,status,eligible,eligible_from,sittings_in_series,period_ends_at,"
        "last_sitting_at,last_outcome\n"
        "C-1,AZ-104,eligible,true,,1,2022-04-06T00:00:00Z,2021-04-06T09:00:00Z,failed\n"
        "C-2,AZ-104,waiting,false,2021-04-09T13:30:00Z,1,2022-04-08T00:00:00Z,"
        "2021-04-08T13:30:00Z,failed\n"
    )
    rows = list(csv.reader(io.StringIO(door.done("replay"))))
    assert [row[0] for row in rows[1:]] == ['C "3", later', "C-1", "C-2"]
    assert rows[1][2:5] == ["result-pending", "false", ""]
    known = door.done("replay", "--as-of", "2021-04-09", "--known-at", "@6", "--exam", "AZ-104")
    assert known.count("\n") == 2
    assert door.done("replay", "--exam", "AZ-700").count("\n") == 1


def test_the_table_is_the_same_in_every_format(door: CommandLine) -> None:
    """JSON lines with nulls, Parquet with instants of microseconds; the name tells the format."""
    from pyarrow import parquet

    door.at("2021-07-01T00:00:00Z").catalogued().failed("R-1", "2021-04-06T09:00:00.000001Z")
    (line,) = door.lines("replay", "--format", "jsonl", "--as-of", "2021-04-08")
    assert line == {
        "candidate": "C-1",
        "exam": "AZ-104",
        "status": "eligible",
        "eligible": True,
        "eligible_from": None,
        "sittings_in_series": 1,
        "period_ends_at": "2022-04-06T00:00:00Z",
        "last_sitting_at": "2021-04-06T09:00:00.000001Z",
        "last_outcome": "failed",
    }
    answer = door.call("replay", "--as-of", "2021-04-08", "--output", "s.parquet")
    assert "s.parquet: 1 row" in answer.err
    table = parquet.read_table("s.parquet")
    assert table.column_names == list(line)
    assert str(table.schema.field("last_sitting_at").type) == "timestamp[us, tz=UTC]"
    assert table["last_sitting_at"][0].as_py().isoformat() == "2021-04-06T09:00:00.000001+00:00"
    door.done("replay", "--as-of", "2021-04-08", "--output", "s.jsonl")
    assert json.loads((door.folder / "s.jsonl").read_text()) == line


def test_a_population_of_nobody_is_a_header(door: CommandLine) -> None:
    """And a question that cannot be asked is said before anything is read."""
    door.done("init")
    assert door.done("replay").count("\n") == 1
    assert "lies in the future" in door.wrong("replay", "--known-at", "2040-01-01")
    assert "no day of the calendar" in door.wrong("replay", "--as-of", "2021-02-29")
