"""Splits and dividends: what they do to shares, orders and money, from the venue to the strategy."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core import adjusting
from appliance.core.activities import Prices, activity_of, adjusted, divided
from appliance.core.books.entries import EntryKind
from appliance.core.limits import LimitValues, rules
from appliance.core.market.simulator import MarketSimulator
from appliance.core.models import MarketModel
from appliance.core.models.commission import FREE
from appliance.core.streams import Writers
from appliance.core.wishes import Made, Silent, Wish, Wishes
from appliance.domain.market import Bar, CorporateAction, Dividend, Split
from appliance.domain.messages import Stage, Step, VenueActivity, VenueFill, VenueLink, VenueReport, VenueSubmit
from appliance.domain.operations import Wakeup
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import (
    Account,
    Activity,
    ActivityKind,
    Approved,
    Cancel,
    Order,
    OrderType,
    Part,
    Side,
    TimeInForce,
    Trail,
)
from appliance.world.backtest import Backtest
from tests.core.make import approved, bar, fill, intent, order, report, snapshot, told
from tests.core.test_gateway import core_of, entered, gateway, linked
from tests.core.test_guard import ready
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
DAY = 86_400 * SECOND
BUY, SELL = Side.BUY, Side.SELL
SEVEN = Split("SPY", BEGIN, 7, 1, D(700))
MERGE = Split("SPY", BEGIN, 1, 20, D(2))
HALVES = Split("SPY", BEGIN, 3, 2, D(30))
CASH = Dividend("SPY", BEGIN, D("0.55"))


# --- the arithmetic ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "held", "position", "cash"),
    [
        (SEVEN, "10", "70", "0"),
        (SEVEN, "-10", "-70", "0"),
        (MERGE, "45", "2", "10.00"),  # a quarter of a new share, worth 40
        (MERGE, "-45", "-2", "-10.00"),
        (HALVES, "5", "7", "10.00"),
        (HALVES, "0.5", "0.75", "0"),  # who holds fractions keeps them
        (SEVEN, "0", "0", "0"),
        (CASH, "512", "512", "281.60"),
        (CASH, "-100", "-100", "-55.00"),  # who is short pays
    ],
)
def test_what_an_action_makes_of_a_position(action: CorporateAction, held: str, position: str, cash: str) -> None:
    activity = activity_of(action, D(held))
    assert (activity.position, activity.cash) == (D(position), D(cash))


TRAIL = Trail(D("7.70"))


@pytest.mark.parametrize(
    ("action", "side", "before", "after"),
    [
        (SEVEN, BUY, Prices(D(630)), Prices(D(90))),
        (SEVEN, SELL, Prices(None, D(650)), Prices(None, D("92.85"))),  # down to the tick
        (SEVEN, SELL, Prices(None, D(700), TRAIL), Prices(None, D(100), Trail(D("1.10")))),
        (SEVEN, SELL, Prices(None, None, Trail(D(2), True)), Prices(None, None, Trail(D(2), True))),
        (MERGE, BUY, Prices(D("1.5")), Prices(D(30))),
        (CASH, BUY, Prices(D(100)), Prices(D("99.45"))),
        (CASH, SELL, Prices(D(100)), Prices(D(100))),  # FINRA 5330: limits of sales stay
        (CASH, SELL, Prices(None, D(90)), Prices(None, D("89.45"))),
        (CASH, SELL, Prices(D(89), D(90)), Prices(D("88.45"), D("89.45"))),
        (CASH, BUY, Prices(None, D(110)), Prices(None, D(110))),  # stops of purchases stay
        (Dividend("SPY", 0, D(200)), BUY, Prices(D(100)), Prices(D("0.0001"))),  # never 0 or less
        (SEVEN, BUY, Prices(), Prices()),
    ],
)
def test_the_prices_of_an_order_after_an_action(
    action: CorporateAction, side: Side, before: Prices, after: Prices
) -> None:
    assert adjusted(action, side, before) == after


holders = st.dictionaries(st.sampled_from(["a", "b", "c", ""]), st.integers(-500, 500).map(D), max_size=4)
ratios = st.tuples(st.integers(1, 30), st.integers(1, 30)).filter(lambda ratio: ratio[0] != ratio[1])


@given(holders, ratios, st.decimals("0.01", "900", places=2))
def test_the_parts_of_a_split_add_up_to_the_share_and_to_the_cent(
    held: dict[str, Decimal], ratio: tuple[int, int], price: Decimal
) -> None:
    activity = activity_of(Split("SPY", 0, *ratio, price), sum(held.values(), D(0)))
    parts = divided(activity, held)
    assert sum((part.quantity for part in parts), D(0)) == activity.position
    assert sum((part.cash for part in parts), D(0)) == activity.cash
    for part in parts:
        exact = held[part.strategy] * ratio[0] / ratio[1]
        assert abs(part.quantity - exact) < 4, "nobody is far from what he had"


@given(holders, st.decimals("0.01", "9", places=2))
def test_each_strategy_has_the_dividend_of_its_own_shares(held: dict[str, Decimal], amount: Decimal) -> None:
    activity = activity_of(Dividend("SPY", 0, amount), sum(held.values(), D(0)))
    parts = divided(activity, held)
    assert {part.strategy: part.cash for part in parts} == {
        name: shares * amount for name, shares in held.items() if shares
    }
    assert sum((part.cash for part in parts), D(0)) == activity.cash


def test_what_a_broker_keeps_of_a_dividend_is_missing_in_the_parts_too() -> None:
    activity = Activity("k", ActivityKind.DIVIDEND, "SPY", 0, D(85), D(100), amount=D(1))
    parts = divided(activity, {"a": D(60), "b": D(40)})
    assert sum((part.cash for part in parts), D(0)) == D(85)


# --- the venue --------------------------------------------------------------------------------------------------------


def venue(**wanted: Any) -> Playbook:
    """A paper broker that holds 10 shares bought at 700, with one order resting."""
    play = Playbook(MarketSimulator("paper", Writers(()), D(100_000), MarketModel(FREE)))
    play >> VenueSubmit(order(intent(id="trend-1-9", quantity=D(10)))) >> bar(700.0) << ...
    play.later(60)
    play >> VenueSubmit(order(intent(quantity=D(10), time_in_force=TimeInForce.GTC, **wanted))) << VenueReport
    return play


def happens(action: CorporateAction) -> Step:
    return Step(Stage.VENUE, BEGIN, actions=(action,))


def test_the_venue_books_a_split_and_what_rests_is_filled_at_its_new_price_for_its_new_shares() -> None:
    with venue(type=OrderType.LIMIT, limit_price=D(630)) as play:
        play >> happens(SEVEN)
        told = play.unread[0].body
        assert isinstance(told, VenueActivity)
        assert (told.activity.position, told.activity.cash, told.activity.new) == (D(70), D(0), 7)
        play << VenueActivity
        play >> bar(90.0, BEGIN + DAY)  # touched, not through
        play >> bar(89.0, BEGIN + 2 * DAY)
        filled = play.unread[0].body
        assert isinstance(filled, VenueFill)
        assert (filled.quantity, filled.price) == (D(70), D(89))
        play << VenueFill


def test_a_reverse_split_ends_an_order_of_which_it_leaves_no_share() -> None:
    with venue(type=OrderType.LIMIT, limit_price=D(630)) as play:
        play >> happens(MERGE) << VenueActivity
        ended = play.unread[0].body
        assert isinstance(ended, VenueReport)
        assert ended.event is OrderEvent.CANCEL
        play << VenueReport


def test_a_dividend_is_cash_at_the_venue_and_lowers_the_stop_that_rests() -> None:
    with venue(side=SELL, type=OrderType.STOP, stop_price=D(690), exit=True) as play:
        play >> happens(CASH) << VenueActivity
        core = play.core
        assert isinstance(core, MarketSimulator)
        assert core.cash == D(100_000) - 10 * 700 + D("5.50")
        assert core.resting["trend-1-1"].stop == 689.45


# --- the gateway ------------------------------------------------------------------------------------------------------


def said(play: Playbook, kind: type) -> list[Any]:
    return [event.body for event in play.unread if isinstance(event.body, kind)]


def test_the_gateway_adjusts_orders_first_and_tells_who_holds_what() -> None:
    with linked() as play:
        entered(play, 10, stop="630")
        play >> VenueActivity(activity_of(SEVEN, D(10)), BEGIN)
        adjusted_stop, activity = play.unread[0].body, play.unread[1].body
        assert isinstance(adjusted_stop, Order)
        assert (adjusted_stop.quantity, adjusted_stop.stop_price) == (D(70), D(90))
        assert isinstance(activity, Activity)
        assert activity.parts == (Part("trend", D(70), D(0)),)
        ledger = core_of(play).ledger
        assert ledger.position("SPY") == ledger.holding("trend", "SPY") == D(70)
        assert ledger.protections["trend/SPY"].stop == D(90)
        play << ...


def test_an_activity_is_booked_once_from_wherever_it_is_told() -> None:
    dividend = VenueActivity(activity_of(CASH, D(100)), BEGIN)
    with linked() as play:
        entered(play, 100)
        play >> dividend
        assert {account.cash for account in said(play, Account)} == {D(100_000) - 10_001 + 55}
        play << ...
        play >> dividend
        again = snapshot(
            2, fills=(told("trend-1-1", 100),), positions={"SPY": D(100)}, cash=D("90054"), activities=(dividend,)
        )
        play.later(40) >> Wakeup()
        play >> again
        assert said(play, Activity) == []
        assert core_of(play).ledger.blocked == {}
        play << ...


def test_a_split_that_was_missed_is_found_in_the_snapshot_and_nothing_is_halted() -> None:
    with linked() as play:
        entered(play, 10)
        split = VenueActivity(activity_of(SEVEN, D(10)), BEGIN + 1)
        play.later(40) >> Wakeup()
        play >> snapshot(
            2, fills=(told("trend-1-1", 10),), positions={"SPY": D(70)}, cash=D("98999"), activities=(split,)
        )
        assert [activity.position for activity in said(play, Activity)] == [D(70)]
        assert core_of(play).ledger.blocked == {}
        assert core_of(play).ledger.position("SPY") == D(70)
        play << ...


# --- the guard --------------------------------------------------------------------------------------------------------


def booked(action: CorporateAction, held: str, strategy: str = "trend") -> Activity:
    activity = activity_of(action, D(held))
    return Activity(**{**{name: getattr(activity, name) for name in activity.__struct_fields__}, "parts": divided(
        activity, {strategy: D(held)}
    )})  # fmt: skip


def test_after_a_split_the_guard_lets_the_new_shares_go_and_judges_new_orders_at_the_new_price() -> None:
    with ready(LimitValues(max_order_notional=D(20_000))) as play:
        sent = order(intent(quantity=D(10)))
        play >> sent >> fill(sent) << ...
        play >> booked(SEVEN, "10")
        play >> intent(id="trend-1-5", side=SELL, quantity=D(70), exit=True)
        assert said(play, Approved)[0].reduces
        play << ...
        play >> intent(id="trend-1-6", quantity=D(1_300))  # 100 / 7 = 14.29 each
        assert said(play, Approved), "at the old price it would be 130,000 USD"
        play << ...


def test_the_guards_own_stop_moves_with_a_split() -> None:
    with ready(LimitValues()) as play:
        sent = order(intent(quantity=D(10), stop=D(91)))
        play >> sent >> fill(sent) << ...
        play >> booked(SEVEN, "10")
        play.later(60) >> bar(14.0, BEGIN + 60 * SECOND)  # far below 91, above 13
        play.later(60) >> bar(12.9, BEGIN + 120 * SECOND)
        exits = said(play, Approved)
        assert [one.intent.quantity for one in exits] == [D(70)]
        play << ...


def test_a_margin_call_ends_every_position() -> None:
    with ready(LimitValues()) as play:
        sent = order(intent(quantity=D(10)))
        play >> sent >> fill(sent) << ...
        play >> Activity("margin_call:1", ActivityKind.MARGIN_CALL, "", BEGIN)
        (call,) = said(play, Approved)
        assert (call.intent.side, call.intent.quantity, call.intent.reason) == (SELL, D(10), "margin call")
        play << ...


# --- the whole run ----------------------------------------------------------------------------------------------------


class Holder(Silent):
    """Wants so many shares (in those of the last day) from the second bar on, behind a stop."""

    def __init__(self, shares: int, split_at: int, ratio: int) -> None:
        super().__init__("holder", ("SPY",))
        self.heard: list[str] = []
        self.n = 0
        self.shares, self.split_at, self.ratio = shares, split_at, ratio

    def bar(self, bar: Bar, now: int) -> Wishes:
        self.n += 1
        early = self.n <= self.split_at
        wanted = D(self.shares) / (self.ratio if early else 1)
        stop = D(repr(bar.close)).quantize(D("0.01")) / 2 if self.n == 2 else None
        return (Wish("SPY", wanted, "", stop),) if self.n >= 2 else ()

    def action(self, action: CorporateAction, now: int) -> Wishes:
        self.heard.append(type(action).__name__)
        return ()


def days(prices: list[int], ratio: int, split_at: int, raw: bool) -> list[Bar | CorporateAction]:
    """Daily bars; raw ones are ``ratio`` times as high before the split."""
    found: list[Bar | CorporateAction] = []
    for number, price in enumerate(prices):
        times = ratio if raw and number < split_at else 1
        if raw and number == split_at:
            found.append(Split("SPY", BEGIN + number * DAY + 1, ratio, 1, D(prices[number - 1] * ratio)))
        start = BEGIN + number * DAY + SECOND
        at = float(price * times)
        found.append(Bar("SPY", "1d", start, start + DAY // 2, at, at * 1.25, at * 0.75, at, 1000.0))
    return found


def run(events: list[Bar | CorporateAction], shares: int, split_at: int, ratio: int) -> Backtest:
    strategy = Holder(shares, split_at, ratio)
    found = Backtest("hold", [Made("holder", lambda: strategy)], rules(LimitValues()), D(1_000_000), MarketModel(FREE))
    found.run(events)
    return found


@settings(deadline=None)
@given(
    st.lists(st.integers(10, 60).map(lambda price: price * 4), min_size=6, max_size=20),
    st.integers(2, 5),
    st.integers(2, 7),
    st.integers(1, 20),
)
def test_a_run_on_raw_prices_with_their_split_ends_as_the_run_on_adjusted_prices(
    prices: list[int], split_at: int, ratio: int, lots: int
) -> None:
    shares = lots * ratio
    raw = run(days(prices, ratio, split_at, raw=True), shares, split_at, ratio)
    adjusted_run = run(days(prices, ratio, split_at, raw=False), shares, 0, 1)
    assert raw.equity == adjusted_run.equity
    assert raw.record.positions == adjusted_run.record.positions
    assert raw.gateway.ledger.blocked == {}
    assert raw.guard._holdings == adjusted_run.guard._holdings


def test_a_dividend_reaches_account_portfolio_books_and_strategy() -> None:
    events = days([100] * 5, 1, 9, raw=True)
    events.insert(4, Dividend("SPY", BEGIN + 4 * DAY, D("0.25")))
    found = run(events, 12, 0, 1)
    assert found.cash == D(1_000_000) - 1200 + 3
    assert found.book.dividends == 3
    assert [entry.amount for entry in found.book.of(EntryKind.DIVIDEND)] == [3]
    assert found.host.tracker.portfolios["holder"].dividends == 3
    assert found.host.roster.runners["holder"].heard == ["Dividend"]  # type: ignore[attr-defined]
    assert found.gateway.ledger.account[""].cash == found.cash == found.book.cash


def test_an_order_that_comes_again_after_a_split_is_known_by_what_was_asked() -> None:
    wanted = approved(intent(quantity=D(10), type=OrderType.LIMIT, limit_price=D(630), time_in_force=TimeInForce.GTC))
    with linked() as play:
        play >> wanted >> report("trend-1-1", "accept") >> VenueActivity(activity_of(SEVEN, D(0)), BEGIN) << ...
        play >> wanted
        (known,) = said(play, Order)
        assert (known.quantity, known.limit_price) == (D(70), D(90))
        assert core_of(play).ledger.blocked == {}
        play << ...


def test_an_action_of_a_symbol_nobody_holds_is_told_and_stops_nothing() -> None:
    with linked() as play:
        play >> VenueActivity(activity_of(Dividend("QQQ", BEGIN, D(1)), D(0)), BEGIN)
        assert [activity.parts for activity in said(play, Activity)] == [()]
        play << ...
        play >> approved(intent()) >> report("trend-1-1", "accept")
        assert [order.status.value for order in said(play, Order)] == ["sending", "accepted"]
        play << ...


# --- what must not happen twice, or at all ----------------------------------------------------------------------------


def test_a_margin_call_takes_back_what_might_still_be_bought() -> None:
    with ready(LimitValues()) as play:
        resting = order(intent(id="trend-1-7", type=OrderType.LIMIT, limit_price=D(90), time_in_force=TimeInForce.GTC))
        play >> resting >> Activity("margin_call:1", ActivityKind.MARGIN_CALL, "", BEGIN)
        (gone,) = said(play, Cancel)
        assert (gone.order_id, gone.strategy, gone.reason) == ("trend-1-7", "trend", "margin call")
        play << ...


def test_a_gateway_that_meets_a_broker_for_the_first_time_books_nothing_of_its_past() -> None:
    past = (
        VenueActivity(activity_of(CASH, D(100)), BEGIN),
        VenueActivity(Activity("margin_call:1", ActivityKind.MARGIN_CALL, "", BEGIN), BEGIN),
    )
    with Playbook(gateway()) as play:
        play >> VenueLink(True) >> snapshot(1, positions={"SPY": D(100)}, cash=D("90054"), activities=past)
        assert said(play, Activity) == []
        assert [account.cash for account in said(play, Account)] == [D("90054")] * 2  # on the stream and as a view
        assert core_of(play).ledger.blocked == {}
        play << ...
        play >> past[0]
        assert said(play, Activity) == []


def test_what_a_gateway_forgets_of_activities_after_a_restart_is_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjusting, "REMEMBERED", 5)
    with linked() as play:
        fees = [
            VenueActivity(Activity(f"{symbol}:borrow:{day}", ActivityKind.BORROW, symbol, BEGIN + day, D(-1)), BEGIN)
            for day, symbol in enumerate("EDCBA")
        ]
        for fee in fees:
            play >> fee << ...
        fresh = gateway()
        fresh.restore(dict(sorted(core_of(play).snapshot().items())))
    after = Playbook(fresh)
    after >> VenueLink(True) << ...
    after >> VenueActivity(Activity("F:borrow:9", ActivityKind.BORROW, "F", BEGIN + 9, D(-1)), BEGIN) << ...
    after >> fees[4]
    assert said(after, Activity) == []


def test_interest_of_who_is_only_short_is_borne_by_who_is_short() -> None:
    with linked() as play:
        short = approved(intent(side=SELL, quantity=D(10)))
        play >> short >> report("trend-1-1", "accept") >> told("trend-1-1", 10, SELL) << ...
        play >> VenueActivity(Activity("interest:1", ActivityKind.INTEREST, "", BEGIN, D("-2.50")), BEGIN)
        (interest,) = said(play, Activity)
        assert [(part.strategy, part.cash) for part in interest.parts] == [("trend", D("-2.50"))]
        play << ...
