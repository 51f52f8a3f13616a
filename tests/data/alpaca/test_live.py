from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from appliance.data.sources.alpaca import AlpacaLive
from appliance.data.sources.base import Kind, Linked, Oddity, Told, Wire
from appliance.domain.market import MINUTE, Bar, PriceBand, Quote, Trade, TradingStatus
from appliance.errors import DataError
from tests.data.alpaca.conftest import LiveOf, Options
from tests.data.source_contract import Listening, assert_bars
from tests.standins.alpaca import AlpacaStandIn
from tests.standins.alpaca.market import bar, quote, trade

MINUTE_AGO = time.time_ns() // MINUTE * MINUTE - 2 * MINUTE
STATUSES = {"T": "s", "S": "SPY", "rc": "LUDP", "rm": "Volatility Trading Pause", "z": "C"}


def of(kind: type) -> object:
    """Whether something of the kind was told."""
    return lambda told: any(isinstance(one, kind) for one in told)


def listening(source: AlpacaLive, *kinds: Kind, symbols: Sequence[str] = ("SPY", "AAPL")) -> Listening:
    return Listening(source, symbols, kinds or tuple(Kind))


def told_of(source: AlpacaLive, server: AlpacaStandIn, *messages: dict[str, object]) -> list[Told]:
    """What is told of messages that come in one frame, pongs left out."""
    with listening(source) as heard:
        heard.linked()
        assert server.push(*messages) == 1
        server.raw(b"\x90")  # an empty frame, and one that shows that all before it was read
        server.push({"T": "q", "S": "AAPL", **quote(1, 1, 2)})
        heard.until(lambda told: any(isinstance(one, Quote) and one.time == 1 for one in told))
        return [one for one in heard.told if not isinstance(one, Linked | Wire)][:-1]


def test_it_is_linked_to_what_was_asked_for_before_anything_else(server: AlpacaStandIn, stream: LiveOf) -> None:
    with listening(stream()) as heard:
        assert heard.linked() == Linked(("SPY", "AAPL"))
    auth, subscription = (entry.facts for entry in server.log.of("received", "/v2/iex"))
    assert auth["message"]["action"] == "auth"
    both = ["SPY", "AAPL"]
    channels = ("bars", "updatedBars", "quotes", "trades", "statuses", "lulds")
    assert subscription["message"] == {**dict.fromkeys(channels, both), "action": "subscribe"}
    assert subscription["fragments"] >= 1


def test_only_the_kinds_that_were_asked_for_are_subscribed_to(server: AlpacaStandIn, stream: LiveOf) -> None:
    with listening(stream(), Kind.BARS) as heard:
        heard.linked()
        assert server.push({"T": "q", "S": "SPY", **quote(1, 1, 2)}) == 0
    assert set(server.log.of("received")[1].facts["message"]) == {"bars", "updatedBars", "action"}


def test_many_symbols_are_sent_in_fragments_and_all_are_linked(server: AlpacaStandIn, stream: LiveOf) -> None:
    symbols = [f"{chr(65 + n // 676)}{chr(65 + n // 26 % 26)}{chr(65 + n % 26)}" for n in range(10_000)]
    with listening(stream(), Kind.BARS, symbols=symbols) as heard:
        assert heard.linked().symbols == tuple(symbols)
    assert server.log.of("received")[1].facts["fragments"] > 2


