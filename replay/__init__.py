"""Asking: one candidate or everybody, at any (as_of, known_at), under any policy."""
