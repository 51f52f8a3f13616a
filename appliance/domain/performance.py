"""How a strategy does: its figures, and the report its host publishes.

Fractions are of 1 (0.05 is 5 %), money is USD, durations are ns. None: not defined yet, or not at all (no trip, no
loss, no variance, too few days).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

from appliance.domain.trading import ZERO

DECIMALS = 6
"""To how many decimals a published figure is rounded."""

T = TypeVar("T", bound=Struct)


class Figures(Struct, frozen=True):
    """Performance so far; the conventions are those of the modules of ``core/metrics``.

    Of equity: ``total_return``, ``drawdown`` (now) and ``max_drawdown`` are fractions, the latter two not above 0;
    ``drawdown_time`` and ``max_drawdown_time`` count from the peak; ``under_water`` is the share of marks below it.

    Of ``days`` daily returns: ``cagr`` in trading time, ``cagr_calendar`` in calendar time, ``volatility``,
    ``downside_deviation``, ``sharpe``, ``sortino`` annual, ``calmar`` is cagr over the largest drawdown.

    Of ``trips`` closed round trips, net of fees: ``average_loss`` and ``worst_trip`` are below 0 for a loss,
    ``profit_factor`` and ``payoff`` are of money, ``quality`` is the system quality number.

    Of ``fills``: ``traded`` is notional bought and sold, ``turnover`` how often a year equity is turned over;
    ``slippage`` against the decision price is a cost where positive, ``slippage_bps`` of the notional it was measured
    on. ``exposure`` is the share of marks with something held, ``gross`` the last gross exposure, ``leverage`` that
    over equity. Latencies (ns, at most 1/16 too large) are from decision to order and to fill.
    """

    total_return: float | None = None
    drawdown: float | None = None
    max_drawdown: float | None = None
    drawdown_time: int | None = None
    max_drawdown_time: int | None = None
    under_water: float | None = None
    days: int = 0
    cagr: float | None = None
    cagr_calendar: float | None = None
    volatility: float | None = None
    downside_deviation: float | None = None
    sharpe: float | None = None
    sortino: float | None = None
    calmar: float | None = None
    best_day: float | None = None
    worst_day: float | None = None
    trips: int = 0
    win_rate: float | None = None
    average_win: Decimal | None = None
    average_loss: Decimal | None = None
    payoff: float | None = None
    profit_factor: float | None = None
    expectancy: Decimal | None = None
    quality: float | None = None
    best_trip: Decimal | None = None
    worst_trip: Decimal | None = None
    wins_in_a_row: int = 0
    losses_in_a_row: int = 0
    average_holding: int | None = None
    longest_holding: int | None = None
    fills: int = 0
    traded: Decimal = ZERO
    turnover: float | None = None
    fees: Decimal = ZERO
    slippage: Decimal | None = None
    slippage_bps: float | None = None
    exposure: float | None = None
    gross: float | None = None
    leverage: float | None = None
    max_leverage: float | None = None
    order_latency_p50: int | None = None
    order_latency_p99: int | None = None
    fill_latency_p50: int | None = None
    fill_latency_p99: int | None = None


class PerformanceReport(Struct, frozen=True):
    """One strategy's own account and figures ``at`` ns UTC. ``equity`` and ``unrealised`` are None while something it
    holds has no price; ``positions`` are shares by symbol, signed; ``realised`` is before ``fees``. ``state`` is where
    it is in its life and ``why``; ``params`` are its parameters as text."""

    name: str
    at: int
    allotment: Decimal
    cash: Decimal
    equity: Decimal | None
    realised: Decimal
    unrealised: Decimal | None
    fees: Decimal
    positions: dict[str, Decimal] = {}
    figures: Figures = Figures()
    state: str = ""
    why: str = ""
    params: dict[str, str] = {}


def rounded(value: T) -> T:
    """The same with its own floats and Decimals rounded to ``DECIMALS`` places, for people to read."""
    return replace(value, **{name: _round(one) for name, one in asdict(value).items()})


def _round(value: object) -> object:
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0  # no -0.0
    if isinstance(value, Decimal):
        return round(value, DECIMALS).normalize() + ZERO
    return value
