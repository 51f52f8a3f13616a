"""Live data through the gateway: one ``run`` is one connection, in a thread and an event loop of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from appliance.data.sources.base import Kind, Stop, Tell, Told, Traits
from appliance.data.sources.ibkr.desk import TIMEFRAME, Desk, Prices, Tick
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.session import Session, load, opened
from appliance.data.sources.tasks import cancelled, first, until_set
from appliance.errors import DataError, SourceError, SourceRefused

_AT_ONCE = 20
"""Contracts that are looked up at the same time; the library sends 45 messages a second."""
SYMBOLS = 50
"""Every account has 100 lines of market data, and a symbol takes two: its bars and its ticks."""
BARS, TICKS = "bars", "ticks"
_DELAYED = 3
Clock = Callable[[], int]


class IbkrLive:
    """5-second bars, quotes, trades and halts. IB stamps no quote and no trade: their time is when they came.

    Quotes and trades are samples, four a second at most: of trades in between only the last is told, and the first
    that the gateway tells is none of them, since it was before we came.

    ``Linked`` comes again when a symbol is refused later, when one that IB was too busy for (pacing, another session)
    is asked for again, and after IB lost data (1101) and all was subscribed again.
    """

    def __init__(self, options: IbkrOptions, clock: Clock = time.time_ns) -> None:
        self._options = options.checked()
        self.name = options.name
        bars = () if options.delayed else (Kind.BARS,)
        self.traits = Traits(
            live=(*bars, Kind.QUOTES, Kind.TRADES, Kind.STATUSES), timeframes=(TIMEFRAME,), symbols=SYMBOLS,
            sampled=(Kind.QUOTES, Kind.TRADES),
        )  # fmt: skip
        self._clock = clock
        self._halted: dict[str, bool] = {}

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``. Raises DataError when there is nothing to subscribe to."""
        wanted = [kind for kind in kinds if kind in self.traits.live]
        if not symbols or not wanted:
            raise DataError(
                f"{self.name} has nothing to subscribe to for {', '.join(symbols) or 'no symbol'}",
                hint=f"name a symbol, and one of {', '.join(kind.value for kind in self.traits.live)}",
            )
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)  # before the import: ib_insync asks for the thread's loop while it is imported
        try:
            desk = Desk(self._options, symbols, wanted, self._halted)
            run = _Run(load(), self._options, desk, wanted, tell, self._clock)
            loop.run_until_complete(run.talk(stop))
        finally:
            asyncio.set_event_loop(None)
            loop.close()


