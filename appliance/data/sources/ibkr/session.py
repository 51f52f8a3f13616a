"""One connection to the gateway through ib_async or ib_insync: opened once, asked with deadlines, closed once."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from appliance.data.sources.ibkr.contracts import contract
from appliance.data.sources.ibkr.options import IbkrOptions
from appliance.data.sources.ibkr.ranges import Page, Size
from appliance.data.sources.ibkr.refusals import finds_nothing, refusal
from appliance.errors import EnvironmentFault, SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

T = TypeVar("T")
Hear = Callable[[int, int, str], None]
"""Takes a notice or an error: request id (-1: none), code, text."""
RATE = (10, 0.25)
"""Messages in so many seconds: 40 a second. The libraries' 45 at once, then 45 again, are more than the 50 in a second
that a gateway takes, when they come a little closer together than they were sent."""
_LARGEST = 1 << 24
"""Bytes of a message of the gateway's; one that claims more is none."""
_SILENT = logging.CRITICAL + 1
_IN_USE = 326
_UNANSWERED = 321
"""ib_async takes this refusal for a warning and would wait for ever."""
_INCOMPLETE = "check that the API is on in the gateway's settings, and restart it if it hangs"


def load() -> Any:
    """The library, imported where an event loop is set: ib_insync asks for one. What it logs by itself is told by us.
    Raises EnvironmentFault when there is none."""
    for name in ("ib_async", "ib_insync"):
        with suppress(ModuleNotFoundError):
            library = importlib.import_module(name)
            logging.getLogger(name).setLevel(_SILENT)
            return library
    raise EnvironmentFault("ib_async is not installed", hint="install it to use Interactive Brokers: uv sync")


