"""What sources in reserve told: kept for a moment, used where the active source does not tell the same bar. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.domain.market import Bar

GRACE = 2_000_000_000
"""How long (ns) the active source may be later than one in reserve."""
KEPT_MAX = 4096

Mark = tuple[str, str, int]
"""Symbol, timeframe, end."""


class Reserve:
    """Bars of sources that are not active, until the active one tells them or ``grace`` ns are over."""

    def __init__(self, grace: int = GRACE) -> None:
        self._grace = grace
        self._kept: dict[Mark, tuple[int, Bar]] = {}

    def put(self, bar: Bar, now: int) -> list[Bar]:
        """Keep ``bar``; what there is no room for is given back, to be used at once."""
        self._kept.setdefault(_mark(bar), (now, bar))
        if len(self._kept) <= KEPT_MAX:
            return []
        return [self._kept.pop(next(iter(self._kept)))[1]]

    def told(self, bar: Bar) -> None:
        """The active source told it: the reserve's is not needed."""
        self._kept.pop(_mark(bar), None)

    def instead(self, bar: Bar) -> list[Bar]:
        """The reserve's telling of ``bar``, which cannot be used; [] where there is none yet."""
        kept = self._kept.pop(_mark(bar), None)
        return [] if kept is None else [kept[1]]

    def due(self, now: int) -> list[Bar]:
        """Bars the active source should have told by now, in order of end."""
        return self._take(mark for mark, (since, _) in self._kept.items() if now - since >= self._grace)

    def switched(self, symbols: Iterable[str]) -> list[Bar]:
        """Bars of ``symbols``, whose active source has failed, in order of end."""
        wanted = set(symbols)
        return self._take(mark for mark in self._kept if mark[0] in wanted)

    def shift(self, by: int) -> None:
        """The clock was set by so much (ns)."""
        self._kept = {mark: (since + by, bar) for mark, (since, bar) in self._kept.items()}

    def deadline(self) -> int | None:
        """When ``due`` has something (ns UTC), or None."""
        return min((since + self._grace for since, _ in self._kept.values()), default=None)

    def _take(self, marks: Iterable[Mark]) -> list[Bar]:
        return sorted((self._kept.pop(mark)[1] for mark in list(marks)), key=_mark_by_end)


def _mark(bar: Bar) -> Mark:
    return bar.symbol, bar.timeframe, bar.end


def _mark_by_end(bar: Bar) -> tuple[int, str, str]:
    return bar.end, bar.symbol, bar.timeframe
