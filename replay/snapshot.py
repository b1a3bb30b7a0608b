"""A ledger at one (as_of, known_at): bound once, then asked.

Light when imported, and while one candidate is asked about. What is asked about many is a function
of its own module, which takes a snapshot; its method here imports it when it is called
(`replay.many`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.ledger import Ledger
from projections.answers import Standing
from projections.catalogue import Catalogue, catalogue_of
from projections.history import History, Line, history_of
from projections.sentences import Show
from projections.standing import Moment, standing_of
from replay.many import many

if TYPE_CHECKING:
    import pyarrow as pa

    from replay.columns.build import Columns
    from replay.interpreted import Kernels
    from replay.outputs import Output
    from replay.population import Scope
    from replay.receipts import Basis
    from replay.what_if import Compared

Say: TypeAlias = Callable[[str], None]
"""Called with a sentence for a person: that the column cache was damaged, and is rebuilt."""

Progress: TypeAlias = Callable[[int], None]
"""Called with how many more facts were read."""


class UnansweredMoment(Exception):
    """A moment that cannot be asked about; str() is one sentence."""


class Known(NamedTuple):
    """What a question says of its known_at: nothing (the head), an instant, or a position."""

    instant: int | None = None
    """Microseconds UTC."""
    position: int | None = None


HEAD: Final = Known()


SMALL: Final = 5_000
"""So many events are interpreted in half a second: about as long as the compiler takes to load."""


@dataclass(frozen=True)
class Engine:
    """How questions about many are computed. What is answered does not depend on it."""

    cache: Path | None = None
    """A folder for compiled code, so that only the first run compiles; None keeps nothing."""
    workers: int = 2
    """How many threads fold at once."""
    keep_columns: bool = True
    """Keep the column cache beside the ledger and bring it up to date; else read all anew."""
    say: Say = lambda sentence: None
    progress: Progress = lambda facts: None
    small: int = SMALL
    """A ledger of so many events, or fewer, is interpreted by the same functions."""


class Snapshot:
    """A ledger at one moment. `snapshot_at` binds one; `at` binds another of the same ledger.

    Nothing is read before it is asked for. The ledger stays the caller's to close.
    """

    def __init__(
        self,
        ledger: Ledger,
        moment: Moment,
        engine: Engine = Engine(),
        *,
        shared: Shared | None = None,
    ) -> None:
        """Bind an open ledger at a moment that is resolved already (see `snapshot_at`).

        `shared` is what its other snapshots have read.
        """
        self._read = shared or Shared(ledger, engine)
        self.moment = moment

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one open ledger, at the same moment."""
        return (
            isinstance(other, Snapshot)
            and self._read is other._read
            and self.moment == other.moment
        )

    def __hash__(self) -> int:
        """Return what is equal for equal ones."""
        return hash((id(self._read), self.moment))

    def at(self, moment: Moment) -> Snapshot:
        """Return the same ledger at another moment; what one has read serves the other."""
        return Snapshot(self.ledger, moment, shared=self._read)

    def bind(self, as_of: int, known: Known = HEAD, *, now: int) -> Snapshot:
        """Return the same ledger at an instant, on the knowledge of another: see `snapshot_at`."""
        return self.at(_resolved(self.ledger, as_of, known, now))

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        return self._read.ledger

    @property
    def engine(self) -> Engine:
        """How questions about many are computed."""
        return self._read.engine

    @property
    def as_of(self) -> int:
        """The instant whose truth is asked about, microseconds UTC."""
        return self.moment.as_of

    @property
    def position(self) -> int:
        """The last position that is known."""
        return self.moment.position

    @property
    def entries(self) -> Sequence[Recorded]:
        """Every event about exams, certifications and policies that is known, by position."""
        return self._read.entries(self.position)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue: what is known of it at least, and each entry with its position.

        Once `columns` was read it numbers exams and certifications as those do: who needs both
        reads `columns` first.
        """
        return self._read.catalogue(self.position, self.__dict__.get("columns"))

    # -- one candidate: from the events, never from a table

    def history(self, candidate: str, exam: str | None = None) -> History:
        """Return what is known of a candidate, laid out for one exam or for all."""
        rows = self._read.outlines(candidate, self.position)
        return history_of(rows, self.catalogue, exam, self.ledger.at)

    def events(self, candidate: str, exam: str | None = None) -> list[Recorded]:
        """Return what is known of a candidate, by position; of one exam what may bear on it."""
        return self._read.events(candidate, self.position, exam)

    def standing(
        self,
        candidate: str,
        exam: str,
        *,
        show: Show | None = None,
        history: History | None = None,
    ) -> Standing:
        """Return one candidate's standing for one exam.

        A candidate of whom nothing is visible is answered like anybody who has never sat the exam.
        `show` writes the instants in sentences; without one they are in UTC, with the clock of the
        policy's zone beside it.
        """
        history = history or self.history(candidate, exam)
        return standing_of(candidate, exam, history, self.catalogue, self.moment, show)

    def standings(
        self, candidate: str, *, show: Show | None = None, history: History | None = None
    ) -> tuple[Standing, ...]:
        """Return a candidate's standing for every exam with a visible sitting, sorted by code."""
        history = history or self.history(candidate)
        exams = sorted(history.runs)
        every = (self.standing(candidate, exam, show=show, history=history) for exam in exams)
        return tuple(standing for standing in every if standing.sittings)

    # -- many

    @cached_property
    def columns(self) -> Columns:
        """Everybody's facts as columns, up to the snapshot's position at least.

        Where the folder of the column cache cannot be written to they are read anew, which is said.
        """
        return self._read.columns(self.position)

    @property
    def kernels(self) -> Kernels:
        """The loops over everybody, compiled unless the ledger is small."""
        kernels: Kernels = many("kernels_for")(self.ledger.head().position, self.engine)
        return kernels

    def everybody(self, scope: Scope | None = None) -> pa.Table:
        """Return everybody's standing: a table of `replay.population.SCHEMA`."""
        return many("everybody")(self, scope or scope_of())

    def supposing(self, facts: Sequence[Recorded]) -> Snapshot:
        """Return the ledger as if it held further facts, at positions that it has not."""
        supposed: Snapshot = many("supposing")(self, facts)
        return supposed

    def violations(self, scope: Scope | None = None) -> pa.Table:
        """Return the sittings taken while not eligible: a table of `replay.violations.SCHEMA`."""
        return many("violations")(self, scope or scope_of())

    def table(
        self, name: str, *, exam: str | None = None, columns: Collection[str] | None = None
    ) -> pa.Table:
        """Return a table of `projections.tables.TABLES`: of one exam or all, some columns or all.

        See `replay.tables.table`.
        """
        made: pa.Table = many("table")(self, name, exam=exam, columns=columns)
        return made

    def diff(self, other: Snapshot, scope: Scope | None = None) -> pa.Table:
        """Return whose standing differs at another moment, and through which events.

        A table of `replay.diff.CHANGED`: from this snapshot's moment to the other's.
        """
        return many("diff")(self, other, scope or scope_of())

    def impact(self, rehearsed: Sequence[Recorded]) -> pa.Table:
        """Return whose standing further facts would change: see `replay.diff.impact`."""
        return many("impact")(self, rehearsed)

    def what_if(
        self,
        drafts: Sequence[tuple[str, str]],
        *,
        since: int | None = None,
        scope: Scope | None = None,
    ) -> Compared:
        """Return what draft policies, each an id and a text, would have done beside those in force.

        Sittings before `since`, microseconds UTC, are not judged.
        """
        made = [many("Draft")(*draft) for draft in drafts]
        compared: Compared = many("what_if")(self, made, since=since, scope=scope or scope_of())
        return compared

    # -- outputs: what leaves with a receipt

    def report(
        self,
        name: str,
        *,
        start: int | None = None,
        end: int | None = None,
        exam: str | None = None,
        basis: Basis = "restated",
        program: str = "",
    ) -> Output:
        """Return a report of a period (microseconds UTC, the end exclusive) or of the moment.

        Raises `replay.outputs.Unknown`, and `CannotAsk` for what the report cannot be about.
        """
        many("check_report")(self, name, start, end, exam)
        return self._output("report", name, basis, program, start=start, end=end, exam=exam)

    def audit(self, name: str, conditions: Mapping[str, Any], *, program: str = "") -> Output:
        """Return what an audit query finds, by its conditions (`replay.audit.query`).

        Raises `replay.outputs.Unknown`, and ValueError for a condition that cannot be.
        """
        wanted = many("conditions_of")(**conditions)
        return self._output("audit", name, "restated", program, audit=wanted)

    def _output(self, of: str, name: str, basis: Basis, program: str, **parameters: Any) -> Output:
        output: Output = many("compute")(
            self,
            of,
            name,
            many("Parameters")(**parameters),
            basis=basis,
            program=program,
        )
        return output


