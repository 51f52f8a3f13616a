"""Longer bars of live sources and of history: over real sockets, and against the builder of strategies."""

from __future__ import annotations

import random
import select
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

import pytest
from msgspec.structs import replace

from appliance.core.feed import FeedCore
from appliance.core.turn import Turn
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk
from appliance.data.live.feed import LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.options import NEW_YORK, FileOptions
from appliance.data.sources.alpaca import AlpacaOptions, history
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Told, Traits, Wire
from appliance.data.sources.built import SETTLE, SKEW, BuiltHistory, BuiltLive, base_of
from appliance.data.sources.ibkr import IbkrLive, IbkrOptions
from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import (
    DAY,
    MINUTE,
    SECOND,
    TIMEFRAMES,
    AlwaysOpen,
    Bar,
    CorporateAction,
    Quote,
    Sessions,
    Split,
    Trade,
    timeframe_ns,
)
from appliance.errors import DataError, SourceBusy, SourceDown, UsageError
from appliance.strategy.bars import BarBuilder
from tests.core.memory import HandClock, MemoryStore
from tests.core.memory import Wire as Wires
from tests.data.source_contract import Listening, assert_bars, bars_of
from tests.standins.alpaca import AlpacaStandIn
from tests.standins.alpaca import Market as AlpacaMarket
from tests.standins.alpaca.market import bar as alpaca_bar
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.ibkr import IbkrStandIn, Market

EPOCH = 1_381_152_600
"""2013-10-07 09:30 in New York."""
BEGIN = EPOCH * SECOND
BOTH = [Kind.BARS, Kind.QUOTES]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


class Now:
    """A clock that stands where it is put."""

    def __init__(self, time: int) -> None:
        self.time = time

    def __call__(self) -> int:
        return self.time


class Scripted:
    """A live source that tells what it is given, and then waits for its end or raises."""

    name = "scripted"

    def __init__(
        self, now: Now, script: Sequence[Told | int], error: Exception | None = None, *live: Kind, base: str = "5s"
    ) -> None:
        self.traits = Traits(live=live or (Kind.BARS, Kind.QUOTES), timeframes=(base,))
        self.asked: tuple[Kind, ...] = ()
        self._now, self._script, self._error = now, script, error

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        self.asked = tuple(kinds)
        for one in self._script:
            if isinstance(one, int):
                self._now.time = one
            else:
                tell(one)
        if self._error is not None:
            raise self._error
        stop.wait(10)


def small(number: int, price: float = 100.0, symbol: str = "SPY") -> Bar:
    start = BEGIN + number * 5 * SECOND
    return Bar(symbol, "5s", start, start + 5 * SECOND, price, price, price, price, 1.0, "scripted", start + 5 * SECOND)


def told_of(
    script: Sequence[Told | int], sessions: Sessions, kinds: Sequence[Kind] = BOTH, *live: Kind,
    begin: int = BEGIN - 10 * SECOND, symbols: Sequence[str] = ("SPY",),
) -> list[Told]:  # fmt: skip
    """All that is told of a script which ends with an error."""
    now, told = Now(begin), list[Told]()
    source = BuiltLive(Scripted(now, script, SourceDown("over"), *live), "1m", lambda _: sessions, now)
    with pytest.raises(SourceDown, match="over"):
        source.run(symbols, kinds, told.append, threading.Event())
    return told


# --- live ----------------------------------------------------------------------------------------------------------


def test_five_seconds_of_interactive_brokers_are_told_as_a_minute(sessions: Sessions) -> None:
    now = Now(BEGIN - 10 * SECOND)
    with IbkrStandIn(Market()) as gateway:
        options = IbkrOptions(port=gateway.port, connect=1.0, answer=2.0, beat=0.3, settle=0.05)
        source = BuiltLive(IbkrLive(options, now), "1m", lambda _: sessions, now)
        assert source.traits.timeframes == ("1m",)
        assert source.traits.symbols == 50
        with Listening(source, ["SPY"], [*BOTH, Kind.TRADES]) as listening:
            listening.linked()
            now.time = BEGIN + MINUTE
            for number in range(12):
                price = 100.0 + number
                gateway.push_bars("SPY", (EPOCH + 5 * number, price, price + 1, price - 1, price + 0.5, 10, price, 3))
            told = listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    (made,) = [one for one in told if isinstance(one, Bar)]
    assert_bars([made], "ibkr", ["SPY"], "1m")
    assert (made.start, made.end, made.open, made.high, made.low, made.close, made.volume) == (
        BEGIN, BEGIN + MINUTE, 100.0, 112.0, 99.0, 111.5, 120.0,
    )  # fmt: skip


