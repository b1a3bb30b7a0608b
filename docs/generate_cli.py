"""Write docs/cli.md from the command line's own help. `--check` says whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pages import settle
from typer.testing import CliRunner

from attempt_ledger.cli.main import GROUPS, app, below

PAGE = Path(__file__).with_name("cli.md")

START = """\
# The command line

<!-- Written by docs/generate_cli.py from the help of the commands: change it there. -->

Every page below is what `--help` says of the command.

**Which ledger.** `--ledger` stands before the command and takes a URL. What follows `sqlite:///` is
the path of the file, to the letter: `sqlite:///attempts.ledger` is a file in the working directory,
`sqlite:////var/lib/attempts.ledger` one with an absolute path. Beside the file lie its lock
(`.lock`), SQLite's own files (`-wal`, `-shm`), the key file of personal fields (`.keys`; `--keys`
names another), the transparency log (`.tlog`), the key that signs it (`.signing-key`;
`--signing-key` names another) with the last checkpoint it signed (`.signing-key.last`) and, once
`replay` was called, columns that it makes anew whenever they are missing (`.columns`).
[Running a ledger](operations.md) says what else may lie there, and what of it to back up how.

**Instants** are UTC, in RFC 3339: `2021-03-15T09:00:00Z`. A date without a time means its 00:00
UTC; a time without an offset is refused.

**Exit codes.** Data goes to standard output, everything else to standard error, as UTF-8.

| code | when |
|---|---|
| 0 | done |
| 1 | done, but something was refused, differs or failed to verify; standard error says what |
| 2 | the call itself was wrong, or could not be carried out; one sentence a fault says why |
| 130 | interrupted by Ctrl-C |
| 141 | whoever read the output stopped reading, as in `export \\| head` |

**Environment.** Options win over these.

| variable | what it is |
|---|---|
| `ATTEMPT_LEDGER` | the URL of the ledger, for `--ledger` |
| `ATTEMPT_LEDGER_KEYS` | the key file, for `--keys` |
| `ATTEMPT_LEDGER_SIGNING_KEY` | the key that signs checkpoints, for `--signing-key` |
| `ATTEMPT_LEDGER_ACTOR` | who records, for `--actor`; the login name is never taken |
| `ATTEMPT_LEDGER_DEBUG` | set to anything, an unexpected error shows where it came from |
| `NO_COLOR` | set to anything, text is without colour on a terminal too |
| `XDG_CACHE_HOME` | where `replay` keeps compiled rules, in `attempt-ledger/`; else `~/.cache` |

**Personal data.** `reason`, `why` and `actor` are kept in clear text for ever: no personal data
belongs in them. Names, e-mail address and description of a request are encrypted.
"""


def pages() -> Iterator[str]:
    """Yield the words of every page: the whole, each command or group, each command below it."""
    yield ""
    for name in below(""):
        yield name
        if name in GROUPS:
            yield from (f"{name} {second}" for second in below(name))


def page(words: str) -> str:
    """Write one page under its heading."""
    level = "###" if " " in words else "##"
    called = f"attempt-ledger {words}".rstrip()
    help = CliRunner().invoke(app, [*words.split(), "--help"])
    if help.exit_code != 0:
        raise SystemExit(f"{called} --help: {help.stderr}")
    return f"{level} {called}\n\n```text\n{help.stdout.rstrip()}\n```\n"


def written() -> str:
    """Write all of docs/cli.md."""
    return "\n".join([START, *map(page, pages())])


if __name__ == "__main__":
    sys.exit(settle(PAGE, written, sys.argv[1:]))
