"""What Alpaca really said decodes, and gives orders the right life in the gateway's core."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from appliance.core.gateway import GatewayCore
from appliance.domain.messages import VenueAsk, VenueFill, VenueLink, VenueSubmit
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Account, Fill, Position, Side
from appliance.venues.alpaca.events import heard
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Names
from appliance.venues.alpaca.orders import fill_listed, standing
from appliance.venues.alpaca.reading import decoded, moment, stamp
from appliance.venues.alpaca.traits import traits
from tests.core.make import approved, intent, snapshot, status, writers
from tests.playbook import Playbook
from tests.venues.alpaca import recorded

D = Decimal
WHOLE, OCGN = recorded.BUY_WHOLE["client_order_id"], recorded.BUY_OCGN[0]["client_order_id"]


class Wire:
    """What the adapter makes of bodies, given to a gateway as its desk gives it."""

    def __init__(self, play: Playbook) -> None:
        self.play, self.names, self.executions = play, Names(), Executions()

    def answered(self, *bodies: dict[str, Any]) -> Playbook:
        """The answer to a POST, or to a question for one order."""
        links = [decoded(json.dumps(body)) for body in bodies]
        named = [self.names.learn(link) for link in links]
        return self.play >> standing(named[-1].order_id, links, self.play.now.time).report

    def streamed(self, message: dict[str, Any]) -> Playbook:
        """A binary frame of the stream."""
        frame = json.dumps(message).encode()
        for one in heard(decoded(frame), self.names, self.executions, self.play.now.time):
            self.play >> one  # type: ignore[operator]
        return self.play


def linked() -> Wire:
    play = Playbook(GatewayCore("gateway", writers("gateway"), traits(False)))
    play >> VenueLink(True) >> snapshot(1) << ...
    return Wire(play)


def bought(order_id: str, symbol: str) -> Any:
    return approved(intent(id=order_id, symbol=symbol, quantity=D(1)))


def test_the_recorded_market_order_is_sent_accepted_and_filled() -> None:
    wire = linked()
    with wire.play as play:
        play >> bought(WHOLE, "KO") << status("sending") << VenueSubmit
        wire.answered(recorded.BUY_WHOLE) << status("accepted", venue_id=recorded.BUY_WHOLE["id"])
        wire.streamed(recorded.update("new", {**recorded.BUY_WHOLE, "status": "new"}))
        wire.streamed(recorded.filled(recorded.BUY_WHOLE_FILLED, "1", "86.88")) << Fill
        play << status("filled", average_price=D("86.88")) << Account << Position("KO", D(1), D("86.88")) << Account


def test_a_fill_that_the_stream_told_is_the_one_the_account_lists() -> None:
    wire = linked()
    with wire.play as play:
        play >> bought(WHOLE, "KO")
        wire.answered(recorded.BUY_WHOLE)
        wire.streamed(recorded.filled(recorded.BUY_WHOLE_FILLED, "1", "86.88")) << ...
        row = recorded.FILLS[1]
        named = wire.names.get(row["order_id"])
        assert named is not None
        listed = fill_listed(decoded(json.dumps(row)), named)
        play >> listed
        assert (listed.order_id, listed.price) == (WHOLE, D("86.88"))


def test_an_order_found_filled_is_asked_about_until_its_fill_is_here() -> None:
    wire = linked()
    with wire.play as play:
        play >> bought(OCGN, "OCGN") << status("sending") << VenueSubmit
        wire.answered(recorded.BUY_OCGN[0]) << status("accepted")
        wire.answered(recorded.BUY_OCGN[1])
        wire.answered(recorded.BUY_OCGN[2]) << VenueAsk(OCGN)
        named = wire.names.get(recorded.FILLS[3]["order_id"])
        assert named is not None
        play >> fill_listed(recorded.FILLS[3], named) << Fill << status("filled") << ...


def test_the_recorded_resting_order_ends_canceled() -> None:
    wire = linked()
    canceled = recorded.RESTING_CANCELED
    resting = {**canceled, "status": "new", "canceled_at": None}
    with wire.play as play:
        play >> bought(canceled["client_order_id"], "KO") << ...
        wire.answered({**resting, "status": "pending_new"}) << status("accepted")
        wire.streamed(recorded.update("new", resting))
        wire.streamed(recorded.update("pending_cancel", {**resting, "status": "pending_cancel"}))
        wire.streamed(recorded.update("canceled", canceled)) << status("canceled", filled=D(0))


def test_a_partial_fill_and_a_cancel_in_the_wrong_order_are_booked_right() -> None:
    wire = linked()
    base = {**recorded.BUY_WHOLE, "qty": "100"}
    partial = {**base, "status": "partially_filled", "filled_qty": "60"}
    with wire.play as play:
        play >> approved(intent(id=WHOLE, symbol="KO")) << ...
        wire.answered(base) << status("accepted")
        wire.streamed(recorded.update("canceled", {**partial, "status": "canceled"})) << VenueAsk(WHOLE)
        wire.streamed(recorded.filled(partial, "60", "86.88", "partial_fill")) << Fill << status("partially_filled")
        play << ...
        wire.answered({**partial, "status": "canceled"}) << status("canceled", filled=D(60))


def test_a_rejection_after_acceptance_ends_the_order_with_a_code_and_a_text() -> None:
    wire = linked()
    with wire.play as play:
        play >> bought(WHOLE, "KO") << ...
        wire.answered(recorded.BUY_WHOLE) << status("accepted")
        rejected = {**recorded.BUY_WHOLE, "status": "rejected", "failed_at": recorded.BUY_WHOLE["updated_at"]}
        wire.streamed(recorded.update("rejected", rejected)) << status("rejected") << ...
    order = play.core.ledger.orders[WHOLE]  # type: ignore[attr-defined]
    assert order.text == "rejected by Alpaca after it was taken"


def before(event: dict[str, Any], quantity: str, price: str) -> dict[str, Any]:
    """The message of the execution that an event corrects."""
    first = {**event["order"], "filled_qty": quantity, "updated_at": event["timestamp"]}
    return recorded.filled(first, quantity, price, execution_id=event["previous_execution_id"])


def test_the_documented_bust_and_correction_take_the_place_of_what_was_told() -> None:
    wire = linked()
    for event, quantity, price in ((recorded.BUST, "2", "0.107703"), (recorded.CORRECT, "1", "25.5")):
        (first, *_) = heard(before(event, quantity, price), wire.names, wire.executions, 0)
        corrected = heard({"stream": "trade_updates", "data": event}, wire.names, wire.executions, 0)[0]
        assert isinstance(first, VenueFill)
        assert isinstance(corrected, VenueFill)
        assert corrected.corrects == first.fill_key
        right = D(0) if event["event"] == "trade_bust" else D(1)
        assert (corrected.quantity, corrected.price * right) == (right, D(25) * right)


def test_the_recorded_sale_above_what_is_held_and_the_others_are_told_by_name() -> None:
    sales = [fill_listed(row, wire_name("", row)) for row in recorded.FILLS]
    assert [fill.side for fill in sales] == [Side.BUY, Side.BUY, Side.SELL, Side.BUY, Side.SELL, Side.SELL]
    held = sum(fill.quantity * fill.side.sign for fill in sales[:3])
    assert held == D(recorded.POSITIONS[0]["qty"])
    assert sum(fill.quantity * fill.side.sign for fill in sales) == 0


def wire_name(order_id: str, row: dict[str, Any]) -> Any:
    names = Names()
    return names.learn({"id": row["order_id"], "symbol": row["symbol"], "client_order_id": order_id})


def test_the_time_in_an_activitys_id_is_that_of_new_york() -> None:
    for row in recorded.FILLS:
        assert stamp(row) // 1_000_000 == moment(row, "transaction_time") // 1_000_000


def test_money_is_read_as_it_is_written() -> None:
    read = standing("a", [recorded.BUY_NOTIONAL_FILLED], 0).report
    assert (read.event, str(read.filled)) == (OrderEvent.ACCEPT, "0.057436865")
    assert decoded('{"x": 0.1}')["x"] == D("0.1")
