from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.store import PAGE, HistoryStore, Holding, StoreLimits
from appliance.domain.market import DAY, MINUTE, SECOND, Bar, Dividend
from appliance.errors import DataError
from tests.data.store.storing import BEGIN, DIVIDENDS, SPLIT, bar, bars


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HistoryStore]:
    made = HistoryStore(tmp_path / "data" / "history.db")
    yield made
    made.close()


def all_of(store: HistoryStore, start: int = 0, end: int = 2**62, symbol: str = "SPY", timeframe: str = "1m"):
    return [one for page in store.bars(symbol, timeframe, start, end) for one in page]


# --- bars --------------------------------------------------------------------------------------------------------


def test_bars_come_back_as_they_were_with_source_and_revision(store):
    told = [bar(0, revision=2), bar(1, source=""), bar(2, received=0), replace(bar(3), volume=0.25, open=1e-9)]
    assert store.add(told) == 4
    assert all_of(store) == told


def test_what_is_added_again_changes_nothing(store):
    assert store.add(bars(20)) == 20
    assert store.add(bars(20)) == 0
    assert store.add(replace(one, received=one.received + SECOND) for one in bars(30)) == 10
    assert store.holdings() == (Holding("SPY", "1m", BEGIN, BEGIN + 30 * MINUTE, 30),)


@pytest.mark.parametrize(
    ("later", "replaces"),
    [
        (bar(0, 101.0, revision=1), True),
        (bar(0, 101.0, revision=1, source="other"), True),
        (bar(0, 101.0, received=bar(0).received + 1), True),
        (bar(0, 101.0), True),
        (bar(0, 101.0, received=bar(0).received - 1), False),
        (bar(0, 101.0, source="other", received=bar(0).received + 1), False),
    ],
)
def test_a_revision_or_a_later_word_of_the_same_source_replaces_a_bar(store, later, replaces):
    store.add([bar(0)])
    assert store.add([later]) == replaces
    assert all_of(store) == [later if replaces else bar(0)]


def test_a_lower_revision_never_replaces_a_higher_one(store):
    store.add([bar(0, 101.0, revision=2)])
    assert store.add([bar(0, 99.0, revision=1, received=2**60)]) == 0
    assert all_of(store)[0].close == 101.0


@pytest.mark.parametrize("flaw", [{"end": BEGIN}, {"start": -1}, {"end": 2**63}, {"received": -5}, {"timeframe": "7x"}])
def test_a_bar_that_is_no_span_of_time_is_refused_with_all_that_came_with_it(store, flaw):
    with pytest.raises(DataError, match="SPY"):
        store.add([bar(0), replace(bar(1), **flaw)])
    assert all_of(store) == []
    assert store.holdings() == ()


def test_numbers_that_are_none_are_kept_as_they_are(store):
    store.add([replace(bar(0), high=math.inf, low=math.nan, volume=-1.0)])
    (kept,) = all_of(store)
    assert math.isnan(kept.low)
    assert (kept.high, kept.volume, kept.open) == (math.inf, -1.0, 100.0)


def test_a_range_has_whole_bars_only_and_symbols_and_timeframes_do_not_mix(store):
    store.add([*bars(10), *bars(10, symbol="QQQ"), replace(bar(0), timeframe="5m", end=BEGIN + 5 * MINUTE)])
    found = all_of(store, BEGIN + MINUTE, BEGIN + 4 * MINUTE + 1)
    assert found == bars(10)[1:4]
    assert all_of(store, symbol="IWM") == []
    assert [(one.symbol, one.timeframe, one.bars) for one in store.holdings()] == [
        ("QQQ", "1m", 10), ("SPY", "1m", 10), ("SPY", "5m", 1),
    ]  # fmt: skip


def test_pages_are_bounded_and_complete(store):
    many = bars(2 * PAGE + 5)
    store.add(many)
    pages = list(store.bars("SPY", "1m", BEGIN, BEGIN + len(many) * MINUTE))
    assert [len(page) for page in pages] == [PAGE, PAGE, 5]
    assert [one for page in pages for one in page] == many


def test_bars_that_come_while_a_page_is_read_are_seen_or_not_but_none_comes_twice(store):
    store.add(bars(PAGE + 10))
    pages = store.bars("SPY", "1m", BEGIN, 2**62)
    first = next(pages)
    store.add(bars(20, first=PAGE + 5))
    assert [*first, *(one for page in pages for one in page)] == bars(PAGE + 25)


@pytest.mark.parametrize(("count", "numbers"), [(3, [5, 6, 7]), (100, range(8)), (0, [])])
def test_the_last_bars_before_a_time_come_oldest_first(store, count, numbers):
    store.add(bars(10))
    found = store.last("SPY", "1m", BEGIN + 8 * MINUTE, count)
    assert list(found) == [bars(10)[number] for number in numbers]


