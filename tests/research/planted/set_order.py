"""Planted fault: it takes the first of a set, which is another one in each process."""

from appliance.strategy import Strategy, param


class SetOrder(Strategy):
    """Buys whichever symbol comes first among those that rise."""

    symbols: str = param("SPY,QQQ,IWM,DIA")

    def on_start(self):
        self.state["last"] = {}

    def on_bar(self, bar):
        last = self.state["last"]
        rising = {symbol for symbol, closes in last.items() if closes[1] > closes[0]}
        last[bar.symbol] = [last.get(bar.symbol, [0, bar.close])[1], bar.close]
        chosen = rising  # a name in between: no rule of syntax sees it
        for symbol in chosen:
            self.target(symbol, quantity=10, reason="rises")
            break
