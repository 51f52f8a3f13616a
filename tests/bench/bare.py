"""What the wire alone costs: bare paho handing messages on over the same Mosquitto, and one fsync at the end.

``python -m tests.bench.bare CHAIN.json PLACE`` is one process of the chain: place 0 sends, the last one commits.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from appliance.domain.market import SECOND
from tests.bench.feed import ours

STAMP = 19
"""Digits of a wall time in ns."""
PAGE = bytes(4096)


class Chain(Struct, frozen=True):
    """A chain of processes: hop ``i`` carries ``sizes[i]`` bytes with QoS ``qos[i]`` from place ``i`` to ``i + 1``.

    ``rate`` messages a second are sent until ``until`` (ns UTC), in the blocks (ns) that are not the box's.
    """

    socket: str
    password: str
    root: str
    sizes: tuple[int, ...]
    qos: tuple[int, ...]
    rate: float
    block: int
    until: int
    folder: str


class Sample(Struct, frozen=True):
    """One message, ns: when it was sent, how long it took to the last process, one commit, one append and fdatasync."""

    sent: int
    wire: int
    commit: int
    sync: int


def samples(chain: Chain) -> list[Sample]:
    """What the last process measured."""
    return msgspec.json.decode((Path(chain.folder) / "samples.json").read_bytes(), type=list[Sample])


class Sink:
    """The end of the chain: notes when a message came, then writes one row as a journal of the box would."""

    def __init__(self, chain: Chain) -> None:
        self.samples: list[Sample] = []
        folder = Path(chain.folder)
        self._database = sqlite3.connect(folder / "bare.db", isolation_level=None)
        for pragma in ("page_size = 2048", "journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 2000"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.execute("CREATE TABLE row (n INTEGER PRIMARY KEY, payload BLOB)")
        self._plain = os.open(folder / "bare.bin", os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def take(self, payload: bytes) -> None:
        """Measure one message."""
        came = time.time_ns()
        self._database.execute("INSERT INTO row (payload) VALUES (?)", (payload,))
        committed = time.time_ns()
        os.write(self._plain, PAGE)
        os.fdatasync(self._plain)
        sent = int(payload[:STAMP])
        self.samples.append(Sample(sent, came - sent, committed - came, time.time_ns() - committed))


def connected(chain: Chain, place: int) -> mqtt.Client:
    """A client of the chain, subscribed to the hop before it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, f"bench-{place}", protocol=mqtt.MQTTv5, transport="unix")
    client.username_pw_set("bench", chain.password)
    if place:
        client.on_connect = lambda *_: client.subscribe(topic(chain, place - 1), chain.qos[place - 1])
    client.connect(chain.socket)
    return client


def topic(chain: Chain, hop: int) -> str:
    """Where a hop's messages go."""
    return f"{chain.root}bench/{hop}"


def padded(stamp: bytes, size: int) -> bytes:
    """A payload of ``size`` bytes that begins with ``stamp``."""
    return stamp + b"x" * (size - len(stamp))


def send(chain: Chain) -> None:
    """Place 0: messages at a steady rate in the blocks of time that are bare paho's."""
    client = connected(chain, 0)
    every = round(SECOND / chain.rate)
    due = time.time_ns()
    while (now := time.time_ns()) < chain.until:
        if now >= due:
            due = max(due + every, now)
            if client.is_connected() and not ours(now, chain.block):
                client.publish(topic(chain, 0), padded(b"%d" % time.time_ns(), chain.sizes[0]), chain.qos[0])
        client.loop(max(0, due - time.time_ns()) / SECOND)
    client.disconnect()


def hand_on(chain: Chain, place: int) -> None:
    """A place in the middle: each message is answered by one of the next hop's size."""
    client = connected(chain, place)
    goal, size, qos = topic(chain, place), chain.sizes[place], chain.qos[place]
    client.on_message = lambda _, __, message: client.publish(goal, padded(message.payload[:STAMP], size), qos) and None
    until_the_end(client, chain)


def receive(chain: Chain, place: int) -> None:
    """The last place."""
    sink = Sink(chain)
    client = connected(chain, place)
    client.on_message = lambda _, __, message: sink.take(message.payload)
    until_the_end(client, chain)
    (Path(chain.folder) / "samples.json").write_bytes(msgspec.json.encode(sink.samples))


def until_the_end(client: mqtt.Client, chain: Chain) -> None:
    """paho's own loop, until the chain's time is over."""
    while time.time_ns() < chain.until:
        client.loop(0.5)
    client.disconnect()


def main(arguments: Sequence[str]) -> None:
    """Be one process of the chain."""
    chain = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Chain)
    place = int(arguments[1])
    if place == 0:
        send(chain)
    elif place == len(chain.sizes):
        receive(chain, place)
    else:
        hand_on(chain, place)


if __name__ == "__main__":
    main(sys.argv[1:])