def test_a_minute_under_way_when_we_came_is_not_told_and_all_else_passes(sessions: Sessions) -> None:
    quote = Quote("SPY", BEGIN, 1.0, 2.0)
    script = [Linked(("SPY",)), Wire(), quote, *(small(number) for number in range(24))]
    told = told_of(script, sessions, begin=BEGIN + SECOND)
    assert told[:3] == script[:3]
    assert [(type(one), one.start) for one in told[3:]] == [(Bar, BEGIN + MINUTE)]  # type: ignore[union-attr]


def test_a_minute_that_begins_within_the_error_of_clocks_is_not_believed(sessions: Sessions) -> None:
    script = [Linked(("SPY",)), *(small(number) for number in range(12))]
    assert len(told_of(script, sessions, begin=BEGIN - SKEW)) == 2
    assert len(told_of(script, sessions, begin=BEGIN - SKEW + 1)) == 1


@pytest.mark.parametrize(("anew", "left"), [(None, []), (("SPY",), ["IBM"]), ((), ["IBM", "SPY"])])
def test_what_the_source_may_have_missed_is_not_told_as_whole(
    sessions: Sessions, anew: tuple[str, ...] | None, left: list[str]
) -> None:
    both = ("SPY", "IBM")
    bars = [small(number, 100.0, symbol) for number in range(12) for symbol in both]
    script = [Linked(both), *bars[:10], BEGIN + 26 * SECOND, Linked(both, {}, anew), *bars[10:]]
    told = told_of(script, sessions, symbols=both)
    assert sorted(one.symbol for one in told if isinstance(one, Bar)) == left


def test_time_tells_a_bar_whose_last_part_was_not_traded(sessions: Sessions) -> None:
    now = Now(BEGIN - 10 * SECOND)
    script = [Linked(("SPY",)), *(small(number) for number in range(9)), BEGIN + MINUTE + 5 * SECOND]
    source = BuiltLive(Scripted(now, script), "1m", lambda _: sessions, now)
    with Listening(source, ["SPY"], BOTH) as listening:
        told = listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    (made,) = [one for one in told if isinstance(one, Bar)]
    assert (made.volume, made.received, made.source) == (9.0, BEGIN + MINUTE + 5 * SECOND, "scripted")
    assert source.counts["SPY"]["told"] == 1


def test_a_source_of_trades_alone_tells_bars_of_them_and_trades_only_to_who_wants_them(sessions: Sessions) -> None:
    trades = [
        Trade("SPY", BEGIN + n * 10 * SECOND, 100.0 + n, 2.0, "scripted", BEGIN + n * 10 * SECOND) for n in range(8)
    ]
    script: list[Told | int] = [Linked(("SPY",)), *trades]
    told = told_of(script, sessions, [Kind.BARS], Kind.TRADES)
    (made,) = told[1:]
    assert isinstance(made, Bar)
    assert (made.open, made.close, made.volume, made.timeframe) == (100.0, 105.0, 12.0, "1m")
    assert len(told_of(script, sessions, [Kind.BARS, Kind.TRADES], Kind.TRADES)) == 1 + 1 + len(trades)
    alone = told_of(script, sessions, [Kind.TRADES], Kind.TRADES)
    assert alone == script, "who asks for no bars gets none built"


def test_delayed_data_make_the_bars_of_their_own_time(sessions: Sessions) -> None:
    lag = 15 * MINUTE
    now, told = Now(BEGIN - 10 * SECOND + lag), list[Told]()
    bars = [replace(small(number), received=small(number).end + lag) for number in range(24)]
    script = [Linked(("SPY",)), *bars[:12], now.time + MINUTE, *bars[12:]]
    source = BuiltLive(Scripted(now, script, SourceDown("over")), "1m", lambda _: sessions, now, lag=lag)
    with pytest.raises(SourceDown):
        source.run(["SPY"], BOTH, told.append, threading.Event())
    assert [one.revision for one in told if isinstance(one, Bar)] == [0, 0]


