"""The body of an order request: what Alpaca takes, by its own rules, as orders of the brokerage."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from tests.standins.alpaca.trading_bodies import identity, number
from tests.standins.alpaca.trading_refusals import MALFORMED, Invalid
from tests.standins.brokerage import Brokerage, Placed

Body = dict[str, Any]
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES = ("", "simple", "bracket", "oco", "oto")
CRYPTO_TYPES, CRYPTO_TIMES = ("market", "limit", "stop_limit"), ("gtc", "ioc")
ID_MAX = 128
PRICES: dict[str, tuple[set[str], str]] = {
    "market": (set(), "market orders require no stop or limit price"),
    "limit": ({"limit_price"}, "limit orders require a limit price"),
    "stop": ({"stop_price"}, "stop orders require a stop price"),
    "stop_limit": ({"limit_price", "stop_price"}, "stop limit orders require both stop and limit price"),
}
"""The prices that a type of order has, and what is said of others."""
CLOSEST = Decimal("1.001")
"""How far a stop-loss must be below (a purchase's: above) the price it is measured from."""
UNREPLACEABLE = ("accepted", "pending_new", "pending_cancel", "pending_replace")


class Request:
    """A checked request: the fields of its order, and of its legs. Raises Invalid."""

    def __init__(self, books: Brokerage, body: Body, serial: int) -> None:
        self.body, self.books = body, books
        self.symbol = _text(body, "symbol")
        self.side = _choice(body, "side", ("buy", "sell"))
        self.type = _choice(body, "type", TYPES)
        self.time = _choice(body, "time_in_force", TIMES)
        self.order_class = _choice(body, "order_class", CLASSES, "")
        self.client_id = str(body.get("client_order_id") or identity("client", serial))
        if len(self.client_id) > ID_MAX:
            raise Invalid(f"client_order_id must be no more than {ID_MAX} characters", MALFORMED)
        self.quantity = self._quantity()
        self._check()

    @property
    def fields(self) -> Body:
        """The order itself, as the brokerage takes it."""
        body = self.body
        facts = {"order_class": "" if self.order_class == "simple" else self.order_class,
                 "position_intent": self._intent(), "notional": number(decimal(body, "notional"))}  # fmt: skip
        stop = body.get("stop_loss") or {}
        return {
            "client_id": self.client_id, "symbol": self.symbol, "side": self.side, "quantity": self.quantity,
            "type": self.type, "time_in_force": self.time, "limit_price": self._limit(),
            "stop_price": decimal(body, "stop_price"), "trail": decimal(body, "trail_price"),
            "trail_percent": decimal(body, "trail_percent"), "extended": bool(body.get("extended_hours")),
            "group": f"oco {self.client_id}" if self.order_class == "oco" and stop else "",
            "group_reduces": self.order_class == "oco", "facts": facts,
        }  # fmt: skip

    def legs(self, serial: int) -> list[Body]:
        """The orders that come with it, without their parent; their client ids are Alpaca's own."""
        if self.order_class not in ("bracket", "oto", "oco"):
            return []
        exit_side = "sell" if self.side == "buy" else "buy"
        common = {
            "symbol": self.symbol, "side": self.side if self.order_class == "oco" else exit_side,
            "quantity": self.quantity, "time_in_force": self.time, "group": f"{self.order_class} {self.client_id}",
            "group_reduces": True,
            "facts": {"order_class": self.order_class, "position_intent": f"{exit_side}_to_close"},
        }  # fmt: skip
        legs = []
        if (profit := self.body.get("take_profit")) and self.order_class != "oco":
            legs.append({**common, "type": "limit", "limit_price": decimal(profit, "limit_price")})
        if stop := self.body.get("stop_loss"):
            limit = decimal(stop, "limit_price")
            kind = "stop_limit" if limit is not None else "stop"
            legs.append({**common, "type": kind, "stop_price": decimal(stop, "stop_price"), "limit_price": limit})
        return [{**leg, "client_id": identity("leg", serial, part)} for part, leg in enumerate(legs)]

    def _limit(self) -> Decimal | None:
        profit = self.body.get("take_profit") or {}
        return decimal(profit, "limit_price") if self.order_class == "oco" else decimal(self.body, "limit_price")

    def _quantity(self) -> Decimal:
        quantity, notional = decimal(self.body, "qty"), decimal(self.body, "notional")
        if (quantity is None) == (notional is None):
            what = "qty or notional is required" if quantity is None else "only one of qty or notional is accepted"
            raise Invalid(what, MALFORMED)
        if quantity is None:
            quote = self.books.quote(self.symbol)
            if self.type != "market" or quote is None or notional is None:
                raise Invalid("notional orders must be market orders")
            quantity = (notional / quote[self.side == "buy"]).quantize(Decimal("1e-9"))
        if quantity <= 0:
            raise Invalid("qty must be > 0", MALFORMED)
        return quantity

    def _check(self) -> None:
        given = {name for name in ("limit_price", "stop_price") if self.body.get(name) is not None}
        needed, words = PRICES.get(self.type, (given, ""))
        if given != needed and self.order_class != "oco":
            raise Invalid(words, MALFORMED)
        if self.type == "trailing_stop" and (self.body.get("trail_price") is None) == (
            self.body.get("trail_percent") is None
        ):
            raise Invalid("trailing stop orders must specify one of trail_price or trail_percent", MALFORMED)
        (self._check_crypto if "/" in self.symbol else self._check_stock)()
        self._check_class()

    def _check_crypto(self) -> None:
        if self.type not in CRYPTO_TYPES:
            raise Invalid("invalid order type for crypto order")
        if self.time not in CRYPTO_TIMES:
            raise Invalid("invalid crypto time_in_force")
        if self.order_class not in ("", "simple"):
            raise Invalid("crypto orders must be simple orders")
        held = self.books.positions.get(self.symbol, Decimal(0))
        if self.side == "sell" and held <= 0:
            what = self.symbol.partition("/")[0]
            text = f"insufficient balance for {what} (requested: {number(self.quantity)}, available: 0)"
            raise Invalid(text, 40310000, 403)

    def _check_stock(self) -> None:
        if self.quantity % 1:
            if self.time != "day":
                raise Invalid("fractional orders must be DAY orders")
            if self.type == "trailing_stop":
                raise Invalid("fractional orders must be market, limit, stop, or stop_limit orders")
            if self.order_class not in ("", "simple"):
                raise Invalid("fractional orders must be simple orders")
            if self.side == "sell" and self.books.positions.get(self.symbol, Decimal(0)) <= 0:
                raise Invalid("fractional orders cannot be sold short")
        asset = self.books.listed(self.symbol)
        if asset is not None and asset.hard_to_borrow and self.time != "day":
            raise Invalid(f'only day orders are allowed for hard-to-borrow asset "{self.symbol}"')
        if self.time in ("opg", "cls") and self.type not in ("market", "limit"):
            raise Invalid(f"{self.time} orders must be market or limit orders")
        if self.type in ("stop", "stop_limit", "trailing_stop") and self.time not in ("day", "gtc"):
            raise Invalid(f"invalid time_in_force for {self.type} order")
        if self.body.get("extended_hours") and (self.type != "limit" or self.time not in ("day", "gtc")):
            raise Invalid("extended hours order must be DAY or GTC limit orders")

    def _check_class(self) -> None:
        profit, stop = self.body.get("take_profit"), self.body.get("stop_loss")
        if self.order_class in ("bracket", "oco") and not (profit and stop):
            raise Invalid(f"{self.order_class} orders require take_profit and stop_loss")
        if self.order_class == "oto" and bool(profit) == bool(stop):
            raise Invalid("oto orders require one of take_profit or stop_loss")
        if self.order_class in ("bracket", "oto") and self.time not in ("day", "gtc"):
            raise Invalid("complex orders must be DAY or GTC orders")
        if profit and stop:
            above = (decimal(profit, "limit_price") or 0) - (decimal(stop, "stop_price") or 0)
            if above * (1 if (self.side == "buy") != (self.order_class == "oco") else -1) <= 0:
                raise Invalid("take_profit.limit_price must be > stop_loss.stop_price")
        self._check_stop_loss()

    def _check_stop_loss(self) -> None:
        """Not at the price of its entry or of the market, or beyond."""
        stop, quote = decimal(self.body.get("stop_loss") or {}, "stop_price"), self.books.quote(self.symbol)
        base = self._limit() or (quote[self.side == "buy"] if quote else None)
        if stop is None or base is None:
            return
        sells = (self.side == "buy") != (self.order_class == "oco")
        if sells and stop > base / CLOSEST:
            raise Invalid("stop price must not be greater than base price / 1.001")
        if not sells and stop < base * CLOSEST:
            raise Invalid("stop price must not be less than base price * 1.001")

    def _intent(self) -> str:
        held = self.books.positions.get(self.symbol, Decimal(0))
        closes = held * (1 if self.side == "buy" else -1) < 0
        return f"{self.side}_to_{'close' if closes else 'open'}"


def replacement(order: Placed, body: Body) -> Body:
    """What another order in the place of this one asks for. Raises Invalid."""
    status = order.facts.get("status", order.status)
    if status in UNREPLACEABLE:
        raise Invalid(f"cannot replace order in {status} status")
    if order.facts.get("notional"):
        raise Invalid("notional orders cannot be replaced")
    trail = "trail_percent" if order.trail_percent is not None else "trail"
    fields: Body = {
        "quantity": decimal(body, "qty"), "limit_price": decimal(body, "limit_price"),
        "stop_price": decimal(body, "stop_price"), trail: decimal(body, "trail"),
        "time_in_force": body.get("time_in_force"),
    }  # fmt: skip
    quantity = fields["quantity"]
    if all(value in (None, getattr(order, name)) for name, value in fields.items()):
        raise Invalid("order parameters are not changed")
    if quantity not in (None, order.quantity):
        _check_new_quantity(order, quantity)
    return fields


def _check_new_quantity(order: Placed, quantity: Decimal) -> None:
    if order.facts.get("order_class"):
        raise Invalid("qty cannot be changed for advanced orders")
    if "/" not in order.symbol and (order.quantity % 1 or quantity % 1):
        raise Invalid("qty cannot be changed for fractional orders")
    if quantity <= order.filled:
        raise Invalid("qty must be > filled_qty")


def decimal(body: Body, name: str) -> Decimal | None:
    """A number of a request, told as text or as a number. Raises Invalid."""
    value = body.get(name)
    try:
        found = None if value is None else Decimal(str(value))
    except InvalidOperation:
        raise Invalid(f"{name} is not a number: {value}", MALFORMED) from None
    if found is not None and not found.is_finite():
        raise Invalid(f"{name} is not a number: {value}", MALFORMED)
    return found if found is None or found % 1 else found.quantize(Decimal(1))


def _text(body: Body, name: str) -> str:
    if not isinstance(body.get(name), str) or not body[name]:
        raise Invalid(f"{name} is required", MALFORMED)
    return str(body[name])


def _choice(body: Body, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
    value = body.get(name, default)
    if value is None:
        value = default
    if value not in choices:
        raise Invalid(f"invalid {name}" if value else f"{name} is required", MALFORMED)
    return str(value)
