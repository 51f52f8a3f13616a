"""One connection to the gateway for market data: opened once, asked with deadlines, closed once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from appliance.clients.ibkr import Line, NoGateway, Refused, Trouble, load
from appliance.data.sources.ibkr.contracts import contract
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.ranges import Page, Size
from appliance.data.sources.ibkr.refusals import finds_nothing, refusal
from appliance.errors import SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

__all__ = ["Session", "load", "opened"]

T = TypeVar("T")
Hear = Callable[[int, int, str], None]
"""Takes a notice or an error: request id (-1: none), code, text."""
_UNANSWERED = 321
"""ib_async takes this refusal for a warning and would wait for ever."""


class Session:
    """``lost`` is done when the socket is. All that goes wrong is a SourceError.

    Traps of the libraries that are kept away here, beside those of Line: a request that times out answers with nothing,
    as if there were nothing; error 321 is never an answer.
    """

    def __init__(self, library: Any, options: IbkrOptions, hear: Hear, odd: Callable[[str], None]) -> None:
        self._library = library
        self._options = options
        self._hear = hear
        self._odd = odd
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._contracts: dict[str, Any] = {}
        self._time = asyncio.Lock()
        self.client_id = 0
        self.ib: Any = library.IB()
        self._line = Line(self.ib.client, f"{options.host}:{options.port}", self._unread, odd)
        self.lost = self._line.lost

    # --- in and out -----------------------------------------------------------------------------------------------

    async def open(self, client_id: int) -> None:
        """Get in as this client. Raises SourceBusy when another has the id."""
        self.client_id = client_id
        self.ib.RaiseRequestErrors = True
        self.ib.errorEvent += self._told
        with self._troubles():
            try:
                await self._line.enter(self._connecting(), self._options.connect)
            except Refused as error:
                what = f"client {self.client_id} is not let in"
                raise refusal(self._options.name, what, error.number, error.said) from None

    def _connecting(self) -> Awaitable[None]:
        """Past the libraries' own start: it asks for the account, and takes no answer for an empty one."""
        options = self._options
        connecting: Awaitable[None] = self.ib.client.connectAsync(
            options.host, options.port, self.client_id, options.connect
        )
        return connecting

    async def close(self) -> None:
        """Drop the socket at once, also one that is half-open."""
        await self._line.close()

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """What is wrong with the connection, as a source says it."""
        try:
            yield
        except Refused:
            raise
        except Trouble as error:
            kind = SourceNonsense if isinstance(error, NoGateway) else SourceDown
            raise kind(error.text, source=self._options.name, hint=error.hint) from None

    # --- what comes by itself -------------------------------------------------------------------------------------

    def _told(self, request: int, code: int, text: str, *_: object) -> None:
        self._line.heard(code, text)
        asked = self._asked.get(request)
        if code == _UNANSWERED and asked is not None and not asked.done():
            asked.set_exception(self._library.wrapper.RequestError(request, code, text))
        self._hear(request, code, text)

    def _unread(self, text: str) -> None:
        """A message is left out; it may be the answer that is waited for."""
        self.give_up(SourceNonsense(f"answers with {text}", source=self._options.name))
        self._odd(text)

    # --- questions ------------------------------------------------------------------------------------------------

    async def beat(self, alive: Callable[[], None]) -> None:
        """Ask for the time for ever, and tell of each answer. Raises SourceDown when one does not come."""
        while True:
            await self._current_time(self._options.beat, "the heartbeat")
            alive()
            await asyncio.sleep(self._options.beat)

    async def until_lost(self) -> NoReturn:
        """Raises SourceDown once the socket is closed."""
        raise SourceDown(f"the connection ended: {await asyncio.shield(self.lost)}", source=self._options.name)

    async def barrier(self) -> None:
        """All that was sent before has been read."""
        await self._current_time(self._options.answer, "the time")

    async def _current_time(self, seconds: float, what: str) -> None:
        """The libraries know one such question at a time."""
        async with self._time:
            await self._line.flowing()
            with self.sending():
                asking = self.ib.reqCurrentTimeAsync()
            await self._line.flowing()
            await self._answer(asking, seconds, what)

    async def contract(self, symbol: str) -> Any:
        """The one contract of a symbol, looked up once. Raises SourceRefused when there is none, or are several."""
        if symbol not in self._contracts:
            with self.sending():
                asking = self.ib.reqContractDetailsAsync(contract(self._library, symbol))
            try:
                found = await self._answer(asking, self._options.answer, symbol)
            except Refused as error:
                raise self._refusal_of(error, symbol) from None
            if len(found) != 1:
                raise SourceRefused(
                    f"{symbol} is not one contract but {len(found)}",
                    source=self._options.name,
                    hint="check the symbol as IB writes it",
                )
            self._contracts[symbol] = found[0].contract
            self._contracts[symbol].exchange = "SMART"
        return self._contracts[symbol]

    async def history(self, symbol: str, size: Size, page: Page) -> Sequence[Any]:
        """The bars of one page as IB has them. One that does not come in time is cancelled: SourceDown."""
        options = self._options
        found = await self.contract(symbol)
        client = self.ib.client
        with self.sending():
            request = client.getReqId()
            future = self.ib.wrapper.startReq(request, found, [])
            regular = not options.extended
            client.reqHistoricalData(
                request, found, page.wire_end, page.duration, size.wire, regular, options.show, 2, False, []
            )
        self._asked[request] = future
        try:
            rows: Sequence[Any] = await self._answer(future, options.deadline, f"{symbol} {size.wire}")
            return rows
        except Refused as error:
            if finds_nothing(error.number, error.said):
                return ()
            raise self._refusal_of(error, symbol) from None
        finally:
            del self._asked[request]
            if future.cancelled():
                with suppress(ConnectionError):
                    client.cancelHistoricalData(request)

    def _refusal_of(self, error: Refused, symbol: str) -> SourceError:
        return refusal(self._options.name, symbol, error.number, error.said)

    def give_up(self, error: SourceError) -> None:
        """No answer will come to what is asked about the past."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(error)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """What is sent in here finds the connection, or SourceDown is raised."""
        with self._troubles(), self._line.sending():
            yield

    async def _answer(self, asking: Awaitable[T], seconds: float, what: str) -> T:
        with self._troubles():
            try:
                return await self._line.answer(asking, seconds, what)
            except self._library.wrapper.RequestError as error:
                raise Refused(error.code, error.message) from None


async def opened(make: Callable[[], Session], ids: Sequence[int]) -> Session:
    """A session that is let in, as the first of these clients whose id is free. Raises SourceBusy when none is."""
    for client_id in ids:
        session = make()
        try:
            await session.open(client_id)
            return session
        except SourceBusy:
            await session.close()
            if client_id == ids[-1]:
                raise
        except BaseException:
            await session.close()
            raise
    raise ValueError("no client id to try")
