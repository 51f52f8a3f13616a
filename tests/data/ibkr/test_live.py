"""Live data of Interactive Brokers, through the real library and over a real socket."""

from __future__ import annotations

import resource
import sys
import threading
import time

import pytest

from appliance.data.sources.base import Kind, Linked, Oddity, Wire
from appliance.data.sources.ibkr import IbkrOptions, live
from appliance.domain.market import MINUTE, SECOND, Bar, Quote, Trade, TradingStatus
from appliance.errors import DataError, SourceBusy, SourceRefused, UsageError
from tests.data.ibkr.conftest import LiveOf
from tests.data.source_contract import Listening, assert_bars
from tests.standins.ibkr import IbkrStandIn, Market

ALL = [Kind.BARS, Kind.QUOTES, Kind.TRADES, Kind.STATUSES]
EPOCH = 1_381_152_600
"""2013-10-07 09:30 in New York."""
BID, ASK, LAST = 1, 2, 4


def test_a_bar_is_stamped_with_its_end_and_says_where_it_is_from(gateway: IbkrStandIn, stream: LiveOf) -> None:
    source = stream(gateway)
    with Listening(source, ["SPY", "IBM"], ALL) as listening:
        assert listening.linked() == Linked(("SPY", "IBM"))
        assert gateway.push_bars("SPY", (EPOCH, 100.0, 101.0, 99.5, 100.5, 1200, 100.2, 31)) == 1
        listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    (bar,) = listening.of(Bar)
    assert_bars([bar], "ibkr", ["SPY"], source.traits.timeframes[0])
    assert (bar.start, bar.end) == (EPOCH * SECOND, (EPOCH + 5) * SECOND)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (100.0, 101.0, 99.5, 100.5, 1200.0)


def test_a_quote_is_told_once_both_sides_are_known(gateway: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(gateway), ["SPY"], ALL) as listening:
        listening.linked()
        gateway.push_ticks("SPY", (BID, 100.0, 3))
        gateway.push_ticks("SPY", (ASK, 100.1, 4))
        listening.until(lambda told: any(isinstance(one, Quote) for one in told))
        gateway.push_ticks("SPY", (BID, 100.02, 5), (ASK, 100.08, 6))
        listening.until(lambda told: any(isinstance(one, Quote) and one.ask == 100.08 for one in told))
    quotes = listening.of(Quote)
    assert [(one.bid, one.ask, one.bid_size, one.ask_size) for one in quotes][:1] == [(100.0, 100.1, 3.0, 4.0)]
    assert (quotes[-1].bid, quotes[-1].ask) == (100.02, 100.08)
    assert all(one.source == "ibkr" and one.received == one.time > 0 for one in quotes)


def test_a_side_that_is_gone_makes_no_quote(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_ticks("SPY", (BID, 100.0, 3), (ASK, 100.1, 4))
        listening.until(lambda told: any(isinstance(one, Quote) for one in told))
        one.push_ticks("SPY", (BID, -1, 0))
        one.push_ticks("SPY", (ASK, 100.2, 4))
        one.push_ticks("SPY", (BID, 100.0, 2))
        listening.until(lambda told: sum(isinstance(one, Quote) for one in told) >= 2)
    assert [(quote.bid, quote.ask) for quote in listening.of(Quote)] == [(100.0, 100.1), (100.0, 100.2)]


def test_a_trade_is_told_once_and_the_last_one_before_us_is_none(one: IbkrStandIn, stream: LiveOf) -> None:
    """The gateway repeats a trade's size after its price, and begins with a trade of long ago."""
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_ticks("SPY", (LAST, 99.0, 7))
        one.push_size("SPY", 5, 7)
        one.push_ticks("SPY", (LAST, 100.05, 10))
        one.push_size("SPY", 5, 10)
        one.push_size("SPY", 5, 20)
        one.push_ticks("SPY", (LAST, 100.06, 1))
        listening.until(lambda told: sum(isinstance(one, Trade) for one in told) >= 3)
    assert [(one.price, one.size) for one in listening.of(Trade)] == [(100.05, 10.0), (100.05, 20.0), (100.06, 1.0)]


def test_a_halt_and_its_end_are_told_also_over_two_connections(one: IbkrStandIn, stream: LiveOf) -> None:
    source = stream(one)
    with Listening(source, ["SPY"], ALL) as listening:
        listening.linked()
        one.push_generic("SPY", 49, 0)
        one.push_generic("SPY", 49, 2)
        listening.until(lambda told: any(isinstance(one, TradingStatus) for one in told))
    assert [(one.halted, one.code, one.reason) for one in listening.of(TradingStatus)] == [
        (True, "2", "volatility halt")
    ]
    with Listening(source, ["SPY"], ALL) as again:
        again.linked()
        one.push_generic("SPY", 49, 0)
        again.until(lambda told: any(isinstance(one, TradingStatus) for one in told))
    assert [one.halted for one in again.of(TradingStatus)] == [False]


def test_only_the_kinds_that_are_wanted_are_asked_for(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY"], [Kind.BARS]) as listening:
        listening.linked()
    assert len(one.log.of("received", "50")) == 1
    assert one.log.of("received", "1") == []


def test_what_has_no_trade_in_it_is_a_sign_of_life_and_no_bar(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, beat=60.0), ["SPY"], [Kind.BARS]) as listening:
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) >= 1)
        before = len(listening.of(Wire))
        one.push_bars("SPY", (EPOCH, 100.0, 100.0, 100.0, 100.0, 0, 0, 0))
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) > before)
    assert listening.of(Bar) == []


