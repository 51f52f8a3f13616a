"""At what price one order meets one market event. Pessimistic where the event leaves a choice.

A gapped stop fills at the open. A trailing stop is tested before it moves, as if the worst price of a bar came first.
What there is to choose is in ``core/models/fills.py``. Prices are USD floats here and Decimals outside.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf

from msgspec import Struct

from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, last_price
from appliance.domain.trading import OrderType, Side, Trail

UNSET = 0.0
"""The stop price of a trailing stop that has not seen a price yet."""


class Path(Struct, frozen=True, gc=False):
    """What one side of the market did in an event: ``open`` at ``start``, extremes between, ``close`` at ``end``."""

    start: int
    end: int
    open: float
    high: float
    low: float
    close: float


def path(event: MarketEvent, side: Side, known: int, whole_bars: bool = False) -> Path | None:
    """The prices ``side`` could trade at in ``event``, for an order known since ``known`` (ns UTC); None: too early.

    Of a bar that had begun by then only the close, unless ``whole_bars``.
    """
    if isinstance(event, Bar):
        whole = Path(event.start, event.end, event.open, event.high, event.low, event.close)
    elif isinstance(event, QuoteBar):
        whole = _ask(event) if side is Side.BUY else _bid(event)
    elif isinstance(event, Quote):
        price = event.ask if side is Side.BUY else event.bid
        whole = Path(event.time, event.time, price, price, price, price)
    else:
        whole = Path(event.time, event.time, event.price, event.price, event.price, event.price)
    if whole.end <= known:
        return None
    if whole.start >= known:
        return whole
    if whole_bars:
        return Path(known, whole.end, whole.open, whole.high, whole.low, whole.close)
    return Path(whole.end, whole.end, whole.close, whole.close, whole.close, whole.close)


def sound(path: Path) -> bool:
    """Whether all its prices are some: nothing is met at NaN, at 0 or below, or at infinity."""
    return 0.0 < path.low <= path.high < inf and 0.0 < path.open < inf and 0.0 < path.close < inf


def standing(event: MarketEvent, side: Side) -> float:
    """The price (USD) that ``side`` can trade at once ``event`` is over: the ask or the bid it closed with, or the last
    trade."""
    if isinstance(event, QuoteBar):
        return event.ask_close if side is Side.BUY else event.bid_close
    if isinstance(event, Quote):
        return event.ask if side is Side.BUY else event.bid
    return last_price(event)


def begins(event: MarketEvent) -> int:
    """Since when (ns UTC) an event tells prices: a bar that ends with the session is still a part of it."""
    return event.start if isinstance(event, Bar | QuoteBar) else event.time


def _ask(bar: QuoteBar) -> Path:
    return Path(bar.start, bar.end, bar.ask_open, bar.ask_high, bar.ask_low, bar.ask_close)


def _bid(bar: QuoteBar) -> Path:
    return Path(bar.start, bar.end, bar.bid_open, bar.bid_high, bar.bid_low, bar.bid_close)


def meet(
    kind: OrderType, side: Side, limit: float, stop: float, path: Path, touch: bool = False
) -> tuple[float, int] | None:
    """(price, time) at which an order fills on ``path``, or None. A STOP_LIMIT whose stop has been hit is a LIMIT,
    which must be traded through unless a ``touch`` is enough."""
    if kind is OrderType.MARKET:
        return path.open, path.start
    if kind is OrderType.LIMIT:
        return _meet_touched(side.opposite, limit, path) if touch else _meet_limit(side, limit, path)
    if kind in (OrderType.STOP, OrderType.TRAILING_STOP):
        return _meet_touched(side, stop, path)
    return None


def meet_late(side: Side, stop: float, path: Path) -> tuple[float, int] | None:
    """(price, time) at which a stop that was hit on ``path`` fills at the end of it: the worse of stop and close."""
    if not triggered(side, stop, path):
        return None
    return (max(stop, path.close) if side is Side.BUY else min(stop, path.close)), path.end


def closed_within(side: Side, limit: float, path: Path) -> float | None:
    """The price (USD) of a limit order that fills where ``path`` closed strictly better than the limit, or None."""
    if side is Side.BUY:
        return min(path.high, limit) if path.close < limit else None
    return max(path.low, limit) if path.close > limit else None


def begun(side: Side, stop: float, trail: Trail, path: Path) -> float:
    """The stop price (USD) that is tested on ``path``: ``stop`` as it stands, at least where it begins at the open."""
    return behind(side, stop, trail, path.open)


def trailed(side: Side, stop: float, trail: Trail, path: Path) -> float:
    """The stop price after ``path`` has not met it: behind the best price of it, and never looser than ``stop``."""
    return behind(side, stop, trail, path.low if side is Side.BUY else path.high)


def behind(side: Side, stop: float, trail: Trail, price: float) -> float:
    """The stop price (USD) behind ``price``, unless ``stop`` is tighter by now, or ``price`` is none."""
    if not 0.0 < price < inf:
        return stop
    exact = Decimal(repr(price))  # so that 100.1 less 0.3 is 99.8
    distance = exact * trail.distance / 100 if trail.percent else trail.distance
    new = float(exact + distance if side is Side.BUY else exact - distance)
    if stop == UNSET:
        return new
    return min(stop, new) if side is Side.BUY else max(stop, new)


def triggered(side: Side, stop: float, path: Path) -> bool:
    """Whether a stop price was touched."""
    return path.high >= stop if side is Side.BUY else path.low <= stop


def _meet_limit(side: Side, limit: float, path: Path) -> tuple[float, int] | None:
    if side is Side.BUY:
        if path.open < limit:
            return path.open, path.start
        return (limit, path.end) if path.low < limit else None
    if path.open > limit:
        return path.open, path.start
    return (limit, path.end) if path.high > limit else None


def _meet_touched(side: Side, stop: float, path: Path) -> tuple[float, int] | None:
    """Of a stop; a limit that need only be touched is met where a stop of the other side would be."""
    if side is Side.BUY:
        if path.open >= stop:
            return path.open, path.start
        return (stop, path.end) if path.high >= stop else None
    if path.open <= stop:
        return path.open, path.start
    return (stop, path.end) if path.low <= stop else None
