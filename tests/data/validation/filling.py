"""Missing bars filled in, written plainly: what a strategy that asks for it has to get."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.core.spans import bars_between
from appliance.domain.market import Bar, Sessions

FILLED = "filled"
"""The source of a bar that was filled in."""


def forward_filled(bars: Sequence[Bar], sessions: Sessions, timeframe: str) -> tuple[Bar, ...]:
    """Bars of one symbol, in order, and between them one for each that is missing inside the sessions: at the close
    before it, volume 0, source ``filled``. Only who asks gets it: a filled price was not traded. Nothing is filled
    before the first bar or after the last. Raises ValueError for weeks and months."""
    made: list[Bar] = []
    for bar in bars:
        if made:
            before = made[-1]
            made += [
                Bar(bar.symbol, timeframe, start, end, *(before.close,) * 4, 0.0, FILLED)
                for start, end in bars_between(sessions, timeframe, before.end, bar.start)
            ]
        made.append(bar)
    return tuple(made)
