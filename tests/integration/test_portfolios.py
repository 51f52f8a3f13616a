"""Strategies that hold the same symbols against each other: together they are the account, to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.portfolio import Portfolio, differences
from appliance.core.record import OrderRecord
from appliance.core.wishes import Maker
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.trading import ZERO
from appliance.making import runner_factory
from appliance.runs import RunSpec, StrategySpec
from appliance.shell.paths import StatePaths
from appliance.world.backtest import Backtest
from tests.integration.driving import account, portfolios, traded
from tests.integration.running import random_walk

D = Decimal
CASH = D(100_000)
AGAINST = '''
from appliance.strategy import Strategy, param


class Against(Strategy):
    """Holds a share of its allotment for some bars, then as much the other way round, then nothing."""

    symbols = ("QQQ", "SPY")
    weight: float = param(0.5, low=-1.0, high=1.0)
    hold: int = param(7, low=1, high=100)

    def on_start(self):
        self.state["bars"] = {symbol: 0 for symbol in self.symbols}

    def on_bar(self, bar):
        bars = self.state["bars"]
        bars[bar.symbol] += 1
        turn, phase = divmod(bars[bar.symbol], self.hold)
        if phase == 0:
            self.target(bar.symbol, weight=self.weight * (1, -1, 0)[turn % 3], reason=f"turn {turn}")
'''
SHAPES = {"bull": ("0.3", "7"), "bear": ("-0.3", "7"), "quick": ("0.2", "3"), "slow": ("-0.4", "20")}


def spec_of(folder: Path) -> RunSpec:
    """Four strategies in three hosts, on two symbols; one has an allotment of its own."""
    file = folder / "against.py"
    file.write_text(AGAINST)
    data = random_walk(folder / "bars.csv", 150, ("QQQ", "SPY"))
    of = tuple(
        StrategySpec(
            name, str(file), params={"weight": weight, "hold": hold}, host="both" if name in ("bull", "bear") else "",
            cash=D(10_000) if name == "quick" else None,
        )
        for name, (weight, hold) in SHAPES.items()
    )  # fmt: skip
    options = FileOptions(session="all")
    return RunSpec("test", of, CASH, LimitValues(), MarketModel(), (str(data),), options, speed="max")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSpec, StatePaths, OrderRecord, dict[str, float]]:
    """What the processes came to: specification, journals, orders, last prices."""
    folder = tmp_path_factory.mktemp("portfolios")
    spec, paths = spec_of(folder), StatePaths(folder / "state")
    figures = traded(paths, spec)
    return spec, paths, figures.record, figures.prices


Run = tuple[RunSpec, StatePaths, OrderRecord, dict[str, float]]


def test_the_strategies_together_are_the_account(run: Run) -> None:
    spec, paths, record, _ = run
    found, (cash, held) = portfolios(paths, spec), account(paths)
    assert sorted(found) == sorted(SHAPES)
    assert differences(found.values(), held, cash - CASH) == []
    assert any(one.shares("SPY") * other.shares("SPY") < 0 for one in found.values() for other in found.values())
    assert record.fills > 100


def test_realised_and_unrealised_less_fees_are_the_change_of_the_account_to_the_cent(run: Run) -> None:
    spec, paths, _, prices = run
    found, (cash, held) = portfolios(paths, spec), account(paths)
    assert_adds_up(found, cash, held, prices)


def test_commissions_are_in_the_fees_of_who_traded(run: Run) -> None:
    spec, paths, record, _ = run
    paid: dict[str, Decimal] = {}
    for fills in record._fills.values():
        for fill in fills:
            paid[fill.strategy] = paid.get(fill.strategy, ZERO) + fill.commission
    assert min(paid.values()) > 0
    assert {name: one.fees for name, one in portfolios(paths, spec).items()} == paid


def test_a_weight_is_of_the_strategys_own_allotment(run: Run) -> None:
    spec, paths, record, _ = run
    found = portfolios(paths, spec)
    assert {name: one.allotment for name, one in found.items()} == dict.fromkeys(SHAPES, D(30_000)) | {
        "quick": D(10_000)
    }
    for name, (weight, _) in SHAPES.items():
        first = next(intent for intent in record._intents.values() if intent.strategy == name)
        price = next(fill.price for fill in record._fills[first.id])
        wanted = found[name].allotment * abs(D(weight))
        assert wanted * D("0.95") < first.quantity * price < wanted * D("1.05")


def test_the_backtest_has_the_portfolios_of_the_processes(tmp_path: Path) -> None:
    """All in one host there, in three here; of equal allotments."""
    spec, paths = spec_of(tmp_path), StatePaths(tmp_path / "state")
    spec = replace(spec, strategies=tuple(replace(strategy, cash=None) for strategy in spec.strategies))
    traded(paths, spec)
    makers: list[Maker] = [runner_factory(strategy) for strategy in spec.strategies]
    backtest = Backtest("test", makers, rules(LimitValues()), CASH, MarketModel())
    source = FileSource(spec.files, spec.reading)
    backtest.run(source.batch(1_000_000).events)
    held = {symbol: quantity for symbol, quantity in backtest.record.positions.items() if quantity}
    found = dict(backtest.host.tracker.portfolios)
    assert differences(found.values(), held, backtest.cash - CASH) == []
    assert_adds_up(found, backtest.cash, held, backtest.host.tracker.prices)
    assert found == portfolios(paths, spec)
    assert (backtest.cash, held) == account(paths)


def assert_adds_up(
    found: Mapping[str, Portfolio], cash: Decimal, held: Mapping[str, Decimal], prices: Mapping[str, float]
) -> None:
    worth = cash + sum((quantity * D(repr(prices[symbol])) for symbol, quantity in held.items()), ZERO)
    profit = ZERO
    for one in found.values():
        unrealised = one.unrealised(prices)
        assert unrealised is not None
        profit += one.realised + unrealised - one.fees
    assert profit == worth - CASH
