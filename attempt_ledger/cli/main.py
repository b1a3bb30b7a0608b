"""The door from a shell: `attempt-ledger`, its options, and its commands, loaded when called."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from attempt_ledger.cli.context import DEFAULT_URL, Call, ledger_path
from attempt_ledger.cli.output import PROGRAM, put, speak_utf8
from attempt_ledger.cli.problems import Interrupted, ReaderGone, answered
from ledger.store.locks import PATIENCE

COMMANDS: Mapping[str, str] = {
    "init": "attempt_ledger.cli.init",
    "import": "attempt_ledger.cli.importing",
    "catalogue": "attempt_ledger.cli.catalogue",
    "record": "attempt_ledger.cli.record",
    "annul": "attempt_ledger.cli.annul",
    "exception": "attempt_ledger.cli.exception",
    "forget": "attempt_ledger.cli.forget",
    "keys": "attempt_ledger.cli.keys",
    "search": "attempt_ledger.cli.search",
    "standing": "attempt_ledger.cli.standing",
    "history": "attempt_ledger.cli.history",
    "replay": "attempt_ledger.cli.replay",
    "diff": "attempt_ledger.cli.diff",
    "impact": "attempt_ledger.cli.impact",
    "violations": "attempt_ledger.cli.violations",
    "what-if": "attempt_ledger.cli.what_if",
    "project": "attempt_ledger.cli.project",
    "rebuild": "attempt_ledger.cli.rebuild",
    "export": "attempt_ledger.cli.export",
    "report": "attempt_ledger.cli.report",
    "receipt": "attempt_ledger.cli.receipt",
    "feed": "attempt_ledger.cli.feed",
    "explore": "attempt_ledger.cli.explore",
    "audit": "attempt_ledger.cli.audit",
    "policy": "attempt_ledger.cli.policy",
    "seal": "attempt_ledger.cli.seal",
    "checkpoint": "attempt_ledger.cli.checkpoint",
    "prove": "attempt_ledger.cli.prove",
    "verify": "attempt_ledger.cli.verify",
    "verify-proof": "attempt_ledger.cli.verify_proof",
    "doctor": "attempt_ledger.cli.doctor",
    "backup": "attempt_ledger.cli.backup",
    "restore": "attempt_ledger.cli.restore",
}
"""Each command and the module whose `app` it is, in the order of the help.

To add a command: write such a module (`attempt_ledger.cli.search` is a short one) and name it here.
It is imported when the command is called, or listed, and itself imports what is dear in its
function.
"""


@cache
def load(name: str) -> Any:
    """Import a command's module and make the command."""
    command = typer.main.get_command(import_module(COMMANDS[name]).app)
    command.name = name
    return command


class _Commands(Mapping[str, Any]):
    """The commands by name, each loaded when it is looked at."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return load(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Door(typer.core.TyperGroup):
    """The whole command line: whatever goes wrong behind it leaves as a sentence and a code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names without loading anything."""
        return list(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; take Ctrl-C and a broken pipe before Typer does in its own way."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            raise ReaderGone from None

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Answer one call and leave with its exit code (return it if not standalone)."""
        speak_utf8()
        run_it = super().main
        code = answered(lambda: run_it(args, PROGRAM, complete_var, standalone_mode=False, **extra))
        if standalone_mode:
            sys.exit(code)
        return code


app = typer.Typer(
    cls=Door, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        put(f"{PROGRAM} {version(PROGRAM)}\n")
        raise typer.Exit


@app.callback()
def door(
    context: typer.Context,
    ledger: Annotated[
        str,
        typer.Option(
            "--ledger",
            metavar="URL",
            envvar="ATTEMPT_LEDGER",
            help="The ledger: sqlite:///path/to/file, or sqlite:////absolute/path.",
        ),
    ] = DEFAULT_URL,
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            metavar="FILE",
            envvar="ATTEMPT_LEDGER_KEYS",
            help="The key file of personal fields. Default: the ledger's own name with .keys.",
        ),
    ] = None,
    signing_key: Annotated[
        Path | None,
        typer.Option(
            "--signing-key",
            metavar="FILE",
            envvar="ATTEMPT_LEDGER_SIGNING_KEY",
            help="The private key that signs checkpoints. Default: the ledger's own name with "
            ".signing-key.",
        ),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="How long to wait for another program that is writing to the ledger.",
        ),
    ] = PATIENCE,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which release."),
    ] = False,
) -> None:
    """Tell whether a candidate may sit an exam, why not and from when, as of any date.

    Data goes to standard output, everything else to standard error. Exit code 0: done. 1: done,
    but something was refused, differs or failed to verify. 2: the call itself was wrong.

    Instants are UTC; a date without a time means 00:00 UTC.
    """
    context.obj = Call(ledger_path(ledger), keys, signing_key, wait)


def run() -> None:
    """Answer the call of this process and leave with its exit code."""
    typer.main.get_command(app)()
