"""One socket to the gateway through a library's Client: got in once, asked with deadlines, closed once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from appliance.clients.ibkr.trouble import Ended, Mute, NoGateway, Refused, Unreachable

T = TypeVar("T")
RATE = (10, 0.25)
"""Messages in so many seconds: 40 a second. The libraries' 45 at once, then 45 again, are more than the 50 in a second
that a gateway takes, when they come a little closer together than they were sent."""
_LARGEST = 1 << 24
"""Bytes of a message of the gateway's; one that claims more is none."""
_INCOMPLETE = "check that the API is on in the gateway's settings, and restart it if it hangs"
_IN_USE = 326
_EXECUTION, _TIME = 11, 15
"""The message that tells an execution, and where in it its time is."""
_UTC = re.compile(r"(\d{8})-(\d\d:\d\d:\d\d)")


class Line:
    """``lost`` is done when the socket is. All that goes wrong is a Trouble.

    Traps of the libraries that are kept away here: a half-open socket is never seen; frames that cannot be read only
    get logged; a burst is more than a gateway takes; a time in UTC is read as one of the gateway's own zone. ``unread``
    takes a message that the decoder leaves out, which may be the answer that is waited for, and ``garbled`` what cannot
    be taken apart.
    """

    def __init__(self, client: Any, where: str, unread: Callable[[str], None], garbled: Callable[[str], None]) -> None:
        self.client = client
        self.where = where
        self.refusal: Refused | None = None
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._came = b""
        self._garbled = garbled
        self._flowing = asyncio.Event()
        self._flowing.set()
        client.conn.disconnected += self._gone
        client.conn.hasData += self._arrived
        client.conn.hasData.error_event += self._broken
        client.MaxRequests, client.RequestsInterval = RATE
        client.throttleStart += self._flowing.clear
        client.throttleEnd += self._flowing.set
        client.decoder.logger = _Unread(unread)
        client.decoder.handlers[_EXECUTION] = _in_utc(client.decoder.handlers[_EXECUTION])

    async def enter(self, connecting: Awaitable[Any], connect: float) -> None:
        """Get in by the library's own coroutine, each of whose steps takes ``connect`` seconds at most. Raises Refused
        where the gateway has said why, else what is wrong with it."""
        task = asyncio.ensure_future(connecting)
        try:
            async with asyncio.timeout(3 * connect):
                await asyncio.wait([task, self.lost], return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                await asyncio.wait([task], timeout=0.05)
            if not task.done() or task.exception() is not None:
                self._not_in(task, connect)
        except TimeoutError:
            raise self._silent(connect) from None
        finally:
            await _ended(task)

    def heard(self, code: int, text: str) -> None:
        """A notice came while we got in: 326 says why we are not let in."""
        if code == _IN_USE:
            self.refusal = Refused(code, text)

    def _not_in(self, task: asyncio.Future[Any], connect: float) -> NoReturn:
        if self.refusal is not None:
            raise self.refusal
        error = task.exception() if task.done() else None
        if isinstance(error, TimeoutError) or type(error) is ConnectionError:  # the library's own: a step unanswered
            raise self._silent(connect)
        if isinstance(error, OSError) and not self.lost.done():
            raise Unreachable(
                f"{self.where} cannot be reached ({type(error).__name__})", hint="is the gateway running?"
            )
        raise Ended(f"{self.where} hung up before it let us in", hint=_INCOMPLETE)

    def _silent(self, connect: float) -> Mute | NoGateway:
        """TCP connects and nobody speaks, or it is another protocol that is spoken."""
        if int.from_bytes(self._came[:4], "big") > _LARGEST:
            return NoGateway(f"{self.where} is no gateway: {self._came[:40]!r}", hint="check host and port")
        return Mute(f"{self.where} took the connection and does not answer within {connect:g} s", hint=_INCOMPLETE)

    async def close(self) -> None:
        """Drop the socket at once, also one that is half-open."""
        transport = self.client.conn.transport
        with suppress(Exception):
            self.client.disconnect()
        if transport is not None:
            transport.abort()
            await asyncio.wait([self.lost], timeout=0.5)

    # --- questions ------------------------------------------------------------------------------------------------

    async def flowing(self) -> None:
        """What waits in the library's own queue is not late yet. Returns, too, once the connection has ended."""
        await self._flowing.wait()

    async def pause(self, seconds: float) -> None:
        """Let time pass, unless the connection ends. Raises Ended."""
        await asyncio.wait([self.lost], timeout=seconds)
        if self.lost.done():
            raise Ended("the connection ended")

    @contextmanager
    def sending(self) -> Iterator[None]:
        """What is sent in here finds the connection, or Ended is raised: it was not sent."""
        try:
            yield
        except ConnectionError:
            raise Ended("the connection ended") from None

    async def answer(self, asking: Awaitable[T], seconds: float, what: str) -> T:
        """The answer to what was sent. Raises Mute when it is late, Ended when it cannot come any more."""
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except TimeoutError:
            raise Mute(f"{what}: no answer within {seconds:g} s") from None
        except ConnectionError:
            raise Ended(f"{what}: the connection ended") from None

    # --- what comes by itself -------------------------------------------------------------------------------------

    def _gone(self, text: str) -> None:
        if not self.lost.done():
            self.lost.set_result(text or "the gateway hung up")
        self._flowing.set()  # what waits in the library's queue is never sent: the library does not say so

    def _arrived(self, data: bytes) -> None:
        self._came = self._came or bytes(data[:40])

    def _broken(self, _: object, error: Exception) -> None:
        self._garbled(f"data that cannot be read: {error!r}")


class _Unread:
    """Takes the decoder's log: the only place where a message that it cannot read is told."""

    def __init__(self, unread: Callable[[str], None]) -> None:
        self._unread = unread

    def exception(self, text: str, *_: object) -> None:
        """A message was left out."""
        self._unread(f"a message that cannot be read: {text[:120]}")

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _in_utc(decode: Callable[[list[str]], None]) -> Callable[[list[str]], None]:
    """Gateways of 2026 tell executions by 20260611-13:30:30, which is UTC: write it so that a library sees that."""

    def decoded(fields: list[str]) -> None:
        found = _UTC.fullmatch(fields[_TIME]) if len(fields) > _TIME else None
        decode(fields if found is None else [*fields[:_TIME], f"{found[1]} {found[2]} UTC", *fields[_TIME + 1 :]])

    return decoded


async def _ended(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task
