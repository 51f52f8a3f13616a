"""How the connection to the venue stands, what may be sent over it, and what the owner hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.domain.messages import Event, Now, VenueLink, VenueState
from appliance.domain.operations import Severity
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Order
from appliance.domain.venue import LinkState, Rejection

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

NOT_ALLOWED = "VENUE_NOT_ALLOWED"
DOWN, SYNCING, READY, DEGRADED = LinkState.DOWN, LinkState.SYNCING, LinkState.READY, LinkState.DEGRADED
TOLD: dict[LinkState, tuple[str, Severity, str]] = {
    LinkState.DOWN: ("VENUE_DOWN", Severity.WARNING, "the venue is not connected: what rests there stays"),
    LinkState.DEGRADED: (
        "VENUE_DEGRADED", Severity.WARNING, "the venue has lost its way to the market: no new risk until it is back",
    ),
    LinkState.WAITING_RESET: ("VENUE_WAITING_RESET", Severity.INFO, "the venue restarts, as it does each day"),
    LinkState.WAITING_2FA: (
        "VENUE_WAITING_2FA", Severity.CRITICAL, "the venue waits for your second factor: confirm it on your phone",
    ),
    LinkState.REFUSED: (
        "VENUE_REFUSED", Severity.CRITICAL, "the venue refuses us: look at the keys and at the account",
    ),
}  # fmt: skip
"""What the owner hears of: code, how soon to look, what it means. States in passing leave the last one standing."""


class Link:
    """The link's state as we see it: SYNCING until we are reconciled."""

    def __init__(self, gateway: GatewayCore) -> None:
        self._gateway = gateway
        self.told = VenueState(DOWN)

    @property
    def up(self) -> bool:
        """Whether the venue answers questions."""
        return self.told.state.up

    def begin(self, now: Now) -> None:
        """We ask for a connection."""
        if not self.up:
            self.told = VenueState(LinkState.CONNECTING, since=now.time)

    def heard(self, event: Event, now: Now) -> None:
        """The venue is there: look before anything else. It is gone: nothing we know is certain. It has lost its own
        way to the market: what we know stays."""
        link: VenueLink = event.body
        stands = _state(link)
        if self.up and stands is DEGRADED:
            self._stands(stands, link, now)
            return
        self._stands(SYNCING if stands is READY else stands, link, now)
        self._gateway.reconciler.link(stands.up, now)

    def reconciled(self, now: Now) -> None:
        """We agree with the venue."""
        if self.told.state is SYNCING:
            self._stands(READY, VenueLink(True, self.told.text, READY, self.told.code), now)

    def answered(self, order: Order, event: OrderEvent, now: Now) -> None:
        """The venue has taken an order, or refused it as it would any: then its owner must act."""
        if event is OrderEvent.REJECT and order.code == Rejection.NOT_ALLOWED:
            text = f"the venue lets us not trade, look at the account and its API's settings: {order.id}: {order.text}"
            self._gateway.notices.holds(NOT_ALLOWED, Severity.CRITICAL, text, now)
        elif event is OrderEvent.ACCEPT:
            self._gateway.notices.over(NOT_ALLOWED, f"the venue takes orders: {order.id}", now)

    def refusal(self) -> tuple[str, str] | None:
        """Why new risk may not be sent, or None."""
        state = self.told.state
        if state.trades:
            return None
        if state is DEGRADED:
            return "VENUE_DEGRADED", self._words("the venue has lost its way to the market")
        return "VENUE_DOWN", self._words(f"the venue is {state.value.replace('_', ' ')}")

    def _words(self, text: str) -> str:
        said = " ".join(part for part in (self.told.code, self.told.text) if part)
        return f"{text}: {said}" if said else text

    def _stands(self, state: LinkState, link: VenueLink, now: Now) -> None:
        since = self.told.since if self.told.state is state else now.time
        self.told = VenueState(state, link.code, link.text, since)
        row = TOLD.get(state)
        for other in TOLD.values():
            if (state.up or row is not None) and other != row:
                self._gateway.notices.over(other[0], f"the venue is {state.value.replace('_', ' ')}", now)
        if row is not None:
            self._gateway.notices.holds(row[0], row[1], self._words(row[2]), now)


def _state(link: VenueLink) -> LinkState:
    """The state that was told, where it fits to whether the link is up."""
    if link.state.up == link.up:
        return link.state
    return READY if link.up else DOWN
