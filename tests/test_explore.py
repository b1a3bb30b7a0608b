"""The views explored: a real server, asked over HTTP; each question answered as Python answers."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

import pytest
from command_line import CommandLine
from example_ledger import NOW, ROOT, bound, facts, ledger_of
from plain_values import rows_of
from read_models import beside, project

from attempt_ledger.explore.connection import connected
from attempt_ledger.explore.questions import QUESTIONS
from attempt_ledger.explore.serving import FACETS, metadata
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.instants import DAY, format_instant, parse_instant
from ledger.ledger import Ledger
from ledger.models import ExamAttempted, ExceptionRequested
from projections.answers import Sitting, Standing
from projections.exceptions import requests_of
from projections.standing import Moment
from projections.tables import KEPT
from replay.read_model.schema import readable_name
from replay.snapshot import Snapshot

with warnings.catch_warnings():
    # It leaves a database in memory unclosed when it is imported, which Python 3.13 tells of.
    warnings.simplefilter("ignore", ResourceWarning)
    import datasette.app  # noqa: F401

    gc.collect()

COMMAND = str(Path(sys.executable).with_name("attempt-ledger"))
REVOCATIONS = ("ResultRevoked", "ExceptionRevoked")
Rows = list[dict[str, Any]]


class Explored:
    """A ledger, its views, and where they are served."""

    def __init__(self, ledger: Ledger, address: str, server: int) -> None:
        self.ledger = ledger
        self.server = server
        self.address = address
        self.head = ledger.head().position
        self.snapshot = Snapshot(ledger, Moment(NOW, None, self.head))
        self.events = {row.position: row for row in ledger.read()}

    def get(self, path: str, **words: str) -> tuple[int, str]:
        """Ask for a page; give its status and text."""
        asked = f"{self.address}{path}{'?' if words else ''}{urlencode(words)}"
        try:
            with urlopen(asked, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def asked_as(
        self, host: str, path: str, method: str = "GET"
    ) -> tuple[int, dict[str, str], str]:
        """Ask under a name; give status, headers and text."""
        connection = HTTPConnection("127.0.0.1", int(self.address.split(":")[2].split("/")[0]))
        with closing(connection):
            connection.request(method, path, headers={"Host": host})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, headers, answer.read().decode()

    def peak_mb(self) -> int:
        """Return the most memory that the server has ever taken."""
        status = Path(f"/proc/{self.server}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) // 1024

    def ask(self, question: str, **words: str) -> Rows:
        """Ask a question, as a program does."""
        status, text = self.get(f"/{question}.json", _shape="array", **words)
        assert status == 200, text
        rows: Rows = json.loads(text)
        return rows

    def standings(self, as_of: int) -> list[Standing]:
        """Ask Python about everybody."""
        then = self.snapshot.at(Moment(as_of, None, self.head))
        found = (then.standings(who) for who in self.ledger.candidates())
        return [standing for some in found for standing in some]

    def standing(self, candidate: str, exam: str, as_of: int, position: int) -> Standing | None:
        """Ask Python about one, None if nothing is visible."""
        found = self.snapshot.at(Moment(as_of, None, position)).standing(candidate, exam)
        return found if found.sittings else None

    def annuls(self, row: Recorded) -> Recorded:
        """Return the event that one annuls, else itself."""
        return row if row.annuls is None else self.events[row.annuls]


@contextmanager
def exploring(folder: Path, *program: str) -> Iterator[Explored]:
    """Serve the example's views on a port that is free; stop it as a person does."""
    path = folder / "attempts.ledger"
    with ledger_of(path, facts()) as ledger:
        project(ledger, beside(path))
        words = ["--ledger", f"sqlite:///{path}", "explore", "--port", "0"]
        server = subprocess.Popen([*program, *words], stderr=subprocess.PIPE, text=True)
        assert server.stderr is not None
        try:
            said = server.stderr.readline()
            (address,) = re.findall(r" is at (http://127\.0\.0\.1:\d+/views) until Ctrl-C", said)
            yield Explored(ledger, address, server.pid)
            server.send_signal(signal.SIGINT)
            assert server.wait(30) == 0
            assert server.stderr.read() == ""  # nothing that was asked made a noise
        finally:
            server.kill()
            server.wait()
            server.stderr.close()
    assert not Path(f"{beside(path)}-wal").exists()


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explored]:
    """Serve them by the program as it is."""
    with exploring(tmp_path_factory.mktemp("explored"), COMMAND) as it:
        yield it


HURRIED = """
from attempt_ledger.explore.serving import SETTINGS
assert SETTINGS["sql_time_limit_ms"] == 5_000
SETTINGS["sql_time_limit_ms"] = 500
from attempt_ledger.cli.main import run
run()
"""
"""The program, which ends a statement after half a second instead of five."""


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Explored]:
    """Serve them by a program that ends a statement early."""
    with exploring(tmp_path_factory.mktemp("hurried"), sys.executable, "-c", HURRIED) as it:
        yield it


