"""Monday one symbol, Wednesday two more, Thursday out of these two: always at the first bar of the day."""

from appliance.domain.market import DAY
from appliance.strategy import Strategy, param

MONDAY, WEDNESDAY, THURSDAY = 4, 6, 0
"""Days since 1970-01-01, a Thursday, modulo 7."""


class AddRemove(Strategy):
    """Half of the equity in ``first``, a quarter in each of ``others``, the second of them once the first is filled."""

    symbols: str = param("AIG,BAC,SPY", help="the two others, then the first")

    def on_start(self):
        self.one, self.two, self.first = self.symbols.split(",")
        self.at("open+1m", "first bar")

    def on_timer(self, name):
        weekday = self.now // DAY % 7
        if weekday == MONDAY:
            self.target(self.first, weight=0.5)
        elif weekday == WEDNESDAY:
            self.target(self.one, weight=0.25)
        elif weekday == THURSDAY:
            self.target(self.one, quantity=0)
            self.target(self.two, quantity=0)

    def on_fill(self, fill):
        if fill.symbol == self.one and self.position(self.one) > 0:
            self.target(self.two, weight=0.25)
