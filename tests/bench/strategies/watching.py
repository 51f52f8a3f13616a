"""For the bench of many strategies: tells, by a number in its state, which bars it has heard, each once and in order.

The number is a polynomial over (symbol, end) of every bar: one that is missing, doubled or out of its place changes it.
"""

from appliance.strategy import Strategy, param

BASE, PRIME = 1_000_003, (1 << 61) - 1


class Watching(Strategy):
    """In or out of one symbol by the cross of two averages; it watches all of them, with an average each."""

    symbol: str = param("S00")
    symbols: str = param("S00,S01")
    slow: int = param(20, low=2, high=1000)

    def on_start(self):
        names = self.symbols.split(",")
        self.state["heard"] = 0
        self.state["sum"] = 0
        self.numbers = {name: number for number, name in enumerate(names, 1)}
        self.averages = {name: self.sma(name, self.slow) for name in names}
        self.fast = self.sma(self.symbol, 5)

    def on_bar(self, bar):
        place = bar.end * 1_000 + self.numbers[bar.symbol]
        self.state["heard"] += 1
        self.state["sum"] = (self.state["sum"] * BASE + place) % PRIME
        if bar.symbol == self.symbol:
            self.trade()

    def trade(self):
        slow = self.averages[self.symbol]
        if self.fast.crossed_above(slow):
            self.target(self.symbol, quantity=10, reason="above")
        elif self.fast.crossed_below(slow):
            self.target(self.symbol, quantity=0, reason="below")