def printed(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


# -- every question, as Python answers it


def waiting(it: Explored, day: str, exam: str) -> Rows:
    return sorted(
        (
            {
                "candidate": each.candidate,
                "exam": each.exam,
                "eligible_from": printed(each.eligible_from),
                "sittings_in_series": each.sittings_in_series,
                "last_sitting_at": printed(each.sittings[-1].started_at),
                "last_outcome": each.sittings[-1].outcome,
            }
            for each in it.standings(parse_instant(day))
            if each.status == "waiting" and exam in ("", each.exam)
        ),
        key=lambda row: (row["exam"], row["candidate"]),
    )


def corrected(it: Explored, since: str, until: str) -> Rows:
    found = []
    for row in it.events.values():
        about = it.annuls(row)
        late = row.recorded_at - row.occurred_at >= DAY
        if row.annuls is None and row.type not in REVOCATIONS and not late:
            continue
        assert about.exam is not None  # what bears on several exams, or none, is not in the example
        options = [(about.occurred_at, row.position - 1), (about.occurred_at, row.position)]
        options += [(row.recorded_at, row.position - 1), (row.recorded_at, row.position)]
        was, now, before, after = (
            it.standing(row.subject, about.exam, as_of, position) for as_of, position in options
        )
        line = {
            "position": row.position,
            "recorded_at": printed(row.recorded_at),
            "recorded_by": row.actor,
            "kind": "annulment" if row.annuls else
            "revocation" if row.type in REVOCATIONS else "late",
            "type": about.type,
            "candidate": row.subject,
            "exam": about.exam,
            "key": about.key,
            "true_at": printed(about.occurred_at),
            "was_status": was and was.status,
            "is_status": now and now.status,
            "was_eligible_from": printed(was and was.eligible_from),
            "is_eligible_from": printed(now and now.eligible_from),
            "told_before": before and before.status,
            "told_after": after and after.status,
        }  # fmt: skip
        pairs = (("was_status", "is_status"), ("was_eligible_from", "is_eligible_from"),
                 ("told_before", "told_after"))  # fmt: skip
        if any(line[one] != line[other] for one, other in pairs) and within(
            row.recorded_at, since, until
        ):
            found.append(line)
    return found


def within(instant: int, since: str, until: str) -> bool:
    return (not since or instant >= parse_instant(since)) and (
        not until or instant < parse_instant(until)
    )


def late(it: Explored, days: str) -> Rows:
    least = max(float(days or 0) * DAY, DAY)
    rows = [
        row
        for row in it.events.values()
        if row.annuls is None and row.recorded_at - row.occurred_at >= least
    ]
    rows.sort(key=lambda row: (row.occurred_at - row.recorded_at, row.position))
    return [
        {
            "position": row.position,
            "type": row.type,
            "candidate": row.subject,
            "exam": row.exam,
            "key": row.key,
            "true_at": printed(row.occurred_at),
            "recorded_at": printed(row.recorded_at),
            "days_late": round((row.recorded_at - row.occurred_at) / DAY, 1),
            "recorded_by": row.actor,
        }
        for row in rows
    ]


def exceptions_decided(it: Explored, since: str, until: str) -> Rows:
    moment, found = Moment(NOW, None, it.head), []
    for who in it.ledger.candidates():
        rows = it.ledger.stream(f"candidate/{who}")
        for each in requests_of(who, rows, it.snapshot.catalogue, moment):
            events = [it.ledger.find(cause.source, cause.id) for cause in each.events]
            decided = [e for e in events if e is not None and e.type != "ExceptionRequested"]
            if not decided or not within(decided[-1].occurred_at, since, until):
                continue
            used = each.used_by and next(
                sitting
                for sitting in it.snapshot.standing(who, each.exam).sittings
                if sitting.registration_id == each.used_by
            )
            last = decided[-1]
            assert each.requested_at is not None
            decision = last.type.removeprefix("Exception").lower()
            found.append(
                {
                    "candidate": who,
                    "exam": each.exam,
                    "request_id": each.request_id,
                    "decision": decision,
                    "decided_by": last.actor,
                    "decided_at": printed(last.occurred_at),
                    "requested_at": printed(each.requested_at),
                    "days_taken": round((last.occurred_at - each.requested_at) / DAY, 1),
                    "reason": each.reason,
                    "waives": " ".join(each.waives) or None,
                    "valid_until": printed(each.valid_until),
                    "used_at": printed(used.started_at) if isinstance(used, Sitting) else None,
                    "used_by": each.used_by,
                    "missing": ",".join(each.missing) or None,
                    "why": each.why,
                }
            )
    return sorted(found, key=lambda row: (row["decided_at"], row["candidate"]))


def certifications_ending(it: Explored, month: str) -> Rows:
    held: dict[tuple[str, str], list[Recorded]] = {}
    titles = {}
    for row in it.events.values():
        if row.type == "CertificationDefined":
            titles[row.subject] = row.payload()["title"]
        elif row.type.startswith("Cert"):
            held.setdefault((row.subject, str(row.key)), []).append(row)
    found = []
    for (who, certification), rows in held.items():
        rows.sort(key=lambda row: (row.occurred_at, row.position))
        earned = [row for row in rows if row.type != "CertExpired"]
        ends = [earned[-1].until, *(
            row.occurred_at for row in rows[rows.index(earned[-1]) :] if row.type == "CertExpired"
        )]  # fmt: skip
        end = min((instant for instant in ends if instant is not None), default=None)
        if end is not None and format_instant(end).startswith(month):
            line = {
                "candidate": who,
                "certification": certification,
                "title": titles[certification],
                "ends_at": printed(end),
                "earned_at": printed(earned[0].occurred_at),
                "renewals": len(earned) - 1,
            }
            found.append((end, who, certification, line))
    return [line for *_, line in sorted(found, key=lambda each: each[:3])]


def not_eligible(it: Explored, since: str, until: str, exam: str) -> Rows:
    everyone = bound(it.ledger)
    table = everyone.at(Moment(NOW, None, it.head)).violations()
    found = []
    for row in (dict(zip(table.schema.names, row, strict=True)) for row in rows_of(table)):
        if row["status_now"] == "eligible" or exam not in ("", row["exam"]):
            continue
        if not within(row["started_at"], since, until):
            continue
        standing = it.snapshot.standing(row["candidate"], row["exam"])
        (sitting,) = (
            each for each in standing.sittings if each.registration_id == row["registration_id"]
        )
        then = it.snapshot.at(Moment(row["started_at"], None, it.head))
        at_the_time = then.standing(row["candidate"], row["exam"])
        found.append(
            {
                "candidate": row["candidate"],
                "exam": row["exam"],
                "registration_id": row["registration_id"],
                "started_at": printed(row["started_at"]),
                "delivery": sitting.delivery,
                "status": row["status_now"],
                "eligible_from": printed(row["eligible_from_now"]),
                "ordinal": at_the_time.sittings[-1].ordinal,
                "outcome": sitting.outcome,
                "position": row["position"],
            }
        )
    return sorted(found, key=lambda row: (row["started_at"], row["position"]))


def pass_rate(it: Explored, since: str, until: str, exam: str) -> Rows:
    found: dict[tuple[str, str], list[str]] = {}
    for standing in it.standings(NOW):
        for sitting in standing.sittings:
            if exam in ("", standing.exam) and within(sitting.started_at, since, until):
                month = format_instant(sitting.started_at)[:7]
                found.setdefault((month, standing.exam), []).append(sitting.outcome)
    return [
        {
            "month": month,
            "exam": each,
            "sittings": len(outcomes),
            "passed": outcomes.count("passed"),
            "failed": outcomes.count("failed"),
            "pass_rate": round(100 * outcomes.count("passed") / decided, 1) if decided else None,
        }
        for (month, each), outcomes in sorted(found.items())
        for decided in [outcomes.count("passed") + outcomes.count("failed")]
    ]


def unknown_exams(it: Explored) -> Rows:
    assert {each.exam for each in it.standings(NOW)} <= {*it.snapshot.catalogue.exams}
    return []


def pending_betas(it: Explored, day: str, exam: str) -> Rows:
    at, found = parse_instant(day), []
    for each in it.standings(NOW):
        live_at = live_of(it, each.exam)
        for sitting in each.sittings:
            if (sitting.delivery, sitting.outcome) != ("beta", "pending"):
                continue
            if sitting.started_at > at or exam not in ("", each.exam):
                continue
            live = live_at is not None and live_at <= at
            found.append(
                {
                    "candidate": each.candidate,
                    "exam": each.exam,
                    "registration_id": sitting.registration_id,
                    "started_at": printed(sitting.started_at),
                    "age_days": round((at - sitting.started_at) / DAY, 1),
                    "live_at": printed(live_at),
                    "days_since_live": round((at - (live_at or 0)) / DAY, 1) if live else None,
                }
            )
    return sorted(found, key=lambda row: (row["started_at"], row["candidate"]))


def live_of(it: Explored, exam: str) -> int | None:
    rows = [row for row in it.events.values() if row.exam == exam]
    went = [row.occurred_at for row in rows if row.type == "ExamWentLive"]
    told = [row.payload().get("live_at") for row in rows if row.type == "ExamAnnounced"]
    return went[-1] if went else parse_instant(told[-1]) if told and told[-1] else None


def policy_in_force(it: Explored, day: str) -> Rows:
    moment = Moment(parse_instant(day), None, it.head)
    exams: dict[str, list[str]] = {}
    for row in it.events.values():
        if row.type == "ExamAnnounced":
            exams.setdefault(row.payload()["policy"], []).append(row.subject)
    found = []
    for policy in sorted(exams):
        named = sorted(set(exams[policy]))
        used = it.snapshot.at(moment).standing("nobody", named[0]).policy
        assert used is not None
        (published,) = (
            row for row in it.events.values() if row.type == "PolicyPublished" and
            row.subject == policy and f"effective_from = {printed(used.effective_from)}"
            in row.payload()["toml"]
        )  # fmt: skip
        toml = published.payload()["toml"]
        found.append(
            {
                "policy": used.id,
                "title": re.findall(r'^title = "(.*)"', toml, re.MULTILINE)[0],
                "effective_from": printed(used.effective_from),
                "assumed": int(used.assumed),
                "source": re.findall(r'^source = "(.*)"', toml, re.MULTILINE)[0],
                "sha256": used.sha256,
                "position": published.position,
                "exams": ", ".join(named),
            }
        )
    return found


def timeline(it: Explored, candidate: str, exam: str) -> Rows:
    """Walk from change to change, as the answers themselves say when the next one is."""
    found: Rows = []
    last = it.standings(NOW)
    for name in sorted({each.exam for each in last if each.candidate == candidate}):
        if exam not in ("", name):
            continue
        rows = it.ledger.stream(f"candidate/{candidate}")
        instants = {row.occurred_at for row in rows}
        at: int | None = min(
            sitting.started_at
            for each in last
            if (each.candidate, each.exam) == (candidate, name)
            for sitting in each.sittings
        )
        stretches: Rows = []
        while at is not None:
            each = it.snapshot.at(Moment(at, None, it.head)).standing(candidate, name)
            line = {
                "exam": name,
                "valid_from": printed(at),
                "valid_to": None,
                "status": each.status,
                "eligible_from": printed(each.eligible_from),
                "sittings_in_series": each.sittings_in_series,
                "period_ends_at": printed(each.period_ends_at),
                "last_sitting_at": printed(each.sittings[-1].started_at),
                "last_outcome": each.sittings[-1].outcome,
            }
            if not stretches or any(
                line[key] != stretches[-1][key] for key in line if not key.startswith("valid")
            ):
                if stretches:
                    stretches[-1]["valid_to"] = line["valid_from"]
                stretches.append(line)
            later = [instant for instant in instants if instant > at]
            later += [] if each.next_change_at is None else [each.next_change_at]
            at = min(later, default=None)
        found += stretches
    return found


def annulled(it: Explored, since: str, until: str) -> Rows:
    return [
        {
            "position": row.position,
            "annulled_at": printed(row.recorded_at),
            "annulled_by": row.actor,
            "reason": row.payload()["reason"],
            "annuls": row.annuls,
            "type": about.type,
            "subject": about.subject,
            "exam": about.exam,
            "key": about.key,
            "true_at": printed(about.occurred_at),
            "recorded_at": printed(about.recorded_at),
            "recorded_by": about.actor,
            "source": about.source,
            "id": about.id,
        }
        for row in it.events.values()
        for about in [it.annuls(row)]
        if row.annuls is not None and within(row.recorded_at, since, until)
    ]


def how_far(it: Explored) -> Rows:
    head = it.ledger.head()
    return [
        {
            "position": head.position,
            "recorded_at": printed(head.recorded_at),
            "stale_exams": None,
            "ledger": it.ledger.about("ledger"),
        }
    ]


ASKED: list[tuple[Callable[..., Rows], dict[str, str], int]] = [
    (waiting, {"day": "2021-04-12T00:00:00Z", "exam": ""}, 1),
    (waiting, {"day": "2022-05-20T12:00:00Z", "exam": ""}, 1),
    (waiting, {"day": "2021-04-12T00:00:00Z", "exam": "AZ-104"}, 1),
    (waiting, {"day": "2021-04-12T00:00:00Z", "exam": "AZ-900"}, 0),
    (corrected, {"from": "", "to": ""}, 25),
    (corrected, {"from": "2022-03-01T00:00:00Z", "to": "2022-04-01T00:00:00Z"}, 1),
    (late, {"days": ""}, 25),
    (late, {"days": "0.01"}, 25),
    (late, {"days": "6.5"}, 1),
    (exceptions_decided, {"from": "", "to": ""}, 3),
    (exceptions_decided, {"from": "2022-01-01T00:00:00Z", "to": "2022-12-31T00:00:00Z"}, 1),
    (certifications_ending, {"month": "2023-09"}, 2),
    (certifications_ending, {"month": "2022-12"}, 1),
    (not_eligible, {"from": "", "to": "", "exam": ""}, 3),
    (not_eligible, {"from": "2021-03-01T00:00:00Z", "to": "", "exam": "98-361"}, 1),
    (pass_rate, {"from": "", "to": "", "exam": ""}, 100),
    (pass_rate, {"from": "2022-03-01T00:00:00Z", "to": "2022-04-01T00:00:00Z", "exam": ""}, 2),
    (pass_rate, {"from": "", "to": "", "exam": "AZ-104"}, 3),
    (unknown_exams, {}, 0),
    (pending_betas, {"day": "2022-04-20T12:00:00Z", "exam": ""}, 1),
    (pending_betas, {"day": "2022-06-20T00:00:00Z", "exam": "SC-100"}, 2),
    (policy_in_force, {"day": "2020-01-01T00:00:00Z"}, 3),
    (policy_in_force, {"day": "2021-03-31T00:00:00Z"}, 3),
    (timeline, {"candidate": "C-1001", "exam": ""}, 5),
    (timeline, {"candidate": "C-1011", "exam": "98-361"}, 5),
    (timeline, {"candidate": "C-1004", "exam": ""}, 3),
    (annulled, {"from": "", "to": ""}, 1),
    (annulled, {"from": "2022-03-18T00:00:00Z", "to": ""}, 0),
    (how_far, {}, 1),
]
"""Each question, what is filled in, and how many rows there are at least: 0 is none."""


@pytest.mark.parametrize(("answer", "words", "least"), ASKED)
def test_each_question_is_answered_as_python_answers_it(
    explored: Explored, answer: Callable[..., Rows], words: dict[str, str], least: int
) -> None:
    """Row for row, in order, from the events and the fold alone."""
    found = explored.ask(answer.__name__, **words)
    assert found == answer(explored, *words.values())
    assert len(found) >= least
    assert bool(found) == bool(least)


def test_every_question_is_asked_here_and_is_on_the_page(explored: Explored) -> None:
    """Twelve questions, and how far the answers go; docs/explore.md has the same table."""
    names = [each.name for each in QUESTIONS]
    assert len(names) == 13
    assert set(names) == {answer.__name__ for answer, *_ in ASKED}
    page = (ROOT / "docs" / "explore.md").read_text(encoding="utf-8")
    rows = [
        f"| `/views/{each.name}` | {each.title} | {', '.join(each.asks)} |".replace("|  |", "| |")
        for each in QUESTIONS
    ]
    assert "\n".join(rows) in page
    _, text = explored.get("")
    for each in QUESTIONS:
        assert each.title.replace("'", "&#39;") in text


@pytest.mark.parametrize("each", QUESTIONS, ids=[each.name for each in QUESTIONS])
def test_every_question_has_a_page_with_its_words_and_fields(explored: Explored, each: Any) -> None:
    """Nothing filled in is a question too: of now, and of everything."""
    status, text = explored.get(f"/{each.name}")
    assert status == 200
    assert each.title.replace("'", "&#39;") in text
    assert re.findall(r'<label for="qp\d+">(\w+)</label>', text) == list(each.asks)
    assert set(re.findall(r":([a-z]+)\b", each.sql)) == set(each.asks)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("waiting", {"day": "yesterday"}),
        ("waiting", {"day": "2021-02-30"}),
        ("corrected", {"from": "2021-03-15T09:00:00"}),
        ("certifications_ending", {"month": "July"}),
    ],
)
def test_a_day_that_is_none_is_said(
    explored: Explored, question: str, words: dict[str, str]
) -> None:
    """One sentence that says what would be accepted, not an empty table."""
    for form in ("", ".json"):
        status, text = explored.get(f"/{question}{form}", **words)
        assert status == 400
        assert "an instant is asked for here: " in text


