"""A stop-limit far above the market into a rising trend, one below it out of a falling one."""

from appliance.strategy import Strategy, param


class StopLimits(Strategy):
    """Two orders in all, which wait as long as they have to."""

    symbol: str = param("SPY")
    shares: int = param(100, low=1)
    tolerance: float = param(0.001, low=0.0)

    def on_start(self):
        self.fast, self.slow = self.ema(self.symbol, 30), self.ema(self.symbol, 60)
        self.state["orders"] = 0

    def on_bar(self, bar):
        if not self.slow.ready:
            return
        edge, orders = self.slow.value * (1 + self.tolerance), self.state["orders"]
        if orders == 0 and self.fast.value > edge:
            self.place("buy", bar.high * 1.10, bar.high * 1.11)
        elif orders == 1 and self.position(self.symbol) and self.fast.value < edge:
            self.place("sell", bar.low * 0.99, bar.low * 0.98)

    def place(self, side, stop, limit):
        """The next of the two orders."""
        self.state["orders"] += 1
        self.order(self.symbol, side, self.shares, stop=stop, limit=limit, time_in_force="gtc")
