"""What a policy must be to be published: sound, and under its own name."""

from __future__ import annotations

from ledger.events import Fact, PolicyPublished
from ledger.intake.catalogue import CatalogueProblem
from retake_policies.schema import PolicyError, parse_policy


def checked_id(text: str, where: str) -> str:
    """Return a policy text's id; raises CatalogueProblem with a sentence for each of its faults.

    `where` names the file in each sentence.
    """
    try:
        return parse_policy(text, where).id
    except PolicyError as error:
        raise CatalogueProblem(error.problems) from None


def fault_of(fact: Fact) -> str | None:
    """Return what is wrong with a PolicyPublished that came as an event; None if nothing is.

    `ledger` knows nothing of policies, so the door says it.
    """
    event = fact.event
    if not isinstance(event, PolicyPublished):
        return None
    try:
        policy = parse_policy(event.toml, f"policy {fact.subject}")
    except PolicyError as error:
        return " ".join(error.problems)
    if policy.id != fact.subject:
        return (
            f"the policy's id is {policy.id!r} and its subject {fact.subject!r}: "
            "they should be the same"
        )
    return None
