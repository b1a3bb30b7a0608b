"""A public data set of some 85,000 sittings, if its file is there: nothing may be rejected."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.data import fresh
from benchmarks.importing import imported
from benchmarks.measure import Figure, Options, middle


def figures(options: Options) -> Iterator[Figure]:
    """Import it as a whole command; a rejected row makes the command, and so this, fail."""
    if options.oulad is None:
        return
    folder = fresh(options.scratch / "oulad")
    ran = [imported(options.oulad, folder / "oulad.ledger") for _ in range(options.runs)]
    took = [each.seconds for each in ran]
    yield Figure("oulad", "import of OULAD results", "s", middle(took), all={"ours": took})