# -- what the tables say of themselves


@pytest.mark.parametrize("table", KEPT, ids=[table.name for table in KEPT])
def test_every_table_says_what_it_is_and_what_its_columns_mean(
    explored: Explored, table: Any
) -> None:
    """From the definition of the table alone, and so does its readable sister."""
    for name in (table.name, readable_name(table)):
        status, text = explored.get(f"/{name}")
        assert status == 200
        said = plain(text)
        assert plain(table.meaning) in said
        for column in table.columns:
            assert plain(f"<dt>{column.name}</dt> <dd>{column.meaning} (") in said
            assert column.null in said
    assert "facets timed out" not in text.lower()


def plain(text: str) -> str:
    for entity, letter in (("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&#34;", '"')):
        text = text.replace(entity, letter)
    return re.sub(r"\s+", " ", re.sub(r"</?\w[^>]*>", " ", text))


def test_titles_units_and_facets_are_of_columns_that_there_are() -> None:
    """Every table is described, and every column's unit is said."""
    described = metadata("attempts.views")["databases"]["views"]["tables"]
    for table in KEPT:
        assert set(FACETS.get(table.name, ())) <= set(table.names)
        assert described[table.name]["facets"] == list(FACETS.get(table.name, ()))
        for column in table.columns:
            says = described[table.name]["columns"][column.name]
            assert ("microseconds since 1970" in says) == (column.is_instant)
    assert set(FACETS) <= {table.name for table in KEPT}


