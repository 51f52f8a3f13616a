"""Past bars through the gateway, page by page, session by session, within IB's pacing."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, TypeVar

from appliance.clients.ibkr.loop import turn
from appliance.data.sources.asked import check_asked, shown
from appliance.data.sources.base import Traits
from appliance.data.sources.ibkr.contracts import spec
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.pacing import Pacing, Question
from appliance.data.sources.ibkr.ranges import SIZES, Page, Size, Spans, known, pages, size_of
from appliance.data.sources.ibkr.refusals import Sign, Way
from appliance.data.sources.ibkr.session import Session, load, opened
from appliance.domain.market import MINUTE, SECOND, AlwaysOpen, Bar, CorporateAction, Sessions, Split, timeframe_ns
from appliance.errors import DataError, SourceBusy, SourceDown, SourceNonsense

T = TypeVar("T")
Clock = Callable[[], int]
Pause = Callable[[float], None]
Splits = Callable[[str], Sequence[Split]]


_SPARE = 2.0
"""Seconds that a thread waits longer for its gateway's, which has the deadlines."""


class IbkrHistory:
    """Bars of trades (or of the middle of bid and ask), below a day on the session's grid.

    **IB's bars of trades are adjusted for splits, not for dividends.** With ``splits``, which gives a symbol's splits
    up to today, they are made raw again, to within IB's rounding; without it they are as IB tells them, and
    ``split_adjusted`` is true: raw only after the last split. Where IB repeats the last price for a time without a
    trade, there is no bar.

    One question at a time. A page is yielded as it comes, so that what came before SourceBusy is not lost.
    """

    def __init__(
        self, options: IbkrOptions, sessions: Sessions, splits: Splits | None = None, clock: Clock = time.time_ns,
        pause: Pause = time.sleep,
    ) -> None:  # fmt: skip
        self._options = options.checked()
        if isinstance(sessions, AlwaysOpen):
            raise DataError(f"{options.name} has the sessions of an exchange", hint="give it those of XNYS")
        self.name = options.name
        self.traits = Traits(timeframes=tuple(SIZES), history=True)
        self.split_adjusted = splits is None
        self._splits = splits
        self._sessions = sessions
        self._known = known(sessions)
        self._clock = clock
        self._pause = pause
        self._pacing = Pacing()
        self._gateway = _Gateway(options)

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``; symbol by symbol. Bars of hours are refused (DataError): IB's do not begin with
        the session. SourceBusy before a page that pacing would hold back for longer than ``patience``."""
        size = size_of(timeframe)
        until = self._checked(symbols, start, end)
        spans = Spans(timeframe, self._sessions)
        for symbol in sorted(set(symbols)):
            splits = self._splits(symbol) if self._splits is not None else ()
            for page in pages(size, self._sessions, start, until):
                rows = self._page(symbol, size, page, timeframe_ns(timeframe) < MINUTE)
                received = self._clock()
                bars = (self._bar(symbol, timeframe, spans, splits, row, received) for row in rows)
                inside = {bar.end: bar for bar in bars if bar and page.start <= bar.start and bar.end <= page.end}
                yield tuple(inside[end] for end in sorted(inside))

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """None: IB does not tell them with its market data."""
        return ()

    def close(self) -> None:
        """Leave the gateway."""
        self._gateway.close()

    def _checked(self, symbols: Sequence[str], start: int, end: int) -> int:
        """Where the answer ends (ns UTC): at what is known by now. Raises DataError for a question without sense."""
        now = self._clock()
        check_asked(self.name, symbols, start, end, now)
        for symbol in symbols:
            spec(symbol)
        if start >= self._known[1] or end <= self._known[0]:
            raise DataError(
                f"{shown(start)} to {shown(end)} is outside the sessions that are known",
                hint=f"they go from {shown(self._known[0])} to {shown(self._known[1])}",
            )
        return min(end, now)

    def _page(self, symbol: str, size: Size, page: Page, small: bool) -> Sequence[Any]:
        question = Question(symbol, f"{size.wire}/{page.wire_end}/{page.duration}", small)
        wait = self._pacing.wait(question, self._clock())
        if wait > self._options.patience * SECOND:
            raise SourceBusy(
                f"{symbol}: IB's pacing holds the next question back for {wait / SECOND:.1f} s",
                source=self.name,
                wait=wait,
            )
        if wait:
            self._pause(wait / SECOND)
        self._gateway.enter()
        self._pacing.asked(question, self._clock())
        return self._gateway.history(symbol, size, page)

    def _bar(
        self, symbol: str, timeframe: str, spans: Spans, splits: Sequence[Split], row: Any, received: int
    ) -> Bar | None:
        """A row as a bar; None where nothing was traded."""
        try:
            start, end = spans.of(row.date)
        except ValueError as error:
            raise SourceNonsense(f"{symbol}: {error}", source=self.name) from None
        if self._options.show == "TRADES" and row.volume <= 0:
            return None
        prices = row.open, row.high, row.low, row.close
        if not all(math.isfinite(price) for price in prices):
            raise SourceNonsense(f"{symbol}: a bar without its prices: {prices}", source=self.name)
        ratio = math.prod(split.new / split.old for split in splits if end <= split.time)
        volume = max(row.volume, 0.0) * self._options.lot / ratio
        opened, high, low, close = (round(price * ratio, 6) if ratio != 1 else price for price in prices)
        return Bar(symbol, timeframe, start, end, opened, high, low, close, round(volume, 6), self.name, received)


class _Gateway:
    """A connection that lives in a thread of its own, made when it is first needed and again when it was lost."""

    def __init__(self, options: IbkrOptions) -> None:
        self._options = options
        self._one = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._way = Way()
        self._doing: Future[Any] | None = None

    def enter(self) -> None:
        """Get in, unless we are."""
        options = self._options
        with self._one:
            self._run(self._entered(), len(options.ids(history=True)) * 3 * options.connect + _SPARE)

    def history(self, symbol: str, size: Size, page: Page) -> Sequence[Any]:
        """The bars of one page as IB has them; from any thread."""
        with self._one:
            return self._run(self._ask(symbol, size, page), self._options.answer + self._options.deadline + _SPARE)

    def close(self) -> None:
        """Leave, and end the thread; a question that waits for its answer is down."""
        doing = self._doing
        if doing is not None:
            doing.cancel()
        with self._one:
            if self._loop is None:
                return
            with suppress(SourceDown):
                self._run(self._leave(), 2)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    async def _entered(self) -> Session:
        if self._session is None or self._session.lost.done():
            await self._leave()
            self._session = await opened(self._made, self._options.ids(history=True))
        return self._session

    async def _ask(self, symbol: str, size: Size, page: Page) -> Sequence[Any]:
        if self._session is None or self._session.lost.done():
            raise SourceDown("the connection ended", source=self._options.name)
        if self._way.lost:
            raise self._cut_off()
        try:
            return await self._session.history(symbol, size, page)
        except SourceDown:
            if not self._way.lost:
                await self._leave()  # half-open or hung: the next question gets another socket
            raise

    def _made(self) -> Session:
        self._way = Way()
        return Session(load(), self._options, self._hear, lambda _: None)

    def _hear(self, _: int, code: int, text: str) -> None:
        if self._way.take(code, text) is Sign.LOST and self._session is not None:
            self._session.give_up(self._cut_off())

    def _cut_off(self) -> SourceDown:
        return SourceDown(
            "the gateway is cut off from IB's servers; it comes back by itself", source=self._options.name
        )

    async def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _run(self, job: Coroutine[Any, Any, T], seconds: float) -> T:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=turn, args=(self._loop,), name=self._options.name, daemon=True).start()
        self._doing = doing = asyncio.run_coroutine_threadsafe(job, self._loop)
        try:
            return doing.result(seconds)
        except TimeoutError:
            doing.cancel()
            raise SourceDown(f"no answer within {seconds:g} s", source=self._options.name) from None
        except CancelledError:
            raise SourceDown("it was closed while it was asked", source=self._options.name) from None
        finally:
            self._doing = None
