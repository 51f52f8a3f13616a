"""The broker against the stand-in, in seeded disorder: whatever was changed, lost or restarted, the sums are right."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from appliance.domain.messages import VenueFill
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import OrderType, TimeInForce
from appliance.errors import VenueError, VenueRefused
from appliance.venues.alpaca import AlpacaBroker
from appliance.venues.base import Change
from tests.standins.alpaca import AlpacaTrading
from tests.standins.brokerage import Placed
from tests.venues.alpaca.conftest import Broker, Ear, wanted

D = Decimal
LIMIT: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D("50"), "time_in_force": TimeInForce.GTC}
ENDS = {"filled": OrderEvent.ACCEPT, "canceled": OrderEvent.CANCEL, "new": OrderEvent.ACCEPT}


class Life:
    """One order's life: fills, changes by us and by its owner, lost events, restarts, and at times a cancel."""

    def __init__(self, seed: int, make: Broker, alpaca: AlpacaTrading, carried: bool) -> None:
        alpaca.faults.carried = self.carried = carried
        self.random, self.make, self.alpaca, self.ear = Random(seed), make, alpaca, Ear()
        self.broker: AlpacaBroker = make()
        self.broker.open(self.ear)
        self.broker.submit(wanted(quantity="100", **LIMIT))

    @property
    def at_work(self) -> Placed | None:
        return next((one for one in self.alpaca.books.orders.values() if one.open), None)

    def step(self) -> None:
        self.random.choice(
            (self.fill, self.fill, self.change, self.hand, self.lose, self.restart, self.look, self.end)
        )()

    def fill(self) -> None:
        order = self.at_work
        if order is not None:
            self.alpaca.books.fill(order.id, self.random.randint(1, int(order.remaining)), "50")

    def change(self) -> None:
        self.broker.replace("trend-1-1", Change(limit_price=D(self.random.randint(40, 60))))

    def hand(self) -> None:
        order = self.at_work
        if order is not None:
            name = f"web-{len(self.alpaca.books.orders)}"
            self.alpaca.books.replace(
                order.id, name, carried=self.carried, limit_price=str(self.random.randint(40, 60))
            )

    def lose(self) -> None:
        self.alpaca.faults.lost_events = self.random.randint(0, 2)

    def restart(self) -> None:
        self.broker.close()
        if self.random.random() < 0.5:
            self.broker = self.make()
        self.broker.open(self.ear)

    def look(self) -> None:
        self.broker.open_orders()
        self.broker.fills(0)

    def end(self) -> None:
        if self.random.random() < 0.2:
            self.broker.cancel("trend-1-1")


@pytest.mark.parametrize("carried", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_one_order_however_often_it_was_changed_has_the_fills_that_alpaca_has(
    make: Broker, alpaca: AlpacaTrading, seed: int, carried: bool
) -> None:
    life = Life(seed, make, alpaca, carried)
    for _ in range(14):
        life.step()
    there = {f"{one.order_id}:{one.cumulative:f}": one.quantity for one in alpaca.books.executions}
    listed = life.broker.fills(0)
    answer = life.broker.order("trend-1-1")
    assert {fill.fill_key: fill.quantity for fill in listed} == there
    assert {fill.fill_key: fill.quantity for fill in answer.fills} == there
    assert {fill.order_id for fill in listed} <= {"trend-1-1"}
    assert all(there[fill.fill_key] == fill.quantity for fill in life.ear.of(VenueFill))
    assert answer.report.filled == sum(there.values())
    last = [one for one in alpaca.books.orders.values() if one.status != "replaced"][-1]
    assert (answer.report.event, answer.report.venue_id) == (
        ENDS.get(last.status, OrderEvent.ACCEPT), last.id,
    )  # fmt: skip
    shown = life.broker.open_orders()
    assert [one.order_id for one in shown] == (["trend-1-1"] if last.open else [])
    if last.open:
        assert (shown[0].quantity, shown[0].filled) == (D(100), sum(there.values(), D(0)))


def test_orders_cancels_and_questions_of_many_threads_do_not_mix(make: Broker, alpaca: AlpacaTrading, ear: Ear) -> None:
    broker = make()
    broker.open(ear)
    wrong: list[object] = []

    def trade(name: str) -> None:
        for n in range(25):
            order_id = f"{name}-1-{n}"
            report = broker.submit(wanted(order_id, str(n + 1), **LIMIT))
            answer = broker.order(order_id).report
            there = alpaca.books.orders[report.venue_id]
            right = (report.order_id, answer.venue_id, there.client_id, there.quantity)
            if right != (order_id, report.venue_id, order_id, n + 1) or broker.cancel(order_id) is not None:
                wrong.append(right)

    threads = [threading.Thread(target=trade, args=(f"host{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert len(alpaca.books.log.accepted()) == len({one.client_id for one in alpaca.books.log.accepted()}) == 100
    assert broker.open_orders() == ()


def test_connections_that_come_and_go_leave_no_thread_and_no_file_open(make: Broker, alpaca: AlpacaTrading) -> None:
    broker, wrong = make(), make(secret="wrong")
    broker.open(Ear())
    broker.close()
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for n in range(12):
        with suppress(VenueError):
            (broker if n % 2 else wrong).open(Ear())
        if n % 3 == 0:
            alpaca.hang_up()
        broker.close()
    with pytest.raises(VenueRefused):
        wrong.open(Ear())
    ours = [thread for thread in threading.enumerate() if thread.name == "alpaca stream"]
    assert ours == []
    assert threading.active_count() <= threads + 6  # the stand-in has a thread for each connection, for a while
    assert len(os.listdir("/proc/self/fd")) <= files + 12
