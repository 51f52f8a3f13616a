"""Indicators, fed one bar at a time: amortised O(1) a bar, and one arithmetic for everybody.

Prices enter sums as whole numbers of 1e-8 USD (``UNITS``), because sums of integers are exact: a rolling sum then does
not depend on what came before the window, a restart continues with the same bits, two averages that are equal on
paper are equal here (a float sum would cross on noise), and ``over`` gets the same bits from whole arrays, since a
quotient of integers is rounded once. Finer digits of a price are rounded away (half to even).

What recurs (EMA, Wilder's averages) starts from an exact sum and goes on in floats; ``over`` takes the same steps.

``value`` is NaN until the indicator has seen enough bars. NaN compares false, so nothing ever crosses during warm-up.
"""

from appliance.strategy.indicators.averages import EMA, MACD, SMA, WMA
from appliance.strategy.indicators.base import PERIOD_MAX, Indicator, Line
from appliance.strategy.indicators.dispersion import Bollinger, StDev, ZScore
from appliance.strategy.indicators.extremes import Donchian, Highest, Lowest, Stochastic
from appliance.strategy.indicators.momentum import ADX, ROC, RSI
from appliance.strategy.indicators.pairs import Beta, Correlation, Pair, RatioZScore
from appliance.strategy.indicators.ranges import ATR, Keltner, SuperTrend
from appliance.strategy.indicators.renko import Brick, Renko
from appliance.strategy.indicators.units import UNITS
from appliance.strategy.indicators.volume import OBV, VWAP, SessionVWAP

__all__ = [
    "ADX",
    "ATR",
    "EMA",
    "MACD",
    "OBV",
    "PERIOD_MAX",
    "ROC",
    "RSI",
    "SMA",
    "UNITS",
    "VWAP",
    "WMA",
    "Beta",
    "Bollinger",
    "Brick",
    "Correlation",
    "Donchian",
    "Highest",
    "Indicator",
    "Keltner",
    "Line",
    "Lowest",
    "Pair",
    "RatioZScore",
    "Renko",
    "SessionVWAP",
    "StDev",
    "Stochastic",
    "SuperTrend",
    "ZScore",
]
