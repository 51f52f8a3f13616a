"""The simulated market gives, order by order, what a second and plainer writing of its default rules gives."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.streams import Writers
from appliance.domain.market import Bar, Session, Sessions
from appliance.domain.messages import DATA_BOOT, Now, Stage, Step, VenueCancel, VenueReport, VenueSubmit, local
from appliance.domain.trading import Moment, OrderType, Side, TimeInForce, Trail
from tests.core.make import intent, order
from tests.core.market.oracle import Oracle, Wanted
from tests.playbook import BEGIN, SECOND

D = Decimal
MINUTE = 60 * SECOND
SYMBOLS = ("AIG", "SPY")
OPENS = [(BEGIN + n * 8 * MINUTE, BEGIN + (n * 8 + 6) * MINUTE) for n in range(6)]
SESSIONS = Sessions([Session(str(n), *session) for n, session in enumerate(OPENS)])
KINDS = {
    "market": OrderType.MARKET, "limit": OrderType.LIMIT, "stop": OrderType.STOP, "stop_limit": OrderType.STOP_LIMIT,
    "trailing": OrderType.TRAILING_STOP,
}  # fmt: skip


def cents(random: Random, low: int = 9_700, high: int = 10_300) -> Decimal:
    return D(random.randrange(low, high)) / 100


def wanted(random: Random, name: str, time: int) -> Wanted:
    """Any order the market takes."""
    kind, force = random.choice(list(KINDS)), random.choice(list(TimeInForce)).value
    if kind not in ("market", "limit") and force in ("opg", "cls"):
        force = "gtc"
    symbol, percent = random.choice(SYMBOLS), random.random() < 0.5
    return Wanted(
        name, symbol, random.choice((-1, 1)), kind, force, random.randrange(1, 500),
        time - random.choice((0, 0, 0, 20 * SECOND)),
        limit=cents(random) if kind in ("limit", "stop_limit") else D(0),
        stop=cents(random) if kind in ("stop", "stop_limit") else D(0),
        distance=D(random.randrange(10, 300)) / 100 if kind == "trailing" else D(0), percent=percent,
        group=random.choice(("", f"{symbol}-{random.randrange(3)}")),
    )  # fmt: skip


def submit(one: Wanted) -> VenueSubmit:
    asked = intent(
        id=one.name, symbol=one.symbol, side=Side.BUY if one.sign > 0 else Side.SELL, type=KINDS[one.kind],
        quantity=D(one.quantity), decided=Moment(one.decided, DATA_BOOT, one.decided),
        time_in_force=TimeInForce(one.force), limit_price=one.limit or None, stop_price=one.stop or None,
        trail=Trail(one.distance, one.percent) if one.distance else None,
    )  # fmt: skip
    return VenueSubmit(replace(order(asked), oco=one.group))


def bar_of(random: Random, symbol: str, minute: int) -> Bar:
    low, first, last, high = sorted(cents(random) for _ in range(4))
    if random.random() < 0.5:
        first, last = last, first
    start = BEGIN + minute * MINUTE
    return Bar(symbol, "1m", start, start + MINUTE, *map(float, (first, high, low, last)), 100.0)


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 2**40))
def test_every_order_ends_as_the_plain_rules_say(seed: int) -> None:
    random, oracle, placed, told = Random(seed), Oracle(OPENS), 0, dict[str, str]()
    core = MarketSimulator("paper", Writers(()), D(0), MarketModel(), SESSIONS)
    for minute in (one for one in range(30) if SESSIONS.at(BEGIN + one * MINUTE) is not None):
        time = BEGIN + (minute + 1) * MINUTE
        now = Now(time, DATA_BOOT, time)
        bars = tuple(bar_of(random, symbol, minute) for symbol in SYMBOLS if random.random() < 0.8)
        said = core.handle(local(Step(Stage.VENUE, time, 0, bars)), now)
        for bar in bars:
            exact = (D(repr(price)) for price in (bar.open, bar.high, bar.low, bar.close))
            oracle.happen(bar.symbol, (bar.start, bar.end, *exact))  # type: ignore[arg-type]
        for one in oracle.orders:
            if not one.told and random.random() < 0.05:
                one.told = "cancel"
                said += core.handle(local(VenueCancel(one.name, one.name)), now)
        for _ in range(random.randrange(3)):
            placed += 1
            one = wanted(random, f"o{placed}", time)
            said += core.handle(local(submit(one)), now)
            oracle.place(one)
        reports = [event.body for event in said if isinstance(event.body, VenueReport)]
        told |= {one.order_id: one.event.value for one in reports if one.event.value != "accept"}
    fills = {fill.order_id: (fill.quantity, fill.price, fill.time, fill.commission) for fill in core.fills.values()}
    assert fills == {one.name: one.fills[0] for one in oracle.orders if one.fills}
    assert told == {one.name: one.told for one in oracle.orders if one.told not in ("", "fill")}
    assert core.cash == oracle.cash()
    assert set(core.resting) == {one.name for one in oracle.orders if not one.told}
