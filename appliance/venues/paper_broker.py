"""The paper venue as a broker like the others: questions with answers, and what it tells by itself.

For the contract suite, for drills and for checking a box: the gateway itself asks the paper venue without threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import cast

from msgspec import Struct

from appliance.core.market.resting import Resting
from appliance.core.market.simulator import MarketSimulator
from appliance.core.ports import Clock, Store
from appliance.core.streams import Writers
from appliance.domain.messages import (
    Event,
    EventType,
    OpenOrder,
    VenueActivity,
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueReplace,
    VenueReport,
    VenueSubmit,
    local,
)
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Account, Order
from appliance.domain.venue import Rejection, VenueTraits
from appliance.errors import VenueDown
from appliance.venues.base import Answer, Change, Hear, Heard, Lost, VenueClock
from appliance.venues.paper import PAPER, PaperVenue

ACCEPT, ABSENT, REJECT = OrderEvent.ACCEPT, OrderEvent.ABSENT, OrderEvent.REJECT
TOLD = (EventType.VENUE_REPORT, EventType.VENUE_FILL, EventType.VENUE_ACTIVITY)
UNSET = 0.0


class _Answered(Struct):
    reports: list[VenueReport] = []
    fills: list[VenueFill] = []


class PaperBroker:
    """One paper account with its own ``store``. ``happens`` lets market events meet its orders."""

    name = PAPER

    def __init__(
        self,
        build: Callable[[Writers], MarketSimulator],
        store: Store,
        clock: Clock,
        traits: VenueTraits = VenueTraits(),  # noqa: B008 - frozen
    ) -> None:
        self.traits = traits
        self._clock = clock
        self._lock = threading.RLock()
        self._hear: Hear | None = None
        self._said: list[Event] = []
        self._venue = PaperVenue(build, store, clock, self._said.append, lambda event, payload: None, lockstep=False)
        self._venue.turn.start()
        self._said.clear()

    def happens(self, event: Event) -> None:
        """A market event (a bar, quotes, a step of recorded data); its fills are told at once."""
        with self._lock:
            self._venue.turn.accept(event)
            while self._venue.turn.run():
                pass
            self._tell(self._drain())

    def cut(self, why: str = "the connection was cut") -> None:
        """End the connection as if by itself, for drills: it is heard of once."""
        hear, self._hear = self._hear, None
        if hear is not None:
            hear(Lost(VenueDown(why, venue=self.name)))

    # --- the connection -------------------------------------------------------------------------------------------

    def open(self, hear: Hear) -> None:
        self._hear = hear

    def close(self) -> None:
        self._hear = None

    def beat(self) -> None:
        self._market()

    # --- orders ---------------------------------------------------------------------------------------------------

    def submit(self, order: Order) -> VenueReport:
        with self._lock:
            self._market()
            self._venue.request(local(VenueSubmit(order), self._time()))
            said = self._drain()
            answer = next(one for one in said if _is_report(one, order.id))
            self._tell([one for one in said if one is not answer])
            found: VenueReport = answer.body
            return found

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        with self._lock:
            rests = order_id in self._market().resting
            self._venue.request(local(VenueCancel(order_id), self._time()))
            said = self._drain()
            if rests:
                self._tell(said)
                return None
            return self._stands(order_id, said)

    def replace(self, order_id: str, change: Change, venue_id: str = "") -> VenueReport:
        with self._lock:
            self._market()
            wanted = VenueReplace(order_id, change.quantity, change.limit_price, change.stop_price)
            self._venue.request(local(wanted, self._time()))
            stands = self._stands(order_id, self._drain())
            if stands.event in (ACCEPT, REJECT) and order_id in self._market().resting:
                return stands
            text = f"it cannot be changed any more: {stands.event.value}"
            return VenueReport(order_id, REJECT, self._time(), order_id, text, stands.filled, code=Rejection.OTHER)

    def order(self, order_id: str) -> Answer:
        with self._lock:
            self._market()
            self._venue.request(local(VenueAsk(order_id), self._time()))
            said = self._drain()
            fills = tuple(one.body for one in said if one.type is EventType.VENUE_FILL)
            return Answer(self._stands(order_id, said), fills)

    def _stands(self, order_id: str, said: list[Event]) -> VenueReport:
        """How an order stands by what was said of it."""
        found: VenueReport = next(one.body for one in said if _is_report(one, order_id))
        return found

    # --- the account ----------------------------------------------------------------------------------------------

    def open_orders(self) -> tuple[OpenOrder, ...]:
        with self._lock:
            return tuple(_open(resting) for resting in self._market().resting.values())

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        with self._lock:
            return tuple(fill for fill in self._market().fills.values() if fill.at >= since)

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        with self._lock:
            return tuple(told for told in self._market().activities.values() if told.at >= since)

    def positions(self) -> dict[str, Decimal]:
        with self._lock:
            return {symbol: shares for symbol, shares in sorted(self._market().positions.items()) if shares}

    def account(self) -> Account:
        with self._lock:
            return Account(self._market().cash, self._time())

    def clock(self) -> VenueClock:
        self._market()
        return VenueClock(self._time())

    # --- how ------------------------------------------------------------------------------------------------------

    def _market(self) -> MarketSimulator:
        """The market behind an open connection. Raises VenueDown without one."""
        if self._hear is None:
            raise VenueDown("not connected", venue=self.name, hint="open it first")
        return cast(MarketSimulator, self._venue.turn.core)

    def _time(self) -> int:
        return self._clock.now(None).time

    def _drain(self) -> list[Event]:
        said = list(self._said)
        self._said.clear()
        return said

    def _tell(self, said: list[Event]) -> None:
        hear = self._hear
        if hear is None:
            return
        for event in said:
            if event.type in TOLD:
                hear(cast(Heard, event.body))


def _is_report(event: Event, order_id: str) -> bool:
    return event.type is EventType.VENUE_REPORT and event.body.order_id == order_id


def _open(resting: Resting) -> OpenOrder:
    """A resting order as the account has it; a stop that has been hit is a market order by now."""
    stop = resting.stop if resting.trail is not None or "stop" in resting.type.value else UNSET
    return OpenOrder(
        resting.id, resting.id, resting.symbol, resting.side, resting.quantity, resting.type, resting.filled,
        _price(resting.limit), _price(stop), resting.time_in_force,
    )  # fmt: skip


def _price(price: float) -> Decimal | None:
    return Decimal(repr(price)) if price != UNSET else None
