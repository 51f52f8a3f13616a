"""What is promised of every indicator: one arithmetic for stream and array, restarts, warm-up, constant work."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import strategy as room
from appliance.domain.market import Bar
from appliance.errors import StrategyError
from appliance.strategy import indicators as package
from appliance.strategy.indicators import (
    MACD,
    SMA,
    Bollinger,
    Donchian,
    Indicator,
    Keltner,
    SessionVWAP,
    Stochastic,
    SuperTrend,
)
from appliance.strategy.indicators.arrays import Columns
from tests.strategy.indicator_table import (
    PAIRS,
    SINGLE,
    bar_lists,
    bits,
    numbered,
    recorded,
    streamed,
    together,
    walk,
)

ALL = SINGLE | PAIRS
periods = st.integers(1, 12)


def test_the_table_of_these_tests_has_every_indicator_there_is() -> None:
    tested = {type(make(3)) for make in ALL.values()}
    public = {one for name in package.__all__ if isinstance(one := getattr(package, name), type)}
    concrete = {one for one in public if issubclass(one, Indicator) and one not in (Indicator, package.Pair)}
    assert tested == concrete
    assert {one.__name__ for one in concrete} <= set(room.__all__)


# --- stream and array ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SINGLE)
@given(bars=bar_lists(), period=periods)
@settings(max_examples=60)
def test_the_array_has_the_bits_of_the_stream(name: str, bars: list[Bar], period: int) -> None:
    whole = SINGLE[name](period).lines_over(bars)
    for line, values in streamed(SINGLE[name](period), bars).items():
        assert bits(whole[line]) == bits(values), line


@pytest.mark.parametrize("period", [1, 14, 200])
@pytest.mark.parametrize("name", SINGLE)
def test_the_array_has_the_bits_of_the_stream_on_recorded_data(name: str, period: int, real_data: Path) -> None:
    bars = recorded(real_data)
    whole = SINGLE[name](period).lines_over(Columns.of(bars))
    for line, values in streamed(SINGLE[name](period), bars).items():
        assert bits(whole[line]) == bits(values), line
        assert sum(math.isnan(value) for value in values) <= SINGLE[name](period).warmup - 1


@pytest.mark.parametrize("name", SINGLE)
def test_over_leaves_the_indicator_as_it_was(name: str) -> None:
    one, bars = SINGLE[name](3), walk(40, seed=1)
    streamed(one, bars[:20])
    before = one.snapshot()
    assert bits(one.over(bars)) == bits(SINGLE[name](3).over(bars))
    assert one.snapshot() == before


@pytest.mark.parametrize("name", PAIRS)
@given(both=st.tuples(bar_lists(), bar_lists()), period=periods)
@settings(max_examples=60)
def test_the_array_of_a_pair_has_the_bits_of_the_stream(
    name: str, both: tuple[list[Bar], list[Bar]], period: int
) -> None:
    count = min(map(len, both))
    first, second = both[0][:count], numbered(plain_rows(both[1])[:count], "QQQ")
    one: Any = PAIRS[name](period)
    after_pairs = streamed(PAIRS[name](period), together(first, second))["value"][1::2]
    assert bits(one.over(Columns.of(first), Columns.of(second))) == bits(after_pairs)
    assert bits(one.over(together(first, second))[1::2]) == bits(after_pairs)


@pytest.mark.parametrize("opens", [(), (0,), (1, 7, 30), (0, 5, 39)])
def test_the_array_of_a_session_vwap_starts_again_where_the_stream_does(opens: tuple[int, ...]) -> None:
    bars, one, found = walk(40, seed=2), SessionVWAP("SPY"), []
    for index, bar in enumerate(bars):
        if index in opens:
            one.new_session()
        one.update(bar)
        found.append(one.value)
    assert bits(SessionVWAP("SPY").over(bars, opens)) == bits(found)


# --- restarts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
@given(data=st.data(), period=periods)
@settings(max_examples=40)
def test_a_restart_at_any_bar_goes_on_with_the_same_bits(name: str, data: st.DataObject, period: int) -> None:
    bars = data.draw(bar_lists())
    rows = [(bar.open, bar.high, bar.low, bar.open, bar.volume) for bar in bars]
    feed = together(bars, numbered(rows[: len(rows) - len(rows) // 4], "QQQ")) if name in PAIRS else bars
    cut = data.draw(st.integers(0, len(feed)))
    first, second = ALL[name](period), ALL[name](period)
    streamed(first, feed[:cut])
    second.restore(json.loads(json.dumps(first.snapshot(), allow_nan=False)))
    assert states(first) == states(second)
    for bar in feed[cut:]:
        first.update(bar)
        second.update(bar)
        assert states(first) == states(second)
    assert first.snapshot() == second.snapshot()


def states(one: Indicator) -> list[list[str]]:
    return [bits((line.value, line.previous)) for line in one.lines.values()]


def after(name: str, period: int, before: list[Bar]) -> list[str]:
    """The end of a walk, with some bars before it."""
    rows, tail = plain_rows(before), plain_rows(walk(40, seed=5))
    feed = numbered([*rows, *tail])
    if name in PAIRS:
        feed = together(feed, numbered([*rows, *tail[::-1]], "QQQ"))
    return [value for series in streamed(ALL[name](period), feed).values() for value in bits(series[-10:])]


def plain_rows(bars: list[Bar]) -> list[tuple[float, ...]]:
    return [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


@pytest.mark.parametrize("name", [name for name in ALL if name != "session vwap" and not ALL[name](1).RECURSIVE])
@given(bars=bar_lists(), period=st.integers(1, 8))
@settings(max_examples=40)
def test_a_window_does_not_remember_what_came_before_it(name: str, bars: list[Bar], period: int) -> None:
    assert after(name, period, bars) == after(name, period, [])


@pytest.mark.parametrize(
    "name", [name for name in ALL if ALL[name](1).RECURSIVE and name != "renko, wicked"]
)  # its size is huge
def test_what_is_marked_as_recursive_remembers_for_ever(name: str) -> None:
    assert after(name, 8, walk(30, seed=11, step=0.02)) != after(name, 8, [])


# --- warm-up -------------------------------------------------------------------------------------------------------

WARMUPS = {
    "sma": {"value": 5}, "ema": {"value": 5}, "wma": {"value": 5},
    "macd": {"value": 9, "signal": 11, "histogram": 11},
    "macd, slow first": {"value": 7, "signal": 11, "histogram": 11},
    "stdev": {"value": 5}, "zscore": {"value": 5}, "bollinger": {"middle": 5, "upper": 5, "lower": 5},
    "highest": {"value": 5}, "lowest": {"value": 5}, "donchian": {"middle": 5, "upper": 5, "lower": 5},
    "stochastic, fast": {"k": 5, "d": 7}, "stochastic, slow": {"k": 7, "d": 11},
    "rsi": {"value": 6}, "roc": {"value": 6}, "adx": {"adx": 10, "plus": 6, "minus": 6}, "atr": {"value": 5},
    "keltner": {"middle": 5, "upper": 5, "lower": 5}, "supertrend": {"value": 5, "direction": 5},
    "vwap": {"value": 5}, "session vwap": {"value": 1}, "obv": {"value": 1},
    "renko, classic": {"value": 1, "direction": 1, "count": 1},
    "renko, wicked": {"value": 1, "direction": 1, "count": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_each_line_is_a_number_after_exactly_as_many_bars_as_it_says(name: str) -> None:
    one, bars = SINGLE[name](5), walk(20, seed=3)
    for count, bar in enumerate(bars, 1):
        one.update(bar)
        for line, found in one.lines.items():
            needed = WARMUPS[name][line]
            assert found.ready == (count >= needed), (line, count)
            assert math.isnan(found.value) == (count < needed), (line, count)
            assert math.isnan(found.previous) == (count <= needed), (line, count)
    assert one.warmup == max(WARMUPS[name].values())
    assert one.ready


@pytest.mark.parametrize(("name", "pairs"), [("correlation", 6), ("beta", 6), ("zscore of a ratio", 5)])
def test_a_pair_is_a_number_after_exactly_as_many_pairs_as_it_says(name: str, pairs: int) -> None:
    one = PAIRS[name](5)
    for count, bar in enumerate(together(walk(20, seed=3), walk(20, seed=4, symbol="QQQ")), 1):
        one.update(bar)
        assert one.ready == (count // 2 >= pairs)
    assert one.warmup == pairs


@pytest.mark.parametrize("name", SINGLE)
def test_previous_is_the_value_of_the_bar_before(name: str) -> None:
    one = SINGLE[name](4)
    before = dict.fromkeys(one.LINES, math.nan)
    for bar in walk(60, seed=6):
        one.update(bar)
        for line, found in one.lines.items():
            assert repr(found.previous) == repr(before[line]), line
            before[line] = found.value


# --- constant work -------------------------------------------------------------------------------------------------


class Meter:
    """How many sums, products and comparisons were made with anything that comes from a price."""

    operations = 0


def metered(base: type, result: Callable[[Any], Any]) -> dict[str, Any]:
    def counting(name: str) -> Callable[..., Any]:
        plain = getattr(base, name)

        def operation(*given: Any) -> Any:
            Meter.operations += 1
            return result(plain(*given))

        return operation

    names = ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "abs", "round")
    compared = ("lt", "le", "gt", "ge", "eq", "ne")
    return {f"__{name}__": counting(f"__{name}__") for name in (*names, *compared)} | {"__hash__": base.__hash__}


def wrapped(value: Any) -> Any:
    if type(value) is int:
        return Whole(value)
    return Real(value) if type(value) is float else value


Real: Any = type("Real", (float,), metered(float, wrapped))
Whole: Any = type("Whole", (int,), metered(int, wrapped))


def work(one: Indicator, bars: list[Bar]) -> int:
    begin = Meter.operations
    for bar, row in zip(bars, plain_rows(bars), strict=True):
        one.update(Bar(bar.symbol, "", bar.start, bar.end, *map(Real, row)))
    return Meter.operations - begin


@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("renko")])  # a size is no period
def test_the_work_of_a_bar_does_not_grow_with_the_period(name: str) -> None:
    bars = walk(3_000, seed=7)
    if name in PAIRS:
        bars = together(bars, walk(3_000, seed=8, symbol="QQQ"))
    short, long = ALL[name](4), ALL[name](400)
    work(short, bars[:2_000])
    work(long, bars[:2_000])
    few, many = work(short, bars[2_000:]), work(long, bars[2_000:])
    assert many <= 1.5 * few  # Highest and Lowest: between one and two comparisons a bar, as the prices fall
    assert few >= 1_000  # the meter sees the work


def test_the_meter_would_see_a_sum_over_the_window() -> None:
    class Slow(SMA):
        def update(self, bar: Bar) -> None:
            super().update(bar)
            self.value = sum(self._window) / self._divisor

    short, long = Slow("SPY", 4), Slow("SPY", 400)
    bars = walk(1_000, seed=9)
    assert work(long, bars) > 20 * work(short, bars)


# --- what it is made with ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MACD("SPY", 12, 0), r"macd\('SPY', 12, 0, 9\): the slow must be a whole number of bars"),
        (lambda: Stochastic("SPY", 14, 3, True), "the smooth must be a whole number of bars"),
        (lambda: Bollinger("SPY", 20, math.nan), r"bollinger\('SPY', 20, nan\): the width must be a number above 0"),
        (lambda: Bollinger("SPY", 20, -2.0), "the width must be a number above 0"),
        (lambda: Keltner("SPY", 20, "2"), "the width must be a number above 0"),  # type: ignore[arg-type]
        (lambda: SuperTrend("SPY", 10, math.inf), "the width must be a number above 0"),
        (lambda: package.RSI("SPY", "14"), r"rsi\('SPY', '14'\): the period must be"),  # type: ignore[arg-type]
        (lambda: package.ADX("SPY", 2.5), "the period must be a whole number"),  # type: ignore[arg-type]
        (lambda: package.VWAP("SPY", None), "the period must be a whole number"),  # type: ignore[arg-type]
        (lambda: package.Beta("SPY", "QQQ", 0), r"beta\('SPY', 'QQQ', 0\): the period must be a whole number"),
        (lambda: package.Beta("SPY", "SPY", 5), r"beta\('SPY', 'SPY', 5\): twice the same symbol"),
    ],
)
def test_what_it_cannot_be_made_with_is_refused_by_name(make: Callable[[], Indicator], says: str) -> None:
    with pytest.raises(StrategyError, match=says):
        make()


@pytest.mark.parametrize(
    ("one", "label", "symbols"),
    [
        (SMA("SPY", 10), "sma(SPY, 10)", ("SPY",)),
        (SMA("SPY", 10, timeframe="15m"), "sma(SPY, 10, 15m)", ("SPY",)),
        (MACD("SPY", timeframe="1h"), "macd(SPY, 12, 26, 9, 1h)", ("SPY",)),
        (Bollinger("SPY"), "bollinger(SPY, 20, 2.0)", ("SPY",)),
        (SessionVWAP("SPY"), "sessionvwap(SPY)", ("SPY",)),
        (package.Beta("AIG", "SPY", 60), "beta(AIG, SPY, 60)", ("AIG", "SPY")),
    ],
)
def test_the_label_says_what_it_is(one: Indicator, label: str, symbols: tuple[str, ...]) -> None:
    assert (one.label, one.symbols, one.symbol) == (label, symbols, symbols[0])


def test_lines_cross_one_another_and_prices() -> None:
    macd, bands, channel = MACD("SPY", 3, 6, 3), Bollinger("SPY", 5, 1.0), Donchian("SPY", 5)
    crossings = breakouts = above = 0
    last = math.nan
    for bar in walk(300, seed=10):
        for one in (macd, bands, channel):
            one.update(bar)
        turned = macd.histogram.value > 0 >= macd.histogram.previous
        assert macd.crossed_above(macd.signal) == turned
        assert macd.histogram.crossed_above(0) == turned
        crossings += turned
        breakouts += bar.close > channel.upper.previous
        above += bar.close > bands.upper.value
        assert bands.middle is bands
        last = bar.close
    assert min(crossings, breakouts, above) > 5
    assert channel.lower.value <= last <= channel.upper.value


def test_the_package_does_not_load_numpy_until_arrays_are_asked_for() -> None:
    folder = Path(package.__file__).parent
    for path in sorted(folder.glob("*.py")):
        imports = [one for one in ast.parse(path.read_text()).body if isinstance(one, ast.Import | ast.ImportFrom)]
        loads = [name for name in map(ast.unparse, imports) if "numpy" in name or "arrays" in name]
        assert bool(loads) == (path.name == "arrays.py"), path.name
