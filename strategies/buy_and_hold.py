"""Idea: hold a fixed mixture and do nothing, except once a month: sell what has grown beyond its part, and buy what has
fallen behind. That keeps the risk where it was meant to be.
Data: bars of all the symbols, of any length; with daily ones it decides on the close of the day before.
Risk: that of the mixture itself, in full: no stop, no exit. In long one-sided trends it sells the winner too early.
"""

from appliance.strategy import Strategy, param


class BuyAndHold(Strategy):
    """Keep the equity in given parts; look once a session, act once a month and only on what is worth an order."""

    symbols: str = param("SPY,EEM,USO", help="what to hold")
    parts: str = param("50,30,15", help="percent of the equity for each; leave some for commissions and gaps")
    look: str = param("close-30m", help="when to look, as self.at takes it")
    drift: float = param(1.0, low=0.1, high=20.0, live=True, help="leave alone what is nearer than so many percent")

    def on_start(self):
        names, parts = self.symbols.split(","), self.parts.split(",")
        if len(names) != len(parts):
            raise ValueError(f"{len(names)} symbols, but {len(parts)} parts")
        self.wanted = {name.strip(): float(part) / 100 for name, part in zip(names, parts, strict=True)}
        self.at(self.look, "look")
        self.state.update(month="", due=False)

    def on_timer(self, name):
        if any(self.price(one) != self.price(one) for one in self.wanted):
            return  # one has no price yet: NaN
        month = self.session.date[:7]
        if month != self.state["month"]:
            self.state.update(month=month, due=True)
        if self.state["due"]:
            self.rebalance()

    def rebalance(self):
        """Sell what is too much; at the next look, when that has paid for it, buy what is too little."""
        equity = float(self.equity)
        off = {one: part - self.worth(one) / equity for one, part in self.wanted.items()}
        sell = [one for one in off if off[one] < -self.drift / 100]
        buy = [one for one in off if off[one] > self.drift / 100]
        for one in sell or buy:
            self.target(one, weight=self.wanted[one], reason=f"{off[one] * 100:+.1f} %")
        self.state["due"] = bool(sell)

    def worth(self, symbol):
        """USD of what is held."""
        return float(self.position(symbol)) * self.price(symbol)
