"""``--model lean`` fills what LEAN's conventions say, row by row of the recorded files, by arithmetic of its own.

The conventions are those of the recorded data's README. Each test runs a small strategy by the public interface, and
computes the same fills out of the CSV rows with nothing but decimals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from appliance.core.books.entries import EntryKind
from appliance.core.models import PRESETS
from appliance.core.wishes import Made
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import Sessions
from appliance.strategy import loader
from appliance.world.backtest import Backtest
from tests.known_answers.entries import DATA
from tests.known_answers.rows import NEW_YORK, Row, bars, fee, holdings

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the recorded market data is not here")

D = Decimal
CASH = D(100_000)
WEEK = ("2013-10-07", "2013-10-11")
MINUTES, SECONDS = 60, 1
Prices = tuple[Row, ...]


class Done(NamedTuple):
    """A fill: signed shares, price and fee in USD; the end of the bar that made it where that is known."""

    quantity: Decimal
    price: Decimal
    fee: Decimal


class Ran(NamedTuple):
    """What a strategy did: its fills in order, and its equity in the end."""

    fills: list[Done]
    equity: Decimal


def done(quantity: Decimal, price: Decimal) -> Done:
    return Done(quantity, price, fee(quantity, price))


def run(source: str, files: Sequence[str], sessions: Sessions | None, **options: Any) -> Ran:
    """A strategy over recorded files with ``--model lean``, by the public interface."""
    given = FileOptions(
        bar_stamp="start",
        sessions=sessions,
        session="regular" if sessions else "all",
        factors=str(DATA / "market" / "equity_factors.csv.gz") if sessions else "",
        **options,
    )

    def make() -> Any:
        return loader.load(HEAD + source, "shown.py", name="shown", sessions=sessions)

    given = replace(given, symbols=make().symbols)
    data = FileSource([str(DATA / "market" / f"{name}.csv.gz") for name in files], given)
    test = Backtest("shown", (Made("shown", make),), (), CASH, PRESETS["lean"], sessions)
    while not (offer := data.batch(10_000)).done:
        test.run(offer.events)
    test.run(offer.events)
    fills = [one for one in test.book.entries if one.kind is EntryKind.FILL]
    return Ran([Done(one.quantity, one.price, one.fee) for one in fills], test.equity)


HEAD = "from appliance.strategy import Strategy, param\n\n"


def worth(fills: Iterable[Done], last: Decimal) -> Decimal:
    """Cash and position after fills, at a last price."""
    fills = list(fills)
    cash = CASH - sum(one.quantity * one.price + one.fee for one in fills)
    return cash + sum(one.quantity for one in fills) * last


def assert_same(ran: Ran, expected: list[Done], last: Decimal, at_least: int) -> None:
    assert len(expected) >= at_least, "the test would show little"
    assert [one.quantity for one in ran.fills] == [one.quantity for one in expected]
    for ours, theirs in zip(ran.fills, expected, strict=True):
        assert abs(ours.price - theirs.price) <= D("1e-10")
        assert abs(ours.fee - theirs.fee) <= D("1e-10")
    assert abs(ran.equity - worth(expected, last)) <= D("1e-6")


def minutes() -> tuple[Prices, Prices]:
    """Trade bars and quote bars of SPY by minutes, of one week."""
    return (
        bars("equity_1min_bars", "SPY", *WEEK, MINUTES),
        bars("equity_1min_quotebars", "SPY", *WEEK, MINUTES),
    )


MINUTE_FILES = ("equity_1min_bars", "equity_1min_quotebars")


class Waiting(NamedTuple):
    """An order that rests: signed shares, a price (USD), and when it was placed."""

    quantity: Decimal
    price: Decimal
    placed: datetime


def rest(
    trades: Prices,
    times: Sequence[str],
    orders: Callable[[Row], list[tuple[Decimal, Decimal]]],
    met: Callable[[Decimal, Decimal, Row], Decimal | None],
) -> list[Done]:
    """Orders placed at some times of a day by the last bar, each met by a later one at the price ``met`` says."""
    waiting: list[Waiting] = []
    filled: list[Done] = []
    for bar in trades:
        for order in list(waiting):
            price = met(order.quantity, order.price, bar)
            if price is not None:
                filled.append(done(order.quantity, price))
                waiting.remove(order)
        if f"{bar.end:%H:%M:%S}" in times:
            waiting += [Waiting(quantity, price, bar.end) for quantity, price in orders(bar)]
    return filled


# --- limit and stop ------------------------------------------------------------------------------------------------

RESTING = """
class Resting(Strategy):
    symbol: str = param("SPY")

    def on_start(self):
        for hour in range(10, 17):
            self.at(f"{hour}:00")

    def on_timer(self, name):
        price = self.price(self.symbol) + AWAY
        self.order(self.symbol, "buy" if SIDE > 0 else "sell", 10, KIND=price, time_in_force="gtc")
