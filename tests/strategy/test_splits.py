"""After a split a strategy goes on in new shares: indicators, kept bars, longer bars under way, prices."""

from __future__ import annotations

from math import isclose, isnan, log

import pytest

from appliance.core.activities import split_bar
from appliance.domain.market import DAY, Bar, Split
from appliance.strategy.bars import BarBuilder, BarWindow
from appliance.strategy.indicators import Indicator
from appliance.strategy.indicators.rescaling import rescale
from tests.strategy.indicator_table import PAIRS, SINGLE, together, walk

ALL = {**SINGLE, **PAIRS}
SEVEN = Split("SPY", 0, 7, 1)
MERGED = Split("SPY", 0, 1, 20)


def fed(indicator: Indicator, bars: list[Bar]) -> None:
    for bar in bars:
        indicator.update(bar)


@pytest.mark.parametrize("split", [SEVEN, MERGED], ids=["7:1", "1:20"])
@pytest.mark.parametrize("name", [name for name in ALL if not name.startswith("renko")])
def test_an_indicator_goes_on_after_a_split_as_if_all_bars_had_been_in_new_shares(name: str, split: Split) -> None:
    bars = together(walk(80, 1), walk(80, 2, "QQQ")) if name in PAIRS else walk(80, 1)
    raw, adjusted = ALL[name](5), ALL[name](5)
    half = len(bars) // 2
    fed(raw, bars[:half])
    rescale(raw, split)
    fed(adjusted, [in_new_shares(bar, split) for bar in bars[:half]])
    for bar in bars[half:]:
        for indicator in (raw, adjusted):
            indicator.update(in_new_shares(bar, split))
        for line, same in zip(raw.lines.values(), adjusted.lines.values(), strict=True):
            assert (isnan(line.value) and isnan(same.value)) or isclose(
                line.value, same.value, rel_tol=1e-6, abs_tol=1e-6
            ), line


def in_new_shares(bar: Bar, split: Split) -> Bar:
    return split_bar(bar, split) if bar.symbol == split.symbol else bar


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("renko")])
def test_bricks_of_so_many_dollars_begin_anew_after_a_split(name: str) -> None:
    indicator = ALL[name](5)
    fed(indicator, walk(80, 1))
    rescale(indicator, SEVEN)
    assert indicator.snapshot() == ALL[name](5).snapshot()


class Sum(Indicator):
    """Logarithms add up and follow no factor."""

    PARAMETERS = ("period",)

    def update(self, bar: Bar) -> None:
        if not self._warming():
            self.step(log(bar.close))

    def _save(self) -> dict[str, object]:
        return {}

    def _load(self, data: dict[str, object]) -> None:
        """Nothing more is kept."""


def test_an_indicator_that_follows_no_factor_warms_up_anew() -> None:
    indicator = Sum("SPY", 3)
    fed(indicator, walk(10, 1))
    assert indicator.ready
    rescale(indicator, SEVEN)
    assert not indicator.ready
    fed(indicator, walk(3, 2))
    assert indicator.ready


def test_kept_bars_are_in_new_shares_after_a_split_and_stay_so_when_they_are_saved() -> None:
    window, bars = BarWindow(5), walk(8, 1)
    for bar in bars:
        window.append(bar)
    window.snapshot()
    window.rescale(SEVEN)
    again = BarWindow(5)
    again.restore(window.snapshot())
    wanted = [split_bar(bar, SEVEN) for bar in bars[-5:]]
    for kept in (window.last(5), again.last(5)):
        assert kept.close.tolist() == [bar.close for bar in wanted]
        assert kept.volume.tolist() == [bar.volume for bar in wanted]
        assert kept.end.tolist() == [bar.end for bar in wanted]


def test_a_longer_bar_under_way_goes_on_in_new_shares() -> None:
    builder = BarBuilder("SPY", "2d")
    first = Bar("SPY", "1d", 0, DAY, 700.0, 770.0, 630.0, 693.0, 10.0)
    second = Bar("SPY", "1d", DAY, 2 * DAY, 100.0, 105.0, 95.0, 101.0, 70.0)
    assert builder.add(first) == ()
    builder.rescale(SEVEN)
    (done,) = builder.add(second)
    assert (done.open, done.high, done.low, done.close, done.volume) == (100.0, 110.0, 90.0, 101.0, 140.0)
