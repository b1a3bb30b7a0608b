"""The program `attempt-ledger`, also called by `python -m attempt_ledger`."""

from __future__ import annotations

import sys

from attempt_ledger.rooms import stranger


def main() -> None:
    """Answer the call of this process and leave with its exit code."""
    if (sentence := stranger()) is not None:
        print(f"attempt-ledger: {sentence}", file=sys.stderr)
        sys.exit(2)
    # Here, since what it imports would come from the stranger's package.
    from attempt_ledger.cli.main import run

    run()


if __name__ == "__main__":
    main()
