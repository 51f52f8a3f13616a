"""The brokers of a drill: each a stand-in with its own log, and ONE table of what can befall it, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from random import Random
from typing import Any, Protocol

from appliance.runs import BrokerSpec
from appliance.shell import credentials
from appliance.shell.paths import StatePaths
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.alpaca.trading_faults import MISHAPS
from tests.standins.alpaca.trading_server import AlpacaTrading
from tests.standins.brokerage import Brokerage
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.faults import REJECTIONS
from tests.standins.ibkr.market import Market

PRICES = {"SPY": Decimal(50), "QQQ": Decimal(40), "AAPL": Decimal(30), "GOOG": Decimal(20), "AIG": Decimal(10)}
TICK = Decimal("0.01")
CASH = 1_000_000
FEW = (1, 4)
"""How many orders or messages a counted fault is for."""
ANSWER_MAX = 1_600
"""Bytes of the answer to an order, headers included; a little more than there are."""
FORBIDDEN = ("buying power", "held", "wash trade", "minimum", "opposite", "blocked", "closed", "halted", "new code")


class Venue(Protocol):
    """One broker. ``faults`` are the names of what can befall it."""

    name: str
    books: Brokerage
    faults: Mapping[str, Callable[[Any, Random], object]]

    def spec(self, paths: StatePaths) -> BrokerSpec: ...
    def begin(self, fault: str, random: Random) -> None: ...
    def clear(self) -> None: ...


def accepted(venue: Venue) -> list[str]:
    """The client id of each order that the stand-in took, by its own log."""
    return [record.client_id for record in venue.books.log.accepted()]


def executions(venue: Venue) -> list[tuple[str, Decimal, Decimal]]:
    """Client id, shares (signed) and price of each execution, by the stand-in's own books."""
    return [(one.client_id, one.signed, one.price) for one in venue.books.executions]


# --- Alpaca -----------------------------------------------------------------------------------------------------------


def _next(name: str) -> Callable[[AlpacaTrading, Random], object]:
    return lambda server, random: server.faults.next(name, random.randint(*FEW))


def _count(name: str) -> Callable[[Any, Random], object]:
    return lambda server, random: setattr(server.faults, name, random.randint(*FEW))


def _switch(name: str, value: object = True) -> Callable[[Any, Random], object]:
    return lambda server, random: setattr(server.faults, name, value)


def _cut(server: AlpacaTrading, random: Random) -> None:
    for _ in range(random.randint(*FEW)):
        server.faults.next("cut after", cut=random.randrange(ANSWER_MAX), end=random.random() < 0.5)


def _forbidden(server: AlpacaTrading, random: Random) -> None:
    for _ in range(random.randint(*FEW)):
        server.faults.next(random.choice(FORBIDDEN))


ALPACA: Mapping[str, Callable[[AlpacaTrading, Random], object]] = {
    "none": lambda server, random: None,
    "504 after accept": _next("504 after"),
    "504 before accept": _next("504 before"),
    "504, accepted later": _next("504 late"),
    "502, HTML": lambda server, random: server.faults.next(random.choice(("502 after", "html after", "502 before"))),
    "time-out after accept": lambda server, random: server.faults.next("timeout after"),
    "time-out before accept": lambda server, random: server.faults.next("timeout before"),
    "cut at any byte": _cut,
    "cut before accept": _next("cut before"),
    "duplicate events": _switch("twice"),
    "reordered events": _count("swapped_events"),
    "lost events": _count("lost_events"),
    "partial then cancel": _count("partial_then_cancel"),
    "late fill": _count("late_fill"),
    "cancel loses": _count("cancel_loses"),
    "rejected after accept": _count("reject_later"),
    "429": _next("429"),
    "403 of every kind": _forbidden,
    "id refused as used": _next("duplicate"),
    "keys expire": lambda server, random: server.expire_keys(),
    "a status of tomorrow": _switch("new_status", "resting_in_tomorrow"),
    "activities lag": _switch("activities_lag", 1.0),
    "stream cut": lambda server, random: server.hang_up(),
    "half-open": lambda server, random: server.freeze(),
}
assert set(FORBIDDEN) <= set(MISHAPS)


