"""The report of one backtest: its parts, in the order a reader asks for them."""

from __future__ import annotations

from appliance import __version__
from appliance.research.report import books, charts, overview, performance
from appliance.research.report.html import Html, join, page, tag
from appliance.research.report.metrics import metrics
from appliance.research.report.settings import settings
from appliance.research.results.result import BacktestResult

PARTS = (
    ("findings", "Findings"), ("equity", "Equity"), ("returns", "Returns"), ("prices", "Trades on prices"),
    ("trades", "Trades"), ("costs", "Costs"), ("symbols", "Symbols"), ("metrics", "All figures"),
    ("settings", "Settings"),
)  # fmt: skip


def report(result: BacktestResult) -> bytes:
    """The whole page: one file that needs nothing else, the same bytes for the same result."""
    drawn = drawings(result)
    parts = (
        overview.findings(result), performance.equity(result, drawn), performance.returns(result, drawn),
        performance.prices(result, drawn), books.trades(result), books.costs(result), books.by_symbol(result),
        metrics(result), settings(result),
    )  # fmt: skip
    there = tuple(part for part in PARTS if any(f'id="{part[0]}"' in piece for piece in parts))
    body = join(overview.header(result, there), tag("main", *parts), _footer())
    return page(f"{result.name}: backtest", body, drawn)


def drawings(result: BacktestResult) -> list[charts.Chart]:
    """Every line chart of the page."""
    return [*charts.equity(result), *charts.exposure(result.marks), *charts.rolling(result), *charts.prices(result)]


def _footer() -> Html:
    return tag(
        "footer", f"appliance {__version__}. What a rule did with recorded prices is no promise of what it will do."
    )
