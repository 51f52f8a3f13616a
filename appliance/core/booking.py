"""What a host's strategies hold and have on its way, and how wishes become intents: netted, split, deferred."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from appliance.core.booked import Booked, Protecting, Refused, Target
from appliance.core.netting import Leg, legs
from appliance.core.wishes import CancelWish
from appliance.domain.messages import DATA_BOOT, Now
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import (
    ZERO,
    Activity,
    ActivityKind,
    Cancel,
    Fill,
    Intent,
    Order,
    Part,
    Side,
    Signal,
    Terms,
)

if TYPE_CHECKING:
    from appliance.core.host import HostCore

ACCEPTED = OrderStatus.ACCEPTED
REFUSING = (OrderStatus.DENIED, OrderStatus.REJECTED)
BOOKED_MAX = 1_000
PATIENCE_MAX = 64
"""A target that is wished again and again after a denial is asked for at the latest with every 64th wish."""


class Bookings:
    """State rows of the host for positions and intents under way; keys are ``strategy/symbol`` or intent ids."""

    def __init__(self, host: HostCore) -> None:
        self._host = host
        self.intents = f"host/{host.name}/intents"
        self.positions = host.table("position", Decimal)
        self.booked = host.table("booked", Booked)
        self.deferred = host.table("deferred", Signal)
        self._awaited = host.table("awaited", int)
        self.missed = host.table("missed", Signal)
        self.protecting = host.table("protecting", Protecting)
        self._refused = host.table("refused", Refused)
        self._open: dict[str, Booked] | None = None
        self._by_position: dict[tuple[str, str], dict[str, Booked]] = {}

    # --- from wishes to intents -----------------------------------------------------------------------------------

    def net(self, signal: Signal, now: Now) -> None:
        """Ask for what is missing to a target, or for an order of the strategy's own."""
        if signal.side is not None:
            self._own_order(signal, signal.side, now)
            return
        key = f"{signal.strategy}/{signal.symbol}"
        held = self.positions.get(key, ZERO)
        if self._refused and self._was_refused(key, signal, held):
            self._settle(key)
            return
        way, resting = ZERO, dict[str, Booked]()
        for order_id, booked in self._live(signal.strategy, signal.symbol):
            if booked.rests:
                resting[order_id] = booked
            else:
                way += booked.left * booked.side.sign
        if resting and not _in_the_way(resting, signal, held + way):
            self._settle(key)
            return
        wanted = None if resting else legs(signal.quantity, held, way)
        if wanted is None:
            self._cancel(resting, "another target", now)
            self._defer(key, signal)
            return
        self._settle(key)
        for leg in wanted:
            self._ask(signal, leg, now)

    def _defer(self, key: str, signal: Signal) -> None:
        """A target waits for all that has been asked for by now, also by later signals if it has waited before."""
        self.deferred[key] = signal
        self._awaited[key] = self._host.counter(signal.strategy)

    def _settle(self, key: str) -> None:
        """No target waits here any longer."""
        if self.deferred:
            self.deferred.drop(key)
            self._awaited.drop(key)

    def _own_order(self, signal: Signal, side: Side, now: Now) -> None:
        """What closes a position is asked for as an exit, which passes where nothing new may be risked."""
        held = self.positions.get(f"{signal.strategy}/{signal.symbol}", ZERO)
        closing = [b.left for _, b in self._live(signal.strategy, signal.symbol) if b.exit and b.side is side]
        free = max(ZERO, -held * side.sign - sum(closing, ZERO))
        exits = min(signal.quantity, free)
        for quantity, is_exit in ((exits, True), (signal.quantity - exits, False)):
            if quantity > 0:
                self._ask(signal, Leg(side, quantity, is_exit), now)

    def _ask(self, signal: Signal, leg: Leg, now: Now) -> None:
        spot = self._host.writers[self.intents].next()
        terms, protected, decided = signal.terms, not leg.exit, now.moment
        intent = Intent(
            id=f"{self._host.name}-{spot.epoch}-{spot.seq}", strategy=signal.strategy, counter=signal.counter,
            symbol=signal.symbol, side=leg.side, quantity=leg.quantity, decided=decided,
            valid=self._host.validity, cause=signal.cause, reason=signal.reason, type=terms.type,
            limit_price=terms.limit_price, stop_price=terms.stop_price, time_in_force=terms.time_in_force,
            stop=signal.stop if protected else None, exit=leg.exit, staged=now.boot == DATA_BOOT, trail=terms.trail,
            take_profit=signal.take_profit if protected else None,
            trailing=signal.trailing if protected else None, ticket=signal.ticket,
        )  # fmt: skip
        target = target_of(signal) if signal.side is None else None
        booked = Booked(
            signal.strategy, signal.symbol, leg.side, leg.quantity, exit=leg.exit, target=target, terms=terms,
            ticket=signal.ticket, price=self._host.tracker.decision_price(signal.symbol), decided=decided,
            counter=signal.counter,
        )  # fmt: skip
        self._book(intent.id, booked)
        self._host.emit(self.intents, intent, now, signal.cause)

    # --- cancelling -----------------------------------------------------------------------------------------------

    def cancel(self, strategy: str, wish: CancelWish, cause: str, now: Now) -> None:
        """Ask for the end of the orders a strategy names; of a protective one, only when it is named by its id."""
        named = {
            order_id: booked
            for order_id, booked in (self._live(strategy, wish.symbol) if wish.symbol else self._all_live(strategy))
            if not wish.ticket or wish.ticket in (booked.ticket, order_id)
        }
        self._cancel(named, wish.reason, now, cause)
        behind = self.protecting.get(wish.ticket)
        if behind is not None and behind.strategy == strategy and not behind.canceled:
            self.protecting[wish.ticket] = replace(behind, canceled=True)
            self._ask_to_cancel(wish.ticket, strategy, behind.symbol, wish.reason, now, cause)

    def _cancel(self, orders: dict[str, Booked], reason: str, now: Now, cause: str = "") -> None:
        for order_id, booked in orders.items():
            if not booked.canceled:
                self._book(order_id, replace(booked, canceled=True))
                self._ask_to_cancel(order_id, booked.strategy, booked.symbol, reason, now, cause)

    def _ask_to_cancel(self, order_id: str, strategy: str, symbol: str, reason: str, now: Now, cause: str) -> None:
        spot = self._host.writers[self.intents].next()
        cancel = Cancel(
            f"{self._host.name}-{spot.epoch}-{spot.seq}", strategy, self._host.counter(strategy), symbol, order_id,
            now.moment, self._host.validity, cause, reason, now.boot == DATA_BOOT,
        )  # fmt: skip
        self._host.emit(self.intents, cancel, now, cause)

    # --- what is under way ----------------------------------------------------------------------------------------

    def _live(self, strategy: str, symbol: str) -> Sequence[tuple[str, Booked]]:
        """Intents of one strategy in one symbol that have not ended, oldest first."""
        if self._open is None:
            self._open = self._index()
        here = self._by_position.get((strategy, symbol))
        return tuple(here.items()) if here else ()

    def _all_live(self, strategy: str) -> Sequence[tuple[str, Booked]]:
        """Those in all symbols."""
        if self._open is None:
            self._open = self._index()
        return [(order_id, booked) for order_id, booked in self._open.items() if booked.strategy == strategy]

    def _index(self) -> dict[str, Booked]:
        """What has not ended, by id and by position, found with the first question after a start; `_book` keeps it."""
        ids = sorted((key for key, booked in self.booked.items() if not booked.ended), key=_age)
        live = {order_id: self.booked[order_id] for order_id in ids}
        for order_id, booked in live.items():
            self._by_position.setdefault((booked.strategy, booked.symbol), {})[order_id] = booked
        return live

    def _book(self, order_id: str, booked: Booked) -> None:
        self.booked[order_id] = booked
        if self._open is None:
            return
        here = self._by_position.setdefault((booked.strategy, booked.symbol), {})
        if not booked.ended:
            self._open[order_id] = here[order_id] = booked
        else:
            self._open.pop(order_id, None)
            here.pop(order_id, None)

    # --- what became of it ----------------------------------------------------------------------------------------

    def heard(self, order: Order, now: Now) -> None:
        """An order of ours stands differently."""
        if order.id not in self.booked:
            self._adopt(order)
        booked = self.booked[order.id]
        if order.attempt and not booked.sent and booked.decided is not None:
            self._host.tracker.ordered(booked.strategy, booked.decided, now.moment)
            booked = replace(booked, sent=True)
            self._book(order.id, booked)
        left = order.quantity - order.filled
        if not booked.ended and booked.left != left:
            self._book(order.id, replace(booked, left=left))
        if self._refused and order.status is ACCEPTED and booked.target is not None:
            self._refused.drop(f"{booked.strategy}/{booked.symbol}")

    def rests_behind(self, order: Order) -> None:
        """A protective order stands differently."""
        if order.status.terminal:
            self.protecting.drop(order.id)
        elif order.id not in self.protecting:
            self.protecting[order.id] = Protecting(order.intent.strategy, order.symbol)

    def _adopt(self, order: Order) -> None:
        """An intent of ours that we do not remember: a power cut took the memory, not the order."""
        intent = order.intent
        terms = Terms(intent.type, intent.limit_price, intent.stop_price, intent.trail, intent.time_in_force)
        booked = Booked(
            intent.strategy, intent.symbol, intent.side, order.remaining, order.status.terminal, intent.exit,
            target=self._led_to(order), terms=terms, ticket=intent.ticket, sent=True,
            counter=intent.counter,
        )  # fmt: skip
        self._book(order.id, booked)
        wished = _key(intent.strategy, intent.symbol, intent.ticket)
        if wished in self.deferred and self.deferred[wished].counter <= intent.counter:
            self._settle(wished)
        if wished in self.missed and self.missed[wished].counter <= intent.counter:
            del self.missed[wished]

    def _led_to(self, order: Order) -> Target | None:
        """The target an adopted order was asked for by, as far as can be known; None for one of the strategy's own."""
        intent = order.intent
        if intent.ticket:
            return None
        held = self.positions.get(f"{intent.strategy}/{intent.symbol}", ZERO)
        on_its_way = _signed(booked for _, booked in self._live(intent.strategy, intent.symbol))
        quantity = held + on_its_way + order.remaining * intent.side.sign
        return Target(quantity, intent.stop, intent.take_profit, intent.trailing)

    def filled(self, fill: Fill, now: Now) -> Decimal:
        """A fill of one of our strategies; its position (shares) after it."""
        key = f"{fill.strategy}/{fill.symbol}"
        position = self.positions.get(key, ZERO) + fill.signed
        self.positions[key] = position
        booked = self.booked.get(fill.order_id)
        price, decided = (booked.price, booked.decided) if booked is not None else (None, None)
        self._host.tracker.fill(fill, now.moment, price, decided)
        if booked is not None and not booked.ended:
            self._book(fill.order_id, replace(booked, left=booked.left - fill.quantity))
        return position

    def happened(self, activity: Activity, part: Part) -> None:
        """What an activity has left a strategy of a symbol, or what the symbol is called now."""
        key = f"{part.strategy}/{activity.symbol}"
        if activity.kind in (ActivityKind.SPLIT, ActivityKind.DELISTING):
            self.positions[key] = part.quantity
        elif activity.kind is ActivityKind.SYMBOL_CHANGE and activity.becomes not in ("", activity.symbol):
            new = f"{part.strategy}/{activity.becomes}"
            self.positions[new] = self.positions.get(new, ZERO) + part.quantity
            self.positions[key] = ZERO

    def ended(self, order_id: str, how: OrderStatus) -> None:
        """Nothing more is expected of an intent."""
        booked = self.booked[order_id]
        if not booked.ended:
            self._book(order_id, replace(booked, ended=True, left=ZERO))
            if len(self.booked) > BOOKED_MAX:
                self._forget(but=order_id)
        if how in REFUSING and booked.target is not None and not booked.canceled:
            self._refuse(f"{booked.strategy}/{booked.symbol}", booked.target, booked.terms)

    def go_on(self, order_id: str, now: Now) -> None:
        """What waited for the end of an intent may go on; in lockstep, at its stage."""
        booked = self.booked.get(order_id) if self.deferred else None
        deferred = self.deferred.get(f"{booked.strategy}/{booked.symbol}") if booked is not None else None
        if deferred is not None and now.boot != DATA_BOOT and not self._host.catching_up:
            self._net_if_free(deferred, now)

    def go_on_all(self, now: Now) -> None:
        """Whatever no longer waits may go on: after a start, and at a lockstep stage."""
        for signal in in_order(self.deferred.values()):
            self._net_if_free(signal, now)

    def _net_if_free(self, deferred: Signal, now: Now) -> None:
        """Net a deferred target once all it waits for has ended; what was asked for since is not what it waits for."""
        last = self._awaited.get(f"{deferred.strategy}/{deferred.symbol}", deferred.counter)
        if not any(one.counter <= last for _, one in self._live(deferred.strategy, deferred.symbol)):
            self.net(deferred, now)

    def _forget(self, but: str) -> None:
        """Drop the older half of what has ended, but not the one whose end is being told: a target may wait for it."""
        ended = sorted((key for key, booked in self.booked.items() if booked.ended and key != but), key=_age)
        for order_id in ended[: BOOKED_MAX // 2]:
            del self.booked[order_id]

    # --- what was refused -----------------------------------------------------------------------------------------

    def _refuse(self, key: str, target: Target, terms: Terms) -> None:
        held = self.positions.get(key, ZERO)
        before = self._refused.get(key)
        if before is None or not _same(before, target, terms, held):
            self._refused[key] = Refused(target, terms, held)

    def _was_refused(self, key: str, signal: Signal, held: Decimal) -> bool:
        """Whether to leave a repeated wish alone; anything that changes makes it a new one."""
        refused = self._refused.get(key)
        if refused is None:
            return False
        if not _same(refused, target_of(signal), signal.terms, held):
            del self._refused[key]
            return False
        if refused.repeats < refused.patience:
            self._refused[key] = replace(refused, repeats=refused.repeats + 1)
            return True
        self._refused[key] = replace(refused, patience=min(2 * refused.patience, PATIENCE_MAX), repeats=0)
        return False

    def forgive(self) -> None:
        """What the box allows has changed: what was refused may be asked for at once."""
        for key in list(self._refused):
            del self._refused[key]


def in_order(signals: Iterable[Signal]) -> list[Signal]:
    """Signals by strategy and number: rows that were loaded come in the order of their keys."""
    return sorted(signals, key=lambda signal: (signal.strategy, signal.counter))


def target_of(signal: Signal) -> Target:
    """What a signal without a side wishes."""
    return Target(signal.quantity, signal.stop, signal.take_profit, signal.trailing)


def missed_key(signal: Signal) -> str:
    """Under which key a signal waits: targets replace each other, orders of a strategy's own do not."""
    return _key(signal.strategy, signal.symbol, signal.ticket)


def _key(strategy: str, symbol: str, ticket: str) -> str:
    return f"{strategy}/{symbol}/{ticket}" if ticket else f"{strategy}/{symbol}"


def _signed(bookings: Iterator[Booked]) -> Decimal:
    return sum((booked.left * booked.side.sign for booked in bookings), ZERO)


def _in_the_way(resting: dict[str, Booked], signal: Signal, expected: Decimal) -> bool:
    """Whether orders that rest must go for a target: unless they lead there, or nothing is missing but their price."""
    targets = [booked for booked in resting.values() if booked.target is not None]
    if not targets:
        return expected != signal.quantity
    leads = expected + _signed(iter(targets)) == signal.quantity
    return not (leads and all(booked.terms == signal.terms and not booked.canceled for booked in targets))


def _same(refused: Refused, target: Target, terms: Terms, held: Decimal) -> bool:
    return (refused.target, refused.terms, refused.held) == (target, terms, held)


def _age(order_id: str) -> tuple[int, int]:
    """Epoch and number of an id of ours, so that older orders come first."""
    _, epoch, seq = order_id.rsplit("-", 2)
    return int(epoch), int(seq)
