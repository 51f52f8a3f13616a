"""Trailing stops, and orders of which one cancels the other, in the simulated market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.market.matching import Path, begun, meet, trailed
from appliance.core.market.simulator import MarketSimulator
from appliance.core.streams import Writers
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar
from appliance.domain.messages import Stage, Step, Ticks, VenueAsk, VenueCancel, VenueFill, VenueReport, VenueSubmit
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order, OrderType, Side, TimeInForce, Trail
from tests.core.make import again, intent, moment, order
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
MINUTE = 60 * SECOND
BUY, SELL = Side.BUY, Side.SELL
FIVE = Trail(D(5))
ONE_PERCENT = Trail(D(1), percent=True)


def simulator() -> MarketSimulator:
    return MarketSimulator("paper", Writers(()), D(100_000))


def bars(*prices: tuple[float, float, float, float]) -> list[Bar]:
    """One-minute bars (open, high, low, close), one after the other from the beginning."""
    return [
        Bar("SPY", "1m", BEGIN + i * MINUTE, BEGIN + (i + 1) * MINUTE, *price, 1000.0) for i, price in enumerate(prices)
    ]


def trailing(trail: Trail, side: Side = SELL, **given: Any) -> Order:
    return order(intent(type=OrderType.TRAILING_STOP, side=side, trail=trail, **given))


def filled(order_id: str, price: str, time: int | None = None, quantity: int | None = None) -> Any:
    def fits(said: Any) -> bool:
        same = isinstance(said, VenueFill) and (said.order_id, said.price) == (order_id, D(price))
        return same and time in (None, said.time) and quantity in (None, said.quantity)

    fits.__name__ = f"VenueFill {order_id} {quantity} at {price}, {time}"
    return fits


def reported(event: str, order_id: str, **fields: Any) -> Any:
    def fits(said: Any) -> bool:
        same = isinstance(said, VenueReport) and said.event is OrderEvent(event) and said.order_id == order_id
        return same and all(getattr(said, name) == value for name, value in fields.items())

    fits.__name__ = f"VenueReport {event} {order_id} {fields or ''}"
    return fits


def placed(*orders: Order, core: MarketSimulator | None = None) -> Playbook:
    play = Playbook(core or simulator())
    for each in orders:
        play >> VenueSubmit(each) << reported("accept", each.id)
    return play


# --- trailing stops -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trail", "side", "prices", "expected"),
    [
        # starts 5 below the open; the low of the first bar is tested against that
        (FIVE, SELL, [(100, 101, 95, 100)], ("95.0", 1)),
        # follows the high of 110 to 105, which the next bar's low meets
        (FIVE, SELL, [(100, 110, 99, 108), (107, 109, 104, 106)], ("105.0", 2)),
        # a bar's low comes before its high: 95 is tested, not the 105 this bar leads to
        (FIVE, SELL, [(100, 110, 95.01, 109), (109, 109, 106, 107)], None),
        # it does not follow down
        (FIVE, SELL, [(100, 110, 99, 106), (106, 107, 105.5, 106), (106, 106, 105, 105)], ("105.0", 3)),
        # gapped: the open, which is worse
        (FIVE, SELL, [(100, 110, 99, 109), (101, 103, 100, 102)], ("101.0", 1)),
        (FIVE, BUY, [(100, 105, 99, 100)], ("105.0", 1)),
        (FIVE, BUY, [(100, 101, 90, 91), (92, 96, 91, 95)], ("95.0", 2)),
        (FIVE, BUY, [(100, 101, 90, 91), (99, 99, 98, 98)], ("99.0", 1)),
        (ONE_PERCENT, SELL, [(100, 200, 99.5, 199), (199, 199, 198, 198)], ("198.0", 2)),
        (ONE_PERCENT, BUY, [(100, 100, 50, 50), (50, 50.5, 50, 50)], ("50.5", 2)),
        (Trail(D("0.3")), SELL, [(100, 100.1, 99.9, 100), (100, 100, 99.8, 99.8)], ("99.8", 2)),
    ],
)
def test_a_trailing_stop_follows_in_favour_only_and_is_tested_before_it_moves(
    trail: Trail, side: Side, prices: list[tuple[float, float, float, float]], expected: tuple[str, int] | None
) -> None:
    with placed(trailing(trail, side)) as play:
        for bar in bars(*prices):
            play >> bar
        if expected is not None:
            play << filled("trend-1-1", expected[0], BEGIN + expected[1] * MINUTE)


def test_a_stop_price_beside_the_trail_is_where_it_begins_at_least() -> None:
    with placed(trailing(FIVE, stop_price=D(98))) as play:
        first, second = bars((100, 102, 98.5, 101), (101, 101, 98, 98))
        play >> first >> second << filled("trend-1-1", "98.0")


def test_a_bar_that_began_before_it_was_known_only_starts_it() -> None:
    with placed(trailing(FIVE, decided=moment(30))) as play:
        first, second = bars((120, 130, 50, 100), (100, 100, 95, 96))
        play >> first >> second << filled("trend-1-1", "95.0", second.end)


@pytest.mark.parametrize(("side", "met"), [(SELL, "95.0"), (BUY, "107.0")])
def test_it_follows_the_side_of_the_market_it_will_meet(side: Side, met: str) -> None:
    """Who sells follows the bid from 101 and sells at the bid; who buys follows the ask down from 102."""
    events: list[MarketEvent] = [
        QuoteBar("SPY", "1m", BEGIN, BEGIN + MINUTE, 100, 100, 100, 100, 102, 102, 102, 102),
        Quote("SPY", BEGIN + 2 * MINUTE, 95.0, 107.0),
    ]
    with placed(trailing(FIVE, side)) as play:
        play >> Step(Stage.VENUE, BEGIN + MINUTE, 0, (events[0],)) >> Ticks(1, (events[1],))  # type: ignore[arg-type]
        play << filled("trend-1-1", met)


def test_where_it_stands_outlives_a_restart_and_is_told_with_its_end() -> None:
    first, second = bars((100, 110, 99, 108), (108, 108, 105, 106))
    play = placed(trailing(FIVE)) >> first
    with Playbook(again(play.core, simulator())) as after:
        after >> VenueAsk("trend-1-1") << reported("accept", "trend-1-1", stop=D("105.0")) >> second
        after << filled("trend-1-1", "105.0")
    with play:
        play >> VenueCancel("trend-1-1") << reported("cancel", "trend-1-1", stop=D("105.0"))
        play >> VenueAsk("trend-1-1") << reported("cancel", "trend-1-1", stop=D("105.0"))


PRICE = st.integers(1_000, 100_000).map(lambda cents: cents / 100)


@st.composite
def paths(draw: st.DrawFn) -> Path:
    a, b, c, d = (draw(PRICE) for _ in range(4))
    return Path(BEGIN, BEGIN + MINUTE, a, max(a, b, c, d), min(a, b, c, d), d)


@given(
    seen=st.lists(paths(), min_size=1, max_size=12),
    side=st.sampled_from(Side),
    trail=st.builds(Trail, st.integers(1, 5_000).map(lambda cents: D(cents) / 100), st.booleans()),
)
def test_a_trailing_stop_never_loosens_and_never_fills_better_than_where_it_stood(
    seen: list[Path], side: Side, trail: Trail
) -> None:
    stop = 0.0
    for path in seen:
        tested = begun(side, stop, trail, path)
        met = meet(OrderType.TRAILING_STOP, side, 0.0, tested, path)
        if met is not None:
            worst = path.low if side is SELL else path.high
            assert met[0] <= tested if side is SELL else met[0] >= tested
            assert met[0] >= worst if side is SELL else met[0] <= worst
            return
        moved = trailed(side, tested, trail, path)
        assert not stop or (moved >= tested >= stop if side is SELL else moved <= tested <= stop)
        behind = path.high if side is SELL else path.low
        assert moved < behind if side is SELL else moved > behind
        stop = moved


@given(seen=st.lists(paths(), min_size=1, max_size=6), side=st.sampled_from(Side), limit=PRICE)
def test_a_limit_is_never_filled_worse_than_asked_nor_better_than_the_market_was(
    seen: list[Path], side: Side, limit: float
) -> None:
    for path in seen:
        met = meet(OrderType.LIMIT, side, limit, 0.0, path)
        if met is not None:
            assert met[0] <= limit if side is BUY else met[0] >= limit
            assert path.low <= met[0] <= path.high


# --- groups ---------------------------------------------------------------------------------------


def leg(name: str, kind: OrderType, price: int, quantity: int = 100) -> Order:
    """One of the two that protect 100 shares bought: a stop below, a take-profit above."""
    prices = {"stop_price": D(price)} if kind is OrderType.STOP else {"limit_price": D(price)}
    wanted = intent(id=name, side=SELL, type=kind, quantity=D(quantity), **prices)
    return order(wanted, protects="e", oco="g", time_in_force=TimeInForce.GTC)


STOP, PROFIT = leg("stop", OrderType.STOP, 95), leg("profit", OrderType.LIMIT, 110)


@pytest.mark.parametrize("first", [STOP, PROFIT])
@pytest.mark.parametrize(
    ("price", "who", "other"),
    [
        ((100.0, 111.0, 99.0, 105.0), ("profit", "110.0"), "stop"),
        ((100.0, 101.0, 94.0, 99.0), ("stop", "95.0"), "profit"),
        ((100.0, 111.0, 94.0, 99.0), ("stop", "95.0"), "profit"),  # both could: the stop does
    ],
)
def test_of_two_orders_of_a_group_one_fills_and_the_other_is_cancelled(
    first: Order, price: tuple[float, float, float, float], who: tuple[str, str], other: str
) -> None:
    with placed(first, PROFIT if first is STOP else STOP) as play:
        play >> bars(price)[0] << filled(*who, quantity=100) << reported("cancel", other)
        assert play.core.positions["SPY"] == -100  # type: ignore[attr-defined]


def test_an_order_that_comes_after_the_other_of_its_group_was_filled_never_rests() -> None:
    low, high = bars((100, 101, 94, 99), (100, 111, 99, 105))
    with placed(STOP) as play:
        play >> low << filled("stop", "95.0")
        after = Playbook(again(play.core, simulator()))  # a power cut in between changes nothing
        after >> VenueSubmit(PROFIT) << reported("cancel", "profit") >> high
        assert not after.unread


class Halves(MarketSimulator):
    """Fills half of what is asked."""

    def portion(self, order: Any) -> Decimal:
        return (order.quantity - order.filled) / 2


def test_what_one_of_a_group_fills_in_part_the_other_loses() -> None:
    low, high = bars((100, 101, 94, 99), (112, 112, 111, 112))
    with placed(STOP, PROFIT, core=Halves("paper", Writers(()), D(100_000))) as play:
        play >> low << filled("stop", "95.0", quantity=50) >> VenueCancel("stop") << reported("cancel", "stop")
        play >> high << filled("profit", "112.0", quantity=25)


def test_a_second_order_of_a_group_that_asks_for_more_than_is_left_gets_what_is_left() -> None:
    low = bars((100, 101, 94, 99))[0]
    with placed(STOP, core=Halves("paper", Writers(()), D(100_000))) as play:
        play >> low << filled("stop", "95.0", quantity=50)
        play >> VenueSubmit(PROFIT) << reported("accept", "profit")
        assert play.core.resting["profit"].quantity == 50  # type: ignore[attr-defined]


# --- how long -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "quantity"), [(TimeInForce.IOC, 50), (TimeInForce.FOK, 100)])
def test_immediate_or_cancel_takes_a_part_and_fill_or_kill_the_whole(kind: TimeInForce, quantity: int) -> None:
    wanted = order(intent(time_in_force=kind))
    with placed(wanted, core=Halves("paper", Writers(()), D(100_000))) as play:
        play >> bars((100, 100, 100, 100))[0] << filled("trend-1-1", "100.0", quantity=quantity)
        if quantity < 100:
            play << reported("cancel", "trend-1-1", filled=D(50))


def test_a_stop_that_was_hit_sells_the_rest_whatever_the_price_does() -> None:
    first, second = bars((100, 101, 94, 99), (120, 120, 120, 120))
    with placed(trailing(FIVE), core=Halves("paper", Writers(()), D(100_000))) as play:
        play >> first << filled("trend-1-1", "95.0", quantity=50)
        play >> second << filled("trend-1-1", "120.0", quantity=25)
