"""Options that several commands share, and how a command is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import typer
import typer.core


class Called(NamedTuple):
    """What a call says before its command: the ledger, the keys, how long to wait."""

    path: Path
    keys: Path | None
    signing_key: Path | None
    wait: float


Function = TypeVar("Function", bound=Callable[..., int])


class Format(StrEnum):
    """How an answer is written: for people, or for programs."""

    text = "text"
    json = "json"


AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="T",
        help="The instant whose truth is asked about: a date (00:00 UTC) or 2021-03-15T09:00:00Z. "
        "Default: now.",
    ),
]
KnownAt = Annotated[
    str | None,
    typer.Option(
        "--known-at",
        metavar="T|@POSITION",
        help="Use only what was recorded by then: a date, an instant, or a position such as @42. "
        "Default: everything recorded.",
    ),
]
FormatOption = Annotated[
    Format,
    typer.Option("--format", metavar="text|json", help="text for people, json for programs."),
]
Actor = Annotated[
    str,
    typer.Option(
        "--actor",
        metavar="NAME",
        envvar="ATTEMPT_LEDGER_ACTOR",
        help="Who or what records this; not for personal data.",
    ),
]
ACTOR = "cli"
"""Not the login name: an event is for ever, and `actor` is not for personal data."""
Time = Annotated[
    str | None,
    typer.Option("--time", metavar="T", help="When it was true. Default: now."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write here instead of standard output; the file is replaced when it is complete.",
    ),
]
PrintLines = Annotated[
    bool,
    typer.Option(
        "--print",
        help="Record nothing: print the events as lines to merge, by recordedtime, into a history "
        "that is being moved in.",
    ),
]


class Command(typer.core.TyperCommand):
    """A command whose help writes its words as the docs do: CANDIDATE [EXAM], FILE..."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return ["[OPTIONS]", *map(_word, _arguments(self, ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Lay out the arguments, then the options."""
        arguments = _arguments(self, ctx)
        options = [each for each in self.get_params(ctx) if each not in arguments]
        records = [each.get_help_record(ctx) for each in options]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl([(_word(each), each.help) for each in arguments])
        with formatter.section("Options"):
            formatter.write_dl([each for each in records if each is not None])


def _arguments(command: typer.core.TyperCommand, ctx: Any) -> list[Any]:
    return [each for each in command.get_params(ctx) if each.param_type_name == "argument"]


def _word(argument: Any) -> str:
    name = (argument.metavar or argument.name).strip("[]")
    word = f"{name}{'...' if argument.nargs != 1 else ''}"
    return word if argument.required else f"[{word}]"


ADDED: Final[dict[str, typer.Typer]] = {}
"""The commands of every module that was imported, by their words."""


def command(words: str, *, examples: str, **settings: Any) -> Callable[[Function], Function]:
    """Make a function the command of these words; its help is the docstring, then the examples.

    The function returns its exit code (`attempt_ledger.cli.problems`). The words, with the first
    line of the docstring, stand in the list of `attempt_ledger.cli.main` too.
    """

    def add(function: Function) -> Function:
        shown = "\n".join(f"  {line}" for line in inspect.cleandoc(examples).splitlines())
        text = f"{inspect.getdoc(function)}\n\n\b\nExamples:\n{shown}"
        app = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        app.command(words.split()[-1], cls=Command, help=text, **settings)(function)
        ADDED[words] = app
        return function

    return add
