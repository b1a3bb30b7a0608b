"""What became of a fact that was to be appended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Appended:
    """The fact was new; it stands at `position`, durably."""

    position: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The same fact already stood at `position`; nothing was changed."""

    position: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another fact has its (source, id), at `position`; `differs` says in what. Nothing changed."""

    position: int
    differs: tuple[str, ...]
    annulled: int | None = None
    """The position at which the other was annulled; None if it was not."""

    @property
    def problem(self) -> str:
        """The conflict as one sentence."""
        other = f"position {self.position}"
        if self.annulled is not None:
            other += f" (annulled at position {self.annulled})"
        differs = ", ".join(self.differs)
        return f"conflicts with {other}, which has the same source and id: {differs}"


@dataclass(frozen=True, slots=True)
class Refused:
    """The fact cannot be taken; `problem` is one sentence that says why. Nothing was changed."""

    problem: str
    faults: tuple[tuple[str, str], ...] = ()
    """Each field of its data with a fault, and what that is, where a door asks for them."""


Outcome: TypeAlias = Appended | Duplicate | Conflict | Refused