@pytest.mark.parametrize(
    ("live", "base", "timeframe", "says"),
    [
        ((Kind.BARS,), "5s", "7s", "no 7s bars"),
        ((Kind.BARS,), "1m", "1m", "no 1m bars"),
        ((Kind.BARS,), "5s", "1w", "no 1w bars"),
        ((Kind.BARS,), "5s", "5x", "'5x'"),
        ((Kind.QUOTES,), "5s", "1m", "neither bars nor all trades"),
    ],
)
def test_what_cannot_be_built_live_is_refused(live: tuple[Kind, ...], base: str, timeframe: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        BuiltLive(Scripted(Now(0), [], None, *live, base=base), timeframe, lambda _: AlwaysOpen())


def test_who_asks_for_shorter_bars_than_a_source_has_is_told_which_there_are() -> None:
    with pytest.raises(UsageError) as told:
        BuiltLive(Scripted(Now(0), [], None, Kind.BARS, base="1m"), "5s", lambda _: AlwaysOpen())
    assert told.value.hint.startswith("set timeframe to one of 1m, 5m, 15m, 30m, 1h, 1d, or name a source of shorter")


class Hanging:
    """Tells five seconds of the market by the clock, but misses some: connection after connection, each hangs up."""

    name = "scripted"
    traits = Traits(live=(Kind.BARS,), timeframes=("5s",))

    def __init__(self, now: Now, *heard: range) -> None:
        self._now, self._heard = now, [*heard]

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        numbers = self._heard.pop(0) if self._heard else range(0)
        for number in numbers:
            bar = small(number, 100.0 + number)
            if number == numbers[0]:
                self._now.time = bar.start
                tell(Linked(tuple(symbols)))
            self._now.time = bar.end
            tell(bar)
        raise SourceDown("hung up", source=self.name)


def test_minutes_that_a_lost_connection_cut_off_come_from_history_in_their_place(sessions: Sessions) -> None:
    now, clock, wire = Now(BEGIN), HandClock(BEGIN + 10 * MINUTE), Wires()
    five = [small(number, 100.0 + number) for number in range(120)]
    live = BuiltLive(Hanging(now, range(31), range(42, 120)), "1m", lambda _: sessions, now)
    past = BuiltHistory(Past(five), lambda _: sessions, now)
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), MemoryStore(), wire, clock, ())
    turn.start()

    def desk(lasts: dict[Key, int]) -> Desk:
        chosen = Selection([live.name], ["SPY"], lambda symbol, now: None, random.Random(1))
        staleness = {live.name: Staleness(lambda _: sessions, {}, BEGIN)}
        return Desk(chosen, Sequencer(lambda _: sessions, lasts), Reserve(), staleness, Agreement())

    feed = LiveFeed([live], [past], ["SPY"], [Kind.BARS], desk, clock)
    (fd, hush), *_ = feed.fds()
    until, published = time.monotonic() + 20, list[Bar]()
    while len(published) < 9 and time.monotonic() < until:
        if select.select([fd], [], [], 0.002)[0]:
            hush()
        clock.time += 5_000_000  # history is waited for by this clock
        feed.poll(turn)
        while turn.run():
            pass
        published = [event.body for event in wire.sent if event.stream == "feed/bars"]
    feed.close()
    truth = like_strategies(five, "1m", sessions)
    assert plain(published) == truth[1:], "but the minute under way when we came, each in its place"


def test_bars_are_not_built_from_trades_that_are_samples() -> None:
    delayed = IbkrLive(IbkrOptions(delayed=True))
    with pytest.raises(UsageError, match="ibkr tells neither bars nor all trades"):
        BuiltLive(delayed, "1m", lambda _: AlwaysOpen())


# --- history -------------------------------------------------------------------------------------------------------


class Past:
    """History of recorded bars of one timeframe, in pages, of one symbol or more."""

    name = "past"

    def __init__(self, bars: Sequence[Bar], page: int = 7, splits: Sequence[Split] = (), error: int = 0) -> None:
        timeframe = bars[0].timeframe if bars else "1d"
        self.traits = Traits(timeframes=(timeframe,), history=True, actions=bool(splits))
        self._bars, self._page, self._splits, self._error = bars, page, splits, error

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        found = [bar for bar in self._bars if bar.symbol in symbols and start <= bar.start and bar.end <= end]
        for number in range(0, len(found), self._page):
            if self._error and number >= self._error:
                raise SourceBusy("too many questions", source=self.name)
            yield tuple(found[number : number + self._page])

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        return tuple(split for split in self._splits if start <= split.time < end)


