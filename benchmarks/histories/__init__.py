"""Believable histories of any size, the same for the same seed: what `make_ledger` writes."""
