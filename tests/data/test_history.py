"""History never tells what had not ended, tells what a source would have delivered, and begins a strategy in order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.data.history import FileHistory
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
from appliance.data.sources.random_walk import random_walk
from appliance.data.warmup import needs_of, warm_up
from appliance.domain.market import MINUTE, Bar, MarketEvent, Sessions, known_at
from appliance.errors import DataError
from appliance.strategy.bars import BarBuilder
from tests.data.real import needs_real_data, real

FIRST = 1_381_152_600_000_000_000  # 2013-10-07 09:30 in New York
HEADER = "ts,symbol,open,high,low,close,volume"


def row(symbol: str, at: int, bar: Bar) -> str:
    return f"{at},{symbol},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three days of minutes of two symbols, round the clock, some of them missing."""
    lines = [HEADER]
    for symbol, seed in (("SPY", 1), ("QQQ", 2)):
        for n, one in enumerate(random_walk(3 * 1440, seed)):
            if n % 7 != seed and n % 60 < 58:
                lines.append(row(symbol, FIRST + n * MINUTE, one))
    path: Path = tmp_path_factory.mktemp("history") / "bars.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def everything(source: FileSource) -> list[MarketEvent]:
    events: list[MarketEvent] = []
    while True:
        offer = source.batch(1000)
        events += offer.events
        if offer.done:
            return events


def options_of(sessions: Sessions | None) -> FileOptions:
    return FileOptions(bar_stamp="start", session="regular" if sessions else "all", sessions=sessions)


@pytest.fixture(scope="module")
def regular(path: str, sessions: Sessions) -> tuple[FileHistory, list[Bar]]:
    options = options_of(sessions)
    return FileHistory([path], options, BarBuilder), _bars(path, options)


def _bars(path: str, options: FileOptions) -> list[Bar]:
    return [event for event in everything(FileSource([path], options)) if isinstance(event, Bar)]


timeframes = st.sampled_from(["", "1m", "5m", "1h", "7m", "1d"])


@settings(max_examples=60, deadline=None)
@given(
    symbol=st.sampled_from(["SPY", "QQQ"]), timeframe=timeframes, count=st.integers(0, 900), at=st.integers(-5, 3200)
)
def test_history_is_what_a_source_and_a_builder_had_told_by_then(
    regular: tuple[FileHistory, list[Bar]], sessions: Sessions, symbol: str, timeframe: str, count: int, at: int
) -> None:
    history, delivered = regular
    until = FIRST + at * MINUTE + at % 3
    told = history.bars(symbol, timeframe, until, count)
    assert all(bar.end <= until for bar in told)
    before = [bar for bar in delivered if bar.symbol == symbol and bar.end <= until]
    if timeframe not in ("", "1m"):
        builder = BarBuilder(symbol, timeframe, sessions)
        before = [done for bar in before for done in builder.add(bar)]
    assert list(told) == before[len(before) - min(count, len(before)) :]


def test_a_file_without_sessions_is_built_by_utc_days(path: str) -> None:
    history = FileHistory([path], options_of(None), BarBuilder)
    (day,) = history.bars("SPY", "1d", FIRST + 2 * 1440 * MINUTE, 1)
    assert (day.start % (1440 * MINUTE), day.end - day.start) == (0, 1440 * MINUTE)


def test_several_files_are_one_history(path: str, tmp_path: Path, sessions: Sessions) -> None:
    lines = Path(path).read_text().splitlines()[1:]
    mine = [line for line in lines if ",SPY," in line]
    halves = []
    for name, part in (("a", mine[1000:]), ("b", mine[:1000])):
        halves.append(str(tmp_path / f"{name}.csv"))
        Path(halves[-1]).write_text("\n".join([HEADER, *part]) + "\n")
    until = FIRST + 3000 * MINUTE
    split = FileHistory(halves, options_of(sessions), BarBuilder)
    whole = FileHistory([path], options_of(sessions), BarBuilder)
    for timeframe in ("", "1h"):
        assert split.bars("SPY", timeframe, until, 700) == whole.bars("SPY", timeframe, until, 700) != ()


def test_the_start_of_the_run_does_not_cut_its_history_and_the_end_does(path: str, sessions: Sessions) -> None:
    options = replace(options_of(sessions), start="2013-10-08", end="2013-10-08")
    history = FileHistory([path], options, BarBuilder)
    live = _bars(path, options)
    bars = history.bars("SPY", "", 2**62, 10_000)
    assert bars[0].start == FIRST
    assert bars[-1].end == max(bar.end for bar in live if bar.symbol == "SPY")


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    history = FileHistory([str(tmp_path / "none.csv")], options_of(None), BarBuilder)
    assert history.bars("SPY", "", FIRST, 0) == ()
    with pytest.raises(DataError, match="no such file"):
        history.bars("SPY", "", FIRST, 1)


