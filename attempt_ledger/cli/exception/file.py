"""A request for an exception as a TOML file: its fields by name, all of them text."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from attempt_ledger.cli.problems import CallProblem


def read_request(path: Path, fields: Collection[str]) -> dict[str, str]:
    """Read the fields of a request from a file, or from standard input for ``-``.

    Raises CallProblem, naming the file and the key, never showing a value: it may be personal. A
    file that cannot be read raises OSError, one larger than 16 MB LedgerProblem.
    """
    where = "standard input" if str(path) == "-" else str(path)
    from ledger.intake.source import parse_toml, read_whole

    raw = read_whole(path)
    try:
        tree = parse_toml(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CallProblem(f"{where} is not UTF-8 at byte {error.start + 1}") from None
    except (ValueError, RecursionError) as error:
        raise CallProblem(f"{where} is not TOML: {error}") from None
    for name, value in tree.items():
        if name not in fields:
            raise CallProblem(
                f"{where}: {name!r} is no field of a request: accepted are {', '.join(fields)}"
            )
        if not isinstance(value, str):
            raise CallProblem(f'{where}: {name} should be text in quotes: {name} = "…"')
    return tree
