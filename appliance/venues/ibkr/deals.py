"""Executions: what they are called, what they cost, and what corrects them. Pure; times ns UTC.

An execution's id ends with a group, 01; a correction has the same id with a higher one. The key of a fill is the id
without its group, and for a higher group that with ``#`` and the group: it corrects the one before it that is known.
A commission is told after the execution: the fill waits for it a little, and is told without it when it does not come;
what comes later is an activity (FEE) of its own, so that cash is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.messages import VenueActivity, VenueFill
from appliance.domain.trading import ZERO, Activity, ActivityKind
from appliance.venues.ibkr.tickets import SIDES
from appliance.venues.ibkr.told import Cost, Deal

REMEMBERED = 3 * 86_400_000_000_000
"""Executions are kept for so long (ns): the gateway itself tells only those of its day."""

_DIGITS = 9
TIDIED_EVERY = 3_600_000_000_000


class Group(NamedTuple):
    """An execution's id in two: what stays when it is corrected, and how often it was."""

    base: str
    number: int


def group(exec_id: str) -> Group:
    """``0000e0d5.67fe667b.01.01`` is the first of ``0000e0d5.67fe667b.01``."""
    base, _, last = exec_id.rpartition(".")
    numbered = base and last.isascii() and last.isdigit() and len(last) <= _DIGITS
    return Group(base, int(last)) if numbered else Group(exec_id, 1)


def fill_key(exec_id: str) -> str:
    """What a fill is known by."""
    base, number = group(exec_id)
    return base if number <= 1 else f"{base}#{number}"


class Deals:
    """Fills wait for their commission until ``overdue``."""

    def __init__(self) -> None:
        self._deals: dict[str, Deal] = {}
        self._groups: dict[str, list[int]] = {}
        self._costs: dict[str, Decimal] = {}
        self._told: dict[str, Decimal] = {}
        self._waiting: dict[str, None] = {}
        self._heard: dict[str, None] = {}
        self._fees: dict[str, VenueActivity] = {}
        self._tidied = 0

    def take(self, deal: Deal, now: int) -> list[VenueFill]:
        """An execution is told; a fill, unless it waits for its commission, was told before, or is part of an answer.
        Raises ValueError for one that makes no sense."""
        if deal.side not in SIDES:
            raise ValueError(f"side {deal.side!r} of execution {deal.exec_id}")
        if deal.exec_id not in self._deals:
            self._forget(deal.time)
            self._deals[deal.exec_id] = deal
            base, number = group(deal.exec_id)
            self._groups[base] = sorted({*self._groups.get(base, []), number})
        if deal.request >= 0 or deal.exec_id in self._heard:
            return []
        self._heard[deal.exec_id] = None
        if not deal.shares or deal.exec_id in self._costs or deal.exec_id in self._told:
            return [self._fill(deal, now)]
        self._waiting[deal.exec_id] = None
        return []

    def cost(self, cost: Cost, now: int) -> list[VenueFill | VenueActivity]:
        """What an execution cost is told."""
        if cost.amount is None or cost.currency not in ("", "USD") or cost.exec_id in self._costs:
            return []
        self._costs[cost.exec_id] = cost.amount
        deal = self._deals.get(cost.exec_id)
        if deal is None:
            return []
        found: list[VenueFill | VenueActivity] = []
        if cost.exec_id in self._waiting:
            del self._waiting[cost.exec_id]
            found.append(self._fill(deal, now))
        late = cost.amount - self._told.get(cost.exec_id, cost.amount)
        return [*found, self._fee(deal, late, now)] if late else found

    def overdue(self, exec_id: str, now: int) -> list[VenueFill]:
        """A fill that has waited for long enough, unless its commission has come."""
        if exec_id not in self._waiting:
            return []
        del self._waiting[exec_id]
        return [self._fill(self._deals[exec_id], now)]

    def waits(self, ref: str) -> bool:
        """Whether a fill of an order waits for its commission."""
        return any(self._deals[one].ref == ref for one in self._waiting)

    def lacking(self, exec_ids: Iterable[str]) -> bool:
        """Whether the commission of one of these is not known, and it was not told without."""
        return any(one not in self._costs and one not in self._told for one in exec_ids)

    def fills(self, since: int, now: int, ref: str | None = None) -> tuple[VenueFill, ...]:
        """All that are known from ``since`` on (of one order), oldest first."""
        found = [one for one in self._deals.values() if one.time >= since and ref in (None, one.ref)]
        found.sort(key=lambda one: (one.time, group(one.exec_id)))
        return tuple(self._fill(one, now) for one in found)

    def fees(self, since: int) -> tuple[VenueActivity, ...]:
        """Commissions that came after their fill was told."""
        return tuple(one for one in self._fees.values() if one.activity.time >= since)

    def _fill(self, deal: Deal, now: int) -> VenueFill:
        base, number = group(deal.exec_id)
        before = [one for one in self._groups[base] if one < number]
        corrects = "" if number <= 1 else fill_key(f"{base}.{before[-1]}") if before else base
        cost = self._told.setdefault(deal.exec_id, self._cost_of(deal, before))
        return VenueFill(
            fill_key=fill_key(deal.exec_id), order_id=deal.ref, symbol=deal.symbol, side=SIDES[deal.side],
            quantity=deal.shares, price=deal.price, commission=cost, time=deal.time, at=now, corrects=corrects,
        )  # fmt: skip

    def _cost_of(self, deal: Deal, before: list[int]) -> Decimal:
        """A correction without a commission of its own costs what it cost before; what never happened costs nothing."""
        if not deal.shares:
            return ZERO
        if deal.exec_id in self._costs:
            return self._costs[deal.exec_id]
        if not before:
            return ZERO
        base = group(deal.exec_id).base
        older = [one for one in self._costs if group(one).base == base and group(one).number in before]
        return self._costs[max(older, key=lambda one: group(one).number)] if older else ZERO

    def _fee(self, deal: Deal, late: Decimal, now: int) -> VenueActivity:
        key = f"{fill_key(deal.exec_id)}:commission"
        text = f"commission of {deal.symbol}, told after its fill"
        fee = VenueActivity(Activity(key, ActivityKind.FEE, "", deal.time, cash=-late, text=text), now)
        self._fees[key] = fee
        return fee

    def _forget(self, now: int) -> None:
        if now - self._tidied < TIDIED_EVERY:
            return
        self._tidied = now
        old = [one for one, deal in self._deals.items() if deal.time < now - REMEMBERED]
        for one in old:
            base, number = group(one)
            self._groups[base].remove(number)
            for kept in (self._deals, self._costs, self._told, self._waiting, self._heard):
                kept.pop(one, None)  # type: ignore[attr-defined]
            self._fees.pop(f"{fill_key(one)}:commission", None)
