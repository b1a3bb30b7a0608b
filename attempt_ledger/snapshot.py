"""A ledger at one moment, as Python programs ask it; and its reports."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from attempt_ledger.answers import Public, Standing, public
from attempt_ledger.arguments import pair, several, text, text_or_none, texts
from attempt_ledger.moments import When, micros, utc
from ledger.instants import month_of
from replay import snapshot as core
from retake_policies.schema import parse_policy

if TYPE_CHECKING:
    import pyarrow as pa

    from replay.outputs import Output
    from replay.receipts import Basis
    from replay.what_if import Compared


class Snapshot(Public):
    """A ledger at one moment: made by `Ledger.at`, valid while the ledger is open."""

    def __init__(self, bound: core.Snapshot) -> None:
        """Use `Ledger.at`."""
        self._bound = bound

    def __repr__(self) -> str:
        return f"<Snapshot of {self._bound.ledger.path}, as of {self.as_of}, @{self.position}>"

    @property
    def as_of(self) -> datetime:
        """The instant whose truth is asked about."""
        return utc(self._bound.as_of)

    @property
    def known_at(self) -> datetime | None:
        """The instant whose knowledge is used; None before any event."""
        known_at = self._bound.moment.known_at
        return None if known_at is None else utc(known_at)

    @property
    def position(self) -> int:
        """The last position that is known."""
        return self._bound.position

    def standing(self, candidate: str, exam: str) -> Standing:
        """Return whether a candidate may sit an exam, why not and from when.

        A candidate of whom nothing is known is answered like anybody who has never sat the exam.
        """
        return public(
            Standing, self._bound.standing(text("candidate", candidate), text("exam", exam))
        )

    @overload
    def standings(self, pairs: Iterable[tuple[str, str]], /) -> list[Standing]: ...

    @overload
    def standings(
        self, /, *, exam: str | None = None, candidates: Iterable[str] | None = None
    ) -> pa.Table: ...

    def standings(
        self,
        pairs: Iterable[tuple[str, str]] | None = None,
        /,
        *,
        exam: str | None = None,
        candidates: Iterable[str] | None = None,
    ) -> list[Standing] | pa.Table:
        """Return many standings.

        Of pairs of candidate and exam: a list, in their order. Else of everybody with a visible
        sitting, of one exam or some candidates alone: an Arrow table, sorted by candidate and exam.
        """
        if pairs is None:
            some = None if candidates is None else frozenset(texts("candidates", candidates))
            return self._bound.everybody(core.scope_of(text_or_none("exam", exam), some))
        if exam is not None or candidates is not None:
            raise TypeError("standings: give pairs, or exam= and candidates=, not both")
        return [self.standing(*pair(each)) for each in several("pairs", pairs)]

    def table(self, name: str, *, exam: str | None = None) -> pa.Table:
        """Return one of the tables of docs/tables.md, as Arrow."""
        return self._bound.table(text("name", name), exam=text_or_none("exam", exam))

    def violations(self) -> pa.Table:
        """Return the sittings taken while not eligible, as Arrow."""
        return self._bound.violations()

    def report(
        self,
        name: str,
        *,
        month: str | None = None,
        start: When | None = None,
        end: When | None = None,
        exam: str | None = None,
    ) -> Report:
        """Return a report at this moment; of a month, or a period, where it is about one."""
        return report_of(self._bound, name, period_of(month, start, end), exam, "known-at")

    def audit(self, name: str, **conditions: Any) -> Report:
        """Return what an audit query finds, under the conditions of docs/audit.md.

        Bounds of intervals are instants, `types` several types, `by` a duration such as ``"P7D"``.
        """
        for bound in ("recorded_from", "recorded_to", "valid_from", "valid_to"):
            if conditions.get(bound) is not None:
                conditions[bound] = micros(conditions[bound], bound)
        return Report(self._bound.audit(text("name", name), conditions, program=_program()))

    def diff(self, other: Snapshot) -> pa.Table:
        """Return whose standing is another at another moment of this ledger, and by which events.

        An Arrow table: ``from_…`` is this moment's, ``to_…`` the other's.
        """
        if not isinstance(other, Snapshot) or other._bound.ledger is not self._bound.ledger:
            raise TypeError("diff compares with another snapshot of the same open ledger")
        return self._bound.diff(other._bound)

    def what_if(self, *drafts: str | os.PathLike[str], since: When | None = None) -> Compared:
        """Return what draft policies would have done: TOML text, or the paths of TOML files.

        `.sittings` and `.standings` are Arrow tables of what would change. Sittings before `since`
        are not judged. Raises PolicyError for a draft with a fault.
        """
        if not drafts:
            raise TypeError("what_if compares with one draft or more: give their texts, or paths")
        read = []
        for draft in drafts:
            is_path = isinstance(draft, os.PathLike)
            toml = Path(draft).read_text(encoding="utf-8") if is_path else text("draft", draft)
            read.append((parse_policy(toml, str(draft) if is_path else "the draft").id, toml))
        return self._bound.what_if(read, since=None if since is None else micros(since, "since"))


class Report(Public):
    """A report, or the rows of an audit query, with its receipt."""

    def __init__(self, output: Output) -> None:
        """Made by `report` and `audit`."""
        self._output = output

    def __repr__(self) -> str:
        receipt = self._output.settled
        return f"<Report {receipt.name}, {receipt.rows:,} rows, @{receipt.position}>"

    def to_arrow(self) -> pa.Table:
        """Return its rows as an Arrow table."""
        return self._output.to_arrow()

    @property
    def receipt(self) -> dict[str, Any]:
        """What it was computed from (docs/receipts.md), by which anybody can compute it again."""
        receipt: dict[str, Any] = json.loads(self._output.settled.to_json())
        return receipt


def report_of(
    bound: core.Snapshot,
    name: str,
    period: tuple[int | None, int | None],
    exam: str | None,
    basis: Basis,
) -> Report:
    """Make a report of a period, microseconds UTC, at a moment."""
    start, end = period
    exam = text_or_none("exam", exam)
    made = bound.report(
        text("name", name), start=start, end=end, exam=exam, basis=basis, program=_program()
    )
    return Report(made)


def period_of(
    month: str | None, start: When | None, end: When | None
) -> tuple[int | None, int | None]:
    """Return a period in microseconds UTC, the end exclusive; None for an end that is open."""
    if month is None:
        first = None if start is None else micros(start, "start")
        return first, None if end is None else micros(end, "end")
    if start is not None or end is not None:
        raise TypeError("give a month, or start and end, not both")
    return month_of(text("month", month))


def _program() -> str:
    return f"attempt-ledger {version('attempt-ledger')}"
