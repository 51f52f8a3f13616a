"""The wire: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain import wire
from appliance.domain.messages import BODIES, Event, EventType, local
from appliance.domain.operations import Spot
from appliance.domain.topics import PAYLOAD_MAX
from appliance.domain.trading import Account
from appliance.domain.wire import WireError
from tests.core.make import bar, fill, order
from tests.domain.anything import anything, struct

BAR = Event(EventType.BAR, bar(), "feed/bars", 1, 7, 5, "feed/steps:1:6", Spot(1, 6))
FILL = Event(EventType.FILL, fill(order()), "gateway/orders", 2, 3, 5)


@pytest.mark.parametrize("kind", list(EventType))
@settings(max_examples=12)
@given(data=st.data())
def test_every_body_comes_back_as_it_went(kind: EventType, data: st.DataObject) -> None:
    body = data.draw(struct(BODIES[kind]))
    head = data.draw(st.tuples(anything(int), anything(int), anything(int), anything(str)))
    event = Event(kind, body, "feed/bars", *head, after=data.draw(st.none() | struct(Spot)))
    payload = wire.encode(event)
    assert wire.decode(payload) == event
    assert wire.decode_sent(wire.stamped(payload, 77)) == (event, 77)
    assert wire.encode(wire.decode(payload)) == payload


def test_the_envelope_reads_as_the_design_says() -> None:
    said = json.loads(wire.stamped(wire.encode(BAR), 9))
    assert list(said) == ["v", "type", "stream", "epoch", "seq", "ts", "cause", "after", "body", "sent"]
    assert said["body"]["symbol"] == "SPY"
    assert json.loads(wire.encode(FILL))["body"]["price"] == "100"


def changed(event: Event, **fields: Any) -> bytes:
    return json.dumps({**json.loads(wire.encode(event)), **fields}).encode()


def inside(event: Event, **fields: Any) -> bytes:
    said = json.loads(wire.encode(event))
    return json.dumps({**said, "body": {**said["body"], **fields}}).encode()


def without(event: Event, name: str, body: bool = False) -> bytes:
    said = json.loads(wire.encode(event))
    del (said["body"] if body else said)[name]
    return json.dumps(said).encode()


REFUSED = {
    "unknown version": (changed(BAR, v=2), "version 2"),
    "no version": (without(BAR, "v"), "v"),
    "unknown type": (changed(BAR, type="gossip"), "gossip"),
    "no type": (without(BAR, "type"), "type"),
    "no body": (without(BAR, "body"), "body"),
    "missing field": (without(BAR, "close", body=True), "close"),
    "wrong type": (inside(BAR, close="100"), "close"),
    "true is no number": (inside(BAR, start=True), "start"),
    "a fraction is no time": (inside(BAR, start=1.5), "start"),
    "null price": (inside(BAR, close=None), "close"),
    "extra field": (changed(BAR, colour="red"), "colour"),
    "body is a list": (changed(BAR, body=[1, 2]), "bar"),
    "stream is a number": (changed(BAR, stream=5), "stream"),
    "NaN": (inside(FILL, price="NaN"), "NaN"),
    "nan in small letters": (inside(FILL, price="nan"), "NaN"),
    "signalling NaN with digits": (inside(FILL, price="-sNaN12"), "NaN"),
    "NaN with room around it": (inside(FILL, price=" NaN "), "NaN"),
    "NaN with underscores": (inside(FILL, price="n_a_n"), "NaN"),
    "NaN written in escapes": (wire.encode(FILL).replace(b'"price":"100"', b'"price":"\\u004eaN"'), "NaN"),
    "infinity": (inside(FILL, price="Infinity"), "NaN"),
    "minus infinity": (inside(FILL, price="-inf"), "NaN"),
    "bare NaN": (wire.encode(BAR).replace(b'"close":100.0', b'"close":NaN'), "envelope"),
    "float beyond all bounds": (wire.encode(BAR).replace(b'"close":100.0', b'"close":1e999'), "range"),
    "not UTF-8": (wire.encode(BAR).replace(b"SPY", b"\xff\xfe"), "bar"),
    "half a surrogate": (wire.encode(BAR).replace(b"SPY", b"\\ud800"), "envelope"),
    "empty": (b"", "envelope"),
    "a list": (b"[]", "envelope"),
    "cut short": (wire.encode(BAR)[:-1], "envelope"),
    "something after it": (wire.encode(BAR) + b"{}", "envelope"),
    "deep nesting": (b'{"v":1,"type":"bar","ts":1,"body":' + b"[" * 60_000 + b"]" * 60_000 + b"}", ""),
    "deep nesting not closed": (b"[" * 100_000, "envelope"),
    "over-long": (changed(BAR, cause="x" * PAYLOAD_MAX), "bytes"),
}


@pytest.mark.parametrize(("payload", "names"), REFUSED.values(), ids=REFUSED.keys())
def test_a_payload_that_is_not_right_is_a_wire_error_that_names_what_is_wrong(payload: bytes, names: str) -> None:
    with pytest.raises(WireError) as raised:
        wire.decode(payload)
    assert names in str(raised.value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity")])
def test_a_decimal_that_is_no_number_is_found_at_any_depth(value: Decimal) -> None:
    payload = wire.encode(local(order(quantity=Decimal(1), filled=value)))
    with pytest.raises(WireError, match="NaN"):
        wire.decode(payload)


@pytest.mark.parametrize("symbol", ["NAN", "INF", "nan"])
def test_a_symbol_that_reads_like_no_number_is_a_symbol(symbol: str) -> None:
    event = local(bar(symbol=symbol))
    assert wire.decode(wire.encode(event)) == event


def test_an_over_long_message_is_not_sent() -> None:
    with pytest.raises(WireError, match=f"at most {PAYLOAD_MAX}"):
        wire.encode(local(Account(Decimal(1), currency="x" * PAYLOAD_MAX)))


def test_the_longest_message_is_taken_with_its_stamp() -> None:
    room = PAYLOAD_MAX - len(wire.encode(local(Account(Decimal(1), currency=""))))
    event = local(Account(Decimal(1), currency="x" * room))
    assert wire.decode(wire.stamped(wire.encode(event), 2**63 - 1)) == event


@given(st.binary(max_size=200))
def test_noise_is_a_wire_error_and_never_another(noise: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode(noise)


@pytest.mark.parametrize("kind", list(EventType))
@settings(max_examples=12)
@given(data=st.data())
def test_a_damaged_message_is_read_or_refused_and_never_another_error(kind: EventType, data: st.DataObject) -> None:
    payload = bytearray(wire.encode(Event(kind, data.draw(struct(BODIES[kind])), "feed/bars", 1, 1)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload) - 1))
        how = data.draw(st.sampled_from(["byte", "cut", "twice"]))
        if how == "byte":
            payload[at] = data.draw(st.integers(0, 255))
        elif how == "cut" and len(payload) > 2:
            del payload[at : at + data.draw(st.integers(1, 8))]
        else:
            payload[at:at] = payload[at : at + 8]
        if not payload:
            return
    try:
        event = wire.decode(bytes(payload))
    except WireError:
        return
    assert type(event.body) is BODIES[event.type]


@given(struct(Account))
def test_state_rows_come_back_as_they_went(account: Account) -> None:
    assert wire.unpack(wire.pack(account), Account) == account
