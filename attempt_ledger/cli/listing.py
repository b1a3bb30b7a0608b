"""Lists of what is recorded: a page for people, objects in JSON, rows in every form of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import typer

from attempt_ledger import clock
from attempt_ledger.cli.context import call_of, no_candidate
from attempt_ledger.cli.output import bytes_to, say, text_to
from attempt_ledger.cli.pages import Part, Stack, block, show, text
from attempt_ledger.cli.values import instant, known
from ledger.ledger import Ledger
from projections.standing import Moment
from replay.formats import About
from replay.many import many
from replay.snapshot import snapshot_at

if TYPE_CHECKING:
    import pyarrow as pa


T = TypeVar("T")


class Listing(NamedTuple):
    """A list, in each way in which it may be wanted; none is made before it is."""

    about: About
    page: Callable[[], Part | None]
    """A page, None where there is nothing to show."""
    objects: Callable[[], Iterable[str]]
    """JSON objects."""
    rows: Callable[[], pa.Table]
    private: bool = False
    """Whether personal data is in it: then nobody else may read the file."""


@contextmanager
def listed_at(
    context: typer.Context, candidate: str | None, as_of: str | None, known_at: str | None
) -> Iterator[tuple[Ledger, Moment]]:
    """Open the ledger at a moment as people type it; raises where the candidate is not in it."""
    now = clock.now()
    at, wanted = now if as_of is None else instant("--as-of", as_of), known(known_at)
    with call_of(context).open() as ledger:
        if candidate is not None and not ledger.stream(f"candidate/{candidate}"):
            raise no_candidate(candidate, ledger)
        yield ledger, snapshot_at(ledger, at, wanted, now=now).moment


def by_candidate(
    chosen: Iterable[T], candidate: Callable[[T], str], lines: Callable[[T], Part]
) -> Stack | None:
    """Show what is listed, that of each candidate together; None where there is nothing."""
    parts: list[Part] = []
    for name, some in groupby(chosen, candidate):
        parts += [*([text("")] if parts else []), block(name, *map(lines, some))]
    return Stack(*parts) if parts else None


def put_list(listing: Listing, form: str, output: Path | None) -> None:
    """Write a list in a form of `forms.LISTED` to standard output or a file."""
    if form == "text" and output is None:
        if (page := listing.page()) is not None:
            show(page)
        return
    if form in ("text", "json", "jsonl"):
        with text_to(output, private=listing.private) as file:
            if form == "text":
                if (page := listing.page()) is not None:
                    show(page, file)
            elif form == "jsonl":
                file.writelines(f"{each}\n" for each in listing.objects())
            else:
                before = "["
                for each in listing.objects():
                    file.write(f"{before}{each}")
                    before = ","
                file.write("[]\n" if before == "[" else "]\n")
    else:
        with bytes_to(output, private=listing.private) as binary:
            many("write_rows")(listing.rows(), form, binary, listing.about)
    if output is not None:
        say(f"{output}: written")
