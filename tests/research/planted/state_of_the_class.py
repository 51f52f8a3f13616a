"""Planted fault: it remembers in a list of its class, which a restart empties and every run of the process shares."""

from appliance.strategy import Strategy, param


class StateOfTheClass(Strategy):
    """Buys every twentieth bar, and sells ten bars later."""

    symbol: str = param("SPY")
    seen = []  # noqa: RUF012

    def on_bar(self, bar):
        self.seen.append(bar.close)
        self.target(bar.symbol, quantity=100 if len(self.seen) % 20 < 10 else 0)
