"""The splits and dividends of one symbol, played among its raw prices like one track more."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from appliance.data.tracks import Track
from appliance.domain.market import CorporateAction


class Actions:
    """What happens to a symbol between the first and the last event of its tracks, by time; see ``Track``."""

    __slots__ = ("all", "known", "outside", "symbol")

    def __init__(self, symbol: str, actions: Sequence[CorporateAction], tracks: Sequence[Track]) -> None:
        self.symbol = symbol
        self.outside = array("q")
        known = [(track.known[0], track.known[-1]) for track in tracks if len(track)]
        first, last = min((one for one, _ in known), default=0), max((one for _, one in known), default=0)
        times = [action.time for action in actions]
        self.all = tuple(actions[bisect_right(times, first) : bisect_right(times, last)])
        self.known = array("q", (action.time for action in self.all))

    def __len__(self) -> int:
        return len(self.known)

    def event(self, row: int) -> CorporateAction:
        """The action of one row."""
        return self.all[row]