def test_each_heartbeat_that_is_answered_is_a_sign_of_life(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, beat=0.05), ["SPY"], [Kind.BARS]) as listening:
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) >= 4)
    assert len(one.log.of("received", "49")) >= 4


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (354, "Requested market data is not subscribed. Delayed market data is not available."),
        (10089, "Requested market data requires additional subscription for API."),
        (10167, "Requested market data is not subscribed. Displaying delayed market data."),
        (321, "Error validating request.-'bH' : cause - Incorrect generic tick list"),
        (101, "Max number of tickers has been reached."),
    ],
)
def test_a_symbol_that_is_refused_is_said_with_why_and_the_others_go_on(
    one: IbkrStandIn, stream: LiveOf, market: Market, code: int, text: str
) -> None:
    market.refused["IBM"] = (code, text)
    with Listening(stream(one), ["SPY", "IBM"], ALL) as listening:
        linked = listening.linked()
        assert one.push_ticks("SPY", (BID, 100.0, 3), (ASK, 100.1, 4)) == 1
        listening.until(lambda told: any(isinstance(one, Quote) for one in told))
    assert linked.symbols == ("SPY",)
    assert list(linked.lacking) == ["IBM"]
    assert text in linked.lacking["IBM"]
    assert str(code) in linked.lacking["IBM"]


def test_unknown_ambiguous_and_misspelt_symbols_are_lacking(one: IbkrStandIn, stream: LiveOf, market: Market) -> None:
    market.ambiguous.add("AAPL")
    with Listening(stream(one), ["SPY", "NOPE", "AAPL", "spy!"], ALL) as listening:
        linked = listening.linked()
    assert linked.symbols == ("SPY",)
    assert set(linked.lacking) == {"NOPE", "AAPL", "spy!"}
    assert "code 200" in linked.lacking["NOPE"]
    assert "2" in linked.lacking["AAPL"]


def test_when_all_symbols_are_refused_the_connection_ends_with_why(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["NOPE"], ALL) as listening:
        error = listening.ended()
    assert isinstance(error, SourceRefused)
    assert "NOPE" in str(error)


def test_what_may_come_again_outweighs_what_is_refused(one: IbkrStandIn, stream: LiveOf, market: Market) -> None:
    market.refused["IBM"] = (10197, "No market data during competing live session")
    with Listening(stream(one), ["NOPE", "IBM"], ALL) as listening:
        error = listening.ended()
    assert isinstance(error, SourceBusy)
    assert "competing" in str(error)


def test_symbols_beyond_the_lines_of_the_account_are_lacking(market: Market, stream: LiveOf) -> None:
    with IbkrStandIn(market, lines=2) as gateway, Listening(stream(gateway), ["SPY", "IBM"], ALL) as listening:
        linked = listening.linked()
        assert sorted([*linked.symbols, *linked.lacking]) == ["IBM", "SPY"]
        assert [why for why in linked.lacking.values() if "code 101" in why]


def test_a_symbol_that_is_refused_later_is_told_and_given_up(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one), ["SPY", "IBM"], ALL) as listening:
        listening.linked()
        (bars,) = [entry for entry in one.log.of("received", "50") if "IBM" in entry.fields]
        (ticks,) = [entry for entry in one.log.of("received", "1") if "IBM" in entry.fields]
        one.push_error(10197, "No market data during competing live session", bars.fields[2])
        told = listening.until(lambda told: sum(isinstance(one, Linked) for one in told) >= 2)
        one.log.until("received", "2")
    assert [one.symbols for one in told if isinstance(one, Linked)] == [("SPY", "IBM"), ("SPY",)]
    assert one.log.of("received", "2")[0].fields[2] == ticks.fields[2]


