"""The feed: the ledger's events for whoever resumes by position, as lines or batches."""
