"""The order life cycle as ONE table: everything that affects a transition lives here, and it knows no roles.

A missing key is the error: an event that cannot happen in a state is quarantined by whoever saw it.
"""

from __future__ import annotations

from enum import Enum


class OrderStatus(Enum):
    """Where an order is in its life; see TRANSITIONS. ``terminal``: nothing more is expected of it."""

    DENIED = "denied"  # our own no: never sent
    WAITING = "waiting"  # an exit waits for the protective orders it replaces to end
    SENDING = "sending"  # journalled; the one send may or may not have happened
    UNKNOWN = "unknown"  # the venue did not answer: ask, never guess
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NOT_PLACED = "not_placed"  # the venue says it never had it; the id is burnt

    def __init__(self, text: str) -> None:
        self.terminal = text in ("denied", "filled", "canceled", "rejected", "expired", "not_placed")

    __hash__ = object.__hash__  # Enum's own is slow, and there is only one of each


class OrderEvent(Enum):
    """What can happen to an order."""

    DENY = "deny"
    WAIT = "wait"
    SEND = "send"
    LOSE = "lose"  # time-out, 5xx, lost socket
    ACCEPT = "accept"
    PARTIAL_FILL = "partial_fill"
    FILL = "fill"
    CANCEL = "cancel"
    REJECT = "reject"
    EXPIRE = "expire"
    ABSENT = "absent"  # the venue is sure that it has no such order

    __hash__ = object.__hash__


_S, _E = OrderStatus, OrderEvent

TRANSITIONS: dict[tuple[OrderStatus | None, OrderEvent], OrderStatus] = {
    (None, _E.DENY): _S.DENIED,
    (None, _E.WAIT): _S.WAITING,
    (None, _E.SEND): _S.SENDING,
    (_S.WAITING, _E.SEND): _S.SENDING,
    (_S.WAITING, _E.DENY): _S.DENIED,  # nothing left to exit, or halted meanwhile
    (_S.SENDING, _E.LOSE): _S.UNKNOWN,
    (_S.SENDING, _E.DENY): _S.DENIED,  # it waited for its turn at the venue for too long: it was never sent
    (_S.SENDING, _E.ACCEPT): _S.ACCEPTED,
    (_S.SENDING, _E.PARTIAL_FILL): _S.PARTIALLY_FILLED,  # the fill overtook the acceptance
    (_S.SENDING, _E.FILL): _S.FILLED,
    (_S.SENDING, _E.CANCEL): _S.CANCELED,
    (_S.SENDING, _E.REJECT): _S.REJECTED,
    (_S.SENDING, _E.EXPIRE): _S.EXPIRED,
    (_S.UNKNOWN, _E.LOSE): _S.UNKNOWN,
    (_S.UNKNOWN, _E.SEND): _S.SENDING,  # absent twice, approval fresh, the venue refuses duplicates
    (_S.UNKNOWN, _E.DENY): _S.DENIED,  # asked about while it waited: whoever kept it knows that it was never sent
    (_S.UNKNOWN, _E.ACCEPT): _S.ACCEPTED,
    (_S.UNKNOWN, _E.PARTIAL_FILL): _S.PARTIALLY_FILLED,
    (_S.UNKNOWN, _E.FILL): _S.FILLED,
    (_S.UNKNOWN, _E.CANCEL): _S.CANCELED,
    (_S.UNKNOWN, _E.REJECT): _S.REJECTED,
    (_S.UNKNOWN, _E.EXPIRE): _S.EXPIRED,
    (_S.UNKNOWN, _E.ABSENT): _S.NOT_PLACED,
    (_S.ACCEPTED, _E.PARTIAL_FILL): _S.PARTIALLY_FILLED,
    (_S.ACCEPTED, _E.FILL): _S.FILLED,
    (_S.ACCEPTED, _E.CANCEL): _S.CANCELED,
    (_S.ACCEPTED, _E.REJECT): _S.REJECTED,  # brokers do reject after acknowledging
    (_S.ACCEPTED, _E.EXPIRE): _S.EXPIRED,
    (_S.PARTIALLY_FILLED, _E.PARTIAL_FILL): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _E.FILL): _S.FILLED,
    (_S.PARTIALLY_FILLED, _E.CANCEL): _S.CANCELED,
    (_S.PARTIALLY_FILLED, _E.EXPIRE): _S.EXPIRED,
    # Real world: the cancel was acknowledged and the fill was already on its way.
    (_S.CANCELED, _E.PARTIAL_FILL): _S.CANCELED,
    (_S.CANCELED, _E.FILL): _S.FILLED,
    (_S.EXPIRED, _E.PARTIAL_FILL): _S.EXPIRED,
    (_S.EXPIRED, _E.FILL): _S.FILLED,
    # The venue said "never had it" and was wrong: adopted, and the symbol is halted.
    (_S.NOT_PLACED, _E.ACCEPT): _S.ACCEPTED,
    (_S.NOT_PLACED, _E.PARTIAL_FILL): _S.PARTIALLY_FILLED,
    (_S.NOT_PLACED, _E.FILL): _S.FILLED,
}

TERMINAL = tuple(status for status in OrderStatus if status.terminal)
"""States after which nothing more is expected (CANCELED → FILLED happens all the same)."""

WORKING = (_S.SENDING, _S.UNKNOWN, _S.ACCEPTED, _S.PARTIALLY_FILLED)
"""States in which the venue may hold the order."""


class ImpossibleTransition(Exception):
    """An event the life cycle does not allow; says event, state and the events that are allowed."""


def next_status(status: OrderStatus | None, event: OrderEvent) -> OrderStatus:
    """The state after ``event``. Raises ImpossibleTransition when the table has no such row."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        allowed = ", ".join(e.value for s, e in TRANSITIONS if s is status) or "nothing"
        at = status.value if status else "new"
        raise ImpossibleTransition(f"order event {event.value!r} in state {at!r}; allowed: {allowed}") from None


def diagram() -> str:
    """The life cycle as a Graphviz text, drawn from the table so that it cannot go stale."""
    rows = [f'  "{s.value if s else "new"}" -> "{to.value}" [label="{e.value}"];' for (s, e), to in TRANSITIONS.items()]
    return "digraph order {\n" + "\n".join(rows) + "\n}\n"
