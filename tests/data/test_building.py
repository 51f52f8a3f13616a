"""Bars from trades and from smaller bars as they are told live: late, in any order, closed by time, never half."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.building import BarBuilder, Unbuildable
from appliance.data.building import AHEAD, GRACE, LATE, Building, PartBars, TradeBars
from appliance.data.options import NEW_YORK
from appliance.domain.market import DAY, MINUTE, SECOND, Bar, Sessions, Trade
from tests.bench.data_bars import as_told, compared, in_order, read
from tests.data.real import needs_real_data

BEGIN = 1_381_152_600 * SECOND
"""2013-10-07 09:30 in New York."""
STEP = 5 * SECOND
FOREVER = 2**62


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def trade(after: float, price: float = 100.0, size: float = 1.0) -> Trade:
    """A trade so many seconds after the open."""
    time = BEGIN + round(after * SECOND)
    return Trade("SPY", time, price, size, "here", time)


def part(number: int, price: float = 100.0, volume: float = 1.0, revision: int = 0) -> Bar:
    """The 5-second bar with this number since the open."""
    start = BEGIN + number * STEP
    end = start + STEP
    return Bar("SPY", "5s", start, end, price, price + 1, price - 1, price + 0.5, volume, "here", end, revision)


def minute(number: int, *row: float, revision: int = 0, received: int = 0) -> Bar:
    start = BEGIN + number * MINUTE
    opened, high, low, close, volume = row
    return Bar("SPY", "1m", start, start + MINUTE, opened, high, low, close, volume, "built", received, revision)


def trades(late: int = LATE, timeframe: str = "1m", sessions: Sessions | None = None) -> TradeBars:
    return TradeBars("SPY", timeframe, sessions, "built", late=late)


def parts(late: int = LATE, timeframe: str = "1m", sessions: Sessions | None = None) -> PartBars:
    return PartBars("SPY", timeframe, sessions, "built", late=late)


def told_by(builder: Building, pieces: Iterable[Bar | Trade]) -> list[Bar]:
    return [bar for piece in pieces for bar in builder.add(piece)]


def without_receipt(bars: Iterable[Bar]) -> list[Bar]:
    return [replace(bar, received=0) for bar in bars]


# --- trades --------------------------------------------------------------------------------------------------------


def test_a_bar_of_trades_is_told_with_the_first_trade_beyond_it() -> None:
    builder = trades()
    pieces = [trade(0, 10.0, 3), trade(1, 12.0), trade(2, 9.0, 2), trade(59.9, 11.0), trade(60, 50.0)]
    told = [builder.add(piece) for piece in pieces]
    assert told[:4] == [()] * 4
    assert told[4] == (minute(0, 10.0, 12.0, 9.0, 11.0, 7.0, received=BEGIN + MINUTE),)


def test_a_minute_without_a_trade_has_no_bar() -> None:
    made = told_by(trades(), [trade(1), trade(200), trade(400)])
    assert [bar.start for bar in made] == [BEGIN, BEGIN + 3 * MINUTE]


def test_a_late_trade_revises_its_bar_and_one_that_is_later_is_counted() -> None:
    builder = trades()
    told_by(builder, [trade(5, 10.0), trade(61, 20.0)])
    assert without_receipt(builder.add(trade(2, 12.0))) == [minute(0, 12.0, 12.0, 10.0, 10.0, 2.0, revision=1)]
    assert without_receipt(builder.add(trade(7, 8.0))) == [minute(0, 12.0, 12.0, 8.0, 8.0, 3.0, revision=2)]
    told_by(builder, [trade(60 + LATE / SECOND + 1, 20.0)])
    assert builder.add(trade(8, 1.0)) == ()
    assert (builder.counts["revised"], builder.counts["late"]) == (2, 1)


def test_a_late_trade_of_a_minute_that_had_none_is_a_revision_too() -> None:
    """A bar behind the last one that was told is never new."""
    builder = trades()
    told_by(builder, [trade(1), trade(130), trade(190)])
    (made,) = builder.add(trade(70, 7.0))
    assert (made.start, made.revision, made.volume) == (BEGIN + MINUTE, 1, 1.0)


def test_time_closes_a_bar_once_it_has_been_over_for_long_enough() -> None:
    builder = trades()
    builder.add(trade(3, 10.0))
    assert builder.deadline() == BEGIN + MINUTE + GRACE
    assert builder.tick(BEGIN + MINUTE + GRACE - 1) == ()
    (made,) = builder.tick(BEGIN + MINUTE + GRACE)
    assert made == minute(0, 10.0, 10.0, 10.0, 10.0, 1.0, received=BEGIN + MINUTE + GRACE)
    assert builder.tick(BEGIN + 2 * MINUTE) == ()
    assert builder.deadline() is None


def test_data_that_all_come_late_make_the_bars_of_their_own_time() -> None:
    """Delayed by a quarter of an hour: by our clock each bar is long over before its first trade is told."""
    delay, builder, told = 15 * MINUTE, trades(), list[Bar]()
    for after in range(0, 180, 10):
        told += builder.tick(BEGIN + delay + after * SECOND)
        told += builder.add(replace(trade(after), received=BEGIN + delay + after * SECOND))
    assert builder.deadline() == BEGIN + 3 * MINUTE + delay + GRACE
    told += builder.tick(BEGIN + 3 * MINUTE + delay + GRACE)
    assert [(bar.start, bar.volume, bar.revision) for bar in told] == [(BEGIN + n * MINUTE, 6.0, 0) for n in range(3)]


def test_a_bar_that_was_not_heard_from_its_beginning_is_not_told() -> None:
    builder = trades()
    builder.begin(BEGIN + 30 * SECOND)
    made = told_by(builder, [trade(40), trade(59), trade(61, 7.0), trade(121)])
    assert made == [minute(1, 7.0, 7.0, 7.0, 7.0, 1.0, received=BEGIN + 121 * SECOND)]
    assert builder.counts["partial"] == 2
    builder.begin(BEGIN + 130 * SECOND)
    assert told_by(builder, [trade(140), trade(185)]) == []
    assert told_by(builder, [trade(245)]) == [minute(3, 100.0, 100.0, 100.0, 100.0, 1.0, received=BEGIN + 245 * SECOND)]


def test_what_was_told_before_a_new_beginning_can_still_be_revised() -> None:
    builder = trades()
    told_by(builder, [trade(5, 10.0), trade(61, 20.0)])
    builder.begin(BEGIN + 70 * SECOND)
    (made,) = builder.add(trade(6, 11.0))
    assert (made.end, made.revision, made.close) == (BEGIN + MINUTE, 1, 11.0)


@pytest.mark.parametrize(
    "bad", [trade(1, math.nan), trade(1, 0.0), trade(1, -3.0), trade(1, 5.0, 0.0), trade(1, math.inf)]
)
def test_a_trade_without_a_price_or_a_size_is_left_out(bad: Trade) -> None:
    builder = trades()
    (made,) = told_by(builder, [trade(0, 10.0), bad, trade(60)])
    assert (made.low, made.high, made.volume) == (10.0, 10.0, 1.0)
    assert builder.counts["unusable"] == 1


def test_a_trade_of_the_future_does_not_end_the_bars_before_it() -> None:
    builder = trades()
    builder.add(trade(0, 10.0))
    wrong = replace(trade(1), time=BEGIN + 2 * SECOND + AHEAD)
    assert builder.add(wrong) == ()
    (made,) = told_by(builder, [trade(2, 11.0), trade(60)])
    assert (made.close, made.revision) == (11.0, 0)


def test_trades_outside_the_sessions_belong_to_no_bar_and_a_half_day_ends_early(sessions: Sessions) -> None:
    builder = trades(timeframe="1h", sessions=sessions)
    times = ["09:29", "09:30", "12:45", "13:00", "13:30"]
    pieces = [Trade("SPY", at(f"2013-11-29T{time}"), 10.0 + n, 1.0) for n, time in enumerate(times)]
    first = told_by(builder, pieces)
    (last,) = builder.tick(at("2013-11-29T13:00") + GRACE)
    assert [(bar.start, bar.end) for bar in (*first, last)] == [
        (at("2013-11-29T09:30"), at("2013-11-29T10:30")),
        (at("2013-11-29T12:30"), at("2013-11-29T13:00")),
    ]
    assert builder.counts["outside"] == 3


moments = st.lists(st.integers(0, 299_999), min_size=1, max_size=60, unique=True)


@settings(max_examples=80, deadline=None)
@given(times=moments, shuffled=st.randoms(use_true_random=False))
def test_trades_in_any_order_come_to_the_same_bars(times: list[int], shuffled: object) -> None:
    pieces = [trade(time / 1000, 10.0 + (time * 7919) % 100, 1.0 + time % 5) for time in sorted(times)]
    expected = {}
    for number, group in groupby(pieces, lambda piece: (piece.time - BEGIN) // MINUTE):
        prices, sizes = zip(*((piece.price, piece.size) for piece in group), strict=True)
        expected[number] = (prices[0], max(prices), min(prices), prices[-1], sum(sizes))
    shuffled.shuffle(pieces)  # type: ignore[attr-defined]
    builder = trades(FOREVER)
    told = [*told_by(builder, pieces), *builder.tick(BEGIN + DAY)]
    last = {(bar.start - BEGIN) // MINUTE: bar for bar in told}
    assert {number: (b.open, b.high, b.low, b.close, b.volume) for number, b in last.items()} == expected
    for number, bar in last.items():
        revisions = [one.revision for one in told if one.start == bar.start]
        assert revisions == list(range(revisions[0], revisions[0] + len(revisions))), number


# --- smaller bars --------------------------------------------------------------------------------------------------


def test_a_bar_of_smaller_ones_is_told_with_the_one_that_reaches_its_end() -> None:
    builder = parts()
    told = [builder.add(part(number, 100.0 + number)) for number in range(12)]
    assert told[:11] == [()] * 11
    assert told[11] == (minute(0, 100.0, 112.0, 99.0, 111.5, 12.0, received=BEGIN + MINUTE),)


def test_eleven_of_twelve_make_a_whole_bar_for_the_twelfth_was_not_traded() -> None:
    made = told_by(parts(), [part(number) for number in range(12) if number != 4])
    assert [(bar.volume, bar.revision) for bar in made] == [(11.0, 0)]
    builder = parts()
    told_by(builder, [part(number) for number in range(11)])
    (last,) = builder.tick(BEGIN + MINUTE + GRACE)
    assert (last.volume, last.end) == (11.0, BEGIN + MINUTE)


def test_a_smaller_bar_that_was_revised_or_comes_late_revises_the_longer_one() -> None:
    builder = parts()
    told_by(builder, [part(number) for number in range(12) if number != 4])
    assert builder.add(part(3)) == (), "the same again is no news"
    (late,) = builder.add(part(4, 200.0))
    assert (late.revision, late.high, late.volume) == (1, 201.0, 12.0)
    (revised,) = builder.add(part(4, 90.0, 3.0, revision=1))
    assert (revised.revision, revised.high, revised.low, revised.volume) == (2, 101.0, 89.0, 14.0)


def test_a_smaller_bar_that_cannot_be_used_takes_its_bar_with_it_and_no_other() -> None:
    builder = parts()
    pieces = [part(number, math.nan if number == 15 else 100.0) for number in range(36)]
    assert [bar.start for bar in told_by(builder, pieces)] == [BEGIN, BEGIN + 2 * MINUTE]
    assert builder.counts["unusable"] == 1


def test_a_smaller_bar_across_an_edge_is_in_no_bar() -> None:
    builder = PartBars("SPY", "1m", None, "built")
    across = Bar("SPY", "45s", BEGIN + 45 * SECOND, BEGIN + 90 * SECOND, 10.0, 10.0, 10.0, 10.0, 1.0)
    assert builder.add(across) == ()
    assert builder.counts["unusable"] == 1
    assert builder.tick(BEGIN + 2 * MINUTE) == ()


def test_a_day_of_seconds_keeps_no_more_of_them_than_may_be_revised(sessions: Sessions) -> None:
    builder = parts(timeframe="1d", sessions=sessions)
    made = told_by(builder, (part(number, 100.0 + number % 50) for number in range(4680)))
    assert [(bar.volume, bar.high, bar.end) for bar in made] == [(4680.0, 150.0, at("2013-10-07T16:00"))]
    (forming,) = builder._forming.values()
    assert len(forming.total._parts) <= 2 * LATE // STEP + 1  # type: ignore[attr-defined]
    assert builder.add(part(7, 500.0)) == ()
    assert builder.counts["late"] == 1


numbers = st.lists(st.integers(0, 100), min_size=1, max_size=80, unique=True)


@settings(max_examples=60, deadline=None)
@given(numbers=numbers, shuffled=st.randoms(use_true_random=False))
def test_smaller_bars_in_any_order_come_to_what_strategies_build_of_them(numbers: list[int], shuffled: object) -> None:
    pieces = [part(number, 50.0 + (number * 31) % 17, 1.0 + number % 3) for number in sorted(numbers)]
    ordered = BarBuilder("SPY", "1m")
    expected = [bar for piece in pieces for bar in ordered.add(piece)]
    expected += ordered.finish(FOREVER)
    in_order = parts()
    made = [*told_by(in_order, pieces), *in_order.tick(BEGIN + DAY)]
    assert [replace(bar, source="", received=0) for bar in made] == expected
    shuffled.shuffle(pieces)  # type: ignore[attr-defined]
    builder = parts(FOREVER)
    told = [*told_by(builder, pieces), *builder.tick(BEGIN + DAY)]
    last = {bar.end: replace(bar, source="", received=0, revision=0) for bar in told}
    assert [last[end] for end in sorted(last)] == expected


@settings(max_examples=80, deadline=None)
@given(numbers=numbers, link=st.integers(-10 * SECOND, 450 * SECOND))
def test_what_is_told_after_a_connection_began_is_the_whole_truth(numbers: list[int], link: int) -> None:
    pieces = [part(number, 50.0 + (number * 31) % 17) for number in sorted(numbers)]
    everything = parts()
    truth = {bar.end: bar for bar in (*told_by(everything, pieces), *everything.tick(FOREVER))}
    builder = parts()
    builder.begin(BEGIN + link)
    heard = [piece for piece in pieces if piece.end > BEGIN + link]
    made = [*told_by(builder, heard), *builder.tick(FOREVER)]
    assert without_receipt(made) == without_receipt(bar for bar in truth.values() if bar.start >= BEGIN + link), (
        "all whole bars, and no other"
    )


def test_the_core_says_what_cannot_be_built_and_what_to_do() -> None:
    with pytest.raises(Unbuildable, match=r"bars of SPY: '5x'.*: for instance 5m, 1h or 1d"):
        BarBuilder("SPY", "5x")


# --- recorded ------------------------------------------------------------------------------------------------------


@needs_real_data
def test_minutes_of_the_recorded_seconds_are_the_recorded_minutes(sessions: Sessions) -> None:
    seconds, recorded = read(sessions)
    for build in (in_order, as_told):
        found = compared(build(seconds, sessions), recorded)
        assert found["compared"] == len(recorded) == 5 * 390
        assert (found["equal"], found["differing"], found["only_built"]) == (5 * 390, 0, 0)
        assert found["open_equal"] >= 0.99 * 5 * 390
