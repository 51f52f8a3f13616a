"""What a run is given besides its data: the bars before its first date."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.data.options import FileOptions, new_york_date
from appliance.domain.market import HOUR, Session, Sessions
from appliance.making import past_of

DATES = ("2013-10-07", "2013-10-08", "2013-10-09")
OPEN = 1_381_152_600_000_000_000  # 2013-10-07 09:30 in New York
DAY = 24 * HOUR


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Three days of five hours each, of two symbols."""
    rows = [f"{OPEN + day * DAY + hour * HOUR},{symbol},10,11,9,10,100" for symbol in ("SPY", "QQQ") for day in range(3)
            for hour in range(1, 6)]  # fmt: skip
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["ts,symbol,open,high,low,close,volume", *rows]) + "\n")
    return (str(path),)


def options(start: str, *symbols: str) -> FileOptions:
    table = Sessions([Session(date, OPEN + n * DAY, OPEN + n * DAY + 5 * HOUR) for n, date in enumerate(DATES)])
    return FileOptions(start=start, symbols=symbols, sessions=table)


ASKED = (("SPY", "", 3), ("QQQ", "1d", 1))


@pytest.mark.parametrize(
    ("run", "count", "fed"),
    [
        (options("2013-10-09"), None, {"SPY": 3, "QQQ": 5}),
        (options("2013-10-09", "SPY"), None, {"SPY": 3}),  # the run does not hear of QQQ
        (options("2013-10-09"), 7, {"SPY": 7, "QQQ": 7}),
        (options("2013-10-09"), 10**6, {"SPY": 10, "QQQ": 10}),
        (options("2013-10-09"), 0, {}),
        (options("2013-10-07"), 7, {}),
        (options(""), 7, {}),
    ],
)
def test_a_run_warms_up_with_what_lies_before_its_first_date(
    files: tuple[str, ...], run: FileOptions, count: int | None, fed: dict[str, int]
) -> None:
    bars = past_of(files, run, ASKED, ("QQQ", "SPY"), count)
    counts = {symbol: sum(bar.symbol == symbol for bar in bars) for symbol in ("SPY", "QQQ")}
    assert {symbol: number for symbol, number in counts.items() if number} == fed
    assert all(bar.end <= run.span[0] for bar in bars)
    assert list(bars) == sorted(bars, key=lambda bar: (bar.end, bar.symbol))


def test_the_days_of_these_tests_are_new_yorks() -> None:
    assert [new_york_date(OPEN + n * DAY) for n in range(3)] == list(DATES)
