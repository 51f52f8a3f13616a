"""Longer bars against pandas, session edges as a table, and windows that cannot reach beyond what they were given."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.data.sources.random_walk import random_walk
from appliance.domain.market import DAY, HOUR, MINUTE, SECOND, WEEK, Bar, Session, Sessions, timeframe_ns
from appliance.errors import StrategyError
from appliance.strategy.bars import CHUNK, KEPT_MAX, BarBuilder, BarWindow

NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> int:
    """A New York time as ns UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def local(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, NEW_YORK).strftime("%m-%d %H:%M")


def bar(start: int, price: float = 10.0, timeframe: str = "1m", end: int | None = None) -> Bar:
    end = start + timeframe_ns(timeframe) if end is None else end
    return Bar("SPY", timeframe, start, end, price, price + 1, price - 1, price + 0.5, 100.0)


def minutes(session: Session) -> list[Bar]:
    return [bar(start, 10 + n % 7) for n, start in enumerate(range(session.open, session.close, MINUTE))]


def days(table: Sessions, first: str, last: str) -> list[Bar]:
    return [one for session in table if first <= session.date <= last for one in minutes(session)]


def built(builder: BarBuilder, smaller: Iterable[Bar]) -> list[Bar]:
    return [done for one in smaller for done in builder.add(one)]


# --- spans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeframe", "date", "starts", "last"),
    [
        ("1h", "2013-10-07", ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"], "16:00"),
        ("1h", "2013-11-29", ["09:30", "10:30", "11:30", "12:30"], "13:00"),  # a half day
        ("2h", "2013-11-29", ["09:30", "11:30"], "13:00"),
        ("4h", "2013-03-08", ["09:30", "13:30"], "16:00"),  # the last day of winter time, and the first of summer's
        ("4h", "2013-03-11", ["09:30", "13:30"], "16:00"),
        ("45m", "2013-11-04", ["09:30", "10:15", "11:00", "11:45", "12:30", "13:15", "14:00", "14:45", "15:30"],
         "16:00"),
        ("8h", "2013-10-07", ["09:30"], "16:00"),
        ("1d", "2013-10-07", ["09:30"], "16:00"),
        ("1d", "2013-11-29", ["09:30"], "13:00"),
    ],
)  # fmt: skip
def test_bars_are_counted_from_the_open_of_their_session(
    new_york: Sessions, timeframe: str, date: str, starts: list[str], last: str
) -> None:
    made = built(BarBuilder("SPY", timeframe, new_york), days(new_york, date, date))
    assert [local(one.start)[-5:] for one in made] == starts
    assert local(made[-1].end)[-5:] == last
    assert all(before.end == after.start for before, after in pairwise(made))
    assert {one.timeframe for one in made} == {timeframe}


@pytest.mark.parametrize(
    ("timeframe", "first", "last", "ends"),
    [
        ("1w", "2013-11-18", "2013-12-06", ["11-22 16:00", "11-29 13:00", "12-06 16:00"]),
        ("1w", "2013-03-25", "2013-04-05", ["03-28 16:00", "04-05 16:00"]),  # a Good Friday
        ("1mo", "2013-10-01", "2013-12-31", ["10-31 16:00", "11-29 13:00", "12-31 16:00"]),
        ("3mo", "2013-07-01", "2013-12-31", ["09-30 16:00", "12-31 16:00"]),
    ],
)
def test_weeks_and_months_end_with_their_last_session(
    new_york: Sessions, timeframe: str, first: str, last: str, ends: list[str]
) -> None:
    smaller = days(new_york, first, last)
    made = built(BarBuilder("SPY", timeframe, new_york), smaller)
    assert [local(one.end) for one in made] == ends
    assert made[0].start == smaller[0].start
    assert sum(one.volume for one in made) == sum(one.volume for one in smaller)
    from_days = built(BarBuilder("SPY", "1d", new_york), smaller)
    assert built(BarBuilder("SPY", timeframe, new_york), from_days) == made


def test_two_day_bars_hold_two_sessions_each(new_york: Sessions) -> None:
    made = built(BarBuilder("SPY", "2d", new_york), days(new_york, "2013-11-25", "2013-12-06"))
    full = [one for one in made if one.volume > 0][1:-1]
    assert len(full) >= 3
    dates = [session.date for session in new_york]
    for one in full:
        first, last = (dates.index(new_york.at(time).date) for time in (one.start, one.end - 1))  # type: ignore[union-attr]
        assert last == first + 1


