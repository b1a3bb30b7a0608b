"""The commands `audit …`."""
