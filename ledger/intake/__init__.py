"""Intake: from a file to facts in the ledger, with the bad rows set aside."""
