"""Idea: two shares that live on the same business move together. When the ratio of their prices is unusually far from
its own mean (a z-score: standard deviations), the dear one is sold short and the cheap one bought, for the same amount;
when the ratio is back, both are closed. What the market does as a whole does not matter then.
Data: bars of both symbols with the same ends; a bar without its partner is left out.
Risk: the ratio may never come back, because one of the two has changed for good. At ``give_up`` it takes the loss and
stays out until the ratio is near again. A short position can lose more than it cost.
"""

from appliance.strategy import Strategy, param


class Pairs(Strategy):
    """Short the dear one, long the cheap one, until their ratio is usual again."""

    symbol: str = param("AIG", help="the first of the two")
    other: str = param("BAC", help="the second")
    period: int = param(60, low=5, high=2_000, help="bars the mean of the ratio is taken of")
    entry: float = param(2.0, low=0.5, high=6.0, live=True, help="enter so far from the mean, standard deviations")
    leave: float = param(0.5, low=0.0, high=3.0, live=True, help="close when nearer than this")
    give_up: float = param(3.5, low=1.0, high=20.0, live=True, help="close with a loss when farther than this")
    amount: float = param(10_000.0, low=100.0, high=1_000_000.0, live=True, help="USD on each side")

    def on_start(self):
        self.ratio = self.zscore(self.symbol, self.period, other=self.other)

    def on_bar(self, bar):
        if not (self.ratio.paired and self.ratio.ready):
            return  # the other one's bar of this time is still to come
        far, held = self.ratio.value, self.position(self.symbol)
        if held == 0 and self.entry <= abs(far) < self.give_up:
            self.hold(-1 if far > 0 else 1, f"ratio at {far:+.1f}")
        elif held and (abs(far) >= self.give_up or far * (1 if held < 0 else -1) <= self.leave):
            self.hold(0, f"ratio at {far:+.1f}")

    def hold(self, side, reason):
        """Long (1), short (-1) or without (0) the first, and the opposite of the second."""
        self.target(self.symbol, notional=side * self.amount, reason=reason)
        self.target(self.other, notional=-side * self.amount, reason=reason)
