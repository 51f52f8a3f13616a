"""The stand-ins as a process: ``python -m tests.standins.alpaca SPY AAPL`` sells bars and quotes that nobody traded,
and trades what is ordered at these quotes.

It prints its addresses and keys, sends a quote of each symbol every ``--every`` seconds and a bar each minute. A line
on its input switches a fault: ``mute on``, ``latency 0.2``, ``freeze``, ``thaw``, ``hang up``, ``clear``, and for the
broker ``trading lost_events 2``, ``trading next 3 504 after``, ``trading report``; console.py has them all.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time

from tests.standins.alpaca.console import Console
from tests.standins.alpaca.market import MINUTE, Market, Row, bar, minutes, quote
from tests.standins.alpaca.server import KEY, SECRET, AlpacaStandIn
from tests.standins.alpaca.trading_server import AlpacaTrading
from tests.standins.brokerage import Brokerage

DAYS = 5


class Trading:
    """A random walk of some symbols, told as it goes."""

    def __init__(self, server: AlpacaStandIn, books: Brokerage, symbols: list[str], seed: int) -> None:
        self._server, self._books, self._chance = server, books, random.Random(seed)
        self._prices = {symbol: float(server.market.latest("bars", symbol)["c"]) for symbol in symbols}  # type: ignore[index]
        self._seen: dict[str, list[float]] = {symbol: [] for symbol in symbols}
        self._minute = time.time_ns() // MINUTE

    def tick(self) -> None:
        """A quote of each symbol; at the end of a minute first its bars."""
        now = time.time_ns()
        if now // MINUTE > self._minute:
            self._end_minute()
            self._minute = now // MINUTE
        for symbol in self._prices:
            row = self._quoted(symbol, now)
            self._server.happen("q", symbol, row)
            self._books.price(symbol, str(row["bp"]), str(row["ap"]))

    def _quoted(self, symbol: str, now: int) -> Row:
        price = self._prices[symbol] = round(max(self._prices[symbol] + self._chance.gauss(0, 0.02), 1.0), 2)
        self._seen[symbol].append(price)
        return quote(now, round(price - 0.01, 2), round(price + 0.01, 2), 100, 100)

    def _end_minute(self) -> None:
        for symbol, seen in self._seen.items():
            if seen:
                row = bar(self._minute * MINUTE, seen[0], max(seen), min(seen), seen[-1], float(len(seen)))
                self._server.happen("b", symbol, row)
        self._seen = {symbol: [] for symbol in self._seen}


def main() -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("symbols", nargs="+")
    parser.add_argument("--every", type=float, default=1.0, help="seconds between two quotes of a symbol")
    parser.add_argument("--cash", default="100000", help="USD of the account")
    parser.add_argument("--requests", type=int, default=200, help="requests that a minute allows the trading API")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    market = Market()
    begin = time.time_ns() // MINUTE * MINUTE - DAYS * 1440 * MINUTE
    for number, symbol in enumerate(options.symbols):
        market.add("bars", symbol, minutes(begin, DAYS * 1440, seed=options.seed + number))
    books = Brokerage(options.cash)
    with AlpacaStandIn(market, paid=True) as data, AlpacaTrading(books, requests=options.requests) as trading:
        trade = Trading(data, books, options.symbols, options.seed)
        trade.tick()
        places = {
            "rest_url": data.rest_url, "stream_url": data.stream_url, "trading_url": trading.rest_url,
            "trading_stream_url": trading.stream_url, "key": KEY, "secret": SECRET,
        }  # fmt: skip
        print(json.dumps(places), flush=True)
        ended = threading.Event()
        threading.Thread(target=_tick, args=(trade, options.every, ended), daemon=True).start()
        console = Console(data, trading)
        for line in sys.stdin:
            if answer := console.take(line):
                print(answer, flush=True)
        ended.set()


def _tick(trading: Trading, every: float, ended: threading.Event) -> None:
    while not ended.wait(every):
        trading.tick()


if __name__ == "__main__":
    main()
