"""The libraries' Client speaks to this instead of their own state: what it decodes, in our types, in the same order.

The state that the libraries keep themselves is not used: it calls orders cancelled that are alive, is empty where an
answer did not come, and grows for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from appliance.clients.ibkr.contracts import symbol_of
from appliance.venues.ibkr.told import (
    Cost,
    Deal,
    Done,
    Held,
    Row,
    Seen,
    Status,
    Ticket,
    Word,
    amount,
    number,
)

Told = Seen | Status | Done | Deal | Cost | Word | Held
"""What is told, also without having been asked."""


class Receiver:
    """``tell`` takes what is told, ``end`` the end of a list by its name (and request), ``found`` what belongs to one
    request, ``time`` the gateway's clock (s)."""

    defaultTimezone = UTC

    def __init__(
        self,
        tell: Callable[[Told], None],
        end: Callable[[str, int], None],
        found: Callable[[int, Any], None],
        next_id: Callable[[int], None],
        zone: str,
    ) -> None:
        self._tell, self._end, self._found, self._next_id = tell, end, found, next_id
        self.ib = SimpleNamespace(TimezoneTWS=zone)

    # --- the connection -------------------------------------------------------------------------------------------

    def connectAck(self) -> None:
        """The handshake is done."""

    def setEventsDone(self) -> None:
        """The socket is closed; the line knows."""

    def connectionClosed(self) -> None:
        """The socket is closed; the line knows."""

    def nextValidId(self, order_id: int) -> None:
        """The next order id, at the start and when asked."""
        self._next_id(order_id)

    def error(self, about: int, code: int, text: str, _: str = "") -> None:
        """An error, a warning or a notice."""
        self._tell(Word(about, code, text))

    def currentTime(self, seconds: int) -> None:
        """The gateway's clock."""
        self._found(TIME, seconds)
        self._end("time", TIME)

    # --- orders ---------------------------------------------------------------------------------------------------

    def openOrder(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        """An order, in reply or by itself."""
        self._tell(
            Seen(
                order_id, order.clientId, order.permId, _symbol(contract), contract.conId, _ticket(order), state.status,
                state.warningText,
            )
        )  # fmt: skip

    def openOrderEnd(self) -> None:
        """All open orders were told."""
        self._end("open orders", ALL)

    def orderStatus(
        self, order_id: int, status: str, filled: float, remaining: float, average: float, perm_id: int, parent: int,
        last: float, client: int, why_held: str = "", cap: float = 0.0,
    ) -> None:  # fmt: skip
        """How an order stands."""
        self._tell(Status(order_id, client, perm_id, status, amount(filled), why_held))

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:
        """An order that has ended."""
        filled = number(order.filledQuantity) or amount(0.0)
        self._tell(Done(order.orderRef, order.permId, order.account, state.status, filled, state.completedStatus))

    def completedOrdersEnd(self) -> None:
        """All that have ended were told."""
        self._end("completed orders", ALL)

    def execDetails(self, request: int, contract: Any, one: Any) -> None:
        """An execution, in reply or by itself. Raises ValueError for one that takes shares back, or pays for them."""
        shares, price = amount(one.shares), amount(one.price)
        if shares < 0 or price < 0:
            raise ValueError(f"{shares} shares at {price}")
        time = int(one.time.timestamp()) * 1_000_000_000 if isinstance(one.time, datetime) else 0
        self._tell(
            Deal(
                request, one.execId, one.orderId, one.clientId, one.permId, one.orderRef, one.acctNumber,
                _symbol(contract), one.side, shares, price, time,
            )
        )  # fmt: skip

    def execDetailsEnd(self, request: int) -> None:
        """All executions were told."""
        self._end("executions", request)

    def commissionReport(self, report: Any) -> None:
        """What an execution cost."""
        self._tell(Cost(report.execId, number(report.commission), report.currency))

    # --- the account and contracts --------------------------------------------------------------------------------

    def position(self, account: str, contract: Any, shares: float, average: float) -> None:
        """A position, in reply or by itself."""
        self._tell(Held(account, _symbol(contract), amount(shares)))

    def positionEnd(self) -> None:
        """All positions were told."""
        self._end("positions", ALL)

    def accountSummary(self, request: int, account: str, tag: str, value: str, currency: str) -> None:
        """A value of the account."""
        self._found(request, Row(account, tag, value, currency))

    def accountSummaryEnd(self, request: int) -> None:
        """All values were told."""
        self._end("account", request)

    def contractDetails(self, request: int, details: Any) -> None:
        """A contract that was looked up."""
        self._found(request, details.contract)

    def contractDetailsEnd(self, request: int) -> None:
        """All that were found were told."""
        self._end("contract", request)


ALL, TIME = -1, -2
"""Where an answer does not say which request it is for."""


def _symbol(contract: Any) -> str:
    return symbol_of(contract.symbol, contract.secType, contract.currency, contract.localSymbol)


def _ticket(order: Any) -> Ticket:
    """A price of 0 is none: the gateway fills in 0 for what an order does not have."""
    return Ticket(
        action=order.action, quantity=amount(order.totalQuantity), type=order.orderType, tif=order.tif,
        limit=number(order.lmtPrice) or None, aux=number(order.auxPrice) or None,
        trail_stop=number(order.trailStopPrice) or None, trail_percent=number(order.trailingPercent) or None,
        group=order.ocaGroup, ref=order.orderRef, account=order.account, outside_rth=bool(order.outsideRth),
    )  # fmt: skip