def test_facets_count_and_instants_are_printed_in_pages_and_numbers_in_data(
    explored: Explored,
) -> None:
    """A person reads dates; a program sorts and subtracts."""
    _, text = explored.get("/standings", candidate="C-1001")
    assert '<span title="1617699600000000">2021-04-06T09:00:00Z</span>' in text
    assert "for ever</span>" in text
    _, data = explored.get("/standings.json", candidate="C-1001", _shape="array")
    assert json.loads(data)[0]["valid_from"] == parse_instant("2021-04-06T09:00:00Z")
    _, data = explored.get("/sittings.json", _size="0")
    facets = json.loads(data)["facet_results"]
    assert {each["value"]: each["count"] for each in facets["delivery"]["results"]} == {
        "live": 258, "beta": 17,
    }  # fmt: skip


# -- whole, or said


def test_csv_has_every_row_of_a_table_and_no_formula(explored: Explored) -> None:
    """However many pages there are; a number of rows that is asked for is what comes."""
    _, data = explored.get("/sittings.json", _size="0")
    count = json.loads(data)["filtered_table_rows_count"]
    assert count > 100
    for words in ({}, {"_size": "max"}, {"_stream": "on"}, {"_sort": "started_at"}):
        status, text = explored.get("/sittings.csv", **words)
        assert (status, text.count("\n")) == (200, count + 1)
    assert explored.get("/sittings.csv", _size="7")[1].count("\n") == 8
    assert explored.get("/sittings_readable.csv")[1].count("\n") == count + 1
    _, some = explored.get("/sittings.csv", exam="AZ-104")
    assert {line.split(",")[1] for line in some.splitlines()[1:]} == {"AZ-104"}
    formulas = "SELECT '=1+1' AS a UNION ALL SELECT '@x' UNION ALL SELECT 'a,b' UNION ALL SELECT -1"
    assert explored.get(".csv", sql=formulas)[1] == "a\n'=1+1\n'@x\n\"a,b\"\n-1\n"
    assert explored.get("/no_such.csv")[0] == 404


