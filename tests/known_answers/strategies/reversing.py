"""Two averages: whenever one crosses the other it turns over, at the next open, with all there is.

What to do is decided at a bar's close, how many shares it is when the next open is known: run it with ``--opens``.
"""

from appliance.strategy import Strategy, param


class Reversing(Strategy):
    """Long from a crossing upwards, short from a crossing downwards; out at the open of the day ``leave``."""

    symbol: str = param("GOOG")
    fast: int = param(10, low=1)
    slow: int = param(20, low=2)
    leave: str = param("never", help="a date such as 2013-03-01")

    def on_start(self):
        self.quick, self.calm = self.sma(self.symbol, self.fast), self.sma(self.symbol, self.slow)
        self.state["turn"] = 0

    def on_bar(self, bar):
        before, after = self.quick.previous - self.calm.previous, self.quick.value - self.calm.value
        if before < 0 < after or before > 0 > after:
            self.state["turn"] = 1 if after > 0 else -1

    def on_trade(self, trade):
        if self.session.date == self.leave:
            self.state["turn"] = 0
            self.target(self.symbol, quantity=0)
        elif self.state["turn"] and self.position(self.symbol):
            self.target(self.symbol, quantity=0)
        elif self.state["turn"]:
            self.enter()

    def on_fill(self, fill):
        if self.state["turn"] and not self.position(self.symbol):
            self.enter()

    def enter(self):
        """All there is, on the side of the last crossing."""
        self.target(self.symbol, weight=self.state["turn"])
        self.state["turn"] = 0
