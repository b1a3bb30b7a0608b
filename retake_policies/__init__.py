"""The rules in force on a day: dated TOML, its schema, the same rules as integers and in words."""

from pathlib import Path
from typing import Final

SHIPPED: Final = ("general", "mta-mce", "mos")
"""The policies that come with the program, in the order of the source text."""


def shipped() -> tuple[tuple[str, str], ...]:
    """Return (id, TOML text) of each shipped policy, in the order of the source text."""
    folder = Path(__file__).parent / "data"
    return tuple((id, (folder / f"{id}.toml").read_bytes().decode()) for id in SHIPPED)
