"""Calm timestamps, which the backtest lets happen without stages, change nothing: the same run with all the stages."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.wishes import Made
from appliance.domain.market import (
    MINUTE,
    SECOND,
    Bar,
    Dividend,
    Quote,
    QuoteBar,
    Session,
    Sessions,
    Split,
    Trade,
    known_at,
)
from appliance.domain.messages import Event
from appliance.domain.operations import Command, Verb
from appliance.strategy import Strategy
from appliance.strategy.runner import StrategyRunner
from appliance.world.backtest import NEVER, Backtest
from tests import playbook

D = Decimal
BEGIN = playbook.BEGIN - playbook.BEGIN % (3 * MINUTE)
SYMBOLS = ("QQQ", "SPY", "TLT")


class Whim(Strategy):
    """Asks for anything now and then, by the cents of what it hears."""

    symbols = ("QQQ", "SPY")

    def on_start(self) -> None:
        self.average = self.sma("SPY", 2)
        self.longer = self.ema("QQQ", 2, timeframe="3m")
        self.state["heard"] = []

    def hear(self, *what: Any) -> None:
        self.state["heard"].append([self.now, str(self.average.value), str(self.longer.value), *map(str, what)])

    def on_bar(self, bar: Bar) -> None:
        self.hear("bar", bar.symbol, bar.close, self.position(bar.symbol), self.cash)
        if not 1 < bar.close < 1_000:
            return
        match round(bar.close * 100) % 9:
            case 0:
                self.target(bar.symbol, quantity=10, stop_loss=round(bar.close - 0.3, 2), reason="in with a stop")
            case 1:
                self.target(bar.symbol, quantity=0, reason="out")
            case 2:
                self.buy(bar.symbol, 3, limit=round(bar.close - 0.02, 2), reason="cheaper")
            case 3:
                self.target(bar.symbol, quantity=7, reason="in")
            case 4:
                self.cancel(symbol=bar.symbol)

    def on_fill(self, fill: Any) -> None:
        self.hear("fill", fill.symbol, fill.signed, fill.price, fill.time)

    def on_order(self, order: Any) -> None:
        self.hear("order", order.id, order.status, order.code)

    def on_quote(self, quote: Quote) -> None:
        self.hear("quote", quote.bid)

    def on_trade(self, trade: Trade) -> None:
        self.hear("trade", trade.price)


class Timely(Whim):
    """It has timers too, and hears of silence."""

    def on_start(self) -> None:
        super().on_start()
        self.every("4m")

    def on_timer(self, name: str) -> None:
        self.hear("timer", name)
        self.target("SPY", quantity=self.now // MINUTE % 5, reason="time")

    def on_stale(self, symbol: str) -> None:
        self.hear("stale", symbol)


class Follower(Whim):
    """Does what another does, a step later."""

    follows = ("whim",)

    def on_bar(self, bar: Bar) -> None:
        self.hear("bar", bar.symbol)

    def on_signal(self, signal: Any) -> None:
        self.hear("signal", signal.symbol, signal.quantity)
        if signal.quantity is not None:
            self.target(signal.symbol, quantity=-int(signal.quantity), reason="against it")


class Rester(Whim):
    """Leaves orders and stops of every kind in the market, near and far."""

    def on_bar(self, bar: Bar) -> None:
        self.hear("bar", bar.symbol, bar.close, self.position(bar.symbol), self.cash)
        if not 1 < bar.close < 1_000:
            return
        cents = round(bar.close * 100)
        near = round(0.07 + cents % 5 * 0.2, 2)
        self.rest(bar.symbol, cents, round(bar.close - near, 2), round(bar.close + near, 2), near)

    def rest(self, symbol: str, cents: int, below: float, above: float, near: float) -> None:
        force = ("day", "gtc")[cents % 2]
        match cents % 23:
            case 0 | 1:
                self.target(symbol, quantity=10, stop_loss=below)
            case 2:
                self.target(symbol, quantity=-10, stop_loss=above, take_profit=below)
            case 3 | 4:
                self.target(symbol, quantity=10, trailing=near)
            case 5:
                self.target(symbol, quantity=-10, trailing=f"{near}%", take_profit=below)
            case 6:
                self.buy(symbol, 3, limit=below, time_in_force=force)
            case 7:
                self.sell(symbol, 3, limit=above, time_in_force=force)
            case 8:
                self.buy(symbol, 3, stop=above, time_in_force=force)
            case 9:
                self.sell(symbol, 3, stop=below, limit=round(below - 0.02, 2), time_in_force=force)
            case 10:
                self.buy(symbol, 3, trail=f"{near}%", time_in_force=force)
            case 11:
                self.sell(symbol, 3, trail=near, time_in_force=force)
            case 12:
                self.buy(symbol, 3, limit=above, time_in_force=("ioc", "fok", "opg", "cls")[cents % 4])
            case 13:
                self.target(symbol, quantity=0)
            case 14:
                self.cancel(symbol=symbol)


class Staged(Backtest):
    """Never calm: each timestamp goes through all its stages."""

    def _calm_until(self) -> int:
        return NEVER


def said_by(run: Backtest, events: list[Any], break_at: int, command: Command | None) -> list[Event]:
    """Let events happen, and a command in between; all that was said."""
    said: list[Event] = []
    settle = run._settle

    def heard(events: list[Event]) -> None:
        settle(events)
        said.extend(events)

    run._settle = heard  # type: ignore[method-assign]
    run.run(events[:break_at])
    if command is not None:
        run.tell(command)
    run.run(events[break_at:])
    return said


def made(kind: type[Backtest], *strategies: type[Strategy], sessions: Sessions | None = None) -> Backtest:
    makers = [Made(one.__name__.lower(), lambda one=one: _runner(one)) for one in strategies]  # type: ignore[misc]
    limits = LimitValues(stale_price=5 * MINUTE, price_collar_percent=D(5))
    return kind("box", makers, rules(limits), D(100_000), MarketModel(), sessions)


def _runner(strategy: type[Strategy]) -> StrategyRunner:
    return StrategyRunner(strategy, strategy.__name__.lower(), strategy.configure({}))


def facts(run: Backtest) -> dict[str, Any]:
    """All that may be asked of a run, and what its cores remember."""
    guard = {name: value for name, value in run.guard.snapshot().items() if not name.startswith("price/")}
    prices = {symbol: (repr(price.value), price.time) for symbol, price in run.guard._prices.items()}
    runners = {name: repr(one.snapshot()) for name, one in run.host.roster.runners.items()}
    return {
        "rows": run.record.rows(), "bars": run.bars, "signals": run.signals, "time": run.time, "cash": run.cash,
        "entries": run.book.entries, "trades": run.book.trades, "marks": repr(run.book.marks), "guard": guard,
        "prices": prices, "hosts": {name: repr(price) for name, price in run.host.tracker.prices.items()},
        "runners": runners, "venue": run.paper.snapshot(), "gateway": run.gateway.snapshot(), "steps": run._n,
    }  # fmt: skip


CLOSES = st.integers(9_900, 10_100).map(lambda cents: cents / 100)
PRICES = st.one_of(CLOSES, CLOSES, CLOSES, CLOSES, CLOSES, st.sampled_from([0.0, -1.0, nan, inf]))


@st.composite
def markets(draw: st.DrawFn) -> list[Any]:
    """Some minutes of one to three symbols: bars, quotes and trades, in delivery order, with gaps, of one or several a
    time; TLT, of which nobody hears, has prices that are none."""
    events: list[Any] = []
    minute = 0
    for _ in range(draw(st.integers(1, 40))):
        minute += draw(st.sampled_from([1, 1, 1, 1, 2, 7]))
        start = BEGIN + minute * MINUTE
        for symbol in draw(st.sets(st.sampled_from(SYMBOLS), min_size=1)):
            price = draw(PRICES if symbol == "TLT" else CLOSES)
            events.append(_event(draw(st.sampled_from("bbbbbbqtxsd")), symbol, start, price))
    return sorted(events, key=lambda event: (known_at(event), not isinstance(event, Split | Dividend), event.symbol))


def _event(kind: str, symbol: str, start: int, price: float) -> Any:
    if kind == "q":
        return Quote(symbol, start + 30 * SECOND, price - 0.01, price + 0.01)
    if kind == "h":
        low, high = (price - 0.3, start + 40 * SECOND), (price + 0.3, start + 20 * SECOND)
        return Quote(symbol, start + 45 * SECOND, price - 0.01, price + 0.01, 0.0, 0.0, *low, *high)
    if kind == "t":
        return Trade(symbol, start + MINUTE, price, 100.0)
    if kind == "x":
        quotes = (price, price + 0.05, price - 0.05, price)
        return QuoteBar(symbol, "1m", start, start + MINUTE, *quotes, *quotes)
    if kind == "s" and symbol != "TLT":
        return Split(symbol, start, 2, 1)
    if kind == "d":
        return Dividend(symbol, start, D("0.1"))
    return Bar(symbol, "1m", start, start + MINUTE, price, price + 0.05, price - 0.05, price, 1_000.0)


@pytest.mark.parametrize("strategies", [(Whim,), (Timely,), (Whim, Follower), (Timely, Whim)])
@given(
    events=markets(), part=st.integers(0, 100), verb=st.sampled_from([None, Verb.PAUSE_STRATEGY, Verb.STOP_STRATEGY])
)
@settings(deadline=None, max_examples=25)
def test_a_run_with_calm_timestamps_is_the_run_with_all_stages(
    strategies: tuple[type[Strategy], ...], events: list[Any], part: int, verb: Verb | None
) -> None:
    name = strategies[0].__name__.lower()
    at = len(events) * part // 100
    time = BEGIN if not at else known_at(events[at - 1])
    command = None if verb is None else Command("c1", verb, "owner", time + 5 * MINUTE, strategy=name)
    calm, staged = made(Backtest, *strategies), made(Staged, *strategies)
    assert said_by(calm, events, at, command) == said_by(staged, events, at, command)
    assert facts(calm) == facts(staged)


@st.composite
def walks(draw: st.DrawFn) -> list[Any]:
    """A random walk of bars, quotes and quote bars of two symbols, with a split, a dividend or a jump now and then."""
    events: list[Any] = []
    prices = {"QQQ": 10_000, "SPY": 10_000}
    for minute in range(draw(st.integers(20, 80))):
        for symbol in draw(st.sampled_from([("QQQ",), ("SPY",), ("QQQ", "SPY")])):
            prices[symbol] += draw(st.sampled_from([-3, -2, -1, 0, 1, 2, 3, 5, 40, -40]))
            kind = draw(st.sampled_from("b" * 30 + "qxhtsd"))
            events.append(_event(kind, symbol, BEGIN + minute * MINUTE, prices[symbol] / 100))
    return sorted(events, key=lambda event: (known_at(event), not isinstance(event, Split | Dividend), event.symbol))


SHORT_SESSIONS = Sessions(
    [Session(str(n), BEGIN + n * 30 * MINUTE, BEGIN + (n * 30 + 25) * MINUTE) for n in range(10)]
)  # fmt: skip


@pytest.mark.parametrize("sessions", [None, SHORT_SESSIONS])
@pytest.mark.parametrize("strategies", [(Rester,), (Rester, Timely)])
@given(events=walks())
@settings(deadline=None, max_examples=40)
def test_what_rests_is_touched_expires_and_trails_as_with_all_stages(
    strategies: tuple[type[Strategy], ...], sessions: Sessions | None, events: list[Any]
) -> None:
    calm, staged = (made(kind, *strategies, sessions=sessions) for kind in (Backtest, Staged))
    assert said_by(calm, events, len(events), None) == said_by(staged, events, len(events), None)
    assert facts(calm) == facts(staged)


def busy_in(run: Backtest, events: list[Any]) -> int:
    """How many timestamps of a run take all the stages."""
    busy = [0]
    timestamp = run._timestamp

    def counted(*given: Any) -> None:
        busy[0] += 1
        timestamp(*given)

    run._timestamp = counted  # type: ignore[method-assign]
    run.run(events)
    return busy[0]


def test_most_of_a_quiet_run_is_calm() -> None:
    run = made(Backtest, Whim)
    closes = [100.05 + number % 2 / 100 for number in range(200)]
    assert busy_in(run, _bars(closes)) == 1, "the first one, which begins the run"
    assert run.bars == 200


@pytest.mark.parametrize("wish", [{"stop_loss": 99.0}, {"trailing": 1.5}, {"trailing": "2%"}, {"take_profit": 102.0}])
def test_a_run_is_calm_while_what_rests_is_far_away(wish: dict[str, Any]) -> None:
    class Holder(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar: Bar) -> None:
            if bar.close == 100.0:
                self.target("SPY", quantity=10, **wish)

    closes = [100.0, 100.5] + [100.1 + number % 3 / 100 for number in range(200)]
    run = made(Backtest, Holder)
    assert busy_in(run, _bars(closes)) <= 5, "the first one, the entry, and three higher highs"
    assert len(run.paper.resting) == 1
    run.run(_bars([98.0] if "take_profit" not in wish else [103.0], BEGIN + 500 * MINUTE))
    assert not run.paper.resting
    assert not run.record.positions.get("SPY")


def _bars(closes: list[float], begin: int = BEGIN) -> list[Any]:
    return [_event("b", "SPY", begin + number * MINUTE, close) for number, close in enumerate(closes)]


def test_what_a_strategy_raises_comes_at_its_time_and_what_was_before_it_is_known() -> None:
    class Raising(Whim):
        def on_bar(self, bar: Bar) -> None:
            if bar.close == 100.08:
                raise ValueError("no more")

    calm, staged = made(Backtest, Raising), made(Staged, Raising)
    events = [_event("b", "SPY", BEGIN + number * MINUTE, 100 + number / 100) for number in range(20)]
    for run in (calm, staged):
        with pytest.raises(ValueError, match="no more"):
            run.run(events)
    assert calm.time == staged.time == events[8].end
    assert calm.bars == staged.bars == 8
    assert calm.equity == staged.equity
