"""`appliance broker check`, against a broker that does as it is told here: what it asks, tells, and leaves behind."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from appliance.commands.broker.trying import Step, Trial, far_off, left_out
from appliance.domain.messages import OpenOrder, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Account, Order, OrderType, Side, TimeInForce
from appliance.domain.venue import Takes, VenueTraits
from appliance.errors import VenueDown, VenueRefused, VenueSilent
from appliance.venues.base import Answer, Hear, VenueClock

NOW = 1_764_000_000_000_000_000
ACCEPT, CANCEL, REJECT, ABSENT = OrderEvent.ACCEPT, OrderEvent.CANCEL, OrderEvent.REJECT, OrderEvent.ABSENT


class Obedient:
    """A broker that does what it is told, or raises what ``fails`` says under the name of a method."""

    name, traits = "obedient", VenueTraits()

    def __init__(self, **fails: Exception) -> None:
        self.log: list[str] = []
        self.orders: dict[str, Order] = {}
        self.reports: dict[str, VenueReport] = {}
        self.slow_to_cancel = 0
        self.rejects = False
        self.fails = fails

    def _did(self, name: str) -> None:
        self.log.append(name)
        if name in self.fails:
            raise self.fails[name]

    def open(self, hear: Hear) -> None:
        self._did("open")

    def close(self) -> None:
        self._did("close")

    def submit(self, order: Order) -> VenueReport:
        event = REJECT if self.rejects else ACCEPT
        report = VenueReport(order.id, event, NOW, text="no" if self.rejects else "", code="PRICE" * self.rejects)
        if not self.rejects:
            self.orders[order.id] = order
            self.reports[order.id] = report
        self._did("submit")
        return report

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        self._did("cancel")
        if order_id not in self.orders:
            return VenueReport(order_id, ABSENT, NOW)
        return None

    def order(self, order_id: str) -> Answer:
        self._did("order")
        self.slow_to_cancel -= 1
        if order_id not in self.orders:
            return Answer(VenueReport(order_id, ABSENT, NOW))
        if self.slow_to_cancel < 0:
            return Answer(replace(self.reports[order_id], event=CANCEL))
        return Answer(self.reports[order_id])

    def open_orders(self) -> tuple[OpenOrder, ...]:
        self._did("open_orders")
        return tuple(OpenOrder(o.id, "v", o.symbol, o.side, o.quantity, o.type) for o in self.orders.values())

    def positions(self) -> dict[str, Decimal]:
        self._did("positions")
        return {"SPY": Decimal("2.5")}

    def account(self) -> Account:
        self._did("account")
        return Account(Decimal(1000), equity=Decimal("2250.50"))

    def clock(self) -> VenueClock:
        self._did("clock")
        return VenueClock(NOW + 250_000_000, open=False)


ORDER = far_off("SPY", Decimal("501.01"), VenueTraits(), NOW)


def _tried(broker: Any, order: Order | str = ORDER) -> tuple[dict[str, Step], list[float]]:
    rested: list[float] = []
    ticks = itertools.count(0, 1_500_000)
    trial = Trial(broker, lambda: next(ticks), lambda: NOW)
    return {step.step: step for step in trial.run(order, rested.append)}, rested


def test_everything_is_read_and_an_order_placed_found_and_canceled_each_with_its_latency():
    broker = Obedient()
    steps, _ = _tried(broker)
    assert list(steps) == ["connect", "account", "positions", "open orders", "clock", "place", "find", "cancel"]
    assert {step.ms for step in steps.values()} == {1.5}
    assert not any(step.failed for step in steps.values())
    assert steps["account"].said == "equity 2,250.50 USD, cash 1,000.00 USD"
    assert steps["positions"].said == "SPY 2.5"
    assert steps["clock"].said == "+250 ms from ours; the market is closed"
    assert steps["place"].said == f"buy 1 SPY at 250.50 USD, as check-{NOW}"
    assert broker.log[-1] == "close"


def test_without_an_order_nothing_is_placed_and_it_is_said_why():
    broker = Obedient()
    steps, _ = _tried(broker, left_out("live U1234567 is live money"))
    assert steps["order"] == Step("order", None, "not placed: live U1234567 is live money")
    assert "submit" not in broker.log


@pytest.mark.parametrize(
    ("method", "step", "error"),
    [
        ("open", "connect", VenueRefused("wrong keys", venue="obedient", hint="new keys")),
        ("account", "account", VenueSilent("no answer")),
        ("positions", "positions", VenueDown("gone")),
        ("clock", "clock", VenueSilent("no answer")),
    ],
)
def test_the_first_failure_ends_it_with_its_hint_and_nothing_is_placed(method, step, error):
    broker = Obedient(**{method: error})
    steps, _ = _tried(broker)
    assert list(steps)[-1] == step
    failed = steps[step]
    assert (failed.failed, failed.code, failed.said, failed.hint) == (True, error.code, error.text, error.hint)
    assert failed.exit_code == 5
    assert "submit" not in broker.log
    assert broker.log[-1] == "close"


def test_a_rejection_is_the_brokers_no_and_there_is_nothing_to_cancel():
    broker = Obedient()
    broker.rejects = True
    steps, _ = _tried(broker)
    assert (steps["place"].failed, steps["place"].exit_code) == (True, 1)
    assert "rejected, PRICE: no" in steps["place"].said
    assert "cancel" not in broker.log


def test_an_order_that_may_be_there_is_canceled():
    broker = Obedient(submit=VenueSilent("no answer in 5 s"))
    steps, _ = _tried(broker)
    assert (steps["place"].failed, steps["place"].exit_code) == (True, 5)
    assert not steps["cancel"].failed
    assert broker.log.index("cancel") > broker.log.index("submit")


def test_a_cancel_is_waited_for_and_one_that_never_comes_is_told_with_the_order():
    broker = Obedient()
    broker.slow_to_cancel = 3
    steps, rested = _tried(broker)
    assert not steps["cancel"].failed
    assert len(rested) == 4
    broker = Obedient()
    broker.slow_to_cancel = 1_000_000
    steps, rested = _tried(broker)
    assert "has not ended 10 s later" in steps["cancel"].said
    assert f"check-{NOW}" in steps["cancel"].said
    assert 9 < sum(rested) < 11


def _takes(*times: TimeInForce) -> VenueTraits:
    takes = Takes({OrderType.LIMIT: times} if times else {})
    return VenueTraits(stocks=takes, crypto=takes)


@pytest.mark.parametrize(
    ("symbol", "last", "traits", "quantity", "limit", "time_in_force"),
    [
        ("SPY", "501.01", VenueTraits(), "1", "250.50", TimeInForce.DAY),
        ("BRK.A", "0.02", VenueTraits(), "1", "0.01", TimeInForce.DAY),
        ("BTC/USD", "90000", _takes(TimeInForce.GTC), "0.0005", "45000.00", TimeInForce.GTC),
        ("DOGE/USD", "0.3", _takes(TimeInForce.GTC), "133.3334", "0.15", TimeInForce.GTC),
    ],
)
def test_the_order_is_small_and_far_below_the_market(symbol, last, traits, quantity, limit, time_in_force):
    order = far_off(symbol, Decimal(last), traits, NOW)
    assert isinstance(order, Order)
    assert (order.side, order.type, order.symbol) == (Side.BUY, OrderType.LIMIT, symbol)
    assert (order.quantity, order.limit_price) == (Decimal(quantity), Decimal(limit))
    assert order.time_in_force is time_in_force
    assert len(order.id) <= 48


@pytest.mark.parametrize(
    ("symbol", "last", "traits"),
    [("SPY", "500", _takes()), ("BTC/USD", "1", VenueTraits(crypto=None)), ("SPY", "0.01", VenueTraits())],
)
def test_what_the_broker_does_not_take_is_not_placed(symbol: str, last: str, traits: VenueTraits):
    step = far_off(symbol, Decimal(last), traits, NOW)
    assert isinstance(step, Step)
    assert (step.failed, step.exit_code) == (True, 1)
    assert step.hint


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (NOW + 250_000_000, "+250 ms from ours"),
        (NOW - 3_000_001, "-3 ms from ours"),
        (NOW // 10**9 * 10**9, "ours, to the second"),
        (NOW // 10**9 * 10**9 + 40 * 10**9, "+40 s from ours (it tells whole seconds)"),
    ],
)
def test_a_clock_of_whole_seconds_is_not_called_late(theirs: int, said: str):
    broker = Obedient()
    broker.clock = lambda: VenueClock(theirs)  # type: ignore[method-assign]
    steps, _ = _tried(broker, left_out("nothing"))
    assert steps["clock"].said == said
