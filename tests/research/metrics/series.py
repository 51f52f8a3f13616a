"""Series, marks, trades and fills to measure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from appliance.core.books.entries import Entry, EntryKind, Mark, Trade
from appliance.domain.trading import Side

NEW_YORK = ZoneInfo("America/New_York")
HOUR = 3_600 * 1_000_000_000
DAY = 24 * HOUR
CASH = 100_000.0


def dates(count: int, first: date = date(2019, 1, 2)) -> list[date]:
    """``count`` weekdays from ``first`` on."""
    found, day = [], first
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day += timedelta(days=1)
    return found


def close_of(day: date) -> int:
    """16:00 New York of a day, ns UTC."""
    return int(datetime(day.year, day.month, day.day, 16, tzinfo=NEW_YORK).timestamp()) * 1_000_000_000


def equity(returns: Sequence[float] | NDArray[np.float64], cash: float = CASH) -> list[float]:
    """What ``cash`` has become after each of the daily returns."""
    return (cash * np.cumprod(1 + np.asarray(returns, dtype=np.float64))).tolist()


def mark(time: int, worth: float, lowest: float | None = None, highest: float | None = None, **more: float) -> Mark:
    """A mark whose extremes are its equity unless they are given."""
    low = worth if lowest is None else lowest
    high = worth if highest is None else highest
    return Mark(time, worth, low, high, more.get("cash", worth), more.get("long", 0.0), more.get("short", 0.0))


def marks(returns: Sequence[float] | NDArray[np.float64], cash: float = CASH) -> list[Mark]:
    """Marks at the closes of weekdays, the growth of ``cash`` by daily returns."""
    worths = equity(returns, cash)
    return [mark(close_of(day), worth) for day, worth in zip(dates(len(worths)), worths, strict=True)]


def trade(profit: float, at: int = 0, held: int = HOUR, **more: object) -> Trade:
    """One of 100 shares at 50.00 that ended with ``profit`` after 1 USD of fees."""
    side = more.get("side", Side.BUY)
    assert isinstance(side, Side)
    gained = Decimal(str(profit)) + 1
    leave = Decimal(50) + side.sign * gained / 100
    best, worst = (None if more.get(name) is None else Decimal(str(more[name])) for name in ("best", "worst"))
    return Trade(
        str(more.get("symbol", "SPY")), str(more.get("strategy", "sma")), side, Decimal(100), at, Decimal(50),
        at + held, leave, Decimal(1), Decimal(str(profit)), best, worst,
    )  # fmt: skip


def fill(time: int, quantity: float, price: float, fee: float = 1.0, **more: object) -> Entry:
    """A fill of ``quantity`` shares (signed)."""
    shares, paid = Decimal(str(quantity)), Decimal(str(price))
    amount = -shares * paid - Decimal(str(fee))
    decided = more.get("decided")
    return Entry(
        time, EntryKind.FILL, str(more.get("symbol", "SPY")), shares, paid, Decimal(str(fee)), amount,
        Decimal(str(more.get("cash", CASH))) + amount, str(more.get("order_id", "")), str(more.get("strategy", "sma")),
        None if decided is None else Decimal(str(decided)),
    )  # fmt: skip


def random_returns(seed: int, count: int = 504, drift: float = 0.0005, spread: float = 0.01) -> NDArray[np.float64]:
    """Daily returns with fat tails."""
    rng = np.random.default_rng(seed)
    return drift + spread * rng.standard_t(4, count) / np.sqrt(2)


def crash() -> NDArray[np.float64]:
    """A calm rise, a fall by 40 % in ten days, and half of the way back."""
    rng = np.random.default_rng(11)
    calm, back = 0.001 + 0.004 * rng.standard_normal(200), 0.002 + 0.01 * rng.standard_normal(120)
    return np.concatenate([calm, np.full(10, 0.6**0.1 - 1), back])


def with_flat_parts() -> NDArray[np.float64]:
    """Nothing held for a third of the days."""
    found = random_returns(3, 300)
    found[:60] = 0.0
    found[150:190] = 0.0
    return found


SERIES: dict[str, NDArray[np.float64]] = {
    "seed 1": random_returns(1),
    "seed 2": random_returns(2, 756, -0.0004, 0.02),
    "seed 7": random_returns(7, 60),
    "crash": crash(),
    "flat parts": with_flat_parts(),
    "all losses": -np.abs(random_returns(5, 40)) - 1e-4,
    "all gains": np.abs(random_returns(6, 40)) + 1e-4,
    "two days": np.array([0.01, -0.02]),
    "five days": np.array([0.01, -0.02, 0.005, 0.0, 0.013]),
}
