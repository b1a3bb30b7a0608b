"""Killed anywhere, an erasure is not begun, or its key is gone: the next call completes it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

from erasing import (
    CLEAR,
    PERSONAL,
    WHO,
    files_in,
    forgotten_rows,
    holding,
    key_of,
    keys_in,
    request,
)
from ledger_facts import NOW, a_ledger, kinds

from ledger.privacy.erasure import forget
from ledger.privacy.key_backups import back_up, restore

WORKER = Path(__file__).with_name("erasure_worker.py")


def start(*words: str | Path) -> subprocess.Popen[str]:
    """Start a worker."""
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_killed_between_lines_it_never_says_what_is_not_so(tmp_path: Path) -> None:
    """Nothing, or a key destroyed without its event; never an event whose key is there."""
    template = tmp_path / "template"
    template.mkdir()
    with a_ledger(template) as ledger:
        ledger.append([request(1), request(2, candidate="C-2")])
        key, other = key_of(ledger), key_of(ledger, "C-2")
    worker = start("lines", "forget", template, tmp_path)
    out, err = worker.communicate()
    assert err == ""
    states: Counter[tuple[bool, bool]] = Counter()
    for n in range(1, int(out) + 1):
        folder = tmp_path / str(n)
        with a_ledger(folder, clock=lambda: 2 * NOW) as ledger:
            there, said = ledger.vault.key(WHO) is not None, bool(forgotten_rows(ledger))
            states[there, said] += 1
            assert not (there and said), n
            assert there or kinds(ledger.append([request(3)])) == ["Refused"]
            if said:  # acknowledged or not, nothing of the key is left
                assert holding(files_in(folder), [key]) == []
            done = forget(ledger, WHO, reason="once more", actor="desk", time=NOW)
            assert done.already == said
            assert forgotten_rows(ledger) == [(3, WHO)]
            assert ledger.vault.key("C-2") == other
            with closing(sqlite3.connect(ledger.path)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert holding(files_in(folder), [key]) == [], n
    assert set(states) == {(True, False), (False, False), (False, True)}


def test_a_restore_of_keys_killed_between_lines_brings_nobody_back(tmp_path: Path) -> None:
    """Not for a moment: the key of who was forgotten is never written; the others come whole."""
    template = tmp_path / "template"
    template.mkdir()
    with a_ledger(template) as ledger:
        ledger.append([request(n, candidate=f"C-{n}") for n in range(3)])
        ledger.append([request(9)])
        key = key_of(ledger)
        back_up(ledger, template / "keys.backup", now=0, until=NOW)
        forget(ledger, WHO, reason="ticket", actor=None, time=NOW)
        ledger.vault.path.unlink()
    worker = start("lines", "restore", template, tmp_path)
    out, err = worker.communicate()
    assert err == ""
    for n in range(1, int(out) + 1):
        folder = tmp_path / str(n)
        assert holding(files_in(folder), [key]) == ["keys.backup"], n
        with a_ledger(folder) as ledger:
            restore(ledger, folder / "keys.backup", now=0)
            keys = keys_in(ledger.vault.path)
            assert (keys.pop(WHO), sum(map(bool, keys.values()))) == (None, 3)
            shown = [ledger.vault.reveal(row).get("email") for row in ledger.read(0, 4)]
            assert shown == [CLEAR["email"]] * 3 + [None]
        assert holding(files_in(folder), [key]) == ["keys.backup"], n


def test_killed_at_any_moment_beside_a_writer_no_acknowledged_erasure_is_lost(
    tmp_path: Path,
) -> None:
    """Nor does the writer bring a key back; whoever was not forgotten is read as before."""
    with a_ledger(tmp_path) as ledger:
        ledger.append([request(n, candidate=f"C-{n}") for n in range(400)])
        keys = {name: key for name, key in keys_in(ledger.vault.path).items() if key}
        writer = start("write", ledger.path)
        acknowledged: list[int] = []
        for _ in range(4):
            worker = start("forget", ledger.path, len(acknowledged))
            assert worker.stdout is not None
            for _ in range(12):
                acknowledged.append(int(worker.stdout.readline()))
            worker.send_signal(signal.SIGKILL)
            out, err = worker.communicate()
            assert (worker.returncode, err) == (-signal.SIGKILL, "")
            acknowledged += [int(line) for line in out.split("\n")[:-1]]
        writer.send_signal(signal.SIGKILL)
        assert writer.communicate() == ("", "")
        assert acknowledged == list(range(len(acknowledged)))
        said = [subject for _, subject in forgotten_rows(ledger)]
        assert len(said) == len(set(said))
        assert set(said) >= {f"C-{n}" for n in acknowledged}
        left = keys_in(ledger.vault.path)
        assert [name for name in said if left[name] is not None] == []
        assert holding(files_in(tmp_path), [keys[name] for name in said]) == []
        gone = {name for name, key in left.items() if key is None}
        for row in ledger.read():
            if row.type == "ExceptionRequested":
                shown = ledger.vault.reveal(row)
                expected = {} if row.subject in gone else CLEAR
                assert {name: shown[name] for name in PERSONAL if name in shown} == expected