def snapshot_at(
    ledger: Ledger,
    as_of: int,
    known: Known = HEAD,
    *,
    now: int,
    engine: Engine = Engine(),
) -> Snapshot:
    """Bind a ledger at an instant, on the knowledge of another.

    known_at becomes the last position with recorded_at <= known_at; without one it is the head,
    whatever the clock says (spec section 1). The moment's own known_at is the instant asked for,
    else when its position was recorded. All instants are microseconds UTC.

    Raises UnansweredMoment for a known_at later than both the clock (`now`) and the head, since the
    answer could still change, and for a position that the ledger has not reached.
    """
    return Snapshot(ledger, _resolved(ledger, as_of, known, now), engine)


def _resolved(ledger: Ledger, as_of: int, known: Known, now: int) -> Moment:
    head = ledger.head()
    if known.position is not None:
        if known.position > head.position:
            raise UnansweredMoment(
                f"position {known.position} is not reached yet: the last is {head.position}"
            )
        return Moment(as_of, recorded_at(ledger, known.position), known.position)
    if known.instant is None:
        return Moment(as_of, head.recorded_at if head.position else None, head.position)
    if known.instant > max(now, head.recorded_at if head.position else now):
        raise UnansweredMoment(
            f"known_at {format_instant(known.instant)} lies in the future, where the answer could "
            f"still change: accepted is up to {format_instant(max(now, head.recorded_at))}"
        )
    return Moment(as_of, known.instant, ledger.position_at(known.instant))


