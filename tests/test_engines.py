"""Everybody by an engine of Spark's protocol: the same bytes as here, and no part twice."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import ref

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sail
from command_line import CommandLine
from example_ledger import CACHE, HISTORY, bound, compiled_quietly, facts, ledger_of

from ledger.tlog.note import SigningKey
from replay.columns.part import Part
from replay.columns.published import Place, PublishedFile, open_part, place_of, publish
from replay.engines import EngineProblem, SparkEngine, answer_into, collect, errand_of, plan_of
from replay.partwise import REPLY, answer, release
from replay.population import EVERYBODY
from replay.snapshot import Engine, Snapshot

DRAFT = 'id = "general"\neffective_from = 2021-03-31T00:00:00Z\n[wait]\nafter = ["P30D"]\n'

Words = tuple[str, ...]

QUESTIONS: tuple[Words, ...] = (
    (),
    ("--as-of", "2022-06-18", "--known-at", "2022-06-18"),
    ("--as-of", "2022-03-01", "--known-at", "@300"),
    ("--exam", "SC-100", "--exam", "AZ-104"),
    ("--status", "waiting", "--status", "cap-reached", "--as-of", "2022-03-01"),
    ("--candidate-file", "some.txt"),
    ("--exam", "NONE-1"),
)


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A person beside a ledger with the example's history, in parts of a few candidates."""
    door = CommandLine(tmp_path, monkeypatch)
    door.at("2024-01-01T00:00:00Z")
    door.done("init", "--bare")
    door.done("import", "--keep-recorded-at", str(HISTORY))
    door.done("columns", "build", "--part-rows", "150", "--to", "parts")
    (tmp_path / "some.txt").write_text("C-1009\nC-1117\nC-1172\n")
    (tmp_path / "draft.toml").write_text(DRAFT)
    return door


def test_the_answer_is_the_local_engines_to_the_byte(door: CommandLine) -> None:
    """At any moment, of some or of all; collected, or written by the workers."""
    on = ("--engine", sail.engine(), "--columns", "parts", "--tasks", "2")
    for n, question in enumerate(QUESTIONS):
        here = door.call("replay", *question).out
        assert door.done("replay", *question, *on) == here, question
        if "--status" not in question:
            judged = door.call("violations", *question).out
            assert door.done("violations", *question, *on) == judged, question
            compared = asked_of(door, "here", question)
            assert asked_of(door, "there", question, on) == compared, question
            assert question or min(text.count("\n") for text in compared) > 2
        if n < 2:
            door.done("replay", *question, *on, "--into", f"csv{n}", "--format", "csv")
            files = sorted((door.folder / f"csv{n}").glob("*.csv"))
            assert len(files) > 3
            lines = [path.read_text().splitlines(keepends=True) for path in files]
            assert "".join([*lines[0], *(line for each in lines[1:] for line in each[1:])]) == here
    door.done("replay", *on, "--into", "rows")
    door.done("replay", "--output", "here.parquet")
    files = sorted((door.folder / "rows").glob("*.parquet"))
    assert pa.concat_tables(map(pq.read_table, files)).equals(
        pq.read_table(door.folder / "here.parquet")
    )


def asked_of(door: CommandLine, name: str, question: Words, where: Words = ()) -> list[str]:
    """Ask what a draft would have done; return the summary and the two tables."""
    files = ("--sittings", f"{name}-1.csv", "--standings", f"{name}-2.csv")
    since = ("--since", "2021-06-01") if question else ()
    summary = door.done("what-if", "--policy", "draft.toml", *question, *since, *where, *files)
    return [summary, *((door.folder / f"{name}-{n}.csv").read_text() for n in (1, 2))]


