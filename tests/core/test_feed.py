"""The feed: bars once, quotes conflated without hiding extremes, and the conductor of lockstep."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.feed import FeedCore, conflated
from appliance.core.lockstep import STEPS, Barrier
from appliance.core.streams import Writer
from appliance.domain.market import MarketEvent, Quote
from appliance.domain.messages import DATA_BOOT, Offer, Settled, Stage, Step
from appliance.domain.operations import Progress, Spot
from tests.core.make import again, bar, quote, writers
from tests.playbook import BEGIN, SECOND, Playbook

MINUTE = 60 * SECOND
FIRST, SECOND_BAR = bar(1.0), bar(2.0, BEGIN + MINUTE)


def live() -> FeedCore:
    return FeedCore("feed", writers("feed"))


def offer(*events: MarketEvent, position: int = 0, done: bool = False) -> Offer:
    return Offer(position or len(events), events, done=done)


# --- live -----------------------------------------------------------------------------------------


def test_bars_go_to_the_stream_and_to_the_view() -> None:
    with Playbook(live()) as play:
        play >> offer(FIRST) << "feed/bars" << "view/bar/SPY"
    assert play.core.taken.position == play.core.taken.bars == 1  # type: ignore[attr-defined]


def test_a_bar_at_or_before_the_last_of_its_series_is_a_revision_and_never_new() -> None:
    with Playbook(live()) as play:
        play >> offer(FIRST) << FIRST << FIRST >> offer(FIRST) >> offer(bar(9.0))
        play >> offer(SECOND_BAR) << SECOND_BAR << SECOND_BAR >> offer(FIRST)
        other = bar(5.0, symbol="QQQ")
        play >> offer(other) << other << other


def test_revisions_are_known_after_a_restart() -> None:
    play = Playbook(live())
    play >> offer(FIRST) << ...
    with Playbook(again(play.core, live())) as after:
        after >> offer(FIRST) >> offer(SECOND_BAR) << SECOND_BAR << SECOND_BAR


def test_quotes_of_one_tick_are_one_message_in_name_order_and_numbered() -> None:
    with Playbook(live()) as play:
        play >> offer(quote(symbol="SPY"), quote(symbol="QQQ"))
        play << (lambda said: said.n == 1 and [q.symbol for q in said.quotes] == ["QQQ", "SPY"])
        play >> offer(quote()) << (lambda said: said.n == 2)


@pytest.mark.parametrize("event", [quote(), FIRST])
def test_an_offer_that_was_taken_is_not_wanted_again(event: MarketEvent) -> None:
    play = Playbook(live())
    play >> offer(event, position=7) << ...
    assert play.core.wanted == 7  # type: ignore[attr-defined]


def test_after_a_restart_a_source_goes_on_after_the_last_bar() -> None:
    play = Playbook(live())
    play >> offer(FIRST, position=7) >> offer(quote(), position=9) << ...
    assert again(play.core, live()).wanted == 7  # type: ignore[attr-defined]


def test_a_source_that_has_ended_is_not_asked_for_more() -> None:
    play = Playbook(live())
    assert play.core.hungry  # type: ignore[attr-defined]
    play >> offer(FIRST, done=True) << ...
    assert not play.core.hungry  # type: ignore[attr-defined]


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5)), min_size=1, max_size=12))
def test_conflation_keeps_the_lowest_bid_and_the_highest_ask_with_their_times(rows: list[tuple[int, int]]) -> None:
    quotes = [Quote("SPY", n + 1, float(bid), float(bid + spread)) for n, (bid, spread) in enumerate(rows)]
    merged: Quote | None = None
    for one in quotes:
        merged = conflated(merged, one)
    assert merged is not None
    lows, highs = min(q.bid for q in quotes), max(q.ask for q in quotes)
    assert (merged.bid, merged.ask, merged.time) == (quotes[-1].bid, quotes[-1].ask, quotes[-1].time)
    assert (merged.low, merged.high) == (lows, highs)
    assert merged.low_time in [q.time for q in quotes if q.bid == lows]
    assert merged.high_time in [q.time for q in quotes if q.ask == highs]


# --- lockstep -------------------------------------------------------------------------------------


def conductor() -> FeedCore:
    return FeedCore("feed", writers("feed"), Barrier(("guard",)))


def settle(play: Playbook, held: int = 0, deadline: int | None = None) -> None:
    """Everyone has consumed the last step."""
    step = play.core.writers[STEPS].last
    progress = Progress("guard", {STEPS: step}, {}, deadline, held=held, recovered=True)
    event = play.core.observe(progress)
    assert event is not None
    assert isinstance(event.body, Settled)
    play >> event


def steps(play: Playbook, held: dict[int, int], n: int) -> list[Any]:
    """Settle ``n`` times, ``held`` intents after the given step; (stage, time, round, events) of what is released."""
    found = []
    for index in range(n):
        settle(play, held.get(index, 0))
        found += [(s.stage, s.time - BEGIN, s.round, len(s.events)) for s in play.heard(Step)]
    return found


V, G, H, T = Stage.VENUE, Stage.GUARD, Stage.HOSTS, Stage.TAKE


def test_the_stages_of_two_times_with_and_without_intents() -> None:
    with Playbook(conductor(), boot=DATA_BOOT, start=0) as play:
        play >> offer(FIRST, bar(3.0, symbol="QQQ"), SECOND_BAR, done=True)
        assert steps(play, {3: 2, 5: 1}, 12) == [
            (V, MINUTE, 0, 2), (G, MINUTE, 0, 2), (H, MINUTE, 0, 2), (T, MINUTE, 0, 0), (H, MINUTE, 1, 0),
            (T, MINUTE, 1, 0), (H, MINUTE, 2, 0),
            (V, 2 * MINUTE, 0, 1), (G, 2 * MINUTE, 0, 1), (H, 2 * MINUTE, 0, 1), (Stage.DONE, 2 * MINUTE, 0, 0),
        ]  # fmt: skip
        assert play.core.done  # type: ignore[attr-defined]
        assert play.core.taken.bars == 3  # type: ignore[attr-defined]


def test_a_wakeup_stands_between_two_times() -> None:
    with Playbook(conductor(), boot=DATA_BOOT, start=0) as play:
        play >> offer(FIRST, SECOND_BAR, done=True)
        steps(play, {}, 3)
        settle(play, deadline=BEGIN + MINUTE + 5)
        play << Step(Stage.WAKE, BEGIN + MINUTE + 5)
        settle(play, deadline=BEGIN + MINUTE + 5)
        play << (lambda step: step.stage is Stage.VENUE)


def test_without_data_it_waits_and_goes_on_with_the_next_offer() -> None:
    with Playbook(conductor(), boot=DATA_BOOT, start=0) as play:
        settle(play)
        play >> offer(FIRST) << Step(V, BEGIN + MINUTE, 0, (FIRST,))


def test_a_word_about_a_step_that_is_no_longer_the_last_is_ignored() -> None:
    with Playbook(conductor(), boot=DATA_BOOT, start=0) as play:
        play >> offer(FIRST, SECOND_BAR)
        settle(play)
        play << Step >> Settled(0, None, Spot(0, 0))


@pytest.mark.parametrize("after", range(7))
def test_a_feed_that_restarts_after_any_step_goes_on_with_the_next(after: int) -> None:
    def run(restart: int) -> list[Step]:
        play = Playbook(conductor(), boot=DATA_BOOT, start=0)
        play >> offer(FIRST, SECOND_BAR, done=True)
        found: list[Step] = []
        for index in range(7):
            if index == restart:
                core = conductor()
                head = play.core.writers[STEPS].head
                core.writers[STEPS] = Writer(STEPS, head)
                core.restore(play.core.snapshot())
                play = Playbook(core, boot=DATA_BOOT, start=0)
                rest = (FIRST, SECOND_BAR)[core.wanted :]
                play >> Offer(core.wanted + len(rest), rest, done=True)
            settle(play)
            found += play.heard(Step)
        return found

    assert run(after) == run(-1)
