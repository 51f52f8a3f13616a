"""The live feed with real threads in a real turn: sources that hang up, and a restart that missed bars."""

from __future__ import annotations

import random
import select
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from appliance.commands.replay import Replay
from appliance.core.feed import FeedCore
from appliance.core.turn import Turn
from appliance.data.live import feed as module
from appliance.data.live.agreement import Agreement
from appliance.data.live.desk import Desk, Todo
from appliance.data.live.feed import LiveFeed
from appliance.data.live.reserve import Reserve
from appliance.data.live.selection import Selection
from appliance.data.live.sequencer import Key, Sequencer
from appliance.data.live.staleness import Staleness
from appliance.data.sources.base import Kind, Linked, Stop, Tell, Traits
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Bar, CorporateAction
from appliance.domain.messages import Event, Now, local
from appliance.domain.operations import Notice, Severity
from appliance.errors import SourceDown
from appliance.shell import audit
from appliance.shell.clock import MachineClock
from appliance.shell.journal import Journal
from appliance.shell.locks import Lock
from tests.core.memory import HandClock, MemoryStore, Wire
from tests.data.live.stage import BARS_TOLD, Stage
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


def desk(lasts: dict[Key, int], names: Sequence[str] = NAMES) -> Desk:
    return Desk(
        Selection(names, ["SPY"], lambda symbol, now: MARKET.at(now).open, random.Random(1)),
        Sequencer(lambda symbol: MARKET, lasts),
        Reserve(),
        {name: Staleness(lambda symbol: MARKET, {}, BEGIN) for name in names},
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


class Waiting(Told):
    """Says nothing until it is asked to end."""

    def __init__(self, name: str, bars: Sequence[Bar]) -> None:
        super().__init__(name, bars)
        self.runs, self.news = 0, threading.Event()

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        self.runs += 1
        tell(Linked(tuple(symbols)))
        stop.wait(30)


class SetClock(HandClock):
    """A wall clock that is set by ``off`` ns."""

    off = 0

    def now(self, event: Event | None) -> Now:
        return Now(self.time + self.off, self.boot, self.time)


@pytest.mark.parametrize("by", [-DAY, DAY])
def test_sources_are_connected_anew_at_once_when_the_clock_is_set(by: int) -> None:
    clock = SetClock(BEGIN + HOUR)
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), MemoryStore(), Wire(), clock, ())
    turn.start()
    source = Waiting("first", ())
    feed = LiveFeed([source], [], ["SPY"], [Kind.BARS], partial(desk, names=["first"]), clock)
    for runs in (1, 2):
        until = time.monotonic() + 5
        while source.runs < runs and time.monotonic() < until:
            clock.time += SECOND // 10
            feed.poll(turn)
            source.news.wait(0.002)
        assert source.runs == runs
        clock.off = by
    feed.close()
    assert clock.time < BEGIN + HOUR + 10 * MINUTE


class Deaf(Told):
    """Says nothing and ends only when the test does."""

    def __init__(self, name: str, released: threading.Event) -> None:
        super().__init__(name, ())
        self.released, self.runs = released, 0

    def run(self, symbols: Sequence[str], kinds: Sequence[Kind], tell: Tell, stop: Stop) -> None:
        self.runs += 1
        self.released.wait(30)


def test_sources_that_do_not_end_are_left_behind_after_one_patience_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    released = threading.Event()
    clock = MachineClock()
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), MemoryStore(), Wire(), clock, ())
    turn.start()
    feed = LiveFeed([Deaf(name, released) for name in NAMES], [], ["SPY"], [Kind.BARS], desk, clock)
    feed.poll(turn)
    began = time.monotonic()
    feed.close()
    assert 0.05 <= time.monotonic() - began < 1.0
    released.set()


def test_a_source_that_does_not_end_is_told_and_never_run_twice() -> None:
    released, clock, wire = threading.Event(), HandClock(), Wire()
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), MemoryStore(), wire, clock, ())
    turn.start()
    deaf = Deaf("first", released)
    feed = LiveFeed([deaf, Told("second", ())], [], ["SPY"], [Kind.BARS], desk, clock)
    for _ in range(200):
        clock.time += 3 * SECOND
        feed.poll(turn)
        while turn.run():
            pass
    told = [event.body for event in wire.sent if event.stream == "feed/notices"]
    assert [one.holds for one in told if one.code == "source_stuck/first"] == [True]
    assert deaf.runs == 1
    released.set()
    feed.close()


def test_a_source_that_is_gone_from_the_settings_is_shown_as_gone_and_forgotten() -> None:
    store, clock, wire = MemoryStore(), HandClock(), Wire()
    for sources in ([Told("old", ()), Told("first", ())], [Told("first", ())], [Told("first", ())]):
        turn = Turn("feed", lambda writers: FeedCore("feed", writers), store, wire, clock, ())
        turn.start()
        feed = LiveFeed(sources, [], ["SPY"], [Kind.BARS], partial(desk, names=[one.name for one in sources]), clock)
        feed.poll(turn)
        while turn.run():
            pass
        feed.close()
    shown = [event.body.state for event in wire.sent if event.topic == "view/source/old"]
    assert shown[-1] == "gone"
    assert shown.count("gone") == 1


def test_what_the_last_life_told_is_lifted_and_told_again_where_it_still_holds() -> None:
    store, wire = MemoryStore(), Wire()
    for _ in range(2):
        clock = HandClock(BEGIN)
        turn = Turn("feed", lambda writers: FeedCore("feed", writers), store, wire, clock, ())
        turn.start()
        feed = LiveFeed([Told("first", ()), Told("second", ())], [], ["SPY"], [Kind.BARS], desk, clock)
        feed.poll(turn)
        feed._follow(Todo(notices=[Notice("odd", Severity.WARNING, "nonsense")]))
        feed.poll(turn)
        while turn.run():
            pass
        feed.close()
    told = [event.body for event in wire.sent if event.stream == "feed/notices"]
    assert [(one.code, one.holds) for one in told if one.code == "odd"] == [
        ("odd", True),
        ("odd", False),
        ("odd", True),
    ]


def test_a_journal_of_offers_with_notices_and_views_replays_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "feed.sqlite"
    journal = Journal(path, "feed", Lock(tmp_path / "lock"))
    turn = Turn("feed", lambda writers: FeedCore("feed", writers), journal, Wire(), HandClock(), ())
    turn.start()
    stage = Stage("wrong_order", 10, told=(BARS_TOLD[:40],))
    stage.offer = lambda offer, now: turn.accept(local(offer, now, "source/live"))
    stage.run()
    while turn.run():
        pass
    journal.close()
    connection = audit.opened(path)
    outcome = Replay("feed", lambda writers: FeedCore("feed", writers), connection, lambda position: b"").run()
    connection.close()
    assert outcome.difference is None
    assert outcome.compared >= 40 + len(stage.notices)
    assert len(stage.notices) > 0
