"""The feed: in order, missing none, repeating none, whoever is killed and whenever."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from sqlite3 import OperationalError, connect
from typing import Any

import pytest
from command_line import CommandLine
from example_ledger import NOW, ROOT, facts, ledger_of
from hypothesis import given
from hypothesis import strategies as st

from attempt_ledger.feed import Chunk, Form, chunks, pieces
from ledger.cloudevents import to_cloudevent
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.intake.source import LONGEST_LINE
from ledger.ledger import Ledger
from ledger.models import ExamAttempted, ExceptionRequested

BIN = Path(sys.executable).parent
COMMAND = str(BIN / "attempt-ledger")
PATIENCE = 30.0


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the example's ledger once."""
    path = tmp_path_factory.mktemp("example") / "attempts.ledger"
    ledger_of(path, facts()).close()
    return path


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Path) -> CommandLine:
    """Return a folder with the example's ledger in it."""
    for file in example.parent.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    return CommandLine(tmp_path, monkeypatch)


def sat(number: int) -> Fact:
    event = ExamAttempted(exam="AZ-104", registration_id=f"N-{number}", delivery="live")
    return Fact("urn:new", f"N-{number}/attempted", f"C-{number % 7}", NOW - 1, event)


def until(done: Callable[[], bool]) -> None:
    """Wait for another process, which cannot tell us."""
    for _ in range(int(PATIENCE / 0.01)):
        if done():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to pass")


