"""The gateway's books: orders by the life cycle, fills by key, positions as their sums, cash."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core
from appliance.domain.messages import VenueFill
from appliance.domain.orders import WORKING, ImpossibleTransition, OrderEvent, OrderStatus, is_terminal, next_status
from appliance.domain.trading import ZERO, Account, Fill, Order, Position


class Blocked(Struct, frozen=True):
    """A symbol that takes no new risk until the owner has looked: why, and since when (ns UTC)."""

    why: str
    since: int


class Ledger:
    """State rows of the gateway, and the only code that changes orders, fills and positions."""

    def __init__(self, core: Core) -> None:
        self.orders = core.table("order", Order)
        self.fills = core.table("fill", Fill)
        self.positions = core.table("position", Position)
        self.holdings = core.table("holding", Decimal)
        self.stops = core.table("stop", Decimal)
        self.account = core.table("account", Account)
        self.blocked = core.table("blocked", Blocked)

    # --- reading ---------------------------------------------------------------------------------------------------

    def position(self, symbol: str) -> Decimal:
        """Shares of ``symbol`` as the broker confirmed them."""
        held = self.positions.get(symbol)
        return held.quantity if held is not None else ZERO

    def holding(self, strategy: str, symbol: str) -> Decimal:
        """Shares of ``symbol`` that one strategy's fills add up to."""
        return self.holdings.get(f"{strategy}/{symbol}", ZERO)

    def live(self) -> list[Order]:
        """Orders of which something is still expected, oldest first."""
        return [order for order in self.orders.values() if not is_terminal(order.status)]

    def protective(self, strategy: str, symbol: str) -> list[Order]:
        """Live protective stops of one strategy's position."""
        return [
            order
            for order in self.live()
            if order.protects and order.intent.strategy == strategy and order.symbol == symbol
        ]

    def working_exits(self, symbol: str, sign: int) -> Decimal:
        """Shares that other working or UNKNOWN exits of ``symbol`` on one side (+1 buy, -1 sell) may still trade."""
        exits = [
            order.remaining
            for order in self.live()
            if order.symbol == symbol and order.side.sign == sign and not order.protects
        ]
        return sum(exits, ZERO)

    def unknown_on(self, symbol: str) -> bool:
        """Whether an order of ``symbol`` is in doubt."""
        return any(o.symbol == symbol and o.status is OrderStatus.UNKNOWN for o in self.orders.values())

    # --- changing --------------------------------------------------------------------------------------------------

    def open(self, order: Order, event: OrderEvent, **changes: object) -> Order:
        """Enter a new order by its first event. Raises ImpossibleTransition."""
        entered = replace(order, status=next_status(None, event), **changes)
        self.orders[order.id] = entered
        return entered

    def move(self, order: Order, event: OrderEvent, **changes: object) -> Order:
        """Move an order along the life cycle. Raises ImpossibleTransition."""
        moved = replace(order, status=next_status(order.status, event), **changes)
        self.orders[order.id] = moved
        return moved

    def book(self, told: VenueFill, order: Order) -> tuple[Fill, Order, str]:
        """Book a fill we have not seen: the fill, the order after it, and what was impossible about it (or "").

        A fill is always booked: money has moved, whatever the life cycle thinks of it.
        """
        fill = Fill(
            told.fill_key, told.order_id, order.intent.strategy, told.symbol, told.side, told.quantity, told.price,
            told.commission, told.time,
        )  # fmt: skip
        self.fills[fill.fill_key] = fill
        self.positions[fill.symbol] = self.positions.get(fill.symbol, Position(fill.symbol)).after(fill)
        key = f"{fill.strategy}/{fill.symbol}"
        self.holdings[key] = self.holdings.get(key, ZERO) + fill.signed
        account = self.account.get("", Account(ZERO))
        cash = account.cash - fill.signed * fill.price - fill.commission
        self.account[""] = replace(account, cash=cash, time=fill.time)
        moved, wrong = self._filled(order, fill)
        return fill, moved, wrong

    def _filled(self, order: Order, fill: Fill) -> tuple[Order, str]:
        filled = order.filled + fill.quantity
        average = (order.average_price * order.filled + fill.price * fill.quantity) / filled
        event = OrderEvent.FILL if filled >= order.quantity else OrderEvent.PARTIAL_FILL
        wrong = f"filled {filled} of {order.quantity}" if filled > order.quantity else ""
        try:
            moved = self.move(order, event, filled=filled, average_price=average)
            if order.status is OrderStatus.NOT_PLACED:
                wrong = "filled after the venue said it never had it"
        except ImpossibleTransition as error:
            moved = replace(order, filled=filled, average_price=average)
            self.orders[order.id] = moved
            wrong = str(error)
        return moved, wrong

    def block(self, symbol: str, why: str, time: int) -> bool:
        """Take no new risk on a symbol; False when it is blocked already."""
        if symbol in self.blocked:
            return False
        self.blocked[symbol] = Blocked(why, time)
        return True

    def forget(self, keep: int) -> None:
        """Drop the oldest terminal orders and their fills beyond ``keep``; positions are sums and stay."""
        ended = [order.id for order in self.orders.values() if order.status not in WORKING and is_terminal(order.status)]
        for order_id in ended[: max(0, len(ended) - keep)]:
            del self.orders[order_id]
