from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from appliance.data.cache import CacheLimits, CacheStats, DataCache, Terms
from appliance.data.sources.base import Traits
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, AlwaysOpen, Dividend, Split
from appliance.errors import DataError, SourceDown, SourceNonsense
from tests.data.cache.market import MONDAY, Market, Source, sessions_of_days

SESSIONS = sessions_of_days(12)
OPEN = MONDAY + 14 * HOUR + 30 * MINUTE
TERMS = Terms(late=20 * MINUTE)
SPLIT = Split("SPY", MONDAY + 2 * DAY + 5 * HOUR, 2, 1)


@pytest.fixture
def market():
    made = Market(SESSIONS)
    made.now = OPEN + 4 * DAY + 30 * MINUTE
    return made


@pytest.fixture
def source(market):
    return Source(market)


@pytest.fixture
def cache(market, tmp_path):
    made = DataCache(tmp_path / "cache.db", lambda symbol: SESSIONS, market.clock, terms=TERMS, tell=pytest.fail)
    yield made
    made.close()


# --- what is asked -----------------------------------------------------------------------------------------------


def test_overlapping_questions_share_and_neighbours_are_one_question(cache, source, market):
    cache.history(source, "SPY", "5m", OPEN + DAY, OPEN + 2 * DAY)
    assert source.asked == [("SPY", "5m", MONDAY + DAY, MONDAY + 3 * DAY + 5 * MINUTE)]
    cache.history(source, "SPY", "5m", OPEN, OPEN + 4 * DAY)
    assert source.asked[1:] == [
        ("SPY", "5m", MONDAY, MONDAY + DAY + 5 * MINUTE),
        ("SPY", "5m", MONDAY + 3 * DAY, OPEN + 4 * DAY),
    ]
    stats = cache.stats()
    assert (stats.memory_hits, stats.disk_hits, stats.misses, stats.calls) == (2, 0, 5, 3)
    assert (stats.requests, stats.silent) == (2, 0)


def test_a_day_that_forms_is_asked_for_from_what_is_not_settled(cache, source, market):
    cache.history(source, "SPY", "5m", OPEN + 4 * DAY, market.now)
    market.now += 5 * MINUTE
    found = cache.history(source, "SPY", "5m", OPEN + 4 * DAY, market.now)
    assert list(found) == source.truth("SPY", "5m", OPEN + 4 * DAY, market.now)
    assert source.asked[1][2:] == (market.now - 5 * MINUTE - TERMS.late - 5 * MINUTE, market.now)
    market.now += 2 * MINUTE
    assert cache.history(source, "SPY", "5m", OPEN + 4 * DAY, market.now) == found
    assert len(source.asked) == 2


def test_at_night_nothing_new_is_asked(cache, source, market):
    market.now = OPEN + 3 * HOUR
    cache.history(source, "SPY", "5m", MONDAY, market.now)
    for _ in range(10):
        market.now += 30 * MINUTE
        cache.history(source, "SPY", "5m", MONDAY, market.now)
    assert len(source.asked) == 1


@pytest.mark.parametrize(("start", "end"), [(OPEN + 9 * DAY, OPEN + 10 * DAY), (OPEN + DAY, OPEN), (OPEN, OPEN)])
def test_a_question_without_sense_or_about_the_future_is_the_sources_to_answer(cache, source, start, end):
    source.errors = [DataError("the range begins in the future")]
    with pytest.raises(DataError, match="future"):
        cache.history(source, "SPY", "5m", start, end)
    assert source.asked == [("SPY", "5m", start, end)]


def test_sources_symbols_timeframes_and_adjustments_do_not_mix(cache, source, market):
    other = Source(Market(SESSIONS, seed=2), name="other")
    other.market.now = market.now
    for one, symbol, timeframe in [
        (source, "SPY", "5m"),
        (source, "QQQ", "5m"),
        (source, "SPY", "1h"),
        (other, "SPY", "5m"),
    ]:
        for _ in range(2):
            found = cache.history(one, symbol, timeframe, MONDAY, MONDAY + 2 * DAY)
            assert list(found) == one.truth(symbol, timeframe, MONDAY, MONDAY + 2 * DAY)
    assert len(source.asked) == 3


def test_a_source_that_tells_other_bars_than_it_was_asked_for_is_not_believed(cache, source, market):
    class Mixed(Source):
        def truth(self, symbol, timeframe, start, end):
            return super().truth("QQQ", timeframe, start, end)

    with pytest.raises(SourceNonsense, match="was asked for SPY 5m, and told QQQ 5m"):
        cache.history(Mixed(market), "SPY", "5m", MONDAY, market.now)


# --- levels ------------------------------------------------------------------------------------------------------


