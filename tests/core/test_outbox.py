"""What waits for its turn at the broker goes in order of urgency, within the rates, once, and never late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.outbox import CANCEL_PAUSE, Outbox, Rates, Request, Urgency, order_id_of, urgency_of
from appliance.core.rate_limit import Rate
from appliance.domain.messages import Now, VenueAsk, VenueCancel, VenueLook, VenueReport, VenueSubmit
from appliance.domain.orders import OrderEvent, OrderStatus
from appliance.domain.trading import Order
from tests.core import make
from tests.playbook import BEGIN, SECOND

ALL = {kind: {"one": 1} for kind in ("submit", "cancel", "ask", "look")}


def at(seconds: float = 0, boot: str = "boot-1") -> Now:
    ticks = BEGIN + int(seconds * SECOND)
    return Now(ticks, boot, ticks)


def order(name: str = "a", *, exit: bool = False, protects: str = "", valid: int = 3600, symbol: str = "") -> Order:
    wanted = make.intent(id=name, exit=exit, symbol=symbol or name)
    approval = make.approved(wanted, valid=valid * SECOND)
    return make.order(wanted, OrderStatus.SENDING, approval=approval, protects=protects)


def submit(name: str = "a", **given: object) -> VenueSubmit:
    return VenueSubmit(order(name, **given))  # type: ignore[arg-type]


def outbox(per_second: float = 1, burst: int = 2, reserve: int = 0, most: int = 1000) -> Outbox:
    return Outbox(Rates({"one": Rate(per_second, burst, reserve)}, ALL), BEGIN, most)


def drain(box: Outbox, now: Now, least: Urgency | None = Urgency.RISK, looks: bool = True) -> list[Request]:
    taken = []
    while (one := box.take(now, least, looks).request) is not None:
        box.done(one)
        taken.append(one)
    return taken


def test_cancels_go_before_reductions_before_questions_before_new_risk() -> None:
    box = Outbox()
    requests = [
        submit("risk"), VenueLook(1), VenueAsk("doubt"), submit("exit", exit=True), submit("stop", protects="x"),
        VenueCancel("old"),
    ]  # fmt: skip
    for request in requests:
        assert box.put(request, at()) == []
    names = [order_id_of(request) or "look" for request in drain(box, at())]
    assert names == ["old", "exit", "stop", "look", "doubt", "risk"]


def test_an_order_cancelled_before_its_turn_is_never_sent_and_neither_is_its_cancel() -> None:
    box = Outbox()
    box.put(submit("a"), at())
    (told,) = box.put(VenueCancel("a"), at())
    assert (told.order_id, told.event, told.code) == ("a", OrderEvent.DENY, "NOT_SENT")
    assert drain(box, at()) == []


def test_a_cancel_of_an_order_on_its_way_waits_for_the_answer() -> None:
    box = Outbox()
    box.put(submit("a"), at())
    sent = box.take(at()).request
    assert sent is not None
    assert box.put(VenueCancel("a"), at()) == []
    assert box.take(at()).request is None
    box.done(sent)
    assert drain(box, at()) == [VenueCancel("a")]


def test_orders_of_one_symbol_are_sent_one_after_the_other() -> None:
    box = Outbox()
    for request in (submit("exit", symbol="SPY", exit=True), submit("entry", symbol="SPY"), submit("other")):
        box.put(request, at())
    first, second = (box.take(at()).request for _ in range(2))
    assert first is not None
    assert second is not None
    assert (order_id_of(first), order_id_of(second)) == ("exit", "other")
    assert box.take(at()).request is None
    box.done(first)
    assert [order_id_of(one) for one in drain(box, at())] == ["entry"]


def test_an_order_put_back_while_its_cancel_waits_is_not_sent_again() -> None:
    box = Outbox()
    box.put(submit("a"), at())
    sent = box.take(at()).request
    assert sent is not None
    box.put(VenueCancel("a"), at())
    (told,) = box.put_back(sent, at(), SECOND)
    assert (told.event, told.code) == (OrderEvent.DENY, "NOT_SENT")
    assert drain(box, at(60)) == []


def test_an_order_that_waits_past_its_validity_is_denied_and_never_sent_late() -> None:
    box = outbox(burst=1)
    for name in ("a", "b"):
        box.put(submit(name, valid=5), at())
    assert drain(box, at(0)) == [submit("a", valid=5)]
    assert box.late(at(5)) == []
    assert drain(box, at(5.01)) == [], "not even before it is found to be late"
    (told,) = box.late(at(5.1))
    assert (told.order_id, told.event, told.code) == ("b", OrderEvent.DENY, "RATE_LIMITED")
    assert drain(box, at(60)) == []


def test_an_order_approved_before_the_machine_started_anew_is_late() -> None:
    box = Outbox()
    box.put(submit("a"), at())
    assert [told.order_id for told in box.late(at(0, "boot-2"))] == ["a"]


def test_an_exit_that_waited_for_what_it_takes_the_place_of_is_never_too_late() -> None:
    box = Outbox()
    box.put(submit("exit", exit=True, valid=1), at())
    box.put(submit("stop", protects="x", valid=1), at())
    assert box.late(at(60)) == []
    assert len(drain(box, at(60))) == 2


def test_looks_conflate_to_the_newest_and_questions_about_one_order_to_one() -> None:
    box = Outbox()
    for request in (VenueLook(1, 5), VenueAsk("a"), VenueLook(2, 7), VenueAsk("b"), VenueAsk("a")):
        box.put(request, at())
    assert drain(box, at()) == [VenueLook(2, 7), VenueAsk("a"), VenueAsk("b")]


def test_an_order_that_waits_for_its_turn_is_not_asked_about() -> None:
    box = Outbox()
    for request in (VenueAsk("a"), submit("a"), VenueAsk("a")):
        box.put(request, at())
    assert box.holds("a")
    assert drain(box, at()) == [submit("a")]
    assert not box.holds("a")


def test_a_cancel_asked_for_again_keeps_the_id_the_venue_knows_it_by() -> None:
    box = Outbox()
    for request in (VenueCancel("a", "v-1"), VenueCancel("a")):
        box.put(request, at())
    assert drain(box, at()) == [VenueCancel("a", "v-1")]


def test_a_look_under_way_answers_one_that_came_meanwhile_unless_that_wants_more() -> None:
    box = Outbox()
    box.put(VenueLook(2, 7), at())
    assert box.newer(VenueLook(1, 9)) is None
    assert box.newer(VenueLook(1, 7)) == VenueLook(2, 7)
    assert box.newer(VenueLook(1, 7)) is None


def test_the_reserve_is_for_cancels() -> None:
    box = outbox(burst=4, reserve=2)
    for name in "abcd":
        box.put(submit(name, exit=True), at())
    assert len(drain(box, at())) == 2
    for name in "wxyz":
        box.put(VenueCancel(name), at())
    assert [order_id_of(one) for one in drain(box, at())] == ["w", "x"]


def test_a_cheap_order_does_not_take_the_tokens_a_look_waits_for() -> None:
    rates = Rates({"one": Rate(1, 4)}, {"submit": {"one": 1}, "look": {"one": 4}})
    box = Outbox(rates, BEGIN)
    box.put(submit("a"), at())
    assert len(drain(box, at())) == 1
    box.put(submit("b"), at())
    box.put(VenueLook(1), at())
    assert box.take(at()).wait == SECOND
    assert drain(box, at(1)) == [VenueLook(1)]


def test_who_has_no_worker_holds_nobody_up() -> None:
    box = outbox(burst=1)
    box.put(VenueLook(1), at())
    box.put(submit("a"), at())
    assert drain(box, at(), looks=False) == [submit("a")]


def test_workers_kept_for_what_is_urgent_begin_nothing_else() -> None:
    box = Outbox()
    for request in (submit("risk"), VenueAsk("doubt"), submit("exit", exit=True), VenueCancel("old"), VenueLook(1)):
        box.put(request, at())
    assert drain(box, at(), None) == [VenueLook(1)]
    assert drain(box, at(), Urgency.CANCEL) == [VenueCancel("old")]
    assert drain(box, at(), Urgency.REDUCE) == [submit("exit", exit=True)]
    assert len(drain(box, at())) == 2


def test_a_venue_that_wants_fewer_requests_gets_cancels_only_until_it_says() -> None:
    box = outbox(burst=10)
    box.put(submit("a"), at())
    sent = box.take(at()).request
    assert sent is not None
    box.put_back(sent, at(), 30 * SECOND)
    box.put(submit("b"), at())
    box.put(VenueCancel("c"), at())
    assert drain(box, at(1)) == [VenueCancel("c")]
    assert box.take(at(1)).wait == 29 * SECOND
    assert [order_id_of(one) for one in drain(box, at(30))] == ["a", "b"]


def test_a_cancel_that_came_too_often_is_tried_again_within_a_second() -> None:
    box = Outbox()
    box.put(VenueCancel("a"), at())
    sent = box.take(at()).request
    assert sent is not None
    box.put_back(sent, at(), 60 * SECOND)
    assert box.take(at()).wait == CANCEL_PAUSE
    assert drain(box, at(1)) == [VenueCancel("a")]


def test_what_a_reply_says_of_the_budget_is_heeded() -> None:
    box = outbox(burst=10)
    box.observe(BEGIN, 0, 10 * SECOND)
    box.put(submit("a"), at())
    assert box.take(at()).wait == 10 * SECOND


def test_a_lost_connection_leaves_orders_unsent_and_keeps_cancels() -> None:
    box = Outbox()
    for request in (submit("a"), submit("stop", protects="x"), VenueAsk("b"), VenueLook(1), VenueCancel("c")):
        box.put(request, at())
    told = box.lost("the line is dead", at())
    assert sorted((one.order_id, one.code, one.text) for one in told) == [
        ("a", "NOT_SENT", "the line is dead"), ("stop", "NOT_SENT", "the line is dead"),
    ]  # fmt: skip
    assert drain(box, at()) == [VenueCancel("c")]


def test_more_orders_than_can_wait_are_denied_at_once_and_cancels_never() -> None:
    box = outbox(most=2)
    for name in "ab":
        assert box.put(submit(name), at()) == []
    (told,) = box.put(submit("c"), at())
    assert (told.event, told.code) == (OrderEvent.DENY, "RATE_LIMITED")
    assert box.put(VenueCancel("x"), at()) == []
    assert box.depth == {"cancel": 1, "reduce": 0, "doubt": 0, "risk": 2}


@pytest.mark.parametrize(
    "costs", [{"submit": {"two": 1}}, {"replace": {"one": 1}}, {"submit": {"one": 3}}, {"look": {"one": 0}}]
)
def test_rates_that_could_never_be_kept_are_a_mistake(costs: dict[str, dict[str, int]]) -> None:
    with pytest.raises(ValueError, match="costs"):
        Rates({"one": Rate(1, 4, 2)}, costs)


# --- whatever happens ---------------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcde")
REQUESTS = st.one_of(
    st.builds(lambda name, exit: submit(name, exit=exit), NAMES, st.booleans()),
    st.builds(VenueCancel, NAMES),
    st.builds(VenueAsk, NAMES),
    st.builds(VenueLook, st.integers(1, 9)),
)
MOVES = st.lists(st.one_of(REQUESTS, st.sampled_from(["take", "done", "back", "wait", "lost"])), max_size=60)


class Story:
    """Plays moves against an outbox, and remembers what became of every order put in."""

    def __init__(self) -> None:
        self.box, self.now = outbox(per_second=2, burst=3, reserve=1), at()
        self.flying: list[Request] = []
        self.sent: list[tuple[int, Request]] = []
        self.inside: dict[str, None] = {}

    def say(self, told: list[VenueReport]) -> None:
        for one in told:
            assert one.order_id in self.inside, "an answer about an order that did not wait"
            del self.inside[one.order_id]

    def play(self, move: Request | str) -> None:
        if isinstance(move, str):
            getattr(self, move)()
            return
        if isinstance(move, VenueSubmit) and move.order.id not in self.inside:
            self.inside[move.order.id] = None
        self.say(self.box.put(move, self.now))

    def take(self) -> None:
        waiting = self.box.depth
        request = self.box.take(self.now).request
        if request is None:
            return
        assert order_id_of(request) not in [order_id_of(one) for one in self.flying] or not order_id_of(request)
        if urgency_of(request) is Urgency.RISK and not self.flying:
            assert waiting["cancel"] == 0, "new risk went before a cancel"
        self.flying.append(request)
        self.sent.append((self.now.ticks, request))
        if isinstance(request, VenueSubmit):
            del self.inside[request.order.id]

    def done(self) -> None:
        if self.flying:
            self.box.done(self.flying.pop(0))

    def back(self) -> None:
        if self.flying:
            request = self.flying.pop(0)
            if isinstance(request, VenueSubmit):
                self.inside[request.order.id] = None
            self.say(self.box.put_back(request, self.now, SECOND))

    def wait(self) -> None:
        self.now = Now(self.now.time + SECOND, self.now.boot, self.now.ticks + SECOND)

    def lost(self) -> None:
        self.say(self.box.lost("gone", self.now))


@given(MOVES)
def test_every_order_is_sent_or_denied_once_and_the_budget_is_kept(moves: list[Request | str]) -> None:
    story = Story()
    for move in moves:
        story.play(move)
    while story.flying:
        story.done()
    for _ in range(200):
        story.wait()
        story.take()
        story.done()
    assert story.inside == {}, "an order was lost"
    assert len(story.box) == 0
    for start, _ in story.sent:
        within = [ticks for ticks, _ in story.sent if start <= ticks <= start + 2 * SECOND]
        assert len(within) <= 3 + 2 * 2
