"""The open of each bar, told as a trade when the bar begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from appliance.data.history import FileHistory
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.domain.market import MINUTE, Bar, QuoteBar, Sessions, Trade, known_at, middle
from appliance.strategy.bars import BarBuilder
from tests.data.real import needs_real_data, real
from tests.data.test_files import BARS, MONDAY, WEEK, bar, everything, write

OPTIONS = FileOptions(bar_stamp="start", session="all", opens=True)


def test_an_open_comes_when_its_bar_begins_after_the_bar_that_ends_then(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY, price=10.0), bar(MONDAY + MINUTE, price=12.0)])
    events = everything(FileSource([path], OPTIONS))
    assert [(type(one).__name__, known_at(one)) for one in events] == [
        ("Trade", MONDAY), ("Bar", MONDAY + MINUTE), ("Trade", MONDAY + MINUTE), ("Bar", MONDAY + 2 * MINUTE),
    ]  # fmt: skip
    assert events[0] == Trade("SPY", MONDAY, 10.0, 0.0)
    assert events[2] == Trade("SPY", MONDAY + MINUTE, 12.0, 0.0)


def test_without_being_asked_for_no_open_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, bar(MONDAY)])
    assert [type(one) for one in everything(FileSource([path], replace(OPTIONS, opens=False, timeframe="1m")))] == [Bar]


def test_a_day_opens_with_its_session_at_its_adjusted_price(tmp_path: Path) -> None:
    path = write(tmp_path, [BARS, *(bar(session.close, price=10.0) for session in WEEK)])
    factors = write(
        tmp_path,
        ["symbol,through_date,price_factor,split_factor,reference_price", "SPY,2013-10-08,0.5,1,10"],
        "factors.csv",
    )
    options = FileOptions(sessions=WEEK, opens=True, factors=factors)
    opens = [one for one in everything(FileSource([path], options)) if isinstance(one, Trade)]
    assert [one.time for one in opens] == [session.open for session in WEEK]
    assert [one.price for one in opens] == [5.0, 5.0, 10.0, 10.0, 10.0]


@needs_real_data
@pytest.mark.parametrize("position", [0, 1, 777])
def test_a_source_with_opens_goes_on_from_any_position(position: int, sessions: Sessions) -> None:
    options = FileOptions(
        bar_stamp="start", symbols=("SPY",), sessions=sessions, start="2013-10-07", end="2013-10-08", opens=True
    )
    whole = FileSource([real("equity_1min_bars")], options)
    events = everything(whole)
    assert len(events) == 2 * 2 * 390
    source = FileSource([real("equity_1min_bars")], options)
    source.seek(position)
    assert everything(source) == events[position:]


@needs_real_data
def test_the_history_of_a_symbol_without_trades_is_the_middle_of_its_quotes() -> None:
    options = FileOptions(bar_stamp="start", session="all", symbols=("XAUUSD",), end="2010-01-31")
    paths = [real("fx_gold_daily_quotebars")]
    quotes = [one for one in everything(FileSource(paths, options)) if isinstance(one, QuoteBar)]
    until = quotes[-3].end
    history = FileHistory(paths, options, BarBuilder)
    assert list(history.bars("XAUUSD", "", until, 5)) == [middle(one) for one in quotes[-7:-2]]
