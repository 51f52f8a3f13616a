from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.sources.random_walk import random_walk
from appliance.data.sources.simulated import SYMBOLS, SimulatedMarket
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, Bar, MarketEvent, Quote, known_at
from appliance.errors import UsageError

START = 1_700_000_000 * SECOND


def run(market: SimulatedMarket, begin: int, end: int, stride: int = SECOND) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    for until in range(begin + stride, end + 1, stride):
        events += market.advance(until)
    return events


def bars(events: list[MarketEvent]) -> list[Bar]:
    return [event for event in events if isinstance(event, Bar)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64), stride=st.integers(SECOND // 20, 4 * SECOND))
def test_the_same_seed_gives_the_same_events_however_often_it_is_asked(seed: int, stride: int) -> None:
    end = START + 20 * SECOND
    by_second = run(SimulatedMarket(seed, START), START, end)
    other = SimulatedMarket(seed, START)
    assert run(other, START, end, stride) + list(other.advance(end)) == by_second


def test_another_seed_gives_another_market() -> None:
    first, second = (run(SimulatedMarket(seed, START), START, START + 10 * SECOND) for seed in (1, 2))
    assert first != second


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 119))
def test_a_saved_state_goes_on_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    middle, end = START + cut * SECOND // 4, START + 30 * SECOND
    first = SimulatedMarket(seed, START)
    first.advance(START + 4 * SECOND)
    run(first, START + 4 * SECOND, middle)
    state = json.loads(json.dumps(first.state()))
    second = SimulatedMarket(seed, START + DAY)
    second.restore(state)
    assert second.time == first.time
    begin = first.time
    assert run(second, begin, end) == run(first, begin, end)


def test_every_event_is_sound_ordered_and_in_cents() -> None:
    events = run(SimulatedMarket(7, START), START, START + HOUR)
    order = [(known_at(event), event.symbol, isinstance(event, Bar)) for event in events]
    assert order == sorted(order)
    for event in events:
        if isinstance(event, Bar):
            assert 0 < event.low <= min(event.open, event.close) <= max(event.open, event.close) <= event.high
            assert event.volume >= 1
            assert (event.close, event.end - event.start) == (round(event.close, 2), 5 * SECOND)
        else:
            assert isinstance(event, Quote)
            assert 0 < event.bid < event.ask
            assert min(event.bid_size, event.ask_size) > 0


def test_each_symbol_has_a_bar_every_five_seconds_and_quotes_several_times_a_second() -> None:
    events = run(SimulatedMarket(7, START), START, START + 10 * MINUTE)
    for symbol in SYMBOLS:
        ends = [bar.end for bar in bars(events) if bar.symbol == symbol]
        assert ends == list(range(START + 5 * SECOND, START + 10 * MINUTE + 1, 5 * SECOND))
        assert 2 < sum(isinstance(event, Quote) and event.symbol == symbol for event in events) / 600 <= 4


def test_a_pause_is_a_gap_and_not_a_burst() -> None:
    market = SimulatedMarket(7, START)
    before = run(market, START, START + MINUTE)
    back = START + 2 * HOUR + 2 * SECOND
    burst = market.advance(back)
    assert len(burst) <= len(SYMBOLS)
    assert not bars(list(burst))
    after = bars(run(market, back, back + 30 * SECOND))
    assert after[0].start == START + 2 * HOUR + 5 * SECOND
    last = {bar.symbol: bar.close for bar in bars(before)}
    for bar in after[: len(SYMBOLS)]:
        assert bar.open != last[bar.symbol]
        assert abs(bar.open / last[bar.symbol] - 1) < 0.1


def test_time_in_the_past_brings_nothing() -> None:
    market = SimulatedMarket(7, START)
    market.advance(START + SECOND)
    state = market.state()
    assert market.advance(START) == ()
    assert market.state() == state


def test_volume_is_higher_around_midnight_than_at_noon() -> None:
    midnight = START - START % DAY
    volume = [
        sum(bar.volume for bar in bars(run(SimulatedMarket(3, begin), begin, begin + 10 * MINUTE)))
        for begin in (midnight, midnight + 12 * HOUR)
    ]
    assert volume[0] > 1.5 * volume[1]


def test_a_symbol_added_later_begins_at_its_first_price() -> None:
    market = SimulatedMarket(3, START, {"ALFA": 48.0})
    run(market, START, START + 5 * SECOND)
    larger = SimulatedMarket(3, START, {"ALFA": 48.0, "ZULU": 20.0})
    larger.restore(market.state())
    quotes = {event.symbol: event for event in run(larger, larger.time, larger.time + SECOND)}
    assert abs(quotes["ZULU"].bid - 20.0) < 0.5  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("symbols", "timeframe", "text"),
    [({"ALFA": 0.0}, "5s", "first price 0.0 of ALFA"), ({"ALFA": float("nan")}, "5s", "nan"), (SYMBOLS, "7s", "'7s'")],
)
def test_a_market_that_cannot_be_is_a_usage_error(symbols: dict[str, float], timeframe: str, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        SimulatedMarket(1, START, symbols, timeframe)


def test_a_random_walk_is_seeded_sound_and_without_gaps() -> None:
    walk = list(random_walk(70_000, seed=5))
    assert walk == list(random_walk(70_000, seed=5))
    assert walk != list(random_walk(70_000, seed=6))
    for before, after in pairwise(walk):
        assert before.end == after.start
    assert all(0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in walk)
