"""What cannot be written as a file, or read as one."""

from __future__ import annotations


class CannotWrite(Exception):
    """The output cannot take this form; str() is one sentence that says what would be accepted."""
