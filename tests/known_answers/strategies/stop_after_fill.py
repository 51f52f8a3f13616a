"""Short at the first bar, and a stop on the wrong side of the market as soon as it is filled."""

from appliance.strategy import Strategy, param


class StopAfterFill(Strategy):
    """The stop to buy is 2 USD below, so that the next bar hits it."""

    symbol: str = param("SPY")
    shares: int = param(100, low=1)
    below: float = param(2.0, low=0.01)

    def on_start(self):
        self.state["done"] = False

    def on_bar(self, bar):
        if not self.state["done"]:
            self.state["done"] = True
            self.sell(self.symbol, self.shares)

    def on_fill(self, fill):
        if self.position(self.symbol) < 0:
            self.buy(self.symbol, self.shares, stop=float(fill.price) - self.below, time_in_force="gtc")
