"""Fill rules that are chosen: when, at what price, from which events, how much of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE
from appliance.core.models.fills import Fills
from appliance.core.streams import Writers
from appliance.domain.market import Bar, Quote, QuoteBar, Session, Sessions, Trade
from appliance.domain.messages import Stage, Step, Ticks, VenueFill, VenueSubmit
from appliance.domain.trading import OrderType, Side, TimeInForce, Trail
from tests.core.make import again, intent, moment, order
from tests.core.market.test_market import DAYS, MINUTE, reported
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, TRAILING = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.TRAILING_STOP
OPG, CLS, IOC, FOK, GTC = TimeInForce.OPG, TimeInForce.CLS, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC
LEAN = replace(PRESETS["lean"], commission=FREE)
WHOLE_DAY = Sessions([Session("a", BEGIN - 10 * MINUTE, BEGIN + 100 * MINUTE)])


def bar(n: int, *prices: float, volume: float = 1000.0) -> Bar:
    """The ``n``-th minute's bar of SPY: open, high, low, close."""
    return Bar("SPY", "1m", BEGIN + (n - 1) * MINUTE, BEGIN + n * MINUTE, *map(float, prices), volume)


def quotes(n: int, bid: tuple[float, ...], ask: tuple[float, ...]) -> QuoteBar:
    return QuoteBar("SPY", "1m", BEGIN + (n - 1) * MINUTE, BEGIN + n * MINUTE, *map(float, (*bid, *ask)))


def market(model: MarketModel, sessions: Sessions | None = None) -> Playbook:
    return Playbook(MarketSimulator("paper", Writers(()), D(1_000_000), model, sessions))


def fills(**rules: Any) -> MarketModel:
    return MarketModel(FREE, Fills(**rules))


def filled(price: str, time: int, quantity: int = 100) -> Any:
    def fits(said: Any) -> bool:
        same = isinstance(said, VenueFill) and said.quantity == quantity
        return same and (said.price, said.time) == (D(price), time)

    fits.__name__ = f"VenueFill {quantity} at {price}, {time}"
    return fits


def wished(minutes: float = 0, **given: Any) -> VenueSubmit:
    return VenueSubmit(order(intent(decided=moment(minutes * 60), **given)))


def told(play: Playbook) -> list[tuple[str, int]]:
    """Price and time of every fill."""
    return [(str(fill.price), fill.time) for fill in play.core.fills.values()]  # type: ignore[attr-defined]


# --- at once --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "side", "price"),
    [
        ([bar(0, 9, 12, 8, 10)], BUY, "10.0"),
        ([quotes(0, (9, 9, 8, 9.5), (10, 11, 10, 10.5)), bar(0, 9, 12, 8, 10)], BUY, "10.5"),
        ([quotes(0, (9, 9, 8, 9.5), (10, 11, 10, 10.5)), bar(0, 9, 12, 8, 10)], SELL, "9.5"),
        ([quotes(-1, (9, 9, 8, 9.5), (10, 11, 10, 10.5)), bar(0, 9, 12, 8, 10)], BUY, "10.0"),  # the trade is newer
        ([Quote("SPY", BEGIN - 1, 9.9, 10.1)], BUY, "10.1"),
        ([Quote("SPY", BEGIN - 1, 9.9, 10.1)], SELL, "9.9"),
        ([Trade("SPY", BEGIN - 1, 10.0, 5)], SELL, "10.0"),
    ],
)
def test_a_market_order_fills_at_once_where_its_side_stands(events: list[Any], side: Side, price: str) -> None:
    with market(fills(market="at_once")) as play:
        for event in events:
            play >> Step(Stage.VENUE, BEGIN, 0, (event,))
        play >> wished(side=side) << reported("accept") << filled(price, BEGIN)


def test_an_order_that_nothing_was_heard_for_waits_for_the_next_event() -> None:
    with market(fills(market="at_once")) as play:
        play >> wished() << reported("accept") >> bar(1, 10, 11, 9, 10.5) << filled("10.0", BEGIN)


