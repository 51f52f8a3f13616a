"""How Alpaca says no: status and body, by the brokerage's code; the words are the recorded ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.standins.alpaca.data_rest import Reply
from tests.standins.alpaca.trading_bodies import number
from tests.standins.brokerage import Refusal

FORBIDDEN, UNPROCESSABLE, MALFORMED, MISSING = 40310000, 42210000, 40010001, 40410000


class Invalid(Exception):
    """A request that is refused before the brokerage sees it."""

    def __init__(self, message: str, code: int = UNPROCESSABLE, status: int = 422) -> None:
        super().__init__(message)
        self.reply = Reply(status, {"code": code, "message": message})


def _plain(status: int, code: int, message: str) -> Callable[[Refusal, str], Reply]:
    def reply(refusal: Refusal, symbol: str) -> Reply:
        text = message.format(symbol=symbol, text=refusal.text, **refusal.facts)
        return Reply(status, {"code": code, "message": text})

    return reply


def _power(refusal: Refusal, symbol: str) -> Reply:
    facts = refusal.facts
    return Reply(403, {
        "buying_power": number(facts["buying_power"]), "code": FORBIDDEN, "cost_basis": number(facts["cost"]),
        "message": "insufficient buying power",
    })  # fmt: skip


def _held(refusal: Refusal, symbol: str) -> Reply:
    facts = refusal.facts
    figures = f"(requested: {number(facts['requested'])}, available: {number(facts['available'])})"
    if "/" in symbol:
        what = symbol.partition("/")[0]
        return Reply(403, {"code": FORBIDDEN, "message": f"insufficient balance for {what} {figures}"})
    body: dict[str, Any] = {
        "available": number(facts["available"]), "code": FORBIDDEN, "existing_qty": number(facts["existing"]),
        "held_for_orders": number(facts["held"]), "message": f"insufficient qty available for order {figures}",
        "symbol": symbol,
    }  # fmt: skip
    return Reply(403, body | ({"related_orders": facts["orders"]} if facts["orders"] else {}))


def _wash(refusal: Refusal, symbol: str) -> Reply:
    facts = refusal.facts
    body = {
        "code": FORBIDDEN, "existing_order_id": facts["order"],
        "message": "potential wash trade detected. use complex orders", "reject_reason": refusal.text,
    }  # fmt: skip
    if "buy" in facts:
        body |= {"buy_limit_price": number(facts["buy"]), "sell_limit_price": number(facts["sell"])}
    return Reply(403, body)


REFUSALS: dict[str, Callable[[Refusal, str], Reply]] = {
    "unknown_symbol": _plain(422, UNPROCESSABLE, 'asset "{symbol}" not found'),
    "not_tradable": _plain(422, UNPROCESSABLE, "asset {symbol} is not active"),
    "halted": _plain(
        422, UNPROCESSABLE,
        'market order rejected due to trading halt on symbol: "{symbol}", please place a limit order instead',
    ),
    "quantity": _plain(422, MALFORMED, "qty must be > 0"),
    "not_fractionable": _plain(403, FORBIDDEN, 'asset "{symbol}" is not fractionable'),
    "tick": _plain(
        422, UNPROCESSABLE,
        "invalid limit_price {price}. sub-penny increment does not fulfill minimum pricing criteria",
    ),
    "price": _plain(422, UNPROCESSABLE, "{text}"),
    "closed": _plain(403, FORBIDDEN, "market is not open"),
    "not_shortable": _plain(422, UNPROCESSABLE, "asset {symbol} cannot be sold short"),
    "opposite": _plain(403, FORBIDDEN, "{text}"),
    "duplicate_id": _plain(422, MALFORMED, "client_order_id must be unique"),
    "not_found": _plain(404, MISSING, "order not found"),
    "not_open": _plain(422, UNPROCESSABLE, 'order is already in "{status}" state'),
    "held": _held,
    "buying_power": _power,
    "wash_trade": _wash,
}  # fmt: skip


def refused(refusal: Refusal, symbol: str) -> Reply:
    """The reply to what a brokerage refuses."""
    return REFUSALS.get(refusal.code, _plain(422, UNPROCESSABLE, "{text}"))(refusal, symbol)
