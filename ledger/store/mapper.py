"""How `eventsourcing` sees what the ledger holds: each row as one of its stored events."""

from __future__ import annotations

import json

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent

from ledger.events import Recorded


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
