"""What importing a file would change: foretold, and then exactly so; nothing is recorded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from command_line import CommandLine
from example_ledger import NOW, Ledgers, bound, dicts, facts, head_of, ledger_of
from plain_values import When, at
from random_ledger import NOW as THRONG_NOW
from random_ledger import random_ledger, seeded_worlds
from scenarios import (
    Line,
    annulled,
    beta,
    earned,
    exam,
    failed,
    granted,
    passed,
    policy,
    requested,
    rescored,
)

from ledger.dry_run import DryRun
from ledger.events import Recorded
from ledger.facts import Fact, fact_of
from ledger.ledger import Ledger
from ledger.outcomes import Appended, Conflict, Duplicate, Outcome, Refused
from projections.standing import Moment
from replay.snapshot import Snapshot

Key = tuple[str, str]


def population_of(everyone: Snapshot, as_of: int) -> dict[Key, dict[str, Any]]:
    """Return everybody's standing as of an instant, as known at the head."""
    rows = dicts(everyone.at(Moment(as_of, None, head_of(everyone))).everybody())
    return {(row["candidate"], row["exam"]): row for row in rows}


def sides(row: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take a row of differences apart into both standings."""
    return tuple(
        {name.removeprefix(side): value for name, value in row.items() if name.startswith(side)}
        for side in ("from_", "to_")
    )  # type: ignore[return-value]


def shown(standing: dict[str, Any] | None, like: dict[str, Any]) -> dict[str, Any]:
    """Return of a standing what a row of differences shows of it."""
    return {name: None if standing is None else standing[name] for name in like}


def tried(ledger: Ledger, facts: Sequence[Fact]) -> tuple[list[Outcome], list[Recorded]]:
    """Append, in a dry run, some facts."""
    with DryRun(ledger) as dry_run:
        return dry_run.append(facts), dry_run.appended


def assert_foretold(everyone: Snapshot, news: Sequence[Fact], as_of: int) -> list[dict[str, Any]]:
    """Foretell what some facts change, record them, and hold what came against what was said."""
    ledger = everyone.ledger
    before = population_of(everyone, as_of)
    export = list(ledger.read())
    outcomes, rows = tried(ledger, news)
    told = dicts(everyone.at(Moment(as_of, None, head_of(everyone))).impact(rows))
    assert list(ledger.read()) == export
    assert ledger.append(news) == outcomes
    after = population_of(everyone, as_of)
    foretold = {(row["candidate"], row["exam"]): sides(row) for row in told}
    assert list(foretold) == sorted(foretold)
    assert set(foretold) == {
        key for key in before.keys() | after.keys() if before.get(key) != after.get(key)
    }
    for key, (old, new) in foretold.items():
        assert old == shown(before.get(key), old)
        assert new == shown(after.get(key), new)
    return told


def news(*lines: Line) -> list[Fact]:
    """Return the facts of a story's lines."""
    return [fact for line in lines for fact in line.facts]


X = exam("X")
FIRST = failed("X", on="2021-04-01T09:00Z", reg="R-1")


# --- laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [0, 10, 100, 500, 719])
def test_the_rest_of_the_example_changes_what_was_foretold(tmp_path: Path, recorded: int) -> None:
    """Wherever the history is cut, catalogue and corrections in the rest, and nothing else."""
    every = facts()
    with ledger_of(tmp_path / "a.ledger", every[:recorded]) as ledger:
        everyone = bound(ledger, keep_columns=True)  # with a snapshot, which must not learn of it
        told = assert_foretold(everyone, every[recorded:], NOW)
        assert told or recorded == 719


def test_random_facts_change_what_was_foretold(tmp_path: Path) -> None:
    """Batch after batch of many worlds: entries, late results, annulments, all of it."""
    ledger, _ = random_ledger(tmp_path / "a.ledger", seeded_worlds(60, 2), Random(1))
    random = Random(2)
    every = [fact_of(row) for row in ledger.read()]
    changed = 0
    start = len(every) // 2
    with ledger, Ledger.create(tmp_path / "b.ledger", clock=lambda: THRONG_NOW) as half:
        half.append(every[:start])
        everyone = bound(half)
        while start < len(every):
            end = start + random.choice((1, 30, 700))
            as_of = random.choice(every).time
            changed += len(assert_foretold(everyone, every[start:end], as_of))
            start = end
    assert changed > 80


def test_what_others_record_meanwhile_comes_first(crowd: Ledgers) -> None:
    """A dry_run began, somebody appended: both are looked at, none in the place of the other."""
    everyone = crowd.told(X, FIRST, failed("X", on="2021-04-02", reg="S-1", who="C-2"))
    ledger = everyone.ledger
    mine = news(
        exam("X", live="2022-01-01", on="2021-04-01"),  # an entry: then everybody is compared
        failed("X", on="2021-04-03", reg="R-2"),
        annulled("R-2/attempted", on="2021-04-05"),
        annulled("R-2/result", on="2021-04-05"),
    )
    mine[0] = mine[0]._replace(id="exam/X/2")
    with DryRun(ledger) as dry_run:
        dry_run.append(mine)
        theirs = news(failed("X", on="2021-04-04", reg="S-2", who="C-2"))
        assert {type(each) for each in ledger.append(theirs)} == {Appended}
        now = everyone.at(Moment(at("2021-04-20"), None, head_of(everyone)))
        told = dicts(now.impact(dry_run.appended))
    before = population_of(everyone, at("2021-04-20"))
    ledger.append(mine)
    after = population_of(everyone, at("2021-04-20"))
    assert [row["candidate"] for row in told] == ["C-1", "C-2"]
    for row in told:
        old, new = sides(row)
        key = (row["candidate"], row["exam"])
        assert (old, new) == (shown(before[key], old), shown(after[key], new))


# --- stories ---------------------------------------------------------------------------------


def changes(everyone: Snapshot, as_of: When, *lines: Line) -> list[tuple[Any, ...]]:
    """Foretell and check; give (candidate, from, to, cause, events) of each row."""
    return [
        (row["candidate"], row["from_status"], row["to_status"], row["cause"],
         [event["id"] for event in row["events"]])
        for row in assert_foretold(everyone, news(*lines), at(as_of))
    ]  # fmt: skip


def test_a_sitting_that_is_not_recorded_yet(crowd: Ledgers) -> None:
    """Of somebody known, and of somebody new, who had no standing."""
    everyone = crowd.told(X, FIRST)
    lines = [failed("X", on="2021-04-03", reg=reg, who=who)
             for reg, who in (("R-2", "C-1"), ("R-3", "A-0"))]  # fmt: skip
    assert changes(everyone, "2021-04-03T12:00Z", *lines) == [
        ("A-0", None, "waiting", "events", ["R-3/attempted", "R-3/result"]),
        ("C-1", "eligible", "waiting", "events", ["R-2/attempted", "R-2/result"]),
    ]


def test_what_is_true_only_later_changes_nothing_yet(crowd: Ledgers) -> None:
    """As of an instant before the facts."""
    everyone = crowd.told(X, FIRST)
    assert changes(everyone, "2021-04-02", failed("X", on="2021-04-03", reg="R-2")) == []


def test_nothing_new_changes_nothing(crowd: Ledgers) -> None:
    """Duplicates alone, or no facts at all."""
    everyone = crowd.told(X, FIRST)
    assert changes(everyone, "2021-04-02", FIRST) == []
    assert changes(everyone, "2021-04-02") == []


def test_a_rescore(crowd: Ledgers) -> None:
    """The betas' results come: who passed, who failed."""
    planned = exam("B", beta_opens="2021-07-01", live="2021-10-01")
    everyone = crowd.told(
        planned, *(beta("B", on="2021-07-02", reg=f"R-{n}", who=f"C-{n}") for n in (1, 2, 3))
    )
    lines = [rescored("B", reg=f"R-{n}", on="2021-10-08", passed=n == 2, who=f"C-{n}")
             for n in (1, 2)]  # fmt: skip
    assert changes(everyone, "2021-10-09", *lines) == [
        ("C-1", "result-pending", "eligible", "events", ["R-1/rescored"]),
        ("C-2", "result-pending", "passed", "events", ["R-2/rescored"]),
    ]


def test_an_annulment_of_what_is_recorded_and_of_what_comes_with_it(crowd: Ledgers) -> None:
    """Both are found, in the ledger and in the file."""
    everyone = crowd.told(X, FIRST)
    undone = annulled("R-1/result", on="2021-04-02")
    assert changes(everyone, "2021-04-03", undone) == [
        ("C-1", "eligible", "result-pending", "events", ["R-1/result"])
    ]
    everyone = crowd.told(X, FIRST)
    wrong = failed("X", on="2021-04-02", reg="R-2")
    taken_back = annulled("R-2/attempted", on="2021-04-02"), annulled("R-2/result", on="2021-04-02")
    assert changes(everyone, "2021-04-03", wrong, *taken_back) == []


def test_entries_of_the_catalogue_change_everybody(crowd: Ledgers) -> None:
    """A version of a policy, and an exam that moves to it."""
    everyone = crowd.told(X, FIRST, failed("X", on="2021-04-02", reg="S-1", who="C-2"))
    ours = policy('id = "ours"\neffective_from = 2021-01-01T00:00:00Z\n[wait]\nafter = ["P9D"]\n')
    moved = exam("X", policy="ours", on="2021-04-03")
    moved = moved._replace(facts=(moved.facts[0]._replace(id="exam/X/2"),))
    events = ["policy/general", "exam/X", "policy/ours", "exam/X/2"]
    assert changes(everyone, "2021-04-05", ours, moved) == [
        ("C-1", "eligible", "waiting", "catalogue", events),
        ("C-2", "eligible", "waiting", "catalogue", events),
    ]


def test_certifications_and_grants_count_too(crowd: Ledgers) -> None:
    """Whatever bears on a standing."""
    everyone = crowd.told(X, passed("X", on="2021-04-01T09:00Z", reg="R-1"))
    held = earned("CERT", on="2021-04-02", expires="2021-05-02", exams=["X"])
    assert changes(everyone, "2021-05-03", held) == [
        ("C-1", "passed", "eligible", "events", ["CERT/CertEarned"])
    ]
    everyone = crowd.told(X, FIRST)
    assert changes(everyone, "2021-04-01T20:00Z", granted("X", on="2021-04-01T12:00Z")) == [
        ("C-1", "waiting", "eligible", "events", ["X-1/granted"])
    ]


# --- rehearsing ------------------------------------------------------------------------------


def test_what_would_become_of_each_is_told_as_the_ledger_would(crowd: Ledgers) -> None:
    """New, again, contradicting, malformed: recorded before, or earlier in the same file."""
    ledger = crowd.told(X, FIRST).ledger
    (begun, failed_it) = FIRST.facts
    again = failed("X", on="2021-04-03", reg="R-2").facts
    every = [
        begun,
        failed_it._replace(time=failed_it.time + 1),
        again[0],
        again[0],
        again[0]._replace(subject="C-2"),
        again[1]._replace(time=NOW + 3_600_000_000),
        again[1]._replace(subject=""),
        *annulled("nothing", on="2021-04-04").facts,
        *annulled("R-2/attempted", on="2021-04-04").facts,
        *annulled("R-2/attempted", on="2021-04-04", subject="C-2").facts,
    ]
    outcomes, rows = tried(ledger, every)
    assert [type(outcome) for outcome in outcomes] == [
        Duplicate, Conflict, Appended, Duplicate, Conflict, Refused, Refused, Refused, Appended,
        Refused,
    ]  # fmt: skip
    assert ledger.append(every) == outcomes
    assert [row[2:] for row in rows] == [row[2:] for row in ledger.read(rows[0].position - 1)]


PERSONAL = {"first_name": "Robin", "email": "robin@example.org"}


def test_no_key_is_made_and_personal_fields_are_told_apart(crowd: Ledgers) -> None:
    """A duplicate is one by its sealed fields; what is only rehearsed needs no key."""
    asked = requested("X", on="2021-04-01T10:00Z", reg="R-1", **PERSONAL)
    everyone = crowd.told(X, FIRST)
    outcomes, _ = tried(everyone.ledger, [*asked.facts, *asked.facts])
    assert [type(outcome) for outcome in outcomes] == [Appended, Duplicate]
    assert not everyone.ledger.vault.path.exists()

    everyone = crowd.told(X, FIRST, asked)
    keys = everyone.ledger.vault.path.read_bytes()
    other = requested("X", on="2021-04-01T10:00Z", reg="R-1", **{**PERSONAL, "first_name": "Kim"})
    more = requested("X", on="2021-04-01T10:00Z", reg="R-1", who="C-2", request="X-2", **PERSONAL)
    every = [*asked.facts, *other.facts, *more.facts, *more.facts]
    outcomes, _ = tried(everyone.ledger, every)
    assert everyone.ledger.vault.path.read_bytes() == keys
    assert [type(outcome) for outcome in outcomes] == [Duplicate, Conflict, Appended, Duplicate]
    assert everyone.ledger.append(every) == outcomes


# --- at the command line ---------------------------------------------------------------------


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Stand before a ledger with a catalogue and two failed sittings."""
    door = CommandLine(tmp_path, monkeypatch).catalogued()
    door.failed("R-1", "2022-05-28T09:00:00Z")
    door.failed("S-1", "2022-05-28T09:00:00Z", candidate="C-2")
    door.done("replay", "--output", "before.csv")  # the snapshot is there
    return door


def files_of(door: CommandLine) -> dict[str, bytes]:
    """Return all that lies in the folder."""
    return {str(path.relative_to(door.folder)): path.read_bytes()
            for path in door.folder.rglob("*") if path.is_file()}  # fmt: skip


HEADER = "candidate_id,exam,registration_id,started_at,outcome,result_at\n"


def told_by(door: CommandLine, *words: str, code: int = 0) -> list[dict[str, Any]]:
    """Ask for the impact, hold that nothing is left of it, import it, hold that it came so."""
    before, standings = files_of(door), door.done("replay", "--format", "jsonl")
    answer = door.call("impact", *words, "--format", "jsonl")
    assert answer.code == code, answer.err
    assert files_of(door) == before
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert door.call("import", *words).code == code
    now = [json.loads(line) for line in door.done("replay", "--format", "jsonl").splitlines()]
    was = [json.loads(line) for line in standings.splitlines()]
    changed = {(row["candidate"], row["exam"]): sides(row)[1] for row in rows}
    kept = {(row["candidate"], row["exam"]): row for row in was}
    assert len(now) == len(kept.keys() | changed.keys())
    for row in now:
        key = (row["candidate"], row["exam"])
        wanted = changed.get(key, kept.get(key, {}))
        assert {name: row[name] for name in wanted} == wanted
    return rows


def test_a_results_file(door: CommandLine) -> None:
    """New rows, one that is there already; standing of one more candidate."""
    door.write(
        "more.csv",
        f"{HEADER}C-1,AZ-104,R-2,2022-05-31T09:00:00Z,fail,\n"
        "C-3,AZ-104,T-1,2022-05-31T09:00:00Z,pass,\n",
    )
    rows = told_by(door, "more.csv")
    assert [(row["candidate"], row["from_status"], row["to_status"]) for row in rows] == [
        ("C-1", "eligible", "waiting"),
        ("C-3", None, "passed"),
    ]
    assert told_by(door, "more.csv") == []


def test_what_would_be_refused_is_said_line_by_line(door: CommandLine) -> None:
    """Exit code 1; the table is of what would be taken, and no rejects file is left."""
    door.write(
        "more.csv",
        f"{HEADER}C-1,AZ-104,R-2,2022-05-31,fail,\nC-2,AZ-104,S-2,2022-05-31T09:00:00Z,fail,\n",
    )
    answer = door.call("impact", "more.csv")
    assert answer.code == 1
    assert answer.out.count("\n") == 2
    said = answer.err.splitlines()
    assert said[0] == (
        "attempt-ledger: more.csv: would record 2 events, skip 0 duplicates, reject 1"
    )
    assert "line 2: started_at: '2022-05-31' is not" in said[1]
    assert len(said) == 2
    assert [row["candidate"] for row in told_by(door, "more.csv", code=1)] == ["C-2"]


def test_a_changed_result_is_refused_or_with_corrections_a_further_one(door: CommandLine) -> None:
    """As import does it."""
    door.write("first.csv", f"{HEADER}C-3,AZ-104,T-1,2022-05-31T09:00:00Z,fail,\n")
    door.done("import", "first.csv")
    door.write(
        "changed.csv", f"{HEADER}C-3,AZ-104,T-1,2022-05-31T09:00:00Z,pass,2022-06-01T09:00:00Z\n"
    )
    assert "--corrections records it" in door.refused("impact", "changed.csv")
    (row,) = told_by(door, "changed.csv", "--corrections")
    assert (row["from_status"], row["to_status"], row["cause"]) == ("eligible", "passed", "events")
    assert [event["id"] for event in row["events"]] == ["T-1/result/2"]


def line(type: str, id: str, subject: str, **data: object) -> str:
    """Write an event as a line."""
    event = {"specversion": "1.0", "type": type, "source": "urn:test", "id": id,
             "subject": subject, "time": "2022-05-30T00:00:00Z", "data": data}  # fmt: skip
    return json.dumps(event) + "\n"


OURS = 'id = "ours"\neffective_from = 2022-01-01T00:00:00Z\n[wait]\nafter = ["P30D"]\n'


def test_lines_with_entries_of_the_catalogue(door: CommandLine) -> None:
    """A policy and an exam under it change those who sat it; a bad policy is refused as ever."""
    text = line("PolicyPublished", "p/1", "ours", toml=OURS)
    text += line("ExamAnnounced", "e/1", "AZ-104", title="Again", policy="ours")
    door.write("entries.jsonl", text)
    rows = told_by(door, "entries.jsonl")
    assert [(row["candidate"], row["to_status"], row["cause"]) for row in rows] == [
        ("C-1", "waiting", "catalogue"),
        ("C-2", "waiting", "catalogue"),
    ]
    door.write("bad.jsonl", line("PolicyPublished", "p/2", "ours", toml=OURS + "wrong = 1\n"))
    assert "wrong" in door.refused("impact", "bad.jsonl")
    assert told_by(door, "bad.jsonl", code=1) == []
    door.write("other.jsonl", line("PolicyPublished", "p/3", "theirs", toml=OURS))
    assert "they should be the same" in door.refused("impact", "other.jsonl")


def test_a_request_with_a_name_leaves_no_key_behind(door: CommandLine) -> None:
    """Its personal fields are looked at and forgotten."""
    fields = {"request_id": "Q-1", "exam": "AZ-104", "registration_id": "R-1", "reason": "lab"}
    door.write("asked.jsonl", line("ExceptionRequested", "q/1", "C-1", **fields, **PERSONAL))
    before = files_of(door)
    answer = door.call("impact", "asked.jsonl")
    assert (answer.code, answer.out.count("\n")) == (0, 1)
    assert "would record 1 event, skip 0 duplicates, reject 0" in answer.err
    assert files_of(door) == before


def test_a_file_that_cannot_be_imported_at_all_is_a_wrong_call(door: CommandLine) -> None:
    """No table of the others alone, which would look like the whole."""
    door.write("more.csv", f"{HEADER}C-1,AZ-104,R-2,2022-05-31T09:00:00Z,fail,\n")
    answer = door.call("impact", "more.csv", "nowhere.csv")
    assert (answer.code, answer.out) == (2, "")
    assert "nowhere.csv: there is no such file" in answer.err
    assert door.wrong("impact", "before.csv").startswith("before.csv has no column candidate_id")


def test_files_are_taken_one_after_another_and_standard_input_too(door: CommandLine) -> None:
    """A result in the second belongs to the sitting in the first."""
    door.write("a.csv", f"{HEADER}C-3,AZ-104,T-1,2022-05-31T09:00:00Z,pending,\n")
    second = f"{HEADER}C-3,AZ-104,T-1,2022-05-31T09:00:00Z,pass,2022-06-01T09:00:00Z\n"
    answer = door.call("impact", "a.csv", "-", "--format", "jsonl", input=second)
    assert answer.code == 0
    (row,) = answer.out.splitlines()
    assert (json.loads(row)["from_status"], json.loads(row)["to_status"]) == (None, "passed")
    assert "would record 1 event, skip 1 duplicate, reject 0" in answer.err


def test_as_of_an_earlier_day_it_is_what_that_day_would_look_like(door: CommandLine) -> None:
    """By default now."""
    door.write("late.csv", f"{HEADER}C-1,AZ-104,R-0,2022-05-27T12:00:00Z,fail,\n")
    early = door.done("impact", "late.csv", "--as-of", "2022-05-27T13:00:00Z").splitlines()
    assert early[1].startswith("C-1,AZ-104,,,,,,,waiting,")
    assert door.done("impact", "late.csv", "--as-of", "2022-05-27").count("\n") == 1
