"""What can be wrong with a gateway, each switched on and off while it runs."""

from __future__ import annotations

from tests.standins.faults import Switches

REJECTIONS: dict[str, tuple[int, str]] = {
    "buying_power": (
        201,
        "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION YOUR EQUITY WITH"
        " LOAN VALUE [1000.00 USD] MUST EXCEED THE INITIAL MARGIN [5000.00 USD]",
    ),
    "not_shortable": (201, "Order rejected - reason:The contract is not available for short sale."),
    "halted": (201, "Order rejected - reason:Trading in this security is halted."),
    "tick": (110, "The price does not conform to the minimum price variation for this contract."),
    "unknown_symbol": (200, "No security definition has been found for the request"),
    "read_only": (
        321,
        "Error validating request.-'bH' : cause - The API interface is currently in Read-Only mode.",
    ),
    "duplicate_id": (103, "Duplicate order id"),
    "filled": (104, "Cannot modify a filled order."),
    "type": (387, "Unsupported order type for this exchange and security type."),
    "time_in_force": (10052, "Invalid time in force"),
    "fraction": (
        10243,
        "Fractional-sized order cannot be placed via API. Please use desktop version to place this order.",
    ),
    "quantity": (434, "The order size cannot be zero."),
    "parent": (10006, "Missing parent order"),
}
"""How an order is refused: those with 201 become Inactive, the others are an error and nothing more."""
WARNINGS: dict[str, tuple[int, str]] = {
    "waits": (399, "Order Message:\nBUY 100 SPY ARCA\nWarning: Your order will not be placed at the exchange until"
              " 2026-11-30 09:30:00 US/Eastern."),
    "locating": (404, "Shares for this order are not immediately available for short sale. The order will be held while"
                 " we attempt to locate the shares."),
    "preset": (10349, "Order TIF was set to DAY based on order preset."),
    "outside": (2109, "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored based on the order type"
                " and destination. PlaceOrder is now being processed."),
}  # fmt: skip
"""What is said of an order that lives on."""


class Faults(Switches):
    """Those of a gateway; each change is in its log. Where a count is said, it goes down with each order it met."""

    refuse: bool = False
    """TCP is accepted, and nothing is ever read or answered: the wedge of gateway 10.41."""
    half_open: bool = False
    """Nothing is read any more and nothing sent; the connections stay open."""
    mute: bool = False
    """No market data; all else is answered."""
    slow: float = 0.0
    """Seconds before each message."""
    silent: frozenset[str] = frozenset()
    """Ids of requests that are never answered."""
    endless: frozenset[str] = frozenset()
    """Ids of requests whose answer never ends: all of it comes but its end."""
    pacing: bool = False
    """Each question about the past is a pacing violation."""
    refusing: tuple[int, str] = (0, "")
    """Each question about the past gets this error, with its code."""
    cut: int = -1
    """So many bytes of the next answer whose id is ``cut_at`` are sent, and the connection is closed; -1: not."""
    cut_at: str = "5"

    unanswered: int = 0
    """The next n orders are taken, and nobody is ever told of them."""
    swallowed: int = 0
    """The next n orders are neither taken nor answered."""
    hung_up: int = 0
    """The next n orders are not taken, and the connection is reset instead of an answer."""
    swallowed_cancels: int = 0
    """The next n cancels are neither done nor answered."""
    rejected: int = 0
    """The next n orders (-1: all) are refused with ``rejection``."""
    rejection: str = "buying_power"
    """A name in REJECTIONS."""
    warned: int = 0
    """The next n orders (-1: all) are taken, and ``warning`` is said of each."""
    warning: str = "preset"
    """A name in WARNINGS."""
    read_only: bool = False
    """Orders and cancels are refused: 321."""
    halves: int = 0
    """The next n orders are filled by half, and cancelled by the broker."""
    late_fills: int = 0
    """The next n cancels are told as done; ``late_after`` seconds later the rest is filled all the same."""
    late_after: float = 0.1
    losing: frozenset[str] = frozenset()
    """Ids of messages that are lost where nobody asked for them: 3 orderStatus, 4 error, 5 openOrder, 11 execDetails,
    59 commissionReport."""
    lost: int = -1
    """How many of them more; -1: all."""
    doubled: bool = False
    """What is told of orders is told two times."""
    shuffled: bool = False
    """What is told of orders within a twentieth of a second is told in the wrong order."""
    commission_late: float = 0.0
    """Seconds until the commission of an execution is told; -1: never, and not on request before this is off."""
    closing_unanswered: bool = False
    """Nothing is told of orders for the close before they end, as it was seen with real gateways."""
    utc_times: bool = False
    """Executions that nobody asked for have their time in UTC (20261129-14:30:00), as gateways of 2026 tell them; those
    that were asked for have it in US/Eastern as ever."""
    inactive_listed: bool = False
    """Open orders include those that were refused, as from API 10.48 on."""
    refused_as_cancelled: bool = False
    """Completed orders show those that were refused as Cancelled, with ``Rejected by System:`` and why, as gateways of
    2026 do; otherwise they are Inactive."""
    statuses_first: bool = False
    """The answer to completed orders begins with the orderStatus of the client's own, as gateways of 2026 do."""
    clock_gap: float = 0.0
    """A question for the time is not answered within so many seconds of the last; real gateways: about 4."""
    strange: str = ""
    """A status that all orders have, which did not exist yesterday."""

    def take(self, name: str) -> bool:
        """Whether a counted fault meets the next one; it is counted."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left != 0
