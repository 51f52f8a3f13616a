"""Planted fault: it counts in a list hung on itself, which a restart empties."""

from appliance.strategy import Strategy, param


class StateNotSaved(Strategy):
    """Buys every twentieth bar, and sells ten bars later."""

    symbol: str = param("SPY")

    def on_start(self):
        self.seen = []

    def on_bar(self, bar):
        self.seen.append(bar.close)
        if len(self.seen) % 20 == 0:
            self.target(bar.symbol, quantity=100, reason=f"bar {len(self.seen)}")
        elif len(self.seen) % 20 == 10:
            self.target(bar.symbol, quantity=0, reason=f"bar {len(self.seen)}")
