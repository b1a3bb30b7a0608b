"""Audit queries: computed from the ledger itself, at what was known at one position."""
