"""Raw bars as if splits, or dividends too, had always been: what a chart shows, and what an average needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from appliance.core.activities import split_bar
from appliance.domain.market import Bar, CorporateAction, Dividend, Split

WAYS = ("raw", "split", "all")
"""As they were traded; adjusted for splits; for splits and dividends."""


def adjusted(bars: Sequence[Bar], actions: Sequence[CorporateAction], way: str, until: int) -> tuple[Bar, ...]:
    """Raw bars of one symbol, in order, adjusted in one of ``WAYS`` for the actions before ``until`` (ns UTC).

    A dividend scales all prices before its ex-date by ``1 - amount / last raw close before it``; one whose last close
    is not among the bars has nothing to scale (the method of CRSP, and of Yahoo's adjusted close).
    """
    if way == "raw" or not bars:
        return tuple(bars)
    rescaled = split_adjusted(bars, actions, until)
    factors = _dividend_factors(bars, actions, until) if way == "all" else []
    if not factors:
        return rescaled
    made: list[Bar] = []
    scale = 1.0
    for bar in reversed(rescaled):
        while factors and bar.end <= factors[-1][0]:
            scale *= factors.pop()[1]
        made.append(_scaled(bar, scale))
    return tuple(reversed(made))


def _dividend_factors(bars: Sequence[Bar], actions: Sequence[CorporateAction], until: int) -> list[tuple[int, float]]:
    """Time and factor of each dividend, in order of time."""
    found = []
    dividends = sorted((a for a in actions if isinstance(a, Dividend) and a.time <= until), key=lambda a: a.time)
    for one in dividends:
        before = next((bar for bar in reversed(bars) if bar.end <= one.time), None)
        if before is not None:
            found.append((one.time, 1 - float(one.amount) / before.close))
    return found


def _scaled(bar: Bar, by: float) -> Bar:
    return replace(bar, open=bar.open * by, high=bar.high * by, low=bar.low * by, close=bar.close * by)


def split_adjusted(bars: Sequence[Bar], actions: Sequence[CorporateAction], until: int) -> tuple[Bar, ...]:
    """Bars (of any symbols, in order) as if the splits before ``until`` (ns UTC) had been from the first on."""
    splits = [one for one in actions if isinstance(one, Split) and one.time <= until]
    return tuple(
        _rescaled(bar, [one for one in splits if one.symbol == bar.symbol and bar.end <= one.time]) for bar in bars
    )


def _rescaled(bar: Bar, splits: Sequence[Split]) -> Bar:
    for split in splits:
        bar = split_bar(bar, split)
    return bar
