import os
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from appliance.core.base import Core
from appliance.core.turn import INBOX_MAX, Turn
from appliance.domain import topics, wire
from appliance.domain.messages import EventType, Now, Ticks, local
from appliance.domain.operations import Command, Latch, LatchState, ProcessState, Spot, Verb
from appliance.domain.trading import Denied, Intent, Moment, Side
from appliance.errors import BusError
from appliance.shell import audit
from appliance.shell.bus import EventBus
from appliance.shell.clock import boot_id, machine_ticks
from appliance.shell.engine import CoreEngine, percentiles
from appliance.shell.journal import Journal
from appliance.shell.notify import Notifier

ROOT = Path(__file__).parents[2]
BOX = "test"
BOOT = boot_id()


class Clock:
    def now(self, event):
        return Now(time.time_ns(), BOOT, machine_ticks())

    def resume(self, time):
        pass

    def ticks(self):
        return machine_ticks()


class Source(Core):
    """Stands for the guard: says no once for each command."""

    def __init__(self, process, writers):
        super().__init__(process, writers)
        self.count = self.table("count", int)
        self.on(EventType.COMMAND, self._say_no)

    def _say_no(self, event, now):
        n = self.count["n"] = self.count.get("n", 0) + 1
        intent = Intent(f"i{n}", "s", n, "SPY", Side.BUY, Decimal(1), Moment(1, "b", 1), 1, "feed/bars:1:1")
        self.emit("guard/decisions", Denied(intent, "NO", event.body.id), now)


class Counter(Core):
    """Stands for the gateway: one message out for each one in, numbered by what it has seen."""

    def __init__(self, process, writers):
        super().__init__(process, writers)
        self.seen = self.table("seen", int)
        self.inhibits = self.table("inhibits", bool)
        self.fail = lambda text: False
        self.on(EventType.DENIED, self._count)
        self.on(EventType.INHIBIT, lambda event, now: self.inhibits.__setitem__(event.body.code, event.body.on))

    def _count(self, event, now):
        n = self.seen["n"] = self.seen.get("n", 0) + 1
        self.emit("gateway/orders", Latch(LatchState.ACTIVE, n, event.body.text), now, event.position)
        if self.fail(event.body.text):
            raise ZeroDivisionError(event.body.text)


class Offers:
    """A hook that hands its process what a test puts into it."""

    def __init__(self):
        self.events = []
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK)
        self.woken = 0

    def fds(self):
        return [(self.read_end, self._wake)]

    def _wake(self):
        self.woken += len(os.read(self.read_end, 64))

    def poll(self, turn):
        while self.events:
            turn.accept(self.events.pop(0))

    def next_deadline(self):
        return None

    def close(self):
        os.close(self.read_end)
        os.close(self.write_end)


class Unit:
    """One process, whole, in this one."""

    def __init__(self, process, build, directory, path, reads=(), notify=None):
        self.hook = Offers()
        self.fail = lambda text: False
        self.journal = Journal(directory / f"{process}.db", process)
        self.bus = EventBus(process, BOX, path)

        def built(writers):
            core = build(process, writers)
            core.fail = lambda text: self.fail(text)
            return core

        self.turn = Turn(process, built, self.journal, self.bus.publish, Clock(), reads)
        self.engine = CoreEngine(
            process, self.turn, self.bus, self.journal, Clock(), hooks=[self.hook], notify=notify, tmp=directory
        )
        self.engine.start()

    def step(self):
        self.engine.step(2_000_000)

    @property
    def outputs(self):
        events = [wire.decode(payload) for payload in self.journal.read("gateway/orders", Spot(), 10_000)]
        return [(event.body.generation, event.body.why) for event in events]

    def command(self, name):
        self.hook.events.append(local(Command(name, Verb.HALT, "test", 1 << 62), topic="command"))

    def close(self):
        self.engine.abandon("test")
        self.hook.close()


class Window:
    """The command line's view: hears everything, commands."""

    def __init__(self, path):
        self.bus = EventBus("cli", BOX, path)
        self.got = []
        self.bus.receive = self.got.append

    def step(self):
        self.bus.tick()
        if self.bus.fileno() is not None and select.select([self.bus.fileno()], [], [], 0)[0]:
            self.bus.read()
        self.bus.write()

    def beats(self, process):
        return [e.body for e in self.got if e.type is EventType.HEARTBEAT and e.body.process == process]

    def results(self):
        return [event.body for event in self.got if event.type is EventType.RESULT]

    def publish(self, event):
        self.bus.publish(event, wire.encode(event))


