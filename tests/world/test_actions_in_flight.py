"""Splits and dividends while orders rest, fill in part, trail and protect: everyone still agrees with the venue."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.limits import LimitValues, rules
from appliance.core.models import MarketModel
from appliance.core.portfolio import differences
from appliance.core.wishes import CancelWish, Made, Silent, Wish, Wishes
from appliance.domain.market import Bar, CorporateAction, Dividend, MarketEvent, Session, Sessions, Split
from appliance.domain.trading import AccountKind, OrderType, Side, Terms, TimeInForce, Trail
from appliance.world.backtest import Backtest
from tests.playbook import BEGIN, SECOND

D = Decimal
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
CASH = D(1_000_000)
SYMBOLS = ("QQQ", "SPY")
SESSIONS = Sessions([Session(f"2023-11-{14 + n}", BEGIN + n * DAY, BEGIN + n * DAY + 6 * MINUTE) for n in range(8)])


class Restless(Silent):
    """Wishes anything that rests, near the last price."""

    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name, SYMBOLS)
        self.random = Random(f"{name}{seed}")
        self.tickets = 0

    def bar(self, bar: Bar, now: int) -> Wishes:
        random = self.random
        if random.random() < 0.5:
            return ()
        near = [D(repr(round(bar.close * (1 + random.choice((-2, -1, 1, 2)) / 200), 2))) for _ in range(3)]
        if random.random() < 0.15:
            return (CancelWish(symbol=bar.symbol),)
        force = random.choice((TimeInForce.GTC, TimeInForce.DAY))
        low, high = D(repr(round(bar.close * 0.97, 2))), D(repr(round(bar.close * 1.03, 2)))
        protects = {}
        if random.random() < 0.5:
            long = random.random() < 0.5
            protects = {"stop": low if long else high, "take_profit": high if long else low}
            if random.random() < 0.3:
                protects = {"trailing": Trail(D(2), random.random() < 0.5)}
        else:
            long = random.random() < 0.5
        shares = D(random.randrange(1, 200))
        if random.random() < 0.5:
            return (Wish(bar.symbol, shares * (1 if long else -1), **protects),)  # type: ignore[arg-type]
        self.tickets += 1
        terms = random.choice(
            (
                Terms(OrderType.LIMIT, near[0], time_in_force=force),
                Terms(OrderType.STOP, stop_price=near[0], time_in_force=force),
                Terms(OrderType.STOP_LIMIT, near[0], near[1], time_in_force=force),
                Terms(OrderType.TRAILING_STOP, trail=Trail(D(1)), time_in_force=force),
            )
        )
        side = Side.BUY if long else Side.SELL
        return (Wish(bar.symbol, shares, side=side, terms=terms, ticket=f"t{self.tickets}", **protects),)  # type: ignore[arg-type]


def events_of(seed: int) -> list[MarketEvent | CorporateAction]:
    """Eight short days of two symbols; on some mornings one splits or pays."""
    random, found = Random(seed), list[MarketEvent | CorporateAction]()
    last = dict.fromkeys(SYMBOLS, 100.0)
    for session in SESSIONS:
        for symbol in SYMBOLS:
            what = random.randrange(4)
            if what == 0:
                new, old = random.choice(((7, 1), (2, 1), (3, 2), (1, 2), (1, 20)))
                found.append(Split(symbol, session.open - MINUTE, new, old, D(repr(last[symbol]))))
                last[symbol] = round(last[symbol] * old / new, 2)
            elif what == 1:
                found.append(Dividend(symbol, session.open - MINUTE, D(random.randrange(1, 200)) / 100))
        for minute in range(6):
            for symbol in SYMBOLS:
                open_, close = (round(last[symbol] * (1 + random.uniform(-0.02, 0.02)), 2) for _ in range(2))
                high, low = round(max(open_, close) * 1.005, 2), round(min(open_, close) * 0.995, 2)
                start = session.open + minute * MINUTE
                found.append(
                    Bar(symbol, "1m", start, start + MINUTE, open_, high, low, close, float(random.randrange(100, 900)))
                )
                last[symbol] = close
    return found


def check(found: Backtest, names: list[str]) -> None:
    ledger, paper = found.gateway.ledger, found.paper
    positions = {symbol: shares for symbol, shares in paper.positions.items() if shares}
    assert {symbol: one.quantity for symbol, one in ledger.positions.items() if one.quantity} == positions
    assert {symbol: shares for symbol, shares in found.guard._positions.items() if shares} == positions
    assert {symbol: shares for symbol, shares in found.book.positions.items() if shares} == positions
    assert ledger.account[""].cash == paper.cash == found.book.cash
    assert differences([found.host.tracker.portfolios[name] for name in names], positions, paper.cash - CASH) == []
    assert not ledger.blocked
    at_venue = {order.id: order for order in ledger.live() if order.remaining}
    assert set(at_venue) == set(paper.resting)
    for order_id, order in at_venue.items():
        rests = paper.resting[order_id]
        assert (order.quantity, order.filled) == (rests.quantity, rests.filled)
        assert float(order.limit_price or 0) == rests.limit
        if order.trail is None and order.stop_price is not None:
            assert float(order.stop_price) == rests.stop
        assert order.trail == rests.trail or rests.trail is None
    for name in names:
        for symbol in SYMBOLS:
            assert abs(ledger.covered(name, symbol)) <= abs(ledger.holding(name, symbol))
            assert found.host.bookings.positions.get(f"{name}/{symbol}", D(0)) == ledger.holding(name, symbol)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32), st.sampled_from((None, D(10), D(100))),
    st.sampled_from(list(AccountKind)), st.sampled_from((1, 2)),
)  # fmt: skip
def test_after_any_splits_and_dividends_every_book_is_the_venues(
    seed: int, participation: Decimal | None, account: AccountKind, strategies: int
) -> None:
    names = [f"s{n}" for n in range(strategies)]
    makers = [Made(name, lambda name=name: Restless(name, seed)) for name in names]  # type: ignore[misc]
    model = MarketModel(participation=participation, account=account)
    found = Backtest("one", makers, rules(LimitValues(), account), CASH, model, SESSIONS)
    events = events_of(seed)
    found.run(events)
    check(found, names)
    assert account is not AccountKind.CASH or all(shares >= 0 for shares in found.paper.positions.values())
