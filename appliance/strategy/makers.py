"""The author's indicators: ``self.average = self.sma("SPY", 20)``, made in ``on_start`` and fed before ``on_bar``."""

from __future__ import annotations

from typing import TypeVar

from appliance.strategy.indicators import (
    ADX,
    ATR,
    EMA,
    MACD,
    OBV,
    ROC,
    RSI,
    SMA,
    VWAP,
    WMA,
    Beta,
    Bollinger,
    Correlation,
    Donchian,
    Highest,
    Indicator,
    Keltner,
    Lowest,
    RatioZScore,
    Renko,
    SessionVWAP,
    StDev,
    Stochastic,
    SuperTrend,
    ZScore,
)

I = TypeVar("I", bound=Indicator)  # noqa: E741


class Indicators:
    """What a strategy can make of its bars. Each is made in ``on_start`` and is NaN until it has seen enough bars.

    Periods are in bars: of those the strategy gets, or of the length given as ``timeframe``, such as "15m".
    """

    # -- averages -----------------------------------------------------------------------------------------------------

    def sma(self, symbol: str, period: int, *, timeframe: str = "") -> SMA:
        """Mean of the last ``period`` closes, USD."""
        return self._follow(SMA(symbol, period, timeframe=timeframe))

    def ema(self, symbol: str, period: int, *, timeframe: str = "") -> EMA:
        """Exponential average of the closes, weight 2 / (period + 1), USD."""
        return self._follow(EMA(symbol, period, timeframe=timeframe))

    def wma(self, symbol: str, period: int, *, timeframe: str = "") -> WMA:
        """Weighted mean of the last ``period`` closes, USD: the newest counts ``period`` times, the oldest once."""
        return self._follow(WMA(symbol, period, timeframe=timeframe))

    def macd(self, symbol: str, fast: int = 12, slow: int = 26, signal: int = 9, *, timeframe: str = "") -> MACD:
        """Fast less slow exponential average, USD, with ``.signal`` (their average) and ``.histogram``."""
        return self._follow(MACD(symbol, fast, slow, signal, timeframe=timeframe))

    # -- ranges and channels ------------------------------------------------------------------------------------------

    def atr(self, symbol: str, period: int = 14, *, timeframe: str = "") -> ATR:
        """Wilder's average true range, USD."""
        return self._follow(ATR(symbol, period, timeframe=timeframe))

    def highest(self, symbol: str, period: int, *, timeframe: str = "") -> Highest:
        """Highest high of the last ``period`` bars, the last one included, USD."""
        return self._follow(Highest(symbol, period, timeframe=timeframe))

    def lowest(self, symbol: str, period: int, *, timeframe: str = "") -> Lowest:
        """Lowest low of the last ``period`` bars, the last one included, USD."""
        return self._follow(Lowest(symbol, period, timeframe=timeframe))

    def donchian(self, symbol: str, period: int = 20, *, timeframe: str = "") -> Donchian:
        """Highest high and lowest low: ``.upper``, ``.middle``, ``.lower``, USD (``.upper.previous`` to break out)."""
        return self._follow(Donchian(symbol, period, timeframe=timeframe))

    def bollinger(self, symbol: str, period: int = 20, width: float = 2.0, *, timeframe: str = "") -> Bollinger:
        """Mean and ``width`` standard deviations: ``.upper``, ``.middle``, ``.lower``, USD."""
        return self._follow(Bollinger(symbol, period, width, timeframe=timeframe))

    def keltner(
        self, symbol: str, period: int = 20, width: float = 2.0, atr: int = 10, *, timeframe: str = ""
    ) -> Keltner:
        """EMA and ``width`` true ranges (averaged over ``atr`` bars): ``.upper``, ``.middle``, ``.lower``, USD."""
        return self._follow(Keltner(symbol, period, width, atr, timeframe=timeframe))

    def supertrend(self, symbol: str, period: int = 10, width: float = 3.0, *, timeframe: str = "") -> SuperTrend:
        """A stop ``width`` average true ranges away, USD; ``.direction`` is 1 (rising) or -1 (falling)."""
        return self._follow(SuperTrend(symbol, period, width, timeframe=timeframe))

    def renko(
        self,
        symbol: str,
        size: float,
        style: str = "wicked",
        weights: tuple[int, ...] = (0, 0, 0, 1),
        *,
        timeframe: str = "",
    ) -> Renko:
        """Renko bricks of ``size`` USD: ``.bricks`` of the last bar, ``.direction``, ``.count``; "wicked" or "classic",
        of the mean of open, high, low and close by ``weights``."""
        return self._follow(Renko(symbol, size, style, weights, timeframe=timeframe))

    # -- momentum -----------------------------------------------------------------------------------------------------

    def rsi(self, symbol: str, period: int = 14, *, timeframe: str = "") -> RSI:
        """Wilder's relative strength index, 0 to 100."""
        return self._follow(RSI(symbol, period, timeframe=timeframe))

    def roc(self, symbol: str, period: int, *, timeframe: str = "") -> ROC:
        """Change of the close since ``period`` bars ago, percent."""
        return self._follow(ROC(symbol, period, timeframe=timeframe))

    def stochastic(
        self, symbol: str, period: int = 14, signal: int = 3, smooth: int = 1, *, timeframe: str = ""
    ) -> Stochastic:
        """The close between lowest low and highest high, 0 to 100: ``.k``, and ``.d``, the mean of ``signal`` of it."""
        return self._follow(Stochastic(symbol, period, signal, smooth, timeframe=timeframe))

    def adx(self, symbol: str, period: int = 14, *, timeframe: str = "") -> ADX:
        """Wilder's average directional index, 0 to 100, with ``.plus`` and ``.minus`` (+DI and -DI)."""
        return self._follow(ADX(symbol, period, timeframe=timeframe))

    # -- volume -------------------------------------------------------------------------------------------------------

    def vwap(self, symbol: str, period: int | None = None, *, timeframe: str = "") -> VWAP | SessionVWAP:
        """Average price by volume, USD: since the session opened, or of the last ``period`` bars."""
        if period is None:
            return self._follow(SessionVWAP(symbol, timeframe=timeframe))
        return self._follow(VWAP(symbol, period, timeframe=timeframe))

    def obv(self, symbol: str, *, timeframe: str = "") -> OBV:
        """On-balance volume, shares, from 0 on the first bar."""
        return self._follow(OBV(symbol, timeframe=timeframe))

    # -- statistics ---------------------------------------------------------------------------------------------------

    def stdev(self, symbol: str, period: int, *, timeframe: str = "") -> StDev:
        """Standard deviation of the last ``period`` closes (population), USD."""
        return self._follow(StDev(symbol, period, timeframe=timeframe))

    def zscore(self, symbol: str, period: int, *, other: str = "", timeframe: str = "") -> ZScore | RatioZScore:
        """Standard deviations from the mean of the last ``period`` closes, or of their ratio to those of ``other``."""
        if other:
            return self._follow(RatioZScore(symbol, other, period, timeframe=timeframe))
        return self._follow(ZScore(symbol, period, timeframe=timeframe))

    def correlation(self, symbol: str, other: str, period: int, *, timeframe: str = "") -> Correlation:
        """Correlation of the last ``period`` returns of two symbols, -1 to 1."""
        return self._follow(Correlation(symbol, other, period, timeframe=timeframe))

    def beta(self, symbol: str, other: str, period: int, *, timeframe: str = "") -> Beta:
        """How far ``symbol`` moves for each 1 % that ``other`` moves, in the last ``period`` returns."""
        return self._follow(Beta(symbol, other, period, timeframe=timeframe))

    def _follow(self, indicator: I) -> I:
        """Keep the indicator fed. The strategy has to say how."""
        raise NotImplementedError
