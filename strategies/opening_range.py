"""Idea: the first half hour collects what happened over night. A close above its high or below its low shows who has
won, and the day often goes on that way. Trades once a day, with a stop at the other end of the range, and is flat before
the close: nothing is held over night.
Data: bars of one symbol, one to five minutes long, of the exchange's sessions (days and hours say too little).
Risk: many days break out and turn back: a small loss. In a wide range the stop is far away: mind ``shares``.
"""

from appliance.strategy import Strategy, param


class OpeningRange(Strategy):
    """Follow the first break of the opening range until shortly before the close."""

    symbol: str = param("SPY", help="what to trade")
    begin: str = param("open", help="when the range begins, as self.at takes it")
    ready: str = param("open+30m", help="when the range is complete")
    leave: str = param("close-5m", help="when to be flat")
    shares: int = param(100, low=1, high=100_000, live=True, help="how many to buy or sell short")

    def on_start(self):
        self.at(self.begin, "begin")
        self.at(self.ready, "ready")
        self.at(self.leave, "leave")
        self.state.update(phase="wait", high=0.0, low=0.0)

    def on_timer(self, name):
        state = self.state
        if name == "begin":
            state.update(phase="range", high=0.0, low=0.0)
        elif name == "ready":
            state["phase"] = "trade" if state["phase"] == "range" and state["high"] else "wait"
        else:
            state["phase"] = "wait"
            self.target(self.symbol, quantity=0, reason="flat before the close")

    def on_bar(self, bar):
        state = self.state
        if state["phase"] == "range":
            state["high"] = max(state["high"], bar.high)
            state["low"] = min(state["low"] or bar.low, bar.low)
        elif state["phase"] == "trade" and bar.close > state["high"]:
            self.enter(self.shares, state["low"])
        elif state["phase"] == "trade" and bar.close < state["low"]:
            self.enter(-self.shares, state["high"])

    def enter(self, shares, stop):
        """Go with the break, once a day."""
        self.state["phase"] = "in"
        self.target(self.symbol, quantity=shares, stop_loss=stop, reason="broke the opening range")
