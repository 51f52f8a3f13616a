"""The stand-in against alpaca-py itself, in the way its own users use it: parsed models, its own loops and retries."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import requests
from alpaca.data.historical import CryptoHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.historical.corporate_actions import CorporateActionsClient
from alpaca.data.live import StockDataStream
from alpaca.data.requests import (
    CorporateActionsRequest,
    CryptoLatestQuoteRequest,
    StockBarsRequest,
    StockLatestQuoteRequest,
    StockLatestTradeRequest,
    StockQuotesRequest,
)
from alpaca.data.timeframe import TimeFrame

from tests.standins.alpaca import AlpacaStandIn, Market, minutes
from tests.standins.alpaca.market import MINUTE, bar, quote, trade
from tests.standins.alpaca.server import KEY, SECRET

START = 1_700_000_040_000_000_000
END = datetime.fromtimestamp(START // 10**9 + 86400, UTC)
BEGIN = datetime.fromtimestamp(START // 10**9, UTC)


@pytest.fixture
def client(server: AlpacaStandIn) -> StockHistoricalDataClient:
    return StockHistoricalDataClient(KEY, SECRET, url_override=server.rest_url)


def test_alpacas_client_parses_the_bars_of_all_pages(market: Market) -> None:
    market.add("bars", "SPY", minutes(START, 25))
    with AlpacaStandIn(market, page_max=10) as small:
        client = StockHistoricalDataClient(KEY, SECRET, url_override=small.rest_url)
        asked = StockBarsRequest(symbol_or_symbols="SPY", timeframe=TimeFrame.Minute, start=BEGIN, end=END)
        found = client.get_stock_bars(asked).data["SPY"]
    assert len(found) == 25
    assert found[3].timestamp.timestamp() * 10**9 == START + 3 * MINUTE
    assert len(small.log.of("request")) == 3


def test_limit_and_sort_are_obeyed(market: Market, client: StockHistoricalDataClient) -> None:
    market.add("quotes", "SPY", [quote(START + n * MINUTE, 1 + n, 2 + n) for n in range(10)])
    asked = StockQuotesRequest(symbol_or_symbols="SPY", start=BEGIN, end=END, limit=4, sort="desc")
    assert [one.bid_price for one in client.get_stock_quotes(asked).data["SPY"]] == [10, 9, 8, 7]


def test_the_latest_of_a_symbol_is_its_last_row(market: Market, client: StockHistoricalDataClient, server: Any) -> None:
    market.add("quotes", "SPY", [quote(START, 1, 2), quote(START + 1, 3, 4)])
    market.add("trades", "SPY", [trade(START, 5.5)])
    market.add("quotes", "BTC/USD", [{"t": START, "bp": 1.0, "bs": 0.5, "ap": 2.0, "as": 0.25}])
    assert client.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="SPY"))["SPY"].bid_price == 3
    assert client.get_stock_latest_trade(StockLatestTradeRequest(symbol_or_symbols="SPY"))["SPY"].price == 5.5
    crypto = CryptoHistoricalDataClient(KEY, SECRET, url_override=server.rest_url)
    found = crypto.get_crypto_latest_quote(CryptoLatestQuoteRequest(symbol_or_symbols="BTC/USD"))
    assert found["BTC/USD"].ask_size == 0.25


def test_corporate_actions_are_parsed_by_their_models(market: Market, server: AlpacaStandIn) -> None:
    market.act(
        "forward_splits", id=str(UUID(int=1)), symbol="AAPL", cusip="037833100", new_rate=7, old_rate=1,
        process_date="2014-06-09", ex_date="2014-06-09",
    )  # fmt: skip
    client = CorporateActionsClient(KEY, SECRET, url_override=server.rest_url)
    (found,) = client.get_corporate_actions(CorporateActionsRequest(symbols=["AAPL"])).data["forward_splits"]
    assert (found.new_rate, str(found.ex_date)) == (7.0, "2014-06-09")


def test_every_reply_tells_the_rate_limit(server: AlpacaStandIn, market: Market) -> None:
    market.add("bars", "SPY", minutes(START, 1))
    keys = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
    for headers, status in ((keys, 200), ({}, 401)):
        reply = requests.get(
            f"{server.rest_url}/v2/stocks/bars?symbols=SPY&timeframe=1Min&end=2023-12-01", headers=headers, timeout=5
        )
        assert (reply.status_code, reply.headers["X-RateLimit-Limit"]) == (status, "200")
        assert int(reply.headers["X-RateLimit-Reset"]) % 60 == 0


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/v2/stocks/bars?symbols=spy&timeframe=1Min", 422, "invalid symbol: spy"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=90Min", 400, "invalid timeframe: 90Min"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=1Min&end=2023-12-01&limit=0", 422, "invalid limit: 0"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=1Min&end=2023-12-01&feed=x", 400, "invalid feed: x"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=1Min&end=2023-12-01&page_token=!", 400, "invalid page_token"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=1Min&start=soon", 400, "invalid start: soon"),
        ("/v2/stocks/bars?symbols=SPY&timeframe=1Min", 403, "recent SIP data"),
        ("/v2/orders", 404, "endpoint not found"),
    ],
)
def test_bad_questions_are_answered_as_alpaca_answers_them(
    server: AlpacaStandIn, path: str, status: int, text: str
) -> None:
    headers = {"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET}
    reply = requests.get(server.rest_url + path, headers=headers, timeout=5)
    assert reply.status_code == status
    assert text in reply.json()["message"]


def test_alpacas_stream_parses_what_is_pushed_and_comes_back_after_a_reset(server: AlpacaStandIn) -> None:
    heard: list[Any] = []
    news = threading.Condition()

    async def hear(one: Any) -> None:
        with news:
            heard.append(one)
            news.notify_all()

    stream = StockDataStream(KEY, SECRET, url_override=f"{server.stream_url}/v2/iex")
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.05
    stream.subscribe_bars(hear, "SPY")
    stream.subscribe_quotes(hear, "SPY")
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    for times in (1, 2):
        server.log.until(lambda log, times=times: _subscriptions(log) == times)
        server.push(
            {"T": "b", "S": "SPY", **bar(START, 1, 2, 0.5, 1.5, 100)}, {"T": "q", "S": "SPY", **quote(START, 1, 2)}
        )
        with news:
            assert news.wait_for(lambda times=times: len(heard) == 2 * times, 10)
        if times == 1:
            server.hang_up()
    assert (heard[0].close, heard[0].timestamp.timestamp() * 10**9) == (1.5, START)
    assert heard[1].ask_price == 2
    stream.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_json_is_spoken_to_who_does_not_ask_for_msgpack(server: AlpacaStandIn) -> None:
    import json

    from websockets.sync.client import connect

    with connect(f"{server.stream_url}/v2/iex", proxy=None) as socket:
        say: Callable[[Any], None] = lambda message: socket.send(json.dumps(message))  # noqa: E731
        assert json.loads(socket.recv()) == [{"T": "success", "msg": "connected"}]
        say({"action": "auth", "key": KEY, "secret": SECRET})
        assert json.loads(socket.recv()) == [{"T": "success", "msg": "authenticated"}]
        say({"action": "auth", "key": KEY, "secret": SECRET})
        assert json.loads(socket.recv()) == [{"T": "error", "code": 403, "msg": "already authenticated"}]
        say({"action": "subscribe", "bars": ["SPY"], "nonsense": []})
        assert json.loads(socket.recv())[0]["code"] == 410
        say({"action": "subscribe", "bars": ["SPY"]})
        assert json.loads(socket.recv())[0]["bars"] == ["SPY"]
        say({"action": "unsubscribe", "bars": ["SPY"]})
        assert json.loads(socket.recv())[0]["bars"] == []
        server.push({"T": "b", "S": "SPY", **bar(START, 1, 2, 0.5, 1.5, 100)})
        say({"action": "subscribe", "bars": ["*"]})
        assert json.loads(socket.recv())[0]["bars"] == ["*"]
        server.push({"T": "b", "S": "AAPL", **bar(START, 1, 2, 0.5, 1.5, 100)})
        assert json.loads(socket.recv())[0]["S"] == "AAPL"
    assert SECRET not in str(server.log.of("received"))


def test_who_does_not_authenticate_in_time_is_sent_away(market: Market) -> None:
    from websockets.sync.client import connect

    with AlpacaStandIn(market, patience=0.1) as hasty, connect(f"{hasty.stream_url}/v2/iex", proxy=None) as socket:
        socket.recv()
        assert b"auth timeout" in socket.recv(decode=False)


def _subscriptions(log: Any) -> int:
    return sum(entry.what == "sent" and entry.facts["message"].get("T") == "subscription" for entry in log)
