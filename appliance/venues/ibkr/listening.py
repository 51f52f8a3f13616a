"""What is told over one connection, into the books and on to the gateway's core: fills before what follows of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from appliance.domain.messages import VenueReport
from appliance.domain.venue import LinkState
from appliance.venues.base import Condition, Hear, Heard
from appliance.venues.ibkr.book import ACCEPT, CANCEL, Book, Known, doubtful
from appliance.venues.ibkr.deals import Deals
from appliance.venues.ibkr.receiver import Told
from appliance.venues.ibkr.told import Cost, Deal, Done, Seen, Status, Ticket, Word
from appliance.venues.ibkr.verdicts import Verdict, Wish, of_status, of_word
from appliance.venues.ibkr.words import CANCELLED, PORT_RESET, REJECTIONS, USED_ID, meaning, reason, warns

Clock = Callable[[], int]
SOON = 0.3
"""Seconds in which a word explains a status that says nothing by itself."""


class Wished:
    """Something asked of an order, and the ticket it shall have. ``answer`` is its report, or what else was found."""

    def __init__(self, wish: Wish, before: Ticket | None, ticket: Ticket | None) -> None:
        self.wish = wish
        self._changes = {} if ticket is None or before is None else _changes(before, ticket)
        self.answer: asyncio.Future[VenueReport | Verdict] = asyncio.get_running_loop().create_future()

    def done(self, seen: Ticket) -> bool:
        """Whether an order asks for what it was changed to."""
        return all(getattr(seen, name) == value for name, value in self._changes.items())

    def settle(self, answer: VenueReport | Verdict) -> None:
        """The first answer counts."""
        if not self.answer.done():
            self.answer.set_result(answer)


class Listening:
    """Confined to the connection's event loop. ``costs`` is set whenever a commission has come."""

    def __init__(self, book: Book, deals: Deals, hear: Hear, clock: Clock, patience: float) -> None:
        self._book, self._deals, self._hear, self._clock, self._patience = book, deals, hear, clock, patience
        self._loop = asyncio.get_running_loop()
        self._wishes: dict[int, list[Wished]] = {}
        self._behind: dict[str, list[VenueReport]] = {}
        self._cut_off = 0
        self.quiet = False
        self.reset = False
        self.costs = asyncio.Event()
        self._takes: dict[type, Callable[[Any], None]] = {
            Seen: self._seen, Status: self._status, Deal: self._deal, Cost: self._cost, Word: self._word,
            Done: self._book.done,
        }  # fmt: skip

    @property
    def state(self) -> LinkState:
        """How our way to the market stands; ``quiet``: the gateway is about to restart."""
        return LinkState.DEGRADED if self._cut_off or self.quiet else LinkState.READY

    def told(self, one: Told) -> None:
        """Something came."""
        take = self._takes.get(type(one))
        if take is not None:
            take(one)

    @contextmanager
    def wishing(self, wish: Wish, known: Known, ticket: Ticket | None = None) -> Iterator[Wished]:
        """What is told of an order in here may be the answer."""
        wished = Wished(wish, known.ticket, ticket)
        here = self._wishes.setdefault(known.order_id, [])
        here.append(wished)
        try:
            yield wished
        finally:
            here.remove(wished)
            if not here:
                self._wishes.pop(known.order_id, None)

    def _open(self, known: Known, wish: Wish | None = None) -> list[Wished]:
        """What waits for an answer about an order of this client."""
        waiting = self._wishes.get(known.order_id, []) if self._book.ours(known) else []
        return [one for one in waiting if not one.answer.done() and wish in (None, one.wish)]

    # --- orders ---------------------------------------------------------------------------------------------------

    def _seen(self, seen: Seen) -> None:
        known = self._book.seen(seen)
        if known is None:
            return
        for wished in self._open(known, Wish.REPLACE):
            if wished.done(seen.ticket):
                wished.settle(self._book.report(known, ACCEPT, self._clock()))
        self._stands(known)
        if seen.status in ("PreSubmitted", "Submitted"):
            self._hint(known)  # how much has filled, and so how it ended, only a status says

    def _status(self, status: Status) -> None:
        known = self._book.status(status)
        if known is None:
            return
        self._stands(known)
        self._hint(known)

    def _stands(self, known: Known) -> None:
        for wished in self._open(known):
            verdict = of_status(wished.wish, known.status)
            if verdict is Verdict.LOOK_SOON:
                self._loop.call_later(SOON, wished.settle, Verdict.LOOK)
            elif verdict is not None:
                self._settle(wished, verdict, known)

    def _settle(self, wished: Wished, verdict: Verdict, known: Known) -> None:
        now = self._clock()
        if verdict is Verdict.TAKEN:
            wished.settle(self._book.report(known, ACCEPT, now))
        elif verdict is Verdict.REFUSED and wished.wish is Wish.SUBMIT:
            ended = known.code == CANCELLED and not reason(known.text)  # nothing to take at once, for instance
            wished.settle(self._book.report(known, CANCEL, now) if ended else self._book.refused(known, now))
        else:
            wished.settle(verdict)

    def _hint(self, known: Known) -> None:
        if self._open(known, Wish.SUBMIT):
            return  # it is an answer, once a word explains it
        if doubtful(known):
            self._doubt(known.status, f"{known.ref} is {known.status}: it is looked for")
        report = self._book.hint(known, self._clock())
        if report is not None:
            self._report(report)

    def _doubt(self, code: str, text: str) -> None:
        """Something of an order is not clear: everything is to be compared."""
        self._hear(Condition(self.state, code, text, lost=True))

    def _report(self, report: VenueReport) -> None:
        if self._deals.waits(report.order_id):
            self._behind.setdefault(report.order_id, []).append(report)
        else:
            self._hear(report)

    # --- fills ----------------------------------------------------------------------------------------------------

    def _deal(self, deal: Deal) -> None:
        named = self._book.dealt(deal)
        self._out(self._deals.take(named, self._clock()))
        self._loop.call_later(self._patience, self._overdue, deal.exec_id)

    def _cost(self, cost: Cost) -> None:
        self._out(self._deals.cost(cost, self._clock()))
        self.costs.set()

    def _overdue(self, exec_id: str) -> None:
        self._out(self._deals.overdue(exec_id, self._clock()))

    def _out(self, told: Sequence[Heard]) -> None:
        for one in told:
            self._hear(one)
        for ref in [one for one in self._behind if not self._deals.waits(one)]:
            for report in self._behind.pop(ref):
                self._hear(report)

    # --- words ----------------------------------------------------------------------------------------------------

    def _word(self, word: Word) -> None:
        if word.about < 0:
            self._notice(word)
            return
        known = self._book.said(word.about, word.code, word.text)
        if known is None:
            return  # the answer to a question
        if word.code == USED_ID:
            self._book.leap()
        asked = self._open(known)
        for wished in asked:
            verdict = of_word(wished.wish, word.code)
            if verdict is not None:
                self._settle(wished, verdict, known)
        if not any(one.wish is not Wish.CANCEL for one in asked):
            self._by_itself(known, word)

    def _by_itself(self, known: Known, word: Word) -> None:
        """A word about an order that nothing else was asked of."""
        if known.ended or warns(word.code):
            return
        if word.code == CANCELLED:
            self._report(self._book.report(known, CANCEL, self._clock()))
        elif word.code == 201:
            self._report(self._book.refused(known, self._clock()))
        elif word.code in REJECTIONS:
            self._doubt(str(word.code), f"{known.ref}: {word.text}")

    def _notice(self, word: Word) -> None:
        meant = meaning(word.code, self._cut_off)
        if word.code == PORT_RESET:
            self.reset = True
        if meant is not None:
            if meant.cut_off is not None:
                self._cut_off = word.code if meant.cut_off else 0
            self._hear(Condition(self.state, str(word.code), word.text, meant.lost))


def _changes(before: Ticket, after: Ticket) -> dict[str, object]:
    pairs = zip(Ticket._fields, before, after, strict=True)
    return {name: new for name, old, new in pairs if new != old}
