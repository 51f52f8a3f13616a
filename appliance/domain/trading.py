"""What we want, ask for, and have: signals, intents, orders, fills, positions, the account.

Decimals: money is counted. Quantities are shares, prices and money USD, times ns UTC. None of them can be part of a
cycle, so the garbage collector need not look at them.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from msgspec import Struct

from appliance.domain.market import Dividend, Split
from appliance.domain.orders import OrderStatus

ZERO = Decimal(0)
ID_LENGTH_MAX = 48
"""Longest order id, in characters: what every venue takes as its client order id."""


class Side(Enum):
    """Buy or sell; a short sale is a sale. ``sign`` is +1 or -1."""

    BUY = "buy"
    SELL = "sell"

    def __init__(self, text: str) -> None:
        self.sign = 1 if text == "buy" else -1

    __hash__ = object.__hash__  # Enum's own is slow, and there is only one of each

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Enum):
    """How an order meets the market."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"

    __hash__ = object.__hash__


class TimeInForce(Enum):
    """How long an order works: the session, until cancelled, at once or not at all, wholly or not at all; in the next
    session's opening only, or at the close of the session."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    OPG = "opg"
    CLS = "cls"


AUCTIONS = (TimeInForce.OPG, TimeInForce.CLS)
"""Orders that meet one price of a session; market and limit orders only."""


class Trail(Struct, frozen=True, gc=False):
    """How far a trailing stop stays behind the best price since it was placed: USD, or percent of that price."""

    distance: Decimal
    percent: bool = False


class Terms(Struct, frozen=True, gc=False):
    """How an order meets the market; prices USD. ``trail`` belongs to a trailing stop."""

    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Trail | None = None
    time_in_force: TimeInForce = TimeInForce.DAY


AT_MARKET = Terms()
"""A market order for the session: what a target becomes when nothing else is said."""


class Moment(Struct, frozen=True, gc=False):
    """When something was decided: market ``time``, and ``ticks`` (CLOCK_BOOTTIME, ns) of one ``boot``."""

    time: int
    boot: str
    ticks: int


class Signal(Struct, frozen=True, gc=False):
    """A strategy's wish: a target (``side`` is None: hold ``quantity`` shares, signed), or an order of its own.

    ``stop`` and ``take_profit`` (USD) and ``trailing`` protect what an entry buys. ``ticket`` is the strategy's own
    name for an order. ``counter`` numbers the strategy's signals; ``cause`` is the position of the deciding event;
    ``step`` is the number of the lockstep step it was wished in (0: live): who follows it hears of it in a later one.
    """

    strategy: str
    symbol: str
    quantity: Decimal
    reason: str
    counter: int
    stop: Decimal | None = None
    cause: str = ""
    take_profit: Decimal | None = None
    trailing: Trail | None = None
    side: Side | None = None
    terms: Terms = AT_MARKET
    ticket: str = ""
    step: int = 0


class Intent(Struct, frozen=True, gc=False):
    """An order a host asks for. ``id`` is its position on the host's stream and the broker's client order id.

    ``decided`` and ``valid`` (ns) bound how long it may be acted on; ``cause`` is the position of the deciding
    event; ``trail`` belongs to a TRAILING_STOP. ``stop`` asks for a protective stop at that price (USD) behind an
    entry, ``trailing`` for one that trails, ``take_profit`` for a limit order beside it, of which only one fills;
    ``replaces`` names the protective orders an exit takes the place of; ``staged`` marks one that waits for its
    lockstep round; ``ticket`` is the strategy's own name for it.
    """

    id: str
    strategy: str
    counter: int
    symbol: str
    side: Side
    quantity: Decimal
    decided: Moment
    valid: int
    cause: str
    reason: str = ""
    type: OrderType = OrderType.MARKET
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    stop: Decimal | None = None
    replaces: tuple[str, ...] = ()
    exit: bool = False
    staged: bool = False
    trail: Trail | None = None
    take_profit: Decimal | None = None
    trailing: Trail | None = None
    ticket: str = ""


class Cancel(Struct, frozen=True, gc=False):
    """A host asks that an order of one of its strategies be cancelled; the guard always lets it pass.

    ``counter`` is the strategy's last signal before it, and orders it in its lockstep round.
    """

    id: str
    strategy: str
    counter: int
    symbol: str
    order_id: str
    decided: Moment
    valid: int
    cause: str
    reason: str = ""
    staged: bool = False


class Approved(Struct, frozen=True, gc=False):
    """The guard lets an intent pass; its word holds for ``valid`` ns from ``at``."""

    intent: Intent
    at: Moment
    valid: int
    reduces: bool = False


class Denied(Struct, frozen=True, gc=False):
    """The guard's no: ``code`` is the rule's, ``text`` says value and limit."""

    intent: Intent
    code: str
    text: str


class Order(Struct, frozen=True, gc=False):
    """An order as the gateway knows it. Intent and approval are inside, so that anyone can adopt it.

    ``quantity`` is what is asked of the venue (an exit may ask for less than its intent), ``filled`` what came
    back, ``average_price`` USD. ``protects`` names the entry a resting protective order belongs to; those of one
    ``oco`` group reduce each other: what one fills, the others lose. ``attempt`` counts sends under the same id.
    """

    id: str
    intent: Intent
    approval: Approved | None
    status: OrderStatus
    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    protects: str = ""
    venue_id: str = ""
    code: str = ""
    text: str = ""
    attempt: int = 0
    trail: Trail | None = None
    oco: str = ""

    @property
    def remaining(self) -> Decimal:
        """Shares not filled yet."""
        return self.quantity - self.filled


def ordered(intent: Intent, status: OrderStatus, approval: Approved | None = None) -> Order:
    """The order an intent asks for, as it stands."""
    return Order(
        id=intent.id, intent=intent, approval=approval, status=status, symbol=intent.symbol, side=intent.side,
        quantity=intent.quantity, type=intent.type, limit_price=intent.limit_price, stop_price=intent.stop_price,
        time_in_force=intent.time_in_force, trail=intent.trail,
    )  # fmt: skip


class Fill(Struct, frozen=True, gc=False):
    """One execution, identified by the venue's ``fill_key`` wherever it is told from."""

    fill_key: str
    order_id: str
    strategy: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    time: int

    @property
    def signed(self) -> Decimal:
        """Shares added to the position (negative for a sale)."""
        return self.quantity if self.side.sign > 0 else -self.quantity


