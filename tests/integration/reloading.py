"""Versions of one strategy for reloads, and what a backtest that swaps them at the same bar makes of it."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import known_at
from appliance.domain.operations import Command, Verb
from appliance.making import runner_factory
from appliance.runs import StrategySpec
from appliance.world.backtest import Backtest

NAME = "mine"
OLD = '''
from appliance.strategy import Strategy, param


class Mine(Strategy):
    """Counts bars, and what it holds depends on the count: a bar missed or seen twice gives other orders."""

    symbol: str = param("SPY")
    shares: int = param(100, 0, 1000, live=True)

    def on_start(self):
        self.fast = self.sma(self.symbol, 5)
        self.slow = self.sma(self.symbol, 12)
        self.state["bars"] = 0

    def on_bar(self, bar):
        self.state["bars"] += 1
        if self.slow.ready and self.state["bars"] % 5 == 0:
            up = self.shares if self.fast.value > self.slow.value else 0
            self.target(bar.symbol, quantity=up + self.state["bars"] % 7, reason=f"bar {self.state['bars']}")
'''
ON_BAR = "    def on_bar(self, bar):\n"
MIGRATE = "    def migrate_state(self, state):\n        "


def changed(*pairs: tuple[str, str], source: str = OLD) -> str:
    """The old version with some of its text replaced; each piece is there exactly once or always meant."""
    for old, new in pairs:
        assert old in source, old
        source = source.replace(old, new)
    return source


GOOD = {
    "another quantity and another period": changed(("param(100,", "param(40,"), ("self.symbol, 12", "self.symbol, 20")),
    "another shape of its state": changed(
        ('self.state["bars"] = 0', 'self.state["seen"] = {"bars": 0}'),
        ('self.state["bars"] += 1', 'self.state["seen"]["bars"] += 1'),
        ('if self.slow.ready and self.state["bars"]', 'if self.slow.ready and self.state["seen"]["bars"]'),
        ('up + self.state["bars"] % 7', 'up + 3 + self.state["seen"]["bars"] % 7'),
        ("reason=f\"bar {self.state['bars']}\"", 'reason="new"'),
        (ON_BAR, MIGRATE + 'return {"seen": {"bars": state["bars"]}}\n\n' + ON_BAR),
    ),
}
START = "        self.fast ="
BROKEN = {
    "it does not compile": (changed((ON_BAR, "    def on_bar(self, bar)\n")), "does not compile"),
    "it raises on import": (OLD + "\nFEES = 1 / 0\n", "ZeroDivisionError"),
    "its parameters no longer fit": (
        changed(('symbol: str = param("SPY")', 'ticker: str = param("SPY")'), ("self.symbol", "self.ticker")),
        "unknown parameter 'symbol'",
    ),
    "it raises in on_start": (changed((START, f"        raise ValueError('not today')\n{START}")), "not today"),
    "it raises in migrate_state": (
        changed((ON_BAR, f"{MIGRATE}return {{'n': state['count']}}\n\n{ON_BAR}")),
        "KeyError",
    ),
    "it raises on its first bar": (
        changed((ON_BAR, f"{ON_BAR}        raise ValueError('not this bar')\n")),
        "not this bar",
    ),
}


def swapped(text: str) -> int:
    """The market time (ns UTC) of a swap, by the host's answer."""
    found = re.search(r"for what happens after (\d+) ", text)
    assert found is not None, text
    return int(found[1])


def expected(data: Path, old: Path, swaps: dict[int, str], params: dict[str, str]) -> bytes:
    """The orders of a backtest in which the code is swapped after these times: ``swaps`` are new texts by ns UTC."""
    run = Backtest(
        NAME, [runner_factory(StrategySpec(NAME, str(old), params=params))], rules(LimitValues()), Decimal(100_000),
        MarketModel(),
    )  # fmt: skip
    events = FileSource([str(data)], FileOptions(session="all", symbols=("SPY",))).batch(100_000).events
    since = 0
    for time, source in [*sorted(swaps.items()), (1 << 62, "")]:
        run.run([event for event in events if since < known_at(event) <= time])
        since = time
        if source:
            run.tell(Command(f"swap-{time}", Verb.RELOAD_STRATEGY, "owner", 1 << 62, strategy=NAME, source=source))
    return run.record.jsonl()
