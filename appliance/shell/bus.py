"""The wire: one paho client driven from our own loop, a fresh one for each connection.

Mosquitto only carries: what cannot be published now is dropped, and the gap heals from the publisher's journal. The
callbacks note what came and nothing else; ``read`` hands it on afterwards, so that an exception reaches our caller.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from appliance.domain import topics, wire
from appliance.domain.messages import Event, EventType
from appliance.domain.operations import Heartbeat, ProcessState
from appliance.domain.wire import WireError
from appliance.errors import BusError
from appliance.shell.clock import machine_ticks
from appliance.shell.incoming import Poison, placed

MS = 1_000_000
SECOND = 1_000 * MS
KEEPALIVE_S = 10
BACKOFF_MIN, BACKOFF_MAX = 50 * MS, SECOND
ANSWER_MAX = 3 * SECOND
"""Without a CONNACK, a SUBACK or an echo of our own for this long, the connection is dropped and made anew."""
GOODBYE_MAX = 500 * MS
ECHO_EVERY = SECOND
READS_MAX = 256
"""Packets taken in one call of ``read``, so that other work gets its turn."""
UNSENT_MAX = 256
"""QoS 0 messages waiting for the socket; beyond, they are dropped (a newer one comes soon)."""
UNACKED_MAX = 10_000
"""QoS 1 messages without an answer; beyond, they are dropped and the gap heals."""
POISON_KEPT = 32
LATENCIES_KEPT = 1_000
TAKEN_OVER = 0x8E
GONE = (ProcessState.LOST, ProcessState.STOPPED)

log = logging.getLogger("appliance.bus")


class _Client(mqtt.Client):
    def _create_unix_socket_connection(self) -> socket.socket:
        # paho connects blocking; a stopped Mosquitto whose backlog has filled up would then stop us too.
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.setblocking(False)
        try:
            made.connect(self._host)
        except OSError:
            made.close()
            raise
        return made


class EventBus:
    """One process's connection to Mosquitto over the unix socket ``path``.

    ``receive`` gets every message, ``connected`` is called when subscriptions stand, ``will`` gives the heartbeat that
    Mosquitto publishes when we vanish, ``local`` gets what goes to ``venue/…`` instead of the wire, ``full`` says that
    no more can be taken now. The engine sets them before the first ``tick``. Nothing here raises for a lost connection.
    ``client`` is the MQTT client id where several connect as one user, ``filters`` a choice of what there is to hear.
    """

    def __init__(
        self,
        process: str,
        box: str,
        path: Path,
        password: str = "",
        wall: Callable[[], int] = time.time_ns,
        ticks: Callable[[], int] = machine_ticks,
        *,
        client: str = "",
        filters: Sequence[tuple[str, int]] | None = None,
    ) -> None:
        self.process = process
        self.root = f"appliance/1/{box}/"
        self.receive: Callable[[Event], None] = _unset
        self.connected: Callable[[], None] = lambda: None
        self.will: Callable[[], Event | None] = lambda: None
        self.local: Callable[[Event], None] = _unset
        self.full: Callable[[], bool] = lambda: False
        self.counters: dict[str, int] = {}
        self.poison: deque[Poison] = deque(maxlen=POISON_KEPT)
        self.latencies: deque[int] = deque(maxlen=LATENCIES_KEPT)
        self.up = False
        self.why = "not connected yet"
        self._path = path
        self._password = password
        self._wall = wall
        self._ticks = ticks
        self._id = client or process
        self._filters = topics.filters_for(process) if filters is None else tuple(filters)
        self._window = topics.kind_of(process) in topics.WINDOWS
        self._echo = f"{self.root}echo/{process}"
        self._client: _Client | None = None
        self._arrived: list[tuple[str, bytes, bool]] = []
        self._failure: BaseException | None = None
        self._routes: dict[str, tuple[str, int, bool]] = {}
        self._told: set[str] = set()
        self._backoff = BACKOFF_MIN
        self._retry_at = 0
        self._reset()

    def _reset(self) -> None:
        self._subscribed = False
        self._ended = ""
        self._subscribe_mid: int | None = None
        self._unacked: dict[int, str] = {}
        self._offered = self._written = 0
        self._heard_at = self._echoed_at = self._ticks()
        self._arrived.clear()

    # --- what the loop asks ---------------------------------------------------------------------------------------

    def fileno(self) -> int | None:
        """The socket to poll, or None while there is none."""
        sock = self._client.socket() if self._client is not None else None
        return None if sock is None or sock.fileno() < 0 else sock.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether bytes wait for the socket."""
        return self._client is not None and self._client.want_write()

    @property
    def paused(self) -> bool:
        """Whether the socket must not be read now: what was read has not been handled yet."""
        return self.up and self.full()

    @property
    def unsettled(self) -> int:
        """Messages that have not left, or whose arrival at Mosquitto is not confirmed."""
        return len(self._unacked) + self._offered - self._written

    def echo_age(self) -> int:
        """How long ago (ns) we last heard ourselves through Mosquitto."""
        return self._ticks() - self._heard_at

    # --- the connection -------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Look after the connection: make it when its time has come, keep it alive, drop it when nothing answers."""
        now = self._ticks()
        if self._client is None:
            if now >= self._retry_at:
                self._connect(now)
            return
        self._client.loop_misc()
        if self.up and now - self._echoed_at >= ECHO_EVERY:
            self._echoed_at = now
            self._send(self._echo, b"%d" % now, 0, False)
        if self.paused:
            self._heard_at = now  # not reading, we cannot hear ourselves either
        elif now - self._heard_at > ANSWER_MAX:
            self.drop("Mosquitto does not answer" if self._subscribed else "Mosquitto does not let us in")
        self._settle()

    def _connect(self, now: int) -> None:
        self._reset()
        client = _Client(CallbackAPIVersion.VERSION2, self._id, protocol=mqtt.MQTTv5, transport="unix")
        client.username_pw_set(self.process, self._password or None)
        client.max_queued_messages_set(UNACKED_MAX)
        client.on_connect = self._noted(self._on_connect)
        client.on_subscribe = self._noted(self._on_subscribe)
        client.on_disconnect = self._noted(self._on_disconnect)
        client.on_message = self._noted(self._on_message)
        client.on_publish = self._noted(self._on_publish)
        will = self.will()
        if will is not None:
            name, qos, retained = self._route(will.topic)
            client.will_set(name, wire.encode(will), qos, retained)
        self._client = client
        try:
            client.connect(str(self._path), keepalive=KEEPALIVE_S, clean_start=True)
        except OSError as error:
            self.drop(f"{self._path}: {error.strerror or error}")
        else:
            self._count("connects")
        self._settle()

    def drop(self, why: str) -> None:
        """Give up this connection; the next is tried when the backoff is over."""
        client, self._client = self._client, None
        if client is None:
            return
        sock = client.socket()
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()
        if self.up:
            self._count("connections_lost")
        self._say_once(f"bus: {why}")
        self.up, self.why = False, why
        self._retry_at = self._ticks() + self._backoff
        self._backoff = min(2 * self._backoff, BACKOFF_MAX)

    def read(self) -> None:
        """Take what has come and hand it on. Raises what the receiver raises, and BusError when we were evicted."""
        client = self._client
        for _ in range(READS_MAX):
            if client is None or client.socket() is None:
                break
            client.loop_read()
            if not _readable(client):
                break
        self._settle()

    def write(self) -> None:
        """Send what waits."""
        if self._client is not None:
            self._client.loop_write()
            self._settle()

    def _settle(self) -> None:
        """Act on what the callbacks noted."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        arrived, self._arrived = self._arrived, []
        for name, payload, retained in arrived:
            self._take(name.removeprefix(self.root), payload, retained)
        if self._subscribed and not self.up and self._client is not None:
            self.up, self.why = True, ""
            self._told.clear()
            self._heard_at = self._ticks()
            self.connected()
        if self._client is not None and self._client.socket() is None:
            self.drop(self._ended or "the connection was closed")

    def close(self) -> None:
        """Say goodbye, so that no will is published. What has not left by now does not leave."""
        client, self._client = self._client, None
        self.up, self.why, self._retry_at = False, "closed", 1 << 63
        sock = client.socket() if client is not None else None
        if client is None or not isinstance(sock, socket.socket):
            return
        # Closing a unix socket with something unread in it throws away what the other side has not read: our goodbye.
        with sock.dup() as open_end, contextlib.suppress(OSError):
            client.disconnect()
            open_end.settimeout(GOODBYE_MAX / SECOND)
            until = self._ticks() + GOODBYE_MAX
            while open_end.recv(65_536) and self._ticks() < until:
                pass

    # --- publishing -----------------------------------------------------------------------------------------------

    def publish(self, event: Event, payload: bytes) -> None:
        """Send an encoded event to its topic, stamped with the time; dropped and counted while not connected."""
        name = event.stream or event.topic
        if name.startswith("venue/"):
            self.local(event)
            return
        topic, qos, retained = self._route(name)
        if self.up:
            self._send(topic, wire.stamped(payload, self._wall()), qos, retained)
        else:
            self._count("dropped_offline")

    def _send(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        client = self._client
        if client is None:
            return
        if qos == 0:
            if self._offered - self._written >= UNSENT_MAX:
                self._count("dropped_unsent")
                return
            self._offered += 1
        info = client.publish(topic, payload, qos, retained)
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            self._count("dropped_full" if info.rc == mqtt.MQTT_ERR_QUEUE_SIZE else "dropped_offline")
        elif qos:
            self._unacked[info.mid] = topic

    def _route(self, name: str) -> tuple[str, int, bool]:
        if name not in self._routes:
            row = topics.topic(name)
            self._routes[name] = (self.root + name, row.qos, row.retained)
        return self._routes[name]

    # --- what came ------------------------------------------------------------------------------------------------

    def _take(self, name: str, payload: bytes, retained: bool) -> None:
        if self.root + name == self._echo:
            self._heard_at = self._ticks()
            self._backoff = BACKOFF_MIN  # a connection that carries nothing must not be remade every 50 ms
            return
        try:
            event, sent = wire.decode_sent(payload)
            event = placed(name, event)
        except WireError as error:
            self._refuse(name, payload, str(error))
            return
        if retained and name == "command":
            self._refuse(name, payload, "a command must not be retained")
        elif retained and event.type is EventType.HEARTBEAT and self._proves_nothing(event.body):
            self._count("stale_heartbeats")
        else:
            if sent and not retained:
                self.latencies.append(max(self._wall() - sent, 0))
            self.receive(event)

    def _proves_nothing(self, beat: Heartbeat) -> bool:
        """A retained heartbeat may be days old; whoever lives says so within a second. Our own may be another's."""
        return not self._window and beat.state not in GONE and beat.process != self.process

    def _refuse(self, name: str, payload: bytes, error: str) -> None:
        self._count("poison")
        self.poison.append(Poison(name, payload[:4096], error))
        self._say_once(f"a message on {name} was refused: {error}")

    # --- paho's callbacks -----------------------------------------------------------------------------------------

    def _noted(self, callback: Callable[..., None]) -> Callable[..., None]:
        """A callback of the client we have now, whose exception is kept for our caller."""

        def run(client: mqtt.Client, _: Any, *rest: Any) -> None:
            if client is not self._client:
                return
            try:
                callback(*rest)
            except Exception as error:
                self._failure = error

        return run

    def _on_connect(self, _: mqtt.ConnectFlags, reason: ReasonCode, __: Properties) -> None:
        if reason.is_failure:
            self._ended = f"Mosquitto refuses {self.process}: {reason}"
            return
        client = self._client
        assert client is not None
        names = [(self.root + name, qos) for name, qos in self._filters]
        self._subscribe_mid = client.subscribe([*names, (self._echo, 0)])[1]

    def _on_subscribe(self, mid: int, reasons: list[ReasonCode], _: Properties) -> None:
        if mid != self._subscribe_mid:
            return
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._count("subscriptions_refused", len(refused))
            self._say_once(f"bus: Mosquitto refuses {len(refused)} of our subscriptions: {refused[0]}")
        else:
            self._subscribed = True

    def _on_disconnect(self, flags: mqtt.DisconnectFlags, reason: ReasonCode, _: Properties) -> None:
        self._ended = self._ended or f"connection lost: {reason}"
        if flags.is_disconnect_packet_from_server and reason.value == TAKEN_OVER:
            raise BusError(
                f"another {self.process} has connected to this Mosquitto and evicted us",
                hint="stop one of them; two boxes may share a broker only under different box names",
            )

    def _on_message(self, message: mqtt.MQTTMessage) -> None:
        self._arrived.append((message.topic, bytes(message.payload), message.retain))

    def _on_publish(self, mid: int, reason: ReasonCode, _: Properties) -> None:
        topic = self._unacked.pop(mid, None)
        if topic is None:
            self._written += 1
        elif reason.is_failure:
            self._count("publish_refused")
            self._say_once(f"bus: Mosquitto refuses what we publish on {topic}: {reason}")

    def _count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def _say_once(self, text: str) -> None:
        """Log it, but not again before the next connection."""
        if text not in self._told and len(self._told) < UNSENT_MAX:
            self._told.add(text)
            log.warning(text)


def _readable(client: mqtt.Client) -> bool:
    sock = client.socket()
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _unset(event: Event) -> None:
    raise AssertionError(f"nobody takes {event.type.value} on {event.stream or event.topic}")