class Position(Struct, frozen=True, gc=False):
    """Shares held of one symbol (signed) and their average price in USD."""

    symbol: str
    quantity: Decimal = ZERO
    average_price: Decimal = ZERO

    def after(self, fill: Fill) -> Position:
        """The position once ``fill`` is booked; average price follows increases only (average cost)."""
        change = fill.signed
        quantity = self.quantity + change
        if not quantity:
            return Position(self.symbol)
        if self.quantity * change >= 0:
            cost = self.average_price * abs(self.quantity) + fill.price * fill.quantity
            return Position(self.symbol, quantity, cost / abs(quantity))
        flipped = (quantity > 0) != (self.quantity > 0)
        return Position(self.symbol, quantity, fill.price if flipped else self.average_price)


class Account(Struct, frozen=True, gc=False):
    """Cash, equity, buying power and currency as the venue tells them, USD; None where it does not."""

    cash: Decimal
    time: int = 0
    currency: str = "USD"
    equity: Decimal | None = None
    buying_power: Decimal | None = None


class AccountKind(Enum):
    """What an account lends. ``SECURED``: no money; a short sale needs its whole value in cash. ``CASH``: neither money
    nor shares. ``MARGIN``: both, within Regulation T (see ``core/limits/margin.py``)."""

    SECURED = "secured"
    CASH = "cash"
    MARGIN = "margin"


class ActivityKind(Enum):
    """What changes an account without an order. A margin call changes nothing yet: it says that positions must go. A
    transfer brings or takes money or shares; a symbol change calls a position by another name; a delisting ends it."""

    SPLIT = "split"
    DIVIDEND = "dividend"
    BORROW = "borrow"
    INTEREST = "interest"
    MARGIN_CALL = "margin_call"
    FEE = "fee"
    TRANSFER = "transfer"
    SYMBOL_CHANGE = "symbol_change"
    DELISTING = "delisting"
    OTHER = "other"


class Part(Struct, frozen=True, gc=False):
    """What an activity is for one strategy ("": nobody's): shares held after it (signed), and its change of cash."""

    strategy: str
    quantity: Decimal
    cash: Decimal


class Activity(Struct, frozen=True, gc=False):
    """What happened to an account without an order, known by its ``key`` wherever it is told from.

    ``cash`` is the change of the account's cash, ``position`` the shares of ``symbol`` after it (both 0 where the whole
    account is meant: ``symbol`` ""). ``amount`` is USD a share (dividend), ``price`` the last one before a split of
    ``new`` for ``old``. ``parts`` is how the gateway divided it among the strategies; they add up to the whole.
    ``becomes`` is the symbol after a symbol change; ``text`` is the venue's own word for it.
    """

    key: str
    kind: ActivityKind
    symbol: str
    time: int
    cash: Decimal = ZERO
    position: Decimal = ZERO
    new: int = 1
    old: int = 1
    amount: Decimal = ZERO
    price: Decimal = ZERO
    parts: tuple[Part, ...] = ()
    becomes: str = ""
    text: str = ""

    @property
    def action(self) -> Split | Dividend | None:
        """The corporate action it comes from; None for all else."""
        if self.kind is ActivityKind.SPLIT:
            return Split(self.symbol, self.time, self.new, self.old, self.price)
        return Dividend(self.symbol, self.time, self.amount) if self.kind is ActivityKind.DIVIDEND else None
