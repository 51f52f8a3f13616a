"""A price that is far from the one before it is found, whichever way it went, and the largest is told first."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.domain.market import DAY
from appliance.research.results.evidence import Leap
from appliance.research.results.measuring import leaps
from appliance.research.results.tape import Path


def path(prices: Sequence[float]) -> Path:
    found = Path()
    found.extend([(day + 1) * DAY for day in range(len(prices))], prices, DAY)
    return found


def test_a_split_that_nobody_adjusted_is_a_leap_and_a_wild_day_is_none() -> None:
    assert leaps({"AAPL": path([100, 55, 100, 189])}) == ()
    assert leaps({"AAPL": path([100, 50, 51])}) == (Leap("AAPL", 2 * DAY, 100.0, 50.0),)


def test_the_largest_leap_is_told_first() -> None:
    found = leaps({"AAPL": path([700, 100]), "AIG": path([1.16, 23.2, 23.3]), "SPY": path([100, 101]), "X": Path()})
    assert [one.symbol for one in found] == ["AIG", "AAPL"]
