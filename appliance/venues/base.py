"""What a broker is to us: questions with deadlines, and what it tells by itself. One contract, whatever is behind it.

Every method but ``name`` and ``traits`` may be called from any thread, waits at most for the deadlines it was made
with, and raises VenueError: VenueDown and VenueBusy when what was asked for has certainly not been done, VenueSilent
when it may have been. None of them tries again by itself. A rejection is an answer, not an error.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from appliance.domain.messages import OpenOrder, VenueActivity, VenueFill, VenueReport
from appliance.domain.trading import Account, Order
from appliance.domain.venue import LinkState, VenueTraits
from appliance.errors import VenueError


class Condition(Struct, frozen=True):
    """How the venue's own surroundings stand while we are connected: READY, DEGRADED (it has lost its way to the
    market), WAITING_RESET. ``lost``: what was told in between may be gone, so compare anew."""

    state: LinkState
    code: str = ""
    text: str = ""
    lost: bool = False


class Lost(Struct, frozen=True):
    """The connection ended by itself: nothing more will be told until the next ``open``. ``state`` is what to wait
    for, where the venue has said so: DOWN, WAITING_RESET, WAITING_2FA or REFUSED."""

    error: VenueError
    state: LinkState = LinkState.DOWN


Heard = VenueReport | VenueFill | VenueActivity | Condition | Lost
Hear = Callable[[Heard], None]
"""Takes what a venue tells by itself. May be called from any thread, and returns at once."""


class Answer(Struct, frozen=True):
    """What a venue knows of one order id: how it stands (ABSENT: it has no such order) and its fills."""

    report: VenueReport
    fills: tuple[VenueFill, ...] = ()


class Change(Struct, frozen=True):
    """What an order shall ask for instead; None: as before."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class VenueClock(Struct, frozen=True):
    """The venue's time (ns UTC); where it tells them, whether the market is open and when that changes next."""

    time: int
    open: bool | None = None
    next_open: int = 0
    next_close: int = 0


class BrokerInterface(Protocol):
    """One account at one broker."""

    name: str
    traits: VenueTraits

    def open(self, hear: Hear) -> None:
        """Connect and authenticate; from here on ``hear`` is told what happens, until ``close`` or ``Lost``. Raises
        VenueRefused when its owner must act."""
        ...

    def close(self) -> None:
        """End the connection, also one that does not answer any more. May be called twice, and before ``open``."""
        ...

    def beat(self) -> None:
        """One question and its answer. Raises VenueSilent when none comes."""
        ...

    def submit(self, order: Order) -> VenueReport:
        """Send an order once, its id being ours: ACCEPT, or REJECT with code and text."""
        ...

    def cancel(self, order_id: str, venue_id: str = "") -> VenueReport | None:
        """Ask for an order's end, which is told by ``hear``. A report where the answer says how the order stands, as
        when it has ended already or is ABSENT."""
        ...

    def replace(self, order_id: str, change: Change, venue_id: str = "") -> VenueReport:
        """Let a working order ask for something else under the same id of ours: ACCEPT, or REJECT: it stays as it
        was."""
        ...

    def order(self, order_id: str) -> Answer:
        """What became of an order id of ours."""
        ...

    def open_orders(self) -> tuple[OpenOrder, ...]:
        """All that works at the account, ours or not."""
        ...

    def fills(self, since: int) -> tuple[VenueFill, ...]:
        """Executions from ``since`` (ns UTC) on, oldest first, those of strangers' orders too; as far back as the venue
        remembers. A corrected one is told as it is now, with what it ``corrects``."""
        ...

    def activities(self, since: int) -> tuple[VenueActivity, ...]:
        """What changed the account without an order from ``since`` (ns UTC) on, oldest first."""
        ...

    def positions(self) -> dict[str, Decimal]:
        """Shares (signed) by symbol, without those that are 0."""
        ...

    def account(self) -> Account:
        """Cash, equity and buying power, USD."""
        ...

    def clock(self) -> VenueClock:
        """The venue's own time."""
        ...
