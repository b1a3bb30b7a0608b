"""CSV and TSV that a spreadsheet opens without computing anything: the one writer of both."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ledger.intake.csv import GUARDED, unguarded
from replay.formats.json import BATCH, Batched, Written, holds, instant_texts, joined, text_bytes

_FORMULA: Final = f"^([{GUARDED}])".replace("-", r"\-")
_QUOTED: Final = '"\r\n'
"""What is put into quotes, with the text around it, as the separator is."""


def write_csv(table: Batched, file: Written, separator: str = ",") -> None:
    """Write a header and a line for each row, as spec section 5 has them.

    `true`/`false`, empty for null, ``\\n`` line ends, no quotes where none are needed; instants as
    `2021-03-15T09:00:00Z`; a list with `; ` between, each event of it as `source id`. A text that
    begins as a formula would has a ' put before it (OWASP, CSV injection); numbers stay as they
    are.
    """
    file.write(separator.join(table.schema.names) + "\n")
    for batch in table.to_batches(max_chunksize=BATCH):
        if not batch.num_rows:  # a part in which nobody was asked about
            continue
        lines = pc.binary_join_element_wise(
            *(_cells(column, separator) for column in batch.columns),
            separator,
            null_handling="replace",
            null_replacement="",
        )
        file.write(joined(pc.binary_join_element_wise(lines, "\n", "")))


def _cells(column: pa.Array, separator: str) -> pa.Array:
    """Write each value as a cell."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return instant_texts(column)
    if pa.types.is_list(kind):
        column = pa.array(map(list_text, column.to_pylist()), pa.string())
    elif not pa.types.is_string(kind):
        return column.cast(pa.string())
    return _quoted(_guarded(column), separator)


def list_text(values: list[str] | list[dict[str, str]] | None) -> str | None:
    """Write a list of texts, or of events, as one text.

    >>> list_text([{"source": "urn:vue", "id": "R-1"}, {"source": "urn:vue", "id": "R-2"}])
    'urn:vue R-1; urn:vue R-2'
    """
    if values is None:
        return None
    return "; ".join(v if isinstance(v, str) else f"{v['source']} {v['id']}" for v in values)


def _guarded(column: pa.Array) -> pa.Array:
    """Put a ' before each text that a spreadsheet would take for a formula, or for guarded."""
    starts, texts = text_bytes(column)
    if not len(texts):
        return column
    # Of an empty text it is the next one's byte, which only makes the slow way look for nothing.
    first = texts[np.minimum(starts[:-1] - starts[0], len(texts) - 1)]
    if not np.isin(first, np.frombuffer(GUARDED.encode(), np.uint8)).any():
        return column
    return pc.replace_substring_regex(column, _FORMULA, r"'\1")


def _quoted(column: pa.Array, separator: str) -> pa.Array:
    """Put texts into quotes where they would be read as something else without."""
    some = f"{separator}{_QUOTED}"
    if not holds(column, frozenset(some.encode())):
        return column
    needs = pc.match_substring_regex(column, f"[{some}]")
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def read_csv(file: BinaryIO, separator: str = ",") -> Iterator[tuple[str, ...]]:
    """Yield the rows of a CSV, their guards taken away, the header first; raises ValueError."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    rows = csv.reader(text, delimiter=separator, strict=True)
    try:
        yield from (tuple(map(unguarded, row)) for row in rows)
    except csv.Error as error:
        raise ValueError(str(error)) from None
    finally:
        text.detach()
