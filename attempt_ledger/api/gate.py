"""Who asks: by an own token, or one of an OIDC provider; never by a header that a proxy sets."""

from __future__ import annotations

from attempt_ledger.api.oidc import Issuer, NotValid
from attempt_ledger.api.problems import Problem
from attempt_ledger.api.roles import NOBODY
from attempt_ledger.api.tokens import PREFIX, Identity, Tokens, is_whole

_LONGEST = 8 << 10
"""Of an Authorization header, in bytes: longer ones are not looked at."""


class OwnGate:
    """Tells identities by tokens; while there are none, and no provider, everybody is NOBODY."""

    def __init__(self, tokens: Tokens, issuer: Issuer | None = None) -> None:
        self._tokens = tokens
        self._issuer = issuer

    async def identity(self, authorization: str | None) -> Identity:
        """Return who sent an Authorization header; raises Problem."""
        if authorization is None:
            if not self._tokens.any:
                return NOBODY
            raise unauthenticated("Send a token: Authorization: Bearer ….")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or len(authorization) > _LONGEST:
            raise unauthenticated("The Authorization header is none of: Bearer, and a token.")
        token = token.strip()
        if self._issuer is not None and not token.startswith(PREFIX):
            try:
                return await self._issuer.identity(token)
            except NotValid as problem:
                raise unauthenticated(f"The token is not valid: {problem}.") from None
        identity = self._tokens.identity(token)
        if identity is None:
            raise unauthenticated(
                "The token is not valid, or not any more."
                if is_whole(token) or not token.startswith(PREFIX)
                else "The token has a letter too many, too few or wrong: copy it again."
            )
        return identity

    def note_uses(self) -> None:
        """Write down when each token was used last."""
        self._tokens.note_uses()


def unauthenticated(sentence: str) -> Problem:
    """Return that it is not clear who asks."""
    headers = {"www-authenticate": 'Bearer realm="attempt-ledger"'}
    return Problem("unauthenticated", sentence, headers=headers)
