"""Tokens: opaque, shown once, kept as their SHA-256. Who has one is an identity with roles."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Callable, Collection
from typing import Final, NamedTuple
from unicodedata import name as character_name
from unicodedata import normalize

from attempt_ledger.api.register import Register
from ledger.fields import code_fault
from ledger.problems import LedgerProblem, shown

ROLES: Final = ("reader", "booking", "support", "recorder", "officer", "auditor", "admin")
"""What a token may be for; what each may do is the table of `attempt_ledger.api.roles`."""

PREFIX: Final = "atl_"
"""How every token begins, so that who finds one knows what it is."""

OIDC: Final = "oidc:"
"""How the identities of a provider begin: no token has such a name."""

BOTH: Final = " + "
"""What stands between the names of two people in `actor`: no name has it."""

_LETTERS: Final = string.digits + string.ascii_letters
_RANDOM: Final = 32
_CHECKED: Final = 6
_SHAPE: Final = re.compile(f"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKED}}}", re.ASCII)


class Identity(NamedTuple):
    """Who asks, and what that identity may."""

    name: str
    """What `actor` says of what this identity records."""
    roles: frozenset[str]


class Token(NamedTuple):
    """A token as it is listed; instants are microseconds UTC."""

    name: str
    roles: tuple[str, ...]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    used_at: int | None


class TokenProblem(LedgerProblem):
    """A token cannot be made or revoked as it was asked for."""


def made() -> str:
    """Make a token: a prefix, 190 random bits, and a checksum of both."""
    text = PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(_RANDOM))
    return text + checksum(text)


def _looks(name: str) -> str:
    """Return what names that look alike have in common.

    >>> _looks("Robin") == _looks("ｒobin")
    True
    """
    return normalize("NFKC", normalize("NFKC", name).casefold())


_ALIKE: Final = ("Latin", "Cyrillic", "Greek", "Armenian", "Cherokee", "Coptic", "Lisu")
"""Alphabets that share shapes: an a is in two of them."""


def _alphabets(name: str) -> list[str]:
    """Return those of the alphabets that look alike in which a name has letters.

    >>> _alphabets("ann 2"), _alphabets("\u0430nn")
    (['Latin'], ['Latin', 'Cyrillic'])
    """
    used = {character_name(each, "").partition(" ")[0] for each in normalize("NFKC", name)}
    return [each for each in _ALIKE if each.upper() in used]


def checksum(text: str) -> str:
    """Return the letters that end a token, by which a slip of the pen is noticed.

    >>> checksum("atl_" + "0" * 32)
    '2qKvZd'
    """
    number, letters = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKED):
        number, digit = divmod(number, len(_LETTERS))
        letters = _LETTERS[digit] + letters
    return letters


def is_whole(token: str) -> bool:
    """Return whether a text is a token of ours to the last letter; whose, is looked up."""
    return bool(_SHAPE.fullmatch(token)) and checksum(token[:-_CHECKED]) == token[-_CHECKED:]


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """The tokens of a register."""

    def __init__(
        self, register: Register, now: Callable[[], int], *, required: bool = False
    ) -> None:
        """With `required`, every call needs one even where there is none: a provider has them."""
        self._register = register
        self._required = required
        self._now = now
        self._version: object = ()
        self._known: dict[bytes, tuple[Identity, int | None]] = {}
        self._any = False
        self._used: dict[str, int] = {}

    def create(self, name: str, roles: Collection[str], expires_at: int | None) -> str:
        """Make a token of a name that was never used; return it, which is shown only now."""
        if not name or (fault := code_fault(name)):
            raise TokenProblem(f"the name {shown(name)} {fault if name else 'is empty'}")
        if BOTH in name:
            raise TokenProblem(f"the name {shown(name)} would be taken for two: leave the + out")
        if _looks(name).startswith(OIDC):
            raise TokenProblem(f"names that begin with {OIDC} are those of an OIDC provider")
        if len(mixed := _alphabets(name)) > 1:
            raise TokenProblem(
                f"the name {shown(name)} mixes letters of {' and '.join(mixed)}, some of which "
                "look alike: write it in one alphabet"
            )
        if wrong := sorted(set(roles) - set(ROLES)):
            raise TokenProblem(f"there is no role {wrong[0]}: accepted are {', '.join(ROLES)}")
        if not roles:
            raise TokenProblem(f"a token without a role may nothing: give it {', '.join(ROLES)}")
        token = made()
        with self._register.writing() as connection:
            for (other,) in connection.execute("SELECT name FROM tokens"):
                if _looks(other) == _looks(name):
                    raise TokenProblem(
                        f"there is a token {shown(other)}, or there was: what it recorded bears "
                        "its name, so give the new one another"
                    )
            connection.execute(
                "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                (name, digest(token), " ".join(sorted(roles)), self._now(), expires_at),
            )
        return token

    def revoke(self, name: str) -> bool:
        """Revoke a token for good; return whether it was valid until now."""
        with self._register.writing() as connection:
            row = connection.execute(
                "SELECT revoked_at FROM tokens WHERE name = ?", (name,)
            ).fetchone()
            if row is None:
                raise TokenProblem(f"there is no token {shown(name)}: `token list` lists them")
            if row[0] is None:
                connection.execute(
                    "UPDATE tokens SET revoked_at = ? WHERE name = ?", (self._now(), name)
                )
            return row[0] is None

    def all(self) -> list[Token]:
        """Return every token that there is or was, by name."""
        rows = self._register.rows(
            "SELECT name, roles, created_at, expires_at, revoked_at, used_at FROM tokens "
            "ORDER BY name"
        )
        return [Token(name, tuple(roles.split()), *rest) for name, roles, *rest in rows]

    @property
    def any(self) -> bool:
        """Whether there is a token, or was: from then on every call needs one."""
        if self._required:
            return True
        self._refresh()
        return self._any

    def identity(self, token: str) -> Identity | None:
        """Return whose a token is, None for one that is not valid now."""
        found = self.holder(digest(token))
        if found is not None:
            self._used[found.name] = self._now()
        return found

    def holder(self, sha256: bytes) -> Identity | None:
        """Return whose the token of a digest is, None for one that is not valid now."""
        self._refresh()
        found = self._known.get(sha256)
        if found is None or (found[1] is not None and found[1] <= self._now()):
            return None
        return found[0]

    def note_uses(self) -> None:
        """Write down when each token was used last."""
        used, self._used = self._used, {}
        if used:
            with self._register.writing() as connection:
                connection.executemany(
                    "UPDATE tokens SET used_at = max(?, coalesce(used_at, 0)) WHERE name = ?",
                    [(at, name) for name, at in used.items()],
                )

    def _refresh(self) -> None:
        """Read the file again if another process has written into it."""
        version = self._register.version()
        if version == self._version:
            return
        rows = self._register.rows("SELECT name, sha256, roles, expires_at, revoked_at FROM tokens")
        self._any = bool(rows)
        self._known = {
            sha256: (Identity(name, frozenset(roles.split())), expires_at)
            for name, sha256, roles, expires_at, revoked_at in rows
            if revoked_at is None
        }
        self._version = version
