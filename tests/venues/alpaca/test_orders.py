"""Orders as they are sent to Alpaca and as its bodies are read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order, OrderType, Side, TimeInForce, Trail
from appliance.venues.alpaca import reading
from appliance.venues.alpaca.orders import differs, flat, open_order, request, standing
from appliance.venues.alpaca.reading import Odd, decoded, moment, number, plain, rfc3339, stamp
from appliance.venues.alpaca.traits import CRYPTO, STOCKS, traits
from tests.core.make import intent, order
from tests.venues.alpaca import recorded

D = Decimal
T, F = OrderType, TimeInForce


def asked(extended: bool = False, **given: Any) -> dict[str, Any]:
    wanted: Order = order(intent(**given))
    return request(wanted, extended)


# --- what is sent ---------------------------------------------------------------------------------


def test_an_order_is_sent_with_our_id_and_its_numbers_as_text() -> None:
    assert asked(type=T.LIMIT, limit_price=D("100.50"), time_in_force=F.GTC) == {
        "symbol": "SPY", "qty": "100", "side": "buy", "type": "limit", "time_in_force": "gtc", "limit_price": "100.5",
        "client_order_id": "trend-1-1",
    }  # fmt: skip


def test_a_trailing_stop_is_sent_by_its_distance_alone() -> None:
    trailing = {"type": T.TRAILING_STOP, "side": Side.SELL, "time_in_force": F.GTC, "stop_price": D(95)}
    assert asked(**trailing, trail=Trail(D("1.50")))["trail_price"] == "1.5"
    by_percent = asked(**trailing, trail=Trail(D(2), percent=True))
    assert by_percent["trail_percent"] == "2"
    assert "stop_price" not in by_percent


def test_only_limit_orders_for_the_day_ask_to_work_outside_the_session() -> None:
    limit = {"type": T.LIMIT, "limit_price": D(100)}
    assert asked(extended=True, **limit)["extended_hours"] is True
    assert "extended_hours" not in asked(extended=True, **limit, time_in_force=F.GTC)
    assert "extended_hours" not in asked(extended=True)
    assert "extended_hours" not in asked(**limit)
    assert "extended_hours" not in asked(extended=True, **limit, symbol="BTC/USD")


def test_a_market_order_of_crypto_for_the_day_is_sent_as_one_that_alpaca_takes() -> None:
    assert asked(symbol="BTC/USD", quantity=D("0.001"))["time_in_force"] == "gtc"
    assert asked(symbol="BTC/USD", time_in_force=F.IOC)["time_in_force"] == "ioc"


def test_what_alpaca_takes_is_what_its_tables_say() -> None:
    assert traits(False).stocks.extended == {}
    assert traits(True).stocks.extended == {T.LIMIT: (F.DAY,)}
    assert F.GTC not in STOCKS.fractional[T.STOP]
    assert T.TRAILING_STOP not in STOCKS.fractional
    assert F.OPG not in STOCKS.orders[T.STOP]
    assert T.STOP not in CRYPTO.orders
    assert not CRYPTO.shorts
    assert (traits(False).refuses_duplicates, traits(False).absent_is_final, traits(False).oco) == (True, False, False)


@given(st.decimals(min_value=0, max_value=10**12, places=9))
def test_a_number_is_written_without_an_exponent_and_read_as_it_was(value: Decimal) -> None:
    written = plain(value)
    assert "E" not in written
    assert D(written) == value
    assert plain(D(written)) == written


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("pending_new", "accept"), ("accepted", "accept"), ("held", "accept"), ("done_for_day", "accept"),
        ("pending_cancel", "accept"), ("partially_filled", "accept"), ("filled", "accept"), ("canceled", "cancel"),
        ("expired", "expire"), ("rejected", "reject"),
    ],
)  # fmt: skip
def test_a_status_is_the_event_it_amounts_to(status: str, event: str) -> None:
    found = standing("a", [recorded.order(**_named(), status=status)], 7)
    assert (found.report.event, found.report.at, found.odd) == (OrderEvent(event), 7, "")


def test_a_status_that_did_not_exist_yesterday_leaves_the_order_open_and_is_named() -> None:
    found = standing("a", [recorded.order(**_named(), status="quantum_entangled")], 0)
    assert found.report.event is OrderEvent.ACCEPT
    assert "quantum_entangled" in found.odd


def test_what_has_filled_was_not_rejected() -> None:
    report = standing("a", [recorded.order(**_named(), status="rejected", filled_qty="3")], 0).report
    assert (report.event, report.filled) == (OrderEvent.CANCEL, D(3))


@pytest.mark.parametrize(
    ("filled", "anew", "whole"), [("4", True, 7), ("4", False, 4), ("2", False, 5), ("3", False, 3), ("0", False, 3)]
)
def test_a_changed_order_has_filled_what_all_in_its_place_have(filled: str, anew: bool, whole: int) -> None:
    first = recorded.order(**_named(), status="replaced", filled_qty="3", replaced_by="v2")
    second = recorded.order(id="v2", client_order_id="a~1", replaces="v1", status="canceled", filled_qty=filled)
    report = standing("a", [first, second], 0, anew=lambda venue_id: anew and venue_id == "v2").report
    assert (report.order_id, report.venue_id, report.event, report.filled) == ("a", "v2", OrderEvent.CANCEL, D(whole))


def test_a_trailing_stop_tells_the_price_it_has_come_to() -> None:
    body = recorded.order(**_named(), type="trailing_stop", stop_price="98.5", status="new")
    assert standing("a", [body], 0).report.stop == D("98.5")


def test_a_strangers_order_of_an_unknown_kind_is_shown_by_its_prices() -> None:
    shown = open_order(recorded.order(**_named(), type="peg_to_moon", limit_price="5", time_in_force="gtx"), "x")
    assert (shown.type, shown.limit_price, shown.time_in_force) == (T.LIMIT, D(5), F.DAY)


def test_an_order_for_an_amount_of_money_has_the_quantity_it_has_filled() -> None:
    assert open_order(recorded.BUY_NOTIONAL_FILLED, "x").quantity == D("0.057436865")


def test_legs_are_orders_of_their_own_and_one_of_legs_alone_is_shown_by_them() -> None:
    leg = recorded.order(id="leg", client_order_id="l", status="held")
    over = recorded.order(id="over", client_order_id="o", status="canceled")
    parent = recorded.order(**_named(), legs=[leg, over])
    both = [order["id"] for order in flat([parent, leg])]
    assert both == ["v1", "leg"]
    assert [order["id"] for order in flat([{**parent, "symbol": None}])] == ["leg"]


def test_an_order_there_that_is_not_the_one_we_asked_for_is_told_apart() -> None:
    wanted = order(intent(symbol="KO", quantity=D(1)))
    assert differs(wanted, recorded.order(**_named(), qty="1.0")) == ""
    assert "qty 2 there, 1 here" in differs(wanted, recorded.order(**_named(), qty="2"))
    assert "side" in differs(wanted, recorded.order(**_named(), side="sell"))


def _named() -> dict[str, Any]:
    return {"id": "v1", "client_order_id": "a"}


# --- fields ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["NaN", "Infinity", "ten", "1e999999", True, [], {}, "0x10"])
def test_what_is_no_number_is_odd_and_not_guessed(value: object) -> None:
    with pytest.raises(Odd, match="qty"):
        number({"qty": value}, "qty")


@pytest.mark.parametrize("value", [None, 3, "", "yesterday", "2026-13-01T00:00:00Z", "2026-10-08"])
def test_what_is_no_time_is_odd_and_not_guessed(value: object) -> None:
    with pytest.raises(Odd, match="at"):
        moment({"at": value}, "at")


@given(st.integers(min_value=0, max_value=4_000_000_000 * reading.SECOND))
def test_a_time_is_the_same_after_it_was_written_and_read(time: int) -> None:
    assert moment({"at": rfc3339(time)}, "at") == time


def test_times_with_an_offset_are_utc() -> None:
    clock = {"timestamp": "2026-11-23T09:31:00.123456789-05:00"}
    assert rfc3339(moment(clock, "timestamp")) == "2026-11-23T14:31:00.123456789Z"


@pytest.mark.parametrize("value", ["", "20261308000000000::x", "nonsense"])
def test_an_id_without_a_time_is_odd(value: str) -> None:
    with pytest.raises(Odd, match="id"):
        stamp({"id": value})


@pytest.mark.parametrize("raw", [b"<html>", b"", b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_json_is_odd(raw: bytes) -> None:
    with pytest.raises(Odd):
        decoded(raw)
