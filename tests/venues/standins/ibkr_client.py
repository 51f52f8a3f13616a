"""The real client library against the stand-in: a scenario with one connected client, or with several."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from tests.standins.ibkr import IbkrStandIn

SYMBOL = "SPY"
SECONDS = 10.0
NEWS: ContextVar[asyncio.Event] = ContextVar("NEWS")
"""Set when a client has heard something."""


@cache
def library() -> Any:
    """ib_async or ib_insync: the one that comes first on the path."""
    for place in sys.path:
        for name in ("ib_async", "ib_insync"):
            if (Path(place) / name / "__init__.py").exists():
                return importlib.import_module(name)
    raise AssertionError("neither ib_async nor ib_insync is installed")


def play(gateway: IbkrStandIn, scenario: Callable[[Any], Awaitable[None]], client: int = 1) -> None:
    """Run a scenario with a connected client. It needs an event loop for the import, so it is inside."""

    async def inside() -> None:
        NEWS.set(asyncio.Event())
        ib = await connected(gateway, client)
        try:
            await asyncio.wait_for(scenario(ib), SECONDS)
        finally:
            ib.disconnect()

    asyncio.run(inside())


async def connected(gateway: IbkrStandIn, client: int) -> Any:
    """A client that is connected."""
    ib, news = library().IB(), NEWS.get()
    ib.errors = []
    ib.errorEvent += lambda request, code, text, contract: ib.errors.append((request, code, text))
    ib.updateEvent += news.set
    ib.disconnectedEvent += news.set
    await ib.connectAsync("127.0.0.1", gateway.port, clientId=client, timeout=2)
    return ib


async def until(right: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until a condition holds: it is looked at whenever a client has heard something. Raises TimeoutError."""
    news = NEWS.get()
    async with asyncio.timeout(seconds):
        while not right():
            news.clear()
            await news.wait()


async def quiet(gateway: IbkrStandIn, ib: Any) -> None:
    """Wait until what was asked before is answered."""
    await ib.reqCurrentTimeAsync()
    gateway.books.log.records  # noqa: B018  (its lock orders us after what other threads did)
    await ib.reqCurrentTimeAsync()


def stock(symbol: str = SYMBOL) -> Any:
    """A contract that needs no look-up."""
    return library().Stock(symbol, "SMART", "USD")


def order(kind: str = "LMT", quantity: float = 10, price: float = 90, side: str = "BUY", **others: Any) -> Any:
    """An order that rests, unless it is said otherwise."""
    prices = {"lmtPrice": price} if kind == "LMT" else {}
    return library().Order(action=side, totalQuantity=quantity, orderType=kind, **prices, **others)


def told(gateway: IbkrStandIn, since: int = 0) -> list[str]:
    """What was told of orders: message id, and of 3 and 5 the status, of 4 the code."""
    sent = [one.fields for one in gateway.log.of("sent")[since:]]
    where = {"3": 2, "4": 3, "5": -42}
    return [
        f"{one[0]} {one[where[one[0]]]}" if one[0] in where else one[0]
        for one in sent
        if one[0] in ("3", "5", "11", "59") or (one[0] == "4" and one[2] != "-1")
    ]
