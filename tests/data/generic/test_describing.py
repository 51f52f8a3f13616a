"""A source's description in settings becomes its options, or an error that names what is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict

from appliance.data.sources import describing
from appliance.data.sources.describing import described
from appliance.data.sources.rest_options import RestOptions
from appliance.data.sources.websocket_options import WebSocketOptions
from appliance.errors import UsageError
from tests.standins.binance import binance

GUIDE = Path(describing.__file__).parent / "README.md"
REST, WEBSOCKET = (tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.S))
KINDS: dict[str, tuple[Any, dict[str, Any]]] = {"rest": (RestOptions, REST), "websocket": (WebSocketOptions, WEBSOCKET)}


def changed(table: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    first, _, rest = path.partition(".")
    if first.isdecimal():
        raise AssertionError("name tables only")
    return {**table, first: changed(table.get(first, {}), rest, value) if rest else value}


def test_the_guides_examples_are_understood() -> None:
    rest = described(RestOptions, REST, "key")
    assert rest.quote is not None
    assert rest.quote.fields.bid_size == "bs"
    assert (rest.poll, rest.paging.next, rest.timeframes["1d"]) == (5.0, "next_page", "day")
    assert described(WebSocketOptions, WEBSOCKET).timeframes == ("1m",)


def test_the_guides_streams_are_those_that_are_tested() -> None:
    guide, tested = described(WebSocketOptions, WEBSOCKET), binance("wss://stream.example.test/ws")
    assert {**asdict(guide), "subscribed": 0} == {**asdict(tested), "subscribed": 0}  # TOML has no null


@pytest.mark.parametrize(
    ("kind", "path", "value", "text", "hint"),
    [
        ("rest", "qeury", {}, "there is no option qeury", "did you mean 'query'?"),
        ("rest", "bars.opne", "o", "there is no option bars.opne", "did you mean 'open'?"),
        ("rest", "quote.feilds", {}, "there is no option quote.feilds", "did you mean 'fields'?"),
        ("rest", "limit", "many", 'limit = "many"', "it must be a whole number"),
        ("rest", "bars", {"time": "t"}, "bars.open is missing", "there may be time, open"),
        ("rest", "times.form", "unix", "times.form is 'unix'", "it must be one of iso"),
        ("rest", "key", "k3y", "key stands in its description", "credential"),
        ("websocket", "beat.evry", 1, "there is no option beat.evry", "did you mean 'every'?"),
        ("websocket", "messages", [{"where": {}, "fields": {"kind": "bar"}}], "messages[0].fields.kind: Invalid", ""),
        ("websocket", "messages", [{"were": {}}], "there is no option messages[0].were", "did you mean 'where'?"),
    ],
)
def test_a_mistake_in_a_description_is_named_with_what_is_allowed(
    kind: str, path: str, value: Any, text: str, hint: str
) -> None:
    options, table = KINDS[kind]
    with pytest.raises(UsageError) as told:
        described(options, changed(table, path, value), "key")
    assert text in told.value.text
    assert told.value.text.startswith(f"source {table['name']}: ")
    assert hint in told.value.hint
    assert "k3y" not in str(told.value)
