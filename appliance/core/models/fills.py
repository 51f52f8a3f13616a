"""When and at what price orders meet the market: rules with names, each of them a choice."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Feed = Literal["first", "quotes", "trades"]
"""Which events an order meets where a symbol has both: whichever comes first, quotes and quote bars, or trades and
bars. Where a symbol has only one kind, that one is met."""


class Fills(Struct, frozen=True):
    """The fill rules; the defaults are the pessimistic ones.

    ``market``: a market order fills at the ``next_event`` (a bar's open), or ``at_once`` where the last event closed on
    its side: the ask of the last quote or quote bar for a buy, its bid for a sale, unless a trade or a bar is newer.
    While the market is closed, or before the session's first event, it waits for the next event either way.

    ``limit``: the price must go ``through`` the limit, or ``touch`` it. It fills at the limit, or at a better open.

    ``bars``: of a bar that had ``begun`` when the order came only the close can be met; or every bar that has not
    ``ended`` by then is met whole. A market order never meets the open of a bar that had begun.

    ``trailing``: a trailing stop follows each bar's ``open`` before it is tested, moves behind the best price of the
    bar after that, and fills at the stop or at a worse open; or it begins behind the last trade, is tested before it
    moves and fills at the stop or at a worse ``close``.

    ``stop_limit``: once its stop is hit it is a limit order for the ``next`` events; or, from the very bar that hits it
    on, it fills when a bar's ``close`` is strictly better than the limit: at the limit, or at the bar's high (to buy)
    or low if the limit is beyond that.

    ``market_on``, ``resting_on`` and ``trailing_on`` choose the events that market orders, limits and stops, and
    trailing stops meet (``Feed``).

    ``bound``: slippage and impact end at the ``range`` of the bar, or at ``none``; a single quote or trade has none.
    """

    market: Literal["next_event", "at_once"] = "next_event"
    limit: Literal["through", "touch"] = "through"
    bars: Literal["begun", "ended"] = "begun"
    trailing: Literal["open", "close"] = "open"
    market_on: Feed = "first"
    resting_on: Feed = "first"
    trailing_on: Feed = "first"
    bound: Literal["range", "none"] = "range"
    stop_limit: Literal["next", "close"] = "next"

    @property
    def looks_back(self) -> bool:
        """Whether a rule needs what the market did last, before there was an order."""
        kinds = {self.market_on, self.resting_on, self.trailing_on}
        return self.market == "at_once" or self.trailing == "close" or kinds != {"first"}
