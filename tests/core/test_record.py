"""The rows of ``--orders-out``: one per intent, in decision order."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from msgspec.structs import replace

from appliance.core.record import OrderRecord, plain
from appliance.domain.messages import local
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Denied, Side
from tests.core.make import approved, fill, intent, order
from tests.playbook import BEGIN

D = Decimal


def test_denied_and_filled_intents_stand_in_decision_order() -> None:
    record = OrderRecord()
    late, never = intent(id="b"), intent(id="a", quantity=D("1E+2"), side=Side.SELL)
    sent = order(late, OrderStatus.SENDING)
    done = replace(sent, status=OrderStatus.FILLED)
    for body in (
        approved(late),
        Denied(never, "X", "no"),
        sent,
        fill(sent, 40, "1.50"),
        fill(sent, 60, "2"),
        done,
        done,
    ):
        record.note(local(body))
    rows = [json.loads(line) for line in record.jsonl().splitlines()]
    assert rows == [
        {
            "id": "b", "symbol": "SPY", "side": "buy", "quantity": "100", "type": "market", "status": "filled",
            "decided": BEGIN, "fills": [{"time": BEGIN, "price": "1.5", "quantity": "40"},
                                        {"time": BEGIN, "price": "2", "quantity": "60"}],
        },
        {"id": "a", "symbol": "SPY", "side": "sell", "quantity": "100", "type": "market", "status": "denied",
         "decided": BEGIN, "fills": []},
    ]  # fmt: skip
    assert (record.intents, record.orders, record.fills, record.denied) == (2, 1, 2, 1)
    assert record.positions == {"SPY": D(100)}
    assert b", " not in record.jsonl()


def test_a_denial_at_the_last_hop_counts_once_and_protective_stops_count_as_orders_only() -> None:
    record = OrderRecord()
    one = intent()
    stop = order(one, id="s", protects=one.id)
    for body in (
        approved(one),
        order(one, OrderStatus.DENIED, attempt=0),
        order(one, OrderStatus.DENIED, attempt=0),
        stop,
    ):
        record.note(local(body))
    assert (record.intents, record.orders, record.denied) == (1, 1, 1)
    assert record.rows()[0]["status"] == "denied"
    record.note(local(Account(D(7))))
    assert record.account == Account(D(7))


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+2", "100"), ("100.00", "100"), ("167.650", "167.65"), ("0", "0"), ("-0.10", "-0.1"), ("1E-7", "0.0000001")],
)
def test_decimals_are_plain(value: str, text: str) -> None:
    assert plain(D(value)) == text
