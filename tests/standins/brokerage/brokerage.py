"""The brokerage as a whole: one account, its orders, and a market whose prices the test sets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import wraps
from typing import Any, TypeVar
from uuid import NAMESPACE_OID, uuid5

from msgspec.structs import replace as changed

from tests.standins.brokerage.log import Log, Record
from tests.standins.brokerage.matching import LIMITED, STOPS, price_of, stirred
from tests.standins.brokerage.orders import (
    ZERO,
    Activity,
    Asset,
    Execution,
    Holding,
    Number,
    Placed,
    Refusal,
    Told,
)
from tests.standins.brokerage.rules import RULES, Rule

F = TypeVar("F", bound=Callable[..., Any])
MONEY = ("quantity", "limit_price", "stop_price", "trail", "trail_percent")


def _locked(method: F) -> F:
    @wraps(method)
    def inside(self: Brokerage, *args: Any, **kwargs: Any) -> Any:
        with self._lock:
            return method(self, *args, **kwargs)

    return inside  # type: ignore[return-value]


def _uuids(number: int) -> str:
    """The id of the order of that number, the same in every run."""
    return str(uuid5(NAMESPACE_OID, f"order {number}"))


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that have a value, numbers as Decimal, never by way of a float."""
    return {
        name: Decimal(value) if name in MONEY else value for name, value in fields.items() if value is not None
    }  # fmt: skip


