"""Everybody's facts as columns: a disposable snapshot beside the ledger, never trusted over it."""
