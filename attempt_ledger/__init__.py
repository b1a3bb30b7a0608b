"""The doors: the only place where clocks and settings are read."""
