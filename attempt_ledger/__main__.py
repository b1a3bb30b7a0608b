"""The program `attempt-ledger`, also called by `python -m attempt_ledger`."""

from __future__ import annotations

import atexit
import gc
import os
import sys

from attempt_ledger import _stranger

_MANY = 200_000
"""So many new objects before those in circles are looked for: a command makes hardly any, and by
default, 700, the looking takes a quarter of an import's time. Starting alone makes 60,000, which
are all kept."""


def main() -> None:
    """Answer the call of this process and leave with its exit code."""
    if (sentence := _stranger()) is not None:
        print(f"attempt-ledger: {sentence}", file=sys.stderr)
        sys.exit(2)
    gc.set_threshold(_MANY)
    # At its end Python looks through all that is left once more: a fourteenth of one question.
    atexit.register(gc.freeze)
    # Pydantic looks for plugins through all that is installed: time, and code that is not ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Here, since what it imports would come from the stranger's package, and reads that variable.
    from attempt_ledger.cli.main import run

    run()


if __name__ == "__main__":
    main()