def test_what_would_be_cut_is_refused_and_says_so(explored: Explored) -> None:
    """An object says where it goes on; a bare array, and CSV of a question, cannot."""
    _, data = explored.get("/sittings.json")
    assert json.loads(data)["next"]
    for words in ({"_shape": "array"}, {"_shape": "array", "_nl": "on"}, {"_nl": "on"}):
        status, text = explored.get("/sittings.json", **words)
        assert (status, "more rows than one page holds" in text) == (400, True)
    assert len(json.loads(explored.get("/sittings.json", _shape="array", _size="9")[1])) == 9
    many = "SELECT a.position FROM facts AS a, facts AS b LIMIT 10001"
    for ending in (".csv", ".json"):
        status, text = explored.get(ending, sql=many, _shape="array")
        assert (status, "more rows than one page holds" in text) == (400, True)


def test_the_page_of_a_table_shows_its_rows_first(explored: Explored) -> None:
    """What is said of columns, and the facets, come below them."""
    _, text = explored.get("/sittings")
    assert 'const rows = document.querySelector(".table-wrapper");' in text
    assert "rows.after(each)" in text


# -- only reading


FOR_EVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
GROWING = FOR_EVER.replace("UNION ALL", "UNION")
WIDE = "replace(printf('%300d', 0), ' ', printf('%-300s', 'x'))"
DOUBLED = "WITH a0 AS (SELECT 1 AS x)" + "".join(
    f", a{n} AS (SELECT one.x FROM a{n - 1} AS one, a{n - 1} AS two)" for n in range(1, 40)
)
ATTACKS = {
    "delete": "DELETE FROM sittings",
    "delete after a name": "WITH gone AS (SELECT 1) DELETE FROM sittings",
    "the ledger": "SELECT data FROM ledger.events",
    "the ledger under a name of ours": "WITH facts AS (SELECT data FROM ledger.events) "
    "SELECT * FROM facts",
    "the ledger attached": "ATTACH 'attempts.ledger' AS ledger",
    "a new file": "VACUUM INTO 'copy.sqlite'",
    "writing allowed": "PRAGMA query_only = OFF",
    "a version": "PRAGMA user_version = 9",
    "the schema": "PRAGMA writable_schema = ON",
    "memory allowed": "PRAGMA hard_heap_limit = 0",
    "an extension": "SELECT load_extension('x')",
    "a pointer": "SELECT hex(fts3_tokenizer('simple'))",
    "a pointer set": "SELECT fts3_tokenizer('mine', x'0102030405060708')",
    "the log": "SELECT sqlite_log(1, 'x')",
    "a shadow table": "CREATE VIRTUAL TABLE x USING fts5(y)",
    "for ever": f"{FOR_EVER} SELECT max(i) FROM n",
    "for ever, no row": f"{FOR_EVER} SELECT i FROM n WHERE i < 0",
    "for ever, kept": f"{GROWING} SELECT count(*) FROM n",
    "for ever, wide and kept": f"{GROWING.replace('i + 1', 'i + 1 || {WIDE}')} SELECT 1 FROM n",
    "for ever, sorted": f"{FOR_EVER}, w(x) AS (SELECT i || {WIDE} FROM n) "
    "SELECT x FROM w ORDER BY x DESC",
    "everything with everything": "SELECT count(*) FROM facts, facts AS b, facts AS c, facts AS d",
    "doubled": f"{DOUBLED} SELECT count(*) FROM a39",
    "zeroblob": "SELECT zeroblob(500000000)",
    "randomblob": "SELECT randomblob(500000000)",
    "printf": "SELECT printf('%.*c', 500000000, 'x')",
    "printf, a wide number": "SELECT printf('%0-500000000d', 1)",
    "format": "SELECT format('%500000000d', 1)",
    "replace": f"SELECT replace({WIDE}, 'x', {WIDE})",
    "group_concat": f"{FOR_EVER} SELECT group_concat({WIDE}) FROM n",
    "json_group_array": f"{FOR_EVER} SELECT json_group_array(i) FROM n",
    "many wide rows": f"{FOR_EVER} SELECT {WIDE}, {WIDE}, i FROM n LIMIT 10000",
    "many columns": f"SELECT {', '.join(['1'] * 300)}",
    "wide columns": f"{FOR_EVER} SELECT {', '.join([WIDE] * 190)} FROM n LIMIT 10000",
    "long": f"SELECT 1 -- {'x' * 20_000}",
    "deep": f"SELECT {'(' * 500}1{')' * 500}",
    "many selects": " UNION ALL ".join(["SELECT 1"] * 100),
}