def test_in_a_closed_market_an_order_at_once_becomes_one_for_the_open() -> None:
    close = Bar("SPY", "1m", BEGIN, BEGIN + MINUTE, 10, 10, 10, 10, 5)
    later = Bar("SPY", "1m", BEGIN + 10 * MINUTE, BEGIN + 11 * MINUTE, 12, 13, 11, 12.5, 5)
    with market(fills(market="at_once"), DAYS) as play:
        play >> close >> wished(1) << reported("accept") >> later << filled("12.0", later.start)


def test_a_price_of_the_session_before_is_not_taken_at_once() -> None:
    close = Bar("SPY", "1m", BEGIN, BEGIN + MINUTE, 10, 10, 10, 10, 5)
    later = Bar("SPY", "1m", BEGIN + 11 * MINUTE, BEGIN + 12 * MINUTE, 12, 13, 11, 12.5, 5)
    with market(fills(market="at_once"), DAYS) as play:
        play >> close >> wished(10.5) << reported("accept") >> later << filled("12.0", later.start)


def test_a_market_that_restarts_still_knows_where_it_stood() -> None:
    play = market(fills(market="at_once"))
    play >> bar(0, 9, 12, 8, 10)
    after = Playbook(again(play.core, market(fills(market="at_once")).core))
    after >> wished() << reported("accept") << filled("10.0", BEGIN)
    assert not after.unread


@pytest.mark.parametrize("model", [MarketModel(), fills(limit="touch"), PRESETS["backtesting.py"]])
def test_without_a_rule_that_looks_back_nothing_is_remembered(model: MarketModel) -> None:
    play = market(model)
    play >> bar(0, 9, 12, 8, 10)
    assert not play.core.hears_all  # type: ignore[attr-defined]
    assert play.core.changes() == {}


# --- limits and stops -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "side", "limit", "price"),
    [
        ("through", BUY, "97", None), ("through", BUY, "97.01", "97.01"), ("through", SELL, "104", None),
        ("touch", BUY, "97", "97.0"), ("touch", BUY, "96.99", None), ("touch", SELL, "104", "104.0"),
        ("touch", SELL, "104.01", None), ("touch", BUY, "100", "100.0"), ("touch", SELL, "99", "100.0"),
    ],
)  # fmt: skip
def test_a_limit_must_be_traded_through_or_touched(rule: str, side: Side, limit: str, price: str | None) -> None:
    with market(fills(limit=rule)) as play:
        play >> wished(type=LIMIT, side=side, limit_price=D(limit)) << reported("accept")
        play >> bar(1, 100, 104, 97, 101)
        if price is not None:
            play << (lambda said: said.price == D(price))


