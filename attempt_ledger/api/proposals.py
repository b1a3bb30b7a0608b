"""What needs two people: a proposal that another identity approves within a day."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from attempt_ledger.api.problems import Problem
from attempt_ledger.api.register import Register
from attempt_ledger.api.tokens import BOTH
from attempt_ledger.checks import checked_id
from attempt_ledger.purging import purged
from ledger.events import Recorded
from ledger.facts import Fact
from ledger.fields import EventRef
from ledger.instants import DAY
from ledger.intake.catalogue import policy_facts
from ledger.ledger import Ledger
from ledger.models import EventAnnulled
from ledger.outcomes import Conflict, Refused
from ledger.privacy.erasure import forget, forgotten_at
from ledger.problems import shown
from replay.publishing import effects_of
from replay.snapshot import Snapshot

Kind: TypeAlias = Literal["annul", "forget", "publish"]
State: TypeAlias = Literal["open", "approved", "withdrawn", "expired"]

VALID: Final = DAY
"""So long a proposal may be approved, microseconds."""
SOURCE: Final = "urn:attempt-ledger:service"
"""The source of annulments that two people made here."""


class Proposal(NamedTuple):
    """A proposal; instants are microseconds UTC."""

    id: str
    kind: Kind
    what: dict[str, Any]
    proposed_by: str
    proposed_at: int
    decided_by: str | None
    decided_at: int | None
    state: State
    result: dict[str, Any] | None

    @property
    def expires_at(self) -> int:
        """When it can no longer be approved."""
        return self.proposed_at + VALID


class Proposals:
    """The proposals of a register."""

    def __init__(self, register: Register) -> None:
        self._register = register

    def make(self, kind: Kind, what: Mapping[str, Any], by: str, now: int) -> Proposal:
        """Keep a proposal that was checked (`check`)."""
        id = secrets.token_hex(8)
        with self._register.writing() as connection:
            connection.execute(
                "INSERT INTO proposals VALUES (?, ?, ?, ?, ?, NULL, NULL, 'open', NULL)",
                (id, kind, json.dumps(what, ensure_ascii=False), by, now),
            )
        return self.get(id, now)

    def get(self, id: str, now: int) -> Proposal:
        """Return a proposal; raises Problem."""
        found = self._read("WHERE id = ?", (id,), now)
        if not found:
            raise Problem("unknown", f"There is no proposal {shown(id)}.")
        return found[0]

    def all(self, state: State | None, now: int) -> list[Proposal]:
        """Return the proposals, the newest first; of a state or of all."""
        every = self._read("ORDER BY proposed_at DESC, id LIMIT 1000", (), now)
        return [each for each in every if state in (None, each.state)]

    def withdraw(self, id: str, by: str, now: int) -> Proposal:
        """Withdraw an open proposal, by whomever; the same again changes nothing."""
        proposal = self.get(id, now)
        if proposal.state not in ("open", "withdrawn"):
            raise undecidable(proposal)
        if proposal.state == "open":
            self._decide(id, "withdrawn", by, now, None)
        return self.get(id, now)

    def approve(
        self, id: str, by: str, now: int, carry_out: Callable[[Proposal, str], dict[str, Any]]
    ) -> Proposal:
        """Have an open proposal carried out, in the names of both; raises Problem.

        Killed between the ledger and the register it stays open: approved again it changes nothing
        in the ledger, which tells what was recorded before, and is closed.
        """
        proposal = self.get(id, now)
        if proposal.state == "approved" and proposal.decided_by == by:
            return proposal
        if proposal.state != "open":
            raise undecidable(proposal)
        if proposal.proposed_by == by:
            raise Problem("forbidden", f"{by} made this proposal: somebody else has to approve it.")
        result = carry_out(proposal, f"{proposal.proposed_by}{BOTH}{by}")
        self._decide(id, "approved", by, now, result)
        return self.get(id, now)

    def _decide(
        self, id: str, state: State, by: str, now: int, result: dict[str, Any] | None
    ) -> None:
        with self._register.writing() as connection:
            changed = connection.execute(
                "UPDATE proposals SET state = ?, decided_by = ?, decided_at = ?, result = ? "
                "WHERE id = ? AND state = 'open'",
                (state, by, now, None if result is None else json.dumps(result), id),
            ).rowcount
        if not changed:
            raise undecidable(self.get(id, now))

    def _read(self, where: str, values: tuple[str, ...], now: int) -> list[Proposal]:
        rows = self._register.rows(
            "SELECT id, kind, what, proposed_by, proposed_at, decided_by, decided_at, state, "
            f"result FROM proposals {where}",
            values,
        )
        found = [
            Proposal._make((*row[:2], json.loads(row[2]), *row[3:8], row[8] and json.loads(row[8])))
            for row in rows
        ]
        return [
            each._replace(state="expired")
            if each.state == "open" and now >= each.expires_at
            else each
            for each in found
        ]


def undecidable(proposal: Proposal) -> Problem:
    """Return that a proposal is not open any more."""
    return Problem("undecidable", f"The proposal {proposal.id} is {proposal.state}.")


def propose(
    register: Register, snapshot: Snapshot, kind: Kind, what: Mapping[str, str], by: str, now: int
) -> tuple[Proposal, tuple[str, ...]]:
    """Check a proposal and keep it; return it, and of a policy what it would change.

    Raises Problem, LedgerProblem, PolicyError.
    """
    check(snapshot.ledger, kind, what)
    effects: tuple[str, ...] = ()
    if kind == "publish":
        found = effects_of(snapshot, [(checked_id(what["toml"], "toml"), what["toml"])])
        effects = (*found.sentences, *([found.past] if found.past else []))
    return Proposals(register).make(kind, what, by, now), effects


def approve(
    register: Register, ledger: Ledger, id: str, by: str, now: int, views: Path
) -> Proposal:
    """Have a proposal of another identity carried out; raises Problem, LedgerProblem."""
    return Proposals(register).approve(
        id, by, now, lambda proposal, actor: carry_out(ledger, proposal, actor, views)
    )


# -- what may be proposed: each is checked when it is proposed, and again when it is carried out


def check(ledger: Ledger, kind: Kind, what: Mapping[str, str]) -> None:
    """Raise Problem, or LedgerProblem, where a proposal cannot be carried out, or is already."""
    if kind == "annul":
        _, before = _annulled(ledger, what)
        if before is not None:
            raise _done(f"{shown(what['id'])} of {shown(what['source'])} is annulled", before)
    elif kind == "forget":
        candidate = what["candidate"]
        rows = ledger.stream(f"candidate/{candidate}")
        if not rows:
            raise Problem("unknown", f"No candidate {shown(candidate)} in this ledger.")
        erased = forgotten_at(rows)
        if erased is not None and ledger.vault.look_up(candidate)[0] is None:
            raise _done(f"{shown(candidate)} is erased", erased)
    else:
        id, text = checked_id(what["toml"], "toml"), what["toml"]
        if not policy_facts([(id, text)], known=ledger.stream, now=ledger.clock()).facts:
            raise Problem("undecidable", f"The policy {shown(id)} is published so already.")


def _done(what: str, event: Recorded) -> Problem:
    return Problem("undecidable", f"{what} already, by position {event.position}.")


def carry_out(ledger: Ledger, proposal: Proposal, actor: str, views: Path) -> dict[str, Any]:
    """Do what was proposed, in the name of `actor`; return what came of it. Raises Problem.

    `views` is the read model, which is thrown away with an erasure, as the column cache is.
    """
    kind, what, now = proposal.kind, proposal.what, ledger.clock()
    if kind == "forget":
        done = forget(ledger, what["candidate"], reason=what["reason"], actor=actor, time=now)
        # Whoever reads proposals over HTTP is not to learn where the server keeps its files.
        notes = [sentence for sentence, _ in purged(ledger, views, name=lambda what, _: what)]
        return {"positions": [done.position], "notes": notes}
    if kind == "publish":
        text = what["toml"]
        id = checked_id(text, "toml")
        entries = policy_facts([(id, text)], known=ledger.stream, now=now, actor=actor)
        return {"positions": _positions(ledger, entries.facts), "notes": []}
    event, before = _annulled(ledger, what)
    if before is not None:
        return {"positions": [before.position], "notes": ["it was annulled before"]}
    source, id = what["source"], what["id"]
    annulment = EventAnnulled(annuls=EventRef(source=source, id=id), reason=what["reason"])
    # Made from what it annuls, so that two calls at once cannot record it twice.
    fact = Fact(SOURCE, f"annul/{source}/{id}", event.subject, now, annulment, actor)
    return {"positions": _positions(ledger, [fact]), "notes": []}


def _annulled(ledger: Ledger, what: Mapping[str, str]) -> tuple[Recorded, Recorded | None]:
    """Return the event that is to be annulled, and its annulment if it has one; raises Problem."""
    event = ledger.find(what["source"], what["id"])
    if event is None:
        raise Problem(
            "unknown", f"There is no event {shown(what['id'])} of {shown(what['source'])}."
        )
    if event.type == EventAnnulled.type:
        raise Problem("undecidable", "An annulment cannot be annulled: record the fact anew.")
    for other in ledger.stream(event.stream):
        if other.annuls == event.position:
            return event, other
    return event, None


def _positions(ledger: Ledger, facts: Sequence[Fact]) -> list[int]:
    found = []
    for outcome in ledger.append(facts):
        if isinstance(outcome, Conflict | Refused):
            raise Problem("conflict", outcome.problem)
        found.append(outcome.position)
    return found
