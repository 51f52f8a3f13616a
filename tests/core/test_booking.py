"""Bookings: how wishes become intents and cancels, and how a no is taken."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.core import booking
from appliance.core.booking import PATIENCE_MAX
from appliance.core.guard import GuardCore
from appliance.core.host import HostCore
from appliance.core.limits import LimitValues, rules
from appliance.core.wishes import CancelWish, Made, Wish
from appliance.domain.market import Quote
from appliance.domain.messages import DATA_BOOT, Event, EventType, Stage, Step, Ticks, local
from appliance.domain.operations import Latch, LatchState
from appliance.domain.orders import OrderStatus
from appliance.domain.trading import Account, Cancel, Denied, Intent, OrderType, Side, Signal, Trail
from tests.core.hosting import (
    MINUTE,
    Scripted,
    begin,
    by_close,
    cancels,
    closes,
    done,
    ends,
    host,
    live,
    own,
    scripted,
    target,
    wants,
    works,
)
from tests.core.make import again, bar, fill, intent, order, writers
from tests.playbook import BEGIN, SECOND, Playbook

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def said(play: Playbook) -> list[Any]:
    """The intents and cancels of what is unread; all of it counts as read."""
    found = [event.body for event in play.unread if isinstance(event.body, Intent | Cancel)]
    play << ...
    return found


# --- targets and orders that rest -----------------------------------------------------------------


def test_a_resting_target_is_left_alone_by_the_same_wish_and_makes_way_for_another() -> None:
    with live(scripted(bar=by_close(c1=target(100, 50), c2=target(100, 51)))) as play:
        play >> closes(play, 1) << Signal << wants(BUY, 100, limit_price=D(50), type=OrderType.LIMIT)
        resting = intent(id="trend-1-1", type=OrderType.LIMIT, limit_price=D(50))
        works(play, resting)
        play >> closes(play, 1) << Signal
        play >> closes(play, 2) << Signal << cancels("trend-1-1")
        play >> closes(play, 2) << Signal
        ends(play, resting, OrderStatus.CANCELED)
        play << wants(BUY, 100, limit_price=D(51))


@pytest.mark.parametrize(
    ("wish", "after"),
    [
        (target(60, 50), wants(BUY, 60, limit_price=D(50))),
        (target(100), wants(BUY, 100, type=OrderType.MARKET)),
        (target(-40), wants(SELL, 40, exit=False)),
        (target(0), None),
    ],
    ids=["less", "at market", "the other way", "nothing"],
)
def test_another_wish_waits_until_the_resting_order_is_gone(wish: Wish, after: Any) -> None:
    with live(scripted(bar=by_close(c1=target(100, 50), c2=wish))) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        play >> closes(play, 2) << Signal << cancels(resting.id)
        ends(play, resting, OrderStatus.CANCELED)
        if after is not None:
            play << after


def test_what_a_resting_order_filled_before_its_cancel_counts() -> None:
    with live(scripted(bar=by_close(c1=target(100, 50), c2=target(100)))) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        play >> closes(play, 2) << Signal << cancels(resting.id)
        working = order(resting)
        play >> fill(working, 30) >> replace(working, status=OrderStatus.CANCELED, filled=D(30))
        play << wants(BUY, 70, type=OrderType.MARKET)


def test_the_first_wish_said_again_after_its_cancel_is_asked_for_anew() -> None:
    """An order that is being cancelled leads nowhere."""
    with live(scripted(bar=by_close(c1=target(100, 50), c2=target(80, 50)))) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        play >> closes(play, 2) << Signal << cancels(resting.id)
        play >> closes(play, 1) << Signal
        ends(play, resting, OrderStatus.CANCELED)
        play << wants(BUY, 100, limit_price=D(50))


def test_a_wish_from_on_order_meets_an_order_that_has_ended() -> None:
    """The strategy repeats its target when the order expires: it is not taken for one that still leads there."""
    script = {"bar": by_close(c1=target(100, 50)), "order expired": target(100, 50)}
    with live(scripted(**script)) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        ends(play, resting, OrderStatus.EXPIRED)
        play << Signal << wants(BUY, 100, limit_price=D(50))


def test_a_wish_from_on_order_takes_the_place_of_the_deferred_one() -> None:
    script = {"bar": by_close(c1=target(100, 50), c2=target(80, 50)), "order canceled": target(60, 50)}
    with live(scripted(**script)) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        play >> closes(play, 2) << Signal << Cancel
        ends(play, resting, OrderStatus.CANCELED)
        play << Signal << wants(BUY, 60)


def test_a_target_goes_on_when_the_oldest_order_of_a_thousand_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "BOOKED_MAX", 3)
    script = by_close(c1=target(100, 50), c2=own(BUY, 10, "t1"), c3=target(80, 50))
    with live(scripted(bar=script)) as play:
        play >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        for _ in range(2):
            play >> closes(play, 2)
            ends(play, said(play)[0], OrderStatus.CANCELED)
        play >> closes(play, 3) >> closes(play, 2) << ...
        ends(play, resting, OrderStatus.CANCELED)
        play << wants(BUY, 70, limit_price=D(50))


# --- orders of a strategy's own -------------------------------------------------------------------


def test_an_own_order_beyond_the_position_is_an_exit_and_an_entry_and_only_the_entry_has_a_bracket() -> None:
    bracket = {"stop": D(120), "take_profit": D(80), "trailing": None}
    with live(scripted(bar=by_close(c1=target(60), c2=own(SELL, 100, "t1", **bracket)))) as play:
        play >> closes(play, 1)
        done(play, said(play)[0])
        play << ...
        play >> closes(play, 2) << Signal
        play << wants(SELL, 60, exit=True, ticket="t1", stop=None, take_profit=None)
        play << wants(SELL, 40, exit=False, ticket="t1", stop=D(120), take_profit=D(80))


def test_exits_that_are_on_their_way_are_not_counted_twice() -> None:
    with live(scripted(bar=by_close(c1=target(60), c2=own(SELL, 40, "t1"), c3=own(SELL, 40, "t2")))) as play:
        play >> closes(play, 1)
        done(play, said(play)[0])
        play << ...
        play >> closes(play, 2) << Signal << wants(SELL, 40, exit=True)
        play >> closes(play, 3) << Signal << wants(SELL, 20, exit=True) << wants(SELL, 20, exit=False)


@pytest.mark.parametrize(
    ("wish", "which"),
    [
        (CancelWish(ticket="t1"), [1]),
        (CancelWish(ticket="trend-1-2"), [2]),
        (CancelWish(symbol="SPY"), [1, 2]),
        (CancelWish(), [1, 2]),
        (CancelWish(ticket="t9"), []),
        (CancelWish(ticket="t1", symbol="QQQ"), []),
    ],
    ids=["ticket", "id", "symbol", "all", "unknown", "ticket of another symbol"],
)
def test_a_cancel_names_orders_and_asks_for_each_once(wish: CancelWish, which: list[int]) -> None:
    script = by_close(c1=(own(BUY, 10, "t1", 50), own(BUY, 20, "t2", 51)), c2=wish)
    with live(scripted(bar=script)) as play:
        play >> closes(play, 1) << Signal << Intent << Signal << Intent
        play >> closes(play, 2)
        assert [one.order_id for one in said(play)] == [f"trend-1-{n}" for n in which]
        play >> closes(play, 2)
        assert said(play) == [], "each is asked for once"


def test_a_protective_stop_is_cancelled_only_by_its_id_and_only_by_its_strategy() -> None:
    script = {
        "bar": by_close(c1=target(100, stop=D(90)), c2=CancelWish(), c3=CancelWish(ticket="trend-1-1-s0")),
    }
    with live(scripted("other", bar=by_close(c2=CancelWish(ticket="trend-1-1-s0"))), scripted(**script)) as play:
        play >> closes(play, 1)
        (entry,) = said(play)
        done(play, entry)
        play >> replace(order(entry), id="trend-1-1-s0", protects=entry.id, side=SELL)
        play >> closes(play, 2)
        assert said(play) == []
        play >> closes(play, 3) << cancels("trend-1-1-s0")
        play >> closes(play, 3)
        play >> replace(order(entry), id="trend-1-1-s0", protects=entry.id, status=OrderStatus.CANCELED)
        play >> closes(play, 3)


def test_a_target_cancels_an_own_order_in_its_way_and_leaves_one_that_is_not() -> None:
    script = by_close(c1=own(BUY, 10, "t1", 50), c2=target(0), c3=target(5))
    with live(scripted(bar=script)) as play:
        play >> closes(play, 1) << Signal << Intent
        play >> closes(play, 2) << Signal
        play >> closes(play, 3) << Signal << cancels("trend-1-1")


# --- what was refused -----------------------------------------------------------------------------


def asked_at(play: Playbook, bars: int, close: float = 1, code: str = "MAX_ORDER") -> list[int]:
    """At which of so many bars the same wish was asked for; each is denied."""
    found = []
    for number in range(1, bars + 1):
        play >> closes(play, close)
        for one in said(play):
            found.append(number)
            play >> Denied(one, code, "no")
    play << ...
    return found


def test_a_denied_target_is_asked_for_after_one_two_four_more_wishes() -> None:
    with live(scripted(bar=target(100))) as play:
        assert asked_at(play, 40) == [1, 3, 6, 11, 20, 37]


def test_patience_has_an_end() -> None:
    with live(scripted(bar=target(100))) as play:
        asked = asked_at(play, 400)
        assert asked[-1] - asked[-2] == PATIENCE_MAX + 1


@pytest.mark.parametrize(
    "other",
    [
        target(90),
        target(100, 50),
        target(100, stop=D(80)),
        target(100, take_profit=D(120)),
        target(100, trailing=Trail(D(2), True)),
    ],
    ids=["quantity", "limit", "stop", "take profit", "trailing"],
)
def test_another_wish_is_asked_for_at_once(other: Wish) -> None:
    with live(scripted(bar=by_close(c1=target(100), c2=other))) as play:
        assert asked_at(play, 1) == [1]
        assert asked_at(play, 1, 2) == [1]
        assert asked_at(play, 1) == [1], "and so is the first one again"


def test_a_changed_position_makes_a_refused_target_a_new_one() -> None:
    with live(scripted(bar=by_close(c1=target(100), c2=own(BUY, 10, "t1")))) as play:
        assert asked_at(play, 1) == [1]
        play >> closes(play, 2)
        done(play, said(play)[0])
        play << ...
        play >> closes(play, 1) << Signal << wants(BUY, 90)


@pytest.mark.parametrize("state", [LatchState.ACTIVE, LatchState.REDUCING])
def test_a_changed_latch_makes_a_refused_target_a_new_one(state: LatchState) -> None:
    with live(scripted(bar=target(100))) as play:
        assert asked_at(play, 2) == [1]
        play >> Latch(state, 2) >> closes(play, 1) << Signal << wants(BUY, 100)


def test_what_the_venue_accepted_is_refused_no_longer() -> None:
    """A limit order of the day that expires after many denials is asked for again with the next wish."""
    with live(scripted(bar=target(100, 50))) as play:
        assert asked_at(play, 11) == [1, 3, 6, 11]
        play >> closes(play, 1) >> Latch() >> closes(play, 1)
        (resting,) = said(play)
        works(play, resting)
        ends(play, resting, OrderStatus.EXPIRED)
        play << ... >> closes(play, 1) << Signal << wants(BUY, 100)


def test_a_venues_rejections_count_like_denials() -> None:
    with live(scripted(bar=target(100))) as play:
        asked = []
        for number in range(1, 12):
            play >> closes(play, 1)
            for one in said(play):
                asked.append(number)
                play >> order(one, OrderStatus.SENDING)
                ends(play, one, OrderStatus.REJECTED, code="VENUE", text="not today")
        assert asked == [1, 3, 6, 11]


def test_patience_survives_a_restart() -> None:
    play = live(scripted(bar=target(100)))
    assert asked_at(play, 4) == [1, 3]
    after = Playbook(again(play.core, host(scripted(bar=target(100)))))
    after.now = play.now
    begin(after)
    assert asked_at(after, 8) == [2, 7]


def test_the_real_guards_no_reaches_the_strategy_once_and_is_not_asked_for_on_every_bar() -> None:
    """Host and guard wired together: a limit of 50 shares an order, a wish for 100 with every bar."""
    made = Scripted("trend", bar=target(100))
    core = HostCore("host@trend", writers("host@trend"), [Made("trend", lambda: made)])
    guard = Playbook(GuardCore("guard", writers("guard"), rules(LimitValues(max_order_shares=D(50)))))
    play = Playbook(core)
    begin(play)
    guard >> Account(D(1_000_000))
    intents = 0
    for _ in range(100):
        close = closes(play, 1)
        guard.now = play.now
        guard >> close
        play >> close
        for one in said(play):
            intents += 1
            guard >> one
            for answer in guard.heard(Denied):
                play >> answer
    denied = [told for told in made.told if getattr(told, "status", None) is OrderStatus.DENIED]
    assert len(denied) == intents == 7
    assert denied[0].code
    assert "50" in denied[0].text


# --- what was forgotten ---------------------------------------------------------------------------


def test_an_adopted_resting_target_is_left_alone_by_the_same_wish() -> None:
    lost = intent(id="trend-1-1", type=OrderType.LIMIT, limit_price=D(50), quantity=D(100), cause="feed/bars:1:0")
    play = Playbook(host(scripted(bar=by_close(c1=target(100, 50), c2=target(70, 50)))))
    play.unread.extend(play.core.started(play.now))
    works(play, lost)
    play.unread.extend(play.core.released(play.now))
    with play:
        play >> closes(play, 1) << Signal
        play >> closes(play, 2) << Signal << cancels("trend-1-1")


@pytest.mark.parametrize("cause", ["c1", "web:x", "start", "feed/bars:1", "a:b:c", ""])
def test_an_adopted_order_with_any_cause_is_taken(cause: str) -> None:
    play = live()
    play >> order(intent(id="trend-1-1", cause=cause))
    play >> closes(play, 100)
    assert said(play) == []


def test_quotes_after_a_feeds_restart_are_not_taken_for_decided_ones() -> None:
    """A feed numbers its ticks anew with every life: what was decided is known by the time of the quote."""

    class Quoting(Scripted):
        def quote(self, quote: Quote, now: int) -> tuple[Wish, ...]:
            return (target(100),)

    def ticks(n: int) -> Event:
        play.later(1)
        return local(Ticks(n, (Quote("SPY", play.now.time, 1.0, 2.0),)), play.now.time)

    play = live(lambda: Quoting())
    play >> ticks(5_000)
    cause = play.heard(Intent)[0].cause
    fresh = Playbook(host(lambda: Quoting()))
    fresh.now = play.now
    fresh.unread.extend(fresh.core.started(fresh.now))
    ends(fresh, intent(cause=cause), OrderStatus.CANCELED)
    fresh.unread.extend(fresh.core.released(fresh.now))
    fresh << ...
    play = fresh
    with play:
        play >> ticks(1) << Signal << wants(BUY, 100)


# --- the past -------------------------------------------------------------------------------------


def test_an_order_of_its_own_wished_on_the_past_is_not_sent() -> None:
    with live(scripted(bar=own(BUY, 10, "t1"))) as play:
        play.later(600)
        play >> bar(1, BEGIN) << Signal
        assert any("past" in line for line in play.core.logged)
        play >> bar(1, play.now.time - MINUTE) << Signal << wants(BUY, 10)


def test_after_a_bar_of_the_past_a_fill_of_the_present_is_acted_on() -> None:
    """The last bar was old because the market is closed: what is heard now is no less the present."""
    script = {"bar": by_close(c1=target(100)), "order canceled": own(SELL, 5, "t1")}
    with live(scripted(**script)) as play:
        play >> closes(play, 1)
        (entry,) = said(play)
        play.later(600)
        play >> bar(2, BEGIN + 2 * MINUTE)
        play >> order(entry, OrderStatus.SENDING) >> fill(order(entry), 30)
        ends(play, entry, OrderStatus.CANCELED, filled=D(30))
        play << Signal << wants(SELL, 5, exit=True)


def test_a_missed_target_gives_way_to_one_that_was_said_since() -> None:
    script = {"bar": by_close(c1=target(100), c2=target(70)), "fill": target(30)}
    with live(scripted(**script)) as play:
        play >> closes(play, 1)
        (entry,) = said(play)
        play.later(600)
        play >> bar(2, BEGIN + 2 * MINUTE) << Signal
        done(play, entry)
        play << Signal << wants(SELL, 70, exit=True)
        play >> closes(play, 3)


def test_a_target_missed_before_a_crash_waits_for_the_present() -> None:
    script = by_close(c1=target(100), c2=target(70))
    play = live(scripted(bar=script))
    play.later(600)
    play >> bar(1, BEGIN) << ...
    with Playbook(again(play.core, host(scripted(bar=script)))) as after:
        after.now = play.now
        begin(after)
        after >> bar(2, BEGIN + MINUTE) << Signal
        after >> bar(3, after.now.time - MINUTE) << wants(BUY, 70)


# --- restarts -------------------------------------------------------------------------------------

NUMBERS = st.sampled_from([0, 1, 2, 3])
WISHES = st.one_of(
    st.builds(target, st.sampled_from([-50, 0, 50, 100]), st.sampled_from([None, None, 10, 11])),
    st.builds(
        own,
        st.sampled_from([BUY, SELL]),
        st.sampled_from([10, 60]),
        st.sampled_from(["t1", "t2"]),
        st.sampled_from([None, 10]),
    ),
    st.builds(CancelWish, st.sampled_from(["", "t1"])),
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("bar"), NUMBERS),
        st.tuples(
            st.sampled_from(["deny", "send", "accept", "fill", "part", "cancel", "reject", "latch", "late"]), NUMBERS
        ),
    ),
    max_size=25,
)


class Venue:
    """Answers the intents of one conversation."""

    def __init__(self) -> None:
        self.open: dict[str, Any] = {}

    def note(self, events: list[Event]) -> None:
        for event in events:
            if event.type is EventType.INTENT:
                self.open[event.body.id] = order(event.body, OrderStatus.SENDING)

    def answers(self, act: str, number: int) -> list[Any]:
        if not self.open:
            return []
        key = list(self.open)[number % len(self.open)]
        now = self.open[key]
        if act == "deny":
            del self.open[key]
            return [Denied(now.intent, "X", "no")]
        if act in ("send", "accept"):
            self.open[key] = replace(now, status=OrderStatus.ACCEPTED if act == "accept" else now.status)
            return [self.open[key]]
        if act in ("fill", "part"):
            shares = now.remaining if act == "fill" or now.remaining < 2 else now.remaining // 2
            told = fill(now, int(shares))
            status = OrderStatus.FILLED if act == "fill" else OrderStatus.PARTIALLY_FILLED
            after = replace(now, filled=now.filled + shares, status=status)
            if after.remaining:
                self.open[key] = replace(after, status=OrderStatus.PARTIALLY_FILLED)
            else:
                del self.open[key]
            return [told, after]
        del self.open[key]
        return [replace(now, status=OrderStatus.CANCELED if act == "cancel" else OrderStatus.REJECTED)]


class Talk:
    """A host in conversation with a venue; it starts again from its journal's bytes before the messages in ``cuts``."""

    def __init__(self, bars: dict[str, Any], cuts: set[int], boot: str) -> None:
        self.script = {"bar": by_close(**bars), "order denied": bars.get("c3", ())}
        self.cuts = cuts
        self.play = Playbook(host(scripted(**self.script)), boot)
        self.venue = Venue()
        self.told: list[Any] = []
        self.n = 0
        begin(self.play)

    def say(self, body: Any) -> None:
        """One message, perhaps after a restart."""
        if self.n in self.cuts:
            fresh = again(self.play.core, host(scripted(**self.script)))
            fresh.writers = self.play.core.writers  # heads are committed with the rows
            self.play.core = fresh
            begin(self.play)
        self.n += 1
        self.play >> body
        self.venue.note(list(self.play.unread))
        self.told += said(self.play)

    def act(self, act: str, number: int) -> None:
        play = self.play
        play.later(60)
        late = 500 * SECOND if act == "late" else 0
        if act in ("bar", "late"):
            told = bar(number, play.now.time - MINUTE - late)
            self.say(Step(Stage.HOSTS, play.now.time, 0, (told,)) if play.now.boot == DATA_BOOT else told)
        elif act == "latch":
            self.say(Latch(LatchState.ACTIVE, self.n))
        else:
            for body in self.venue.answers(act, number):
                self.say(body)


