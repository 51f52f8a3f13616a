"""Idea: a close above the highest high of the last bars often begins a trend (the "turtles" traded this). Buys it, and
sells at a new low of fewer bars. A stop trails some average true ranges (ATR) behind the best price, so that it is wide
in nervous markets and narrow in calm ones; the position is as large as ``risk`` USD lost at that stop allow.
Data: bars of one symbol, of any length; days are usual.
Risk: most breakouts fail, so it loses often and a little, and lives on few long trends. A gap goes through the stop: the
loss is then larger than ``risk``.
"""

from appliance.strategy import Strategy, param


class DonchianBreakout(Strategy):
    """Long from a new high to a new low, behind a trailing ATR stop, sized by what it may lose."""

    symbol: str = param("SPY", help="what to trade")
    entry: int = param(20, low=2, high=400, help="bars a high must be the highest of to buy")
    leave: int = param(10, low=2, high=400, help="bars a low must be the lowest of to sell")
    period: int = param(14, low=2, high=100, help="bars in the average true range")
    ranges: float = param(3.0, low=0.5, high=20.0, live=True, help="how many true ranges the stop is behind")
    risk: float = param(500.0, low=1.0, high=100_000.0, live=True, help="USD to lose when the stop is hit")

    def on_start(self):
        self.channel = self.donchian(self.symbol, self.entry)
        self.floor = self.lowest(self.symbol, self.leave)
        self.swing = self.atr(self.symbol, self.period)
        self.warmup = max(self.entry, self.leave, 20 * self.period)

    def on_bar(self, bar):
        held = self.position(bar.symbol)
        if held > 0 and bar.close < self.floor.previous:
            self.target(bar.symbol, quantity=0, reason="a new low")
        elif held == 0 and self.swing.ready and bar.close > self.channel.upper.previous:
            behind = max(0.01, round(self.ranges * self.swing.value, 2))
            affordable = int(float(self.cash) * 0.95 / bar.close)
            shares = min(int(self.risk / behind), affordable)
            if shares > 0:
                self.target(bar.symbol, quantity=shares, trailing=behind, reason="a new high")