@pytest.mark.parametrize(
    ("rule", "kind", "prices", "expected"),
    [
        ("begun", LIMIT, {"limit_price": D(98)}, None),
        ("ended", LIMIT, {"limit_price": D(98)}, ("98.0", 60)),
        ("ended", LIMIT, {"limit_price": D(101)}, ("100.0", 30)),  # the open, and not before the order came
        ("begun", STOP, {"stop_price": D(103)}, None),
        ("ended", STOP, {"stop_price": D(103)}, ("103.0", 60)),
        ("ended", MARKET, {}, ("101.0", 60)),  # never the open of a bar that had begun
    ],
)
def test_a_bar_that_had_begun_is_met_at_its_close_or_whole(
    rule: str, kind: OrderType, prices: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    with market(fills(bars=rule)) as play:
        play >> wished(0.5, type=kind, **prices) << reported("accept") >> bar(1, 100, 104, 97, 101)
        if expected is not None:
            play << filled(expected[0], BEGIN + expected[1] * SECOND)


@pytest.mark.parametrize(
    ("kind", "side", "price", "next_bar", "expected"),
    [
        (LIMIT, BUY, "98", (100, 101, 98, 99), None),  # low < limit, strictly
        (LIMIT, BUY, "98", (100, 101, 97.9, 99), "98.0"),
        (LIMIT, BUY, "98", (97, 101, 96, 99), "97.0"),
        (LIMIT, SELL, "102", (100, 102, 98, 99), None),
        (LIMIT, SELL, "102", (103, 104, 98, 99), "103.0"),
        (STOP, BUY, "102", (100, 102, 98, 99), "102.0"),  # high >= stop
        (STOP, BUY, "102", (103, 104, 98, 99), "103.0"),
        (STOP, SELL, "98", (100, 102, 98, 99), "98.0"),
        (STOP, SELL, "98", (97, 102, 96, 99), "97.0"),
        (STOP, SELL, "98", (100, 102, 98.1, 99), None),
    ],
)
def test_limits_and_stops_of_the_lean_model(
    kind: OrderType, side: Side, price: str, next_bar: tuple[float, ...], expected: str | None
) -> None:
    name = "limit_price" if kind is LIMIT else "stop_price"
    with market(LEAN, WHOLE_DAY) as play:
        play >> bar(0, 100, 100, 100, 100) >> wished(type=kind, side=side, **{name: D(price)}) << reported("accept")
        play >> bar(1, *next_bar)
        if expected is not None:
            play << (lambda said: said.price == D(expected))


def test_limits_of_the_lean_model_are_met_by_trades_and_not_by_quotes() -> None:
    with market(LEAN, WHOLE_DAY) as play:
        play >> quotes(0, (99,) * 4, (101,) * 4) >> bar(0, 100, 100, 100, 100)
        play >> wished(type=LIMIT, limit_price=D(98)) << reported("accept")
        play >> quotes(1, (90,) * 4, (91,) * 4) >> bar(1, 100, 100, 97, 99) << filled("98.0", BEGIN + MINUTE)


# --- trailing stops -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "bars_after", "price", "at"),
    [
        # Begins at 100 - 5 (the last trade), tested before it moves: bid.low 94 <= 95, at min(95, bid.close).
        (SELL, [((100, 101, 94, 96), (100, 102, 95, 97))], "95.0", 1),
        (SELL, [((100, 101, 94, 93), (100, 102, 95, 94))], "93.0", 1),
        # Not met, moves to bid.high - 5 = 105; then met.
        (SELL, [((100, 110, 96, 108), (101, 111, 97, 109)), ((108, 109, 104, 106), (109,) * 4)], "105.0", 2),
        # A bid that never came down does not: the ask does not count for a sale.
        (SELL, [((100, 101, 95.5, 96), (90,) * 4)], None, 1),
        # Mirrored on the ask: begins at 105.
        (BUY, [((100,) * 4, (100, 106, 99, 101))], "105.0", 1),
        (BUY, [((100,) * 4, (100, 106, 99, 107))], "107.0", 1),
        (BUY, [((90,) * 4, (100, 104, 90, 94)), ((90,) * 4, (94, 95, 93, 94))], "95.0", 2),
    ],
)
def test_a_trailing_stop_of_the_lean_model_on_its_side_of_the_quote_bars(
    side: Side, bars_after: list[Any], price: str | None, at: int
) -> None:
    with market(LEAN, WHOLE_DAY) as play:
        play >> quotes(0, (99,) * 4, (101,) * 4) >> bar(0, 100, 100, 100, 100)
        play >> wished(type=TRAILING, side=side, trail=Trail(D(5))) << reported("accept")
        for n, (bid, ask) in enumerate(bars_after, 1):
            play >> quotes(n, bid, ask) >> bar(n, 50, 150, 50, 100)  # trades do not matter
        play << ...
        assert told(play) == ([] if price is None else [(price, BEGIN + at * MINUTE)])


