"""What a live strategy warms up with: how far back to ask, what it is fed with, and the file between."""

from __future__ import annotations

import pytest

from appliance.data import past
from appliance.data.past import Past, since, wanted
from appliance.domain.market import DAY, HOUR, MINUTE, AlwaysOpen, Bar, Session, Sessions
from appliance.errors import EnvironmentFault

OPEN, CLOSE = 14 * HOUR + 30 * MINUTE, 21 * HOUR
DAYS = 60
TABLE = Sessions([Session(f"day {n}", n * DAY + OPEN, n * DAY + CLOSE) for n in range(DAYS)])
NOW = 50 * DAY + 15 * HOUR


def _open(day: int) -> int:
    return day * DAY + OPEN


@pytest.mark.parametrize(
    ("timeframe", "count", "day"),
    [("1d", 1, 49), ("1d", 20, 30), ("2d", 5, 40), ("1w", 2, 40), ("1mo", 1, 27), ("1m", 390, 48), ("1m", 391, 47),
     ("1h", 7, 48), ("1h", 8, 47), ("30m", 13, 48), ("1d", 500, 0)],
)  # fmt: skip
def test_so_many_bars_began_that_many_sessions_ago_and_a_session_in_doubt_counts(timeframe, count, day):
    assert since(timeframe, count, TABLE, NOW) == _open(day)


def test_spare_sessions_are_added_and_a_table_that_has_not_begun_gives_nothing():
    assert since("1d", 20, TABLE, NOW, spare=3) == _open(27)
    assert since("1d", 20, TABLE, OPEN, spare=3) == OPEN


def test_the_longest_need_of_a_symbol_decides_what_is_asked_for():
    needs = [("A", "1d", 5), ("A", "", 10), ("B", "", 10)]
    found = wanted(needs, lambda symbol: TABLE, "1m", NOW)
    assert found == {"A": _open(50 - 5 - past.SPARE), "B": _open(50 - 2 - past.SPARE)}


def _minutes(symbol: str, start: int, count: int) -> list[Bar]:
    return [
        Bar(symbol, "1m", start + n * MINUTE, start + (n + 1) * MINUTE, 1.0, 1.0, 1.0, 1.0, 1.0) for n in range(count)
    ]


def test_a_need_of_the_bars_as_they_come_is_fed_exactly_so_many_and_a_longer_one_from_its_first_day_on():
    bars = sorted([*_minutes("A", _open(48), 390), *_minutes("A", _open(49), 390), *_minutes("B", _open(49), 390)],
                  key=lambda bar: (bar.end, bar.symbol))  # fmt: skip
    known = Past(NOW, tuple(bars))
    few = known.of([("A", "", 10)], lambda symbol: TABLE, "1m")
    assert [bar.symbol for bar in few] == ["A"] * 10
    assert few[-1] == [bar for bar in bars if bar.symbol == "A"][-1]
    day = known.of([("A", "1d", 1), ("B", "1m", 5)], lambda symbol: TABLE, "1m")
    assert sum(bar.symbol == "A" for bar in day) == 390
    assert sum(bar.symbol == "B" for bar in day) == 5
    assert [bar.end for bar in day] == sorted(bar.end for bar in day)
    assert known.ends() == {("A", "1m"): _open(49) + 390 * MINUTE, ("B", "1m"): _open(49) + 390 * MINUTE}
    assert known.of([("C", "", 5)], lambda symbol: TABLE, "1m") == ()


def test_a_market_that_never_closes_has_days_too():
    assert since("1d", 3, AlwaysOpen(), 10 * DAY + HOUR) == 7 * DAY


def test_what_is_written_is_read_and_a_damaged_file_is_no_past(tmp_path):
    path = tmp_path / "past.msgpack"
    known = Past(NOW, tuple(_minutes("A", _open(49), 3)))
    past.write(path, known)
    assert past.read(path) == known
    path.write_bytes(path.read_bytes()[:-5])
    assert past.read(path) == Past()
    assert past.read(tmp_path / "none") == Past()
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        past.write(tmp_path / "none" / "past.msgpack", known)
