"""Write docs/reports.md from the reports themselves. `--check` says whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pages import settle

from projections.reports.registry import REPORTS
from projections.table import Column
from projections.tables import TABLES

PAGE = Path(__file__).with_name("reports.md")

START = """\
# Reports

<!-- Written by docs/generate_reports.py from projections/reports: change it there. -->

```console
$ attempt-ledger report list
$ attempt-ledger report volumes --from 2023-03-01 --to 2023-04-01 --as-published
$ attempt-ledger report volumes --from 2023-03-01 --to 2023-04-01 --restated --output march.xlsx
$ attempt-ledger report blocked --as-of 2023-04-01 --chart blocked.svg
```

A report is a table at one moment, a sentence that says what it comes to, and a picture. `--format`
is `text`, `csv`, `tsv`, `json`, `jsonl`, `parquet`, `xlsx`, `arrow` or `html`, or follows from the
name of `--output`: an ending of none of them is refused before any work is done. `--chart`
draws the picture as SVG, PNG or an HTML page in which everything is inside. Pages and pictures are
documents: no script is in them, and a Content-Security-Policy that allows none.

**As published, or restated.** A report is computed at (as_of, known_at), and every output says at
which.

| flag | as_of | known_at |
|---|---|---|
| `--as-published` | `--as-of`, else `--to` | `--to`, else `--as-of`: when the period ended |
| `--restated`, the default | the same | everything recorded |
| `--known-at T` or `@POSITION` | the same | what was recorded by then |

Where as_of is not said it is the period's end, or now if that is earlier. So the two reports of one
month differ by what was learned after it, and by nothing else: a report as published comes out the
same for ever, to the byte. `receipt check FILE --restated` lists the rows that differ on the latest
knowledge, and the events that did it. See [receipts](receipts.md).

**Computed from the ledger, never from the read model.** That has the latest knowledge alone and may
lag behind the ledger; a report must come out the same whenever it is made. Its inputs (the
tables below) are computed by the compiled fold at the position asked about, which for a million
sittings is a matter of a few seconds.

**The period** (`--from`, inclusive; `--to`, exclusive) is one of valid time: a sitting belongs to
the month in which it began, a correction to the month that it corrects. Months are those of UTC.
Shares are rounded to four decimals, lengths of time to two; a middle is the median, `p90` the least
length that nine of ten do not exceed.
"""

TABLES_START = """\
## The tables they are made of

`attempt-ledger export --table NAME` gives each of them, at any (`--as-of`, `--known-at`), as `csv`,
`tsv`, `json`, `jsonl`, `parquet`, `xlsx` or `arrow`, with a receipt. No personal field is in any of
them.

CSV and TSV are safe to open in a spreadsheet, whichever command writes them: a text that begins
with `=`, `+`, `-`, `@`, a tab, a carriage return or `'` has a `'` before it, which our readers take
away again.
Numbers and instants stay as they are. In a workbook every text is a text, whatever it begins with;
instants are dates in UTC, which Excel keeps to the millisecond. Above its rows stand title,
sentence and moment, which `receipt check` compares too; then words for the columns, with a filter;
the chart of a report is on a sheet of its own. It is set up to be printed on A4.
Parquet has timestamps of microseconds in UTC.
"""

_TYPES = {
    "string": "text",
    "int64": "whole number",
    "int32": "whole number",
    "double": "number",
    "bool": "true or false",
}


def columns(described: Sequence[Column]) -> Iterator[str]:
    """Write the table of a table's columns."""
    yield "| column | type | says | empty when |"
    yield "|---|---|---|---|"
    for column in described:
        kind = "instant" if pa.types.is_timestamp(column.type) else _TYPES[str(column.type)]
        yield f"| {column.name} | {kind} | {column.meaning} | {column.null} |"


def written() -> str:
    """Write all of docs/reports.md."""
    lines = [START]
    for report in REPORTS.values():
        lines += [f"## {report.name}: {report.title}", "", report.says, ""]
        about = f"`{report.about}` lies in the period" if report.about else "at as_of; no period"
        one = "" if report.by_exam else "; not of one exam"
        key = ", ".join(report.key)
        lines += [f"Counted: what {about}{one}. Sorted by {key}.", ""]
        lines += [*columns(report.columns), ""]
    lines.append(TABLES_START)
    for name, described in TABLES.items():
        lines += [f"### {name}", "", described.meaning, "", *columns(described.columns), ""]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(settle(PAGE, written, sys.argv[1:]))
