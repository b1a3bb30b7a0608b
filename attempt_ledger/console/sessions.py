"""Who looks at a page: sessions, which lie on the server's side, beside the tokens.

A browser holds a random cookie alone; what is kept is its SHA-256, whose it is, and a token against
forms that another site sends. A session ends when it was not used for IDLE, when it is older than
LONGEST, when its token is revoked or expires, and when its identity logs out everywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Final, NamedTuple

from attempt_ledger.api.register import Register
from attempt_ledger.api.tokens import Identity, Tokens, digest

COOKIE: Final = "__Host-attempt-ledger"
"""With this prefix browsers take it only with Secure, for the whole host, and from it alone."""
MINUTE: Final = 60_000_000
IDLE: Final = 30 * MINUTE
LONGEST: Final = 12 * 60 * MINUTE
"""Microseconds."""


PENDING: Final = 15 * MINUTE
"""So long somebody may take to log in elsewhere."""
PENDING_COOKIE: Final = f"{COOKIE}-pending"
MOST_PENDING: Final = 10_000
"""So many are kept: anybody can begin to log in."""
_NOBODY: Final = ""
"""Whose what is pending is."""


class Session(NamedTuple):
    """A browser that logged in."""

    identity: Identity
    csrf: str
    """What every form of its pages has to send back."""
    sha256: bytes


class Sessions:
    """The sessions of a register. May be shared by threads."""

    def __init__(self, register: Register, tokens: Tokens, now: Callable[[], int]) -> None:
        self._register = register
        self._tokens = tokens
        self._now = now

    def open(self, token: str) -> str | None:
        """Begin a session by a token; return the cookie's value, None where it is not valid."""
        identity = self._tokens.identity(token.strip())
        if identity is None:
            return None
        return self.begin(identity, json.dumps({"token": digest(token.strip()).hex()}))

    def begin(self, identity: Identity, data: str) -> str:
        """Begin a session of an identity that is known already; return the cookie's value."""
        cookie, now = secrets.token_urlsafe(32), self._now()
        with self._register.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE created_at < ?", (now - LONGEST,))
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    _sha256(cookie), identity.name, " ".join(sorted(identity.roles)),
                    secrets.token_urlsafe(24), now, now, data,
                ),
            )  # fmt: skip
        return cookie

    def keep(self, data: str) -> str:
        """Keep what a browser needs when it comes back; return its cookie's value."""
        cookie = self.begin(Identity(_NOBODY, frozenset()), data)
        with self._register.writing() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE identity = ? AND (created_at < ? OR sha256 IN (SELECT "
                "sha256 FROM sessions WHERE identity = ? ORDER BY created_at DESC LIMIT -1 OFFSET "
                "?))",
                (_NOBODY, self._now() - PENDING, _NOBODY, MOST_PENDING),
            )
        return cookie

    def taken(self, cookie: str | None) -> str | None:
        """Return what was kept for a browser, once; None where nothing is, or not any more."""
        if not cookie or len(cookie) > 100:
            return None
        with self._register.writing() as connection:
            row = connection.execute(
                "DELETE FROM sessions WHERE sha256 = ? AND identity = ? RETURNING created_at, data",
                (_sha256(cookie), _NOBODY),
            ).fetchone()
        return row[1] if row and self._now() - row[0] <= PENDING else None

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, None where there is none any more."""
        if not cookie or len(cookie) > 100:
            return None
        sha256, now = _sha256(cookie), self._now()
        rows = self._register.rows(
            "SELECT identity, roles, csrf, created_at, used_at, data FROM sessions "
            "WHERE sha256 = ? AND identity <> ?", (sha256, _NOBODY),
        )  # fmt: skip
        if not rows:
            return None
        name, roles, csrf, created_at, used_at, data = rows[0]
        identity: Identity | None = Identity(name, frozenset(roles.split()))
        if (token := json.loads(data).get("token")) is not None:
            identity = self._tokens.holder(bytes.fromhex(token))
        if identity is None or now - used_at > IDLE or now - created_at > LONGEST:
            self.close(sha256)
            return None
        if now - used_at > MINUTE:
            with self._register.writing() as connection:
                connection.execute(
                    "UPDATE sessions SET used_at = ? WHERE sha256 = ?", (now, sha256)
                )
        return Session(identity, csrf, sha256)

    def close(self, sha256: bytes) -> None:
        """End a session."""
        with self._register.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE sha256 = ?", (sha256,))

    def close_all(self, identity: str) -> None:
        """End every session of an identity."""
        with self._register.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE identity = ?", (identity,))


def is_own_form(session: Session, sent: str) -> bool:
    """Return whether a form comes from a page of the session."""
    return hmac.compare_digest(session.csrf.encode(), sent.encode())


def _sha256(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
