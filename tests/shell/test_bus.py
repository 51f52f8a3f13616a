import select
import socket
from decimal import Decimal

import msgspec
import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance.domain import wire
from appliance.domain.messages import Ask, Event, EventType, VenueLook, local
from appliance.domain.operations import Command, Head, Heartbeat, ProcessState, Progress, Spot, Verb
from appliance.domain.trading import Denied, Intent, Moment, Side
from appliance.errors import BusError
from appliance.shell.bus import BACKOFF_MAX, UNSENT_MAX, EventBus
from appliance.shell.clock import machine_ticks

BOX = "test"
ROOT = f"appliance/1/{BOX}/"


def beat(process, state=ProcessState.READY):
    progress = Progress(process, {}, {"gateway/orders": Head(Spot(1, 7))})
    return local(Heartbeat(process, state, 1, "x", "boot", 1, progress), topic=f"heartbeat/{process}")


class Ticks:
    """The machine's ticks, which a test can push forward."""

    def __init__(self):
        self.ahead = 0

    def __call__(self):
        return machine_ticks() + self.ahead


class End:
    """One bus and what it received."""

    def __init__(self, process, path, **more):
        self.ticks = Ticks()
        self.bus = EventBus(process, BOX, path, ticks=self.ticks, **more)
        self.got = []
        self.connections = 0
        self.bus.receive = self.got.append
        self.bus.connected = self._connected
        self.bus.will = lambda: beat(process, ProcessState.LOST)

    def _connected(self):
        self.connections += 1

    def step(self):
        self.bus.tick()
        fd = self.bus.fileno()
        if fd is None:
            return
        poll = select.poll()
        poll.register(fd, 0 if self.bus.paused else select.POLLIN)
        if poll.poll(2):
            self.bus.read()
        if self.bus.wants_write:
            self.bus.write()

    def publish(self, event):
        self.bus.publish(event, wire.encode(event))


@pytest.fixture
def ends(broker, until):
    """Make connected buses; step them all."""

    class Ends:
        def __init__(self):
            self.all = []

        def __call__(self, *processes):
            made = [End(process, broker.path) for process in processes]
            self.all += made
            self.until(lambda: all(end.bus.up for end in made))
            return made if len(made) > 1 else made[0]

        def step(self):
            for end in self.all:
                end.step()

        def until(self, condition, seconds=10.0):
            until(condition, self.step, seconds)

    found = Ends()
    yield found
    for end in found.all:
        end.bus.close()