class Brokerage:
    """``cash`` USD to begin with; ``unique``: a client id is taken once for ever; ``rules`` refuse orders, in their
    order; ``order_id`` makes an order's id from its number; ``multiplier``: how often equity may be spent."""

    def __init__(
        self, cash: Number = 100_000, *, unique: bool = True, rules: Sequence[Rule] = RULES, multiplier: int = 4,
        order_id: Callable[[int], str] = _uuids, clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._cash = Decimal(cash)
        self.rules, self.unique, self.multiplier, self.clock = tuple(rules), unique, multiplier, clock
        self.log = Log()
        self.automatic = True
        """Orders fill by themselves when the price allows."""
        self.slice: Decimal | None = None
        """Most shares of one match; the rest is matched at the next price."""
        self.commission = ZERO
        """USD an execution."""
        self.refuse_closed = False
        """Orders are refused while the market is closed; otherwise they wait for it."""
        self.group_ends = True
        """A cancel of one order of a group is one of all."""
        self._order_id = order_id
        self._open = True
        self._lock = threading.RLock()
        self._assets: dict[str, Asset] = {}
        self._prices: dict[str, tuple[Decimal, Decimal]] = {}
        self._orders: dict[str, Placed] = {}
        self._ids: dict[str, str] = {}
        self._working: dict[str, None] = {}
        self._executions: list[Execution] = []
        self._holdings: dict[str, Holding] = {}
        self._activities: list[Activity] = []
        self._listeners: list[Callable[[Told], None]] = []

    # --- what there is ----------------------------------------------------------------------------------------------

    @property
    @_locked
    def orders(self) -> dict[str, Placed]:
        """All orders ever taken, by id, oldest first."""
        return dict(self._orders)

    @property
    @_locked
    def executions(self) -> list[Execution]:
        """All executions as they are now, oldest first; a busted one says so."""
        return list(self._executions)

    @property
    @_locked
    def activities(self) -> list[Activity]:
        """What changed the account without an order, oldest first."""
        return list(self._activities)

    @property
    @_locked
    def holdings(self) -> dict[str, Holding]:
        """What is held, by symbol."""
        return {symbol: one for symbol, one in sorted(self._holdings.items()) if one.quantity}

    @property
    def positions(self) -> dict[str, Decimal]:
        """Shares held (signed), by symbol, without those that are 0."""
        return {symbol: one.quantity for symbol, one in self.holdings.items()}

    @property
    @_locked
    def assets(self) -> dict[str, Asset]:
        """What can be traded."""
        return dict(self._assets)

    @property
    def cash(self) -> Decimal:
        """USD in cash."""
        return self._cash

    @property
    @_locked
    def equity(self) -> Decimal:
        """Cash and what the holdings are worth, USD."""
        return self._cash + sum((one.quantity * self.worth(one.symbol) for one in self._holdings.values()), ZERO)

    @property
    @_locked
    def buying_power(self) -> Decimal:
        """USD that may still be spent: a multiple of equity, without what is invested and what is ordered."""
        invested = sum((abs(one.quantity) * self.worth(one.symbol) for one in self._holdings.values()), ZERO)
        ordered = sum((self.value(one) for one in self._still_open() if one.open and self._opens(one)), ZERO)
        return max(self.equity * self.multiplier - invested - ordered, ZERO)

    @_locked
    def worth(self, symbol: str) -> Decimal:
        """What a share is worth (USD): the middle of the market, or what it cost."""
        if symbol in self._prices:
            return sum(self._prices[symbol], ZERO) / 2
        return self._holdings.get(symbol, Holding(symbol)).average_price

    def value(self, order: Placed) -> Decimal:
        """USD that an order's rest may cost."""
        price = order.limit_price or order.stop_price or self.worth(order.symbol)
        return order.remaining * price

    @_locked
    def quote(self, symbol: str) -> tuple[Decimal, Decimal] | None:
        """Bid and ask now; None where there are none."""
        return self._prices.get(symbol)

    @_locked
    def working(self, symbol: str) -> list[Placed]:
        """The open orders of a symbol, oldest first."""
        return [one for one in self._still_open() if one.symbol == symbol and one.open]

    @_locked
    def listed(self, symbol: str) -> Asset | None:
        """The asset of a symbol."""
        return self._assets.get(symbol)

    def is_open(self, symbol: str = "") -> bool:
        """Whether a symbol is traded now; crypto (with a /) always."""
        return self._open or "/" in symbol

    @_locked
    def by_client_id(self, client_id: str) -> Placed | None:
        """The last order with that client id."""
        return self._orders[self._ids[client_id]] if client_id in self._ids else None

    # --- what happens in the market ---------------------------------------------------------------------------------

    @_locked
    def asset(self, symbol: str, **facts: Any) -> Asset:
        """List a symbol, or change what is known of it: ``tick``, ``lot``, ``fractional``, ``shortable``,
        ``tradable``, ``halted``."""
        before = self._assets.get(symbol) or Asset(symbol, len(self._assets) + 1)
        facts = {name: value if isinstance(value, bool) else Decimal(value) for name, value in facts.items()}
        self._assets[symbol] = changed(before, **facts)
        return self._assets[symbol]

    @_locked
    def price(self, symbol: str, bid: Number, ask: Number) -> None:
        """The market now, USD; orders that it reaches fill."""
        if symbol not in self._assets:
            self.asset(symbol)
        self._prices[symbol] = Decimal(bid), Decimal(ask)
        for one in self.working(symbol):
            self._match(one.id)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is placed inside meets the market at the end of the block only, and nobody comes between."""
        with self._lock:
            automatic, self.automatic = self.automatic, False
            try:
                yield
            finally:
                self.automatic = automatic
                for one in self._still_open():
                    self._match(one.id, fresh=True)

    @_locked
    def open_market(self) -> None:
        """A session begins: what waited for it works."""
        self._open = True
        for one in self._still_open():
            if one.status == "accepted":
                self._set(one, "new", status="new")
                self._match(one.id)
                if one.time_in_force == "opg" and self._orders[one.id].open:
                    self.expire(one.id)

    @_locked
    def close_market(self) -> None:
        """A session ends: orders for the close fill, those for the day expire."""
        for one in self._still_open():
            if one.time_in_force == "cls" and one.status != "accepted":
                self._match(one.id, closing=True)
        self._open = False
        for one in self._still_open():
            if one.time_in_force in ("day", "cls") and one.status != "accepted" and "/" not in one.symbol:
                self.expire(one.id)

    # --- orders -----------------------------------------------------------------------------------------------------

    @_locked
    def place(
        self, client_id: str, symbol: str, side: str, quantity: Number, *, type: str = "market",
        time_in_force: str = "day", **others: Any,
    ) -> Placed:  # fmt: skip
        """Take an order (``limit_price``, ``stop_price``, ``trail``, ``trail_percent``, ``extended``, ``parent``,
        ``group``, ``group_reduces``, ``facts``). Raises Refusal."""
        others = _said(others)
        order = Placed(
            "", len(self._orders) + 1, client_id, symbol, side, Decimal(quantity), type, time_in_force=time_in_force,
            created=self.clock(), updated=self.clock(), **others,
        )  # fmt: skip
        try:
            self._check(order)
        except Refusal as refusal:
            self._note("refused", order, code=refusal.code, text=refusal.text, **order.content)
            raise
        return self._take(order)

    @_locked
    def cancel(self, order_id: str) -> Placed:
        """End an open order. Raises Refusal (``not_found``, ``not_open``)."""
        return self._end(self._found(order_id), "canceled")

    @_locked
    def expire(self, order_id: str) -> Placed:
        """End an open order because its time is over."""
        return self._end(self._found(order_id), "expired")

    @_locked
    def reject(self, order_id: str, text: str) -> Placed:
        """Refuse an order after it was taken, as brokers do."""
        return self._end(self._found(order_id), "rejected", text)

    @_locked
    def note(self, order_id: str, status: str) -> Placed:
        """Tell of a state in between (``pending_cancel``): the order stays, and its fact ``status`` says so."""
        order = self._found(order_id)
        self._set(order, status, facts={**order.facts, "status": status})
        return self._orders[order_id]

    @_locked
    def replace(
        self, order_id: str, client_id: str, *, late: bool = False, carried: bool = False, **fields: Any
    ) -> Placed:
        """Another order in the place of an open one, for what is left of it where no quantity is said; ``carried``: it
        begins with what the old one has filled, and its quantity is that of both; ``late``: the old one fills before,
        and the new one is rejected. Raises Refusal."""
        old = self._found(order_id)
        filled, average = (old.filled, old.average_price) if carried else (ZERO, ZERO)
        new = changed(
            old, id="", number=len(self._orders) + 1, client_id=client_id, replaces=old.id, triggered=False,
            extreme=None, filled=filled, average_price=average, filled_at=0, created=self.clock(), updated=self.clock(),
            **{"quantity": old.quantity if carried else old.remaining, **_said(fields)},
        )  # fmt: skip
        self._check_in_place(old, new)
        taken_id = self._order_id(new.number)
        if late:
            return self._too_late(old, changed(new, id=taken_id, filled=ZERO, average_price=ZERO))
        for one in self._still_open():
            if one.parent == old.id:
                self._orders[one.id] = changed(one, parent=taken_id)
        self._set(old, "replaced", status="replaced", ended=self.clock(), replaced_by=taken_id)
        self._note("replaced", old, by=taken_id)
        return self._take(new)

    def _check_in_place(self, old: Placed, new: Placed, again: bool = False) -> None:
        """The rules for an order that stands in another's place, as if that one were not there."""
        self._orders[old.id] = changed(old, status="replaced")
        try:
            self._check(new, again)
        except Refusal as refusal:
            self._note("refused", new, code=refusal.code, text=refusal.text, **new.content)
            raise
        finally:
            self._orders[old.id] = old

    def _too_late(self, old: Placed, new: Placed) -> Placed:
        self.fill(old.id)
        self._ids[new.client_id] = new.id
        self._note("accepted", new, **new.content)
        self._orders[new.id] = new
        self._tell(Told("order_replace_rejected", self._orders[old.id]))
        return self._end(new, "rejected", "the order to be replaced was filled")

    @_locked
    def modify(self, order_id: str, **fields: Any) -> Placed:
        """An open order asks for something else. Raises Refusal."""
        old = self._found(order_id)
        fields = _said(fields)
        new = changed(old, triggered=old.triggered and "stop_price" not in fields, **fields)
        self._check_in_place(old, new, again=True)
        self._note("modified", new, **new.content)
        self._set(new, "modified")
        return self._match(order_id)

    @_locked
    def fill(
        self, order_id: str, quantity: Number | None = None, price: Number | None = None, *, late: bool = False
    ) -> Execution:
        """An execution by hand: the rest at the market's price and none worse than its limit, where nothing else is
        said; ``late``: also of an order that has ended."""
        order = self._found(order_id, ended=late)
        assert quantity is None or 0 < Decimal(quantity) <= order.remaining, f"{quantity} of {order.remaining}"
        at = Decimal(price) if price is not None else self._fair(order)
        return self._execute(order, order.remaining if quantity is None else Decimal(quantity), at)

    def _fair(self, order: Placed) -> Decimal:
        at = self._prices.get(order.symbol, (self.worth(order.symbol),) * 2)[order.side == "buy"]
        if order.limit_price is None:
            return at
        return min(at, order.limit_price) if order.side == "buy" else max(at, order.limit_price)

    # --- after the trade --------------------------------------------------------------------------------------------

    @_locked
    def correct(self, number: int, *, quantity: Number | None = None, price: Number | None = None) -> Execution:
        """An execution was of another quantity or price."""
        old = self._executions[number - 1]
        more = Decimal(quantity) - old.quantity if quantity is not None else ZERO
        fields = {"quantity": old.quantity + more, "price": Decimal(price) if price is not None else old.price}
        return self._amend(old, "correct", more, cumulative=old.cumulative + more, leaves=old.leaves - more, **fields)

    @_locked
    def bust(self, number: int) -> Execution:
        """An execution is undone."""
        old = self._executions[number - 1]
        return self._amend(old, "bust", -old.quantity, busted=True)

    @_locked
    def split(self, symbol: str, new: int, old: int, *, orders: str = "stay") -> Activity:
        """``new`` shares for each ``old``; open orders ``stay`` as they are, or ``cancel``, or ``adjust``."""
        held = self._holdings.get(symbol, Holding(symbol))
        after = Holding(symbol, held.quantity * new / old, held.average_price * old / new)
        self._holdings[symbol] = after
        if symbol in self._prices:
            bid, ask = self._prices[symbol]
            self._prices[symbol] = bid * old / new, ask * old / new
        told = self._act("split", symbol, after.quantity - held.quantity, new=new, old=old)
        for one in self.working(symbol) if orders != "stay" else ():
            self.cancel(one.id) if orders == "cancel" else self._adjust(one, new, old)
        return told

    def _adjust(self, order: Placed, new: int, old: int) -> None:
        prices = {name: getattr(order, name) for name in ("limit_price", "stop_price", "trail", "extreme")}
        prices = {name: price * old / new for name, price in prices.items() if price is not None}
        shares = {name: getattr(order, name) * new / old for name in ("quantity", "filled")}
        self._note("modified", order, **shares, **prices)
        self._set(order, "modified", **shares, **prices, average_price=order.average_price * old / new)

    def dividend(self, symbol: str, amount: Number, text: str = "") -> Activity:
        """USD for each share held."""
        amount = Decimal(amount)
        return self._act("dividend", symbol, cash=self.positions.get(symbol, ZERO) * amount, amount=amount, text=text)

    def fee(self, cash: Number, symbol: str = "", text: str = "") -> Activity:
        """A fee of so much (USD) is taken."""
        return self._act("fee", symbol, cash=-Decimal(cash), text=text)

    def interest(self, cash: Number, text: str = "") -> Activity:
        """Interest is paid (USD), or taken where it is negative."""
        return self._act("interest", cash=Decimal(cash), text=text)

    @_locked
    def transfer(self, symbol: str = "", quantity: Number = 0, *, cash: Number = 0, price: Number = 0) -> Activity:
        """Shares or money come in, or go out where they are negative; ``price``: what a share had cost."""
        if symbol:
            if symbol not in self._assets:
                self.asset(symbol)
            held = self._holdings.get(symbol, Holding(symbol))
            self._holdings[symbol] = held.after(Decimal(quantity), Decimal(price) or self.worth(symbol))
        return self._act("transfer", symbol, Decimal(quantity), cash=Decimal(cash), amount=Decimal(price))

    @_locked
    def rename(self, symbol: str, becomes: str) -> Activity:
        """A position is called by another symbol from now on."""
        held = self._holdings.pop(symbol, Holding(symbol))
        self._holdings[becomes] = changed(held, symbol=becomes)
        if becomes not in self._assets:
            self.asset(becomes)
        if symbol in self._prices:
            self._prices[becomes] = self._prices.pop(symbol)
        self.asset(symbol, tradable=False)
        return self._act("symbol_change", symbol, -held.quantity, becomes=becomes)

    @_locked
    def delist(self, symbol: str, price: Number = 0) -> Activity:
        """A symbol is traded no more; each share is paid for with ``price`` USD, and its orders end."""
        for one in self.working(symbol):
            self.cancel(one.id)
        held = self._holdings.pop(symbol, Holding(symbol))
        self.asset(symbol, tradable=False)
        return self._act("delisting", symbol, -held.quantity, cash=held.quantity * Decimal(price))

    @_locked
    def listen(self, hear: Callable[[Told], None]) -> None:
        """Tell ``hear`` of everything from now on."""
        self._listeners.append(hear)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _check(self, order: Placed, again: bool = False) -> None:
        if self.unique and not again and self.by_client_id(order.client_id) is not None:
            raise Refusal("duplicate_id", f"client order id {order.client_id} was taken already")
        if order.filled and order.quantity <= order.filled:
            raise Refusal("quantity", f"{order.filled} are filled already, and {order.quantity} are asked for")
        if order.type in LIMITED and order.limit_price is None:
            raise Refusal("price", f"a {order.type} order needs a limit price")
        if order.type in STOPS[:2] and order.stop_price is None:
            raise Refusal("price", f"a {order.type} order needs a stop price")
        for rule in self.rules:
            rule(self, order)

    def _take(self, order: Placed) -> Placed:
        status = self._first_status(order)
        order = changed(order, id=self._order_id(order.number), status=status)
        self._ids[order.client_id] = order.id
        self._note("accepted", order, **order.content)
        self._set(order, status)
        return self._match(order.id, fresh=True)

    def _first_status(self, order: Placed) -> str:
        parent = self._orders.get(order.parent)
        if parent is not None and parent.status != "filled":
            return "held"
        waits = not self.is_open(order.symbol) and not order.extended
        return "accepted" if waits or order.time_in_force == "opg" else "new"

    def _found(self, order_id: str, ended: bool = False) -> Placed:
        if order_id not in self._orders:
            raise Refusal("not_found", f"order {order_id} not found")
        order = self._orders[order_id]
        if not order.open and not ended:
            raise Refusal("not_open", f'order is already in "{order.status}" state', status=order.status)
        return order

    def _still_open(self) -> Iterator[Placed]:
        """The orders that are open now, as they are when it is their turn; those that ended meanwhile not."""
        for order_id in list(self._working):
            if order_id in self._working:
                yield self._orders[order_id]

    def _opens(self, order: Placed) -> bool:
        held = self._holdings.get(order.symbol, Holding(order.symbol)).quantity
        return not order.parent and held * order.sign >= 0

    def _match(self, order_id: str, closing: bool = False, fresh: bool = False) -> Placed:
        """Fill an order as far as the market allows now; what is for at once or nothing ends otherwise."""
        order = self._orders[order_id]
        if not self._meets(order, closing):
            return self._orders[order_id]
        bid, ask = self._prices[order.symbol]
        order = self._orders[order_id] = stirred(order, bid, ask)
        price = price_of(order, bid, ask)
        most = order.remaining if self.slice is None else min(self.slice, order.remaining)
        if price is not None and not (order.time_in_force == "fok" and most < order.remaining):
            self._execute(order, most, price)
        if fresh and order.time_in_force in ("ioc", "fok") and self._orders[order_id].open:
            self._end(self._orders[order_id], "canceled")
        return self._orders[order_id]

    def _meets(self, order: Placed, closing: bool) -> bool:
        asset = self._assets.get(order.symbol)
        traded = order.symbol in self._prices and asset is not None and not asset.halted
        works = order.status in ("new", "partially_filled") and (order.time_in_force != "cls" or closing)
        return self.automatic and traded and works and (self.is_open(order.symbol) or order.extended)

    def _execute(self, order: Placed, quantity: Decimal, price: Decimal) -> Execution:
        signed = quantity if order.side == "buy" else -quantity
        held = self._holdings.get(order.symbol, Holding(order.symbol)).after(signed, price)
        filled = order.filled + quantity
        one = Execution(
            len(self._executions) + 1, order.id, order.client_id, order.symbol, order.side, quantity, price,
            self.clock(), filled, order.quantity - filled, self.commission, holding=held.quantity,
        )  # fmt: skip
        self._executions.append(one)
        self._holdings[order.symbol] = held
        self._cash -= one.paid
        self._note("execution", order, number=one.number, quantity=quantity, price=price, side=order.side)
        whole = filled == order.quantity
        status = "filled" if whole else "partially_filled" if order.open else order.status
        average = (order.average_price * order.filled + price * quantity) / filled
        self._set(
            order, "fill" if whole else "partial_fill", one, status=status, filled=filled, average_price=average,
            filled_at=one.time,
        )  # fmt: skip
        self._follow(order.id, quantity)
        return one

    def _follow(self, order_id: str, quantity: Decimal) -> None:
        """What a fill means for others: children begin to work, a group's others end or become less."""
        order = self._orders[order_id]
        for one in self._still_open():
            if one.status == "held" and one.parent == order_id and order.status == "filled":
                self._set(one, "new", status="new")
                self._match(one.id)
            elif order.group and one.group == order.group and one.id != order_id:
                if order.group_reduces and one.remaining > quantity:
                    self._set(one, "modified", quantity=one.quantity - quantity)
                elif order.group_reduces or order.status == "filled":
                    self._end(one, "canceled")

    def _end(self, order: Placed, status: str, text: str = "") -> Placed:
        self._note(status, order, filled=order.filled, text=text)
        self._set(order, status, status=status, ended=self.clock(), text=text)
        for one in self._still_open():
            child = one.status == "held" and one.parent == order.id
            if child or (status == "canceled" and order.group and one.group == order.group and self.group_ends):
                self._end(one, "canceled")
        return self._orders[order.id]

    def _set(self, order: Placed, what: str, execution: Execution | None = None, **fields: Any) -> None:
        self._orders[order.id] = after = changed(order, updated=self.clock(), **fields)
        if after.open:
            self._working[after.id] = None
        else:
            self._working.pop(after.id, None)
        self._tell(Told(what, after, execution))

    def _amend(self, old: Execution, what: str, more: Decimal, **fields: Any) -> Execution:
        new = changed(old, revision=old.revision + 1, **fields)
        change = new.signed - old.signed
        held = self._holdings.get(old.symbol, Holding(old.symbol))
        self._holdings[old.symbol] = after = held.after(change, new.price) if change else held
        new = changed(new, holding=after.quantity)
        self._executions[old.number - 1] = new
        self._cash -= new.paid - old.paid
        order = self._orders[old.order_id]
        filled = order.filled + more
        spent = order.average_price * order.filled - old.price * old.quantity
        spent += ZERO if new.busted else new.price * new.quantity
        average = spent / filled if filled else ZERO
        self._orders[order.id] = order = changed(order, filled=filled, average_price=average, updated=self.clock())
        self._note("corrected" if what == "correct" else "busted", order, number=old.number, price=new.price)
        self._tell(Told(what, order, new))
        return new

    @_locked
    def _act(self, kind: str, symbol: str = "", quantity: Decimal = ZERO, **fields: Any) -> Activity:
        held = self._holdings.get(symbol, Holding(symbol)).quantity
        one = Activity(len(self._activities) + 1, kind, self.clock(), symbol, quantity, held=held, **fields)
        self._activities.append(one)
        self._cash += one.cash
        self.log.add(Record("activity", "", "", one.time, {"kind": kind, "symbol": symbol, "cash": one.cash}))
        self._tell(Told("activity", activity=one))
        return one

    def _note(self, kind: str, order: Placed, **content: Any) -> None:
        self.log.add(Record(kind, order.client_id, order.id, self.clock(), content))

    def _tell(self, told: Told) -> None:
        for hear in self._listeners:
            hear(told)
