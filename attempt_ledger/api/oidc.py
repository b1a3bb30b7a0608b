"""Identities of an OIDC provider: a bearer token is checked here, to the letter and no more."""

from __future__ import annotations

import asyncio
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.tokens import BOTH, OIDC, ROLES, Identity
from ledger.fields import code_fault, parse_json
from ledger.problems import RepeatedMember

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures that are taken: never one by a shared secret, and never none."""
LONGEST: Final = 8 << 10
"""Of a token, in bytes: a longer one is not parsed."""
SKEW: Final = 60
"""Seconds by which the two clocks may differ."""
KEYS_SECONDS: Final = 3_600.0
AGAIN_SECONDS: Final = 30.0
"""Keys are fetched anew this long after the last time; for a key that is not known, sooner."""
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class NotValid(Exception):
    """A token is not valid; str() says why, without the token."""


class Issuer:
    """A provider whose tokens are taken, and its keys."""

    def __init__(
        self, url: str, audience: str, now: Callable[[], int], *, claim: str = "roles"
    ) -> None:
        """`now` is in microseconds UTC; `claim` names the roles, a list or parted by blanks."""
        self.url = url
        self._audience = audience
        self._now = now
        self._claim = claim
        self._keys: KeySet | None = None
        self._fetched = -(1 << 62)
        self._lock = asyncio.Lock()

    async def identity(self, token: str, *, audience: str | None = None) -> Identity:
        """Return whose a token is; raises NotValid, and Problem while there are no keys.

        It has to be for this service, or for another `audience`: an ID token is for the client.
        """
        header = header_of(token)
        await self._with_key(str(header.get("kid", "")))
        assert self._keys is not None
        try:
            found = jwt.decode(token, self._keys, algorithms=list(ALGORITHMS))
            parse_json(decoded(token.split(".")[1]))  # of a claim made twice, which one counts?
        except RepeatedMember as problem:
            raise NotValid(f"of its claims {problem}") from None
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise NotValid(f"its signature does not hold ({type(error).__name__})") from None
        return self._of(found.claims, audience or self._audience)

    def _of(self, claims: Mapping[str, Any], wanted: str) -> Identity:
        now = self._now() // 1_000_000
        issuer, audience, subject = claims.get("iss"), claims.get("aud"), claims.get("sub")
        # Exactly a text: a list that holds the issuer is another's token.
        if type(issuer) is not str or issuer != self.url:
            raise NotValid("it is of another issuer")
        audiences = [audience] if type(audience) is str else audience
        if type(audiences) is not list or wanted not in audiences:
            raise NotValid("it is for another audience")
        if _seconds(claims, "exp", needed=True) <= now - SKEW:
            raise NotValid("it has expired")
        if max(_seconds(claims, "nbf"), _seconds(claims, "iat")) > now + SKEW:
            raise NotValid("it is not valid yet")
        if type(subject) is not str or not subject or code_fault(subject) or BOTH in subject:
            raise NotValid("it names nobody")
        claimed = claims.get(self._claim, ())
        roles = claimed.split() if type(claimed) is str else claimed
        if not isinstance(roles, list | tuple):
            roles = ()
        return Identity(f"{OIDC}{subject}", frozenset(r for r in roles if r in ROLES))

    async def _with_key(self, kid: str) -> None:
        """Fetch the keys where there are none, they are old, or one is not known."""
        age = (self._now() - self._fetched) / 1_000_000
        known = self._keys is not None and any(key.kid == kid for key in self._keys.keys)
        if age < AGAIN_SECONDS or (known and age < KEYS_SECONDS):
            if self._keys is None:
                raise _away()
            return
        async with self._lock:
            if (self._now() - self._fetched) / 1_000_000 < AGAIN_SECONDS:
                return
            self._fetched = self._now()
            try:
                self._keys = await self._fetch()
            except (httpx2.HTTPError, JoseError, ValueError, KeyError, TypeError) as error:
                if self._keys is None:
                    raise _away() from error

    async def _fetch(self) -> KeySet:
        async with httpx2.AsyncClient(timeout=5, follow_redirects=False) as client:
            about = await client.get(f"{self.url.rstrip('/')}/.well-known/openid-configuration")
            named = about.raise_for_status().json()
            if named["issuer"] != self.url:
                raise ValueError("the provider calls itself otherwise")
            keys = await client.get(named["jwks_uri"])
            return KeySet.import_key_set(keys.raise_for_status().json())


def decoded(part: str) -> bytes:
    """Return what a part of a token says; raises ValueError."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def header_of(token: str) -> dict[str, Any]:
    """Read the header of a token in compact form; raises NotValid for any other, and `crit`."""
    if len(token) > LONGEST or _COMPACT.fullmatch(token) is None:
        raise NotValid("it is no token in compact form")
    try:
        header = parse_json(decoded(token.partition(".")[0]))
    except ValueError:
        raise NotValid("its header does not read") from None
    if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
        raise NotValid(f"it is not signed by one of {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header:
        raise NotValid("its header asks for what is not done here")
    return header


def _seconds(claims: Mapping[str, Any], name: str, *, needed: bool = False) -> float:
    value = claims.get(name)
    if value is None and not needed:
        return 0
    if type(value) not in (int, float) or not 0 <= value < 1e11:  # type: ignore[operator]
        raise NotValid(f"its {name} is no instant")
    return float(value)  # type: ignore[arg-type]


def _away() -> Problem:
    return Problem("unavailable", "The provider of identities does not answer: try again.")
