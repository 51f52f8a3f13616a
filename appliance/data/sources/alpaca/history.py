"""Past bars, quotes, trades, splits and dividends from Alpaca's data API, page by page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from appliance.data.options import NEW_YORK
from appliance.data.sources.alpaca.options import AlpacaOptions
from appliance.data.sources.alpaca.parsing import ACTIONS, Odd, Reader, Row, ex_date
from appliance.data.sources.alpaca.requesting import Clock, Requests
from appliance.data.sources.alpaca.times import Spans, rfc3339, wire_timeframe
from appliance.data.sources.asked import check_asked
from appliance.data.sources.base import Traits
from appliance.domain.market import DAY, SECOND, AlwaysOpen, Bar, CorporateAction, Quote, Sessions, Trade
from appliance.errors import SourceNonsense

Tick = TypeVar("Tick", Quote, Trade)
Read = TypeVar("Read")
_ROOTS = {"stocks": "/stocks", "crypto": "/crypto/us"}
TIMEFRAMES = {
    "stocks": ("1m", "5m", "15m", "30m", "1d", "1w", "1mo"),
    "crypto": ("1m", "5m", "15m", "30m", "1h", "1d", "1w", "1mo"),
}
_FEEDS = {"delayed_sip": "sip"}
"""The past of the delayed feed is the past of all exchanges; it ends before the last 15 minutes."""
_SPARE = 5 * SECOND
SYMBOLS_MAX = 100
"""Symbols of one question: an address has to stay short."""
PAGES = 10_000
"""Pages of an answer, after which it never ends."""
_PAYING = 180 * DAY
"""Actions are asked for by the day they are processed, for a dividend the day it is paid: so long after its ex-date."""
_ACTIONS_PAGE = 1000


class AlpacaHistory:
    """History from Alpaca, also quotes and trades. ``remaining`` and ``resets`` tell of its rate limit.

    One question at a time; a page is yielded as it comes, so that what came before a mistake is not lost. A bar that is
    still forming is left out.
    """

    def __init__(self, options: AlpacaOptions, sessions: Sessions, clock: Clock = time.time_ns) -> None:
        from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient

        self._options = options.checked()
        self.name = options.name
        stocks = options.market == "stocks"
        self.traits = Traits(timeframes=TIMEFRAMES[options.market], history=True, actions=stocks)
        self._sessions = sessions if stocks else AlwaysOpen()
        self._clock = clock
        self._reader = Reader(options.name, lots=stocks)
        self._requests = Requests(options, StockHistoricalDataClient if stocks else CryptoHistoricalDataClient, clock)
        self._actions: Requests | None = None
        self._asked = self._requests

    @property
    def remaining(self) -> int | None:
        """Requests that are left in this window, as the last reply said; None: it did not."""
        return self._asked.limits.remaining

    @property
    def resets(self) -> int | None:
        """When the next window begins (ns UTC by our clock); None: the last reply did not say."""
        return self._asked.limits.resets

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``. Hours of stocks are refused (DataError): theirs do not begin with the session."""
        wire = wire_timeframe(timeframe, self._options.market)
        until = self._checked(symbols, start, end)
        spans = Spans(timeframe, self._sessions)
        params = {"timeframe": wire, **self._span(start - spans.before, until)}
        if self._options.market == "stocks":
            params["adjustment"] = "raw"
        for rows in self._of_symbols("bars", symbols, params):
            received = self._clock()
            read = partial(self._bar, timeframe, spans, received)
            found = [bar for symbol in sorted(rows) for bar in map(partial(read, symbol), rows[symbol])]
            inside = [bar for bar in found if start <= bar.start and bar.end <= until]
            yield tuple(sorted(inside, key=lambda bar: (bar.symbol, bar.end)))

    def quotes(self, symbol: str, start: int, end: int) -> Iterator[tuple[Quote, ...]]:
        """See ``TickHistory.quotes``."""
        return self._ticks("quotes", symbol, start, end, self._reader.quote)

    def trades(self, symbol: str, start: int, end: int) -> Iterator[tuple[Trade, ...]]:
        """See ``TickHistory.trades``."""
        return self._ticks("trades", symbol, start, end, self._reader.trade)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """See ``HistorySource.actions``; by symbol, then time. A stock dividend is a split."""
        if not self.traits.actions:
            return ()
        params = {
            "types": ",".join(kind for kind, _ in ACTIONS.values()),
            "start": _date(start), "end": _date(end + _PAYING), "limit": _ACTIONS_PAGE, "sort": "asc",
        }  # fmt: skip
        found: list[CorporateAction] = []
        for some in _chunks(symbols):
            asked = {**params, "symbols": ",".join(some)}
            for groups in self._pages(self._action_requests(), "/corporate-actions", "corporate_actions", asked):
                found += self._read_actions(groups, start, end)
        return tuple(sorted(found, key=lambda one: (one.symbol, one.time)))

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()
        if self._actions is not None:
            self._actions.close()

    def _ticks(
        self, kind: str, symbol: str, start: int, end: int, read: Callable[[str, Row, int], Tick]
    ) -> Iterator[tuple[Tick, ...]]:
        until = self._checked([symbol], start, end)
        for rows in self._of_symbols(kind, [symbol], self._span(start, until)):
            received = self._clock()
            found = [self._sense(partial(read, symbol), row, received) for row in rows.get(symbol, ())]
            yield tuple(tick for tick in found if start <= tick.time < until)

    def _checked(self, symbols: Sequence[str], start: int, end: int) -> int:
        """Where the answer ends (ns UTC): at what is known by now. Raises DataError for a question without sense."""
        now = self._clock()
        check_asked(self.name, symbols, start, end, now)
        return min(end, now - (self._options.lag and self._options.lag + _SPARE))

    def _span(self, start: int, until: int) -> dict[str, Any]:
        """Their end is inclusive."""
        span = {"start": rfc3339(start), "end": rfc3339(max(until - 1, start))}
        return {**span, "limit": self._options.page, "sort": "asc"}

    def _of_symbols(self, kind: str, symbols: Sequence[str], params: dict[str, Any]) -> Iterator[dict[str, list[Row]]]:
        path = f"{_ROOTS[self._options.market]}/{kind}"
        if self._options.market == "stocks":
            params = {**params, "feed": _FEEDS.get(self._options.feed, self._options.feed)}
        for some in _chunks(symbols):
            yield from self._pages(self._requests, path, kind, {**params, "symbols": ",".join(some)})

    def _pages(self, requests: Requests, path: str, key: str, params: dict[str, Any]) -> Iterator[dict[str, list[Row]]]:
        """Each page's rows by symbol, or by group. Raises SourceNonsense for a page that has none, or comes again."""
        token: str | None = None
        self._asked = requests
        for _ in range(PAGES):
            reply = requests.get(path, {**params, "page_token": token} if token else params)
            yield self._rows(reply, key, params)
            following = reply.get("next_page_token")
            if not following:
                return
            if following == token:
                raise SourceNonsense(f"names page {token!r} as its own next page", source=self.name)
            token = str(following)
        raise SourceNonsense(f"never ends its answer to {params['symbols']}: {PAGES} pages came", source=self.name)

    def _rows(self, reply: dict[str, Any], key: str, params: dict[str, Any]) -> dict[str, list[Row]]:
        rows = reply.get(key, ...)
        if rows is None:  # nothing was found
            return {}
        if not isinstance(rows, dict) or not all(isinstance(of_one, list) for of_one in rows.values()):
            raise SourceNonsense(f"answers {params['symbols']} without {key}: {str(reply)[:80]}", source=self.name)
        return rows

    def _bar(self, timeframe: str, spans: Spans, received: int, symbol: str, row: Row) -> Bar:
        return self._sense(partial(self._reader.bar, symbol, timeframe, spans), row, received)

    def _sense(self, read: Callable[..., Read], row: Row, *more: int) -> Read:
        try:
            return read(row, *more)
        except (Odd, AttributeError) as error:
            raise SourceNonsense(f"sends a row without sense: {error}: {str(row)[:80]}", source=self.name) from None

    def _read_actions(self, groups: dict[str, list[Row]], start: int, end: int) -> list[CorporateAction]:
        known = [(ACTIONS[group][1], row) for group in groups if group in ACTIONS for row in groups[group]]
        mine = [(read, row) for read, row in known if start <= self._sense(ex_date, row) < end]
        return [self._sense(read, row) for read, row in mine]

    def _action_requests(self) -> Requests:
        from alpaca.data.historical.corporate_actions import CorporateActionsClient

        self._actions = self._actions or Requests(self._options, CorporateActionsClient, self._clock)
        return self._actions


def _chunks(symbols: Sequence[str]) -> Iterator[Sequence[str]]:
    return (symbols[at : at + SYMBOLS_MAX] for at in range(0, len(symbols), SYMBOLS_MAX))


def _date(when: int) -> str:
    return datetime.fromtimestamp(when // SECOND, NEW_YORK).date().isoformat()
