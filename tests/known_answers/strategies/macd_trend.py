"""Long while the MACD is clearly above its signal, out when it is clearly below."""

from appliance.strategy import Strategy, param


class MacdTrend(Strategy):
    """The difference counts as a part of the fast average."""

    symbol: str = param("SPY")
    tolerance: float = param(0.0025, low=0.0)

    def on_start(self):
        self.line = self.macd(self.symbol, 12, 26, 9)
        self.fast = self.ema(self.symbol, 12)

    def on_bar(self, bar):
        if not self.line.signal.ready:
            return
        delta, held = self.line.histogram.value / self.fast.value, self.position(self.symbol)
        if held <= 0 and delta > self.tolerance:
            self.target(self.symbol, weight=1.0)
        elif held > 0 and delta < -self.tolerance:
            self.target(self.symbol, quantity=0)