@pytest.mark.parametrize(
    ("symbol", "timeframe", "says"),
    [
        ("NOPE", "", "there are bars of QQQ, SPY"),
        ("SPY", "30s", "the shortest are 1m"),
        ("SPY", "5min", "such as 30s, 5m"),
    ],
)
def test_what_the_files_cannot_give_is_told(path: str, symbol: str, timeframe: str, says: str) -> None:
    with pytest.raises(DataError) as caught:
        FileHistory([path], options_of(None), BarBuilder).bars(symbol, timeframe, FIRST, 5)
    assert says in str(caught.value)


# --- warm-up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end_of_day", [False, True])
def test_warm_up_ends_where_the_live_data_begin(path: str, sessions: Sessions, end_of_day: bool) -> None:
    options = replace(options_of(sessions if end_of_day else None), start="2013-10-09")
    first = options.span[0]
    history = FileHistory([path], options, BarBuilder)
    fed = warm_up([("SPY", "", 10**6), ("QQQ", "", 10**6)], history, first)
    live = _bars(path, options)
    assert [*fed, *live] == _bars(path, replace(options, start=""))
    assert fed[-1].end <= first < live[0].end


def test_warm_up_is_in_global_order_and_as_long_as_asked(path: str, sessions: Sessions) -> None:
    history = FileHistory([path], options_of(sessions), BarBuilder)
    fed = warm_up([("SPY", "", 50), ("QQQ", "", 20), ("SPY", "1m", 30)], history, FIRST + 3000 * MINUTE)
    assert [sum(bar.symbol == name for bar in fed) for name in ("SPY", "QQQ")] == [50, 20]
    assert all((a.end, a.symbol) < (b.end, b.symbol) for a, b in pairwise(fed))


@pytest.mark.parametrize(("timeframe", "count"), [("1h", 3), ("5m", 100), ("1d", 1), ("1d", 5), ("1w", 1)])
def test_enough_short_bars_are_fed_for_the_longer_ones(
    path: str, sessions: Sessions, timeframe: str, count: int
) -> None:
    history = FileHistory([path], options_of(sessions), BarBuilder)
    first = FIRST + 2 * 1440 * MINUTE + 200 * MINUTE
    fed = warm_up([("SPY", timeframe, count)], history, first)
    builder = BarBuilder("SPY", timeframe, sessions)
    made = [done for bar in fed for done in builder.add(bar)]
    assert tuple(made) == history.bars("SPY", timeframe, first, count)
    assert len(made) == count or fed[0].start == history.bars("SPY", "", first, 10**6)[0].start
    assert fed[-1] == history.bars("SPY", "", first, 1)[0], "the bar under way is fed too"


def test_what_is_asked_for_counts_unless_a_number_is_given() -> None:
    asked = [("SPY", "1h", 20), ("QQQ", "", 0)]
    assert needs_of(asked, ("QQQ", "SPY"), None) == (("SPY", "1h", 20),)
    assert needs_of(asked, ("QQQ", "SPY"), 7) == (("QQQ", "", 7), ("SPY", "", 7))
    assert needs_of(asked, ("QQQ", "SPY"), 0) == ()
    assert warm_up([], FileHistory([], FileOptions(), BarBuilder), FIRST) == ()


@needs_real_data
def test_recorded_minutes_make_the_recorded_days(sessions: Sessions) -> None:
    options = FileOptions(bar_stamp="start", symbols=("SPY",), sessions=sessions)
    minutes = FileHistory([real("equity_1min_bars")], options, BarBuilder)
    daily = FileHistory([real("equity_daily")], FileOptions(symbols=("SPY",), sessions=sessions), BarBuilder)
    built = {bar.start: bar for bar in minutes.bars("SPY", "1d", 2**62, 100)}
    recorded = [bar for bar in daily.bars("SPY", "", 2**62, 10**6) if bar.start in built]
    assert len(recorded) >= 5
    assert [(bar.start, bar.end) for bar in recorded] == [(built[b.start].start, built[b.start].end) for b in recorded]
    assert all(built[bar.start].open == pytest.approx(bar.open, rel=1e-3) for bar in recorded)
    assert all(known_at(bar) == bar.end for bar in recorded)