class Session:
    """``lost`` is done when the socket is. All that goes wrong is a SourceError.

    Traps of the libraries that are kept away here: a request that times out answers with nothing, as if there were
    nothing; error 321 is never an answer; a half-open socket is never seen; frames that cannot be read only get logged.
    """

    def __init__(self, library: Any, options: IbkrOptions, hear: Hear, odd: Callable[[str], None]) -> None:
        self._library = library
        self._options = options
        self._hear = hear
        self._odd = odd
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._contracts: dict[str, Any] = {}
        self._refusal: tuple[int, str] | None = None
        self._came = b""
        self._time = asyncio.Lock()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.client_id = 0
        self.ib: Any = library.IB()

    # --- in and out -----------------------------------------------------------------------------------------------

    async def open(self, client_id: int) -> None:
        """Get in as this client. Raises SourceBusy when another has the id."""
        self.client_id = client_id
        ib = self.ib
        ib.RaiseRequestErrors = True
        ib.errorEvent += self._told
        ib.client.conn.disconnected += self._gone
        ib.client.conn.hasData += self._arrived
        ib.client.conn.hasData.error_event += self._garbled
        ib.client.MaxRequests, ib.client.RequestsInterval = RATE
        ib.client.throttleStart += self._flowing.clear
        ib.client.throttleEnd += self._flowing.set
        ib.client.decoder.logger = _Unread(self._unread)
        connecting = asyncio.ensure_future(ib.connectAsync(**self._how()))
        try:
            async with asyncio.timeout(3 * self._options.connect):
                await asyncio.wait([connecting, self.lost], return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                await asyncio.wait([connecting], timeout=0.05)
            if not connecting.done() or connecting.exception() is not None:
                self._not_in(connecting)
        except TimeoutError:
            raise self._silent() from None
        finally:
            await _ended(connecting)

    def _how(self) -> dict[str, Any]:
        """What both libraries take, and of ib_async what spares us the orders and the account."""
        options = self._options
        how = {
            "host": options.host, "port": options.port, "clientId": self.client_id, "timeout": options.connect,
            "readonly": True,
        }  # fmt: skip
        takes = inspect.signature(self.ib.connectAsync).parameters
        if "fetchFields" in takes:
            how["fetchFields"] = self._library.StartupFetch(0)
        if "raiseSyncErrors" in takes:
            how["raiseSyncErrors"] = True
        return how

    def _not_in(self, connecting: asyncio.Future[Any]) -> NoReturn:
        name, where = self._options.name, f"{self._options.host}:{self._options.port}"
        if self._refusal is not None:
            raise refusal(name, f"client {self.client_id} is not let in", *self._refusal)
        error = connecting.exception() if connecting.done() else None
        if isinstance(error, TimeoutError) or type(error) is ConnectionError:  # the library's own: a step unanswered
            raise self._silent()
        if isinstance(error, OSError) and not self.lost.done():
            raise SourceDown(
                f"{where} cannot be reached ({type(error).__name__})", source=name, hint="is the gateway running?"
            )
        raise SourceDown(f"{where} hung up before it let us in", source=name, hint=_INCOMPLETE)

    def _silent(self) -> SourceError:
        """TCP connects and nobody speaks, or it is another protocol that is spoken."""
        name, where = self._options.name, f"{self._options.host}:{self._options.port}"
        if int.from_bytes(self._came[:4], "big") > _LARGEST:
            return SourceNonsense(
                f"{where} is no gateway: {self._came[:40]!r}", source=name, hint="check host and port"
            )
        return SourceDown(
            f"{where} took the connection and does not answer within {self._options.connect:g} s",
            source=name,
            hint=_INCOMPLETE,
        )

    async def close(self) -> None:
        """Drop the socket at once, also one that is half-open."""
        transport = self.ib.client.conn.transport
        with suppress(Exception):
            self.ib.client.disconnect()
        if transport is not None:
            transport.abort()
            await asyncio.wait([self.lost], timeout=0.5)

    # --- what comes by itself -------------------------------------------------------------------------------------

    def _told(self, request: int, code: int, text: str, *_: object) -> None:
        if code == _IN_USE:
            self._refusal = (code, text)
        asked = self._asked.get(request)
        if code == _UNANSWERED and asked is not None and not asked.done():
            asked.set_exception(self._library.wrapper.RequestError(request, code, text))
        self._hear(request, code, text)

    def _gone(self, text: str) -> None:
        if not self.lost.done():
            self.lost.set_result(text or "the gateway hung up")

    def _arrived(self, data: bytes) -> None:
        self._came = self._came or bytes(data[:40])

    def _unread(self, text: str) -> None:
        """A message is left out; it may be the answer that is waited for."""
        self.give_up(SourceNonsense(f"answers with {text}", source=self._options.name))
        self._odd(text)

    def _garbled(self, _: object, error: Exception) -> None:
        self._odd(f"data that cannot be read: {error!r}")

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
        """The libraries know one such question at a time; what waits in their own queue is not late yet."""
        async with self._time:
            await self._flowing.wait()
            with self.sending():
                asking = self.ib.reqCurrentTimeAsync()
            await self._flowing.wait()
            await self._answer(asking, seconds, what)

    async def contract(self, symbol: str) -> Any:
        """The one contract of a symbol, looked up once. Raises SourceRefused when there is none, or are several."""
        if symbol not in self._contracts:
            with self.sending():
                asking = self.ib.reqContractDetailsAsync(contract(self._library, symbol))
            try:
                found = await self._answer(asking, self._options.answer, symbol)
            except _Refused as error:
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
        except _Refused as error:
            if finds_nothing(error.number, error.said):
                return ()
            raise self._refusal_of(error, symbol) from None
        finally:
            del self._asked[request]
            if future.cancelled():
                with suppress(ConnectionError):
                    client.cancelHistoricalData(request)

    def _refusal_of(self, error: _Refused, symbol: str) -> SourceError:
        return refusal(self._options.name, symbol, error.number, error.said)

    def give_up(self, error: SourceError) -> None:
        """No answer will come to what is asked about the past."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(error)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """What is sent in here finds the connection, or SourceDown is raised."""
        try:
            yield
        except ConnectionError:
            raise SourceDown("the connection ended", source=self._options.name) from None

    async def _answer(self, asking: Awaitable[T], seconds: float, what: str) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except TimeoutError:
            raise SourceDown(f"{what}: no answer within {seconds:g} s", source=self._options.name) from None
        except ConnectionError:
            raise SourceDown(f"{what}: the connection ended", source=self._options.name) from None
        except self._library.wrapper.RequestError as error:
            raise _Refused(error.code, error.message) from None


class _Refused(Exception):
    """An answer that is none, with its code."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(number, said)
        self.number, self.said = number, said


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


class _Unread:
    """Takes the decoder's log: the only place where a message that it cannot read is told."""

    def __init__(self, odd: Callable[[str], None]) -> None:
        self._odd = odd

    def exception(self, text: str, *_: object) -> None:
        """A message was left out."""
        self._odd(f"a message that cannot be read: {text[:120]}")

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
