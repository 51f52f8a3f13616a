"""Contract details of the symbols in the market."""

from __future__ import annotations

from tests.standins.ibkr.market import Market
from tests.standins.ibkr.peer import Handler, Peer

UNKNOWN = "No security definition has been found for the request"


class Contracts:
    """Answers what a symbol is."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.handlers: dict[str, Handler] = {"9": self._details}

    def gone(self, peer: Peer) -> None:
        """It holds nothing of a client's."""

    def _details(self, peer: Peer, fields: list[str]) -> None:
        request, con_id, name, kind = fields[2], fields[3], fields[4], fields[5]
        symbol = self._market.symbol(con_id, name)
        if symbol is None or kind not in ("STK", ""):
            peer.error(request, 200, UNKNOWN)
            return
        for number in range(2 if symbol in self._market.ambiguous else 1):
            peer.send(*_contract(request, symbol, self._market.contracts[symbol] + 5000 * number, peer.version))
        peer.send(52, 1, request)


def _contract(request: str, symbol: str, con_id: int, version: int) -> list[object]:
    old = version < 164
    hours = "20131007:0930-20131007:1600"
    first = [10, *([8] if old else []), request, symbol, "STK", "", 0, "", "SMART", "USD", symbol, "NMS", "NMS", con_id]
    prices = [0.01, *([100] if old else []), "", "ACTIVETIM,AD,LMT,MKT", "SMART,NYSE,ARCA", 1, 0, f"{symbol} SHARES"]
    kind = ["ARCA", "", "Funds", "Equity Fund", "ETF-Equity", "US/Eastern", hours, hours, "", 0, 0]
    last = [1, "", "", "26,26", "", "ETF", *([] if old else [1, 1, 100])]
    return [*first, *prices, *kind, *last]
