"""Figures of the analysis in the page: each carries its name and its value, so that it can be compared."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.research.analysis import METRICS
from appliance.research.formats import figure, signed
from appliance.research.report.html import Html, heading, section, tag
from appliance.research.results.result import BacktestResult

UNITS = {row.name: row.unit for row in METRICS}


def shown(result: BacktestResult, name: str, coloured: bool = False) -> Html:
    """One figure, by its unit; a dash where it is not defined."""
    value = result.metrics.get(name)
    colour = signed(value) if coloured and value is not None else None
    return tag("span", figure(value, UNITS.get(name, "")), data_metric=name, data_value=repr(value), class_=colour)


def metrics(result: BacktestResult) -> Html:
    """All figures with what they are and whose formula it is."""
    lead = "Every figure, what it is and where its formula comes from. A dash: it is not defined for this run."
    names = (tag("th", "figure", scope="col"), tag("th", "value", scope="col"), heading("what it is"))
    head = tag("thead", tag("tr", *names))
    body = tag("tbody", *_rows(result))
    return section(
        "metrics", "All figures", lead, tag("div", tag("table", head, body, class_="metrics"), class_="scroll")
    )


def _rows(result: BacktestResult) -> Iterator[Html]:
    group = ""
    for row in METRICS:
        if row.group != group:
            group = row.group
            yield tag("tr", tag("th", group, scope="rowgroup", colspan="3"), class_="group")
        source = f" ({row.source})" if row.source else ""
        yield tag("tr", tag("td", row.label), tag("td", shown(result, row.name), class_="value"),
                  tag("td", row.what + source, class_="what"))  # fmt: skip
