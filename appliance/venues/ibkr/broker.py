"""Interactive Brokers as a broker of ours: a thread with an event loop and one connection, asked from any thread.

It works on ib_insync and on ib_async alike. Of the library it uses the Client, which speaks the protocol, and the
decoder; not its picture of orders and positions, which is wrong after errors and empty after time-outs.
IB tells of no account activities over this way: what fills do not explain is left to the gateway's core to notice.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeVar

from appliance.clients.ibkr import Ended, Mute, NoGateway, Refused, Trouble, Unreachable, load
from appliance.clients.ibkr.loop import turn
from appliance.domain.messages import OpenOrder, VenueActivity, VenueFill, VenueReport
from appliance.domain.trading import Account, Order
from appliance.domain.venue import SECOND, LinkState
from appliance.errors import VenueBusy, VenueDown, VenueError, VenueNonsense, VenueRefused, VenueSilent
from appliance.venues.base import Answer, Change, Condition, Hear, Lost, VenueClock
from appliance.venues.ibkr.book import Book
from appliance.venues.ibkr.connection import Connection, NoAccount, Unsent
from appliance.venues.ibkr.deals import Deals
from appliance.venues.ibkr.listening import Clock
from appliance.venues.ibkr.options import IbkrTerms
from appliance.venues.ibkr.outages import Outages
from appliance.venues.ibkr.tickets import traits
from appliance.venues.ibkr.told import Row
from appliance.venues.ibkr.words import READ_ONLY, TOO_FAST

T = TypeVar("T")
_IN_USE = 326
_SPARE = 2.0
"""Seconds that a thread waits longer for the connection's, which has the deadlines."""
_STEPS = 8
"""No call asks more questions than this, one after the other."""
ERRORS: dict[type[Trouble], type[VenueError]] = {
    Unsent: VenueDown, Unreachable: VenueDown, NoAccount: VenueRefused, Ended: VenueSilent, Mute: VenueSilent,
    NoGateway: VenueNonsense,
}  # fmt: skip


