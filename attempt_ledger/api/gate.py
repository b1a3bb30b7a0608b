"""Who asks: by an own token, later by OIDC; never by a header that a proxy sets."""

from __future__ import annotations

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.roles import NOBODY
from attempt_ledger.api.tokens import Identity, Tokens

_LONGEST = 8 << 10
"""Of an Authorization header, in bytes: longer ones are not looked at."""


class OwnGate:
    """Tells identities by the tokens of a register; while there is none, everybody is NOBODY."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def identity(self, authorization: str | None) -> Identity:
        """Return who sent an Authorization header; raises Problem."""
        if authorization is None:
            if not self._tokens.any:
                return NOBODY
            raise unauthenticated("Send a token: Authorization: Bearer ….")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or len(authorization) > _LONGEST:
            raise unauthenticated("The Authorization header is none of: Bearer, and a token.")
        identity = self._tokens.identity(token.strip())
        if identity is None:
            raise unauthenticated("The token is not valid, or not any more.")
        return identity

    def note_uses(self) -> None:
        """Write down when each token was used last."""
        self._tokens.note_uses()


def unauthenticated(sentence: str) -> Problem:
    """Return that it is not clear who asks."""
    headers = {"www-authenticate": 'Bearer realm="attempt-ledger"'}
    return Problem("unauthenticated", sentence, headers=headers)
