"""One connection to the gateway as one client for one account: let in once, asked, closed once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from appliance.clients.ibkr import Ended, Line, Mute, NoContract, NoGateway, Refused, Trouble
from appliance.domain.messages import OpenOrder, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ZERO, Order
from appliance.domain.venue import Rejection
from appliance.venues.base import Answer, Change, Condition, Hear
from appliance.venues.ibkr.book import ACCEPT, CANCEL, REJECT, Book, Known, ending, inactive, works
from appliance.venues.ibkr.deals import Deals
from appliance.venues.ibkr.listening import Clock, Listening
from appliance.venues.ibkr.options import IbkrTerms
from appliance.venues.ibkr.questions import Questions
from appliance.venues.ibkr.receiver import Receiver, Told
from appliance.venues.ibkr.tickets import changed, fields, open_order, ticket
from appliance.venues.ibkr.told import Deal, Done, Seen, Ticket, Word
from appliance.venues.ibkr.verdicts import Verdict, Wish
from appliance.venues.ibkr.words import REFUSED, rejection, warns

ABSENT = OrderEvent.ABSENT


class Unsent(Trouble):
    """What was asked for has certainly not been sent."""


class NoAccount(Trouble):
    """The login has no such account, or several and none is named."""


class Connection:
    """Confined to its event loop; all that goes wrong is a Trouble. The book and the deals outlive it."""

    def __init__(self, library: Any, terms: IbkrTerms, book: Book, deals: Deals, hear: Hear, clock: Clock) -> None:
        self._library, self._terms, self._clock, self.hear = library, terms, clock, hear
        self.book, self.deals = book, deals
        self.account = terms.account
        self._why = ""
        self.listening = Listening(book, deals, hear, clock, terms.commission)
        receiver = Receiver(self._told, self._end, self._found, book.valid, terms.timezone)
        self._client = library.Client(receiver)
        self.line = Line(self._client, terms.where, self._unread, self._garbled)
        self.questions = Questions(library, self.line, terms.answer, lambda: self.account)

    # --- in and out -----------------------------------------------------------------------------------------------

    async def enter(self) -> None:
        """Get in, and learn which orders and ids there are: an order whose id is one of an open order's changes it."""
        terms = self._terms
        connecting = self._client.connectAsync(terms.host, terms.port, terms.client_id, terms.connect)
        await self.line.enter(connecting, terms.connect)
        self.account = self._accounted(self._client.getAccounts())
        await self.questions.open_orders()
        await self.questions.completed()
        await self.executions()

    def _accounted(self, accounts: list[str]) -> str:
        wanted = self._terms.account
        if wanted and wanted not in accounts:
            raise NoAccount(f"the login has no account {wanted}", hint=f"set account to {' or '.join(accounts)}")
        if not wanted and len(accounts) != 1:
            raise NoAccount(f"the login has {len(accounts)} accounts", hint=f"set account to {' or '.join(accounts)}")
        return wanted or accounts[0]

    async def close(self) -> None:
        """Drop the socket; what waits for an answer does not get one."""
        self.questions.give_up(Ended("the connection was closed"))
        await self.line.close()

    async def give_up(self) -> None:
        """A question was not answered in time, and its late answer could be taken for that of another one."""
        self._why = "it does not answer what it is asked, and was given up"
        await self.line.close()

    async def until_lost(self) -> str:
        """Why the socket is closed, once it is."""
        text = await asyncio.shield(self.line.lost)
        text = self._why or text
        self.questions.give_up(Ended(f"the connection ended: {text}"))
        return text

    # --- what is told ---------------------------------------------------------------------------------------------

    def _told(self, one: Told) -> None:
        if isinstance(one, Deal) and one.account not in ("", self.account or one.account):
            return  # of another account of the login
        if isinstance(one, Word):
            self.line.heard(one.code, one.text)
        self.listening.told(one)
        self.questions.told(one)

    def _end(self, name: str, request: int) -> None:
        self.questions.end(name, request)

    def _found(self, request: int, one: object) -> None:
        self.questions.found(request, one)

    def _unread(self, text: str) -> None:
        """A message was left out. It may be part of an answer: then there is none. Otherwise it may have been about an
        order: everything is to be compared."""
        if not self.questions.give_up(NoGateway(f"answers with {text}")):
            self._garbled(text)

    def _garbled(self, text: str) -> None:
        self.hear(Condition(self.listening.state, "UNREADABLE", text, lost=True))

    # --- orders ---------------------------------------------------------------------------------------------------

    async def submit(self, order: Order) -> VenueReport:
        """Send an order once. Raises Unsent, or the Trouble that leaves it in doubt."""
        if self.book.get(order.id) is not None:
            return (await self.order(order.id)).report  # it was sent before
        try:
            contract = await self.questions.contract(order.symbol)
        except NoContract as error:
            return self._no(order, Rejection.UNKNOWN_SYMBOL, error.text)
        except Trouble as error:
            raise Unsent(f"the contract was not looked up: {error.text}") from None
        asked = ticket(order, self.account, self._terms.outside_rth)
        if isinstance(asked, str):
            return self._no(order, Rejection.UNSUPPORTED, asked)
        known = self.book.sent(asked, self.book.take_id())
        with self.listening.wishing(Wish.SUBMIT, known) as wished:
            try:
                self._place(known.order_id, contract, asked)
            except Unsent:
                self.book.unsent(known)
                raise
            return await self._submitted(known, wished.answer)

    def _place(self, order_id: int, contract: Any, asked: Ticket) -> None:
        with self._sending():
            self._client.placeOrder(order_id, contract, self._library.Order(**fields(asked)))

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """What finds no connection in here has certainly not been sent."""
        try:
            with self.line.sending():
                yield
        except Ended as error:
            raise Unsent(error.text) from None

    async def _submitted(self, known: Known, answer: asyncio.Future[VenueReport | Verdict]) -> VenueReport:
        try:
            told = await self._answer(answer, f"order {known.ref}")
        except Mute:
            if not known.code:
                raise
            told = Verdict.LOOK  # something was said of it that says neither yes nor no
        try:
            return told if isinstance(told, VenueReport) else (await self.order(known.ref)).report
        except Refused as error:  # a question is refused, not the order
            raise NoGateway(f"order {known.ref} was sent, and what became of it is not told: {error.text}") from None

    async def _answer(self, answer: asyncio.Future[VenueReport | Verdict], what: str) -> VenueReport | Verdict:
        """What settles a wish. Raises Ended with the connection."""
        both: list[asyncio.Future[Any]] = [answer, self.line.lost]
        first = asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        await self.line.answer(first, self._terms.answer, what)
        if not answer.done():
            raise Ended(f"{what}: the connection ended")
        return answer.result()

    def _no(self, order: Order, kind: Rejection, text: str) -> VenueReport:
        return VenueReport(order.id, REJECT, self._clock(), text=text, code=kind.value)

    async def cancel(self, ref: str) -> VenueReport | None:
        """Ask for an order's end. Another client's order stays: only that one can cancel it."""
        known = await self._found_out(ref)
        if known is None:
            return (await self.order(ref)).report
        if not self.book.ours(known):
            return VenueReport(ref, ACCEPT, self._clock(), str(known.perm_id), self._whose(known), known.filled)
        with self.listening.wishing(Wish.CANCEL, known) as wished:
            with self._sending():
                self._client.cancelOrder(known.order_id)
            told = await self._answer(wished.answer, f"the cancel of {ref}")
        if told is Verdict.COMING:
            return None
        if told is Verdict.ENDED:
            return self.book.report(known, CANCEL, self._clock())
        return (await self.order(ref)).report

    async def replace(self, ref: str, change: Change) -> VenueReport:
        """Let an order ask for something else: it is placed again under the same order id."""
        known = await self._found_out(ref)
        if known is None or known.ticket is None:
            found = (await self.order(ref)).report
            return replace(found, event=REJECT, code=Rejection.OTHER.value, text=f"{found.event.value}: {found.text}")
        if not self.book.ours(known):
            return VenueReport(ref, REJECT, self._clock(), text=self._whose(known), code=Rejection.NOT_ALLOWED.value)
        wanted = changed(known.ticket, change)
        contract = self._library.Contract(conId=known.con_id, exchange="SMART")
        with self.listening.wishing(Wish.REPLACE, known, wanted) as wished:
            self._place(known.order_id, contract, wanted)
            told = await self._answer(wished.answer, f"the change of {ref}")
        if isinstance(told, VenueReport):
            return told
        text = known.text or f"the order is {known.status}"
        return VenueReport(ref, REJECT, self._clock(), text=text, code=rejection(known.code, text).value)

    async def _found_out(self, ref: str) -> Known | None:
        """An order that may still work; None when there is none."""
        known = self.book.get(ref)
        if known is None or not self.book.ours(known) or not known.con_id:
            await self.questions.open_orders()
            known = self.book.get(ref)
        return None if known is None or known.ended or not known.order_id else known

    def _whose(self, known: Known) -> str:
        return (
            f"it is an order of client {known.client}, which alone can change and cancel it; we are client"
            f" {self._terms.client_id}: set client_id, or do it in the gateway's own window"
        )

    async def order(self, ref: str) -> Answer:
        """What became of an order: it is absent when it is neither open, nor completed, nor has executions."""
        fills, listed = tuple[Any, ...](), list[Seen]()
        for _ in range(2):  # an order may have become open between two questions: then it has executions by now
            listed = [one for one in await self.questions.open_orders() if one.ticket.ref == ref]
            seen = works(listed)
            done = [] if seen else [one for one in await self.questions.completed() if one.ref == ref]
            await self.executions()
            fills = self.deals.fills(0, self._clock(), ref)
            if seen or done or not fills:
                break
        report = (
            self._open(seen[-1]) if seen else self._done(done[-1]) if done else self._neither(ref, inactive(listed))
        )
        filled = max(report.filled, sum((one.quantity for one in fills), ZERO) if not seen and not done else ZERO)
        if fills and report.event is ABSENT:
            report = replace(report, event=CANCEL, text="it is no longer open")
        return Answer(replace(report, filled=filled), fills)

    def _open(self, seen: Seen) -> VenueReport:
        known = self.book.seen(seen)
        assert known is not None
        return self.book.report(known, ACCEPT, self._clock())

    def _done(self, done: Done) -> VenueReport:
        event = ending(done)
        if event is None:
            raise NoGateway(f"order {done.ref} ended as {done.status!r}: {done.text}")
        known = self.book.get(done.ref)
        code, said = (known.code, known.text) if known is not None else (0, "")
        refused = event is REJECT
        why = rejection(code, said) if code else rejection(REFUSED, done.text)
        text, kind = (said or done.text, why.value) if refused else (done.text, "")
        return VenueReport(
            done.ref, event, self._clock(), venue_id=str(done.perm_id or ""), text=text, filled=done.filled, code=kind
        )

    def _neither(self, ref: str, refused: list[Seen]) -> VenueReport:
        """No list has it: it is as we have heard it end, refused where only an error was said of it or it is listed as
        such, or absent."""
        known, now = self.book.get(ref), self._clock()
        if known is not None and known.told is not None and known.ended:
            return self.book.report(known, known.told[0], now)
        if known is not None and known.told is None and known.code and not warns(known.code):
            return self.book.report(known, REJECT, now)
        if known is not None and refused:
            return self.book.refused(known, now)
        return VenueReport(ref, ABSENT, now)

    # --- lists ----------------------------------------------------------------------------------------------------

    async def open_orders(self) -> tuple[OpenOrder, ...]:
        """All that works at the account. Raises NoGateway for one that makes no sense."""
        told = works(await self.questions.open_orders())
        try:
            return tuple(open_order(one, self.book.filled(one)) for one in told if one.ticket.account == self.account)
        except ValueError as error:
            raise NoGateway(str(error)) from None

    async def executions(self) -> None:
        """Know all executions, and what they cost unless that does not come."""
        told = [one.exec_id for one in await self.questions.executions()]
        try:
            async with asyncio.timeout(self._terms.commission):
                while self.deals.lacking(told):
                    self.listening.costs.clear()
                    await self.listening.costs.wait()
        except TimeoutError:
            return
