"""The line charts of the report, as data for ``assets/charts.js``: a mapping each, or None where there is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from appliance.core.books.entries import Entry, EntryKind, Mark
from appliance.domain.trading import ZERO
from appliance.research.report.series import place, seconds, thinned
from appliance.research.results.result import BacktestResult
from appliance.research.results.tables import depths
from appliance.research.results.tape import Path

Chart = dict[str, Any]
MARKS_MAX = 600
"""Fills drawn on one price path, the largest."""
PATHS_MAX = 8
"""Symbols whose prices are drawn, those traded most."""
PATH_POINTS = 900


def line(label: str, colour: str, values: Sequence[float | None], **extra: Any) -> dict[str, Any]:
    """One line of a chart; ``colour`` is a name of the style sheet."""
    return {"label": label, "colour": colour, "values": values, **extra}


def equity(result: BacktestResult) -> list[Chart]:
    """Equity with its benchmark, and the drawdown below it, on one axis."""
    marks = result.marks
    if len(marks) < 2:
        return []
    values = [mark.equity for mark in marks]
    falls = list(depths(marks, float(result.plan.cash)))
    kept = thinned(values, keep=(falls.index(min(falls)),))
    shown = [marks[at] for at in kept]
    times = seconds([mark.time for mark in shown])
    lines = [line("equity", "one", [round(mark.equity, 2) for mark in shown])]
    held = _held(result, shown)
    if any(price is not None for price in held):
        lines.append(line(f"{result.benchmark} held", "two", held, dash=[5, 4], width=1.2))
    below = [line("drawdown", "two", [round(100 * falls[at], 3) for at in kept], fill="fall", step=True)]
    return [
        {"id": "chart-equity", "height": 280, "times": times, "series": lines, "sync": "equity", "places": 2},
        {"id": "chart-drawdown", "height": 130, "times": times, "series": below, "sync": "equity", "places": 2,
         "suffix": " %", "zero": True},
    ]  # fmt: skip


def _held(result: BacktestResult, marks: Sequence[Mark]) -> list[float | None]:
    """What the cash would be worth had it bought the benchmark at the first mark: no costs, fractions of shares, its
    dividends reinvested."""
    path = result.tape.paths.get(result.benchmark)
    if path is None or not len(path):
        return [None] * len(marks)
    begin = path.worth(result.marks[0].time) or path.prices[0]
    cash = float(result.plan.cash)
    prices = [path.worth(mark.time) for mark in marks]
    return [None if price is None else round(cash * price / begin, 2) for price in prices]


def exposure(marks: Sequence[Mark]) -> list[Chart]:
    """How much of the equity is in the market, long above and short below the line, in percent."""
    if len(marks) < 2 or not any(mark.long or mark.short for mark in marks):
        return []
    kept = thinned([mark.long + mark.short for mark in marks])
    shown = [marks[at] for at in kept]
    longs, shorts = ([_part(getattr(mark, side), mark.equity) for mark in shown] for side in ("long", "short"))
    lines = [line("long", "one", longs, fill="fill", step=True)]
    lines += [line("short", "two", shorts, fill="fall", step=True)] if any(shorts) else []
    times = seconds([mark.time for mark in shown])
    return [{"id": "chart-exposure", "height": 170, "times": times, "series": lines, "places": 1, "suffix": " %",
             "zero": True}]  # fmt: skip


def _part(amount: float, equity: float) -> float:
    return round(100 * amount / equity, 2) if equity > 0 else 0.0


def most_traded(result: BacktestResult) -> list[str]:
    """The symbols whose prices are drawn, by name of the chart's place: those with the most trades first."""
    counts: dict[str, int] = {}
    for entry in result.entries:
        if entry.kind is EntryKind.FILL:
            counts[entry.symbol] = counts.get(entry.symbol, 0) + 1
    drawn = [symbol for symbol in counts if len(result.tape.paths.get(symbol, ())) > 1]
    return sorted(drawn, key=lambda symbol: -counts[symbol])[:PATHS_MAX]


def rolling(result: BacktestResult) -> list[Chart]:
    """Sharpe ratio and volatility (percent a year) over a window that moves."""
    curves = result.curves
    if len(curves.rolling_times) < 2:
        return []
    kept = thinned(curves.rolling_volatility)
    times = seconds([curves.rolling_times[at] for at in kept])
    sharpe = [_rounded(curves.rolling_sharpe[at], 3) for at in kept]
    volatility = [_rounded(100 * curves.rolling_volatility[at], 3) for at in kept]
    common = {"height": 118, "times": times, "places": 2, "sync": "rolling"}
    return [
        {"id": "chart-sharpe", "series": [line("Sharpe", "one", sharpe)]} | common,
        {"id": "chart-volatility", "series": [line("volatility", "three", volatility)], "suffix": " %"} | common,
    ]


def _rounded(value: float | None, places: int) -> float | None:
    return None if value is None else round(value, places)


def prices(result: BacktestResult) -> list[Chart]:
    """Each of the most traded symbols: its price, and where it was bought and sold."""
    fills = moves(result.entries)
    return [
        _price(f"chart-price-{at}", symbol, result.tape.paths[symbol], fills[symbol])
        for at, symbol in enumerate(most_traded(result))
    ]


class Move(Struct, frozen=True):
    """A fill as it is drawn: ``sign`` 1 bought, ``opens`` whether the position grew; ``weight`` is its value (USD)."""

    time: int
    price: float
    sign: int
    opens: bool
    weight: float


def moves(entries: Iterable[Entry]) -> dict[str, list[Move]]:
    """Every fill by symbol."""
    held: dict[str, Decimal] = {}
    found: dict[str, list[Move]] = {}
    for one in entries:
        before = held.get(one.symbol, ZERO)
        held[one.symbol] = after = before + one.quantity
        if one.kind is EntryKind.FILL:
            sign = 1 if one.quantity > 0 else -1
            move = Move(one.time, float(one.price), sign, after * sign > 0, float(abs(one.quantity) * one.price))
            found.setdefault(one.symbol, []).append(move)
    return found


def _price(anchor: str, symbol: str, path: Path, fills: Sequence[Move]) -> Chart:
    kept = thinned(path.prices, PATH_POINTS)
    times = [path.times[at] for at in kept]
    shown = sorted(fills, key=lambda one: -one.weight)[:MARKS_MAX]
    marks = [[place(times, one.time), round(one.price, 4), one.sign, int(one.opens)] for one in shown]
    values = [round(path.prices[at], 4) for at in kept]
    return {
        "id": anchor, "height": 240, "times": seconds(times), "places": 2, "marks": marks, "drawn": len(shown),
        "fills": len(fills), "series": [line(symbol, "soft", values, width=1.2)],
    }  # fmt: skip
