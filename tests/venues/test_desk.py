"""The desk between the gateway and a broker: every answer, and every lack of one, becomes what it is, and no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from appliance.clients.bell import Bell
from appliance.core.connection import Phase
from appliance.core.outbox import Rates
from appliance.core.rate_limit import Rate
from appliance.domain.messages import (
    OpenOrder,
    VenueAsk,
    VenueCancel,
    VenueFill,
    VenueLink,
    VenueLook,
    VenueReport,
    VenueSnapshot,
)
from appliance.domain.orders import OrderEvent
from appliance.domain.trading import Account, OrderType, Side
from appliance.domain.venue import LinkState
from appliance.errors import (
    EnvironmentFault,
    VenueBusy,
    VenueDown,
    VenueError,
    VenueNonsense,
    VenueRefused,
    VenueSilent,
)
from appliance.venues.base import Answer, Condition, Lost
from appliance.venues.crew import LEFT_MAX, Crew
from tests.playbook import BEGIN, SECOND
from tests.venues.scripted import Counter, Hang, ScriptedBroker, submit

D = Decimal


@pytest.fixture
def counter() -> Iterator[Counter]:
    made = Counter()
    yield made
    made.close()


def filled(key: str = "k-1", name: str = "a") -> VenueFill:
    return VenueFill(key, name, "SPY", Side.BUY, D(100), D("10.01"), D(0), BEGIN, BEGIN)


def snapshots(counter: Counter) -> list[VenueSnapshot]:
    return [body for body in counter.told if isinstance(body, VenueSnapshot)]


# --- the connection -----------------------------------------------------------------------------------------------


def test_it_connects_when_the_core_asks_and_tells_that_all_is_to_be_compared(counter: Counter) -> None:
    counter.up()
    assert [(link.up, link.state) for link in counter.links()] == [
        (False, LinkState.CONNECTING), (True, LinkState.SYNCING),
    ]  # fmt: skip


def test_one_that_is_refused_says_so_and_is_tried_again_slowly(counter: Counter) -> None:
    counter.broker.script["open"] = [VenueRefused("unauthorized", hint="renew the keys")]
    counter.ask(VenueLink(False, "connect"))
    counter.until(lambda: len(counter.links()) == 2)
    assert counter.links()[-1] == VenueLink(False, "unauthorized; renew the keys", LinkState.REFUSED)
    counter.wait(14)
    assert len(counter.broker.called("open")) == 1
    counter.wait(30)
    counter.until(lambda: counter.links()[-1].up)


def test_a_connection_that_ends_by_itself_is_closed_and_opened_anew(counter: Counter) -> None:
    counter.up()
    counter.broker.say(Lost(VenueDown("reset by peer")))
    counter.until(lambda: counter.links()[-1].state is LinkState.DOWN)
    counter.until_called("close")
    counter.wait(5)
    counter.until(lambda: counter.links()[-1].up)
    assert [name for name, _ in counter.broker.calls] == ["open", "close", "open"]


def test_a_heartbeat_without_answer_ends_the_connection(counter: Counter) -> None:
    counter.up()
    counter.broker.script["beat"] = [Hang()]
    counter.wait(5)
    counter.until_called("beat")
    counter.wait(5)
    counter.until(lambda: not counter.links()[-1].up)
    counter.until_called("close")
    counter.wait(5)
    counter.until(lambda: counter.links()[-1].up)
    assert [name for name, _ in counter.broker.calls] == ["open", "beat", "close", "open"]


def test_who_wants_fewer_heartbeats_has_answered_one(counter: Counter) -> None:
    counter.up()
    counter.broker.script["beat"] = [VenueBusy("max rate of messages", wait=SECOND)]
    counter.wait(5)
    counter.until_called("beat")
    counter.wait(5)
    counter.until_called("beat", 2)
    assert counter.links()[-1].up


def test_a_question_without_answer_brings_the_next_beat_at_once(counter: Counter) -> None:
    counter.up()
    counter.broker.script["order"] = [VenueSilent("timed out")]
    counter.ask(VenueAsk("a"))
    counter.until(lambda: counter.reports() == [("a", "lose", "")])
    counter.until_called("beat")
    assert counter.clock.time == BEGIN


def test_a_venue_that_lost_something_is_compared_anew(counter: Counter) -> None:
    counter.up()
    counter.broker.say(Condition(LinkState.DEGRADED, "1100", "connectivity lost"))
    counter.broker.say(Condition(LinkState.READY, "1102", "restored", lost=True))
    counter.until(lambda: len(counter.links()) == 4)
    assert [(link.state, link.code) for link in counter.links()[2:]] == [
        (LinkState.DEGRADED, "1100"), (LinkState.SYNCING, "1102"),
    ]  # fmt: skip


def test_a_thread_that_raises_what_it_must_not_ends_the_process(counter: Counter) -> None:
    counter.up()
    counter.broker.script["submit"] = [KeyError("orderId")]
    counter.ask(submit("a"))
    with pytest.raises(KeyError, match="orderId"):
        counter.until(lambda: bool(counter.reports()))


# --- orders -------------------------------------------------------------------------------------------------------


def test_an_accepted_order_is_told_as_the_broker_told_it(counter: Counter) -> None:
    counter.up().ask(submit("a"))
    counter.until(lambda: bool(counter.reports()))
    assert counter.told[-1] == VenueReport("a", OrderEvent.ACCEPT, BEGIN, "v-a")


@pytest.mark.parametrize(
    ("error", "event", "code"),
    [
        (VenueSilent("timed out"), "lose", ""),
        (VenueNonsense("<html>"), "lose", ""),
        (VenueError("who knows"), "lose", ""),
        (VenueDown("not connected"), "deny", "NOT_SENT"),
        (VenueRefused("unauthorized"), "reject", "NOT_ALLOWED"),
    ],
)
def test_an_order_is_lost_unless_the_venue_is_certain_it_was_never_sent(
    counter: Counter, error: VenueError, event: str, code: str
) -> None:
    counter.up()
    counter.broker.script["submit"] = [error]
    counter.ask(submit("a"))
    counter.until(lambda: bool(counter.reports()))
    assert counter.reports() == [("a", event, code)]
    assert counter.told[-1].text or counter.links()[-1].text


def test_an_order_the_venue_was_too_busy_for_is_sent_again_when_it_says_and_only_then(counter: Counter) -> None:
    counter.up()
    counter.broker.script["submit"] = [VenueBusy("429", wait=3 * SECOND)]
    counter.ask(submit("a"))
    counter.until(lambda: counter.desk.counters.get("busy") == 1)
    counter.wait(2.9)
    assert counter.broker.called("submit") == ["a"]
    counter.wait(0.2)
    counter.until(lambda: counter.reports() == [("a", "accept", "")])
    assert counter.broker.called("submit") == ["a", "a"]


def test_an_order_without_a_connection_is_denied_and_never_sent(counter: Counter) -> None:
    counter.ask(submit("a"))
    assert counter.reports() == [("a", "deny", "NOT_SENT")]
    counter.up()
    assert counter.broker.called("submit") == []


def test_orders_that_wait_for_their_turn_are_denied_when_the_connection_ends() -> None:
    counter = Counter(rates=Rates({"orders": Rate(1, 1)}, {"submit": {"orders": 1}}))
    counter.up().ask(submit("a"), submit("b"))
    counter.until(lambda: counter.reports() == [("a", "accept", "")])
    counter.broker.say(Lost(VenueDown("reset by peer")))
    counter.until(lambda: len(counter.reports()) == 2)
    assert counter.reports()[1] == ("b", "deny", "NOT_SENT")
    counter.wait(5)
    counter.until(lambda: counter.links()[-1].up)
    counter.wait(5)
    counter.close()
    assert counter.broker.called("submit") == ["a"]


def test_new_risk_is_not_sent_to_a_venue_that_lost_its_way_to_the_market() -> None:
    counter = Counter(rates=Rates({"orders": Rate(1, 1)}, {"submit": {"orders": 1}}))
    counter.up().ask(submit("first"), submit("risk"), submit("exit", exit=True))
    counter.broker.say(Condition(LinkState.DEGRADED, "1100", "connectivity lost"))
    counter.until(lambda: ("risk", "deny", "NOT_SENT") in counter.reports())
    counter.wait(2)
    counter.until(lambda: ("exit", "accept", "") in counter.reports())
    counter.close()
    assert sorted(counter.broker.called("submit")) == ["exit", "first"]


def test_fills_are_told_before_the_report_that_counts_them(counter: Counter) -> None:
    counter.up()
    report = VenueReport("a", OrderEvent.ACCEPT, BEGIN, filled=D(100))
    counter.broker.script["order"] = [Answer(report, (filled(),))]
    counter.ask(VenueAsk("a"))
    counter.until(lambda: bool(counter.reports()))
    assert counter.told[-2:] == [filled(), report]


def test_an_answer_from_before_an_order_was_sent_again_is_none(counter: Counter) -> None:
    counter.up()
    gate = threading.Event()
    absent = Answer(VenueReport("a", OrderEvent.ABSENT, BEGIN))
    counter.broker.script["order"] = [lambda: gate.wait(5) and absent]
    counter.ask(VenueAsk("a"))
    counter.until_called("order")
    counter.ask(submit("a"))
    gate.set()
    counter.until(lambda: bool(counter.reports()))
    assert counter.reports() == [("a", "accept", "")]


def test_what_is_heard_is_passed_on_also_before_all_was_compared(counter: Counter) -> None:
    counter.up()
    counter.broker.say(filled())
    counter.until(lambda: filled() in counter.told)


def test_new_risk_asked_for_while_the_venue_is_degraded_is_denied_and_an_exit_is_not(counter: Counter) -> None:
    counter.up()
    counter.broker.say(Condition(LinkState.DEGRADED, "1100", "connectivity lost"))
    counter.until(lambda: counter.links()[-1].state is LinkState.DEGRADED)
    counter.ask(submit("risk"), submit("exit", exit=True))
    counter.until(lambda: len(counter.reports()) == 2)
    assert sorted(counter.reports()) == [("exit", "accept", ""), ("risk", "deny", "NOT_SENT")]


# --- cancels ------------------------------------------------------------------------------------------------------


def test_a_cancel_that_may_not_have_arrived_says_nothing_about_the_order(counter: Counter) -> None:
    counter.up()
    counter.broker.script["cancel"] = [VenueSilent("timed out")]
    counter.ask(VenueCancel("a"))
    counter.until(lambda: counter.desk.counters.get("unanswered") == 1)
    assert counter.reports() == []


def test_a_cancel_that_was_not_sent_is_sent_again_and_goes_first_over_the_next_connection(counter: Counter) -> None:
    counter.up()
    counter.broker.script["cancel"] = [VenueDown("not connected")]
    counter.broker.script["beat"] = [VenueDown("not connected")]
    counter.ask(VenueCancel("a"))
    counter.until(lambda: not counter.links()[-1].up)
    counter.wait(5)
    counter.until_called("cancel", 2)
    assert counter.broker.called("cancel") == ["a", "a"]


def test_a_cancel_asked_for_without_a_connection_goes_out_first_of_all(counter: Counter) -> None:
    counter.ask(VenueCancel("a"), VenueLook(1)).up()
    counter.until_called("cancel")
    assert counter.broker.calls[:2] == [("open", None), ("cancel", "a")]


def test_exits_and_cancels_get_out_while_new_risk_hangs(counter: Counter) -> None:
    counter.up()
    counter.broker.script |= {f"submit {name}": [Hang()] for name in ("a", "b", "c", "exit")}
    counter.ask(submit("a"), submit("b"), submit("c"))
    counter.until_called("submit", 2)
    counter.ask(submit("exit", exit=True))
    counter.until_called("submit", 3)
    counter.ask(submit("exit too", exit=True), VenueCancel("old"))
    counter.until_called("cancel")
    assert sorted(counter.broker.called("submit")) == ["a", "b", "exit"]


def test_an_order_the_venue_was_too_busy_for_is_not_sent_over_the_next_connection(counter: Counter) -> None:
    counter.up()
    gate = threading.Event()

    def busy() -> None:
        gate.wait(5)
        raise VenueBusy("429", wait=3 * SECOND)

    counter.broker.script["submit"] = [busy]
    counter.ask(submit("a"))
    counter.until_called("submit")
    counter.broker.say(Lost(VenueDown("reset by peer")))
    counter.until(lambda: not counter.links()[-1].up)
    gate.set()
    counter.until(lambda: counter.reports() == [("a", "deny", "NOT_SENT")])


def test_a_cancel_gets_out_of_a_half_open_link_once_it_is_opened_anew(counter: Counter) -> None:
    counter.up()
    hung = [Hang(through_close=True) for _ in range(5)]
    counter.broker.script |= {"submit": hung[:2], "cancel": hung[2:4], "beat": [hung[4]]}
    counter.ask(submit("a"), submit("b"), VenueCancel("old"), VenueCancel("older"), VenueCancel("oldest"))
    counter.until_called("cancel", 2)
    counter.wait(5)
    counter.until_called("beat")
    counter.wait(5)
    counter.until_called("close")
    counter.wait(8)
    counter.until(lambda: len(counter.reports()) == 2)
    assert sorted(counter.reports()) == [("a", "lose", ""), ("b", "lose", "")]
    counter.until(lambda: counter.links()[-1].up)
    counter.until_called("cancel", 3)
    assert sorted(counter.broker.called("cancel")) == ["old", "older", "oldest"]
    assert counter.clock.time - BEGIN <= 20 * SECOND


def test_an_order_cancelled_while_it_waits_is_neither_sent_nor_cancelled() -> None:
    counter = Counter(rates=Rates({"orders": Rate(1, 1)}, {"submit": {"orders": 1}}))
    counter.up().ask(submit("a"), submit("b"), VenueCancel("b"))
    counter.until(lambda: len(counter.reports()) == 2)
    counter.wait(5)
    counter.close()
    assert ("b", "deny", "NOT_SENT") in counter.reports()
    assert counter.broker.called("submit") == ["a"]
    assert counter.broker.called("cancel") == []


# --- looks --------------------------------------------------------------------------------------------------------


def test_a_look_is_all_of_the_account_strangers_included(counter: Counter) -> None:
    counter.up()
    ours = OpenOrder("a", "v-a", "SPY", Side.BUY, D(100), OrderType.LIMIT)
    stranger = OpenOrder("", "v-x", "TLT", Side.SELL, D(5), OrderType.MARKET)
    counter.broker.script = {
        "open_orders": [(ours, stranger)], "fills": [(filled(),)],
        "account": [Account(D(500), equity=D(900), buying_power=D(1800))],
    }  # fmt: skip
    counter.broker.positions_held = {"TLT": D(-3), "SPY": D(100), "GLD": D(0)}
    counter.ask(VenueLook(4, 77))
    counter.until(lambda: bool(snapshots(counter)))
    assert snapshots(counter) == [
        VenueSnapshot(
            4, BEGIN, ("a",), (filled(),), {"SPY": D(100), "TLT": D(-3)}, D(500), 77, (), (ours, stranger), D(900),
            D(1800),
        )
    ]  # fmt: skip
    assert list(snapshots(counter)[0].positions) == ["SPY", "TLT"]
    assert counter.broker.called("fills") == [77]


@pytest.mark.parametrize("part", ["positions", "open_orders", "fills", "activities", "account"])
def test_a_look_that_misses_any_answer_is_none(counter: Counter, part: str) -> None:
    counter.up()
    counter.broker.script[part] = [VenueSilent("timed out")]
    counter.ask(VenueLook(1))
    counter.until(lambda: counter.desk.counters.get("unanswered") == 1)
    assert snapshots(counter) == []
    counter.ask(VenueLook(2))
    counter.until(lambda: [one.n for one in snapshots(counter)] == [2])


def test_a_look_during_which_positions_changed_is_made_anew(counter: Counter) -> None:
    counter.up()
    counter.broker.script["positions"] = [{"SPY": D(1)}, {"SPY": D(2)}]
    counter.broker.positions_held = {"SPY": D(2)}
    counter.ask(VenueLook(1))
    counter.until(lambda: bool(snapshots(counter)))
    assert snapshots(counter)[0].positions == {"SPY": D(2)}
    assert len(counter.broker.called("positions")) == 4


def test_positions_that_never_stand_still_are_no_picture(counter: Counter) -> None:
    counter.up()
    counter.broker.script["positions"] = [{"SPY": D(n)} for n in range(1, 7)]
    counter.ask(VenueLook(1))
    counter.until(lambda: counter.desk.counters.get("unanswered") == 1)
    assert snapshots(counter) == []


def test_a_look_during_which_a_fill_was_told_is_made_anew(counter: Counter) -> None:
    counter.up()

    def interrupted() -> tuple[Any, ...]:
        counter.broker.say(filled())
        return ()

    counter.broker.script["fills"] = [interrupted, (filled(),)]
    counter.ask(VenueLook(1))
    counter.until(lambda: bool(snapshots(counter)))
    assert snapshots(counter)[0].fills == (filled(),)


def test_a_look_that_takes_long_is_the_answer_to_those_that_came_meanwhile(counter: Counter) -> None:
    counter.up()
    gate = threading.Event()
    counter.broker.script["account"] = [lambda: gate.wait(5) and Account(D(7))]
    counter.ask(VenueLook(1, 5))
    counter.until_called("account")
    counter.ask(VenueLook(2, 5))
    gate.set()
    counter.until(lambda: bool(snapshots(counter)))
    assert [(one.n, one.cash) for one in snapshots(counter)] == [(2, D(7))]


def test_a_look_during_which_the_core_learned_of_a_fill_is_no_answer_to_a_newer_one(counter: Counter) -> None:
    counter.up()
    gate = threading.Event()
    counter.broker.script["account"] = [lambda: gate.wait(5) and Account(D(7))] * 3
    counter.ask(VenueLook(1))
    counter.until_called("account")
    counter.broker.script["order"] = [Answer(VenueReport("a", OrderEvent.ACCEPT, BEGIN, filled=D(100)), (filled(),))]
    counter.ask(VenueAsk("a"))
    counter.until(lambda: filled() in counter.told)
    counter.ask(VenueLook(2))
    gate.set()
    counter.until(lambda: len(snapshots(counter)) == 2)
    assert [one.n for one in snapshots(counter)] == [1, 2]


def test_a_look_begun_before_something_was_lost_is_none(counter: Counter) -> None:
    counter.up()
    gate = threading.Event()
    counter.broker.script["account"] = [lambda: gate.wait(5) and Account(D(7))]
    counter.ask(VenueLook(1))
    counter.until_called("account")
    counter.broker.say(Condition(LinkState.READY, "1101", lost=True))
    counter.until(lambda: counter.links()[-1].code == "1101")
    counter.ask(VenueLook(2))
    gate.set()
    counter.until(lambda: bool(snapshots(counter)))
    assert [(one.n, one.cash) for one in snapshots(counter)] == [(2, D(1000))]


# --- threads ------------------------------------------------------------------------------------------------------


def test_a_question_that_never_comes_back_is_unanswered_and_its_thread_replaced(counter: Counter) -> None:
    counter.up()
    counter.broker.script["submit"] = [Hang(through_close=True)]
    counter.broker.script["beat"] = []
    counter.ask(submit("a"))
    counter.until_called("submit")
    for _ in range(3):
        counter.wait(4.5)
        counter.until(lambda: counter.desk.link.due() != counter.clock.time)
    counter.until(lambda: counter.reports() == [("a", "lose", "")])
    assert not counter.links()[-1].up
    counter.wait(5)
    counter.until(lambda: counter.links()[-1].up)
    counter.ask(submit("b"))
    counter.until(lambda: ("b", "accept", "") in counter.reports())


def test_what_a_thread_that_was_given_up_says_later_is_not_heard() -> None:
    bell, gate = Bell(), threading.Event()
    crew = Crew({"one": 1}, bell)
    crew.give("one", "late", lambda: gate.wait(5), deadline=10)
    assert [job.about for job in crew.overdue(10)] == ["late"]
    gate.set()
    crew.give("one", "next", lambda: 2, deadline=20)
    crew.close(5)
    assert [(done.job.about, done.value) for done in crew.take()] == [("next", 2)]
    bell.close()


def test_too_many_threads_that_hang_end_the_process() -> None:
    bell, gate = Bell(), threading.Event()
    crew = Crew({"one": 1}, bell)
    for _ in range(LEFT_MAX):
        crew.give("one", "hangs", lambda: gate.wait(5), deadline=1)
        crew.overdue(1)
    assert crew.left == LEFT_MAX
    crew.give("one", "hangs", lambda: gate.wait(5), deadline=1)
    with pytest.raises(EnvironmentFault, match="threads hang"):
        crew.overdue(1)
    gate.set()
    bell.close()


def test_the_desk_ends_though_a_question_hangs() -> None:
    counter = Counter(ScriptedBroker()).up()
    counter.broker.script["submit"] = [Hang()]
    counter.ask(submit("a"))
    counter.until_called("submit")
    counter.desk.close()
    assert counter.broker.called("close") == [None]


# --- whatever happens ---------------------------------------------------------------------------------------------


MISHAPS = (
    lambda: VenueSilent("timed out"), lambda: VenueDown("gone"), lambda: VenueBusy("429", wait=SECOND),
    lambda: VenueNonsense("<html>"), Hang, lambda: Hang(through_close=True),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_every_order_has_one_answer_and_is_sent_once_whatever_befalls_the_link(seed: int) -> None:
    dice, counter = Random(seed), Counter().up()
    names = [f"o-{n}" for n in range(12)]
    met = {name: dice.choice(MISHAPS)() for name in names if dice.random() < 0.7}
    counter.broker.script = {f"submit {name}": [what] for name, what in met.items()}
    for name in names:
        counter.ask(submit(name))
        if dice.random() < 0.2:
            counter.broker.say(Lost(VenueDown("reset by peer")))
        counter.poll()
        counter.wait(dice.choice((0, 0, 1, 7)))
    for _ in range(40):
        counter.wait(2)
        counter.until(lambda: counter.desk.link.phase is not Phase.OPENING)
    sent = counter.broker.called("submit")
    counter.close()
    told = {one.order_id: one for one in counter.told if isinstance(one, VenueReport)}
    assert sorted(name for name, _, _ in counter.reports()) == sorted(names)
    for name in names:
        busy, down = (isinstance(met.get(name), kind) for kind in (VenueBusy, VenueDown))
        assert sent.count(name) <= 1 + busy
        assert told[name].event is not OrderEvent.DENY or busy or down or name not in sent
