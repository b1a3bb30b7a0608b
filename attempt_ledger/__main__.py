"""The program `attempt-ledger`, also called by `python -m attempt_ledger`."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import threading
from typing import NoReturn

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
    # Pydantic looks for plugins through all that is installed: time, and code that is not ours.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Here, since what it imports would come from the stranger's package, and reads that variable.
    from attempt_ledger.cli.main import run

    try:
        run()
    except SystemExit as leaving:
        _leave(leaving)


def _leave(leaving: SystemExit) -> NoReturn:
    """End the process, of which all is written by now.

    Python takes itself apart first, module by module, and looks for circles among what is left: a
    tenth of one question. Whoever left something to be done at the end, or to be waited for, such
    as processes or threads, has it done; nobody else waits.
    """
    # Python does not document it: where it is gone, the process ends as any other.
    left = getattr(atexit, "_ncallbacks", lambda: 1)()
    if not left and threading.active_count() == 1 and isinstance(leaving.code, int):
        os._exit(leaving.code)
    gc.freeze()
    raise leaving


if __name__ == "__main__":
    main()