def recorded(sessions: Sessions, timeframe: str, first: str, last: str, symbol: str = "SPY") -> list[Bar]:
    """A random walk in all bars of some sessions."""
    length = timeframe_ns(timeframe)
    spans = [
        (start, min(start + length, session.close))
        for session in sessions
        if first <= session.date <= last
        for start in range(session.open, session.close, length if length < DAY else DAY)
    ]
    walk = random_walk(len(spans), 5, symbol)
    return [
        replace(one, timeframe=timeframe, start=start, end=end, source="past", received=end)
        for (start, end), one in zip(spans, walk, strict=True)
    ]


def like_strategies(bars: Sequence[Bar], timeframe: str, sessions: Sessions) -> list[Bar]:
    builder = BarBuilder("SPY", timeframe, sessions)
    return [done for bar in bars for done in builder.add(bar)]


def plain(bars: Sequence[Bar]) -> list[Bar]:
    return [replace(bar, source="", received=0) for bar in bars]


@pytest.mark.parametrize(
    ("base", "timeframe", "first", "last"),
    [
        ("30m", "1h", "2013-11-25", "2013-12-02"),
        ("30m", "4h", "2013-03-07", "2013-03-12"),
        ("30m", "1d", "2013-11-25", "2013-12-02"),
        ("1d", "1w", "2013-11-18", "2013-12-06"),
        ("1d", "1mo", "2013-10-01", "2013-12-31"),
        ("30m", "1mo", "2013-10-01", "2013-11-29"),
    ],
)
def test_history_builds_what_strategies_build(
    sessions: Sessions, base: str, timeframe: str, first: str, last: str
) -> None:
    bars = recorded(sessions, base, first, last)
    source = BuiltHistory(Past(bars), lambda _: sessions)
    made = bars_of(source, ["SPY"], timeframe, bars[0].start, bars[-1].end)
    assert plain(made) == like_strategies(bars, timeframe, sessions)
    assert sum(bar.volume for bar in made) == pytest.approx(sum(bar.volume for bar in bars))


def test_bars_that_the_question_cuts_off_are_not_told(sessions: Sessions) -> None:
    bars = recorded(sessions, "30m", "2013-10-07", "2013-10-08")
    source = BuiltHistory(Past(bars), lambda _: sessions)
    made = bars_of(source, ["SPY"], "1h", bars[1].start, bars[-1].end - MINUTE)
    whole = like_strategies(bars, "1h", sessions)
    assert plain(made) == whole[1:-1]
    assert bars_of(source, ["SPY"], "30m", bars[1].start, bars[3].end) == bars[1:4], "its own as they are"


def test_a_bar_whose_last_part_is_missing_is_told_once_that_cannot_come_any_more(sessions: Sessions) -> None:
    bars = recorded(sessions, "30m", "2013-10-07", "2013-10-07")[:3]
    end = bars[-1].end + 30 * MINUTE
    now = Now(end + SETTLE - 1)
    source = BuiltHistory(Past(bars), lambda _: sessions, now)
    assert len(bars_of(source, ["SPY"], "1h", bars[0].start, end)) == 1
    now.time = end + SETTLE
    assert len(bars_of(source, ["SPY"], "1h", bars[0].start, end)) == 2


def test_a_split_within_a_week_is_no_fall_of_its_price(sessions: Sessions) -> None:
    """Apple in June 2014: seven for one, on a Monday; here on a Wednesday."""
    days = recorded(sessions, "1d", "2014-06-02", "2014-06-13")
    wednesday = at("2014-06-11T00:00")
    raw = [
        replace(day, open=700.0, high=707.0, low=693.0, close=700.0, volume=10.0)
        if day.end < wednesday
        else replace(day, open=100.0, high=101.0, low=99.0, close=100.0, volume=70.0)
        for day in days
    ]
    source = BuiltHistory(Past(raw, splits=[Split("SPY", wednesday, 7, 1)]), lambda _: sessions)
    before, after = bars_of(source, ["SPY"], "1w", raw[0].start, raw[-1].end)
    assert (before.open, before.high, before.volume) == (700.0, 707.0, 50.0)
    assert (after.open, after.high, after.low, after.volume) == (100.0, 101.0, 99.0, 350.0)


def test_a_day_from_midnight_to_midnight_is_that_of_its_session(sessions: Sessions) -> None:
    days = recorded(sessions, "1d", "2013-11-25", "2013-11-29")
    plain_days = [
        replace(day, start=(midnight := day.start - day.start % DAY), end=midnight + DAY, received=midnight + DAY)
        for day in days
    ]
    source = BuiltHistory(Past(plain_days), lambda _: sessions)
    (week,) = bars_of(source, ["SPY"], "1w", plain_days[0].start, plain_days[-1].end + DAY)
    assert (week.start, week.end) == (at("2013-11-25T09:30"), at("2013-11-29T13:00"))


