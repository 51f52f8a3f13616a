"""A band is never too wide: what is inside it changes no order that rests, and no stop that is watched."""

from __future__ import annotations

from decimal import Decimal
from math import inf, nan, nextafter
from typing import get_args

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.core.bands import Bands, of_order, of_stop
from appliance.core.base import Core
from appliance.core.market.crossing import Crossing
from appliance.core.market.matching import UNSET, behind
from appliance.core.market.resting import NOTHING, Resting
from appliance.core.models import MarketModel
from appliance.core.models.fills import Fills
from appliance.core.stops import SecondNet, Stop
from appliance.core.streams import Writers
from appliance.domain import wire
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, Trade
from appliance.domain.trading import ZERO, OrderType, Side, TimeInForce, Trail

D = Decimal
SIDES, TYPES, FORCES = st.sampled_from(list(Side)), st.sampled_from(list(OrderType)), st.sampled_from(list(TimeInForce))
NOT_LOOKING_BACK = [
    Crossing(MarketModel(fills=Fills(limit=limit, bars=bars, stop_limit=stop_limit)), None)  # type: ignore[arg-type]
    for limit in ("through", "touch")
    for bars in ("begun", "ended")
    for stop_limit in ("next", "close")
]
CENTS = st.integers(9_990, 10_010).map(lambda cents: cents / 100)
FREE = st.floats(99.9, 100.1)
NEAR = st.one_of(CENTS, CENTS, FREE)
ODD = st.one_of(NEAR, NEAR, NEAR, NEAR, st.sampled_from([0.0, -1.0, nan, inf, -inf]))
TIMES = st.integers(1, 30)
TRAILS = st.builds(Trail, st.integers(1, 20).map(lambda n: D(n) / 100), st.booleans())


@st.composite
def orders(draw: st.DrawFn) -> Resting:
    kind = draw(st.one_of(TYPES, st.sampled_from([OrderType.TRAILING_STOP, OrderType.STOP, OrderType.LIMIT])))
    force = draw(st.one_of(FORCES, st.sampled_from([TimeInForce.GTC, TimeInForce.DAY])))
    trail = draw(TRAILS) if kind is OrderType.TRAILING_STOP else None
    return Resting(
        "a", "SPY", draw(SIDES), kind, D(10), ZERO, draw(NEAR), draw(st.one_of(NEAR, NEAR, st.just(0.0))), force,
        draw(TIMES), draw(st.one_of(st.just(0), TIMES)), trail,
    )  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> MarketEvent:
    kind = draw(st.sampled_from([Bar, Bar, *get_args(MarketEvent)]))
    start, length = draw(TIMES), draw(st.integers(0, 5))
    if kind is Bar:
        return Bar("SPY", "1m", start, start + length, *(draw(ODD) for _ in range(4)), 1_000.0)
    if kind is QuoteBar:
        return QuoteBar("SPY", "1m", start, start + length, *(draw(NEAR) for _ in range(8)))
    if kind is Trade:
        return Trade("SPY", start, draw(ODD), 100.0)
    low, high = (draw(NEAR), draw(st.sampled_from([0, start]))), (draw(NEAR), draw(st.sampled_from([0, start])))
    return Quote("SPY", start, draw(ODD), draw(ODD), 1.0, 1.0, *low, *high)


@given(order=orders(), happened=st.lists(events(), min_size=1, max_size=12))
@settings(deadline=None, max_examples=600)
def test_what_is_within_the_band_of_an_order_leaves_it_as_it_is(order: Resting, happened: list[MarketEvent]) -> None:
    band = of_order(order)
    for event in happened:
        if band.has(event):
            assert [crossing.of(order, event, NOTHING) for crossing in NOT_LOOKING_BACK] == [None] * 8


@given(
    price=st.one_of(st.none(), NEAR.map(lambda price: D(repr(price))), CENTS.map(lambda price: D(f"{price:.3f}"))),
    trail=st.one_of(st.none(), TRAILS), holding=st.sampled_from([D(10), D(-10)]), active=TIMES,
    happened=st.lists(events(), min_size=1, max_size=12),
)  # fmt: skip
@settings(deadline=None, max_examples=600)
def test_what_is_within_the_band_of_a_stop_neither_crosses_nor_moves_it(
    price: Decimal | None, trail: Trail | None, holding: Decimal, active: int, happened: list[MarketEvent]
) -> None:
    core = Core("guard", Writers(()))
    net, stop = SecondNet(core), Stop("one", "SPY", price, active, trail)
    core.restore({"stop/one/SPY": wire.pack(stop)})
    band, before, holdings = of_stop(stop, holding), core.snapshot(), {"one/SPY": holding}
    for event in happened:
        if band.has(event):
            assert not list(net.crossed(event, holdings, ()))
            assert core.snapshot() == before


@given(resting=st.lists(orders(), max_size=3), happened=st.lists(events(), min_size=1, max_size=12))
@settings(deadline=None, max_examples=300)
def test_events_are_within_the_bands_of_all_that_rests(resting: list[Resting], happened: list[MarketEvent]) -> None:
    bands = Bands()
    bands.heed(resting, ())
    assert bool(bands) == bool(resting)
    for event in happened:
        assert bands.have((event,)) == all(of_order(order).has(event) for order in resting)


@given(side=SIDES, price=NEAR, trail=TRAILS)
@settings(deadline=None, max_examples=300)
def test_a_trailing_stop_stays_up_to_the_best_price_it_is_behind(side: Side, price: float, trail: Trail) -> None:
    stop = behind(side, UNSET, trail, price)
    order = Resting(
        "a", "SPY", side, OrderType.TRAILING_STOP, D(10), ZERO, 0.0, stop, TimeInForce.GTC, 0, 0, trail,
    )  # fmt: skip
    worse = -1 if side is Side.SELL else 1
    assert of_order(order).has(Trade("SPY", 1, price + worse * 1e-9, 1.0))
    moved = nextafter(price, -worse * inf)
    assume(behind(side, stop, trail, moved) != stop)
    assert not of_order(order).has(Trade("SPY", 1, moved, 1.0))


def test_other_symbols_and_what_changes_are_heeded() -> None:
    bands, trade = Bands(), Trade("SPY", 1, 98.0, 1.0)
    stop = Resting("a", "SPY", Side.SELL, OrderType.STOP, D(10), ZERO, 0.0, 99.0, TimeInForce.GTC, 0, 0)
    bands.heed([stop], ())
    assert not bands.have((trade,))
    assert bands.have((Trade("QQQ", 1, 98.0, 1.0),))
    bands.heed([], [(Stop("one", "SPY", D(97), 0), D(10))])
    assert bands.have((trade,))
    assert not bands.have((trade, Trade("SPY", 1, 96.5, 1.0)))
    bands.heed([], [(Stop("one", "SPY", D(97), 0), D(-10))])
    assert not bands.have((trade,))


@pytest.mark.parametrize("price", [nan, inf])
def test_a_price_that_is_none_is_in_no_band(price: float) -> None:
    limit = Resting("a", "SPY", Side.BUY, OrderType.LIMIT, D(10), ZERO, 90.0, 0.0, TimeInForce.GTC, 0, 0)
    assert not of_order(limit).has(Bar("SPY", "1m", 1, 2, 100.0, price, 99.0, 100.0, 1.0))
