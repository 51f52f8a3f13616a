"""The paper broker answers as any broker, keeps its own books, and meets each step of the market once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.turn import Turn
from appliance.domain.market import MINUTE, Bar
from appliance.domain.messages import (
    Event,
    EventType,
    Stage,
    Step,
    VenueAsk,
    VenueLink,
    VenueLook,
    VenueSubmit,
    local,
)
from appliance.domain.operations import Spot
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Intent, Moment, Order, OrderType, Side
from appliance.shell.clock import DataClock
from appliance.venues.paper import PaperVenue
from tests.core.memory import MemoryStore

T = 1_700_000_000_000_000_000


def order(name="h-1-1", side=Side.BUY):
    intent = Intent(name, "h", 1, "SPY", side, Decimal(10), Moment(T, "data", T), 0, "x")
    return Order(name, intent, None, OrderStatus.SENDING, "SPY", side, Decimal(10), OrderType.MARKET)


def step(seq):
    start = T + (seq - 1) * MINUTE
    bar = Bar("SPY", "1m", start, start + MINUTE, 100.0 + seq, 101.0 + seq, 99.0, 100.0, 5.0)
    body = Step(Stage.VENUE, bar.end, 0, (bar,))
    after = Spot() if seq == 1 else None
    return Event(EventType.STEP, body, "feed/steps", 1, seq, bar.end, after=after)


class Gateway:
    """The gateway's end: keeps what the venue answers."""

    def __init__(self, store):
        self.answers, self.said, self.reports = [], [], 0
        clock = DataClock()
        build = lambda writers: MarketSimulator("paper", writers, Decimal(10_000), MarketModel(FREE))  # noqa: E731
        self.venue = PaperVenue(build, store, clock, self.answers.append, lambda e, p: self.said.append(e), True)
        self.venue.turn.start()
        self.inbox = []

    def report(self):
        self.reports += 1

    def kinds(self):
        return [getattr(answer.body, "event", answer.type) for answer in self.answers]


@pytest.fixture
def store():
    return MemoryStore()


def test_it_connects_when_the_gateway_asks_for_it(store):
    gateway = Gateway(store)
    gateway.venue.request(local(VenueLink(False, "connect")))
    assert [answer.body for answer in gateway.answers] == [VenueLink(True, "paper")]


def test_an_order_is_accepted_before_the_request_returns_and_filled_by_the_next_step(store):
    gateway = Gateway(store)
    gateway.venue.request(local(VenueSubmit(order())))
    assert gateway.kinds() == [OrderEvent.ACCEPT]
    gateway.venue.hear(step(1))
    gateway.venue.poll(gateway)
    assert gateway.kinds() == [OrderEvent.ACCEPT, EventType.VENUE_FILL]
    fill = gateway.answers[-1].body
    assert (fill.price, fill.time, fill.fill_key) == (Decimal("101.0"), T, "h-1-1:10")


def test_a_step_that_comes_again_after_a_crash_fills_nothing_again(store):
    before = Gateway(store)
    before.venue.request(local(VenueSubmit(order())))
    before.venue.hear(step(1))
    before.venue.poll(before)
    after = Gateway(store)
    after.venue.hear(step(1))
    after.venue.poll(after)
    assert after.answers == []
    after.venue.request(local(VenueLook(1)))
    snapshot = after.answers[-1].body
    assert [fill.fill_key for fill in snapshot.fills] == ["h-1-1:10"]
    assert (snapshot.positions, snapshot.cash) == ({"SPY": Decimal(10)}, Decimal("8990.0"))


def test_an_order_that_never_arrived_is_absent_and_one_sent_again_is_not_a_second_one(store):
    gateway = Gateway(store)
    gateway.venue.request(local(VenueAsk("h-1-1")))
    gateway.venue.request(local(VenueSubmit(order())))
    gateway.venue.request(local(VenueSubmit(order())))
    assert gateway.kinds() == [OrderEvent.ABSENT, OrderEvent.ACCEPT, OrderEvent.ACCEPT]
    gateway.venue.request(local(VenueLook(1)))
    assert gateway.answers[-1].body.open == ("h-1-1",)


def test_what_it_says_to_the_market_is_only_what_it_misses(store):
    gateway = Gateway(store)
    gateway.venue.hear(step(1))
    gateway.venue.hear(step(3))
    gateway.venue.poll(gateway)
    assert {event.topic for event in gateway.said} == {"ask/feed"}
    assert gateway.said[-1].body.consumer == "gateway"


def test_its_progress_is_told_when_the_gateway_has_nothing_left_to_handle(store):
    gateway = Gateway(store)
    gateway.venue.hear(step(1))
    gateway.venue.poll(gateway)
    assert gateway.reports == 1
    assert isinstance(gateway.venue.turn, Turn)
