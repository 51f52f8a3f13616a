"""A strategy that trades in every way there is: targets, brackets, trails, orders of its own, cancels."""

from appliance.strategy import Strategy


class EveryWay(Strategy):
    symbols = ("SPY",)

    def on_start(self):
        self.state["n"] = 0

    def on_bar(self, bar):
        self.state["n"] += 1
        n, price = self.state["n"], bar.close
        way = n % 24
        if way == 1:
            self.target("SPY", weight=0.5, stop_loss=price * 0.998, take_profit=price * 1.002)
        elif way == 6:
            self.target("SPY", weight=0.9, trailing="0.2%", take_profit=price * 1.003)
        elif way == 9:
            self.target("SPY", quantity=60, limit=price * 1.001)
        elif way == 13:
            self.target("SPY", quantity=0)
        elif way == 15:
            self.sell("SPY", 50, stop=price * 0.9995, time_in_force="gtc", stop_loss=price * 1.002)
        elif way == 17:
            self.buy("SPY", 700, time_in_force="ioc")
        elif way == 18:
            self.cancel(symbol="SPY")
            self.buy("SPY", 20, trail=0.05)
        elif way == 21:
            self.target("SPY", quantity=-40, limit=price, trailing=0.2)
