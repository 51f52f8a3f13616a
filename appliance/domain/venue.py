"""What a venue can do, as data that the guard and the gateway consult, and how the connection to it stands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum, StrEnum

from msgspec import Struct, field

from appliance.domain.trading import OrderType, TimeInForce

SECOND = 1_000_000_000
ANY_TIME = tuple(TimeInForce)
EVERY_ORDER: dict[OrderType, tuple[TimeInForce, ...]] = dict.fromkeys(OrderType, ANY_TIME)


class Takes(Struct, frozen=True):
    """Which orders a venue takes of one kind of instrument: the times in force by order type; ``fractional``, of those,
    the ones that may be for a part of a share, ``smallest`` the part (shares); ``extended``, the ones that may work
    outside the regular session; ``shorts``: whether it lends shares."""

    orders: Mapping[OrderType, tuple[TimeInForce, ...]] = field(default_factory=lambda: EVERY_ORDER)
    fractional: Mapping[OrderType, tuple[TimeInForce, ...]] = field(default_factory=lambda: EVERY_ORDER)
    extended: Mapping[OrderType, tuple[TimeInForce, ...]] = field(default_factory=dict)
    smallest: Decimal = Decimal("1e-9")
    shorts: bool = True


EVERYTHING = Takes()


class VenueTraits(Struct, frozen=True):
    """What the gateway must know of a venue: does it refuse a second order with an id, is one "absent" final, does
    it take an entry in the other direction while an exit still works (Alpaca does not), does it know groups of
    which one order cancels the others (``oco``; without them only the stop of a bracket rests, the take-profit is left
    out and the stop's text says so), how far apart (ns) two "absent" must otherwise be, how often (ns) to look at
    everything, and how many looks in a row must find the same difference before it is believed (a snapshot of several
    answers is not of one instant). ``stocks`` and ``crypto`` (symbols with a /) are the orders it takes."""

    refuses_duplicates: bool = True
    absent_is_final: bool = True
    flips_at_once: bool = True
    oco: bool = True
    ask_every: int = 2 * SECOND
    look_every: int = 30 * SECOND
    looks_to_differ: int = 1
    stocks: Takes = EVERYTHING
    crypto: Takes | None = EVERYTHING

    def takes(self, symbol: str) -> Takes | None:
        """The orders it takes of ``symbol``; None for none at all."""
        return self.crypto if "/" in symbol else self.stocks


class LinkState(Enum):
    """How the connection to the venue stands. ``up``: it answers questions; ``trades``: it may be sent new risk."""

    DOWN = "down"
    CONNECTING = "connecting"
    AUTHENTICATING = "authenticating"
    SYNCING = "syncing"  # connected; the gateway compares
    READY = "ready"
    DEGRADED = "degraded"  # the venue answers and has lost its own way to the market
    WAITING_RESET = "waiting_reset"  # the venue restarts, as it does each day
    WAITING_2FA = "waiting_2fa"  # its owner must log in with his second factor
    REFUSED = "refused"  # wrong keys, account closed: its owner must act

    def __init__(self, text: str) -> None:
        self.up = text in ("syncing", "ready", "degraded")
        self.trades = text in ("syncing", "ready")

    __hash__ = object.__hash__


class Rejection(StrEnum):
    """Why a venue, or we on its behalf, did not take an order: the ``code`` of its report, whatever the venue is."""

    BUYING_POWER = "BUYING_POWER"
    QUANTITY_HELD = "QUANTITY_HELD"  # the shares are not there, or held for other orders
    WASH_TRADE = "WASH_TRADE"
    NOT_SHORTABLE = "NOT_SHORTABLE"
    SYMBOL_HALTED_THERE = "SYMBOL_HALTED_THERE"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    MARKET_CLOSED = "MARKET_CLOSED"
    QUANTITY = "QUANTITY"  # below the lot, above the most, a part of a share where there are none
    PRICE = "PRICE"  # off the tick, too far away, on the wrong side
    UNSUPPORTED = "UNSUPPORTED"  # order type or time in force
    DUPLICATE_ID = "DUPLICATE_ID"
    NOT_ALLOWED = "NOT_ALLOWED"  # the account may not: blocked, restricted, read-only
    TOO_MANY_ORDERS = "TOO_MANY_ORDERS"
    RATE_LIMITED = "RATE_LIMITED"  # it waited for its turn past its validity, and was never sent
    NOT_SENT = "NOT_SENT"  # the connection was gone before it was its turn
    OTHER = "OTHER"
