"""The paper venue as a broker like the others: it answers questions, tells what happens, and keeps its books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.domain.market import MINUTE, Bar
from appliance.domain.messages import Event, EventType, VenueFill, VenueLink, VenueLook, VenueReport
from appliance.domain.operations import Spot
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Order, OrderType, Side
from appliance.errors import VenueDown
from appliance.venues.base import Change, Heard, Lost
from appliance.venues.paper_broker import PaperBroker
from tests.core import make
from tests.core.memory import HandClock, MemoryStore
from tests.playbook import BEGIN
from tests.venues.scripted import Counter

D = Decimal


def order(name: str = "a", **given: Any) -> Order:
    return make.order(make.intent(**{"id": name, **given}), OrderStatus.SENDING)


class Market:
    """A paper broker, the minutes of SPY it lives through, and what it told by itself."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store, self.clock = store or MemoryStore(), HandClock()
        self.minutes = 0
        self.heard: list[Heard] = []
        self.broker = PaperBroker(
            lambda writers: MarketSimulator("paper", writers, D(100_000), MarketModel(FREE)), self.store, self.clock
        )
        self.broker.open(self.heard.append)

    def minute(self, price: float = 100.0, low: float | None = None) -> None:
        start = BEGIN + self.minutes * MINUTE
        self.minutes += 1
        self.clock.time = start + MINUTE
        bar = Bar("SPY", "1m", start, start + MINUTE, price, price + 1, low or price - 1, price, 1000.0)
        after = Spot() if self.minutes == 1 else None
        self.broker.happens(Event(EventType.BAR, bar, "feed/bars", 1, self.minutes, bar.end, after=after))

    def told(self) -> list[str]:
        return [one.event.value if isinstance(one, VenueReport) else type(one).__name__ for one in self.heard]


@pytest.fixture
def market() -> Market:
    return Market()


def test_an_order_is_accepted_by_the_answer_and_its_fill_told_once(market: Market) -> None:
    assert market.broker.submit(order()).event is OrderEvent.ACCEPT
    market.minute(100.0)
    market.minute(101.0)
    (fill,) = market.heard
    assert isinstance(fill, VenueFill)
    assert (fill.fill_key, fill.quantity, fill.price) == ("a:100", D(100), D("100.0"))
    assert market.broker.fills(0) == (fill,)
    assert market.broker.positions() == {"SPY": D(100)}
    assert market.broker.account().cash == D(90_000)


def test_a_limit_order_rests_and_its_cancel_is_heard(market: Market) -> None:
    market.broker.submit(order(type=OrderType.LIMIT, limit_price=D("50.5")))
    (resting,) = market.broker.open_orders()
    assert (resting.order_id, resting.limit_price, resting.stop_price) == ("a", D("50.5"), None)
    assert market.broker.cancel("a") is None
    assert market.told() == ["cancel"]
    assert market.broker.order("a").report.event is OrderEvent.CANCEL
    assert market.broker.open_orders() == ()


def test_a_cancel_that_comes_too_late_is_answered_with_how_the_order_stands(market: Market) -> None:
    market.broker.submit(order())
    market.minute()
    report = market.broker.cancel("a")
    assert report is not None
    assert (report.event, report.filled) == (OrderEvent.FILL, D(100))
    missing = market.broker.cancel("never")
    assert missing is not None
    assert missing.event is OrderEvent.ABSENT


def test_a_second_order_with_an_id_is_none(market: Market) -> None:
    market.broker.submit(order())
    market.minute()
    again = market.broker.submit(order())
    assert (again.event, again.filled) == (OrderEvent.FILL, D(100))
    market.minute()
    assert market.broker.positions() == {"SPY": D(100)}


def test_an_order_it_does_not_take_is_rejected_with_a_code(market: Market) -> None:
    report = market.broker.submit(order(quantity=D(0)))
    assert (report.event, report.code) == (OrderEvent.REJECT, "QUANTITY")
    assert market.broker.order("a").report == report
    assert market.heard == []


