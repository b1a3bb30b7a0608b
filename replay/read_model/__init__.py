"""Keeping the views: facts folded into their tables, followed as they come, and built anew."""
