"""The gateway at a real broker: snapshots of several answers, strangers, corrections, refusals, links that fall."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core.gateway import GatewayCore
from appliance.core.strangers import looks_ours
from appliance.domain.messages import (
    Foreign,
    OpenOrder,
    VenueActivity,
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueLink,
    VenueLook,
    VenueSubmit,
)
from appliance.domain.operations import Latch, Notice, Severity, Verb, Wakeup
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Activity, ActivityKind, Fill, Order, OrderType, Side, Trail
from appliance.domain.venue import LinkState, Rejection, VenueTraits
from tests.core.make import again, approved, command, intent, order, report, snapshot, status, told, writers
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
ALPACA = VenueTraits(
    refuses_duplicates=True, absent_is_final=False, flips_at_once=False, oco=False, looks_to_differ=2,
)  # fmt: skip
IBKR = VenueTraits(refuses_duplicates=False, absent_is_final=False, looks_to_differ=2)
BROKERS = pytest.mark.parametrize("traits", [ALPACA, IBKR], ids=["alpaca", "ibkr"])
ENTRY = intent()
EXIT = intent(id="trend-1-2", counter=2, side=Side.SELL, exit=True)
STOP = f"{ENTRY.id}-s100"


def gateway(traits: VenueTraits = ALPACA) -> GatewayCore:
    return GatewayCore("gateway", writers("gateway"), traits)


def linked(traits: VenueTraits = ALPACA, core: GatewayCore | None = None, **seen: Any) -> Playbook:
    """A gateway whose venue is up and reconciled."""
    play = Playbook(core or gateway(traits))
    play >> VenueLink(True) >> snapshot(1, **seen) << ...
    return play


def core_of(play: Playbook) -> GatewayCore:
    assert isinstance(play.core, GatewayCore)
    return play.core


def look(play: Playbook, **seen: Any) -> Playbook:
    """The next look is due, and this is its answer."""
    asked: list[VenueLook] = []
    while not asked:
        deadline = play.core.deadline()
        assert deadline is not None
        play.later(max(0, deadline - play.now.ticks) / SECOND) >> Wakeup()
        asked = [event.body for event in play.unread if isinstance(event.body, VenueLook)]
    play.unread = type(play.unread)(event for event in play.unread if not isinstance(event.body, VenueLook))
    return play >> snapshot(asked[-1].n, **seen)


def notice(code: str, holds: bool = True) -> Any:
    def fits(said: Any) -> bool:
        return isinstance(said, Notice) and (said.code, said.holds) == (code, holds)

    fits.__name__ = f"Notice {code} {holds}"
    return fits


def notices(play: Playbook) -> list[tuple[str, bool]]:
    """What the owner was told: code, and whether it holds."""
    return [(said.code, said.holds) for said in play.heard(Notice)]


def theirs(order_id: str = "", symbol: str = "SPY", **given: Any) -> OpenOrder:
    """An order as the venue has it: BUY 100 at market."""
    fields: dict[str, Any] = {"venue_id": "v1", "side": Side.BUY, "quantity": D(100), "type": OrderType.MARKET}
    return OpenOrder(order_id, symbol=symbol, **{**fields, **given})


def filled(play: Playbook, quantity: int = 100, stop: str | None = None, price: str = "100") -> None:
    """An entry, sent, accepted and filled."""
    wanted = intent(quantity=D(quantity), stop=D(stop) if stop else None)
    play >> approved(wanted) >> report(wanted.id, "accept") >> told(wanted.id, quantity, price=price)
    if stop:
        play >> report(f"{wanted.id}-s{quantity}", "accept")
    play << ...


def corrects(key: str, of: str, quantity: int, price: str = "100", order_id: str = ENTRY.id) -> VenueFill:
    return replace(told(order_id, quantity, price=price, key=key), corrects=of)


# --- a snapshot that is not of one instant --------------------------------------------------------


def test_a_difference_counts_once_two_looks_in_a_row_have_found_the_same() -> None:
    with linked() as play:
        look(play, positions={"SPY": D(5)})
        assert core_of(play).ledger.blocked == {}
        assert play.core.deadline() == play.now.ticks + ALPACA.ask_every  # not half a minute
        look(play, positions={"SPY": D(5)})
        assert play.heard(Latch)[0].blocked["SPY"] == "the broker holds 5, our fills add up to 0"


def test_a_difference_that_a_late_fill_explains_heals_without_a_word() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        look(play, open=(ENTRY.id,), positions={"SPY": D(100)})
        play >> told(ENTRY.id, 100) << ...
        look(play, fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
        look(play, fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
    assert core_of(play).ledger.blocked == {}


def test_differences_that_are_not_the_same_are_not_believed() -> None:
    with linked() as play:
        for shares in (5, 6, 5, 6):
            look(play, positions={"SPY": D(shares)})
        assert core_of(play).ledger.blocked == {}


def test_an_order_missing_from_two_looks_is_asked_about_and_one_from_a_single_look_is_not() -> None:
    with linked() as play:
        play >> approved(intent(type=OrderType.LIMIT, limit_price=D(90))) >> report(ENTRY.id, "accept") << ...
        look(play)
        look(play, open=(ENTRY.id,))
        look(play)
        look(play) << VenueAsk(ENTRY.id)


def test_a_look_that_is_answered_twice_counts_once() -> None:
    with linked() as play:
        look(play, positions={"SPY": D(5)})
        play >> snapshot(2, positions={"SPY": D(5)})
        assert core_of(play).ledger.blocked == {}


def test_at_a_start_decisions_wait_until_a_difference_is_certain() -> None:
    before = linked()
    after = Playbook(again(before.core, gateway()))
    with after:
        after >> VenueLink(True) >> snapshot(1, positions={"SPY": D(5)}) << VenueLook
        assert not after.core.recovered()
        look(after, positions={"SPY": D(5)}) << Latch << Latch
        assert after.core.recovered()


def test_who_differs_anew_in_each_look_does_not_keep_us_waiting_for_ever() -> None:
    after = Playbook(again(linked().core, gateway()))
    after >> VenueLink(True) >> snapshot(1, positions={"SPY": D(1)}) << ...
    for shares in (2, 3, 4):
        assert not after.core.recovered()
        look(after, positions={"SPY": D(shares)})
    assert after.core.recovered()


def test_fills_that_the_venue_has_forgotten_do_not_keep_it_from_being_compared() -> None:
    """Interactive Brokers tells executions since midnight: yesterday's are in its positions all the same."""
    with linked(IBKR) as play:
        filled(play)
        look(play, positions={"SPY": D(90)}, cash=D(89_999))
        look(play, positions={"SPY": D(90)}, cash=D(89_999)) << ...
    assert "SPY" in core_of(play).ledger.blocked


