"""What Alpaca's paper account really answered on 2026-10-08, as facts typed anew (brokers.md A.5 names the recordings),
and messages of the stream in the form its documentation gives them, around the recorded orders."""

from __future__ import annotations

import json
from typing import Any

Body = dict[str, Any]
KO, OCGN = "3795cafe-fd54-4f66-a31e-66774be875ca", "3e59f0bd-a197-4e69-995a-733be53ecb0f"
_NEVER = (
    "canceled_at", "expired_at", "failed_at", "filled_at", "filled_avg_price", "hwm", "legs", "limit_price", "notional",
    "replaced_at", "replaced_by", "replaces", "source", "stop_price", "subtag", "trail_percent", "trail_price",
)  # fmt: skip


def order(**facts: Any) -> Body:
    """An order with all recorded fields: a market order for one share of KO, but for what is given."""
    return {
        **dict.fromkeys(_NEVER), "asset_class": "us_equity", "asset_id": KO, "expires_at": "2026-10-08T20:00:00Z",
        "extended_hours": False, "filled_qty": "0", "order_class": "", "order_type": facts.get("type", "market"),
        "position_intent": "buy_to_open", "qty": "1", "side": "buy", "status": "pending_new", "symbol": "KO",
        "time_in_force": "day", "type": "market", **facts,
    }  # fmt: skip


_WHOLE = {
    "client_order_id": "rec20261008151015-2", "created_at": "2026-10-08T15:10:18.909428548Z",
    "id": "61d1feca-aa11-4863-8b79-64c5e4731a98",
}  # fmt: skip
BUY_WHOLE = order(**_WHOLE, submitted_at="2026-10-08T15:10:18.909428548Z", updated_at="2026-10-08T15:10:18.910283851Z")
"""The answer to the POST."""
BUY_WHOLE_FILLED = order(
    **_WHOLE, submitted_at="2026-10-08T15:10:18.914932703Z", updated_at="2026-10-08T15:10:19.063061256Z",
    status="filled", filled_qty="1", filled_avg_price="86.88", filled_at="2026-10-08T15:10:19.061298673Z",
)  # fmt: skip
"""The same order, asked for later."""
BUY_NOTIONAL_FILLED = order(
    client_order_id="rec20261008151015-1", created_at="2026-10-08T15:10:18.094153596Z", notional="5", qty=None,
    id="f1a08ee3-8b15-4d31-b04b-944f30a06604", submitted_at="2026-10-08T15:10:18.094153596Z", status="filled",
    filled_qty="0.057436865", filled_avg_price="86.878", filled_at="2026-10-08T15:10:18.097464903Z",
    updated_at="2026-10-08T15:10:18.098304763Z",
)  # fmt: skip
"""Five dollars' worth."""
_OCGN = {
    "client_order_id": "rec20261008151015-6", "created_at": "2026-10-08T15:10:23.428111388Z", "symbol": "OCGN",
    "id": "d92d343a-92b2-4185-a56f-cea58fc745d9", "asset_id": OCGN,
}  # fmt: skip
BUY_OCGN = (
    order(**_OCGN, submitted_at="2026-10-08T15:10:23.428111388Z", updated_at="2026-10-08T15:10:23.429513612Z"),
    order(
        **_OCGN, submitted_at="2026-10-08T15:10:23.432781944Z", updated_at="2026-10-08T15:10:23.433927453Z",
        status="new",
    ),
    order(
        **_OCGN, submitted_at="2026-10-08T15:10:23.432781944Z", updated_at="2026-10-08T15:10:24.012294196Z",
        status="filled", filled_qty="1", filled_avg_price="0.9858", filled_at="2026-10-08T15:10:24.01080215Z",
    ),
)  # fmt: skip
"""An order as it was answered, and as it was found twice afterwards: pending_new, new, filled after 0.58 s."""
RESTING_CANCELED = order(
    client_order_id="rec20261008151015-5", created_at="2026-10-08T15:10:21.371060727Z", type="limit",
    id="ad78ddf9-eadd-49e7-b451-eebfcf25ff04", limit_price="78.19", submitted_at="2026-10-08T15:10:21.375005748Z",
    updated_at="2026-10-08T15:10:22.180077272Z", status="canceled", canceled_at="2026-10-08T15:10:22.178543328Z",
)  # fmt: skip