@pytest.mark.parametrize("sql", ATTACKS.values(), ids=ATTACKS.keys())
def test_whatever_is_put_to_it_is_refused_or_ended_within_bounds(
    hurried: Explored, sql: str
) -> None:
    """By the page and, were the page fooled, by the connection; soon, and with little memory."""
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda form: hurried.get(form, sql=sql), ("", ".json")))
    for status, text in answers:
        assert status == 400, text
        assert len(text) < 300_000
    assert time.monotonic() - began < 15
    assert hurried.peak_mb() < 600
    assert hurried.get("/how_far")[0] == 200  # and it goes on answering


@pytest.mark.parametrize("sql", [each for each in ATTACKS.values() if "RECURSIVE" not in each][:15])
def test_the_connection_itself_refuses_what_is_not_reading(explored: Explored, sql: str) -> None:
    """Nothing that is no table of the read model is in reach, whatever it is called."""
    with closing(connected(beside(explored.ledger.path), lambda: NOW)) as connection:
        with pytest.raises(sqlite3.Error, match=r"not authorized|denied|prohibited|no such table"):
            connection.execute(sql)
        who = "SELECT actor, reason FROM facts WHERE annuls IS NOT NULL"
        assert connection.execute(who).fetchall() == [
            ("exam-desk", "the score report of another seat was sent for this registration")
        ]
        assert [row[1:] for row in connection.execute("PRAGMA database_list")] == [
            ("main", str(beside(explored.ledger.path)))
        ]


