"""What becomes of one order in one market event, by the rules of a model: met at a price, over, changed, or nothing."""

from __future__ import annotations

from math import inf

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.market import matching
from appliance.core.market.matching import UNSET, Path, begins, path
from appliance.core.market.resting import NOTHING, Heard, Resting
from appliance.core.models import MarketModel
from appliance.core.models.fills import Feed, Fills
from appliance.core.models.impact import NoImpact
from appliance.core.models.slippage import Conditions, NoSlippage, Spread, Volatility, VolumeShare
from appliance.domain.market import Bar, MarketEvent, Quote, QuoteBar, Sessions, known_at, last_price
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import AUCTIONS, Order, OrderType, Side, TimeInForce

MARKET, LIMIT = OrderType.MARKET, OrderType.LIMIT
AT_ONCE = (TimeInForce.IOC, TimeInForce.FOK)
DIGITS = 6
"""Decimal places of a price with slippage."""


class Met(Struct, frozen=True, gc=False):
    """The order is met at ``price`` (USD, before slippage), at ``time`` (ns UTC)."""

    price: float
    time: int


ENDS = dict.fromkeys(AT_ONCE, OrderEvent.CANCEL) | dict.fromkeys(AUCTIONS, OrderEvent.EXPIRE)
"""Orders that are met only once, and how what is left of one ends."""
Outcome = Met | OrderEvent | Resting | None
"""An OrderEvent: the order ends by it."""
EXPIRE = OrderEvent.EXPIRE


class Crossing:
    """The rules of one model. ``sessions`` None: a market that never closes."""

    def __init__(self, model: MarketModel, sessions: Sessions | None) -> None:
        self._fills = model.fills
        self._slippage = model.slippage
        self._impact = model.impact
        self._sessions = sessions
        self._touch = model.fills.limit == "touch"
        self._whole = model.fills.bars == "ended"
        self._late = model.fills.trailing == "close"
        self._feeds = _feeds(model.fills)
        self._chooses = set(self._feeds.values()) != {"first"}
        self.slips = not (isinstance(model.slippage, NoSlippage) and isinstance(model.impact, NoImpact))
        """Whether a price can be another than the one that was met."""
        asks = isinstance(model.slippage, Spread | VolumeShare | Volatility) or not isinstance(model.impact, NoImpact)
        self.looks_back = asks or model.fills.looks_back
        """Whether it needs to know what the market did before there was an order."""

    # --- an order comes -------------------------------------------------------------------------------------------

    def start(self, order: Order, heard: Heard) -> float:
        """Where a trailing stop stands that begins behind the last trade (USD); the others wait for their first bar."""
        last = heard.by("trades") if self._late else None
        if last is None or order.trail is None:
            return UNSET
        return matching.behind(order.side, UNSET, order.trail, last_price(last))

    def at_once(self, order: Resting, heard: Heard, now: int) -> tuple[Met, MarketEvent] | None:
        """What a market order that fills at once is met at, and the event it is known by: where the market stands, if
        that is of the session the order came in, and the order is not on its way still."""
        if order.type is not MARKET or self._fills.market != "at_once" or order.time_in_force in AUCTIONS:
            return None
        if order.known > now:
            return None
        last = heard.by(self._fills.market_on)
        if last is None or not self._is_open(order.known, last):
            return None
        price = matching.standing(last, order.side)
        return (Met(price, max(order.known, known_at(last))), last) if 0.0 < price < inf else None

    def _is_open(self, time: int, last: MarketEvent) -> bool:
        if self._sessions is None:
            return True
        session = self._sessions.at(time)
        return session is not None and (known_at(last) > session.open or begins(last) >= session.open)

    # --- an event happens -----------------------------------------------------------------------------------------

    def of(self, order: Resting, happened: MarketEvent, heard: Heard) -> Outcome:
        """What becomes of ``order``. ``heard`` is what the market did last, ``happened`` included."""
        if self._chooses and not self._is_met_by(order, happened, heard):
            return None
        if order.time_in_force is TimeInForce.CLS:
            return self._at_close(order, happened)
        force = order.time_in_force
        whole = self._whole and order.type is not MARKET and force not in _ONCE
        way = path(happened, order.side, order.known, whole or force is TimeInForce.OPG)
        if way is None or not matching.sound(way):
            return None
        if order.expires and begins(happened) >= order.expires:
            return EXPIRE
        if force in _ONCE:
            way = Path(way.start, way.start, way.open, way.open, way.open, way.open)
        if order.type is OrderType.STOP_LIMIT and (
            order.stop == UNSET or matching.triggered(order.side, order.stop, way)
        ):
            return self._hit(order, way)
        return self._on(order, way)

    def _hit(self, order: Resting, way: Path) -> Outcome:
        """A stop-limit whose stop has been hit, on this bar or before (its stop is unset then)."""
        if self._fills.stop_limit == "next":
            return replace(order, type=LIMIT, known=way.end)
        price = matching.closed_within(order.side, order.limit, way)
        if price is not None:
            return Met(price, way.end)
        return replace(order, stop=UNSET) if order.stop != UNSET else None

    def _on(self, order: Resting, way: Path) -> Outcome:
        if order.type is MARKET:
            return Met(way.open, way.start)
        stop = order.stop
        if order.trail is not None and not (self._late and stop != UNSET):
            stop = matching.begun(order.side, stop, order.trail, way)
        if order.trail is not None and self._late:
            met = matching.meet_late(order.side, stop, way)
        else:
            met = matching.meet(order.type, order.side, order.limit, stop, way, self._touch)
        if met is not None:
            return Met(met[0], met[1])
        if order.time_in_force in _ONCE:
            return ENDS[order.time_in_force]
        if order.trail is None:
            return None
        moved = matching.trailed(order.side, stop, order.trail, way)
        return replace(order, stop=moved) if moved != order.stop else None

    def _at_close(self, order: Resting, happened: MarketEvent) -> Outcome:
        """An order for the close waits until the session is over, and gets what the market stood at then."""
        end = known_at(happened)
        if begins(happened) >= order.expires:
            return self._closed(order, order.stop)
        if end <= order.known:
            return None
        stands = matching.standing(happened, order.side)
        stands = stands if 0.0 < stands < inf else order.stop
        return self._closed(order, stands) if end >= order.expires else replace(order, stop=stands)

    def _closed(self, order: Resting, price: float) -> Outcome:
        way = Path(order.expires, order.expires, price, price, price, price)
        met = matching.meet(order.type, order.side, order.limit, 0.0, way, self._touch) if price != UNSET else None
        return Met(met[0], met[1]) if met is not None else EXPIRE

    def _is_met_by(self, order: Resting, happened: MarketEvent, heard: Heard) -> bool:
        """Whether an event is of the feed that orders of this type are filled from."""
        feed = self._feeds[order.type]
        if feed == "first":
            return True
        if isinstance(happened, QuoteBar | Quote):
            return feed == "quotes" or heard.trade is None
        return feed == "trades" or heard.quote is None

    # --- what it costs --------------------------------------------------------------------------------------------

    def slipped(self, order: Resting, price: float, quantity: float, happened: MarketEvent, heard: Heard) -> float:
        """The price (USD) with slippage and impact: away from ``price`` to the worse side, and not beyond the limit,
        nor (unless the model says so) beyond the range of the bar."""
        if order.time_in_force is TimeInForce.CLS and begins(happened) >= order.expires:
            return price  # the bar it was met in is over
        market = _conditions(happened, heard)
        move = self._slippage.of(price, quantity, market) + self._impact.of(price, quantity, market)
        buys = order.side is Side.BUY
        worse = round(price + move if buys else max(price - move, 10.0**-DIGITS), DIGITS)
        bounds = [order.limit] if order.type is LIMIT else []
        if self._fills.bound == "range":
            bounds += _extreme(happened, order.side)
        for bound in bounds:
            worse = min(worse, bound) if buys else max(worse, bound)
        return max(worse, price) if buys else min(worse, price)


