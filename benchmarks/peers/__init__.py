"""What the ledger is measured beside, each as its own documentation would have it used."""
