"""One strategy's own account: allotted cash, what it holds at average cost, realised profit and fees. USD, exact.

A fill makes a new portfolio; a price makes none: prices are kept elsewhere and given when a value is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.trading import ZERO, Activity, ActivityKind, Fill, Part

CENT = Decimal("0.01")
GRAIN = Decimal("1e-9")
"""To what the cost of a part that is sold is rounded; what is left keeps the rest, so that nothing is lost."""


class Holding(Struct, frozen=True):
    """Shares of one symbol (signed) and what they cost, USD (signed alike: a short position was paid for to us)."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def average_price(self) -> Decimal:
        return self.cost / self.quantity if self.quantity else ZERO

    def after(self, fill: Fill) -> tuple[Holding, Decimal]:
        """What is held once ``fill`` is booked, and the profit it realised (USD, before commission)."""
        change, quantity = fill.signed, self.quantity + fill.signed
        if self.quantity * change >= 0:
            return Holding(quantity, self.cost + change * fill.price), ZERO
        closed = change if abs(change) < abs(self.quantity) else -self.quantity
        released = self._cost_of(-closed)
        opened = (change - closed) * fill.price
        return Holding(quantity, self.cost - released + opened), -closed * fill.price - released

    def split(self, quantity: Decimal, exact: Fraction, cash: Decimal) -> tuple[Holding, Decimal]:
        """What is held once a split has made ``quantity`` of it, of ``exact`` shares, and the profit of the fraction
        that was paid out by ``cash`` USD. The cost stays."""
        if not quantity:
            return Holding(), cash - self.cost
        if abs(quantity) > abs(exact):
            return Holding(quantity, self.cost - cash), ZERO  # what a whole share costs more
        paid = Fraction(self.cost) * (exact - Fraction(quantity)) / exact
        released = (Decimal(paid.numerator) / Decimal(paid.denominator)).quantize(GRAIN)
        return Holding(quantity, self.cost - released), cash - released

    def _cost_of(self, part: Decimal) -> Decimal:
        return self.cost if part == self.quantity else (self.cost * part / self.quantity).quantize(GRAIN)


NOTHING = Holding()


class Valuation(Struct, frozen=True):
    """What a portfolio is worth at given prices, USD; ``short`` is not above 0."""

    equity: Decimal
    unrealised: Decimal
    long: Decimal
    short: Decimal

    @property
    def gross(self) -> Decimal:
        """Long and short exposure together, without sign."""
        return self.long - self.short

    @property
    def net(self) -> Decimal:
        """Long less short exposure, signed."""
        return self.long + self.short


