"""Quotes and trades of one symbol, judged one after the other against the last price."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from appliance.data.validation.limits import ValidationLimits, ns
from appliance.data.validation.rules import INFINITE, broken_quote, broken_trade, finding, judged
from appliance.data.validation.verdicts import Finding, Judged
from appliance.domain.market import HOUR, MINUTE, PriceBand, Quote, Split, Trade

NEVER = 2**63 - 1
BAND_HOLDS = 6 * HOUR + 30 * MINUTE
"""A band of the exchange is of one day: nothing is said of it after a session's length."""
DRIFT = 0.25
"""What is far is further by this part of it after a minute without a price, twice that after four."""
TICKS = 3
"""Steps of the price that are never far."""


class TickJudge:
    """Judges quotes and trades by themselves (form) and against the last price that was believed.

    Far from it is *quarantined*: a late report at yesterday's price, a fat finger, a stub quote. When so many
    (``confirmations``) in a row, each later than the one before, agree with each other, the last of them passes and is
    the new price. What is far grows with the square root of the minutes since the last price: a market moves while
    nothing is told. A quote that is older than the last one must not replace it; a trade that is older was reported
    late and still counts. Bars that are believed are prices too (``believe``).
    """

    def __init__(self, limits: ValidationLimits, splits: Sequence[Split] = ()) -> None:
        self._limits = limits
        self._future = ns(limits.future_seconds)
        self._wide = (1 + limits.wide_spread / 2) / (1 - limits.wide_spread / 2)
        self._near = 1 + limits.trade_jump, 1 + limits.quote_jump
        self.quoted = 0
        """The time (ns UTC) of the last quote that was believed; ``traded`` of the last trade."""
        self.traded = 0
        self._price = 0.0
        self._at = 0
        self._odd: list[float] = []
        self._odd_at = 0
        self._splits = list(splits)
        self._split_at = min((one.time for one in splits), default=NEVER)
        self._floor, self._ceiling, self._band_ends = 0.0, INFINITE, 0

    def quote(self, quote: Quote, now: int) -> Judged:
        """The verdict on the next quote."""
        bid, ask, last, near = quote.bid, quote.ask, self._price, self._near[1]
        if (
            0.0 < bid <= ask <= bid * self._wide
            and last <= bid * near
            and ask <= last * near
            and self._at <= quote.time <= now + self._future
            and quote.time < self._split_at
            and 0.0 <= quote.bid_size < INFINITE
            and 0.0 <= quote.ask_size < INFINITE
            and (not quote.low_time or (bid <= quote.low * near and quote.high <= ask * near))
        ):
            self.quoted = self._at = quote.time
            self._price = (bid + ask) / 2
            if self._odd:
                self._odd.clear()
            return Judged(quote)
        return self._quote_closely(quote, now)

    def trade(self, trade: Trade, now: int) -> Judged:
        """The verdict on the next trade."""
        price, last, near = trade.price, self._price, self._near[0]
        if (
            last <= price * near
            and 0.0 < price <= last * near
            and self._at <= trade.time <= now + self._future
            and trade.time < self._split_at
            and 0.0 <= trade.size < INFINITE
            and self._floor <= price <= self._ceiling
        ):
            self.traded = self._at = trade.time
            self._price = price
            if self._odd:
                self._odd.clear()
            return Judged(trade)
        return self._trade_closely(trade, now)

    def split(self, split: Split) -> None:
        """A split that is known from now on."""
        self._splits.append(split)
        self._split_at = min(self._split_at, split.time)

    def band(self, band: PriceBand) -> Judged:
        """The verdict on limits of the exchange; good ones hold from now on."""
        if not 0 < band.low <= band.high < INFINITE:
            return judged(band, [finding("bad_band", band, band.time, f"{band.low:g} .. {band.high:g}")])
        self._floor, self._ceiling, self._band_ends = band.low, band.high, band.time + BAND_HOLDS
        return Judged(band)

    def believe(self, price: float, time: int) -> None:
        """The close of a bar that was believed."""
        if time >= self._at:
            self._price, self._at = price, time

    def _quote_closely(self, given: Quote, now: int) -> Judged:
        broken = broken_quote(given)
        if broken is not None:
            return judged(given, [finding(broken[0], given, given.time, broken[1])])
        quote, findings = _sized(_reached(given, self._near[1]))
        findings += self._early(quote, now)
        if quote.time < self.quoted:
            late = (self.quoted - quote.time) / 1e9
            findings.append(finding("quote_goes_back", quote, quote.time, f"{late:.3f} s before the last", late))
        findings += self._spread(quote) or self._distant(quote, "far_from_last", (quote.bid, quote.ask))
        verdict = judged(quote, findings)
        if verdict.event is not None:
            self.quoted = quote.time
            self.believe((quote.bid + quote.ask) / 2, quote.time)
        return verdict

    def _trade_closely(self, trade: Trade, now: int) -> Judged:
        broken = broken_trade(trade)
        if broken is not None:
            return judged(trade, [finding(broken[0], trade, trade.time, broken[1])])
        findings = self._early(trade, now)
        if trade.time < self.traded:
            late = (self.traded - trade.time) / 1e9
            findings.append(finding("trade_goes_back", trade, trade.time, f"{late:.3f} s before the last", late))
        findings += self._outside(trade) + self._distant(trade, "off_market", (trade.price,))
        verdict = judged(trade, findings)
        if verdict.event is not None:
            self.traded = max(self.traded, trade.time)
            self.believe(trade.price, trade.time)
        return verdict

    def _early(self, event: Quote | Trade, now: int) -> list[Finding]:
        if event.time <= now + self._future:
            return []
        early = (event.time - now) / 1e9
        return [finding("from_the_future", event, event.time, f"{early:.1f} s from now", early)]

    def _outside(self, trade: Trade) -> list[Finding]:
        if trade.time > self._band_ends:
            self._floor, self._ceiling = 0.0, INFINITE
        if self._floor <= trade.price <= self._ceiling:
            return []
        text = f"{trade.price:g} outside {self._floor:g} .. {self._ceiling:g}"
        return [finding("outside_band", trade, trade.time, text, trade.price)]

    def _spread(self, quote: Quote) -> list[Finding]:
        part = 2 * (quote.ask - quote.bid) / (quote.ask + quote.bid)
        rule = "wide_spread" if part <= self._limits.absurd_spread else "absurd_spread"
        if part <= self._limits.wide_spread:
            return []
        text = f"bid {quote.bid:g}, ask {quote.ask:g}: {100 * part:.1f} % of the middle"
        found = [finding(rule, quote, quote.time, text, part)]
        return found + self._distant(quote, "far_from_last", (quote.bid, quote.ask)) if rule == "wide_spread" else found

    def _distant(self, event: Quote | Trade, rule: str, prices: tuple[float, ...]) -> list[Finding]:
        """A price far from the last one, unless enough before it agree."""
        self._known_splits(event.time)
        last = self._price
        far = max((max(one, last) / min(one, last) for one in prices), default=1.0) if last else 1.0
        if far <= self._allowed(event, rule == "off_market"):
            self._odd.clear()
            return []
        price = sum(prices) / len(prices)
        near = self._near[0]
        if event.time > self._odd_at:  # a cross that is reported in pieces confirms nothing
            self._odd = [one for one in self._odd if one <= price * near and price <= one * near] + [price]
            self._odd_at = event.time
        if len(self._odd) >= self._limits.confirmations:
            self._odd.clear()
            return [finding("level_confirmed", event, event.time, f"{price:g} after {last:g}, told again", far)]
        return [finding(rule, event, event.time, f"{price:g}, the last price was {last:g}", far)]

    def _known_splits(self, time: int) -> None:
        """A split since the last price changes what that price is worth."""
        for split in [one for one in self._splits if self._at < one.time <= time]:
            self._price *= split.old / split.new
        self._splits = [one for one in self._splits if one.time > time]
        self._split_at = min((one.time for one in self._splits), default=NEVER)

    def _allowed(self, event: Quote | Trade, is_trade: bool) -> float:
        limits = self._limits
        jump = limits.trade_jump if is_trade else limits.quote_jump
        minutes = max(0.0, (event.time - self._at) / MINUTE)
        tick = limits.tick if self._price >= 1 else limits.tick / 100
        return 1 + jump * (1 + DRIFT * math.sqrt(minutes)) + TICKS * tick / self._price if self._price else INFINITE


def _reached(quote: Quote, near: float) -> Quote:
    """A quote whose extremes are of quotes before it that would have been set aside (a side where nobody quotes, a
    stub) has none but its own prices: stops must not be tried on those."""
    low = quote.low if quote.bid <= quote.low * near else quote.bid
    high = quote.high if quote.high <= quote.ask * near else quote.ask
    if not quote.low_time or (low, high) == (quote.low, quote.high):
        return quote
    low_time = quote.low_time if low == quote.low else quote.time
    high_time = quote.high_time if high == quote.high else quote.time
    return replace(quote, low=low, high=high, low_time=low_time, high_time=high_time)


def _sized(quote: Quote) -> tuple[Quote, list[Finding]]:
    """A quote whose sizes cannot be right still has prices: the sizes become unknown."""
    sizes = (quote.bid_size, quote.ask_size)
    good = [size if 0 <= size < INFINITE else 0.0 for size in sizes]
    if good[0] == sizes[0] and good[1] == sizes[1]:
        return quote, []
    mended = replace(quote, bid_size=good[0], ask_size=good[1])
    return mended, [finding("size_unknown", quote, quote.time, f"sizes {sizes[0]!r} and {sizes[1]!r}")]
