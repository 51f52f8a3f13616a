"""For the bench of holding: buys at its first bar, protected far away or not at all, and holds."""

from appliance.strategy import Strategy, param

PROTECTED = {"none": {}, "stop": {"stop_loss": 0.01}, "trail": {"trailing": "90%"}, "bracket": {"take_profit": 1e6}}


class Holder(Strategy):
    """In at the first bar, and never out."""

    symbol: str = param("SPY")
    shares: int = param(100, low=0)
    protected: str = param("none", choices=tuple(PROTECTED))

    def on_start(self):
        self.state["in"] = not self.shares

    def on_bar(self, bar):
        if not self.state["in"]:
            self.state["in"] = True
            self.target(bar.symbol, quantity=self.shares, reason="hold", **PROTECTED[self.protected])
