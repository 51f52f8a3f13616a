"""Planted fault: chance without a seed, so that no run can be repeated."""

import numpy as np

from appliance.strategy import Strategy, param


class UnseededRandom(Strategy):
    """Tosses a coin for each bar."""

    symbol: str = param("SPY")

    def on_start(self):
        self.coin = np.random.default_rng()

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=100 if self.coin.random() < 0.5 else 0)
