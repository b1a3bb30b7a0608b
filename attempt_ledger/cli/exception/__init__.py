"""The commands `exception …`."""
