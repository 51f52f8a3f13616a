"""A source of history is asked politely: as often as it allows, again where that has sense, not while it is down."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.breaker import CircuitBreaker, Limits
from appliance.core.rate_limit import Rate, TokenBucket
from appliance.data.polite import Patience, Polite
from appliance.data.sources.base import Traits
from appliance.data.sources.spec import RATES
from appliance.domain.market import MINUTE, SECOND, Bar, CorporateAction, Trade
from appliance.errors import DataError, SourceBusy, SourceDown, SourceNonsense, SourceRefused

START = 1_700_000_040 * SECOND


def bar(symbol: str, minute: int) -> Bar:
    start = START + minute * MINUTE
    return Bar(symbol, "1m", start, start + MINUTE, 1.0, 2.0, 0.5, 1.5, 10.0, "place", start + MINUTE)


class Time:
    """A clock that goes on only while somebody sleeps; every nap is kept."""

    def __init__(self) -> None:
        self.now = 0
        self.naps: list[float] = []

    def __call__(self) -> int:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += round(seconds * SECOND)


class Place:
    """A source with bars of its own, pages of ``size``, and one outcome for each page it is asked for: an error, or
    None, a page. When the outcomes are used up it always answers. ``asked`` is its own log."""

    name, traits = "place", Traits(history=True)
    remaining: int | None = None
    resets: int | None = None

    def __init__(self, bars: Sequence[Bar], size: int = 3, outcomes: Sequence[Exception | None] = ()) -> None:
        self._bars, self._size, self._outcomes = list(bars), size, list(outcomes)
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self.pages = 0

    def bars(self, symbols: Sequence[str], timeframe: str, start: int, end: int) -> Iterator[tuple[Bar, ...]]:
        self.asked.append((tuple(symbols), start))
        found = [one for one in self._bars if one.symbol in symbols and start <= one.start and one.end <= end]
        yield from self._paged(found)

    def trades(self, symbol: str, start: int, end: int) -> Iterator[tuple[Trade, ...]]:
        ticks = [Trade(symbol, START + second // 3 * SECOND, 1.0 + second, 1.0) for second in range(12)]
        yield from self._paged([tick for tick in ticks if start <= tick.time < end])

    def actions(self, symbols: Sequence[str], start: int, end: int) -> tuple[CorporateAction, ...]:
        self._answer()
        return ()

    def _paged(self, found: list[Any]) -> Iterator[tuple[Any, ...]]:
        for begin in range(0, max(len(found), 1), self._size):
            self._answer()
            yield tuple(found[begin : begin + self._size])

    def _answer(self) -> None:
        self.pages += 1
        if self._outcomes and (error := self._outcomes.pop(0)) is not None:
            raise error


BARS = [bar(symbol, minute) for symbol in ("AAA", "BBB") for minute in range(7)]
DOWN = SourceDown("hung up", source="place")


def polite(place: Place, time: Time, limits: Limits | None = None, rate: Rate | None = None, **changed: Any) -> Polite:
    limits = limits or Limits(failures=100)
    return Polite(
        place, TokenBucket(rate or Rate(1000, burst=1000)), CircuitBreaker(limits), time, time.sleep,
        random=Random(7), wall=lambda: START + time.now, **changed,
    )  # fmt: skip


def all_of(source: Polite) -> list[Bar]:
    return [one for page in source.bars(["AAA", "BBB"], "1m", START, START + 100 * MINUTE) for one in page]


@given(st.lists(st.sampled_from([None, DOWN, SourceNonsense("cut off", source="place")]), max_size=12))
def test_whichever_pages_fail_every_bar_comes_once_and_in_order(outcomes: list[Exception | None]) -> None:
    place, time = Place(BARS, outcomes=outcomes), Time()
    source = polite(place, time, patience=Patience(attempts=20, longest=10**15))
    assert all_of(source) == BARS
    assert len(time.naps) == sum(outcome is not None for outcome in outcomes[: place.pages])


def test_after_a_failure_only_what_is_missing_is_asked_for_again() -> None:
    place = Place(BARS, outcomes=[None, None, DOWN])
    assert all_of(polite(place, Time())) == BARS
    again = [(("AAA",), START + 6 * MINUTE), (("BBB",), START)]
    assert place.asked == [(("AAA", "BBB"), START), *again]


@given(st.lists(st.sampled_from([None, DOWN]), max_size=8), st.integers(1, 5))
def test_ticks_of_one_time_come_once_each_whichever_pages_fail(outcomes: list[Exception | None], size: int) -> None:
    place = Place((), size, outcomes)
    source = polite(place, Time(), patience=Patience(attempts=20, longest=10**15))
    prices = [tick.price for page in source.trades("AAA", START, START + MINUTE) for tick in page]
    assert prices == [1.0 + number for number in range(12)]


def test_a_source_that_sends_in_no_order_is_not_resumed_but_told_as_failed() -> None:
    place = Place([bar("AAA", 5), bar("AAA", 2), bar("AAA", 3), bar("AAA", 1)], 2, [None, DOWN])
    with pytest.raises(SourceDown):
        all_of(polite(place, Time()))
    assert place.pages == 2


def test_a_busy_source_is_left_alone_as_long_as_it_wants_and_is_not_called_down() -> None:
    place, time = Place(BARS, outcomes=[SourceBusy("too many", source="place", wait=17 * SECOND)]), Time()
    assert all_of(polite(place, time, Limits(failures=1))) == BARS
    assert time.naps[0] == 17
    assert sum(time.naps) == 17


def test_a_wait_longer_than_our_patience_is_told_at_once() -> None:
    place, time = Place(BARS, outcomes=[SourceBusy("too many", source="place", wait=3600 * SECOND)]), Time()
    with pytest.raises(SourceBusy) as told:
        all_of(polite(place, time))
    assert told.value.wait == 3600 * SECOND
    assert not time.naps


def test_a_source_that_wants_to_be_left_alone_for_long_is_not_waited_for_by_the_next_who_asks() -> None:
    place, time = Place(BARS, outcomes=[SourceBusy("too many", source="place", wait=3600 * SECOND)]), Time()
    source = polite(place, time)
    for _ in range(2):
        with pytest.raises(SourceBusy) as told:
            all_of(source)
    assert told.value.wait == 3600 * SECOND
    assert time.naps == []
    assert place.pages == 1
    time.now = 3600 * SECOND
    assert all_of(source) == BARS


def test_a_refusal_is_never_asked_about_again() -> None:
    place, time = Place(BARS, outcomes=[SourceRefused("wrong key", source="place")]), Time()
    with pytest.raises(SourceRefused):
        all_of(polite(place, time))
    assert (place.pages, time.naps) == (1, [])


def test_attempts_are_bounded_and_the_last_error_is_told() -> None:
    place, time = Place(BARS, outcomes=[DOWN] * 9), Time()
    with pytest.raises(SourceDown, match="hung up"):
        all_of(polite(place, time))
    assert place.pages == 4
    assert all(low / 2 <= nap <= low for low, nap in zip((1, 2, 4), time.naps, strict=True))


def test_while_the_breaker_is_open_nothing_is_asked_and_the_error_says_why_and_until_when() -> None:
    place, time = Place(BARS, outcomes=[DOWN] * 2), Time()
    source = polite(place, time, Limits(failures=2, cooldown=20 * SECOND))
    with pytest.raises(SourceDown, match="hung up"):
        all_of(source)
    time.now += 5 * SECOND
    with pytest.raises(SourceDown, match=r"place: not asked since 5\.0 s, because it failed \(hung up\)") as told:
        all_of(source)
    assert "tried again in 15.0 s" in told.value.hint
    assert told.value.wait == 15 * SECOND
    assert place.pages == 2
    time.now += 15 * SECOND
    assert all_of(source) == BARS


def test_a_question_without_sense_does_not_use_up_the_one_try_of_a_half_open_breaker() -> None:
    place, time = Place(BARS, outcomes=[DOWN, DataError("start is not before end")]), Time()
    source = polite(place, time, Limits(failures=1, cooldown=SECOND))
    for error in (SourceDown, DataError):
        with pytest.raises(error):
            all_of(source)
        time.now += 2 * SECOND
    assert all_of(source) == BARS


def test_pages_take_tokens_so_a_long_answer_does_not_flood_the_server() -> None:
    place, time = Place(BARS, 1), Time()
    assert all_of(polite(place, time, rate=Rate(2, burst=1))) == BARS
    assert time.now >= (place.pages - 2) * SECOND // 2


def test_an_answer_of_one_page_costs_one_token() -> None:
    place, time = Place(BARS, 20), Time()
    source = polite(place, time, rate=Rate(0.1, burst=2))
    assert all_of(source) + all_of(source) == BARS * 2
    assert time.naps == []
    all_of(source)
    assert time.now == 10 * SECOND


def test_several_threads_that_ask_at_once_take_a_token_each() -> None:
    place, time = Place(BARS, 20), Time()
    source = polite(place, time, rate=Rate(1e-6, burst=16))
    threads = [threading.Thread(target=all_of, args=(source,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (place.pages, time.naps) == (16, [])


def test_what_the_reply_says_of_its_limit_is_obeyed() -> None:
    place, time = Place(BARS, 20), Time()
    place.remaining, place.resets = 0, START + 30 * SECOND
    source = polite(place, time)
    assert all_of(source) == BARS
    place.remaining = 200
    assert all_of(source) == BARS
    assert time.now == 30 * SECOND


def test_health_falls_with_failures_and_comes_back() -> None:
    place = Place(BARS, 20, [DOWN] * 3)
    source = polite(place, Time())
    all_of(source)
    fallen = source.health.score
    for _ in range(20):
        all_of(source)
    assert fallen < 0.7 < source.health.score


def test_actions_are_asked_for_politely_too() -> None:
    place, time = Place(BARS, outcomes=[DOWN]), Time()
    assert polite(place, time).actions(["AAA"], START, START + MINUTE) == ()
    assert len(time.naps) == 1


def test_ticks_that_a_source_does_not_have_are_a_question_without_sense() -> None:
    with pytest.raises(DataError, match="place has no history of quotes"):
        polite(Place(BARS), Time()).quotes("AAA", START, START + MINUTE)


def test_who_stops_the_waiting_ends_the_question() -> None:
    class Stopped(Exception):
        pass

    def stopping(seconds: float) -> None:
        raise Stopped

    source = Polite(
        Place(BARS, outcomes=[DOWN]), TokenBucket(Rate(10)), CircuitBreaker(), Time(), stopping, random=Random(1)
    )
    with pytest.raises(Stopped):
        all_of(source)


def test_every_rate_is_within_what_the_broker_allows() -> None:
    assert RATES["alpaca"].per_second * 60 + RATES["alpaca"].burst <= 200
    assert RATES["ibkr"].per_second * 600 <= 60
