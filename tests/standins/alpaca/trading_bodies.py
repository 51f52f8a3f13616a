"""What the trading API tells, as JSON: orders, positions, the account, assets, activities. All numbers are strings."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

from tests.standins.brokerage import Activity, Asset, Brokerage, Execution, Holding, Placed

Body = dict[str, Any]
NEW_YORK = ZoneInfo("America/New_York")
SECOND = 1_000_000_000
ZERO = Decimal(0)
NINTH = Decimal("1e-9")
EVENTS = {"new": "new", "accepted": "accepted", "held": "held", "modified": "restated", "correct": "trade_correct",
          "bust": "trade_bust"}  # fmt: skip
"""Events of the stream by what the brokerage tells; the others have the same name."""


def number(value: Decimal | None) -> str | None:
    """A number as text, without needless zeros."""
    if value is None:
        return None
    value = value.quantize(NINTH) if -value.as_tuple().exponent > 9 else value  # type: ignore[operator]
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"


def instant(at: int, digits: int = 9) -> str | None:
    """A time (ns UTC) as RFC 3339 with so many digits of its second at most; None for 0."""
    if not at:
        return None
    seconds, rest = divmod(at, SECOND)
    fraction = f"{rest:09d}"[:digits].rstrip("0")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z"


def identity(*parts: object) -> str:
    """A UUID that is the same in every run."""
    return str(uuid5(NAMESPACE_OID, " ".join(map(str, parts))))


def next_close(at: int) -> datetime:
    """When the session of a time ends (New York), or the next one where it has."""
    now = datetime.fromtimestamp(at // SECOND, NEW_YORK)
    day = now.date() if now.time() < time(16) else now.date() + timedelta(days=1)
    return datetime.combine(workday(day), time(16), NEW_YORK)


def next_open(at: int) -> datetime:
    """When the next session begins (New York)."""
    now = datetime.fromtimestamp(at // SECOND, NEW_YORK)
    day = now.date() if now.time() < time(9, 30) else now.date() + timedelta(days=1)
    return datetime.combine(workday(day), time(9, 30), NEW_YORK)


def workday(day: date) -> date:
    """That day, or the Monday after it."""
    return day if day.weekday() < 5 else day + timedelta(days=7 - day.weekday())


def order_body(order: Placed, asset: Asset | None, legs: list[Body] | None = None) -> Body:
    """An order as Alpaca returns it."""
    ended = instant(order.ended)
    expires = ""
    if order.time_in_force == "day":
        expires = next_close(order.created).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = order.facts.get("status", order.status) if order.open else order.status
    return {
        "asset_class": "crypto" if "/" in order.symbol else "us_equity",
        "asset_id": asset_id(asset),
        "canceled_at": ended if order.status == "canceled" else None,
        "client_order_id": order.client_id,
        "created_at": instant(order.created),
        "expired_at": ended if order.status == "expired" else None,
        "expires_at": expires or None,
        "extended_hours": order.extended,
        "failed_at": ended if order.status == "rejected" else None,
        "filled_at": instant(order.filled_at) if order.status == "filled" else None,
        "filled_avg_price": number(order.average_price) if order.filled else None,
        "filled_qty": number(order.filled),
        "hwm": number(order.extreme),
        "id": order.id,
        "legs": legs,
        "limit_price": number(order.limit_price),
        "notional": order.facts.get("notional"),
        "order_class": order.facts.get("order_class", ""),
        "order_type": order.type,
        "position_intent": order.facts.get("position_intent"),
        "qty": number(order.quantity),
        "replaced_at": ended if order.status == "replaced" else None,
        "replaced_by": order.replaced_by or None,
        "replaces": order.replaces or None,
        "side": order.side,
        "source": None,
        "status": status,
        "stop_price": number(order.stop_price),
        "submitted_at": instant(order.created),
        "subtag": None,
        "symbol": order.symbol,
        "time_in_force": order.time_in_force,
        "trail_percent": number(order.trail_percent),
        "trail_price": number(order.trail),
        "type": order.type,
        "updated_at": instant(order.updated),
    }


def asset_id(asset: Asset | None) -> str | None:
    """The id of an asset."""
    return identity("asset", asset.symbol) if asset else None


def asset_body(asset: Asset) -> Body:
    """An asset as Alpaca returns it."""
    borrow = "not_shortable" if not asset.shortable else "hard_to_borrow" if asset.hard_to_borrow else "easy_to_borrow"
    return {
        "attributes": [],
        "borrow_status": borrow,
        "class": "crypto" if "/" in asset.symbol else "us_equity", "easy_to_borrow": borrow == "easy_to_borrow",
        "exchange": "CRYPTO" if "/" in asset.symbol else "NASDAQ", "fractionable": asset.fractional,
        "id": asset_id(asset), "maintenance_margin_requirement": 30, "margin_requirement_long": "30",
        "margin_requirement_short": "30", "marginable": "/" not in asset.symbol, "name": asset.symbol,
        "shortable": asset.shortable, "status": "active" if asset.tradable else "inactive", "symbol": asset.symbol,
        "tradable": asset.tradable,
    }  # fmt: skip


def position_body(books: Brokerage, holding: Holding) -> Body:
    """A position as Alpaca returns it; crypto without its slash."""
    price, quantity = books.worth(holding.symbol), holding.quantity
    gain = (price - holding.average_price) * quantity
    cost = holding.average_price * quantity
    rate = number(gain / abs(cost)) if cost else "0"
    exits = [one for one in books.working(holding.symbol) if one.sign * quantity < 0 and one.status != "held"]
    groups = {one.group or one.id: one.remaining for one in exits}
    crypto = "/" in holding.symbol
    return {
        "asset_class": "crypto" if crypto else "us_equity", "asset_id": asset_id(books.listed(holding.symbol)),
        "asset_marginable": not crypto, "avg_entry_price": number(holding.average_price), "change_today": "0",
        "cost_basis": number(cost), "current_price": number(price), "exchange": "CRYPTO" if crypto else "NASDAQ",
        "lastday_price": number(price), "market_value": number(price * quantity), "qty": number(quantity),
        "qty_available": number((abs(quantity) - sum(groups.values(), ZERO)) * (1 if quantity > 0 else -1)),
        "side": "long" if quantity > 0 else "short", "symbol": holding.symbol.replace("/", ""),
        "unrealized_intraday_pl": number(gain), "unrealized_intraday_plpc": rate, "unrealized_pl": number(gain),
        "unrealized_plpc": rate,
    }  # fmt: skip


def account_body(books: Brokerage, changed: Body) -> Body:
    """The account as Alpaca returns it, with what a test changed of it."""
    values = [books.worth(one.symbol) * one.quantity for one in books.holdings.values()]
    long, short = sum((max(v, ZERO) for v in values), ZERO), sum((min(v, ZERO) for v in values), ZERO)
    equity, power = number(books.equity), number(books.buying_power)
    yesterday = datetime.fromtimestamp(books.clock() // SECOND, NEW_YORK).date() - timedelta(days=1)
    return {
        "account_blocked": False, "account_number": "PA3STANDIN00", "accrued_fees": "0", "admin_configurations": {},
        "balance_asof": yesterday.isoformat(), "buying_power": power, "cash": number(books.cash),
        "created_at": "2026-09-25T03:19:55.183221Z", "crypto_status": "ACTIVE", "crypto_tier": 1, "currency": "USD",
        "effective_buying_power": power, "equity": equity, "id": identity("account"),
        "initial_margin": number((long - short) / 2), "intraday_adjustments": "0", "last_equity": equity,
        "last_maintenance_margin": "0", "long_market_value": number(long),
        "maintenance_margin": number((long - short) * 30 / 100), "multiplier": str(books.multiplier),
        "non_marginable_buying_power": number(max(books.cash, ZERO)), "options_approved_level": 3,
        "options_buying_power": number(max(books.cash, ZERO)), "options_trading_level": 3, "pending_reg_taf_fees": "0",
        "portfolio_value": equity, "position_market_value": number(long + short), "regt_buying_power": power,
        "short_market_value": number(short), "shorting_enabled": True, "sma": equity, "status": "ACTIVE",
        "trade_suspended_by_user": False, "trading_blocked": False, "transfers_blocked": False,
        "user_configurations": None, **changed,
    }  # fmt: skip


def row_id(at: int, *parts: object) -> str:
    """The id of an activity: its time in New York down to the millisecond, and a UUID."""
    seconds, rest = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(seconds, NEW_YORK):%Y%m%d%H%M%S}{rest // 1_000_000:03d}::{identity(*parts)}"


def fill_row(execution: Execution) -> Body:
    """A FILL activity as Alpaca returns it."""
    whole = not execution.leaves
    return {
        "activity_type": "FILL", "cum_qty": number(execution.cumulative),
        "id": row_id(execution.time, "execution", execution.number), "leaves_qty": number(execution.leaves),
        "order_id": execution.order_id, "order_status": "filled" if whole else "partially_filled",
        "price": number(execution.price), "qty": number(execution.quantity), "side": execution.side,
        "symbol": execution.symbol, "transaction_time": instant(execution.time, 6),
        "type": "fill" if whole else "partial_fill",
    }  # fmt: skip


def activity_rows(one: Activity) -> list[Body]:
    """An activity as Alpaca returns it: a row; of a split or a new name two, what goes and what comes."""
    if one.kind == "split":
        before = one.held - one.quantity
        text = f"From QTY:{number(before)}, To QTY:{number(one.held)}"
        way = "FSPLIT" if one.new > one.old else "RSPLIT"
        return _pair(one, "SPLIT", way, text, (one.symbol, -before), (one.symbol, one.held))
    if one.kind == "symbol_change":
        text = f"From {one.symbol} to {one.becomes}"
        return _pair(one, "NC", "SNC", text, (one.symbol, one.quantity), (one.becomes, -one.quantity))
    kind = {"dividend": "DIV", "fee": "FEE", "interest": "INT", "delisting": "REORG"}.get(one.kind)
    if kind is None:
        kind = ("ACATS" if one.symbol else "CSD" if one.cash > 0 else "CSW") if one.kind == "transfer" else "MISC"
    quantity = one.held if kind == "DIV" else one.quantity
    return [_row(one, kind, one.symbol, quantity, 0, description=one.text or one.kind)]


def _pair(
    one: Activity, kind: str, subtype: str, text: str, gone: tuple[str, Decimal], come: tuple[str, Decimal]
) -> list[Body]:
    group = identity("group", one.number)
    return [
        _row(
            one, kind, symbol, quantity, part, activity_sub_type=subtype, group_id=group, description=f"{what}, {text}"
        )
        for part, (what, (symbol, quantity)) in enumerate((("REMOVE", gone), ("ADD", come)))
    ]


def _row(one: Activity, kind: str, symbol: str, quantity: Decimal, part: int, **more: Any) -> Body:
    day = datetime.fromtimestamp(one.time // SECOND, NEW_YORK).date()
    row = {
        "activity_type": kind, "created_at": instant(one.time, 6), "date": day.isoformat(),
        "id": f"{day:%Y%m%d}000000000::{identity('activity', one.number, part)}", "net_amount": number(one.cash),
        "status": "executed", **more,
    }  # fmt: skip
    if symbol:
        row |= {"symbol": symbol, "qty": number(quantity)}
    if one.amount:
        row["per_share_amount"] = number(one.amount)
    return row
