"""How pictures are made: one look for all, data inside, nothing fetched from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

WIDTH, HEIGHT = 640, 280
COLOURS = ("#2f5d8c", "#d98032", "#5b9a68", "#b5493f", "#7a68a6", "#8c8c8c", "#c9a227", "#4aa3a2")
"""Told apart in grey and by those who see red and green alike, for the first four at least."""


def altair() -> Any:
    """Return the library that draws."""
    # Here, since it takes 300 ms to import, and most reports leave without a picture.
    import altair

    return altair


def data(table: pa.Table, columns: list[str]) -> Any:
    """Put some columns of a table into a chart as its data; instants as milliseconds."""
    alt = altair()
    made = []
    for row in table.select(columns).to_pylist():
        made.append(
            {
                name: round(value.timestamp() * 1000) if hasattr(value, "timestamp") else value
                for name, value in row.items()
            }
        )
    return alt.InlineData(values=made)


def bars(table: pa.Table, x: Any, y: Any, colour: Any, columns: list[str]) -> Any:
    """Draw stacked bars."""
    alt = altair()
    drawn = alt.Chart(data(table, columns)).mark_bar().encode(x=x, y=y, color=colour)
    # Exams and reasons stand below one another, each with a bar of its own; months side by side.
    height = alt.Step(20) if x.to_dict().get("type") == "quantitative" else HEIGHT
    return drawn.properties(width=WIDTH, height=height)


def month_axis(months: list[str], title: str = "month (UTC)") -> Any:
    """Name an axis of months across, each of them whether anything is in it or not."""
    alt = altair()
    return axis("month", title, "ordinal", scale=alt.Scale(domain=months))


def colour(field: str, title: str, order: list[str] | None = None) -> Any:
    """Distinguish values by colour, with a legend."""
    alt = altair()
    scale = alt.Scale(range=list(COLOURS), domain=order) if order else alt.Scale(range=[*COLOURS])
    return alt.Color(field, type="nominal", scale=scale, legend=alt.Legend(title=title))


def axis(field: str, title: str, kind: str = "quantitative", **more: Any) -> Any:
    """Name an axis across."""
    alt = altair()
    return alt.X(field, type=kind, title=title, **more)


def upright(field: str, title: str, kind: str = "quantitative", **more: Any) -> Any:
    """Name an axis upwards."""
    alt = altair()
    return alt.Y(field, type=kind, title=title, **more)


def dressed(chart: Any, title: str, lines: list[str]) -> dict[str, Any]:
    """Return a chart's Vega-Lite specification with its title and what stands below it."""
    alt = altair()
    heading = alt.TitleParams(
        text=title, subtitle=lines, anchor="start", fontSize=15, subtitleFontSize=11,
        subtitleColor="#555555", offset=12,
    )  # fmt: skip
    full = (
        chart.properties(title=heading)
        .configure_view(strokeOpacity=0)
        .configure_axis(labelFontSize=11, titleFontSize=12, gridColor="#e6e6e6")
        .configure(background="white", padding=14)
    )
    spec: dict[str, Any] = full.to_dict()
    return spec