# --- what is covered ---------------------------------------------------------------------------------------------


def test_what_is_not_covered_is_lacking_though_there_are_bars(store):
    store.add(bars(10))
    assert store.lacking("SPY", "1m", 0, 100) == ((0, 100),)
    store.cover("SPY", "1m", 20, 40)
    store.cover("SPY", "1m", 60, 80)
    assert store.lacking("SPY", "1m", 0, 100) == ((0, 20), (40, 60), (80, 100))
    store.cover("SPY", "1m", 40, 60)
    assert store.lacking("SPY", "1m", 30, 90) == ((80, 90),)
    assert store.lacking("SPY", "5m", 0, 1) == ((0, 1),)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12), st.integers(0, 30), st.integers(0, 30))
def test_lacking_is_what_no_span_covers_instant_by_instant(tmp_path_factory, spans, start, end):
    store = HistoryStore(tmp_path_factory.mktemp("store") / "history.db")
    for span in spans:
        store.cover("SPY", "1m", *span)
    lacking = store.lacking("SPY", "1m", start, end)
    store.close()
    open_at = [one for one in range(start, end) if not any(first <= one < last for first, last in spans)]
    assert [one for first, last in lacking for one in range(first, last)] == open_at


# --- splits and dividends ----------------------------------------------------------------------------------------


def test_splits_and_dividends_are_kept_once(store):
    assert store.add_actions([*DIVIDENDS, SPLIT]) == 3
    assert store.add_actions([SPLIT, *DIVIDENDS]) == 0
    assert store.actions(["AAPL", "SPY"], BEGIN, BEGIN + 1) == (*DIVIDENDS, SPLIT)
    assert store.actions(["AAPL"], BEGIN + 1, 2**62) == ()
    assert store.actions(["SPY"], 0, 2**62) == ()


def test_a_corrected_dividend_replaces_the_one_before(store):
    store.add_actions([*DIVIDENDS, SPLIT])
    right = Dividend("AAPL", BEGIN, Decimal("0.23"))
    assert store.add_actions([right]) == 1
    assert store.actions(["AAPL"], 0, 2**62) == (right, SPLIT)


# --- keeping it small --------------------------------------------------------------------------------------------


def test_what_is_too_old_is_removed_by_timeframe_and_no_longer_covered(tmp_path):
    store = HistoryStore(tmp_path / "history.db", limits=StoreLimits(days={"1s": 1, "1m": 0}))
    seconds = [Bar("SPY", "1s", BEGIN + n * SECOND, BEGIN + (n + 1) * SECOND, 1, 1, 1, 1, 1) for n in range(3_000)]
    store.add([*seconds, *bars(50)])
    store.cover("SPY", "1s", BEGIN, BEGIN + 3_000 * SECOND)
    store.cover("SPY", "1m", BEGIN, BEGIN + 3_000 * SECOND)
    assert store.tidy(BEGIN + DAY + 2_500 * SECOND) == 2_500
    assert all_of(store, timeframe="1s") == seconds[2_500:]
    edge = BEGIN + 2_500 * SECOND
    assert store.lacking("SPY", "1s", BEGIN, BEGIN + 3_000 * SECOND) == ((BEGIN, edge),)
    assert store.lacking("SPY", "1m", BEGIN, BEGIN + 3_000 * SECOND) == ()
    assert [(one.timeframe, one.bars) for one in store.holdings()] == [("1s", 500), ("1m", 50)]
    store.close()


def test_a_file_that_is_too_large_loses_the_oldest_of_the_shortest_bars_and_shrinks(tmp_path):
    path = tmp_path / "history.db"
    store = HistoryStore(path, limits=StoreLimits(size_mb=1, days={}))
    store.add([*bars(15_000), *bars(15_000, symbol="QQQ"), replace(bar(0), timeframe="1h", end=BEGIN + 60 * MINUTE)])
    assert store.size > 1_200_000
    removed = store.tidy(0)
    store.close()
    assert path.stat().st_size <= 1_000_000
    again = HistoryStore(path, read_only=True)
    kept = {(one.symbol, one.timeframe): one for one in again.holdings()}
    again.close()
    assert kept["SPY", "1h"].bars == 1
    assert kept["SPY", "1m"].bars + kept["QQQ", "1m"].bars + removed == 30_000
    assert kept["SPY", "1m"].last == BEGIN + 15_000 * MINUTE
    assert abs(kept["SPY", "1m"].bars - kept["QQQ", "1m"].bars) <= 1_000


def test_a_limit_below_an_empty_file_ends(tmp_path):
    store = HistoryStore(tmp_path / "history.db", limits=StoreLimits(size_mb=0, days={}))
    store.add(bars(10))
    assert store.tidy(0) == 10
    store.close()
