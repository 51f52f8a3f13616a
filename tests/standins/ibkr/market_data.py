"""Live data: lines of quotes and of 5-second bars, each until it is cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.peer import Handler, Peer

TICKS, BARS = "1", "50"


class Line(NamedTuple):
    """A subscription: whose, its request id, and ``kind``, the id of the message that made it."""

    peer: Peer
    request: str
    kind: str
    symbol: str


class MarketData:
    """``lines``: how many one client may have; ``connected`` is whether IB's servers can be reached."""

    def __init__(self, market: Market, faults: Faults, lines: int) -> None:
        self._market = market
        self._faults = faults
        self._most = lines
        self.connected = True
        self.lines: list[Line] = []
        self.handlers: dict[str, Handler] = {
            "1": lambda peer, fields: self._open(peer, fields, TICKS, fields[2:5]),
            "50": lambda peer, fields: self._open(peer, fields, BARS, fields[2:5]),
            "2": lambda peer, fields: self._cancel(peer, fields[2], TICKS),
            "51": lambda peer, fields: self._cancel(peer, fields[2], BARS),
            "59": lambda peer, fields: None,
        }

    def gone(self, peer: Peer) -> None:
        """The client's lines are closed."""
        self.lines = [line for line in self.lines if line.peer is not peer]

    def _open(self, peer: Peer, fields: list[str], kind: str, named: Sequence[str]) -> None:
        request, con_id, name = named
        symbol = self._market.symbol(con_id, name)
        if symbol is None:
            peer.error(request, 200, "No security definition has been found for the request")
        elif symbol in self._market.refused:
            peer.error(request, *self._market.refused[symbol])
        elif sum(line.peer is peer for line in self.lines) >= self._most:
            peer.error(request, 101, "Max number of tickers has been reached.")
        else:
            self.lines.append(Line(peer, request, kind, symbol))
            if kind == TICKS:
                peer.send(81, request, 0.01, "9c0001", 3)

    def _cancel(self, peer: Peer, request: str, kind: str) -> None:
        before = len(self.lines)
        self.lines = [line for line in self.lines if line[:3] != (peer, request, kind)]
        if len(self.lines) == before:
            peer.error(request, 300, f"Can't find EId with tickerId:{request}")

    def of(self, symbol: str, kind: str) -> list[Line]:
        """The lines that data of a symbol go to now."""
        if self._faults.mute or not self.connected:
            return []
        return [line for line in self.lines if (line.symbol, line.kind) == (symbol, kind)]

    def bars(self, symbol: str, bars: Sequence[Sequence[float]]) -> int:
        """Tell bars (epoch, open, high, low, close, volume, wap, count); to how many lines."""
        lines = self.of(symbol, BARS)
        for bar in self._faults.twisted(bars):
            for line in lines:
                line.peer.send(50, 3, line.request, *bar)
        return len(lines)

    def ticks(self, symbol: str, ticks: Sequence[tuple[int, float, float]]) -> int:
        """Tell prices (tick type, price, size), all in one piece as a gateway does."""
        lines = self.of(symbol, TICKS)
        for line in lines:
            line.peer.send_together([[1, 6, line.request, kind, price, size, 0] for kind, price, size in ticks])
        return len(lines)

    def size(self, symbol: str, kind: int, size: float) -> int:
        """Tell a size alone."""
        lines = self.of(symbol, TICKS)
        for line in lines:
            line.peer.send(2, 6, line.request, kind, size)
        return len(lines)

    def generic(self, symbol: str, kind: int, value: float) -> int:
        """Tell a value such as 49, halted."""
        lines = self.of(symbol, TICKS)
        for line in lines:
            line.peer.send(45, 6, line.request, kind, value)
        return len(lines)
