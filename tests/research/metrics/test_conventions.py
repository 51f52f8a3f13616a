"""Figures by other people's conventions: what backtesting.py computes of the same run, what LEAN published."""

from __future__ import annotations

import csv
import gzip
import math
import warnings
from datetime import datetime
from decimal import Decimal

import numpy as np
import pytest

from appliance.core.books.entries import Mark, Trade
from appliance.domain.trading import Side
from appliance.research.analysis import PerformanceAnalyzer
from tests.data.real import needs_real_data, real
from tests.research.metrics.series import CASH, NEW_YORK, SERIES, mark, marks, trade

D = Decimal

# --- backtesting.py ------------------------------------------------------------------------------------------------

NAMES = (
    "Equity Final [$]", "Equity Peak [$]", "Return [%]", "Return (Ann.) [%]", "Volatility (Ann.) [%]", "CAGR [%]",
    "Sharpe Ratio", "Sortino Ratio", "Calmar Ratio", "Max. Drawdown [%]", "# Trades", "Win Rate [%]", "Best Trade [%]",
    "Worst Trade [%]", "Avg. Trade [%]", "Profit Factor", "Expectancy [%]", "SQN", "Exposure Time [%]",
)  # fmt: skip


def crossing(fast: int, slow: int, commission: float) -> object:
    """The statistics of that library for two averages that cross, always in the market."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from backtesting import Backtest, Strategy
        from backtesting.lib import crossover
        from backtesting.test import GOOG, SMA

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.fast, self.slow = (self.I(SMA, self.data.Close, count) for count in (fast, slow))

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.position.close()
                self.buy()
            elif crossover(self.slow, self.fast):
                self.position.close()
                self.sell()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Backtest(GOOG.iloc[:800], Cross, commission=commission, finalize_trades=True).run()


def books(stats: object) -> tuple[list[Mark], list[Trade]]:
    """The library's own equity and trades as ours: its daily bars end at midnight."""
    equity = stats._equity_curve["Equity"]  # type: ignore[attr-defined]
    day = 86_400 * 10**9
    ends = {at: int(time.value) + day for at, time in enumerate(equity.index)}
    made = [mark(ends[at], float(worth)) for at, worth in enumerate(equity)]
    closed = [
        Trade(
            "GOOG", "", Side.BUY if row.Size > 0 else Side.SELL, D(abs(int(row.Size))), ends[row.EntryBar] - 1,
            D(repr(row.EntryPrice)), ends[row.ExitBar] - 1, D(repr(row.ExitPrice)), D(repr(row.Commission)),
            D(repr(row.PnL)),
        )
        for row in stats._trades.itertuples()  # type: ignore[attr-defined]
    ]  # fmt: skip
    return made, closed


@pytest.mark.parametrize(("fast", "slow", "commission"), [(10, 20, 0.002), (10, 30, 0.0), (40, 90, 0.001)])
def test_the_figures_of_backtesting_py_to_nine_places(fast: int, slow: int, commission: float) -> None:
    stats = crossing(fast, slow, commission)
    found = PerformanceAnalyzer(*books(stats)).figures("backtesting.py")
    for name in NAMES:
        assert found[name] == pytest.approx(float(stats[name]), rel=1e-9), name  # type: ignore[index]


# --- LEAN ----------------------------------------------------------------------------------------------------------


def at(day: int, hour: int) -> int:
    return int(datetime(2013, 10, day, hour, tzinfo=NEW_YORK).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("opened", "closed", "end", "published"),
    [(at(7, 0), at(11, 16), 101_691.92, 2.71453), (at(8, 0), at(18, 0), 103_463.69, 2.46546)],
    ids=["BasicTemplateAlgorithm", "BasicTemplateDailyAlgorithm"],
)
def test_growth_of_a_year_is_what_lean_published(opened: int, closed: int, end: float, published: float) -> None:
    found = PerformanceAnalyzer([mark(closed, end)], opening=CASH, opened=opened).figures("lean")
    assert found["Compounding Annual Return"] == pytest.approx(published, abs=1e-5)
    assert found["Net Profit"] == pytest.approx(end / CASH - 1)


