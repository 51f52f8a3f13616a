"""A run's marks as arrays: growth with cash flows left out, session closes and daily returns.

Convention: growth is 1 where measuring began. A day is a New York date, or a UTC date where the market never closes; a
mark at midnight belongs to the day before. A daily return is growth at the last mark of a day over that of the day
before, less 1; the first day counts from the opening equity.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from appliance.core.books.entries import Entry, Mark
from appliance.domain.market import DAY, HOUR, SECOND
from appliance.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flow = tuple[int, float]
"""Cash added (negative: taken) at a time (ns UTC): USD, neither profit nor loss."""
Closes = tuple[Sequence[int], Sequence[float]]
"""Times (ns UTC, rising) and prices (USD)."""
EPOCH = date(1970, 1, 1).toordinal()
NEW_YORK = ZoneInfo("America/New_York")
UTC_DAYS, NEW_YORK_DAYS = "utc", "new_york"
RUIN = 1e-50
"""Growth not above this is no growth any more: no return follows from it."""


class Series(Struct, frozen=True):
    """``opened`` (ns UTC) is when measuring began with ``opening`` USD. Of each mark: ``times``, ``equity`` (USD),
    ``growth``, and the ``lowest`` growth since the mark before it. Of each day: ``days`` (since 1970), ``closed`` (ns
    UTC), ``closes`` (growth). ``held`` is the part of the time (fractions) with something held, ``peaks`` the largest
    leverage after a fill since the mark before, where a mark knows them; else as it was at the mark, and 0. ``returns``
    are the daily ones (fractions), until equity was not above 0 at a close: then the account is ``ruined``."""

    opened: int
    opening: float
    times: Ints
    equity: Floats
    growth: Floats
    lowest: Floats
    long: Floats
    short: Floats
    held: Floats
    peaks: Floats
    days: Ints
    closed: Ints
    closes: Floats
    returns: Floats
    ruined: bool


def series(
    marks: Sequence[Mark],
    entries: Sequence[Entry] = (),
    flows: Sequence[Flow] = (),
    opening: float | None = None,
    calendar: str = NEW_YORK_DAYS,
    opened: int | None = None,
) -> Series | None:
    """The arrays of a run; None without a mark that is a number.

    ``opening`` (USD) is by default what the first entry found, else the first mark; ``opened`` (ns UTC) by default the
    earlier of both. Raises DataError when a mark is not
    later than the one before it.
    """
    kept = [mark for mark in marks if np.isfinite(mark.equity)]
    if not kept:
        return None
    times = np.array([mark.time for mark in kept], dtype=np.int64)
    _check_order(times)
    start = opening if opening is not None else _opening(kept, entries)
    begun = min([int(times[0]), *(entry.time for entry in entries[:1]), *([] if opened is None else [opened])])
    equity = np.array([mark.equity for mark in kept])
    growth, lowest = _growth(times, equity, np.array([mark.lowest for mark in kept]), start, flows)
    days = day_numbers(times, calendar)
    last = np.append(days[1:] != days[:-1], True)
    closes = growth[last]
    returns, ruined = _returns(closes)
    return Series(
        begun, start, times, equity, growth, lowest, np.array([mark.long for mark in kept]),
        np.array([mark.short for mark in kept]), np.array([_held(mark) for mark in kept]),
        np.array([mark.leverage or 0.0 for mark in kept]), days[last], times[last], closes, returns, ruined,
    )  # fmt: skip


def _held(mark: Mark) -> float:
    return mark.held if mark.held is not None else float(mark.long - mark.short > 0)


def _check_order(times: Ints) -> None:
    early = np.flatnonzero(times[1:] <= times[:-1])
    if len(early):
        at = int(early[0]) + 1
        raise DataError(
            f"mark {at}: its time {times[at]} is not later than that of the mark before it, {times[at - 1]}",
            hint="give the marks of one run, in the order they were made",
        )


def _opening(marks: Sequence[Mark], entries: Sequence[Entry]) -> float:
    """What there was before the first entry: nothing can have been held then."""
    return float(entries[0].cash - entries[0].amount) if entries else marks[0].equity


def _growth(times: Ints, equity: Floats, lowest: Floats, start: float, flows: Sequence[Flow]) -> tuple[Floats, Floats]:
    """Growth at each mark, and the lowest since the one before it: cash that came before a mark is in its base."""
    factor, base = np.ones(len(times)), np.full(len(times), start)
    came: dict[int, float] = {}
    for time, amount in sorted(flows):
        at = int(np.searchsorted(times, time))
        came[at] = came.get(at, 0.0) + amount
    for at, amount in came.items():
        before = float(equity[at - 1]) if at else start
        if at and base[at - 1] > 0:
            factor[at:] = factor[at - 1] * before / base[at - 1]
        base[at:] = before + amount
    base[base <= 0] = np.nan
    growth: Floats = factor * equity / base
    return growth, np.fmin(factor * lowest / base, growth)


def _returns(closes: Floats) -> tuple[Floats, bool]:
    gone = np.flatnonzero(~(closes > RUIN))
    counted = closes[: gone[0] + 1] if len(gone) else closes
    before = np.concatenate(([1.0], counted[:-1]))
    returns: Floats = counted / before - 1
    ruined = bool(len(gone)) and int(gone[0]) < len(closes) - 1
    return returns[np.isfinite(returns)], ruined or not np.all(np.isfinite(returns))


def day_numbers(times: Ints, calendar: str) -> Ints:
    """The day (since 1970-01-01) each time (ns UTC) belongs to, by the ``calendar`` ``new_york`` or ``utc``."""
    known = times - 1
    if calendar == NEW_YORK_DAYS:
        hours, place = np.unique(known // HOUR, return_inverse=True)
        offsets = np.array([_new_york_offset(int(hour)) for hour in hours], dtype=np.int64)
        known = known + offsets[place]
    days: Ints = known // DAY
    return days


@lru_cache(maxsize=1 << 18)
def _new_york_offset(hour: int) -> int:
    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(NEW_YORK).utcoffset()
    return int((offset or timedelta()) / timedelta(seconds=1)) * SECOND


def months_of(days: Ints) -> list[tuple[int, int]]:
    """Year and month of each day."""
    return [_month(day) for day in days.tolist()]


def weeks_of(days: Ints) -> list[tuple[int, int]]:
    """ISO year and week of each day."""
    return [_week(day) for day in days.tolist()]


@lru_cache(maxsize=1 << 16)
def _month(day: int) -> tuple[int, int]:
    one = date.fromordinal(day + EPOCH)
    return one.year, one.month


@lru_cache(maxsize=1 << 16)
def _week(day: int) -> tuple[int, int]:
    week = date.fromordinal(day + EPOCH).isocalendar()
    return week.year, week.week


def compounded(returns: Floats, groups: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], float]:
    """The return of each group of days (``groups`` names that of each return), in their order; fractions."""
    found: dict[tuple[int, ...], float] = {}
    for value, group in zip(returns.tolist(), groups, strict=True):
        found[group] = found.get(group, 1.0) * (1 + value)
    return {group: value - 1 for group, value in found.items()}


def closes_at(times: Ints, closes: Closes) -> Floats:
    """The last price known at each time, NaN before the first. Prices that are not above 0 are unknown."""
    known, prices = np.asarray(closes[0], dtype=np.int64), np.asarray(closes[1], dtype=np.float64)
    good = np.isfinite(prices) & (prices > 0)
    known, prices = known[good], prices[good]
    place = np.searchsorted(known, times, side="right") - 1
    found = prices[np.maximum(place, 0)] if len(prices) else np.full(len(times), np.nan)
    values: Floats = np.where(place >= 0, found, np.nan)
    return values


def ratio(value: float | None, by: float | None) -> float | None:
    """The quotient, None where either is None or it is no finite number."""
    if value is None or by is None or by == 0:
        return None
    found = value / by
    return found if np.isfinite(found) else None
