"""The gateway's core behind its desk, on the real libraries, against stand-ins: what happened there is what we know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from appliance.domain.trading import OrderType
from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions
from appliance.venues.ibkr import IbkrBroker, IbkrTerms
from tests.standins.alpaca import KEY, SECRET, AlpacaTrading
from tests.standins.brokerage import Brokerage
from tests.standins.ibkr import IbkrStandIn
from tests.venues.floor import Floor

D = Decimal
LIMIT = {"type": OrderType.LIMIT, "limit_price": D(90)}


class Place:
    """A stand-in, what can befall it, and the gateway's floor in front of it."""

    def __init__(
        self,
        floor: Floor,
        books: Brokerage,
        cut: Callable[[], None],
        freeze: Callable[[bool], None],
        swallow: Callable[[bool], None],
    ) -> None:
        self.floor, self.books, self.cut, self.freeze, self.swallow = floor, books, cut, freeze, swallow

    def accepted(self, name: str) -> int:
        return len(self.books.log.accepted(name))

    def back(self) -> float:
        """Until the link that is up has been compared."""
        before = len(self.floor.links)
        took = self.floor.until(lambda: any(not link.up for link in self.floor.links[before:]))
        return took + self.floor.until(lambda: self.floor.reconciled and self.floor.links[-1].up)


def _alpaca() -> Iterator[Place]:
    with AlpacaTrading(requests=10_000) as stand_in:
        options = AlpacaBrokerOptions(
            key=KEY, secret=SECRET, url=stand_in.rest_url, stream_url=stand_in.stream_url, connect=0.5, answer=0.5,
            deadline=1.0, ping=0.3,
        )  # fmt: skip
        floor = Floor(AlpacaBroker(options))
        yield Place(
            floor,
            stand_in.books,
            stand_in.hang_up,
            lambda frozen: stand_in.freeze() if frozen else stand_in.thaw(),
            lambda done: stand_in.faults.next("timeout after" if done else "timeout before"),
        )
        floor.close()


def _ibkr() -> Iterator[Place]:
    with IbkrStandIn() as stand_in:
        floor = Floor(IbkrBroker(IbkrTerms(port=stand_in.port, connect=0.5, answer=0.5, commission=0.2)))

        def swallow(done: bool) -> None:
            setattr(stand_in.faults, "unanswered" if done else "swallowed", 1)

        yield Place(
            floor,
            stand_in.books,
            stand_in.hang_up,
            lambda frozen: setattr(stand_in.faults, "half_open", frozen),
            swallow,
        )
        floor.close()


@pytest.fixture(params=[_alpaca, _ibkr])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Connected and reconciled; SPY is at 99.99 to 100.01."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    opened = request.param()
    one: Place = next(opened)
    one.books.price("SPY", "99.99", "100.01")
    one.floor.until(lambda: one.floor.reconciled)
    yield one
    next(opened, None)


def test_an_approved_order_is_filled_and_our_books_are_theirs(place: Place) -> None:
    place.floor.send("trend-1-1")
    place.floor.until(lambda: place.floor.status("trend-1-1") == "filled")
    assert place.accepted("trend-1-1") == 1
    assert place.floor.core.ledger.position("SPY") == place.books.positions["SPY"] == D(1)


def test_a_connection_that_is_cut_is_back_and_reconciled_with_what_was_filled_meanwhile(place: Place) -> None:
    place.floor.send("trend-1-1", **LIMIT)
    place.floor.until(lambda: place.floor.status("trend-1-1") == "accepted")
    (order,) = place.books.orders.values()
    place.cut()
    place.books.fill(order.id)
    assert place.back() < 30
    assert place.floor.status("trend-1-1") == "filled"
    place.floor.send("trend-1-2")
    place.floor.until(lambda: place.floor.status("trend-1-2") == "filled")
    assert place.floor.core.ledger.position("SPY") == place.books.positions["SPY"] == D(2)


@pytest.mark.parametrize("done", [True, False])
def test_an_order_nobody_answered_is_known_in_the_end_and_there_once_at_most(place: Place, done: bool) -> None:
    place.swallow(done)
    place.floor.send("trend-1-1")
    place.floor.until(lambda: place.floor.status("trend-1-1") in ("filled", "not_placed"), 30)
    placed = place.floor.status("trend-1-1") == "filled"
    assert place.accepted("trend-1-1") == placed
    assert placed or not done


def test_a_cancel_gets_out_of_a_half_open_link_and_is_done(place: Place) -> None:
    place.floor.send("trend-1-1", **LIMIT)
    place.floor.until(lambda: place.floor.status("trend-1-1") == "accepted")
    place.freeze(True)
    core, now = place.floor.core, place.floor.clock.now(None)
    core.out = []
    core.reconciler.unwant(core.ledger.orders["trend-1-1"], now)
    for event in core.out:
        place.floor._publish(event, b"")
    place.floor.until(lambda: not place.floor.links[-1].up)
    place.freeze(False)
    place.floor.until(lambda: place.floor.status("trend-1-1") == "canceled")
    assert [one.kind for one in place.books.log.records if one.client_id == "trend-1-1"][-1] == "canceled"
