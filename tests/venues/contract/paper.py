"""The paper broker on a market that ticks by itself, as a live feed does; its books are what it has committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.fills import Fills
from appliance.core.streams import Writers
from appliance.core.turn import Turn
from appliance.domain.market import Quote
from appliance.domain.messages import Ticks, local
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order, TimeInForce
from appliance.domain.venue import Rejection
from appliance.shell.clock import MachineClock
from appliance.venues.paper import PAPER, READS
from appliance.venues.paper_broker import PaperBroker
from tests.core.memory import MemoryStore
from tests.venues.contract.stage import ASK, BID, SYMBOL, Stage, order

CASH = Decimal(100_000)
TICK = 0.01
"""Seconds between two quotes."""
MANY = 1e6
"""Shares on offer, where no test says otherwise."""
MODEL = MarketModel(fills=Fills(limit="touch"), participation=Decimal(100))


def _built(writers: Writers) -> MarketSimulator:
    return MarketSimulator(PAPER, writers, CASH, MODEL)


class PaperStage:
    """A quote every hundredth of a second, of the prices the test has set."""

    name = "paper"
    can = frozenset(("link",))

    def __init__(self) -> None:
        self._store = MemoryStore()
        self._lock = threading.Lock()
        self._quote = (BID, ASK)
        self._n = 0
        self._over = threading.Event()
        self.broker = self.again()
        self._thread = threading.Thread(target=self._tick, name="paper-market", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """The market is over."""
        self._over.set()
        self._thread.join(5)

    def again(self) -> PaperBroker:
        self.broker = PaperBroker(_built, self._store, MachineClock())
        return self.broker

    def price(self, bid: Decimal, ask: Decimal) -> None:
        with self._lock:
            self._quote = bid, ask
            self._quoted(bid, ask, MANY)

    def fill(self, order_id: str, quantity: Decimal, price: Decimal) -> None:
        with self._lock:
            self._quoted(self._quote[0], price, float(quantity))

    def accepted(self, order_id: str) -> int:
        core = self._committed()
        ended = core.ended.get(order_id)
        return (order_id in core.resting) + (ended is not None and ended.event is not OrderEvent.REJECT)

    def executions(self, order_id: str) -> list[tuple[Decimal, Decimal]]:
        fills = self._committed().fills.values()
        return [(one.quantity, one.price) for one in fills if one.order_id == order_id]

    def books(self) -> tuple[Decimal, dict[str, Decimal]]:
        positions: dict[str, Decimal] = {}
        cash = CASH
        for one in self._committed().fills.values():
            shares = one.quantity * one.side.sign
            positions[one.symbol] = positions.get(one.symbol, Decimal(0)) + shares
            cash -= shares * one.price + one.commission
        return cash, {symbol: shares for symbol, shares in positions.items() if shares}

    def stranger(self, order_id: str) -> None:
        raise AssertionError("nobody else trades on paper")

    def cut(self) -> None:
        self.broker.cut()

    def refused(self) -> list[tuple[Order, tuple[Rejection, ...]]]:
        return [
            (order(quantity=0), (Rejection.QUANTITY,)),
            (order(time_in_force=TimeInForce.OPG), (Rejection.UNSUPPORTED,)),
        ]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _committed(self) -> MarketSimulator:
        """What a process that begins now would find."""
        with self._lock:
            turn = Turn(PAPER, _built, self._store, lambda event, payload: None, MachineClock(), READS, consumer="test")
            turn.start()
        assert isinstance(turn.core, MarketSimulator)
        return turn.core

    def _tick(self) -> None:
        while not self._over.wait(TICK):
            with self._lock:
                self._quoted(*self._quote, MANY)

    def _quoted(self, bid: Decimal, ask: Decimal, size: float) -> None:
        self._n += 1
        quote = Quote(SYMBOL, time.time_ns(), float(bid), float(ask), size, size)
        self.broker.happens(local(Ticks(self._n, (quote,)), quote.time, "feed/quotes"))


@contextmanager
def paper(folder: Path) -> Iterator[Stage]:
    """The shipped market behind the paper venue."""
    made = PaperStage()
    try:
        yield made
    finally:
        made.end()
