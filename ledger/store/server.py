"""The address of a ledger: the path of its file, or a server with a home for the rest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final, Literal, Self, TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from ledger.extras import needing
from ledger.problems import LedgerProblem
from ledger.store.locks import USUALLY, Waiting

Role: TypeAlias = Literal["writer", "reader", "sealer", "keeper"]
"""What a role of the server may do with a ledger, or with its keys, that another role owns."""

SCHEMES: Final = ("postgresql", "postgres")
SCHEMA: Final = "attempt_ledger"
"""The schema of a ledger in a database, unless its URL names another with ``schema=``."""
KEYS_SCHEMA: Final = "attempt_ledger_keys"
"""That of its keys."""

_ACCEPTED: Final = (
    "accepted is postgresql://user@host:port/database?schema=name, in which special characters of "
    "a password are written as %40 and the like"
)


@dataclass(frozen=True)
class Server:
    """A ledger in a schema of a PostgreSQL database.

    Used as a path it is that of its home: what is kept of a ledger on this machine (log, column
    cache, read model) is named after it, as beside a file. Shown, it has no password.
    """

    conninfo: str = field(repr=False)
    """For libpq; may hold a password, so it is never shown."""
    schema: str
    name: str
    """Its URL, to be shown."""
    home: Path
    waiting: Waiting = field(default=USUALLY, repr=False, compare=False)
    """How long to wait until the server confirms something, and whom to tell."""
    pool: Any = field(default=None, repr=False, compare=False)
    """The connections over which it is asked, in this process; None: one for each question."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process has nobody to tell, and connections of its own.
        return Server, (self.conninfo, self.schema, self.name, self.home)

    def with_waiting(self, waiting: Waiting) -> Self:
        """Return it with how long its answers are waited for."""
        return replace(self, waiting=waiting)

    def __str__(self) -> str:
        return self.name

    def __fspath__(self) -> str:
        return str(self.home)

    def shown(self, text: str) -> str:
        """Return what the server or its library says as one line, without the password."""
        line = " ".join(text.split())
        for secret in _secrets(self.conninfo):
            line = line.replace(secret, "…")
        return line


def postgres_module(name: str) -> ModuleType:
    """Import what speaks to PostgreSQL; raises NotInstalled, or LedgerProblem without a libpq."""
    try:
        # Here, since the driver comes with an extra, and takes 40 ms that a file does not need.
        return import_module(f"ledger.{name}")
    except ModuleNotFoundError as error:
        raise needing(error, "postgres") or error from None
    except ImportError as error:  # the driver found no library of PostgreSQL
        raise LedgerProblem(
            f"psycopg does not load ({' '.join(str(error).split())}): install libpq5, or "
            "pip install 'psycopg[binary]'"
        ) from None


Address: TypeAlias = Path | Server
"""Where the events of a ledger are; as a path, what everything beside them is named after."""


def read_server(
    url: str, homes: Path, schema: str = SCHEMA, unsaid: Mapping[str, str] = MappingProxyType({})
) -> Server:
    """Read a ledger's URL; raises ValueError, one sentence that shows no password.

    Its home is a file name in a folder of its own in `homes`, named after host, port, database and
    schema; ``schema=`` is ours, all other parameters are libpq's. `schema` is the one that is meant
    where none is named, and `unsaid` are the parameters that libpq takes where the URL has none.
    """
    try:
        parts = urlsplit(url)
        user, _, host = parts.netloc.rpartition("@")
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"{SCHEMES[0]}://… cannot be read; {_ACCEPTED}") from None
    # A password with an @ or a / in it would be taken for a host, and shown as one.
    strays = "@" in user or "@" in parts.path or "#" in url
    is_ours = url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))
    if strays or not is_ours or not _is_port(host):
        raise ValueError(f"{SCHEMES[0]}://… cannot be read; {_ACCEPTED}")
    ours = [value for name, value in query if name == "schema"]
    usual, schema = schema, ours[-1] if ours else schema
    if (
        not 0 < len(schema.encode()) <= 63
        or not schema.isprintable()
        or schema[:3] == "pg_"
        or {*"%$"} & {*schema}  # which mean something else in what is sent
    ):
        raise ValueError(f"schema={schema!r} is no name of a schema; {_ACCEPTED}")
    others = [(name, value) for name, value in query if name != "schema"]
    conninfo = f"{SCHEMES[0]}://{parts.netloc}{parts.path}"
    if others:
        conninfo += f"?{urlencode(others, quote_via=quote)}"
    named, settings = host, dict(others)  # which libpq prefers to what stands before them
    host = settings.get("host") or host
    database = settings.get("dbname") or unquote(parts.path.lstrip("/"))
    account = settings.get("user") or unquote(user.partition(":")[0])
    at = f"{account}@" if account else ""
    shown = {"host": host} if host.startswith("/") else {}
    if schema != usual:
        shown["schema"] = schema
    name = f"{SCHEMES[0]}://{at}{'' if 'host' in shown else host}/{database}"
    if shown:
        name += f"?{urlencode(shown, safe='/')}"
    database = database or unsaid.get("dbname") or account or unsaid.get("user") or "default"
    folder = homes / folder_name((*_server_words(named, settings, unsaid), database, schema))
    return Server(conninfo, schema, name, folder / "attempts.ledger")


def _server_words(
    hosts: str, settings: Mapping[str, str], unsaid: Mapping[str, str]
) -> Iterator[str]:
    """Yield what tells one server from others: its hosts in a URL, and parameters."""
    known = dict(unsaid)
    if hosts:
        known.pop("host", "")
    if any(port for _, colon, port in _ports(hosts) if colon):
        known.pop("port", "")
    known |= settings
    yield hosts or known.pop("host", "") or "localhost"
    for name in ("host", "hostaddr", "service", "port"):
        if known.get(name):
            yield f"{name}:{known[name]}"


_KEPT: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
_LONGEST: Final = 200


def folder_name(words: Iterable[str]) -> str:
    """Return a name for a folder that no other words come to, whatever a disk makes of capitals.

    Small letters, digits and ``.-_`` stay as they are, other bytes are written as ``=2f``, and
    ``+`` stands between the words. What is too long for a disk ends with its SHA-256.

    >>> folder_name(("db:5433", "a_b", "c")), folder_name(("db:5433", "a", "b_c"))
    ('db=3a5433+a_b+c', 'db=3a5433+a+b_c')
    """
    name = "+".join(
        "".join(
            letter if letter in _KEPT else "".join(f"={byte:02x}" for byte in letter.encode())
            for letter in word
        )
        for word in words
    )
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST // 2]}+{hashlib.sha256(name.encode()).hexdigest()}"


def _is_port(hosts: str) -> bool:
    """Return whether what follows a host is a port: else it may be a part of a password."""
    return all(not colon or port.isdigit() or not port for _, colon, port in _ports(hosts))


def _ports(hosts: str) -> Iterator[tuple[str, str, str]]:
    """Cut each host, which may be an IPv6 address in brackets, from its port."""
    return (each.rpartition("]")[2].rpartition(":") for each in hosts.split(","))


def _secrets(conninfo: str) -> list[str]:
    parts = urlsplit(conninfo)
    user = parts.netloc.rpartition("@")[0]
    raw = [user.partition(":")[2]]
    raw += [value for name, value in parse_qsl(parts.query) if "password" in name]
    return [each for text in raw for each in {text, unquote(text)} if each]
