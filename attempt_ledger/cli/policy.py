"""`policy`: check policy files, publish them, and see which are in force."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of
from attempt_ledger.cli.forms import LISTED, ListFormat, form_of
from attempt_ledger.cli.listing import Listing, put_list
from attempt_ledger.cli.options import (
    ACTOR,
    Actor,
    KnownAt,
    Output,
    PrintLines,
    Time,
    Yes,
    command,
)
from attempt_ledger.cli.outcomes import append_entries, confirm_policies, put_lines
from attempt_ledger.cli.output import put, say
from attempt_ledger.cli.pages import Columns, columns
from attempt_ledger.cli.problems import DONE, REFUSED, CallProblem
from attempt_ledger.cli.values import instant, known
from ledger.instants import format_instant
from ledger.intake.catalogue import policy_facts
from ledger.intake.source import read_whole
from projections.catalogue import Catalogue, Version
from replay.formats import About
from replay.many import many
from replay.publishing import in_force, version_values, versions_of
from replay.snapshot import snapshot_at
from retake_policies import SHIPPED, shipped
from retake_policies.schema import PolicyError, parse_policy
from retake_policies.wording import changes, policy_text


class Written(StrEnum):
    """How one policy is shown."""

    text = "text"
    toml = "toml"


@command(
    "policy check",
    examples="""
    attempt-ledger policy check our-rules.toml
    attempt-ledger policy check retake_policies/data/*.toml
    """,
)
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Policy files, TOML, 16 MB at most.")
    ],
) -> int:
    """Check policy files; needs no ledger.

    Every fault is a sentence with its key, the value, and what would be accepted; with any, the
    exit code is 1.
    """
    code = DONE
    for file in files:
        try:
            policy = parse_policy(read_whole(file), str(file))
        except PolicyError as error:
            code = REFUSED
            for problem in error.problems:
                say(problem)
        else:
            put(
                f"{file}: {policy.id}, effective from {format_instant(policy.effective_from)}, "
                "is sound\n"
            )
    return code


@command(
    "policy list",
    examples="""
    attempt-ledger policy list
    attempt-ledger policy list --known-at 2021-06-30 --format json
    attempt-ledger policy list --output policies.csv
    """,
)
def list_(
    context: typer.Context,
    known_at: KnownAt = None,
    format: ListFormat = None,
    output: Output = None,
) -> int:
    """List the policies that are published, every version of each."""
    form = form_of(LISTED, format, output)
    position, catalogue = _snapshot(context, known_at)
    versions = versions_of(catalogue, position)
    listing = Listing(
        About("Published policies", (f"up to position {position}",)),
        lambda: _list_page(versions) if versions else None,
        lambda: (json.dumps(version_values(each), ensure_ascii=False) for each in versions),
        lambda: many("listed_rows")("policy list", map(_list_row, versions)),
    )
    put_list(listing, form, output)
    if not versions and form == "text":
        say("No policy is published.")
    unreadable = [
        f"{event.source} {event.id} is no policy: {error}"
        for (event, error), end in zip(
            catalogue.unreadable, catalogue.unreadable_annulled, strict=True
        )
        if event.position <= position < end
    ]
    for sentence in unreadable:
        say(sentence)
    return REFUSED if unreadable else DONE


def _list_page(versions: Sequence[Version]) -> Columns:
    rows = [
        (
            version.policy.id,
            format_instant(version.policy.effective_from),
            str(version.event.position),
            version.policy.title,
        )
        for version in versions
    ]
    head = ("policy", "effective from", "position", "title")
    return columns(rows, head=head, right=(2,), whole=(0, 1, 2))


def _list_row(version: Version) -> dict[str, object]:
    """Return the values of a version, its instants as microseconds."""
    return version_values(version) | {
        "effective_from": version.policy.effective_from,
        "recorded_at": version.event.recorded_at,
    }


@command(
    "policy show",
    examples="""
    attempt-ledger policy show general
    attempt-ledger policy show general --at 2021-06-30
    attempt-ledger policy show general --format toml > our-rules.toml
    """,
)
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID|FILE", help="The policy's id, or its file.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", "--as-of", metavar="T", help="The version in force then. Default: now."
        ),
    ] = None,
    known_at: KnownAt = None,
    format: Annotated[
        Written,
        typer.Option(
            "--format", metavar="text|toml", help="text in words, toml as it was published."
        ),
    ] = Written.text,
) -> int:
    """Show the policy in force on a day, or a file, in words."""
    if Path(id).is_file():
        text = read_whole(id)
        policy = parse_policy(text, id)
        put(text.decode() if format is Written.toml else policy_text(policy))
        return DONE
    moment = clock.now() if at is None else instant("--as-of", at)
    version = _published(context, id, moment, known_at)
    if version.policy.effective_from > moment:
        say(f"no version of {id} is in force so early: its first is assumed")
    if format is Written.toml:
        put(str(version.event.payload()["toml"]))
    else:
        put(policy_text(version.policy))
    return DONE


@command(
    "policy diff",
    examples="""
    attempt-ledger policy diff general our-rules.toml
    attempt-ledger policy diff old.toml new.toml
    """,
)
def diff(
    context: typer.Context,
    old: Annotated[str, typer.Argument(metavar="OLD", help="A policy's id, or a file.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="A policy's id, or a file.")],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", "--as-of", metavar="T", help="Of an id the version in force then. Default: now."
        ),
    ] = None,
    known_at: KnownAt = None,
) -> int:
    """List what differs between two policies, clause by clause.

    The exit code is 1 where anything differs.
    """
    moment = clock.now() if at is None else instant("--as-of", at)
    policies = [
        parse_policy(read_whole(each), each)
        if Path(each).is_file()
        else _published(context, each, moment, known_at).policy
        for each in (old, new)
    ]
    found = changes(*policies)
    put("".join(f"{each}\n" for each in found))
    return REFUSED if found else DONE


@command(
    "policy publish",
    examples="""
    attempt-ledger policy publish our-rules.toml
    attempt-ledger policy publish general mta-mce mos
    attempt-ledger policy publish --print general --time 2021-03-31 >> lines-to-merge.jsonl
    """,
)
def publish(
    context: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Policy files, 16 MB at most, or names of shipped ones: general, mta-mce, mos.",
        ),
    ],
    print_lines: PrintLines = False,
    yes: Yes = False,
    time: Time = None,
    actor: Actor = ACTOR,
) -> int:
    """Publish policy files into the ledger.

    A text that is published as it stands adds nothing. Which version holds on a day is said by the
    file's effective_from, not by --time. A file with a fault stops the call, and nothing is
    published. What changes in the rules is said; where the past changes with it, a terminal is
    asked, and elsewhere --yes is needed.
    """
    texts: list[tuple[str, str]] = []
    problems: list[str] = []
    for file in files:
        try:
            texts.append(read_policy_file(file))
        except PolicyError as error:
            problems += error.problems
    if problems:
        raise PolicyError(tuple(problems))
    at = clock.now() if time is None else instant("--time", time)
    with call_of(context).open_or_none(print_lines) as ledger:
        entries = policy_facts(
            texts,
            known=ledger.stream if ledger is not None else lambda stream: (),
            now=at,
            actor=actor,
        )
        if print_lines or ledger is None:
            put_lines(entries.facts)
            return DONE
        confirm_policies(ledger, entries.facts, yes=yes)
        return append_entries(ledger, entries.facts, entries.unchanged, ", ".join(files))


def read_policy_file(file: str) -> tuple[str, str]:
    """Return a policy's id and text, of a file or of a shipped policy's name."""
    if file in SHIPPED and not Path(file).exists():
        return file, dict(shipped())[file]
    data = read_whole(file)
    return parse_policy(data, file).id, data.decode()


def _published(context: typer.Context, id: str, at: int, known_at: str | None) -> Version:
    """Return the version of a policy that is in force at an instant; raises CallProblem."""
    position, catalogue = _snapshot(context, known_at)
    version = in_force(catalogue, id, at, position)
    if version is None:
        there = dict.fromkeys(each.policy.id for each in versions_of(catalogue, position))
        raise CallProblem(
            f"no policy {id!r} was published by then; there are: {', '.join(there) or 'none'}"
        )
    return version


def _snapshot(context: typer.Context, known_at: str | None) -> tuple[int, Catalogue]:
    """Return the last known position, and the catalogue."""
    now = clock.now()
    with call_of(context).open() as ledger:
        snapshot = snapshot_at(ledger, now, known(known_at), now=now)
        return snapshot.position, snapshot.catalogue
