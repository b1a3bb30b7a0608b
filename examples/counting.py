"""Count each exam's sittings by the stock runner of `eventsourcing`: counting.py LEDGER COUNTS."""

import sys
from typing import Any

from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from ledger.events import Recorded
from ledger.ledger import Ledger


class Counts(SQLiteTrackingRecorder):
    def construct_create_table_statements(self) -> list[str]:
        counts = "CREATE TABLE IF NOT EXISTS counts (exam TEXT PRIMARY KEY, sittings INTEGER)"
        return [*super().construct_create_table_statements(), counts]


class Sittings(Projection[Counts]):
    def process_event(self, domain_event: Recorded, tracking: Tracking) -> None:
        add = "INSERT INTO counts VALUES (?, 1) ON CONFLICT DO UPDATE SET sittings = sittings + 1"
        with self.view.datastore.transaction(commit=True) as cursor:  # count and position: both
            self.view._insert_tracking(cursor, tracking)
            if domain_event.type == "ExamAttempted":
                cursor.execute(add, (domain_event.exam,))


def run(ledger: str, counts: str) -> dict[str, Any]:
    """Count up to the ledger's head, from where the last run ended; return what was counted."""
    env = {"LEDGER_SQLITE_DBNAME": ledger, "SITTINGS_SQLITE_DBNAME": counts}
    env["SITTINGS_PERSISTENCE_MODULE"] = "eventsourcing.sqlite"
    with ProjectionRunner(
        application_class=Ledger, projection_class=Sittings, view_class=Counts, env=env
    ) as runner:
        runner.wait(runner.app.head().position or None, timeout=60)
        with runner.view.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT * FROM counts ORDER BY exam")
            return dict(cursor.fetchall())


if __name__ == "__main__":
    print(*(f"{exam} {sittings}" for exam, sittings in run(*sys.argv[1:]).items()), sep="\n")