def test_no_text_of_an_event_is_in_the_read_model(explored: Explored) -> None:
    """What is not in the file cannot be read from it: no personal field, not even encrypted."""
    events = [row.data for row in explored.events.values() if "Exception" in row.topic]
    texts = {text for data in events for name, value in json.loads(data).items()
             if name in ExceptionRequested.personal for text in value.values()}  # fmt: skip
    assert texts
    content = beside(explored.ledger.path).read_bytes()
    assert not [text for text in texts if text.encode() in content]


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example",
     "localhost@evil.example", "127.0.0.2", "[::1]", "", "localhost:x", "localhost, evil.example"],
)  # fmt: skip
def test_a_request_for_another_host_is_refused(explored: Explored, host: str) -> None:
    """So that no page of another site reads this one by having its own name point here."""
    port = explored.address.split(":")[2].split("/")[0]
    for path in ("/views.json", "/", "/-/versions.json", "/-/static/app.css"):
        status, _, body = explored.asked_as(host.replace("{port}", port), path)
        assert status in (400, 421)
        assert "sittings" not in body
    for own in ("localhost", f"127.0.0.1:{port}", "LOCALHOST:80"):
        assert explored.asked_as(own, "/views.json")[0] == 200


def test_what_would_change_something_is_refused_and_every_page_carries_its_headers(
    explored: Explored,
) -> None:
    """GET and HEAD alone are answered; nothing from elsewhere runs in a page, or frames it."""
    assert explored.asked_as("localhost", "/views", method="POST")[0] == 405
    status, headers, _ = explored.asked_as("localhost", "/views")
    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe-eval" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_there_is_no_other_database_and_no_file_to_take_away(explored: Explored) -> None:
    """The views alone; not the file in the middle of being written."""
    with urlopen(explored.address.removesuffix("/views") + "/.json") as answer:
        assert list(json.load(answer)) == ["views"]
    assert explored.get(".db")[0] == 403


