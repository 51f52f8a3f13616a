"""Idea: two moving averages; the fast one follows the price closely, the slow one the trend. When the fast one crosses
above the slow one a rise may have begun, so it buys; when it crosses below, it sells.
Data: bars of one symbol, of any length.
Risk: it earns in long trends and loses a little, again and again, in markets that go sideways. No stop: a fall over
night is felt in full until the averages have crossed.
"""

from appliance.strategy import Strategy, crossed_above, crossed_below, param


class SmaCross(Strategy):
    """Long while the fast average is above the slow one: 100 shares or none."""

    symbol: str = param("SPY")
    fast: int = param(10, low=2, high=100)
    slow: int = param(30, low=5, high=400)

    def on_start(self):
        self.fast_sma, self.slow_sma = self.sma(self.symbol, self.fast), self.sma(self.symbol, self.slow)

    def on_bar(self, bar):
        if self.fast_sma.crossed_above(self.slow_sma):
            self.target(bar.symbol, quantity=100, reason="fast crossed above slow")
        elif self.fast_sma.crossed_below(self.slow_sma):
            self.target(bar.symbol, quantity=0, reason="fast crossed below slow")

    def signals(self, bars):
        import numpy as np  # here: only a sweep asks for whole arrays

        fast, slow = self.fast_sma.over(bars), self.slow_sma.over(bars)
        wished = np.full(len(bars), np.nan)
        wished[crossed_above(fast, slow)] = 100
        wished[crossed_below(fast, slow)] = 0
        return wished
