"""The gateway's books: orders by the life cycle, fills by key, positions as their sums, cash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from appliance.core.base import Core
from appliance.domain.messages import VenueFill
from appliance.domain.orders import TRANSITIONS, ImpossibleTransition, OrderEvent, OrderStatus, next_status
from appliance.domain.trading import ZERO, Account, Fill, Intent, Order, OrderType, Position, Trail

LIMIT = OrderType.LIMIT
UNKNOWN, NOT_PLACED = OrderStatus.UNKNOWN, OrderStatus.NOT_PLACED
FILL, PARTIAL_FILL = OrderEvent.FILL, OrderEvent.PARTIAL_FILL
ENDED_KEPT = 1_000
"""Ended orders the gateway remembers at least, to answer who asks again and to know a late fill."""


class Blocked(Struct, frozen=True):
    """A symbol that takes no new risk until the owner has looked: why, and since when (ns UTC)."""

    why: str
    since: int


class Protection(Struct, frozen=True):
    """What shall rest behind a position: a stop and a take-profit (USD), and how the stop trails; None: not wished."""

    stop: Decimal | None = None
    take_profit: Decimal | None = None
    trailing: Trail | None = None

    @property
    def stops(self) -> bool:
        """Whether a stop of some kind is wished."""
        return self.stop is not None or self.trailing is not None

    @property
    def wished(self) -> bool:
        return self.stops or self.take_profit is not None


def fill_of(told: VenueFill, order_id: str, strategy: str) -> Fill:
    """What the venue tells as a fill of ``strategy``."""
    return Fill(
        told.fill_key, order_id, strategy, told.symbol, told.side, told.quantity, told.price, told.commission, told.time
    )


def never() -> int:
    """The time (ns UTC) before which nothing can be told, where nothing is told again."""
    return 1 << 62


def protection(intent: Intent) -> Protection:
    """What an intent wishes for what it buys or sells short."""
    return Protection(intent.stop, intent.take_profit, intent.trailing)


class Ledger:
    """State rows of the gateway, and the only code that changes orders, fills and positions."""

    def __init__(self, core: Core) -> None:
        self.orders = core.table("order", Order)
        self.fills = core.table("fill", Fill)
        self.positions = core.table("position", Position)
        self.holdings = core.table("holding", Decimal)
        self.protections = core.table("protection", Protection)
        self.account = core.table("account", Account)
        self.blocked = core.table("blocked", Blocked)
        self.told_from: Callable[[], int] = never
        """From when on (ns UTC) the venue may be asked for fills again: those are known by their keys."""
        self._live: dict[str, Order] | None = None
        self._by_position: dict[tuple[str, str], dict[str, Order]] = {}

    # --- reading --------------------------------------------------------------------------------------------------

    def position(self, symbol: str) -> Decimal:
        """Shares of ``symbol`` as the broker confirmed them."""
        held = self.positions.get(symbol)
        return held.quantity if held is not None else ZERO

    def holding(self, strategy: str, symbol: str) -> Decimal:
        """Shares of ``symbol`` that one strategy's fills add up to."""
        return self.holdings.get(f"{strategy}/{symbol}", ZERO)

    def live(self) -> list[Order]:
        """Orders of which something is still expected, oldest first."""
        if self._live is None:
            self._live = self._index()
        return list(self._live.values())

    def of(self, strategy: str, symbol: str) -> Sequence[Order]:
        """Live orders of one strategy in one symbol, oldest first."""
        if self._live is None:
            self._live = self._index()
        here = self._by_position.get((strategy, symbol))
        return tuple(here.values()) if here else ()

    def _index(self) -> dict[str, Order]:
        """The live orders by id and by position, found with the first question after a start; `_keep` keeps them."""
        live = [order for order in self.orders.values() if not order.status.terminal]
        for order in live:
            self._by_position.setdefault((order.intent.strategy, order.symbol), {})[order.id] = order
        return {order.id: order for order in live}

    def protective(self, strategy: str, symbol: str) -> list[Order]:
        """Live protective orders of one strategy's position: stops and take-profits."""
        return [order for order in self.of(strategy, symbol) if order.protects]

    def covered(self, strategy: str, symbol: str, stops: bool = False) -> Decimal:
        """Shares (signed) that the protective orders, or their ``stops`` alone, may trade at most: of a group only one
        does, so it counts once."""
        most: dict[str, Decimal] = {}
        for order in self.protective(strategy, symbol):
            if stops and order.type is LIMIT:
                continue
            group = order.oco or order.id
            most[group] = max(most.get(group, ZERO), order.remaining * order.side.sign, key=abs)
        return sum(most.values(), ZERO)

    def exits(self, strategy: str, symbol: str) -> list[Order]:
        """Live exits of one strategy's position, waiting ones included."""
        return [order for order in self.of(strategy, symbol) if order.intent.exit and not order.protects]

    def entries(self, strategy: str, symbol: str) -> list[Order]:
        """Live entries of one strategy in one symbol, waiting ones included."""
        return [order for order in self.of(strategy, symbol) if not order.intent.exit and not order.protects]

    def group(self, order: Order) -> list[Order]:
        """The live others of an order's group."""
        if not order.oco:
            return []
        return [other for other in self.live() if other.oco == order.oco and other.id != order.id]

    def working_exits(self, symbol: str, sign: int) -> Decimal:
        """Shares that other working or UNKNOWN exits of ``symbol`` on one side (+1 buy, -1 sell) may still trade."""
        shares = ZERO
        for order in self.live():
            if order.symbol == symbol and order.side.sign == sign and order.intent.exit and not order.protects:
                shares += order.remaining
        return shares

    def unknown_on(self, symbol: str, but: str = "") -> bool:
        """Whether an order of ``symbol`` is in doubt, other than that with the id ``but``."""
        return any(order.symbol == symbol and order.status is UNKNOWN and order.id != but for order in self.live())

    # --- changing -------------------------------------------------------------------------------------------------

    def open(self, order: Order, event: OrderEvent, **changes: object) -> Order:
        """Enter a new order by its first event. Raises ImpossibleTransition."""
        entered = replace(order, status=next_status(None, event), **changes)
        self._keep(entered)
        return entered

    def move(self, order: Order, event: OrderEvent, **changes: object) -> Order:
        """Move an order along the life cycle. Raises ImpossibleTransition."""
        moved = replace(order, status=next_status(order.status, event), **changes)
        self._keep(moved)
        return moved

    def lessen(self, order: Order, quantity: Decimal) -> Order:
        """Take from an order what another of its group filled; it is FILLED when it had filled the rest."""
        left = max(order.filled, order.quantity - quantity)
        if order.filled and left == order.filled:
            return self.move(order, FILL, quantity=left)
        lessened = replace(order, quantity=left)
        self._keep(lessened)
        return lessened

    def _keep(self, order: Order) -> None:
        self.orders[order.id] = order
        live = self._live
        if live is None:
            return
        here = self._by_position.setdefault((order.intent.strategy, order.symbol), {})
        if not order.status.terminal:
            live[order.id] = here[order.id] = order
            return
        live.pop(order.id, None)
        here.pop(order.id, None)
        if len(self.orders) - len(live) > 2 * ENDED_KEPT:
            self._forget()

    def book(self, told: VenueFill, order: Order) -> tuple[Fill, Order, str]:
        """Book a fill we have not seen: the fill, the order after it, and what was impossible about it (or "").

        A fill is always booked: money has moved, whatever the life cycle thinks of it.
        """
        fill = self.know(told, order)
        self._add(fill)
        moved, wrong = self._filled(order, fill)
        return fill, moved, wrong

    def know(self, told: VenueFill, order: Order) -> Fill:
        """Know a fill by its key, so that it is never booked again."""
        fill = fill_of(told, told.order_id, order.intent.strategy)
        self.fills[fill.fill_key] = fill
        return fill

    def _add(self, fill: Fill) -> None:
        position = self.positions.get(fill.symbol) or Position(fill.symbol)
        self.positions[fill.symbol] = position.after(fill)
        key, signed = f"{fill.strategy}/{fill.symbol}", fill.signed
        self.holdings[key] = self.holdings.get(key, ZERO) + signed
        self.pay(-signed * fill.price - fill.commission, fill.time)

    def correct(
        self, old: Fill, new: VenueFill | None, booked: Sequence[Fill], order: Order | None
    ) -> tuple[Order | None, str]:
        """Let ``new`` stand where ``old`` stood (None: what stands there is known already), by the fills ``booked``:
        the order after it, and what was impossible about it (or "")."""
        del self.fills[old.fill_key]
        if new is not None:
            self.fills[new.fill_key] = fill_of(new, old.order_id, old.strategy)
        for fill in booked:
            self._add(fill)
        if order is None:
            return None, ""
        quantity, price = (new.quantity, new.price) if new is not None else (ZERO, ZERO)
        filled = order.filled - old.quantity + quantity
        value = order.average_price * order.filled - old.price * old.quantity + price * quantity
        moved = replace(order, filled=filled, average_price=value / filled if filled else ZERO)
        if filled >= order.quantity and (order.status, FILL) in TRANSITIONS:
            moved = replace(moved, status=next_status(order.status, FILL))
        self._keep(moved)
        return moved, f"filled {filled} of {order.quantity}" if filled > order.quantity else ""

    def pay(self, change: Decimal, time: int) -> None:
        """Cash has changed by so many USD (signed) at ``time`` (ns UTC)."""
        account = self.account.get("") or Account(ZERO)
        self.account[""] = replace(account, cash=account.cash + change, time=time)

    def _filled(self, order: Order, fill: Fill) -> tuple[Order, str]:
        filled = order.filled + fill.quantity
        average = (order.average_price * order.filled + fill.price * fill.quantity) / filled
        event = FILL if filled >= order.quantity else PARTIAL_FILL
        wrong = f"filled {filled} of {order.quantity}" if filled > order.quantity else ""
        try:
            moved = self.move(order, event, filled=filled, average_price=average)
            if order.status is NOT_PLACED:
                wrong = "filled after the venue said it never had it"
        except ImpossibleTransition as error:
            moved = replace(order, filled=filled, average_price=average)
            self._keep(moved)
            wrong = str(error)
        return moved, wrong

    def adjust(self, order: Order) -> None:
        """An order asks for something else now; its state stays."""
        self._keep(order)

    def rename(self, symbol: str, becomes: str) -> list[Order]:
        """Positions, holdings, wished protections and live orders go by another symbol: those orders, as they are."""
        before, held = self.positions.get(symbol, Position(symbol)), self.positions.get(becomes, Position(becomes))
        shares = before.quantity + held.quantity
        cost = before.quantity * before.average_price + held.quantity * held.average_price
        self.positions[symbol] = Position(symbol)
        self.positions[becomes] = Position(becomes, shares, cost / shares if shares else ZERO)
        for key in [key for key in self.holdings if key.partition("/")[2] == symbol]:
            new = f"{key.partition('/')[0]}/{becomes}"
            self.holdings[new] = self.holdings.get(new, ZERO) + self.holdings[key]
            self.holdings[key] = ZERO
        for key in [key for key in self.protections if key.partition("/")[2] == symbol]:
            self.protections[f"{key.partition('/')[0]}/{becomes}"] = self.protections[key]
            del self.protections[key]
        renamed = [
            replace(order, symbol=becomes, intent=replace(order.intent, symbol=becomes))
            for order in self.live()
            if order.symbol == symbol
        ]
        self._live = None
        self._by_position.clear()
        for order in renamed:
            self._keep(order)
        return renamed

    def block(self, symbol: str, why: str, time: int) -> bool:
        """Take no new risk on a symbol; False when it is blocked already."""
        if symbol in self.blocked:
            return False
        self.blocked[symbol] = Blocked(why, time)
        return True

    def _forget(self) -> None:
        """Drop the oldest ended orders and their fills: positions are sums and stay, the journal keeps the story. A
        fill that can be told again stays, or it would be taken for a stranger's."""
        ended = [order.id for order in self.orders.values() if order.status.terminal]
        gone = dict.fromkeys(ended[:-ENDED_KEPT])
        for order_id in gone:
            del self.orders[order_id]
        horizon = self.told_from()
        old = (fill for fill in self.fills.values() if fill.time < horizon)
        for key in [fill.fill_key for fill in old if fill.order_id not in self.orders]:
            del self.fills[key]
