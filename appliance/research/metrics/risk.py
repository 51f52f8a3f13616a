"""How much the daily returns scatter, how bad the bad ones are, and what was earned for it.

Conventions: deviations have ddof 1, except downside deviation, which is over all days; annual by the root of the
periods of a year; the daily rate without risk is ``(1 + rate) ** (1 / periods) - 1``, also the least acceptable return;
quantiles are historical, interpolated linearly, and negative for a loss.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from appliance.core.metrics.returns import NOISE
from appliance.research.metrics.deflated import deflated_sharpe, minimum_track_record, probabilistic_sharpe
from appliance.research.metrics.returns import Figures, correlation
from appliance.research.metrics.series import Floats, ratio


class Year(Struct, frozen=True):
    """``periods`` daily returns make a year; ``risk_free`` is a year's rate without risk (fraction)."""

    periods: int = 252
    risk_free: float = 0.0

    @property
    def daily(self) -> float:
        """The rate without risk of one day."""
        return float((1 + self.risk_free) ** (1 / self.periods) - 1)

    @property
    def root(self) -> float:
        """What makes a daily deviation or ratio one of a year."""
        return float(np.sqrt(self.periods))


class Search(Struct, frozen=True):
    """How many ``trials`` were made to find this result, and the ``variance`` of their daily Sharpe ratios; None: what
    chance alone gives, 1 / (days - 1)."""

    trials: int = 1
    variance: float | None = None


def risk_figures(returns: Floats, year: Year, search: Search) -> Figures:
    """Of daily returns; None each without them."""
    if not len(returns):
        return {}
    return _spread(returns, year) | _tails(returns, year) | _ratios(returns, year) | _skill(returns, year, search)


def deviation(returns: Floats) -> float | None:
    """Standard deviation (ddof 1) of one day; None below two days or where it is only rounding."""
    value = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return value if value > NOISE else None


def downside(returns: Floats, least: float) -> float | None:
    """Root of the mean square of what is missing to ``least``, over all days; None where nothing is."""
    value = float(np.sqrt(np.mean(np.minimum(returns - least, 0.0) ** 2))) if len(returns) else 0.0
    return value if value > NOISE else None


def sharpe(returns: Floats, year: Year) -> float | None:
    """A year's mean excess return over its deviation (Sharpe 1994)."""
    value = daily_sharpe(returns, year)
    return None if value is None else value * year.root


def daily_sharpe(returns: Floats, year: Year) -> float | None:
    """Not annualised."""
    return ratio(float(returns.mean()) - year.daily, deviation(returns)) if len(returns) else None


def _spread(returns: Floats, year: Year) -> Figures:
    spread, below = deviation(returns), downside(returns, year.daily)
    return {
        "volatility": None if spread is None else spread * year.root,
        "downside_deviation": None if below is None else below * year.root,
        "skew": skew(returns),
        "kurtosis": kurtosis(returns),
    }


def _tails(returns: Floats, year: Year) -> Figures:
    excess = returns - year.daily
    return {
        "value_at_risk_95": float(np.percentile(returns, 5)),
        "value_at_risk_99": float(np.percentile(returns, 1)),
        "conditional_value_at_risk_95": shortfall(returns, 0.05),
        "tail_ratio": ratio(abs(float(np.percentile(returns, 95))), abs(float(np.percentile(returns, 5)))),
        "omega": ratio(float(excess[excess > 0].sum()), -float(excess[excess < 0].sum())),
    }


def shortfall(values: Floats, share: float) -> float:
    """Mean of the worst ``share`` of the values, at least of the worst one."""
    count = int((len(values) - 1) * share) + 1
    return float(np.partition(values, count - 1)[:count].mean())


def _ratios(returns: Floats, year: Year) -> Figures:
    excess = returns - year.daily
    plain = sharpe(returns, year)
    below = downside(returns, year.daily)
    return {
        "sharpe": plain,
        "smart_sharpe": None if plain is None else plain / autocorrelation_penalty(excess),
        "sortino": None if below is None else float(excess.mean()) / below * year.root,
    }


def autocorrelation_penalty(returns: Floats) -> float:
    """By how much dependent days understate a year's deviation: root of ``1 + 2 Σ (n - k) / n ρ^k``, where ρ is the
    size of the correlation of neighbouring days."""
    found = correlation(returns[:-1], returns[1:])
    if found is None:
        return 1.0
    count = len(returns)
    lags = np.arange(1, count)
    return float(np.sqrt(1 + 2 * np.sum((count - lags) / count * abs(found) ** lags)))


def skew(returns: Floats) -> float | None:
    """Bias-corrected (Fisher-Pearson G1); None below three days or without variance."""
    count = len(returns)
    if count < 3 or deviation(returns) is None:
        return None
    centred = returns - returns.mean()
    second, third = np.mean(centred**2), np.mean(centred**3)
    return float(np.sqrt(count * (count - 1)) / (count - 2) * third / second**1.5)


def kurtosis(returns: Floats) -> float | None:
    """Excess over that of a normal distribution, bias-corrected (G2); None below four days or without variance."""
    count = len(returns)
    if count < 4 or deviation(returns) is None:
        return None
    centred = returns - returns.mean()
    excess = np.mean(centred**4) / np.mean(centred**2) ** 2 - 3
    return float((count - 1) / ((count - 2) * (count - 3)) * ((count + 1) * excess + 6))


def _skill(returns: Floats, year: Year, search: Search) -> Figures:
    """Whether the Sharpe ratio is above 0, and above the best that chance gives in so many trials."""
    found, bent, tails = daily_sharpe(returns, year), skew(returns), kurtosis(returns)
    if found is None or bent is None or tails is None:
        return {}
    shape = (len(returns), bent, tails + 3)
    return {
        "probabilistic_sharpe": probabilistic_sharpe(found, *shape),
        "deflated_sharpe": deflated_sharpe(found, *shape, search.trials, search.variance),
        "minimum_track_record": minimum_track_record(found, bent, tails + 3),
    }
