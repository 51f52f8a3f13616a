"""A source of history that is asked through the cache; to whoever asks it, it is the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from appliance.data.cache.data_cache import RAW, DataCache
from appliance.data.sources.base import HistorySource
from appliance.domain.market import Bar, CorporateAction

PAGE = 10_000


class Cached:
    """``source``, whose answers ``cache`` keeps. ``adjusted`` says what its prices are adjusted for; see
    ``DataCache.history``. Raises what the source raises."""

    def __init__(self, source: HistorySource, cache: DataCache, adjusted: str = RAW) -> None:
        self.name, self.traits = source.name, source.traits
        self._source, self._cache, self._adjusted = source, cache, adjusted

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``; symbol after symbol."""
        for symbol in symbols:
            found = self._cache.history(self._source, symbol, timeframe, start, end, self._adjusted)
            yield from (found[at : at + PAGE] for at in range(0, len(found), PAGE))

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """See ``HistorySource.actions``."""
        return self._cache.actions(self._source, symbols, start, end)

    def close(self) -> None:
        """Leave the source's server; the cache stays its owner's."""
        self._source.close()