def _fill(at: str, row: str, order_id: str, quantity: str, price: str, side: str = "buy", symbol: str = "KO") -> Body:
    return {
        "activity_type": "FILL", "cum_qty": quantity, "id": row, "leaves_qty": "0", "order_id": order_id,
        "order_status": "filled", "price": price, "qty": quantity, "side": side, "symbol": symbol,
        "transaction_time": at, "type": "fill",
    }  # fmt: skip


FILLS = [
    _fill("2026-10-08T15:10:18.097465Z", "20261008111018097::fc1f73e1-a5c2-4d43-81ec-fb503c42ca5c",
          "f1a08ee3-8b15-4d31-b04b-944f30a06604", "0.057436865", "86.878"),
    _fill("2026-10-08T15:10:19.061299Z", "20261008111019061::5f19ad50-36aa-44e1-9313-094944098fd6",
          "61d1feca-aa11-4863-8b79-64c5e4731a98", "1", "86.88"),
    _fill("2026-10-08T15:10:19.730663Z", "20261008111019730::f16616ea-a1dc-4ea6-b96e-b9b4b270d50d",
          "4825c6d6-47e6-4095-ac04-d233b5d5904b", "0.5", "86.872", "sell"),
    _fill("2026-10-08T15:10:24.010802Z", "20261008111024010::ee7cc649-8afc-409b-af86-6e8491996365",
          "d92d343a-92b2-4185-a56f-cea58fc745d9", "1", "0.9858", symbol="OCGN"),
    _fill("2026-10-08T15:10:40.503141Z", "20261008111040503::dae49bf5-19f3-4ff6-8478-ed284a3269b3",
          "5ccb847e-e651-4e99-8bf2-c9e0c4401efa", "0.557436865", "86.882", "sell"),
    _fill("2026-10-08T15:10:42.191101Z", "20261008111042191::600f978b-ee00-4b5c-ac5f-bd9f045c61e1",
          "bf4ad4dc-42e9-40fd-85c6-afa5885fb04d", "1", "0.9808", "sell", "OCGN"),
]  # fmt: skip
"""The account's FILL activities of that minute."""
POSITIONS = [
    {
        "asset_class": "us_equity", "asset_id": KO, "asset_marginable": True, "avg_entry_price": "86.879891",
        "change_today": "0.01235", "cost_basis": "48.430054", "current_price": "86.88", "exchange": "NYSE",
        "lastday_price": "85.82", "market_value": "48.430115", "qty": "0.557436865", "qty_available": "0.557436865",
        "side": "long", "symbol": "KO", "unrealized_intraday_pl": "0.000061", "unrealized_intraday_plpc": "0",
        "unrealized_pl": "0.000061", "unrealized_plpc": "0",
    },
]  # fmt: skip
ACCOUNT = {
    "account_blocked": False, "accrued_fees": "0", "buying_power": "400023.28", "cash": "100005.82", "currency": "USD",
    "equity": "100005.82", "last_equity": "100003.74258806517", "multiplier": "4", "status": "ACTIVE",
    "trading_blocked": False,
}  # fmt: skip
DUPLICATE = (422, b'{"code":40010001,"message":"client_order_id must be unique"}')
ABOVE_HELD = (403, json.dumps({
    "available": "0.557436865", "code": 40310000, "existing_qty": "0.557436865", "held_for_orders": "0",
    "message": "insufficient qty available for order (requested: 1.057436865, available: 0.557436865)", "symbol": "KO",
}).encode())  # fmt: skip
NOT_FRACTIONABLE = (403, b'{"code":40310000,"message":"asset \\"OCGN\\" is not fractionable"}')
REFUSALS: tuple[tuple[int, Body, str], ...] = (
    (403, {"buying_power": "176531.28", "code": 40310000, "cost_basis": "48640000",
           "message": "insufficient buying power"}, "BUYING_POWER"),
    (403, json.loads(ABOVE_HELD[1]), "QUANTITY_HELD"),
    (403, {"code": 40310000, "existing_order_id": "5c0ff5de-cbd4-4a72-9e8a-d6a4e1dd0b3c",
           "message": "potential wash trade detected. use complex orders",
           "reject_reason": "opposite side market/stop order exists"}, "WASH_TRADE"),
    (422, {"code": 42210000, "message": "potential wash trade detected. use complex orders"}, "WASH_TRADE"),
    (403, {"code": 40310000, "message": "cost basis must be >= minimal amount of order 10"}, "QUANTITY"),
    (403, {"code": 40310000, "message": "cannot open a long buy while a short sell order is open"}, "WASH_TRADE"),
    (403, json.loads(NOT_FRACTIONABLE[1]), "QUANTITY"),
    (422, json.loads(DUPLICATE[1]), "DUPLICATE_ID"),
    (422, {"code": 42210000, "message": "invalid limit_price 290.123. sub-penny increment does not fulfill minimum "
                                        "pricing criteria"}, "PRICE"),
    (422, {"code": 42210000, "message": "asset SPY cannot be sold short"}, "NOT_SHORTABLE"),
    (422, {"code": 42210000, "message": 'asset "NOPE" not found'}, "UNKNOWN_SYMBOL"),
    (422, {"code": 42210000, "message": "invalid crypto time_in_force"}, "UNSUPPORTED"),
    (403, {"code": 40310000, "message": "market is not open"}, "MARKET_CLOSED"),
    (403, {"code": 40310000, "message": "trading in SPY is halted"}, "SYMBOL_HALTED_THERE"),
    (403, {"code": 40310000, "message": "account is restricted to liquidation only"}, "NOT_ALLOWED"),
    (403, {"code": 40310100, "message": "trade denied due to pattern day trading protection"}, "NOT_ALLOWED"),
    (422, {"code": 42210000, "message": "qty must be > 0"}, "QUANTITY"),
    (422, {"code": 42299999, "message": "a reason that did not exist yesterday"}, "OTHER"),
)  # fmt: skip
"""Status, body, and what it means to us."""