def test_a_fill_booked_while_a_look_is_under_way_makes_it_old() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "accept") << ...
        play.later(30) >> Wakeup() >> told(ENTRY.id, 100) << ...
        play >> snapshot(2)
        assert play.core.deadline() == play.now.ticks + ALPACA.ask_every or play.core.deadline() is not None
    assert core_of(play).ledger.blocked == {}


def test_a_slow_venue_is_waited_for_longer_each_time() -> None:
    with Playbook(gateway()) as play:
        play >> VenueLink(True) << VenueLook
        play.later(5) >> Wakeup() << VenueLook
        play.later(5) >> Wakeup()
        play.later(5) >> Wakeup() << VenueLook >> snapshot(3) << ...
        assert play.core.recovered()


# --- strangers ------------------------------------------------------------------------------------


def test_orders_of_strangers_are_shown_and_left_alone() -> None:
    with linked() as play:
        look(play, open=("", "web-77"), others=(theirs("web-77"), theirs()))
        play << (lambda said: isinstance(said, Foreign) and said.n == 2) << notice("FOREIGN_ORDERS")
        play >> command(Verb.CANCEL_ALL, everything=True) << (lambda said: said.text == "0 cancels sent")
        look(play, others=(theirs("web-77"), theirs()))  # nothing new
        look(play) << Foreign() << notice("FOREIGN_ORDERS", False)