def test_bars_quotes_and_trades_are_told_in_the_order_they_came(server: AlpacaStandIn, stream: LiveOf) -> None:
    before = time.time_ns()
    told = told_of(
        stream(), server,
        {"T": "b", "S": "SPY", **bar(MINUTE_AGO, 100, 101.5, 99.5, 101, 2500)},
        {"T": "q", "S": "SPY", **quote(MINUTE_AGO + 1, 100.98, 101.02, 300, 200)},
        {"T": "t", "S": "AAPL", **trade(MINUTE_AGO + 123_456_789, 190.05, 7)},
    )  # fmt: skip
    first = told[0]
    assert isinstance(first, Bar)
    assert_bars([first], "alpaca", ["SPY"], "1m")
    assert before <= first.received <= time.time_ns()
    received = first.received
    end = MINUTE_AGO + MINUTE
    assert told == [
        Bar("SPY", "1m", MINUTE_AGO, end, 100.0, 101.5, 99.5, 101.0, 2500.0, "alpaca", received),
        Quote("SPY", MINUTE_AGO + 1, 100.98, 101.02, 300.0, 200.0, source="alpaca", received=received),
        Trade("AAPL", MINUTE_AGO + 123_456_789, 190.05, 7.0, "alpaca", received),
    ]  # fmt: skip


def test_a_revised_bar_is_the_next_revision_of_the_same_bar(server: AlpacaStandIn, stream: LiveOf) -> None:
    row = {"S": "SPY", **bar(MINUTE_AGO, 100, 101, 99, 100, 50)}
    other = {"S": "SPY", **bar(MINUTE_AGO + MINUTE, 100, 101, 99, 100, 50)}
    told = told_of(
        source := stream(), server,
        {"T": "b", **row}, {"T": "u", **row, "h": 102}, {"T": "u", **other}, {"T": "u", **row, "h": 103},
    )  # fmt: skip
    assert [(bar.start, bar.revision, bar.high) for bar in told if isinstance(bar, Bar)] == [
        (MINUTE_AGO, 0, 101.0), (MINUTE_AGO, 1, 102.0), (MINUTE_AGO + MINUTE, 1, 101.0), (MINUTE_AGO, 2, 103.0),
    ]  # fmt: skip
    (after,) = told_of(source, server, {"T": "u", **row, "h": 104})
    assert isinstance(after, Bar)
    assert after.revision == 3, "the next connection counts on"


def test_halts_resumptions_and_price_bands_are_told(server: AlpacaStandIn, stream: LiveOf) -> None:
    at = MINUTE_AGO
    told = told_of(
        stream(), server,
        {**STATUSES, "sc": "5", "t": at},
        {**STATUSES, "sc": "P", "t": at + 1},
        {**STATUSES, "sc": "Q", "t": at + 2},
        {**STATUSES, "sc": "7", "t": at + 3},
        {**STATUSES, "sc": "T", "t": at + 4},
        {"T": "l", "S": "SPY", "u": 105.0, "d": 95.0, "i": "B", "z": "C", "t": at + 5},
    )  # fmt: skip
    statuses = [one for one in told if isinstance(one, TradingStatus)]
    assert [(one.time - at, one.halted, one.code) for one in statuses] == [
        (1, True, "P"), (2, True, "Q"), (3, True, "7"), (4, False, "T"),
    ]  # fmt: skip
    assert statuses[0].reason == "Volatility Trading Pause"
    assert told[-1] == PriceBand("SPY", at + 5, 95.0, 105.0, "alpaca")


def test_a_status_that_nobody_knows_is_an_oddity_and_no_all_clear(server: AlpacaStandIn, stream: LiveOf) -> None:
    (told,) = told_of(stream(), server, {**STATUSES, "sc": "Z", "t": MINUTE_AGO})
    assert isinstance(told, Oddity)
    assert "status code 'Z'" in told.text


def test_corrected_and_cancelled_trades_are_told_as_oddities(server: AlpacaStandIn, stream: LiveOf) -> None:
    change = {"T": "c", "S": "SPY", "x": "V", "oi": 1, "op": 10.0, "os": 5, "oc": [], "ci": 2, "cp": 11.0, "cs": 6}
    cancel = {"T": "x", "S": "SPY", "i": 1, "x": "V", "p": 12.5, "s": 9, "a": "C", "z": "C"}
    with listening(stream()) as heard:
        heard.linked()
        assert server.push({**change, "t": 7}, {**cancel, "t": 8}) == 1
        told = heard.until(lambda told: sum(isinstance(one, Oddity) for one in told) == 2)
    assert [one.text for one in told if isinstance(one, Oddity)] == [
        "SPY: a trade of 5 at 10.0 is corrected to 6 at 11.0 (7)", "SPY: a trade of 9 at 12.5 is cancelled (8)",
    ]  # fmt: skip


