"""Quotes that come too fast are told together, a hundredth of a second apart at most; bars wait for nothing."""

from __future__ import annotations

import queue
import random
import select
from collections.abc import Iterator, Sequence

import pytest

from appliance.core.feed import FeedCore
from appliance.core.turn import Turn
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk
from appliance.data.live.feed import PAUSE, LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Told, Traits
from appliance.domain.market import MINUTE, AlwaysOpen, Bar, Quote
from appliance.domain.messages import Event, EventType
from tests.core.memory import HandClock, MemoryStore, Wire
from tests.playbook import BEGIN

KINDS = (Kind.BARS, Kind.QUOTES)
MARKET = AlwaysOpen()


class Speaker:
    """A source that tells what it is given, and answers when it has told it."""

    name, traits = "speaker", Traits(live=KINDS)

    def __init__(self) -> None:
        self.words: queue.Queue[Told | None] = queue.Queue()

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        while (word := self.words.get()) is not None:
            tell(word)
            self.words.task_done()

    def say(self, *words: Told) -> None:
        for word in words:
            self.words.put(word)
        self.words.join()


class Stand:
    """A feed whose clock is moved by hand."""

    def __init__(self) -> None:
        self.clock, self.wire, self.speaker = HandClock(BEGIN), Wire(), Speaker()
        self.turn = Turn("feed", lambda writers: FeedCore("feed", writers), MemoryStore(), self.wire, self.clock, ())
        self.turn.start()
        self.feed = LiveFeed([self.speaker], [], ["SPY"], KINDS, self._desk, self.clock)
        self.poll()
        self.speaker.say(Linked(("SPY",)))
        self.poll()

    def _desk(self, lasts: dict[Key, int]) -> Desk:
        return Desk(
            Selection(["speaker"], ["SPY"], lambda symbol, now: BEGIN, random.Random(1)),
            Sequencer(lambda symbol: MARKET, lasts),
            Reserve(),
            {"speaker": Staleness(lambda symbol: MARKET, {}, BEGIN)},
            Agreement(),
        )

    def poll(self, later: int = 0) -> list[Event]:
        """What is published ``later`` ns from now."""
        self.clock.time += later
        (fd, hush), *_ = self.feed.fds()
        if select.select([fd], [], [], 0)[0]:
            hush()
        self.feed.poll(self.turn)
        while self.turn.run():
            pass
        return self.wire.take()

    def quotes(self, later: int = 0) -> list[Quote]:
        return [quote for event in self.poll(later) if event.type is EventType.TICKS for quote in event.body.quotes]


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.speaker.words.put(None)
    stand.feed.close()


def quote(bid: float, time: int = 0) -> Quote:
    return Quote("SPY", BEGIN + time, bid, bid + 1, 1.0, 1.0, source="speaker", received=BEGIN + time)


def test_the_first_quote_is_told_at_once_and_the_next_ones_together_with_their_extremes(stand: Stand) -> None:
    stand.speaker.say(quote(10))
    assert [one.bid for one in stand.quotes()] == [10]
    stand.speaker.say(quote(8, 1), quote(12, 2), quote(11, 3))
    assert stand.quotes(PAUSE - 1) == []
    assert stand.feed.next_deadline() == stand.clock.time + 1
    (told,) = stand.quotes(1)
    assert (told.bid, told.low, told.high) == (11, 8, 13)
    assert stand.quotes(PAUSE) == []


def test_a_bar_does_not_wait_for_quotes(stand: Stand) -> None:
    stand.speaker.say(quote(10))
    stand.quotes()
    bar = Bar("SPY", "1m", BEGIN - MINUTE, BEGIN, 10.0, 10.0, 10.0, 10.0, 1.0, "speaker", BEGIN)
    stand.speaker.say(quote(9, 1), bar)
    published = stand.poll(1)
    assert [event.body for event in published if event.stream == "feed/bars"] == [bar]
    assert not [event for event in published if event.type is EventType.TICKS]
    assert [one.bid for one in stand.quotes(PAUSE)] == [9]
