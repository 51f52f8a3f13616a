"""The topics table, and what is derived from it."""

from __future__ import annotations

import re

import pytest

from appliance.domain import topics
from appliance.domain.messages import BODIES, TYPE_OF, EventType
from appliance.domain.topics import PROCESSES, TOPICS, WINDOWS

BOX = ("feed", "host@trend", "host@mean", "guard", "gateway", "monitor", *WINDOWS)
ROOT = "appliance/1/box/"


def acl() -> dict[str, dict[str, list[str]]]:
    """User → verb → the patterns of the generated file."""
    rights: dict[str, dict[str, list[str]]] = {}
    for line in topics.acl(BOX, ROOT).splitlines():
        words = line.split()
        if words[:1] == ["user"]:
            user = rights.setdefault(words[1], {"read": [], "write": [], "readwrite": []})
        elif words:
            assert words[0] == "topic"
            user[words[1]].append(words[2])
    return rights


def may(user: str, verb: str, topic: str) -> bool:
    rights = acl()[user]
    patterns = [re.escape(p).replace(r"\+", "[^/]+") for p in (*rights[verb], *rights["readwrite"])]
    return any(re.fullmatch(pattern, ROOT + topic) for pattern in patterns)


def test_every_type_has_a_body_and_every_body_one_type() -> None:
    assert set(BODIES) == set(EventType)
    assert len(TYPE_OF) == len(BODIES)


def test_names_are_unique_and_a_stream_has_one_kind_of_publisher_and_qos_1() -> None:
    assert len({row.name for row in TOPICS}) == len(TOPICS)
    for row in TOPICS:
        if row.stream:
            assert len(row.publishers) == 1, row.name
            assert row.qos == 1, row.name
            assert not row.retained, row.name


def test_commands_and_streams_are_never_retained() -> None:
    assert not topics.topic("command").retained
    assert all(row.sync == () or row.stream for row in TOPICS)


def test_per_symbol_views_are_read_by_windows_alone() -> None:
    for row in TOPICS:
        if row.name.startswith("view/"):
            assert set(row.readers) <= set(WINDOWS)


@pytest.mark.parametrize(
    ("topic", "writers"),
    [
        ("guard/decisions", {"guard"}),
        ("gateway/orders", {"gateway"}),
        ("command", set(WINDOWS)),
        ("host/trend/intents", {"host@trend"}),
        ("host/mean/signals", {"host@mean"}),
        ("feed/bars", {"feed"}),
        ("feed/steps", {"feed"}),
        ("monitor/alerts", {"monitor"}),
        ("heartbeat/guard", {"guard"}),
        ("progress/gateway", {"gateway"}),
        ("view/latch", {"gateway"}),
        ("view/position/SPY", {"gateway"}),
        ("view/strategy/sma_cross", {"host@trend", "host@mean"}),
        ("view/source/alpaca", {"feed"}),
        ("view/status/SPY", {"feed"}),
        ("result", {user for user in BOX if user not in WINDOWS}),
        ("nothing/of/this", set()),
    ],
)
def test_the_acl_lets_write_who_publishes_and_nobody_else(topic: str, writers: set[str]) -> None:
    assert {user for user in BOX if may(user, "write", topic)} == writers


@pytest.mark.parametrize(
    ("topic", "readers"),
    [
        ("command", {user for user in BOX if user not in WINDOWS}),
        ("guard/decisions", {"host@trend", "host@mean", "gateway", *WINDOWS}),
        ("replay/guard", {"guard"}),
        ("ask/gateway", {"gateway"}),
        ("heartbeat/feed", set(BOX)),
        ("host/trend/intents", {"guard", *WINDOWS}),
    ],
)
def test_the_acl_lets_read_who_consumes(topic: str, readers: set[str]) -> None:
    assert {user for user in BOX if may(user, "read", topic)} == readers


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("host/trend/intents", "host/<name>/intents"), ("host/a/signals", "host/<name>/signals"),
        ("heartbeat/guard", "heartbeat/<process>"), ("progress/host@a", "progress/<process>"),
        ("ask/feed", "ask/<process>"), ("replay/web", "replay/<process>"), ("view/bar/SPY", "view/bar/<symbol>"),
        ("view/position/SPY", "view/position/<symbol>"), ("view/latch", "view/latch"),
        ("view/source/alpaca", "view/source/<source>"), ("view/status/SPY", "view/status/<symbol>"),
        ("gateway/orders", "gateway/orders"), ("command", "command"), ("view/strategy/a", "view/strategy/<strategy>"),
    ],
)  # fmt: skip
def test_a_concrete_name_finds_its_row(name: str, pattern: str) -> None:
    assert topics.pattern_of(name) == pattern
    assert topics.topic(name).name == pattern


