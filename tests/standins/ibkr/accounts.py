"""The account: positions, values, portfolio and profit, each told once or from now on; executions by request."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from tests.standins.brokerage import Brokerage, Holding
from tests.standins.ibkr.book import Book
from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.layouts import NEW_YORK, Fill, commission, execution, portfolio, position, text
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.peer import Handler, Peer
from tests.standins.ibkr.session import ACCOUNT

LEDGER = "$LEDGER"


class Accounts:
    """One account, of which every client may know everything."""

    def __init__(self, books: Brokerage, book: Book, market: Market, faults: Faults) -> None:
        self._books, self._book, self._market, self._faults = books, book, market, faults
        self._positions: set[Peer] = set()
        self._updates: set[Peer] = set()
        self._pnl: list[tuple[Peer, str]] = []
        self.handlers: dict[str, Handler] = {
            "61": self._ask_positions, "64": lambda peer, fields: self._positions.discard(peer), "6": self._ask_updates,
            "62": self._summary, "63": lambda peer, fields: None, "76": self._multi, "77": lambda peer, fields: None,
            "92": self._ask_pnl, "93": self._end_pnl, "7": self._executions,
            "17": lambda peer, fields: peer.send(15, 1, ACCOUNT),
        }  # fmt: skip

    def gone(self, peer: Peer) -> None:
        """Its subscriptions end."""
        self._positions.discard(peer)
        self._updates.discard(peer)
        self._pnl = [one for one in self._pnl if one[0] is not peer]

    def changed(self, symbol: str) -> None:
        """Tell those who asked for it that the account is another one."""
        for peer in sorted(self._positions, key=lambda one: one.client):
            if symbol:
                peer.send(*self._position(symbol))
        for peer in sorted(self._updates, key=lambda one: one.client):
            self._tell_account(peer, [symbol] if symbol else [])
        for peer, request in self._pnl:
            self._tell_pnl(peer, request)

    # --- positions --------------------------------------------------------------------------------------------------

    def _ask_positions(self, peer: Peer, fields: list[str]) -> None:
        self._positions.add(peer)
        for symbol in self._book.holdings:
            peer.send(*self._position(symbol))
        peer.end("61", 62, 1)

    def _position(self, symbol: str) -> list[object]:
        held = self._held(symbol)
        return position(ACCOUNT, symbol, self._market.con_id(symbol), held.quantity, held.average_price)

    def _held(self, symbol: str) -> Holding:
        return self._book.holdings.get(symbol, Holding(symbol))

    # --- the account ------------------------------------------------------------------------------------------------

    def _values(self) -> dict[str, str]:
        books = self._books
        gross = sum((abs(one.quantity) * books.worth(one.symbol) for one in books.holdings.values()), Decimal(0))
        money = {
            "NetLiquidation": books.equity, "TotalCashValue": books.cash, "SettledCash": books.cash,
            "BuyingPower": books.buying_power, "AvailableFunds": books.buying_power / books.multiplier,
            "ExcessLiquidity": books.buying_power / books.multiplier, "EquityWithLoanValue": books.equity,
            "GrossPositionValue": gross, "CashBalance": books.cash, "TotalCashBalance": books.cash,
        }  # fmt: skip
        return {name: text(round(number, 2)) for name, number in money.items()}

    def _ask_updates(self, peer: Peer, fields: list[str]) -> None:
        if fields[2] == "0":
            self._updates.discard(peer)
            return
        self._updates.add(peer)
        peer.send(6, 2, "AccountReady", "true", "", ACCOUNT)
        peer.send(6, 2, "AccountType", "INDIVIDUAL", "", ACCOUNT)
        self._tell_account(peer, list(self._book.holdings))
        peer.end("6", 54, 1, ACCOUNT)

    def _tell_account(self, peer: Peer, symbols: list[str]) -> None:
        for name, value in self._values().items():
            peer.send(6, 2, name, value, "USD", ACCOUNT)
        for symbol in symbols:
            peer.send(*portfolio(ACCOUNT, symbol, self._market.con_id(symbol), self._worth(self._held(symbol))))
        peer.send(
            8, 1, datetime.fromtimestamp(self._books.clock() // 10**9, UTC).astimezone(NEW_YORK).strftime("%H:%M")
        )

    def _worth(self, held: Holding) -> list[Decimal]:
        price = self._books.worth(held.symbol)
        gain = held.quantity * (price - held.average_price)
        return [held.quantity, price, held.quantity * price, held.average_price, gain, Decimal(0)]

    def _summary(self, peer: Peer, fields: list[str]) -> None:
        request, tags = fields[2], fields[4].split(",")
        values = {"AccountType": "INDIVIDUAL", **self._values()}
        for name in tags:
            if name.startswith(LEDGER):
                ledger = ("CashBalance", "TotalCashBalance", "NetLiquidation")
                for one, currency in [(one, currency) for currency in ("USD", "BASE") for one in ledger]:
                    peer.send(63, 1, request, ACCOUNT, one, values[one], currency)
            elif name in values:
                currency = "" if name == "AccountType" else "USD"
                peer.send(63, 1, request, ACCOUNT, name, values[name], currency)
        peer.end("62", 64, 1, request)

    def _multi(self, peer: Peer, fields: list[str]) -> None:
        for name, value in self._values().items():
            peer.send(73, 1, fields[2], ACCOUNT, "", name, value, "USD")
        peer.end("76", 74, 1, fields[2])

    # --- profit -----------------------------------------------------------------------------------------------------

    def _ask_pnl(self, peer: Peer, fields: list[str]) -> None:
        self._pnl.append((peer, fields[1]))
        self._tell_pnl(peer, fields[1])

    def _end_pnl(self, peer: Peer, fields: list[str]) -> None:
        self._pnl.remove((peer, fields[1]))

    def _tell_pnl(self, peer: Peer, request: str) -> None:
        gain = sum((self._worth(one)[4] for one in self._book.holdings.values()), Decimal(0))
        peer.send(94, request, text(gain), text(gain), "0.0")

    # --- executions -------------------------------------------------------------------------------------------------

    def _executions(self, peer: Peer, fields: list[str]) -> None:
        """Those since midnight in New York that the filter lets pass; after them the commissions that are known."""
        request, wanted = fields[2], (fields[3:] + [""] * 7)[:7]
        found = [fill for fill in self._book.fills if fill.time >= self._book.midnight() and _passes(fill, wanted)]
        for fill in found:
            peer.send(*execution(fill, peer.version, request))
        for fill in found:
            if not self._faults.commission_late or fill.exec_id not in self._book.withheld:
                peer.send(*commission(fill))
        peer.end("7", 55, 1, request)


def _passes(fill: Fill, wanted: list[str]) -> bool:
    client, account, since, symbol, kind, _, side = wanted
    sides = {"BUY": "BOT", "SELL": "SLD", "BOT": "BOT", "SLD": "SLD", "": fill.side}
    return (
        client in ("", "0", str(fill.client)) and account in ("", fill.account) and symbol in ("", fill.symbol)
        and kind in ("", "STK") and sides.get(side) == fill.side and fill.time >= _since(since)
    )  # fmt: skip


def _since(text: str) -> int:
    """``20261129 09:30:00 US/Eastern``, or ``20261129-14:30:00`` in UTC; without a zone the gateway's own."""
    if not text:
        return 0
    if "-" in text:
        moment = datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    else:
        day, clock, *zone = text.split()
        moment = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(
            tzinfo=ZoneInfo(zone[0]) if zone else NEW_YORK
        )
    return int(moment.timestamp()) * 10**9