class AlpacaVenue:
    """Alpaca's stand-in."""

    name = "alpaca"
    faults = ALPACA

    def __init__(self, server: AlpacaTrading) -> None:
        self._server, self.books = server, server.books
        self.keys, self.url = (KEY, SECRET), server.rest_url

    def spec(self, paths: StatePaths) -> BrokerSpec:
        credentials.keep(paths, "broker", "key", KEY)
        credentials.keep(paths, "broker", "secret", SECRET)
        options: dict[str, bool | int | str] = {"url": self._server.rest_url, "stream_url": self._server.stream_url}
        return BrokerSpec("alpaca", "alpaca", options=options)

    def begin(self, fault: str, random: Random) -> None:
        ALPACA[fault](self._server, random)

    def clear(self) -> None:
        self._server.faults.clear()
        self._server.thaw()
        self._server.renew_keys()


@contextmanager
def alpaca() -> Iterator[AlpacaVenue]:
    """Alpaca's stand-in, without a limit of requests."""
    with AlpacaTrading(Brokerage(CASH), requests=1_000_000) as server:
        _quote(server.books)
        yield AlpacaVenue(server)


# --- Interactive Brokers ----------------------------------------------------------------------------------------------


def _losing(*ids: str) -> Callable[[IbkrStandIn, Random], object]:
    def begin(server: IbkrStandIn, random: Random) -> None:
        server.faults.lost = random.randint(*FEW)
        server.faults.losing = frozenset(ids)

    return begin


def _cut_answer(server: IbkrStandIn, random: Random) -> None:
    server.faults.cut_at = random.choice(("3", "5", "11"))
    server.faults.cut = random.randrange(400)


def _rejected(server: IbkrStandIn, random: Random) -> None:
    server.faults.rejection = random.choice(sorted(REJECTIONS))
    server.faults.rejected = random.randint(*FEW)


IBKR: Mapping[str, Callable[[IbkrStandIn, Random], object]] = {
    "none": lambda server, random: None,
    "accepted, not answered": _count("unanswered"),
    "swallowed": _count("swallowed"),
    "cut at any byte": _cut_answer,
    "socket reset": lambda server, random: server.hang_up(),
    "daily reset": lambda server, random: server.restart(random.uniform(0.5, 2.0)),
    "order ids roll back": lambda server, random: server.restart(0.5, roll_back=1),
    "half-open": _switch("half_open"),
    "duplicate events": _switch("doubled"),
    "reordered events": _switch("shuffled"),
    "lost orderStatus and openOrder": _losing("3", "5"),
    "lost execDetails": _losing("11"),
    "partial then cancel": _count("halves"),
    "late fill": _count("late_fills"),
    "commission late": _switch("commission_late", 1.5),
    "rejected, every kind": _rejected,
    "warnings": lambda server, random: (
        setattr(server.faults, "warned", 4),
        setattr(server.faults, "warning", "waits"),
    ),
    "a status of tomorrow": _switch("strange", "RestingInTomorrow"),
    "1100, then 1102": lambda server, random: server.lose(),
    "no answer to open orders": _switch("endless", frozenset({"16"})),
    "no answer to executions": _switch("endless", frozenset({"7"})),
    "no answer to positions": _switch("endless", frozenset({"61"})),
}


class IbkrVenue:
    """The gateway's stand-in."""

    name = "ibkr"
    faults = IBKR

    def __init__(self, server: IbkrStandIn) -> None:
        self._server, self.books = server, server.books
        self._lost = False

    def spec(self, paths: StatePaths) -> BrokerSpec:
        return BrokerSpec("ibkr", "ibkr", options={"port": self._server.port})

    def begin(self, fault: str, random: Random) -> None:
        self._lost = fault.startswith("1100")
        IBKR[fault](self._server, random)

    def clear(self) -> None:
        self._server.faults.clear()
        if self._lost:
            self._lost = False
            self._server.restore(False)


@contextmanager
def ibkr() -> Iterator[IbkrVenue]:
    """The gateway's stand-in; USD 1 an execution."""
    with IbkrStandIn(Market(*PRICES)) as server:
        _quote(server.books)
        yield IbkrVenue(server)


VENUES = {"alpaca": alpaca, "ibkr": ibkr}


def _quote(books: Brokerage) -> None:
    for symbol, price in PRICES.items():
        books.price(symbol, price - TICK, price + TICK)
