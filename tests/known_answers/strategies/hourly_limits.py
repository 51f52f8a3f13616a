"""A limit order at the last price at every full hour: to buy for two days, to sell from then on."""

from appliance.strategy import Strategy, param


class HourlyLimits(Strategy):
    """Ten shares each time, which wait until they are filled."""

    symbol: str = param("SPY")
    turn: str = param("2013-10-09", help="the first day of sales")

    def on_start(self):
        for hour in range(10, 17):
            self.at(f"{hour}:00")

    def on_timer(self, name):
        side = "buy" if self.session.date < self.turn else "sell"
        self.order(self.symbol, side, 10, limit=self.price(self.symbol), time_in_force="gtc")