def test_violations_are_written_by_the_workers(door: CommandLine) -> None:
    """All but the registration, which the position names; another question is another folder."""
    on = ("--engine", sail.engine(), "--columns", "parts")
    door.done("violations", *on, "--into", "rows")
    door.done("violations", "--output", "here.parquet")
    files = sorted((door.folder / "rows").glob("violations-*.parquet"))
    assert len(files) > 3
    here = pq.read_table(door.folder / "here.parquet").drop_columns("registration_id")
    assert here.num_rows
    assert pa.concat_tables(map(pq.read_table, files)).equals(here)
    answer = door.call("replay", *on, "--into", "rows")
    assert (answer.code, "the answer to another question" in answer.err) == (2, True)


def test_an_answer_that_was_cut_off_is_gone_on_with_at_its_own_moment(door: CommandLine) -> None:
    """Now is another question each time: what lies there says with which words it is the same."""
    on = ("--engine", sail.engine(), "--columns", "parts", "--into", "cut")
    door.done("replay", *on)
    receipts = sorted((door.folder / "cut" / "_receipts").iterdir())
    receipts[0].unlink()
    (door.folder / "cut" / "_receipt.json").unlink()
    answer = door.call("replay", "--as-of", "2022-01-01", *on)
    assert answer.code == 2
    words = answer.err.partition("another question, with ")[2].partition(": go on")[0]
    door.done("replay", *words.split(), *on)
    assert receipts[0].exists()
    assert (door.folder / "cut" / "_receipt.json").exists()


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server of S3's protocol, which keeps a bucket in a folder; what follows a URL to reach it.

    Keys are found in the environment, here and at the workers.
    """
    (tmp_path / "s3" / "exams").mkdir(parents=True)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    with ExitStack() as stack:
        tries = (bucket(tmp_path / "s3", stack) for _ in range(5))
        port = next(port for port in tries if port)  # another program may take one first
        yield f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def bucket(folder: Path, stack: ExitStack) -> int | None:
    """Start the server on a port that is free; return it, or None where the server ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    words = [sys.executable, "-m", "localbucket", "--port", str(port), str(folder)]
    process = stack.enter_context(
        subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    )
    stack.callback(process.kill)
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return port
    return None


def test_columns_and_rows_lie_in_a_storage_that_others_reach(
    door: CommandLine, storage: str
) -> None:
    """As in folders: the same bytes, no part twice, and another's folder is refused."""
    url, engine = sail.start()
    parts, rows = f"s3://exams/parts{storage}", f"s3://exams/some/rows{storage}"
    on = ("--as-of", "2022-06-18", "--engine", url, "--columns", parts)
    try:
        door.done("columns", "build", "--part-rows", "150", "--to", parts)
        assert door.done("replay", *on) == door.done("replay", "--as-of", "2022-06-18")
        for _ in range(2):
            answer = door.call("replay", *on, "--into", rows, "--format", "csv")
            assert (answer.code, "in 5 files" in answer.err) == (0, True)
        stored = door.folder / "s3" / "exams" / "some" / "rows"
        lines = [path.read_text().splitlines() for path in sorted(stored.glob("*.csv"))]
        here = door.done("replay", "--as-of", "2022-06-18").splitlines()
        assert [lines[0][0], *(line for each in lines for line in each[1:])] == here
        assert json.loads((stored / "_receipt.json").read_text())["rows"] == len(here) - 1
        answer = door.call("violations", *on, "--into", rows)
        assert (answer.code, "another question" in answer.err) == (2, True)
    finally:
        sail.end(engine)


def test_a_secret_in_a_url_is_refused_and_not_repeated(door: CommandLine) -> None:
    """It would go to every worker, and stand in messages: the environment is the place for it."""
    answer = door.call("columns", "build", "--to", "s3://key:hush@exams/parts")
    assert (answer.code, "hush" in answer.err) == (2, False)
    assert "in the environment" in answer.err


def test_columns_beside_the_ledger_are_built_where_they_are_behind(door: CommandLine) -> None:
    """Those that somebody named are not: then it says how."""
    on = ("--engine", sail.engine())
    assert door.done("replay", *on) == door.done("replay")
    door.done(
        "record", "ExamAttempted", "C-9", "exam=AZ-104", "registration_id=R-9", "delivery=live"
    )
    assert door.done("replay", *on) == door.done("replay")
    answer = door.call("replay", *on, "--columns", "parts")
    assert answer.code == 2
    assert "reach position 720, and the question 721: build them with `columns build" in answer.err