@pytest.fixture
def stranger(broker):
    """Somebody who publishes whatever he likes."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "stranger", protocol=mqtt.MQTTv5, transport="unix")
    client.connect(str(broker.path))
    client.loop_start()
    yield lambda name, payload, retain=False: client.publish(ROOT + name, payload, 1, retain).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


def denied(seq, stream="guard/decisions"):
    intent = Intent("i1", "trend", 1, "SPY", Side.BUY, Decimal("0.10"), Moment(5, "boot", 5), 10, "feed/bars:1:1")
    return Event(EventType.DENIED, Denied(intent, "CODE", "why"), stream, 1, seq, ts=5)


# --- carrying ----------------------------------------------------------------------------------------------------


def test_a_stream_message_arrives_as_it_was_sent_and_without_a_topic_of_its_own(ends):
    guard, gateway = ends("guard", "gateway")
    guard.publish(denied(1))
    ends.until(lambda: gateway.got)
    assert gateway.got == [denied(1)]
    assert guard.got == []


def test_a_message_outside_the_streams_carries_its_topic(ends):
    monitor, guard = ends("monitor", "guard")
    guard.publish(beat("guard"))
    ends.until(lambda: monitor.got)
    assert monitor.got == [beat("guard")]


def test_messages_keep_their_order_and_their_latency_is_sampled(ends):
    guard, gateway = ends("guard", "gateway")
    for seq in range(1, 301):
        guard.publish(denied(seq))
    ends.until(lambda: len(gateway.got) == 300)
    assert [event.seq for event in gateway.got] == list(range(1, 301))
    assert len(gateway.bus.latencies) == 300
    assert 0 < min(gateway.bus.latencies) < 10**9
    ends.until(lambda: guard.bus.unsettled == 0)


def test_what_is_asked_of_one_process_reaches_no_other(ends):
    host, guard, gateway = ends("host@trend", "guard", "gateway")
    host.publish(local(Ask("host@trend", "guard/decisions"), topic="ask/guard"))
    ends.until(lambda: guard.got)
    gateway.publish(beat("gateway"))
    ends.until(lambda: gateway.got and host.got and len(guard.got) == 2)
    assert [event.type for event in gateway.got] == [EventType.HEARTBEAT]


def test_what_goes_to_the_venue_stays_in_the_process(ends):
    gateway = ends("gateway")
    told = []
    gateway.bus.local = told.append
    look = local(VenueLook(3), topic="venue/look")
    gateway.publish(look)
    assert told == [look]
    assert gateway.bus.unsettled == 0


def test_a_venue_request_without_a_venue_is_our_own_mistake(ends):
    guard = ends("guard")
    with pytest.raises(AssertionError, match="nobody takes venue_look"):
        guard.publish(local(VenueLook(3), topic="venue/look"))


def test_while_not_connected_messages_are_dropped_and_counted(short_dir):
    guard = End("guard", short_dir / "nothing.sock")
    guard.step()
    guard.publish(denied(1))
    assert guard.bus.counters["dropped_offline"] == 1
    assert "nothing.sock" in guard.bus.why
    assert guard.bus.fileno() is None


# --- connections -------------------------------------------------------------------------------------------------


def test_a_restarted_broker_is_found_again_and_subscriptions_stand(ends, broker):
    guard, gateway = ends("guard", "gateway")
    broker.kill()
    ends.until(lambda: not guard.bus.up and not gateway.bus.up)
    guard.publish(denied(1))
    broker.start()
    ends.until(lambda: guard.bus.up and gateway.bus.up)
    assert (guard.connections, gateway.connections) == (2, 2)
    assert guard.bus.counters["connections_lost"] == 1
    guard.publish(denied(2))
    ends.until(lambda: gateway.got)
    assert gateway.got == [denied(2)]  # what was lost comes by replay, not late from a queue of paho's


def test_a_vanished_process_is_called_lost_and_one_that_left_is_not(ends):
    monitor, guard, gateway = ends("monitor", "guard", "gateway")
    ends.all.remove(guard)
    guard.bus.close()
    gateway.bus.drop("test")
    ends.until(lambda: monitor.got)
    assert [(event.body.process, event.body.state) for event in monitor.got] == [("gateway", ProcessState.LOST)]


def test_a_frozen_broker_is_noticed_by_the_missing_echo_and_never_blocks_us(ends, broker):
    guard = ends("guard")
    ends.until(lambda: guard.bus.echo_age() < 10**9)
    broker.freeze()
    try:
        guard.ticks.ahead += 4 * 10**9
        ends.until(lambda: not guard.bus.up, seconds=1)
        assert "does not answer" in guard.bus.why
        for _ in range(300):  # more than the backlog of the socket holds
            guard.ticks.ahead += 4 * 10**9
            guard.step()
        assert not guard.bus.up
        assert "temporarily unavailable" in guard.bus.why
    finally:
        broker.thaw()
    ends.until(lambda: guard.bus.up)


def test_reconnecting_backs_off_up_to_a_second(short_dir):
    guard = End("guard", short_dir / "nothing.sock")
    waits = []
    for _ in range(8):
        guard.bus.tick()
        waits.append(guard.bus._retry_at - guard.ticks())
        guard.ticks.ahead += BACKOFF_MAX
    assert [round(wait / 10**6, -1) for wait in waits] == [50, 100, 200, 400, 800, 1000, 1000, 1000]


def test_a_wrong_password_is_said_once_and_tried_again(short_dir, until, caplog, broker):
    (short_dir / "pw").write_text("guard:$7$101$AAAAAAAAAAAAAAAA$AAAA\n")
    broker.kill()
    broker._conf.write_text(
        f"listener 0 {broker.path}\nallow_anonymous false\nuser root\npassword_file {short_dir}/pw\n"
    )
    broker.start()
    guard = End("guard", broker.path, password="wrong")
    until(lambda: guard.bus.counters.get("connects", 0) >= 3, guard.step)
    assert not guard.bus.up
    assert [r.message for r in caplog.records if "Not authorized" in r.message] == [
        "bus: Mosquitto refuses guard: Not authorized"
    ]


def test_a_refused_publication_is_counted_and_said_once(short_dir, until, caplog, broker):
    broker.kill()
    (short_dir / "acl").write_text(f"topic read {ROOT}#\ntopic readwrite {ROOT}echo/guard\n")
    broker.configure("allow_anonymous true", f"acl_file {short_dir}/acl")
    broker.start()
    guard = End("guard", broker.path)
    until(lambda: guard.bus.up, guard.step)
    guard.publish(denied(1))
    guard.publish(denied(2))
    until(lambda: guard.bus.counters.get("publish_refused") == 2, guard.step)
    assert len([r for r in caplog.records if "refuses what we publish on" in r.message]) == 1
    assert guard.bus.unsettled == 0


def test_being_evicted_by_another_of_our_name_is_an_error(short_dir):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short_dir / "mqtt.sock"))
        server.listen()
        guard = End("guard", short_dir / "mqtt.sock")
        guard.step()
        connection, _ = server.accept()
        connection.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x02\x8e\x00")  # CONNACK, DISCONNECT: taken over
        with pytest.raises(BusError, match="another guard"):
            guard.step()
        connection.close()


# --- what must not come in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload", "text"),
    [
        ("guard/decisions", b"\xff\xfe", "envelope"),
        ("guard/decisions", b"", "envelope"),
        ("guard/decisions", b'{"v":9,"type":"denied","ts":1,"body":{}}', "version 9"),
        ("guard/decisions", b'{"v":1,"type":"nonsense","ts":1,"body":{}}', "unknown type"),
        ("guard/decisions", wire.encode(denied(1, "gateway/orders")), "belongs to 'gateway/orders'"),
        ("guard/decisions", wire.encode(beat("guard")), "does not belong there"),
        ("heartbeat/host@trend", wire.encode(beat("guard")), "speaks for 'guard'"),
        ("ask/gateway", wire.encode(local(Ask("+/#", "gateway/orders"))), "no process to answer to"),
    ],
)
def test_a_payload_nobody_can_take_is_set_aside_and_the_next_one_arrives(ends, stranger, name, payload, text):
    gateway = ends("gateway")
    stranger(name, payload)
    stranger("guard/decisions", wire.encode(denied(7)))
    ends.until(lambda: gateway.got)
    assert gateway.got == [denied(7)]
    assert gateway.bus.counters["poison"] == 1
    (poison,) = gateway.bus.poison
    assert (poison.topic, poison.payload) == (name, payload)
    assert text in poison.error


def test_a_retained_command_is_refused_and_a_live_one_taken(ends, stranger):
    command = local(Command("c1", Verb.HALT, "me", 1 << 60))
    stranger("command", wire.encode(command), retain=True)
    gateway = ends("gateway")
    ends.until(lambda: gateway.bus.poison)
    assert "retained" in gateway.bus.poison[0].error
    stranger("command", wire.encode(command))
    ends.until(lambda: gateway.got)
    assert gateway.got == [msgspec.structs.replace(command, topic="command")]


@pytest.mark.parametrize(
    ("process", "state", "taken"),
    [
        ("monitor", ProcessState.READY, False),
        ("monitor", ProcessState.LOST, True),
        ("cli", ProcessState.READY, True),
    ],
)
def test_a_retained_heartbeat_proves_no_life_except_to_windows(ends, stranger, process, state, taken):
    stranger("heartbeat/guard", wire.encode(beat("guard", state)), retain=True)
    end = ends(process)
    stranger("heartbeat/feed", wire.encode(beat("feed")))
    ends.until(lambda: any(event.body.process == "feed" for event in end.got))
    assert any(event.body.process == "guard" for event in end.got) is taken


def test_an_exception_of_the_receiver_reaches_the_caller(ends):
    guard, gateway = ends("guard", "gateway")

    def fail(event):
        raise ZeroDivisionError(event.position)

    gateway.bus.receive = fail
    guard.publish(denied(1))
    with pytest.raises(ZeroDivisionError, match="guard/decisions:1:1"):
        ends.until(lambda: False)


def test_a_full_receiver_stops_the_reading_and_goes_on_later(ends):
    guard, gateway = ends("guard", "gateway")
    gateway.bus.full = lambda: len(gateway.got) >= 1
    guard.publish(denied(1))
    ends.until(lambda: gateway.bus.paused)
    guard.publish(denied(2))
    ends.until(lambda: guard.bus.unsettled == 0)
    gateway.ticks.ahead += 5 * 10**9  # longer than an echo may be missing
    for _ in range(20):
        ends.step()
    assert gateway.got == [denied(1)]
    assert gateway.bus.up
    gateway.bus.full = lambda: False
    ends.until(lambda: len(gateway.got) == 2)


def test_what_the_socket_does_not_take_is_bounded(ends, broker):
    guard = ends("guard")
    broker.freeze()
    try:
        for _ in range(60 * UNSENT_MAX):
            guard.publish(beat("guard"))
        assert guard.bus.unsettled == UNSENT_MAX
        assert guard.bus.counters["dropped_unsent"] > 0
    finally:
        broker.thaw()
    ends.until(lambda: guard.bus.unsettled == 0)
