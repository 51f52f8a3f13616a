"""The runner: calls in, wishes out, and a restart that nobody can tell from no restart."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.wishes import Runner, Wish
from appliance.domain.market import MINUTE, Bar, Quote
from appliance.domain.trading import Fill, Side
from appliance.domain.wire import pack, unpack
from appliance.errors import StrategyError
from appliance.strategy import Strategy, param
from appliance.strategy.context import LOG_LINES_MAX
from appliance.strategy.loader import load
from appliance.strategy.runner import StrategyRunner

EXAMPLES = Path(__file__).parents[2] / "strategies"


def bar(close: float, index: int = 0, symbol: str = "SPY") -> Bar:
    return Bar(symbol, "1m", index * MINUTE, (index + 1) * MINUTE, close, close, close, close, 100.0)


def fill(symbol: str = "SPY") -> Fill:
    return Fill("k1", "o1", "s", symbol, Side.BUY, Decimal(1), Decimal(100), Decimal(0), 5)


def runner(strategy: type[Strategy], **values) -> StrategyRunner:
    made: Runner = StrategyRunner(strategy, "s", strategy.configure(values))
    return made


def started(strategy: type[Strategy], **values) -> StrategyRunner:
    made = runner(strategy, **values)
    made.start(0)
    return made


def asking(**asked) -> StrategyRunner:
    """A strategy that calls ``self.target`` with these arguments on every bar."""

    class Asking(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.target(**{"symbol": "SPY", "quantity": 1} | asked)

    return started(Asking)


class Listening(Strategy):
    """Tells what it hears."""

    symbols = ("QQQ", "SPY")

    def on_bar(self, bar):
        self.log(f"bar {bar.symbol} {self.now}")

    def on_quote(self, quote):
        self.log(f"quote {quote.symbol} {self.now}")

    def on_fill(self, fill):
        self.log(f"fill {self.position(fill.symbol)}")
        self.target(fill.symbol, quantity=0)

    def on_stop(self):
        self.target("SPY", quantity=0, reason="stopped")


@pytest.mark.parametrize(
    ("quantity", "wanted"),
    [(100, "100"), (-5, "-5"), (0, "0"), (3.0, "3"), ("0.25", "0.25"), (Decimal("1.5"), "1.5"), (-0.0, "0")],
)
def test_a_quantity_becomes_an_exact_number_of_shares(quantity, wanted):
    (wish,) = asking(quantity=quantity, reason="why").bar(bar(1.0), 1)
    assert wish == Wish("SPY", Decimal(wanted), "why")
    assert str(wish.quantity) == wanted


@pytest.mark.parametrize(
    "quantity", [0.5, float("nan"), float("inf"), "nan", "Infinity", "ten", "", True, Decimal("NaN"), [1]]
)
def test_a_quantity_that_is_unclear_is_refused(quantity):
    with pytest.raises(StrategyError, match="is not a number of shares"):
        asking(quantity=quantity).bar(bar(1.0), 1)


@pytest.mark.parametrize(
    ("stop", "price"), [(99, "99"), (99.5, "99.5"), (99.1234567890123, "99.123456789012"), ("99.10", "99.10")]
)
def test_a_stop_becomes_a_decimal_price(stop, price):
    (wish,) = asking(stop_loss=stop).bar(bar(1.0), 1)
    assert str(wish.stop) == price


@pytest.mark.parametrize("stop", [0, -1, float("nan"), float("inf"), "x", True, [1], 1e-13])
def test_a_stop_that_is_no_price_is_refused(stop):
    with pytest.raises(StrategyError, match="is not a price"):
        asking(stop_loss=stop).bar(bar(1.0), 1)


def test_a_stop_behind_nothing_is_refused():
    with pytest.raises(StrategyError, match="nothing left to protect"):
        asking(quantity=0, stop_loss=99).bar(bar(1.0), 1)


def test_a_weight_too_small_for_one_share_is_a_target_of_none_whatever_protects_it():
    (wish,) = asking(quantity=None, weight=0.5, stop_loss=99).bar(bar(1.0), 1)  # of no cash at all
    assert (wish.quantity, wish.stop) == (0, None)


def test_the_session_of_a_bar_that_ends_with_it_is_that_session(new_york):
    class Dates(Strategy):
        symbol: str = param("SPY")

        def on_bar(self, bar):
            self.log(self.session.date if self.session else "closed")

    day = next(iter(new_york))
    runner = StrategyRunner(Dates, "dates", {"symbol": "SPY"}, new_york)
    runner.start(day.open)
    for end in (day.close - 1, day.close, day.close + 1):
        runner.bar(Bar("SPY", "1d", day.open, end, 1.0, 1.0, 1.0, 1.0, 1.0), end)
    assert runner.logs() == (day.date, day.date, "closed")


def test_a_target_on_a_symbol_of_somebody_else_is_refused():
    with pytest.raises(StrategyError, match=r"target\(.AAPL.\): .AAPL. is not a symbol of this strategy; it has SPY"):
        asking(symbol="AAPL").bar(bar(1.0), 1)


def test_symbols_come_from_indicators_parameters_and_the_class_in_name_order():
    class Many(Strategy):
        symbol: str = param("MSFT")
        symbols: str = param("SPY, AAPL")

        def on_start(self):
            self.average = self.sma("IBM", 3)

    assert started(Many).symbols == ("AAPL", "IBM", "MSFT", "SPY")
    assert started(Many, symbol="SPY").symbols == ("AAPL", "IBM", "SPY")


@pytest.mark.parametrize("symbols", [(), "", ("SPY", ""), ("A B",), (5,), 5])
def test_a_strategy_without_a_usable_symbol_does_not_start(symbols):
    with pytest.raises(StrategyError, match="symbol"):
        started(type("Deaf", (Strategy,), {"symbols": symbols}))


def test_it_hears_only_of_its_own_symbols():
    heard = started(Listening)
    for symbol in ("SPY", "AAPL", "QQQ"):
        assert heard.bar(bar(1.0, symbol=symbol), 7) == ()
        assert heard.quote(Quote(symbol, 8, 1.0, 2.0), 8) == ()
    assert heard.logs() == ("bar SPY 7", "quote SPY 8", "bar QQQ 7", "quote QQQ 8")
    assert heard.logs() == ()


def test_a_fill_sees_the_position_it_made_and_its_wish_comes_out_at_once():
    heard = started(Listening)
    heard.set_position("SPY", Decimal(1))
    assert heard.fill(fill(), 9) == (Wish("SPY", Decimal(0)),)
    assert heard.logs() == ("fill 1",)
    assert heard.stop(10) == (Wish("SPY", Decimal(0), "stopped"),)


def test_indicators_have_the_bar_before_the_author():
    class Early(Strategy):
        symbols = ("SPY",)

        def on_start(self):
            self.mean = self.sma("SPY", 1)

        def on_bar(self, bar):
            self.log(f"{self.mean.value}")

    early = started(Early)
    early.bar(bar(5.5), 1)
    assert early.logs() == ("5.5",)


def test_bars_without_a_wish_share_one_empty_tuple():
    heard = started(Listening)
    assert heard.bar(bar(1.0), 1) is heard.bar(bar(1.0, symbol="AAPL"), 2)


def test_an_exception_of_the_author_comes_out_as_it_is_and_its_wishes_are_forgotten():
    class Broken(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.target("SPY", quantity=1)
            if bar.close < 0:
                raise ZeroDivisionError("mine")

    broken = started(Broken)
    with pytest.raises(ZeroDivisionError, match="mine"):
        broken.bar(bar(-1.0), 1)
    assert len(broken.bar(bar(1.0), 2)) == 1


def test_wishes_of_on_start_come_out_of_start():
    class Eager(Strategy):
        symbol: str = param("SPY")

        def on_start(self):
            self.target(self.symbol, quantity=7)

    assert runner(Eager).start(3) == (Wish("SPY", Decimal(7)),)


def test_a_flood_of_log_lines_is_bounded_and_counted():
    class Loud(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            for _ in range(LOG_LINES_MAX + 5):
                self.log("x" * 10_000)

    loud = started(Loud)
    loud.bar(bar(1.0), 1)
    lines = loud.logs()
    assert len(lines) == LOG_LINES_MAX + 1
    assert "5 more lines dropped" in lines[-1]
    assert sum(map(len, lines)) < 3_000_000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("self.count = 1", r"write self.state\['count'\]"),
        ("self.average = self.sma('SPY', 3)", "made after on_start"),
        ("self.state = {}", "belongs to the appliance"),
        ("self.now = 5", "belongs to the appliance"),
        ("self.position('AAPL')", "not a symbol of this strategy"),
    ],
)
def test_what_a_restart_would_lose_is_refused_in_on_bar(line, words):
    source = "from appliance.strategy import Strategy\nclass Forgets(Strategy):\n    symbols = ('SPY',)\n"
    forgets = load(f"{source}    def on_bar(self, bar):\n        {line}\n", "forgets.py")
    forgets.start(0)
    with pytest.raises(StrategyError, match=words):
        forgets.bar(bar(1.0), 1)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, (1, 2), Decimal(1), float("nan"), 2**63, {1: "a"}, [[object()]], b"x"],
    ids=["set", "tuple", "Decimal", "nan", "too large", "a key that is no text", "any object", "bytes"],
)
def test_state_that_cannot_be_saved_is_named(value):
    class Holding(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.state["deep"] = {"here": value}

    holding = started(Holding)
    holding.bar(bar(1.0), 1)
    with pytest.raises(StrategyError, match=r"self.state\['deep'\]\['here'\]"):
        holding.snapshot()


def test_a_state_inside_itself_is_refused_instead_of_looping():
    class Looping(Strategy):
        symbols = ("SPY",)

        def on_start(self):
            self.state["me"] = self.state

    with pytest.raises(StrategyError, match="cannot be saved"):
        started(Looping).snapshot()


class Wandering(Strategy):
    """Uses every kind of memory there is: indicators, state, position, now, the position it started with."""

    symbol: str = param("SPY")

    def on_start(self):
        self.began = (self.now, self.position(self.symbol))
        self.means = [self.sma(self.symbol, 2), self.ema(self.symbol, 3)]
        self.others = [self.rsi(self.symbol, 2), self.atr(self.symbol, 2), self.stdev(self.symbol, 3)]
        self.channel = [self.highest(self.symbol, 3), self.lowest(self.symbol, 3)]
        self.state["bars"] = []
        self.log("started")
        self.target(self.symbol, quantity=1)

    def on_bar(self, bar):
        self.state["bars"] = [*self.state["bars"][-3:], bar.close]
        self.log(f"{self.now} {self.began} {self.position(bar.symbol)} {self.state} {self.means + self.others}")
        if self.means[0].crossed_above(self.means[1]):
            self.target(bar.symbol, quantity=len(self.state["bars"]), reason=str(self.others[0].value))
        elif self.channel[0].value > self.channel[0].previous:
            self.target(bar.symbol, quantity=0, reason=str(self.channel))


@given(closes=st.lists(st.integers(1, 400).map(lambda cents: cents / 4), max_size=30), data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_restart_at_any_bar_cannot_be_told_from_none(closes, data):
    cut = data.draw(st.integers(0, len(closes)))
    steady, restarted = runner(Wandering), runner(Wandering)
    steady.set_position("SPY", Decimal(3))
    steady.start(77)
    for index, close in enumerate(closes):
        if index == cut:
            restarted.restore(unpack(pack(steady.snapshot()), dict))
            steady.logs()
        wishes = steady.bar(bar(close, index), index)
        if index >= cut:
            assert restarted.bar(bar(close, index), index) == wishes
            assert restarted.logs() == steady.logs()
        for one in (steady, restarted)[: 1 + (index >= cut)]:
            for wish in wishes:
                one.set_position(wish.symbol, wish.quantity)
    if cut < len(closes):
        assert pack(restarted.snapshot()) == pack(steady.snapshot())


def test_restoring_speaks_no_wish_and_no_log_line_again():
    first = started(Wandering)
    again = runner(Wandering)
    again.restore(first.snapshot())
    assert again.logs() == ()
    assert again.bar(bar(1.0), 1) == ()


def test_a_failed_runner_goes_on_from_its_last_snapshot():
    class Once(Strategy):
        symbols = ("SPY",)

        def on_start(self):
            self.state["seen"] = 0

        def on_bar(self, bar):
            self.state["seen"] += 1
            if bar.close < 0:
                raise RuntimeError

    once = started(Once)
    once.bar(bar(1.0), 1)
    saved = once.snapshot()
    with pytest.raises(RuntimeError):
        once.bar(bar(-1.0), 2)
    once.restore(saved)
    once.bar(bar(1.0), 2)
    assert once.snapshot()["state"] == {"seen": 2}


def test_a_snapshot_does_not_change_when_the_strategy_goes_on():
    first = started(Wandering)
    saved = first.snapshot()
    before = pack(saved)
    first.bar(bar(1.0), 1)
    assert pack(saved) == before


def test_a_snapshot_before_the_start_restores_to_before_the_start():
    again = runner(Wandering)
    again.restore(runner(Wandering).snapshot())
    assert again.start(5) == (Wish("SPY", Decimal(1)),)


def test_other_indicators_than_the_saved_ones_are_refused_by_name():
    saved = load((EXAMPLES / "sma_cross.py").read_text(), "sma_cross.py")
    saved.start(0)
    changed = load((EXAMPLES / "sma_cross.py").read_text(), "sma_cross.py", params={"fast": "5"})
    with pytest.raises(StrategyError, match=r"sma\(SPY, 5\), sma\(SPY, 30\); saved: sma\(SPY, 10\), sma\(SPY, 30\)"):
        changed.restore(saved.snapshot())


def test_a_snapshot_of_another_version_is_refused():
    with pytest.raises(StrategyError, match="version 99"):
        runner(Wandering).restore({"version": 99})
