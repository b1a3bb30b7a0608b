"""The fold in integers: the same functions for one candidate and, compiled, for everybody."""
