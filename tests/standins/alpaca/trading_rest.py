"""The trading REST over a brokerage, as questions and answers without a socket."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from msgspec.structs import replace as changed

from tests.standins.alpaca import trading_orders
from tests.standins.alpaca.data_rest import Reply
from tests.standins.alpaca.data_rest import Request as Asked
from tests.standins.alpaca.market import instant as read_instant
from tests.standins.alpaca.trading_bodies import (
    NEW_YORK,
    SECOND,
    account_body,
    activity_rows,
    asset_body,
    fill_row,
    identity,
    next_close,
    next_open,
    order_body,
    position_body,
    workday,
)
from tests.standins.alpaca.trading_faults import TradingFaults
from tests.standins.alpaca.trading_orders import Body, decimal, replacement
from tests.standins.alpaca.trading_refusals import MALFORMED, MISSING, Invalid, refused
from tests.standins.brokerage import Brokerage, Placed, Refusal

PAGE, PAGE_MAX, ORDERS, ORDERS_MAX = 100, 100, 50, 500
FAR = 1 << 62


class TradingRest:
    """Answers from a brokerage; ``account`` are fields of the account that a test sets."""

    def __init__(self, books: Brokerage, faults: TradingFaults) -> None:
        self.books, self.faults = books, faults
        self.account: Body = {}
        self.configurations: Body = {
            "dtbp_check": "entry", "fractional_trading": True, "max_margin_multiplier": "4", "no_shorting": False,
            "pdt_check": "entry", "ptp_no_exception_entry": False, "suspend_trade": False,
            "trade_confirm_email": "all",
        }  # fmt: skip
        self._serial = 0
        self._lock = threading.Lock()

    def answer(self, request: Asked) -> Reply | None:
        """The answer; None for a path that is not of this surface."""
        for method, pattern, answer in _PATHS:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                return self._answered(answer, request, found.groupdict())
        return None

    def _answered(self, answer: Callable[..., Reply], request: Asked, parts: dict[str, str]) -> Reply:
        symbol = str(request.body.get("symbol", "")) if isinstance(request.body, dict) else ""
        try:
            return answer(self, request, **parts)
        except Invalid as invalid:
            return invalid.reply
        except Refusal as refusal:
            return refused(refusal, symbol)

    # --- orders -----------------------------------------------------------------------------------------------------

    def _place(self, request: Asked) -> Reply:
        if not isinstance(request.body, dict):
            raise Invalid("request body format is invalid", MALFORMED, 400)
        with self._lock:
            self._serial += 1
            serial = self._serial
        asked = trading_orders.Request(self.books, request.body, serial)
        if asked.symbol in self.faults.halted and asked.type != "limit":
            raise Refusal("halted", "")
        books, fields = self.books, asked.fields
        with books.together():
            order = books.place(**fields)
            placed = [books.place(parent="" if fields["group"] else order.id, **leg) for leg in asked.legs(serial)]
            self._misbehave(order)
        return Reply(200, self._as_taken(order, placed))

    def _as_taken(self, order: Placed, legs: list[Placed]) -> Body:
        """As the answer to its POST tells it: taken, and nothing has happened yet."""
        status = "accepted" if order.status == "accepted" else self.faults.taken_as
        bare = changed(
            order, filled=Decimal(0), average_price=Decimal(0), ended=0, filled_at=0, updated=order.created,
            status="new", facts={**order.facts, "status": status},
        )  # fmt: skip
        return self._told(bare, [self._told(leg) for leg in legs] or None)

    def _misbehave(self, order: Placed) -> None:
        """Partial, then cancelled by the broker; or rejected after it was taken."""
        if order.open and self.faults.use("partial_then_cancel"):
            self.books.fill(order.id, max(order.remaining // 2, order.remaining % 1) or order.remaining / 2)
            self.books.cancel(order.id)
        elif order.open and self.faults.use("reject_later"):
            self.books.reject(order.id, "rejected by the venue")

    def _list(self, request: Asked) -> Reply:
        query = request.query
        wanted = query.get("status", "open")
        if wanted not in ("open", "closed", "all"):
            raise Invalid(f"invalid status: {wanted}", MALFORMED)
        limit = _count(query, "limit", ORDERS, ORDERS_MAX)
        orders = [one for one in self._visible().values() if wanted == "all" or one.open == (wanted == "open")]
        if symbols := query.get("symbols"):
            orders = [one for one in orders if one.symbol in symbols.split(",")]
        if side := query.get("side"):
            orders = [one for one in orders if one.side == side]
        after, until = _time(query, "after", 0), _time(query, "until", FAR)
        orders = [one for one in orders if after < one.created < until]
        if "after_order_id" in query:
            orders = [one for one in orders if one.number > self._order(query["after_order_id"]).number]
        if "before_order_id" in query:
            orders = [one for one in orders if one.number < self._order(query["before_order_id"]).number]
        orders.sort(key=lambda one: (one.created, one.number), reverse=query.get("direction", "desc") != "asc")
        nested = _true(query, "nested")
        if nested:
            parents = {one.id for one in orders}
            orders = [one for one in orders if self._parent(one) not in parents]
        return Reply(200, [self._nested(one, nested) for one in orders[:limit]])

    def _get(self, request: Asked, order_id: str) -> Reply:
        return Reply(200, self._nested(self._order(order_id), _true(request.query, "nested")))

    def _by_client_id(self, request: Asked) -> Reply:
        found = self.books.by_client_id(request.query.get("client_order_id", ""))
        if found is None or found.id not in self._visible():
            raise Refusal("not_found", "")
        return Reply(200, self._nested(found, True))

    def _cancel(self, request: Asked, order_id: str) -> Reply:
        order = self._order(order_id)
        if not order.open:
            raise Refusal("not_open", "", status=order.status)
        if self.faults.use("lost_cancels"):
            return Reply(204, None)
        if self.faults.use("cancel_loses"):
            self.books.fill(order.id)
        elif self.faults.use("cancel_hangs"):
            self.books.note(order.id, "pending_cancel")
        else:
            self.books.cancel(order.id)
            if self.faults.use("late_fill"):
                self.books.fill(order.id, late=True)
        return Reply(204, None)

    def _cancel_all(self, request: Asked) -> Reply:
        answers = []
        for one in self.books.orders.values():
            if self.books.orders[one.id].open:
                self._cancel(request, one.id)
                answers.append({"id": one.id, "status": 200})
        return Reply(207, answers)

    def _replace(self, request: Asked, order_id: str) -> Reply:
        order, body = self._order(order_id), request.body if isinstance(request.body, dict) else {}
        if not order.open:
            raise Refusal("not_open", "", status=order.status)
        fields = replacement(order, body)
        carried = self.faults.carried
        if not carried and fields["quantity"] is None:
            fields["quantity"] = order.quantity
        with self._lock:
            self._serial += 1
            client_id = str(body.get("client_order_id") or identity("client", self._serial))
        late = self.faults.use("replace_loses")
        new = self.books.replace(order.id, client_id, late=late, carried=carried, **fields)
        taken = self._as_taken(new, [])
        if carried:
            taken |= {name: self._told(order)[name] for name in ("filled_qty", "filled_avg_price")}
        return Reply(200, taken)

    # --- positions and the account ----------------------------------------------------------------------------------

    def _positions(self, request: Asked) -> Reply:
        return Reply(200, [position_body(self.books, one) for one in self.books.holdings.values()])

    def _position(self, request: Asked, symbol: str) -> Reply:
        for one in self.books.holdings.values():
            body = position_body(self.books, one)
            if symbol in (one.symbol, body["symbol"], body["asset_id"]):
                return Reply(200, body)
        raise Invalid("position does not exist", MISSING, 404)

    def _close(self, request: Asked, symbol: str) -> Reply:
        body = self._position(request, symbol).body
        symbol = next(one for one in self.books.holdings if one.replace("/", "") == body["symbol"])
        part = decimal(request.query, "qty")  # type: ignore[arg-type]
        quantity = part if part is not None else abs(self.books.positions[symbol])
        if "percentage" in request.query:
            quantity *= Decimal(request.query["percentage"]) / 100
        order: Body = {
            "symbol": symbol, "qty": str(quantity), "side": "sell" if body["side"] == "long" else "buy",
            "type": "market", "time_in_force": "gtc" if "/" in symbol else "day",
        }  # fmt: skip
        return self._answered(TradingRest._place, Asked("/v2/orders", {}, "POST", order), {})

    def _close_all(self, request: Asked) -> Reply:
        if _true(request.query, "cancel_orders"):
            self._cancel_all(request)
        closed = []
        for symbol in self.books.positions:
            reply = self._close(Asked("", {}), symbol)
            closed.append({"symbol": symbol.replace("/", ""), "status": reply.status, "body": reply.body})
        return Reply(207, closed)

    def _account(self, request: Asked) -> Reply:
        return Reply(200, account_body(self.books, self.account))

    def _configurations(self, request: Asked) -> Reply:
        if isinstance(request.body, dict):
            self.configurations |= request.body
        return Reply(200, dict(self.configurations))

    def _history(self, request: Asked) -> Reply:
        at, equity = self.books.clock() // SECOND, float(self.books.equity)
        return Reply(200, {
            "timestamp": [at], "equity": [equity], "profit_loss": [0.0], "profit_loss_pct": [0.0],
            "base_value": equity, "timeframe": "1D",
        })  # fmt: skip

    def _activities(self, request: Asked, kind: str = "") -> Reply:
        query = request.query
        kinds = [kind] if kind else [one for one in query.get("activity_types", "").split(",") if one]
        rows = [row for at, row in self._rows() if not kinds or row["activity_type"] in kinds]
        after, until = _time(query, "after", 0), _time(query, "until", FAR)
        rows = [row for row in rows if after < _made(row) < until]
        if "date" in query:
            rows = [row for row in rows if row["id"][:8] == query["date"].replace("-", "")]
        if query.get("direction", "desc") != "asc":
            rows.reverse()
        limit = _count(query, "page_size", PAGE, PAGE_MAX)
        if token := query.get("page_token"):
            ids = [row["id"] for row in rows]
            if token not in ids:
                raise Invalid("invalid page_token", MALFORMED)
            rows = rows[ids.index(token) + 1 :]
        return Reply(200, rows[:limit])

    def _rows(self) -> list[tuple[int, Body]]:
        """All activities, oldest first; those of the last seconds not, where activities lag."""
        newest = self.books.clock() - int(self.faults.activities_lag * SECOND)
        rows = [(one.time, fill_row(one)) for one in self.books.executions if not one.busted]
        rows += [(one.time, row) for one in self.books.activities for row in activity_rows(one)]
        return sorted((pair for pair in rows if pair[0] <= newest), key=lambda pair: pair[0])

    # --- the market -------------------------------------------------------------------------------------------------

    def _clock(self, request: Asked) -> Reply:
        at = self.books.clock()
        now = datetime.fromtimestamp(at // SECOND, NEW_YORK)
        text = f"{now:%Y-%m-%dT%H:%M:%S}.{at % SECOND:09d}{now.isoformat()[-6:]}"
        return Reply(200, {
            "timestamp": text, "is_open": self.books.is_open(), "next_open": next_open(at).isoformat(),
            "next_close": next_close(at).isoformat(),
        })  # fmt: skip

    def _calendar(self, request: Asked) -> Reply:
        today = datetime.fromtimestamp(self.books.clock() // SECOND, NEW_YORK).date()
        try:
            first = date.fromisoformat(request.query.get("start", str(today))[:10])
            last = date.fromisoformat(request.query.get("end", str(first + timedelta(days=30)))[:10])
        except ValueError:
            raise Invalid("invalid start or end", MALFORMED) from None
        days = [first + timedelta(days=number) for number in range(min((last - first).days, 3660) + 1)]
        return Reply(200, [_day(day) for day in days if workday(day) == day])

    def _assets(self, request: Asked) -> Reply:
        wanted = request.query.get("asset_class", "us_equity")
        bodies = [asset_body(one) for one in self.books.assets.values()]
        return Reply(200, [body for body in bodies if body["class"] == wanted])

    def _asset(self, request: Asked, symbol: str) -> Reply:
        for one in self.books.assets.values():
            if symbol in (one.symbol, one.symbol.replace("/", ""), asset_body(one)["id"]):
                return Reply(200, asset_body(one))
        raise Invalid(f"asset not found for {symbol}", MISSING, 404)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _visible(self) -> dict[str, Placed]:
        """The orders that can be seen: the youngest not, where orders show late."""
        newest = self.books.clock() - int(self.faults.orders_lag * SECOND)
        return {name: one for name, one in self.books.orders.items() if one.created <= newest}

    def _order(self, order_id: str) -> Placed:
        try:
            UUID(order_id)
        except ValueError:
            raise Invalid("order_id is missing", MALFORMED) from None
        found = self._visible().get(order_id)
        if found is None:
            raise Refusal("not_found", "")
        return found

    def _parent(self, order: Placed) -> str:
        """The order it is shown below: its parent, or the take-profit of its pair."""
        if order.parent or order.facts.get("order_class") != "oco":
            return order.parent
        first = next(one for one in self.books.orders.values() if one.group == order.group)
        return "" if first.id == order.id else first.id

    def _nested(self, order: Placed, nested: bool) -> Body:
        complex_order = bool(order.facts.get("order_class"))
        legs = [one for one in self.books.orders.values() if self._parent(one) == order.id] if complex_order else []
        return self._told(order, [self._told(one) for one in legs] or None if nested else None)

    def _told(self, order: Placed, legs: list[Body] | None = None) -> Body:
        body = order_body(order, self.books.listed(order.symbol), legs)
        if self.faults.new_status:
            body["status"] = self.faults.new_status
        return body


def _day(day: date) -> Body:
    return {
        "date": day.isoformat(), "open": "09:30", "close": "16:00", "session_open": "0400", "session_close": "2000",
        "settlement_date": workday(day + timedelta(days=1)).isoformat(),
    }  # fmt: skip


def _made(row: Body) -> int:
    return read_instant(row.get("transaction_time") or row["created_at"])


def _time(query: dict[str, str], name: str, default: int) -> int:
    try:
        return read_instant(query[name]) if name in query else default
    except ValueError:
        raise Invalid(f"invalid {name}: {query[name]}", MALFORMED) from None


def _true(query: dict[str, str], name: str) -> bool:
    return query.get(name, "").lower() == "true"


def _count(query: dict[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Invalid(f"invalid {name}: {text}", MALFORMED)
    return int(text)


_ID = "(?P<order_id>[^/]+)"
_PATHS: tuple[tuple[str, re.Pattern[str], Callable[..., Reply]], ...] = tuple(
    (method, re.compile(f"/v2/{pattern}"), answer)
    for method, pattern, answer in (
        ("POST", "orders", TradingRest._place),
        ("GET", "orders", TradingRest._list),
        ("DELETE", "orders", TradingRest._cancel_all),
        ("GET", "orders:by_client_order_id", TradingRest._by_client_id),
        ("GET", f"orders/{_ID}", TradingRest._get),
        ("PATCH", f"orders/{_ID}", TradingRest._replace),
        ("DELETE", f"orders/{_ID}", TradingRest._cancel),
        ("GET", "positions", TradingRest._positions),
        ("DELETE", "positions", TradingRest._close_all),
        ("GET", "positions/(?P<symbol>.+)", TradingRest._position),
        ("DELETE", "positions/(?P<symbol>.+)", TradingRest._close),
        ("GET", "account", TradingRest._account),
        ("GET", "account/configurations", TradingRest._configurations),
        ("PATCH", "account/configurations", TradingRest._configurations),
        ("GET", "account/portfolio/history", TradingRest._history),
        ("GET", "account/activities", TradingRest._activities),
        ("GET", "account/activities/(?P<kind>[A-Z]+)", TradingRest._activities),
        ("GET", "clock", TradingRest._clock),
        ("GET", "calendar", TradingRest._calendar),
        ("GET", "assets", TradingRest._assets),
        ("GET", "assets/(?P<symbol>.+)", TradingRest._asset),
    )
)
