"""Bearer tokens of an OIDC provider: what is taken, and the faults that libraries had."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from oidc_provider import KEY, running
from serving import Served, event, example, served

from attempt_ledger.api.oidc import NotValid, header_of

OTHER = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Run a small real provider."""
    with running() as it:
        yield it.url


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Served]:
    """Serve the example to who has a token of the provider."""
    words = ("--oidc-issuer", provider, "--oidc-audience", "ledger")
    with served(example(tmp_path_factory.mktemp("api")), *words) as it:
        yield it


def claims(provider: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    found = {
        "iss": provider, "aud": "ledger", "sub": "robin", "exp": now + 600, "iat": now,
        "roles": ["recorder", "reader", "emperor"],
    }  # fmt: skip
    return {name: value for name, value in {**found, **changes}.items() if value is not None}


def signed(values: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1", **header}, values, key)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token_of_the_provider_is_an_identity_with_its_roles(it: Served, provider: str) -> None:
    """Its subject is the actor; roles that are none here are left out."""
    token = signed(claims(provider))
    headers = {**bearer(token), "content-type": "application/cloudevents+json"}
    answer = it.ask("POST", "/v1/events", json=event(1), headers=headers)
    assert answer.status_code == 201, answer.text
    line = it.ask("GET", "/v1/events?after=720", headers=bearer(token)).json()
    assert line["actor"] == "oidc:robin"
    it.problem(it.ask("GET", "/metrics", headers=bearer(signed(claims(provider, roles="booking")))),
               403, "forbidden")  # fmt: skip
    nothing = it.ask("GET", "/metrics", headers=bearer(signed(claims(provider, roles=["root"]))))
    found = it.problem(nothing, 403, "forbidden")
    assert found["detail"] == "GET /metrics is not for an identity without a role."
    listed = signed(claims(provider, aud=["other", "ledger"], roles="reader booking"))
    assert it.ask("GET", "/v1/policies", headers=bearer(listed)).status_code == 200
    it.problem(it.get("/v1/policies"), 401, "unauthenticated")
    assert it.get("/v1/policies", by="reader").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"}, {"iss": ["{iss}"]}, {"iss": None}, {"aud": "other"},
        {"aud": None}, {"aud": {"ledger": 1}}, {"exp": 1}, {"exp": None}, {"exp": "soon"},
        {"exp": True}, {"nbf": 9_999_999_999}, {"iat": 9_999_999_999}, {"sub": None}, {"sub": ""},
        {"sub": ["robin"]}, {"sub": "ro\u200bbin"}, {"sub": "robin + oidc:ana"},
    ],
)  # fmt: skip
def test_a_claim_that_is_not_as_it_has_to_be_is_refused(
    it: Served, provider: str, changes: dict[str, Any]
) -> None:
    """An issuer in a list, a time that is no number, a subject that is none."""
    said = json.loads(json.dumps(changes).replace("{iss}", provider))
    values = {**claims(provider), **said}
    token = signed({name: value for name, value in values.items() if value is not None})
    answer = it.ask("GET", "/v1/policies", headers=bearer(token))
    it.problem(answer, 401, "unauthenticated")


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_signature_that_is_not_the_providers_is_refused(it: Served, provider: str) -> None:
    """Another key, none, an empty one, a shared secret made of a public key, a critical header."""
    good = signed(claims(provider))
    head, body, signature = good.split(".")
    secret = OctKey.import_key(KEY.as_dict(private=False)["n"])
    twice = json.dumps(claims(provider)).replace('"sub"', '"sub": "ana", "sub"').encode()
    tokens = [
        jws.serialize_compact({"alg": "RS256", "kid": "k1"}, twice, KEY, algorithms=["RS256"]),
        signed(claims(provider), OTHER),
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{encoded({'alg': 'none'})}.{body}.",
        f"{encoded({'alg': 'none'})}.{body}.{signature}",
        jwt.encode({"alg": "HS256", "kid": "k1"}, claims(provider), secret),
        jwt.encode({"alg": "ES256", "kid": "k1"}, claims(provider), ECKey.generate_key("P-256")),
        f"{encoded({'alg': 'RS256', 'kid': 'k1', 'crit': ['exp'], 'exp': 1})}.{body}.{signature}",
        f"{encoded({'alg': 'RS256', 'b64': False, 'crit': ['b64']})}.{body}.{signature}",
        f"{encoded({'alg': 'RS256', 'kid': 'unknown'})}.{body}.{signature}",
        json.dumps({"payload": body, "signatures": [{"protected": head, "signature": signature}]}),
        f"{good}.{good}",
        good[:-4] + "AAAA",
        "a" * 9_000,
    ]
    for token in tokens:
        answer = it.ask("GET", "/v1/policies", headers=bearer(token))
        it.problem(answer, 401, "unauthenticated")
        assert token[:40] not in answer.text
    assert it.ask("GET", "/v1/policies", headers=bearer(good)).status_code == 200


def test_a_giant_header_is_not_parsed() -> None:
    """Before anything is decoded; deep nesting ends."""
    began = time.process_time()
    for token in ("a" * 100_000, f"{encoded('x' * 20_000)}.a.b", "e30.e30.", "[[[[.a.b", ""):
        with pytest.raises(NotValid):
            header_of(token)
    assert time.process_time() - began < 1


def test_the_provider_may_be_away(tmp_path: Path) -> None:
    """Then nobody gets in by its tokens, and own tokens go on."""
    path = example(tmp_path)
    words = ("--oidc-issuer", "http://127.0.0.1:9", "--oidc-audience", "ledger")
    with served(path, *words) as it:
        answer = it.ask("GET", "/v1/policies", headers=bearer(signed(claims("http://127.0.0.1:9"))))
        it.problem(answer, 503, "unavailable")
        assert it.get("/v1/policies", by="reader").status_code == 200
