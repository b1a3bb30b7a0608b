"""Hand out the policies that come with the program, each from its source text."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SHIPPED: Final = ("general", "mta-mce", "mos")


def shipped() -> tuple[tuple[str, str], ...]:
    """Return (id, TOML text) of each shipped policy, in the order of the source text."""
    folder = files("retake_policies") / "data"
    return tuple((id, (folder / f"{id}.toml").read_bytes().decode()) for id in SHIPPED)
