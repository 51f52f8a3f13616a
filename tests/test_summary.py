"""Which orders nobody took is said by name, with code and text."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from appliance.domain.messages import Event, local
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Denied, Intent, Moment, OrderType, Side, ordered
from appliance.summary import AGAIN, Refusals, RunFigures

NOW = 1_795_950_000_000_000_000
INTENT = Intent("a-1-4", "a", 1, "SPY", Side.BUY, Decimal("10.0"), Moment(NOW, "", 0), 0, "c", type=OrderType.MARKET)
REJECTED = replace(ordered(INTENT, OrderStatus.REJECTED), code="BUYING_POWER", text="insufficient buying power")


def _heard(body: Any, at: int = NOW) -> Event:
    return local(body, at, "gateway/orders")


def test_a_rejected_order_is_named_with_the_brokers_code_and_text() -> None:
    line = Refusals(NOW).line(_heard(REJECTED))
    assert line == "rejected a-1-4, buy 10 SPY: BUYING_POWER: insufficient buying power"


def test_a_denied_one_is_named_with_the_rule_and_told_once_whoever_tells_it() -> None:
    refusals = Refusals(NOW)
    assert refusals.line(_heard(Denied(INTENT, "SHORT", "it holds 0"))) == "denied a-1-4, buy 10 SPY: SHORT: it holds 0"
    assert refusals.line(_heard(replace(REJECTED, status=OrderStatus.DENIED, code="LATE"))) == ""


def test_the_same_again_is_told_a_minute_later_and_another_reason_at_once() -> None:
    refusals = Refusals(NOW)
    told = [
        refusals.line(_heard(replace(REJECTED, id=f"a-1-{n}", code=code), at))
        for n, (code, at) in enumerate([("X", NOW), ("X", NOW + AGAIN - 1), ("Y", NOW + 1), ("X", NOW + AGAIN)])
    ]
    assert [bool(line) for line in told] == [True, False, True, True]


def test_what_a_former_run_was_told_and_what_was_taken_are_left_out() -> None:
    refusals = Refusals(NOW)
    assert refusals.line(_heard(REJECTED, NOW - 1)) == ""
    assert refusals.line(_heard(ordered(INTENT, OrderStatus.ACCEPTED))) == ""
    assert refusals.line(_heard(INTENT)) == ""


def test_what_is_held_and_has_no_price_yet_is_not_taken_for_nothing() -> None:
    figures = RunFigures()
    figures.note(_heard(Account(Decimal(1_000))))
    assert figures.equity == 1_000
    figures.record.positions["SPY"] = Decimal(10)
    assert figures.equity is None
    figures.note(_heard(Account(Decimal(1_000), equity=Decimal(1_990))))
    assert figures.equity == 1_990
    figures.prices["SPY"] = 99.5
    assert figures.equity == 1_995
