"""What is asked for ends where bars end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from appliance.data.aligning import outward
from appliance.domain.market import SECOND, AlwaysOpen, Session, Sessions


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


DAYS = ("2024-02-28", "2024-02-29", "2024-03-01", "2024-03-04")
NEW_YORK = Sessions([Session(day, _at(f"{day} 14:30"), _at(f"{day} 21:00")) for day in DAYS])


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "begin", "until"),
    [
        ("1m", "2024-02-28 15:00:30", "2024-02-29 15:00:30", "2024-02-28 14:30", "2024-02-29 21:00"),
        ("1m", "2024-02-28 14:30", "2024-02-28 21:00", "2024-02-28 14:30", "2024-02-28 21:00"),
        ("1d", "2024-02-28 22:00", "2024-02-29 14:30", "2024-02-28 22:00", "2024-02-29 14:30"),
        ("1w", "2024-02-29 15:00", "2024-03-01 15:00", "2024-02-26", "2024-03-04"),
        ("1mo", "2024-02-29 15:00", "2024-03-01 00:00", "2024-02-01", "2024-03-01"),
        ("1mo", "2024-02-29 15:00", "2024-03-01 15:00", "2024-02-01", "2024-04-01"),
    ],
)
def test_a_range_grows_to_the_edges_of_the_bars_it_cuts(timeframe, start, end, begin, until):
    assert outward(_at(start), _at(end), timeframe, NEW_YORK) == (_at(begin), _at(until))


def test_a_market_that_never_closes_is_cut_at_midnight():
    found = outward(_at("2024-02-28 15:00"), _at("2024-02-29 15:00"), "1h", AlwaysOpen())
    assert found == (_at("2024-02-28 00:00"), _at("2024-03-01 00:00"))
    whole = (_at("2024-02-28"), _at("2024-02-29"))
    assert outward(*whole, "1h", AlwaysOpen()) == whole
