"""The live feed with real threads in a real turn: sources that hang up, and a restart that missed bars."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Iterator, Sequence

from appliance.core.feed import FeedCore
from appliance.core.turn import Turn
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk
from appliance.data.live.feed import LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Traits
from appliance.domain.market import HOUR, MINUTE, AlwaysOpen, Bar, CorporateAction
from appliance.errors import SourceDown
from tests.core.memory import HandClock, MemoryStore, Wire
from tests.playbook import BEGIN

NAMES = ("first", "second")
MARKET = AlwaysOpen()
TRUTH = tuple(
    Bar("SPY", "1m", BEGIN + n * MINUTE, BEGIN + (n + 1) * MINUTE, 100.0, 101.0, 99.0, 100.0 + n / 100, 5.0)
    for n in range(30)
)


class Told:
    """A source that tells some of the truth in each connection, then hangs up."""

    traits = Traits(live=(Kind.BARS,), history=True)

    def __init__(self, name: str, bars: Sequence[Bar]) -> None:
        self.name, self._bars = name, bars

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        tell(Linked(tuple(symbols)))
        for bar in self._bars:
            tell(bar)
        raise SourceDown("hung up", source=self.name)

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        yield tuple(bar for bar in TRUTH if start <= bar.start and bar.end <= end)

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        return ()


def desk(lasts: dict[Key, int]) -> Desk:
    return Desk(
        Selection(NAMES, ["SPY"], lambda symbol, now: MARKET.at(now).open, random.Random(1)),
        Sequencer(lambda symbol: MARKET, lasts),
        Reserve(),
        {name: Staleness(lambda symbol: MARKET, {}, BEGIN) for name in NAMES},
        Agreement(),
    )


def play(store: MemoryStore, first: Sequence[Bar], second: Sequence[Bar], count: int) -> list[int]:
    """Run a feed process until ``count`` bars are published: their ends."""
    clock, wire = HandClock(BEGIN + HOUR), Wire()
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), store, wire, clock, ())
    turn.start()
    past = Told("past", ())
    feed = LiveFeed([Told("first", first), Told("second", second)], [past], ["SPY"], [Kind.BARS], desk, clock)
    (fd, hush), *_ = feed.fds()
    until = time.monotonic() + 20
    ends: list[int] = []
    while len(ends) < count and time.monotonic() < until:
        if select.select([fd], [], [], 0.002)[0]:
            hush()
        clock.time += 20_000_000
        feed.poll(turn)
        while turn.run():
            pass
        ends = [event.body.end for event in wire.sent if event.stream == "feed/bars"]
    feed.close()
    assert clock.time - BEGIN < 2 * HOUR
    return ends


def ends(bars: Sequence[Bar]) -> list[int]:
    return [bar.end for bar in bars]


def test_the_second_source_tells_what_the_first_did_not_before_it_hung_up() -> None:
    assert play(MemoryStore(), TRUTH[:5], TRUTH, 30) == ends(TRUTH)


def test_a_restart_asks_history_for_the_bars_it_missed() -> None:
    store = MemoryStore()
    assert play(store, TRUTH[:10], (), 10) == ends(TRUTH[:10])
    assert play(store, TRUTH[20:], (), 20) == ends(TRUTH[10:])
