"""A runner with everything on: a restart at any message gives the same bits, a new version takes over what fits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.base import Core
from appliance.core.saving import Saves
from appliance.domain.market import MINUTE, SECOND, Bar, Quote, Session, Sessions
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Fill, Order
from appliance.domain.wire import pack
from appliance.errors import StrategyError
from appliance.strategy import Strategy, param
from appliance.strategy.context import WISHES_MAX
from appliance.strategy.runner import StrategyRunner
from tests.core.make import fill, intent, order, writers

D = Decimal
HOUR = 60 * MINUTE
SESSIONS = Sessions([Session(f"2024-01-0{day}", day * 24 * HOUR, day * 24 * HOUR + HOUR) for day in range(1, 6)])
"""Five days of which the market is open for an hour."""
OPEN = 24 * HOUR


class Everything(Strategy):
    """It uses all there is."""

    symbols = ("QQQ", "SPY")
    timeframe = "5m"
    history = 20
    warmup = 3
    size: int = param(3, low=1, high=50, live=True)

    def on_start(self):
        self.means = [self.sma("SPY", 2), self.ema("SPY", 3, timeframe="15m"), self.sma("QQQ", 2)]
        self.flow = self.vwap("SPY")
        self.bars("SPY", 4, "15m")
        self.every("10m", "tick")
        self.at("close-5m", "late")
        self.state["n"] = 0

    def say(self, what):
        values = [one.value for one in (*self.means, self.flow)]
        longer = self.bars("SPY", 4, "15m").close.tolist()
        held = [one.id for one in self.orders]
        self.log(
            f"{what} {self.now} {values} {longer} {self.bars('QQQ', 20).close.sum()} {held} {self.cash} {self.equity}"
        )

    def on_bar(self, bar):
        self.say(f"bar {bar.symbol} {bar.start} {bar.close}")
        self.state["n"] += 1
        self.target(bar.symbol, quantity=self.rng.randint(-self.size, self.size))
        if self.state["n"] % 3 == 0:
            self.state["ticket"] = self.buy(bar.symbol, 1, limit=bar.close, stop_loss=bar.close / 2)
        elif "ticket" in self.state:
            self.cancel(self.state.pop("ticket"))

    def on_quote(self, quote):
        self.say(f"quote {self.price(quote.symbol)}")

    def on_timer(self, name):
        self.say(name)
        if self.price("SPY") > 0:
            self.target("SPY", weight=0.1)

    def on_session(self, event):
        self.say(event)

    def on_stale(self, symbol):
        self.say(f"stale {symbol}")

    def on_order(self, order):
        self.say(order.status.value)

    def on_fill(self, fill):
        self.say(f"fill {self.position(fill.symbol)}")
        self.sell(fill.symbol, 1, trail="2%")

    def on_params(self, changed):
        self.say(f"params {changed} {self.size}")


def everything() -> StrategyRunner:
    made = StrategyRunner(Everything, "all", Everything.configure({}), SESSIONS)
    made.set_cash(D(10_000))
    return made


MESSAGES = st.lists(
    st.tuples(st.sampled_from(["bar", "bar", "bar", "quote", "order", "end", "fill", "time"]), st.integers(1, 400)),
    min_size=1,
    max_size=60,
)


class Life:
    """Tells one runner a conversation; every call's wishes and log lines are kept."""

    def __init__(self) -> None:
        self.runner = everything()
        self.said: list[Any] = [self.runner.start(OPEN - 1)]
        self.core = Core("host@all", writers("host@all"))
        self.saves = Saves(self.core)
        self.time = OPEN
        self.index = 0

    def restart(self) -> None:
        """By way of the journal's bytes."""
        self.saves.keep("all", self.runner.snapshot())
        core = Core("host@all", writers("host@all"))
        saves = Saves(core)
        core.restore(self.core.snapshot())
        self.core, self.saves = core, saves
        self.runner = everything()
        self.runner.restore(saves.load("all"))

    def tell(self, kind: str, number: int) -> None:
        self.saves.keep("all", self.runner.snapshot())
        getattr(self, f"_{kind}")(number)
        self.said.append(self.runner.logs())

    def _bar(self, number: int) -> None:
        self.time = -(-self.time // MINUTE) * MINUTE
        if not SESSIONS.contains(self.time, self.time + 5 * MINUTE):
            self.time = (self.time // OPEN + 1) * OPEN
        close, symbol = number / 4, ("SPY", "QQQ")[number % 2]
        begin, end = self.time, self.time + MINUTE
        self.time += MINUTE * (1 + number % 3)
        self.said.append(self.runner.bar(Bar(symbol, "1m", begin, end, close, close, close, close, 5.0), end))

    def _quote(self, number: int) -> None:
        self.said.append(self.runner.quote(Quote("SPY", self.time, number, number + 1), self.time))

    def _order(self, number: int) -> None:
        self.said.append(self.runner.order(self._made(number, OrderStatus.ACCEPTED), self.time))

    def _end(self, number: int) -> None:
        self.said.append(self.runner.order(self._made(number, OrderStatus.CANCELED), self.time))

    def _made(self, number: int, status: OrderStatus) -> Order:
        return order(intent(id=f"all-1-{number % 4}", strategy="all", take_profit=D("1.5")), status)

    def _fill(self, number: int) -> None:
        told: Fill = fill(self._made(1, OrderStatus.ACCEPTED), number % 5 + 1, key=str(number))
        self.runner.set_position("SPY", D(number))
        self.runner.set_cash(D(number) / 3)
        self.said.append(self.runner.fill(told, self.time))

    def _time(self, number: int) -> None:
        self.time += number * SECOND
        while (due := self.runner.due()) is not None and due <= self.time:
            self.said.append(self.runner.timer(due, self.time))


@given(messages=MESSAGES, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_at_any_message_cannot_be_told_from_none_with_everything_on(
    messages: list[tuple[str, int]], data: st.DataObject
) -> None:
    cuts = data.draw(st.sets(st.integers(0, len(messages) - 1), max_size=3))
    steady, cut = Life(), Life()
    for index, message in enumerate(messages):
        if index in cuts:
            cut.restart()
        steady.tell(*message)
        cut.tell(*message)
    assert cut.said == steady.said
    assert pack(cut.runner.snapshot()) == pack(steady.runner.snapshot())


# --- bars of several lengths ----------------------------------------------------------------------


def minutes(runner: StrategyRunner, count: int, start: int = OPEN, symbol: str = "SPY") -> list[Any]:
    wishes = []
    for number in range(count):
        begin = start + number * MINUTE
        close = float(number + 1)
        wishes.append(
            runner.bar(Bar(symbol, "1m", begin, begin + MINUTE, close, close, close, close, 1.0), begin + MINUTE)
        )
    return wishes


def runner_of(kind: type[Strategy], **params: Any) -> StrategyRunner:
    made = StrategyRunner(kind, "s", kind.configure(params), SESSIONS)
    made.start(OPEN - 1)
    return made


def test_on_bar_hears_bars_of_the_strategys_own_length_alone_and_each_indicator_each_of_its_own_once() -> None:
    class Two(Strategy):
        symbols = ("SPY",)
        timeframe = "5m"

        def on_start(self):
            self.short = self.sma("SPY", 2)
            self.long = self.sma("SPY", 2, timeframe="15m")

        def on_bar(self, bar):
            self.log(f"{bar.timeframe} {(bar.end - OPEN) // MINUTE} {self.short.value} {self.long.value}")

    two = runner_of(Two)
    minutes(two, 30)
    assert two.logs() == tuple(
        f"5m {end} {end - 2.5 if end > 5 else 'nan'} {22.5 if end == 30 else 'nan'}" for end in range(5, 31, 5)
    )


def test_vwap_begins_anew_with_each_session() -> None:
    class Flow(Strategy):
        symbols = ("SPY",)

        def on_start(self):
            self.flow = self.vwap("SPY")

        def on_bar(self, bar):
            self.log(f"{self.flow.value}")

    flow = runner_of(Flow)
    minutes(flow, 3)
    minutes(flow, 2, 2 * OPEN)
    assert flow.logs() == ("1.0", "1.5", "2.0", "1.0", "1.5")
    half, again = runner_of(Flow), StrategyRunner(Flow, "s", {}, SESSIONS)
    minutes(half, 2)
    again.restore(half.snapshot())
    minutes(again, 1, OPEN + 2 * MINUTE)
    assert again.logs() == ("1.3333333333333333",), "a restart is no new session"


def test_bars_are_there_before_the_first_one_by_warm_up_and_are_read_only() -> None:
    class Looking(Strategy):
        symbols = ("SPY",)
        history = 3
        warmup = 5

        def on_bar(self, bar):
            self.log(f"{self.bars('SPY', 3).close.tolist()}")

    looking = runner_of(Looking)
    assert looking.needs == (("SPY", "", 5),)
    for number in range(5):
        looking.feed(Bar("SPY", "1m", number * MINUTE, (number + 1) * MINUTE, 1.0, 1.0, 1.0, float(number), 1.0))
    assert looking.logs() == ()
    minutes(looking, 1)
    assert looking.logs() == ("[3.0, 4.0, 1.0]",)
    with pytest.raises(ValueError, match="read-only"):
        looking._context.windows["SPY", ""].last(1).close[0] = 5.0


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("self.bars('SPY', 3)", "no bars are kept for it"),
        ("self.bars('AAPL', 3)", "'AAPL' is not a symbol"),
        ("self.target('SPY')", "give one of quantity=, weight= and notional="),
        ("self.target('SPY', quantity=1, weight=1)", "give one of"),
        ("self.target('SPY', weight=numpy.nan)", "is not a finite number"),
        ("self.target('SPY', quantity=5, stop_loss=1, trailing=2)", "two stops for one position"),
        ("self.target('QQQ', weight=0.5)", "there is no price of QQQ yet"),
        ("self.buy('SPY', 0)", "must be above 0"),
        ("self.sell('SPY', -1)", "must be above 0"),
        ("self.order('SPY', 'hold', 1)", "side='hold' is not one"),
        ("self.buy('SPY', 1, time_in_force='tomorrow')", "time_in_force='tomorrow'"),
        ("self.cancel(symbol='AAPL')", "'AAPL' is not a symbol"),
        ("self.every('5m')", "after on_start could not be made again"),
        ("[self.target('SPY', quantity=1) for _ in range(2000)]", f"more than {WISHES_MAX}"),
        ("self.price('AAPL')", "'AAPL' is not a symbol"),
    ],
)
def test_every_verb_says_what_is_wrong(line: str, words: str) -> None:
    class Says(Strategy):
        symbols = ("QQQ", "SPY")

        def on_bar(self, bar):
            exec(line, {"self": self, "numpy": numpy})

    says = runner_of(Says)
    with pytest.raises(StrategyError, match=words.replace("(", r"\(")):
        minutes(says, 1)
    assert says.snapshot()["tickets"] in (0, 1)


@pytest.mark.parametrize(
    ("asked", "wanted"), [({"weight": 0.5}, 150), ({"weight": "-1"}, -300), ({"notional": 70}, 23), ({"weight": 0}, 0)]
)
def test_a_size_is_found_by_the_last_price_and_the_strategys_own_equity(asked: dict[str, Any], wanted: int) -> None:
    class Sizing(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.target("SPY", **asked)

    sizing = runner_of(Sizing)
    sizing.set_cash(D(600))
    sizing.set_position("SPY", D(100))
    assert [wish.quantity for wish in minutes(sizing, 3)[2]] == [D(wanted)]


def test_who_has_lost_everything_holds_nothing_instead_of_going_short() -> None:
    class Ruined(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.target("SPY", weight=0.5)

    ruined = runner_of(Ruined)
    ruined.set_cash(D(-600))
    assert [wish.quantity for wish in minutes(ruined, 1)[0]] == [0]


@pytest.mark.parametrize("text", ["\ud800", "x" * 1_000_000], ids=["surrogate", "long"])
def test_reasons_and_log_lines_can_always_be_sent(text: str) -> None:
    class Wordy(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.log(text)
            self.target("SPY", quantity=1, reason=text)
            self.buy("SPY", 1, reason=text)
            self.cancel(reason=text)

    wordy = runner_of(Wordy)
    for wish in minutes(wordy, 1)[0]:
        assert len(pack(wish)) < 2_000
    assert all(line.encode() for line in wordy.logs())


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, ["\udfff"]])
def test_state_that_no_journal_can_write_is_named(value: Any) -> None:
    class Odd(Strategy):
        symbols = ("SPY",)

        def on_bar(self, bar):
            self.state["odd"] = value

    odd = runner_of(Odd)
    minutes(odd, 1)
    with pytest.raises(StrategyError, match=r"self\.state\['odd'\].* cannot be saved") as refused:
        odd.snapshot()
    assert refused.value.text.encode()


# --- new versions ---------------------------------------------------------------------------------


class Old(Strategy):
    """The version before."""

    symbols = ("SPY",)
    history = 5

    def on_start(self):
        self.kept, self.dropped = self.sma("SPY", 2), self.sma("SPY", 3)
        self.every("10m", "tick")
        self.state["n"] = 0

    def on_bar(self, bar):
        self.state["n"] += 1
        self.buy("SPY", 1)

    def on_timer(self, name):
        self.log(f"{name} {(self.now - OPEN) // MINUTE}")


class New(Old):
    """The version after: another indicator, a new value, the old one by another name."""

    history = 8

    def on_start(self):
        self.added, self.kept = self.sma("SPY", 4), self.sma("SPY", 2)
        self.every("10m", "tick")
        self.state["fresh"] = 7

    def migrate_state(self, state):
        return {"bars": state["n"]}

    def on_bar(self, bar):
        self.log(f"{self.kept.value} {self.added.value} {self.state} {self.bars('SPY', 8).close.tolist()}")
        self.log(self.buy("SPY", 1))


def test_a_new_version_takes_over_by_name_and_the_rest_begins_anew() -> None:
    old = runner_of(Old)
    minutes(old, 6)
    new = StrategyRunner(New, "s", {}, SESSIONS)
    new.adopt(old.snapshot())
    minutes(new, 1, OPEN + 6 * MINUTE)
    closes = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0]
    assert new.logs() == (f"3.5 nan {{'fresh': 7, 'bars': 6}} {closes}", "t7")
    new.timer(OPEN + 10 * MINUTE, OPEN + 10 * MINUTE)
    assert new.logs() == ("tick 10",)


@pytest.mark.parametrize(
    ("migrate", "words"),
    [
        (lambda self, state: {"x": {1, 2}}, "cannot be saved"),
        (lambda self, state: state["y"], "y"),
        (lambda self, state: 5, "int"),
    ],
)
def test_a_state_that_does_not_migrate_is_told(migrate: Any, words: str) -> None:
    old = runner_of(Old)
    new = StrategyRunner(type("Bad", (New,), {"migrate_state": migrate}), "s", {}, SESSIONS)
    with pytest.raises((StrategyError, KeyError, TypeError), match=words):
        new.adopt(old.snapshot())
