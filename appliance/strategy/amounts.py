"""What an author writes as a number, as the exact value that is meant. Every mistake names what may be given."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal, InvalidOperation
from math import inf, isfinite
from numbers import Integral, Real

from appliance.core.models.sizing import Sizer
from appliance.domain.trading import AUCTIONS, ZERO, OrderType, Side, Terms, TimeInForce, Trail
from appliance.domain.wire import sendable
from appliance.errors import StrategyError

Number = int | Decimal | str | float
MOST = Decimal(10) ** 12
"""More shares, and more USD for one, are a slip of the pen; sums of smaller ones stay exact."""
_MOST = int(MOST)
GRAIN = Decimal("1e-9")
PRICE_GRAIN = Decimal("1e-12")
"""Adjusted prices have more decimals than traded ones, and a limit may be one of them."""
_DIGITS = 18
_BEYOND = 10**_DIGITS
_WHOLE = Decimal(1)
_PRICE_HINT = "give a price in USD above 0, or leave it away"


def shares(call: str, value: Number) -> Decimal:
    """A quantity of shares. A float must be whole. Raises StrategyError on anything unclear."""
    if type(value) is int and -_MOST <= value <= _MOST:
        return Decimal(value)
    fractional = isinstance(value, Real) and not isinstance(value, Integral)
    number = _whole(float(value)) if fractional else _exact(value)
    if number is None:
        raise StrategyError(
            f"{call}: quantity={_shown(value)} is not a number of shares",
            hint='give an int, a Decimal, a text such as "0.5", or a float without fraction; NaN is never an order',
        )
    if not abs(number) <= MOST or number != number.quantize(GRAIN):
        raise StrategyError(
            f"{call}: quantity={_shown(value)} is out of range",
            hint=f"at most {MOST:.0e} shares, in steps of {GRAIN:f}",
        )
    return number


def price(call: str, name: str, value: Number) -> Decimal:
    """A price in USD, to 12 decimals. Raises StrategyError unless it is finite, above 0 and can be one."""
    found = _exact(value)
    if found is None or not 0 < found <= MOST or found != found.quantize(PRICE_GRAIN):
        raise StrategyError(f"{call}: {name}={_shown(value)} is not a price", hint=_PRICE_HINT)
    return found


def optional_price(call: str, name: str, value: Number | None) -> Decimal | None:
    """A price, or None."""
    return None if value is None else price(call, name, value)


def trail(call: str, name: str, value: Number | None) -> Trail | None:
    """How far a trailing stop stays behind: USD, or percent as text ("2%"); None for None. Raises StrategyError."""
    if value is None:
        return None
    percent = isinstance(value, str) and value.endswith("%")
    found = _exact(value.removesuffix("%") if isinstance(value, str) else value)
    most = Decimal(100) if percent else MOST
    if found is None or not 0 < found < most or found != found.quantize(GRAIN):
        raise StrategyError(
            f"{call}: {name}={_shown(value)} is not a distance",
            hint='give USD above 0 (1.5), or percent below 100 ("2%")',
        )
    return Trail(found, percent)


def sized(call: str, name: str, value: Number, unit: Decimal, at: float) -> Decimal:
    """Whole shares, towards 0, that ``value`` units of ``unit`` USD buy at a price of ``at`` USD.

    Raises StrategyError for a value that is no finite number, a price that is none, and more than can be meant.
    """
    number = _exact(value)
    if number is None:
        raise StrategyError(f"{call}: {name}={_shown(value)} is not a finite number", hint="give a number such as 0.5")
    if not 0 < at < inf:
        raise StrategyError(f"{call}: the last price is {at!r}, so {name}= says nothing", hint="give quantity=")
    if not abs(number) <= MOST:
        raise StrategyError(f"{call}: {name}={_shown(value)} is out of range", hint=f"at most {MOST:.0e}")
    exact = number * unit / Decimal(repr(float(at)))
    if not abs(exact) <= MOST:
        raise StrategyError(f"{call}: {name}={_shown(value)} are {exact:.3e} shares", hint=f"at most {MOST:.0e}")
    return exact.quantize(_WHOLE, ROUND_DOWN) + ZERO


def weighed(call: str, weight: Number, equity: Decimal, at: float, sizer: Sizer) -> Decimal:
    """Whole shares that ``weight`` of ``equity`` (USD) is at a price of ``at`` USD, as ``sizer`` counts them.

    Raises StrategyError as ``sized`` does.
    """
    shares = sized(call, "weight", weight, equity, at)
    if sizer.plain or not shares:
        return shares
    exact = _exact(weight)
    assert exact is not None  # or it had been refused
    return sizer.shares(exact, equity, Decimal(repr(float(at))))


def side(call: str, value: Side | str) -> Side:
    """BUY or SELL. Raises StrategyError."""
    try:
        return value if isinstance(value, Side) else Side(value)
    except ValueError:
        raise StrategyError(f"{call}: side={value!r} is not one", hint='write "buy" or "sell"') from None


def terms(call: str, limit: Number | None, stop: Number | None, trailed: Number | None, force: str) -> Terms:
    """How an order meets the market, by what is given. Raises StrategyError for what does not go together."""
    kind = _TYPES.get((limit is not None, stop is not None, trailed is not None))
    if kind is None:
        raise StrategyError(
            f"{call}: a trailing stop takes neither limit nor stop", hint="give trail= alone, or limit= and stop="
        )
    try:
        time_in_force = TimeInForce(force)
    except ValueError:
        allowed = ", ".join(one.value for one in TimeInForce)
        raise StrategyError(f"{call}: time_in_force={force!r} is not one", hint=f"one of {allowed}") from None
    if time_in_force in AUCTIONS and kind not in (OrderType.MARKET, OrderType.LIMIT):
        raise StrategyError(
            f"{call}: time_in_force={force!r} is for market and limit orders, not for a {kind.value} order",
            hint="leave stop= and trail= away, or write day or gtc",
        )
    return Terms(
        kind,
        optional_price(call, "limit", limit),
        optional_price(call, "stop", stop),
        trail(call, "trail", trailed),
        time_in_force,
    )


_TYPES = {
    (False, False, False): OrderType.MARKET,
    (True, False, False): OrderType.LIMIT,
    (False, True, False): OrderType.STOP,
    (True, True, False): OrderType.STOP_LIMIT,
    (False, False, True): OrderType.TRAILING_STOP,
}
"""Which order it is, by whether limit, stop and trail are given."""


def _whole(value: float) -> Decimal | None:
    return Decimal(int(value)) if isfinite(value) and value == int(value) and abs(value) < _BEYOND else None


def _exact(value: Number) -> Decimal | None:
    """A finite number, floats (numpy's too) to the 15 digits they surely hold, so that 0.1 + 0.2 is 0.3, and to 12
    decimals; None when it is none, or beyond all measure."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return Decimal(int(value)) if abs(int(value)) < _BEYOND else None
    if isinstance(value, Real):
        return _decimal(repr(round(float(f"{float(value):.15g}"), 12))) if not isinstance(value, bool) else None
    return _decimal(value) if isinstance(value, Decimal | str) else None


def _decimal(value: Decimal | str) -> Decimal | None:
    try:
        number = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    return number + ZERO if number.is_finite() and abs(number.adjusted()) < _DIGITS else None


def _shown(value: object) -> str:
    """What was given, short, for a message."""
    text = f"{value!r}" if not isinstance(value, int) or abs(value) < _BEYOND else "a huge number"
    return sendable(text, 80)
