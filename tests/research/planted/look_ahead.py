"""Planted fault: the closes are shifted the wrong way, so that the oldest stands where the newest should be."""

import numpy as np

from appliance.strategy import Strategy, param


class LookAhead(Strategy):
    """Buys before a rise it should not know of."""

    symbol: str = param("SPY")

    def on_start(self):
        self.state["closes"] = []

    def on_bar(self, bar):
        self.state["closes"] = [*self.state["closes"][-9:], bar.close]
        closes = np.array(self.state["closes"])
        rises = np.roll(closes, -1) > closes
        self.target(bar.symbol, quantity=100 if rises[-1] else 0)
