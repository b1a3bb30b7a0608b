"""The door from a shell: `attempt-ledger`, its options, and its commands, loaded when called."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import typer.core
import typer.main

from attempt_ledger.cli.options import ADDED, HELP, Called
from attempt_ledger.cli.output import PROGRAM, put, speak_utf8
from attempt_ledger.cli.problems import CallProblem, Interrupted, ReaderGone, answered
from attempt_ledger.places import DEFAULT_URL, keys_address, ledger_address
from ledger.extras import needing
from ledger.store.locks import PATIENCE
from replay.audit.registry import QUERIES

SECTIONS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Record": {
        "init": ("init", "Create an empty ledger, with the shipped policies."),
        "import": ("importing", "Import results and CloudEvents lines."),
        "catalogue": ("catalogue", "Announce exams, certifications and policies from a file."),
        "policy new": (
            "policy_new",
            "Write a policy file to begin with; needs no ledger.",
        ),
        "policy check": ("policy", "Check policy files; needs no ledger."),
        "policy list": ("policy", "List the policies that are published, every version of each."),
        "policy show": ("policy", "Show the policy in force on a day, or a file, in words."),
        "policy diff": ("policy", "List what differs between two policies, clause by clause."),
        "policy explain": (
            "policy_explain",
            "Explain a policy in plain English, with an example calendar.",
        ),
        "policy test": (
            "policy_test",
            "Compare a policy's answers with those of a case file.",
        ),
        "policy schema": (
            "policy_schema",
            "Write the JSON Schema of policy files.",
        ),
        "policy publish": ("policy", "Publish policy files into the ledger."),
        "record": ("record", "Record one event."),
        "annul": ("annul", "Annul an event that was recorded in error."),
        "exception request": ("exception", "Request a retake exception, answered at once."),
        "exception template": ("exception", "Write the file to fill in for a request of an exam."),
        "exception grant": ("exception", "Grant an open request."),
        "exception reject": ("exception", "Reject an open request."),
        "exception revoke": ("exception", "Withdraw a grant that is not used yet."),
        "exception list": ("exception_list", "List requests, and what became of each."),
        "authorization grant": ("authorization", "Authorize a candidate to sit an exam."),
        "authorization revoke": ("authorization", "Withdraw an authorization."),
        "authorization list": (
            "authorization",
            "List authorizations, and how many sittings each has served.",
        ),
        "forget": ("forget", "Erase a candidate's personal data for good."),
        "keys create": (
            "keys",
            "Create an empty key file, or a key store on a server.",
        ),
        "keys backup": ("keys", "Copy the keys to a file, to be used for some days."),
        "keys restore": ("keys", "Put back the keys of everybody who was not forgotten."),
    },
    "Ask": {
        "search": ("search", "Find candidates by id, registration id or request id."),
        "standing": ("standing", "Show if a candidate may sit an exam, why not, and from when."),
        "history": ("history", "Show everything recorded of a candidate."),
        "replay": ("replay", "Write everybody's standing as a table."),
        "diff": ("diff", "List whose standing differs between two moments, and why."),
        "impact": ("impact", "List what importing files would change, recording nothing."),
        "subject-access": ("subject_access", "Write everything recorded of one person, in clear."),
        "violations": ("violations", "List every sitting that was taken while not eligible."),
        "what-if": ("what_if", "Show what draft policies would have done."),
    },
    "Report": {
        "report": ("report", "Make a report of a period, or of a moment."),
        "receipt show": ("receipt", "Write a file's receipt as JSON."),
        "receipt check": ("receipt", "Compute an output again, and compare it with the file."),
        "export": ("export", "Write the ledger's events as CloudEvents JSON, or a table."),
        **{f"audit {name}": ("audit", line) for name, line in QUERIES.items()},
        "audit access": ("audit_access", "List who read personal data in clear text, and when."),
        "columns build": (
            "columns",
            "Build columns of everything, which an engine's workers read.",
        ),
        "explore": ("explore", "Open the read model in Datasette, until Ctrl-C."),
        "project": ("read_model", "Bring the read model up to the ledger."),
        "rebuild": ("read_model", "Build the read model anew, compare it, and swap it in."),
    },
    "Prove": {
        "seal": ("seal", "Hash what was appended, and sign a new checkpoint."),
        "checkpoint": ("seal", "Write the last signed checkpoint, for others to keep."),
        "prove": ("prove", "Prove that an event is in the log, or a log continues."),
        "verify": ("verify", "Compare every stored event with what was signed."),
        "verify-proof": ("prove", "Check a proof, and show what it proves."),
    },
    "Run": {
        "serve": ("serve", "Answer over HTTP, until Ctrl-C or SIGTERM."),
        "booking": ("booking", "List what differs for a booking system since a cursor."),
        "token create": ("token", "Make a token for the service, and print it."),
        "token list": ("token", "List the tokens, and when each was used last."),
        "token revoke": ("token", "Revoke a token for good, at once."),
        "feed": ("feed", "Stream events from a position."),
        "doctor": ("doctor", "Look for what is wrong with the ledger, and say what to do."),
        "backup": ("backup", "Copy the ledger, verified, while others go on writing."),
        "restore": ("restore", "Put a ledger back from a backup, verified."),
        "upgrade": ("init", "Bring a ledger of an earlier release to the format of new ones."),
        "move": ("move", "Move a ledger into another store, with its log and its keys."),
    },
}
"""By sections of the help, each command: its module below `attempt_ledger.cli`, and its first line.

