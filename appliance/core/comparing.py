"""What a snapshot of the venue says, against our books: fills, then orders, then positions and cash.

An unexplained difference halts its symbol and is never "repaired" by trading; cash is the venue's.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.base import Rows
from appliance.core.differences import Differences
from appliance.domain.messages import Now, OpenOrder, VenueActivity, VenueFill, VenueSnapshot
from appliance.domain.operations import Severity
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import ZERO, Account, Activity, ActivityKind, Order

if TYPE_CHECKING:
    from appliance.core.gateway import GatewayCore

AT_THE_VENUE = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
CENT = Decimal("0.01")


class Comparison:
    """Takes snapshots apart; ``baseline`` are the shares by symbol that are of no strategy."""

    def __init__(self, gateway: GatewayCore, baseline: Rows[Decimal]) -> None:
        self._gateway = gateway
        self._baseline = baseline
        looks = gateway.traits.looks_to_differ
        self._books, self._terms = Differences(looks), Differences(looks)
        self._ended = Differences(max(2, looks))  # what one look shows may have ended since it was taken

    def forget(self) -> None:
        """Looks before this do not count."""
        self._books.forget()
        self._terms.forget()
        self._ended.forget()

    @property
    def doubt(self) -> bool:
        """Whether the next look is wanted soon."""
        return self._books.doubt or self._terms.doubt

    @property
    def books_doubt(self) -> bool:
        """Whether positions or cash may differ."""
        return self._books.doubt

    def happened(self, told: VenueSnapshot, now: Now) -> None:
        """Book what the snapshot tells of and we have not heard."""
        gateway, first = self._gateway, not self._gateway.ledger.account
        all_told: list[VenueFill | VenueActivity] = [*told.fills, *told.activities]
        for happened in sorted(all_told, key=lambda one: one.at):
            if isinstance(happened, VenueActivity) and first:
                gateway.activities.pass_over(happened.activity)  # cash and positions have it in them
            elif isinstance(happened, VenueActivity):
                gateway.activities.take(happened, now)
            else:
                gateway.fill(gateway.corrections.anew(happened), now)
                self._cost(happened, now)
        if first:
            gateway.strangers.missing_journal(told.fills, told.positions, now)

    def _cost(self, told: VenueFill, now: Now) -> None:
        """A fill that was booked before its commission was known has one now, and who should have told of it may have
        forgotten it: a fee, known by the key that he would give it."""
        fills = self._gateway.ledger.fills
        booked = fills.get(told.fill_key)
        if booked is None or booked.commission or not told.commission:
            return
        fills[told.fill_key] = replace(booked, commission=told.commission)
        text = f"commission of {told.symbol}, told after its fill"
        key = f"{told.fill_key}:commission"
        fee = Activity(key, ActivityKind.FEE, "", told.time, cash=-told.commission, text=text)
        self._gateway.activities.take(VenueActivity(fee, now.time), now)

    def orders(self, told: VenueSnapshot, now: Now) -> None:
        """Compare what works there with what we believe to work there."""
        gateway, orders = self._gateway, self._gateway.ledger.orders
        open_ids = {**dict.fromkeys(told.open), **{one.order_id: None for one in told.others if one.order_id}}
        for order_id in open_ids:
            self._adopt(order_id, now)
        for theirs in told.others:
            if theirs.order_id in orders:
                self._compare_terms(theirs, now)
        for order in gateway.ledger.live():
            self._compare_order(order, open_ids, now)
        gateway.strangers.orders([one for one in told.others if one.order_id not in orders], now)
        self._terms.looked()
        self._ended.looked()

    def _compare_order(self, order: Order, open_ids: Container[str], now: Now) -> None:
        reconciler = self._gateway.reconciler
        if order.status is OrderStatus.WAITING:
            self._gateway.plans.proceed(order, now)
        elif order.id in open_ids:
            reconciler.found(order, now)
        elif not reconciler.done:
            reconciler.await_answer(order, now)
        elif order.status in AT_THE_VENUE and self._terms.found(f"open/{order.id}", None):
            # While we run, an order sent after the snapshot was taken is not in it: only asking by id can tell.
            reconciler.await_answer(order, now)

    def _adopt(self, order_id: str, now: Now) -> None:
        """An order works there that the venue said it never had, or that is over in our books: it must go."""
        order = self._gateway.ledger.orders.get(order_id)
        if order is None or not order.status.terminal:
            return
        if order.status is OrderStatus.NOT_PLACED:
            found = self._gateway.ledger.move(order, OrderEvent.ACCEPT)
            self._gateway.tell(found, now)
            self._gateway.turned_up(found, now)
        elif self._ended.found(order_id, None):
            self._gateway.cancel(order, now)
            why = f"{order.id} is {order.status.value} in our books and works at the broker"
            self._gateway.block(order.symbol, why, now)

    def _compare_terms(self, theirs: OpenOrder, now: Now) -> None:
        """An order of ours asks for something else there, by its owner's hand or the venue's: it is what it is there,
        once that is certain."""
        order = self._gateway.ledger.orders[theirs.order_id]
        changed = as_told(order, theirs)
        if order.status.terminal or changed == order:
            return
        if self._terms.found(f"terms/{order.id}", (changed.quantity, changed.limit_price, changed.stop_price)):
            self._gateway.ledger.adjust(changed)
            self._gateway.tell(changed, now)
            text = f"{order.id} was changed at the venue, not by us: {terms(order)}, now {terms(changed)}"
            self._gateway.notices.happened(f"ORDER_CHANGED/{order.symbol}", Severity.WARNING, text, now)
            self._gateway.plans.changed(changed, now)

    def books(self, told: VenueSnapshot, now: Now) -> None:
        """Compare positions and cash; the first time, what is there is the baseline."""
        ledger = self._gateway.ledger
        first = not ledger.account
        for symbol in sorted({*told.positions, *ledger.positions, *self._baseline}):
            theirs = told.positions.get(symbol, ZERO)
            ours = ledger.position(symbol) + self._baseline.get(symbol, ZERO)
            if first:
                self._baseline[symbol] = theirs - ours
            elif theirs != ours and self._books.found(symbol, theirs - ours, ours):
                why = f"the broker holds {theirs}, our fills add up to {ours}"
                self._gateway.block(symbol, why, now)
        self._compare_cash(told, first, now)
        self._books.looked()

    def _compare_cash(self, told: VenueSnapshot, first: bool, now: Now) -> None:
        """Cash follows the venue: fees and interest are told late, or never. More than a cent is said."""
        ledger, notices = self._gateway.ledger, self._gateway.notices
        ours = ledger.account.get("", Account(ZERO))
        apart = told.cash - ours.cash
        account = replace(ours, equity=told.equity, buying_power=told.buying_power)
        if first or (apart and self._books.found("", apart, ours.cash)):
            if not first and abs(apart) > CENT:
                text = f"the venue says {told.cash} USD of cash, our books {ours.cash}: {apart:+} USD are unexplained"
                notices.holds("CASH_DIFFERS", Severity.WARNING, f"{text}; the venue's counts", now)
            ledger.account[""] = replace(account, cash=told.cash, time=now.time)
            self._gateway.tell_account(now)
            return
        if not apart:
            notices.over("CASH_DIFFERS", f"cash agrees again: {told.cash} USD", now)
        if account != ours:
            ledger.account[""] = account
            self._gateway.show("view/account", account, now)


def as_told(order: Order, theirs: OpenOrder) -> Order:
    """An order of ours as the venue has it. Its quantity is its group's where it has one, its price its trail's."""
    quantity = order.quantity if order.oco or not theirs.quantity else theirs.quantity
    limit = order.limit_price if theirs.limit_price is None or order.limit_price is None else theirs.limit_price
    stop = order.stop_price if theirs.stop_price is None or order.stop_price is None else theirs.stop_price
    if order.trail is not None:
        stop = order.stop_price
    return replace(order, quantity=max(quantity, order.filled), limit_price=limit, stop_price=stop)


def terms(order: Order) -> str:
    """What an order asks for, in words."""
    prices = [f"{name} {price}" for name, price in (("limit", order.limit_price), ("stop", order.stop_price)) if price]
    return " ".join([str(order.quantity), *prices])
