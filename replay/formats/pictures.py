"""Pictures of reports: SVG, PNG, or a page that works offline."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from projections.reports.drawing import dressed
from replay.formats.plain import heading
from replay.outputs import Output

KINDS: Final = ("svg", "png", "html")
_SCALE = 2.0
"""Of a PNG: sharp on a screen of today, and in print."""


def drawn_by() -> str:
    """Name what draws the pictures, with versions: another may draw them a little otherwise."""
    return ", ".join(f"{name} {version(name)}" for name in ("altair", "vl-convert-python"))


def specification(output: Output) -> Mapping[str, Any]:
    """Return the picture of a report as a Vega-Lite specification with its data inside."""
    report = output.report
    assert report is not None
    lines = [report.line(output.table), heading(output.receipt)]
    if not output.table.num_rows:
        return empty(report.title, lines)
    return dressed(report.picture(output.table), report.title, lines)


def empty(title: str, lines: list[str]) -> Mapping[str, Any]:
    """Draw a report without rows: its title alone."""
    import altair as alt

    blank = alt.Chart(alt.InlineData(values=[{}])).mark_text(text="no rows")
    return dressed(blank.properties(width=400, height=40), title, lines)


def draw(output: Output, kind: str) -> bytes:
    """Draw a report as `svg`, `png` or `html`, in which everything is inside."""
    import vl_convert

    spec = dict(specification(output))
    if kind == "png":
        picture: bytes = vl_convert.vegalite_to_png(spec, scale=_SCALE)
        return picture
    if kind == "svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    return str(vl_convert.vegalite_to_html(spec, bundle=True)).encode()
