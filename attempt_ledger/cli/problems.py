"""Whatever goes wrong in a call, in one place: a sentence on standard error, and an exit code."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable

from attempt_ledger.cli.output import flush, say
from ledger.extras import needing
from ledger.faults import fault_words
from ledger.problems import LedgerProblem
from replay.formats import CannotWrite

DONE = 0
REFUSED = 1
"""Done, but something was refused, differs or failed to verify."""
BAD_CALL = 2
"""The call itself was wrong, or could not be carried out."""
INTERRUPTED = 130
READER_GONE = 141
"""What a shell reports of a program whose reader went away (128 + SIGPIPE)."""

DEBUG = "ATTEMPT_LEDGER_DEBUG"
"""An environment variable: when it is set, an unexpected error shows where it came from."""


class CallProblem(Exception):
    """The call was wrong; str() is one sentence that says how to mend it."""


class Interrupted(Exception):
    """Ctrl-C, taken out of the hands of Typer, which would say nothing."""


class ReaderGone(Exception):
    """Nobody reads on, as of ``| head``; taken out of the hands of Typer too."""


def answered(call: Callable[[], object]) -> int:
    """Run a call and give its exit code; whatever it raises becomes sentences on standard error.

    What the call returns is its exit code if it is an integer, else the call is done.
    """
    try:
        returned = call()
        flush()
    except SystemExit as leaving:  # Typer's own completion leaves this way
        flush()
        return leaving.code if isinstance(leaving.code, int) else DONE
    except (KeyboardInterrupt, Interrupted):
        say("interrupted")
        return INTERRUPTED
    except (BrokenPipeError, ReaderGone):
        _forget_the_reader()
        return READER_GONE
    except Exception as error:
        for sentence in sentences(error):
            say(sentence)
        if os.environ.get(DEBUG):
            traceback.print_exception(error)
        return BAD_CALL
    return returned if isinstance(returned, int) else DONE


def sentences(error: Exception) -> Iterable[str]:
    """Return what went wrong, for every kind of error there is, each fault one sentence."""
    # Here, since a call that goes well does without them.
    from replay.snapshot import UnansweredMoment
    from retake_policies.schema import PolicyError

    if isinstance(
        error, CallProblem | CannotWrite | LedgerProblem | PolicyError | UnansweredMoment
    ):
        return str(error).splitlines()
    if hasattr(error, "format_message"):
        return _usage(error)
    if isinstance(error, ModuleNotFoundError) and (wanted := needing(error)) is not None:
        return [str(wanted)]
    if isinstance(error, OSError):
        return [_of_the_system(error)]
    if isinstance(error, UnicodeError):
        return [f"there is text here that is not UTF-8: {error}"]
    if isinstance(error, MemoryError):
        return ["there is not enough memory for this"]
    return [
        f"this should not have happened: {type(error).__name__}: {error}; if `doctor` and `verify` "
        "find nothing wrong, please report it with the command you gave "
        f"({DEBUG}=1 shows where it came from)"
    ]


def _usage(error: Exception) -> Iterable[str]:
    """Return what Typer found wrong with the words of the call, and how it is used."""
    message = str(error.format_message())  # type: ignore[attr-defined]
    if faults := getattr(error.__cause__, "errors", None):  # a value that pydantic refused
        fault = faults()[0]
        ours = fault_words(fault)
        if fault["type"] != "value_error":  # which names the value itself
            ours += f", not {fault['input']!r}"
        message = message.replace(str(getattr(error, "message", "")), ours)
    context = getattr(error, "ctx", None)
    if "unexpected extra argument" in message and getattr(context, "info_name", "") == "request":
        # It may be a part of something personal.
        message = f"{message.partition(' (')[0]}: a value that has blanks goes in quotes"
    # What may be chosen comes as a list of lines.
    message = re.sub(r"\. Choose from:\s+(.*)", _choices, message, flags=re.DOTALL)
    if type(error).__name__ == "NoArgsIsHelpError":
        return [message.rstrip()]
    if any(f": {name}" in message for name in ("--ledger", "--keys", "--signing-key")):
        message = f"{message.rstrip('.')}: it goes before the command"
    lines = [message[:1].lower() + message[1:]]
    if context is not None:
        lines += [context.get_usage(), f"Try '{context.command_path} --help'."]
    return ["\n".join(lines)]


def _choices(found: re.Match[str]) -> str:
    return f": accepted are {', '.join(found[1].replace(',', ' ').split())}"


def _of_the_system(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    reason = reason[:1].lower() + reason[1:]
    return f"{os.fsdecode(error.filename)}: {reason}" if error.filename else reason


def _forget_the_reader() -> None:
    """Let what is still buffered for a reader that went away go nowhere, without a complaint."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
