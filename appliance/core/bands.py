"""Between which prices a market event changes no order that rests and no stop that is watched.

A band may be too narrow, never too wide: an event outside takes all the stages, which find out. So it asks more than
the rules do: a price at its edge, one that is none, or an extreme from before an order came is outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import nextafter

from msgspec import Struct

from appliance.core.market.matching import UNSET, begins, behind
from appliance.core.market.resting import Resting
from appliance.core.stops import Stop, leaves
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, last_price
from appliance.domain.trading import OrderType, Side, TimeInForce, Trail

INFINITE, FOREVER = float("inf"), 1 << 62
MARGIN = 1e-12
"""What a price must stay off the best one where a trailing stop is not exactly behind that, of it: more than roundings.
"""
LEAST = Decimal("0.001")
"""A trailing stop at less of the best price than this is near nothing."""


class Band(Struct, frozen=True, gc=False):
    """Events that begin before ``until`` (ns UTC) and have all their prices strictly between ``low`` and ``high`` (USD)
    change nothing."""

    low: float = -INFINITE
    high: float = INFINITE
    until: int = FOREVER

    def within(self, other: Band) -> Band:
        """What is in both."""
        return Band(max(self.low, other.low), min(self.high, other.high), min(self.until, other.until))

    def has(self, happened: MarketEvent) -> bool:
        """Whether all of an event is inside."""
        low, high = self.low, self.high
        if type(happened) is Bar:
            return (
                low < happened.low
                and happened.high < high
                and low < happened.open < high
                and low < happened.close < high
                and happened.start < self.until
            )
        return begins(happened) < self.until and all(low < price < high for price in _prices(happened))


ANYWHERE, NOWHERE = Band(), Band(INFINITE, -INFINITE, 0)
_RESTS = (TimeInForce.DAY, TimeInForce.GTC)
"""How long an order lasts that events can leave as it is."""
_STANDING = (OrderType.STOP, OrderType.STOP_LIMIT)
_TRAILING = (OrderType.TRAILING_STOP,)


class Bands:
    """The bands of the symbols in which something rests or is watched."""

    def __init__(self) -> None:
        self._by: dict[str, Band] = {}
        self._of: tuple[object, object] = ((), ())

    def __bool__(self) -> bool:
        return bool(self._by)

    def heed(self, resting: Iterable[Resting], watched: Iterable[tuple[Stop, Decimal]]) -> None:
        """What rests by now, and which stops are watched with how many shares behind them."""
        orders, stops = tuple(resting), tuple(watched)
        if (orders, stops) == self._of:
            return
        self._of = orders, stops
        by = self._by = {}
        for order in orders:
            by[order.symbol] = by.get(order.symbol, ANYWHERE).within(of_order(order))
        for stop, holding in stops:
            by[stop.symbol] = by.get(stop.symbol, ANYWHERE).within(of_stop(stop, holding))

    def have(self, events: Sequence[MarketEvent]) -> bool:
        """Whether none of these events, all of one time, changes anything."""
        for happened in events:
            band = self._by.get(happened.symbol)
            if band is not None and not band.has(happened):
                return False
        return True


def of_order(order: Resting) -> Band:
    """Where an order neither fills nor ends nor moves, whatever the fill rules are that do not look back."""
    if order.time_in_force not in _RESTS:
        return NOWHERE
    until = order.expires or FOREVER
    if order.type is OrderType.LIMIT:
        return Band(order.limit, INFINITE, until) if order.side is Side.BUY else Band(-INFINITE, order.limit, until)
    if order.type not in (_STANDING if order.trail is None else _TRAILING):
        return NOWHERE
    return _of_stop(order.side, order.stop, order.trail, until)


def of_stop(stop: Stop, holding: Decimal) -> Band:
    """Where a stop that is watched neither is crossed nor moves; ``holding`` is what it protects (shares, not 0)."""
    if stop.price is None:
        return ANYWHERE if stop.trail is None else NOWHERE
    price = float(stop.price)
    if stop.trail is not None and str(stop.price) != repr(price):
        return NOWHERE  # the next event writes it as trailing stops are written
    return _of_stop(leaves(holding), price, stop.trail, FOREVER)


def _of_stop(side: Side, stop: float, trail: Trail | None, until: int) -> Band:
    if not stop > UNSET:
        return NOWHERE
    best = _best(side, stop, trail) if trail is not None else None
    if side is Side.BUY:
        return Band(-INFINITE if best is None else best, stop, until)
    return Band(stop, INFINITE if best is None else best, until)


def _best(side: Side, stop: float, trail: Trail) -> float:
    """The price (USD) at which a trailing stop would move: just beyond the best one, that it is behind."""
    away = -1 if side is Side.BUY else 1
    exact = Decimal(repr(stop))
    part = 1 - away * trail.distance / 100
    if not trail.percent:
        best = float(exact + away * trail.distance)
    elif part > LEAST:
        best = float(exact / part)
    else:
        return stop
    return nextafter(best, away * INFINITE) if behind(side, stop, trail, best) == stop else best * (1 - away * MARGIN)


def _prices(happened: MarketEvent) -> tuple[float, ...]:
    """All prices (USD) that an order or a stop may be tested against."""
    if isinstance(happened, Quote):
        low = happened.low if happened.low_time else happened.bid
        return happened.bid, happened.ask, low, happened.high if happened.high_time else happened.ask
    if isinstance(happened, QuoteBar):
        return (
            happened.bid_open, happened.bid_high, happened.bid_low, happened.bid_close,
            happened.ask_open, happened.ask_high, happened.ask_low, happened.ask_close,
        )  # fmt: skip
    return (last_price(happened),)
