"""For the isolation bench: a neighbour that behaves for a hundred quotes, and then never returns."""

from appliance.strategy import Strategy, param


class Looping(Strategy):
    """Never trades."""

    symbol: str = param("ALFA")

    def on_start(self):
        self.state["quotes"] = 0

    def on_quote(self, quote):
        self.state["quotes"] += 1
        while self.state["quotes"] > 100:
            pass
