"""What every reader of an input hands on: one row or line, and what it says to the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ledger.events import Row


class Item(NamedTuple):
    """One row (or line) of an input; plain values, so it crosses processes cheaply."""

    line: int
    """The line it begins on, counted from 1."""
    raw: Sequence[str] | str
    """Its fields, or its text, as they stand in the input."""
    rows: Sequence[Row]
    """What it says, for the ledger; empty if there is a problem."""
    problem: str = ""
    """Why it says nothing; empty if it does."""
    kept: int | None = None
    """The recordedtime it came with, microseconds."""
