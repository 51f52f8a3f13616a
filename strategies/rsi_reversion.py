"""Idea: Wilder's relative strength index tells how one-sided the last moves were, from 0 (only falls) to 100. Below 30
a market is called oversold. Buys when the index comes back above that line, sells when it is in the upper half.
Data: bars of one symbol, of any length; the index remembers, so it wants some history before the first decision.
Risk: in a long fall the index turns up again and again, each time too early. A bracket rests at the broker from the
fill on: a stop ``loss`` percent below the entry, a take-profit ``gain`` percent above it, whichever comes first.
"""

from appliance.strategy import Strategy, param


class RsiReversion(Strategy):
    """Buy when the index leaves the oversold zone, sell when it is above the middle."""

    symbol: str = param("SPY", help="what to trade")
    period: int = param(14, low=2, high=100, help="bars the index looks back, smoothed")
    oversold: float = param(30.0, low=1.0, high=49.0, live=True, help="buy when the index rises above this")
    leave: float = param(55.0, low=50.0, high=99.0, live=True, help="sell when the index is above this")
    loss: float = param(2.0, low=0.1, high=50.0, live=True, help="stop so far below the entry, percent")
    gain: float = param(4.0, low=0.1, high=200.0, live=True, help="take profit so far above the entry, percent")
    shares: int = param(100, low=1, high=100_000, live=True, help="how many to buy")

    def on_start(self):
        self.strength = self.rsi(self.symbol, self.period)
        self.warmup = 20 * self.period  # after so many bars nothing is left of where the data began

    def on_bar(self, bar):
        held = self.position(bar.symbol)
        if held > 0 and self.strength.value > self.leave:
            self.target(bar.symbol, quantity=0, reason=f"index at {self.strength.value:.0f}")
        elif held == 0 and self.strength.crossed_above(self.oversold):
            self.target(
                bar.symbol,
                quantity=self.shares,
                stop_loss=round(bar.close * (1 - self.loss / 100), 2),
                take_profit=round(bar.close * (1 + self.gain / 100), 2),
                reason="no longer oversold",
            )
