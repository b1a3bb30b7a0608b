"""`python -m attempt_ledger`: the command line."""

from attempt_ledger.cli.main import run

run()