@pytest.fixture
def box(broker, tmp_path, until):
    """The two processes and the window, in step."""

    class Box:
        def __init__(self):
            self.units = [self.make("guard", Source), self.make("gateway", Counter, ("guard/decisions",))]
            self.window = Window(broker.path)

        def make(self, process, build, reads=(), **more):
            return Unit(process, build, tmp_path, broker.path, reads, **more)

        guard = property(lambda self: self.units[0])
        gateway = property(lambda self: self.units[1])

        def step(self):
            for unit in self.units:
                unit.step()
            self.window.step()

        def until(self, condition, seconds=10.0):
            until(condition, self.step, seconds)

        def ready(self):
            self.until(lambda: all(u.engine.state is ProcessState.READY for u in self.units) and self.window.bus.up)

        def kill(self, index, build, reads=()):
            self.units[index].close()
            self.units[index] = self.make(self.units[index].engine.process, build, reads)

    made = Box()
    yield made
    for unit in made.units:
        unit.close()
    made.window.bus.close()


# --- going on ----------------------------------------------------------------------------------------------------


def test_each_message_is_handled_once_and_in_order(box):
    box.ready()
    for n in range(200):
        box.guard.command(f"c{n}")
    box.until(lambda: len(box.gateway.outputs) == 200)
    assert box.gateway.outputs == [(n + 1, f"c{n}") for n in range(200)]
    assert box.gateway.journal.verify().ok


def test_a_killed_broker_leaves_a_gap_that_heals_when_it_is_back(box, broker):
    box.ready()
    broker.kill()
    box.until(lambda: all(unit.engine.state is ProcessState.DEGRADED for unit in box.units))
    box.until(lambda: box.gateway.turn.core.inhibits == {"BUS_LOST": True})
    for n in range(50):
        box.guard.command(f"c{n}")
    box.until(lambda: box.guard.turn.core.count.get("n") == 50)
    assert box.gateway.outputs == []
    broker.start()
    box.until(lambda: len(box.gateway.outputs) == 50)
    box.ready()
    assert box.gateway.outputs == [(n + 1, f"c{n}") for n in range(50)]
    assert box.gateway.turn.core.inhibits == {"BUS_LOST": False}
    assert box.gateway.turn.counters["gaps_healed"] >= 1


def test_a_last_message_that_was_lost_is_found_by_the_heartbeat(box):
    box.ready()
    box.guard.command("c0")
    box.guard.bus.up = False  # as if the wire had lost it
    box.until(lambda: box.guard.turn.core.count.get("n") == 1)
    box.guard.bus.up = True
    box.until(lambda: box.gateway.outputs == [(1, "c0")])


def test_a_consumer_that_was_away_catches_up_from_where_it_stood(box):
    box.ready()
    box.guard.command("c0")
    box.until(lambda: len(box.gateway.outputs) == 1)
    box.kill(1, Counter, ("guard/decisions",))
    box.guard.command("c1")
    box.until(lambda: len(box.gateway.outputs) == 2)
    box.ready()
    assert box.gateway.outputs == [(1, "c0"), (2, "c1")]


def test_duplicates_are_dropped_and_counted(box):
    box.ready()
    box.guard.command("c0")
    box.until(lambda: len(box.gateway.outputs) == 1)
    (payload,) = box.guard.journal.read("guard/decisions", Spot(), 10)
    for _ in range(3):
        box.guard.bus.publish(wire.decode(payload), payload)
    box.guard.command("c1")
    box.until(lambda: len(box.gateway.outputs) == 2)
    box.until(lambda: box.gateway.turn.counters.get("duplicates_dropped", 0) >= 3)
    assert box.gateway.outputs == [(1, "c0"), (2, "c1")]


def test_a_handler_that_fails_once_succeeds_on_the_second_run(box):
    box.ready()
    failed = []
    box.gateway.fail = lambda text: text == "c1" and not failed and not failed.append(text)
    for n in range(3):
        box.guard.command(f"c{n}")
    box.until(lambda: len(box.gateway.outputs) == 3)
    assert failed == ["c1"]
    assert box.gateway.outputs == [(1, "c0"), (2, "c1"), (3, "c2")]
    assert box.gateway.journal.dead_letters() == []