def test_delayed_quotes_say_that_they_are_late_and_there_are_no_bars(one: IbkrStandIn, stream: LiveOf) -> None:
    source = stream(one, delayed=True)
    assert Kind.BARS not in source.traits.live
    with Listening(source, ["SPY"], [Kind.QUOTES]) as listening:
        listening.linked()
        one.push_ticks("SPY", (66, 100.0, 3), (67, 100.1, 4))
        listening.until(lambda told: any(isinstance(one, Quote) for one in told))
        one.push_ticks("SPY", (BID, 101.0, 3), (ASK, 101.1, 4))  # as an account gets them that has a subscription
        listening.until(lambda told: any(isinstance(one, Quote) and one.ask == 101.1 for one in told))
    late, *_, quote = listening.of(Quote)
    assert (late.bid, late.received - late.time) == (100.0, 15 * MINUTE)
    assert (quote.bid, quote.received - quote.time) == (101.0, 0)
    assert [entry.fields for entry in one.log.of("received", "59")] == [("59", "1", "3")]


def test_lots_of_the_gateway_become_shares(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, lots=True), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_bars("SPY", (EPOCH, 100.0, 101.0, 99.5, 100.5, 12, 100.2, 31))
        listening.until(lambda told: any(isinstance(one, Bar) for one in told))
    assert listening.of(Bar)[0].volume == 1200.0


def test_forty_symbols_stay_below_the_rate_that_the_gateway_takes(stream: LiveOf) -> None:
    symbols = [f"S{number}" for number in range(40)]
    with IbkrStandIn(Market(*symbols)) as gateway:
        with Listening(stream(gateway), symbols, ALL) as listening:
            assert len(listening.linked().symbols) == 40
        assert [entry for entry in gateway.log.of("sent", "4") if "100" in entry.fields] == []
        assert len(gateway.log.of("received", "50")) == 40


def test_it_does_not_spin_while_nothing_comes(one: IbkrStandIn, stream: LiveOf) -> None:
    with Listening(stream(one, beat=0.2), ["SPY"], ALL) as listening:
        listening.until(lambda told: any(isinstance(one, Wire) for one in told))
        begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
        seen = len(listening.of(Wire))
        listening.until(lambda told: sum(isinstance(one, Wire) for one in told) >= seen + 6)
        after, passed = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - begun
    spent = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    assert spent / passed < 0.25, f"{spent:.3f} s of work in {passed:.3f} s without data"


def test_the_library_writes_nothing_by_itself(
    one: IbkrStandIn, stream: LiveOf, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """It would write the account's number, among others."""
    with Listening(stream(one), ["SPY", "NOPE"], ALL) as listening:
        listening.linked()
        one.hang_up()
        listening.ended()
    assert [record for record in caplog.records if record.name.startswith("ib_")] == []
    assert "".join(capfd.readouterr()) == ""


def test_a_stop_before_the_connection_is_there_returns_at_once(one: IbkrStandIn, stream: LiveOf) -> None:
    one.faults.refuse = True
    stop = threading.Event()
    stop.set()
    begun = time.monotonic()
    stream(one, connect=30.0).run(["SPY"], ALL, lambda told: None, stop)
    assert time.monotonic() - begun < 1.0


def test_nothing_to_subscribe_to_is_said_before_anything_is_connected(one: IbkrStandIn, stream: LiveOf) -> None:
    for symbols, kinds in (([], ALL), (["SPY"], [])):
        with pytest.raises(DataError, match="nothing to subscribe to"):
            stream(one).run(symbols, kinds, lambda told: None, threading.Event())
    assert one.log.of("connected") == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"host": ""}, "no host"),
        ({"port": 0}, "port 0"),
        ({"client_id": 0}, "client_id 0"),
        ({"show": "BID_ASK"}, "show 'BID_ASK'"),
        ({"beat": float("nan")}, "beat nan"),
        ({"connect": -1.0}, "connect -1.0"),
    ],
)
def test_wrong_options_are_named_with_what_is_allowed(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named) as raised:
        live(IbkrOptions(**wrong))  # type: ignore[arg-type]
    assert raised.value.hint


def test_ticks_that_are_unknown_are_left_out_and_said(one: IbkrStandIn, stream: LiveOf) -> None:
    """Only where the library stumbles over them; ib_insync passes them by."""
    with Listening(stream(one), ["SPY"], ALL) as listening:
        listening.linked()
        one.push_generic("SPY", 999, 1)
        one.push_ticks("SPY", (BID, 100.0, 3), (ASK, 100.1, 4))
        listening.until(lambda told: any(isinstance(one, Quote) for one in told))
    stumbled = any("999" in one.text for one in listening.of(Oddity))
    assert stumbled == ("ib_async" in sys.modules)
