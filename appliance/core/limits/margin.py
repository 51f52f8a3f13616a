"""What an account may hold: no short sales in a cash account, Regulation T in a margin account."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.limits.base import Case, Refusal, positive, within
from appliance.domain.trading import ZERO, Side

INITIAL = Decimal("0.5")
"""Equity needed for what is bought or sold short, of its market value (12 CFR 220.12, Regulation T)."""


class NoShortSales:
    """A sale may not lead to fewer than 0 shares, with all working sales of the symbol; a cash account borrows none.

    A strategy sells what it holds itself: what others hold is theirs to leave, and their stops may be first.
    """

    code = "SHORT_SALE"
    binds_reductions = False

    def check(self, case: Case) -> Refusal | None:
        left = case.position - case.selling - case.intent.quantity
        if case.intent.side is Side.SELL and not left >= 0:
            return Refusal(self.code, f"{left} shares would be left: a cash account does not sell short")
        if case.intent.side is Side.SELL and not case.intent.exit:
            return Refusal(self.code, "its strategy does not hold what it sells: a cash account does not sell short")
        return None


class InitialMargin:
    """Half the market value of all positions, of what working entries may add and of this order ≤ equity (USD).

    Equity is cash and positions at their last prices. An unknown cash or price: no.
    """

    code = "INSUFFICIENT_MARGIN"
    binds_reductions = False

    def check(self, case: Case) -> Refusal | None:
        price, cash = case.reference, case.cash
        if price is None or cash is None:
            return Refusal(self.code, f"the {'price' if price is None else 'account'} is not known")
        gross, equity = ZERO, cash
        for symbol, shares in case.positions.items():
            if not shares:
                continue
            last = case.prices.get(symbol)
            value = Decimal(repr(last.value)) * shares if last is not None else None
            if value is None or not positive(abs(value)):
                return Refusal(self.code, f"the price of {symbol} is not known")
            gross += abs(value)
            equity += value
        needed = (gross + case.reserved + case.intent.quantity * price) * INITIAL
        if not within(needed, equity):
            return Refusal(self.code, f"{needed:.2f} USD of margin needed, {equity:.2f} USD of equity")
        return None