def test_what_is_no_longer_in_memory_is_found_on_the_disk(cache, source, market):
    found = cache.history(source, "SPY", "5m", MONDAY, MONDAY + 3 * DAY)
    cache.clear_memory()
    assert cache.history(source, "SPY", "5m", MONDAY, MONDAY + 3 * DAY) == found
    assert cache.history(source, "SPY", "5m", MONDAY, MONDAY + 3 * DAY) == found
    stats = cache.stats()
    assert (stats.memory_hits, stats.disk_hits, stats.misses, stats.calls) == (3, 3, 3, 1)
    assert stats.hit_rate == pytest.approx(6 / 9)
    assert stats.bars == len(found)
    assert stats.disk > 0 < stats.memory
    assert stats.written == stats.disk


def test_a_restart_goes_on_where_the_file_ends(cache, source, market, tmp_path):
    cache.history(source, "SPY", "5m", OPEN, market.now)
    cache.close()
    market.now += 5 * MINUTE
    again = DataCache(tmp_path / "cache.db", lambda symbol: SESSIONS, market.clock, terms=TERMS, tell=pytest.fail)
    found = again.history(source, "SPY", "5m", OPEN, market.now)
    assert list(found) == source.truth("SPY", "5m", OPEN, market.now)
    assert again.stats().disk_hits == 4
    assert source.asked[-1][2] == market.now - 10 * MINUTE - TERMS.late
    again.close()


def test_memory_and_file_are_bounded(market, source, tmp_path):
    limits = CacheLimits(memory_mb=1, disk_mb=1)
    always = Market(AlwaysOpen(), days=40)
    always.now = MONDAY + 50 * DAY
    source = Source(always)
    cache = DataCache(tmp_path / "cache.db", lambda symbol: always.sessions, always.clock, limits, TERMS, pytest.fail)
    for symbol in ("SPY", "QQQ"):
        found = cache.history(source, symbol, "5m", MONDAY, MONDAY + 40 * DAY)
        assert list(found) == always.bars(symbol, "5m")
        assert cache.stats().memory <= 1_000_000
        assert cache.stats().disk <= 1_000_000
    calls = len(source.asked)
    assert list(cache.history(source, "QQQ", "5m", MONDAY + 30 * DAY, MONDAY + 40 * DAY)) == [
        bar for bar in always.bars("QQQ", "5m") if bar.start >= MONDAY + 30 * DAY
    ]
    assert len(source.asked) == calls
    cache.close()


def test_a_cache_that_is_cleared_asks_anew(cache, source):
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY)
    cache.clear()
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY)
    assert len(source.asked) == 2


def test_a_clock_that_was_wrong_costs_questions_not_answers(cache, source, market):
    right = market.now
    market.now = right + 3 * DAY
    cache.history(source, "SPY", "5m", OPEN, market.now)
    market.now = right
    source.delay = 10 * MINUTE  # what it told by the wrong clock, it would not tell now
    assert list(cache.history(source, "SPY", "5m", OPEN, right)) == source.truth("SPY", "5m", OPEN, right)
    market.now = right + 3 * DAY + HOUR
    found = cache.history(source, "SPY", "5m", OPEN, market.now)
    assert list(found) == source.truth("SPY", "5m", OPEN, market.now)


# --- single flight -----------------------------------------------------------------------------------------------


def together(count, work):
    """What ``work`` gives in so many threads; an exception is a result too."""
    begin = threading.Barrier(count)

    def one(number):
        begin.wait(20)
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_threads_that_want_the_same_make_one_call(cache, source, market):
    found = together(16, lambda number: cache.history(source, "SPY", "5m", OPEN, market.now))
    assert len(source.asked) == 1
    assert set(map(len, found)) == {len(source.truth("SPY", "5m", OPEN, market.now))}
    assert all(one == found[0] for one in found)
    stats = cache.stats()
    assert stats.misses == 5
    assert stats.misses + stats.shared + stats.memory_hits + stats.disk_hits == 16 * 5
    assert (stats.requests, stats.calls) == (16, 1)


