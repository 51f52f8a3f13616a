"""How equity went: over time, by months and days, and where on the prices it traded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.core.books.entries import EntryKind
from appliance.data.options import new_york_date
from appliance.research.analysis import Drawdown
from appliance.research.formats import number, percent, span
from appliance.research.report.charts import Chart, most_traded
from appliance.research.report.html import Html, Piece, join, section, table, tag
from appliance.research.report.pictures import heat_map, histogram
from appliance.research.results.result import BacktestResult

DRAWDOWNS_MAX = 5


def equity(result: BacktestResult, drawn: Sequence[Chart]) -> Html:
    """Equity, what is below its peak, and how much of it is in the market."""
    if not drawn or drawn[0]["id"] != "chart-equity":
        return section("equity", "Equity", "There are too few marks to draw.")
    there = {chart["id"]: chart for chart in drawn}
    chart = there["chart-equity"]
    keys = [switch(chart["id"], at, one) for at, one in enumerate(chart["series"], 1)]
    parts = [
        figure(chart, "Equity, USD", *keys, told=_told(chart, " USD")),
        figure(there["chart-drawdown"], "Below the highest equity so far", told=_told(there["chart-drawdown"], " %")),
    ]
    if "chart-exposure" in there:
        exposure = there["chart-exposure"]
        sides = [key(one["colour"], one["label"]) for one in exposure["series"]]
        parts.append(figure(exposure, "Exposure, percent of equity", *sides, told=_told(exposure, " %")))
    lead = (
        f"What the account was worth at {len(result.marks):,} moments; a long run is drawn with its extremes. "
        "Hours in which the market is closed take no room."
    )
    return section("equity", "Equity", lead, *parts, drawdowns(result))


def drawdowns(result: BacktestResult) -> Html:
    """The deepest falls below a peak: since when, how deep, when it was made up for."""
    if not result.drawdowns:
        return Html("")
    deepest = sorted(result.drawdowns, key=lambda one: one.depth)[:DRAWDOWNS_MAX]
    head = ("peak", "lowest", "back", "depth", "until lowest", "until back")
    rows = [_drawdown(one, result.marks[-1].time) for one in deepest]
    return join(tag("h3", "The deepest drawdowns"), table(head, rows))


def _drawdown(one: Drawdown, now: int) -> list[Piece]:
    back = "not yet" if one.end is None else new_york_date(one.end)
    lasted = f"{span(now - one.start)} so far" if one.end is None else span(one.end - one.start)
    peak, lowest = new_york_date(one.start), new_york_date(one.trough)
    return [peak, lowest, back, percent(one.depth), span(one.trough - one.start), lasted]


def returns(result: BacktestResult, drawn: Sequence[Chart]) -> Html:
    """Months, days, and how steady it was."""
    curves = result.curves
    if not curves.returns:
        return section("returns", "Returns", "Less than two days: there are no daily returns.")
    parts: list[Html] = [heat_map(curves.months, curves.years)]
    there = {chart["id"]: chart for chart in drawn}
    rolling = [
        figure(there[name], title, told=_told(there[name], suffix))
        for name, title, suffix in (
            ("chart-sharpe", f"Sharpe ratio of the last {curves.window} days", ""),
            ("chart-volatility", f"Volatility of the last {curves.window} days, percent a year", " %"),
        )
        if name in there
    ]
    spread = tag(
        "figure", tag("figcaption", tag("b", "Daily returns"), "dashed: their mean"), histogram(curves.returns)
    )
    parts += [
        tag("h3", "How they are spread, and how they changed"),
        tag("div", spread, tag("div", *rolling), class_="two") if rolling else spread,
    ]
    return section("returns", "Returns", "Of equity from close to close, percent.", *parts)


def prices(result: BacktestResult, drawn: Sequence[Chart]) -> Html:
    """Where it traded."""
    symbols = most_traded(result)
    if not symbols:
        return Html("")
    traded = {entry.symbol for entry in result.entries if entry.kind is EntryKind.FILL}
    keys = (key("one", "bought", "buy"), key("two", "sold", "sell"))
    there = {chart["id"]: chart for chart in drawn}
    parts = []
    for at, symbol in enumerate(symbols):
        chart = there[f"chart-price-{at}"]
        some = f"the largest {chart['drawn']} of " if chart["drawn"] < chart["fills"] else ""
        note = f"{some}{chart['fills']:,} fills"
        parts.append(figure(chart, symbol, *keys, note, told=f"Price of {symbol} and {note}."))
    more = f" Drawn are the {len(symbols)} symbols traded most of {len(traded)}." if len(traded) > len(symbols) else ""
    lead = f"Filled triangles open or enlarge a position, hollow ones close or reduce it.{more}"
    return section("prices", "Trades on prices", lead, *parts)


def key(colour: str, text: str, mark: str = "") -> Html:
    """One entry of a chart's legend."""
    return tag("span", text, class_=f"key mark {mark}" if mark else "key", style=f"--c:var(--{colour})")


def switch(chart: str, at: int, series: Mapping[str, str]) -> Html:
    """An entry of a legend that takes its line out of the chart, and puts it back."""
    return tag(
        "button", series["label"], type="button", class_="key", style=f"--c:var(--{series['colour']})",
        data_chart=chart, data_series=str(at), aria_pressed="true", title="show or hide",
    )  # fmt: skip


def figure(chart: Mapping[str, object], title: str, *keys: Piece, told: str) -> Html:
    """The place of a chart, with its caption, and in words for who cannot see it."""
    spoken = [one if isinstance(one, Html) else tag("span", one) for one in keys]
    place = tag("div", "", id=str(chart["id"]), class_="chart", role="img", aria_label=f"{title}. {told}",
                style=f"min-height:{chart['height']}px")  # fmt: skip
    return tag("figure", tag("figcaption", tag("b", title), *spoken), place)


def _told(chart: Mapping[str, object], unit: str) -> str:
    """A line in words: where it began, ended, and lay at most and least."""
    series = chart["series"]
    assert isinstance(series, list)
    known = [value for value in series[0]["values"] if value is not None]
    if not known:
        return "Nothing."
    first, last, low, high = (f"{number(value)}{unit}" for value in (known[0], known[-1], min(known), max(known)))
    return f"From {first} to {last}, between {low} and {high}."
