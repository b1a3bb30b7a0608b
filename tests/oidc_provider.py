"""A small real OIDC provider: its configuration, its keys, and logging in with PKCE."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)


class Provider:
    """What it knows, and what a test changes of its answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.people = {"robin": ["officer", "support"], "kim": ["admin"], "guest": []}
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {}
        """Claims of ID tokens that are other than they should be."""
        self.header: dict[str, Any] = {}
        self.requests: list[dict[str, str]] = []
        """What was sent to the token endpoint."""
        self.ended: list[dict[str, str]] = []
        """What was sent to the address where a session ends."""
        self.ends = True
        """Whether there is such an address."""

    def token(self, code: str, verifier: str) -> dict[str, Any] | None:
        """Redeem a code, once; None where it is none, or not whoever began."""
        asked = self.codes.pop(code, None)
        digest = hashlib.sha256(verifier.encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge:
            return None
        assert asked["code_challenge_method"] == "S256"
        now, who = int(time.time()), asked["who"]
        claims = {
            "iss": self.url, "aud": asked["client_id"], "sub": who, "iat": now, "exp": now + 600,
            "nonce": asked["nonce"], "roles": self.people[who], **self.claims,
        }  # fmt: skip
        header = {"alg": "RS256", "kid": "k1", **self.header}
        return {
            "token_type": "Bearer",
            "access_token": secrets.token_urlsafe(16),
            "id_token": jwt.encode(header, claims, KEY),
        }


@contextmanager
def running() -> Iterator[Provider]:
    """Run it on a port that is free."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, urlsplit(self.path).query
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            if path == "/keys":
                self._json({"keys": [KEY.as_dict(private=False)]})
            elif path == "/authorize" and "who" not in asked:
                links = []
                for who in provider.people:
                    address = urlencode({**asked, "who": who}).replace("&", "&amp;")
                    links.append(f'<p><a id="{who}" href="?{address}">{who}</a>')
                self._send(200, "text/html", f"<title>Who?</title>{''.join(links)}".encode())
            elif path == "/authorize":
                code = secrets.token_urlsafe(16)
                provider.codes[code] = asked
                back = urlencode({"code": code, "state": asked["state"]})
                self._send(302, "text/plain", b"", location=f"{asked['redirect_uri']}?{back}")
            elif path == "/end":
                provider.ended.append(asked)
                back = urlencode({"state": asked["state"]})
                address = f"{asked['post_logout_redirect_uri']}?{back}"
                self._send(302, "text/plain", b"", location=address)
            else:
                ends = {"end_session_endpoint": f"{provider.url}/end"} if provider.ends else {}
                self._json(
                    {
                        **ends,
                        "issuer": provider.url,
                        "jwks_uri": f"{provider.url}/keys",
                        "authorization_endpoint": f"{provider.url}/authorize",
                        "token_endpoint": f"{provider.url}/token",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            provider.requests.append(asked)
            found = provider.token(asked["code"], asked["code_verifier"])
            self._json(found or {"error": "invalid_grant"}, 200 if found else 400)

        def _json(self, value: Any, status: int = 200) -> None:
            self._send(status, "application/json", json.dumps(value).encode())

        def _send(self, status: int, media: str, body: bytes, **headers: str) -> None:
            self.send_response(status)
            self.send_header("content-type", media)
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
