"""Planted fault: it counts in a counter of its module, which no snapshot has; no rule of syntax sees it."""

from itertools import count

from appliance.strategy import Strategy, param

NUMBERS = count()


class StateOfTheModule(Strategy):
    """Buys every twentieth bar, and sells ten bars later."""

    symbol: str = param("SPY")

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=100 if next(NUMBERS) % 20 < 10 else 0)
