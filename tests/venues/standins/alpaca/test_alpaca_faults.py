"""Each fault of the trading stand-in does what it says, and the log tells the truth of it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests
from websockets.sync.client import connect

from tests.standins.alpaca import KEY, MISHAPS, AlpacaTrading
from tests.venues.standins.alpaca.conftest import HEADERS, Ask

AFTER = [name for name, one in MISHAPS.items() if one.on.startswith("POST") and one.done and name != "slow"]
BEFORE = [name for name, one in MISHAPS.items() if one.on.startswith("POST") and not one.done and not one.later]


def taken(alpaca: AlpacaTrading) -> list[str]:
    return [record.client_id for record in alpaca.books.log.accepted()]


def answer_to(ask: Ask, client_id: str) -> Any:
    """The answer to an order, or None where there is none within a moment."""
    try:
        return ask.rest(client_id, timeout=0.3)
    except requests.RequestException:
        return None


@pytest.mark.parametrize("name", AFTER)
def test_an_order_is_taken_and_its_answer_goes_amiss(alpaca: AlpacaTrading, ask: Ask, name: str) -> None:
    alpaca.faults.next(name)
    reply = answer_to(ask, "a")
    assert reply is None or reply.status_code >= 500 or b'"id"' not in reply.content
    alpaca.books.log.until(lambda records: records)
    assert taken(alpaca) == ["a"]
    assert ask.rest("b").status_code == 200  # the next is well again


@pytest.mark.parametrize("name", BEFORE)
def test_an_order_is_not_taken_and_that_is_not_said_or_is(alpaca: AlpacaTrading, ask: Ask, name: str) -> None:
    alpaca.faults.next(name, 2)
    for client_id in ("a", "b"):
        reply = answer_to(ask, client_id)
        wanted = MISHAPS[name]
        assert reply is None if not wanted.status else reply.status_code == wanted.status
    assert ask.rest("c").status_code == 200
    assert taken(alpaca) == ["c"]


def test_a_504_may_be_followed_by_the_order_itself(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.next("504 late", later=0.1)
    assert ask.rest("a").status_code == 504
    alpaca.books.log.until(lambda records: records)
    assert taken(alpaca) == ["a"]
    assert ask.rest("a").json()["message"] == "client_order_id must be unique"


def test_the_connection_ends_at_any_byte_of_the_answer(alpaca: AlpacaTrading, ask: Ask) -> None:
    """A client takes what ends (FIN) among the headers for an answer of 200 without a body."""
    whole = ask.rest("whole")
    for number, cut in enumerate((0, 1, 12, 40, 200, int(whole.headers["Content-Length"]))):
        for end in (False, True):
            alpaca.faults.next("cut after", cut=cut, end=end)
            reply = answer_to(ask, f"{number} {end}")
            assert reply is None or (end and reply.content == b"")
    assert len(taken(alpaca)) == 13


def test_a_slow_answer_comes_after_all(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.next("slow", after=0.2)
    assert answer_to(ask, "a") is not None
    alpaca.faults.next("slow", after=0.6)
    assert answer_to(ask, "b") is None
    assert taken(alpaca) == ["a", "b"]


def test_a_mishap_is_for_the_requests_it_is_on(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.next("502 after", -1, on="GET /v2/positions")
    assert ask.rest("a").status_code == 200
    assert [ask("GET", "positions").status_code for _ in range(3)] == [502] * 3
    alpaca.faults.clear()
    assert ask("GET", "positions").status_code == 200


def test_the_limit_of_a_minute_is_told_and_kept() -> None:
    with AlpacaTrading(requests=3, clock=lambda: 61 * 10**9) as alpaca:
        ask = Ask(alpaca)
        replies = [ask("GET", "account") for _ in range(4)]
        assert [reply.headers["X-RateLimit-Remaining"] for reply in replies] == ["2", "1", "0", "0"]
        assert (replies[3].status_code, replies[3].json()["code"]) == (429, 42910000)
        assert replies[3].headers["X-RateLimit-Reset"] == "120"
        alpaca.requests = 10
        assert ask("GET", "account").status_code == 200


def test_keys_expire_while_it_runs(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.expire_keys()
    reply = ask.buy("a")
    assert (reply.status_code, reply.json()) == (401, {"message": "unauthorized"})
    alpaca.renew_keys()
    assert ask.buy("a").status_code == 200
    wrong = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": "wrong"}
    assert ask("GET", "account", headers=wrong).status_code == 401


def test_a_half_open_connection_holds_orders_back(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.freeze()
    assert answer_to(ask, "a") is None
    assert taken(alpaca) == []
    alpaca.thaw()
    alpaca.books.log.until(lambda records: records)
    assert taken(alpaca) == ["a"]


def test_a_broker_that_is_gone_refuses_connections_and_comes_back(alpaca: AlpacaTrading, ask: Ask) -> None:
    kept = requests.Session()
    assert kept.get(f"{alpaca.rest_url}/v2/account", headers=HEADERS, timeout=5).status_code == 200
    alpaca.go_away()
    for get in (requests.get, kept.get):
        with pytest.raises(requests.ConnectionError):
            get(f"{alpaca.rest_url}/v2/account", headers=HEADERS, timeout=1)
    with pytest.raises(OSError, match="refused"):
        connect(alpaca.stream_url, proxy=None)
    alpaca.come_back()
    assert ask.rest("a").status_code == 200
    with connect(alpaca.stream_url, proxy=None):
        alpaca.log.until(lambda log: any(entry.what == "connected" for entry in log))


def test_all_is_well_again_when_it_is_calm(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.freeze()
    alpaca.expire_keys()
    alpaca.faults.next("504 before", -1)
    alpaca.faults.lost_events = 5
    alpaca.go_away()
    alpaca.calm()
    assert ask.rest("a").status_code == 200
    assert alpaca.faults.lost_events == 0


def test_connections_that_were_kept_are_reset(alpaca: AlpacaTrading) -> None:
    with requests.Session() as kept:
        kept.get(f"{alpaca.rest_url}/v2/account", headers=HEADERS, timeout=5)
        alpaca.hang_up_rest()
        assert kept.get(f"{alpaca.rest_url}/v2/account", headers=HEADERS, timeout=5).status_code == 200
    assert len(alpaca.log.of("request")) == 2
    assert len(alpaca.log.of("accepted connection")) == 2


def test_an_order_is_cancelled_by_the_broker_after_a_part(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.partial_then_cancel = 1
    order_id = ask.rest("a", 10).json()["id"]
    body = ask("GET", f"orders/{order_id}").json()
    assert (body["status"], body["filled_qty"]) == ("canceled", "5")
    assert ask("GET", f"orders/{ask.rest('b').json()['id']}").json()["status"] == "new"


def test_an_order_is_rejected_after_it_was_taken(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.reject_later = 1
    body = ask("GET", f"orders/{ask.rest('a').json()['id']}").json()
    assert (body["status"], body["failed_at"] is None) == ("rejected", False)


@pytest.mark.parametrize(
    ("fault", "status", "filled"),
    [
        ("cancel_loses", "filled", "3"),
        ("late_fill", "filled", "3"),
        ("cancel_hangs", "pending_cancel", "0"),
        ("lost_cancels", "new", "0"),
    ],
)
def test_a_cancel_is_taken_and_comes_to_something_else(
    alpaca: AlpacaTrading, ask: Ask, fault: str, status: str, filled: str
) -> None:
    order_id = ask.rest("a", 3).json()["id"]
    setattr(alpaca.faults, fault, 1)
    assert ask("DELETE", f"orders/{order_id}").status_code == 204
    body = ask("GET", f"orders/{order_id}").json()
    assert (body["status"], body["filled_qty"]) == (status, filled)
    kinds = [record.kind for record in alpaca.books.log.records]
    assert kinds.count("execution") == int(filled != "0")
    assert ("canceled" in kinds) == (fault == "late_fill")


def test_a_replacement_is_taken_and_the_old_order_fills(alpaca: AlpacaTrading, ask: Ask) -> None:
    order_id = ask.rest("a", 3).json()["id"]
    alpaca.faults.replace_loses = 1
    reply = ask("PATCH", f"orders/{order_id}", json={"qty": "2", "client_order_id": "b"})
    assert (reply.status_code, reply.json()["status"]) == (200, "pending_new")
    assert ask("GET", f"orders/{order_id}").json()["status"] == "filled"
    new = ask("GET", "orders:by_client_order_id", params={"client_order_id": "b"}).json()
    assert (new["status"], new["replaces"]) == ("rejected", order_id)


def test_a_chain_of_replacements_is_not_ready_for_another(alpaca: AlpacaTrading, ask: Ask) -> None:
    order_id = ask.rest("a", 3).json()["id"]
    alpaca.faults.next("chain")
    refused = ask("PATCH", f"orders/{order_id}", json={"qty": "2"})
    assert (refused.status_code, refused.json()["message"]) == (422, "order chain not fully replaced")
    assert ask("PATCH", f"orders/{order_id}", json={"qty": "2"}).status_code == 200


def test_activities_lag_behind_positions(ask: Ask) -> None:
    now = [10**18]
    with AlpacaTrading(clock=lambda: now[0]) as alpaca:
        alpaca.books.price("SPY", "99.99", "100.01")
        alpaca.faults.activities_lag = 5
        asking = Ask(alpaca)
        asking.buy("a")
        assert asking("GET", "positions").json()[0]["qty"] == "1"
        assert asking("GET", "account/activities/FILL").json() == []
        now[0] += 6 * 10**9
        assert len(asking("GET", "account/activities/FILL").json()) == 1


def test_orders_can_be_found_a_while_after_they_were_taken() -> None:
    now = [10**18]
    with AlpacaTrading(clock=lambda: now[0]) as alpaca:
        alpaca.books.price("SPY", "99.99", "100.01")
        alpaca.faults.orders_lag = 5
        ask, query = Ask(alpaca), {"client_order_id": "a"}
        ask.rest("a")
        assert ask("GET", "orders:by_client_order_id", params=query).status_code == 404
        assert ask.rest("a").json()["message"] == "client_order_id must be unique"
        now[0] += 6 * 10**9
        assert ask("GET", "orders:by_client_order_id", params=query).json()["status"] == "new"


def test_a_status_that_did_not_exist_yesterday_is_told(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.new_status = "brand_new_status"
    assert ask.rest("a").json()["status"] == "brand_new_status"
    assert ask("GET", "orders").json()[0]["status"] == "brand_new_status"


def test_in_a_symbol_that_is_halted_only_limit_orders_are_taken(alpaca: AlpacaTrading, ask: Ask) -> None:
    alpaca.faults.halted = ("SPY",)
    reply = ask.buy("a")
    halted = 'market order rejected due to trading halt on symbol: "SPY", please place a limit order instead'
    assert (reply.status_code, reply.json()["message"]) == (422, halted)
    assert ask.rest("b").status_code == 200
    assert taken(alpaca) == ["b"]


def test_an_id_is_taken_once_however_many_ask_at_the_same_time(alpaca: AlpacaTrading, ask: Ask) -> None:
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask.buy("one").status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(statuses) == [200] + [422] * 7
    assert taken(alpaca) == ["one"]
    assert alpaca.books.positions == {"SPY": 1}


def test_each_fault_that_is_switched_is_in_the_log(alpaca: AlpacaTrading) -> None:
    alpaca.faults.next("504 after", 3)
    alpaca.faults.lost_events = 2
    assert [(entry.where, entry.facts["value"]) for entry in alpaca.log.of("fault")] == [
        ("504 after", 3), ("lost_events", 2),
    ]  # fmt: skip
    with pytest.raises(AssertionError, match="no such mishap"):
        alpaca.faults.next("no such mishap")
