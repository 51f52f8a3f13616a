"""One episode: forty orders at random moments, one kind of fault among them, sometimes a kill; then the books.

What is believed is the stand-in's own log. The gateway's word is only compared with it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from msgspec import Struct

from appliance.domain.operations import Verb
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import ZERO, OrderType, Side, TimeInForce
from tests.ambiguity.box import DrillBox
from tests.ambiguity.venues import PRICES, Venue, accepted, executions

SETTLED_WITHIN = 45.0
LONG = {"429": 90.0}
"""Faults after which we leave the broker alone for longer (s): until its minute is over."""
LASTING = {"half-open": 14.0}
"""Faults that must last so long (s) for anybody to notice."""
UNRESOLVED = (OrderStatus.SENDING, OrderStatus.UNKNOWN, OrderStatus.WAITING)
NEAR, FAR = Decimal("1.02"), Decimal("0.80")
CENT = Decimal("0.01")


class Plan(Struct, frozen=True):
    """How an episode goes: ``orders`` within ``seconds``; ``kill`` is the chance of a kill -9 of the gateway."""

    orders: int = 40
    seconds: float = 2.5
    kill: float = 0.35


class Outcome(Struct):
    """What came of an episode; ``wrong`` says what must not be. Seconds: from the fault's end until the venue was ready
    again (``reconnect``, where it had been lost), and until the last doubt was over (``resolved``)."""

    sent: int = 0
    accepted: int = 0
    executions: int = 0
    doubts: int = 0
    kills: int = 0
    statuses: dict[str, int] = {}
    reconnect: float | None = None
    resolved: float | None = None
    wrong: list[str] = []


class Episode:
    """Drives one, on a box and a venue that may have been through others."""

    def __init__(self, box: DrillBox, venue: Venue, fault: str, plan: Plan, random: Random) -> None:
        self._box, self._venue, self._fault, self._plan, self._random = box, venue, fault, plan, random
        self._ids: list[str] = []
        self._leaving: dict[str, tuple[str, Decimal]] = {}
        self._outcome = Outcome(wrong=[], statuses={})

    def run(self) -> Outcome:
        """The episode to its end and the comparison after it."""
        box = self._box
        began, doubts, links = time.monotonic(), len(box.doubts), len(box.links)
        before = len(accepted(self._venue)), len(executions(self._venue))
        for at, act in sorted(self._script(), key=lambda one: one[0]):
            box.wait(max(0.0, began + at - time.monotonic()))
            act()
        self._venue.clear()
        reachable = time.monotonic()
        within = LONG.get(self._fault, SETTLED_WITHIN)
        if not box.until(self._settled, within):
            self._wrong(f"not settled within {within:g} s: {self._unsettled()}")
        self._tidy()
        self._measure(reachable, doubts, links)
        self._compare()
        found = self._outcome
        found.sent, found.statuses = len(self._ids), self._statuses()
        found.accepted = len(accepted(self._venue)) - before[0]
        found.executions = len(executions(self._venue)) - before[1]
        return found

    # --- what happens -----------------------------------------------------------------------------------------------

    def _script(self) -> list[tuple[float, Callable[[], None]]]:
        plan, random = self._plan, self._random
        script: list[tuple[float, Callable[[], None]]] = []
        for _ in range(plan.orders):
            script.append((random.uniform(0, plan.seconds), self._order))
        begins = random.uniform(0, 0.6 * plan.seconds)
        ends = begins + LASTING.get(self._fault, random.uniform(0.2, plan.seconds))
        script.append((begins, lambda: self._venue.begin(self._fault, random)))
        script.append((ends, self._venue.clear))
        if random.random() < plan.kill:
            script.append((random.uniform(0, plan.seconds + 1), self._kill))
        return script

    def _kill(self) -> None:
        self._outcome.kills += 1
        self._box.kill_gateway()

    def _order(self) -> None:
        """A purchase, the sale of some of what is held, or the end of an order that rests."""
        symbol = self._random.choice(list(PRICES))
        resting = [order_id for order_id in self._ids if self._rests(order_id)]
        held = self._box.positions().get(symbol, ZERO) - self._going(symbol)
        if resting and self._random.random() < 0.2:
            order_id = self._random.choice(resting)
            self._box.take_back(order_id, self._box.orders[order_id].symbol)
        if held >= 1 and self._random.random() < 0.4:
            quantity = Decimal(self._random.randint(1, int(held)))
            price = (PRICES[symbol] * (2 - NEAR)).quantize(CENT)  # a sale at market would be a wash trade at Alpaca
            order_id = self._box.intend(
                symbol=symbol, side=Side.SELL, quantity=quantity, type=OrderType.LIMIT, limit_price=price, exit=True
            )
            self._leaving[order_id] = (symbol, quantity)
        else:
            order_id = self._buy(symbol)
        self._ids.append(order_id)

    def _buy(self, symbol: str) -> str:
        quantity = Decimal(self._random.randint(1, 9))
        kind = self._random.choice(("market", "market", "marketable", "resting"))
        if kind == "market":
            return self._box.intend(symbol=symbol, side=Side.BUY, quantity=quantity)
        price = (PRICES[symbol] * (NEAR if kind == "marketable" else FAR)).quantize(CENT)
        tif = self._random.choice((TimeInForce.DAY, TimeInForce.GTC))
        return self._box.intend(
            symbol=symbol, side=Side.BUY, quantity=quantity, type=OrderType.LIMIT, limit_price=price, time_in_force=tif
        )

    def _going(self, symbol: str) -> Decimal:
        left = ZERO
        for order_id, (which, quantity) in self._leaving.items():
            order = self._box.orders.get(order_id)
            if which == symbol and (order is None or not order.status.terminal):
                left += quantity if order is None else order.remaining
        return left

    def _rests(self, order_id: str) -> bool:
        order = self._box.orders.get(order_id)
        return order is not None and order.status is OrderStatus.ACCEPTED and order.limit_price is not None

    # --- what came of it --------------------------------------------------------------------------------------------

    def _settled(self) -> bool:
        return self._box.ready() and not self._unsettled()

    def _unsettled(self) -> str:
        unanswered = [order_id for order_id in self._ids if order_id not in self._box.orders]
        open_ = [f"{one.id} {one.status.value}" for one in self._box.orders.values() if one.status in UNRESOLVED]
        lacking = len(executions(self._venue)) - len(self._box.fills)
        said = [f"{len(unanswered)} not answered"] if unanswered and not self._denied(unanswered) else []
        return "; ".join([*said, *open_[:5], *([f"{lacking} fills not told"] if lacking else [])])

    def _denied(self, ids: list[str]) -> bool:
        """Whether the guard has said no to all of them: the gateway never hears of those."""
        return all(order_id in self._box.denied for order_id in ids)

    def _tidy(self) -> None:
        """End what rests, and let halted symbols go on for the next episode."""
        box = self._box
        box.command(Verb.CANCEL_ALL, everything=True)
        if not box.until(lambda: all(one.status.terminal for one in box.orders.values()) and self._settled(), 30):
            live = [f"{one.id} {one.status.value}" for one in box.orders.values() if not one.status.terminal]
            self._wrong(f"cancelled and not ended within 30 s: {live[:5]}")
        if box.blocked:
            for symbol, why in box.blocked.items():
                self._wrong(f"{symbol} halted: {why}")
            box.command(Verb.RESUME, generation=box.generation)
            box.until(lambda: not box.blocked, 5)

    def _measure(self, reachable: float, doubts: int, links: int) -> None:
        box, found = self._box, self._outcome
        mine = box.doubts[doubts:]
        found.doubts = len(mine)
        ends = [doubt.ended - max(reachable, doubt.began) for doubt in mine if doubt.ended]
        found.resolved = max([0.0, *ends]) if mine else None
        states = box.links[links:]
        downs = [at for at, state in states if state != "ready"]
        ups = [at for at, state in states if downs and state == "ready" and at > downs[-1]]
        if ups:
            found.reconnect = max(0.0, ups[0] - max(reachable, downs[0]))

    def _compare(self) -> None:
        """The stand-in's log against the gateway's word, once the last of what it tells together has come."""
        box, venue = self._box, self._venue
        box.until(lambda: box.account is not None and box.account.cash == venue.books.cash, 2)
        for order_id, n in Counter(accepted(venue)).items():
            if n > 1:
                self._wrong(f"{order_id} accepted {n} times")
        theirs = Counter(executions(venue))
        ours = Counter((f.order_id, f.side.sign * f.quantity, f.price) for f in box.fills.values())
        if theirs != ours:
            lacking, over = list((theirs - ours).elements()), list((ours - theirs).elements())
            self._wrong(f"executions not told: {lacking[:4]}; told, and none: {over[:4]}")
        if box.told_twice:
            self._wrong(f"fills told twice: {box.told_twice[:4]}")
        if venue.books.positions != box.positions():
            self._wrong(f"positions: the venue has {venue.books.positions}, we {box.positions()}")
        if box.account is None or venue.books.cash != box.account.cash:
            self._wrong(f"cash: the venue has {venue.books.cash}, we {box.account}")

    def _statuses(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for order_id in self._ids:
            order = self._box.orders.get(order_id)
            found[order.status.value if order is not None else "denied by the guard"] += 1
        return dict(sorted(found.items()))

    def _wrong(self, text: str) -> None:
        self._outcome.wrong.append(text)


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """A row of the table."""
    reconnects = sorted(one.reconnect for one in outcomes if one.reconnect is not None)
    resolved = sorted(one.resolved for one in outcomes if one.resolved is not None)
    return {
        "episodes": len(outcomes),
        "orders": sum(one.sent for one in outcomes),
        "accepted": sum(one.accepted for one in outcomes),
        "executions": sum(one.executions for one in outcomes),
        "unknown": sum(one.doubts for one in outcomes),
        "kills": sum(one.kills for one in outcomes),
        "reconnect_s": _spread(reconnects),
        "resolved_s": _spread(resolved),
        "wrong": [text for one in outcomes for text in one.wrong],
    }


def _spread(ordered: list[float]) -> dict[str, float] | None:
    if not ordered:
        return None
    at = lambda share: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)  # noqa: E731
    return {"n": len(ordered), "p50": at(0.5), "p99": at(0.99), "max": round(ordered[-1], 2)}
