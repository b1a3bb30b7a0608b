"""Measure the ledger beside its peers: `python -m benchmarks`, or `make bench`."""