# --- which events ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feed", "price"),
    [("first", "100.2"), ("quotes", "100.2"), ("trades", "100.0")],
)
def test_orders_are_filled_from_the_events_that_are_chosen(feed: str, price: str) -> None:
    model = fills(market_on=feed, resting_on=feed, trailing_on=feed)
    with market(model) as play:
        play >> quotes(0, (99,) * 4, (101,) * 4) >> bar(0, 100, 100, 100, 100) >> wished() << reported("accept")
        play >> quotes(1, (99.8,) * 4, (100.2,) * 4) >> bar(1, 100, 101, 99, 100) << ...
        assert told(play) == [(price, BEGIN)]


@pytest.mark.parametrize("feed", ["quotes", "trades"])
def test_a_symbol_with_only_one_kind_of_events_is_filled_from_those(feed: str) -> None:
    model = fills(market_on=feed, resting_on=feed, trailing_on=feed)
    with market(model) as play:
        play >> wished() << reported("accept") >> bar(1, 100, 101, 99, 100) << filled("100.0", BEGIN)
    with market(model) as play:
        play >> wished() << reported("accept") >> quotes(1, (99.8,) * 4, (100.2,) * 4) << filled("100.2", BEGIN)


# --- the open and the close -----------------------------------------------------------------------


NEXT_DAY = BEGIN + 10 * MINUTE


def late(n: int, *prices: float) -> Bar:
    return Bar("SPY", "1m", NEXT_DAY + (n - 1) * MINUTE, NEXT_DAY + n * MINUTE, *prices, 1000.0)


def test_an_order_for_the_open_waits_for_the_next_session() -> None:
    with market(fills(), DAYS) as play:
        play >> wished(0.5, time_in_force=OPG) << reported("accept")
        play >> bar(1, 100, 101, 99, 100) >> late(1, 103, 104, 102, 103) << filled("103.0", NEXT_DAY)


def test_a_limit_for_the_open_fills_there_or_expires() -> None:
    for limit, said in (("104", filled("103.0", NEXT_DAY)), ("102.5", reported("expire"))):
        with market(fills(), DAYS) as play:
            play >> wished(0.5, type=LIMIT, limit_price=D(limit), time_in_force=OPG) << reported("accept")
            play >> late(1, 103, 104, 101, 102) << said


def test_an_order_for_the_close_gets_the_last_price_of_its_session() -> None:
    close = NEXT_DAY + 10 * MINUTE
    with market(fills(), DAYS) as play:
        play >> wished(10.5, time_in_force=CLS) << reported("accept")
        play >> late(9, 103, 104, 102, 103) >> late(10, 103, 105, 102, 104) << filled("104.0", close)
    with market(fills(), DAYS) as play:  # nobody traded in the last minute: what comes after tells that it is over
        play >> wished(10.5, time_in_force=CLS) << reported("accept") >> late(9, 103, 104, 102, 103)
        play >> late(2000, 90, 90, 90, 90) << filled("103.0", close)
    with market(fills(), DAYS) as play:
        play >> wished(10.5, time_in_force=CLS) << reported("accept") >> late(2000, 90, 90, 90, 90)
        play << reported("expire")


def test_a_limit_for_the_close_fills_there_or_expires() -> None:
    close = NEXT_DAY + 10 * MINUTE
    for limit, said in (("105", filled("104.0", close)), ("103", reported("expire"))):
        with market(fills(), DAYS) as play:
            play >> wished(10.5, type=LIMIT, limit_price=D(limit), time_in_force=CLS) << reported("accept")
            play >> late(10, 103, 105, 101, 104) << said


@pytest.mark.parametrize("force", [OPG, CLS])
def test_a_market_that_never_closes_has_no_open_and_no_close(force: TimeInForce) -> None:
    with market(fills()) as play:
        play >> wished(time_in_force=force) << reported("reject")


# --- how much -------------------------------------------------------------------------------------


def tenth(**given: Any) -> MarketModel:
    return MarketModel(FREE, participation=D(10), **given)