def test_overlapping_questions_of_threads_ask_for_nothing_twice(cache, source, market):
    together(12, lambda number: cache.history(source, "SPY", "5m", OPEN + number % 4 * DAY, market.now))
    blocks = [
        block for _, _, start, end in source.asked for block in range(start // DAY, -(-(end - 5 * MINUTE) // DAY))
    ]
    assert sorted(blocks) == sorted(set(blocks))
    assert len(set(blocks)) == 5


def test_who_waits_gets_the_same_error_and_errors_are_not_kept(cache, source, market):
    source.errors = [SourceDown("does not answer", source="market")]
    source.gate = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(cache.history, source, "SPY", "5m", OPEN, market.now)
        assert source.waiting.wait(20)
        others = [pool.submit(cache.history, source, "SPY", "5m", OPEN, market.now) for _ in range(3)]
        waiting = cache._flights
        while sum(flight.waiting for flight in set(waiting._under_way.values())) < 3:
            threading.Event().wait(0.001)
        source.gate.set()
        errors = [one.exception(20) for one in [first, *others]]
    assert len(source.asked) == 1
    assert all(error is errors[0] for error in errors)
    assert isinstance(errors[0], SourceDown)
    assert list(cache.history(source, "SPY", "5m", OPEN, market.now)) == source.truth("SPY", "5m", OPEN, market.now)


def test_different_symbols_do_not_wait_for_each_other(cache, source, market):
    source.gate = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(cache.history, source, "SPY", "5m", OPEN, market.now)
        assert source.waiting.wait(20)
        free = Source(market)
        assert cache.history(free, "QQQ", "5m", OPEN, market.now)
        assert not slow.done()
        source.gate.set()
        assert slow.result(20)


# --- splits and dividends ----------------------------------------------------------------------------------------


def test_a_split_makes_adjusted_bars_before_it_unknown_and_no_raw_ones(cache, source, market):
    market.now = MONDAY + DAY + 20 * HOUR
    for adjusted in ("split", "raw"):
        cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY, adjusted)
    source.known_actions = [SPLIT]
    market.now = MONDAY + 2 * DAY + 20 * HOUR
    source.asked.clear()
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY, "raw")
    assert source.asked == []
    found = cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY, "split")
    assert [one[2] for one in source.asked] == [MONDAY]
    assert list(found) == source.truth("SPY", "5m", MONDAY, MONDAY + DAY)
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + DAY, "split")
    assert len(source.asked) == 1


def test_a_split_leaves_adjusted_bars_after_it_and_a_coming_one_all(cache, source, market):
    source.known_actions = [SPLIT, Split("SPY", MONDAY + 30 * DAY, 3, 1)]
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + 4 * DAY, "split")
    source.known_actions += [Dividend("SPY", MONDAY + 2 * DAY, Decimal("0.5"))]
    market.now += 13 * HOUR
    source.asked.clear()
    cache.history(source, "SPY", "5m", MONDAY, MONDAY + 4 * DAY, "split")
    assert [one[2:] for one in source.asked] == [(MONDAY, MONDAY + 2 * DAY + 5 * MINUTE)]


def test_splits_and_dividends_are_asked_for_once_for_all_symbols(cache, source, market):
    source.known_actions = [SPLIT, Dividend("QQQ", MONDAY, Decimal("0.5"))]
    for _ in range(3):
        market.now += 4 * HOUR - SECOND
        found = cache.actions(source, ["SPY", "QQQ"], MONDAY, market.now)
        assert found == (source.known_actions[1], SPLIT)
    assert cache.actions(source, ["SPY"], MONDAY, MONDAY + DAY) == ()
    assert len(source.acted) == 1
    cache.clear_memory()
    assert cache.actions(source, ["SPY"], MONDAY, market.now) == (SPLIT,)
    assert len(source.acted) == 1
    market.now += 12 * HOUR
    assert cache.actions(source, ["SPY", "IWM"], MONDAY, market.now) == (SPLIT,)
    assert [one[0] for one in source.acted[1:]] == [("IWM", "SPY")]


def test_errors_about_splits_are_not_kept(cache, source, market):
    source.errors = [SourceDown("does not answer", source="market")]
    with pytest.raises(SourceDown):
        cache.actions(source, ["SPY"], MONDAY, market.now)
    assert cache.actions(source, ["SPY"], MONDAY, market.now) == ()


def test_without_requests_the_hit_rate_is_none():
    assert CacheStats().hit_rate == 0.0


@pytest.mark.parametrize("bars", [0, 11, 22, 44])
def test_what_came_before_a_source_failed_is_kept_and_only_the_rest_is_asked(cache, source, market, bars):
    source.fails_after = bars
    with pytest.raises(SourceDown):
        cache.history(source, "SPY", "5m", OPEN, market.now)
    source.fails_after = None
    found = cache.history(source, "SPY", "5m", OPEN, market.now)
    truth = source.truth("SPY", "5m", OPEN, market.now)
    assert list(found) == truth
    came = truth[bars - 1].end if bars else 0
    assert source.asked[1][2] >= min(came - 10 * MINUTE, came // DAY * DAY)
    assert len(source.asked) == 2


def test_adjusted_bars_of_a_source_without_splits_are_asked_for_anew_twice_a_day(cache, source, market):
    source.traits = Traits(timeframes=("5m",), history=True)
    for adjusted, calls in (("split", 3), ("raw", 1)):
        source.asked.clear()
        for hours in (0, 5, 11, 12, 23, 24):
            market.now = MONDAY + 5 * DAY + hours * HOUR + MINUTE
            cache.history(source, "SPY", "5m", MONDAY, MONDAY + 2 * DAY, adjusted)
        assert len(source.asked) == calls
        market.now += DAY
