"""What every source of history and every live source promises, as checks that the tests of each of them use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType

from appliance.data.sources.base import HistorySource, Kind, Linked, LiveSource, TickHistory, Told
from appliance.domain.market import Bar, Quote, Trade
from appliance.errors import SourceError

DEADLINE = 15.0
"""Seconds a test waits for what a source is to say."""


def bars_of(source: HistorySource, symbols: Sequence[str], timeframe: str, start: int, end: int) -> list[Bar]:
    """All bars of a question, after a check of what ``HistorySource.bars`` promises."""
    found: list[Bar] = []
    for page in source.bars(symbols, timeframe, start, end):
        assert isinstance(page, tuple)
        keys = [(bar.symbol, bar.end) for bar in page]
        assert keys == sorted(keys), "a page is in order of symbol, then end"
        found += page
    assert_bars(found, source.name, symbols, timeframe)
    assert all(start <= bar.start and bar.end <= end for bar in found), "bars lie inside what was asked for"
    assert len({(bar.symbol, bar.end) for bar in found}) == len(found), "no bar comes twice"
    return found


def assert_bars(bars: Sequence[Bar], name: str, symbols: Sequence[str], timeframe: str) -> None:
    """Fail unless bars are of one form: their own symbols, end after start, where they are from and when they came."""
    for bar in bars:
        assert isinstance(bar, Bar)
        assert bar.symbol in symbols
        assert bar.timeframe == timeframe
        assert {type(bar.start), type(bar.end)} == {int}
        assert bar.start < bar.end
        assert bar.source == name
        assert bar.received >= bar.end, "a bar is received after its end"
        assert all(isinstance(value, float) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume))


def ticks_of(source: TickHistory, kind: str, symbol: str, start: int, end: int) -> list[Quote | Trade]:
    """All ``quotes`` or ``trades`` of a question, after a check of what ``TickHistory`` promises."""
    pages: Iterator[tuple[Quote | Trade, ...]] = getattr(source, kind)(symbol, start, end)
    found = [tick for page in pages for tick in page]
    times = [tick.time for tick in found]
    assert times == sorted(times), "ticks come in order of time"
    assert all(isinstance(time, int) and start <= time < end for time in times)
    assert {tick.symbol for tick in found} <= {symbol}
    assert all(tick.source and tick.received for tick in found)
    return found


class Listening:
    """A live source that runs in a thread of its own; what it tells is kept, and what it raises.

    Leaving the block sets ``stop`` and fails unless ``run`` returns within a second (and a little for a busy machine).
    """

    def __init__(self, source: LiveSource, symbols: Sequence[str], kinds: Sequence[Kind]) -> None:
        self.told: list[Told] = []
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._news = threading.Condition()
        self._source, self._symbols, self._kinds = source, symbols, kinds
        self._thread = threading.Thread(target=self._run, name="listening", daemon=True)

    def __enter__(self) -> Listening:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self._thread.join(3 if kind is None else 0.1)
        assert kind is not None or not self._thread.is_alive(), "run returns within a second of stop"

    def until(self, right: Callable[[Sequence[Told]], object], seconds: float = DEADLINE) -> list[Told]:
        """What was told so far, once ``right`` holds of it. Raises what the source raised, if it ended before."""
        with self._news:
            happened = self._news.wait_for(lambda: self.error is not None or right(self.told), seconds)
            if self.error is not None and not right(self.told):
                raise self.error
            assert happened, f"not told within {seconds} s; told so far: {self.told[-5:]}"
            return list(self.told)

    def linked(self, seconds: float = DEADLINE) -> Linked:
        """What it told first, which has to be ``Linked``."""
        first = self.until(lambda told: any(isinstance(one, Linked) for one in told), seconds)[0]
        assert isinstance(first, Linked), "nothing comes before Linked"
        return first

    def of(self, *kinds: type) -> list[Told]:
        """What was told so far of these kinds."""
        with self._news:
            return [one for one in self.told if isinstance(one, kinds)]

    def ended(self, seconds: float = DEADLINE) -> SourceError:
        """The error that ended the connection, which has to be one of the source's errors."""
        with self._news:
            assert self._news.wait_for(lambda: self.error is not None, seconds), f"it did not end in {seconds} s"
        assert isinstance(self.error, SourceError), repr(self.error)
        return self.error

    def _tell(self, one: Told) -> None:
        with self._news:
            self.told.append(one)
            self._news.notify_all()

    def _run(self) -> None:
        try:
            self._source.run(self._symbols, self._kinds, self._tell, self.stop)
        except BaseException as error:
            with self._news:
                self.error = error
                self._news.notify_all()
