"""What a simulated market remembers: orders that rest, how others ended, groups, and what each symbol did last."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.activities import Prices, adjusted, remaining_after
from appliance.core.market.matching import UNSET
from appliance.core.models.fills import Feed
from appliance.domain.market import Bar, CorporateAction, MarketEvent, Quote, QuoteBar, Trade, known_at
from appliance.domain.messages import VenueReplace
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO, OrderType, Side, TimeInForce, Trail

WHOLE = Decimal(1)
GRAIN = Decimal("1e-8")
"""In what steps an order that is not for whole shares is filled in part."""


class Resting(Struct, frozen=True):
    """An order that waits in the market. ``known`` is since when (ns UTC), ``expires`` when its session ends, for those
    that end with one (else 0).

    ``stop`` of a trailing stop is where it stands by now (USD), of an order for the close where the market stood last;
    0 before there was a price. ``worth`` is USD of what was filled of it. ``placed`` numbers those
    that rest in the order they came.
    """

    id: str
    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    filled: Decimal
    limit: float
    stop: float
    time_in_force: TimeInForce
    known: int
    expires: int
    trail: Trail | None = None
    oco: str = ""
    worth: Decimal = ZERO
    placed: int = 0

    @property
    def left(self) -> Decimal:
        """Shares that are not filled yet."""
        return self.quantity - self.filled

    @property
    def stands(self) -> Decimal | None:
        """Where a trailing stop stands (USD)."""
        return Decimal(repr(self.stop)) if self.trail is not None and self.stop != UNSET else None

    @property
    def grain(self) -> Decimal:
        """In what steps (shares) it is filled in part."""
        return WHOLE if self.left == self.left.to_integral_value() else GRAIN

    @property
    def comes_last(self) -> bool:
        """Whether it is the take-profit of a group: where one event could fill stop and take-profit, the stop is."""
        return bool(self.oco) and self.type is OrderType.LIMIT

    def changed(self, wanted: VenueReplace, most: Decimal | None, now: int) -> Resting | str:
        """What rests of it once it asks for something else, from ``now`` (ns UTC) on, and for ``most`` shares; or why
        that cannot be."""
        quantity = self.quantity if wanted.quantity is None else wanted.quantity
        if not (quantity.is_finite() and quantity > self.filled):
            return f"quantity {quantity} is not above the {self.filled} that are filled"
        for name, price, types in (
            ("limit", wanted.limit_price, (OrderType.LIMIT, OrderType.STOP_LIMIT)),
            ("stop", wanted.stop_price, (OrderType.STOP, OrderType.STOP_LIMIT)),
        ):
            if price is not None and not (price.is_finite() and price > 0 and self.type in types):
                return f"a {self.type.value} order takes no {name} price of {price}"
        return replace(
            self,
            quantity=quantity if most is None else min(quantity, most),
            limit=self.limit if wanted.limit_price is None else float(wanted.limit_price),
            stop=self.stop if wanted.stop_price is None else float(wanted.stop_price),
            known=max(self.known, now),
        )

    def after(self, action: CorporateAction) -> Resting:
        """What rests of it after a corporate action; what it has filled stays as it was."""
        limit = Decimal(repr(self.limit)) if self.limit else None
        stop = Decimal(repr(self.stop)) if self.stop != UNSET else None
        prices = adjusted(action, self.side, Prices(limit, stop, self.trail))
        return replace(
            self,
            quantity=self.filled + remaining_after(self.left, action),
            limit=float(prices.limit or 0),
            stop=UNSET if prices.stop is None else float(prices.stop),
            trail=prices.trail,
        )


class Ended(Struct, frozen=True):
    """How an order that no longer rests came to its end, and when (``at``, ns UTC); ``stop`` is where a trailing stop
    stood (USD), ``code`` the kind of a rejection."""

    event: OrderEvent
    text: str = ""
    filled: Decimal = ZERO
    stop: Decimal | None = None
    at: int = 0
    code: str = ""


class Group(Struct, frozen=True):
    """Orders of which one cancels the others: ``left`` shares may still be filled by all of them together."""

    left: Decimal


class Room(Struct, frozen=True):
    """How many shares may still be ``bought`` and ``sold`` of what was traded or offered until ``time`` (ns UTC);
    of a bar both are the same shares."""

    time: int
    bought: Decimal
    sold: Decimal

    def on(self, side: Side) -> Decimal:
        """What is left for one side."""
        return max(self.bought if side is Side.BUY else self.sold, ZERO)

    def less(self, quantity: Decimal) -> Room:
        """What is left once so many shares have been filled."""
        return Room(self.time, self.bought - quantity, self.sold - quantity)


class Heard(Struct, frozen=True):
    """What a symbol's market did last: in quotes, and in trades; and its last bar."""

    quote: QuoteBar | Quote | None = None
    trade: Bar | Trade | None = None
    bar: Bar | None = None

    def by(self, feed: Feed) -> MarketEvent | None:
        """The last event of a feed, or of the other one where there is none; a quote is as new as a trade beside it."""
        quote, trade = self.quote, self.trade
        if quote is None or trade is None:
            return quote or trade
        if feed == "first":
            return quote if known_at(quote) >= known_at(trade) else trade
        return quote if feed == "quotes" else trade

    def with_(self, happened: MarketEvent) -> Heard:
        """The same once an event has happened."""
        if isinstance(happened, QuoteBar | Quote):
            return Heard(happened, self.trade, self.bar)
        return Heard(self.quote, happened, happened if isinstance(happened, Bar) else self.bar)


NOTHING = Heard()
"""What a market has done that nobody has heard of."""