def rows(talk: Talk) -> dict[str, bytes]:
    """The host's state; prices, and what is measured by them, begin anew at a restart."""
    priced = ("booked/", "performance/")
    return {key: row for key, row in talk.play.core.snapshot().items() if not key.startswith(priced)}


@pytest.mark.parametrize(
    ("bars", "acts", "cut"),
    [
        (
            {"c0": (own(SELL, 60, "t2", 10),), "c2": (target(-50, 11), target(100, 11))},
            [("bar", 2), ("bar", 0), ("reject", 0), ("bar", 0), ("bar", 3)],
            4,
        ),
        ({"c0": (target(-50),), "c3": (own(BUY, 10, "t1", 10),)}, [("late", 0), *[("bar", 3)] * 2, ("bar", 1)], 3),
    ],
    ids=["deferred twice", "said in the past"],
)
def test_a_target_that_waits_anew_leaves_what_was_asked_for_since_alone_also_after_a_restart(
    bars: dict[str, Any], acts: list[tuple[str, int]], cut: int
) -> None:
    """The target waits for an order of a later signal than its own; the newest order stays until that one has ended."""
    steady, restarted = Talk(bars, set(), "boot-1"), Talk(bars, {cut}, "boot-1")
    for talk in (steady, restarted):
        for act, number in acts:
            talk.act(act, number)
        *_, waits_for, newest = talk.venue.open
        assert [one.order_id for one in talk.told if isinstance(one, Cancel)][-1] == waits_for
        talk.act("cancel", list(talk.venue.open).index(waits_for))
        assert talk.told[-1].order_id == newest
    assert restarted.told == steady.told
    assert rows(restarted) == rows(steady)


