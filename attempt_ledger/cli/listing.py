"""Lists of what is recorded: a page for people, objects in JSON, rows in every form of a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attempt_ledger.cli.output import bytes_to, say, text_to
from attempt_ledger.cli.pages import Part, show
from replay.formats import About
from replay.many import many

if TYPE_CHECKING:
    import pyarrow as pa


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
