"""What holds of the simulated market under every model, whatever comes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import PRESETS, MarketModel
from appliance.core.models.commission import FREE, Alpaca, AnyCommission, Commission, Percent
from appliance.core.models.fills import Fills
from appliance.core.models.impact import Almgren, SquareRoot
from appliance.core.models.latency import Delay, Drawn
from appliance.core.models.slippage import Fixed, NoSlippage, Proportional, Spread, Volatility, VolumeShare
from appliance.core.streams import Writers
from appliance.domain.market import Bar, MarketEvent, QuoteBar, Session, Sessions, known_at
from appliance.domain.messages import DATA_BOOT, Now, Stage, Step, VenueFill, VenueSubmit, local
from appliance.domain.trading import Moment, Order, OrderType, Side, TimeInForce, Trail
from tests.core.make import intent, order
from tests.playbook import BEGIN, SECOND

D = Decimal
MINUTE = 60 * SECOND
SYMBOLS = ("AIG", "QQQ", "SPY")
SESSIONS = Sessions([Session(str(n), BEGIN + n * 8 * MINUTE, BEGIN + (n * 8 + 6) * MINUTE) for n in range(10)])

# --- what comes -----------------------------------------------------------------------------------

Run = list[tuple[tuple[MarketEvent, ...], tuple[Order, ...]]]
"""Minutes, and the orders that come at the end of each."""


def minute_of(random: Random, symbol: str, minute: int) -> list[MarketEvent]:
    """One minute of a symbol: a bar of quotes, of trades, or both."""
    start, end = BEGIN + minute * MINUTE, BEGIN + (minute + 1) * MINUTE
    low, first, last, high = sorted(random.randrange(9_000, 11_000) / 100 for _ in range(4))
    if random.random() < 0.5:
        first, last = last, first
    events: list[MarketEvent] = []
    kind = random.choice(("trades", "quotes", "both"))
    if kind != "trades":
        wide = random.randrange(20) / 100
        bid = (first, high, low, last)
        events.append(QuoteBar(symbol, "1m", start, end, *bid, *(round(price + wide, 2) for price in bid)))
    if kind != "quotes":
        events.append(Bar(symbol, "1m", start, end, first, high, low, last, float(random.randrange(2_000))))
    return events


def order_of(random: Random, n: int, minute: int) -> Order:
    """An order decided at the end of a minute, as a strategy might ask for it."""
    kind, force = random.choice(list(OrderType)), random.choice(list(TimeInForce))
    if kind not in (OrderType.MARKET, OrderType.LIMIT) and force in (TimeInForce.OPG, TimeInForce.CLS):
        force = TimeInForce.DAY
    price, time = D(random.randrange(9_000, 11_000)) / 100, BEGIN + (minute + 1) * MINUTE
    wanted = intent(
        id=f"o{n}", symbol=random.choice(SYMBOLS), side=random.choice(list(Side)), type=kind,
        quantity=D(random.randrange(1, 400)), decided=Moment(time, DATA_BOOT, time), time_in_force=force,
        limit_price=price if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None,
        stop_price=price if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
        trail=Trail(D(2)) if kind is OrderType.TRAILING_STOP else None,
    )  # fmt: skip
    return replace(order(wanted), oco=random.choice(("", "", f"{wanted.symbol}-1", f"{wanted.symbol}-2")))


def run_of(seed: int) -> Run:
    """Minutes of two sessions and a half, each symbol in most of them."""
    random, found, n = Random(seed), [], 0
    for minute in (one for one in range(20) if SESSIONS.at(BEGIN + one * MINUTE) is not None):
        events = [event for symbol in SYMBOLS if random.random() < 0.8 for event in minute_of(random, symbol, minute)]
        count = random.randrange(3) if events else 0
        coming = tuple(order_of(random, n + one, minute) for one in range(count))
        n += count
        if events:
            found.append((tuple(events), coming))
    return found


runs = st.integers(0, 2**32).map(run_of)
slippages = st.sampled_from(
    (NoSlippage(), Fixed(0.05), Fixed(50.0), Proportional(0.1), Spread(), VolumeShare(), Volatility(0.5))
)
models = st.builds(
    MarketModel,
    st.sampled_from((FREE, Commission(), Percent(D("0.2")), Alpaca())),
    st.one_of(
        st.just(PRESETS["lean"].fills),
        st.builds(
            Fills, st.sampled_from(("next_event", "at_once")), st.sampled_from(("through", "touch")),
            st.sampled_from(("begun", "ended")), st.sampled_from(("open", "close")), *[st.sampled_from(
                ("first", "quotes", "trades"))] * 3,
        ),
    ),
    slippage=slippages,
    impact=st.sampled_from((MarketModel().impact, SquareRoot(), Almgren())),
    participation=st.sampled_from((None, None, D(10), D(100))),
    latency=st.sampled_from((Delay(), Delay(), Delay(30_000), Drawn(((1_000_000, 5), (90 * SECOND, 5))))),
).map(lambda model: replace(model, fills=replace(model.fills, bound="range")))  # fmt: skip


def market(model: MarketModel) -> MarketSimulator:
    return MarketSimulator("paper", Writers(()), D(1_000_000), model, SESSIONS)


def play(run: Run, model: MarketModel, each: Callable[[MarketSimulator], Any] = lambda core: None) -> MarketSimulator:
    core = market(model)
    for events, coming in run:
        time = known_at(events[0])
        now = Now(time, DATA_BOOT, time)
        core.handle(local(Step(Stage.VENUE, time, 0, events)), now)
        for one in coming:
            core.handle(local(VenueSubmit(one)), now)
        each(core)
    return core


def fills_of(core: MarketSimulator) -> list[VenueFill]:
    return list(core.fills.values())


# --- what holds -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=200)
@given(runs, models)
def test_no_fill_is_outside_the_range_of_what_the_market_did_by_then(run: Run, model: MarketModel) -> None:
    core = play(run, model)
    for fill in fills_of(core):
        ranges = [_range(event, fill.side) for events, _ in run for event in events if _tells(event, fill)]
        assert any(low <= float(fill.price) <= high for low, high in ranges), fill


def _tells(event: MarketEvent, fill: VenueFill) -> bool:
    """Whether an event of the fill's symbol had begun at its time, and was known when it was told."""
    assert isinstance(event, Bar | QuoteBar)
    return event.symbol == fill.symbol and event.start <= fill.time and event.end <= fill.at


