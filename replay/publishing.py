"""What publishing policies would do: what changes in the rules, and what of the past."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ledger.extras import NotInstalled
from ledger.instants import format_instant
from projections.catalogue import Catalogue, Version
from replay.snapshot import Snapshot
from retake_policies.rules import version_in_force
from retake_policies.schema import Policy, parse_policy
from retake_policies.wording import changes


class Effects(NamedTuple):
    """What some versions of policies would do, published beside those that are."""

    sentences: tuple[str, ...]
    """What each is, and what it changes of the version in whose place it comes."""
    standings: int
    """How many standings as of the moment would change."""
    violations: int
    """How many past sittings would become violations."""
    uncounted: str | None = None
    """Why these were not counted, where that needs what is not installed."""

    @property
    def past(self) -> str | None:
        """What would change of the past, None where nothing does."""
        if self.uncounted is not None:
            return f"it lies in the past, and what it changes there is not known: {self.uncounted}"
        if not self.standings and not self.violations:
            return None
        stand = "1 standing as of today changes"
        if self.standings != 1:
            stand = f"{self.standings:,} standings as of today change"
        broken = "1 past sitting becomes a violation"
        if self.violations != 1:
            broken = f"{self.violations:,} past sittings become violations"
        return f"it lies in the past: {stand}, {broken}"


def effects_of(snapshot: Snapshot, texts: Sequence[tuple[str, str]]) -> Effects:
    """Compare policies, each an id and a text, with what is published.

    Everybody is folded only where one is in force already at the snapshot's as_of, for an exam that
    follows it. Raises PolicyError.
    """
    policies = [parse_policy(text, id) for id, text in texts]
    sentences = [each for policy in policies for each in described(snapshot, policy)]
    past = [
        draft
        for policy, draft in zip(policies, texts, strict=True)
        if policy.effective_from <= snapshot.as_of and is_followed(snapshot.catalogue, policy.id)
    ]
    if not past:
        return Effects(tuple(sentences), 0, 0)
    try:
        compared = snapshot.what_if(past)
    except NotInstalled as problem:
        return Effects(tuple(sentences), 0, 0, str(problem))
    refused = compared.sittings["change"].to_pylist().count("refused")
    return Effects(tuple(sentences), compared.standings.num_rows, refused)


def described(snapshot: Snapshot, policy: Policy) -> Iterator[str]:
    """Yield what a version is, and what differs from the one in force on its first day."""
    begins = format_instant(policy.effective_from)
    before = in_force(snapshot.catalogue, policy.id, policy.effective_from, snapshot.position)
    if before is None:
        yield f"{policy.id}, in force from {begins}: no version of it is published yet"
        return
    differing = changes(before.policy, policy)
    of = f"that of {format_instant(before.policy.effective_from)}"
    if not differing:
        yield f"{policy.id}, in force from {begins}: nothing differs from {of}"
        return
    yield f"{policy.id}, in force from {begins}, differs from {of}:"
    yield from (f"  {each}" for each in differing)


def in_force(catalogue: Catalogue, id: str, at: int, position: int) -> Version | None:
    """Return the version of a policy that is in force at an instant, as known at a position."""
    number = catalogue.policies.get(id)
    if number is None:
        return None
    versions = catalogue.versions
    row = version_in_force(
        versions.effective_from,
        versions.position,
        versions.annulled,
        versions.lo[number],
        versions.hi[number],
        at,
        position,
    )
    return None if row < 0 else catalogue.published[row]


def versions_of(catalogue: Catalogue, position: int) -> list[Version]:
    """Return the versions known at a position, by (id, effective_from, position)."""
    return sorted(
        (
            version
            for version, end in zip(catalogue.published, catalogue.versions.annulled, strict=True)
            if version.event.position <= position < end
        ),
        key=lambda version: (
            version.policy.id,
            version.policy.effective_from,
            version.event.position,
        ),
    )


def version_values(version: Version) -> dict[str, Any]:
    """Return what a list of versions shows of one, as JSON values."""
    policy, event = version.policy, version.event
    return {
        "id": policy.id,
        "effective_from": format_instant(policy.effective_from),
        "title": policy.title,
        "source": policy.source,
        "sha256": policy.sha256,
        "position": event.position,
        "recorded_at": format_instant(event.recorded_at),
    }


def is_followed(catalogue: Catalogue, id: str) -> bool:
    """Return whether any exam follows a policy, by any of its entries."""
    return catalogue.policies.get(id, -1) in catalogue.definitions.policy