@contextmanager
def running(*words: str, **settings: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run the feed in a process of its own, for as long as the body."""
    process = subprocess.Popen([COMMAND, "feed", *words], stdout=subprocess.PIPE, **settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


# -- what it holds


@pytest.mark.parametrize("after", [0, 1, 399, 719, 720])
def test_lines_are_those_of_the_export_to_the_byte(door: CommandLine, after: int) -> None:
    """The same form, from the same code, whatever the position."""
    lines = door.done("feed", "--after", str(after))
    assert lines == door.done("export", "--after", str(after))
    assert lines.count("\n") == 720 - after


def test_the_position_may_be_given_as_the_sequence_is_written(door: CommandLine) -> None:
    """Twenty digits, as the last event had them."""
    assert door.lines("feed", "--after", "00000000000000000719")[0]["sequence"].endswith("0720")


@pytest.mark.parametrize("size", [1, 7, 240, 719, 720, 10_000])
def test_batches_are_the_same_events_so_many_a_line(door: CommandLine, size: int) -> None:
    """Each a JSON array, all full but the last; put together they are the lines."""
    text = door.done("feed", "--batch", str(size))
    batches = [json.loads(line) for line in text.splitlines()]
    assert [event for batch in batches for event in batch] == door.lines("feed")
    assert {len(batch) for batch in batches[:-1]} <= {size}
    assert 0 < len(batches[-1]) <= size


def test_types_choose_and_keep_the_order(door: CommandLine) -> None:
    """Several may be named; the others are left out, whole batches of the rest."""
    both = [e for e in door.lines("feed") if e["type"] in ("ExamPassed", "EventAnnulled")]
    words = ("feed", "--type", "ExamPassed", "--type", "EventAnnulled")
    assert door.lines(*words) == both
    assert {event["type"] for event in both} == {"ExamPassed", "EventAnnulled"}
    assert [len(batch) for batch in map(json.loads, door.done(*words, "--batch", "50").splitlines())
            ][:-1] == [50] * ((len(both) - 1) // 50)  # fmt: skip


def test_personal_fields_are_ciphertext_or_left_out(door: CommandLine) -> None:
    """Never clear text, and no key is needed; everything else stays to the byte."""
    asked = ExceptionRequested(
        request_id="X-1", exam="AZ-104", registration_id="R-10012", reason="lab-crash",
        first_name="Ada", last_name="Lovelace", email="ada@example.org", description="it crashed",
    )  # fmt: skip
    with Ledger.open("attempts.ledger", clock=lambda: NOW) as ledger:
        ledger.append([Fact("urn:desk", "X-1/requested", "C-1001", NOW, asked)])
    sealed, bare = door.lines("feed"), door.lines("feed", "--without-personal")
    assert "ada@example.org" not in door.done("feed")
    assert "ciphertext" not in door.done("feed", "--without-personal")
    personal = {"first_name", "last_name", "email", "description"}
    changed = 0
    for with_it, without in zip(sealed, bare, strict=True):
        changed += with_it != without
        assert with_it["data"].keys() - without["data"].keys() <= personal
        with_it["data"] = {k: v for k, v in with_it["data"].items() if k not in personal}
        assert with_it == without
    assert changed >= 2
    untouched = door.done("feed", "--without-personal", "--type", "ExamAttempted")
    assert untouched == door.done("feed", "--type", "ExamAttempted")


@given(
    sizes=st.lists(st.integers(1, 9), max_size=8),
    last=st.lists(st.booleans(), min_size=8, max_size=8),
    batch=st.none() | st.integers(1, 12),
)
def test_nothing_is_held_back_once_all_is_there(
    sizes: list[int], last: list[bool], batch: int | None
) -> None:
    """However it was read: lines in order, batches full until the head, and then what there is."""
    rows = READ[: sum(sizes)]
    feed, begin, due = [], 0, 0
    for size, is_last in zip(sizes, last, strict=False):
        feed.append(Chunk(rows[begin : begin + size], is_last))
        begin += size
        due = begin if is_last else max(due, begin - (begin - due) % (batch or 1))
    written = list(pieces(feed, Form(batch=batch)))
    lines = b"".join(piece.content for piece in written).decode().splitlines()
    if batch is not None:
        assert all(len(json.loads(line)) <= batch for line in lines)
        lines = [
            line for row in lines for line in row[1:-1].replace('},{"spec', '}\n{"spec').split("\n")
        ]
    assert sum(piece.events for piece in written) == len(lines) == due
    assert lines == [to_cloudevent(row) for row in rows[:due]]


READ = [Recorded(n, NOW + n // 3, *fact.row()) for n, fact in enumerate(facts()[:100], 1)]


def test_a_batch_is_never_longer_than_a_line_that_import_reads(door: CommandLine) -> None:
    """What we write, we read: whatever N, a feed's batches go in again."""
    long = [row._replace(data=json.dumps({"toml": "x" * 300_000})) for row in READ[:10]]
    written = [piece.content for piece in pieces([Chunk(long, True)], Form(batch=10_000))]
    lines = b"".join(written).splitlines()
    assert [len(json.loads(line)) for line in lines] == [3, 3, 3, 1]
    assert all(len(line) < LONGEST_LINE for line in lines)
    door.write("batches.jsonl", door.done("feed", "--batch", "10000"))
    door.at("2030-01-01T00:00:00Z").done("--ledger", "sqlite:///copy.ledger", "init", "--bare")
    again = ("import", "--keep-recorded-at", "batches.jsonl")
    door.done("--ledger", "sqlite:///copy.ledger", *again)
    assert door.done("--ledger", "sqlite:///copy.ledger", "feed") == door.done("feed")


# -- a position that is not there


def test_a_consumer_that_names_its_last_event_is_told_when_it_is_not_there(
    door: CommandLine,
) -> None:
    """After a restore to an earlier day another event may stand at its position."""
    *_, third, fourth = door.lines("feed")[:4]
    last = ("--last", third["source"], third["id"])
    rest = door.done("feed", "--after", "3")
    assert door.done("feed", *last) == door.done("feed", "--after", "3", *last) == rest
    said = door.wrong("feed", "--after", "4", *last)
    assert "stands at position 3 in" in said
    assert "put back to an earlier day" in said
    assert "is not in" in door.wrong("feed", "--after", "4", "--last", fourth["source"], "no such")


def test_a_position_beyond_the_head_is_refused(door: CommandLine) -> None:
    """What came next would be missed without a word."""
    assert "lies beyond the last position" in door.wrong("feed", "--after", "721")
    assert "lies beyond the last position" in door.wrong("feed", "--after", "721", "--follow")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--type", "ExamPasse"], "--type: type 'ExamPasse' is unknown: accepted are Exam"),
        (["--output", "nowhere/feed.jsonl"], "nowhere/feed.jsonl: no such file or directory"),
        (["--follow", "--output", "nowhere/feed.jsonl"], "nowhere/feed.jsonl: no such file or dir"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_one_sentence(door: CommandLine, words: list[str], said: str) -> None:
    """What, where, and what would be accepted."""
    assert said in door.wrong("feed", *words)


# -- a file


def test_a_file_is_replaced_when_it_is_complete(door: CommandLine) -> None:
    """As of `export`; how many it holds is said."""
    door.done("feed", "--after", "710", "--output", "feed.jsonl")
    answer = door.call("feed", "--after", "700", "--output", "feed.jsonl")
    assert answer.err == "attempt-ledger: feed.jsonl: 20 events\n"
    text = (door.folder / "feed.jsonl").read_text()
    assert text == door.done("export", "--after", "700")


def followed(door: CommandLine, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Follow into feed.jsonl until the head is in it, then Ctrl-C."""

    def interrupted(ledger: Ledger, after: int, *, follow: bool, **_: object) -> Iterator[Chunk]:
        if not follow:
            yield from chunks(ledger, after)
            return
        with suppress(StopIteration):
            stop = iter([False] * 2 + [True] * 9).__next__
            yield from chunks(ledger, after, follow=True, stop=stop)
        raise KeyboardInterrupt

    monkeypatch.setattr("attempt_ledger.cli.feed.chunks", interrupted)
    assert door.call("feed", "--follow", "--output", "feed.jsonl", *words).code == 130


@pytest.mark.parametrize("words", [(), ("--batch", "50")])
@pytest.mark.parametrize("cut", [0, 1, 40, 1_000, -1])
def test_a_file_goes_on_where_it_ended(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], cut: int
) -> None:
    """Killed in the middle of a line, of the first one too, half of it is cut off."""
    file = door.folder / "feed.jsonl"
    followed(door, monkeypatch, *words)
    whole = file.read_bytes()
    assert whole.decode() == door.done("feed", *words)
    torn = whole[: -cut if cut > 0 else 20 if cut else None]
    file.write_bytes(torn)
    followed(door, monkeypatch, *words)
    lines = file.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    flat = [event for batch in events for event in batch] if words else events
    assert flat == door.lines("feed")
    followed(door, monkeypatch, *words)
    assert file.read_text().splitlines() == lines


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("notes\n", "is no feed, its last line is no event: it was left as it is"),
        ("notes", "is no feed: it was left as it is"),
        ('{"specversion":"1.0"}\n', "is no feed, its last line is no event"),
        ("[]\n", "is no feed, its last line is no event"),
        ('{"sequence":"3","source":"urn:x","id":"1"}\nhalf', "is a feed of another ledger"),
        ('{"sequence":"9000","source":"urn:x","id":"1"}\n', "is a feed of another ledger"),
    ],
)
def test_a_file_that_is_no_feed_of_this_ledger_is_left_alone(
    door: CommandLine, content: str, said: str
) -> None:
    """To the byte."""
    door.write("feed.jsonl", content)
    assert said in door.wrong("feed", "--follow", "--output", "feed.jsonl")
    assert (door.folder / "feed.jsonl").read_text() == content


@pytest.mark.parametrize("words", ["", "--follow"])
def test_a_disk_that_fills_is_said_and_what_is_there_is_gone_on_with(
    door: CommandLine, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """The file is named. Without --follow nothing is left; with it, half a line at most."""
    call = f"ulimit -f 100; exec {COMMAND} feed {words} --output feed.jsonl"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "attempt-ledger: feed.jsonl: file too large\n")
    assert (door.folder / "feed.jsonl").exists() == bool(words)
    followed(door, monkeypatch)
    assert (door.folder / "feed.jsonl").read_text() == door.done("export")


# -- processes: whoever leaves, and however


def test_what_comes_is_there_at_once_and_a_second_feed_leaves_its_file_alone(
    door: CommandLine,
) -> None:
    """An event a transaction, each out before the next is appended; two on one file are told."""
    file = door.folder / "feed.jsonl"
    with (
        running("--follow", "--output", "feed.jsonl"),
        Ledger.open("attempts.ledger", clock=lambda: NOW) as ledger,
    ):
        until(lambda: file.exists() and file.read_bytes().count(b"\n") == 720)
        sentence = door.wrong("feed", "--follow", "--output", "feed.jsonl")
        assert sentence == "--output: feed.jsonl is being written by another feed"
        for number in range(5):
            ledger.append([sat(number)])
            until(lambda: file.read_bytes().count(b"\n") == 721 + number)  # noqa: B023 (called here)
    assert file.read_text() == door.done("export")


def test_a_feed_whose_reader_goes_away_while_nothing_happens_leaves_too(door: CommandLine) -> None:
    """Nobody appends: it must not wait for the next event to find out. No word is said."""
    with running("--follow", stderr=subprocess.PIPE) as feed:
        assert feed.stdout is not None
        assert feed.stderr is not None
        for _ in range(720):
            feed.stdout.readline()
        assert feed.poll() is None
        feed.stdout.close()
        assert feed.wait(PATIENCE) == 141
        assert feed.stderr.read() == b""


def test_ctrl_c_ends_a_feed_as_shells_expect(door: CommandLine) -> None:
    """130, after a whole line."""
    with running("--follow", "--after", "700", "--batch", "5", stderr=subprocess.PIPE) as feed:
        assert feed.stdout is not None
        assert feed.stderr is not None
        batches = [json.loads(feed.stdout.readline()) for _ in range(4)]
        assert [len(batch) for batch in batches] == [5] * 4
        feed.send_signal(signal.SIGINT)
        assert feed.wait(PATIENCE) == 130
        assert feed.stdout.read() == b""
        assert feed.stderr.read() == b"attempt-ledger: interrupted\n"


# -- the consumers of the page

PAGE = (ROOT / "docs" / "feed.md").read_text(encoding="utf-8")
CONSUMERS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
MINE = """
def take(event):
    with open("taken.jsonl", "a") as file:
        file.write(event["sequence"] + "\\n")
"""


def test_the_consumers_are_of_ten_lines() -> None:
    """Besides what they import and blank lines."""
    for code in CONSUMERS:
        lines = [line for line in code.splitlines() if line.strip()]
        assert len([line for line in lines if "import" not in line]) <= 10


def in_inbox(folder: Path) -> list[int]:
    """Return what the first consumer has taken."""
    try:
        with closing(connect(folder / "inbox.sqlite")) as inbox:
            rows = inbox.execute("SELECT sequence FROM events ORDER BY rowid").fetchall()
    except OperationalError:  # not made yet
        return []
    return [sequence for (sequence,) in rows]


def in_log(folder: Path) -> list[int]:
    """Return what the second one's `take` was given."""
    log = folder / "taken.jsonl"
    return list(map(int, log.read_text().split("\n")[:-1])) if log.exists() else []


def feed_of(consumer: int) -> int:
    """Find the feed that a consumer has started."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == consumer:
                return int(entry.name)
    raise AssertionError("the consumer has no feed")


def is_over(process: int) -> bool:
    """Return whether a process is over, whether or not somebody has asked for its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(("number", "taken"), [(0, in_inbox), (1, in_log)])
def test_the_consumers_of_the_page_survive_a_kill_of_either_side(
    door: CommandLine, number: int, taken: Callable[[Path], list[int]]
) -> None:
    """None is missing; the first repeats none, the second only the last one before a kill."""
    door.write("consumer.py", CONSUMERS[number])
    door.write("mine.py", MINE)
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    head, kills = 720, 0
    with Ledger.open("attempts.ledger", clock=lambda: NOW) as ledger:
        for side in ("consumer", "feed", "consumer", "nobody"):
            reached = len(set(taken(door.folder)))
            consumer = subprocess.Popen([sys.executable, "consumer.py"], env=environment)
            try:
                until(lambda: len(set(taken(door.folder))) > reached)  # noqa: B023 (called here)
                for _ in range(6):
                    ledger.append([sat(head := head + 1)])
                if side == "nobody":
                    until(lambda: len(set(taken(door.folder))) == head)
                feed = feed_of(consumer.pid)
                os.kill(feed if side == "feed" else consumer.pid, signal.SIGKILL)
                kills += 1
                consumer.wait(PATIENCE)  # its feed is over: so it ends
                until(lambda: is_over(feed))  # noqa: B023 - nobody reads: so the feed ends
            finally:
                consumer.kill()
                consumer.wait()
            ledger.append([sat(head := head + 1)])  # while nobody listens
        consumer = subprocess.Popen([sys.executable, "consumer.py"], env=environment)
        until(lambda: len(set(taken(door.folder))) == head)
        consumer.kill()
        consumer.wait()
    found = taken(door.folder)
    assert list(dict.fromkeys(found)) == list(range(1, head + 1))
    assert len(found) - head <= (kills if number else 0)
    if number == 0:
        with closing(connect(door.folder / "inbox.sqlite")) as inbox:
            texts = inbox.execute("SELECT event FROM events ORDER BY sequence").fetchall()
        assert [json.loads(text) for (text,) in texts] == door.lines("export")