@pytest.fixture
def everyone(tmp_path: Path) -> Any:
    """The example's history at its head, with its columns in parts, and a folder to write into."""
    with ledger_of(tmp_path / "a.ledger", facts()) as ledger:
        snapshot = bound(ledger, small=10_000)
        place = place_of(str(tmp_path / "parts"))
        key = SigningKey.generate("attempt-ledger/test")
        published = publish(ledger, place, key, Engine(None, 1), part_rows=150)
        yield snapshot, plan_of(snapshot, published, EVERYBODY), place


def test_parts_that_have_a_receipt_are_not_asked_for_again(everyone: Any, tmp_path: Path) -> None:
    """And a part whose receipt or file is missing or changed is, whatever a killed worker left."""
    snapshot, plan, columns = everyone
    engine, into = SparkEngine(sail.engine(), 2), place_of(str(tmp_path / "rows"))
    first = answer_into(engine, snapshot, plan, columns, into)
    assert first.rows == snapshot.everybody().num_rows
    before = {path: path.stat() for path in (tmp_path / "rows").rglob("standings*")}
    (tmp_path / "rows" / plan.file(1)).unlink()
    (tmp_path / "rows" / "_receipts" / f"{plan.file(2)}.json").unlink()
    (tmp_path / "rows" / f".{plan.file(3)}.0123abcd").write_text("half")
    (tmp_path / "rows" / plan.file(0)).write_bytes(b"PAR1")
    assert answer_into(engine, snapshot, plan, columns, into) == first
    after = {path: path.stat() for path in (tmp_path / "rows").rglob("standings*")}
    again = {path.name.partition(".")[0] for path in before if after[path] != before[path]}
    assert again == {"standings-000000", "standings-000001", "standings-000002"}
    assert not list((tmp_path / "rows").glob(".*"))
    whole = json.loads((tmp_path / "rows" / "_receipt.json").read_text())
    assert whole["rows"] == first.rows == sum(part["rows"] for part in whole["parts"])


def test_a_folder_with_anything_else_in_it_is_refused(everyone: Any, tmp_path: Path) -> None:
    """Another question's answer too; nothing is written then."""
    snapshot, plan, columns = everyone
    engine, rows = SparkEngine("sc://127.0.0.1:1", 2), tmp_path / "rows"
    rows.mkdir()
    (rows / "thesis.txt").write_text("mine")
    with pytest.raises(EngineProblem, match=r"holds 'thesis\.txt'"):
        answer_into(engine, snapshot, plan, columns, place_of(str(rows)))
    shutil.rmtree(rows)
    there = SparkEngine(sail.engine(), 2)
    answer_into(there, snapshot, plan, columns, place_of(str(rows)))
    other = plan.model_copy(update={"as_of": plan.as_of - 1})
    with pytest.raises(EngineProblem, match=f"the answer to another question, with {plan.moment}"):
        answer_into(there, snapshot, other, columns, place_of(str(rows)))


def test_compiled_rules_are_loaded_by_threads_of_one_process(everyone: Any) -> None:
    """From the asker's folder; the rows are the same."""
    snapshot, plan, columns = everyone
    compiled_quietly()
    compiled = Snapshot(snapshot.ledger, snapshot.moment, Engine(CACHE, 2, small=0))
    for tasks in (4, 1):
        table = collect(SparkEngine(sail.engine(), tasks), compiled, plan, columns)
        assert table.equals(snapshot.everybody())


