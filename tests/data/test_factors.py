"""A file of factors as splits and dividends: what they are, when they happen, and that raw prices stay as they were."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from appliance.data.adjustment import split_adjusted
from appliance.data.factors import actions_of, load_factors
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import ACTIONS, Bar, Dividend, Split
from appliance.errors import DataError
from appliance.making import past_of
from tests.data.real import needs_real_data, real
from tests.data.test_files import WEEK, at, bar, everything, write

D = Decimal
HEADER = "symbol,through_date,price_factor,split_factor,reference_price"
BOTH = [HEADER, "SPY,2013-10-01,0.495,0.5,1", "SPY,2013-10-08,0.495,0.5,20", "SPY,2050-12-31,1,1,0"]
"""Through 2013-10-08: a dividend of 10.10 USD and a split of 2 for 1."""
RAW = FileOptions(sessions=WEEK, prices="raw")


def days(symbol: str = "SPY", *prices: float) -> list[str]:
    """Daily bars of the week from Monday 2013-10-07 on, stamped with their end."""
    stamps = [at(f"2013-10-{7 + number:02}T16:00") for number in range(len(prices))]
    return [bar(stamp, symbol, price) for stamp, price in zip(stamps, prices, strict=True)]


def source(folder: Path, factors: list[str], lines: list[str], **given: object) -> FileSource:
    path = write(folder, ["ts,symbol,open,high,low,close,volume", *lines])
    options = {"prices": "raw", "timeframe": "1d", "sessions": WEEK, **given}
    return FileSource([path], FileOptions(factors=write(folder, factors, "factors.csv"), **options))  # type: ignore[arg-type]


def test_raw_prices_stay_and_actions_come_before_the_first_event_of_the_ex_date(tmp_path: Path) -> None:
    events = everything(source(tmp_path, BOTH, days("SPY", 20, 21, 10, 11)))
    assert [type(one).__name__ for one in events] == ["Bar", "Bar", "Dividend", "Split", "Bar", "Bar"]
    assert [one.close for one in events if isinstance(one, Bar)] == [20, 21, 10, 11]
    ex_date = at("2013-10-09T00:00")
    assert events[2] == Dividend("SPY", ex_date, D("10.10"))
    assert events[3] == Split("SPY", ex_date, 2, 1, D(20))


def test_the_ex_date_is_the_next_session_even_over_a_weekend(tmp_path: Path) -> None:
    friday = [HEADER, "SPY,2013-10-04,1,0.25,400", "SPY,2050-12-31,1,1,0"]
    factors = load_factors(write(tmp_path, friday, "factors.csv"))["SPY"]
    (found,) = actions_of("SPY", factors, WEEK)
    assert found.time == at("2013-10-07T00:00")
    (without,) = actions_of("SPY", factors, None)
    assert without.time == at("2013-10-05T00:00")


@pytest.mark.parametrize(
    ("before", "after", "new", "old"),
    [
        ("0.03571430", "0.25", 7, 1),  # AAPL 2014
        ("7.11111022", "10.66670000", 3, 2),
        ("10.6667", "13.3333", 5, 4),
        ("1", "0.05", 1, 20),  # AIG 2009
        ("0.5", "0.999", 999, 500),  # GOOG 2014: no round ratio, and none is made of it
    ],
)
def test_a_split_is_the_ratio_of_small_whole_numbers_that_rounded_factors_come_from(
    tmp_path: Path, before: str, after: str, new: int, old: int
) -> None:
    lines = [HEADER, f"SPY,2013-10-08,1,{before},20", f"SPY,2050-12-31,1,{after},0"]
    (split,) = actions_of("SPY", load_factors(write(tmp_path, lines, "factors.csv"))["SPY"], WEEK)
    assert isinstance(split, Split)
    assert (split.new, split.old) == (new, old)


def test_what_happened_before_the_first_or_after_the_last_bar_is_left_out(tmp_path: Path) -> None:
    lines = [HEADER, "SPY,2013-10-04,1,0.5,20", "SPY,2013-10-09,1,0.75,20", "SPY,2050-12-31,1,1,0"]
    assert [type(one) for one in everything(source(tmp_path, lines, days("SPY", 20, 21, 10)))] == [Bar] * 3


def test_reading_goes_on_from_any_position_among_actions(tmp_path: Path) -> None:
    reader = source(tmp_path, BOTH, days("SPY", 20, 21, 10, 11))
    events = everything(reader)
    for position in range(len(events) + 1):
        reader.seek(position)
        assert everything(reader) == events[position:]


def test_adjusted_prices_have_no_actions_and_raw_ones_without_factors_neither(tmp_path: Path) -> None:
    adjusted = source(tmp_path, BOTH, days("SPY", 20, 21, 10), prices="adjusted")
    assert adjusted.actions() == ()
    assert [one.close for one in everything(adjusted) if isinstance(one, Bar)] == [4.95, 5.1975, 10.0]
    path = write(tmp_path, ["ts,symbol,open,high,low,close,volume", *days("SPY", 20, 21)])
    plain = FileSource([path], FileOptions(sessions=WEEK, prices="raw"))
    assert not any(isinstance(one, ACTIONS) for one in everything(plain))


def test_a_dividend_without_a_reference_price_is_refused_by_name(tmp_path: Path) -> None:
    lines = [line.rpartition(",")[0] for line in BOTH]
    with pytest.raises(DataError, match="SPY: no reference_price on 2013-10-08") as refused:
        source(tmp_path, lines, days("SPY", 20, 21, 10))
    assert "--prices adjusted" in refused.value.hint
    assert source(tmp_path, lines, days("SPY", 20, 21, 10), prices="adjusted").report.events == 3


def test_bars_from_before_the_start_are_learnt_from_in_the_shares_of_the_start(tmp_path: Path) -> None:
    path = write(tmp_path, ["ts,symbol,open,high,low,close,volume", *days("SPY", 20, 22, 11, 12)])
    factors = write(tmp_path, BOTH, "factors.csv")
    options = FileOptions(sessions=WEEK, prices="raw", timeframe="1d", factors=factors, start="2013-10-10")
    past = past_of([path], options, [], ["SPY"], 3)
    assert [one.close for one in past] == [10.0, 11.0, 11.0]
    assert [one.volume for one in past] == [200.0, 200.0, 100.0]


def test_bars_of_other_symbols_and_after_a_split_are_not_rescaled() -> None:
    ends = [at(f"2013-10-{day:02}T16:00") for day in (8, 9)]
    bars = [Bar(symbol, "1d", end - 1, end, 8.0, 8.0, 8.0, 8.0, 1.0) for end in ends for symbol in ("QQQ", "SPY")]
    split = Split("SPY", at("2013-10-09T00:00"), 2, 1)
    assert [one.close for one in split_adjusted(bars, [split], ends[1])] == [8.0, 4.0, 8.0, 8.0]
    assert [one.close for one in split_adjusted(bars, [split], ends[0])] == [8.0] * 4


@needs_real_data
def test_the_recorded_splits_and_dividends_are_those_that_were() -> None:
    factors = load_factors(real("equity_factors"))
    apple = [one for one in actions_of("AAPL", factors["AAPL"], None) if isinstance(one, Split)]
    assert [(one.new, one.old) for one in apple] == [(2, 1), (2, 1), (7, 1), (4, 1)]
    (first, *_) = [one for one in actions_of("SPY", factors["SPY"], None) if isinstance(one, Dividend)]
    assert first.amount == D("0.31")
    (reverse,) = [
        one for one in actions_of("AIG", factors["AIG"], None) if isinstance(one, Split) and one.new < one.old
    ]
    assert (reverse.new, reverse.old) == (1, 20)


@needs_real_data
@pytest.mark.slow
def test_raw_prices_rescaled_by_their_splits_and_dividends_are_the_adjusted_prices() -> None:
    paths, symbols = [real("equity_daily")], ("AAPL",)
    given = {"symbols": symbols, "session": "all", "factors": real("equity_factors"), "start": "2014-05-01"}
    raw = everything(FileSource(paths, FileOptions(**given, prices="raw")))  # type: ignore[arg-type]
    adjusted = everything(FileSource(paths, FileOptions(**given)))  # type: ignore[arg-type]
    bars = [one for one in raw if isinstance(one, Bar)]
    splits = [one for one in raw if isinstance(one, Split)]
    rescaled = split_adjusted(bars, splits, bars[-1].end)
    for mine, theirs in zip(rescaled, adjusted, strict=True):
        assert isinstance(theirs, Bar)
        assert theirs.close <= mine.close * 1.0001, "dividends only lower it"
    assert rescaled[-1].close == pytest.approx(adjusted[-1].close, rel=2e-3)  # type: ignore[union-attr]
