"""A source for streams as Binance's public ones are, described as an owner would in settings."""

from __future__ import annotations

from appliance.data.sources.mapping import BarFields, QuoteFields, Times, TradeFields
from appliance.data.sources.websocket_options import Message, WebSocketOptions

SYMBOLS = {"BTC/USDT": "BTCUSDT", "ETH/USDT": "ETHUSDT"}


def binance(url: str) -> WebSocketOptions:
    """Streams ``bookTicker`` (quotes), ``aggTrade`` (trades) and ``kline_1m`` (bars, told once they are closed)."""

    def wanted(stream: str) -> dict[str, object]:
        return {"method": "SUBSCRIBE", "params": ["{symbol:lower}@" + stream], "id": "{id}"}

    return WebSocketOptions(
        name="binance",
        url=url,
        subscribe={"bars": wanted("kline_1m"), "quotes": wanted("bookTicker"), "trades": wanted("aggTrade")},
        subscribed={"result": None, "id": "*"},
        errors={"error": "refused"},
        times=Times("ms"),
        symbols=SYMBOLS,
        at_once=1024,
        messages=(
            Message(
                {"e": "kline", "k.i": "1m"},
                BarFields("k.t", "k.o", "k.h", "k.l", "k.c", "k.v", symbol="s", closed="k.x"),
            ),
            Message({"e": "aggTrade"}, TradeFields("p", "q", "T", "s")),
            Message({"u": "*", "b": "*", "a": "*"}, QuoteFields("b", "a", "B", "A", symbol="s")),
        ),
    )