def test_a_strangers_fill_moves_the_baseline_once_and_is_told() -> None:
    with linked() as play:
        fill = told("", 30, key="x1")
        play >> fill << Account << "view/account" << notice("FOREIGN_TRADE/SPY") << notice("FOREIGN_TRADE/SPY", False)
        play >> fill
        for _ in range(3):
            look(play, fills=(fill,), positions={"SPY": D(30)}, cash=D(96_999))
    assert core_of(play).reconciler.baseline("SPY") == 30
    assert core_of(play).ledger.position("SPY") == 0
    assert core_of(play).ledger.blocked == {}


def test_a_strangers_fill_from_before_our_first_look_is_in_the_baseline_already() -> None:
    fill = told("somebody", 30, key="x1")
    with linked(fills=(fill,), positions={"SPY": D(30)}) as play:
        play >> fill
        look(play, fills=(fill,), positions={"SPY": D(30)})
    assert core_of(play).reconciler.baseline("SPY") == 30


def test_a_strangers_fill_that_the_first_look_is_too_old_for_is_in_the_baseline_of_the_next() -> None:
    fill = told("somebody", 30, key="x1")
    with Playbook(gateway()) as play:
        play >> VenueLink(True) >> fill >> snapshot(1) << ...
        assert not core_of(play).recovered()
        look(play, fills=(fill,), positions={"SPY": D(30)}) << ...
    assert core_of(play).recovered()
    assert core_of(play).reconciler.baseline("SPY") == 30


def test_a_strangers_fill_that_is_corrected_moves_the_baseline_by_the_difference() -> None:
    with linked() as play:
        first = told("", 30, key="x1")
        play >> first >> corrects("x2", "x1", 20, "90", order_id="") << ...
        play >> corrects("x2", "x1", 20, "90", order_id="") >> first
    assert core_of(play).reconciler.baseline("SPY") == 20
    assert core_of(play).ledger.account[""].cash == D(100_000) - 20 * 90 - 1


@pytest.mark.parametrize(
    ("order_id", "ours"),
    [
        ("trend-1-1", True),
        ("trend-1700000000-12-s100", True),
        ("trend-1-2-s0.5-r", True),
        ("trend-1-2-s100-s0-1", True),
        ("guard-3-7", True),
        ("my.host-1-1-t50", True),
        ("", False),
        ("somebody", False),
        ("trend-01-1", False),
        ("61e69015-8549-4bfd-b9c3-012345678901", False),
        ("12345678-1234-1234-1234-123456789012", False),
        ("trend-1-1#2", False),
    ],
)
def test_ids_that_look_like_ours(order_id: str, ours: bool) -> None:
    assert looks_ours(order_id) is ours


def test_an_order_that_looks_like_ours_and_is_not_in_our_books_halts_its_symbol() -> None:
    with linked() as play:
        look(play, others=(theirs("trend-9-9", "QQQ"),)) << ...
    assert "was one lost?" in core_of(play).ledger.blocked["QQQ"].why


@pytest.mark.parametrize(("held", "halts"), [(100, True), (0, False)])
def test_a_new_journal_halts_what_the_lost_one_held(held: int, halts: bool) -> None:
    with linked(fills=(told("trend-9-9", 100),), positions={"SPY": D(held)}) as play:
        assert ("SPY" in core_of(play).ledger.blocked) is halts


def test_a_fill_of_an_order_of_ours_that_was_forgotten_is_not_taken_for_a_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("appliance.core.ledger.ENDED_KEPT", 2)
    with linked() as play:
        for number in range(1, 9):
            play >> approved(intent(id=f"trend-1-{number}")) >> told(f"trend-1-{number}", 1)
            play >> report(f"trend-1-{number}", "cancel") << ...
        assert "trend-1-1" not in core_of(play).ledger.orders
        play >> told("trend-1-1", 1)
        assert core_of(play).ledger.position("SPY") == 8
        assert core_of(play).reconciler.baseline("SPY") == 0


# --- corrections ----------------------------------------------------------------------------------


def shares(play: Playbook) -> tuple[Decimal, Decimal, Decimal]:
    """What the books say of the entry: position, holding, filled."""
    ledger = core_of(play).ledger
    return ledger.position("SPY"), ledger.holding("trend", "SPY"), ledger.orders[ENTRY.id].filled


