"""The page about eventsourcing says what the library does with a ledger."""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.application import Application
from eventsourcing.popo import POPOTrackingRecorder
from eventsourcing.projection import ApplicationSubscription, Projection, ProjectionRunner
from ledger_facts import SetClock, a_ledger, attempted, sample

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, NoLedger, ReadOnly, Redefined

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "eventsourcing.md").read_text(encoding="utf-8")
sys.path.append(str(ROOT / "examples"))
import counting  # noqa: E402


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Three sittings and a result."""
    with a_ledger(tmp_path, "attempts") as ledger:
        failed = sample("ExamFailed", "R-1/failed")
        ledger.append([attempted(1), attempted(2, exam="AZ-500"), failed, attempted(3)])
        yield ledger


def test_the_code_of_the_page_runs(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands."""
    monkeypatch.chdir(ledger.path.parent)
    code, env = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code.replace("C-1001", "C-1"), {})
    assert capsys.readouterr().out.startswith("1 ExamAttempted {'exam': 'AZ-104'")
    exec(env, given := {})  # type: ignore[var-annotated]
    assert given["env"].keys() == {
        "LEDGER_SQLITE_DBNAME", "SITTINGS_PERSISTENCE_MODULE", "SITTINGS_SQLITE_DBNAME",
    }  # fmt: skip


def test_the_example_counts_and_goes_on_where_it_ended(ledger: Ledger, tmp_path: Path) -> None:
    """A projection and tracking of its own, run by the stock runner."""
    counts = str(tmp_path / "counts.db")
    assert counting.run(str(ledger.path), counts) == {"AZ-104": 2, "AZ-500": 1}
    ledger.append([attempted(4)])
    assert counting.run(str(ledger.path), counts) == {"AZ-104": 3, "AZ-500": 1}
    assert len((ROOT / "examples" / "counting.py").read_text().splitlines()) < 60


class Seen(POPOTrackingRecorder):
    """What was seen, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[int] = []


class Sees(Projection[Seen]):
    """Sees results alone."""

    topics = ("ExamFailed:1",)

    def process_event(self, domain_event: Any, tracking: Any) -> None:
        self.view.ids.append(domain_event.position)
        self.view.insert_tracking(tracking)


def test_a_runner_in_memory_gets_the_topics_it_asks_for(ledger: Ledger) -> None:
    """And what is appended meanwhile."""
    env = {"LEDGER_SQLITE_DBNAME": str(ledger.path)}
    with ProjectionRunner(
        application_class=Ledger, projection_class=Sees, view_class=Seen, env=env
    ) as runner:
        runner.wait(3, timeout=10)
        ledger.append([attempted(5), sample("ExamFailed", "R-5/failed")])
        runner.wait(6, timeout=10)
        assert runner.view.ids == [3, 6]


def test_a_subscription_waits_and_can_be_stopped(ledger: Ledger) -> None:
    """From another thread: whoever waits for the next event is let go."""
    subscription = ApplicationSubscription(ledger, gt=2)
    with subscription:
        got = [
            (event.position, tracking.notification_id)
            for event, tracking in islice(subscription, 2)
        ]
        assert got == [(3, 3), (4, 4)]
        threading.Timer(0.2, subscription.stop).start()
        began = time.monotonic()
        assert list(subscription) == []
        assert time.monotonic() - began < 5


def test_an_environment_names_the_file_and_nothing_else(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the application's name before it or without; the process's own variables are no part."""
    stray = {"SQLITE_DBNAME": "/nowhere", "PERSISTENCE_MODULE": "no.such", "CIPHER_KEY": "x"}
    for name, value in stray.items():
        monkeypatch.setenv(name, value)
    path = str(ledger.path)
    for env in (
        {"SQLITE_DBNAME": path},
        {"LEDGER_SQLITE_DBNAME": path, "SQLITE_DBNAME": "/nowhere"},
        {"SQLITE_DBNAME": path, "LEDGER_PERSISTENCE_MODULE": "no.such", "CIPHER_KEY": "x"},
    ):
        with Ledger(env) as other:
            assert isinstance(other, Application)
            assert other.head().position == 4
            assert other.recorder.max_notification_id() == 4
    with pytest.raises(LedgerProblem, match="SQLITE_DBNAME in the environment names its file"):
        Ledger()
    with pytest.raises(NoLedger):
        Ledger({"SQLITE_DBNAME": str(tmp_path / "none")})
    assert os.environ["SQLITE_DBNAME"] == "/nowhere"


def test_without_a_clock_nothing_is_appended(ledger: Ledger) -> None:
    """With one, it is a ledger like any other."""
    env = {"SQLITE_DBNAME": str(ledger.path)}
    with Ledger(env) as other, pytest.raises(ReadOnly):
        other.append([attempted(9)])
    with Ledger(env, clock=SetClock()) as other:
        other.append([attempted(9)])
    assert ledger.head().position == 5


def test_tracking_in_the_ledgers_own_file_is_refused(ledger: Ledger) -> None:
    """One file for both: the runner ends with a sentence, and so does whoever appends."""
    env = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(ledger.path)}
    with pytest.raises(Redefined, match="give the projection a database of its own"):
        ProjectionRunner(
            application_class=Ledger,
            projection_class=counting.Sittings,
            view_class=counting.Counts,
            env=env,
        )
    with pytest.raises(Redefined, match="give the projection a database of its own"):
        ledger.append([attempted(9)])
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.executescript("DROP TABLE tracking; DROP TABLE counts")
    ledger.append([attempted(9)])


def test_the_ledgers_own_module_refuses_before_anything_is_made(ledger: Ledger) -> None:
    """As PERSISTENCE_MODULE of everything, or through the application's factory."""
    env = {"PERSISTENCE_MODULE": "ledger.store.recorder", "SQLITE_DBNAME": str(ledger.path)}
    with pytest.raises(LedgerProblem, match="give the projection a database of its own"):
        ProjectionRunner(
            application_class=Ledger,
            projection_class=counting.Sittings,
            view_class=counting.Counts,
            env=env,
        )
    for make in (ledger.factory.tracking_recorder, ledger.factory.process_recorder):
        with pytest.raises(LedgerProblem, match="give the projection a database of its own"):
            make()
    ledger.append([attempted(9)])
