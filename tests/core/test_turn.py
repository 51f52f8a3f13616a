"""The turn: dedupe, handle, commit, publish; gaps, gates, epochs, poison."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from appliance.core.base import Core
from appliance.core.gateway import GatewayCore
from appliance.core.streams import Writer, Writers
from appliance.core.turn import BATCH_MAX, SECOND, Turn
from appliance.domain import wire
from appliance.domain.messages import (
    Ask,
    Compacted,
    Event,
    EventType,
    Now,
    Replayed,
    Ticks,
    VenueLink,
    local,
)  # fmt: skip
from appliance.domain.operations import Death, Head, Heartbeat, Inhibit, Peer, ProcessState, Progress, Spot, Wakeup
from appliance.domain.topics import PAYLOAD_MAX
from appliance.errors import JournalError
from tests.core.make import approved, bar, intent, order, quote, snapshot, told
from tests.core.memory import HandClock, MemoryStore, Wire
from tests.playbook import BEGIN

D = Decimal
INTENTS, ORDERS, BARS = "host/trend/intents", "gateway/orders", "feed/bars"


class Guardish(Core):
    """Approves every intent, counts in its state what it handled, and raises when it is told to."""

    watches = ("gateway",)

    def __init__(self, writers: Writers, plan: dict[str, int]) -> None:
        super().__init__("guard", writers)
        self.seen = self.table("seen", int)
        self.plan = plan
        self.wants: int | None = None
        self.open = True
        for kind in (EventType.BAR, EventType.TICKS, EventType.ORDER, EventType.PEER, EventType.WAKEUP):
            self.on(kind, self._note)
        self.on(EventType.INTENT, self._intent)

    def deadline(self) -> int | None:
        return self.wants

    def accepts(self, stream: str) -> bool:
        return self.open or stream == ORDERS

    def _note(self, event: Event, now: Now) -> None:
        key = event.position if event.stream else event.type.value
        self.seen[key] = self.seen.get(key, 0) + 1
        if self.plan.get(key, 0):
            self.plan[key] -= 1
            raise ValueError(f"cannot take {key}")

    def _intent(self, event: Event, now: Now) -> None:
        self.emit("guard/decisions", approved(event.body), now, event.body.id)
        self._note(event, now)


class House:
    """One guard-like turn and everything around it."""

    def __init__(self, gate: str = "", store: MemoryStore | None = None, boot: str = "boot-1", **plan: int) -> None:
        self.log: list[str] = []
        self.store = store or MemoryStore()
        self.store.log = self.log
        self.wire = Wire(self.log)
        self.clock = HandClock(boot=boot)
        self.plan = {key.replace("__", "/").replace("_", ":"): times for key, times in plan.items()}
        self.turn = self.begin(gate)
        self.written: dict[str, Writer] = {}

    def begin(self, gate: str = "") -> Turn:
        def build(writers: Writers) -> Core:
            return Guardish(writers, self.plan)

        turn = Turn("guard", build, self.store, self.wire, self.clock, (BARS, INTENTS, ORDERS), gate=gate)
        turn.start()
        self.asked = [event.topic for event in self.wire.take()]
        self.log.clear()
        return turn

    @property
    def core(self) -> Guardish:
        assert isinstance(self.turn.core, Guardish)
        return self.turn.core

    def event(self, stream: str, body: Any) -> Event:
        writer = self.written.setdefault(stream, Writer(stream, Head()))
        return writer.event(body, self.clock.time, "")

    def intents(self, n: int) -> list[Event]:
        return [self.event(INTENTS, intent(id=f"trend-1-{k}")) for k in range(n)]

    def give(self, *events: Event) -> list[Event]:
        for one in events:
            self.turn.accept(one)
        while self.turn.run():
            pass
        return self.wire.take()

    def beat(self, process: str = "gateway", **progress: Any) -> Event:
        said = Progress(process, progress.pop("cursors", {}), progress.pop("heads", {}), **progress)
        beat = Heartbeat(process, ProcessState.READY, 1, "i", "boot-1", 1, said)
        return local(beat, topic=f"heartbeat/{process}")

    def heads(self, recovered: bool = True, **heads: Head) -> Event:
        named = {name.replace("_", "/"): head for name, head in heads.items()}
        return local(Progress("gateway", {}, named, recovered=recovered), topic="replay/guard")


def decided(events: list[Event]) -> list[str]:
    return [event.body.intent.id for event in events if event.type is EventType.APPROVED]


# --- the start ---


class Mortal(Guardish):
    """Hears of its death, and remembers what came when."""

    def __init__(self, writers: Writers, log: list[str]) -> None:
        super().__init__(writers, {})
        self.log = log
        self.on(EventType.DEATH, self._died)

    def _died(self, event: Event, now: Now) -> None:
        self.log.append(event.body.cause)
        self.seen["deaths"] = self.seen.get("deaths", 0) + 1

    def started(self, now: Now) -> list[Event]:
        self.log.append(f"started after {self.seen.get('deaths', 0)}")
        return []


def test_what_we_died_of_is_committed_before_anything_may_kill_us_again_even_behind_a_closed_gate() -> None:
    log: list[str] = []
    store = MemoryStore()
    for deaths in (1, 2):
        turn = Turn("guard", lambda w: Mortal(w, log), store, Wire([]), HandClock(), (BARS, ORDERS), gate=ORDERS)
        turn.accept(local(Death("exit code 3", "trend", "start"), BEGIN))
        turn.start()
        assert log[-2:] == ["exit code 3", f"started after {deaths}"]
        assert not turn.inbox
    assert [entry.position for commit in store.commits for entry in commit.inputs if entry.position == "start"]


def test_a_core_without_memory_ends_its_process_and_no_message_is_blamed() -> None:
    class Full(Guardish):
        def _note(self, event: Event, now: Now) -> None:
            raise MemoryError

    store = MemoryStore()
    turn = Turn("guard", lambda writers: Full(writers, {}), store, Wire([]), HandClock(), (BARS,))
    turn.start()
    turn.accept(House().event(BARS, bar()))
    with pytest.raises(MemoryError):
        turn.run()
    assert store.letters == []


def test_where_ids_are_remembered_elsewhere_a_state_begun_anew_uses_none_of_the_former_again() -> None:
    """A broker knows the orders of a state directory that was removed: the same ids would be taken for them."""

    def began(boot: int, store: MemoryStore, dated: bool = True) -> int:
        clock = HandClock(time=BEGIN + boot * 60 * SECOND, boot=f"boot-{boot}")
        turn = Turn("guard", lambda writers: Guardish(writers, {}), store, Wire([]), clock, (BARS,), dated=dated)
        turn.start()
        return turn._writers["guard/decisions"].next().epoch

    first, second = MemoryStore(), MemoryStore()
    assert began(1, first) == BEGIN // SECOND + 60
    assert began(1, first) == BEGIN // SECOND + 60
    assert began(2, second) == BEGIN // SECOND + 120
    assert began(1, MemoryStore(), dated=False) == 1


# --- streams --------------------------------------------------------------------------------------


def test_at_the_start_every_publisher_is_asked_for_its_heads() -> None:
    assert House().asked == ["ask/feed", "ask/host@trend", "ask/gateway"]


def test_what_follows_from_a_message_is_committed_before_it_is_published() -> None:
    house = House()
    house.give(*house.intents(1))
    assert house.log == ["commit", "publish guard/decisions"]


def test_a_duplicate_is_dropped_and_counted() -> None:
    house = House()
    one = house.intents(1)[0]
    assert decided(house.give(one, one)) == ["trend-1-0"]
    assert decided(house.give(one)) == []
    assert house.turn.counters["duplicates_dropped"] == 2


def test_a_gap_is_held_asked_for_and_healed() -> None:
    house = House()
    first, second, third = house.intents(3)
    assert decided(house.give(first, third)) == ["trend-1-0"]
    house.turn.tend()
    asks = [event.body for event in house.wire.take() if event.type is EventType.ASK]
    assert asks == [Ask("guard", INTENTS, Spot(1, 1))]
    answer = Replayed(INTENTS, (wire.encode(second).decode(), wire.encode(third).decode()), False, Head(Spot(1, 3)))
    assert decided(house.give(local(answer))) == ["trend-1-1", "trend-1-2"]
    assert house.turn.counters["gaps_healed"] == 1


def test_a_lost_last_message_is_found_by_a_heartbeat() -> None:
    house = House()
    house.give(house.beat("host@trend", heads={INTENTS: Head(Spot(1, 1))}))
    house.turn.tend()
    assert Ask("guard", INTENTS, Spot()) in [event.body for event in house.wire.take()]
    assert not house.turn.caught_up()


def test_a_restart_goes_on_after_the_last_commit() -> None:
    house = House()
    one, two = house.intents(2)
    house.give(one)
    house.turn = house.begin()
    house.written[INTENTS] = Writer(INTENTS, Head(Spot(1, 2)))
    sent = house.give(one, two)
    assert decided(sent) == ["trend-1-1"]
    assert [event.seq for event in sent if event.stream] == [2]
    assert house.core.seen == {f"{INTENTS}:1:1": 1, f"{INTENTS}:1:2": 1}


def test_cursors_state_and_outputs_are_in_one_commit() -> None:
    house = House()
    house.give(*house.intents(2))
    commit = house.store.commits[-1]
    assert commit.cursors == {INTENTS: Spot(1, 2)}
    assert set(commit.rows) == {f"seen/{INTENTS}:1:1", f"seen/{INTENTS}:1:2"}
    assert [event.seq for event, _ in commit.outputs] == [1, 2]
    assert [given.position for given in commit.inputs] == [f"{INTENTS}:1:1", f"{INTENTS}:1:2"]
    assert commit.heads["guard/decisions"].last == Spot(1, 2)


def test_a_batch_is_bounded() -> None:
    house = House()
    for one in house.intents(BATCH_MAX + 1):
        house.turn.accept(one)
    assert house.turn.run()
    assert len(house.store.commits[-1].inputs) == BATCH_MAX
    assert house.turn.run()
    assert not house.turn.run()


def test_a_compacted_stream_goes_on_after_its_snapshot() -> None:
    house = House()
    house.written[ORDERS] = Writer(ORDERS, Head(Spot(1, 70)))
    later = house.event(ORDERS, order())
    snapshot_ = (wire.encode(Event(EventType.ORDER, order())).decode(),)
    house.give(later, local(Compacted(ORDERS, Spot(1, 70), snapshot_)))
    assert house.core.seen == {"order": 1, f"{ORDERS}:1:71": 1}


def test_streams_a_core_does_not_accept_are_held_back() -> None:
    house = House()
    house.core.open = False
    assert decided(house.give(*house.intents(1), house.event(ORDERS, order()))) == []
    assert house.core.seen == {f"{ORDERS}:1:1": 1}
    house.core.open = True
    assert decided(house.give()) == ["trend-1-0"]


def test_what_nobody_reads_is_ignored() -> None:
    house = House()
    assert house.give(Event(EventType.BAR, bar(), "feed/unheard", 1, 1), local(VenueLink(True))) == []


# --- the publisher's side -------------------------------------------------------------------------


def answers(house: House, ask: Ask) -> list[Any]:
    house.turn.accept(local(ask, topic="ask/guard"))
    return [event.body for event in house.wire.take() if event.topic == f"replay/{ask.consumer}"]


def test_a_replay_brings_the_very_bytes_that_were_published() -> None:
    house = House()
    sent = house.give(*house.intents(3))
    (answer,) = answers(house, Ask("gateway", "guard/decisions", Spot(1, 1)))
    assert answer.events == tuple(wire.encode(event).decode() for event in sent[1:])
    assert answer.head.last == Spot(1, 3)


def test_a_question_without_a_stream_is_answered_by_heads_and_cursors() -> None:
    house = House()
    house.give(*house.intents(1))
    (said,) = answers(house, Ask("gateway"))
    assert said.heads["guard/decisions"].last == Spot(1, 1)
    assert said.cursors[INTENTS] == Spot(1, 1)


def test_below_retention_a_snapshot_comes_first() -> None:
    house = House()
    house.give(*house.intents(5))
    house.turn.accept(local(Progress("gateway", {"guard/decisions": Spot(1, 4)}, {}), topic="progress/gateway"))
    house.turn.prune(retain=1)
    first, second = answers(house, Ask("gateway", "guard/decisions", Spot(1, 1)))
    assert first == Compacted("guard/decisions", Spot(1, 3), ())
    assert len(second.events) == 2


def test_a_stream_of_somebody_else_is_not_answered() -> None:
    assert answers(House(), Ask("gateway", ORDERS)) == []


# --- exceptions -----------------------------------------------------------------------------------


def test_a_handler_that_fails_once_succeeds_on_the_re_run_and_nothing_is_done_twice() -> None:
    house = House(host__trend__intents_1_2=1)
    assert decided(house.give(*house.intents(3))) == ["trend-1-0", "trend-1-1", "trend-1-2"]
    assert set(house.core.seen.values()) == {1}
    assert (house.turn.counters["rescued"], house.turn.counters.get("dead_letters", 0)) == (3, 0)
    assert [event.seq for event, _ in house.store.outputs] == [1, 2, 3]


def test_a_poison_message_is_set_aside_once_and_the_stream_goes_on() -> None:
    house = House(host__trend__intents_1_2=99)
    sent = house.give(*house.intents(3))
    assert decided(sent) == ["trend-1-0", "trend-1-2"]
    assert [event.seq for event in sent] == [1, 2]
    (letter,) = house.store.letters
    assert letter.position == f"{INTENTS}:1:2"
    assert "cannot take" in letter.error
    assert wire.decode(letter.payload).body == intent(id="trend-1-1")
    assert house.turn.counters["dead_letters"] == house.turn.counters["poisoned"] == 1
    assert house.turn.progress().poisoned == 1
    assert f"{INTENTS}:1:2" not in house.core.seen, "what it did before it raised is undone"


def test_poison_outside_the_order_streams_is_not_counted_against_them() -> None:
    house = House(feed__bars_1_1=99)
    house.give(house.event(BARS, bar()))
    assert house.turn.counters["dead_letters"] == 1
    assert house.turn.progress().poisoned == 0


def test_after_a_restart_poison_does_not_come_again() -> None:
    house = House(host__trend__intents_1_1=99)
    one = house.intents(1)[0]
    house.give(one)
    house.turn = house.begin()
    house.give(one)
    assert len(house.store.letters) == 1
    assert house.turn.progress().poisoned == 1


def test_a_commit_that_fails_sets_nothing_aside_and_publishes_nothing() -> None:
    house = House()
    house.store.broken = True
    with pytest.raises(JournalError):
        house.give(*house.intents(1))
    assert house.wire.take() == []
    assert house.store.letters == []


def test_an_output_that_cannot_be_written_is_poison_and_not_a_crash() -> None:
    house = House()
    long = intent(id="trend-1-7", reason="x" * (PAYLOAD_MAX - 500))
    assert decided(house.give(house.event(INTENTS, long), *house.intents(1))) == ["trend-1-0"]
    assert [letter.position for letter in house.store.letters] == [f"{INTENTS}:1:1"]


class Stumbling(GatewayCore):
    """It raises at the decisions of these ids, each so many times."""

    plan: dict[str, int]

    def _approved(self, event: Event, now: Now) -> None:
        if self.plan.get(event.body.intent.id, 0):
            self.plan[event.body.intent.id] -= 1
            raise ValueError("stumbled")
        super()._approved(event, now)


@pytest.mark.parametrize(("times", "halted"), [(1, False), (9, True)])
def test_a_core_that_was_restored_is_told_again_how_things_stand(times: int, halted: bool) -> None:
    Stumbling.plan = {"trend-1-1": times}
    sent = Wire()

    def build(writers: Writers) -> Core:
        return Stumbling("gateway", writers)

    turn = Turn("gateway", build, MemoryStore(), sent, HandClock(), ("guard/decisions",))
    turn.start()
    decisions, looks = Writer("guard/decisions", Head()), 0

    def give(*events: Event) -> None:
        nonlocal looks
        for one in events:
            turn.accept(one)
        while turn.run():
            for asked in [event.body for event in sent.take() if event.type is EventType.VENUE_LOOK]:
                turn.accept(local(snapshot(asked.n), topic="venue/answers"))
                looks += 1

    give(local(VenueLink(True)), local(Inhibit("BUS_LOST", True, "gone")), local(Peer("guard", False)))
    assert looks == 1
    give(decisions.event(approved(), 0, ""))
    assert looks >= 2, "it reconciles again by itself"
    assert turn.core.recovered()
    give(decisions.event(approved(intent(id="trend-1-2")), 0, ""))
    assert isinstance(turn.core, GatewayCore)
    orders = turn.core.ledger.orders
    assert orders["trend-1-2"].code == ("HALTED" if halted else "GUARD_SILENT")
    assert turn.core.inhibits == {"BUS_LOST": "gone"}
    assert ("trend-1-1" in orders) is not halted


# --- the gate -------------------------------------------------------------------------------------


def test_nothing_else_is_handled_until_the_gateway_is_recovered_and_its_head_consumed() -> None:
    house = House(gate=ORDERS)
    known = [house.event(ORDERS, order(intent(id=f"o{n}"))) for n in range(2)]
    assert decided(house.give(*house.intents(1), local(Ticks(1, (quote(),))), known[0])) == []
    assert house.core.seen == {f"{ORDERS}:1:1": 1}
    house.give(house.heads(recovered=False, gateway_orders=Head(Spot(1, 1))))
    assert not house.turn.gate_open, "the gateway has not recovered"
    house.give(house.beat(heads={ORDERS: Head(Spot(1, 1))}, recovered=True))
    assert not house.turn.gate_open, "a heartbeat may be from before the question"
    house.give(house.heads(gateway_orders=Head(Spot(1, 2))))
    assert not house.turn.gate_open, "the head is not consumed"
    assert not house.turn.progress().recovered
    assert decided(house.give(known[1])) == ["trend-1-0"]
    assert house.turn.gate_open


def test_the_gateway_is_asked_again_while_the_gate_is_closed() -> None:
    house = House(gate=ORDERS)
    house.clock.time += SECOND
    house.turn.tend()
    assert [event.topic for event in house.wire.take() if event.type is EventType.ASK] == ["ask/gateway"]


# --- sync, epochs ---------------------------------------------------------------------------------


def gateway_turn(store: MemoryStore, wire_: Wire, clock: HandClock) -> Turn:
    def build(writers: Writers) -> Core:
        return GatewayCore("gateway", writers)

    turn = Turn("gateway", build, store, wire_, clock, ("guard/decisions",))
    turn.start()
    return turn


def ready_gateway() -> tuple[Turn, MemoryStore, Wire]:
    store, sent = MemoryStore(), Wire()
    turn = gateway_turn(store, sent, HandClock())
    for body in (VenueLink(True), snapshot(1)):
        turn.accept(local(body, topic="venue/answers"))
        turn.run()
    store.commits.clear()  # a start is on the disk too
    sent.take()
    return turn, store, sent


def test_only_orders_fills_and_the_latch_wait_for_the_disk() -> None:
    turn, store, _ = ready_gateway()
    for body in (VenueLink(True), snapshot(2, cash=D(5))):
        turn.accept(local(body, topic="venue/answers"))
        turn.run()
    assert store.commits
    assert not any(commit.sync for commit in store.commits), "looks and accounts"
    turn.accept(Writer("guard/decisions", Head()).event(approved(), 0, ""))
    turn.run()
    assert store.commits[-1].sync
    assert [event.type for event, _ in store.commits[-1].outputs] == [EventType.ORDER]


def test_an_order_is_on_the_disk_before_it_is_asked_of_the_venue_and_news_of_it_comes_after() -> None:
    turn, store, sent = ready_gateway()
    log: list[str] = []
    store.log = sent.log = log
    turn.accept(Writer("guard/decisions", Head()).event(approved(), 0, ""))
    turn.run()
    assert log == ["commit", "publish venue/requests", "publish gateway/orders"]  # the order first, then the news


def test_a_venue_snapshot_of_any_length_is_taken() -> None:
    turn, store, _ = ready_gateway()
    fills = tuple(told(f"other-{n}", 1) for n in range(1_000))
    turn.accept(local(VenueLink(True), topic="venue/answers"))
    turn.run()
    turn.accept(local(snapshot(2, fills=fills), topic="venue/answers"))
    turn.run()
    assert turn.core.recovered()
    assert store.letters == []


def test_a_new_boot_raises_the_epoch_before_anything_is_published() -> None:
    house = House()
    house.give(*house.intents(1))
    again = House(store=house.store, boot="boot-2")
    raised = max(2, BEGIN // SECOND)
    commit = next(commit for commit in house.store.commits if commit.boot == "boot-2")
    assert commit.sync
    assert commit.heads["guard/decisions"] == Head(Spot(1, 1), raised, Spot(1, 1))
    again.written[INTENTS] = Writer(INTENTS, Head(Spot(1, 1)))
    (sent,) = again.give(again.event(INTENTS, intent(id="x")))
    assert (sent.spot, sent.after) == (Spot(raised, 2), Spot(1, 1))


def test_the_same_boot_keeps_the_epoch() -> None:
    house = House()
    house.give(*house.intents(1))
    assert House(store=house.store).turn.progress().heads["guard/decisions"].epoch == 1


def test_a_replay_has_no_clock_to_take_an_epoch_from() -> None:
    house = House(boot="data")
    house.give(house.beat(cursors={"guard/decisions": Spot(4, 9)}))
    assert house.turn.progress().heads["guard/decisions"].epoch == 5


@pytest.mark.parametrize("how", ["heartbeat", "ask"])
def test_a_peer_beyond_our_head_raises_the_epoch_once(how: str) -> None:
    house = House()
    house.give(*house.intents(2))
    beyond = Spot(1, 5)
    told_ = (
        house.beat(cursors={"guard/decisions": beyond})
        if how == "heartbeat"
        else local(Ask("gateway", "guard/decisions", beyond), topic="ask/guard")
    )
    for _ in range(3):
        house.give(told_)
    assert house.turn.counters["epochs_raised"] == 1
    (sent,) = house.give(house.event(INTENTS, intent(id="next")))
    assert (sent.epoch > 1, sent.seq, sent.after) == (True, 3, Spot(1, 2))


def test_a_peer_at_our_head_raises_nothing() -> None:
    house = House()
    house.give(*house.intents(2))
    house.give(house.beat(cursors={"guard/decisions": Spot(1, 2)}))
    assert "epochs_raised" not in house.turn.counters


# --- time and peers -------------------------------------------------------------------------------


def test_a_deadline_becomes_one_wakeup() -> None:
    house = House()
    house.core.wants = house.clock.time + 10
    house.turn.tend()
    assert not house.turn.inbox
    house.clock.time += 10
    house.turn.tend()
    house.turn.tend()
    assert [event.body for event in house.turn.inbox] == [Wakeup()]


def test_a_peer_that_falls_silent_is_told_and_again_when_it_is_heard() -> None:
    house = House()
    heard: list[Peer] = []
    note: Callable[[Event, Now], None] = lambda event, now: heard.append(event.body)  # noqa: E731
    house.core.on(EventType.PEER, note)
    house.give(house.beat())
    house.clock.time += 3 * SECOND + 1
    house.turn.tend()
    house.give()
    house.give(house.beat())
    assert [peer.alive for peer in heard] == [True, False, True]


def test_quotes_are_journalled_only_where_an_output_may_have_used_them() -> None:
    house = House()
    ticks = [local(Ticks(n, (quote(bid=n, time=n),)), topic="feed/quotes") for n in (1, 2)]
    house.give(*ticks)
    assert house.store.commits[-1].inputs == []
    house.give(*house.intents(1))
    first, second = house.store.commits[-1].inputs
    assert wire.decode(first.payload).body == Ticks(2, (quote(bid=2, time=2),))
    assert second.position == f"{INTENTS}:1:1"


def test_the_batch_a_failure_undid_keeps_its_quotes_in_the_journal() -> None:
    house = House(host__trend__intents_1_1=1)
    house.give(local(Ticks(7, (quote(),)), topic="feed/quotes"))
    house.give(*house.intents(1))
    given = [one for commit in house.store.commits for one in commit.inputs if one.position == "feed/quotes"]
    assert [wire.decode(one.payload).body.n for one in given] == [7]
