"""Write docs/service.md: the text, routes with their roles, problems. `--check` compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pages import settle

from attempt_ledger.api.app import ROUTES
from attempt_ledger.api.problems import KINDS, NAMES
from attempt_ledger.api.roles import OPEN, RIGHTS
from attempt_ledger.api.tokens import ROLES

PAGE = Path(__file__).with_name("service.md")

START = """\
# The service

<!-- Written by docs/generate_service.py: change the text there. -->

`attempt-ledger serve` answers over HTTP: the API below `/v1`, described by `/openapi.json`, and
the console at `/`. It is in the extra `service`: `pip install 'attempt-ledger[service]'`.

```console
$ attempt-ledger serve
attempt-ledger: attempts.ledger is at http://127.0.0.1:8000 until Ctrl-C
$ curl 'http://127.0.0.1:8000/v1/standing?candidate=C-1001&exam=AZ-104'
```

While there is no token, and no OIDC provider, it listens on this machine alone, only reads, and
shows no personal field in clear text. As soon as there is one, every call needs one:

```console
$ attempt-ledger token create booking-system --role booking --expires P365D
$ attempt-ledger serve --host 0.0.0.0 --name ledger.example.org --proxy 10.0.0.7
$ curl -H "Authorization: Bearer $TOKEN" https://ledger.example.org/v1/policies
```

People and programs may have tokens of an OIDC provider instead. Bearer tokens have to be for
`--oidc-audience`; people log in to the console as its client (authorization code, PKCE), and come
back to `https://NAME/log-in/callback`. Roles are those that the claim `--oidc-roles` names, `roles`
by default; the identity, and so `actor`, is `oidc:` and the subject:

```console
$ attempt-ledger serve --name ledger.example.org --proxy 10.0.0.7 \\
    --oidc-issuer https://login.example.org --oidc-audience ledger --oidc-client ledger-console
```

A session ends after 30 minutes without use, after 12 hours, and by *Log out everywhere* in every
browser. Whoever logged in at the provider is logged out there too, where it has an address for that
(`end_session_endpoint`), and comes back to `https://NAME/log-in`, which is registered there as a
post-logout address. The provider's token is not kept, and so not sent as a hint.

TLS is a proxy's to end. The service believes `X-Forwarded-For` and `-Proto` only of the addresses
named by `--proxy`, and who asks only by the token: no header makes anybody anybody. It answers to
the names it was started with (`--host`, `--name`) and to no other.

## Asking

- `as_of` and `known_at` are taken on every question, as people type them: `2021-03-15`,
  `2021-03-15 09:00Z`, `@42` for a position. Whatever is not understood is refused: an unknown
  parameter, one that comes twice.
- One candidate: `GET /v1/standing` is the object that the command line prints. Many at once:
  `POST /v1/standings`, up to 1,000 pairs; `"fields": "decision"` leaves the reasons out and is
  many times as fast.
- Everybody: `/v1/everybody`, `/v1/tables/…`, `/v1/reports/…`, `/v1/audits/…`, `/v1/violations`,
  `/v1/diff` come as `text/csv`, `application/x-ndjson`, `application/vnd.apache.parquet` or
  `application/vnd.apache.arrow.stream`, as `Accept` asks. The `Link` of a table is its receipt,
  by which `POST /v1/receipts/check`, or `receipt check`, computes it again.

## Caching is truthful

An answer for now changes at its `next_change_at` without any event, and by an event at any
moment. So `/v1/standing` comes with `private, no-cache` and a weak `ETag`: send it back as
`If-None-Match`, and a 304 says that the answer is equal but for `as_of`, `known_at` and
`position`. It costs a fraction of an answer. With both moments fixed the answer is `immutable`.

## Recording

`POST /v1/events` takes one CloudEvent (structured or binary) or a batch: sittings, results and
certification facts. **Identity never expires**: the same event again is answered 200 with its
position, today or in ten years; another one under the same `source` and `id` is a 409 that names
what differs. A batch is answered item by item. `actor` is the identity that asks.

## Following

- `GET /v1/events?after=42&wait=30` pages, or waits for the next. `GET /v1/events/stream` pushes
  (server-sent events, `id` = position; `Last-Event-ID` resumes).
- `GET /v1/changes` and `/v1/changes/stream` tell whose standing changed, from what to what,
  through which events or by the clock alone. Keep the `cursor` of the last one.
- Name the last event you have (`last_source`, `last_id`): where another stands at its position
  now, the ledger was restored, and you are told: 409, or an event named `reset`.

## Booking systems

`GET /v1/booking?since=CURSOR` (or `attempt-ledger booking`) is the difference between two
moments: add, update and delete, one row for each candidate and exam with a sitting, a grant or an
authorization, with an id that stays. `eligible_from` is the beginning of the stretch in which the
candidate may sit it, `eligible_until` the first instant at which that is over on present facts.
As `text/tab-separated-values` it is the file that Pearson's authorization imports take, with
whole dates: the first on which the candidate is eligible all day, and the last, on the clock of
`zone`. A program reads it, so ids and codes stand in it as they are, without the `'` that our CSV
puts before `=`: who opens it in a spreadsheet has it take its columns as text.

Send back what became of each row (`POST /v1/booking/confirmations`): what was not accepted comes
again.

## What needs two people

Erasure, annulment and publishing a policy are proposed (`POST /v1/proposals`) by one identity and
approved by another within 24 hours; then they are carried out, and `actor` names both.

## Limits

Bodies have at most 1 MB (events 16 MB, receipts 64 MB), pages 1,000 events, waits 30 seconds. A
request that does not arrive within a minute, or a reader who takes nothing for half a minute, is
cut off. Each identity has `--rate` requests a second. On SIGTERM what is under way is ended
within ten seconds.
"""


def page() -> Iterator[str]:
    """Yield the page piece by piece."""
    yield START
    yield "\n## Routes, and who may\n\n"
    yield f"| route | what | {' | '.join(ROLES)} |\n|---|---|{'---|' * len(ROLES)}\n"
    lines = {
        f"{method} {route.path}".replace("{path:path}", "{path}"): route.endpoint.__doc__
        for group in ROUTES
        for route in group.routes
        for method in route.methods
    }
    for key, right in RIGHTS.items():
        said = (lines.get(key) or "").strip().partition("\n")[0]
        if key.split()[1].startswith(("/v1/", "/openapi", "/metrics")):
            marks = " | ".join("yes" if role in right.roles else "" for role in ROLES)
            yield f"| `{key}` | {said} | {marks} |\n"
    yield f"\nWithout a token: {', '.join(f'`{key}`' for key in sorted(OPEN))}.\n"
    yield "\n## Problems\n\n"
    yield "Errors are `application/problem+json` (RFC 9457): the command line's sentence as\n"
    yield f"`detail`, a `type` that stays, `{NAMES}…`:\n\n"
    yield "| type | status | title |\n|---|---|---|\n"
    for name, (status, title) in KINDS.items():
        yield f"| `{name}` | {status} | {title} |\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, lambda: "".join(page()), sys.argv[1:]))