_ONCE = (TimeInForce.IOC, TimeInForce.FOK, TimeInForce.OPG)
"""Orders that the first price of one event decides."""


def _feeds(fills: Fills) -> dict[OrderType, Feed]:
    """Which events orders of each type meet; a market order that waits for the open does as a limit or a stop does."""
    feeds = dict.fromkeys(OrderType, fills.resting_on)
    feeds[OrderType.TRAILING_STOP] = fills.trailing_on
    if fills.market == "next_event":
        feeds[OrderType.MARKET] = fills.market_on
    return feeds


def _conditions(happened: MarketEvent, heard: Heard) -> Conditions:
    bar = happened if isinstance(happened, Bar) else heard.bar
    quote = happened if isinstance(happened, QuoteBar | Quote) else heard.quote
    spread = 0.0
    if quote is not None:
        wide = quote.ask - quote.bid if isinstance(quote, Quote) else quote.ask_close - quote.bid_close
        spread = _known(wide)
    if bar is None:
        return Conditions(spread)
    return Conditions(spread, _known(bar.high), _known(bar.low), _known(bar.volume), bar.end - bar.start)


def _known(number: float) -> float:
    """0 for what is none."""
    return number if 0.0 < number < inf else 0.0


def _extreme(happened: MarketEvent, side: Side) -> list[float]:
    """The worst price a bar had for ``side``; a single quote or trade has none."""
    if isinstance(happened, Bar):
        return [happened.high if side is Side.BUY else happened.low]
    if isinstance(happened, QuoteBar):
        return [happened.ask_high if side is Side.BUY else happened.bid_low]
    return []


def volume_of(happened: MarketEvent, side: Side, heard: Heard = NOTHING) -> float:
    """How many shares an event is known to have traded or offered: a bar's or a trade's own, a quote's size on the side
    that is taken, a quote bar's last bar, else its closing size."""
    if isinstance(happened, Bar):
        return _known(happened.volume)
    if isinstance(happened, Quote | QuoteBar):
        if isinstance(happened, QuoteBar) and heard.bar is not None:
            return _known(heard.bar.volume)
        return _known(happened.ask_size if side is Side.BUY else happened.bid_size)
    return _known(happened.size)