def test_a_corrected_fill_is_replaced_once_and_whoever_adds_up_fills_comes_out_right() -> None:
    with linked() as play:
        play >> approved() << ...
        play >> told(ENTRY.id, 100, key="a.01") >> corrects("a.02", "a.01", 90, "99")
        fills = play.heard(Fill)
        play >> corrects("a.02", "a.01", 90, "99") >> told(ENTRY.id, 100, key="a.01")
    assert shares(play) == (90, 90, 90)
    assert core_of(play).ledger.orders[ENTRY.id].average_price == 99
    assert core_of(play).ledger.account[""].cash == D(100_000) - 90 * 99 - 1
    assert [fill.signed for fill in fills] == [100, 90, -100]
    assert len({fill.fill_key for fill in fills}) == 3
    assert sum(-fill.signed * fill.price - fill.commission for fill in fills) == D(-90 * 99 - 1)


def test_a_correction_that_overtakes_what_it_corrects_is_booked_alone() -> None:
    with linked() as play:
        play >> approved() << ... >> corrects("a.02", "a.01", 90, "99") << ... >> told(ENTRY.id, 100, key="a.01")
    assert shares(play) == (90, 90, 90)


@pytest.mark.parametrize("chain", [("a.01", "a.02"), ("a.01", "a.01")], ids=["each the last", "each the first"])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_corrections_in_any_order_come_to_the_last(order: tuple[int, ...], chain: tuple[str, str]) -> None:
    heard = (
        told(ENTRY.id, 100, key="a.01"),
        corrects("a.02", chain[0], 90),
        corrects("a.03", chain[1], 80, "98"),
    )
    with linked() as play:
        play >> approved() << ...
        for number in (*order, *order):
            play >> heard[number] << ...
    assert shares(play) == (80, 80, 80)
    assert core_of(play).ledger.account[""].cash == D(100_000) - 80 * 98 - 1


def test_a_fill_that_never_happened_leaves_nothing_and_takes_its_stop_along() -> None:
    with linked() as play:
        filled(play, stop="90")
        bust = corrects("b", f"{ENTRY.id}:100", 0)
        play >> bust << (lambda said: isinstance(said, Fill) and said.signed == -100)
        play << status("filled", filled=D(0)) << Account << "view/account" << "view/position/SPY"
        play << notice("FILL_CORRECTED/SPY") << notice("FILL_CORRECTED/SPY", False)
        play << (lambda said: isinstance(said, VenueCancel) and said.order_id == STOP)
        play >> bust
        look(play, fills=(bust,), open=(STOP,)) << ...
        look(play, fills=(bust,)) << ...
    assert shares(play) == (0, 0, 0)
    assert core_of(play).ledger.blocked == {}


def test_what_a_correction_adds_is_protected() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 60) >> report(f"{ENTRY.id}-s60", "accept") << ...
        play >> corrects("b", f"{ENTRY.id}:60", 80)
        placed = [said.order.quantity for said in play.heard(VenueSubmit)]
    assert placed == [D(20)]


def test_a_correction_that_takes_from_a_position_trims_what_protects_it() -> None:
    with linked() as play:
        filled(play, stop="90")
        play >> corrects("b", f"{ENTRY.id}:100", 70)
        assert [said.order_id for said in play.heard(VenueCancel)] == [STOP]
        play >> report(STOP, "cancel")
        assert [said.order.quantity for said in play.heard(VenueSubmit)] == [D(70)]


def test_a_position_that_stays_is_at_no_time_none_while_an_exit_is_corrected() -> None:
    with linked() as play:
        filled(play, 200)
        play >> approved(EXIT) >> told(EXIT.id, 100, Side.SELL) << ...
        play >> replace(told(EXIT.id, 100, Side.SELL, "101", key="c"), corrects=f"{EXIT.id}:100")
        held, seen = D(100), []
        for fill in play.heard(Fill):
            held += fill.signed
            seen.append(held)
    assert seen == [200, 100]


# --- what the venue does not take -----------------------------------------------------------------


def test_a_rejection_carries_its_code() -> None:
    with linked() as play:
        play >> approved() << ... >> report(ENTRY.id, "reject", code=Rejection.BUYING_POWER, text="not enough")
        play << status("rejected", code="BUYING_POWER", text="not enough")


