"""How much of the time and of the equity was in the market. Leverage is exposure over equity."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from appliance.research.metrics.returns import Figures
from appliance.research.metrics.series import Floats, Series


def exposure_figures(series: Series) -> Figures:
    """Of every mark; leverage of those with equity above 0. A mark of a whole session knows how long something was held
    in it, and the leverage after each fill."""
    gross, net = series.long - series.short, series.long + series.short
    largest = leverage(gross, series.equity)
    return {
        "exposure": float(np.mean(series.held)),
        "gross": float(gross[-1]),
        "leverage": leverage(gross[-1:], series.equity[-1:]),
        "average_leverage": leverage(gross, series.equity, np.mean),
        "max_leverage": largest if largest is None else max(largest, float(np.max(series.peaks))),
        "max_net_leverage": leverage(np.abs(net), series.equity),
    }


def leverage(exposure: Floats, equity: Floats, of: Callable[[Floats], np.float64] = np.max) -> float | None:
    """The largest (or what ``of`` says) of exposure over equity; None where equity is never above 0."""
    good = equity > 0
    return float(of(exposure[good] / equity[good])) if good.any() else None
