"""Where things are: the ledger that a URL names, and what the program can make anew."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ledger.own_folder import NotOurs, account_cache
from ledger.store.server import KEYS_SCHEMA, SCHEMES, Address, read_server

_NAME = "attempt-ledger"
_earlier: set[str] = set()

DEFAULT_URL = "sqlite:///attempts.ledger"
_ACCEPTED = (
    "accepted is sqlite:///path/to/file, with a fourth slash for an absolute path "
    "(sqlite:////var/lib/attempts.ledger), a plain path, or postgresql://user@host/database"
)


def ledger_address(url: str, homes: Path | None = None) -> Address:
    """Read a ledger's URL, or the plain path of its file; raises ValueError for others.

    What follows ``sqlite:///`` is the path to the letter: nothing in it is decoded. What belongs to
    a ledger on a server lies in `homes`, by default among this account's data.
    """
    scheme, colon, rest = url.partition(":")
    if scheme in SCHEMES and colon:
        return read_server(url, _data_folder() if homes is None else homes, unsaid=_unsaid())
    if scheme == "sqlite" and colon:
        path = rest.removeprefix("///")
        if path == rest or not path or "\0" in path:
            raise ValueError(f"{url!r} names no file; {_ACCEPTED}")
        return Path(path)
    if "://" in url or not url or "\0" in url:
        named = f"{scheme}://…" if "@" in url else repr(url)  # it may hold a password
        raise ValueError(f"{named} is no URL of a ledger; {_ACCEPTED}")
    return Path(url)


def keys_address(text: str, homes: Path | None = None) -> Address:
    """Read where keys are: the path of a file, or the URL of a server; raises ValueError."""
    if text.partition(":")[0] in SCHEMES and "://" in text:
        folder = _data_folder() if homes is None else homes
        return read_server(text, folder, KEYS_SCHEMA, _unsaid())
    return Path(text)


def _unsaid() -> Mapping[str, str]:
    """Return what libpq takes from the environment where a URL does not say it."""
    names = ("host", "hostaddr", "port", "dbname", "user", "service")
    variables = {"dbname": "PGDATABASE"}
    named = {name: os.environ.get(variables.get(name, f"PG{name.upper()}"), "") for name in names}
    return {name: value for name, value in named.items() if value}


def _data_folder() -> Path:
    if named := os.environ.get("ATTEMPT_LEDGER_HOME"):
        return Path(named)
    base = os.environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(base):
        return Path(base) / _NAME
    try:
        return Path.home() / ".local" / "share" / _NAME
    except RuntimeError:
        raise ValueError(
            "a ledger on a server needs a folder on this machine, and this account has no home: "
            "name one with --home"
        ) from None


def cache_folder(say: Callable[[str], object] = lambda sentence: None) -> Path | None:
    """Return the folder for compiled code and the key of column caches; None if there is none.

    In XDG_CACHE_HOME, else in ~/.cache. Code is run from it: so where others could write there, or
    this account may not, it is one of this account's among the temporary files, which is said.
    """
    problems = []
    for path in _candidates():
        try:
            folder = account_cache(path)
        except (NotOurs, OSError) as problem:
            problems.append(str(problem))
            continue
        _once(say, problems, f"compiled rules are kept in {folder}")
        return folder
    _once(say, problems, "compiled rules are not kept")
    return None


def _candidates() -> Iterator[Path]:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        yield Path(base) / _NAME
    else:
        with suppress(RuntimeError):
            yield Path.home() / ".cache" / _NAME
    yield Path(tempfile.gettempdir()) / f"{_NAME}-{os.geteuid()}"


def _once(say: Callable[[str], object], problems: list[str], outcome: str) -> None:
    sentence = f"{'; '.join(problems)}: {outcome}"
    if problems and sentence not in _earlier:
        _earlier.add(sentence)
        say(sentence)


def own_read_model(ledger: Address) -> Path:
    """Return where the read model of a ledger is, unless it was named otherwise."""
    return Path(f"{os.path.realpath(ledger)}.views")