To add one, write such a module (`attempt_ledger.cli.search` is a short one) and name it here, in
the order of the help. It is imported when it is called; a help that lists commands imports none.
"""

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    words: entry for section in SECTIONS.values() for words, entry in section.items()
}

EXTRAS: Final[Mapping[str, str]] = {"explore": "explore", "serve": "service"}
"""Commands that need more than the library they miss first would say: the extra that has it all."""

GROUPS: Final[Mapping[str, str]] = {
    "exception": """Request retake exceptions; grant, reject, revoke, list them.

    Names, e-mail address and description are kept encrypted. Reasons (--reason, --why) and --actor
    are kept in clear text: no personal data belongs there.""",
    "authorization": """Authorize candidates to sit; withdraw and list authorizations.

    For exams whose policy requires one. Reasons and --actor are kept in clear text: no personal
    data belongs there.""",
    "columns": """Build what an engine's workers read.""",
    "keys": """Back up the keys of personal fields; put them back.

    Keep such a backup apart from backups of the ledger, and destroy it when its time is over: who
    has both can read what was personal, of everybody not forgotten when it was made.""",
    "receipt": """Show the receipt of an output, or compute it again.""",
    "audit": """Ask who recorded what, when, and on which facts.

    Of everything the ledger knows at --known-at. A file leaves with a receipt, by which `receipt
    check` computes it again. No personal field is in any answer.""",
    "policy": """Write, test and publish policies; see which are in force.""",
    "token": """Make and revoke the tokens of the service.""",
}
"""The help of the first word of commands that have two."""


def below(group: str) -> dict[str, str]:
    """Return the words that follow a group's (those of the whole after ""), and their help."""
    if group:
        at = len(group) + 1
        return {
            words[at:]: help
            for words, (_, help) in COMMANDS.items()
            if words.startswith(f"{group} ")
        }
    found = {}
    for words, (_, help) in COMMANDS.items():
        first = words.partition(" ")[0]
        found[first] = GROUPS[first].partition("\n")[0] if first in GROUPS else help
    return found


@cache
def load(words: str) -> Any:
    """Make a command, importing its module, or a group, importing none."""
    if words in GROUPS:
        return Group(
            name=words,
            help=inspect.cleandoc(GROUPS[words]),
            rich_markup_mode=None,
            no_args_is_help=True,
            context_settings=HELP,
        )
    try:
        # Here, so that a call imports its own command alone.
        import_module(f"attempt_ledger.cli.{COMMANDS[words][0]}")
    except ModuleNotFoundError as error:
        raise needing(error, EXTRAS.get(words)) or error from None
    return typer.main.get_command(ADDED[words])


