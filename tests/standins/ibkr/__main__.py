"""The stand-in as a process: ``python -m tests.standins.ibkr SPY AAPL`` is a gateway over a market that nobody trades.

It prints its port, and every ``--every`` seconds the price of each symbol is another one. A line on its input does
something, or switches a fault:
    price SPY 99.99 100.01 · fill REF [SHARES [PRICE]] · cancel REF · correct NUMBER PRICE · bust NUMBER · close · open
    restart [SECONDS [NEXT_ID]] · stop · start · hang · lose · restore [lost] · farm 2103 · error CODE TEXT · roll [ID]
    swallowed 3 · unanswered 1 · rejection tick · rejected 1 · half_open on · losing 3,11 · strange Odd · … · clear
    log (what was accepted and executed, a JSON line each)
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.standins.brokerage import Refusal
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.server import IbkrStandIn


class Walk:
    """Prices that wander, in the brokerage and on the data lines."""

    def __init__(self, server: IbkrStandIn, symbols: list[str], seed: int) -> None:
        self._server, self._chance = server, random.Random(seed)
        self._prices = dict.fromkeys(symbols, 10_000)
        """Cents, between bid and ask."""

    def tick(self) -> None:
        """Each symbol's next price."""
        for symbol in self._prices:
            price = self._prices[symbol] = max(self._prices[symbol] + self._chance.randint(-2, 2), 100)
            bid, ask = (f"{cents // 100}.{cents % 100:02d}" for cents in (price - 1, price + 1))
            self._server.books.price(symbol, bid, ask)
            self._server.push_ticks(symbol, (1, float(bid), 100), (2, float(ask), 100), (4, price / 100, 100))


class Console:
    """What a line asks for."""

    def __init__(self, server: IbkrStandIn) -> None:
        self._server = server
        books = server.books
        self._calls: dict[str, Callable[..., Any]] = {
            "price": books.price, "fill": self._fill, "cancel": lambda ref: books.cancel(self._id(ref)),
            "correct": lambda number, price: books.correct(int(number), price=price),
            "bust": lambda number: books.bust(int(number)), "close": books.close_market, "open": books.open_market,
            "restart": lambda seconds="1", roll="0": server.restart(float(seconds), roll_back=int(roll)),
            "stop": server.stop, "start": server.start, "hang": server.hang_up, "lose": server.lose,
            "restore": lambda lost="": server.restore(bool(lost)), "farm": lambda code: server.farm(int(code)),
            "error": lambda code, *text: server.push_error(int(code), " ".join(text)),
            "roll": lambda next_id="1": server.roll_back(int(next_id)), "clear": server.faults.clear, "log": self._log,
        }  # fmt: skip

    def line(self, line: str) -> None:
        """Do it, or say why not."""
        words = line.split()
        if not words:
            return
        try:
            if words[0] in self._calls:
                self._calls[words[0]](*words[1:])
            else:
                self._switch(words[0], words[1:])
        except (AssertionError, IndexError, KeyError, TypeError, ValueError, Refusal) as error:
            print(f"{line.strip()}: {error!r}", file=sys.stderr, flush=True)

    def _switch(self, name: str, words: list[str]) -> None:
        faults = self._server.faults
        if not hasattr(type(faults), name) or name.startswith("_"):
            raise ValueError("no such call or fault; the faults are the attributes of Faults in faults.py")
        value, before = " ".join(words), getattr(type(faults), name)
        if isinstance(before, frozenset):
            setattr(faults, name, frozenset(value.replace(",", " ").split()))
        elif isinstance(before, tuple):
            setattr(faults, name, (int(words[0]), " ".join(words[1:])) if words else before)
        else:
            setattr(faults, name, value not in ("off", "") if isinstance(before, bool) else type(before)(value))

    def _fill(self, ref: str, *numbers: str) -> None:
        self._server.books.fill(self._id(ref), *numbers, late=True)

    def _id(self, ref: str) -> str:
        found = self._server.books.by_client_id(ref)
        if found is None:
            raise ValueError("no order has this reference")
        return found.id

    def _log(self) -> None:
        for record in self._server.books.log.records:
            print(json.dumps(record._asdict(), default=str), flush=True)


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two prices of a symbol; 0: none")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--version", type=int, default=176, help="the newest version of the protocol it speaks")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with IbkrStandIn(Market(*options.symbols), version=options.version, port=options.port) as server:
        print(json.dumps({"host": "127.0.0.1", "port": server.port}), flush=True)
        ended = threading.Event()
        walk = Walk(server, options.symbols, options.seed)
        walk.tick()
        if options.every:
            threading.Thread(target=_tick, args=(walk, options.every, ended), daemon=True).start()
        console = Console(server)
        for line in sys.stdin:
            console.line(line)
        ended.set()


def _tick(walk: Walk, every: float, ended: threading.Event) -> None:
    while not ended.wait(every):
        walk.tick()


if __name__ == "__main__":
    main()
