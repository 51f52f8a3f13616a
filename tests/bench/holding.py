"""What a bar costs while a position is held: alone, with a stop far away that rests, one that trails, a take-profit.

Processor time, the best of some runs. What rests costs its bands (``core/bands.py``) at each bar that stays inside;
a bar that touches one takes all the stages, which cost ``staged`` µs: the run with the stop and no bar calm.
"""

from __future__ import annotations

import argparse
import time
from decimal import Decimal
from typing import Any

from appliance.core.limits import LimitValues, rules
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import Bar
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import NEVER, Backtest
from tests.bench import box

SYMBOL, SEED = "WALK", 1
CASH = Decimal(10_000_000)
REPEATS = 5
STRATEGY = str(box.ROOT / "tests/bench/strategies/holder.py")


class Staged(Backtest):
    """Never calm."""

    def _calm_until(self) -> int:
        return NEVER


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run: µs a bar."""
    bars = list(random_walk(options.bars, SEED, SYMBOL))
    box.tell(f"{len(bars)} bars, {REPEATS} times")
    each = {name: _best(Backtest, bars, 100, name) for name in ("none", "stop", "trail", "bracket")}
    flat, staged = _best(Backtest, bars, 0, "none"), _best(Staged, bars, 100, "stop")
    return {"bars": len(bars), "flat": flat, **each, "staged": staged}


def _best(kind: type[Backtest], bars: list[Bar], shares: int, protected: str) -> float:
    return round(1e6 * min(_seconds(kind, bars, shares, protected) for _ in range(REPEATS)) / len(bars), 2)


def _seconds(kind: type[Backtest], bars: list[Bar], shares: int, protected: str) -> float:
    params = {"symbol": SYMBOL, "shares": str(shares), "protected": protected}
    maker = runner_factory(StrategySpec("holder", STRATEGY, params=params))
    backtest = kind("holder", (maker,), rules(LimitValues()), CASH)
    begin = time.process_time()
    backtest.run(bars)
    return time.process_time() - begin
