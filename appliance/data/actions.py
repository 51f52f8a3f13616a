"""The splits and dividends of one symbol, played among its raw prices like one track more."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np

from appliance.data.rows import Times
from appliance.data.tracks import Track
from appliance.domain.market import CorporateAction


class Actions:
    """What happens to a symbol between the first and the last event of its tracks, by time; see ``Track``."""

    __slots__ = ("_times", "all", "symbol")
    outside = 0

    def __init__(self, symbol: str, actions: Sequence[CorporateAction], tracks: Sequence[Track]) -> None:
        self.symbol = symbol
        known = [(track.first, track.last) for track in tracks if len(track)]
        first, last = min((one for one, _ in known), default=0), max((one for _, one in known), default=0)
        times = [action.time for action in actions]
        self.all = tuple(actions[bisect_right(times, first) : bisect_right(times, last)])
        self._times = [action.time for action in self.all]

    def __len__(self) -> int:
        return len(self.all)

    def outside_through(self, time: int) -> int:
        """None is dropped."""
        return 0

    def before(self, time: int) -> int:
        """How many happen before ``time`` (ns UTC)."""
        return bisect_left(self._times, time)

    def through(self, time: int) -> int:
        """How many have happened at ``time`` (ns UTC)."""
        return bisect_right(self._times, time)

    def time(self, row: int) -> int:
        """When the action of a row happens (ns UTC)."""
        return self._times[row]

    def known(self, begin: int, end: int) -> Times:
        """When the actions of these rows happen (ns UTC)."""
        return np.array(self._times[begin:end], dtype=np.int64)

    def events(self, begin: int, end: int) -> Sequence[CorporateAction]:
        """The actions from row ``begin`` up to, not including, ``end``."""
        return self.all[begin:end]
