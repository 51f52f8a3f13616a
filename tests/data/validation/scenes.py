"""Bars, quotes and trades for the tests of the judge: a week of minutes, calm unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from appliance.data.validation.limits import DEFAULTS, ValidationLimits
from appliance.data.validation.validator import DataValidator
from appliance.data.validation.verdicts import Judged
from appliance.domain.market import DAY, MINUTE, Bar, Quote, Session, Sessions, Split, Trade

OPEN = 1_381_152_600_000_000_000
"""Monday 2013-10-07, 9:30 in New York, ns UTC."""
LENGTH = 390 * MINUTE
WEEK = Sessions(
    [Session(f"2013-10-{7 + day:02}", OPEN + day * DAY, OPEN + day * DAY + LENGTH) for day in range(5)]
)  # fmt: skip
NEXT_OPEN = OPEN + DAY


def validator(
    limits: ValidationLimits = DEFAULTS, splits: dict[str, Sequence[Split]] | None = None, sessions: Sessions = WEEK
) -> DataValidator:
    return DataValidator(lambda symbol: sessions, limits, splits)


def bar(start: int = OPEN, price: float = 100.0, volume: float = 1000.0, **changed: object) -> Bar:
    """A minute from ``start`` that ends where it began and reaches two cents further on both sides."""
    calm = Bar("SPY", "1m", start, start + MINUTE, price, price + 0.02, price - 0.02, price, volume)
    return replace(calm, **changed)


def quote(time: int = OPEN, bid: float = 100.0, ask: float = 100.01, **changed: object) -> Quote:
    return replace(Quote("SPY", time, bid, ask, 100, 100), **changed)


def trade(time: int = OPEN, price: float = 100.0, size: float = 100.0, **changed: object) -> Trade:
    return replace(Trade("SPY", time, price, size), **changed)


def told(judge: DataValidator, event: Bar | Quote | Trade) -> Judged:
    """The verdict, as soon as the event is known."""
    time = event.end if isinstance(event, Bar) else event.time
    return judge.check(event, max(time, getattr(event, "received", 0)))


def names(verdict: Judged) -> list[str]:
    return [found.rule for found in verdict.findings]


def calm(judge: DataValidator, count: int = 60, price: float = 100.0, start: int = OPEN) -> int:
    """Tell so many minutes that are as usual; the start of the next."""
    for at in range(count):
        verdict = told(judge, bar(start + at * MINUTE, price + (0.01 if at % 2 else 0.0)))
        assert not verdict.findings, verdict
    return start + count * MINUTE