def test_pages_of_several_symbols_do_not_mix_them(sessions: Sessions) -> None:
    two = {symbol: recorded(sessions, "30m", "2013-10-07", "2013-10-07", symbol) for symbol in ("IBM", "SPY")}
    mixed = sorted([*two["IBM"], *two["SPY"]], key=lambda bar: (bar.end, bar.symbol))
    source = BuiltHistory(Past(mixed, page=1), lambda _: sessions)
    made = bars_of(source, ["SPY", "IBM"], "1d", mixed[0].start, mixed[-1].end)
    assert {bar.symbol: bar.close for bar in made} == {symbol: bars[-1].close for symbol, bars in two.items()}


def test_what_came_before_an_error_is_not_lost(sessions: Sessions) -> None:
    bars = recorded(sessions, "30m", "2013-10-07", "2013-10-08")
    source = BuiltHistory(Past(bars, page=6, error=12), lambda _: sessions)
    kept: list[Bar] = []

    def read() -> None:
        for page in source.bars(["SPY"], "1h", bars[0].start, bars[-1].end):
            kept.extend(page)

    with pytest.raises(SourceBusy, match="too many questions"):
        read()
    assert plain(kept) == like_strategies(bars[:12], "1h", sessions)


@pytest.mark.parametrize(
    ("own", "timeframe", "base"),
    [
        (("1m", "5m", "30m", "1d"), "1h", "30m"), (("1m", "5m", "30m", "1d"), "1mo", "1d"), (("1m", "7m"), "14m", "7m"),
        (("1m", "7m"), "15m", "1m"), (("1h", "1w"), "1mo", "1h"), (("1d",), "4h", ""), (("1w",), "1mo", ""),
        (("4h", "1h"), "1d", "4h"), (("5s",), "5s", ""), (("1d",), "2d", "1d"), (("2d",), "1w", ""),
    ],
)  # fmt: skip
def test_the_longest_that_divides_it_builds_it(own: tuple[str, ...], timeframe: str, base: str) -> None:
    assert base_of(own, timeframe) == base


@pytest.mark.parametrize("timeframe", ["2h", "1w", "1mo"])
def test_files_come_in_bars_that_lie_in_one_session(timeframe: str) -> None:
    assert timeframe in TIMEFRAMES
    with pytest.raises(UsageError, match=f"timeframe '{timeframe}'"):
        FileOptions(session="all", timeframe=timeframe).checked()


def test_a_source_of_half_hours_answers_for_all_that_they_build() -> None:
    source = BuiltHistory(Past(recorded_none("30m")), lambda _: AlwaysOpen())
    assert source.traits.timeframes == ("30m", "1h", "1d", "2h", "4h", "1w", "1mo")
    assert set(source.traits.timeframes) < set(TIMEFRAMES)
    with pytest.raises(DataError, match="no 5m bars"):
        next(source.bars(["SPY"], "5m", 0, DAY))
    with pytest.raises(DataError, match="'5x'"):
        next(source.bars(["SPY"], "5x", 0, DAY))


def recorded_none(timeframe: str) -> list[Bar]:
    return [Bar("SPY", timeframe, 0, timeframe_ns(timeframe), 1.0, 1.0, 1.0, 1.0, 1.0)]


def test_alpaca_answers_for_hours_that_begin_with_the_session(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    market = AlpacaMarket()
    halves = recorded(sessions, "30m", "2013-10-07", "2013-10-11")
    early = alpaca_bar(at("2013-10-07T09:00"), 1.0, 1.0, 1.0, 1.0, 5)
    rows = [alpaca_bar(bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in halves]
    market.add("bars", "SPY", [early, *rows], "30Min")
    with AlpacaStandIn(market, page_max=20) as server:
        own = history(AlpacaOptions(key=KEY, secret=SECRET, rest_url=server.rest_url), sessions)
        source = BuiltHistory(own, lambda _: sessions)
        made = bars_of(source, ["SPY"], "1h", at("2013-10-07T09:00"), halves[-1].end)
        with pytest.raises(DataError, match="not with the session"):
            bars_of(own, ["SPY"], "1h", halves[0].start, halves[-1].end)
        own.close()
    assert len(made) == 5 * 7
    assert plain(made) == like_strategies(halves, "1h", sessions)