def test_a_worker_of_another_release_reads_nothing(everyone: Any) -> None:
    """One sentence names both; what follows the first line is not looked at."""
    others = release().replace("rules ", "rules 0")
    (reply,) = answer(f"{others}\nno JSON".encode(), iter([]))
    assert reply.schema == REPLY
    (problem,) = reply["problem"].to_pylist()
    assert release() in problem
    assert others in problem
    snapshot, plan, columns = everyone
    errand = errand_of(snapshot, plan, columns, None, [0])

    class Other:
        def written(self) -> bytes:
            return errand.written().replace(b"rules ", b"rules 0", 1)

        wanted = errand.wanted

    with pytest.raises(EngineProblem, match="install the same release on both sides"):
        SparkEngine(sail.engine(), 1).run(Other())  # type: ignore[arg-type]


def test_a_worker_keeps_no_part_that_it_has_answered(
    everyone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory grows with the rows of a part, however many it answers."""
    snapshot, plan, columns = everyone
    opened: list[ref[pa.Array]] = []

    def opening(place: Place, part: PublishedFile) -> Part:
        made = open_part(place, part)
        opened.append(ref(made.candidates))
        return made

    monkeypatch.setattr("replay.partwise.open_part", opening)
    errand = errand_of(snapshot, plan, columns, None, range(3))
    assert len(list(answer(errand.written(), iter([_places(3)])))) == 3
    assert [names() for names in opened] == [None] * 3


def test_a_part_that_was_changed_is_named(everyone: Any, tmp_path: Path) -> None:
    """Nobody folds it."""
    snapshot, plan, columns = everyone
    (tmp_path / "parts" / plan.parts[1].file).write_bytes(b"ARROW1")
    with pytest.raises(EngineProblem, match=r"part 1: .* is not as it was built"):
        collect(SparkEngine(sail.engine(), 2), snapshot, plan, columns)


def test_an_engine_that_is_not_there_is_one_sentence_at_once(door: CommandLine) -> None:
    """A port where nobody listens, one where something else does, and URLs that are none."""
    on = ("replay", "--columns", "parts", "--engine")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.monotonic()
    answer = door.call(*on, f"sc://127.0.0.1:{port}")
    assert answer.code == 2
    assert f"no engine answers at sc://127.0.0.1:{port}: connection refused" in answer.err
    assert time.monotonic() - begun < 5
    for url in ("localhost:15002", "spark://host:7077", "sc://", "sc://host:port"):
        answer = door.call(*on, url)
        assert answer.code == 2
        assert "names no engine: accepted is sc://host:port" in answer.err
    for words in (("--into", "x"), ("--tasks", "2"), ("--columns", "parts")):
        answer = door.call("replay", *words)
        assert answer.code == 2
        assert f"{words[0]} goes with --engine" in answer.err


def test_an_engine_that_ends_in_the_middle_is_asked_again(everyone: Any, tmp_path: Path) -> None:
    """It comes back after its first parts: those are kept, the others are asked for."""
    snapshot, plan, columns = everyone
    into = place_of(str(tmp_path / "rows"))

    class Failing(SparkEngine):
        calls: list[tuple[int, ...]] = []  # noqa: RUF012

        def run(self, errand: Any) -> pa.Table:
            self.calls.append(errand.wanted)
            if len(self.calls) < 3:  # a worker that dies after two parts
                for _ in answer(errand.written(), iter([_places(2)])):
                    pass
                raise EngineProblem("the worker was killed")
            return super().run(errand)

    engine = Failing(sail.engine(), 2)
    answered = answer_into(engine, snapshot, plan, columns, into)
    assert answered.rows == snapshot.everybody().num_rows
    assert all(set(later) < set(earlier) for earlier, later in pairwise(engine.calls))

    class Dead(SparkEngine):
        def run(self, errand: Any) -> pa.Table:
            raise EngineProblem("the worker was killed")

    with pytest.raises(EngineProblem, match=r"0 of .* parts are written, and the same"):
        answer_into(Dead(sail.engine(), 2), snapshot, plan, columns, place_of(str(tmp_path / "x")))


def _places(count: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(count), pa.int64())], names=["id"])
