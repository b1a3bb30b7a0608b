"""Where a door of this program listens, and to which names it answers there."""

from __future__ import annotations

import socket
from collections.abc import Collection
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Final

from ledger.problems import LedgerProblem

NOT_OURS: Final = "The Host header names no host that is served here (--name)."


class CannotListen(LedgerProblem):
    """An address, or a port of it, cannot be listened on; str() is one sentence."""


def listening_on(host: str, port: int) -> socket.socket:
    """Open a socket that listens, on any free port for 0; raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotListen(
            f"{host}, port {port} cannot be listened on: {reason}; name another with --host or "
            "--port (0: any that is free)"
        ) from None
    # What is accepted inherits it. asyncio sets it only on sockets whose protocol is named, and
    # without it an answer of two writes waits 40 ms for the reader's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address_of(host: str, port: int) -> str:
    """Write the address of a server, without a path."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches an address; false for a name that is none.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"


def is_own(scope: Any, names: Collection[str]) -> bool:
    """Return whether a request (its ASGI scope) was sent to a name that is served.

    That is one of `names`, in lower case, or the address to which the connection came. A page of
    another site can make a browser look up the site's own name as this machine's address (DNS
    rebinding); then the browser takes the answer for that site's. The Host header tells.
    """
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1:
        return False
    name = _name_in(hosts[0].decode("latin-1"))
    return name in names or name in _own(scope["server"][0])


@lru_cache(maxsize=64)
def _own(address: str) -> Collection[str]:
    """Return the address to which a connection came; of this machine to itself its name too."""
    return (address, "localhost") if is_loopback(address) else (address,)


def _name_in(host: str) -> str:
    """Return the name in a Host header, without port and brackets; empty where it is none."""
    name, _, rest = host.lower().removeprefix("[").partition("]" if host[:1] == "[" else ":")
    port = rest.removeprefix(":") if host[:1] == "[" else rest
    return name if not port or (port.isascii() and port.isdigit()) else ""