"""


def resting(kind: str, side: int, away: str) -> str:
    """A limit or stop at every full hour, so far (USD) from the last price."""
    return RESTING.replace("AWAY", away).replace("SIDE", str(side)).replace("KIND", kind)


HOURS = [f"{hour}:00:00" for hour in range(10, 17)]


def limit_met(quantity: Decimal, limit: Decimal, bar: Row) -> Decimal | None:
    """Strictly through the limit, on trade bars; at the limit, or at the open where that is better."""
    if quantity > 0:
        return min(limit, bar["open"]) if bar["low"] < limit else None
    return max(limit, bar["open"]) if bar["high"] > limit else None


@pytest.mark.parametrize(("side", "away"), [(1, "-0.1"), (-1, "0.1"), (1, "0.05"), (-1, "-0.05")])
def test_limits_need_a_price_through_them_and_take_a_better_open(side: int, away: str, sessions: Sessions) -> None:
    trades, _ = minutes()
    expected = rest(trades, HOURS, lambda bar: [(D(10) * side, bar["close"] + D(away))], limit_met)
    ran = run(resting("limit", side, away), MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, trades[-1]["close"], at_least=20)
    if D(away) * side > 0:  # beyond the market: the next open is better
        assert {one.price for one in expected} & {bar["open"] for bar in trades}


def test_a_limit_that_is_only_touched_does_not_fill(sessions: Sessions) -> None:
    """A limit at the week's exact low is touched and never traded through; a hair above it is filled."""
    trades, _ = minutes()
    low = min(bar["low"] for bar in trades[1:])
    source = """
class Touched(Strategy):
    symbol: str = param("SPY")

    def on_bar(self, bar):
        if not self.state.get("done"):
            self.state["done"] = True
            self.buy(self.symbol, 1, limit="{low}", time_in_force="gtc")
            self.buy(self.symbol, 2, limit="{above}", time_in_force="gtc")
"""
    above = low + D("1e-9")
    ran = run(source.format(low=low, above=above), MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert ran.fills == [done(D(2), above)]


def stop_met(quantity: Decimal, stop: Decimal, bar: Row) -> Decimal | None:
    """Touched is enough, on trade bars; at the stop, or at the open where that is worse."""
    if quantity > 0:
        return max(stop, bar["open"]) if bar["high"] >= stop else None
    return min(stop, bar["open"]) if bar["low"] <= stop else None


@pytest.mark.parametrize(("side", "away"), [(1, "0.15"), (-1, "-0.15"), (1, "-0.05"), (-1, "0.05")])
def test_stops_fill_when_touched_at_the_stop_or_a_worse_open(side: int, away: str, sessions: Sessions) -> None:
    trades, _ = minutes()
    expected = rest(trades, HOURS, lambda bar: [(D(10) * side, bar["close"] + D(away))], stop_met)
    ran = run(resting("stop", side, away), MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, trades[-1]["close"], at_least=20)


# --- trailing stops ------------------------------------------------------------------------------------------------

TRAILING = """
class Trailing(Strategy):
    symbol: str = param("SPY")

    def on_start(self):
        self.state["turn"] = 1

    def on_bar(self, bar):
        if self.orders:
            return
        place = self.buy if self.state["turn"] > 0 else self.sell
        self.state["turn"] = -self.state["turn"]
        place(self.symbol, 50, trail=TRAIL, time_in_force="gtc")
"""


@pytest.mark.parametrize(("trail", "at_least"), [("0.25", 10), ("0.6", 3), ("0.2%", 8)])
def test_trailing_stops_follow_the_quotes_and_are_tested_before_they_move(
    trail: str, at_least: int, sessions: Sessions
) -> None:
    """On the order's side of the quote bars: tested, then moved; filled at the worse of stop and close."""
    trades, quotes = minutes()
    share = D(trail[:-1]) / 100 if trail.endswith("%") else None

    def behind(price: Decimal, side: int) -> Decimal:
        return price + side * (price * share if share is not None else D(trail))

    expected: list[Done] = []
    side, stop = 1, None
    for trade, quote in zip(trades, quotes, strict=True):
        assert trade.end == quote.end
        if stop is not None:
            name = "ask" if side > 0 else "bid"
            high, low, close = (quote[f"{name}_{what}"] for what in ("high", "low", "close"))
            if (high >= stop) if side > 0 else (low <= stop):
                expected.append(done(D(50) * side, max(stop, close) if side > 0 else min(stop, close)))
                side, stop = -side, None
            else:
                stop = min(stop, behind(low, 1)) if side > 0 else max(stop, behind(high, -1))
        if stop is None:
            stop = behind(trade["close"], side)
    ran = run(TRAILING.replace("TRAIL", repr(trail)), MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, trades[-1]["close"], at_least)


# --- market orders -------------------------------------------------------------------------------------------------

IN_THE_MORNING = """
class Days(Strategy):
    symbol: str = param("SPY")

    def on_start(self):
        self.at("ENTER", "enter")
        self.at("LEAVE", "leave")

    def on_timer(self, name):
        if name == "enter":
            self.target(self.symbol, weight=0.5)
        else:
            self.target(self.symbol, quantity=0)
"""


@pytest.mark.parametrize(
    ("files", "symbol", "seconds", "enter", "leave"),
    [
        (MINUTE_FILES, "SPY", MINUTES, "10:00:00", "15:59:00"),  # out one minute before the close
        (MINUTE_FILES, "AIG", MINUTES, "09:45:00", "12:00:00"),
        (("equity_1sec_bars", "equity_1sec_quotebars"), "SPY", SECONDS, "11:00:30", "13:45:15"),
        (("equity_1sec_bars", "equity_1sec_quotebars"), "IBM", SECONDS, "10:38:33", "10:42:08"),
    ],
)
def test_market_orders_pay_the_spread_at_once(
    files: tuple[str, str], symbol: str, seconds: int, enter: str, leave: str, sessions: Sessions
) -> None:
    """At the close of the last quote bar when it is decided, though a trade be newer: at its ask or its bid."""
    trades = bars(files[0], symbol, *WEEK, seconds)
    quotes = bars(files[1], symbol, *WEEK, seconds)
    expected: list[Done] = []
    equity, last = CASH, D(0)
    for day in sorted({bar.start.date() for bar in trades}):
        at = [datetime.fromisoformat(f"{day} {time}").replace(tzinfo=NEW_YORK) for time in (enter, leave)]
        last = next(bar["close"] for bar in reversed(trades) if bar.end <= at[0])
        quantity = holdings(equity, last, D("0.5"))
        bid, ask = (next(bar for bar in reversed(quotes) if bar.end <= time) for time in reversed(at))
        expected += [done(quantity, ask["ask_close"]), done(-quantity, bid["bid_close"])]
        equity = worth(expected, D(0))
    source = IN_THE_MORNING.replace("SPY", symbol).replace("ENTER", enter).replace("LEAVE", leave)
    ran = run(source, files, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, D(0), at_least=10)


CLOSED = """
class OverNight(Strategy):
    symbol: str = param("SPY")

    def on_session(self, event):
        if event == "close":
            self.buy(self.symbol, 10)
"""


def test_a_market_order_in_a_closed_market_fills_at_the_next_open(sessions: Sessions) -> None:
    trades, _ = minutes()
    opens = [bar for before, bar in pairwise(trades) if bar.start.date() != before.start.date()]
    expected = [done(D(10), bar["open"]) for bar in opens]
    ran = run(CLOSED, MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, trades[-1]["close"], at_least=4)


AUCTIONS = """
class Auctions(Strategy):
    symbol: str = param("SPY")

    def on_start(self):
        self.at("15:00", "for the close")
        self.at("close", "for the open")

    def on_timer(self, name):
        if name == "for the close" and self.position(self.symbol):
            self.sell(self.symbol, 10, time_in_force="cls")
        elif name == "for the open":
            self.buy(self.symbol, 10, time_in_force="opg")
"""


def test_orders_for_the_open_and_the_close_get_the_first_open_and_the_last_close(sessions: Sessions) -> None:
    trades, _ = minutes()
    days = [[bar for bar in trades if bar.start.date() == day] for day in sorted({bar.start.date() for bar in trades})]
    expected: list[Done] = []
    for day in days[1:]:
        expected += [done(D(10), day[0]["open"]), done(D(-10), day[-1]["close"])]
    ran = run(AUCTIONS, MINUTE_FILES, sessions, start=WEEK[0], end=WEEK[1])
    assert_same(ran, expected, D(0), at_least=8)


HOURS_OF_A_MONTH = """
class Hours(Strategy):
    symbol: str = param("SPY")

    def on_bar(self, bar):
        held = self.position(self.symbol)
        if bar.close > bar.open and not held:
            self.target(self.symbol, quantity=100)
        elif bar.close < bar.open and held:
            self.target(self.symbol, quantity=0)
"""


def test_hours_have_no_quotes_and_fill_at_the_close_of_their_bar_or_at_the_next_open(sessions: Sessions) -> None:
    dates = ("2013-10-01", "2013-10-31")
    hours = bars("equity_hourly", "SPY", *dates, 3600, opens="09:00")  # the first hour of a day is stamped with 9:00
    expected: list[Done] = []
    held, waits = D(0), D(0)
    for hour in hours:
        if waits:
            expected.append(done(waits, hour["open"]))
            held, waits = held + waits, D(0)
        wanted = D(100) if hour["close"] > hour["open"] else D(0) if hour["close"] < hour["open"] else held
        if wanted != held and f"{hour.end:%H:%M}" == "16:00":
            waits = wanted - held
        elif wanted != held:
            expected.append(done(wanted - held, hour["close"]))
            held = wanted
    ran = run(HOURS_OF_A_MONTH, ("equity_hourly",), sessions, start=dates[0], end=dates[1])
    assert_same(ran, expected, hours[-1]["close"], at_least=40)
    assert {one.price for one in expected} & {hour["open"] for hour in hours if f"{hour.start:%H:%M}" == "09:00"}


# --- quotes alone --------------------------------------------------------------------------------------------------

ON_QUOTES = """
class OnQuotes(Strategy):
    symbol: str = param("SYMBOL")
    bars_from = "quotes"

    def on_start(self):
        self.state["bars"] = 0

    def on_bar(self, bar):
        self.state["bars"] += 1
        if self.state["bars"] % EVERY == 0:
            held = self.position(self.symbol)
            self.target(self.symbol, weight=0.0 if held else 0.4)
"""


@pytest.mark.parametrize(
    ("file", "symbol", "dates", "seconds", "every"),
    [
        ("fx_gold_daily_quotebars", "EURUSD", ("2010-01-01", "2010-12-31"), 86_400, 10),
        ("fx_gold_daily_quotebars", "XAUUSD", ("2012-01-01", "2012-12-31"), 86_400, 13),
        ("crypto_1min_quotebars", "ETHUSD", ("2018-04-04", "2018-04-04"), MINUTES, 97),
    ],
)
def test_quotes_alone_are_traded_at_bid_and_ask_and_sized_and_marked_in_the_middle(
    file: str, symbol: str, dates: tuple[str, str], seconds: int, every: int
) -> None:
    quotes = bars(file, symbol, *dates, seconds, regular=False)
    middles = [(bar["bid_close"] + bar["ask_close"]) / 2 for bar in quotes]
    expected: list[Done] = []
    held = D(0)
    for count, (bar, middle) in enumerate(zip(quotes, middles, strict=True), 1):
        if count % every == 0:
            quantity = -held if held else holdings(worth(expected, middle), middle, D("0.4"))
            expected.append(done(quantity, bar["ask_close" if quantity > 0 else "bid_close"]))
            held += quantity
    source = ON_QUOTES.replace("SYMBOL", symbol).replace("EVERY", str(every))
    first, last = f"{quotes[0].start:%Y-%m-%d}", f"{quotes[-1].start:%Y-%m-%d}"
    assert dates[0] <= first <= last <= dates[1]
    ran = run_span(source, (file,), quotes[0].end, quotes[-1].end)
    assert_same(ran, expected, middles[-1], at_least=10)


def run_span(source: str, files: Sequence[str], first: datetime, last: datetime) -> Ran:
    """Only the bars that end between two times: options choose by New York dates, these are UTC days."""
    begin, end = (int(time.timestamp()) * 10**9 for time in (first, last))

    def make() -> Any:
        return loader.load(HEAD + source, "shown.py", name="shown")

    options = FileOptions(bar_stamp="start", session="all", symbols=make().symbols)
    data = FileSource([str(DATA / "market" / f"{file}.csv.gz") for file in files], options)
    test = Backtest("shown", (Made("shown", make),), (), CASH, PRESETS["lean"])
    more = True
    while more:
        offer = data.batch(10_000)
        test.run([event for event in offer.events if begin <= event.end <= end])  # type: ignore[union-attr]
        more = not offer.done
    fills = [one for one in test.book.entries if one.kind is EntryKind.FILL]
    return Ran([Done(one.quantity, one.price, one.fee) for one in fills], test.equity)


BOTH = """
class Both(Strategy):
    symbol: str = param("ETHUSD")

    def on_bar(self, bar):
        if not self.position(self.symbol):
            self.target(self.symbol, weight=0.5)
"""


def test_what_has_trades_is_sized_and_marked_by_the_last_of_them_though_quotes_come_later() -> None:
    files = ("crypto_1min_bars", "crypto_1min_quotebars")
    trades, quotes = (bars(name, "ETHUSD", "2018-04-04", "2018-04-04", MINUTES, regular=False) for name in files)
    traded = {bar.end for bar in trades}
    first = next(bar for bar in trades if any(quote.end == bar.end for quote in quotes))
    ask = next(quote["ask_close"] for quote in quotes if quote.end == first.end)
    alone = [quote.end for quote in quotes if quote.end not in traded and quote.end > first.end][-1]
    last = [bar for bar in trades if bar.end < alone][-1]
    assert (alone - last.end).total_seconds() >= MINUTES, "the last event is a quote bar alone"
    expected = [done(holdings(CASH, first["close"], D("0.5")), ask)]
    assert_same(run_span(BOTH, files, first.end, alone), expected, last["close"], at_least=1)