@pytest.mark.parametrize(
    ("timeframe", "starts", "length"),
    [("1h", 24, HOUR), ("1d", 1, DAY), ("7m", 206, 7 * MINUTE)],
)
def test_a_market_that_never_closes_counts_from_midnight_utc(timeframe: str, starts: int, length: int) -> None:
    day = 20_000 * DAY
    made = built(BarBuilder("BTC", timeframe), (bar(day + n * MINUTE) for n in range(1440)))
    assert [one.start for one in made] == [day + n * length for n in range(starts)]
    assert made[-1].end == day + DAY


def test_a_week_that_never_closes_begins_on_a_monday() -> None:
    monday = 4 * DAY + 2_000 * WEEK
    made = built(BarBuilder("BTC", "1w"), (bar(monday + n * HOUR, timeframe="1h") for n in range(-24, 7 * 24)))
    assert [(one.start, one.end) for one in made] == [(monday - WEEK, monday), (monday, monday + WEEK)]


# --- completion ----------------------------------------------------------------------------------------------------


def test_a_bar_is_told_with_the_smaller_bar_that_ends_it_and_not_before(new_york: Sessions) -> None:
    builder, begin = BarBuilder("SPY", "5m", new_york), at("2013-10-07T09:30")
    told = [builder.add(bar(begin + n * MINUTE, 10.0 + n)) for n in range(5)]
    assert told[:4] == [(), (), (), ()]
    assert told[4] == (Bar("SPY", "5m", begin, begin + 5 * MINUTE, 10.0, 15.0, 9.0, 14.5, 500.0),)


def test_where_the_last_smaller_bar_is_missing_the_next_one_ends_the_bar_first(new_york: Sessions) -> None:
    builder, begin = BarBuilder("SPY", "5m", new_york), at("2013-10-07T09:30")
    assert builder.add(bar(begin)) == ()
    late, own = builder.add(bar(begin + 9 * MINUTE, 20.0))
    assert late == Bar("SPY", "5m", begin, begin + 5 * MINUTE, 10.0, 11.0, 9.0, 10.5, 100.0)
    assert own == Bar("SPY", "5m", begin + 5 * MINUTE, begin + 10 * MINUTE, 20.0, 21.0, 19.0, 20.5, 100.0)


def test_a_bar_outside_the_sessions_ends_the_last_one_and_belongs_to_none(new_york: Sessions) -> None:
    builder = BarBuilder("SPY", "1d", new_york)
    assert builder.add(bar(at("2013-10-07T08:00"))) == ()
    assert builder.add(bar(at("2013-10-07T15:00"))) == ()
    (day,) = builder.add(bar(at("2013-10-07T18:00"), 99.0))
    assert (local(day.start), local(day.end), day.close, day.volume) == ("10-07 09:30", "10-07 16:00", 10.5, 100.0)
    assert builder.add(bar(at("2013-10-07T19:00"), 99.0)) == ()


def test_what_trades_between_the_sessions_of_a_week_is_not_in_it(new_york: Sessions) -> None:
    builder = BarBuilder("SPY", "1w", new_york)
    times = ["2013-10-07T12:00", "2013-10-07T18:00", "2013-10-08T12:00", "2013-10-09T08:00", "2013-10-11T15:59"]
    (week,) = built(builder, [bar(at(time), 10.0 + n) for n, time in enumerate(times)])
    assert (week.volume, week.open, week.close) == (300.0, 10.0, 14.5)


def test_daily_bars_known_after_an_early_close_still_make_a_week(new_york: Sessions) -> None:
    week = [session for session in new_york if "2013-11-25" <= session.date <= "2013-12-02"]
    smaller = [bar(one.open, timeframe="1d", end=at(f"{one.date}T16:00")) for one in week]
    (made,) = built(BarBuilder("SPY", "1w", new_york), smaller)
    assert made.end == at("2013-11-29T16:00"), "nobody knew it at 13:00"
    assert made.volume == 400.0


def test_a_revision_of_a_smaller_bar_is_left_out(new_york: Sessions) -> None:
    begin = at("2013-10-07T09:30")
    smaller = [bar(begin + n * MINUTE) for n in (0, 0, 1, 2, 1, 3, 4, 4, 5)]
    (made,) = built(BarBuilder("SPY", "5m", new_york), smaller)
    assert made.volume == 500.0