def test_crypto_comes_from_its_own_endpoint(server: AlpacaStandIn, options: Options) -> None:
    source = AlpacaLive(options(market="crypto"))
    assert source.traits.live == (Kind.BARS, Kind.QUOTES, Kind.TRADES)
    with Listening(source, ["BTC/USD"], [Kind.BARS, Kind.QUOTES]) as heard:
        heard.linked()
        server.push({"T": "q", "S": "BTC/USD", "bp": 1.5, "bs": 0.25, "ap": 1.6, "as": 0.5, "t": MINUTE_AGO})
        (found,) = [one for one in heard.until(of(Quote)) if isinstance(one, Quote)]
    assert (found.bid_size, found.ask_size) == (0.25, 0.5)
    assert [entry.where for entry in server.log.of("connected")] == ["/v1beta3/crypto/us"]


def test_beyond_the_limit_of_the_plan_the_first_symbols_are_linked_and_the_others_named(
    server: AlpacaStandIn, stream: LiveOf
) -> None:
    symbols = [f"AA{chr(65 + n)}" for n in range(20)]
    with listening(stream(), Kind.QUOTES, Kind.TRADES, symbols=symbols) as heard:
        linked = heard.linked()
        assert server.push({"T": "q", "S": symbols[0], **quote(1, 1, 2)}) == 1
    assert linked.symbols == tuple(symbols[:15])
    assert set(linked.lacking) == set(symbols[15:])
    assert "the plan takes 15 symbols of quotes and trades (405)" in linked.lacking[symbols[15]]


def test_bars_are_not_counted_against_the_limit(stream: LiveOf) -> None:
    symbols = [f"AA{chr(65 + n % 26)}{chr(65 + n // 26)}" for n in range(100)]
    with listening(stream(), Kind.BARS, symbols=symbols) as heard:
        assert heard.linked().symbols == tuple(symbols)


def test_pongs_are_told_as_signs_of_life_while_nothing_happens(stream: LiveOf) -> None:
    with listening(stream(ping=0.05)) as heard:
        told = heard.until(lambda told: sum(isinstance(one, Wire) for one in told) >= 3)
    assert isinstance(told[0], Linked)


def test_it_ends_within_a_second_of_stop_and_says_goodbye(server: AlpacaStandIn, stream: LiveOf) -> None:
    with listening(stream()) as heard:
        heard.linked()
        began = time.monotonic()
        heard.stop.set()
        server.log.until(lambda log: any(entry.what == "closed" for entry in log))
    assert time.monotonic() - began < 1
    assert "code=1000" in server.log.of("closed")[0].facts["why"]
    assert heard.error is None


def test_the_slot_is_free_again_after_it_ended(server: AlpacaStandIn, stream: LiveOf) -> None:
    source = stream()
    for _ in range(3):
        with listening(source) as heard:
            heard.linked()
        server.log.until(lambda log: server.connections == 0)
    assert len(server.log.of("connected")) == 3


@pytest.mark.parametrize(("symbols", "kinds"), [((), (Kind.BARS,)), (("BTC/USD",), (Kind.STATUSES,))])
def test_nothing_to_subscribe_to_is_said_without_connecting(
    server: AlpacaStandIn, stream: LiveOf, symbols: tuple[str, ...], kinds: tuple[Kind, ...]
) -> None:
    heard = Listening(stream(market="crypto"), symbols, kinds)
    with pytest.raises(DataError, match="nothing to subscribe to"), heard:
        heard.until(of(Linked))
    assert server.log.of("connected") == []