@pytest.mark.parametrize("asked", [False, True])
def test_what_waited_for_its_turn_too_long_was_never_sent(asked: bool) -> None:
    with linked() as play:
        play >> approved() << ...
        if asked:
            play >> report(ENTRY.id, "lose") << ...
        play >> report(ENTRY.id, "deny", code=Rejection.RATE_LIMITED) << status("denied", code="RATE_LIMITED")


def test_an_order_that_was_not_sent_again_is_still_in_doubt() -> None:
    with linked() as play:
        play >> approved() >> report(ENTRY.id, "lose") >> report(ENTRY.id, "absent") << ...
        play.later(2) >> report(ENTRY.id, "absent") << status("sending", attempt=2) << VenueSubmit
        play >> report(ENTRY.id, "deny", code=Rejection.NOT_SENT) << status("unknown") << VenueAsk(ENTRY.id)
        play >> told(ENTRY.id, 100) << Fill << status("filled") << ...
    assert core_of(play).ledger.blocked == {}


def test_an_id_that_is_taken_is_looked_up_not_believed_to_be_refused() -> None:
    with linked() as play:
        play >> approved() << ... >> report(ENTRY.id, "reject", code=Rejection.DUPLICATE_ID)
        play << status("unknown") << VenueAsk(ENTRY.id) >> report(ENTRY.id, "accept") << status("accepted")


def test_a_stop_the_venue_refuses_is_told_while_the_position_is_bare_and_not_sent_in_a_loop() -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) << ...
        play >> report(STOP, "reject", code=Rejection.PRICE) << status("rejected", code="PRICE")
        play << (lambda said: isinstance(said, Notice) and said.severity is Severity.WARNING and "PRICE" in said.text)
        seen: dict[str, Any] = {"fills": (told(ENTRY.id, 100),), "positions": {"SPY": D(100)}, "cash": D(89_999)}
        for _ in range(5):
            look(play, **seen)
        play >> approved(EXIT) >> told(EXIT.id, 100, Side.SELL)
        assert notices(play) == [("STOP_MISSING/trend/SPY", False)]


@pytest.mark.parametrize("how", [("deny", "denied"), ("expire", "expired")])
def test_a_stop_that_was_never_sent_or_has_expired_is_placed_again_at_the_next_look(how: tuple[str, str]) -> None:
    with linked() as play:
        play >> approved(intent(stop=D(90))) >> told(ENTRY.id, 100) << ...
        play >> report(STOP, how[0]) << status(how[1]) << notice("STOP_MISSING/trend/SPY")
        look(play, fills=(told(ENTRY.id, 100),), positions={"SPY": D(100)}, cash=D(89_999))
        play << status("sending", quantity=D(100), stop_price=D(90)) << VenueSubmit
        (fresh,) = core_of(play).ledger.protective("trend", "SPY")
        play >> report(fresh.id, "accept") << status("accepted") << notice("STOP_MISSING/trend/SPY", False)


# --- the link -------------------------------------------------------------------------------------


def test_a_venue_that_has_lost_the_market_gets_no_new_risk_and_every_reduction() -> None:
    with linked() as play:
        filled(play)
        play >> VenueLink(True, "connectivity lost", LinkState.DEGRADED, "1100") << notice("VENUE_DEGRADED")
        assert play.core.recovered()
        play >> approved(intent(id="trend-1-3"))
        play << (lambda said: isinstance(said, Order) and said.code == "VENUE_DEGRADED" and "1100" in said.text)
        play >> approved(EXIT) << status("sending") << VenueSubmit
        play >> VenueLink(True, state=LinkState.READY) << notice("VENUE_DEGRADED", False) << VenueLook
        assert not play.core.recovered()


