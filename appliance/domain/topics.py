"""ONE table of topics: message, publisher, QoS, retained, stream, synced, bound. All else is derived from it.

Names are relative to the root ``appliance/1/<box>/``; ``<process>``, ``<name>`` (of a host), ``<symbol>``, ``<source>``
and ``<strategy>`` stand for one level (see ``level``). A host writes the views of strategies whatever its own name is:
a group has several.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from appliance.domain.messages import EventType

_T = EventType


class Overflow(Enum):
    """What happens when a queue of this topic is full."""

    CONFLATE = "conflate"  # the newest replaces the older
    PAUSE = "pause"  # stop reading; a gap heals later
    HALT = "halt"  # no new risk until it is drained


class Topic(Struct, frozen=True):
    """One row. ``publishers`` and ``readers`` are kinds of process (``host`` stands for every host); ``sync`` types
    are committed with an fsync before they are published; ``bound`` is the queue's length."""

    name: str
    types: tuple[EventType, ...]
    publishers: tuple[str, ...]
    readers: tuple[str, ...]
    qos: int = 1
    retained: bool = False
    stream: bool = False
    sync: tuple[EventType, ...] = ()
    bound: int = 4096
    overflow: Overflow = Overflow.PAUSE


PROCESSES = ("feed", "host", "guard", "gateway", "monitor")
WINDOWS = ("cli", "console", "web")
ALL = PROCESSES + WINDOWS

TOPICS: tuple[Topic, ...] = (
    Topic("feed/bars", (_T.BAR, _T.QUOTE_BAR), ("feed",), ("host", "guard", "gateway", *WINDOWS), stream=True),
    Topic("feed/revisions", (_T.BAR,), ("feed",), ("host",), stream=True),
    Topic("feed/notices", (_T.NOTICE,), ("feed",), ("monitor", *WINDOWS), stream=True),
    Topic("feed/steps", (_T.STEP,), ("feed",), ("host", "guard", "gateway", *WINDOWS), stream=True),
    Topic(
        "feed/quotes",
        (_T.TICKS,),
        ("feed",),
        ("host", "guard", "gateway", *WINDOWS),
        qos=0,
        bound=256,
        overflow=Overflow.CONFLATE,
    ),
    Topic("host/<name>/intents", (_T.INTENT, _T.CANCEL), ("host",), ("guard", *WINDOWS), stream=True),
    Topic("host/<name>/signals", (_T.SIGNAL,), ("host",), ("host", *WINDOWS), stream=True),
    Topic("host/<name>/notices", (_T.NOTICE,), ("host",), ("monitor", *WINDOWS), stream=True),
    Topic(
        "guard/decisions",
        (_T.APPROVED, _T.DENIED, _T.CANCEL),
        ("guard",),
        ("host", "gateway", *WINDOWS),
        stream=True,
        overflow=Overflow.HALT,
    ),
    Topic(
        "gateway/orders",
        (_T.ORDER, _T.FILL, _T.ACTIVITY, _T.ACCOUNT, _T.LATCH),
        ("gateway",),
        ("host", "guard", "monitor", *WINDOWS),
        stream=True,
        sync=(_T.ORDER, _T.FILL, _T.ACTIVITY, _T.LATCH),
        overflow=Overflow.HALT,
    ),
    Topic("gateway/notices", (_T.NOTICE,), ("gateway",), ("monitor", *WINDOWS), stream=True),
    Topic("monitor/alerts", (_T.ALERT,), ("monitor",), WINDOWS, stream=True),
    Topic("heartbeat/<process>", (_T.HEARTBEAT,), PROCESSES, ALL, qos=0, retained=True, overflow=Overflow.CONFLATE),
    Topic("progress/<process>", (_T.PROGRESS,), PROCESSES, ("feed",), qos=0, overflow=Overflow.CONFLATE),
    Topic("ask/<process>", (_T.ASK,), ALL, PROCESSES),
    Topic("replay/<process>", (_T.REPLAYED, _T.COMPACTED, _T.PROGRESS), PROCESSES, ALL),
    Topic("command", (_T.COMMAND,), WINDOWS, PROCESSES),
    Topic("result", (_T.RESULT,), PROCESSES, WINDOWS),
    Topic("view/latch", (_T.LATCH,), ("gateway",), WINDOWS, retained=True),
    Topic("view/account", (_T.ACCOUNT,), ("gateway",), WINDOWS, retained=True),
    Topic("view/position/<symbol>", (_T.POSITION,), ("gateway",), WINDOWS, retained=True),
    Topic("view/venue", (_T.VENUE_STATE,), ("gateway",), WINDOWS, qos=0, retained=True),
    Topic("view/foreign", (_T.FOREIGN,), ("gateway",), WINDOWS, retained=True),
    Topic("view/bar/<symbol>", (_T.BAR,), ("feed",), WINDOWS, qos=0, retained=True),
    Topic("view/source/<source>", (_T.SOURCE_STATE,), ("feed",), WINDOWS, qos=0, retained=True),
    Topic("view/status/<symbol>", (_T.SYMBOL_STATUS,), ("feed",), WINDOWS, qos=0, retained=True),
    Topic("view/strategy/<strategy>", (_T.PERFORMANCE,), ("host",), WINDOWS, qos=0, retained=True),
)

