"""A price that has fallen unusually far below its own average often comes back. It buys when the close is ``entry``
standard deviations below the average, and sells when the close is back at the average. When the fall goes on instead,
the protective stop ends the trade ``loss`` percent below the entry, and it waits for the average to be reached before
it tries again. It wins often and a little, and loses seldom and much: the stop is the important line.
"""

from appliance.strategy import Strategy, param


class MeanReversion(Strategy):
    """Buy an unusual dip, sell at the average, and stop out of a fall that goes on."""

    symbol: str = param("SPY", help="what to trade")
    window: int = param(30, low=5, high=400, help="bars in the average")
    entry: float = param(2.0, low=0.5, high=6.0, help="how far below the average to buy, in standard deviations")
    loss: float = param(1.0, low=0.1, high=20.0, help="how far below the entry to give up, in percent")
    shares: int = param(100, low=1, high=100_000, help="how many to buy")

    def on_start(self):
        self.average = self.sma(self.symbol, self.window)
        self.deviation = self.stdev(self.symbol, self.window)
        self.state["armed"] = True  # one entry for each dip

    def on_bar(self, bar):
        if not self.average.ready:
            return
        if bar.close >= self.average.value:
            self.state["armed"] = True
            if self.position(bar.symbol) > 0:
                self.target(bar.symbol, quantity=0, reason="back at the average")
        elif self.state["armed"] and bar.close < self.average.value - self.entry * self.deviation.value:
            self.state["armed"] = False
            stop = round(bar.close * (1 - self.loss / 100), 2)
            self.target(bar.symbol, quantity=self.shares, reason="far below the average", stop_loss=stop)
