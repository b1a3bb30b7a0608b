"""Forms in which outputs leave: for people and their programs, and read back again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

TABLE: Final = ("csv", "tsv", "json", "jsonl", "parquet", "xlsx", "arrow")
"""The forms of every table: `replay.formats.rows` writes them, and reads them back."""
BINARY: Final = frozenset({"parquet", "xlsx", "arrow"})
"""Those that are no text."""
ENDINGS: Final = {"txt": "text", "ndjson": "jsonl", "htm": "html"}
"""The endings of files that are not the name of their form."""
UTC: Final = " (UTC)"
"""What the words for a column of instants end with."""


class CannotWrite(Exception):
    """The output cannot take this form; str() is one sentence that says what would be accepted."""


class About(NamedTuple):
    """What a table is, for the forms that have room to say so."""

    title: str
    lines: Sequence[str] = ()
    """Sentences to stand below the title: what it comes to, and of which moment it is."""
    shares: Collection[str] = ()
    """Columns that are shares of a whole, 0 to 1, which people read as percent."""
    picture: bytes | None = None
    """Its chart, a PNG."""


def words_of(column: str, *, instant: bool = False) -> str:
    """Write the name of a column for people; `column_of` reads it again.

    >>> words_of("pass_rate"), words_of("registration_id"), words_of("started_at", instant=True)
    ('Pass rate', 'Registration ID', 'Started at (UTC)')
    """
    words = [("ID" if word == "id" else word) for word in column.split("_")]
    words[0] = words[0][:1].upper() + words[0][1:]
    return " ".join(words) + (UTC if instant else "")


def column_of(words: str) -> str:
    """Return the name of the column that some words stand for.

    >>> column_of("Registration ID"), column_of("Started at (UTC)"), column_of("pass_rate")
    ('registration_id', 'started_at', 'pass_rate')
    """
    return words.removesuffix(UTC).lower().replace(" ", "_")