@pytest.mark.parametrize(
    ("timeframe", "smaller", "says"),
    [
        ("1h", [bar(at("2013-10-07T09:30"), timeframe="1h")], "cannot be built from 1h bars"),
        ("60m", [bar(at("2013-10-07T09:30"), timeframe="1h")], "use 1h bars as they come"),
        ("5m", [bar(at("2013-10-07T09:30"), timeframe="1d")], "cannot be built from 1d bars"),
        ("45m", [bar(at("2013-10-07T10:00"), timeframe="30m")], "lies across an "),
        ("2h", [bar(at("2013-10-07T11:00"), timeframe="1h")], "from 2013-10-07 15:00:00 to 2013-10-07 16:00:00 UTC"),
        ("2h", [bar(at("2013-10-07T09:00"), timeframe="1h")], "use smaller bars"),
        ("1d", [bar(at("2013-10-07T15:30"), timeframe="1h")], "edge of one, or of a session"),
        ("1w", [bar(at("2013-10-07T15:00"), timeframe="30m"), bar(at("2013-10-07T15:45"), timeframe="30m")], "edge"),
        ("1w", [bar(at("2013-10-07T00:00"), timeframe="1d")], "lies across an "),
        ("5m", [bar(at("2013-10-07T09:30")), bar(at("2013-10-07T09:31"), timeframe="30s")], "one timeframe"),
        ("1h", [Bar("SPY", "tick", 0, 1, 1, 1, 1, 1, 1)],
         "a bar of SPY"),
    ],
)  # fmt: skip
def test_a_bar_that_cannot_be_placed_is_refused(
    new_york: Sessions, timeframe: str, smaller: list[Bar], says: str
) -> None:
    with pytest.raises(StrategyError) as caught:
        built(BarBuilder("SPY", timeframe, new_york), smaller)
    assert says in str(caught.value)


@pytest.mark.parametrize("timeframe", ["", "5", "5min", "0m", "-5m", "1H", "1.5h", "24h", "1440m", "m", 5])
def test_a_wrong_timeframe_says_what_is_allowed(timeframe: str) -> None:
    with pytest.raises(StrategyError, match=r"bars of SPY: .*(5m, 1h, 1d|write 1d)"):
        BarBuilder("SPY", timeframe)


# --- against pandas ------------------------------------------------------------------------------------------------

WALK = list(random_walk(3_000, 7, "SPY"))


def recorded(table: Sessions, first: str, kept: list[bool]) -> list[Bar]:
    """Minutes of a few sessions from a random walk, some of them missing."""
    spans = [session for session in table if session.date >= first][:3]
    starts = [start for session in spans for start in range(session.open, session.close, MINUTE)]
    walk = zip(starts, WALK, strict=False)
    made = [Bar("SPY", "1m", t, t + MINUTE, b.open, b.high, b.low, b.close, b.volume) for t, b in walk]
    return [one for n, one in enumerate(made) if kept[n % len(kept)]]


def resampled(table: Sessions, smaller: list[Bar], timeframe: str) -> list[tuple[float, ...]]:
    """Session by session, by pandas: start, end, open, high, low, close, volume."""
    frame = pd.DataFrame([(b.start, b.open, b.high, b.low, b.close, b.volume) for b in smaller], columns=list("tohlcv"))
    rows: list[tuple[float, ...]] = []
    for session in table:
        mine = frame[(frame.t >= session.open) & (frame.t < session.close)]
        if mine.empty:
            continue
        mine = mine.set_index(pd.to_datetime(mine.t))
        rule = pd.Timedelta(timeframe_ns(timeframe), "ns")
        found = mine.resample(rule, origin=pd.Timestamp(session.open)).agg(
            {"t": "size", "o": "first", "h": "max", "l": "min", "c": "last", "v": "sum"}
        )
        for when, row in found[found.t > 0].iterrows():
            start = int(pd.Timestamp(when).as_unit("ns").value)
            end = min(start + timeframe_ns(timeframe), session.close)
            rows.append((start, end, row.o, row.h, row.l, row.c, row.v))
    return rows


gaps = st.lists(st.booleans(), min_size=1, max_size=40).filter(any)
lengths = st.sampled_from(["2m", "5m", "7m", "15m", "1h", "4h", "1d"])
around = st.sampled_from(["2013-03-07", "2013-10-07", "2013-11-27", "2013-11-01"])


@settings(max_examples=60, deadline=None)
@given(first=around, kept=gaps, timeframe=lengths)
def test_bars_with_gaps_are_those_of_pandas(new_york: Sessions, first: str, kept: list[bool], timeframe: str) -> None:
    smaller = recorded(new_york, first, kept)
    told: list[Bar] = []
    builder = BarBuilder("SPY", timeframe, new_york)
    for one in smaller:
        done = builder.add(one)
        assert all(each.end <= one.end for each in done), "told before it was over"
        told += done
    expected = resampled(new_york, smaller, timeframe)
    assert [(b.start, b.end, b.open, b.high, b.low, b.close, b.volume) for b in told] == expected[: len(told)]
    assert len(expected) - len(told) == int(smaller[-1].end < expected[-1][1])


