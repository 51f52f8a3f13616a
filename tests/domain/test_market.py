"""Sessions by bisection, and when a market event is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.market import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    TIMEFRAMES,
    AlwaysOpen,
    Bar,
    MarketEvent,
    Quote,
    QuoteBar,
    Session,
    Sessions,
    Trade,
    known_at,
    last_price,
    timeframe_ns,
)

TABLE = Sessions([Session("2026-01-05", 100, 200), Session("2026-01-06", 300, 400), Session("2026-01-07", 400, 450)])


@pytest.mark.parametrize(
    ("time", "date"),
    [(99, None), (100, "2026-01-05"), (199, "2026-01-05"), (200, None), (299, None), (300, "2026-01-06"),
     (399, "2026-01-06"), (400, "2026-01-07"), (449, "2026-01-07"), (450, None), (10**18, None), (-1, None)],
)  # fmt: skip
def test_a_session_holds_its_open_and_not_its_close(time: int, date: str | None) -> None:
    session = TABLE.at(time)
    assert (session.date if session else None) == date


@pytest.mark.parametrize(("time", "opens"), [(0, 100), (99, 100), (100, 300), (250, 300), (400, None), (500, None)])
def test_the_next_open_is_after_the_time(time: int, opens: int | None) -> None:
    assert TABLE.next_open(time) == opens


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [(100, 200, True), (100, 201, False), (99, 150, False), (250, 260, False), (350, 450, False)],
)
def test_a_bar_lies_inside_one_session(start: int, end: int, inside: bool) -> None:
    assert TABLE.contains(start, end) is inside


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=20, unique=True), st.integers(-10, 1_010))
def test_bisection_agrees_with_looking_at_every_session(edges: list[int], time: int) -> None:
    pairs = sorted(edges)[: len(edges) // 2 * 2]
    rows = [Session(str(n), pairs[n], pairs[n + 1]) for n in range(0, len(pairs), 2)]
    table = Sessions(rows)
    assert table.at(time) == next((row for row in rows if row.open <= time < row.close), None)
    assert table.next_open(time) == min((row.open for row in rows if row.open > time), default=None)
    assert table.coming(time) == next((row for row in rows if row.close > time), None)
    assert table.previous(time) == next((row for row in reversed(rows) if row.close <= time), None)
    assert [table.number(row) for row in rows] == list(range(len(rows)))
    assert list(table) == rows
    assert len(table) == len(rows)


@pytest.mark.parametrize(
    ("event", "time", "price"),
    [
        (Bar("A", "1m", 1, 5, 1, 3, 1, 2, 9), 5, 2),
        (QuoteBar("A", "1m", 1, 5, 1, 1, 1, 10, 2, 2, 2, 12), 5, 11),
        (Quote("A", 7, 10, 11), 7, 10.5),
        (Trade("A", 7, 10, 100), 7, 10),
    ],
)
def test_an_event_is_known_at_its_end_and_leaves_a_price(event: MarketEvent, time: int, price: float) -> None:
    assert (known_at(event), last_price(event)) == (time, price)


def test_the_days_of_a_market_that_never_closes_follow_each_other() -> None:
    table = AlwaysOpen()
    day = Session("1970-01-04", 3 * DAY, 4 * DAY)
    assert table.at(3 * DAY) == table.coming(4 * DAY - 1) == table.previous(4 * DAY) == day
    assert table.previous(day.open) == table.at(2 * DAY)
    assert table.number(table.coming(day.close)) == table.number(day) + 1 == 4


@pytest.mark.parametrize(
    ("text", "length"),
    [("30s", 30 * SECOND), ("15m", 15 * MINUTE), ("90m", 90 * MINUTE), ("23h", 23 * HOUR), ("1d", DAY),
     ("2w", 14 * DAY), ("1mo", 30 * DAY), *TIMEFRAMES.items()],
)  # fmt: skip
def test_a_timeframe_has_a_nominal_length(text: str, length: int) -> None:
    assert timeframe_ns(text) == length


@pytest.mark.parametrize(
    "text", ["", "m", "0m", "05m", "5 m", "5M", "5min", "1.5h", "24h", "86400s", "123456s", "-1d", 5]
)
def test_what_is_no_timeframe_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"30s, 5m, 1h, 1d, 1w or 1mo|write 1d, 1w or 1mo") as caught:
        timeframe_ns(text)
    assert repr(text) in str(caught.value)
