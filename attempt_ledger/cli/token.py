"""`token create`, `list`, `revoke`: who may call the service, and what for."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.api.register import Register, register_path
from attempt_ledger.api.tokens import ROLES, Token, Tokens
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import Output, TokenFile, command
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.pages import columns
from attempt_ledger.cli.problems import DONE, CallProblem
from ledger.instants import format_instant
from replay.formats import About
from replay.many import many
from retake_policies.durations import DAY, MONTHS, TIME, parse_duration

Role = StrEnum("Role", {role: role for role in ROLES})  # type: ignore[misc]


@command(
    "token create",
    examples="""
    attempt-ledger token create booking-system --role booking
    attempt-ledger token create robin --role support --role officer --expires P90D
    """,
)
def create(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Whose it is; the actor of what it records."),
    ],
    roles: Annotated[
        list[Role], typer.Option("--role", metavar="ROLE", help=f"{', '.join(ROLES)}. Repeatable.")
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires", metavar="DURATION", help="Days or time, such as P90D. Default: never."
        ),
    ] = None,
    tokens: TokenFile = None,
) -> int:
    """Make a token for the service, and print it.

    It is shown only now: of it only a digest is kept. As soon as there is one, every call of the
    service needs one.
    """
    ends = None if expires is None else clock.now() + _length(expires)
    token = _tokens(context, tokens).create(name, [str(role) for role in roles], ends)
    put(f"{token}\n")
    until = "" if ends is None else f", until {format_instant(ends)}"
    say(f"the token of {name} is shown only now; it is for {', '.join(roles)}{until}")
    return DONE


@command("token list", examples="attempt-ledger token list --format json")
def list_(
    context: typer.Context,
    format: ListFormat = None,
    output: Output = None,
    tokens: TokenFile = None,
) -> int:
    """List the tokens, and when each was used last."""
    form = form_of(LISTED, format, output)
    every = _tokens(context, tokens).all()
    head = ("name", "roles", "state", "used")
    listing = Listing(
        About("Tokens", ()),
        lambda: columns(map(_line, every), head=head, whole=(0,)) if every else None,
        lambda: (json.dumps(_values(each), ensure_ascii=False) for each in every),
        lambda: many("listed_rows")("token list", (each._asdict() for each in every)),
    )
    put_list(listing, form, output)
    if not every and form == "text":
        say("No tokens: `token create` makes one.")
    return DONE


@command("token revoke", examples="attempt-ledger token revoke booking-system")
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is.")],
    tokens: TokenFile = None,
) -> int:
    """Revoke a token for good, at once.

    A running service refuses it from its next request on, and ends the streams that it began. Of
    one that is revoked already nothing is changed.
    """
    if _tokens(context, tokens).revoke(name):
        say(f"the token of {name} is revoked")
    else:
        say(f"the token of {name} is revoked already, nothing was changed")
    return DONE


def _tokens(context: typer.Context, named: TokenFile) -> Tokens:
    call = call_of(context)
    call.check()
    return Tokens(Register(register_path(call.path, named)), clock.now)


def _length(text: str) -> int:
    """Read how long a token is valid, in microseconds."""
    try:
        unit, amount = parse_duration(text)
    except ValueError as error:
        raise CallProblem(f"--expires: {error}") from None
    if unit == MONTHS:
        raise CallProblem(f"--expires {text} is in months: write days or time, such as P90D")
    if amount == 0:
        raise CallProblem(f"--expires {text} ends at once: the token would never be valid")
    return amount if unit == TIME else amount * DAY


def _state(token: Token) -> str:
    if token.revoked_at is not None:
        return f"revoked {format_instant(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    expired = token.expires_at <= clock.now()
    return f"{'expired' if expired else 'valid until'} {format_instant(token.expires_at)}"


def _line(token: Token) -> tuple[str, str, str, str]:
    used = "never" if token.used_at is None else format_instant(token.used_at)
    return token.name, ", ".join(token.roles), _state(token), used


def _values(token: Token) -> dict[str, object]:
    values = token._asdict()
    for name in ("created_at", "expires_at", "revoked_at", "used_at"):
        values[name] = None if values[name] is None else format_instant(values[name])
    return values
