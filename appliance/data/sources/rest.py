"""Any server with a REST/JSON interface as a source, described in settings: history asked for, the latest polled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from appliance.core.rate_limit import Rate, TokenBucket
from appliance.data.sources.asked import check_asked
from appliance.data.sources.base import Kind, Oddity, Stop, Tell, Traits
from appliance.data.sources.fetching import Fetcher
from appliance.data.sources.mapping import Missing, Reader, Row, Untimed, Unusable, has, pick, shown
from appliance.data.sources.moments import written
from appliance.data.sources.polling import Polling
from appliance.data.sources.rest_options import RestOptions
from appliance.data.sources.templates import filled
from appliance.domain.market import SECOND, Bar, CorporateAction, Quote, timeframe_ns
from appliance.errors import DataError, SourceBusy, SourceDown, SourceError, SourceNonsense, SourceRefused

log = logging.getLogger("appliance.source")
PAGES = 10_000
"""Pages of one question; what has more never ends."""
_ERRORS: dict[str, type[SourceError]] = {"busy": SourceBusy, "refused": SourceRefused, "down": SourceDown}
Odd = Callable[[Oddity], None]


def logged(oddity: Oddity) -> None:
    """Write down what was left out."""
    log.warning(oddity.text)


class _Page(NamedTuple):
    bars: tuple[Bar, ...]
    rows: int
    next: str


class RestSource:
    """History, and with ``poll`` live data, from a server that ``options`` describe.

    Rows that cannot be used are left out and told to ``odd``; a field that is not there at all ends the question: the
    mapping is wrong. ``remaining`` and ``resets`` are what the last reply said of the rate limit; ``bucket`` is for who
    asks (``Polite``, on the monotonic clock), and polling takes its tokens there too.
    """

    def __init__(self, options: RestOptions, odd: Odd = logged, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises UsageError for options that make no sense."""
        self._options = options.checked()
        self.bucket = TokenBucket(Rate(options.rate, options.burst), time.monotonic_ns())
        self.name = options.name
        self.traits = _traits(options)
        self._clock, self._odd = clock, odd
        self._reader = Reader(options.name, options.times)
        self._secrets = options.secrets
        self._fetcher = Fetcher(options.name, options.bounds, self._secrets, clock)
        self._ours = {theirs: ours for ours, theirs in options.symbols.items()}

    @property
    def remaining(self) -> int | None:
        """Requests that are left, as the last reply said."""
        return self._fetcher.remaining

    @property
    def resets(self) -> int | None:
        """When there are more again (ns UTC), as the last reply said."""
        return self._fetcher.resets

    def close(self) -> None:
        """Close the connections."""
        self._fetcher.close()

    # --- history --------------------------------------------------------------------------------------------------

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        """See ``HistorySource.bars``; one page is one request, () where it had none."""
        until = self._checked(symbols, timeframe, start, end)
        together = "{symbols" in self._options.url + "".join(self._options.query.values())
        for some in [tuple(symbols)] if together else [(symbol,) for symbol in symbols]:
            yield from self._pages(some, timeframe, start, until)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        """Of these it knows nothing."""
        return ()

    def quote(self, symbol: str) -> Quote:
        """The latest quote. Raises as ``bars`` does, and DataError where it has none."""
        ask = self._options.quote
        if ask is None:
            raise DataError(f"{self.name} has no quotes", hint="describe them as its quote")
        values = {**self._secrets.values, "symbol": self._theirs(symbol)}
        answer = self._get(ask.url, ask.query, values, f"the quote of {symbol}")
        try:
            row = pick(answer, filled(ask.row, values))
            return self._reader.quote(row, ask.fields, symbol, self._clock())
        except Missing as error:
            raise self._unmapped(error, f"the quote of {symbol}") from None
        except Unusable as error:
            raise SourceNonsense(f"has no usable quote of {symbol}: {error}", source=self.name) from None

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        """See ``LiveSource.run``: the latest bars and quotes, asked for every ``poll`` seconds."""
        if not self._options.poll:
            raise DataError(f"{self.name} is not live", hint="set poll to so many seconds")
        Polling(self, self._options.poll, self.bucket, self._clock).run(symbols, kinds, tell, stop)

    # --- pages ----------------------------------------------------------------------------------------------------

    def _pages(self, symbols: tuple[str, ...], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        begin, token = start, ""
        before: dict[tuple[str, int], Bar] = {}
        for _ in range(PAGES):
            page = self._page(symbols, timeframe, begin, end, token)
            inside = self._once([bar for bar in page.bars if begin <= bar.start and bar.end <= end], before)
            yield tuple(inside.values())
            before = inside
            following = self._following(page, begin)
            if following is None or following[0] >= end:
                return
            if following == (begin, token):
                raise SourceNonsense(f"sends the same page of {', '.join(symbols)} again and again", source=self.name)
            begin, token = following
        raise SourceNonsense(f"never ends its answer to {', '.join(symbols)}: {PAGES} pages came", source=self.name)

    def _once(self, bars: Sequence[Bar], before: Mapping[tuple[str, int], Bar]) -> dict[tuple[str, int], Bar]:
        """Each bar once, also where pages overlap. Of two in a page that differ the later one counts, of two pages the
        first: it has been told."""
        found: dict[tuple[str, int], Bar] = {}
        for bar in bars:
            key = (bar.symbol, bar.end)
            other = before.get(key) or found.get(key)
            if other is not None and replace(other, received=bar.received) != bar:
                when = written(bar.end, "iso")
                self._odd(Oddity(f"{self.name}: two different bars of {bar.symbol} that end at {when}: one left out"))
            if key not in before:
                found[key] = bar
        return found

    def _following(self, page: _Page, begin: int) -> tuple[int, str] | None:
        """Start and token of the next question, None after the last."""
        if self._options.paging.by == "time":
            full = page.rows >= self._options.limit
            return (max((bar.end for bar in page.bars), default=begin), "") if full else None
        return (begin, page.next) if page.next else None

    def _page(self, symbols: tuple[str, ...], timeframe: str, start: int, end: int, token: str) -> _Page:
        options = self._options
        theirs = [self._theirs(symbol) for symbol in symbols]
        values = {
            **self._secrets.values, "symbol": theirs[0], "symbols": ",".join(theirs),
            "timeframe": options.timeframes[timeframe], "limit": str(options.limit), "page": token,
            "start": written(start, options.asked, options.times.zone),
            "end": written(end, options.asked, options.times.zone),
        }  # fmt: skip
        query = {name: text for name, text in options.query.items() if token or text != "{page}"}
        asked = f"{timeframe} bars of {', '.join(symbols)}"
        answer = self._get(options.url, query, values, asked)
        try:
            rows = [*self._rows(answer, symbols)]
            bars = self._read(rows, timeframe, asked)
        except Missing as error:
            raise self._unmapped(error, asked) from None
        known = sorted((bar for bar in bars if bar.end <= bar.received), key=lambda bar: (bar.symbol, bar.end))
        return _Page(tuple(known), len(rows), self._token(answer))

    def _token(self, answer: Row) -> str:
        path = self._options.paging.next
        return str(pick(answer, path)) if self._options.paging.by == "token" and has(answer, path) else ""

    def _rows(self, answer: Row, symbols: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
        """The rows, each with the symbol it belongs to."""
        options = self._options
        if "{symbol}" not in options.rows:
            for row in self._shaped(pick(answer, options.rows), symbols):
                theirs = str(pick(row, options.bars.symbol)) if options.bars.symbol else ""
                symbol = self._ours.get(theirs, theirs) or symbols[0]
                if symbol in symbols:
                    yield symbol, row
                else:
                    self._odd(Oddity(f"{self.name}: a row of {shown(symbol)}, which was not asked for: {shown(row)}"))
            return
        for symbol in symbols:
            path = filled(options.rows, {"symbol": self._theirs(symbol)})
            if len(symbols) == 1 or has(answer, path):  # of several, those without a trade may be left out
                yield from ((symbol, row) for row in self._shaped(pick(answer, path), symbols))

    def _shaped(self, rows: Row, symbols: tuple[str, ...]) -> Sequence[Row]:
        """The rows as a list, whatever their shape; null is no row."""
        shape = self._options.shape
        if rows is None:
            return ()
        if shape == "rows" and isinstance(rows, list):
            return rows
        if shape == "keyed" and isinstance(rows, dict):
            return [{**row, "@key": name} for name, row in rows.items() if isinstance(row, dict)]
        if shape == "columns" and isinstance(rows, dict):
            columns = {name: values for name, values in rows.items() if isinstance(values, list)}
            if len({*map(len, columns.values())}) <= 1:
                return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
            lengths = ", ".join(f"{name} {len(values)}" for name, values in columns.items())
            raise SourceNonsense(f"sends columns of different lengths: {lengths}", source=self.name)
        raise SourceNonsense(
            f"has no {shape} of {', '.join(symbols)} at {self._options.rows!r}, but {shown(rows)}", source=self.name,
            hint=f"set rows to the path of a list, or shape (now {shape}) to what is there",
        )  # fmt: skip

    def _read(self, rows: Sequence[tuple[str, Row]], timeframe: str, asked: str) -> list[Bar]:
        """The bars of rows; those without one are left out and told. Raises SourceNonsense when no time can be read."""
        bars: list[Bar] = []
        untimed = 0
        received = self._clock()
        for symbol, row in rows:
            try:
                bar = self._reader.bar(row, self._options.bars, symbol, timeframe, received)
                bars += [bar] if bar is not None else []
            except Unusable as error:
                untimed += isinstance(error, Untimed)
                if untimed == len(rows):
                    text = self._secrets.masked(f"answers {asked} without a time that can be read; {error}")
                    raise SourceNonsense(text, source=self.name, hint="check times.form and bars.time") from None
                text = f"{self.name}: a bar of {symbol} left out, {error}: {shown(row)}"
                self._odd(Oddity(self._secrets.masked(text)))
        return bars

    # --- one request ----------------------------------------------------------------------------------------------

    def _get(self, url: str, query: dict[str, str], values: dict[str, str], asked: str) -> Row:
        fetched = self._fetcher.get(
            filled(url, values, encode=True),
            {name: filled(text, values) for name, text in query.items()},
            {name: filled(text, values) for name, text in self._options.headers.items()},
            asked,
        )
        for path, meaning in self._options.errors.items():
            if has(fetched, path):
                said = self._secrets.masked(shown(pick(fetched, path)))
                raise _ERRORS[meaning](f"answers {asked} with {path}: {said}", source=self.name)
        return fetched

    def _theirs(self, symbol: str) -> str:
        return self._options.symbols.get(symbol, symbol)

    def _unmapped(self, error: Missing, asked: str) -> SourceNonsense:
        """The mapping does not fit the answer."""
        text = self._secrets.masked(f"answers {asked} with {error.text}")
        return SourceNonsense(text, source=self.name, hint=self._secrets.masked(error.hint))

    def _checked(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> int:
        """Where the answer ends (ns UTC). Raises DataError for a question without sense."""
        now = self._clock()
        check_asked(self.name, symbols, start, end, now)
        if timeframe not in self._options.timeframes:
            known = ", ".join(self._options.timeframes)
            raise DataError(f"{self.name} has no bars of {timeframe!r}", hint=f"its timeframes are {known}")
        return min(end, now)


def _traits(options: RestOptions) -> Traits:
    """A source that is polled is silent for as long as nothing is asked, or no bar can have ended."""
    kinds = (Kind.BARS, *((Kind.QUOTES,) if options.quote is not None else ()))
    timeframes = tuple(options.timeframes)
    poll = round(options.poll * SECOND)
    pause = 3 * poll if options.quote is not None else timeframe_ns(timeframes[0]) + 2 * poll
    return Traits(
        live=kinds if poll else (), timeframes=timeframes, mute=max(10 * SECOND, pause), history=True,
    )  # fmt: skip
