"""For the latency bench: in and out, one order on every other quote; the quotes between let the orders fill. The
reason carries the time of the deciding quote to the broker.
"""

from appliance.strategy import Strategy, param


class Alternate(Strategy):
    """Holds one share, then none, then one."""

    symbol: str = param("ALFA")

    def on_start(self):
        self.state["quotes"] = 0

    def on_quote(self, quote):
        self.state["quotes"] += 1
        if self.state["quotes"] % 2 == 0:
            wanted = self.state["quotes"] // 2 % 2
            self.target(quote.symbol, quantity=wanted, reason=str(quote.time))
