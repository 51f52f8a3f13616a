"""Two symbols: which bars make a pair, what a missing one does, and when a crossing shows."""

from __future__ import annotations

import math

import pytest

from appliance.domain.market import MINUTE, Bar
from appliance.errors import StrategyError
from appliance.strategy.indicators import Beta, Correlation, RatioZScore
from appliance.strategy.indicators.arrays import Columns
from tests.strategy.indicator_table import bits, streamed, together, walk


def minute(symbol: str, number: int, close: float) -> Bar:
    return Bar(symbol, "1m", (number - 1) * MINUTE, number * MINUTE, close, close, close, close, 1.0)


@pytest.mark.parametrize(
    ("bars", "pairs"),
    [
        ("A1 B1 A2 B2 A3 B3", "1 2 3"),
        ("B1 A1 A2 B2 B3 A3", "1 2 3"),  # whichever comes first
        ("A1 B1 A2 A3 B3", "1 3"),  # B had no bar in minute 2
        ("A1 B1 B2 A3 B3", "1 3"),
        ("A1 B2 A2 A3 B3", "2 3"),
        ("A1 A2 A3", ""),
        ("A2 B1 B2", "2"),  # B is late for minute 1, which A never had
        ("A1 B1 B1 A2 B2", "1 2"),
        ("A1 B2 A3 B4", ""),
    ],
)
def test_bars_of_equal_end_are_a_pair_and_the_others_are_left_out(bars: str, pairs: str) -> None:
    one, found = Correlation("A", "B", 2), []
    for text in bars.split():
        one.update(minute(text[0], int(text[1]), 100.0))
        if one.paired:
            found.append(text[1])
    assert found == pairs.split()


@pytest.mark.parametrize("kind", [Correlation, Beta, RatioZScore])
@pytest.mark.parametrize("missing", [(5,), (0, 1), (7, 8, 20), range(10, 30)])
def test_a_missing_bar_gives_what_the_pairs_alone_give(
    kind: type[Correlation | Beta | RatioZScore], missing: tuple[int, ...]
) -> None:
    first, second = walk(60, seed=1, symbol="A"), walk(60, seed=2, symbol="B")
    gappy = [bar for index, bar in enumerate(second) if index not in missing]
    partners = [bar for index, bar in enumerate(first) if index not in missing]
    one = kind("A", "B", 10)
    streamed(one, together(first, gappy))
    alone = kind("A", "B", 10).over(Columns.of(partners), Columns.of(gappy))
    assert bits([one.value]) == bits(alone[-1:])
    assert one.ready


def test_a_crossing_shows_once_on_the_bar_that_completes_the_pair() -> None:
    one, crossings = Correlation("A", "B", 5), []
    first, second = walk(300, seed=3, symbol="A"), walk(300, seed=4, symbol="B")
    pairs = one.over(Columns.of(first), Columns.of(second))
    expected = [index for index in range(1, 300) if pairs[index - 1] <= 0 < pairs[index]]
    for place, bar in enumerate(together(first, second)):
        one.update(bar)
        assert one.paired == (place % 2 == 1)
        if one.crossed_above(0):
            crossings.append(place // 2)
            assert one.paired
    assert crossings == expected
    assert len(crossings) > 10


@pytest.mark.parametrize(
    ("others", "correlation", "beta"),
    [
        ((100, 101, 102, 101, 103), 1.0, 1.0),
        ((100, 100, 100, 100, 100), math.nan, math.nan),
        ((100, 99, 98.0198, 98.9807, 97.0207), -1.0, -1.0),
    ],
)
def test_of_what_moves_alike_against_and_not_at_all(others: tuple[float, ...], correlation: float, beta: float) -> None:
    one, other = Correlation("A", "B", 4), Beta("A", "B", 4)
    for number, (mine, theirs) in enumerate(zip((100, 101, 102, 101, 103), others, strict=True), 1):
        for indicator in (one, other):
            indicator.update(minute("A", number, float(mine)))
            indicator.update(minute("B", number, float(theirs)))
    assert one.value == pytest.approx(correlation, abs=0.001, nan_ok=True)
    assert other.value == pytest.approx(beta, abs=0.001, nan_ok=True)


def test_beta_of_what_moves_twice_as_far_is_two() -> None:
    one = Beta("A", "B", 20)
    mine = theirs = 100.0
    for number, change in enumerate([0.0, *([0.01, -0.02, 0.005, 0.013, -0.007] * 4)], 1):
        mine, theirs = mine * (1 + 2 * change), theirs * (1 + change)
        one.update(minute("B", number, theirs))
        one.update(minute("A", number, mine))
    assert one.value == pytest.approx(2.0, abs=1e-6)


def test_the_columns_of_one_symbol_are_not_enough() -> None:
    with pytest.raises(StrategyError, match=r"beta\(A, B, 5\) over columns needs those of B too"):
        Beta("A", "B", 5).over(Columns.of(walk(10, seed=1)))
