"""Monday one symbol, Wednesday two more, Thursday out of these two: always at the first bar of the day."""

from appliance.domain.market import DAY
from appliance.strategy import Strategy, param

MONDAY, WEDNESDAY, THURSDAY = 4, 6, 0
"""Days since 1970-01-01, a Thursday, modulo 7."""


class AddRemove(Strategy):
    """Half of the equity in the last symbol, a quarter in each of the others, the second once the first is filled.

    It decides when the bar of the last symbol comes: those of the others of that time have come before it.
    """

    symbols: str = param("AIG,BAC,SPY", help="in the order of the alphabet")

    def on_start(self):
        self.one, self.two, self.last = self.symbols.split(",")
        self.state["date"] = ""

    def on_bar(self, bar):
        if bar.symbol != self.last or self.session.date == self.state["date"]:
            return
        self.state["date"] = self.session.date
        weekday = self.now // DAY % 7
        if weekday == MONDAY:
            self.target(self.last, weight=0.5)
        elif weekday == WEDNESDAY:
            self.target(self.one, weight=0.25)
        elif weekday == THURSDAY:
            self.target(self.one, quantity=0)
            self.target(self.two, quantity=0)

    def on_fill(self, fill):
        if fill.symbol == self.one and self.position(self.one) > 0:
            self.target(self.two, weight=0.25)
