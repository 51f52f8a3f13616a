"""Planted fault: a range that allows what does not work."""

from appliance.strategy import Strategy, param


class BadEdge(Strategy):
    """Sizes by a divisor that may be 0."""

    symbol: str = param("SPY")
    divisor: int = param(10, low=0, high=100)

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=100 // self.divisor)
