"""Values for the tests of the cores, short to write; every field can be given."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.core.base import Core
from appliance.core.streams import Writers
from appliance.domain import topics
from appliance.domain.market import Bar, Quote
from appliance.domain.messages import VenueFill, VenueReport, VenueSnapshot
from appliance.domain.operations import Command, Verb
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Approved, Cancel, Fill, Intent, Moment, Order, Side
from tests.playbook import BEGIN, SECOND

D = Decimal


def writers(process: str) -> Writers:
    """The writers of a process, at their beginning."""
    return Writers(topics.streams_written_by(process))


def moment(seconds: float = 0, boot: str = "boot-1") -> Moment:
    time = BEGIN + int(seconds * SECOND)
    return Moment(time, boot, time)


def intent(**given: Any) -> Intent:
    """BUY 100 SPY by strategy ``trend``, decided at the beginning, valid for an hour."""
    fields: dict[str, Any] = {
        "id": "trend-1-1", "strategy": "trend", "counter": 1, "symbol": "SPY", "side": Side.BUY,
        "quantity": D(100), "decided": moment(), "valid": 3_600 * SECOND, "cause": "feed/bars:1:1",
    }  # fmt: skip
    return Intent(**{**fields, **given})


def approved(wanted: Intent | None = None, at: Moment | None = None, valid: int = 3_600 * SECOND) -> Approved:
    return Approved(wanted if wanted is not None else intent(), at or moment(), valid)


def cancel(order_id: str = "trend-1-1", **given: Any) -> Cancel:
    """Strategy ``trend`` wants its order gone."""
    fields: dict[str, Any] = {
        "id": "trend-1-50", "strategy": "trend", "counter": 1, "symbol": "SPY", "order_id": order_id,
        "decided": moment(), "valid": 3_600 * SECOND, "cause": "feed/bars:1:2",
    }  # fmt: skip
    return Cancel(**{**fields, **given})


def order(wanted: Intent | None = None, status: OrderStatus = OrderStatus.ACCEPTED, **given: Any) -> Order:
    wanted = wanted if wanted is not None else intent()
    made = Order(
        id=wanted.id, intent=wanted, approval=approved(wanted), status=status, symbol=wanted.symbol, side=wanted.side,
        quantity=wanted.quantity, type=wanted.type, limit_price=wanted.limit_price, stop_price=wanted.stop_price,
        time_in_force=wanted.time_in_force, attempt=1, trail=wanted.trail,
    )  # fmt: skip
    return replace(made, **given)


def fill(of: Order, quantity: int | None = None, price: str = "100", key: str = "", time: int = BEGIN) -> Fill:
    shares = D(quantity) if quantity is not None else of.quantity
    name = key or f"{of.id}:{of.filled + shares}"
    return Fill(name, of.id, of.intent.strategy, of.symbol, of.side, shares, D(price), D(1), time)


def told(order_id: str, quantity: int, side: Side = Side.BUY, price: str = "100", key: str = "") -> VenueFill:
    """The venue tells an execution of SPY; commission 1 USD."""
    name = key or f"{order_id}:{quantity}"
    return VenueFill(name, order_id, "SPY", side, D(quantity), D(price), D(1), BEGIN, BEGIN)


def report(order_id: str, event: str, **given: Any) -> VenueReport:
    return VenueReport(order_id, OrderEvent(event), BEGIN, **given)


def snapshot(n: int = 1, **given: Any) -> VenueSnapshot:
    fields: dict[str, Any] = {"at": BEGIN, "open": (), "fills": (), "positions": {}, "cash": D(100_000)}
    return VenueSnapshot(n, **{**fields, **given})


def command(verb: Verb, id: str = "c1", expires: int = BEGIN + 86_400 * SECOND, **given: Any) -> Command:
    return Command(id, verb, "owner", expires, **given)


def bar(close: float = 100.0, start: int = BEGIN, minutes: int = 1, symbol: str = "SPY", **given: Any) -> Bar:
    fields = {"open": close, "high": close, "low": close, "close": close, "volume": 1000.0}
    return Bar(symbol, "1m", start, start + minutes * 60 * SECOND, **{**fields, **given})


def quote(bid: float = 99.99, ask: float = 100.01, time: int = BEGIN, symbol: str = "SPY", **given: Any) -> Quote:
    return Quote(symbol, time, bid, ask, **given)


def status(name: str, **fields: Any) -> Callable[[Any], bool]:
    """A predicate: an order of this status, with these fields."""

    def fits(body: Any) -> bool:
        same = isinstance(body, Order) and body.status is OrderStatus(name)
        return same and all(getattr(body, key) == value for key, value in fields.items())

    fits.__name__ = f"Order {name} {fields or ''}"
    return fits


def again(core: Core, fresh: Core) -> Core:
    """``fresh`` with the state of ``core``, by way of the journal's bytes: a restart."""
    fresh.restore(core.snapshot())
    return fresh
