"""Asking a source of history as often as it wants to be asked: token bucket, Retry-After, retries, circuit breaker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct
from tenacity import RetryCallState, Retrying, retry_if_exception

from appliance.core.breaker import Backoff, Circuit, CircuitBreaker, Dice, Health
from appliance.core.rate_limit import TokenBucket
from appliance.data.sources.base import HistorySource
from appliance.domain.market import SECOND, Bar, CorporateAction, Quote, Trade
from appliance.errors import DataError, SourceBusy, SourceDown, SourceError

Ticks = Callable[[], int]
Asked = TypeVar("Asked")
Row = TypeVar("Row")
Answer = TypeVar("Answer", covariant=True)


class Patience(Struct, frozen=True):
    """How long one page is tried for: at most ``attempts`` times and ``longest`` ns, waits included; without a wish of
    the source's, the first wait is up to ``first`` ns and none is above ``most``."""

    attempts: int = 4
    longest: int = 60 * SECOND
    first: int = SECOND
    most: int = 20 * SECOND


USUAL = Patience()


class Polite:
    """A history source that asks another one politely; everything it tells is what that one told, each row once.

    A page takes a token of ``bucket``; of a longer answer one page may be ahead of its token. What is ``retryable`` is
    tried again after the wait the source asked for, else after a backoff with jitter, and goes on after the last page
    that came. While ``breaker`` is open the source is not asked: SourceDown says why and for how long. ``clock`` never
    goes back (ns), ``wall`` is UTC (ns); ``sleep`` takes seconds, and may raise to end the waiting. Raises what the
    source raises, once it was patient enough.
    """

    def __init__(
        self, source: HistorySource, bucket: TokenBucket, breaker: CircuitBreaker, clock: Ticks,
        sleep: Callable[[float], object], random: Dice, wall: Ticks = time.time_ns, patience: Patience = USUAL,
    ) -> None:  # fmt: skip
        self.name, self.traits = source.name, source.traits
        self.health = Health()
        self._source, self._bucket, self._breaker = source, bucket, breaker
        self._clock, self._sleep, self._wall, self._random = clock, sleep, wall, random
        self._patience = patience
        self._lock = threading.Lock()  # several threads may ask, with one bucket and one breaker

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``."""
        return self._pages(_Bars(self._source, symbols, timeframe, start, end))

    def quotes(self, symbol: str, start: int, end: int) -> Iterator[tuple[Quote, ...]]:
        """See ``TickHistory.quotes``; DataError where the source has none."""
        return self._pages(_Ticks[Quote](self._having("quotes"), symbol, start, end))

    def trades(self, symbol: str, start: int, end: int) -> Iterator[tuple[Trade, ...]]:
        """See ``TickHistory.trades``; DataError where the source has none."""
        return self._pages(_Ticks[Trade](self._having("trades"), symbol, start, end))

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """See ``HistorySource.actions``."""
        self._token()
        return self._patiently(lambda: self._source.actions(symbols, start, end), lambda: True)

    def close(self) -> None:
        """See ``HistorySource.close``."""
        self._source.close()

    def _having(self, what: str) -> Any:
        found = getattr(self._source, what, None)
        if found is None:
            raise DataError(f"{self.name} has no history of {what}", hint="ask another source, or for bars")
        return found

    def _pages(self, asked: _Question[Row]) -> Iterator[tuple[Row, ...]]:
        for number in count():
            if number != 1:  # what follows the first page may be the end, which costs nothing: it is paid for later
                self._token()
            page = self._patiently(asked.page, asked.resume)
            if page is None:
                return
            if page:
                yield page

    # --- one page -------------------------------------------------------------------------------------------------

    def _patiently(self, ask: Callable[[], Asked], resume: Callable[[], bool]) -> Asked:
        """The answer to one request, tried again while that is allowed, has sense, and ``resume`` can go on."""
        began = self._clock()
        backoff = Backoff(self._patience.first, self._patience.most, self._random)
        waits: dict[int, int] = {}  # by attempt: drawn once for each, however often tenacity asks

        def wait(state: RetryCallState) -> int:
            error = state.outcome.exception() if state.outcome else None
            if state.attempt_number not in waits:
                waits[state.attempt_number] = backoff.next(error.wait if isinstance(error, SourceError) else 0)
            return waits[state.attempt_number]

        def stop(state: RetryCallState) -> bool:
            now = self._clock()
            late = now + wait(state) - began > self._patience.longest
            shut = self._breaker.state(now) is Circuit.OPEN
            return late or shut or state.attempt_number >= self._patience.attempts or not resume()

        again = Retrying(
            retry=retry_if_exception(_again), stop=stop, wait=lambda state: wait(state) / SECOND,
            sleep=self._rest, reraise=True,
        )  # fmt: skip
        return again(lambda: self._once(ask))

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)
        self._token()

    def _token(self) -> None:
        """Wait for a token. Raises SourceDown where the breaker is open: nobody waits only to be refused; SourceBusy
        where that takes longer than a page is tried for: other sources may know."""
        while True:
            with self._lock:
                now = self._clock()
                if self._breaker.state(now) is Circuit.OPEN:
                    raise self._refusal(now)
                wait = self._bucket.take(now)
            if not wait:
                return
            if wait > self._patience.longest:
                raise SourceBusy(f"is asked for nothing for {wait / SECOND:.0f} s", source=self.name, wait=wait)
            self._sleep(wait / SECOND)

    def _once(self, ask: Callable[[], Asked]) -> Asked:
        """Ask, and remember how it went."""
        began = self._clock()
        with self._lock:
            if not self._breaker.allows(began):
                raise self._refusal(began)
        try:
            answer = ask()
        except BaseException as error:
            with self._lock:
                self._went_wrong(error)
            raise
        with self._lock:
            self._went_well(self._clock() - began, ended=answer is None)
        return answer

    def _refusal(self, now: int) -> SourceDown:
        breaker = self._breaker
        return SourceDown(
            f"not asked since {(now - breaker.since) / SECOND:.1f} s, because it failed ({breaker.why})",
            source=self.name, wait=max(breaker.until - now, 0),
            hint=f"it is tried again in {max(breaker.until - now, 0) / SECOND:.1f} s; other sources go on",
        )  # fmt: skip

    def _went_well(self, took: int, ended: bool) -> None:
        """``ended``: there was no page left to ask for, which says nothing of the source."""
        if ended:
            self._breaker.unasked()
            return
        self._heard()
        self._breaker.succeeded()
        self.health.succeeded(took)

    def _went_wrong(self, error: BaseException) -> None:
        """Being busy or refusing us is an answer: such a source is not down."""
        self._heard()
        now = self._clock()
        if isinstance(error, SourceBusy):
            self._bucket.shut(now + error.wait)
            self._breaker.succeeded()
            self.health.failed()
        elif isinstance(error, SourceError) and error.retryable:
            self._breaker.failed(now, error.text.removeprefix(f"{error.source}: "), error.wait)
            self.health.failed()
        elif isinstance(error, SourceError):
            self._breaker.succeeded()
        else:
            self._breaker.unasked()

    def _heard(self) -> None:
        """What the last reply said of its limit, where a source knows that."""
        remaining, resets = (getattr(self._source, name, None) for name in ("remaining", "resets"))
        if remaining is not None and resets is not None and resets > (wall := self._wall()):
            now = self._clock()
            self._bucket.observe(now, remaining, now + resets - wall)


def _again(error: BaseException) -> bool:
    return isinstance(error, SourceError) and error.retryable


# --- what was asked, and how far the answer came ----------------------------------------------------------------------


class _Question(Protocol[Answer]):
    def page(self) -> tuple[Answer, ...] | None:
        """The next page, None after the last."""

    def resume(self) -> bool:
        """Ask again for what has not come; False: what came was in no order, so nobody can tell what that is."""


class _Bars:
    """Bars of symbols. Each is asked for again from the end of its last bar."""

    def __init__(self, source: HistorySource, symbols: Sequence[str], timeframe: str, start: int, end: int) -> None:
        self._source, self._symbols, self._timeframe = source, tuple(symbols), timeframe
        self._start, self._end = start, end
        self._last: dict[str, int] = {}
        self._ordered = True
        self._rows = self._ask()

    def page(self) -> tuple[Bar, ...] | None:
        page = next(self._rows, None)
        return None if page is None else tuple(bar for bar in page if self._new(bar))

    def resume(self) -> bool:
        self._rows = self._ask()
        return self._ordered

    def _ask(self) -> Iterator[tuple[Bar, ...]]:
        """Symbols that have come equally far are asked for together."""
        groups: dict[int, list[str]] = {}
        for symbol in self._symbols:
            groups.setdefault(self._last.get(symbol, self._start), []).append(symbol)
        for start, symbols in groups.items():
            if start < self._end or not self._last:  # a range without sense is for the source to refuse
                yield from self._source.bars(symbols, self._timeframe, start, self._end)

    def _new(self, bar: Bar) -> bool:
        last = self._last.get(bar.symbol, 0)
        if bar.end == last:
            return False
        self._ordered = self._ordered and bar.end > last
        self._last[bar.symbol] = max(last, bar.end)
        return True


class _Ticks(Generic[Row]):
    """Quotes or trades of one symbol. Some share a time: as many of the last time as came are left out again."""

    def __init__(self, ask: Callable[[str, int, int], Iterable[tuple[Any, ...]]], symbol: str, start: int, end: int):
        self._ask, self._symbol, self._end = ask, symbol, end
        self._last, self._same, self._skip = start, 0, 0
        self._ordered = True
        self._rows = iter(ask(symbol, start, end))

    def page(self) -> tuple[Row, ...] | None:
        page = next(self._rows, None)
        return None if page is None else tuple(tick for tick in page if self._new(tick.time))

    def resume(self) -> bool:
        self._skip, self._rows = self._same, iter(self._ask(self._symbol, self._last, self._end))
        return self._ordered

    def _new(self, time: int) -> bool:
        if self._skip and time == self._last:
            self._skip -= 1
            return False
        self._ordered = self._ordered and time >= self._last
        self._same = self._same + 1 if time == self._last else 1
        self._last, self._skip = time, 0
        return True
