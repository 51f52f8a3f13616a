"""Planted fault: it asks the machine for the time, which in a backtest is another one."""

from datetime import datetime

from appliance.strategy import Strategy, param


class WallClock(Strategy):
    """Trades in the afternoon of whoever runs it."""

    symbol: str = param("SPY")

    def on_bar(self, bar):
        self.target(bar.symbol, quantity=100 if datetime.now().hour >= 12 else 0)
