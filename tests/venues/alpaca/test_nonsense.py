"""Whatever JSON comes instead of an answer: an error of ours or an answer, never a crash."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from appliance.domain.messages import VenueFill, VenueReport
from appliance.errors import VenueError, VenueSilent
from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions
from appliance.venues.alpaca.client import Requests
from appliance.venues.alpaca.events import heard
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.names import Names
from appliance.venues.alpaca.stream import Stream
from appliance.venues.base import Change, Condition
from tests.venues.alpaca import recorded
from tests.venues.alpaca.conftest import Ear, wanted

D = Decimal
ROW = {**recorded.FILLS[0], **recorded.BUY_WHOLE_FILLED, **recorded.POSITIONS[0], **recorded.ACCOUNT}
STRANGE: tuple[Any, ...] = (
    None, "", "x", "1", "-1", "NaN", 0, 7, True, [], [1], {}, {"id": 1}, "replaced", "filled", "rejected",
    [{"id": "l"}], [{"id": "l", "symbol": 7}], D("1.5"), "2026-10-08T15:10:18Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00", "00010101000000000::x", "1e400", D("1e400"), 10**40, "٣", "0001-01-01",
)  # fmt: skip
CALLS: dict[str, Any] = {
    "submit": lambda broker: broker.submit(wanted()),
    "cancel": lambda broker: broker.cancel("trend-1-1"),
    "replace": lambda broker: broker.replace("trend-1-1", Change(limit_price=D(5))),
    "order": lambda broker: broker.order("trend-1-1"),
    "open_orders": lambda broker: broker.open_orders(),
    "fills": lambda broker: broker.fills(0),
    "activities": lambda broker: broker.activities(0),
    "positions": lambda broker: broker.positions(),
    "account": lambda broker: broker.account(),
    "clock": lambda broker: broker.clock(),
}


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A broker whose every question is answered with one thing."""
    answer: list[Any] = [recorded.ACCOUNT]
    monkeypatch.setattr(Requests, "ask", lambda self, method, path, data=None: answer[0])
    monkeypatch.setattr(Stream, "open", lambda self: None)
    broker = AlpacaBroker(AlpacaBrokerOptions(key="k", secret="s"))
    broker.open(Ear())

    def with_answer(given: Any) -> AlpacaBroker:
        answer[0] = given
        return broker

    return with_answer


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", [None, [], {}, "text", 7, [None], [[]], [{}], {"id": 7}, [7]])
def test_an_answer_of_another_kind_is_an_error_of_ours_or_an_empty_list(answering: Any, call: str, answer: Any) -> None:
    broker = answering(answer)
    found = None
    with suppress(VenueSilent):
        found = CALLS[call](broker)
    assert found in (None, (), {}), "nothing can be known from this"
    assert found is None or answer == []


@pytest.mark.parametrize("call", CALLS)
def test_an_answer_with_a_strange_field_is_read_or_is_an_error_of_ours(answering: Any, call: str) -> None:
    broker, kinds = answering(None), set[str]()
    for name in ROW:
        for strange in STRANGE:
            for answer in ({**ROW, name: strange}, [{**ROW, name: strange}]):
                answering(answer)
                try:
                    CALLS[call](broker)
                except VenueError as error:
                    kinds.add(error.code)
    assert "VENUE_NONSENSE" in kinds
    assert kinds <= {"VENUE_NONSENSE", "VENUE_SILENT"}


EVENTS = ("new", "fill", "canceled", "rejected", "replaced", "trade_bust", "trade_correct", "order_replace_rejected")


@pytest.mark.parametrize("event", EVENTS)
def test_a_message_with_a_strange_field_is_read_or_is_a_reason_to_compare(event: str) -> None:
    order = {**recorded.BUY_WHOLE_FILLED, "replaces": "v0"}
    told = recorded.filled(order, "1", "86.88", event, execution_id="e2", previous_execution_id="e1")["data"]
    compared = 0
    for strange in STRANGE:
        for name in told:
            compared += _compared({**told, name: strange})
        for name in order:
            compared += _compared({**told, "order": {**order, name: strange}})
    assert compared


def _compared(data: dict[str, Any]) -> bool:
    """Whether such a message is a reason to compare; what it says is of kinds that may be told."""
    found = heard({"stream": "trade_updates", "data": data}, Names(), Executions(), 0)
    assert all(isinstance(one, VenueReport | VenueFill | Condition) for one in found)
    return any(isinstance(one, Condition) and one.lost for one in found)
