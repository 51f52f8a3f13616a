"""What is looked for in market data: one row a rule, with what becomes of an event that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from appliance.data.validation.verdicts import Finding, Judged, Outcome
from appliance.domain.market import SECOND, Bar, Heard, Quote, Trade

INFINITE = float("inf")
PASSED, FLAGGED, REPAIRED, QUARANTINED = Outcome.PASSED, Outcome.FLAGGED, Outcome.REPAIRED, Outcome.QUARANTINED


class Rule(Struct, frozen=True):
    """What becomes of an event that breaks the rule, what is wrong with it, and the limits that say how far it may go;
    ``amount`` is what a finding's ``amount`` counts."""

    outcome: Outcome
    says: str
    limits: tuple[str, ...] = ()
    amount: str = ""


RULES: dict[str, Rule] = {
    # what cannot be, whatever the market does
    "unreadable": Rule(QUARANTINED, "a row that cannot be read as an event"),
    "not_finite": Rule(QUARANTINED, "a price, size or volume is NaN or infinite"),
    "not_positive": Rule(QUARANTINED, "a price is zero or negative"),
    "one_sided": Rule(QUARANTINED, "a quote without a bid or without an ask: nobody knows the price"),
    "negative_volume": Rule(QUARANTINED, "a size or volume is below zero"),
    "bad_span": Rule(QUARANTINED, "a bar ends before it starts, or is longer than its timeframe"),
    "low_above_high": Rule(QUARANTINED, "the low of a bar is above its high"),
    "open_outside": Rule(QUARANTINED, "the open is not between low and high"),
    "close_outside": Rule(QUARANTINED, "the close is not between low and high"),
    "crossed": Rule(QUARANTINED, "the bid is above the ask"),
    "bad_band": Rule(QUARANTINED, "the low of a price band is above its high"),
    "from_the_future": Rule(QUARANTINED, "the time of an event is ahead of us", ("future_seconds",), "seconds"),
    # repairs
    "float_noise": Rule(REPAIRED, "high or low misses open or close by less than half a tick: moved to it", ("tick",)),
    "size_unknown": Rule(REPAIRED, "the sizes of a quote are NaN, infinite or negative: set to 0, unknown"),
    # order
    "duplicate": Rule(QUARANTINED, "the bar came before, with the same content"),
    "revision": Rule(PASSED, "the bar came before with other content: counted in its revision", (), "revision"),
    "bar_goes_back": Rule(QUARANTINED, "a bar ends before the last one, and is too old to be a revision"),
    "quote_goes_back": Rule(QUARANTINED, "a quote is older than the last one", (), "seconds"),
    "trade_goes_back": Rule(FLAGGED, "a trade is older than the last one: reported late", (), "seconds"),
    "gap": Rule(FLAGGED, "bars are missing in session before this one: marked, not filled", ("gap_seconds",), "bars"),
    # prices that are too far away
    "spike": Rule(
        QUARANTINED, "low or high is impossibly far from both open and close", ("impossible_ratio",), "ratio"
    ),
    "impossible_jump": Rule(
        QUARANTINED, "the price moved impossibly far, and no split explains it", ("impossible_ratio",), "ratio"
    ),
    "level_confirmed": Rule(
        FLAGGED, "prices that were set aside are confirmed by those that follow", ("confirmations",), "ratio"
    ),
    "looks_like_a_split": Rule(
        FLAGGED, "the price changed over a closed market as a split would do", ("jump_ratio",), "ratio"
    ),
    "jump": Rule(FLAGGED, "the price moved further than it usually does", ("jump_sigmas", "sigma_floor"), "sigmas"),
    "long_wick": Rule(FLAGGED, "low or high is unusually far away", ("jump_sigmas", "sigma_floor"), "sigmas"),
    "jump_reverted": Rule(FLAGGED, "the jump of the bar before came back at once: that bar is doubtful", (), "ratio"),
    "off_market": Rule(
        QUARANTINED, "a trade is far from the last price", ("trade_jump", "tick", "confirmations"), "ratio"
    ),
    "far_from_last": Rule(
        QUARANTINED, "a quote is far from the last price", ("quote_jump", "tick", "confirmations"), "ratio"
    ),
    "wide_spread": Rule(FLAGGED, "bid and ask are far apart", ("wide_spread",), "part of the middle"),
    "absurd_spread": Rule(QUARANTINED, "bid and ask are absurdly far apart", ("absurd_spread",), "part of the middle"),
    "outside_band": Rule(FLAGGED, "a trade outside the price band of the exchange", (), "USD"),
    # volume
    "zero_volume": Rule(FLAGGED, "a bar without volume: nothing was traded at its prices"),
    "absurd_volume": Rule(FLAGGED, "the volume is many times the usual one", ("volume_times",), "times"),
    # what is found without an event, or beside it
    "clock_skew": Rule(
        FLAGGED, "our clock is not the exchange's", ("skew_alert_seconds", "skew_window", "delay_seconds"), "seconds"
    ),
    "clock_skew_inhibits": Rule(
        FLAGGED, "our clock differs too far to trade", ("skew_inhibit_seconds",), "seconds"
    ),
    "stale": Rule(FLAGGED, "no quote or trade for too long in session", ("stale_quote_seconds",), "seconds"),
    "bar_missing": Rule(FLAGGED, "a bar should be here by now", ("late_bar_seconds",), "seconds"),
}  # fmt: skip
"""All rules by name. A quarantined event is not told further; no price is ever made up in its place."""

