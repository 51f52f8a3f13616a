"""The author's indicators: ``self.average = self.sma("SPY", 20)``, made in ``on_start`` and fed before ``on_bar``."""

from __future__ import annotations

from typing import TypeVar

from appliance.strategy.indicators import ATR, EMA, RSI, SMA, Highest, Indicator, Lowest, StDev

I = TypeVar("I", bound=Indicator)  # noqa: E741


class Indicators:
    """What a strategy can make of its bars. Each is made in ``on_start`` and is NaN until it has seen enough bars."""

    def sma(self, symbol: str, period: int) -> SMA:
        """Mean of the last ``period`` closes."""
        return self._follow(SMA(symbol, period))

    def ema(self, symbol: str, period: int) -> EMA:
        """Exponential average of the closes, weight 2 / (period + 1)."""
        return self._follow(EMA(symbol, period))

    def rsi(self, symbol: str, period: int = 14) -> RSI:
        """Wilder's relative strength index, 0 to 100."""
        return self._follow(RSI(symbol, period))

    def atr(self, symbol: str, period: int = 14) -> ATR:
        """Wilder's average true range, USD."""
        return self._follow(ATR(symbol, period))

    def stdev(self, symbol: str, period: int) -> StDev:
        """Standard deviation of the last ``period`` closes (population), USD."""
        return self._follow(StDev(symbol, period))

    def highest(self, symbol: str, period: int) -> Highest:
        """Highest high of the last ``period`` bars, the last one included."""
        return self._follow(Highest(symbol, period))

    def lowest(self, symbol: str, period: int) -> Lowest:
        """Lowest low of the last ``period`` bars, the last one included."""
        return self._follow(Lowest(symbol, period))

    def _follow(self, indicator: I) -> I:
        """Keep the indicator fed. The strategy has to say how."""
        raise NotImplementedError