PAYLOAD_MAX = 131_072
"""Longest payload in bytes; Mosquitto's max_packet_size is derived from it."""

_BY_NAME = {topic.name: topic for topic in TOPICS}
_VIEWED = {"strategy": "<strategy>", "source": "<source>"}
_NO_LEVEL = str.maketrans("/+#", "---")


def level(name: str) -> str:
    """A name as one level of a topic: ``view/bar/BTC-USDT`` is the view of BTC/USDT."""
    return name.translate(_NO_LEVEL)


def kind_of(process: str) -> str:
    """``host@trend`` is a ``host``; other names are their own kind."""
    return process.split("@", 1)[0]


def pattern_of(name: str) -> str:
    """The table's name for a concrete topic: ``host/trend/intents`` is ``host/<name>/intents``."""
    parts = name.split("/")
    if parts[0] == "host" and len(parts) == 3:
        return f"host/<name>/{parts[2]}"
    if parts[0] in ("heartbeat", "progress", "ask", "replay") and len(parts) == 2:
        return f"{parts[0]}/<process>"
    if parts[0] == "view" and len(parts) == 3:
        return f"view/{parts[1]}/{_VIEWED.get(parts[1], '<symbol>')}"
    return name


def topic(name: str) -> Topic:
    """The row of a concrete topic name. Raises KeyError for a topic that is not in the table."""
    return _BY_NAME[pattern_of(name)]


def is_stream(name: str) -> bool:
    """Whether a concrete topic name is a stream."""
    row = _BY_NAME.get(pattern_of(name))
    return row is not None and row.stream


def publisher_of(stream: str) -> str:
    """The process that publishes a stream: ``host/trend/intents`` comes from ``host@trend``."""
    parts = stream.split("/")
    return f"host@{parts[1]}" if parts[0] == "host" else parts[0]


def streams_read_by(process: str, hosts: tuple[str, ...], followed: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The concrete streams a process consumes, in table order; ``hosts`` are the names of all hosts.

    ``followed`` are the hosts whose signals a host wants: of the others' it hears nothing.
    """
    kind = kind_of(process)
    found: list[str] = []
    for row in TOPICS:
        if row.stream and kind in row.readers:
            wanted = followed if kind == "host" else hosts
            names = [row.name.replace("<name>", host) for host in wanted] if "<name>" in row.name else [row.name]
            found.extend(name for name in names if publisher_of(name) != process)
    return tuple(found)


def streams_written_by(process: str) -> tuple[str, ...]:
    """The concrete streams a process publishes, in table order."""
    kind, _, name = process.partition("@")
    return tuple(row.name.replace("<name>", name) for row in TOPICS if row.stream and kind in row.publishers)


def filters_for(process: str) -> tuple[tuple[str, int], ...]:
    """What a process subscribes to: (MQTT filter below the root, QoS), in table order."""
    kind = kind_of(process)
    found = []
    for row in TOPICS:
        if kind not in row.readers:
            continue
        name = row.name
        if name in ("ask/<process>", "replay/<process>"):
            name = name.replace("<process>", process)
        found.append((_wild(name), row.qos))
    return tuple(found)


def synced(stream: str, kind: EventType) -> bool:
    """Whether producing ``kind`` on ``stream`` needs an fsync before it is published."""
    row = _BY_NAME.get(pattern_of(stream))
    return row is not None and kind in row.sync


def acl(processes: tuple[str, ...], root: str) -> str:
    """Mosquitto's ACL file: each user may write what the table lets its kind publish, and read what it reads."""
    lines: list[str] = []
    for process in processes:
        lines += [f"user {process}", *_acl_rows(process, root), f"topic readwrite {root}echo/{process}", ""]
    return "\n".join(lines)


def _acl_rows(process: str, root: str) -> list[str]:
    kind, _, name = process.partition("@")
    rows = []
    for row in TOPICS:
        if kind in row.publishers:
            own = row.name.replace("<name>", name)
            if own in ("heartbeat/<process>", "progress/<process>"):
                own = own.replace("<process>", process)
            rows.append(f"topic write {root}{_wild(own)}")
    return rows + [f"topic read {root}{name}" for name, _ in filters_for(process)]


def _wild(name: str) -> str:
    for mark in ("<name>", "<process>", "<symbol>", "<source>", "<strategy>"):
        name = name.replace(mark, "+")
    return name