def recorded_at(ledger: Ledger, position: int) -> int | None:
    """Return when a position was recorded; None for position 0, before the first."""
    row = ledger.event(position)
    return None if row is None else row.recorded_at


class Shared:
    """What the snapshots of one ledger share: what was read of it once.

    The catalogue is read once and then only brought up to date. Its entries carry their positions,
    so that the latest serves every known_at before its own. May be shared by threads: what is laid
    out is put in place in one step.
    """

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self.ledger = ledger
        self.engine = engine
        self._entries: tuple[int, list[Recorded]] = (0, [])
        self._columns: Columns | None = None
        self._catalogues: list[tuple[list[Recorded], Columns | None, Catalogue]] = []

    def entries(self, position: int) -> list[Recorded]:
        """Return the entries up to a position and no later ones."""
        entries = self._reaching(position)
        if entries and entries[-1].position > position:
            return [row for row in entries if row.position <= position]
        return entries

    def catalogue(self, position: int, columns: Columns | None = None) -> Catalogue:
        """Return a catalogue that holds at least every entry up to a position.

        Numbered as columns are, if they are given.
        """
        entries = self._reaching(position)
        for of, numbered, catalogue in self._catalogues:
            if of is entries and numbered is columns:
                return catalogue
        names = () if columns is None else (columns.exams, columns.certifications)
        catalogue = catalogue_of(entries, *names)
        self._catalogues = [*self._catalogues[-1:], (entries, columns, catalogue)]
        return catalogue

    def _reaching(self, position: int) -> list[Recorded]:
        upto, entries = self._entries
        if position > upto:
            if fresh := self.ledger.catalogue(upto, position):
                entries = [*entries, *fresh]
            self._entries = (position, entries)
        return entries

    def events(self, candidate: str, upto: int, exam: str | None = None) -> list[Recorded]:
        """Return a candidate's events up to a position; of one exam what may bear on it."""
        return self.ledger.stream(f"candidate/{candidate}", upto=upto, exam=exam)

    def outlines(self, candidate: str, upto: int) -> Sequence[Line]:
        """Return what a standing is made of, of a candidate up to a position."""
        return self.ledger.outlines(f"candidate/{candidate}", upto)

    def columns(self, position: int) -> Columns:
        """Return columns that reach a position at least."""
        if self._columns is None or self._columns.position < position:
            self._columns = many("columns_of")(self.ledger, position, self.engine)
        return self._columns


def scope_of(exam: str | None = None, candidates: frozenset[str] | None = None) -> Scope:
    """Return whose standings are wanted: of an exam or all, of some candidates or everybody."""
    scope: Scope = many("Scope")(exam, candidates)
    return scope
