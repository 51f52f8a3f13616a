"""Strategies on quotes: bars made of the middle of bid and ask, and quote bars as they are."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from appliance.core.models import MarketModel
from appliance.core.wishes import Made
from appliance.domain.market import MINUTE, Bar, QuoteBar, middle
from appliance.errors import StrategyError
from appliance.research import checks
from appliance.research.subject import Subject
from appliance.strategy.loader import load
from appliance.strategy.runner import StrategyRunner
from appliance.world.backtest import Backtest

HEARS_BOTH = """
from appliance.strategy import Strategy, param

class Hears(Strategy):
    symbol: str = param("EURUSD")
    bars_from: str = param("quotes")

    def on_start(self):
        self.average = self.sma(self.symbol, 2)
        self.state["heard"] = []

    def on_bar(self, bar):
        self.state["heard"].append(["bar", bar.close, self.price(bar.symbol)])

    def on_quote_bar(self, bar):
        self.state["heard"].append(["quotes", bar.bid_close, bar.ask_close])
"""


def quotes(minute: int, bid: float, ask: float, symbol: str = "EURUSD") -> QuoteBar:
    sides = [number for side in (bid, ask) for number in (side, side + 0.25, side - 0.25, side)]
    return QuoteBar(symbol, "1m", minute * MINUTE, (minute + 1) * MINUTE, *sides)


def trades(minute: int, price: float) -> Bar:
    return Bar("EURUSD", "1m", minute * MINUTE, (minute + 1) * MINUTE, price, price, price, price, 1.0)


def hearing(bars_from: str = "quotes") -> StrategyRunner:
    runner = load(HEARS_BOTH, "hears.py", params={"bars_from": bars_from})
    runner.start(0)
    return runner


def heard(runner: StrategyRunner) -> list[list[object]]:
    found: list[list[object]] = runner.snapshot()["state"]["heard"]
    return found


def test_the_middle_of_a_quote_bar_is_a_bar_without_volume() -> None:
    assert middle(quotes(0, 1.0, 1.5)) == Bar("EURUSD", "1m", 0, MINUTE, 1.25, 1.5, 1.0, 1.25, 0.0)


def test_bars_of_quotes_feed_indicators_and_the_author_before_the_quotes_themselves() -> None:
    runner = hearing()
    for minute, bid in enumerate((1.0, 2.0)):
        bar = quotes(minute, bid, bid + 0.5)
        runner.quote_bar(bar, bar.end)
        assert runner.heard_bar
    assert heard(runner) == [["bar", 1.25, 1.25], ["quotes", 1.0, 1.5], ["bar", 2.25, 2.25], ["quotes", 2.0, 2.5]]
    assert runner.snapshot()["indicators"][0][1]["value"] == 1.75


def test_bars_are_made_of_one_thing_or_the_other() -> None:
    of_quotes, of_trades = hearing(), hearing("trades")
    assert (of_quotes.hears("bar"), of_quotes.hears("quote_bar")) == (False, True)
    assert (of_trades.hears("bar"), of_trades.hears("quote_bar")) == (True, True)
    of_trades.quote_bar(quotes(0, 1.0, 1.5), MINUTE)
    assert not of_trades.heard_bar
    of_trades.bar(trades(0, 1.3), MINUTE)
    assert heard(of_trades) == [["quotes", 1.0, 1.5], ["bar", 1.3, 1.3]]  # the price is that of the last trade


def test_quote_bars_matter_only_where_somebody_listens() -> None:
    source = "from appliance.strategy import Strategy, param\n\nclass Deaf(Strategy):\n    symbol: str = param('SPY')\n"
    runner = load(source, "deaf.py")
    runner.start(0)
    assert not runner.hears("quote_bar")


def test_a_paused_strategy_on_quotes_keeps_its_indicators_fed() -> None:
    runner = hearing()
    for minute in range(3):
        runner.feed(quotes(minute, 1.0 + minute, 1.5 + minute))
    assert heard(runner) == []
    assert runner.snapshot()["indicators"][0][1]["value"] == 2.75
    trading = hearing("trades")
    trading.feed(quotes(0, 1.0, 1.5))
    assert trading.snapshot()["indicators"][0][1]["value"] is None


def test_a_restart_goes_on_with_bars_of_quotes() -> None:
    whole, cut = hearing(), hearing()
    for minute in range(6):
        bar = quotes(minute, 1.0 + minute, 1.5 + minute)
        whole.quote_bar(bar, bar.end)
        cut.quote_bar(bar, bar.end)
        fresh = load(HEARS_BOTH, "hears.py")
        fresh.restore(json.loads(json.dumps(cut.snapshot())))
        cut = fresh
    assert cut.snapshot() == whole.snapshot()


def test_what_nobody_makes_bars_of_is_refused_by_name() -> None:
    with pytest.raises(StrategyError, match=r"bars_from = 'ticks'.*") as refused:
        hearing("ticks")
    assert "one of trades, quotes" in refused.value.hint


@pytest.mark.parametrize("count", ['{"1d": 20}', '"100"', "-1", "1.5", "True"])
@pytest.mark.parametrize("attribute", ["warmup", "history"])
def test_what_is_no_number_of_bars_is_refused_by_name(attribute: str, count: str) -> None:
    code = HEARS_BOTH.replace("    bars_from:", f"    {attribute} = {count}\n    bars_from:")
    with pytest.raises(StrategyError, match=f"{attribute} = ") as refused:
        load(code, "hears.py").start(0)
    assert f"such as {attribute} = 100" in refused.value.hint


BUYS = """
from appliance.strategy import Strategy, param

class Buys(Strategy):
    symbol: str = param("EURUSD")
    bars_from = "quotes"

    def on_bar(self, bar):
        if not self.state.get("done"):
            self.state["done"] = True
            self.target(bar.symbol, weight=0.5)
"""


def test_a_strategy_on_quotes_alone_trades_at_the_quotes() -> None:
    maker = Made("buys", lambda: load(BUYS, "buys.py", name="buys"))
    run = Backtest("buys", (maker,), (), Decimal(1_000), MarketModel())
    run.run([quotes(minute, 1.0 + minute, 1.5 + minute) for minute in range(4)])
    assert run.record.positions == {"EURUSD": Decimal(400)}  # 500 USD at the middle, 1.25
    assert run.equity == run.cash + 400 * Decimal("4.25")  # marked at the middle


WAVERS = """
from appliance.strategy import Strategy, param

class Wavers(Strategy):
    symbol: str = param("SPY")
    bars_from: str = param("quotes")

    def on_quote_bar(self, bar):
        wide = bar.ask_close - bar.bid_close > 0.015
        self.target(bar.symbol, quantity=10 if wide and bar.bid_close > bar.bid_open else 0)
"""


@pytest.mark.parametrize("source", ["quotes", "trades"])
def test_the_check_lets_a_strategy_on_quotes_hear_some(source: str) -> None:
    report = checks.check(Subject("wavers", "wavers.py", WAVERS, params={"bars_from": source}), checks.QUICK)
    assert report.failures == []
    run = next(one for one in report.verdicts if one.check == "run")
    assert run.verdict == "pass", run.text
