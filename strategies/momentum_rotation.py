"""Idea: what has risen most in the last year tends to go on for some months ("relative momentum"), unless everything
falls ("absolute momentum"). At the end of each month it holds the strongest of some funds, or cash when even that one
has fallen.
Data: bars of all the symbols, daily ones or shorter, and ``lookback`` months of them before the first decision.
Risk: everything is in one fund, without a stop, and looked at once a month; at turning points it is late both ways.
"""

from appliance.strategy import Strategy, param


class MomentumRotation(Strategy):
    """Hold the strongest symbol of the last year, or none; decide once a month."""

    symbols: str = param("SPY,IWM,EEM", help="the funds to choose from")
    timeframe: str = param("1mo", help="how often to decide: 1mo, 1w, 1d, or shorter")
    lookback: int = param(12, low=1, high=60, help="over how many of these times momentum is measured")
    invested: float = param(0.95, low=0.05, high=1.0, live=True, help="part of the equity to invest")

    def on_start(self):
        names = [name.strip() for name in self.symbols.split(",")]
        self.momentum = {name: self.roc(name, self.lookback) for name in names}
        self.warmup = self.lookback + 1
        self.state["ends"] = {}  # when the last bar of each symbol ended
        self.state["choice"] = ""

    def on_bar(self, bar):
        ends = self.state["ends"]
        ends[bar.symbol] = bar.end
        complete = len(ends) == len(self.momentum) and len(set(ends.values())) == 1
        if not complete or not all(change.ready for change in self.momentum.values()):
            return
        best = max(self.momentum, key=lambda name: self.momentum[name].value)
        self.state["choice"] = best if self.momentum[best].value > 0 else ""
        self.rotate()

    def on_fill(self, fill):
        self.rotate()  # what was sold has paid for what is to be bought

    def rotate(self):
        """One step towards the choice: sell what is not chosen, and buy when that is done."""
        choice = self.state["choice"]
        others = [name for name in self.momentum if name != choice and self.position(name)]
        for name in others:
            self.target(name, quantity=0, reason="no longer the strongest")
        if choice and not others and not self.position(choice):
            self.target(choice, weight=self.invested, reason=f"the strongest: {self.momentum[choice].value:+.1f} %")
