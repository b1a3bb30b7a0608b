"""Forms in which outputs leave: for people and their programs, and read back again."""

from __future__ import annotations


class CannotWrite(Exception):
    """The output cannot take this form; str() is one sentence that says what would be accepted."""