class Portfolio(Struct, frozen=True):
    """What one strategy has. Realised profit is by average cost, as in `Position.after`, and before ``fees``, which are
    the commissions paid. ``holdings`` (by symbol) has no flat ones. ``dividends`` are those received less those paid on
    short positions, ``interest`` the borrow fees and margin interest charged (not above 0).

    At any prices, exactly: equity = allotment + realised + unrealised - fees + dividends + interest.
    """

    strategy: str
    allotment: Decimal
    cash: Decimal
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    holdings: dict[str, Holding] = {}
    dividends: Decimal = ZERO
    interest: Decimal = ZERO

    @staticmethod
    def opened(strategy: str, allotment: Decimal) -> Portfolio:
        """A new portfolio: ``allotment`` USD of cash, nothing held."""
        return Portfolio(strategy, allotment, allotment)

    @property
    def flow(self) -> Decimal:
        """What its trading has added to the account's cash, USD: sales less purchases less commissions."""
        return self.cash - self.allotment

    @property
    def positions(self) -> dict[str, Decimal]:
        """Shares by symbol, signed."""
        return {symbol: holding.quantity for symbol, holding in self.holdings.items()}

    def shares(self, symbol: str) -> Decimal:
        """Shares held of ``symbol``, signed."""
        return self.holdings.get(symbol, Holding()).quantity

    def booked(self, fill: Fill) -> Portfolio:
        """The portfolio once ``fill`` is booked. Raises ValueError for a fill of another strategy."""
        if fill.strategy != self.strategy:
            raise ValueError(f"fill {fill.fill_key} belongs to {fill.strategy!r}, this portfolio to {self.strategy!r}")
        holding, profit = self.holdings.get(fill.symbol, NOTHING).after(fill)
        holdings = {**self.holdings, fill.symbol: holding}
        if not holding.quantity:
            del holdings[fill.symbol]
        return replace(
            self,
            cash=self.cash - fill.signed * fill.price - fill.commission,
            realised=self.realised + profit,
            fees=self.fees + fill.commission,
            holdings=holdings,
        )

    def changed(self, activity: Activity, part: Part) -> Portfolio:
        """The portfolio once its part of an activity is booked."""
        cash = self.cash + part.cash
        if activity.kind is ActivityKind.DIVIDEND:
            return replace(self, cash=cash, dividends=self.dividends + part.cash)
        if activity.kind is ActivityKind.SYMBOL_CHANGE:
            return replace(self, cash=cash, holdings=_renamed(self.holdings, activity))
        if activity.kind not in (ActivityKind.SPLIT, ActivityKind.DELISTING):
            return replace(self, cash=cash, interest=self.interest + part.cash)
        before = self.holdings.get(activity.symbol, Holding())
        exact = Fraction(before.quantity) * activity.new / activity.old
        holding, profit = before.split(part.quantity, exact, part.cash)
        holdings = {**self.holdings, activity.symbol: holding}
        if not holding.quantity:
            del holdings[activity.symbol]
        return replace(self, cash=cash, realised=self.realised + profit, holdings=holdings)

    def allotted(self, allotment: Decimal) -> Portfolio:
        """The portfolio with another allotment (USD): the difference comes as cash, or goes."""
        return replace(self, allotment=allotment, cash=self.cash + allotment - self.allotment)

    def valued(self, prices: Mapping[str, float]) -> Valuation | None:
        """What it is worth at ``prices`` (USD by symbol); None when something it holds has no usable price."""
        long = short = cost = ZERO
        for symbol, holding in self.holdings.items():
            price = prices.get(symbol)
            if price is None or not 0 < price < math.inf:
                return None
            value = holding.quantity * Decimal(repr(float(price)))
            cost += holding.cost
            if value > 0:
                long += value
            else:
                short += value
        return Valuation(self.cash + long + short, long + short - cost, long, short)

    def equity(self, prices: Mapping[str, float]) -> Decimal | None:
        """Cash and holdings at ``prices``, USD; None as for `valued`."""
        value = self.valued(prices)
        return None if value is None else value.equity

    def unrealised(self, prices: Mapping[str, float]) -> Decimal | None:
        """Profit of what is held at ``prices``, USD; None as for `valued`."""
        value = self.valued(prices)
        return None if value is None else value.unrealised


def _renamed(holdings: dict[str, Holding], activity: Activity) -> dict[str, Holding]:
    """The same shares at the same cost by another name."""
    moved, becomes = holdings.get(activity.symbol), activity.becomes
    if moved is None or not becomes:
        return holdings
    there = holdings.get(becomes, NOTHING)
    both = Holding(there.quantity + moved.quantity, there.cost + moved.cost)
    return {**{symbol: held for symbol, held in holdings.items() if symbol != activity.symbol}, becomes: both}


def differences(
    portfolios: Iterable[Portfolio], positions: Mapping[str, Decimal], cash: Decimal, tolerance: Decimal = CENT
) -> list[str]:
    """What does not add up between the strategies and the account, a line each; empty when all does.

    ``positions`` are the account's shares by symbol, ``cash`` the change of its cash (USD) since the strategies began
    to trade; cash may differ by less than ``tolerance`` (USD), shares not at all.
    """
    everyone = list(portfolios)
    symbols = sorted({*positions, *(symbol for portfolio in everyone for symbol in portfolio.holdings)})
    found = [line for symbol in symbols if (line := _position_line(everyone, symbol, positions.get(symbol, ZERO)))]
    flow = sum((portfolio.flow for portfolio in everyone), ZERO)
    apart = cash - flow
    if not apart.is_finite() or not abs(apart) < tolerance:
        each = ", ".join(f"{portfolio.strategy} {portfolio.flow:+.2f}" for portfolio in everyone) or "none"
        found.append(
            f"cash: the account changed by {cash:+.2f} USD, the strategies by {flow:+.2f} ({each}): {apart:+.2f} "
            "USD are of no strategy; look for fees, dividends, transfers and orders that were placed by hand"
        )
    return found


def _position_line(portfolios: list[Portfolio], symbol: str, held: Decimal) -> str:
    shares = {portfolio.strategy: portfolio.shares(symbol) for portfolio in portfolios if symbol in portfolio.holdings}
    total = sum(shares.values(), ZERO)
    if held == total:
        return ""
    each = ", ".join(f"{name} {quantity:+f}" for name, quantity in shares.items()) or "none"
    return (
        f"{symbol}: the account holds {held:+f} shares, the strategies {total:+f} ({each}): {held - total:+f} are of "
        "no strategy; look for orders that were placed by hand, splits and transfers"
    )
