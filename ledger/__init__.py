"""What happened: the facts, the store that keeps them, how they come in and go out."""

from __future__ import annotations

import os

# `eventsourcing` resolves this variable while it is imported, for a feature not used here: a stray
# one would fail every command with a traceback. (All its other settings: Ledger.construct_env.)
_stray = os.environ.pop("TZINFO_TOPIC", None)
if _stray is not None:
    import eventsourcing.domain as _domain  # noqa: F401

    os.environ["TZINFO_TOPIC"] = _stray