@settings(max_examples=40, deadline=None)
@given(first=around, kept=gaps, timeframe=lengths, cuts=st.sets(st.integers(0, 1_100), max_size=5))
def test_a_restart_at_any_bar_changes_nothing(
    new_york: Sessions, first: str, kept: list[bool], timeframe: str, cuts: set[int]
) -> None:
    smaller = recorded(new_york, first, kept)
    through = built(BarBuilder("SPY", timeframe, new_york), smaller)
    builder, told = BarBuilder("SPY", timeframe, new_york), []
    for n, one in enumerate(smaller):
        if n in cuts:
            saved = json.dumps(builder.snapshot())
            builder = BarBuilder("SPY", timeframe, new_york)
            builder.restore(json.loads(saved))
        told += builder.add(one)
    assert told == through


# --- windows -------------------------------------------------------------------------------------------------------


def filled(limit: int, count: int) -> BarWindow:
    window = BarWindow(limit)
    for one in WALK[:count]:
        window.append(one)
    return window


@settings(max_examples=60, deadline=None)
@given(limit=st.integers(1, 50), count=st.integers(0, 300), asked=st.integers(1, 50))
def test_a_window_gives_the_last_bars_and_nothing_else(limit: int, count: int, asked: int) -> None:
    asked = min(asked, limit)
    bars = filled(limit, count).last(asked)
    expected = WALK[:count][-asked:]
    assert len(bars) == min(asked, count)
    for name in ("end", "open", "high", "low", "close", "volume"):
        column = getattr(bars, name)
        assert column.tolist() == [getattr(one, name) for one in expected]
        assert column.base is None
        assert not column.flags.writeable
        assert column.dtype == (np.int64 if name == "end" else np.float64)


def test_arrays_that_were_given_do_not_change_with_later_bars() -> None:
    window = filled(10, 10)
    before = window.last(10)
    closes = before.close.tolist()
    for one in WALK[10:40]:
        window.append(one)
    assert before.close.tolist() == closes
    with pytest.raises(ValueError, match="read-only"):
        before.close[0] = 1.0


@pytest.mark.parametrize("limit", [1, 15, 16, 100])
def test_a_window_stays_small_for_ever(limit: int) -> None:
    window = filled(limit, len(WALK))
    assert len(window) == limit
    assert len(window._ends) <= 2 * (limit + CHUNK)
    assert sum(map(len, window.snapshot()["chunks"].values())) < limit + 2 * CHUNK


@settings(max_examples=60, deadline=None)
@given(limit=st.integers(1, 60), before=st.integers(0, 200), after=st.integers(0, 100))
def test_a_window_goes_on_from_what_was_saved(limit: int, before: int, after: int) -> None:
    straight = filled(limit, before)
    other = BarWindow(limit)
    other.restore(json.loads(json.dumps(straight.snapshot())))
    for one in WALK[before : before + after]:
        straight.append(one)
        other.append(one)
    assert other.snapshot() == straight.snapshot()
    assert other.last(limit).close.tolist() == straight.last(limit).close.tolist()
    assert len(other) == len(straight) == min(limit, before + after)


def test_a_new_bar_changes_one_chunk_of_what_is_saved() -> None:
    window = filled(100, 1_000)
    for one in WALK[1_000:1_200]:
        before = window.snapshot()["chunks"]
        window.append(one)
        after = window.snapshot()["chunks"]
        assert len([number for number, rows in after.items() if before.get(number) is not rows]) <= 2
        assert len([number for number, rows in after.items() if before.get(number) != rows]) == 1


@pytest.mark.parametrize("count", [0, -1, 11, True, 2.0, "5"])
def test_more_bars_than_are_kept_are_refused(count: int) -> None:
    with pytest.raises(StrategyError, match="1 to 10 as many as are kept; ask for more in on_start"):
        filled(10, 30).last(count)


def test_a_window_can_be_made_longer_but_not_endless() -> None:
    window = BarWindow(5)
    window.grow(20)
    window.grow(10)
    assert window.limit == 20
    with pytest.raises(StrategyError, match=f"1 to {KEPT_MAX}"):
        window.grow(KEPT_MAX + 1)
