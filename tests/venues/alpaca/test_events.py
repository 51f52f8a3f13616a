"""What the stream of trade updates says, and what it does not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.messages import VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.venues.alpaca.events import heard
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Named, Names, changed, crypto_pair, ours, symbol_of
from appliance.venues.alpaca.orders import fill_listed
from appliance.venues.alpaca.reading import decoded
from appliance.venues.base import Condition, Heard
from tests.venues.alpaca import recorded

D = Decimal
AT = 5
ORDER = recorded.order(
    id="v1", client_order_id="trend-1-1", qty="100", status="new", updated_at="2026-10-08T15:10:19Z", created_at="",
)  # fmt: skip


class Stream:
    """Takes messages as frames, and remembers what was told before."""

    def __init__(self) -> None:
        self.names, self.executions = Names(), Executions()

    def says(self, message: Any) -> tuple[Heard, ...]:
        return heard(decoded(json.dumps(message)), self.names, self.executions, AT)


def lost(told: tuple[Heard, ...]) -> list[str]:
    return [one.text for one in told if isinstance(one, Condition) and one.lost]


def test_a_fill_is_told_before_how_the_order_stands() -> None:
    partly = {**ORDER, "status": "partially_filled", "filled_qty": "40"}
    fill, report = Stream().says(recorded.filled(partly, "40", "100.25", "partial_fill", execution_id="e1"))
    assert isinstance(fill, VenueFill)
    assert (fill.fill_key, fill.order_id, fill.quantity, fill.price) == ("v1:40", "trend-1-1", D(40), D("100.25"))
    assert isinstance(report, VenueReport)
    assert (report.event, report.filled) == (OrderEvent.ACCEPT, D(40))


def test_a_fill_key_does_not_depend_on_how_a_number_is_written() -> None:
    keys = {
        told[0].fill_key
        for written in ("40", "40.0", "40.000000000", "4E1")
        if isinstance(
            (told := Stream().says(recorded.filled({**ORDER, "filled_qty": written}, "40", "100")))[0], VenueFill
        )
    }
    assert keys == {"v1:40"}


@pytest.mark.parametrize(
    ("event", "status", "means"),
    [
        ("new", "new", "accept"), ("canceled", "canceled", "cancel"), ("expired", "expired", "expire"),
        ("rejected", "rejected", "reject"), ("done_for_day", "done_for_day", "accept"),
        ("pending_cancel", "pending_cancel", "accept"), ("restated", "new", "accept"), ("held", "held", "accept"),
    ],
)  # fmt: skip
def test_an_event_tells_how_its_order_stands(event: str, status: str, means: str) -> None:
    told = Stream().says(recorded.update(event, {**ORDER, "status": status}))
    assert [one.event for one in told if isinstance(one, VenueReport)] == [OrderEvent(means)]
    assert not lost(told)


def test_an_event_that_did_not_exist_yesterday_is_a_reason_to_compare() -> None:
    told = Stream().says(recorded.update("teleported", {**ORDER, "status": "new"}))
    assert "teleported" in lost(told)[0]
    assert any(isinstance(one, VenueReport) and one.event is OrderEvent.ACCEPT for one in told)


def test_a_status_that_did_not_exist_yesterday_leaves_the_order_open_and_is_a_reason_to_compare() -> None:
    told = Stream().says(recorded.update("new", {**ORDER, "status": "teleported"}))
    assert "teleported" in lost(told)[0]
    assert [one.event for one in told if isinstance(one, VenueReport)] == [OrderEvent.ACCEPT]


@pytest.mark.parametrize(
    "message",
    [
        [], "text", 7, None, {}, {"stream": "news"}, {"stream": "trade_updates"},
        {"stream": "trade_updates", "data": {"event": "new"}}, {"stream": "trade_updates", "data": {"order": ORDER}},
        recorded.filled({**ORDER, "filled_qty": None}, "40", "100"), recorded.filled(ORDER, "40", "100"),
        recorded.filled({**ORDER, "filled_qty": "40"}, "40", ""),
        recorded.filled({**ORDER, "filled_qty": "4"}, "-4", "1"),
        recorded.filled({**ORDER, "filled_qty": "40", "side": "borrow"}, "40", "100"),
        recorded.filled({**ORDER, "filled_qty": "40", "symbol": None}, "40", "100"),
    ],
)  # fmt: skip
def test_a_message_that_cannot_be_understood_is_a_reason_to_compare_and_nothing_else(message: Any) -> None:
    told = Stream().says(message)
    assert len(lost(told)) == len(told) == 1


def test_what_was_agreed_is_no_news() -> None:
    assert Stream().says({"stream": "listening", "data": {"streams": ["trade_updates"]}}) == ()
    assert Stream().says({"stream": "authorization", "data": {"status": "authorized"}}) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["stream", "data", "event", "order", "id", "status", "qty", "price", "legs"]), inner, max_size=5
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from(["fill", "new", "replaced", "trade_bust", "trade_correct", "order_replace_rejected"]))
def test_no_message_whatever_ends_the_stream(order: Any, event: str) -> None:
    told = Stream().says({"stream": "trade_updates", "data": {"event": event, "order": order}})
    assert all(isinstance(one, VenueReport | Condition) for one in told)
    Stream().says(order)


# --- orders in another's place --------------------------------------------------------------------


def replaced(filled: str = "30") -> tuple[dict[str, Any], dict[str, Any]]:
    old = {**ORDER, "status": "replaced", "filled_qty": filled, "replaced_by": "v2"}
    new = {**ORDER, "id": "v2", "client_order_id": "trend-1-1~1", "replaces": "v1", "qty": "70"}
    return old, new


def test_a_change_says_nothing_of_an_end_and_its_fills_are_our_orders() -> None:
    stream = Stream()
    old, new = replaced()
    assert stream.says(recorded.update("replaced", old)) == ()
    fill, report = stream.says(recorded.filled({**new, "filled_qty": "70", "status": "filled"}, "70", "100"))
    assert isinstance(fill, VenueFill)
    assert isinstance(report, VenueReport)
    assert (fill.fill_key, fill.order_id, report.order_id, report.filled) == ("v2:70", "trend-1-1", "trend-1-1", D(100))
    assert stream.names.latest("trend-1-1") == "v2"


def test_a_changed_order_that_begins_with_what_was_filled_before_is_not_counted_twice() -> None:
    stream = Stream()
    old, new = replaced()
    stream.says(recorded.update("replaced", old))
    stream.says(recorded.update("new", {**new, "qty": "100", "filled_qty": "30"}))
    fill, report = stream.says(recorded.filled({**new, "filled_qty": "100", "status": "filled"}, "70", "100"))
    assert isinstance(fill, VenueFill)
    assert isinstance(report, VenueReport)
    assert (fill.fill_key, fill.quantity, report.filled) == ("v2:100", D(70), D(100))


def test_a_stranger_who_changes_our_order_does_not_take_it_from_us() -> None:
    stream = Stream()
    old, new = replaced()
    stream.says(recorded.update("replaced", old))
    (report,) = stream.says(recorded.update("canceled", {**new, "client_order_id": "web-7", "status": "canceled"}))
    assert isinstance(report, VenueReport)
    assert (report.order_id, report.event, report.filled) == ("trend-1-1", OrderEvent.CANCEL, D(30))


def test_a_change_that_was_refused_leaves_our_order_at_work() -> None:
    stream = Stream()
    stream.says(recorded.update("new", ORDER))
    _, new = replaced()
    told = stream.says(recorded.update("rejected", {**new, "status": "rejected"}))
    assert lost(told)
    assert not any(isinstance(one, VenueReport) for one in told)
    assert stream.names.latest("trend-1-1") == "v1"


def test_an_end_of_a_changed_order_whose_beginning_we_have_not_heard_is_only_a_reason_to_compare() -> None:
    _, new = replaced()
    told = Stream().says(recorded.update("canceled", {**new, "status": "canceled"}))
    assert len(lost(told)) == len(told) == 1


def test_a_fill_of_an_order_that_may_be_ours_under_anothers_name_is_not_told_as_a_strangers() -> None:
    _, new = replaced()
    fill = recorded.filled({**new, "client_order_id": "web-7", "filled_qty": "70"}, "70", "100")
    stream = Stream()
    told = stream.says(fill)
    assert len(lost(told)) == len(told) == 1
    assert stream.names.get("v2") is None


def test_an_order_replaced_by_nothing_is_a_reason_to_compare() -> None:
    assert lost(Stream().says(recorded.update("replaced", {**ORDER, "status": "replaced"})))


@pytest.mark.parametrize(("event", "compare"), [("order_replace_rejected", True), ("order_cancel_rejected", False)])
def test_a_wish_that_was_refused_is_told_with_its_reason(event: str, compare: bool) -> None:
    told = Stream().says(recorded.update(event, ORDER, reason="too late"))
    (condition,) = (one for one in told if isinstance(one, Condition))
    assert "too late" in condition.text
    assert condition.lost is compare  # a refused change may be believed here already; a refused cancel changes nothing


# --- corrections ----------------------------------------------------------------------------------


def told_fill(stream: Stream) -> None:
    stream.says(recorded.filled({**ORDER, "filled_qty": "40"}, "40", "100", execution_id="e1"))


def test_a_bust_of_a_fill_we_know_takes_its_place_with_nothing() -> None:
    stream = Stream()
    told_fill(stream)
    bust = recorded.update("trade_bust", ORDER, execution_id="e2", previous_execution_id="e1", qty="40", price="100")
    fill = next(one for one in stream.says(bust) if isinstance(one, VenueFill))
    assert (fill.corrects, fill.quantity, fill.fill_key) == ("v1:40", D(0), "v1:40:bust")


def test_a_correction_of_a_fill_we_know_takes_its_place() -> None:
    stream = Stream()
    told_fill(stream)
    right = recorded.update(
        "trade_correct", ORDER, execution_id="e2", previous_execution_id="e1", qty="40", price="99.5"
    )
    fill = next(one for one in stream.says(right) if isinstance(one, VenueFill))
    assert (fill.corrects, fill.quantity, fill.price) == ("v1:40", D(40), D("99.5"))


@pytest.mark.parametrize("event", ["trade_bust", "trade_correct"])
def test_a_correction_that_does_not_say_of_what_is_a_reason_to_compare(event: str) -> None:
    stream = Stream()
    told_fill(stream)
    told = stream.says(recorded.update(event, ORDER, execution_id="e2", qty="40", price="99"))
    assert lost(told)
    assert not any(isinstance(one, VenueFill) for one in told)


def as_listed(cumulative: str, quantity: str, price: str, order_id: str = "v1") -> VenueFill:
    row = {**recorded.FILLS[0], "order_id": order_id, "cum_qty": cumulative, "qty": quantity, "price": price}
    return fill_listed(row, Named("trend-1-1", "KO"))


def test_fills_whose_events_tell_the_last_quantity_alone_add_up_once_they_are_listed() -> None:
    stream, booked = Stream(), dict[str, Decimal]()
    whole = {**ORDER, "status": "filled", "filled_qty": "100"}
    told = [*stream.says(recorded.filled(whole, "40", "100", "partial_fill", execution_id="e1"))]
    told += stream.says(recorded.filled(whole, "60", "100", execution_id="e2"))
    told += [
        stream.executions.listed(as_listed("40", "40", "100")),
        stream.executions.listed(as_listed("100", "60", "100")),
    ]
    for fill in told:
        if isinstance(fill, VenueFill):
            booked.pop(fill.corrects, None)
            booked[fill.fill_key] = fill.quantity
    assert sorted(booked.values()) == [D(40), D(60)]


def test_a_correction_has_one_key_wherever_it_is_told_from_and_however_often() -> None:
    stream = Stream()
    told_fill(stream)
    right = recorded.update(
        "trade_correct", {**ORDER, "filled_qty": "38"}, execution_id="e2", previous_execution_id="e1", qty="38",
        price="99.5",
    )  # fmt: skip
    keys = {one.fill_key for _ in range(2) for one in stream.says(right) if isinstance(one, VenueFill)}
    keys |= {stream.executions.listed(as_listed("38", "38", "99.5")).fill_key for _ in range(2)}
    assert keys == {"v1:40:38@99.5"}


def test_a_list_that_still_has_what_was_corrected_is_known_better() -> None:
    stream = Stream()
    told_fill(stream)
    bust = recorded.update("trade_bust", ORDER, execution_id="e2", previous_execution_id="e1")
    stream.says(bust)
    still = stream.executions.listed(as_listed("40", "40", "100"))
    assert (still.quantity, still.corrects) == (D(0), "v1:40")


# --- names ----------------------------------------------------------------------------------------


@given(st.text(alphabet="abc-0123456789", min_size=1, max_size=46), st.integers(1, 9))
def test_the_name_of_an_order_in_anothers_place_leads_back_to_ours(order_id: str, n: int) -> None:
    made = changed(order_id, n)
    assert len(made) <= 48
    assert ours(made) == order_id
    assert ours(order_id) == order_id


def test_an_id_without_room_for_another_name_has_none() -> None:
    assert changed("x" * 47, 1) == ""


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("BTCUSD", "BTC/USD"),
        ("ETHBTC", "ETH/BTC"),
        ("BTCUSDT", "BTC/USDT"),
        ("USDTUSD", "USDT/USD"),
        ("BTC/USD", "BTC/USD"),
    ],
)
def test_a_pair_of_crypto_is_named_as_its_orders_name_it(there: str, here: str) -> None:
    assert crypto_pair(there) == here
    assert symbol_of({"symbol": there, "asset_class": "crypto"}) == here
    assert symbol_of({"symbol": there, "asset_class": "us_equity"}) == there


def test_the_order_at_work_is_the_last_of_a_chain_in_whatever_order_it_was_told() -> None:
    third = {**ORDER, "id": "v3", "client_order_id": "trend-1-1~2", "replaces": "v2"}
    old, new = replaced()
    second = {**new, "status": "replaced", "replaced_by": "v3"}
    for told in ((old, second, third), (old, third, second), (old, second, third, old)):
        names = Names()
        for body in told:
            names.learn(body)
        assert names.latest("trend-1-1") == "v3"
        assert names.filled_before(third) == D(30)
