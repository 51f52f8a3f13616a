"""By whole arrays and event by event a combination comes to the same figures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from appliance.core.books import book as bookkeeping
from appliance.core.models import MarketModel
from appliance.core.models.commission import Commission
from appliance.data.options import FileOptions
from appliance.errors import StrategyError, UsageError
from appliance.research.results.running import Plan
from appliance.research.sweep import arrays
from appliance.research.sweep.axes import axes
from appliance.research.sweep.job import Varied
from appliance.research.sweep.sweeping import job_of, subject_of
from appliance.research.sweep.trial import trial
from appliance.runs import StrategySpec
from tests.integration.running import MINUTE, MONDAY, STRATEGIES, random_walk

BOTH = """
import numpy as np
from appliance.strategy import Strategy, param


class Both(Strategy):
    symbols = ("AAA", "BBB")
    pace: int = param(3, low=1)

    def on_start(self):
        self.state["seen"] = {"AAA": 0, "BBB": 0}

    def on_bar(self, bar):
        self.state["seen"][bar.symbol] += 1
        n = self.state["seen"][bar.symbol]
        if n % self.pace == 0:
            self.target(bar.symbol, quantity=10 * (n // self.pace % 4 - 1))

    def signals(self, bars):
        found = {}
        for symbol, columns in bars.items():
            n = np.arange(1, len(columns) + 1)
            found[symbol] = np.where(n % self.pace == 0, 10.0 * (n // self.pace % 4 - 1), np.nan)
        return found
"""


def outcomes(plan: Plan, grid: str) -> list[tuple[Any, Any]]:
    """Each combination by both ways."""
    varied = Varied(axes([grid]))
    jobs = [job_of(plan, varied, None, (0, 1), vectorized) for vectorized in (False, True)]
    subjects = [subject_of(job, None) for job in jobs]
    made = [[trial(subject, *one) for one in jobs[0].numbered()] for subject in subjects]
    return [(one.figures, other.figures) for one, other in zip(*made, strict=True)]


def same(one: dict[str, float | None], other: dict[str, float | None]) -> None:
    assert one.keys() == other.keys()
    differs = {
        name: (value, other[name])
        for name, value in one.items()
        if (value is None) != (other[name] is None)
        or (value is not None and not math.isclose(value, other[name] or 0.0, rel_tol=1e-9, abs_tol=1e-12))
    }
    assert not differs


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """SMA crossings on a jumpy walk, for an account that pays for its trades."""
    data = random_walk(tmp_path / "walk.csv", 900)
    return Plan(
        StrategySpec("sma", str(STRATEGIES / "sma_cross.py"), "", {"symbol": "SPY", "slow": "20"}), (str(data),),
        FileOptions(symbols=("SPY",), session="all"), cash=Commission().minimum * 100_000,
        model=MarketModel(Commission()),
    )  # fmt: skip


def test_both_ways_come_to_the_same_figures(plan: Plan) -> None:
    found = outcomes(plan, "fast=3,5,8")
    assert len(found) == 3
    for one, other in found:
        assert one["trades"] > 5
        same(one, other)


def test_both_ways_come_to_the_same_figures_for_several_symbols_long_and_short(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "both.py").write_text(BOTH)
    data = random_walk(tmp_path / "two.csv", 400, ("AAA", "BBB"))
    rows = data.read_text().splitlines()
    data.write_text("\n".join(row for n, row in enumerate(rows) if not (row.count("BBB") and n % 7 == 0)) + "\n")
    two = Plan(
        StrategySpec("both", str(tmp_path / "both.py")), (str(data),), FileOptions(symbols=("AAA", "BBB"),
        session="all", timeframe="1m"), cash=plan.cash, model=plan.model,
    )  # fmt: skip
    for one, other in outcomes(two, "pace=2,3,5"):
        assert one["trades"] > 5
        same(one, other)


def test_what_is_kept_of_a_long_run_is_the_last_mark_of_each_session(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "MARKS_MAX", 100)
    monkeypatch.setattr(bookkeeping, "MARKS_MAX", 100)
    ((one, other),) = outcomes(plan, "fast=3")
    assert one["days"] == other["days"]
    for name in ("total_return", "max_drawdown", "trades", "fees"):
        assert math.isclose(one[name], other[name], rel_tol=1e-9), name


def test_a_strategy_without_signals_is_refused_with_a_way_out(plan: Plan, tmp_path: Path) -> None:
    source = "from appliance.strategy import Strategy\n\n\nclass Mute(Strategy):\n    symbols = ('SPY',)\n"
    (tmp_path / "mute.py").write_text(f"{source}\n    def on_bar(self, bar):\n        pass\n")
    mute = Plan(StrategySpec("mute", str(tmp_path / "mute.py")), plan.data, plan.files, plan.cash)
    with pytest.raises(StrategyError, match="has no signals") as raised:
        arrays.strategy_class(mute)
    assert "leave --vectorized away" in raised.value.hint


def test_data_that_are_no_bars_are_refused(plan: Plan, tmp_path: Path) -> None:
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(f"ts,symbol,bid,ask,bid_size,ask_size\n{MONDAY + MINUTE},SPY,99.0,99.1,100,100\n")
    with pytest.raises(UsageError, match="not bars alone"):
        arrays.columns(Plan(plan.strategy, (str(quotes),), plan.files, plan.cash).source(None))
