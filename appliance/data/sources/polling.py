"""Live data from a source that is only ever asked: its latest bars and quotes, again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from msgspec.structs import replace

from appliance.core.rate_limit import TokenBucket
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Traits, Wire
from appliance.domain.market import SECOND, Bar, Quote, timeframe_ns
from appliance.errors import SourceRefused

Answer = TypeVar("Answer")
LOOK = 0.1
"""Seconds between two looks at whether to stop."""
BACK = 3
"""Bars back that are asked for again: what was late, and what was revised."""


class Polled(Protocol):
    """What is asked."""

    name: str
    traits: Traits

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]: ...

    def quote(self, symbol: str) -> Quote: ...


class Stopped(Exception):
    """It was told to stop while it waited for an answer."""


class Polling:
    """One run of asking. A bar is told once, and again with a higher ``revision`` when the source changed it; a quote
    when it differs from the one before."""

    def __init__(self, source: Polled, poll: float, bucket: TokenBucket, clock: Callable[[], int]) -> None:
        self._source, self._poll, self._bucket, self._clock = source, poll, bucket, clock
        self._bars: dict[tuple[str, int], Bar] = {}
        self._quotes: dict[str, Quote] = {}
        self._since: dict[str, int] = {}

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """Ask for all symbols every ``poll`` seconds until ``stop``. A symbol that is refused in the first round is
        lacking; any other error ends the run and is raised."""
        begin = self._clock() - BACK * timeframe_ns(self._source.traits.timeframes[0])
        self._since = dict.fromkeys(symbols, begin)
        lacking: dict[str, str] = {}
        told: list[Bar | Quote] = []
        try:
            self._first(symbols, kinds, stop, told, lacking)
            known = tuple(symbol for symbol in symbols if symbol not in lacking)
            tell(Linked(known, lacking))
            while True:
                for one in told:
                    tell(one)
                tell(Wire())
                if stop.wait(self._poll):
                    return
                told = [one for symbol in known for one in self._of(symbol, kinds, stop)]
        except Stopped:
            return

    def _first(
        self, symbols: Sequence[str], kinds: Sequence[Kind], stop: Stop, told: list[Bar | Quote],
        lacking: dict[str, str],
    ) -> None:  # fmt: skip
        """The first round tells which symbols there are. Raises SourceRefused when there is none."""
        for symbol in symbols:
            try:
                told += self._of(symbol, kinds, stop)
            except SourceRefused as error:
                lacking[symbol] = error.text
                if len(lacking) == len(symbols):
                    raise

    def _of(self, symbol: str, kinds: Sequence[Kind], stop: Stop) -> list[Bar | Quote]:
        news: list[Bar | Quote] = []
        if Kind.BARS in kinds:
            news += self._new_bars(symbol, stop)
        if Kind.QUOTES in kinds and Kind.QUOTES in self._source.traits.live:
            self._token(stop)
            quote = unless_stopped(stop, lambda: self._source.quote(symbol))
            before = self._quotes.get(symbol)
            if before is None or replace(before, time=quote.time, received=quote.received) != quote:
                news.append(quote)
            self._quotes[symbol] = quote
        return news

    def _token(self, stop: Stop) -> None:
        """Wait until the source may be asked. Raises Stopped."""
        while wait := self._bucket.take(time.monotonic_ns()):
            if stop.wait(wait / SECOND):
                raise Stopped

    def _new_bars(self, symbol: str, stop: Stop) -> list[Bar]:
        timeframe = self._source.traits.timeframes[0]
        length = timeframe_ns(timeframe)
        self._token(stop)
        start, end = self._since[symbol], self._clock() + SECOND
        pages = unless_stopped(stop, lambda: [*self._source.bars([symbol], timeframe, start, end)])
        news = [bar for page in pages for seen in page if (bar := self._news(seen)) is not None]
        last = max((time for name, time in self._bars if name == symbol), default=0)
        self._since[symbol] = max(start, last - BACK * length)
        self._bars = {
            key: bar for key, bar in self._bars.items() if key[0] != symbol or bar.end > last - 2 * BACK * length
        }
        return news

    def _news(self, bar: Bar) -> Bar | None:
        """The bar with its revision; None when nothing about it is new."""
        before = self._bars.get((bar.symbol, bar.end))
        if before is None:
            self._bars[bar.symbol, bar.end] = bar
            return bar
        if replace(before, received=bar.received, revision=0) == bar:
            return None
        revised = self._bars[bar.symbol, bar.end] = replace(bar, revision=before.revision + 1)
        return revised


def unless_stopped(stop: Stop, ask: Callable[[], Answer]) -> Answer:
    """What ``ask`` returns or raises. It runs in a thread, which is left to its deadline once ``stop`` is set: then
    Stopped is raised."""
    answers: list[Answer] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="polling", daemon=True).start()
    while not done.wait(LOOK):
        if stop.is_set():
            raise Stopped
    if errors:
        raise errors[0]
    return answers[0]
