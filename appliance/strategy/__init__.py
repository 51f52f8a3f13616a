"""What a strategy author imports: ``from appliance.strategy import Strategy, param``."""

from appliance.domain.market import Bar, Quote
from appliance.domain.trading import Fill, Order
from appliance.strategy.base import Strategy
from appliance.strategy.indicators import ATR, EMA, RSI, SMA, Highest, Indicator, Lowest, StDev
from appliance.strategy.params import param

__all__ = [
    "ATR",
    "EMA",
    "RSI",
    "SMA",
    "Bar",
    "Fill",
    "Highest",
    "Indicator",
    "Lowest",
    "Order",
    "Quote",
    "StDev",
    "Strategy",
    "param",
]
