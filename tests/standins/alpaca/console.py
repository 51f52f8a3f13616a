"""What a line of input asks of the stand-ins: a fault of the data, and, after ``trading``, anything of the broker's.

``mute on``, ``latency 0.2``, ``freeze``, ``thaw``, ``hang up``, ``clear`` are for data; with ``trading`` before them
for the trading API, and there are also:

``trading next 3 504 after`` (a mishap of trading_faults.py, for so many requests; ``trading next`` lists them),
``trading lost_events 2``, ``trading go_away``, ``trading come_back``, ``trading expire_keys``,
``trading renew_keys``, ``trading requests 20``, ``trading price SPY 99.9 100.1``,
``trading fill ID [QUANTITY [PRICE]]``, ``trading cancel ID``, ``trading reject ID TEXT`` (an order by its client id),
``trading split SPY 2 1``, ``trading dividend SPY 0.5``, ``trading fee 1.2``, ``trading cash 100``,
``trading rename FB META``, ``trading open_market``, ``trading close_market``, ``trading automatic off``,
``trading slice 5``, ``trading report``: the log, as a line of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.standins.alpaca.faults import Faults
from tests.standins.alpaca.server import AlpacaStandIn
from tests.standins.alpaca.trading_faults import MISHAPS
from tests.standins.alpaca.trading_server import AlpacaTrading
from tests.standins.brokerage import Brokerage, Refusal

CALLS = ("freeze", "thaw", "hang_up", "go_away", "come_back", "expire_keys", "renew_keys", "hang_up_rest", "calm")
ORDERS = ("fill", "cancel", "expire", "reject")
BOOKS = ("price", "split", "dividend", "fee", "interest", "rename", "delist", "open_market", "close_market")


class Console:
    """Takes lines; what there is to say to one is its answer."""

    def __init__(self, data: AlpacaStandIn, trading: AlpacaTrading) -> None:
        self._data, self._trading = data, trading

    def take(self, line: str) -> str:
        """Do what a line says; the answer is empty where all is well."""
        name, *words = line.split() or [""]
        try:
            if name == "trading":
                return self._broker(*words) if words else "trading what?"
            return _serve(self._data, name, words) if name else ""
        except (TypeError, ValueError, ArithmeticError, KeyError, Refusal, AssertionError) as error:
            return f"{line.strip()}: {type(error).__name__}: {error}"

    def _broker(self, name: str, *words: str) -> str:
        alpaca, books = self._trading, self._trading.books
        own: dict[str, Callable[..., Any]] = {
            "requests": lambda count: setattr(alpaca, "requests", int(count)),
            "cash": lambda cash: books.transfer(cash=cash),
            "automatic": lambda value: setattr(books, "automatic", value == "on"),
            "slice": lambda most: setattr(books, "slice", Decimal(most) if most != "off" else None),
        }
        if name == "report":
            return report(books)
        if name == "next":
            return self._next(*words)
        if name in own:
            own[name](*words)
            return ""
        if name in BOOKS:
            getattr(books, name)(*(int(word) if name == "split" and word.isdecimal() else word for word in words))
            return ""
        if name in ORDERS:
            return self._order(name, *words)
        return _serve(alpaca, name, list(words))

    def _next(self, times: str = "", *name: str) -> str:
        if not times:
            return "\n".join(MISHAPS)
        self._trading.faults.next(" ".join(name), int(times))
        return ""

    def _order(self, what: str, client_id: str, *words: str) -> str:
        order = self._trading.books.by_client_id(client_id)
        if order is None:
            return f"{client_id}: no such order"
        words = (" ".join(words),) if what == "reject" else words
        getattr(self._trading.books, what)(order.id, *words)
        return ""


def _serve(server: AlpacaStandIn | AlpacaTrading, name: str, words: list[str]) -> str:
    """A call or a switch that both stand-ins have."""
    faults: Faults = server.faults
    call = {"hang": "hang_up"}.get(name, name)
    if name == "clear":
        faults.clear()
    elif call in CALLS and hasattr(server, call):
        getattr(server, call)()
    elif name.startswith("_") or callable(getattr(type(faults), name, len)):
        return f"{name}: no such fault; the faults are the attributes of {type(faults).__name__}"
    else:
        setattr(faults, name, _value(type(getattr(type(faults), name)), words))
    return ""


def _value(kind: type, words: list[str]) -> Any:
    if kind is bool:
        return words[:1] not in (["off"], [])
    return tuple(words) if kind is tuple else kind(" ".join(words))


def report(books: Brokerage) -> str:
    """What a brokerage did, as a line of JSON: who was accepted how often, executions, positions, cash."""
    accepted: dict[str, int] = {}
    for record in books.log.accepted():
        accepted[record.client_id] = accepted.get(record.client_id, 0) + 1
    executions = [
        [one.client_id, one.symbol, str(one.signed), str(one.price)] for one in books.executions if not one.busted
    ]
    positions = {symbol: str(quantity) for symbol, quantity in books.positions.items()}
    return json.dumps(
        {"accepted": accepted, "executions": executions, "positions": positions, "cash": str(books.cash)}
    )  # fmt: skip
