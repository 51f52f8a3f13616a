"""Planted fault: a loop without an end."""

from appliance.strategy import Strategy, param


class EndlessLoop(Strategy):
    """Waits for a price that never comes."""

    symbol: str = param("SPY")

    def on_bar(self, bar):
        price = bar.close
        while price > 0:
            price = max(price, bar.close)
