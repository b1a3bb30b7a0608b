"""In which form an output is written: by --format, and by the name of its file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from attempt_ledger.cli.problems import CallProblem
from replay.formats import BINARY, ENDINGS, TABLE

LISTED: Final = ("text", *TABLE)
"""The forms of what is a page for people, and a table for programs."""
REPORTED: Final = (*LISTED, "html")
LINES: Final = ("jsonl",)
"""The form of events: CloudEvents, one a line."""

TableFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="|".join(TABLE), help="Default: by the name of the file, else csv."
    ),
]
ListFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="|".join(LISTED), help="Default: by the name of the file, else text."
    ),
]
ReportFormat = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="|".join(REPORTED), help="Default: by the name of the file, else text."
    ),
]


def form_of(
    accepted: Sequence[str], format: str | None, output: Path | None, option: str = "--output"
) -> str:
    """Return the form from --format and the name of the file, else the first that is accepted.

    Raises CallProblem, before anything is computed, where they disagree, where either is none of
    those accepted, and for a form that is no text on a terminal.
    """
    if format is not None and format not in accepted:
        raise CallProblem(f"--format {format!r}: accepted are {', '.join(accepted)}")
    named = named_by(accepted, output, option)
    if format is not None and named not in (None, format):
        raise CallProblem(
            f"--format {format} and the name of {output} disagree: leave out --format, or name the "
            f"file {endings((format,))}"
        )
    form = format or named or accepted[0]
    if form in BINARY and output is None and sys.stdout.isatty():
        raise CallProblem(f"{form} is no text for a terminal: give --output FILE")
    return form


def named_by(accepted: Sequence[str], path: Path | None, option: str) -> str | None:
    """Return the form that the name of a file asks for; None where it has no ending, or is a pipe.

    Raises CallProblem for an ending of none of the forms that are accepted.
    """
    if path is None or not path.suffix or (path.exists() and not path.is_file()):
        return None
    ending = path.suffix.lower().removeprefix(".")
    form = ENDINGS.get(ending, ending)
    if form not in accepted:
        raise CallProblem(f"{option} {path}: accepted are files named {endings(accepted)}")
    return form


def endings(forms: Sequence[str]) -> str:
    """Name the endings of some forms.

    >>> endings(("text", "csv", "html"))
    '.txt, .csv and .html'
    """
    spelled = {form: ending for ending, form in reversed(ENDINGS.items()) if form == "text"}
    *most, last = (f".{spelled.get(form, form)}" for form in forms)
    return f"{', '.join(most)} and {last}" if most else last
