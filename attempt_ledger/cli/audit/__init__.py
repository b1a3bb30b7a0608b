"""`audit`: who recorded what, when, on which facts, and what it changed."""

from __future__ import annotations

from attempt_ledger.cli.audit import queries
from attempt_ledger.cli.options import group

app = group(
    "Ask who recorded what, when, and on which facts.\n\n"
    "Of everything the ledger knows at --known-at. A file leaves with a receipt, by which `receipt "
    "check` computes it again. No personal field is in any answer."
)
app.add_typer(queries.app)
