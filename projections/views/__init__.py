"""Views: what the ledger comes to, as tables in a disposable file for reports and explorers."""
