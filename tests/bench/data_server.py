"""A market data server for the bench, in a process of its own: the stand-in's WebSocket, and Binance's messages.

``python -m tests.bench.data_server``: the first line of its output is the port; each line of its input is a job (JSON),
answered by a line when it is done: what was sent, and how long it took. ``T`` in a message is when it was made, ns UTC.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from heapq import merge
from typing import Any

from tests.data.real import real
from tests.standins.websocket import WebSocketServer

SLICE = 0.005
"""Seconds of quotes that are sent at once."""
SPIKE_EVERY = 997
"""Each of so many quotes is one that nobody may miss: far off, and taken back by the next."""
SPIKE = 99.7
"""What such a bid is below; all others are above."""
STREAM = "BTCUSDT"


def quotes(server: WebSocketServer, rate: int, symbols: list[str], seconds: float) -> dict[str, Any]:
    """A walk of every symbol, ``rate`` quotes a second in all; what was sent, and each symbol's extremes."""
    low, high = dict.fromkeys(symbols, 1e9), dict.fromkeys(symbols, 0.0)
    sent = spikes = 0
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < seconds:
        while sent < passed * rate:
            symbol = symbols[sent % len(symbols)]
            middle = 100.0 + (sent * 7919 % 41) / 100
            spike = sent % SPIKE_EVERY == 0
            spikes += spike
            bid = round(SPIKE - spikes * 1e-4 if spike else middle - 0.01, 4)
            ask = round(middle + 0.01, 4)
            low[symbol], high[symbol] = min(low[symbol], bid), max(high[symbol], ask)
            server.send(_quote(symbol, sent, bid, ask, 1.0 + sent % 9, 2.0))
            sent += 1
        time.sleep(SLICE)
    return {"sent": sent, "seconds": time.monotonic() - begin, "low": low, "high": high, "spikes": spikes}


def replay(server: WebSocketServer, speed: float, seconds: float) -> dict[str, Any]:
    """The recorded stream, ``speed`` times as fast: its busiest ``seconds`` (of ours), or with 0 all of it."""
    first, last = _busiest(round(seconds * speed * 1e9))
    sent = {"quotes": 0, "trades": 0}
    size, begin, late = 0.0, time.monotonic(), 0.0
    a_second: Counter[int] = Counter()
    for stamp, kind, row in _recorded():
        if not first <= stamp < last:
            continue
        due = (stamp - first) / 1e9 / speed
        passed = time.monotonic() - begin
        if due > passed:
            time.sleep(due - passed)
        late = max(late, passed - due)
        a_second[int(due)] += 1
        sent[kind] += 1
        size += float(row["size"]) if kind == "trades" else 0.0
        server.send(_trade(row) if kind == "trades" else _recorded_quote(row))
    seconds, busiest = time.monotonic() - begin, max(a_second.values())
    return {"sent": sent, "seconds": seconds, "size": size, "behind_s": late, "busiest": busiest}


def _busiest(length: int) -> tuple[int, int]:
    """Beginning and end (ns) of the ``length`` ns with most rows; 0: of all."""
    stamps = [stamp for stamp, _, _ in _recorded()]
    if not length:
        return stamps[0], stamps[-1] + 1
    ends = (bisect_left(stamps, stamp + length) for stamp in stamps)
    _, begin = max((end - number, -number) for number, end in enumerate(ends))
    first = stamps[-begin]
    return first, first + length


def _recorded() -> Iterator[tuple[int, str, dict[str, str]]]:
    return merge(_rows("quotes"), _rows("trades"), key=lambda row: row[0])


def _rows(kind: str) -> Iterator[tuple[int, str, dict[str, str]]]:
    with gzip.open(real(f"crypto_{kind}_btcusdt_perp"), "rt", newline="") as file:
        for row in csv.DictReader(file):
            yield int(row["ts"]), kind, row


def _recorded_quote(row: dict[str, str]) -> str:
    bid, ask = float(row["bid"]), float(row["ask"])
    return _quote(STREAM, int(row["update_id"]), bid, ask, float(row["bid_size"]), float(row["ask_size"]))


def _quote(symbol: str, number: int, bid: float, ask: float, bid_size: float, ask_size: float) -> str:
    return (
        f'{{"u":{number},"s":"{symbol}","b":"{bid}","B":"{bid_size}","a":"{ask}","A":"{ask_size}",'
        f'"T":{time.time_ns()}}}'
    )


def _trade(row: dict[str, str]) -> str:
    return (
        f'{{"e":"aggTrade","s":"{STREAM}","a":{row["trade_id"]},"p":"{row["price"]}","q":"{row["size"]}",'
        f'"T":{time.time_ns()}}}'
    )


def main() -> None:
    """Serve until the input ends."""
    with WebSocketServer(lambda said: [{"result": None, "id": said["id"]}]) as server:
        print(server.port, flush=True)
        for line in sys.stdin:
            job = json.loads(line)
            do = {"quotes": quotes, "replay": replay}[job.pop("do")]
            print(json.dumps(do(server, **job)), flush=True)


if __name__ == "__main__":
    main()