def _range(event: MarketEvent, side: Side) -> tuple[float, float]:
    if isinstance(event, Bar):
        return event.low, event.high
    assert isinstance(event, QuoteBar)
    return (event.ask_low, event.ask_high) if side is Side.BUY else (event.bid_low, event.bid_high)


@settings(deadline=None, max_examples=200)
@given(runs, models)
def test_no_fill_is_before_the_order_was_known_and_none_after_it_was_told(run: Run, model: MarketModel) -> None:
    known = {one.id: one.intent.decided.time + model.latency.of(one.id) for _, coming in run for one in coming}
    for fill in fills_of(play(run, model)):
        assert known[fill.order_id] <= fill.time <= fill.at


@settings(deadline=None, max_examples=200)
@given(runs, models)
def test_no_order_and_no_group_fills_more_than_was_ordered(run: Run, model: MarketModel) -> None:
    every = {one.id: one for _, coming in run for one in coming}
    filled: dict[str, Decimal] = {}
    grouped: dict[str, Decimal] = {}
    for fill in fills_of(play(run, model)):
        assert fill.quantity > 0
        filled[fill.order_id] = filled.get(fill.order_id, D(0)) + fill.quantity
        group = every[fill.order_id].oco
        grouped[group] = grouped.get(group, D(0)) + fill.quantity
    assert all(quantity <= every[order_id].quantity for order_id, quantity in filled.items())
    for group, quantity in grouped.items():
        if group:
            assert quantity <= next(one.quantity for one in every.values() if one.oco == group)


