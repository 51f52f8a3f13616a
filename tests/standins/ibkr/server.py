"""The stand-in as a whole: one port, the surfaces of a gateway, faults, and a log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, TypeVar

from tests.standins.brokerage import Brokerage, Told
from tests.standins.brokerage.rules import funded, known, lent, priced, sized
from tests.standins.ibkr.accounts import Accounts
from tests.standins.ibkr.book import Book
from tests.standins.ibkr.contracts import Contracts
from tests.standins.ibkr.faults import Faults
from tests.standins.ibkr.history import History
from tests.standins.ibkr.log import Entry, Log
from tests.standins.ibkr.market import Market
from tests.standins.ibkr.market_data import MarketData
from tests.standins.ibkr.peer import MESSAGES, Handler, Peer, Surface
from tests.standins.ibkr.session import Session
from tests.standins.ibkr.telling import Telling
from tests.standins.ibkr.trading import Trading

T = TypeVar("T")
FARMS = {
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored automatically.",
    2119: "Market data farm is connecting:usfarm",
    2157: "Sec-def data farm connection is broken:secdefil",
    2158: "Sec-def data farm connection is OK:secdefil",
}
"""What is told of data farms, by code."""


class IbkrStandIn:
    """A gateway of Interactive Brokers in a thread of this process, from ``with`` on. ``version`` is the newest that it
    speaks, ``lines`` the live data a client may have, ``pacing`` the questions of small bars in ten minutes,
    ``messages`` those a client may send in a second. ``books`` is the brokerage behind it: its prices are set there,
    and its log is what was really accepted and executed."""

    def __init__(
        self, market: Market | None = None, *, version: int = 176, lines: int = 100, pacing: int = 60,
        books: Brokerage | None = None, port: int = 0, messages: int = MESSAGES,
    ) -> None:  # fmt: skip
        self.market = market or Market()
        self.log = Log()
        self.faults = Faults(self._changed)
        self.books = books or brokerage()
        self.book = Book(self.books, self.market, self.faults)
        self.data = MarketData(self.market, self.faults, lines)
        self.history = History(self.market, self.faults, pacing)
        self.trading = Trading(self.books, self.book, self.market, self.faults)
        self.session = Session(self.book.next_id, self.trading.greet, self.faults)
        self.accounts = Accounts(self.books, self.book, self.market, self.faults)
        self.telling = Telling(self.book, self.session, self.faults)
        self._missed: list[Told] = []
        """What has happened since the way to IB's servers was lost."""
        self.surfaces: list[Surface] = [
            self.session, Contracts(self.market), self.data, self.history, self.trading, self.accounts,
        ]  # fmt: skip
        self.version, self._messages = version, messages
        self._peers: list[Peer] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ibkr-stand-in", daemon=True)
        self._server: asyncio.Server | None = None
        self._opening: asyncio.Task[None] | None = None
        self.port = port

    def __enter__(self) -> IbkrStandIn:
        self._thread.start()
        self.books.listen(self._heard)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    # --- what happens at the gateway --------------------------------------------------------------------------------

    def push_bars(self, symbol: str, *bars: Sequence[float]) -> int:
        """Tell 5-second bars (epoch, open, high, low, close, volume, wap, count); to how many lines."""
        return self._do(lambda: self.data.bars(symbol, bars))

    def push_ticks(self, symbol: str, *ticks: tuple[int, float, float]) -> int:
        """Tell prices (tick type, price, size); to how many lines."""
        return self._do(lambda: self.data.ticks(symbol, ticks))

    def push_size(self, symbol: str, kind: int, size: float) -> int:
        """Tell a size alone; to how many lines."""
        return self._do(lambda: self.data.size(symbol, kind, size))

    def push_generic(self, symbol: str, kind: int, value: float) -> int:
        """Tell a value such as 49, halted; to how many lines."""
        return self._do(lambda: self.data.generic(symbol, kind, value))

    def push_error(self, code: int, text: str, request: int | str = -1) -> None:
        """Send an error or a notice to all clients."""
        self._do(lambda: [peer.error(request, code, text) for peer in self.session.peers])

    def push_raw(self, data: bytes) -> None:
        """Send bytes to all clients as they are."""
        self._do(lambda: [peer.raw(data) for peer in self._peers])

    def lose(self) -> None:
        """The way to IB's servers is lost (1100): no data, nothing of orders, and the sockets stay."""
        self._do(lambda: self._connect(False))
        self.push_error(1100, "Connectivity between IBKR and Trader Workstation has been lost.")

    def restore(self, data_lost: bool) -> None:
        """It is back: 1102, or 1101, after which no line is left. What happened to orders meanwhile nobody is told."""
        self._do(lambda: self._connect(True))
        if data_lost:
            self._do(self.data.lines.clear)
            self.push_error(1101, "Connectivity between IBKR and Trader Workstation has been restored - data lost.")
        else:
            self.push_error(
                1102,
                "Connectivity between IBKR and Trader Workstation has been restored - data maintained. All data farms"
                " are connected: usfarm; ushmds; secdefil.",
            )

    def hang_up(self) -> None:
        """Reset all connections (RST), as at the daily restart."""
        self._do(lambda: [peer.hang_up() for peer in list(self._peers)])

    def farm(self, code: int) -> None:
        """Tell how a data farm stands: a code of FARMS."""
        self.push_error(code, FARMS[code])

    def restart(self, seconds: float = 1.0, *, roll_back: int = 0) -> None:
        """The daily restart: all connections are reset, the port is closed for so long, and it is back with the same
        orders; ``roll_back``: order ids begin again from there."""
        self.stop(roll_back=roll_back)
        self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._start_again)

    def stop(self, *, roll_back: int = 0) -> None:
        """All connections are reset, and the port is closed until ``start``."""
        self.log.add(Entry("stopped", -1, ()))
        self._do(lambda: self._stop(roll_back))

    def start(self) -> None:
        """The port is open again."""
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(5)

    def roll_back(self, next_id: int = 1) -> None:
        """Order ids begin again from there, for all clients, at their next connection."""
        self._do(lambda: self.book.roll_back(next_id))

    # --- inside -----------------------------------------------------------------------------------------------------

    def _connect(self, connected: bool) -> None:
        self.data.connected = self.trading.connected = connected
        missed, self._missed = self._missed, []
        for told in missed:
            self.book.apply(told)

    def _heard(self, told: Told) -> None:
        """From any thread, in order."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._know, told)

    def _know(self, told: Told) -> None:
        if not self.trading.connected:
            self._missed.append(told)
            return
        fill = self.book.apply(told)
        self.telling.tell(told, fill)
        if fill is not None:
            self.accounts.changed(fill.symbol)
        elif told.activity is not None:
            self.accounts.changed(told.activity.symbol)

    async def _open(self) -> None:
        self._server = await self._loop.create_server(self._peer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self.log.add(Entry("listening", -1, (str(self.port),)))

    def _start_again(self) -> None:
        self._opening = self._loop.create_task(self._open())

    def _stop(self, roll_back: int) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None
        for peer in list(self._peers):
            peer.hang_up()
        self.trading.restarted()
        if roll_back:
            self.book.roll_back(roll_back)

    def _peer(self) -> Peer:
        handlers: dict[str, Handler] = {}
        for surface in self.surfaces:
            handlers |= surface.handlers
        peer = Peer(self.version, handlers, self._left, self.faults, self.log, self._messages)
        self._peers.append(peer)
        return peer

    def _left(self, peer: Peer) -> None:
        self._peers.remove(peer)
        for surface in self.surfaces:
            surface.gone(peer)

    def _changed(self, name: str, value: Any) -> None:
        self.log.add(Entry("fault", -1, (name, str(value))))
        if name == "half_open":
            self._do(lambda: self._freeze(value))
        if name == "refuse" and not value:
            self._do(lambda: self._freeze(False))

    def _freeze(self, frozen: bool) -> None:
        for peer in self._peers:
            (peer.transport.pause_reading if frozen else peer.transport.resume_reading)()

    def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.transport.abort()

    def _do(self, job: Callable[[], T]) -> T:
        """Run a job in the server's thread."""
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(job())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(5)


def brokerage(cash: int = 100_000) -> Brokerage:
    """One with the rules of Interactive Brokers, where an order's reference may come again; USD 1 an execution."""
    books = Brokerage(cash, unique=False, rules=(known, sized, priced, lent, funded))
    books.commission = Decimal(1)
    return books
