"""What splits, dividends and fees do to shares, orders and money: exact, and the same for whoever asks.

A split leaves whole shares where there were whole ones; the fraction is paid out at the last price before it, as
brokers do. Orders follow FINRA Rule 5330: shares and prices of all of them by a split (a reverse one too, where brokers
may cancel instead), limits of purchases and stops of sales less a cash dividend; prices go down to the next tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.market import Bar, CorporateAction, Split
from appliance.domain.trading import ZERO, Activity, ActivityKind, Part, Side, Trail

CENT = Decimal("0.01")
SMALL_TICK = Decimal("0.0001")
"""The price step below 1 USD (SEC Rule 612)."""
SHARE = Decimal(1)
PART_OF_SHARE = Decimal("1e-9")
"""To what a position that is not of whole shares is kept."""


class Prices(Struct, frozen=True):
    """The prices of an order (USD), None where it has none, and its trail."""

    limit: Decimal | None = None
    stop: Decimal | None = None
    trail: Trail | None = None


def activity_of(action: CorporateAction, held: Decimal) -> Activity:
    """What an action does to an account that holds ``held`` shares (signed) of its symbol."""
    if isinstance(action, Split):
        position = whole_after(held, action)
        exact = Fraction(held) * action.new / action.old
        cash = cents((exact - Fraction(position)) * Fraction(action.price) * action.old / action.new)
        return Activity(
            f"{action.symbol}:split:{action.time}", ActivityKind.SPLIT, action.symbol, action.time, cash, position,
            action.new, action.old, price=action.price,
        )  # fmt: skip
    return Activity(
        f"{action.symbol}:dividend:{action.time}", ActivityKind.DIVIDEND, action.symbol, action.time,
        held * action.amount, held, amount=action.amount,
    )  # fmt: skip


def whole_after(quantity: Decimal, split: Split) -> Decimal:
    """Shares there are after a split, without the fraction that is paid out."""
    return _down(Fraction(quantity) * split.new / split.old, _grain(quantity))


def remaining_after(remaining: Decimal, action: CorporateAction) -> Decimal:
    """Shares (not below 0) an order may still trade after an action; a dividend leaves them."""
    return whole_after(remaining, action) if isinstance(action, Split) else remaining


def adjusted(action: CorporateAction, side: Side, prices: Prices) -> Prices:
    """An order's prices once an action has happened."""
    if isinstance(action, Split):
        trail = prices.trail
        if trail is not None and not trail.percent:
            trail = Trail(max(_tick(trail.distance * action.old / action.new), SMALL_TICK))
        return Prices(_split(prices.limit, action), _split(prices.stop, action), trail)
    if side is Side.BUY:
        open_limit = prices.limit if prices.stop is None else None
        return prices if open_limit is None else Prices(_less(open_limit, action.amount), None, prices.trail)
    if prices.stop is None:
        return prices
    limit = None if prices.limit is None else _less(prices.limit, action.amount)
    return Prices(limit, _less(prices.stop, action.amount), prices.trail)


def price_after(price: float, action: CorporateAction) -> float:
    """A last price (USD) as it would have been quoted after an action; a dividend leaves it until somebody trades."""
    if not isinstance(action, Split):
        return price
    return float(Fraction(Decimal(repr(float(price)))) * action.old / action.new)


def split_bar(bar: Bar, split: Split) -> Bar:
    """A bar from before a split in prices and shares of after it."""
    opened, high, low, close = (price_after(price, split) for price in (bar.open, bar.high, bar.low, bar.close))
    volume = bar.volume * split.new / split.old
    return replace(bar, open=opened, high=high, low=low, close=close, volume=volume)


def divided(activity: Activity, held: Mapping[str, Decimal]) -> tuple[Part, ...]:
    """An activity divided among strategies by what each ``held`` of its symbol (shares, signed): the parts add up to
    its position and its cash, to the last cent. Those that held nothing have no part, unless there is cash and nobody
    held anything: it is then nobody's ("")."""
    holders = {name: shares for name, shares in held.items() if shares}
    if not holders:
        return (Part("", activity.position, activity.cash),) if activity.cash or activity.position else ()
    action = activity.action
    if isinstance(action, Split):
        return _split_parts(activity, action, holders)
    if action is not None:
        cash = {name: shares * action.amount for name, shares in holders.items()}
        cash[next(iter(cash))] += activity.cash - sum(cash.values(), ZERO)  # a broker may keep a tax
    else:
        cash = _proportional(activity.cash, holders)
    return tuple(Part(name, shares, cash[name]) for name, shares in holders.items())


def _split_parts(activity: Activity, split: Split, holders: Mapping[str, Decimal]) -> tuple[Part, ...]:
    """Each gets its whole shares; what the account has more goes to the largest fractions, and money evens it out."""
    grain = min((_grain(shares) for shares in holders.values()), default=SHARE)
    exact = {name: Fraction(shares) * split.new / split.old for name, shares in holders.items()}
    given = {name: _floor(value, grain) for name, value in exact.items()}
    over = activity.position - sum(given.values(), ZERO)
    for name in sorted(exact, key=lambda name: (Fraction(given[name]) - exact[name], name)):
        if over >= grain:
            given[name] += grain
            over -= grain
    given[next(iter(given))] += over
    worth = Fraction(split.price) * split.old / split.new
    cash = {name: cents((value - Fraction(given[name])) * worth) for name, value in exact.items()}
    cash[next(iter(cash))] += activity.cash - sum(cash.values(), ZERO)
    return tuple(Part(name, given[name], cash[name]) for name in holders)


def _proportional(cash: Decimal, holders: Mapping[str, Decimal]) -> dict[str, Decimal]:
    total = sum(holders.values(), ZERO)
    if not total:
        total, holders = Decimal(len(holders)), dict.fromkeys(holders, SHARE)
    found = {name: cents(Fraction(cash) * Fraction(shares) / Fraction(total)) for name, shares in holders.items()}
    found[next(iter(found))] += cash - sum(found.values(), ZERO)
    return found


def cents(amount: Fraction) -> Decimal:
    """USD rounded half up to the cent."""
    return (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(CENT, ROUND_HALF_UP)


def _grain(quantity: Decimal) -> Decimal:
    return SHARE if quantity == quantity.to_integral_value() else PART_OF_SHARE


def _floor(value: Fraction, grain: Decimal) -> Decimal:
    steps = value / Fraction(grain)
    return Decimal(steps.numerator // steps.denominator) * grain


def _down(value: Fraction, grain: Decimal) -> Decimal:
    return _floor(value, grain) if value >= 0 else -_floor(-value, grain)


def _split(price: Decimal | None, split: Split) -> Decimal | None:
    return None if price is None else _tick(price * split.old / split.new)


def _less(price: Decimal, amount: Decimal) -> Decimal:
    return max(_tick(price - amount), SMALL_TICK)


def _tick(price: Decimal) -> Decimal:
    price = price.quantize(Decimal("1e-12"), ROUND_HALF_EVEN)  # so that a third times three is a whole again
    step = CENT if price >= 1 else SMALL_TICK
    return max(price.quantize(step, ROUND_FLOOR), SMALL_TICK)
