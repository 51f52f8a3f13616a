"""The stand-in's stream of trade updates, with Alpaca's own client, and with a bare socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.standins.alpaca import KEY, SECRET, AlpacaTrading
from tests.venues.standins.alpaca.conftest import Ask, Heard

Listen = Callable[..., Heard]
LOGIN = {"action": "authenticate", "data": {"key_id": KEY, "secret_key": SECRET}}
LISTEN = {"action": "listen", "data": {"streams": ["trade_updates"]}}


def said(socket: ClientConnection, message: dict[str, Any]) -> Any:
    """What is answered to a message, which comes in a binary frame."""
    socket.send(json.dumps(message))
    frame = socket.recv(timeout=5)
    assert isinstance(frame, bytes)
    return json.loads(frame)


def test_one_authenticates_and_listens_and_is_told_in_binary_frames(alpaca: AlpacaTrading, ask: Ask) -> None:
    with connect(alpaca.stream_url, proxy=None) as socket:
        authorized = {"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}
        assert said(socket, LOGIN) == authorized
        assert said(socket, LISTEN) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}
        ask.rest("a")
        event = json.loads(socket.recv(timeout=5))
    assert event["stream"] == "trade_updates"
    assert (event["data"]["event"], event["data"]["order"]["client_order_id"]) == ("new", "a")
    assert "secret" not in str([entry for entry in alpaca.log.of("received") if "secret_key" in str(entry.facts)])


@pytest.mark.parametrize("nonsense", ["{", "[]", '"listen"', '{"action": "listen", "data": 7}', '{"action": 1}'])
def test_nonsense_is_answered_and_the_connection_stays(alpaca: AlpacaTrading, nonsense: str) -> None:
    with connect(alpaca.stream_url, proxy=None) as socket:
        said(socket, LOGIN)
        socket.send(nonsense)
        assert json.loads(socket.recv(timeout=5))["stream"] in ("error", "listening")
        assert said(socket, LISTEN)["data"]["streams"] == ["trade_updates"]


def test_wrong_keys_are_unauthorized(alpaca: AlpacaTrading) -> None:
    wrong = {"action": "authenticate", "data": {"key_id": KEY, "secret_key": "wrong"}}
    with connect(alpaca.stream_url, proxy=None) as socket:
        assert said(socket, wrong)["data"]["status"] == "unauthorized"
        alpaca.expire_keys()
        assert said(socket, LOGIN)["data"]["status"] == "unauthorized"
        alpaca.renew_keys()
        assert said(socket, LOGIN)["data"]["status"] == "authorized"


def test_a_market_order_is_new_and_then_filled(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    ask.buy("a", 3)
    new, fill = heard.until(lambda events: len(events) == 2)
    assert (new["event"], new["order"]["status"], new["order"]["filled_qty"]) == ("new", "new", "0")
    assert (fill["event"], fill["order"]["status"], fill["order"]["filled_avg_price"]) == ("fill", "filled", "100.01")
    assert (fill["price"], fill["qty"], fill["position_qty"]) == ("100.01", "3", "3")
    assert fill["execution_id"]


def test_alpacas_own_models_parse_the_events(ask: Ask, listen: Listen) -> None:
    heard = listen(raw=False)
    ask.buy("a", 3)
    _, fill = heard.until(lambda events: len(events) == 2)
    assert (fill.event, fill.qty, fill.order.client_order_id) == ("fill", 3.0, "a")


def test_the_sequence_of_events_is_configurable(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    alpaca.stream.sequence = {"new": ("pending_new",), "canceled": ("pending_cancel",)}
    heard = listen()
    order_id = ask.rest("a", 4).json()["id"]
    alpaca.books.fill(order_id, 1, "50")
    ask("DELETE", f"orders/{order_id}")
    events = heard.until(lambda events: len(events) == 5)
    assert heard.names == ["pending_new", "new", "partial_fill", "pending_cancel", "canceled"]
    statuses = [event["order"]["status"] for event in events]
    assert statuses == ["pending_new", "new", "partially_filled", "pending_cancel", "canceled"]


def test_every_end_of_an_order_has_its_event(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    ids = [ask.rest(f"a{number}").json()["id"] for number in range(3)]
    alpaca.books.expire(ids[0])
    alpaca.books.reject(ids[1], "no more")
    ask("PATCH", f"orders/{ids[2]}", json={"limit_price": "51"})
    heard.until(lambda events: len(events) == 7)
    assert heard.names[3:] == ["expired", "rejected", "replaced", "new"]


def test_corrections_and_busts_name_the_execution_before(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    ask.buy("a", 10)
    alpaca.books.correct(1, price="100")
    alpaca.books.bust(1)
    _, fill, correct, bust = heard.until(lambda events: len(events) == 4)
    assert (correct["event"], correct["price"], bust["event"]) == ("trade_correct", "100", "trade_bust")
    assert correct["previous_execution_id"] == fill["execution_id"]
    assert (bust["position_qty"], bust["order"]["filled_qty"]) == ("0", "0")


def test_lost_events_are_not_told_and_written_down(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    alpaca.faults.lost_events = 1
    ask.buy("a")
    heard.until(lambda events: len(events) == 1)
    assert heard.names == ["fill"]
    assert len(alpaca.log.of("lost")) == 1


def test_events_come_twice_and_in_the_wrong_order(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    alpaca.faults.swapped_events = 1
    ask.buy("a")
    heard.until(lambda events: len(events) == 2)
    assert heard.names == ["fill", "new"]
    alpaca.faults.twice = True
    ask.rest("b")
    heard.until(lambda events: len(events) == 4)
    assert heard.names[2:] == ["new", "new"]


def test_events_come_late(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    alpaca.faults.event_delay = 0.1
    ask.rest("a")
    assert ask("GET", "orders").json()[0]["status"] == "new"
    assert heard.names == []
    heard.until(lambda events: len(events) == 1)


@pytest.mark.parametrize("fault", ["new_status", "new_event"])
def test_words_that_did_not_exist_yesterday_are_told(
    alpaca: AlpacaTrading, ask: Ask, listen: Listen, fault: str
) -> None:
    heard = listen()
    setattr(alpaca.faults, fault, "brand_new")
    ask.rest("a")
    (event,) = heard.until(lambda events: events)
    assert "brand_new" in (event["event"], event["order"]["status"])


def test_alpacas_own_client_comes_back_after_a_hang_up(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    heard = listen()
    alpaca.hang_up()
    alpaca.log.until(lambda log: sum("listening" in str(entry.facts) for entry in log if entry.what == "sent") == 2)
    ask.rest("a")
    heard.until(lambda events: events)


def test_a_half_open_stream_stays_connected_and_says_nothing(alpaca: AlpacaTrading, ask: Ask, listen: Listen) -> None:
    with connect(alpaca.stream_url, proxy=None, ping_interval=None) as socket:
        said(socket, LOGIN)
        said(socket, LISTEN)
        alpaca.freeze()
        alpaca.books.place("a", "SPY", "buy", 1)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.3)
        assert not socket.ping().wait(0.3)
        alpaca.log.until(lambda log: sum(entry.what == "untold" for entry in log) == 2)
        alpaca.thaw()


def test_a_half_open_stream_takes_a_connection_and_no_login(alpaca: AlpacaTrading) -> None:
    alpaca.freeze()
    with connect(alpaca.stream_url, proxy=None, ping_interval=None) as socket:
        socket.send(json.dumps(LOGIN))
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        alpaca.thaw()
        assert b'"authorized"' in socket.recv(timeout=5)


@pytest.mark.parametrize(("fault", "status"), [("busy", 429), ("taken", 406), ("broken", 503)])
def test_the_stream_refuses_connections(alpaca: AlpacaTrading, fault: str, status: int) -> None:
    setattr(alpaca.faults, fault, 503 if fault == "broken" else True)
    with pytest.raises(InvalidStatus) as caught, connect(alpaca.stream_url, proxy=None):
        pass
    assert caught.value.response.status_code == status


def test_more_connections_than_there_may_be_are_refused() -> None:
    with AlpacaTrading(connections=1) as alpaca, connect(alpaca.stream_url, proxy=None) as socket:
        said(socket, LOGIN)
        with pytest.raises(InvalidStatus) as caught, connect(alpaca.stream_url, proxy=None):
            pass
    assert caught.value.response.status_code == 429


def test_a_deaf_stream_takes_a_connection_and_no_login(alpaca: AlpacaTrading) -> None:
    alpaca.faults.deaf = True
    with connect(alpaca.stream_url, proxy=None) as socket:
        socket.send(json.dumps(LOGIN))
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.2)
        alpaca.faults.deaf = False
        assert b'"authorized"' in socket.recv(timeout=5)


def test_frames_may_be_text_or_no_json_at_all(alpaca: AlpacaTrading, ask: Ask) -> None:
    with connect(alpaca.stream_url, proxy=None) as socket:
        said(socket, LOGIN)
        said(socket, LISTEN)
        alpaca.faults.text_frames = True
        ask.rest("a")
        assert json.loads(socket.recv(timeout=5))["data"]["event"] == "new"
        alpaca.faults.garbled = True
        ask.rest("b")
        with pytest.raises(ValueError, match="Expecting"):
            json.loads(socket.recv(timeout=5))
