"""Under every market model the processes give the orders of the backtest, byte for byte, also when one was killed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from appliance.choosing import market_model
from appliance.core.limits import LimitValues, rules
from appliance.core.record import OrderRecord
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import Bar
from appliance.domain.trading import Side
from appliance.making import runner_factory
from appliance.research.scenes import SESSION_MINUTES, minutes
from appliance.runs import StrategySpec
from appliance.shell.paths import StatePaths
from appliance.world.backtest import Backtest
from tests.commands.box import Box
from tests.integration.running import random_walk

EVERY_WAY = Path(__file__).parents[1] / "integration" / "every_way.py"
MODELS: dict[str, dict[str, str]] = {
    "lean": {"model": "lean"},
    "backtesting.py": {"model": "backtesting.py"},
    "small": {"participation": "10"},
    "small at once": {"model": "lean", "participation": "10", "slippage": "volatility", "impact": "almgren"},
    "late": {"latency": "fixed:30000", "slippage": "volume-share", "impact": "square-root", "limit_fill": "touch"},
}


@pytest.fixture
def strategy(tmp_path: Path) -> Path:
    path = tmp_path / "every_way.py"
    path.write_text(EVERY_WAY.read_text())
    return path


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    return random_walk(tmp_path / "walk.csv", 240)


@pytest.mark.parametrize("name", MODELS)
def test_the_processes_give_the_orders_of_the_backtest(name: str, walk: Path, strategy: Path, tmp_path: Path) -> None:
    model = market_model(MODELS[name])
    spec = StrategySpec("trend", str(strategy))
    test = Backtest("trend", (runner_factory(spec),), rules(LimitValues()), Decimal(100_000), model)
    test.run(FileSource([str(walk)], FileOptions(session="all", bar_stamp="start")).batch(10_000).events)
    box = Box(StatePaths(tmp_path / "state", env={}), walk, str(strategy), model)
    record = OrderRecord()
    random = Random(name)
    for process in ("gateway", "host@trend", "gateway"):
        box.run(random.randrange(60, 200))
        box.kill(process)
    box.run()
    for event in box.said.values():
        record.note(event)
    assert test.record.fills > 20
    assert record.jsonl() == test.record.jsonl()
    box.close()


AUCTIONS = """
from appliance.strategy import Strategy


class Auctions(Strategy):
    symbols = ("SPY",)

    def on_start(self):
        self.at("close-5m", "leave")

    def on_bar(self, bar):
        if self.state.get("bought") != self.session.date:
            self.state["bought"] = self.session.date
            self.buy("SPY", 10, time_in_force="opg")

    def on_timer(self, name):
        if self.position("SPY"):
            self.sell("SPY", 5, time_in_force="cls")
"""


def test_a_strategy_trades_in_the_opening_and_at_the_close(tmp_path: Path) -> None:
    strategy = tmp_path / "auctions.py"
    strategy.write_text(AUCTIONS)
    scene = minutes(("SPY",), 3 * SESSION_MINUTES, seed=1)
    days, calendar = scene.sessions or (), scene.calendar
    bars = [event for event in scene.events if isinstance(event, Bar)]
    maker = runner_factory(StrategySpec("auctions", str(strategy)), calendar)
    test = Backtest("auctions", (maker,), rules(LimitValues()), Decimal(100_000), sessions=calendar)
    test.run(bars)
    opens = {bar.start: bar.open for bar in bars}
    closes = {bar.end: bar.close for bar in bars}
    fills = [(fill.side, fill.time, float(fill.price)) for fill in test.paper.fills.values()]
    assert sorted(fills, key=lambda fill: fill[1]) == [  # there is no opening after the last session
        (Side.BUY, days[1].open, opens[days[1].open]),
        (Side.SELL, days[1].close, closes[days[1].close]),
        (Side.BUY, days[2].open, opens[days[2].open]),
        (Side.SELL, days[2].close, closes[days[2].close]),
    ]
