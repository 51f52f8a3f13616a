"""In on a brick of the closes, out on a brick of a weighted price."""

from appliance.strategy import Strategy, param


class RenkoTurns(Strategy):
    """Bricks of 2.5 USD: of the close, and of (2 open + high + low + 3 close) / 7."""

    symbol: str = param("SPY")
    size: float = param(2.5, low=0.01)
    style: str = param("classic", choices=("classic", "wicked"))

    def on_start(self):
        self.entries = self.renko(self.symbol, self.size, self.style)
        self.exits = self.renko(self.symbol, self.size, self.style, (2, 1, 1, 3))

    def on_bar(self, bar):
        held = self.position(self.symbol)
        if self.entries.bricks and not held:
            self.target(self.symbol, weight=1.0)
        if self.exits.bricks and held:
            self.target(self.symbol, quantity=0)