class _Commands(Mapping[str, Any]):
    """The commands of a group by name, each loaded when it is looked at."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._below = below(group)

    def __getitem__(self, name: str) -> Any:
        if name not in self._below:
            raise KeyError(name)
        return load(f"{self._group} {name}".strip())

    def __iter__(self) -> Iterator[str]:
        return iter(self._below)

    def __len__(self) -> int:
        return len(self._below)


class Group(typer.core.TyperGroup):
    """Commands that are listed from `COMMANDS`, and loaded when they are called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._below = below(self.name or "")
        self.commands = _Commands(self.name or "")  # type: ignore[assignment]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List each command with the first line of its help, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._below.items()))


class Program(Group):
    """The whole command line: whatever goes wrong in it leaves as a sentence and a code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands in their sections."""
        for title, section in SECTIONS.items():
            names = dict.fromkeys(words.partition(" ")[0] for words in section)
            with formatter.section(title):
                formatter.write_dl([(name, self._below[name]) for name in names])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; take Ctrl-C and a broken pipe before Typer does in its own way."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, typer.Abort):  # Abort: Ctrl-C or Ctrl-D where one was asked
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
        args = _spelled_out(sys.argv[1:] if args is None else args)
        run_it = super().main
        code = answered(lambda: run_it(args, PROGRAM, complete_var, standalone_mode=False, **extra))
        if standalone_mode:
            sys.exit(code)
        return code


app = typer.Typer(
    cls=Program,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=HELP,
)


def _spelled_out(args: Sequence[str]) -> list[str]:
    """Return the words of a call, `help COMMAND` and `version` as the options that they mean."""
    match list(args):
        case ["help", *words]:
            return [*words, "--help"]
        case ["version"]:
            return ["--version"]
        case words:
            return words


def _version(wanted: bool) -> None:
    if wanted:
        # Here: it takes 15 ms to import.
        from importlib.metadata import version

        put(f"{PROGRAM} {version(PROGRAM)}\n")
        raise typer.Exit


@app.callback()
def program(
    context: typer.Context,
    ledger: Annotated[
        str,
        typer.Option(
            "--ledger",
            metavar="URL",
            envvar="ATTEMPT_LEDGER",
            help="The ledger: sqlite:///path/to/file, sqlite:////absolute/path, a plain path, or "
            "postgresql://user@host/database?schema=name.",
        ),
    ] = DEFAULT_URL,
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="FOLDER",
            envvar="ATTEMPT_LEDGER_HOME",
            help="Where this machine keeps what belongs to a ledger on a server (log, column "
            "cache, read model). Default: attempt-ledger in this account's data folder.",
        ),
    ] = None,
    keys: Annotated[
        str | None,
        typer.Option(
            "--keys",
            metavar="FILE|URL",
            envvar="ATTEMPT_LEDGER_KEYS",
            help="The keys of personal fields: a file, or postgresql://user@host/database. "
            "Default: the file of the ledger's own name with .keys.",
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
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Answer whether a candidate may sit an exam, why not and from when, as of any date.

    Data goes to standard output, everything else to standard error. Exit code 0: done. 1: done,
    but something was refused, differs or failed to verify. 2: the call itself was wrong.

    Instants are UTC; a date without a time means 00:00 UTC.
    """
    try:
        path = ledger_address(ledger, home)
    except ValueError as problem:
        raise CallProblem(f"--ledger {problem}") from None
    try:
        kept = None if keys is None else keys_address(keys, home)
    except ValueError as problem:
        raise CallProblem(f"--keys {problem}") from None
    context.obj = Called(path, kept, signing_key, wait, home)


def run() -> None:
    """Answer the call of this process and leave with its exit code."""
    typer.main.get_command(app)()
