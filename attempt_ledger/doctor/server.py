"""Checks of a server that keeps a ledger: how it is set up, what it holds, how it is backed up."""

from __future__ import annotations

from collections.abc import Iterator

from attempt_ledger.doctor.findings import Depth, Finding, Subject, fine, found, span
from ledger.instants import SECOND
from ledger.store.sealing import inspection_of
from ledger.store.server import postgres_module

CLOCKS_APART = 5 * SECOND
_TAIL = 10_000
_PUT_BACK = (
    "keep the database as it is, to find out how; restore a dump or the archive into another one, "
    "and `verify --against` a checkpoint that was kept, as docs/postgresql.md shows"
)
_FULL = 0.8
"""From so many of a server's connections in use on, few are left."""


def server(subject: Subject) -> Iterator[Finding]:
    """Can it be reached, and written?"""
    state = subject.server_state
    sentence = f"PostgreSQL {state.version} answers"
    if state.is_standby:
        yield found("server-standby", f"{subject.path} is a standby: nothing can be appended here")
    else:
        yield fine("server", sentence, version=state.version)


def integrity(subject: Subject) -> Iterator[Finding]:
    """Does the schema define what a ledger does, and no more, and are all positions there?"""
    address = subject.path
    sentences = inspection_of(address).definitions(address)
    if sentences:
        more = f", and {len(sentences) - 1} more" if len(sentences) > 1 else ""
        yield found("schema-redefined", f"{sentences[0]}{more}", redefined=len(sentences))
    after = max(0, subject.head.position - _TAIL) if subject.depth is Depth.quick else 0
    content = postgres_module("store.postgres_state").content_of(address, after=after)
    if content.missing is not None:
        yield found(
            "position-missing",
            f"position {content.missing:,} is missing, of {subject.head.position:,}",
            f"`verify` says what was taken out or put in; {_PUT_BACK}",
            position=content.missing,
        )
    if content.falls is not None:
        yield found(
            "recorded-at-falls",
            f"position {content.falls:,} says it was recorded before the one before it",
            f"`verify` says whether it was changed; if so, {_PUT_BACK}",
            position=content.falls,
        )
    if not sentences and content.missing is content.falls is None:
        rows = f"the last {_TAIL:,} rows" if after else f"all {subject.head.position:,} rows"
        yield fine("integrity", f"the schema and {rows} are as they should be")


def durability(subject: Subject) -> Iterator[Finding]:
    """Is an acknowledged event there after a crash, and after a failover?"""
    state = subject.server_state
    if state.unsafe:
        settings = " and ".join(state.unsafe)
        yield found("not-flushed", f"the server runs with {settings}: a crash loses events")
    elif state.waits_for and not state.synchronous:
        yield found(
            "standby-missing",
            f"every commit waits for a standby ({state.waits_for}), and none is there: nothing is "
            "answered or appended until one is",
        )
    elif state.standbys and not state.synchronous:
        yield found(
            "standby-asynchronous",
            f"{state.standbys} standbys follow, and a commit waits for none: a failover loses "
            "what they had not received",
            standbys=state.standbys,
        )
    else:
        more = f", and on {state.synchronous} standbys" if state.synchronous else ""
        yield fine("durability", f"each commit is flushed before it is acknowledged{more}")


def connections(subject: Subject) -> Iterator[Finding]:
    """Are there connections left?"""
    state = subject.server_state
    sentence = f"{state.connections} of {state.most_connections} connections are in use"
    figures = {"connections": state.connections, "most": state.most_connections}
    if state.connections > _FULL * state.most_connections:
        yield found("connections-few", sentence, **figures)
    else:
        yield fine("connections", sentence, **figures)


def server_clock(subject: Subject) -> Iterator[Finding]:
    """Does the server's clock say what this machine's does? Several machines write one ledger."""
    difference = abs(subject.server_state.now - subject.clock())
    if difference > CLOCKS_APART:
        yield found(
            "clocks-apart",
            f"this machine's clock and the server's are {span(difference)} apart",
            seconds=difference // SECOND,
        )
    else:
        yield fine("server-clock", "this machine's clock agrees with the server's")


def archive(subject: Subject) -> Iterator[Finding]:
    """Is what is written archived, so that a backup can be brought up to the last minute?"""
    state = subject.server_state
    if not state.archives:
        yield found("no-archive", "the server archives nothing (archive_mode = off)")
    elif state.archive_failed:
        yield found("archive-fails", "the last attempt to archive a segment failed")
    else:
        yield fine("archive", "the server archives what is written")