@pytest.mark.parametrize("name", ["", "host", "host/trend", "host/a/b/intents", "view", "feed/nothing", "orders"])
def test_a_topic_that_is_not_in_the_table_is_a_key_error_and_no_stream(name: str) -> None:
    with pytest.raises(KeyError):
        topics.topic(name)
    assert not topics.is_stream(name)
    assert not topics.synced(name, EventType.ORDER)


def test_streams_are_read_and_written_by_the_processes_of_the_design() -> None:
    hosts = ("mean", "trend")
    read = {process: topics.streams_read_by(process, hosts) for process in BOX}
    assert read["gateway"] == ("feed/bars", "feed/steps", "guard/decisions")
    assert read["guard"] == ("feed/bars", "feed/steps", "host/mean/intents", "host/trend/intents", "gateway/orders")
    assert read["host@trend"] == ("feed/bars", "feed/revisions", "feed/steps", "guard/decisions", "gateway/orders")
    assert read["monitor"] == (
        "feed/notices",
        "host/mean/notices",
        "host/trend/notices",
        "gateway/orders",
        "gateway/notices",
    )
    assert read["feed"] == ()
    following = topics.streams_read_by("host@trend", hosts, ("mean",))
    assert following == (*read["host@trend"][:3], "host/mean/signals", *read["host@trend"][3:])
    assert topics.streams_written_by("host@trend") == ("host/trend/intents", "host/trend/signals", "host/trend/notices")
    assert topics.streams_written_by("gateway") == ("gateway/orders", "gateway/notices")


@pytest.mark.parametrize("process", [name for name in BOX if name not in WINDOWS])
def test_the_publisher_of_a_stream_is_who_writes_it(process: str) -> None:
    for stream in topics.streams_written_by(process):
        assert topics.publisher_of(stream) == process


def test_filters_narrow_asks_and_replays_to_ourselves() -> None:
    filters = dict(topics.filters_for("guard"))
    assert filters["ask/guard"] == 1
    assert filters["replay/guard"] == 1
    assert filters["host/+/intents"] == 1
    assert filters["heartbeat/+"] == 0
    assert filters["feed/quotes"] == 0
    assert "guard/decisions" not in filters
    assert not any("<" in name for process in BOX for name, _ in topics.filters_for(process))


@pytest.mark.parametrize(
    ("stream", "kind", "synced"),
    [
        ("gateway/orders", EventType.ORDER, True), ("gateway/orders", EventType.FILL, True),
        ("gateway/orders", EventType.LATCH, True), ("gateway/orders", EventType.ACCOUNT, False),
        ("guard/decisions", EventType.APPROVED, False), ("host/a/intents", EventType.INTENT, False),
    ],
)  # fmt: skip
def test_orders_fills_and_the_latch_are_on_the_disk_before_they_are_told(
    stream: str, kind: EventType, synced: bool
) -> None:
    assert topics.synced(stream, kind) is synced


def test_every_host_is_of_the_kind_host() -> None:
    assert [topics.kind_of(name) for name in ("host@trend", "guard", "web")] == ["host", "guard", "web"]
    assert {topics.kind_of(name) for name in BOX} == {*PROCESSES, *WINDOWS}


@pytest.mark.parametrize(("symbol", "expected"), [("SPY", "SPY"), ("BTC/USDT", "BTC-USDT"), ("A+B#", "A-B-")])
def test_any_symbol_is_one_level_of_a_topic(symbol: str, expected: str) -> None:
    assert topics.level(symbol) == expected
    assert topics.pattern_of(f"view/bar/{topics.level(symbol)}") == "view/bar/<symbol>"