@needs_real_data
def test_what_lean_published_of_its_basic_template() -> None:
    bars = spy_minutes()
    made = [mark(end, CASH - 688 * 144.78172417 - 3.44 + 688 * price) for end, price in bars]
    prices = ([end for end, _ in bars], [price for _, price in bars])
    analysis = PerformanceAnalyzer(made, opening=CASH, opened=at(7, 0), risk_free=0.0075, benchmark=prices)
    found = analysis.figures("lean")
    published = {
        "Compounding Annual Return": 2.71453, "Drawdown": 0.022, "End Equity": 101_691.92, "Net Profit": 0.01692,
        "Sharpe Ratio": 8.854, "Probabilistic Sharpe Ratio": 0.67609, "Alpha": -0.005, "Beta": 0.996,
        "Annual Standard Deviation": 0.222, "Annual Variance": 0.049, "Tracking Error": 0.001, "Treynor Ratio": 1.97,
    }  # fmt: skip
    places = {"Compounding Annual Return": 5, "Net Profit": 5, "Probabilistic Sharpe Ratio": 5, "End Equity": 2}
    assert {name: round(found[name] or 0.0, places.get(name, 3)) for name in published} == published


def spy_minutes() -> list[tuple[int, float]]:
    """End and adjusted close of SPY's regular minutes of 2013-10-07 to 11."""
    with gzip.open(real("equity_factors"), "rt") as file:
        rows = [row for row in csv.DictReader(file) if row["symbol"] == "SPY" and row["through_date"] >= "2013-10-11"]
    first = min(rows, key=lambda row: row["through_date"])
    factor = float(first["price_factor"]) * float(first["split_factor"])
    with gzip.open(real("equity_1min_bars"), "rt") as file:
        every = [(int(row["ts"]), float(row["close"])) for row in csv.DictReader(file) if row["symbol"] == "SPY"]
    opens = [(at(day, 9) + 1800 * 10**9, at(day, 16)) for day in range(7, 12)]
    return [(start + 60 * 10**9, price * factor) for start, price in every
            if any(begin <= start < end for begin, end in opens)]  # fmt: skip


def test_lean_judges_marks_losing_days_and_realised_capital() -> None:
    returns = np.array([0.01, -0.02, 0.005, -0.01, 0.013])
    intraday = [Mark(one.time, one.equity, one.equity / 2, one.equity, 0.0) for one in marks(returns)]
    found = PerformanceAnalyzer(intraday, [trade(1_000), trade(-505), trade(0)], opening=CASH).figures("lean")
    counted = returns[1:]
    yearly, spread = (1 + counted.mean()) ** 252 - 1, counted.std(ddof=1) * math.sqrt(252)
    expected = {
        "Drawdown": 1 - 0.98 * 1.005 * 0.99,
        "Annual Standard Deviation": spread,
        "Sharpe Ratio": yearly / spread,
        "Sortino Ratio": yearly / (np.std([-0.02, -0.01], ddof=1) * math.sqrt(252)),
        "Average Win": 0.01,
        "Average Loss": -0.0025,
        "Win Rate": 1 / 3,
        "Loss Rate": 2 / 3,
        "Profit-Loss Ratio": 4.0,
        "Expectancy": 4 / 3 - 2 / 3,
        "Total Fees": 3.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_lean_compares_with_the_benchmark_by_compounded_means() -> None:
    ours = SERIES["seed 7"]
    made = marks(ours)
    theirs = 0.5 * ours + 0.001 * np.sin(np.arange(len(ours)))
    prices = ([made[0].time - 1, *(one.time for one in made)], [50.0, *(50 * np.cumprod(1 + theirs))])
    found = PerformanceAnalyzer(made, opening=CASH, opened=made[0].time - 1, benchmark=prices).figures("lean")
    ours, theirs = ours[1:], theirs[1:]
    beta = np.cov(ours, theirs)[0, 1] / theirs.var(ddof=1)
    mine, other = ((1 + one.mean()) ** 252 - 1 for one in (ours, theirs))
    error = (ours - theirs).std(ddof=1) * math.sqrt(252)
    expected = {
        "Beta": beta, "Alpha": mine - beta * other, "Tracking Error": error, "Treynor Ratio": mine / beta,
        "Information Ratio": (mine - other) / error,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