def test_a_handler_that_always_fails_is_set_aside_once_and_the_stream_goes_on(box):
    box.ready()
    tries = []
    box.gateway.fail = lambda text: text == "c1" and not tries.append(text)
    for n in range(3):
        box.guard.command(f"c{n}")
    box.until(lambda: len(box.gateway.outputs) == 2)
    assert tries == ["c1", "c1"]
    assert box.gateway.outputs == [(1, "c0"), (2, "c2")]
    (letter,) = box.gateway.journal.dead_letters()
    assert letter.position == "guard/decisions:1:2"
    assert "ZeroDivisionError: c1" in letter.error
    box.until(lambda: any(b.counters.get("dead_letters") == 1 for b in box.window.beats("gateway")))


def test_a_payload_nobody_can_read_is_counted_kept_and_survived(box):
    box.ready()
    topic = f"appliance/1/{BOX}/guard/decisions"
    box.guard.bus._send(topic, b'{"v":1', 1, False)
    box.guard.command("c0")
    box.until(lambda: len(box.gateway.outputs) == 1)
    box.until(lambda: any(b.counters.get("poison") == 1 for b in box.window.beats("gateway")))
    (letter,) = box.gateway.journal.dead_letters()
    assert (letter.position, letter.payload) == ("guard/decisions", b'{"v":1')


# --- telling how we are ------------------------------------------------------------------------------------------


def test_heartbeats_tell_state_work_queues_and_latency(box):
    box.ready()
    for n in range(20):
        box.guard.command(f"c{n}")
    box.until(lambda: box.window.beats("gateway") and box.window.beats("gateway")[-1].latency != ())
    beats = box.window.beats("gateway")
    assert beats[-1].state is ProcessState.READY
    assert beats[-1].pid == os.getpid()
    assert beats[-1].queues["inbox"] == 0
    assert len(beats[-1].latency) == 3
    assert [beat.n for beat in beats] == sorted({beat.n for beat in beats})
    assert {beat.instance for beat in beats} == {box.gateway.engine.instance}
    box.until(lambda: box.window.beats("gateway")[-1].progress.cursors["guard/decisions"].seq == 20)


def test_ready_is_told_once_and_the_watchdog_is_fed_without_a_broker(box, broker, short_dir):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(short_dir / "notify"))
        ears.setblocking(False)
        box.units[0].close()
        box.units[0] = box.make("guard", Source, notify=Notifier({"NOTIFY_SOCKET": str(short_dir / "notify")}))
        heard = []

        def listen():
            while select.select([ears], [], [], 0)[0]:
                heard.extend(ears.recv(4096).decode().split("\n"))
            return heard

        listen()
        assert "READY=1" not in heard
        box.until(lambda: "READY=1" in listen())
        broker.kill()
        box.until(lambda: box.guard.engine.state is ProcessState.DEGRADED)
        before = listen().count("WATCHDOG=1")
        box.until(lambda: listen().count("WATCHDOG=1") >= before + 2)
        broker.start()
        box.until(lambda: box.guard.engine.state is ProcessState.READY)
        assert listen().count("READY=1") == 1


def test_a_step_the_life_cycle_does_not_have_is_our_own_mistake(box):
    with pytest.raises(AssertionError, match="cannot go from"):
        box.guard.engine._become(ProcessState.STOPPED, "")


def test_a_hook_is_called_when_its_descriptor_is_readable(box):
    os.write(box.guard.hook.write_end, b"xyz")
    box.until(lambda: box.guard.hook.woken == 3)


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [([], ()), ([5], (5, 5, 5)), (list(range(100, -1, -1)), (50, 99, 100)), ([1] * 99 + [9], (1, 1, 9))],
)
def test_percentiles_are_middle_near_worst_and_worst(samples, wanted):
    assert percentiles(samples) == wanted


# --- bounds ------------------------------------------------------------------------------------------------------


def test_of_quotes_that_pile_up_the_oldest_go_first(box):
    engine, turn = box.gateway.engine, box.gateway.turn
    turn.core.on(EventType.TICKS, lambda event, now: None)
    bound = topics.topic("feed/quotes").bound
    for n in range(bound + 10):
        engine._receive(local(Ticks(n, ()), topic="feed/quotes"))
    assert [event.body.n for event in turn.inbox] == list(range(10, bound + 10))
    assert engine.counters == {"conflated": 10}