class IbkrBroker:
    """See BrokerInterface. Raises UsageError for options that make no sense."""

    def __init__(self, terms: IbkrTerms, clock: Clock = time.time_ns) -> None:
        self._terms = terms.checked()
        self.name = terms.name
        self.traits = traits(terms.outside_rth)
        self._clock = clock
        self._book = Book(terms.client_id)
        self._deals = Deals()
        self._outages = Outages(terms.restart, terms.zone())
        self._one = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Connection | None = None
        self._watch: asyncio.Task[None] | None = None

    # --- in and out -----------------------------------------------------------------------------------------------

    def open(self, hear: Hear) -> None:
        """See BrokerInterface. Where it must be waited for the gateway's restart or its owner's login, ``hear`` is told
        so (Lost) before the error is raised."""
        self.close()
        loop = asyncio.new_event_loop()
        threading.Thread(target=turn, args=(loop,), name=self.name, daemon=True).start()
        with self._one:
            self._loop = loop
        try:
            self._run(self._enter(hear), 3 * self._terms.connect + 4 * self._terms.answer)
        except VenueError as error:
            self._leave(loop)
            waiting = self._waiting(error)
            if waiting is not LinkState.DOWN:
                hear(Lost(error, waiting))
            raise
        self._outages.back()

    def _waiting(self, error: VenueError) -> LinkState:
        """What an attempt that failed is to be followed by; the owner reads it in the error."""
        if isinstance(error, VenueRefused):
            return LinkState.DOWN
        verdict = self._outages.away(self._clock(), mute=isinstance(error, VenueSilent))
        if verdict.text:
            error.text = f"{error.text}; {verdict.text}"
        return verdict.state

    async def _enter(self, hear: Hear) -> None:
        made = Connection(load(), self._terms, self._book, self._deals, hear, self._clock)
        try:
            await made.enter()
            with self._one:
                if self._loop is not asyncio.get_running_loop():
                    raise Ended("it was closed while it was opened")
                self._connection = made
        except BaseException:
            await made.close()
            raise
        self._watch = asyncio.create_task(self._watched(made, hear))

    async def _watched(self, made: Connection, hear: Hear) -> None:
        text = await made.until_lost()
        with self._one:
            by_itself = self._connection is made
            if by_itself:
                self._connection = None
        if by_itself:
            verdict = self._outages.lost(self._clock(), made.listening.reset)
            why = "; ".join(one for one in (f"the connection ended: {text}", verdict.text) if one)
            hear(Lost(VenueDown(why, venue=self.name), verdict.state))

    def close(self) -> None:
        """See BrokerInterface."""
        self._leave(self._loop)

    def _leave(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """End the connection of this event loop, unless another one has taken its place."""
        with self._one:
            made = None
            if self._loop is loop:
                made, self._loop, self._connection = self._connection, None, None
        if loop is None or loop.is_closed():
            return
        with suppress(RuntimeError):  # its thread ended it meanwhile
            if made is not None:
                self._wait_for(made, loop)
            loop.call_soon_threadsafe(loop.stop)

    def _wait_for(self, made: Connection, loop: asyncio.AbstractEventLoop) -> None:
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(made.close(), loop).result(_SPARE)

    # --- orders ---------------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> VenueReport:
        """See BrokerInterface. An id that was sent before is not sent again: how it stands is answered."""
        return self._ask(lambda made: made.submit(order))

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        """See BrokerInterface."""
        return self._ask(lambda made: made.cancel(order_id))

    def replace(self, order_id: str, change: Change, venue_id: str = "") -> VenueReport:
        """See BrokerInterface."""
        return self._ask(lambda made: made.replace(order_id, change))

    def order(self, order_id: str) -> Answer:
        """See BrokerInterface."""
        return self._ask(lambda made: made.order(order_id))

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """See BrokerInterface."""
        return self._ask(lambda made: made.open_orders())

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        """See BrokerInterface. IB tells those of its own day; of days before there are those that this has heard of."""
        return self._ask(lambda made: self._fills(made, since))

    async def _fills(self, made: Connection, since: int) -> tuple[VenueFill, ...]:
        await made.executions()
        return self._deals.fills(since, self._clock())

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        """See BrokerInterface. Commissions that came later than their fill: IB tells of nothing else over this way."""
        return self._ask(lambda made: self._fees(since))

    async def _fees(self, since: int) -> tuple[VenueActivity, ...]:
        return self._deals.fees(since)

    # --- the account ----------------------------------------------------------------------------------------------

    def positions(self) -> dict[str, Decimal]:
        """See BrokerInterface."""
        return self._ask(self._positions)

    async def _positions(self, made: Connection) -> dict[str, Decimal]:
        told = await made.questions.positions()
        held = {one.symbol: one.shares for one in told if one.account == made.account}
        return {symbol: shares for symbol, shares in sorted(held.items()) if shares}

    def account(self) -> Account:
        """See BrokerInterface. Raises VenueRefused for an account that is not kept in USD."""
        return self._ask(self._account)

    async def _account(self, made: Connection) -> Account:
        rows = {one.tag: one for one in await made.questions.summary() if one.account == made.account}
        cash = self._usd(rows, "TotalCashValue")
        if cash is None:
            raise NoGateway(f"tells no cash of account {made.account}")
        equity, power = self._usd(rows, "NetLiquidation"), self._usd(rows, "BuyingPower")
        return Account(cash, self._clock(), equity=equity, buying_power=power)

    def _usd(self, rows: dict[str, Row], tag: str) -> Decimal | None:
        row = rows.get(tag)
        if row is None or not row.value:
            return None
        if row.currency != "USD":
            raise NoAccount(f"account {row.account} is kept in {row.currency}", hint="its base currency must be USD")
        try:
            found = Decimal(row.value)
        except InvalidOperation:
            found = Decimal("NaN")
        if not found.is_finite():
            raise NoGateway(f"tells {tag} as {row.value!r}")
        return found

    def clock(self) -> VenueClock:
        """See BrokerInterface. IB's clock has whole seconds, and tells nothing of sessions."""
        return VenueClock(self._ask(lambda made: made.questions.time(fresh=False)) * SECOND)

    def beat(self) -> None:
        """See BrokerInterface. Around the gateway's daily restart no new risk is sent: it would be lost with it."""
        made = self._now()
        self._ask(lambda made: made.questions.time())
        quiet = self._outages.near_restart(self._clock())
        if quiet != made.listening.quiet:
            made.listening.quiet = quiet
            text = f"the gateway restarts at {self._terms.restart}: no new orders until it is over"
            made.hear(Condition(made.listening.state, "RESTART", text if quiet else "the daily restart is over"))

    # --- from any thread ------------------------------------------------------------------------------------------

    def _now(self) -> Connection:
        made = self._connection
        if made is None:
            raise VenueDown("there is no connection", venue=self.name)
        return made

    def _ask(self, job: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        made = self._now()
        return self._run(self._asked(made, job), _STEPS * self._terms.answer)

    async def _asked(self, made: Connection, job: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        """A question whose late answer could be taken for another one's is the connection's last."""
        try:
            return await job(made)
        finally:
            if made.questions.spoiled:
                await made.give_up()

    def _run(self, job: Coroutine[Any, Any, T], seconds: float) -> T:
        loop = self._loop
        if loop is None:
            job.close()
            raise VenueDown("there is no connection", venue=self.name)
        try:
            doing = asyncio.run_coroutine_threadsafe(job, loop)
        except RuntimeError:  # it was closed in this moment
            job.close()
            raise VenueDown("there is no connection", venue=self.name) from None
        try:
            return doing.result(seconds + _SPARE)
        except TimeoutError:
            doing.cancel()
            raise VenueSilent(f"no answer within {seconds:g} s", venue=self.name) from None
        except CancelledError:
            raise VenueSilent("it was closed while it was asked", venue=self.name) from None
        except Trouble as trouble:
            self._raise(trouble)

    def _raise(self, trouble: Trouble) -> NoReturn:
        if isinstance(trouble, Refused):
            raise self._refused(trouble) from None
        raise ERRORS.get(type(trouble), VenueNonsense)(trouble.text, venue=self.name, hint=trouble.hint) from None

    def _refused(self, said: Refused) -> VenueError:
        if said.number == _IN_USE:
            text = f"client id {self._terms.client_id} is in use: {said.text}"
            return VenueDown(text, venue=self.name, hint="another program uses it: end that one, or set client_id")
        if said.number == READ_ONLY:
            return VenueRefused(said.text, venue=self.name, hint="untick Read-Only API in the gateway's settings")
        if said.number == TOO_FAST:
            return VenueBusy(said.text, venue=self.name, wait=SECOND)
        return VenueNonsense(said.text, venue=self.name)