# -- views that go on meanwhile, and calls that are wrong


def test_a_connection_sees_what_is_projected_meanwhile_and_its_facts(door: CommandLine) -> None:
    """One statement is one state; the next one a newer. Who reads does not stop who writes."""
    path = door.folder / "attempts.ledger"
    sat = ExamAttempted(exam="AZ-104", registration_id="N-1", delivery="live")
    with ledger_of(path, facts()) as ledger:
        project(ledger, beside(path))
        with closing(connected(beside(path), lambda: NOW)) as connection:
            reading = connection.execute("SELECT candidate FROM sittings")
            first = reading.fetchone()
            ledger.append([Fact("urn:new", "N-1/attempted", "C-1", NOW - 1, sat)])
            project(ledger, beside(path))
            assert len([first, *reading]) == 275
            (count,) = connection.execute("SELECT count(*) FROM sittings").fetchone()
            known = "SELECT max(facts.position) = position.position FROM facts, position"
            assert (count, *connection.execute(known).fetchone()) == (276, 1)


def test_the_ledger_is_not_needed(door: CommandLine) -> None:
    """All that is answered is in the read model. An instant that is left empty is now."""
    path = door.folder / "attempts.ledger"
    with ledger_of(path, facts()) as ledger:
        project(ledger, beside(path))
    path.unlink()
    with closing(connected(beside(path), lambda: NOW)) as connection:
        (annulled,) = (each for each in QUESTIONS if each.name == "annulled")
        (row,) = connection.execute(annulled.sql, {"from": "", "to": ""}).fetchall()
        assert row[:3] == (352, "2022-03-17T08:50:41.207733Z", "exam-desk")
        asked = "SELECT micros(''), micros('1970-01-02'), micros(7), micros(NULL), instant(NULL)"
        assert connection.execute(asked).fetchone() == (NOW, DAY, 7, None, None)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Yield up the right to write everywhere, if we have it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_read_model_in_a_folder_that_cannot_be_written_are_explored_too() -> None:
    """As of a backup, or another user's: with their facts, and nothing is left beside them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "attempts.ledger"
        with ledger_of(path, facts()) as ledger:
            project(ledger, beside(path))
        beside(path).chmod(0o644)
        folder.chmod(0o555)
        before = sorted(folder.iterdir())
        with as_nobody(), closing(connected(beside(path), lambda: NOW)) as connection:
            asked = "SELECT (SELECT count(*) FROM facts), (SELECT position FROM position)"
            assert connection.execute(asked).fetchone() == (720, 720)
        assert sorted(folder.iterdir()) == before
        folder.chmod(0o755)


def test_a_wrong_call_is_one_sentence(door: CommandLine) -> None:
    """No views, views of another release, no views at all, a port that is taken."""
    door.done("init")
    path = door.folder / "attempts.ledger.views"
    assert door.wrong("explore") == f"there is no read model at {path}: `project` makes it"
    door.write("attempts.ledger.views", "notes")
    assert "is no read model: it was left as it is" in door.wrong("explore")
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA application_id = {0x41745677}")
        other.execute("PRAGMA user_version = 99")
        other.execute("CREATE TABLE position (position)")
    assert "`project` builds it anew" in door.wrong("explore")
    path.unlink()
    with Ledger.open("attempts.ledger", clock=lambda: NOW) as ledger:
        project(ledger, path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sentence = door.wrong("explore", "--port", str(taken.getsockname()[1]))
    assert "cannot be listened on: " in sentence


def test_the_address_of_the_page_works(explored: Explored) -> None:
    """The call of curl in docs/explore.md, and the SQL."""
    page = (ROOT / "docs" / "explore.md").read_text(encoding="utf-8")
    (address,) = re.findall(r"curl 'http://127.0.0.1:8001/views(.*)'", page)
    with urlopen(explored.address + address) as answer:
        assert [row["candidate"] for row in json.load(answer)] == ["C-1001"]
    (sql,) = re.findall(r"```sql\n(.*?)\n```", page, re.DOTALL)
    assert explored.get(f".json?_shape=array&sql={quote(sql)}")[0] == 200
