"""Tracks merged into one stream, in windows: by time, and in the order of the tracks where times are the same."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from appliance.data.actions import Actions
from appliance.data.tracks import Track
from appliance.domain.market import CorporateAction, MarketEvent

Happening = MarketEvent | CorporateAction
WINDOW = 16_384
"""Events that are made at a time, about."""


class Merge:
    """The events of all tracks from a position on. A window holds all events until some time, and none after it."""

    def __init__(self, tracks: Sequence[Track | Actions]) -> None:
        self.total = sum(map(len, tracks))
        self._tracks = tracks
        self._share = max(8, WINDOW // max(1, len(tracks)))
        self._rows: list[int] = []
        self._events: list[Happening] = []
        self._times: list[int] = []
        self._at = 0
        self._begin = 0
        self.seek(0)

    @property
    def position(self) -> int:
        """Events taken since the beginning."""
        return self._begin + self._at

    def seek(self, position: int) -> None:
        """Go on after ``position`` events, of which there must be as many."""
        time = self._time_of(position) if position else 0
        self._rows = [track.before(time) for track in self._tracks]
        self._begin, self._at = sum(self._rows), 0
        self._events, self._times = [], []
        while self.position < position:
            self._fill()
            self._at = min(position - self._begin, len(self._events))

    def take(self, limit: int) -> tuple[list[Happening], int]:
        """The next ``limit`` events and all others of the time of the last of them, and that time; 0 where none is
        left."""
        found: list[Happening] = []
        time = 0
        while len(found) < limit and self._fill():
            end = min(self._at + limit - len(found), len(self._events))
            time = self._times[end - 1]
            end = bisect_right(self._times, time, end)
            found += self._events[self._at : end]
            self._at = end
        return found, time

    def _fill(self) -> bool:
        """Make the next window once this one is used up; False when there is none."""
        if self._at < len(self._events):
            return True
        self._begin, self._at = self.position, 0
        active = [index for index, track in enumerate(self._tracks) if self._rows[index] < len(track)]
        if not active:
            self._events, self._times = [], []
            return False
        through = min(self._reach(index) for index in active)
        spans = [(index, self._rows[index], self._tracks[index].through(through)) for index in active]
        spans = [span for span in spans if span[1] < span[2]]
        for index, _, end in spans:
            self._rows[index] = end
        self._make(spans)
        return True

    def _reach(self, index: int) -> int:
        """Until when the share of one track in a window reaches."""
        track = self._tracks[index]
        return track.time(min(self._rows[index] + self._share, len(track)) - 1)

    def _make(self, spans: Sequence[tuple[int, int, int]]) -> None:
        parts = [self._tracks[index].known(begin, end) for index, begin, end in spans]
        made: list[Happening] = []
        for index, begin, end in spans:
            made += self._tracks[index].events(begin, end)
        if len(spans) == 1:
            self._events, self._times = made, parts[0].tolist()
            return
        times = np.concatenate(parts)
        order = np.argsort(times, kind="stable")
        self._events, self._times = [made[place] for place in order.tolist()], times[order].tolist()

    def _time_of(self, position: int) -> int:
        """The latest time with at most ``position`` events before it: found by halving, since times are sorted."""
        low, high = 0, 2**63 - 1
        while low < high:
            middle = (low + high + 1) // 2
            if sum(track.before(middle) for track in self._tracks) <= position:
                low = middle
            else:
                high = middle - 1
        return low
