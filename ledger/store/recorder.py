"""How `eventsourcing` sees what the ledger keeps: rows as its stored events, whatever the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    JSONTranscoder,
    Mapper,
    Notification,
    ProgrammingError,
    StoredEvent,
    Subscription,
    TrackingRecorder,
)

from ledger.events import Recorded
from ledger.problems import LedgerProblem
from ledger.store.interface import Store
from ledger.store.schema import TRACKING

EVERY_SECONDS = 0.05
"""So often a follower looks whether anything was written."""


class RowMapper(Mapper[str]):
    """Map rows to stored events and back, by values alone.

    The stock mapper sets attributes around pydantic, and imports whatever module a stored topic
    names. This one validates nothing anew and imports nothing: the state is the row, as JSON.
    """

    def __init__(self) -> None:
        super().__init__(transcoder=JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """Return the row as a stored event: its stream, position, topic, and itself as state."""
        if not isinstance(domain_event, Recorded):
            raise TypeError(f"a ledger holds Recorded rows, not {type(domain_event).__name__}")
        return StoredEvent(
            originator_id=domain_event.stream,
            originator_version=domain_event.position,
            topic=domain_event.topic,
            state=json.dumps(domain_event, ensure_ascii=False, separators=(",", ":")).encode(),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:
        """Return the row that a stored event carries."""
        return Recorded._make(json.loads(stored_event.state))


_MAPPER = RowMapper()


class StoreRecorder(ApplicationRecorder):
    """Answer what `eventsourcing` asks of an application's recorder; nothing is written here.

    The version of an event in its stream is its position, and so is the id of its notification.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> NoReturn:
        """Refuse: rows go in through `Ledger.append`, which checks identity and encrypts."""
        raise ProgrammingError("append through Ledger.append: it checks identity, and encrypts")

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of one stream."""
        rows = self.store.stream(str(originator_id), upto=lte)
        if gt is not None:
            rows = [row for row in rows if row.position > gt]
        rows = rows[::-1] if desc else rows
        return [_MAPPER.to_stored_event(row) for row in rows[:limit]]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position."""
        after = (start or 0) - inclusive_of_start
        rows = self.store.page(after, stop, topics=topics, limit=limit)
        return list(map(_notification, rows))

    def max_notification_id(self) -> int:
        """Return the last position, 0 in an empty ledger."""
        return self.store.head().position

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[StoreRecorder]:
        """Return an iterator of the notifications after a position, which waits for more.

        Raises Redefined, before anything is yielded, where a projection keeps its tracking in the
        ledger's own file.
        """
        self.store.check()
        return _Following(self, gt, topics)

    def follow(
        self,
        after: int,
        *,
        stop: Callable[[], bool],
        interval: float = EVERY_SECONDS,
        topics: Sequence[str] = (),
        wait: Callable[[float], object] | None = None,
    ) -> Iterator[list[Recorded]]:
        """Yield events after a position in batches, as they come, until `stop` says so.

        Looks every `interval` seconds whether anyone has written, or sooner where the store wakes
        who waits; `stop` is called before each look.
        """
        watch = self.store.watch()
        wait = wait or watch.wait
        try:
            while not stop():
                if not watch.changed():
                    wait(interval)
                    continue
                while not stop() and (rows := self.store.page(after, topics=topics)):
                    yield rows
                    after = rows[-1].position
        finally:
            watch.close()


class _Following(Subscription[StoreRecorder]):
    """Notifications as they come; ends when it is stopped, from another thread too."""

    def __init__(self, recorder: StoreRecorder, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(recorder, gt, topics)
        self._stopped = Event()
        self._coming = (
            row
            for rows in recorder.follow(
                gt or 0, stop=self._stopped.is_set, topics=topics, wait=self._stopped.wait
            )
            for row in rows
        )

    def stop(self) -> None:
        """Stop: whoever waits for the next gets StopIteration."""
        super().stop()
        self._stopped.set()

    def __next__(self) -> Notification:
        row = next(self._coming)
        if self._stopped.is_set():
            raise StopIteration
        return _notification(row)


def _notification(row: Recorded) -> Notification:
    return Notification(**vars(_MAPPER.to_stored_event(row)), id=row.position)


class Factory(InfrastructureFactory[TrackingRecorder]):
    """Make nothing: a ledger's events have their store, and nothing else is kept beside them.

    As PERSISTENCE_MODULE of a projection, this module refuses it before its database is touched.
    """

    def application_recorder(self) -> NoReturn:
        """Refuse: `Ledger.construct_recorder` opens the store."""
        raise LedgerProblem(TRACKING)

    def aggregate_recorder(self, purpose: str = "events") -> NoReturn:
        """Refuse: no snapshots are kept beside the events."""
        self.application_recorder()

    def tracking_recorder(self, tracking_recorder_class: type[Any] | None = None) -> NoReturn:
        """Refuse: a projection keeps its own database."""
        self.application_recorder()

    def process_recorder(self) -> NoReturn:
        """Refuse: what is derived is never appended beside the facts."""
        self.application_recorder()
