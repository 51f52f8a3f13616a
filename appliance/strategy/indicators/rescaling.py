"""After a split an indicator goes on as if all bars had been quoted in new shares, whatever it keeps.

What an indicator keeps is made of prices, volumes, their products and ratios: double all prices and halve all volumes,
and each of its numbers becomes itself times a power of two. A trial with two new indicators of its kind finds which
power each number follows. A number that follows none (a logarithm, a sum of prices of two symbols) means that its past
is of no use: such an indicator warms up anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import log2
from typing import Any

from appliance.domain.market import MINUTE, Bar, Split
from appliance.strategy.indicators.base import Indicator

TRIAL = 40
"""Bars of the trial beyond the warm-up."""
NEAR = 1e-6
"""How close to a power of two a number must come: whole numbers of small units are rounded."""
APART = ("lines", "closes")
"""Lists in which each place is something else; all others are windows of the like."""
Path = tuple[str, ...]


def rescale(indicator: Indicator, split: Split) -> None:
    """Let an indicator go on in new shares of ``split.symbol``, or begin anew where that cannot be."""
    powers = _powers(indicator, split.symbol) if indicator.SCALES else None
    fresh = _fresh(indicator)
    if powers is None:
        indicator.restore(fresh.snapshot())
        return
    data = indicator.snapshot()
    known = all(place in powers for place, number in _numbers(data) if number)
    indicator.restore(_scaled(data, powers, Fraction(split.old, split.new), ()) if known else fresh.snapshot())


def _fresh(indicator: Indicator) -> Indicator:
    return type(indicator)(*indicator.symbols, *indicator.parameters, timeframe=indicator.timeframe)


def _powers(indicator: Indicator, symbol: str) -> dict[Path, int] | None:
    """By place in its snapshot, the power of the price's factor that a number follows; None when one follows none."""
    once, twice = _fresh(indicator), _fresh(indicator)
    found: dict[Path, int] = {}
    for number in range(indicator.warmup + TRIAL):
        for of in indicator.symbols:
            bar = _bar(of, number)
            once.update(bar)
            twice.update(_doubled(bar) if of == symbol else bar)
        if number < indicator.warmup + TRIAL - 2:
            continue
        for (place, before), (_, after) in zip(_numbers(once.snapshot()), _numbers(twice.snapshot()), strict=True):
            power = _power(before, after)
            if power is None or (before and found.setdefault(place, power) != power):
                return None
    return found


def _bar(symbol: str, number: int) -> Bar:
    """Prices in quarters, so that halves are exact, which go up and down, so that no number is 0 by chance; each symbol
    has its own."""
    wave = (number * 7919 + sum(map(ord, symbol)) * 104729) % 1000
    close = 100.0 + wave % 97 / 4 + number % 11
    span = 1.0 + wave % 7 / 4
    opened = close + (span if wave % 2 else -span) / 4
    high, low, volume = close + span, close - span / 2, 1000.0 + 2 * wave
    return Bar(symbol, "1m", number * MINUTE, (number + 1) * MINUTE, opened, high, low, close, volume)


def _doubled(bar: Bar) -> Bar:
    return Bar(
        bar.symbol, bar.timeframe, bar.start, bar.end, bar.open * 2, bar.high * 2, bar.low * 2, bar.close * 2,
        bar.volume / 2,
    )  # fmt: skip


def _power(before: float, after: float) -> int | None:
    if before == after:
        return 0
    if not before or not after:
        return None
    if after / before <= 0:
        return None
    power = round(log2(after / before))
    return power if abs(after / before / 2.0**power - 1) < NEAR else None


def _numbers(data: Any, path: Path = ()) -> Iterator[tuple[Path, float]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _numbers(value, _step(path, key))
    elif isinstance(data, list | tuple):
        for at, value in enumerate(data):
            yield from _numbers(value, _inside(path, data, at))
    elif isinstance(data, int | float) and not isinstance(data, bool):
        yield path, float(data)


def _step(path: Path, key: str) -> Path:
    """Chunks of a long window are alike, and so are its head and tail."""
    return path if key.isdigit() or key in ("chunks", "head", "tail") else (*path, key)


def _inside(path: Path, data: Any, at: int) -> Path:
    """Places of a pair or triple differ, and so do lines; those of a window do not."""
    apart = path and (path[-1] in APART or (path[-1] == "*" and len(data) <= 3))
    return (*path, str(at)) if apart else (*path, "*")


def _scaled(data: Any, powers: dict[Path, int], price: Fraction, path: Path) -> Any:
    if isinstance(data, dict):
        return {key: _scaled(value, powers, price, _step(path, key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_scaled(value, powers, price, _inside(path, data, at)) for at, value in enumerate(data)]
    power = powers.get(path, 0)
    if not power or data is None:  # no number yet
        return data
    return round(data * price**power) if isinstance(data, int) else data * float(price**power)
