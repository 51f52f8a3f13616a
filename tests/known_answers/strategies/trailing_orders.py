"""A trailing stop into the market, then one out of it."""

from appliance.strategy import Strategy, param


class TrailingOrders(Strategy):
    """Orders of its own, which wait as long as they have to."""

    symbol: str = param("SPY")
    shares: int = param(100, low=1)
    behind_buy: float = param(2.0, low=0.01, help="USD")
    behind_sale: float = param(0.5, low=0.01, help="USD")

    def on_start(self):
        self.state["orders"] = 0

    def on_bar(self, bar):
        if not self.state["orders"]:
            self.state["orders"] = 1
            self.buy(self.symbol, self.shares, trail=self.behind_buy, time_in_force="gtc")
        elif self.state["orders"] == 1 and self.position(self.symbol):
            self.state["orders"] = 2
            self.sell(self.symbol, self.shares, trail=self.behind_sale, time_in_force="gtc")
