"""The guard's own watch over protective stops: the one resting at the broker is the first net, this is the second.

Take-profits are left to the broker. A stop that trails follows the prices a resting one would follow; where quotes have
taken it since the last bar is not written down, so that after a restart it may stand further off, never nearer.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.activities import Prices, adjusted
from appliance.core.base import Core
from appliance.core.market.matching import UNSET, begun, path, trailed
from appliance.domain.market import CorporateAction, MarketEvent, Quote, QuoteBar, Trade, last_price
from appliance.domain.trading import ZERO, Intent, Side, Trail


class Stop(Struct, frozen=True):
    """A protective stop of one strategy's position: price (USD; None before a trailing one has seen any), since when
    (ns UTC) it is active, and how it trails."""

    strategy: str
    symbol: str
    price: Decimal | None
    active: int
    trail: Trail | None = None


class SecondNet:
    """The stops the guard watches, by ``strategy/symbol``."""

    def __init__(self, core: Core) -> None:
        self._rows = core.table("stop", Stop)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def spread(self, entry: Intent, active: int) -> None:
        """Watch the stop an entry wished for; the newest counts for the whole position."""
        if entry.stop is not None or entry.trailing is not None:
            stop = Stop(entry.strategy, entry.symbol, entry.stop, active, entry.trailing)
            self._rows[f"{entry.strategy}/{entry.symbol}"] = stop

    def fold(self, key: str) -> None:
        """Watch no longer."""
        self._rows.drop(key)

    def adjust(self, action: CorporateAction, holdings: Mapping[str, Decimal]) -> None:
        """A corporate action moves the stops of its symbol, as those that rest are moved."""
        for key, stop in list(self._rows.items()):
            if stop.symbol == action.symbol:
                prices = adjusted(action, leaves(holdings.get(key, ZERO)), Prices(None, stop.price, stop.trail))
                self._rows[key] = replace(stop, price=prices.stop, trail=prices.trail)

    def rename(self, symbol: str, becomes: str) -> None:
        """A symbol is called otherwise."""
        for key, stop in list(self._rows.items()):
            if stop.symbol == symbol:
                del self._rows[key]
                self._rows[f"{stop.strategy}/{becomes}"] = replace(stop, symbol=becomes)

    def watched(self, holdings: Mapping[str, Decimal]) -> Iterator[tuple[Stop, Decimal]]:
        """The stops with something behind them, and the shares held."""
        for key, stop in self._rows.items():
            if holding := holdings.get(key, ZERO):
                yield stop, holding

    def crossed(
        self, happened: MarketEvent, holdings: Mapping[str, Decimal], leaving: Container[str]
    ) -> Iterator[tuple[Stop, Decimal]]:
        """The stops an event's prices reached, with the shares held; those of positions ``leaving`` rest."""
        for key, stop in list(self._rows.items()):
            holding = holdings.get(key, ZERO)
            if stop.symbol != happened.symbol or not holding or key in leaving:
                continue
            stands = stop if stop.trail is None else _begun(stop, stop.trail, holding, happened)
            if stands.price is None:
                continue
            if _crossed(stands.price, stop.active, holding, happened):
                yield stands, holding
            elif stop.trail is not None:
                self._follow(key, stands, stop.trail, holding, happened)

    def _follow(self, key: str, stop: Stop, trail: Trail, holding: Decimal, happened: MarketEvent) -> None:
        side = leaves(holding)
        way = path(happened, side, stop.active)
        if way is None:
            return
        price = Decimal(repr(trailed(side, float(stop.price or UNSET), trail, way)))
        if isinstance(happened, Quote):
            dict.__setitem__(self._rows, key, replace(stop, price=price))  # five times a second would wear the card
        elif self._rows[key].price != price:
            self._rows[key] = replace(stop, price=price)


def _begun(stop: Stop, trail: Trail, holding: Decimal, happened: MarketEvent) -> Stop:
    side = leaves(holding)
    way = path(happened, side, stop.active)
    if way is None:
        return stop
    return replace(stop, price=Decimal(repr(begun(side, float(stop.price or UNSET), trail, way))))


def leaves(holding: Decimal) -> Side:
    """The side on which a position (shares, not 0) is left."""
    return Side.SELL if holding > 0 else Side.BUY


def _crossed(stop: Decimal, active: int, holding: Decimal, happened: MarketEvent) -> bool:
    """Whether an event's prices reached a stop; extremes from before it was active do not count."""
    price = float(stop)
    low, high = _extremes(happened, active)
    return low <= price if holding > 0 else high >= price


def _extremes(happened: MarketEvent, active: int) -> tuple[float, float]:
    if isinstance(happened, Quote):
        low = happened.low if happened.low_time and happened.low_time > active else happened.bid
        high = happened.high if happened.high_time and happened.high_time > active else happened.ask
        return low, high
    last = last_price(happened)
    if isinstance(happened, Trade) or happened.start < active:
        return last, last
    if isinstance(happened, QuoteBar):
        return happened.bid_low, happened.ask_high
    return happened.low, happened.high
