"""Break what a ledger stands on, and count what is left: `python -m drills`, or `make drill`."""
