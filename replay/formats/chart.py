"""Charts of reports, as SVG or PNG, drawn in a process of their own (`drawing_process`)."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree

from projections.reports.drawing import altair, dressed
from replay.formats import CannotWrite
from replay.formats.child import command, how_it_ended
from replay.formats.page import NOT_XML, REPLACEMENT
from replay.receipts import heading

if TYPE_CHECKING:
    from replay.outputs import Output

_CHILD: Final = "replay.formats.drawing_process"

_SVG: Final = "{http://www.w3.org/2000/svg}"
_ELEMENTS: Final = frozenset(
    f"{_SVG}{name}"
    for name in ("svg", "g", "defs", "clipPath", "path", "rect", "line", "text", "tspan")
)
_ATTRIBUTES: Final = frozenset(
    {"class", "clip-path", "d", "display", "dx", "dy", "fill", "fill-opacity", "font-family"}
    | {
        "font-size",
        "font-style",
        "font-weight",
        "height",
        "id",
        "opacity",
        "pointer-events",
        "role",
    }
    | {"stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit"}
    | {"stroke-opacity", "stroke-width", "text-anchor", "transform", "version", "viewBox", "width"}
    | {"aria-hidden", "aria-label", "aria-roledescription", "x", "x1", "x2", "y", "y1", "y2"}
)
"""What a picture of ours consists of: nothing in it runs, links, or fetches anything."""


def specification(output: Output, *, titled: bool = True) -> dict[str, Any]:
    """Return the picture of a report as a Vega-Lite specification with its data inside.

    It stands alone, with its title, or where the title stands above it already.
    """
    report = output.report
    assert report is not None
    title = report.title if titled else ""
    lines = [output.line, heading(output.receipt)] if titled else []
    if not output.table.num_rows:
        return _without_rows(title, lines)
    return dressed(report.picture(output.table), title, lines)


def _without_rows(title: str, lines: list[str]) -> dict[str, Any]:
    """Draw a report without rows: its title alone."""
    alt = altair()
    blank = alt.Chart(alt.InlineData(values=[{}])).mark_text(text="no rows")
    return dressed(blank.properties(width=400, height=40), title, lines)


def draw(output: Output, kind: str, *, titled: bool = True) -> bytes:
    """Draw a report as `svg` or `png`, everything inside; raises CannotWrite.

    What XML cannot hold is replaced by U+FFFD. A process that dies leaves a sentence.
    """
    order = {"kind": kind, "spec": holdable(specification(output, titled=titled))}
    picture = drawn(json.dumps(order).encode())
    if kind == "svg":
        check_still(picture)
    return picture


def drawn(order: bytes) -> bytes:
    """Return what the process that draws makes of an order; raises CannotWrite."""
    done = subprocess.run(command(_CHILD), input=order, capture_output=True, check=False)
    if problem := how_it_ended(done.returncode, done.stderr, "the drawing library"):
        raise CannotWrite(f"the chart was not drawn: {problem}")
    return done.stdout


def holdable(value: Any) -> Any:
    """Replace in all texts of a specification what XML cannot hold.

    >>> holdable({"exam": ["A\\x1b[2J", 1]})
    {'exam': ['A\ufffd[2J', 1]}
    """
    if isinstance(value, str):
        return NOT_XML.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {name: holdable(each) for name, each in value.items()}
    return [holdable(each) for each in value] if isinstance(value, list) else value


def check_still(svg: bytes) -> None:
    """Refuse an SVG that has in it anything but shapes and texts; raises CannotWrite.

    However the drawing library writes the texts of the data, none of them becomes an element.
    """
    if b"<!" in svg or b"<?" in svg:
        raise CannotWrite("the chart was not drawn: it would hold more than elements")
    try:
        for element in ElementTree.fromstring(svg).iter():
            strange = {element.tag} - _ELEMENTS | {*element.attrib} - _ATTRIBUTES
            strange |= {
                value
                for name, value in element.attrib.items()
                if name != "aria-label" and "url(" in value and not value.startswith("url(#")
            }
            if strange:
                raise CannotWrite(f"the chart was not drawn: it would hold {min(strange)!r}")
    except ElementTree.ParseError as error:
        raise CannotWrite(f"the chart was not drawn: it would be no XML ({error})") from None