class _Run:
    """One connection."""

    def __init__(
        self, library: Any, options: IbkrOptions, desk: Desk, kinds: Sequence[Kind], tell: Tell, clock: Clock
    ) -> None:
        self._library = library
        self._options = options
        self._desk = desk
        wanted = {BARS: Kind.BARS in kinds, TICKS: bool(set(kinds) - {Kind.BARS})}
        self._wanted = [name for name in wanted if wanted[name]]
        self._symbols = frozenset(desk.served)
        self._told = tell
        self._clock = clock
        self._news = asyncio.Event()

    async def talk(self, stop: Stop) -> None:
        """Until ``stop`` is set or the connection ends, which raises."""
        stopped = asyncio.create_task(until_set(stop))
        opening = asyncio.create_task(opened(self._session, self._options.ids(history=False)))
        session: Session | None = None
        try:
            await asyncio.wait([opening, stopped], return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                session = opening.result()
                await self._listen(session, stopped)
        finally:
            await cancelled([stopped, opening])
            if session is None and not opening.cancelled() and opening.exception() is None:
                session = opening.result()
            if session is not None:
                await session.close()

    def _session(self) -> Session:
        return Session(self._library, self._options, self._hear, lambda text: self._tell(self._desk.odd(text)))

    def _hear(self, request: int, code: int, text: str) -> None:
        self._tell(self._desk.notice(request, code, text))
        self._news.set()

    async def _listen(self, session: Session, stopped: asyncio.Task[None]) -> None:
        session.ib.pendingTickersEvent += self._ticks
        session.ib.barUpdateEvent += self._bar
        await first(
            session.until_lost(),
            self._serve(session),
            session.beat(lambda: self._tell(self._desk.alive())),
            stopped,
        )

    async def _serve(self, session: Session) -> None:
        """Subscribe; again to all whenever IB has lost it, and to what it was too busy for after a while."""
        wanted: Sequence[str] = self._desk.served
        while True:
            await self._subscribe(session, wanted)
            self._tell(self._desk.link())
            wanted = await self._wanted_again(session)

    async def _wanted_again(self, session: Session) -> Sequence[str]:
        while True:
            self._look(session)
            if self._desk.again:
                self._desk.closed()
                return self._desk.served
            self._news.clear()
            try:
                async with asyncio.timeout(self._options.retry if self._desk.busy else None):
                    await self._news.wait()
            except TimeoutError:
                return self._desk.reopen()

    async def _subscribe(self, session: Session, symbols: Sequence[str]) -> None:
        if self._options.delayed:
            with session.sending():
                session.ib.reqMarketDataType(_DELAYED)
        room = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._one(session, symbol, room) for symbol in symbols))
        await session.barrier()
        await asyncio.sleep(self._options.settle)
        self._look(session)

    async def _one(self, session: Session, symbol: str, room: asyncio.Semaphore) -> None:
        try:
            async with room:
                contract = await session.contract(symbol)
        except SourceRefused as error:
            self._desk.lacks(symbol, error)
        except SourceError:
            raise
        except DataError as error:
            self._desk.lacks(symbol, SourceRefused(error.text, hint=error.hint))
        else:
            with session.sending():
                for kind in self._wanted:
                    self._desk.opened(self._ask(session.ib, contract, kind), symbol, kind)

    def _ask(self, ib: Any, contract: Any, kind: str) -> int:
        """Subscribe; gives the request's id."""
        if kind == BARS:
            bars = ib.reqRealTimeBars(contract, 5, self._options.show, not self._options.extended)
            return int(bars.reqId)
        ticker = ib.reqMktData(contract, "", False, False)
        return int(ib.wrapper.ticker2ReqId["mktData"][ticker])

    def _look(self, session: Session) -> None:
        """Give up what is refused. Raises what ends the connection, or what is wrong when nothing is left."""
        if self._desk.ended is not None:
            raise self._desk.ended
        if not self._desk.served:
            raise next((error for error in self._desk.errors if error.retryable), self._desk.errors[0])
        cancel = {BARS: session.ib.client.cancelRealTimeBars, TICKS: session.ib.client.cancelMktData}
        with session.sending():
            for symbol in self._desk.lacking:
                for request, kind in self._desk.forget(symbol):
                    cancel[kind](request)

    def _ticks(self, tickers: Any) -> None:
        received = self._clock()
        for ticker in tickers:
            symbol = self._symbol(ticker.contract)
            if symbol is not None:
                ticks = [Tick(tick.tickType, tick.price, tick.size) for tick in ticker.ticks]
                self._tell(self._desk.ticks(symbol, ticks, received))

    def _bar(self, bars: Any, _: bool) -> None:
        """The library keeps every bar for ever: each is taken out."""
        received = self._clock()
        symbol = self._symbol(bars.contract)
        for bar in list(bars):
            if symbol is not None:
                prices = Prices(bar.open_, bar.high, bar.low, bar.close)
                self._tell(self._desk.bar(symbol, int(bar.time.timestamp()), prices, bar.volume, received))
        bars.clear()

    def _symbol(self, contract: Any) -> str | None:
        symbol = contract.symbol.replace(" ", ".")
        return symbol if symbol in self._symbols else None

    def _tell(self, told: Sequence[Told]) -> None:
        for one in told:
            self._told(one)