@pytest.mark.parametrize(
    ("state", "code", "severity"),
    [
        (LinkState.DOWN, "VENUE_DOWN", Severity.WARNING),
        (LinkState.WAITING_2FA, "VENUE_WAITING_2FA", Severity.CRITICAL),
        (LinkState.REFUSED, "VENUE_REFUSED", Severity.CRITICAL),
        (LinkState.WAITING_RESET, "VENUE_WAITING_RESET", Severity.INFO),
    ],
)
def test_what_the_owner_hears_of_a_link_and_when_it_is_over(state: LinkState, code: str, severity: Severity) -> None:
    with linked() as play:
        (
            play
            >> VenueLink(False, "why", state)
            << (lambda said: (said.code, said.severity, said.holds) == (code, severity, True))
        )
        play >> VenueLink(False, state=LinkState.CONNECTING)  # in passing: the last word stands
        play >> VenueLink(True, state=LinkState.SYNCING) << notice(code, False) << VenueLook


def test_one_word_about_the_link_takes_the_place_of_another_also_after_a_restart() -> None:
    before = linked()
    before >> VenueLink(False) << ...
    with Playbook(again(before.core, gateway())) as play:
        play >> VenueLink(False) >> VenueLink(False, state=LinkState.WAITING_2FA)
        play << notice("VENUE_DOWN", False) << notice("VENUE_WAITING_2FA")
        play >> VenueLink(True) << notice("VENUE_WAITING_2FA", False) << VenueLook


def test_the_view_of_the_venue_is_syncing_until_we_are_reconciled() -> None:
    play = Playbook(gateway())
    assert core_of(play).link.told.state is LinkState.DOWN
    play.core.started(play.now)
    assert core_of(play).link.told.state is LinkState.CONNECTING
    play >> VenueLink(True)
    (view,) = play.core.reports(play.now)
    assert (view.topic, view.body.state, view.body.since) == ("view/venue", LinkState.SYNCING, BEGIN)
    play.later(1) >> snapshot(1) << ...
    (view,) = play.core.reports(play.now)
    assert (view.body.state, view.body.since) == (LinkState.READY, BEGIN + SECOND)


def test_an_entry_that_waited_is_not_sent_while_the_venue_is_gone() -> None:
    with linked(IBKR) as play:
        play >> VenueLink(False, "socket closed") << ...
        refusal = core_of(play).refusal(order(ENTRY, OrderStatus.WAITING), play.now)
        assert refusal == ("VENUE_DOWN", "the venue is down: socket closed")


# --- orders changed by another hand ---------------------------------------------------------------


def rests(play: Playbook, **wished: Any) -> None:
    """An entry that waits for its price."""
    play >> approved(intent(type=OrderType.LIMIT, limit_price=D(95), **wished)) >> report(ENTRY.id, "accept") << ...


def works(**given: Any) -> dict[str, Any]:
    """What a look shows of the entry that waits."""
    fields: dict[str, Any] = {"type": OrderType.LIMIT, "limit_price": D(95), **given}
    return {"open": (ENTRY.id,), "others": (theirs(ENTRY.id, **fields),)}


def test_an_order_that_was_changed_there_is_what_it_is_there_once_that_is_certain() -> None:
    with linked() as play:
        rests(play)
        look(play, **works(quantity=D(60), limit_price=D(94)))
        look(play, **works(quantity=D(60), limit_price=D(94)))
        play << status("accepted", quantity=D(60), limit_price=D(94))
        play << notice("ORDER_CHANGED/SPY") << notice("ORDER_CHANGED/SPY", False)
        look(play, **works(quantity=D(60), limit_price=D(94)))
        play >> told(ENTRY.id, 60) << Fill << status("filled", filled=D(60)) << ...


def test_an_order_that_is_as_we_have_it_is_no_strangers_and_not_worth_a_word() -> None:
    with linked() as play:
        rests(play)
        look(play, **works())
        look(play, **works())
        look(play, **works(limit_price=None))  # a venue that does not tell


def test_a_stop_made_smaller_there_leaves_the_rest_to_be_protected() -> None:
    with linked() as play:
        filled(play, stop="90")
        seen: dict[str, Any] = {"fills": (told(ENTRY.id, 100),), "positions": {"SPY": D(100)}, "cash": D(89_999)}
        smaller = theirs(STOP, side=Side.SELL, type=OrderType.STOP, quantity=D(70), stop_price=D(90))
        look(play, open=(STOP,), others=(smaller,), **seen)
        look(play, open=(STOP,), others=(smaller,), **seen)
        assert [said.order.quantity for said in play.heard(VenueSubmit)] == [D(30)]


