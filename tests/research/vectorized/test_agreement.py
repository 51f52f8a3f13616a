"""Signals that say something else than on_bar, or look ahead, are found before a sweep believes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.data.sources.random_walk import random_walk
from appliance.errors import StrategyError
from appliance.research.vectorized.agreement import check_agreement
from appliance.strategy import Strategy, loader, param
from appliance.strategy.signals import BarArrays
from tests.research.vectorized.test_vectorized import EXAMPLES

BARS = {"WALK": BarArrays.from_bars(list(random_walk(2_000, 1)))}


class Rising(Strategy):
    """Holds shares after a bar that closed above its open."""

    symbol: str = param("WALK")

    def on_bar(self, bar: Any) -> None:
        self.target(bar.symbol, quantity=10 if bar.close > bar.open else 0)

    def signals(self, bars: Any) -> Any:
        return np.where(bars.close > bars.open, 10.0, 0.0)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_agree_with_themselves(name: str) -> None:
    assert check_agreement(EXAMPLES[name], {"symbol": "WALK"}, BARS) > 50


def test_the_example_of_the_handbook_agrees() -> None:
    handbook = (Path(__file__).parents[3] / "strategies" / "README.md").read_text()
    source = next(block for block in handbook.split("```python\n")[1:] if "def signals" in block).split("```")[0]
    above = loader.load_class(f"from appliance.strategy import Strategy, param\n{source}", "above.py")
    assert check_agreement(above, {"symbol": "WALK", "window": 20}, BARS) > 50


def test_a_rule_that_is_written_twice_the_same_way_agrees() -> None:
    assert check_agreement(Rising, {}, BARS) > 500


def test_signals_that_trade_otherwise_than_on_bar_are_told_with_the_first_fill() -> None:
    class Other(Rising):
        def signals(self, bars: Any) -> Any:
            return np.where(bars.close >= bars.open, 10.0, 0.0)

    with pytest.raises(StrategyError, match=r"differently from fill \d+ on: .* by signals, .* by on_bar"):
        check_agreement(Other, {}, BARS)


@pytest.mark.parametrize(
    "peek",
    [
        lambda bars: np.where(np.append(bars.close[1:], bars.close[-1]) > bars.close, 10.0, 0.0),
        lambda bars: np.where(bars.close > bars.close.mean(), 10.0, 0.0),
    ],
)
def test_signals_that_look_ahead_are_told_with_the_bar(peek: Any) -> None:
    class Peeking(Rising):
        def signals(self, bars: Any) -> Any:
            return peek(bars)

    with pytest.raises(StrategyError, match="looks ahead: after the bar of WALK that ends 2020-01-0"):
        check_agreement(Peeking, {}, BARS)
