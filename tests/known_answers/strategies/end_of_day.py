"""Ten minutes before the close: half of the equity in one symbol, a day later half of it in another."""

from appliance.strategy import Strategy, param


class EndOfDay(Strategy):
    """Two symbols, in the order they are bought."""

    symbols: str = param("SPY,BAC")
    time: str = param("close-10m", help="as self.at takes it")

    def on_start(self):
        self.at(self.time, "end of day")
        self.state["days"] = 0

    def on_timer(self, name):
        symbols = self.symbols.split(",")
        if self.state["days"] < len(symbols):
            self.target(symbols[self.state["days"]], weight=0.5)
        self.state["days"] += 1