def test_what_became_of_an_order_is_told_with_its_fills(market: Market) -> None:
    assert market.broker.order("a").report.event is OrderEvent.ABSENT
    market.broker.submit(order())
    market.minute()
    answer = market.broker.order("a")
    assert (answer.report.event, answer.report.filled) == (OrderEvent.FILL, D(100))
    assert [fill.fill_key for fill in answer.fills] == ["a:100"]


# --- replacing ----------------------------------------------------------------------------------------------------


def test_a_working_order_asks_for_something_else_under_the_same_id(market: Market) -> None:
    market.broker.submit(order(type=OrderType.LIMIT, limit_price=D(50)))
    assert market.broker.replace("a", Change(quantity=D(40), limit_price=D("99.5"))).event is OrderEvent.ACCEPT
    (resting,) = market.broker.open_orders()
    assert (resting.order_id, resting.quantity, resting.limit_price) == ("a", D(40), D("99.5"))
    market.minute(100.0, low=99.0)
    assert market.broker.positions() == {"SPY": D(40)}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Change(quantity=D(0)), "quantity 0"),
        (Change(quantity=D("NaN")), "quantity NaN"),
        (Change(limit_price=D(-1)), "limit price of -1"),
        (Change(stop_price=D(40)), "takes no stop price"),
    ],
)
def test_an_order_that_cannot_be_changed_so_stays_as_it_was(market: Market, change: Change, why: str) -> None:
    market.broker.submit(order(type=OrderType.LIMIT, limit_price=D(50)))
    before = market.broker.open_orders()
    report = market.broker.replace("a", change)
    assert report.event is OrderEvent.REJECT
    assert why in report.text
    assert market.broker.open_orders() == before
    assert market.broker.order("a").report.event is OrderEvent.ACCEPT


def test_an_order_that_has_ended_cannot_be_changed(market: Market) -> None:
    market.broker.submit(order())
    market.minute()
    for name in ("a", "never"):
        report = market.broker.replace(name, Change(quantity=D(7)))
        assert (report.order_id, report.event, report.code) == (name, OrderEvent.REJECT, "OTHER")


def test_a_changed_price_is_not_met_by_what_the_market_did_before() -> None:
    market = Market()
    market.broker.submit(order(type=OrderType.LIMIT, limit_price=D(50)))
    market.minute(100.0)
    market.clock.time += 30 * 1_000_000_000
    market.broker.replace("a", Change(limit_price=D("99.2")))
    market.minute(100.0, low=99.0)
    assert market.heard == [], "of a bar that began before the change only its close counts"
    market.minute(100.0, low=99.0)
    assert market.told() == ["VenueFill"]


# --- the connection -----------------------------------------------------------------------------------------------


def test_nothing_is_answered_without_a_connection(market: Market) -> None:
    market.broker.close()
    market.broker.close()
    for ask in (
        market.broker.beat,
        market.broker.positions,
        market.broker.clock,
        lambda: market.broker.submit(order()),
    ):
        with pytest.raises(VenueDown, match="paper: not connected"):
            ask()


def test_a_connection_that_is_cut_is_heard_of_once_and_what_happened_away_is_in_the_books(market: Market) -> None:
    market.broker.submit(order())
    market.broker.cut()
    market.broker.cut()
    market.minute()
    assert [type(one) for one in market.heard] == [Lost]
    market.broker.open(market.heard.append)
    assert [fill.fill_key for fill in market.broker.fills(0)] == ["a:100"]


def test_its_books_outlive_it(market: Market) -> None:
    market.broker.submit(order())
    market.minute()
    again = Market(market.store)
    assert again.broker.positions() == {"SPY": D(100)}
    assert again.broker.submit(order()).filled == D(100)


def test_the_desk_asks_it_as_any_broker() -> None:
    market = Market()
    counter = Counter(market.broker)  # type: ignore[arg-type]
    counter.ask(VenueLink(False, "connect"))
    counter.until(lambda: bool(counter.links()) and counter.links()[-1].up)
    market.broker.submit(order("b", side=Side.SELL))
    counter.ask(VenueLook(1))
    counter.until(lambda: bool(counter.told) and counter.told[-1].__class__.__name__ == "VenueSnapshot")
    assert counter.told[-1].open == ("b",)
    assert counter.told[-1].cash == D(100_000)
    counter.desk.close()
