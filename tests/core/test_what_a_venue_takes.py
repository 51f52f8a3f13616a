"""What a venue does not take: denied by the guard, left out by the gateway, and said."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from appliance.core.gateway import GatewayCore
from appliance.core.guard import GuardCore
from appliance.core.limits import LimitValues, rules
from appliance.core.protecting import Rests, rests
from appliance.domain.messages import VenueFill, VenueLink, VenueSubmit
from appliance.domain.operations import Notice
from appliance.domain.trading import Account, Approved, Denied, Intent, Order, OrderType, Side, TimeInForce, Trail
from appliance.domain.venue import EVERY_ORDER, EVERYTHING, Takes, VenueTraits
from tests.core.make import approved, bar, fill, intent, order, report, snapshot, writers
from tests.playbook import BEGIN, Playbook

D = Decimal
DAY, GTC, IOC, OPG = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.OPG
MARKET, LIMIT, STOP = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP
STOCKS = Takes({MARKET: (DAY, GTC), LIMIT: (DAY, GTC), STOP: (DAY, GTC)}, {MARKET: (DAY,), LIMIT: (DAY,)}, shorts=False)
CRYPTO = Takes({MARKET: (GTC, IOC), LIMIT: (GTC, IOC)}, {MARKET: (GTC, IOC), LIMIT: (GTC, IOC)}, smallest=D("1e-9"))
VENUE = VenueTraits(stocks=STOCKS, crypto=CRYPTO, oco=True)
SELL = Side.SELL


def guard(traits: VenueTraits = VENUE) -> Playbook:
    """A guard without other limits, at a venue; SPY and BTC/USD have prices."""
    core = GuardCore("guard", writers("guard"), rules(LimitValues(require_cash=False), traits=traits))
    play = Playbook(core).later(60)
    return play >> bar() >> bar(symbol="BTC/USD") >> Account(D(100_000))


def gateway(traits: VenueTraits) -> Playbook:
    play = Playbook(GatewayCore("gateway", writers("gateway"), traits))
    play >> VenueLink(True) >> snapshot(1) << ...
    return play


def refused(wanted: Intent, traits: VenueTraits = VENUE) -> str:
    """Why the guard denies an intent; "" when it does not."""
    play = guard(traits) >> wanted
    (said,) = [event.body for event in play.unread if isinstance(event.body, Approved | Denied)]
    if isinstance(said, Approved):
        return ""
    assert said.code == "UNSUPPORTED"
    return said.text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, ""),
        ({"type": OrderType.TRAILING_STOP, "trail": Trail(D(1))}, "takes no trailing_stop orders of SPY; it takes mar"),
        ({"time_in_force": OPG}, "with time in force opg; it takes day, gtc"),
        ({"quantity": D("0.5")}, ""),
        ({"quantity": D("0.5"), "time_in_force": GTC}, "0.5: the venue takes no market order with time in force gtc"),
        ({"quantity": D("0.5"), "type": STOP, "stop_price": D(110)}, "for a part of a share"),
        ({"quantity": D("0.0000000005")}, "no multiple of"),
        ({"side": SELL}, "-100 would be left: the venue lends no SPY"),
        ({"symbol": "BTC/USD"}, "no market order of BTC/USD with time in force day; it takes gtc, ioc"),
        ({"symbol": "BTC/USD", "time_in_force": GTC, "quantity": D("0.25")}, ""),
        ({"symbol": "BTC/USD", "time_in_force": GTC, "quantity": D("0.0000000001")}, "no multiple of 1E-9"),
    ],
)
def test_what_the_venue_does_not_take_is_denied_and_the_text_says_what_it_takes(
    asked: dict[str, Any], words: str
) -> None:
    text = refused(intent(**asked))
    assert words in text
    assert bool(words) is bool(text)


@pytest.mark.parametrize(("symbol", "kind"), [("SPY", "stocks"), ("BTC/USD", "pairs such as BTC/USD")])
def test_symbols_of_a_kind_the_venue_does_not_trade_are_denied(symbol: str, kind: str) -> None:
    nothing = VenueTraits(stocks=None, crypto=None)  # type: ignore[arg-type]
    assert f"it does not trade {kind}" in refused(intent(symbol=symbol), nothing)


def test_a_venue_that_takes_everything_denies_nothing() -> None:
    assert refused(intent(time_in_force=OPG), VenueTraits()) == ""


def test_reductions_are_bound_as_well_and_a_sale_of_what_is_held_is_no_short_sale() -> None:
    with guard() as play:
        sent = order(intent())
        play >> sent >> fill(sent) << ...
        leaving = intent(id="trend-1-9", side=SELL, exit=True)
        play >> leaving << Approved
        odd = intent(id="trend-1-10", side=SELL, exit=True, quantity=D("0.5"), time_in_force=GTC)
        play >> odd << (lambda said: isinstance(said, Denied) and said.code == "UNSUPPORTED")


# --- protective orders ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("takes", "kind", "shares", "expected"),
    [
        (EVERYTHING, STOP, "10.5", Rests(D("10.5"), GTC)),
        (STOCKS, STOP, "10", Rests(D(10), GTC)),
        (STOCKS, STOP, "10.5", Rests(D(10), GTC)),
        (STOCKS, STOP, "0.5", None),
        (STOCKS, OrderType.TRAILING_STOP, "10", None),
        (Takes({STOP: (DAY,)}), STOP, "10.5", Rests(D("10.5"), DAY)),
        (Takes({STOP: (DAY, GTC)}, {STOP: (DAY,)}), STOP, "10.5", Rests(D(10), GTC)),
        (Takes({STOP: (DAY, GTC)}, {STOP: (DAY,)}), STOP, "0.5", Rests(D("0.5"), DAY)),
        (CRYPTO, LIMIT, "0.1234567891", Rests(D("0.123456789"), GTC)),
        (CRYPTO, STOP, "1", None),
        (None, STOP, "1", None),
        (Takes(dict(EVERY_ORDER), {}), STOP, "3", Rests(D(3), GTC)),
    ],
)
def test_what_of_a_stop_can_rest(takes: Takes | None, kind: OrderType, shares: str, expected: Rests | None) -> None:
    assert rests(takes, kind, D(shares)) == expected


def bought(play: Playbook, parts: str, symbol: str = "SPY", **wished: Any) -> list[Order]:
    """An entry that fills in parts: the protective orders that were placed."""
    sizes = [D(part) for part in parts.split()]
    wanted = intent(quantity=sum(sizes, D(0)), symbol=symbol, **wished)
    play >> approved(wanted) >> report(wanted.id, "accept") << ...  # of what follows nothing is read
    found: list[Order] = []
    for number, size in enumerate(sizes):
        play >> VenueFill(f"f{number}", wanted.id, symbol, Side.BUY, size, D(100), D(0), BEGIN, BEGIN)
        placed = [event.body.order for event in play.unread if isinstance(event.body, VenueSubmit)][len(found) :]
        for each in placed:
            play >> report(each.id, "accept")
        found += placed
    return found


def held_notices(play: Playbook) -> list[str]:
    return [event.body.text for event in play.unread if isinstance(event.body, Notice) and event.body.holds]


def test_the_whole_part_of_a_fractional_position_rests_and_the_rest_is_said() -> None:
    play = gateway(VENUE)
    (stop,) = bought(play, "10.5", stop=D(90))
    assert (stop.quantity, stop.type, stop.time_in_force) == (D(10), STOP, GTC)
    (text,) = held_notices(play)
    assert "0.5 of 10.5 shares" in text
    assert "the guard watches it" in text


def test_parts_of_shares_add_up_to_one_that_can_be_protected() -> None:
    play = gateway(VENUE)
    assert [stop.quantity for stop in bought(play, "0.6 0.6 0.8", stop=D(90))] == [D(1), D(1)]
    assert [event.body.holds for event in play.unread if isinstance(event.body, Notice)][-1] is False


def test_a_stop_the_venue_does_not_hold_is_left_to_the_guard_and_its_take_profit_rests() -> None:
    play = gateway(VENUE)
    (profit,) = bought(play, "2", "BTC/USD", time_in_force=GTC, stop=D(90), take_profit=D(120))
    assert (profit.type, profit.quantity, profit.oco) == (LIMIT, D(2), "")
    assert "the venue holds no such stop" in held_notices(play)[0]


def test_a_take_profit_the_venue_does_not_hold_is_left_out_and_the_stop_says_so() -> None:
    play = gateway(VenueTraits(stocks=Takes({STOP: (GTC,), MARKET: (DAY,)})))
    (stop,) = bought(play, "10", stop=D(90), take_profit=D(120))
    assert (stop.type, stop.text) == (STOP, "take-profit 120 left out: the venue does not hold it")


def test_the_guards_own_exit_asks_for_a_time_in_force_that_is_taken() -> None:
    play = gateway(VENUE)
    bought(play, "2", "BTC/USD", time_in_force=GTC)
    play << ...
    own = intent(id="guard-1-1", symbol="BTC/USD", side=SELL, quantity=D(2), exit=True)
    play >> approved(own)
    (sent,) = play.heard(VenueSubmit)
    assert sent.order.time_in_force is GTC


def test_ids_of_protective_orders_stay_short_enough_for_every_venue() -> None:
    play = gateway(VenueTraits())
    long = "a-strategy-of-some-name-1700000000-1234567"
    assert len(long) < 48
    for number, part in enumerate(("0.123456789", "0.2", "0.3")):
        wanted = intent(id=long[:-1] + str(number), quantity=D(part), stop=D(90))
        play >> approved(wanted)
        play >> VenueFill(f"f{number}", wanted.id, "SPY", Side.BUY, D(part), D(100), D(0), BEGIN, BEGIN)
    ids = [said.order.id for said in play.heard(VenueSubmit)]
    assert len(ids) == len(set(ids)) == 6
    assert max(map(len, ids)) <= 48
