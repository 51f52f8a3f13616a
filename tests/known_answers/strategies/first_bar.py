"""Sets its holdings once, at the first bar it hears, and keeps them."""

from appliance.strategy import Strategy, param


class FirstBar(Strategy):
    """So much of the equity in one symbol."""

    symbol: str = param("SPY")
    weight: float = param(1.0, low=0.0, high=1.0)

    def on_bar(self, bar):
        if not self.state.get("asked"):
            self.state["asked"] = True
            self.target(bar.symbol, weight=self.weight)
