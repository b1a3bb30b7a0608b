"""Backups of a ledger: one file with its log, made beside writers, and what is restored of them.

The key file and the signing key are in none: each is kept elsewhere, see docs/operations.md.
"""