@settings(deadline=None, max_examples=150)
@given(runs, models)
def test_cash_and_positions_are_what_the_fills_make_them(run: Run, model: MarketModel) -> None:
    def check(core: MarketSimulator) -> None:
        cash, positions = D(1_000_000), {symbol: D(0) for symbol in SYMBOLS}
        for fill in fills_of(core):
            signed = fill.quantity * fill.side.sign
            cash -= signed * fill.price + fill.commission
            positions[fill.symbol] += signed
        assert core.cash == cash
        assert {symbol: core.positions.get(symbol, D(0)) for symbol in SYMBOLS} == positions

    play(run, model, check)


@settings(deadline=None, max_examples=150)
@given(runs, models, st.permutations(SYMBOLS))
def test_the_order_of_the_symbols_changes_nothing(run: Run, model: MarketModel, names: list[str]) -> None:
    def sorted_by(event: MarketEvent) -> int:
        return names.index(event.symbol)

    other = [(tuple(sorted(events, key=sorted_by)), coming) for events, coming in run]
    one, two = play(run, model), play(other, model)
    assert {fill.fill_key: fill for fill in fills_of(one)} == {fill.fill_key: fill for fill in fills_of(two)}
    assert one.resting == two.resting
    assert one.cash == two.cash


@settings(deadline=None, max_examples=100)
@given(runs, models, st.decimals("0", "3", places=3), st.decimals("0", "0.1", places=4))
def test_more_commission_never_gives_more_cash(run: Run, model: MarketModel, percent: Decimal, share: Decimal) -> None:
    pairs: list[tuple[AnyCommission, AnyCommission]] = [
        (Percent(percent), Percent(percent + D("0.1"))),
        (Commission(share), Commission(share + D("0.01"))),
        (Commission(share, D(0)), Commission(share, D(2))),
        (Commission(share, maximum_percent=percent), Commission(share, maximum_percent=percent + 1)),
        (Alpaca(percent), Alpaca(percent + 10)),
    ]
    for cheap, dear in pairs:
        less, more = (play(run, replace(model, commission=commission)) for commission in (cheap, dear))
        assert _trades(less) == _trades(more)
        assert more.cash <= less.cash


@settings(deadline=None, max_examples=150)
@given(runs, models, st.sampled_from((Fixed(0.01), Fixed(2.0), Proportional(0.2), Spread(), Volatility(1.0))))
def test_more_slippage_never_gives_more_cash_for_the_same_fills(run: Run, model: MarketModel, more: Any) -> None:
    model = replace(model, commission=FREE, fills=replace(model.fills, bound="range"))
    none = play(run, replace(model, slippage=NoSlippage()))
    some = play(run, replace(model, slippage=more))
    assert [fill.fill_key for fill in fills_of(none)] == [fill.fill_key for fill in fills_of(some)]
    for free, paid in zip(fills_of(none), fills_of(some), strict=True):
        assert (paid.price - free.price) * free.side.sign >= 0
    assert some.cash <= none.cash


def _trades(core: MarketSimulator) -> list[Any]:
    return [(fill.fill_key, fill.quantity, fill.price, fill.time) for fill in fills_of(core)]


@settings(deadline=None, max_examples=60)
@given(runs, models)
def test_a_market_that_restarts_after_every_minute_does_the_same(run: Run, model: MarketModel) -> None:
    whole = play(run, model)
    core = market(model)
    for events, coming in run:
        time = known_at(events[0])
        now = Now(time, DATA_BOOT, time)
        core.handle(local(Step(Stage.VENUE, time, 0, events)), now)
        for one in coming:
            core.handle(local(VenueSubmit(one)), now)
        fresh = market(model)
        fresh.restore(dict(sorted(core.snapshot().items())))  # as a journal gives rows back
        core = fresh
    assert core.fills == whole.fills
    assert core.snapshot() == whole.snapshot()
    assert list(core.resting) == list(whole.resting)
