"""Bars from sources into the history store, symbol after symbol: one that fails does not keep the others waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from appliance.data.lacking import Span, countable
from appliance.data.validation.gaps import missing
from appliance.domain.market import MINUTE, SECOND, Sessions
from appliance.errors import DataError, SourceBusy

if TYPE_CHECKING:
    from appliance.data.manager import DataManager
    from appliance.data.store import HistoryStore

PATIENCE = 60 * SECOND
"""How long (ns) a source may want to be left alone before the other symbols are given up."""
DELAY = 20 * MINUTE
"""What is younger (ns) may not have been told yet: free data come a quarter of an hour late."""
Advance = Callable[[int], None]
"""Hears how many more bars have come, of those that are due."""


class Fetched(Struct):
    """What came of a symbol: ``new`` bars; what is still ``lacking`` of what was asked for (ns UTC), and why."""

    symbol: str
    timeframe: str
    new: int = 0
    lacking: tuple[Span, ...] = ()
    error: DataError | None = None


class Fetching:
    """Fetches bars of a ``timeframe`` from the sources of ``manager``, from ``source`` alone where it is named, into
    its ``store``. ``done`` tells what came, also of a symbol in which it was stopped. Where they want to be left alone
    for longer than a minute they are not asked for other symbols."""

    def __init__(
        self, manager: DataManager, timeframe: str, source: str, sessions_of: Callable[[str], Sessions]
    ) -> None:
        if manager.store is None:
            raise ValueError("a manager without a store has nothing to fetch into")
        self._manager, self._timeframe, self._source = manager, timeframe, source
        self.store: HistoryStore = manager.store
        self._sessions_of = sessions_of
        self.done: list[Fetched] = []
        self._busy: SourceBusy | None = None

    def due(self, symbol: str, span: Span) -> int:
        """How many bars are to come, at most: the sessions of what the store lacks."""
        if not countable(self._timeframe):
            return 0
        end = min(span[1], time.time_ns())
        lacking = self.store.lacking(symbol, self._timeframe, span[0], end) if span[0] < end else ()
        return sum(expected(self._sessions_of(symbol), self._timeframe, one) for one in lacking)

    def fetch(self, symbol: str, spans: Sequence[Span], advance: Advance, known: bool = False) -> Fetched:
        """Have the store cover some spans; where that fails, say what it lacks. A symbol that is not ``known`` should
        have a bar in them. Raises UsageError for a source that there is not."""
        fetched = Fetched(symbol, self._timeframe)
        self.done.append(fetched)
        try:
            if self._busy is not None:
                raise self._busy
            for span in spans:
                self._fetch(fetched, span, advance)
            if not known:
                self._any_at_all(symbol, spans)
        except DataError as error:
            fetched.error = error
            self._busy = error if isinstance(error, SourceBusy) and error.wait > PATIENCE else self._busy
            fetched.lacking = tuple(self._lacking(symbol, spans))
        return fetched

    def _fetch(self, fetched: Fetched, span: Span, advance: Advance) -> None:
        due = self.due(fetched.symbol, span)
        before = last = fetched.new
        for new in self._manager.fetch(fetched.symbol, self._timeframe, *span, self._source):
            fetched.new = before + new
            advance(min(fetched.new - last, due))
            due -= min(fetched.new - last, due)
            last = fetched.new
        advance(due)  # what was not traded never comes

    def _any_at_all(self, symbol: str, spans: Sequence[Span]) -> None:
        """Raise DataError where no source has any bar although markets were open: nobody knows the symbol."""
        for start, end in spans:
            if next(iter(self.store.bars(symbol, self._timeframe, start, end)), ()):
                return
        settled = time.time_ns() - DELAY
        over = [(start, min(end, settled)) for start, end in spans if start < settled]
        due = sum(expected(self._sessions_of(symbol), self._timeframe, span) for span in over)
        if due or (over and not countable(self._timeframe)):
            raise DataError(
                f"{symbol}: no source has a {self._timeframe} bar of it in these days",
                hint="look whether the symbol is written as its source writes it, and whether it was traded then",
            )

    def _lacking(self, symbol: str, spans: Sequence[Span]) -> Iterator[Span]:
        now = time.time_ns()
        for start, end in spans:
            if start < min(end, now):
                yield from self.store.lacking(symbol, self._timeframe, start, min(end, now))


def expected(sessions: Sessions, timeframe: str, span: Span) -> int:
    """How many bars the sessions have in a span (ns UTC), more or less."""
    if timeframe.endswith("d"):
        days = [session for session in _sessions(sessions, span) if session[1] <= span[1]]
        return len(days)
    return missing(sessions, timeframe, span[0], span[1], span[1])


def _sessions(sessions: Sessions, span: Span) -> Iterator[Span]:
    session = sessions.coming(span[0])
    while session is not None and session.open < span[1]:
        yield session.open, session.close
        session = sessions.coming(session.close)


def plain(one: Fetched) -> dict[str, Any]:
    """For a program."""
    error = one.error and {"code": one.error.code, "text": one.error.text, "hint": _next(one.error)}
    return {
        "symbol": one.symbol, "timeframe": one.timeframe, "new": one.new, "lacking": [list(s) for s in one.lacking],
        "error": error,
    }  # fmt: skip


def readable(done: Sequence[Fetched]) -> Iterator[str]:
    """A line a symbol, and what is lacking with why."""
    from appliance.commands.data.asking import moment

    for one in done:
        new = "1 bar is new" if one.new == 1 else f"{one.new:,} bars are new"
        yield f"{one.symbol} {one.timeframe}: {new}"
        if one.error is not None:
            yield f"  {one.error.text}"
            yield from (f"  lacking: {moment(start)} to {moment(end)} UTC" for start, end in one.lacking[:5])
            yield from [f"  hint: {hint}"] if (hint := _next(one.error)) else []


def _next(error: DataError) -> str:
    """The next step; of a failure that passes by itself, to wait."""
    return error.hint or ("run it again in a while: it asks for the rest" if error.retryable else "")
