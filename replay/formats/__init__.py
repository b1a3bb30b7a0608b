"""Forms in which outputs leave: for people and their programs, and read back again."""

from __future__ import annotations

from typing import Final, NamedTuple

TABLE: Final = ("csv", "tsv", "json", "jsonl", "parquet", "xlsx", "arrow")
"""The forms of every table: `replay.formats.rows` writes them, and reads them back."""
BINARY: Final = frozenset({"parquet", "xlsx", "arrow"})
"""Those that are no text."""
ENDINGS: Final = {"txt": "text", "ndjson": "jsonl", "htm": "html"}
"""The endings of files that are not the name of their form."""


class CannotWrite(Exception):
    """The output cannot take this form; str() is one sentence that says what would be accepted."""


class About(NamedTuple):
    """What a table is, for the forms that have room to say so."""

    title: str
