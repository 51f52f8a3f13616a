"""Every result that others published on the recorded data comes out of our own code, and the command says so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.books.entries import Mark, Trade
from appliance.domain.market import DAY, Sessions
from appliance.domain.trading import Side
from appliance.research.metrics.backtesting_py import backtesting_py
from tests.known_answers import running
from tests.known_answers.entries import ANSWERS, DATA, ENTRIES, LEAN_REPOSITORY, Entry
from tests.known_answers.running import compared

ROOT = Path(__file__).parents[2]
needs_answers = pytest.mark.skipif(not ANSWERS.is_dir(), reason="the recorded market data is not here")


@needs_answers
@pytest.mark.parametrize("entry", [*ENTRIES, *LEAN_REPOSITORY], ids=lambda entry: entry.name)
def test_what_others_published_is_reproduced(entry: Entry, sessions: Sessions) -> None:
    found = compared(entry, sessions)
    assert len(found) >= 3
    assert [one for one in found if not one.equal] == []


@needs_answers
def test_every_published_result_is_among_the_entries() -> None:
    lean = json.loads((ANSWERS / "lean_expected.json").read_text())
    other = json.loads((ANSWERS / "backtesting_py_expected.json").read_text())["results"]
    assert {entry.name for entry in ENTRIES} == {*lean, *other}


@needs_answers
def test_every_published_fill_is_compared(sessions: Sessions) -> None:
    rows = (ANSWERS / "lean_golden_fills.csv").read_text().splitlines()[1:]
    fields = [one for entry in ENTRIES if entry.model == "lean" for one in compared(entry, sessions)]
    assert len([one for one in fields if one.field.startswith("fill ")]) == 5 * len(rows)


# --- the command ---------------------------------------------------------------------------------------------------


def command(data: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.known_answers"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "APPLIANCE_REAL_DATA": str(data), "PYTHONPATH": str(ROOT)},
        check=False,
    )


@needs_answers
def test_a_published_figure_that_is_not_ours_is_told_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "market").symlink_to(DATA / "market")
    shutil.copytree(ANSWERS, tmp_path / "known_answers")
    path = tmp_path / "known_answers" / "lean_expected.json"
    path.chmod(0o644)
    published = json.loads(path.read_text())
    published["BasicTemplateAlgorithm"]["end_equity"] = "101691.93"
    path.unlink()
    path.write_text(json.dumps(published))
    done = command(tmp_path)
    told = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert told["failed"] == 1
    assert told["passed"] == len(told["results"]) - 1 > 100
    wrong = {"name": "BasicTemplateAlgorithm", "field": "end_equity", "expected": "101691.93", "got": "101691.92"}
    assert wrong in told["results"]
    assert "end_equity: published 101691.93, here 101691.92" in done.stderr
    assert "GOOG_10_20_commission_.002_exclusive: as published" in done.stderr


@needs_answers
def test_a_published_result_without_a_strategy_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "market").symlink_to(DATA / "market")
    shutil.copytree(ANSWERS, tmp_path / "known_answers")
    path = tmp_path / "known_answers" / "lean_expected.json"
    path.unlink()
    path.write_text(json.dumps({"LimitFillRegressionAlgorithm": {"total_orders": 35}, "Unheard": {"total_orders": 1}}))
    done = command(tmp_path)
    told = json.loads(done.stdout.splitlines()[-1])
    names = {(one["name"], one["field"]) for one in told["results"]}
    assert ("Unheard", "strategy") in names
    assert ("LimitFillRegressionAlgorithm", "total_orders") in names
    assert "Unheard: no strategy for it" in done.stderr


def test_without_the_recorded_data_it_says_so_and_is_content(tmp_path: Path) -> None:
    done = command(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("the recorded data is not here: ")


# --- the figures of backtesting.py ---------------------------------------------------------------------------------

FIGURES = (
    "# Trades", "Equity Final [$]", "Equity Peak [$]", "Return [%]", "Return (Ann.) [%]", "Volatility (Ann.) [%]",
    "CAGR [%]", "Sharpe Ratio", "Sortino Ratio", "Calmar Ratio", "Max. Drawdown [%]", "Win Rate [%]", "Best Trade [%]",
    "Worst Trade [%]", "Avg. Trade [%]", "Profit Factor", "Expectancy [%]", "SQN", "Exposure Time [%]",
)  # fmt: skip


@pytest.mark.parametrize(("fast", "slow", "commission"), [(5, 20, 0.002), (20, 50, 0.0), (10, 100, 0.002)])
@pytest.mark.filterwarnings("ignore")
def test_runs_nobody_published_have_the_figures_of_the_package(
    fast: int, slow: int, commission: float, sessions: Sessions
) -> None:
    theirs = _with_the_package(fast, slow, commission)
    params = {"fast": str(fast), "slow": str(slow)}
    entry = replace(ENTRIES[-2], params=params, commission="" if commission else "none")
    ours = running.figures_of(entry, sessions)
    for name in FIGURES:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name


def _with_the_package(fast: int, slow: int, commission: float) -> dict[str, Any]:
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover
    from backtesting.test import GOOG, SMA

    class Crossing(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            self.quick, self.calm = self.I(SMA, self.data.Close, fast), self.I(SMA, self.data.Close, slow)

        def next(self) -> None:
            if crossover(self.quick, self.calm):
                self.position.close()
                self.buy()
            elif crossover(self.calm, self.quick):
                self.position.close()
                self.sell()

    return dict(Backtest(GOOG, Crossing, commission=commission).run())


def trade(profit: str, entry: str = "10") -> Trade:
    quantity, fees = Decimal(10), Decimal(1)
    price = Decimal(entry) + (Decimal(profit) + fees) / quantity
    return Trade("SPY", "", Side.BUY, quantity, 1, Decimal(entry), 2, price, fees, Decimal(profit))


def marks(worths: list[tuple[int, float]]) -> list[Mark]:
    """The equity (USD) at the ends of some days since 1970, of which the fifth is a Monday."""
    return [Mark(day * DAY, equity, equity, equity, equity) for day, equity in worths]


def test_figures_without_a_value_are_none() -> None:
    assert backtesting_py([], []) == {}
    flat = marks([(day, 100.0) for day in range(5, 8)])
    nothing = backtesting_py(flat, [])
    assert nothing["Sharpe Ratio"] is None
    assert nothing["Sortino Ratio"] is None
    assert nothing["Calmar Ratio"] is None
    assert (nothing["# Trades"], nothing["Exposure Time [%]"], nothing["Return [%]"]) == (0.0, 0.0, 0.0)
    assert backtesting_py(flat[:1], [])["CAGR [%]"] is None
    won = backtesting_py(flat, [trade("9")])
    assert (won["Win Rate [%]"], won["Profit Factor"], won["SQN"]) == (100.0, None, None)


def test_figures_of_a_small_series_are_those_worked_out_by_hand() -> None:
    found = backtesting_py(marks([(5, 100.0), (6, 110.0), (7, 99.0)]), [trade("10"), trade("-5")])
    assert found["Return [%]"] == pytest.approx(-1)
    assert found["Max. Drawdown [%]"] == pytest.approx(-10)
    assert found["Return (Ann.) [%]"] == pytest.approx((0.99**126 - 1) * 100)  # two returns, 252 days a year
    assert found["Profit Factor"] == pytest.approx(2)  # 10 % of 100 USD won, 5 % lost
    assert found["SQN"] == pytest.approx(2**0.5 * 2.5 / 112.5**0.5)
    assert found["Commissions [$]"] == 2
