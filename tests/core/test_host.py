"""The host: strategies contained, wishes netted, nothing decided twice."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.core.host import HostCore
from appliance.core.wishes import Made, Wish
from appliance.domain.market import Bar, Quote
from appliance.domain.messages import DATA_BOOT, Stage, Step
from appliance.domain.operations import Latch
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Denied, Intent, Side, Signal
from tests.core.hosting import MINUTE, D, Puppet, begin, closes, done, failed_notice, holding, host, live, puppet, wants
from tests.core.make import again, bar, fill, intent, moment, order, writers
from tests.playbook import BEGIN, Playbook

# --- netting --------------------------------------------------------------------------------------


def test_a_wish_is_a_signal_and_an_intent_with_the_position_of_its_cause() -> None:
    with live() as play:
        play >> closes(play, 100) << Signal("trend", "SPY", D(100), "said so", 1, None, "feed/bars:1:1")
        play << wants(Side.BUY, 100, id="trend-1-1", strategy="trend", counter=1, cause="feed/bars:1:1", exit=False)


def test_the_same_wish_again_asks_for_nothing_more() -> None:
    with live() as play:
        play >> closes(play, 100) << Signal << Intent >> closes(play, 100) << Signal
        play >> closes(play, 150) << Signal << wants(Side.BUY, 50)


def test_an_exit_and_a_flip() -> None:
    with live() as play:
        holding(play, 100)
        play >> closes(play, 60) << Signal << wants(Side.SELL, 40, exit=True)
    with live() as play:
        holding(play, 100)
        play >> closes(play, -50) << Signal << wants(Side.SELL, 100, exit=True) << wants(Side.SELL, 50, exit=False)


def test_a_smaller_wish_waits_until_what_is_on_its_way_has_ended() -> None:
    with live() as play:
        play >> closes(play, 100)
        said = play.heard(Intent)[0]
        play >> closes(play, 30) << Signal
        done(play, said)
        play << wants(Side.SELL, 70, exit=True)


@pytest.mark.parametrize(
    "how", ["denied by the guard", OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.NOT_PLACED]
)
def test_what_came_to_nothing_is_no_longer_on_its_way(how: Any) -> None:
    with live() as play:
        play >> closes(play, 100)
        said = play.heard(Intent)[0]
        play >> (order(said, how) if isinstance(how, OrderStatus) else Denied(said, "X", "no"))
        play >> closes(play, 120) << Signal << wants(Side.BUY, 120)


def test_what_an_order_of_another_host_does_is_not_ours() -> None:
    with live() as play:
        (
            play
            >> order(intent(id="mean-1-1", strategy="mean"))
            >> Latch()
            >> closes(play, 100)
            << Signal
            << wants(Side.BUY, 100)
        )


# --- containment ----------------------------------------------------------------------------------


def test_what_a_strategy_raises_costs_it_this_call_and_nobody_else() -> None:
    play = live(Puppet, lambda: Mild("other"))
    play >> closes(play, 7) << ...
    play >> closes(play, 13)
    assert [said.strategy for said in play.heard(Signal)] == ["other"]
    assert puppet(play).heard == ["start", "bar 7"], "it goes on from before the call"
    play >> closes(play, 8)
    assert [said.strategy for said in play.heard(Signal)] == ["trend", "other"]
    assert any("bad luck" in line for line in play.core.logged)  # type: ignore[attr-defined]


def test_bars_heard_since_the_last_commit_are_not_lost_by_a_failure_and_not_acted_on_again() -> None:
    play = live()
    play.core.changes()
    for close in (7, 8):
        play >> closes(play, close)
    play << ...
    play >> closes(play, 13)
    assert play.heard(Signal) == []
    assert puppet(play).heard == ["start", "bar 7", "bar 8"]
    assert Playbook(again(play.core, host())).core.roster._saves.load("trend")["heard"] == puppet(play).heard  # type: ignore[attr-defined]


def test_a_strategy_that_cannot_hear_again_what_it_heard_goes_on_from_what_was_saved() -> None:
    class Forgetful(Puppet):
        seen: int

        def start(self, now: int) -> tuple[Wish, ...]:
            self.seen = 0
            return super().start(now)

        def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
            self.seen += 1  # nothing a restart would know
            return super().bar(bar, now)

    play = live(Forgetful)
    play.core.changes()
    play >> closes(play, 7) << ... >> closes(play, 13)
    assert puppet(play).heard == ["start"]
    play.core.changes()


def test_what_is_saved_does_not_depend_on_how_often() -> None:
    often, seldom = live(), live()
    for play in (often, seldom):
        for close in (7, 13, 8, 9):
            play >> closes(play, close)
            if play is often:
                play.core.changes()
    assert often.core.snapshot() == seldom.core.snapshot()


def test_quotes_go_only_to_those_who_listen_and_a_new_runner_is_asked_again() -> None:
    class Deaf(Puppet):
        def hears(self, hook: str) -> bool:
            return hook == "bar"

        def quote(self, quote: Quote, now: int) -> tuple[Wish, ...]:
            raise AssertionError

    play = live(Deaf, lambda: Puppet("other"))
    runners = play.core.roster.runners  # type: ignore[attr-defined]
    assert (runners.hearing("SPY", "quote"), runners.hearing("SPY", "bar")) == (("other",), ("trend", "other"))
    runners["trend"] = Puppet()
    assert runners.hearing("SPY", "quote") == ("trend", "other")
    runners.remove("other")
    assert (runners.hearing("SPY", "quote"), runners.hearing("QQQ", "bar")) == (("trend",), ())


def test_what_prices_change_is_kept_each_minute_and_goes_on_from_there_after_a_kill() -> None:
    def funded() -> HostCore:
        made = [Made("trend", lambda: Mild("trend"))]
        return HostCore("host@trend", writers("host@trend"), made, allotments={"trend": D(10_000)})

    def marks(core: HostCore) -> int:
        return core.tracker.performance("trend").exposure.moments

    def seconds(play: Playbook, count: int) -> None:
        for _ in range(count):
            play.later(1)
            play >> bar(10.0, play.now.time - MINUTE) << ...
            changed = play.core.changes()
            written.extend(key for key in changed if key == "performance/trend")
            kept.update({key: value for key, value in changed.items() if value is not None})

    kept: dict[str, bytes] = {}
    written: list[str] = []
    first, second = funded(), funded()
    play = Playbook(first)
    begin(play)
    seconds(play, 150)
    assert len(written) in (3, 4), "at the start, and each minute"
    second.restore(kept)
    after = Playbook(second)
    after.now = play.now
    begin(after)
    saved = marks(second)
    assert marks(first) - 60 <= saved < marks(first)
    seconds(after, 5)
    assert marks(second) == saved + 4, "the last second's prices wait for the next"


class Mild(Puppet):
    """It fears no number."""

    def bar(self, bar: Bar, now: int) -> tuple[Wish, ...]:
        return (Wish(bar.symbol, D(1)),)


def test_the_third_failure_in_ten_minutes_pauses_a_strategy() -> None:
    with live() as play:
        play >> closes(play, 13) >> closes(play, 13) >> closes(play, 13) << failed_notice("trend", "bad luck")
        play >> closes(play, 100)
    assert "bar 100" not in puppet(play).heard


def test_failures_far_apart_do_not_pause() -> None:
    with live() as play:
        for _ in range(4):
            play >> closes(play, 13)
            play.later(300)
        play >> closes(play, 100) << Signal << Intent


def test_a_backtest_raises_what_a_strategy_raises() -> None:
    play = Playbook(host(keep=False))
    begin(play)
    with pytest.raises(ValueError, match="bad luck"):
        play >> closes(play, 13)


def test_a_strategy_that_cannot_start_is_paused_and_the_others_run() -> None:
    class Broken(Puppet):
        def start(self, now: int) -> tuple[Wish, ...]:
            raise RuntimeError("no")

    with live(lambda: Broken("broken"), Puppet) as play:
        play << failed_notice("broken", "cannot start: RuntimeError: no")
        play >> closes(play, 5) << (lambda said: said.strategy == "trend") << Intent


def test_the_position_is_known_before_the_fill_is_told() -> None:
    play = live()
    holding(play, 100)
    assert puppet(play).heard[-3:] == ["order sending", "fill 100 of 100", "order filled"]


def test_after_a_failure_the_position_is_still_known() -> None:
    play = live()
    holding(play, 100)
    play >> closes(play, 13) << ...
    assert puppet(play).positions == {"SPY": D(100)}


def test_a_restart_goes_on_from_the_last_call() -> None:
    play = live()
    holding(play, 100)
    after = Playbook(again(play.core, host()))
    after.now = play.now
    after.later(1)
    begin(after)
    assert puppet(after).heard == puppet(play).heard
    assert puppet(after).positions == {"SPY": D(100)}
    with after:
        after >> bar(40, after.now.time - MINUTE) << Signal << wants(Side.SELL, 60, exit=True)


# --- adoption -------------------------------------------------------------------------------------


def adopted(event: int) -> Playbook:
    """A host that forgot an intent: its order was decided at ``feed/bars:1:<event>`` and is working."""
    lost = intent(id="trend-1-1", counter=4, cause=f"feed/bars:1:{event}", quantity=D(100), decided=moment())
    play = Playbook(host())
    play.unread.extend(play.core.started(play.now))
    play >> order(lost)
    play.unread.extend(play.core.released(play.now))
    play << ...
    return play


def test_an_unknown_order_of_ours_is_on_its_way_and_not_asked_for_again() -> None:
    with adopted(0) as play:
        play >> closes(play, 100) << (lambda said: said.counter == 5)


def test_decisions_at_or_before_the_deciding_event_are_not_made_again() -> None:
    with adopted(2) as play:
        play >> closes(play, 500) >> closes(play, 600)
        assert puppet(play).heard[-2:] == ["bar 500", "bar 600"], "state is updated all the same"
        play >> closes(play, 150) << Signal << wants(Side.BUY, 50)


def test_an_adopted_fill_is_the_position() -> None:
    play = Playbook(host())
    play.unread.extend(play.core.started(play.now))
    lost = order(intent(), OrderStatus.SENDING)
    play >> lost >> fill(lost) >> replace(lost, status=OrderStatus.FILLED, filled=lost.quantity)
    play.unread.extend(play.core.released(play.now))
    play << ...
    assert puppet(play).positions == {"SPY": D(100)}


# --- the past -------------------------------------------------------------------------------------


def test_the_past_is_learnt_from_and_not_traded_and_then_one_target_is_given() -> None:
    with live() as play:
        play.later(600)
        for n, close in enumerate((10, 20, 30)):
            play >> bar(close, BEGIN + n * MINUTE) << Signal
        play >> bar(40, play.now.time - MINUTE) << Signal << wants(Side.BUY, 40)


def test_a_target_of_the_past_that_was_not_said_anew_is_given_in_the_present() -> None:
    with live(lambda: Puppet(symbols=("QQQ", "SPY"))) as play:
        play.later(600)
        play >> bar(10, BEGIN) << Signal >> bar(20, BEGIN + MINUTE) << Signal
        play >> bar(5, play.now.time - MINUTE, symbol="QQQ") << Signal << wants(Side.BUY, 5, symbol="QQQ")
        play << wants(Side.BUY, 20, symbol="SPY")


# --- lockstep -------------------------------------------------------------------------------------


def test_order_events_wait_for_the_hosts_stage() -> None:
    with Playbook(host(), boot=DATA_BOOT) as play:
        begin(play)
        play >> Step(Stage.HOSTS, play.now.time, 0, (bar(100),)) << Signal
        play << wants(Side.BUY, 100, staged=True)
        said = intent(id="trend-1-1")
        done(play, said)
        assert puppet(play).heard == ["start", "bar 100"]
        play >> Step(Stage.VENUE, play.now.time) >> Step(Stage.GUARD, play.now.time)
        assert puppet(play).heard == ["start", "bar 100"]
        play >> Step(Stage.HOSTS, play.now.time, 1)
        assert puppet(play).heard[2:] == ["order sending", "fill 100 of 100", "order filled"]


def test_what_was_deferred_is_asked_for_at_the_hosts_stage() -> None:
    with Playbook(host(), boot=DATA_BOOT) as play:
        begin(play)
        play >> Step(Stage.HOSTS, play.now.time, 0, (bar(100),)) << Signal << Intent
        play >> Step(Stage.HOSTS, play.now.time, 0, (bar(30, BEGIN + MINUTE),)) << Signal
        done(play, intent(id="trend-1-1"))
        play >> Step(Stage.HOSTS, play.now.time, 1) << wants(Side.SELL, 70, exit=True)


def test_told_but_not_heard_survives_a_restart() -> None:
    play = Playbook(host(), boot=DATA_BOOT)
    begin(play)
    play >> Step(Stage.HOSTS, play.now.time, 0, (bar(100),))
    done(play, intent(id="trend-1-1"))
    after = Playbook(again(play.core, host()), boot=DATA_BOOT)
    begin(after)
    after >> Step(Stage.HOSTS, after.now.time, 1)
    assert puppet(after).heard[-3:] == ["order sending", "fill 100 of 100", "order filled"]