def _documented(order_id: str, symbol: str, **facts: Any) -> Body:
    return order(id=order_id, symbol=symbol, client_order_id=f"ours-{symbol}", status="filled", **facts)


_BUST = _documented(
    "c86e4d6c-2cdf-4b81-b658-5728bdc8310b", "JTAI", qty="2", filled_qty="0", filled_avg_price="0.107703"
)
BUST: Body = {
    "event": "trade_bust", "timestamp": "2024-09-23T15:30:48.601741737Z", "order": _BUST, "price": "0.107703",
    "qty": "-2", "position_qty": "0", "execution_id": "df61d6ec-511f-4cc1-ae61-20456b0cb7a5",
    "previous_execution_id": "aeb60660-412f-4537-8d1f-1101b3fc8f64",
}  # fmt: skip
"""An execution of 2 shares at 0.107703 that never happened, as the documentation of events shows it."""
_CORRECT = _documented("390cd7d0-07fa-4ab0-8b99-7ffb8d7408ff", "BSRR", filled_qty="1", filled_avg_price="25")
CORRECT: Body = {
    "event": "trade_correct", "timestamp": "2024-10-18T22:26:32.988Z", "order": _CORRECT, "price": "25", "qty": "1",
    "position_qty": "1", "execution_id": "2ff98545-9082-469a-8aa8-7f6c09ac258f",
    "previous_execution_id": "f116d6c7-fc4a-49b1-a649-317aace34783",
}  # fmt: skip
"""One whose price was another."""


def update(event: str, of: Body, **more: Any) -> Body:
    """A message of the stream of trade updates."""
    data = {"event": event, "order": of, "timestamp": of["updated_at"], **more}
    return {"stream": "trade_updates", "data": data}


def filled(of: Body, quantity: str, price: str, event: str = "fill", **more: Any) -> Body:
    """The message of a fill."""
    return update(event, of, qty=quantity, price=price, position_qty=quantity, **more)