def test_at_most_a_part_of_the_volume_is_filled_and_the_rest_waits() -> None:
    with market(tenth()) as play:
        play >> wished(quantity=D(250)) << reported("accept")
        play >> bar(1, 10, 11, 9, 10, volume=1000) << filled("10.0", BEGIN, 100)
        play >> bar(2, 11, 12, 10, 11, volume=999) << filled("11.0", BEGIN + MINUTE, 99)
        play >> bar(3, 12, 13, 11, 12, volume=0)
        play >> bar(4, 13, 14, 12, 13, volume=5000) << filled("13.0", BEGIN + 3 * MINUTE, 51)


def test_all_orders_of_a_bar_share_its_volume() -> None:
    with market(tenth()) as play:
        for n in (1, 2, 3):
            play >> wished(id=f"o{n}", quantity=D(60)) << reported("accept")
        play >> bar(1, 10, 11, 9, 10, volume=1000) << filled("10.0", BEGIN, 60) << filled("10.0", BEGIN, 40)
        play >> bar(2, 11, 11, 11, 11) << filled("11.0", BEGIN + MINUTE, 20) << filled("11.0", BEGIN + MINUTE, 60)


@pytest.mark.parametrize(("force", "first"), [(IOC, 100), (FOK, None)])
def test_what_is_immediate_takes_what_there_is_or_nothing(force: TimeInForce, first: int | None) -> None:
    with market(tenth()) as play:
        play >> wished(quantity=D(250), time_in_force=force) << reported("accept") >> bar(1, 10, 11, 9, 10, volume=1000)
        if first is not None:
            play << filled("10.0", BEGIN, first)
        play << reported("cancel") >> bar(2, 11, 11, 11, 11)


def test_the_rest_of_an_order_for_the_open_or_the_close_expires() -> None:
    for minutes, force, price, time in ((0.5, OPG, "103.0", NEXT_DAY), (10.5, CLS, "104.0", NEXT_DAY + 10 * MINUTE)):
        with market(tenth(), DAYS) as play:
            play >> wished(minutes, quantity=D(250), time_in_force=force) << reported("accept")
            n = 1 if force is OPG else 10
            play >> late(n, 103, 105, 102, 104) << filled(price, time) << reported("expire", filled=D(100))
            play >> late(n + 2000, 103, 105, 102, 104)


def test_a_stop_that_was_hit_where_nothing_was_left_sells_at_the_next_price() -> None:
    with market(tenth()) as play:
        play >> wished(type=STOP, side=SELL, stop_price=D(9), quantity=D(50)) << reported("accept")
        play >> bar(1, 10, 11, 8, 10, volume=5) >> bar(2, 20, 20, 20, 20) << filled("20.0", BEGIN + MINUTE, 50)


def test_a_quote_offers_its_size_and_a_trade_what_was_traded() -> None:
    with market(tenth()) as play:
        play >> wished(quantity=D(30)) << reported("accept")
        play >> Ticks(1, (Quote("SPY", BEGIN + 1, 9.0, 10.0, 500, 100),)) << filled("10.0", BEGIN + 1, 10)
        play >> Ticks(1, (Trade("SPY", BEGIN + 2, 10.0, 150),)) << filled("10.0", BEGIN + 2, 15)


def test_orders_at_once_share_the_volume_of_the_bar_they_take() -> None:
    with market(replace(tenth(), fills=Fills("at_once"))) as play:
        play >> bar(0, 10, 11, 9, 10, volume=1000)
        play >> wished(id="a", quantity=D(80)) << reported("accept") << filled("10.0", BEGIN, 80)
        play >> wished(id="b", quantity=D(80)) << reported("accept") << filled("10.0", BEGIN, 20)
        play >> bar(1, 11, 11, 11, 11) << filled("11.0", BEGIN, 60)


def test_a_minimum_commission_is_charged_once_for_an_order_of_many_fills() -> None:
    model = MarketModel(participation=D(10))
    with market(model) as play:
        play >> wished(quantity=D(250)) << reported("accept")
        for n in (1, 2, 3):
            play >> bar(n, 100, 100, 100, 100, volume=1000) << ...
        assert sum(fill.commission for fill in play.core.fills.values()) == D("1.25")  # type: ignore[attr-defined]
