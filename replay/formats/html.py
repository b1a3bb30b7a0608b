"""Reports as one HTML page that needs nothing else: sentence, picture, rows, receipt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import IO, TYPE_CHECKING, BinaryIO, Final

import pyarrow as pa

from projections.table import Column
from replay.formats import About, column_of, words_of
from replay.formats.chart import draw
from replay.formats.json import instant_texts
from replay.formats.page import text_of, write_head
from replay.receipts import heading

if TYPE_CHECKING:
    from replay.outputs import Output

_LONG: Final = 60
"""So many characters of a text stand on one line."""
_SHARE: Final = re.compile(r"\d{1,3}\.\d\d %", re.ASCII)
_OPENING = '<script type="application/json" id="receipt">'
_CLOSING = "</script>"

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin:0}p.basis{color:#555;margin:.2rem 0 1rem}
figure{margin:1rem 0;overflow-x:auto}div.rows{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
th{vertical-align:bottom}td{white-space:nowrap}td.w{white-space:normal;overflow-wrap:anywhere}
td.n,th.n{text-align:right}footer{color:#555;font-size:.85rem;margin-top:1rem;word-break:break-all}
"""


def write_page(output: Output, file: IO[str]) -> None:
    """Write a report as a page, its picture and its receipt inside."""
    report, receipt = output.report, output.receipt
    assert report is not None
    write_head(f"{report.title}, {heading(receipt)}", _STYLE, file)
    file.write(
        f'<h1>{text_of(report.title)}</h1>\n<p class="basis">{text_of(heading(receipt))}</p>\n'
        f"<p>{text_of(output.line)}</p>\n"
    )
    if output.table.num_rows:
        file.write(f"<figure>{draw(output, 'svg', titled=False).decode()}</figure>\n")
    _write_rows(output.table, report.columns, file)
    as_json = receipt.to_json().replace("<", "\\u003c")
    file.write(
        f"<footer>rows {receipt.rows:,}, sha256 {receipt.sha256}, {text_of(receipt.program)}"
        f"</footer>\n{_OPENING}\n{as_json}{_CLOSING}\n</body>\n</html>\n"
    )


def write_table_page(table: pa.Table, about: About, file: IO[str]) -> None:
    """Write a table that is no report as a page."""
    lines = "".join(f"<p>{text_of(line)}</p>\n" for line in about.lines)
    write_head(about.title, _STYLE, file)
    file.write(f"<h1>{text_of(about.title)}</h1>\n{lines}")
    _write_rows(table, [Column(field.name, field.type, field.name) for field in table.schema], file)
    file.write("</body>\n</html>\n")


def write_picture_page(output: Output, file: IO[str]) -> None:
    """Write the picture of a report alone, as a page."""
    report = output.report
    assert report is not None
    write_head(f"{report.title}, {heading(output.receipt)}", _STYLE, file)
    file.write(f"<figure>{draw(output, 'svg').decode()}</figure>\n</body>\n</html>\n")


def _write_rows(table: pa.Table, columns: Sequence[Column], file: IO[str]) -> None:
    number = [
        ' class="n"' if pa.types.is_integer(f.type) or pa.types.is_floating(f.type) else ""
        for f in table.schema
    ]
    file.write('<div class="rows"><table>\n<thead><tr>')
    for column, mark in zip(columns, number, strict=True):
        words = words_of(column.name, instant=column.is_instant)
        file.write(f'<th{mark} title="{text_of(column.meaning)}">{text_of(words)}</th>')
    file.write("</tr></thead>\n<tbody>\n")
    texts = [_texts(table[column.name], column) for column in columns]
    for row in zip(*texts, strict=True):
        cells = "".join(
            f"<td{mark or _wraps(cell)}>{text_of('' if cell is None else cell)}</td>"
            for cell, mark in zip(row, number, strict=True)
        )
        file.write(f"<tr>{cells}</tr>\n")
    file.write("</tbody>\n</table></div>\n")


def _texts(values: pa.ChunkedArray, column: Column) -> list[str | None]:
    """Write a column's values for people, so that `read_page` finds the values in them."""
    if column.is_instant:
        return list(instant_texts(values.combine_chunks()).to_pylist())
    if column.share:  # they have four decimals
        return [None if value is None else f"{100 * value:.2f} %" for value in values.to_pylist()]
    return list(values.cast(pa.string()).to_pylist())


def _wraps(cell: str | None) -> str:
    """Mark a text so long that it may be broken; a code, a date, a number never is."""
    return ' class="w"' if cell is not None and len(cell) > _LONG else ""


def receipt_of_page(file: BinaryIO) -> str | None:
    """Return the receipt inside a page, None where there is none."""
    file.seek(0)
    _, found, rest = file.read().decode("utf-8", "replace").rpartition(_OPENING)
    return rest.partition(_CLOSING)[0] if found else None


def read_page(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a page's table, the header first."""
    file.seek(0)
    head, *rows = _cells(file.read().decode("utf-8", "replace")) or [[]]
    if head:
        yield tuple(map(column_of, head))
    yield from (tuple(map(_value, row)) for row in rows)


def _value(cell: str) -> str:
    """Return the value that a cell shows: of `75.12 %` it is 0.7512.

    >>> _value("75.12 %"), _value("100.00 %"), _value("0.00 %"), _value("AZ-104")
    ('0.7512', '1', '0', 'AZ-104')
    """
    if not _SHARE.fullmatch(cell):
        return cell
    return f"{float(cell[:-2]) / 100:.4f}".rstrip("0").rstrip(".")


_TAG: Final = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*>", re.ASCII)
_RAW: Final = {
    name: re.compile(f"</{name}[^<>]*>", re.ASCII | re.IGNORECASE)
    for name in ("script", "style", "textarea", "title", "template")
}
"""Elements whose content is no markup, and how each ends."""


def _cells(text: str) -> list[list[str]]:
    """Return the cells of a page's tables, row by row, in time that grows with the page.

    The library's parser looks ahead anew at each tag that is never closed: a page of others, 100 KB
    long, kept it busy for a minute.
    """
    rows: list[list[list[str]]] = []
    is_inside = False
    for tag, data in _pieces(text):
        if data and is_inside:
            rows[-1][-1].append(unescape(data))
        elif tag == "tr":
            rows.append([])
            is_inside = False
        elif tag in ("td", "th") and rows:
            rows[-1].append([])
            is_inside = True
        elif tag in ("/td", "/th"):
            is_inside = False
    return [["".join(cell) for cell in row] for row in rows]


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Yield the tags of a page, by name, and the texts between them, without what is not shown."""
    at = 0
    while (found := text.find("<", at)) >= 0:
        yield "", text[at:found]
        if text.startswith("<!--", found):
            end = text.find("-->", found)
            if end < 0:
                return
            at = end + 3
        elif (match := _TAG.match(text, found)) is None:
            yield "", "<"
            at = found + 1
        else:
            tag = f"{match[1]}{match[2]}".lower()
            yield tag, ""
            at = match.end()
            if tag in _RAW:
                closing = _RAW[tag].search(text, at)
                if closing is None:
                    return
                at = closing.end()
    yield "", text[at:]
