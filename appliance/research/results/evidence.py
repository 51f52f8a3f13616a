"""What a run left to judge it by, and what a judge says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.data.options import new_york_date
from appliance.domain.trading import ZERO

Level = Literal["serious", "warning", "note"]
LEVELS: tuple[Level, ...] = ("serious", "warning", "note")


class Finding(Struct, frozen=True):
    """``title`` says what, ``reason`` with which figures, ``advice`` what to do next."""

    code: str
    level: Level
    title: str
    reason: str
    advice: str


class Setting(Struct, frozen=True):
    """A parameter of the run; ``low`` and ``high`` are what its declaration allows, None where it does not say."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


class Leap(Struct, frozen=True):
    """Two prices (USD) of a symbol, one after the other, of which the second was known at ``time`` (ns UTC)."""

    symbol: str
    time: int
    before: float
    after: float


class Evidence(Struct, frozen=True):
    """What a run left to judge it by. Money USD, times ns.

    ``shares`` are fills' parts of their bars' volume (None: a bar without any), ``waits`` how long market orders waited
    for a price, ``held`` the positions at the end and ``unrealised`` their profit. ``missing`` of the ``bars`` that
    should be there are not, ``bad`` rows were left out. ``benchmark`` is its return and ``skill`` the probability that
    the Sharpe ratio is above zero, fractions. ``checked`` is what the look-ahead check said, "" when it was not run.
    ``kinds`` of data there were, in words; ``leaps`` are prices far from the one before, the largest first.
    """

    cash: float
    trades: Sequence[Trade] = ()
    entries: Sequence[Entry] = ()
    marks: Sequence[Mark] = ()
    shares: Sequence[float | None] = ()
    waits: Sequence[int] = ()
    settings: Sequence[Setting] = ()
    held: Mapping[str, Decimal] = {}
    unrealised: float = 0.0
    bars: int = 0
    missing: int = 0
    bad: int = 0
    intents: int = 0
    denied: int = 0
    benchmark: float | None = None
    skill: float | None = None
    checked: str = ""
    bar_length: int = 0
    kinds: Sequence[str] = ()
    leaps: Sequence[Leap] = ()

    @property
    def profit(self) -> float:
        """What the account is worth now beyond what it began with."""
        return self.marks[-1].equity - self.cash if self.marks else 0.0

    @property
    def fees(self) -> float:
        """Commissions of all fills."""
        return float(sum((one.fee for one in self.entries), ZERO))

    @property
    def costs(self) -> float:
        """Commissions, and what was paid for borrowed shares and money."""
        paid = sum((one.amount for one in self.entries if one.kind in (EntryKind.BORROW, EntryKind.INTEREST)), ZERO)
        return self.fees - float(min(paid, ZERO))

    @property
    def shares_traded(self) -> float:
        """Bought and sold."""
        return float(sum((abs(one.quantity) for one in self.entries if one.kind is EntryKind.FILL), ZERO))

    @property
    def fills(self) -> int:
        """How many there were."""
        return sum(one.kind is EntryKind.FILL for one in self.entries)


def totals(parts: Iterable[tuple[str, float]]) -> dict[str, float]:
    """The sum of each name's parts, names in order of their first."""
    found: dict[str, float] = {}
    for name, part in parts:
        found[name] = found.get(name, 0.0) + part
    return found


def monthly_profit(seen: Evidence) -> dict[str, float]:
    """USD made in each month (``2013-10``, New York) between the first and the last mark."""
    changes = zip((seen.cash, *(one.equity for one in seen.marks)), seen.marks, strict=False)
    return totals((new_york_date(mark.time)[:7], mark.equity - before) for before, mark in changes)