def test_a_target_that_waits_anew_in_lockstep_leaves_what_was_asked_for_since_alone() -> None:
    talk = Talk({"c0": (own(SELL, 60, "t2", 10),), "c2": (target(-50, 11), target(100, 11))}, set(), DATA_BOOT)
    for act, number in [("bar", 2), ("bar", 0), ("reject", 0), ("bar", 1), ("bar", 0), ("bar", 1)]:
        talk.act(act, number)
    assert [one.order_id for one in talk.told if isinstance(one, Cancel)] == ["trend-1-1", "trend-1-3"]


@pytest.mark.parametrize("boot", ["boot-1", DATA_BOOT])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_restart_at_any_message_asks_for_the_same_and_for_nothing_twice(boot: str, data: st.DataObject) -> None:
    wishes = st.lists(WISHES, max_size=2).map(tuple)
    bars = {f"c{number}": data.draw(wishes) for number in range(4)}
    acts, cuts = data.draw(ACTS), data.draw(st.sets(st.integers(0, 40), max_size=4))
    steady, cut = Talk(bars, set(), boot), Talk(bars, cuts, boot)
    for act, number in acts:
        steady.act(act, number)
        cut.act(act, number)
    assert cut.told == steady.told
    assert len({one.id for one in cut.told}) == len(cut.told)
    assert rows(cut) == rows(steady)
