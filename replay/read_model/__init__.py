"""The tables kept at the head, in SQLite: built anew, followed as events come, compared."""
