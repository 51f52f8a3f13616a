"""The world's own strategy: trades often, remembers what it saw, and is decided by nothing but its data and memory."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from appliance.core.wishes import CancelWish, Silent, Wish, Wishes
from appliance.domain.market import Bar
from appliance.domain.trading import OrderType, Side, Terms, TimeInForce, Trail

TARGETS = (100, 0, -60, 40, 0, 80, -100, 0)
NEAR, FAR = 0.001, 0.002
"""How far prices lie from the market, as fractions of it: near enough that half of them are met."""
ENOUGH = (85, 52, 57, 85)
"""After so many bars it wishes nothing more, by the seed: in some worlds what it last did is what must have healed."""
TRAIL = Trail(Decimal("0.15"), percent=True)


class WorldTrader(Silent):
    """Wishes something every other bar: another position, protected in one of many ways, an order of its own, or that
    what rests be cancelled."""

    def __init__(self, name: str, symbol: str, salt: int, enough: int) -> None:
        super().__init__(name, (symbol,))
        self._salt = salt
        self._enough = enough
        self._bars = 0

    def bar(self, bar: Bar, now: int) -> Wishes:
        """One of the ways to wish, chosen by what it has seen."""
        self._bars += 1
        if (self._bars + self._salt) % 2 or self._bars > self._enough:
            return ()
        seen = self._bars * 7 + self._salt + int(bar.close * 100)
        return WAYS[(seen // len(TARGETS)) % len(WAYS)](self, bar, TARGETS[seen % len(TARGETS)])

    def _stopped(self, bar: Bar, target: int) -> Wishes:
        """A target; every entry but each third has a protective stop close by."""
        stop = _price(bar.close, -FAR, target) if target and self._bars % 3 else None
        return (self._target(bar, target, stop=stop),)

    def _bracketed(self, bar: Bar, target: int) -> Wishes:
        stop, profit = _price(bar.close, -FAR, target), _price(bar.close, FAR, target)
        return (self._target(bar, target, stop=stop, take_profit=profit),)

    def _trailed(self, bar: Bar, target: int) -> Wishes:
        profit = _price(bar.close, FAR, target) if self._bars % 3 else None
        return (self._target(bar, target, trailing=TRAIL, take_profit=profit),)

    def _limited(self, bar: Bar, target: int) -> Wishes:
        """A target at a price below the market (above it for a sale), for good."""
        terms = Terms(OrderType.LIMIT, _price(bar.close, -NEAR, target), time_in_force=TimeInForce.GTC)
        stop, profit = _price(bar.close, -2 * FAR, target), _price(bar.close, FAR, target)
        return (self._target(bar, target, stop=stop, take_profit=profit, terms=terms),)

    def _ordered(self, bar: Bar, target: int) -> Wishes:
        """An order of its own: a stop ahead of the market, with a bracket around it."""
        size = target or 20
        terms = Terms(OrderType.STOP, stop_price=_price(bar.close, NEAR, size), time_in_force=TimeInForce.GTC)
        side = Side.BUY if size > 0 else Side.SELL
        stop, profit = _price(bar.close, -FAR, size), _price(bar.close, 2 * FAR, size)
        wish = Wish(
            bar.symbol, Decimal(abs(size)), f"bar {self._bars}", stop, profit, None, side, terms, f"o{self._bars}"
        )
        return (wish,)

    def _left(self, bar: Bar, target: int) -> Wishes:
        """An exit that rests: where nothing is held, another way in."""
        terms = Terms(OrderType.TRAILING_STOP, trail=TRAIL, time_in_force=TimeInForce.GTC)
        side = Side.SELL if target >= 0 else Side.BUY
        return (Wish(bar.symbol, Decimal(40), f"bar {self._bars}", side=side, terms=terms, ticket=f"o{self._bars}"),)

    def _canceled(self, bar: Bar, target: int) -> Wishes:
        return (CancelWish(symbol=bar.symbol, reason=f"bar {self._bars}"), *self._stopped(bar, target))

    def _target(self, bar: Bar, target: int, **how: Any) -> Wish:
        return Wish(bar.symbol, Decimal(target), f"bar {self._bars}", **how)

    def snapshot(self) -> dict[str, Any]:
        return {"bars": self._bars}

    def restore(self, data: dict[str, Any]) -> None:
        self._bars = data["bars"]


WAYS: tuple[Callable[[WorldTrader, Bar, int], Wishes], ...] = (
    WorldTrader._stopped,
    WorldTrader._bracketed,
    WorldTrader._trailed,
    WorldTrader._limited,
    WorldTrader._ordered,
    WorldTrader._bracketed,
    WorldTrader._left,
    WorldTrader._canceled,
    WorldTrader._stopped,
)
"""Every way to wish; brackets and plain stops twice, for most faults meet those."""


def _price(close: float, distance: float, target: int) -> Decimal:
    """A price (USD) so far ahead of the market for who holds ``target`` shares; negative distances lie behind."""
    return Decimal(repr(round(close * (1 + (distance if target >= 0 else -distance)), 2)))
