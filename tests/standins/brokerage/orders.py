"""What a brokerage's books are made of: assets, orders, executions, holdings, activities. All are immutable."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct, field

ZERO = Decimal(0)
OPEN = ("accepted", "new", "held", "partially_filled")
"""Statuses of orders that may still fill: ``accepted`` waits for the session, ``held`` for its parent."""
Number = Decimal | int | str


class Refusal(Exception):
    """An order, change or cancel is not taken. ``code``: ``unknown_symbol``, ``quantity``, ``not_fractionable``,
    ``tick``, ``price``, ``closed``, ``halted``, ``not_shortable``, ``held``, ``opposite``, ``wash_trade``,
    ``buying_power``, ``duplicate_id``, ``not_found``, ``not_open``, or what a test said; ``facts`` are its figures."""

    def __init__(self, code: str, text: str, **facts: Any) -> None:
        super().__init__(text)
        self.code, self.text, self.facts = code, text, facts


class Asset(Struct, frozen=True):
    """What is traded. ``tick`` 0: by price, a cent from one dollar on and a hundredth of it below."""

    symbol: str
    number: int
    tick: Decimal = ZERO
    lot: Decimal = Decimal("1e-9")
    fractional: bool = True
    shortable: bool = True
    tradable: bool = True
    halted: bool = False
    hard_to_borrow: bool = False


class Placed(Struct, frozen=True):
    """An order that was taken, as it stands; times ns UTC, prices USD. ``parent``: the id of the order whose fill it
    waits for; of a ``group`` one fill ends the others, or makes them less (``group_reduces``); ``extreme``: the best
    price a trailing stop has seen; ``facts``: what a stand-in wants to remember with it."""

    id: str
    number: int
    client_id: str
    symbol: str
    side: str
    quantity: Decimal
    type: str = "market"
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: str = "day"
    extended: bool = False
    status: str = "new"
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    created: int = 0
    updated: int = 0
    filled_at: int = 0
    ended: int = 0
    parent: str = ""
    group: str = ""
    group_reduces: bool = False
    replaces: str = ""
    replaced_by: str = ""
    extreme: Decimal | None = None
    triggered: bool = False
    text: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        """Whether it may still fill."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        """Shares not filled."""
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        """+1 for a purchase, -1 for a sale."""
        return 1 if self.side == "buy" else -1

    @property
    def content(self) -> dict[str, Any]:
        """What was asked for."""
        names = (
            "symbol", "side", "quantity", "type", "limit_price", "stop_price", "trail", "trail_percent",
            "time_in_force", "extended", "parent", "group", "replaces",
        )  # fmt: skip
        return {name: getattr(self, name) for name in names}


class Execution(Struct, frozen=True):
    """A trade of an order. ``number`` counts them from 1, a correction keeps it and raises ``revision``;
    ``cumulative`` and ``leaves`` are the order's shares after it; ``busted``: it was undone."""

    number: int
    order_id: str
    client_id: str
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    time: int
    cumulative: Decimal
    leaves: Decimal
    commission: Decimal = ZERO
    revision: int = 1
    busted: bool = False
    holding: Decimal = ZERO
    """Shares of the symbol after it (signed)."""

    @property
    def signed(self) -> Decimal:
        """Shares added to the position."""
        return ZERO if self.busted else self.quantity if self.side == "buy" else -self.quantity

    @property
    def paid(self) -> Decimal:
        """USD it cost, commission included."""
        return ZERO if self.busted else self.signed * self.price + self.commission


class Holding(Struct, frozen=True):
    """Shares held (signed) at an average price (USD)."""

    symbol: str
    quantity: Decimal = ZERO
    average_price: Decimal = ZERO

    def after(self, signed: Decimal, price: Decimal) -> Holding:
        """With so many more; the average follows what opens or adds."""
        quantity = self.quantity + signed
        if not quantity:
            return Holding(self.symbol)
        if self.quantity * signed >= 0:
            cost = abs(self.quantity) * self.average_price + abs(signed) * price
            return Holding(self.symbol, quantity, cost / abs(quantity))
        turned = self.quantity * quantity < 0
        return Holding(self.symbol, quantity, price if turned else self.average_price)


class Activity(Struct, frozen=True):
    """What changed the account without an order. ``kind``: ``split``, ``dividend``, ``fee``, ``interest``,
    ``transfer``, ``symbol_change``, ``delisting``; ``quantity`` and ``cash`` are changes, ``held`` the shares after
    it."""

    number: int
    kind: str
    time: int
    symbol: str = ""
    quantity: Decimal = ZERO
    cash: Decimal = ZERO
    held: Decimal = ZERO
    amount: Decimal = ZERO
    new: int = 1
    old: int = 1
    becomes: str = ""
    text: str = ""


class Told(Struct, frozen=True):
    """What listeners hear. ``what``: an order's ``accepted`` (it waits for the session), ``new``, ``held``,
    ``partial_fill``, ``fill``, ``canceled``, ``expired``, ``rejected``, ``replaced``, ``modified``,
    ``order_replace_rejected``, or a state that was noted; an execution's ``correct`` or ``bust``; ``activity``.
    ``order`` is as it stands after it."""

    what: str
    order: Placed | None = None
    execution: Execution | None = None
    activity: Activity | None = None
