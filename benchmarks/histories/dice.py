"""Chance that depends on nothing but the seed, what is asked, and of whom."""

from __future__ import annotations

from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter numbers over all 64 bits (the finish of splitmix64)."""
    with np.errstate(over="ignore"):
        numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
        numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
        return numbers ^ (numbers >> np.uint64(31))


class Dice:
    """Draws for many at once: of each number asked about, always the same.

    numpy's own generators promise no such thing from one release to the next, and would give
    everybody other draws as soon as one is added.
    """

    def __init__(self, seed: int) -> None:
        self._seed = np.uint64(seed)
        self._keys: dict[str, int] = {}

    def uniform(self, what: str, of: Ints) -> Floats:
        """Draw from 0 (included) to 1, for one purpose and each of the numbers."""
        with np.errstate(over="ignore"):
            bits = mixed(of.astype(np.uint64) * _GOLDEN + np.uint64(self._key(what)))
        return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def one(self, what: str, of: int) -> float:
        """Draw what `uniform` draws, of a single number and much faster."""
        number = of * int(_GOLDEN) + self._key(what)
        number &= _MASK
        for shift, factor in ((30, int(_FIRST)), (27, int(_SECOND))):
            number = (number ^ (number >> shift)) * factor & _MASK
        return float((number ^ (number >> 31)) >> 11) * 2.0**-53

    def _key(self, what: str) -> int:
        """Return the number that stands for a purpose."""
        if what not in self._keys:
            with np.errstate(over="ignore"):
                key = mixed(np.atleast_1d(np.uint64(crc32(what.encode())) + self._seed * _GOLDEN))
            self._keys[what] = int(key[0])
        return self._keys[what]

    def whole(self, what: str, of: Ints, low: int, high: int) -> Ints:
        """Draw whole numbers from `low` to before `high`."""
        return low + (self.uniform(what, of) * (high - low)).astype(np.int64)

    def waiting(self, what: str, of: Ints, mean: float) -> Ints:
        """Draw whole numbers from 0 up that fall off exponentially around a mean."""
        return (-np.log1p(-self.uniform(what, of)) * mean).astype(np.int64)

    def happens(self, what: str, of: Ints, chance: float | Floats) -> Flags:
        """Draw yes or no."""
        return self.uniform(what, of) < chance
