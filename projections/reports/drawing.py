"""How pictures are made: one look for all, data inside, nothing fetched from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

from projections.reports.report import every_month

WIDTH, HEIGHT = 640, 280
COLOURS = ("#2f5d8c", "#d98032", "#5b9a68", "#b5493f", "#7a68a6", "#8c8c8c", "#c9a227", "#4aa3a2")
"""Distinguishable in grey and by those who see red and green alike, for the first four at least."""


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
    """Draw stacked bars of counts."""
    alt = altair()
    horizontal = x.to_dict().get("type") == "quantitative"
    # Exams and reasons stand below one another, each with a bar of its own; months side by side.
    height = alt.Step(20) if horizontal else HEIGHT
    if horizontal:
        x = x.axis(**_whole_ticks(table, y, x))
    else:
        y = y.axis(**_whole_ticks(table, x, y))
    drawn = alt.Chart(data(table, columns)).mark_bar().encode(x=x, y=y, color=colour)
    return drawn.properties(width=WIDTH, height=height)


_FEW = 10


def _whole_ticks(table: pa.Table, of_each: Any, counts: Any) -> dict[str, Any]:
    """Return an axis of the sums of counts that has no tick between two whole numbers."""
    by, column = of_each.to_dict()["field"], counts.to_dict()["field"]
    sums = table.group_by(by).aggregate([(column, "sum")])[f"{column}_sum"].to_pylist()
    most = max(sums, default=0)
    few = {"values": list(range(most + 1))} if most < _FEW else {"tickMinStep": 1}
    return {"format": ",d", **few}


def monthly(
    table: pa.Table,
    counts: str,
    title: str,
    by: str,
    colour: Any,
    columns: list[str],
    title_of_months: str = "month (UTC)",
) -> Any:
    """Draw stacked bars of counts for each month; of one month alone, for each value of `by`.

    `counts` is the sum of a column, and `title` names it.
    """
    months = every_month(table["month"])
    if len(months) > 1:
        return bars(
            table, month_axis(months, title_of_months), upright(counts, title), colour, columns
        )
    across = axis(counts, f"{title}, {months[0]}")
    return bars(table, across, upright(by, "", "nominal", sort="-x"), colour, columns)


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
    """Return a chart's Vega-Lite specification with its title, if any, and what stands below."""
    alt = altair()
    if title:
        heading = alt.TitleParams(
            text=title, subtitle=lines, anchor="start", fontSize=15, subtitleFontSize=11,
            subtitleColor="#555555", offset=12,
        )  # fmt: skip
        chart = chart.properties(title=heading)
    full = (
        chart.configure_view(strokeOpacity=0)
        .configure_axis(labelFontSize=11, titleFontSize=12, gridColor="#e6e6e6")
        .configure(background="white", padding=14)
    )
    spec: dict[str, Any] = full.to_dict()
    return spec
