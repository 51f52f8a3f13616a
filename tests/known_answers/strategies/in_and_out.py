"""Everything in at the first bar, everything out at the second."""

from appliance.strategy import Strategy, param


class InAndOut(Strategy):
    """Holds for one bar."""

    symbol: str = param("SPY")

    def on_start(self):
        self.state["bars"] = 0

    def on_bar(self, bar):
        self.state["bars"] += 1
        if self.state["bars"] <= 2:
            self.target(bar.symbol, weight=1.0 if self.state["bars"] == 1 else 0.0)