def test_a_trailing_stop_that_has_moved_and_one_of_a_group_are_not_changed() -> None:
    with linked(IBKR) as play:
        play >> approved(intent(trailing=Trail(D(5)), take_profit=D(120))) >> told(ENTRY.id, 100) << ...
        stop, profit = core_of(play).ledger.protective("trend", "SPY")
        play >> report(stop.id, "accept") >> report(profit.id, "accept") << ...
        seen: dict[str, Any] = {"fills": (told(ENTRY.id, 100),), "positions": {"SPY": D(100)}, "cash": D(89_999)}
        at_the_venue = (
            theirs(stop.id, side=Side.SELL, type=OrderType.TRAILING_STOP, quantity=D(80), stop_price=D(97)),
            theirs(profit.id, side=Side.SELL, type=OrderType.LIMIT, quantity=D(80), limit_price=D(120)),
        )
        for _ in range(3):
            look(play, others=at_the_venue, **seen)
        assert play.heard(Order) == []


# --- properties -----------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=60)
def test_whatever_is_corrected_in_whatever_order_books_and_fills_say_the_same(data: st.DataObject) -> None:
    """Two executions of an entry, each corrected up to twice, told in any order and more than once."""
    versions = []
    for number in (1, 2):
        for version in range(1, data.draw(st.integers(1, 3)) + 1):
            size, price = data.draw(st.integers(0 if version > 1 else 1, 50)), data.draw(st.integers(90, 110))
            fill = told(ENTRY.id, size, price=str(price), key=f"e{number}.0{version}")
            first = f"e{number}.0{data.draw(st.integers(1, version - 1)) if version > 1 else 0}"
            versions.append(replace(fill, corrects=first if version > 1 else ""))
    last = {fill.fill_key[:2]: fill for fill in versions}.values()
    order_of_arrival = data.draw(st.permutations([*versions, *versions]))
    play = linked()
    play >> approved(intent(quantity=D(1_000))) << ...
    position, cash = D(0), D(0)
    for fill in order_of_arrival:
        play >> fill
        for said in play.heard(Fill):
            position += said.signed
            cash -= said.signed * said.price + said.commission
    held = sum(fill.quantity for fill in last)
    assert core_of(play).ledger.position("SPY") == core_of(play).ledger.holding("trend", "SPY") == position == held
    assert core_of(play).ledger.orders[ENTRY.id].filled == held
    assert core_of(play).ledger.account[""].cash == 100_000 + cash
    spent = sum(fill.quantity * fill.price for fill in last)
    assert abs(core_of(play).ledger.orders[ENTRY.id].average_price * held - spent) < D("1e-20")
    assert cash == -spent - sum(fill.commission for fill in last if fill.quantity)
    assert core_of(play).ledger.blocked == {}


# --- what another hand takes ----------------------------------------------------------------------


def sold(shares: int, key: str = "by hand") -> VenueFill:
    return told("", shares, Side.SELL, key=key)


def test_what_another_hand_has_sold_is_not_sold_again_by_a_stop_or_an_exit() -> None:
    with linked() as play:
        filled(play, stop="90")
        play >> sold(60)
        assert "another hand took 60 of the 100" in core_of(play).ledger.blocked["SPY"].why
        assert [said.order_id for said in play.heard(VenueCancel)] == [STOP]
        play >> report(STOP, "cancel")
        (fresh,) = play.heard(VenueSubmit)
        assert (fresh.order.quantity, fresh.order.protects) == (D(40), STOP)
        play >> report(fresh.order.id, "accept") >> approved(EXIT) >> report(fresh.order.id, "cancel")
        (leaving,) = play.heard(VenueSubmit)
        assert (leaving.order.id, leaving.order.quantity) == (EXIT.id, D(40))


def test_when_all_has_been_sold_by_another_hand_the_guards_own_exit_sells_nothing() -> None:
    with linked() as play:
        filled(play)
        play >> sold(100) << ... >> approved(replace(EXIT, id="guard-1-1"))
        play << status("denied", code="NOTHING_LEFT")


