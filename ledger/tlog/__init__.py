"""The transparency log: hashes over the ledger, signed, by which an outsider can check it.

It lies beside the ledger, never in it, and is written after an append, never within. Formats:
https://c2sp.org (tlog-tiles, tlog-checkpoint, signed-note), RFC 6962; see docs/transparency.md.
"""
