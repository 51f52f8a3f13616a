"""The strategies an owner reads first do what their docstrings say."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from appliance.core.wishes import Wish
from appliance.domain.market import MINUTE, Bar
from appliance.strategy.loader import load
from appliance.strategy.runner import StrategyRunner

FOLDER = Path(__file__).parents[2] / "strategies"


def example(name: str, **params) -> StrategyRunner:
    made = load((FOLDER / name).read_text(), f"strategies/{name}", params=params)
    assert made.start(0) == ()
    return made


def trade(runner: StrategyRunner, closes: list[float]) -> list[tuple[int, Wish]]:
    """The wishes and the index of the bar each came with; every wish is granted at once."""
    found = []
    for index, close in enumerate(closes):
        for wish in runner.bar(Bar("SPY", "1m", 0, MINUTE, close, close, close, close, 1.0), index):
            runner.set_position(wish.symbol, wish.quantity)
            found.append((index, wish))
    return found


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_every_example_loads_and_says_what_it_is(file):
    source = file.read_text()
    assert load(source, str(file)).name == file.stem
    assert source.startswith('"""')


def test_sma_cross_buys_when_fast_crosses_above_and_sells_when_it_crosses_below():
    found = trade(example("sma_cross.py", fast=2, slow=5), [10, 10, 10, 10, 10, 10, 11, 12, 12, 12, 9, 8, 8])
    assert found == [
        (6, Wish("SPY", Decimal(100), "fast crossed above slow")),
        (10, Wish("SPY", Decimal(0), "fast crossed below slow")),
    ]


def test_mean_reversion_buys_the_dip_with_a_stop_and_sells_at_the_average():
    found = trade(example("mean_reversion.py", window=10, loss="2"), [100.0, 100.2] * 10 + [98.0, 98.1, 101.0])
    assert found == [
        (20, Wish("SPY", Decimal(100), "far below the average", Decimal("96.04"))),
        (22, Wish("SPY", Decimal(0), "back at the average")),
    ]


def test_mean_reversion_does_not_buy_the_same_dip_again_after_its_stop():
    runner = example("mean_reversion.py", window=10)
    assert len(trade(runner, [100.0, 100.2] * 10 + [98.0])) == 1
    runner.set_position("SPY", Decimal(0))
    assert trade(runner, [90.0, 80.0, 60.0]) == []
    assert len(trade(runner, [100.0] * 10 + [100.2, 90.0])) == 1
