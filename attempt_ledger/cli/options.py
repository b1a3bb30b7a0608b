"""Options that several commands share, and how a command is made."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import typer
import typer.core

from attempt_ledger.cli.problems import CallProblem
from attempt_ledger.cli.replacing import (
    OUTPUTS,
    begin,
    check_outputs,
    protect_inputs,
    protect_ledger,
)
from attempt_ledger.places import own_read_model
from ledger.instants import format_instant, month_of
from ledger.store.server import Address


class Called(NamedTuple):
    """What a call says before its command: the ledger, the keys, how long to wait, its home."""

    path: Address
    keys: Address | None
    signing_key: Path | None
    wait: float
    homes: Path | None


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
Yes = Annotated[
    bool,
    typer.Option("--yes", help="Publish a policy even where answers about the past change."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write here instead of standard output; the file is replaced when it is complete.",
    ),
]
ExamOption = Annotated[str | None, typer.Option("--exam", metavar="X", help="Of this exam alone.")]
CandidateOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[CANDIDATE]", help="The candidate's id. Left out: everyone's."),
]
ExamsOption = Annotated[
    list[str] | None,
    typer.Option("--exam", metavar="X", help="Of this exam alone; repeatable."),
]
HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="A host name by which it is reached, besides --host. Repeat for more.",
    ),
]
NoColumnCache = Annotated[
    bool,
    typer.Option(
        "--no-column-cache",
        help="Read the ledger itself; leave the column cache beside it unread and unwritten.",
    ),
]
ReadModelFile = Annotated[
    Path | None,
    typer.Option(
        "--views", metavar="FILE", help="The read model. Default: the ledger's own name .views."
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--tokens",
        metavar="FILE",
        envvar="ATTEMPT_LEDGER_TOKENS",
        help="The file of who may call the service. Default: the ledger's own name with .tokens.",
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


HELP: Final = {"help_option_names": ["-h", "--help"]}


class Shorthand(NamedTuple):
    """An option that is short for others, wherever a command has those."""

    option: str
    metavar: str
    help: str
    short_for: tuple[str, ...]
    """The parameters that a command must have."""
    spell_out: Callable[[str], list[str]]
    """Return the options that its value means."""


def _month(text: str) -> list[str]:
    start, end = month_of(text)
    return ["--from", format_instant(start), "--to", format_instant(end)]


SHORTHANDS: Final = (
    Shorthand(
        "--on",
        "T",
        "Short for --as-of T --known-at T: the answer as it was given then.",
        ("as_of", "known_at"),
        lambda text: ["--as-of", text, "--known-at", text],
    ),
    Shorthand(
        "--month",
        "YYYY-MM",
        "Short for --from and --to: that month, in UTC.",
        ("start", "end"),
        _month,
    ),
    Shorthand(
        "--json", "", "Short for --format json.", ("format",), lambda _: ["--format", "json"]
    ),
)


Force = Annotated[
    bool,
    typer.Option("--force", help="Replace a file that is no earlier output of this command."),
]


class Command(typer.core.TyperCommand):
    """A command whose help writes its words as the docs do: CANDIDATE [EXAM], FILE..."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a call, its shorthands spelled out."""
        try:
            words = list(self._spelled_out(ctx, args))
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx) from None
        self._check_repeats(ctx, words)
        parsed: list[str] = super().parse_args(ctx, words)
        return parsed

    def _check_repeats(self, ctx: Any, words: list[str]) -> None:
        """Refuse an option of one value that is given twice: the first would be passed over."""
        order: list[Any] = self.make_parser(ctx).parse_args(args=list(words))[2]
        seen: list[Any] = []
        for each in order:
            if each.param_type_name != "option" or each.multiple or each.is_flag:
                continue
            if each in seen:
                raise CallProblem(f"{each.opts[0]} appears twice, and takes one value")
            seen.append(each)

    def _spelled_out(self, ctx: Any, args: list[str]) -> Iterator[str]:
        known = {each.option: each for each in self._shorthands(ctx)}
        words = iter(args)
        for word in words:
            if word == "--":
                yield word
                break
            option, equals, value = word.partition("=")
            if option not in known:
                yield word
            elif not known[option].metavar:
                yield from known[option].spell_out("")
            else:
                yield from known[option].spell_out(value if equals else next(words, ""))
        yield from words

    def _shorthands(self, ctx: Any) -> list[Shorthand]:
        """Return those whose long forms this command has."""
        names = {
            each.name
            for each in self.get_params(ctx)
            if each.name != "format" or "json" in (each.metavar or "").split("|")
        }
        return [each for each in SHORTHANDS if names >= {*each.short_for}]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return ["[OPTIONS]", *map(_word, _arguments(self, ctx))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options."""
        arguments = _arguments(self, ctx)
        options = [each for each in self.get_params(ctx) if each not in arguments]
        records = [each.get_help_record(ctx) for each in options]
        short = [(f"{s.option} {s.metavar}".strip(), s.help) for s in self._shorthands(ctx)]
        records[-1:-1] = short  # before --help
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


def _guarded(function: Function) -> Callable[..., int]:
    """Have a command protect what it reads; one that writes a file gets --force."""
    signature = inspect.signature(function, eval_str=True)
    writes = OUTPUTS & {*signature.parameters}
    wants_context = "context" in signature.parameters

    def run(**values: Any) -> int:
        begin(bool(values.pop("force", False)) if writes else False)
        context = values["context"] if wants_context else values.pop("context")
        call = context.find_root().obj
        if call is not None:
            protect_ledger(call.path, call.keys, call.signing_key)
        for name in {*values} - OUTPUTS:
            paths = values[name] if isinstance(values[name], list) else [values[name]]
            # The files of an import are texts, since - is standard input.
            kind = (str, Path) if name == "files" else Path
            protect_inputs(Path(each) for each in paths if isinstance(each, kind))
        check_outputs(values[name] for name in writes if isinstance(values[name], Path))
        return function(**values)

    parameters = list(signature.parameters.values())
    if not wants_context:  # what needs no ledger may still be called to write over one
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter("context", keyword, annotation=typer.Context))
    if writes:
        parameters.append(
            inspect.Parameter(
                "force", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Force
            )
        )
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = function.__doc__
    return run


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
        settings.setdefault("context_settings", HELP)
        app.command(words.split()[-1], cls=Command, help=text, **settings)(_guarded(function))
        ADDED[words] = app
        return function

    return add


def read_model_of(ledger: Address, named: Path | None) -> Path:
    """Return the path of the read model that is meant."""
    return own_read_model(ledger) if named is None else Path(os.path.realpath(named))