SEVERITY = {PASSED: 0, FLAGGED: 1, REPAIRED: 2, QUARANTINED: 3}
Said = tuple[str, str]
"""The name of a rule, and what exactly broke it."""


def finding(rule: str, event: Heard, time: int, text: str, amount: float = 0.0) -> Finding:
    """What a rule found in an event that is known at ``time`` (ns UTC)."""
    return Finding(rule, RULES[rule].outcome, event.symbol, time, text, event.source, amount)


def moment(time: int) -> str:
    """A time (ns UTC) as a person reads it, whatever a source says it is."""
    try:
        return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # beyond the years 1 to 9999
        return f"{time} ns"


def judged(event: Heard, findings: Sequence[Finding]) -> Judged:
    """The verdict: as severe as the most severe finding; what is quarantined goes no further."""
    if not findings:
        return Judged(event)
    worst = max((one.outcome for one in findings), key=SEVERITY.__getitem__)
    return Judged(None if worst is QUARANTINED else event, worst, tuple(findings))


def broken_bar(bar: Bar) -> Said | None:
    """The first rule of form that a bar breaks. NaN breaks one: it is compared with nothing."""
    return next((said for look in _OF_A_BAR if (said := look(bar)) is not None), None)


def broken_quote(quote: Quote) -> Said | None:
    """The first rule of form that a quote breaks. A price of 0 is that of a side where nobody quotes."""
    if (quote.bid == 0) != (quote.ask == 0):
        return "one_sided", f"bid {quote.bid:g}, ask {quote.ask:g}"
    prices = {"bid": quote.bid, "ask": quote.ask}
    said = _prices(prices)
    if said is None and quote.bid > quote.ask:
        return "crossed", f"bid {quote.bid:g} above ask {quote.ask:g}"
    return said


def broken_trade(trade: Trade) -> Said | None:
    """The first rule of form that a trade breaks."""
    return _prices({"price": trade.price}) or _volume("size", trade.size)


def _prices(prices: dict[str, float]) -> Said | None:
    for name, price in prices.items():
        if not abs(price) < INFINITE:
            return "not_finite", f"{name} {price!r}"
        if price <= 0:
            return "not_positive", f"{name} {price:g}"
    return None


def _volume(name: str, volume: float) -> Said | None:
    if not abs(volume) < INFINITE:
        return "not_finite", f"{name} {volume!r}"
    return ("negative_volume", f"{name} {volume:g}") if volume < 0 else None


def _numbers(bar: Bar) -> Said | None:
    prices = {"open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close}
    return _prices(prices) or _volume("volume", bar.volume)


def _upside_down(bar: Bar) -> Said | None:
    return ("low_above_high", f"low {bar.low:g} above high {bar.high:g}") if bar.low > bar.high else None


def _outside(name: str) -> Callable[[Bar], Said | None]:
    def look(bar: Bar) -> Said | None:
        price = getattr(bar, name)
        inside = bar.low <= price <= bar.high
        return None if inside else (f"{name}_outside", f"{name} {price:g} not in {bar.low:g} .. {bar.high:g}")

    return look


_OF_A_BAR: tuple[Callable[[Bar], Said | None], ...] = (_numbers, _upside_down, _outside("open"), _outside("close"))
