"""The note beside a ledger on its last backup: when, up to where, and under which name."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from ledger.durable import replace
from ledger.instants import format_instant, parse_instant


class Note(NamedTuple):
    """What was backed up last."""

    at: int
    """When it was done, microseconds since 1970 (UTC)."""
    position: int
    """The last position that is in the backup."""
    file: str
    """The backup's absolute path, on the machine that made it."""
    sealed: int
    """How many of its events the checkpoint within covers; 0: it has none."""
    root: str
    """That checkpoint's root in base64; empty without one."""


def note_path(ledger: Path) -> Path:
    """Return where the note lies, by whatever name the ledger is opened."""
    return Path(f"{os.path.realpath(ledger)}.last-backup")


def last_backup(ledger: Path) -> Note | None:
    """Return the note on the last backup; None if there is none that can be read."""
    try:
        told = json.loads(note_path(ledger).read_bytes())
        return Note(
            parse_instant(told["at"]),
            int(told["position"]),
            str(told["file"]),
            int(told["checkpoint"]["size"]),
            str(told["checkpoint"]["root"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_note(ledger: Path, note: Note) -> None:
    """Replace the note, durably; raises OSError."""
    told = {
        "at": format_instant(note.at),
        "position": note.position,
        "file": note.file,
        "checkpoint": {"size": note.sealed, "root": note.root},
    }
    replace(note_path(ledger), f"{json.dumps(told, indent=1)}\n".encode())
