"""What is asked of one connection, each question with its end and its deadline.

A list is an answer when its end has come, and only then. Where an answer does not say which question it is for, one is
asked at a time; after one that was not answered in time, the next answer might be the old one's: the connection must
be given up, which ``spoiled`` says.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from appliance.clients.ibkr import Ended, Line, Mute, NoContract, Refused, Trouble, contract
from appliance.venues.ibkr.receiver import ALL, TIME
from appliance.venues.ibkr.told import Deal, Done, Held, Row, Seen, Word
from appliance.venues.ibkr.words import READ_ONLY

FIRST_REQUEST = 1_000_000_000
"""Ids of requests are not those of orders: a gateway forgets neither, and an error says only the number."""
CLOCK_GAP = 4.5
"""Seconds between questions for the time: a gateway does not answer one that comes less than 4 s after another."""
TAGS = "NetLiquidation,TotalCashValue,BuyingPower"


class _Asked:
    """A question that waits: what came so far, and the end."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.end.add_done_callback(lambda end: end.cancelled() or end.exception())  # also where nobody waits any more

    def fail(self, error: Trouble) -> None:
        if not self.end.done():
            self.end.set_exception(error)


class Questions:
    """Confined to the connection's event loop. ``answer`` is in seconds."""

    def __init__(self, library: Any, line: Line, answer: float, account: Callable[[], str]) -> None:
        self._library, self._line, self._answer, self._account = library, line, answer, account
        self._client = line.client
        self._next = FIRST_REQUEST
        self._asked: dict[tuple[str, int], _Asked] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._contracts: dict[str, Any] = {}
        self._clock_turn = asyncio.Lock()
        self._time, self._timed = 0, -math.inf
        self.spoiled = False

    # --- what is told ---------------------------------------------------------------------------------------------

    def told(self, one: object) -> None:
        """What may belong to an answer."""
        for name, kind in _LISTS.items():
            asked = self._asked.get((name, ALL)) if isinstance(one, kind) else None
            if asked is not None:
                asked.rows.append(one)
        if isinstance(one, Deal) and one.request != ALL:
            self.found(one.request, one)
        if isinstance(one, Word):
            self._word(one)

    def found(self, request: int, one: object) -> None:
        """What belongs to one request."""
        for (_, number), asked in self._asked.items():
            if number == request:
                asked.rows.append(one)

    def end(self, name: str, request: int) -> None:
        """An answer is complete."""
        asked = self._asked.get((name, request))
        if asked is not None and not asked.end.done():
            asked.end.set_result(None)

    def give_up(self, error: Trouble) -> bool:
        """No answer will come; whether any was waited for."""
        for asked in self._asked.values():
            asked.fail(error)
        return bool(self._asked)

    def _word(self, word: Word) -> None:
        for (_, number), asked in self._asked.items():
            if number == word.about and (number != ALL or word.code == READ_ONLY):
                asked.fail(Refused(word.code, word.text))

    # --- questions ------------------------------------------------------------------------------------------------

    async def time(self, fresh: bool = True) -> int:
        """The gateway's clock (s): asked for once its turn has come, or, unless it is to be ``fresh``, what it must be
        by the last answer."""
        loop = asyncio.get_running_loop()
        async with self._clock_turn:
            age = loop.time() - self._timed
            if age < CLOCK_GAP and self._time and not fresh:
                return self._time + int(age)
            if age < CLOCK_GAP:
                await self._line.pause(CLOCK_GAP - age)
            self._time, self._timed = 0, loop.time()
            rows = await self._list("time", TIME, self._client.reqCurrentTime)
            self._time, self._timed = int(rows[-1]), loop.time()
            return self._time

    async def open_orders(self) -> list[Seen]:
        """All that was told of orders until the end of the list, of all clients."""
        return await self._list("open orders", ALL, self._client.reqAllOpenOrders)

    async def completed(self) -> list[Done]:
        """The orders that have ended, as far back as the gateway tells."""
        return await self._list("completed orders", ALL, lambda: self._client.reqCompletedOrders(False))

    async def executions(self) -> list[Deal]:
        """The account's executions, as far back as the gateway tells: its own day."""
        request, filters = self._request(), self._library.ExecutionFilter(acctCode=self._account())
        return await self._list("executions", request, lambda: self._client.reqExecutions(request, filters))

    async def positions(self) -> list[Held]:
        """The positions of all accounts of the login."""
        return await self._list("positions", ALL, self._client.reqPositions)

    async def summary(self) -> list[Row]:
        """What the account has. The gateway would go on telling it: two such questions are all that it takes."""
        request = self._request()
        try:
            return await self._list("account", request, lambda: self._client.reqAccountSummary(request, "All", TAGS))
        finally:
            if self._client.isConnected():
                self._client.cancelAccountSummary(request)

    async def contract(self, symbol: str) -> Any:
        """The one contract of a symbol, looked up once. Raises NoContract when there is none, or are several."""
        if symbol not in self._contracts:
            wanted, request = contract(self._library, symbol), self._request()
            try:
                found = await self._list("contract", request, lambda: self._client.reqContractDetails(request, wanted))
            except Refused as error:
                raise NoContract(error.text) from None
            if len(found) != 1:
                raise NoContract(f"{symbol} is not one contract but {len(found)}")
            found[0].exchange = "SMART"
            self._contracts[symbol] = found[0]
        return self._contracts[symbol]

    def _request(self) -> int:
        self._next += 1
        return self._next

    async def _list(self, name: str, request: int, send: Callable[[], None]) -> list[Any]:
        """Send a question and wait for its end. Raises Ended, Mute, Refused or NoGateway."""
        async with self._turn(name, request):
            asked = self._asked[name, request] = _Asked()
            try:
                await self._line.flowing()
                with self._line.sending():
                    send()
                await self._line.flowing()
                await self._line.answer(asked.end, self._answer, name)
                return asked.rows
            except Mute:
                self.spoiled = self.spoiled or request < 0
                raise
            finally:
                del self._asked[name, request]

    @asynccontextmanager
    async def _turn(self, name: str, request: int) -> AsyncIterator[None]:
        """One at a time, where an answer does not say which question it is for."""
        if request >= 0:
            yield
            return
        async with self._turns.setdefault(name, asyncio.Lock()):
            if self.spoiled:
                raise Ended("the connection is given up")
            yield


_LISTS: dict[str, type] = {"open orders": Seen, "completed orders": Done, "positions": Held}