def test_an_exit_that_waits_for_its_price_is_cancelled_when_another_hand_sells_what_it_would() -> None:
    with linked() as play:
        filled(play)
        resting = replace(EXIT, type=OrderType.LIMIT, limit_price=D(110))
        play >> approved(resting) >> report(EXIT.id, "accept") << ... >> sold(60)
        assert [said.order_id for said in play.heard(VenueCancel)] == [EXIT.id]


@pytest.mark.parametrize("before", [60, 100])
def test_what_was_there_before_us_is_its_owners_to_sell(before: int) -> None:
    with linked(positions={"SPY": D(before)}) as play:
        filled(play, stop="90")
        play >> sold(60)
        assert play.heard(VenueCancel) == []
    assert core_of(play).ledger.blocked == {}


def test_what_was_short_before_us_takes_nothing_from_a_strategy() -> None:
    with linked(positions={"SPY": D(-100)}) as play:
        filled(play)
        play >> approved(EXIT) << status("sending", quantity=D(100)) << VenueSubmit


def test_a_split_makes_of_what_is_gone_what_it_makes_of_what_is_there() -> None:
    with linked() as play:
        filled(play)
        split = Activity("s", ActivityKind.SPLIT, "SPY", BEGIN, position=D(80), new=2, old=1, price=D(100))
        play >> sold(60) >> VenueActivity(split, BEGIN) << ...
        held = core_of(play).ledger.position("SPY")
        assert core_of(play).plans.left("trend", "SPY") == held - 120


def test_what_is_bought_back_by_hand_may_be_sold_again_and_a_closed_position_starts_anew() -> None:
    with linked() as play:
        filled(play)
        play >> sold(60) >> told("", 60, key="back") << ...
        play >> approved(EXIT) << status("sending", quantity=D(100)) << VenueSubmit
        play >> told(EXIT.id, 100, Side.SELL) << ...
    assert core_of(play).plans.left("trend", "SPY") == 0
    assert core_of(play).reconciler.baseline("SPY") == 0


def test_a_look_that_tells_an_execution_otherwise_than_it_was_told_corrects_it() -> None:
    """An adapter that was started anew does not know what it told, and tells what is now by the same key."""
    with linked() as play:
        filled(play)
        for size, price in ((90, "99"), (90, "99"), (80, "98")):
            seen = told(ENTRY.id, size, price=price, key=f"{ENTRY.id}:100")
            cash = D(100_000) - size * D(price) - 1
            look(play, fills=(seen,), positions={"SPY": D(size)}, cash=cash) << ...
            assert shares(play) == (size, size, size)
            assert core_of(play).ledger.account[""].cash == cash
        play >> told(ENTRY.id, 100)  # said again by the stream, late
    assert shares(play) == (80, 80, 80)
    assert core_of(play).ledger.blocked == {}


def test_a_look_that_still_tells_what_was_corrected_by_name_changes_nothing() -> None:
    with linked() as play:
        filled(play)
        play >> corrects("b", f"{ENTRY.id}:100", 90) << ...
        seen = (told(ENTRY.id, 100), corrects("b", f"{ENTRY.id}:100", 90))
        for _ in range(3):
            look(play, fills=seen, positions={"SPY": D(90)}, cash=D(90_999))
    assert shares(play) == (90, 90, 90)


def test_a_broker_that_lets_us_not_trade_is_an_alert_until_it_takes_an_order() -> None:
    """A read-only API, a blocked account: every order would be refused so, and only its owner can change it."""
    play = Playbook(GatewayCore("gateway", writers("gateway"), ALPACA))
    play >> VenueLink(True) >> snapshot(1) << ...
    first, second, third = (intent(id=f"trend-1-{n}") for n in (1, 2, 3))
    play >> approved(first) >> report(first.id, "reject", code="PRICE", text="off the tick")
    assert play.heard(Notice) == []
    play >> approved(second) >> report(second.id, "reject", code="NOT_ALLOWED", text="it is read-only")
    (told,) = play.heard(Notice)
    assert (told.code, told.severity, told.holds) == ("VENUE_NOT_ALLOWED", Severity.CRITICAL, True)
    assert "trend-1-2: it is read-only" in told.text
    play >> approved(third) >> report(third.id, "accept")
    assert play.heard(Notice)[-1].holds is False
