"""Whether a Sharpe ratio is skill or luck: probabilistic and deflated Sharpe ratio, minimum track record length.

Ratios are those of one period (a day), not annualised; ``kurtosis`` is 3 for a normal distribution. Sources: Bailey and
López de Prado, "The Sharpe Ratio Efficient Frontier" (2012) and "The Deflated Sharpe Ratio" (2014).
"""

from __future__ import annotations

import math
from statistics import NormalDist

from appliance.errors import UsageError

NORMAL = NormalDist()
EULER = 0.5772156649015329
"""The Euler-Mascheroni constant."""


def probabilistic_sharpe(
    sharpe: float, count: int, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float | None:
    """How likely the true ratio is above ``benchmark``, seen ``count`` returns; None below two of them."""
    variance = _variance(sharpe, skew, kurtosis)
    if count < 2 or not variance > 0:
        return None
    return NORMAL.cdf((sharpe - benchmark) * math.sqrt(count - 1) / math.sqrt(variance))


def minimum_track_record(
    sharpe: float, skew: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0, confidence: float = 0.95
) -> float | None:
    """How many returns it takes to be ``confidence`` sure that the true ratio is above ``benchmark``; None where it is
    not above it. Raises UsageError for a confidence that is no probability."""
    if not 0 < confidence < 1:
        raise UsageError(
            f"confidence {confidence} is no probability", hint="give one between 0 and 1, 0.95 for example"
        )
    variance = _variance(sharpe, skew, kurtosis)
    if not sharpe > benchmark or not variance > 0:
        return None
    found = 1 + variance * (NORMAL.inv_cdf(confidence) / (sharpe - benchmark)) ** 2
    return found if math.isfinite(found) else None


def expected_maximum(trials: int, variance: float) -> float:
    """The Sharpe ratio that the best of ``trials`` without skill is expected to show, when their ratios have this
    ``variance``; 0 for one trial. Raises UsageError for less than one trial or a negative variance."""
    if trials < 1:
        raise UsageError(f"{trials} trials", hint="give how many were made, at least 1")
    if not 0 <= variance < math.inf:
        raise UsageError(f"variance {variance} of the trials' Sharpe ratios", hint="give one that is not below 0")
    if trials == 1:
        return 0.0
    first, second = NORMAL.inv_cdf(1 - 1 / trials), NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * ((1 - EULER) * first + EULER * second)


def deflated_sharpe(
    sharpe: float,
    count: int,
    skew: float = 0.0,
    kurtosis: float = 3.0,
    trials: int = 1,
    variance: float | None = None,
) -> float | None:
    """How likely the true ratio of the best of ``trials`` is above what chance alone would have shown; their ratios
    have this ``variance``, by default what chance gives each: 1 / (count - 1). None below two returns."""
    if count < 2:
        return None
    chance = 1 / (count - 1) if variance is None else variance
    return probabilistic_sharpe(sharpe, count, skew, kurtosis, expected_maximum(trials, chance))


def _variance(sharpe: float, skew: float, kurtosis: float) -> float:
    """Of the estimate, times the count less 1 (Mertens 2002)."""
    return 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
