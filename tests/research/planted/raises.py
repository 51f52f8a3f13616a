"""Planted fault: a division by nothing, at the first bar without a move."""

from appliance.strategy import Strategy, param


class Raises(Strategy):
    """Sizes by the move of the bar."""

    symbol: str = param("SPY")

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=round(1 / (bar.close - bar.open)))
