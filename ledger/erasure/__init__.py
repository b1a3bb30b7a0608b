"""Erasure: a person's data made unreadable for good, with every proof still holding."""
