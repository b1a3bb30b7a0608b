"""What needs the extra `everyone`: functions that are imported only when they are called.

The compiler, NumPy and Arrow come with them: half a second, and more room than all the rest.
Whoever asks about one candidate has neither to wait for them nor to install them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from ledger.extras import needing

MANY: Final[Mapping[str, str]] = {
    "ColumnCache": "replay.columns.cache",
    "conditions_of": "replay.audit.conditions",
    "Draft": "replay.what_if",
    "Parameters": "replay.receipts",
    "Scope": "replay.population",
    "SparkEngine": "replay.engines",
    "answer_into": "replay.engines",
    "authorization_rows": "replay.listings",
    "check_report": "replay.outputs",
    "collect": "replay.engines",
    "compare": "replay.engines",
    "columns_of": "replay.columns.cache",
    "compute": "replay.outputs",
    "diff": "replay.diff",
    "digest_of": "replay.rows",
    "everybody": "replay.population",
    "export_partitioned": "replay.formats.partitioned",
    "history_rows": "replay.listings",
    "impact": "replay.diff",
    "kernels_for": "replay.interpreted",
    "listed_rows": "replay.listings",
    "options_of": "replay.read_model.build",
    "part_fold": "replay.population",
    "plan_of": "replay.engines",
    "rebuild": "replay.read_model.rebuild",
    "request_rows": "replay.listings",
    "state_of": "replay.read_model.store",
    "supposing": "replay.supposing",
    "table": "replay.tables",
    "text_rows": "replay.listings",
    "violations": "replay.violations",
    "what_if": "replay.what_if",
    "write": "replay.outputs",
    "write_rows": "replay.formats.rows",
}
"""Each function, or what one takes, and the module that it comes from."""


def many(name: str) -> Any:
    """Import one of these; raises NotInstalled, which names the extra that it needs."""
    try:
        # Here, since the compiler, NumPy and Arrow come with it, which the core goes without.
        return getattr(import_module(MANY[name]), name)
    except ModuleNotFoundError as error:
        raise needing(error) or error from None
