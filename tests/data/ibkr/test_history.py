"""History of Interactive Brokers, through the real library and over a real socket."""

from __future__ import annotations

import csv
import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.data.sources.ibkr import IbkrHistory, IbkrOptions, history
from appliance.domain.market import DAY, MINUTE, SECOND, AlwaysOpen, Sessions, Split
from appliance.errors import DataError, SourceBusy, SourceDown, SourceNonsense, SourceRefused
from tests.data.ibkr.conftest import HistoryOf, options_for
from tests.data.source_contract import bars_of
from tests.standins.ibkr import IbkrStandIn, Market, Row

OPEN = 1_381_152_600
"""2013-10-07 09:30 in New York, a Monday."""
CLOSE = OPEN + 390 * 60
SERVICE = "Historical Market Data Service error message"


def at(text: str) -> int:
    """A UTC time in ns."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def minutes(first: int = OPEN, count: int = 390, step: int = 60) -> list[Row]:
    """Rows from ``first`` on, each with prices of its own."""
    return [
        Row(str(first + step * number), 100 + number, 101.5 + number, 99.5 + number, 100.5 + number, 10 + number)
        for number in range(count)
    ]


def asked(gateway: IbkrStandIn) -> list[tuple[str, ...]]:
    """End, bar size and duration of each question that came."""
    return [entry.fields[15:18] for entry in gateway.log.of("received", "20")]


def test_minutes_of_two_sessions_come_page_by_page_and_whole(
    gateway: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    market.rows["SPY", "1 min"] = minutes() + minutes(OPEN + 86400)
    found = bars_of(past(gateway), ["SPY"], "1m", OPEN * SECOND, (CLOSE + 86400) * SECOND)
    assert len(found) == 780
    assert (found[0].start, found[0].end) == (OPEN * SECOND, (OPEN + 60) * SECOND)
    assert found[389].end == CLOSE * SECOND
    assert (found[1].open, found[1].high, found[1].low, found[1].close, found[1].volume) == (
        101,
        102.5,
        100.5,
        101.5,
        11,
    )
    assert asked(gateway) == [
        ("20131007 20:00:00 UTC", "1 min", "1 D"),
        ("20131008 20:00:00 UTC", "1 min", "1 D"),
    ]


def test_only_bars_that_lie_inside_the_range_are_told(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = minutes()
    found = bars_of(past(one), ["SPY"], "1m", (OPEN + 90) * SECOND, (OPEN + 330) * SECOND)
    assert [bar.start // SECOND - OPEN for bar in found] == [120, 180, 240]


def test_small_bars_are_asked_for_in_pieces_that_ib_allows(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "5 secs"] = minutes(count=2160, step=5)
    found = bars_of(past(one), ["SPY"], "5s", OPEN * SECOND, (OPEN + 10800) * SECOND)
    assert len(found) == 2160
    assert [duration for _, _, duration in asked(one)] == ["3600 S"] * 3


def test_a_day_begins_at_its_open_and_ends_at_its_close_also_a_half_day(
    gateway: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    days = ("20131127", "20131129", "20131202")
    market.rows["SPY", "1 day"] = [Row(day, 180.0, 181.0, 179.0, 180.5, 1e6) for day in days]
    found = bars_of(past(gateway), ["SPY"], "1d", at("2013-11-27T00:00"), at("2013-12-03T00:00"))
    assert [(bar.start, bar.end) for bar in found] == [
        (at("2013-11-27T14:30"), at("2013-11-27T21:00")),
        (at("2013-11-29T14:30"), at("2013-11-29T18:00")),
        (at("2013-12-02T14:30"), at("2013-12-02T21:00")),
    ]
    assert asked(gateway) == [("20131202 21:00:00 UTC", "1 day", "3 D")]


def test_symbols_come_in_order_each_with_its_own_pages(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = minutes(count=3)
    market.rows["IBM", "1 min"] = minutes(count=2)
    found = bars_of(past(one), ["SPY", "IBM"], "1m", OPEN * SECOND, CLOSE * SECOND)
    assert [bar.symbol for bar in found] == ["IBM", "IBM", "SPY", "SPY", "SPY"]


def test_nothing_in_the_range_is_no_error(gateway: IbkrStandIn, past: HistoryOf) -> None:
    assert bars_of(past(gateway), ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND) == []
    assert len(asked(gateway)) == 1


def test_a_closed_exchange_is_not_asked_about(one: IbkrStandIn, past: HistoryOf) -> None:
    assert bars_of(past(one), ["SPY"], "1m", at("2013-10-05T00:00"), at("2013-10-06T23:00")) == []
    assert one.log.of("connected") == []


def test_a_time_without_a_trade_has_no_bar(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    rows = minutes(count=4)
    rows[2] = rows[2]._replace(volume=0, count=0)
    market.rows["SPY", "1 min"] = rows
    found = bars_of(past(one), ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)
    assert [bar.start // SECOND - OPEN for bar in found] == [0, 60, 180]


def test_a_bar_that_is_still_forming_is_left_out(one: IbkrStandIn, market: Market, sessions: Sessions) -> None:
    market.rows["SPY", "1 min"] = minutes(count=10)
    source = IbkrHistory(options_for(one), sessions, clock=lambda: (OPEN + 210) * SECOND)
    try:
        found = [bar for page in source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND) for bar in page]
    finally:
        source.close()
    assert [bar.start // SECOND - OPEN for bar in found] == [0, 60, 120]


def test_splits_are_taken_out_where_they_are_known(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    """AAPL closed at 645.57 on 2014-06-06 and split 7 for 1 on the 9th: IB tells 92.2243."""
    market.rows["AAPL", "1 day"] = [
        Row("20140606", 92.842857, 93.037143, 92.067143, 92.224286, 7_000_000),
        Row("20140609", 92.70, 93.88, 91.75, 93.70, 1_000_000),
    ]
    split = Split("AAPL", at("2014-06-09T04:00"), 7, 1)
    start, end = at("2014-06-06T00:00"), at("2014-06-10T00:00")
    raw = past(one, unpaced=True, splits=lambda symbol: [split])
    before, after = bars_of(raw, ["AAPL"], "1d", start, end)
    assert before.close == pytest.approx(645.57, abs=0.01)
    assert before.volume == 1_000_000
    assert (after.close, after.volume) == (93.70, 1_000_000)
    assert not raw.split_adjusted
    one.history._asked.clear()
    told = past(one)
    assert told.split_adjusted
    assert bars_of(told, ["AAPL"], "1d", start, end)[0].close == 92.224286


def test_wrong_order_and_repeated_rows_make_no_difference(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = minutes()
    one.faults.twice, one.faults.backwards = True, True
    assert len(bars_of(past(one), ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)) == 390


def test_an_unanswered_question_ends_in_time_and_is_cancelled(gateway: IbkrStandIn, past: HistoryOf) -> None:
    source = past(gateway, deadline=0.3)
    gateway.faults.silent = frozenset({"20"})
    begun = time.monotonic()
    with pytest.raises(SourceDown, match=r"no answer within 0\.3 s"):
        list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert time.monotonic() - begun < 3.0
    (question,) = gateway.log.of("received", "20")
    (cancel,) = gateway.log.until("received", "25")
    assert cancel.fields[2] == question.fields[1]


def test_after_a_question_that_failed_the_next_gets_another_connection(
    one: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    market.rows["SPY", "1 min"] = minutes() + minutes(OPEN + 86400)
    source = past(one, deadline=0.3)
    one.faults.half_open = True
    with pytest.raises(SourceDown):
        list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    one.faults.clear()
    assert len(bars_of(source, ["SPY"], "1m", OPEN * SECOND + DAY, CLOSE * SECOND + DAY)) == 390


def test_a_gateway_that_is_cut_off_is_not_waited_for(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = [row for day in range(3) for row in minutes(OPEN + 86400 * day)]
    source = past(one, deadline=30.0)
    one.faults.silent = frozenset({"20"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)))
        one.log.until("received", "20")
        one.lose()
        with pytest.raises(SourceDown, match="cut off"):
            waiting.result(5)
    with pytest.raises(SourceDown, match="cut off"):
        list(source.bars(["SPY"], "1m", OPEN * SECOND + DAY, CLOSE * SECOND + DAY))
    assert len(asked(one)) == 1, "the second was not asked"
    one.faults.clear()
    one.restore(data_lost=True)
    found = bars_of(source, ["SPY"], "1m", OPEN * SECOND + 2 * DAY, CLOSE * SECOND + 2 * DAY)
    assert len(found) == 390
    assert len(one.log.of("connected")) == 1, "the socket was kept"


def test_what_never_reached_the_gateway_is_not_held_against_the_next_try(
    one: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    market.rows["SPY", "1 min"] = minutes()
    source = past(one, connect=0.3)
    one.faults.refuse = True
    with pytest.raises(SourceDown):
        list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    one.faults.clear()
    assert len(bars_of(source, ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)) == 390


def test_a_connection_that_was_reset_between_two_questions_is_made_again(
    one: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    market.rows["SPY", "1 min"] = [row for day in range(3) for row in minutes(OPEN + 86400 * day)]
    source = past(one)
    bars_of(source, ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)
    one.hang_up()
    one.log.until("closed")
    with suppress(SourceDown):  # it may be asked before the reset is seen
        list(source.bars(["SPY"], "1m", OPEN * SECOND + DAY, CLOSE * SECOND + DAY))
    assert len(bars_of(source, ["SPY"], "1m", OPEN * SECOND + 2 * DAY, CLOSE * SECOND + 2 * DAY)) == 390
    assert len(one.log.of("connected")) == 2


@pytest.mark.parametrize(
    ("fault", "value", "seen"), [("silent", frozenset({"20"}), ("received", "20")), ("refuse", True, ("connected", ""))]
)
def test_closing_does_not_wait_for_an_answer(
    one: IbkrStandIn, past: HistoryOf, fault: str, value: object, seen: tuple[str, str]
) -> None:
    source = past(one, deadline=30.0, connect=30.0)
    setattr(one.faults, fault, value)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)))
        one.log.until(*seen)
        begun = time.monotonic()
        source.close()
        assert time.monotonic() - begun < 2.0
        with pytest.raises(SourceDown, match="closed"):
            waiting.result(5)


def test_live_and_history_have_client_ids_of_their_own(one: IbkrStandIn, past: HistoryOf) -> None:
    one.session.taken = {17, 18}
    list(past(one).bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert [entry.fields[2] for entry in one.log.of("received", "71")] == ["18", "20"]


def test_our_own_guard_holds_the_same_question_back(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = minutes()
    source = past(one)
    bars_of(source, ["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND)
    with pytest.raises(SourceBusy, match="pacing") as raised:
        list(source.bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert 14 * SECOND < raised.value.wait < 16 * SECOND
    assert len(asked(one)) == 1, "it was not sent"


def test_a_long_range_is_walked_without_a_violation(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = [row for day in range(5) for row in minutes(OPEN + 86400 * day)]
    market.rows["SPY", "1 min"] += [row for day in range(7, 9) for row in minutes(OPEN + 86400 * day)]
    found = bars_of(past(one), ["SPY"], "1m", OPEN * SECOND, OPEN * SECOND + 9 * DAY)
    assert len(found) == 7 * 390
    assert [entry for entry in one.log.of("sent", "4") if "162" in entry.fields] == []


@pytest.mark.parametrize(
    ("code", "text", "error", "wait"),
    [
        (162, f"{SERVICE}:Historical data request pacing violation", SourceBusy, 15),
        (162, f"{SERVICE}:No market data permissions for AMEX STK", SourceRefused, 0),
        (162, f"{SERVICE}:Trading TWS session is connected from a different IP address", SourceBusy, 60),
        (162, f"{SERVICE}:something new", SourceDown, 0),
        (321, "Error validating request.-'bH' : cause - Invalid", SourceRefused, 0),
        (200, "No security definition has been found for the request", SourceRefused, 0),
        (366, "No historical data query found for ticker id", SourceDown, 0),
        (10197, "No market data during competing live session", SourceBusy, 60),
    ],
)  # fmt: skip
def test_each_refusal_of_a_question_has_its_error(
    one: IbkrStandIn, past: HistoryOf, code: int, text: str, error: type[Exception], wait: int
) -> None:
    one.faults.refusing = (code, text)
    with pytest.raises(error, match=f"code {code}") as raised:
        list(past(one).bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert raised.value.wait == wait * SECOND  # type: ignore[attr-defined]


def test_pacing_of_the_gateway_is_told_with_how_long_to_wait(one: IbkrStandIn, past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 min"] = minutes()
    one.faults.pacing = True
    with pytest.raises(SourceBusy) as raised:
        list(past(one).bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert raised.value.wait == 15 * SECOND


def test_the_gateway_counts_small_bars_itself(past: HistoryOf, market: Market) -> None:
    market.rows["SPY", "1 secs"] = minutes(count=7200, step=1)
    with IbkrStandIn(market, pacing=3) as gateway:
        pages = past(gateway).bars(["SPY"], "1s", OPEN * SECOND, (OPEN + 7200) * SECOND)
        assert [len(next(pages)) for _ in range(3)] == [1800] * 3
        with pytest.raises(SourceBusy):
            next(pages)


def test_an_answer_that_cannot_be_read_is_nonsense_and_does_not_wait_for_the_deadline(
    one: IbkrStandIn, past: HistoryOf, market: Market
) -> None:
    market.rows["SPY", "1 min"] = [minutes()[0]._replace(open="garbage")]  # type: ignore[arg-type]
    begun = time.monotonic()
    with pytest.raises(SourceNonsense, match="garbage"):
        list(past(one, deadline=30.0).bars(["SPY"], "1m", OPEN * SECOND, CLOSE * SECOND))
    assert time.monotonic() - begun < 5.0


@pytest.mark.parametrize("timeframe", ["1h", "20m", "1w", "7m", "nonsense"])
def test_bars_that_do_not_begin_with_the_session_are_refused(past: HistoryOf, one: IbkrStandIn, timeframe: str) -> None:
    with pytest.raises(DataError, match=timeframe):
        list(past(one).bars(["SPY"], timeframe, OPEN * SECOND, CLOSE * SECOND))


@pytest.mark.parametrize(
    ("symbols", "start", "end", "said"),
    [
        ([], OPEN, CLOSE, "no symbol"),
        (["SPY"], CLOSE, OPEN, "not before"),
        (["SPY"], 4_000_000_000, 4_000_000_100, "future"),
        (["SPY"], 100, 200, "outside the sessions"),
        (["spy?"], OPEN, CLOSE, "spy\\?"),
    ],
)
def test_a_question_without_sense_is_said_before_it_is_asked(
    one: IbkrStandIn, past: HistoryOf, symbols: list[str], start: int, end: int, said: str
) -> None:
    with pytest.raises(DataError, match=said) as raised:
        list(past(one).bars(symbols, "1m", start * SECOND, end * SECOND))
    assert raised.value.hint
    assert one.log.of("connected") == []


def test_a_market_that_never_closes_is_refused() -> None:
    with pytest.raises(DataError, match="sessions"):
        history(IbkrOptions(), AlwaysOpen())


def test_an_unknown_symbol_is_refused_by_its_name(one: IbkrStandIn, past: HistoryOf) -> None:
    with pytest.raises(SourceRefused, match=r"NOPE: .*code 200"):
        list(past(one).bars(["NOPE"], "1m", OPEN * SECOND, CLOSE * SECOND))


def test_the_recorded_minutes_of_spy_come_back_as_they_are(
    one: IbkrStandIn, past: HistoryOf, market: Market, real_data: Path
) -> None:
    recorded: dict[int, tuple[float, ...]] = {}
    with gzip.open(real_data / "equity_1min_bars.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["symbol"] == "SPY":
                values = tuple(float(row[name]) for name in ("open", "high", "low", "close", "volume"))
                recorded[int(row["ts"])] = values
    market.rows["SPY", "1 min"] = [Row(str(ts // SECOND), *values) for ts, values in sorted(recorded.items())]
    start, end = at("2013-10-07T13:30"), at("2013-10-11T20:00")
    found = bars_of(past(one), ["SPY"], "1m", start, end)
    assert len(found) == 1950
    assert all((bar.open, bar.high, bar.low, bar.close, bar.volume) == recorded[bar.start] for bar in found)
    assert all(bar.end - bar.start == MINUTE for bar in found)
