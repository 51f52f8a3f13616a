"""A box spends no more of a broker's account than its owner has given its strategies."""

from __future__ import annotations

from decimal import Decimal

from appliance.core.guard import GuardCore
from appliance.core.limits import LimitValues, rules
from appliance.domain.market import SECOND
from appliance.domain.messages import Event
from appliance.domain.trading import Account, Activity, ActivityKind, Approved, Denied, Part, Side
from tests.core.make import again, bar, fill, intent, order, writers
from tests.playbook import BEGIN, Playbook

D = Decimal


def guard(cash: Decimal | None) -> GuardCore:
    return GuardCore("guard", writers("guard"), rules(LimitValues()), 3 * SECOND, cash)


def playing(core: GuardCore) -> Playbook:
    return Playbook(core).later(60) >> bar(100.0) >> Account(D(100_000))


def decided(play: Playbook, quantity: int, number: int) -> Approved | Denied:
    """What the guard says to a purchase of SPY, which is at 100 USD."""
    play >> intent(id=f"trend-1-{number}", quantity=D(quantity))
    events: list[Event] = [event for event in play.unread if isinstance(event.body, Approved | Denied)]
    return events[-1].body


def test_a_rich_account_is_not_spent_beyond_what_the_strategies_were_given() -> None:
    said = decided(playing(guard(D(20_000))), 201, 1)
    assert isinstance(said, Denied)
    assert (said.code, said.text) == ("INSUFFICIENT_CASH", "20100.00 USD needed, 20000.00 USD of cash")
    assert isinstance(decided(playing(guard(D(20_000))), 200, 1), Approved)
    assert isinstance(decided(playing(guard(None)), 900, 1), Approved)


def test_what_was_bought_sold_and_paid_out_counts_and_a_restart_forgets_none_of_it() -> None:
    core = guard(D(20_000))
    play = playing(core)
    bought, sold = order(intent(id="trend-1-1")), order(intent(id="trend-1-2", side=Side.SELL))
    play >> fill(bought, 50, "100") >> fill(sold, 10, "110")
    parts = (Part("trend", D(40), D(25)), Part("", D(0), D(900)))
    play >> Activity("d-1", ActivityKind.DIVIDEND, "SPY", BEGIN, D(925), parts=parts)
    (fees,) = [D(2) * fill(bought, 50, "100").commission]
    fresh = again(core, guard(D(20_000)))
    for one in (Playbook(core), Playbook(fresh)):
        assert one.core._allotment.free() == D(20_000) - 5_000 + 1_100 + 25 - fees
        one >> Account(D(300))
        assert one.core._allotment.free() == 300
