"""Idea: a price that has fallen unusually far below its own average often comes back. Buys when the close is below the
lower Bollinger band, sells when it is back at the average.
Data: bars of one symbol, of any length.
Risk: it wins often and a little, and loses seldom and much, when the fall goes on. The protective stop ends the trade
``loss`` percent below the entry, and it waits for the average before it tries again: the stop is the important line.
"""

from appliance.strategy import Strategy, param


class BollingerReversion(Strategy):
    """Buy an unusual dip, sell at the average, and stop out of a fall that goes on."""

    symbol: str = param("SPY", help="what to trade")
    window: int = param(30, low=5, high=400, help="bars in the average")
    width: float = param(2.0, low=0.5, high=6.0, help="how far below the average to buy, in standard deviations")
    loss: float = param(1.0, low=0.1, high=20.0, live=True, help="how far below the entry to give up, in percent")
    shares: int = param(100, low=1, high=100_000, live=True, help="how many to buy")

    def on_start(self):
        self.bands = self.bollinger(self.symbol, self.window, self.width)
        self.state["armed"] = True  # one entry for each dip

    def on_bar(self, bar):
        if not self.bands.ready:
            return
        if bar.close >= self.bands.middle.value:
            self.state["armed"] = True
            if self.position(bar.symbol) > 0:
                self.target(bar.symbol, quantity=0, reason="back at the average")
        elif self.state["armed"] and bar.close < self.bands.lower.value:
            self.state["armed"] = False
            stop = round(bar.close * (1 - self.loss / 100), 2)
            self.target(bar.symbol, quantity=self.shares, reason="far below the average", stop_loss=stop)