def test_a_full_inbox_pauses_the_bus_and_refuses_what_comes_anyway(box):
    box.ready()
    engine, turn = box.guard.engine, box.guard.turn
    for n in range(INBOX_MAX + 1):
        engine._receive(local(Command(f"c{n}", Verb.HALT, "test", 1 << 62), topic="command"))
    assert len(turn.inbox) == INBOX_MAX
    assert engine.counters == {"refused_full": 1}
    assert engine.bus.paused
    box.until(lambda: not engine.bus.paused and not turn.inbox)


# --- commands and the end ----------------------------------------------------------------------------------------


def test_a_snapshot_is_a_readable_copy_in_the_directory_for_it(box, tmp_path):
    box.ready()
    box.guard.command("c0")
    box.until(lambda: len(box.gateway.outputs) == 1)
    asked = Command("../../etc/x 1", Verb.SNAPSHOT, "test", time.time_ns() + 10**10, target="gateway")
    for _ in range(2):  # a command that comes twice is done once
        box.window.publish(local(asked, topic="command"))
    box.until(lambda: len(box.window.results()) == 2)
    result, again = box.window.results()
    assert result == again
    assert result.done
    assert Path(result.text) == tmp_path / "gateway-______etc_x_1.db"
    copy = audit.opened(Path(result.text))
    assert audit.verify(copy).ok
    assert [line.kind for line in audit.tail(copy, 2)] == ["in", "out"]


def test_an_expired_command_is_answered_with_no(box):
    box.ready()
    box.window.publish(local(Command("c", Verb.STOP, "test", time.time_ns() - 1, target="guard"), topic="command"))
    box.until(lambda: box.window.results())
    assert not box.window.results()[0].done
    assert "expired" in box.window.results()[0].text


def test_stopping_tells_everybody_and_closes_the_journal(box):
    box.ready()
    engine = box.guard.engine
    box.window.publish(local(Command("c", Verb.STOP, "me", time.time_ns() + 10**10, target="guard"), topic="command"))
    box.until(lambda: engine._stop_why == "stopped by me")
    engine.stop()
    box.units.pop(0).hook.close()
    box.until(lambda: box.window.beats("guard")[-1].state is ProcessState.STOPPED)
    assert [beat.state for beat in box.window.beats("guard")][-2:] == [ProcessState.STOPPING, ProcessState.STOPPED]
    with pytest.raises(sqlite3.ProgrammingError):
        engine.journal._connection.execute("SELECT 1")


def test_a_journal_that_fails_ends_the_process_with_code_5_and_a_will(box, tmp_path):
    box.ready()
    engine, turn = box.gateway.engine, box.gateway.turn
    handler = turn.core._handlers[Denied]

    def twice(event, now):
        handler(event, now)
        turn.core.out.append(turn.core.out[0])  # the same position twice: no journal takes that

    turn.core.on(EventType.DENIED, twice)
    engine.start = lambda: None  # it has started already
    box.guard.command("c0")
    box.guard.step()
    assert engine.run() == 5
    box.units.pop(1).hook.close()
    box.until(lambda: box.window.beats("gateway")[-1].state is ProcessState.LOST)
    again = Journal(tmp_path / "gateway.db", "gateway")
    assert again.verify().ok
    again.close()


def test_two_of_one_name_find_out_and_end(box, tmp_path, broker):
    box.ready()
    (tmp_path / "other").mkdir()
    other = Unit("guard", Source, tmp_path / "other", broker.path)
    try:
        with pytest.raises(BusError, match="another guard"):
            box.until(other.step, seconds=20)
    finally:
        other.close()


def test_sigterm_ends_a_process_in_order_within_two_seconds(broker, tmp_path, until):
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_engine import Source, Unit
unit = Unit("guard", Source, Path({str(tmp_path)!r}), Path({str(broker.path)!r}))
unit.engine.start = lambda: None  # the unit has started it
sys.exit(unit.engine.run())
"""
    window = Window(broker.path)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        until(lambda: window.beats("guard") and window.beats("guard")[-1].state is ProcessState.READY, window.step)
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == 0
        until(lambda: window.beats("guard")[-1].state is ProcessState.STOPPED, window.step)
        assert window.beats("guard")[-1].why == "SIGTERM"
    finally:
        process.kill()
        process.wait()
        window.bus.close()
