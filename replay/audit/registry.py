"""All audit queries, in the order in which they are listed, and how each is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

import pyarrow as pa

from projections.audit import annulments as of_annulments
from projections.audit import backdated as of_backdated
from projections.audit import events as of_events
from projections.audit import exceptions as of_exceptions
from projections.audit import history as of_history
from projections.audit.query import Query
from replay.audit.annulments import annulments
from replay.audit.asked import Asked
from replay.audit.backdated import backdated
from replay.audit.events import events
from replay.audit.exceptions import exceptions
from replay.audit.history import history
from replay.rows import Rows

NEEDED: Final = {"history": "candidate", "backdated": "by"}
"""The condition that a query cannot do without."""


class Audit(NamedTuple):
    """A query and what makes its rows, anew at each call and always the same."""

    query: Query
    make: Callable[[Asked], Iterator[pa.RecordBatch]]

    def rows(self, asked: Asked) -> Rows:
        """Return the rows of a question; none is made before it is read."""
        return Rows(self.query.schema, lambda: self.make(asked), self.query.tally)


AUDITS: Final[Mapping[str, Audit]] = {
    audit.query.name: audit
    for audit in (
        Audit(of_events.QUERY, events),
        Audit(of_history.QUERY, history),
        Audit(of_backdated.QUERY, backdated),
        Audit(of_annulments.QUERY, annulments),
        Audit(of_exceptions.QUERY, exceptions),
    )
}
"""Each audit query by its name."""
