"""`serve`: the API and the console over HTTP, on one ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attempt_ledger.api.app import application, edge_of
from attempt_ledger.api.app import serve as serve_it
from attempt_ledger.api.edge import Rates
from attempt_ledger.api.gate import OwnGate
from attempt_ledger.api.oidc import Issuer
from attempt_ledger.api.register import Register, register_path
from attempt_ledger.api.service import Service
from attempt_ledger.api.tokens import Tokens
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.options import HostNames, TokenFile, command
from attempt_ledger.cli.output import say
from attempt_ledger.cli.problems import DONE, CallProblem
from attempt_ledger.console.app import add_console
from attempt_ledger.console.log_in import Client
from attempt_ledger.console.sessions import Sessions
from attempt_ledger.listening import address_of, is_loopback, listening_on
from attempt_ledger.places import cache_folder
from attempt_ledger.sealing import processes
from replay.snapshot import Engine

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from attempt_ledger.api.traces import Traced


@command(
    "serve",
    examples="""
    attempt-ledger serve
    attempt-ledger token create booking-system --role booking
    attempt-ledger serve --host 0.0.0.0 --name ledger.example.org --proxy 10.0.0.7
    """,
)
def serve(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="H", help="Where to listen. Beyond this machine: only with tokens."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="P", min=0, max=65_535, help="0: any that is free.")
    ] = 8000,
    names: HostNames = None,
    proxies: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy",
            metavar="ADDRESS",
            help="The address of a proxy whose X-Forwarded-For and -Proto are believed. Repeat for "
            "more.",
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            "--rate", metavar="N", min=0, help="Requests a second for each identity; 0: any number."
        ),
    ] = 5_000,
    issuer: Annotated[
        str | None,
        typer.Option(
            "--oidc-issuer",
            metavar="URL",
            help="An OIDC provider whose tokens are taken too; with --oidc-audience.",
        ),
    ] = None,
    audience: Annotated[
        str | None,
        typer.Option("--oidc-audience", metavar="AUD", help="For whom its tokens have to be."),
    ] = None,
    claim: Annotated[
        str,
        typer.Option(
            "--oidc-roles",
            metavar="CLAIM",
            help="The claim that names roles, a list or a text parted by blanks.",
        ),
    ] = "roles",
    client: Annotated[
        str | None,
        typer.Option(
            "--oidc-client",
            metavar="ID",
            help="The client of the provider by which people log in to the console; its address to "
            "come back to is /log-in/callback.",
        ),
    ] = None,
    secret: Annotated[
        Path | None,
        typer.Option(
            "--oidc-secret",
            metavar="FILE",
            help="A file with the client's secret; without, it is a public client (PKCE).",
        ),
    ] = None,
    tokens: TokenFile = None,
) -> int:
    """Answer over HTTP, until Ctrl-C or SIGTERM.

    The API is below /v1, described by /openapi.json, and the console at /. While there is no token
    it listens on this machine alone and only reads; as soon as there is one (`token create`) every
    call needs one. It answers to the name it listens on and to --name: a request for any other
    host is refused.

    Needs FastAPI and more: pip install 'attempt-ledger[service]'.
    """
    call = replace(call_of(context), say=said_once())
    call.check()
    register = Register(register_path(call.path, tokens))
    known = Tokens(register, call.clock, required=issuer is not None)
    if (issuer is None) != (audience is None):
        raise CallProblem("--oidc-issuer and --oidc-audience go together: give both, or neither")
    if issuer is None and (client or secret):
        raise CallProblem("--oidc-client and --oidc-secret need --oidc-issuer")
    if secret is not None and client is None:
        raise CallProblem("--oidc-secret needs --oidc-client: whose secret it is")
    if not known.any and not is_loopback(host):
        raise CallProblem(
            f"--host {host} can be reached from other machines, and nobody has a token: make one "
            "by `token create`, or listen on 127.0.0.1"
        )

    provider = people = None
    if issuer is not None:
        provider = Issuer(issuer, str(audience), call.clock, claim=claim)
        if client is not None:
            people = Client(provider, client, None if secret is None else _secret(secret))
    engine = Engine(cache_folder(call.say), processes(), say=said_once())
    with listening_on(host, port) as listening:
        port = listening.getsockname()[1]
        service = Service(call, engine, register)
        app = application(service, OwnGate(known, provider))
        add_console(app, known, Sessions(register, known, call.clock), people)
        edge = edge_of(app, {host, *(names or ())}, Rates(rate, call.clock))
        traced = _traced(edge) if is_traced(os.environ) else None
        sentence = f"{call.path} is at {address_of(host, port)} until Ctrl-C"
        try:
            with suppress(KeyboardInterrupt):
                serve_it(traced or edge, service, listening, proxies or (), lambda: say(sentence))
        finally:
            if traced is not None:
                traced.close()
    return DONE


def is_traced(environment: Mapping[str, str]) -> bool:
    """Return whether OpenTelemetry's standard variables say where traces go."""
    named = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return (
        any(environment.get(name) for name in named)
        and environment.get("OTEL_TRACES_EXPORTER", "otlp") == "otlp"
        and environment.get("OTEL_SDK_DISABLED", "").lower() != "true"
    )


def _traced(app: ASGIApp) -> Traced:
    # The SDK takes 0.4 s to load, and most services send no traces.
    from attempt_ledger.api.traces import Traced

    return Traced(app, os.environ)


def _secret(path: Path) -> str:
    """Read a secret, which is its owner's alone."""
    try:
        if path.stat().st_mode & 0o077:
            raise CallProblem(f"{path} can be opened by other accounts: chmod 600 makes it yours")
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise CallProblem(f"{path} cannot be read: {str(reason).lower()}") from None
    if not text:
        raise CallProblem(f"{path} is empty: it should hold the client's secret")
    return text


def said_once() -> Callable[[str], None]:
    """Return what says each sentence once: a service that runs for weeks repeats nothing."""
    earlier: set[str] = set()

    def say_it(sentence: str) -> None:
        if sentence not in earlier and len(earlier) < _SENTENCES:
            earlier.add(sentence)
            say(sentence)

    return say_it


_SENTENCES = 1_000
