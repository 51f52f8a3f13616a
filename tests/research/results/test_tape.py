"""The tape keeps the last price of each span of time, whatever the batches were, and each fill's part of its bar."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, Bar, Dividend, MarketEvent, Quote, Split, Trade
from appliance.research.results.tape import SPANS_MAX, Path, Tape, grain_for
from tests.research.accounts import NOON, bar, fill


def path_of(tape: Tape, symbol: str = "SPY") -> tuple[list[int], list[float]]:
    path = tape.paths[symbol]
    return list(path.times), list(path.prices)


def heard(events: Sequence[MarketEvent], size: int) -> Tape:
    tape = Tape(0, 30 * HOUR)
    tape.grain = HOUR
    for begin in range(0, len(events), size):
        tape.note(events[begin : begin + size], ())
    return tape


@given(st.lists(st.integers(1, 30 * 60), min_size=1, max_size=60, unique=True), st.integers(1, 60))
def test_batches_make_no_difference(minutes: list[int], size: int) -> None:
    events = [Trade("SPY", at * MINUTE, float(at), 1.0) for at in sorted(minutes)]
    last = {(event.time - 1) // HOUR: event for event in events}
    expected = [event.time for event in last.values()], [event.price for event in last.values()]
    assert path_of(heard(events, size)) == expected


def test_a_price_at_the_end_of_a_span_belongs_to_it() -> None:
    events = [Trade("SPY", HOUR - 1, 1.0, 1.0), Trade("SPY", HOUR, 2.0, 1.0), Trade("SPY", HOUR + 1, 3.0, 1.0)]
    assert path_of(heard(events, 10)) == ([HOUR, HOUR + 1], [2.0, 3.0])


def test_bars_go_before_the_quotes_of_the_same_symbol() -> None:
    tape = Tape(NOON, NOON + DAY)
    tape.note([Quote("SPY", NOON, 1.0, 3.0), bar(0, 100.0), Quote("QQQ", NOON, 1.0, 3.0)], ())
    assert path_of(tape)[1] == [100.0]
    assert path_of(tape, "QQQ")[1] == [2.0]


def test_the_price_at_a_time_is_the_last_one_known() -> None:
    path = Path()
    path.extend([HOUR, 2 * HOUR], [1.0, 2.0], HOUR)
    found = [path.at(time) for time in (HOUR - 1, HOUR, 2 * HOUR - 1, 2 * HOUR, 9 * HOUR)]
    assert found == [None, 1.0, 1.0, 2.0, 2.0]


def test_a_share_that_is_kept_is_worth_its_splits_and_dividends_too() -> None:
    tape = Tape(NOON, NOON + 9 * DAY)
    tape.note([bar(0, 100.0), Dividend("SPY", NOON + 1, Decimal(10)), bar(1, 90.0)], ())
    tape.note([Split("SPY", NOON + DAY + 1, 3, 1), bar(2, 30.0)], ())
    path = tape.paths["SPY"]
    assert [path.at(NOON + day * DAY) for day in range(3)] == [100.0, 90.0, 30.0]
    assert [path.worth(NOON + day * DAY) for day in range(3)] == pytest.approx([100.0, 99.0, 99.0])


def test_spans_are_as_fine_as_a_bounded_number_allows() -> None:
    assert grain_for(0, SPANS_MAX * SECOND) == SECOND
    assert grain_for(0, SPANS_MAX * SECOND + SECOND) == MINUTE
    assert grain_for(0, 10 * 365 * DAY) == 30 * MINUTE
    assert grain_for(0, 10**19) == DAY


def test_a_fill_is_measured_by_the_bar_it_happened_in() -> None:
    def minute(at: int, volume: float) -> Bar:
        return Bar("SPY", "1m", NOON + at * MINUTE, NOON + (at + 1) * MINUTE, 1, 1, 1, 1, volume)

    tape = Tape(NOON, NOON + HOUR)
    entries = [fill(10), fill(-5)]
    tape.note([minute(0, 100), minute(1, 1_000)], entries)
    later = [*entries, fill(10, day=1)]
    tape.note([bar(2, volume=0)], later)
    assert tape.shares == {0: 0.1, 1: 0.05, 2: None}


def test_a_fill_without_bars_is_not_measured() -> None:
    tape = Tape(NOON, NOON + HOUR)
    tape.note([Quote("SPY", NOON, 1.0, 3.0)], [fill()])
    assert tape.shares == {}
