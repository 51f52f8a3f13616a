"""For the bench of orders: holds shares after one bar and none after the next, so that every bar fills an order and
decides another. With ``shares`` 0 it does nothing, and the same run costs what the bars alone cost.
"""

from appliance.strategy import Strategy, param


class Every(Strategy):
    """In at one bar, out at the next."""

    symbol: str = param("SPY")
    shares: int = param(100, low=0)

    def on_start(self):
        self.state["wanted"] = 0

    def on_bar(self, bar):
        if self.shares:
            self.state["wanted"] = self.shares - self.state["wanted"]
            self.target(bar.symbol, quantity=self.state["wanted"], reason="every bar")
