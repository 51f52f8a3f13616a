"""An account at Alpaca as a BrokerInterface: alpaca-py's client for questions, its stream for what happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal

from msgspec.structs import replace

from appliance.domain.messages import OpenOrder, VenueActivity, VenueFill, VenueReport
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import ID_LENGTH_MAX, ZERO, Account, Order
from appliance.domain.venue import LinkState, Rejection
from appliance.errors import VenueBusy, VenueDown, VenueError, VenueNonsense, VenueRefused, VenueSilent
from appliance.venues.alpaca import orders
from appliance.venues.alpaca.client import Clock, OnLimits, load
from appliance.venues.alpaca.executions import Executions
from appliance.venues.alpaca.link import Known, Link
from appliance.venues.alpaca.names import Names, changed
from appliance.venues.alpaca.options import AlpacaBrokerOptions
from appliance.venues.alpaca.questions import Questions, ended
from appliance.venues.alpaca.reading import Body, Odd, body, maybe_number, maybe_text, moment, number, plain, text
from appliance.venues.alpaca.rejections import ADDRESS, Declined, refused
from appliance.venues.alpaca.traits import traits
from appliance.venues.base import Answer, Change, Condition, Hear, VenueClock

ABSENT, REJECT = OrderEvent.ABSENT, OrderEvent.REJECT
_CLOSED = ("ACCOUNT_CLOSED", "REJECTED", "DISABLED")
_PAST = "may have been done, and what became of it could not be read"


class AlpacaBroker:
    """See BrokerInterface. ``limits`` takes what each reply says of the rate limit: requests left, and until when (ns
    UTC). An order of ours that was changed keeps its id here; there it is a chain of orders, see ``names``."""

    def __init__(
        self, options: AlpacaBrokerOptions, clock: Clock = time.time_ns, limits: OnLimits = lambda left, until: None
    ) -> None:
        self._options = options.checked()
        self.name = options.name
        self.traits = traits(options.extended_hours)
        self.limits = limits
        self._clock = clock
        self._known = Known(Names(), Executions())
        self._names = self._known.names
        self._link: Link | None = None
        self._one = threading.Lock()
        self._burnt: dict[str, int] = {}
        load()  # it takes seconds on a small computer, which no deadline should count

    # --- the connection -------------------------------------------------------------------------------------------

    def open(self, hear: Hear) -> None:
        """See BrokerInterface. Updates come before it returns."""
        self.close()
        link = Link(self._options, self._clock, hear, lambda left, until: self.limits(left, until), self._known)
        with self._one:
            self._link = link
        try:
            with self._asking("GET /account", link) as questions:
                self._admitted(body(questions.get("/account")))
            link.open()
        except BaseException:
            link.close()
            raise

    def _admitted(self, account: Body) -> None:
        status = text(account, "status")
        if status in _CLOSED or account.get("account_blocked") is True:
            said = f"account status {status}" + (", blocked" if account.get("account_blocked") is True else "")
            raise refused(said, self._options)
        currency = maybe_text(account, "currency") or "USD"
        if currency != "USD":
            said = f"keeps the account in {currency}"
            raise VenueRefused(said, venue=self.name, hint="give the key of an account whose currency is USD")

    def close(self) -> None:
        """See BrokerInterface."""
        with self._one:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def beat(self) -> None:
        """See BrokerInterface. One that wants fewer questions has answered."""
        with suppress(VenueBusy):
            self.clock()
        link = self._link
        if link is None or not link.listens:
            raise VenueDown("its stream has ended", venue=self.name)

    @contextmanager
    def _asking(self, asked: str, link: Link | None = None) -> Iterator[Questions]:
        """Questions to the account we are connected to, with one error for what cannot be understood. Raises VenueDown
        where we are not connected."""
        link = link or self._link
        if link is None:
            raise VenueDown("not connected", venue=self.name)
        try:
            yield link.questions
        except Odd as odd:
            said = f"answers {asked} with what cannot be understood: {odd}"
            raise VenueNonsense(said, venue=self.name, hint=ADDRESS) from None
        except Declined as no:
            raise VenueNonsense(f"refuses {asked} ({no})", venue=self.name, hint=ADDRESS) from None
        except VenueRefused as error:
            link.lost(error)
            raise

    # --- orders ---------------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> VenueReport:
        """See BrokerInterface."""
        if not 0 < len(order.id) <= ID_LENGTH_MAX:
            said = f"an order id of {len(order.id)} characters; from 1 to {ID_LENGTH_MAX} are allowed"
            return VenueReport(order.id, REJECT, self._clock(), text=said, code=Rejection.OTHER)
        with self._asking("POST /orders") as questions:
            try:
                placed = body(questions.send("POST", "/orders", orders.request(order, self._options.extended_hours)))
            except Declined as no:
                if no.meaning is Rejection.DUPLICATE_ID:
                    return self._there_already(order, questions)
                return self._rejected(order.id, no)
            if text(placed, "client_order_id") != order.id:
                raise Odd(f"an order with client_order_id {placed['client_order_id']!r}, not {order.id!r}")
            self._names.learn(placed)
            return self._standing(order.id, (placed,))

    def _rejected(self, order_id: str, no: Declined) -> VenueReport:
        return VenueReport(order_id, REJECT, self._clock(), text=no.text, code=no.meaning)

    def _there_already(self, order: Order, questions: Questions) -> VenueReport:
        """Our id is taken: an earlier POST has arrived after all. How that order stands is the answer; where it cannot
        be read, it may have been done."""
        try:
            links = questions.chain(order.id)
            if links:
                said = orders.differs(order, links[0])
                report = self._standing(order.id, links, f"it was there already{', otherwise: ' if said else ''}{said}")
                if said:
                    self._note("OTHER_CONTENT", f"order {order.id} has other content there: {said}", order.id)
                return report
        except (VenueError, Odd, Declined) as error:
            if isinstance(error, VenueRefused) and self._link is not None:
                self._link.lost(error)
            raise VenueSilent(f"order {order.id} {_PAST} ({error})", venue=self.name) from None
        raise VenueSilent(f"order {order.id}: its id is taken, and it is not found", venue=self.name)

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        """See BrokerInterface. Without an order id, the one with that id of Alpaca's."""
        with self._asking("DELETE /orders") as questions:
            target = (self._names.latest(order_id) if order_id else "") or venue_id
            if target and self._deleted(questions, target):
                return None
            links = questions.chain(order_id, venue_id)
            if not links:
                return VenueReport(order_id, ABSENT, self._clock())
            last = text(links[-1], "id")
            if last != target and not ended(links[-1]) and self._deleted(questions, last):
                return None
            return self._standing(order_id, links)

    @staticmethod
    def _deleted(questions: Questions, venue_id: str) -> bool:
        """Ask for an order's end; False: it has ended, is not there, or cannot be cancelled just now."""
        try:
            questions.send("DELETE", f"/orders/{venue_id}")
        except Declined as no:
            if no.status not in (404, 422):
                raise
            return False
        return True

    def replace(self, order_id: str, change: Change, venue_id: str = "") -> VenueReport:
        """See BrokerInterface. Another order takes its place there, named ``<id>~n``. ACCEPT means that the wish was
        taken: the order may fill before."""
        with self._asking("PATCH /orders") as questions:
            links = questions.chain(order_id, venue_id)
            if not links:
                return VenueReport(order_id, ABSENT, self._clock())
            n = max(len(links), self._burnt.get(order_id, 0) + 1)
            refusal = _unchangeable(links, change, changed(order_id, n))
            if refusal:
                return VenueReport(order_id, REJECT, self._clock(), text=refusal, code=Rejection.UNSUPPORTED)
            return self._patched(questions, order_id, links, change, n)

    def _patched(
        self, questions: Questions, order_id: str, links: tuple[Body, ...], change: Change, n: int
    ) -> VenueReport:
        wish = {"qty": change.quantity, "limit_price": change.limit_price, "stop_price": change.stop_price}
        asked = {name: plain(value) for name, value in wish.items() if value is not None}
        path = f"/orders/{text(links[-1], 'id')}"
        try:
            made = body(questions.send("PATCH", path, {**asked, "client_order_id": changed(order_id, n)}))
        except Declined as no:
            if no.meaning is Rejection.DUPLICATE_ID:
                self._burnt[order_id] = n  # an earlier change was refused under this name
            return self._rejected(order_id, no)
        self._names.learn(made)
        return self._standing(order_id, (*links, made))

    def order(self, order_id: str) -> Answer:
        """See BrokerInterface."""
        with self._asking(f"for order {order_id}") as questions:
            links = questions.chain(order_id)
            if not links:
                return Answer(VenueReport(order_id, ABSENT, self._clock()))
            fills = questions.fills_of(links)
            report = self._standing(order_id, links)
            told = sum((fill.quantity for fill in fills), ZERO)
            return Answer(replace(report, filled=max(report.filled, told)) if len(links) > 1 else report, fills)

    def _standing(self, order_id: str, links: tuple[Body, ...], said: str = "") -> VenueReport:
        found = orders.standing(order_id, links, self._clock(), said, self._names.anew)
        if found.odd:
            self._note("UNKNOWN_STATUS", f"order {order_id}: {found.odd}", found.report.venue_id)
        return found.report

    def _note(self, code: str, why: str, about: str) -> None:
        """Tell of what we do not understand, once."""
        link = self._link
        if link is not None:
            link.tell_once((about, why), Condition(LinkState.READY, code, why, lost=True))

    # --- the account ----------------------------------------------------------------------------------------------

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """See BrokerInterface."""
        with self._asking("GET /orders") as questions:
            return questions.open_orders()

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        """See BrokerInterface. ``since`` 0 is a week ago; some of the minute before ``since`` may be among them."""
        with self._asking("GET /account/activities/FILL") as questions:
            return questions.fills(since)

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        """See BrokerInterface. ``since`` 0 is a week ago; some of the day before ``since`` may be among them."""
        with self._asking("GET /account/activities") as questions:
            return questions.activities(since)

    def positions(self) -> dict[str, Decimal]:
        """See BrokerInterface."""
        with self._asking("GET /positions") as questions:
            return questions.positions()

    def account(self) -> Account:
        """See BrokerInterface."""
        with self._asking("GET /account") as questions:
            told = body(questions.get("/account"))
            currency = maybe_text(told, "currency") or "USD"
            return Account(
                number(told, "cash"), self._clock(), currency, maybe_number(told, "equity"),
                maybe_number(told, "buying_power"),
            )  # fmt: skip

    def clock(self) -> VenueClock:
        """See BrokerInterface."""
        with self._asking("GET /clock") as questions:
            told = body(questions.get("/clock"))
            is_open = told.get("is_open")
            return VenueClock(
                moment(told, "timestamp"), is_open if isinstance(is_open, bool) else None,
                moment(told, "next_open"), moment(told, "next_close"),
            )  # fmt: skip


def _unchangeable(links: tuple[Body, ...], change: Change, name: str) -> str:
    """Why an order cannot be changed; "": it can be tried."""
    last = links[-1]
    if ended(last):
        return f"it is {last['status']} already"
    if not name:
        return "its id leaves no room for the name of another order in its place: cancel it and send a new one"
    if any(number(link, "filled_qty") for link in links):  # the one in its place may ask for the whole quantity again
        return "it has filled in part, and might fill twice: cancel it and send a new one for the rest"
    return ""
