"""Orders, positions and the account of the stand-in, with Alpaca's own client and with raw requests."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import (
    ClosePositionRequest,
    GetCalendarRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from tests.standins.alpaca import AlpacaTrading
from tests.venues.standins.alpaca.conftest import Ask

ORDER_FIELDS = {
    "asset_class", "asset_id", "canceled_at", "client_order_id", "created_at", "expired_at", "expires_at",
    "extended_hours", "failed_at", "filled_at", "filled_avg_price", "filled_qty", "hwm", "id", "legs", "limit_price",
    "notional", "order_class", "order_type", "position_intent", "qty", "replaced_at", "replaced_by", "replaces", "side",
    "source", "status", "stop_price", "submitted_at", "subtag", "symbol", "time_in_force", "trail_percent",
    "trail_price", "type", "updated_at",
}  # fmt: skip
FILL_FIELDS = {
    "activity_type", "cum_qty", "id", "leaves_qty", "order_id", "order_status", "price", "qty", "side", "symbol",
    "transaction_time", "type",
}  # fmt: skip
DAY = {"symbol": "SPY", "time_in_force": TimeInForce.DAY}
BUY = {**DAY, "side": OrderSide.BUY}


def code(caught: pytest.ExceptionInfo[APIError]) -> tuple[int, int, str]:
    return caught.value.status_code, caught.value.code, caught.value.message


def test_a_market_order_is_pending_and_then_filled(client: TradingClient, alpaca: AlpacaTrading) -> None:
    placed: Any = client.submit_order(MarketOrderRequest(**BUY, qty=3, client_order_id="a-1"))
    assert (placed.status, placed.filled_qty) == (OrderStatus.PENDING_NEW, "0")
    later: Any = client.get_order_by_client_id("a-1")
    assert (later.id, later.status, later.filled_avg_price) == (placed.id, OrderStatus.FILLED, "100.01")
    assert [record.client_id for record in alpaca.books.log.accepted()] == ["a-1"]
    assert alpaca.books.log.accepted("a-1")[0].content["quantity"] == 3


def test_an_order_has_the_recorded_fields_with_numbers_as_text(ask: Ask) -> None:
    body = ask.rest("a", 2, "78.19").json()
    assert set(body) == ORDER_FIELDS
    assert (body["qty"], body["limit_price"], body["filled_qty"], body["order_class"]) == ("2", "78.19", "0", "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", body["created_at"])
    assert body["submitted_at"] == body["created_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT2[01]:00:00Z", body["expires_at"])
    assert UUID(body["id"])


@pytest.mark.parametrize(
    ("request_of", "kind"),
    [
        (LimitOrderRequest(**BUY, qty=1, limit_price=50.5), "limit"),
        (StopOrderRequest(**BUY, qty=1, stop_price=150), "stop"),
        (TrailingStopOrderRequest(**BUY, qty=1, trail_percent=5), "trailing_stop"),
        (LimitOrderRequest(**BUY, qty=1, limit_price=50.5, extended_hours=True), "limit"),
    ],
)
def test_each_type_of_order_rests_until_it_is_cancelled(client: TradingClient, request_of: Any, kind: str) -> None:
    placed: Any = client.submit_order(request_of)
    (one,) = client.get_orders()
    assert (one.id, one.type.value, one.status) == (placed.id, kind, OrderStatus.NEW)  # type: ignore[union-attr]
    client.cancel_order_by_id(placed.id)
    after: Any = client.get_order_by_id(placed.id)
    assert after.status == OrderStatus.CANCELED
    assert after.canceled_at is not None


def test_orders_are_listed_by_status_symbol_time_and_number(ask: Ask, alpaca: AlpacaTrading) -> None:
    alpaca.books.price("QQQ", "10", "10.01")
    for number in range(3):
        ask.rest(f"a{number}")
    ask.buy("b", symbol="QQQ")
    names = lambda **query: [one["client_order_id"] for one in ask("GET", "orders", params=query).json()]  # noqa: E731
    assert names() == ["a2", "a1", "a0"]
    assert names(status="closed") == ["b"]
    assert names(status="all", direction="asc", limit=2) == ["a0", "a1"]
    assert names(status="all", symbols="QQQ,IWM") == ["b"]
    first = ask("GET", "orders:by_client_order_id", params={"client_order_id": "a0"}).json()["submitted_at"]
    assert names(after=first, direction="asc") == ["a1", "a2"]
    middle = alpaca.books.by_client_id("a1")
    assert middle is not None
    assert names(after_order_id=middle.id) == ["a2"]
    assert names(before_order_id=middle.id) == ["a0"]
    assert ask("GET", "orders", params={"limit": 501}).status_code == 422


def test_a_bracket_keeps_its_legs_until_it_is_filled(client: TradingClient, alpaca: AlpacaTrading) -> None:
    bracket = LimitOrderRequest(
        **BUY, qty=2, limit_price=99, order_class=OrderClass.BRACKET, take_profit=TakeProfitRequest(limit_price=110),
        stop_loss=StopLossRequest(stop_price=90),
    )  # fmt: skip
    placed: Any = client.submit_order(bracket)
    assert [leg.status for leg in placed.legs] == [OrderStatus.HELD] * 2
    alpaca.books.price("SPY", "98.90", "98.95")
    nested = GetOrdersRequest(status=QueryOrderStatus.ALL, nested=True)
    (shown,) = client.get_orders(nested)
    assert [leg.status for leg in shown.legs] == [OrderStatus.NEW] * 2  # type: ignore[union-attr]
    alpaca.books.price("SPY", "89", "89.01")
    (shown,) = client.get_orders(nested)
    assert {leg.type.value: leg.status.value for leg in shown.legs} == {"limit": "canceled", "stop": "filled"}  # type: ignore[union-attr]
    assert alpaca.books.positions == {}


def test_a_pair_of_exits_is_shown_as_one_with_a_leg(client: TradingClient, alpaca: AlpacaTrading, ask: Ask) -> None:
    ask.buy("in", 5)
    pair = {"side": "sell", "type": "limit", "order_class": "oco", "take_profit": {"limit_price": "120"}}
    body = ask.buy("out", 5, **pair, stop_loss={"stop_price": "80", "limit_price": "79"}).json()
    assert (body["limit_price"], [leg["type"] for leg in body["legs"]]) == ("120", ["stop_limit"])
    (shown,) = ask("GET", "orders", params={"nested": "true"}).json()
    assert [leg["stop_price"] for leg in shown["legs"]] == ["80"]
    alpaca.books.fill(body["id"], 2, "120")
    assert alpaca.books.orders[shown["legs"][0]["id"]].quantity == 3
    client.cancel_order_by_id(body["id"])
    assert ask("GET", "orders").json() == []


def test_a_replacement_has_an_id_of_its_own(client: TradingClient, ask: Ask) -> None:
    old: Any = client.submit_order(LimitOrderRequest(**BUY, qty=3, limit_price=50, client_order_id="old"))
    wanted = ReplaceOrderRequest(qty=2, limit_price=51, client_order_id="new")
    new: Any = client.replace_order_by_id(old.id, wanted)
    assert (new.replaces, new.qty, new.limit_price, new.client_order_id) == (old.id, "2", "51", "new")
    before: Any = client.get_order_by_id(old.id)
    assert (before.status, before.replaced_by) == (OrderStatus.REPLACED, new.id)
    again = ask("PATCH", f"orders/{old.id}", json={"qty": "1"})
    assert (again.status_code, again.json()["code"]) == (422, 42210000)


@pytest.mark.parametrize(("carried", "begins", "left"), [(True, ("5", "2", "50"), 3), (False, ("5", "0", None), 5)])
def test_a_replacement_carries_what_was_filled_or_does_not(
    alpaca: AlpacaTrading, ask: Ask, carried: bool, begins: tuple[str, str, str | None], left: int
) -> None:
    alpaca.faults.carried = carried
    order_id = ask.rest("a", 5).json()["id"]
    alpaca.books.fill(order_id, 2)
    made = ask("PATCH", f"orders/{order_id}", json={"limit_price": "51"}).json()
    shown = ask("GET", f"orders/{made['id']}").json()
    for body in (made, shown):
        assert (body["qty"], body["filled_qty"], body["filled_avg_price"]) == begins
    alpaca.books.price("SPY", "50.90", "51")
    assert alpaca.books.positions == {"SPY": 2 + left}
    rows = ask("GET", "account/activities/FILL", params={"direction": "asc"}).json()
    assert [(row["qty"], row["cum_qty"]) for row in rows] == [("2", "2"), (str(left), "5")]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "order parameters are not changed"),
        ({"limit_price": "50.0"}, "order parameters are not changed"),
        ({"qty": "2"}, "qty must be > filled_qty"),
        ({"qty": "7.5"}, "qty cannot be changed for fractional orders"),
    ],
)
def test_a_replacement_that_changes_nothing_or_too_much_is_refused(
    alpaca: AlpacaTrading, ask: Ask, fields: dict[str, str], message: str
) -> None:
    order_id = ask.rest("a", 5).json()["id"]
    alpaca.books.fill(order_id, 2)
    reply = ask("PATCH", f"orders/{order_id}", json=fields)
    assert (reply.status_code, reply.json()) == (422, {"code": 42210000, "message": message})
    assert ask("GET", f"orders/{order_id}").json()["status"] == "partially_filled"


def test_the_legs_of_a_bracket_follow_its_replacement(alpaca: AlpacaTrading, ask: Ask) -> None:
    bracket = {"order_class": "bracket", "take_profit": {"limit_price": "110"}, "stop_loss": {"stop_price": "40"}}
    old = ask.rest("a", 5, **bracket).json()
    new = ask("PATCH", f"orders/{old['id']}", json={"limit_price": "51"}).json()
    alpaca.books.fill(new["id"])
    legs = [ask("GET", f"orders/{leg['id']}").json()["status"] for leg in old["legs"]]
    assert legs == ["new", "new"]


def test_positions_are_told_and_closed(client: TradingClient, alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.books.price("BTC/USD", "60000", "60010")
    ask.buy("a", 10)
    ask.buy("b", "0.5", symbol="BTC/USD", time_in_force="gtc")
    ask.rest("exit", 4, "150", side="sell")
    by_symbol = {one.symbol: one for one in client.get_all_positions()}  # type: ignore[union-attr]
    assert (by_symbol["SPY"].qty, by_symbol["SPY"].qty_available) == ("10", "6")
    assert by_symbol["BTCUSD"].avg_entry_price == "60010"
    client.close_position("SPY", ClosePositionRequest(qty="6"))
    assert alpaca.books.positions["SPY"] == 4
    client.close_all_positions(cancel_orders=True)
    assert alpaca.books.positions == {}
    with pytest.raises(APIError) as caught:
        client.get_open_position("SPY")
    assert code(caught) == (404, 40410000, "position does not exist")


def test_the_account_counts_cash_and_buying_power(client: TradingClient, alpaca: AlpacaTrading, ask: Ask) -> None:
    ask.buy("a", 10)
    account: Any = client.get_account()
    assert (account.cash, account.equity, account.multiplier) == ("98999.9", "99999.9", "4")
    assert Decimal(account.buying_power) == Decimal("99999.9") * 4 - 1000
    alpaca.rest.account["account_blocked"] = True
    assert client.get_account().account_blocked  # type: ignore[union-attr]
    assert "pattern_day_trader" not in ask("GET", "account").json()
    assert client.get_account_configurations().no_shorting is False  # type: ignore[union-attr]


def test_executions_are_activities_that_are_paged(client: TradingClient, ask: Ask) -> None:
    for number in range(5):
        ask.buy(f"a{number}", number + 1)
    page: Any = client.get("/account/activities/FILL", {"page_size": 2, "direction": "asc"})
    assert set(page[0]) == FILL_FIELDS
    assert [(row["qty"], row["cum_qty"], row["leaves_qty"], row["type"]) for row in page][1] == ("2", "2", "0", "fill")
    rest: Any = client.get(
        "/account/activities/FILL", {"page_size": 100, "direction": "asc", "page_token": page[-1]["id"]}
    )
    assert [row["qty"] for row in rest] == ["3", "4", "5"]
    newest: Any = client.get("/account/activities", {"activity_types": "FILL,DIV", "page_size": 1})
    assert newest[0]["qty"] == "5"
    late: Any = client.get("/account/activities", {"after": page[-1]["transaction_time"], "direction": "asc"})
    assert [row["qty"] for row in late] == ["3", "4", "5"]


def test_an_activitys_id_begins_with_the_time_in_new_york() -> None:
    at = 1_791_472_218_097_465_000  # 2026-10-08T15:10:18.097465Z
    with AlpacaTrading(clock=lambda: at) as alpaca:
        alpaca.books.price("KO", "86.87", "86.878")
        Ask(alpaca).buy("a", "0.057436865", symbol="KO")
        (row,) = Ask(alpaca)("GET", "account/activities/FILL").json()
    assert row["id"].startswith("20261008111018097::")
    assert row["transaction_time"] == "2026-10-08T15:10:18.097465Z"


def test_what_changes_the_account_without_an_order_is_an_activity(ask: Ask, alpaca: AlpacaTrading) -> None:
    ask.buy("a", 10)
    books = alpaca.books
    books.split("SPY", 2, 1)
    books.dividend("SPY", "0.5")
    books.fee("0.02")
    books.transfer(cash="100")
    books.rename("SPY", "SPX")
    query = {"direction": "asc", "activity_types": "SPLIT,DIV,FEE,CSD,NC"}
    rows = ask("GET", "account/activities", params=query).json()
    told = [(row["activity_type"], row.get("symbol"), row.get("qty"), row["net_amount"]) for row in rows]
    assert told == [
        ("SPLIT", "SPY", "-10", "0"), ("SPLIT", "SPY", "20", "0"), ("DIV", "SPY", "20", "10"),
        ("FEE", None, None, "-0.02"), ("CSD", None, None, "100"), ("NC", "SPY", "-20", "0"), ("NC", "SPX", "20", "0"),
    ]  # fmt: skip
    assert rows[0]["group_id"] == rows[1]["group_id"]
    assert rows[0]["description"] == "REMOVE, From QTY:10, To QTY:20"
    assert re.fullmatch(r"\d{8}000000000::[0-9a-f-]{36}", rows[2]["id"])


def test_the_market_has_a_clock_a_calendar_and_assets(client: TradingClient, alpaca: AlpacaTrading, ask: Ask) -> None:
    assert client.get_clock().is_open  # type: ignore[union-attr]
    alpaca.books.close_market()
    assert not client.get_clock().is_open  # type: ignore[union-attr]
    assert re.search(r"T\d\d:\d\d:\d\d\.\d{9}-0[45]:00$", ask("GET", "clock").json()["timestamp"])
    (day, *_) = client.get_calendar(GetCalendarRequest(start="2026-11-21", end="2026-11-24"))  # type: ignore[arg-type]
    assert (str(day.date), day.open.hour, day.close.hour) == ("2026-11-23", 9, 16)  # type: ignore[union-attr]
    alpaca.books.asset("SPY", shortable=False)
    assert client.get_asset("SPY").shortable is False  # type: ignore[union-attr]
    assert ask("GET", "assets/NOPE").status_code == 404


def test_orders_wait_for_the_market_to_open(ask: Ask, alpaca: AlpacaTrading) -> None:
    alpaca.books.close_market()
    body = ask.buy("a").json()
    assert body["status"] == "accepted"
    refused = ask("PATCH", f"orders/{body['id']}", json={"qty": "2"}).json()
    assert refused == {"code": 42210000, "message": "cannot replace order in accepted status"}
    alpaca.books.open_market()
    assert ask("GET", f"orders/{body['id']}").json()["status"] == "filled"


REFUSED: list[tuple[dict[str, object], int, int, str]] = [
    ({"symbol": "NOPE"}, 422, 42210000, 'asset "NOPE" not found'),
    ({"qty": "0"}, 422, 40010001, "qty must be > 0"),
    ({"qty": "1.5", "time_in_force": "gtc"}, 422, 42210000, "fractional orders must be DAY orders"),
    ({"type": "limit"}, 422, 40010001, "limit orders require a limit price"),
    ({"type": "stop", "limit_price": "9"}, 422, 40010001, "stop orders require a stop price"),
    ({"limit_price": "9"}, 422, 40010001, "market orders require no stop or limit price"),
    (
        {"order_class": "oto", "stop_loss": {"stop_price": "99.99"}}, 422, 42210000,
        "stop price must not be greater than base price / 1.001",
    ),
    (
        {"symbol": "HTB", "time_in_force": "gtc"}, 422, 42210000,
        'only day orders are allowed for hard-to-borrow asset "HTB"',
    ),
    (
        {"type": "limit", "limit_price": "290.123"}, 422, 42210000,
        "invalid limit_price 290.123. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    ({"time_in_force": "gtd"}, 422, 40010001, "invalid time_in_force"),
    ({"qty": "many"}, 422, 40010001, "qty is not a number: many"),
    ({"qty": None}, 422, 40010001, "qty or notional is required"),
    ({"notional": "5"}, 422, 40010001, "only one of qty or notional is accepted"),
    ({"extended_hours": True}, 422, 42210000, "extended hours order must be DAY or GTC limit orders"),
    ({"symbol": "BTC/USD"}, 422, 42210000, "invalid crypto time_in_force"),
    ({"qty": "9999"}, 403, 40310000, "insufficient buying power"),
    ({"client_order_id": "first"}, 422, 40010001, "client_order_id must be unique"),
    ({"symbol": "HTB", "side": "sell"}, 422, 42210000, "asset HTB cannot be sold short"),
    ({"symbol": "HTB", "qty": "1.5"}, 403, 40310000, 'asset "HTB" is not fractionable'),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "number", "message"), REFUSED)
def test_what_alpaca_does_not_take_it_refuses_with_its_words(
    ask: Ask, alpaca: AlpacaTrading, fields: dict[str, object], status: int, number: int, message: str
) -> None:
    alpaca.books.price("BTC/USD", "60000", "60010")
    alpaca.books.price("HTB", "5", "5.01")
    alpaca.books.asset("HTB", shortable=False, fractional=False, hard_to_borrow=True)
    ask.rest("first")
    reply = ask.buy("x", **fields)
    assert (reply.status_code, reply.json()["code"], reply.json()["message"]) == (status, number, message)
    assert [record.client_id for record in alpaca.books.log.accepted()] == ["first"]


def test_shares_held_for_orders_are_told_with_the_refusal(ask: Ask) -> None:
    ask.buy("a", "0.557436865", symbol="SPY")
    resting = ask.rest("b", "0.5", "150", side="sell").json()["id"]
    reply = ask.buy("c", "1.057436865", side="sell")
    assert reply.status_code == 403
    assert reply.json() == {
        "available": "0.057436865", "code": 40310000, "existing_qty": "0.557436865", "held_for_orders": "0.5",
        "message": "insufficient qty available for order (requested: 1.057436865, available: 0.057436865)",
        "symbol": "SPY", "related_orders": [resting],
    }  # fmt: skip


def test_an_order_against_an_own_one_is_a_wash_trade(ask: Ask) -> None:
    ask.buy("a", 10)
    resting = ask.rest("b", 1, "101", side="sell").json()["id"]
    body = ask.buy("c").json()
    assert (body["existing_order_id"], body["code"]) == (resting, 40310000)
    assert body["message"] == "potential wash trade detected. use complex orders"
    crossing = ask.rest("d", 1, "101").json()
    assert (crossing["buy_limit_price"], crossing["sell_limit_price"]) == ("101", "101")


def test_what_is_not_there_is_not_found(client: TradingClient, ask: Ask) -> None:
    for call in (
        lambda: client.get_order_by_client_id("nobody"),
        lambda: client.get_order_by_id(UUID(int=1)),
        lambda: client.cancel_order_by_id(UUID(int=1)),
    ):
        with pytest.raises(APIError) as caught:
            call()
        assert code(caught) == (404, 40410000, "order not found")
    assert ask("GET", "orders/no-uuid").json() == {"code": 40010001, "message": "order_id is missing"}
    assert ask("GET", "nowhere").status_code == 404


def test_a_filled_order_cannot_be_cancelled(client: TradingClient) -> None:
    placed: Any = client.submit_order(MarketOrderRequest(**BUY, qty=1))
    with pytest.raises(APIError) as caught:
        client.cancel_order_by_id(placed.id)
    assert code(caught) == (422, 42210000, 'order is already in "filled" state')


def test_all_open_orders_are_cancelled_at_once(client: TradingClient, ask: Ask) -> None:
    ids = [ask.rest(f"a{number}").json()["id"] for number in range(3)]
    answers = client.cancel_orders()
    assert [(str(one.id), one.status) for one in answers] == [(name, 200) for name in ids]  # type: ignore[union-attr]
    assert ask("DELETE", f"orders/{ids[0]}").status_code == 422
    assert ask("DELETE", "orders").status_code == 207
