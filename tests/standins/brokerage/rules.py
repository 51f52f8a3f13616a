"""Why a brokerage does not take an order: each rule raises Refusal or lets it pass. A stand-in chooses its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from tests.standins.brokerage.orders import ZERO, Asset, Placed, Refusal


class Books(Protocol):
    """What rules look at."""

    refuse_closed: bool

    @property
    def positions(self) -> dict[str, Decimal]: ...
    @property
    def buying_power(self) -> Decimal: ...
    def working(self, symbol: str) -> list[Placed]: ...
    def listed(self, symbol: str) -> Asset | None: ...
    def is_open(self, symbol: str) -> bool: ...
    def value(self, order: Placed) -> Decimal: ...


Rule = Callable[[Books, Placed], None]


def known(books: Books, order: Placed) -> None:
    """Of a symbol that is traded."""
    asset = books.listed(order.symbol)
    if asset is None:
        raise Refusal("unknown_symbol", f"asset {order.symbol} not found")
    if not asset.tradable:
        raise Refusal("not_tradable", f"asset {order.symbol} is not tradable")
    if asset.halted:
        raise Refusal("halted", f"trading in {order.symbol} is halted")


def sized(books: Books, order: Placed) -> None:
    """In whole lots."""
    asset = books.listed(order.symbol)
    assert asset is not None
    if order.quantity <= 0 or order.quantity % asset.lot:
        raise Refusal("quantity", f"quantity {order.quantity} is not a multiple of {asset.lot}", lot=asset.lot)
    if not asset.fractional and order.quantity % 1:
        raise Refusal("not_fractionable", f"asset {order.symbol} is not fractionable")


def priced(books: Books, order: Placed) -> None:
    """At prices of its tick."""
    asset = books.listed(order.symbol)
    assert asset is not None
    for price in (order.limit_price, order.stop_price):
        if price is not None and price <= 0:
            raise Refusal("price", f"price {price} must be > 0")
        tick = asset.tick or Decimal("0.01" if price is None or price >= 1 else "0.0001")
        if price is not None and price % tick and "/" not in order.symbol:
            raise Refusal("tick", f"price {price} is not a multiple of {tick}", price=price, tick=tick)


def opened(books: Books, order: Placed) -> None:
    """While the market is open, where it does not take orders for later."""
    if books.refuse_closed and not books.is_open(order.symbol) and not order.extended:
        raise Refusal("closed", "market is closed")


def lent(books: Books, order: Placed) -> None:
    """Not short where shares are not lent."""
    asset, held = books.listed(order.symbol), books.positions.get(order.symbol, ZERO)
    assert asset is not None
    if order.side == "sell" and not order.parent and order.quantity > max(held, ZERO) and not asset.shortable:
        raise Refusal("not_shortable", f"asset {order.symbol} cannot be sold short")


def promised(books: Books, symbol: str, side: str) -> Decimal:
    """Shares that the working orders of one side may still trade; a group's count once."""
    groups: dict[str, Decimal] = defaultdict(Decimal)
    for one in books.working(symbol):
        if one.side == side and one.status != "held":
            groups[one.group or one.id] = max(groups[one.group or one.id], one.remaining)
    return sum(groups.values(), ZERO)


def available(books: Books, order: Placed) -> None:
    """An exit for no more than what is held and not held for other orders (Alpaca)."""
    held = books.positions.get(order.symbol, ZERO)
    if order.parent or held * order.sign >= 0:
        return
    taken = promised(books, order.symbol, order.side)
    if order.group and any(one.group == order.group for one in books.working(order.symbol)):
        return
    if order.quantity > abs(held) - taken:
        raise Refusal(
            "held",
            f"insufficient qty available for order (requested: {order.quantity}, available: {abs(held) - taken})",
            requested=order.quantity, available=abs(held) - taken, existing=abs(held), held=taken,
            orders=[one.id for one in books.working(order.symbol) if one.side == order.side],
        )  # fmt: skip


def agreeing(books: Books, order: Placed) -> None:
    """No order that opens while one works that opens the other way (Alpaca)."""
    if books.positions.get(order.symbol) or order.parent or order.group:
        return
    if order.side == "buy" and any(one.side == "sell" and not one.parent for one in books.working(order.symbol)):
        raise Refusal("opposite", "cannot open a long buy while a short sell order is open")


def honest(books: Books, order: Placed) -> None:
    """Not against an own order that it could meet (Alpaca)."""
    if order.parent or order.group:
        return
    for one in books.working(order.symbol):
        if one.side == order.side or one.parent or one.group:
            continue
        if one.type != "limit" or order.type != "limit":
            raise Refusal(
                "wash_trade", f"opposite side {'market/stop' if one.type != 'limit' else 'limit'} order exists",
                order=one.id,
            )  # fmt: skip
        buy, sell = (order, one) if order.side == "buy" else (one, order)
        assert buy.limit_price is not None
        assert sell.limit_price is not None
        if buy.limit_price >= sell.limit_price:
            raise Refusal(
                "wash_trade", f"{one.side} order exists, buy limit price should be less than existing sell limit price",
                order=one.id, buy=buy.limit_price, sell=sell.limit_price,
            )  # fmt: skip


def funded(books: Books, order: Placed) -> None:
    """For no more money than there is; exits need none."""
    held = books.positions.get(order.symbol, ZERO)
    if order.parent or held * order.sign < 0:
        return
    cost = books.value(order)
    if cost > books.buying_power:
        raise Refusal("buying_power", "insufficient buying power", buying_power=books.buying_power, cost=cost)


RULES: tuple[Rule, ...] = (known, sized, priced, opened, lent, available, honest, agreeing, funded)
