"""Timers end to end: through host and runner, in a backtest, by the feed's own stages, and live."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.feed import FeedCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.lockstep import Barrier
from appliance.core.models import MarketModel
from appliance.core.streams import Writers
from appliance.core.timing import GRACE, PATIENCE
from appliance.domain import topics
from appliance.domain.market import MINUTE, Bar
from appliance.domain.messages import DATA_BOOT, Event, Now, Offer, Settled, Stage, local
from appliance.domain.operations import Verb, Wakeup
from appliance.domain.trading import Fill, Intent, Order, Signal
from appliance.world.backtest import Backtest, Note
from tests.core.clockwork import bars, maker, new_york
from tests.core.hosting import SECOND, Scripted, asks, begin, begun, host, live, puppet, target
from tests.core.make import bar, writers
from tests.playbook import Playbook

D = Decimal
FIRST = next(iter(new_york()))


# --- backtest and lockstep ------------------------------------------------------------------------


class Kept(Backtest):
    """A backtest that remembers what was said of orders."""

    def __init__(self, *makers: Any) -> None:
        self.said: list[Any] = []
        super().__init__("trend", makers, rules(LimitValues()), D(1_000_000), MarketModel(), new_york())

    def _noting(self, kind: type) -> tuple[Note, ...]:
        remembered = (self.said.append,) if kind in (Intent, Order, Fill, Signal) else ()
        return (*remembered, *super()._noting(kind))

    def heard(self) -> list[str]:
        runner = self.host.roster.runners["clockwork"]
        return list(runner.snapshot()["state"]["heard"])

    def step(self, event: Event) -> None:
        """One stage as the feed releases it: everybody hears it."""
        self._now = Now(event.body.time, DATA_BOOT, event.body.time)
        self._deliver(event, (self.paper, self.host, self.guard))


def by_the_feed(run: Kept, events: tuple[Bar, ...]) -> None:
    """Let the feed conduct the cores: everyone has settled whenever nothing is left to route."""
    feed = FeedCore("feed", Writers(topics.streams_written_by("feed")), Barrier(()))
    now = Now(0, DATA_BOOT, 0)
    feed.handle(local(Offer(len(events), events, done=True)), now)
    while not feed.done:
        settled = Settled(run.guard.held(), run.host.deadline(), feed.writers["feed/steps"].last)
        for event in feed.handle(local(settled), now):
            if event.body.stage is not Stage.DONE:
                run.step(event)


@pytest.mark.parametrize("gap", [0, 6], ids=["whole days", "QQQ falls silent"])
def test_the_feeds_stages_and_a_backtest_make_the_same_of_timers(gap: int) -> None:
    events = bars(4, gap)
    straight, conducted = Kept(maker()), Kept(maker())
    straight.run(events)
    by_the_feed(conducted, events)
    assert straight.heard() == conducted.heard()
    assert straight.said == conducted.said
    assert sum(isinstance(said, Fill) for said in straight.said) > 20


def test_timers_sessions_and_silence_come_in_market_time_after_the_bars_of_their_time() -> None:
    run = Kept(maker())
    run.run(bars(2, gap=6))
    heard = [(line.rpartition(" ")[0], int(line.rpartition(" ")[2]) - FIRST.open) for line in run.heard()]
    named = [one for one in heard if one[0] in ("open", "before_close", "close", "late", "last", "stale QQQ")]
    hours = FIRST.close - FIRST.open
    assert named[:5] == [
        ("late", 6 * 60 * MINUTE),
        ("stale QQQ", hours - 15 * MINUTE),
        ("before_close", hours - 10 * MINUTE),
        ("last", hours - 5 * MINUTE),
        ("close", hours),
    ], "the open of the day it was started in is over by its first bar"
    assert named[5][0] == "open"
    assert [time // MINUTE for name, time in heard if name == "tick"][:19] == [20 * n for n in range(1, 20)]
    tick = heard.index(("tick", 20 * MINUTE))
    assert [name for name, time in heard[:tick] if time == 20 * MINUTE] == ["bar QQQ", "bar SPY"]


# --- live -----------------------------------------------------------------------------------------


class Ticking(Scripted):
    """It wants a timer each minute."""

    def __init__(self, name: str = "trend", **script: Any) -> None:
        super().__init__(name, **script)
        self.next = 0

    def start(self, now: int) -> tuple[Any, ...]:
        self.next = now + 60 * SECOND
        return ()

    def due(self) -> int | None:
        return self.next

    def timer(self, due: int, now: int) -> Any:
        self.next = due + 60 * SECOND
        return self._does("timer", due)

    def skip(self, now: int) -> None:
        while self.next <= now:
            self.next += 60 * SECOND

    def snapshot(self) -> dict[str, Any]:
        return {"next": self.next, "heard": list(self.heard)}

    def restore(self, data: dict[str, Any]) -> None:
        self.next, self.heard = data["next"], list(data["heard"])


def ticking(**script: Any) -> Any:
    return lambda: Ticking(**script)


def timers(play: Playbook) -> int:
    return puppet(play).heard.count("timer")


def test_a_timer_is_due_a_grace_after_its_time_so_that_its_bar_comes_first() -> None:
    play = live(ticking(timer=target(1)))
    play.later(6)
    assert play.core.deadline() == puppet(play).next + GRACE  # type: ignore[attr-defined]
    play.later(54)
    play >> Wakeup()
    assert timers(play) == 0
    play >> bar(1, play.now.time - MINUTE)
    assert puppet(play).heard == ["bar"]
    play.later(1)
    play >> Wakeup()
    assert puppet(play).heard == ["bar", "timer"]


def test_a_bar_that_ends_after_a_timer_comes_after_it() -> None:
    play = live(ticking())
    play.later(90)
    play >> bar(1, play.now.time - MINUTE)
    assert puppet(play).heard == ["timer", "bar"]


def test_after_a_start_timers_wait_for_bars_of_their_time() -> None:
    """An hour without power: the feed still has its bars, and they come before the timers that were due among them."""
    play = live(ticking(timer=target(1)))
    after = Playbook(host(ticking(timer=target(1))))
    after.core.restore(play.core.snapshot())
    after.now = play.now
    after.later(3_600)
    begin(after)
    assert after.core.deadline() == after.now.ticks + PATIENCE
    begun_at = play.now.time
    for number in range(60):
        after >> bar(1, begun_at + number * MINUTE)
    assert puppet(after).heard == ["bar"] + ["timer", "bar"] * 59, "as if there had been power"
    assert [said.quantity for said in after.heard(Intent)] == [1], "and the past is not traded"


def test_a_timer_that_raises_is_over_and_counts() -> None:
    play = live(ticking(timer=lambda due: 1 / 0))
    play.later(61)
    play >> Wakeup()
    assert play.core.figures()["strategy_failures"] == 1
    assert puppet(play).next > play.now.time, "it does not come again"
    play >> bar(1, play.now.time - MINUTE)
    assert play.core.figures()["strategy_failures"] == 1


def test_a_timer_that_raises_at_a_bar_from_a_fast_clock_is_over_too() -> None:
    play = live(ticking(timer=lambda due: 1 / 0))
    play.later(59)
    play >> bar(1, play.now.time - 58 * SECOND)
    assert play.core.figures()["strategy_failures"] == 1


@pytest.mark.parametrize("verb", [Verb.PAUSE_STRATEGY, Verb.STOP_STRATEGY])
def test_a_strategy_that_does_not_run_wants_no_timers(verb: Verb) -> None:
    play = live(ticking())
    play >> asks(verb, "c1")
    assert play.core.deadline() is None
    play.later(600)
    play >> Wakeup() >> bar(1, play.now.time - MINUTE)
    assert timers(play) == 0


def test_what_was_due_during_a_pause_is_skipped() -> None:
    play = live(ticking())
    play >> asks(Verb.PAUSE_STRATEGY, "c1")
    play.later(600)
    play >> asks(Verb.RESUME_STRATEGY, "c2") >> Wakeup()
    assert timers(play) == 0
    play.later(61)
    play >> Wakeup()
    assert timers(play) == 1


def test_timers_of_one_time_come_in_order_of_their_strategies() -> None:
    order: list[str] = []

    def noting(name: str) -> Any:
        return lambda: Ticking(name, timer=lambda due: order.append(name) or ())

    makers = (noting("b"), noting("a"))
    play = live(*makers)
    play.later(61)
    play >> Wakeup()
    assert order == ["b", "a"], "the order of the settings, as for bars"


def test_a_restart_at_any_bar_hears_the_same_clock() -> None:
    """The real strategy, live: cut at each message of a day, it has heard the same and asked for the same."""
    day = bars(1, gap=6)

    def run(cuts: int) -> tuple[list[Any], list[str]]:
        play = Playbook(clockwork())
        play.now = Now(day[0].end, "boot-1", day[0].end)
        begin(play)
        said: list[Any] = []
        for number, one in enumerate(day):
            play.now = Now(one.end + SECOND // 2, "boot-1", one.end + SECOND // 2)
            if cuts and number % cuts == cuts - 1:
                numbers = play._writers
                play = begun(play, clockwork())
                play._writers = numbers
            play >> one
            play.later(0.5)
            play >> Wakeup()
            said += play.heard(Signal)
        runner = play.core.roster.runners["clockwork"]  # type: ignore[attr-defined]
        return said, list(runner.snapshot()["state"]["heard"])

    steady = run(0)
    assert len(steady[0]) > 10
    assert [run(cuts) for cuts in (1, 2, 7)] == [steady] * 3


def clockwork() -> HostCore:
    return HostCore("host@trend", writers("host@trend"), [maker()], allotments={"clockwork": D(1)}, sessions=new_york())
