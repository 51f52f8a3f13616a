"""After a split an indicator goes on as if all bars had been quoted in new shares, whatever it keeps.

What an indicator keeps is made of prices, volumes, their products and ratios: halve all prices and double all volumes,
and each of its numbers becomes itself times a power of two. A trial with two new indicators of its kind finds which
power each number follows, exactly, since powers of two cost no bits. A number that follows none (a logarithm, a sum of
prices of two symbols) means that its past is of no use: such an indicator warms up anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import frexp
from typing import Any

from appliance.domain.market import MINUTE, Bar, Split
from appliance.strategy.indicators.base import Indicator

TRIAL = 40
"""Bars of the trial beyond the warm-up."""
Path = tuple[str, ...]


def rescale(indicator: Indicator, split: Split) -> None:
    """Let an indicator go on in new shares of ``split.symbol``, or begin anew where that cannot be."""
    powers = _powers(indicator, split.symbol)
    fresh = _fresh(indicator)
    if powers is None:
        indicator.restore(fresh.snapshot())
        return
    data = indicator.snapshot()
    price = split.old / split.new
    indicator.restore(_scaled(data, powers, price, ()))


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
    """Prices that go up and down, so that no number is 0 by chance; each symbol has its own."""
    wave = (number * 7919 + len(symbol) * 104729 + sum(map(ord, symbol))) % 1000
    close = 100.0 + wave / 37 + number % 11
    span = 1.0 + wave % 7 / 3
    opened = close + (span if wave % 2 else -span) / 2
    return Bar(
        symbol, "1m", number * MINUTE, (number + 1) * MINUTE, opened, close + span, close - span, close, 1000.0 + wave
    )


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
    mantissa, exponent = frexp(after / before)
    return exponent - 1 if mantissa == 0.5 else None


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
    """Places of a pair or triple differ, those of a window do not."""
    return (*path, str(at)) if path and path[-1] == "*" and len(data) <= 3 else (*path, "*")


def _scaled(data: Any, powers: dict[Path, int], price: float, path: Path) -> Any:
    if isinstance(data, dict):
        return {key: _scaled(value, powers, price, _step(path, key)) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_scaled(value, powers, price, _inside(path, data, at)) for at, value in enumerate(data)]
    power = powers.get(path, 0)
    return data * price**power if power else data
